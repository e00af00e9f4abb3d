//! Parts of the whole over real sockets. The mailbox: the coordinator's server and the signer's client, which share no
//! code. And signers as processes, with the shipped mailbox and the shipped driver between them: wallets are made, signed
//! with and refreshed; kills, bad mail and a full disk are survived or end loudly.

#[path = "signer/absence.rs"]
mod absence;
#[path = "signer/attacks.rs"]
mod attacks;
#[path = "mailbox/cluster.rs"]
mod cluster;
#[path = "signer/forgeries.rs"]
mod forgeries;
#[path = "shared/governance.rs"]
#[allow(dead_code)]
mod governance;
#[path = "signer/kills.rs"]
mod kills;
#[path = "mailbox/latency.rs"]
mod latency;
#[path = "mailbox/mail.rs"]
mod mail;
#[path = "signer/office.rs"]
mod office;
#[path = "signer/pairs.rs"]
mod pairs;
#[path = "shared/payments.rs"]
mod payments;
#[path = "signer/plans.rs"]
mod plans;
#[path = "mailbox/raw.rs"]
mod raw;
#[path = "mailbox/refusals.rs"]
mod refusals;
#[path = "mailbox/requests.rs"]
mod requests;
#[path = "signer/signing.rs"]
mod signing;
#[path = "signer/trouble.rs"]
mod trouble;
#[path = "signer/wallets.rs"]
mod wallets;
