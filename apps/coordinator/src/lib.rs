//! The coordinator: plans, relays, stores and shows. It holds no share and no right.
//!
//! Reading order: [`run`] (threads, and how they hang together), [`ceremonies`] (the loop that runs ceremonies) on
//! [`journal`] and [`world`], [`post`] (mail that came) on [`mailbox`], [`gateway`] (signing requests) on
//! [`ledger`], [`view`] and [`api`] (what is shown and asked) behind [`access`] (by whom), [`evidence`] (what auditors
//! get), [`store`] (the files underneath), [`directory`] and
//! [`config`] (what is trusted, and what is tuned).

pub mod access;
pub mod api;
pub mod ceremonies;
pub mod command;
pub mod config;
pub mod directory;
pub mod evidence;
pub mod gateway;
pub mod journal;
pub mod ledger;
pub mod log;
pub mod mailbox;
pub mod plan_reader;
pub mod post;
pub mod run;
pub mod store;
pub mod trusted;
pub mod view;
pub mod world;

/// The allocator of the daemon. What the ledger's writer makes is freed by the thread of its connection; that costs the
/// system's allocator an eighth of the entries that the ledger takes in a second.
pub use mimalloc::MiMalloc as Allocator;
