//! Solana: every required signature over the message must hold, and one of them must be the wallet's.

use crate::{Question, no_prevouts};
use base64ct::{Base64, Encoding};
use solana_transaction::versioned::VersionedTransaction;

/// The largest transaction in bytes: what fits a packet of the network.
const TRANSACTION_BYTES_MAX: usize = 1232;

pub(crate) fn judge(question: &Question) -> Result<String, String> {
    no_prevouts(question)?;
    let bytes = Base64::decode_vec(&question.signed_transaction)
        .map_err(|error| format!("the transaction is not base64: {error}"))?;
    if bytes.len() > TRANSACTION_BYTES_MAX {
        return Err(format!("{} bytes do not fit a packet of the network", bytes.len()));
    }
    let transaction: VersionedTransaction = wincode::deserialize_exact(&bytes)
        .map_err(|error| format!("it is no serialised transaction: {error}"))?;
    if wincode::serialize(&transaction).ok().as_ref() != Some(&bytes) {
        return Err("it is not in its one form".to_owned());
    }
    transaction.sanitize().map_err(|error| format!("it is malformed: {error:?}"))?;
    transaction.verify_and_hash_message().map_err(|_| "a signature does not hold".to_owned())?;
    let signers = &transaction.message.static_account_keys()[..transaction.signatures.len()];
    let position = signers.iter().position(|signer| signer.to_string() == question.address);
    position
        .map(|at| format!("signed by {}, signature {}", question.address, transaction.signatures[at]))
        .ok_or_else(|| format!("{} is none of its signers", question.address))
}
