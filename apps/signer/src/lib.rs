//! The signer: fetches mail, lets the keeper decide, saves, and posts. It never listens.
//!
//! Reading order: [`command`] (init, run, show), [`config`] (what is trusted), [`run`] (the two lanes), [`store`]
//! (what is durable), [`mailbox`] (the transport), [`process`] and [`ending`] (what is asked of the system, and how
//! it ends).

pub mod clock;
pub mod command;
pub mod config;
pub mod ending;
pub mod keys;
pub mod log;
pub mod mailbox;
pub mod private_file;
pub mod process;
pub mod run;
pub mod show;
pub mod store;
