//! The words that every part of Perennial shares, the rules that anyone can check, and the public half of
//! redistribution. There is no secret here, no I/O, no clock and no randomness.
//!
//! Reading order: [`encoding`] (how everything is written down), [`wallet`], [`epoch`], [`committee`],
//! [`share_set`] (what an epoch looks like from outside), [`governance`], [`plan`], [`mandate`],
//! [`order`], [`approval`] (what people decide), [`group`], [`dealing`], [`transcript`], [`refusal`] (what dealers and
//! holders publish), [`signature`], [`probe`], [`vote`], [`possession`], [`certificate`], [`receipt`] (what signers promise), [`exposure`] (where
//! copies may be left), [`theft`] (which of them others may have), [`witness`] (what they say about the ledger), [`evidence`] (how all of it is shown),
//! [`session`] and [`mail`] (how it travels).

pub mod approval;
pub mod certificate;
pub mod committee;
pub mod dealing;
pub mod derivation;
pub mod encoding;
pub mod epoch;
pub mod error;
pub mod evidence;
pub mod exposure;
pub mod governance;
pub mod group;
pub mod identity;
pub mod mail;
pub mod mandate;
pub mod mutant;
pub mod order;
pub mod plan;
pub mod possession;
pub mod probe;
pub mod receipt;
pub mod refusal;
pub mod session;
pub mod share_set;
pub mod signature;
pub mod theft;
pub mod transcript;
pub mod vote;
pub mod wallet;
pub mod witness;

pub use error::Error;
