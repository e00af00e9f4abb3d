//! The daemon as a process: what it refuses, how it ends, what it leaves on disk. No coordinator runs here.

#[path = "daemon/dana.rs"]
mod dana;
#[path = "daemon/endings.rs"]
mod endings;
#[path = "daemon/place.rs"]
mod place;
#[path = "daemon/refusals.rs"]
mod refusals;
