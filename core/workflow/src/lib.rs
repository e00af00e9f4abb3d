//! What the coordinator decides: which step of which ceremony comes next, and by which route a signature is made.
//! It holds no share and can name none; it has no clock, no thread, no I/O and no chance of its own.
//!
//! Reading order: [`ceremony`] (one attempt at one chunk: states, facts, next step), [`ceremony::states`] (what
//! each state holds), [`ceremony::statement`] (what is believed of signers), [`ceremony::batch`] (one plan: chunks,
//! next attempts), [`wallets`] (what is known of each wallet), [`schedule`] (what is due under mandates), [`journal`]
//! (what must be durable), [`driver`] (the loop), [`route`] (a signing request and its fallback), [`exposure`] (where
//! copies may be left), [`thefts`] (which of them are stolen), [`access`] (who may ask for what).

pub mod access;
pub mod ceremony;
pub mod driver;
pub mod exposure;
pub mod journal;
pub mod route;
pub mod schedule;
pub mod thefts;
pub mod wallets;

#[cfg(test)]
mod sample;

pub use driver::{Driver, Tuning, World};
pub use journal::Journal;
pub use route::Route;
pub use wallets::Heads;
