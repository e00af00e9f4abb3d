//! A payment on Ethereum: an EIP-1559 transaction of 21,000 gas without a call.

use super::{Transfer, bad};
use crate::failure::Failure;
use alloy_rlp::{BufMut, Encodable, Header};

/// What a payment needs besides the sender, whom the signature implies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment<'a> {
    /// The chain's number (EIP-155).
    pub chain_id: u64,
    /// How many transactions the sender has sent before.
    pub nonce: u64,
    /// The most that is paid to the block's author, in wei per gas.
    pub tip: u128,
    /// The most that is paid at all, in wei per gas.
    pub max_fee: u128,
    /// The receiver, 20 bytes in hexadecimal digits after `0x`.
    pub to: &'a str,
    /// The amount in wei.
    pub amount: u128,
}

/// The gas of a payment and nothing else (EIP-1559 transactions without data).
const PAYMENT_GAS: u64 = 21_000;

/// The unsigned payload: `0x02` and the list of its nine fields in RLP.
pub fn build(payment: &Payment<'_>) -> Result<Transfer, Failure> {
    let to = receiver(payment.to)?;
    let mut fields = Vec::new();
    payment.chain_id.encode(&mut fields);
    payment.nonce.encode(&mut fields);
    payment.tip.encode(&mut fields);
    payment.max_fee.encode(&mut fields);
    PAYMENT_GAS.encode(&mut fields);
    to.as_slice().encode(&mut fields);
    payment.amount.encode(&mut fields);
    [].as_slice().encode(&mut fields);
    Header { list: true, payload_length: 0 }.encode(&mut fields);
    let mut bytes = vec![2];
    Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
    bytes.put_slice(&fields);
    Ok(Transfer::new(bytes))
}

fn receiver(text: &str) -> Result<[u8; 20], Failure> {
    let mut to = [0; 20];
    let digits = text.strip_prefix("0x").unwrap_or_default();
    hex::decode_to_slice(digits, &mut to)
        .map_err(|_| bad("Ethereum address", text, "0x and 40 hexadecimal digits"))?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::wallet::Chain;

    #[test]
    fn a_payment_says_what_was_asked_for_to_the_parser_that_signers_use() {
        let to = "0x00000000000000000000000000000000000000Aa";
        let payment =
            Payment { chain_id: 1, nonce: 300, tip: 1, max_fee: 30_000_000_000, to, amount: 1 << 70 };
        let transfer = build(&payment).expect("built");
        let parsed = perennial_chain::parse(Chain::Ethereum, &transfer.bytes).expect("a transaction");
        let summary = parsed.summary();
        assert_eq!(summary.chain_id, Some(1));
        assert_eq!(summary.effects.len(), 1);
        let said = format!("{:?}", summary.effects[0]);
        assert!(said.contains(&(1u128 << 70).to_string()), "{said}");
        assert!(said.to_lowercase().contains(&to.to_lowercase()), "{said}");
        assert!(build(&Payment { to: "0x12", ..payment }).is_err());
    }
}
