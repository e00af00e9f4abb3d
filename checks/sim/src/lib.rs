//! The simulator: the shipped keeper, desk, driver and routes in one process, on a network, disks and clocks that a
//! seed spoils, with every invariant of the protocol held against every step.

pub mod cast;
pub mod coordinator;
pub mod disk;
pub mod faults;
pub mod gate;
pub mod history;
pub mod hostile;
pub mod invariants;
pub mod journal;
pub mod load;
pub mod network;
pub mod operator;
pub mod planted;
pub mod runs;
pub mod scenario;
pub mod signer;
pub mod trace;
pub mod transactions;
pub mod violation;
pub mod world;
