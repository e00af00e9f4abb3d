//! The mailbox end to end: the coordinator's server and the signer's client, which share no code, over real
//! sockets.

#[path = "mailbox/cluster.rs"]
mod cluster;
#[path = "mailbox/latency.rs"]
mod latency;
#[path = "mailbox/mail.rs"]
mod mail;
#[path = "mailbox/raw.rs"]
mod raw;
#[path = "mailbox/refusals.rs"]
mod refusals;
#[path = "mailbox/requests.rs"]
mod requests;
