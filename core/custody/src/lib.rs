//! Everything that touches a secret scalar.

pub mod engine;
pub mod pairing;
pub mod share;
