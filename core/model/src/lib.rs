//! The words that every part of Perennial shares, the rules that anyone can check, and the public half of
//! redistribution. There is no secret here, no I/O, no clock and no randomness.
//!
//! Reading order: [`encoding`] (how everything is written down), [`wallet`], [`epoch`], [`committee`].

pub mod committee;
pub mod derivation;
pub mod encoding;
pub mod epoch;
pub mod error;
pub mod group;
pub mod wallet;

pub use error::Error;
