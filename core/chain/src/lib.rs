//! What a transaction says, how what is signed is made from it, and how the signed one is put together; addresses.
//!
//! One module per family of chains. Every signer runs this code itself on the bytes of the request, so a digest is
//! always made here and never taken from somebody else; there is no way to have bare bytes signed. Parsers are
//! strict: one form per transaction, no bytes left over, a named limit for everything that grows. Nothing here
//! touches a secret, judges a transaction (that is policy) or knows whether a chain would accept it.
//!
//! Reading order: [`Transaction`], then the module of a chain: `evm`, `bitcoin`, `solana`.

mod address;
mod bitcoin;
mod error;
mod evm;
#[cfg(feature = "simulation")]
pub mod nowhere;
#[cfg(test)]
mod sample;
mod signature;
mod solana;
mod summary;
mod transaction;

pub use address::address;
pub use error::Error;
pub use signature::{Signature, SigningMessage};
pub use summary::{Amount, Effect, EffectKind, Summary, Unit};
pub use transaction::{Assembled, Transaction, assemble, parse, verify};

pub use bitcoin::{PSBT_BYTES_MAX, SIGNED_INPUTS_MAX};
pub use evm::{INIT_CODE_BYTES_MAX, TRANSACTION_BYTES_MAX as EVM_TRANSACTION_BYTES_MAX};
pub use solana::{ACCOUNTS_MAX, TRANSACTION_BYTES_MAX as SOLANA_TRANSACTION_BYTES_MAX};
