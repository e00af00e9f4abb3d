//! Everything that touches a secret scalar: one signer's decisions, redistribution, engines, signing, erasure.
//!
//! The signer's rules: what arrives is checked at one door ([`inbox`]) against what is [`pinned`]; the
//! [`keeper`] decides; nothing leaves before it is saved ([`turn`]); secrets are locked under keys in
//! [`keyslots`] and die with them. A share is born in [`redistribution`], held locked, used in [`signing`] and
//! ended by the steps in `ceremony/`.
//!
//! Reading order: [`pinned`], [`inbox`], [`keeper`] with `ceremony/`, [`governing`], `orders`, [`turn`], [`store`], [`keyslots`],
//! [`seal`], [`redistribution`], [`serving`], [`signing`], [`sessions`], [`gate`], [`probe`], [`engine`],
//! [`pairing`], [`share`], [`witness`], [`exposure`].

mod begun;
mod ceremony;
pub mod engine;
pub mod exposure;
pub mod gate;
pub mod governing;
pub mod inbox;
pub mod keeper;
pub mod keyslots;
mod orders;
pub mod pairing;
pub mod pinned;
pub mod probe;
pub mod record;
pub mod redistribution;
pub mod seal;
pub mod serving;
pub mod sessions;
pub mod share;
pub mod signing;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod store;
pub mod turn;
pub mod witness;
