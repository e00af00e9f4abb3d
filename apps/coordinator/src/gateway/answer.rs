//! What a caller gets: signatures, the transaction with them in it, and where the ledger says so.

use base64ct::{Base64, Encoding};
use perennial_chain::{Assembled, Signature};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::{Chain, Scheme};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A released signature. It is kept as it is answered, so that it can be answered again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedTransaction {
    /// The wallet.
    pub wallet: String,
    /// Which derived key signed, such as `m/0/0`.
    pub path: String,
    /// The epoch whose shares signed, such as `2.1`.
    pub epoch: String,
    /// The digest of the transcript that made these shares, in hexadecimal digits.
    pub transcript: String,
    /// The signers that took part.
    pub signers: Vec<String>,
    /// One signature for each thing that had to be signed: one on Ethereum and Solana, one for each input of the
    /// wallet on Bitcoin.
    pub signatures: Vec<WrittenSignature>,
    /// The transaction with the signatures in it.
    pub signed_transaction: String,
    /// How it is written: `0x-hex` (Ethereum), `hex` (Bitcoin's network form), `base64` (Solana; a PSBT that is
    /// not complete).
    pub encoding: TransactionEncoding,
    /// By what name the network will know it; none while signatures of others are missing.
    pub transaction_id: Option<String>,
    /// Which signatures of others are missing.
    pub missing: Vec<String>,
    /// How many sessions it took under the parent epoch after a failure under the new one.
    pub fallbacks: u32,
    /// How many sessions were begun in all.
    pub tries: u32,
}

/// How a signed transaction is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TransactionEncoding {
    /// `0x` and hexadecimal digits.
    #[serde(rename = "0x-hex")]
    PrefixedHex,
    /// Hexadecimal digits.
    #[serde(rename = "hex")]
    Hex,
    /// Standard base64 with padding.
    #[serde(rename = "base64")]
    Base64,
}

/// A signature in the fixed form of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WrittenSignature {
    /// 64 bytes in hexadecimal digits: `r` and `s` of ECDSA, or a BIP-340 or Ed25519 signature as it is.
    pub bytes: String,
    /// ECDSA only: 0 or 1.
    pub recovery_id: Option<u8>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Answer {
    /// What was released.
    #[serde(flatten)]
    pub signed: SignedTransaction,
    /// The place of its entry in the ledger, counted from 0.
    pub ledger_index: u64,
    /// Whether this was released before, for the same idempotency key.
    #[serde(skip)]
    pub repeated: Repeated,
}

/// Whether an answer is given for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// It was given before.
    Yes,
    /// It is new.
    No,
}

/// A signature of the engine in the form of its scheme; none if it has not that form.
pub(super) fn signature_of(scheme: Scheme, raw: &RawSignature) -> Option<Signature> {
    match (scheme, raw.recovery_id) {
        (Scheme::Ecdsa, Some(recovery_id)) => Some(Signature::Ecdsa { r_and_s: raw.bytes, recovery_id }),
        (Scheme::Taproot, None) => Some(Signature::Taproot(raw.bytes)),
        (Scheme::Ed25519, None) => Some(Signature::Ed25519(raw.bytes)),
        _ => None,
    }
}

/// A signature as it is answered.
pub(super) fn written(raw: &RawSignature) -> WrittenSignature {
    WrittenSignature { bytes: hex::encode(raw.bytes), recovery_id: raw.recovery_id }
}

/// A transaction as its chain writes it: text, encoding, name, and what is missing.
pub(super) fn written_transaction(
    chain: Chain,
    assembled: Assembled,
) -> (String, TransactionEncoding, Option<String>, Vec<String>) {
    let (bytes, id, missing) = match assembled {
        Assembled::Complete { bytes, id } => (bytes, Some(id), Vec::new()),
        Assembled::Partial { bytes, missing } => (bytes, None, missing),
    };
    let bitcoin = matches!(chain, Chain::Bitcoin | Chain::BitcoinTest | Chain::BitcoinRegtest);
    let encoding = match (chain, &id) {
        (Chain::Ethereum, _) => TransactionEncoding::PrefixedHex,
        (_, Some(_)) if bitcoin => TransactionEncoding::Hex,
        _ => TransactionEncoding::Base64,
    };
    let text = match encoding {
        TransactionEncoding::PrefixedHex => format!("0x{}", hex::encode(bytes)),
        TransactionEncoding::Hex => hex::encode(bytes),
        TransactionEncoding::Base64 => Base64::encode_string(&bytes),
    };
    (text, encoding, id, missing)
}
