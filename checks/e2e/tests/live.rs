//! The shipped coordinator and the shipped signers as processes with directories of their own, asked over the API
//! as anybody would: killed at every phase of a ceremony, given bad input, full disks and old ledgers, and searched for secrets.

#[path = "live/access.rs"]
mod access;
#[path = "live/api.rs"]
mod api;
#[path = "live/bases.rs"]
mod bases;
#[path = "live/cluster.rs"]
mod cluster;
#[path = "live/decisions.rs"]
mod decisions;
#[path = "live/disks.rs"]
mod disks;
#[path = "live/evidence.rs"]
mod evidence;
#[path = "live/exposure.rs"]
mod exposure;
#[path = "shared/governance.rs"]
mod governance;
#[path = "live/governing.rs"]
mod governing;
#[path = "live/kills.rs"]
mod kills;
#[path = "live/load.rs"]
mod load;
#[path = "live/operator.rs"]
mod operator;
#[path = "shared/payments.rs"]
mod payments;
#[path = "live/people.rs"]
mod people;
#[path = "live/refusals.rs"]
mod refusals;
#[path = "live/room.rs"]
mod room;
#[path = "live/secrets.rs"]
mod secrets;
#[path = "live/stores.rs"]
mod stores;
#[path = "live/tenants.rs"]
mod tenants;
#[path = "live/tls.rs"]
mod tls;
#[path = "live/transactions.rs"]
mod transactions;
#[path = "live/witnesses.rs"]
mod witnesses;
