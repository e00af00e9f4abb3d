//! Ethereum: the sender is recovered from the raw bytes of an EIP-1559 transaction.

use crate::{Question, no_prevouts};
use alloy_consensus::TxEip1559;
use alloy_consensus::transaction::{RlpEcdsaDecodableTx, RlpEcdsaEncodableTx, SignerRecoverable};

pub(crate) fn judge(question: &Question) -> Result<String, String> {
    no_prevouts(question)?;
    let digits =
        question.signed_transaction.strip_prefix("0x").ok_or("the transaction does not begin with 0x")?;
    let bytes =
        hex::decode(digits).map_err(|error| format!("the transaction is not hexadecimal: {error}"))?;
    let Some((2, mut rest)) = bytes.split_first().map(|(kind, rest)| (*kind, rest)) else {
        return Err("it is no transaction of type 2 (EIP-1559)".to_owned());
    };
    let signed = TxEip1559::rlp_decode_signed(&mut rest)
        .map_err(|error| format!("it is no signed EIP-1559 transaction: {error}"))?;
    let mut again = vec![2];
    signed.tx().rlp_encode_signed(signed.signature(), &mut again);
    if !rest.is_empty() || again != bytes {
        return Err("it is not in its one form: bytes are left over or spelled otherwise".to_owned());
    }
    // The trait's recovery refuses the higher `s` (EIP-2); the type's own does not.
    let sender = SignerRecoverable::recover_signer(&signed)
        .map_err(|error| format!("no sender comes out of the signature: {error}"))?
        .to_checksum(None);
    if sender == question.address {
        Ok(format!("sent by {sender}, hash {}", signed.hash()))
    } else {
        Err(format!("sent by {sender}, not by {}", question.address))
    }
}
