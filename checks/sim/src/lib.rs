//! The simulator.

pub mod cast;
pub mod coordinator;
pub mod disk;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod journal;
pub mod load;
pub mod network;
pub mod operator;
pub mod scenario;
pub mod signer;
pub mod trace;
pub mod transactions;
pub mod violation;
pub mod world;
