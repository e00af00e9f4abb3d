//! A payment on Solana: a legacy message with one transfer of the system program, paid for by the sender.

use super::{Transfer, bad};
use crate::failure::Failure;

/// What a payment needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment<'a> {
    /// The wallet's own address, in base58.
    pub from: &'a str,
    /// The receiver, in base58.
    pub to: &'a str,
    /// The amount in lamports.
    pub amount: u64,
    /// A recent block hash, in base58.
    pub blockhash: &'a str,
}

/// One signer that pays, no other that only signs, one account that is not written to (the program).
const HEADER: [u8; 3] = [1, 0, 1];

/// The system program is the account of 32 zeros.
const SYSTEM_PROGRAM: [u8; 32] = [0; 32];

/// One instruction: to account 2 (the program) with accounts 0 and 1 and 12 bytes, which begin with the number of
/// the transfer in the system program.
const TRANSFER: [u8; 10] = [1, 2, 2, 0, 1, 12, 2, 0, 0, 0];

/// The message, as it is signed.
pub fn build(payment: &Payment<'_>) -> Result<Transfer, Failure> {
    let from = base58(payment.from, "Solana address")?;
    let to = base58(payment.to, "Solana address")?;
    let blockhash = base58(payment.blockhash, "block hash")?;
    if from == to {
        return Err(bad("other account", payment.to, "an address that is not the wallet's own"));
    }
    let mut bytes = HEADER.to_vec();
    bytes.push(3);
    for account in [from, to, SYSTEM_PROGRAM, blockhash] {
        bytes.extend_from_slice(&account);
    }
    bytes.extend_from_slice(&TRANSFER);
    bytes.extend_from_slice(&payment.amount.to_le_bytes());
    Ok(Transfer::new(bytes))
}

fn base58(text: &str, what: &str) -> Result<[u8; 32], Failure> {
    let decoded = base58ck::decode(text).ok();
    decoded
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| bad(what, text, "32 bytes in base58, as explorers show them"))
}

/// 32 bytes as Solana writes them.
pub fn to_base58(bytes: &[u8; 32]) -> String {
    base58ck::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::wallet::Chain;

    #[test]
    fn a_payment_says_what_was_asked_for_to_the_parser_that_signers_use() {
        let (from, to, blockhash) = (to_base58(&[1; 32]), to_base58(&[2; 32]), to_base58(&[3; 32]));
        let payment = Payment { from: &from, to: &to, amount: 5_000_000_001, blockhash: &blockhash };
        let transfer = build(&payment).expect("built");
        let parsed = perennial_chain::parse(Chain::Solana, &transfer.bytes).expect("a message");
        let said = format!("{:?}", parsed.summary());
        for part in [&from, &to, "5000000001 lamport"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(build(&Payment { to: &from, ..payment.clone() }).is_err());
        assert!(build(&Payment { to: "0OIl", ..payment }).is_err());
    }
}
