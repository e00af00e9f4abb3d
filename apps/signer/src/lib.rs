//! The signer: fetches mail, lets the keeper decide, saves, and posts. It never listens.

pub mod identity;
pub mod mailbox;
pub mod priority;
