//! A coordinator that is the adversary, against the shipped signers.
//!
//! The attacker has every key of the coordinator and of the ledger, all that was ever sent, and the network; in half of
//! the sieges also the keys of one signer. It does not have people's keys. Between any two messages of an honest driver
//! it makes moves out of a grammar, most of which are well signed and wrong. After each of them every invariant holds,
//! and what was refused has changed nothing.

pub mod archive;
pub mod campaign;
pub mod craft;
pub mod decrees;
pub mod grammar;
pub mod ledger;
pub mod people;
pub mod planted;
pub mod refusal;
pub mod run;
pub mod stage;
pub mod tally;
