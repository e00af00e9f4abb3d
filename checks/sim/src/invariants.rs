//! The invariants of the protocol (its section 9), each a function named after it.

pub mod approvals;
pub mod authority;
pub mod durable;
pub mod erasure;
pub mod keys;
pub mod liveness;
pub mod mandates;
pub mod orders;
pub mod recovery;
pub mod rising;
pub mod sessions;
pub mod transcripts;
pub mod witness;
