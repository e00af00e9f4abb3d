//! The shipped coordinator and the shipped signers as processes with directories of their own, asked over the API
//! as anybody would: killed at every phase of a ceremony, given bad input and full disks, and searched for secrets.

#[path = "live/api.rs"]
mod api;
#[path = "live/cluster.rs"]
mod cluster;
#[path = "live/kills.rs"]
mod kills;
#[path = "live/load.rs"]
mod load;
#[path = "live/people.rs"]
mod people;
#[path = "live/transactions.rs"]
mod transactions;
