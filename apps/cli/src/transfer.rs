//! Simple transfers, built in plain code so that anybody can follow each byte: unsigned transactions as the
//! coordinator's API takes them, one module per chain.
//!
//! It knows nothing of balances, nonces or fees on the network: whoever asks for the transfer says them.

pub mod bitcoin;
pub mod ethereum;
pub mod solana;

use crate::failure::Failure;
use base64ct::{Base64, Encoding};
use perennial_model::wallet::Chain;
use serde::Serialize;

/// An unsigned transaction, and what its signature also commits to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// As the chain's parser in `core/chain` takes it.
    pub bytes: Vec<u8>,
    /// The outputs that it spends, on Bitcoin.
    pub prevouts: Vec<Prevout>,
}

/// An output that a Bitcoin input spends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Prevout {
    /// Its script in hexadecimal digits.
    pub script_pubkey: String,
    /// Its amount in satoshi.
    pub amount: u64,
}

impl Transfer {
    /// A transaction that spends nothing that has to be named.
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, prevouts: Vec::new() }
    }

    /// The transaction as the API takes it: hexadecimal digits after `0x` on Ethereum, base64 elsewhere.
    pub fn written(&self, chain: Chain) -> String {
        match chain {
            Chain::Ethereum => format!("0x{}", hex::encode(&self.bytes)),
            _ => Base64::encode_string(&self.bytes),
        }
    }
}

/// The refusal of a text that should be an address or another identifier.
fn bad(what: &str, text: &str, wanted: &str) -> Failure {
    let shown: String = text.chars().take(100).collect();
    Failure::usage(format!("{shown:?} is no {what}"), format!("give {wanted}"))
}
