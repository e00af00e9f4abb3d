//! What the wallets of the demo sign: real transfers of their chains, each different from all before it.

use crate::failure::Failure;
use crate::transfer::{Transfer, bitcoin, ethereum, solana};
use perennial_model::wallet::Chain;

/// Where Ethereum transfers go.
const ETHEREUM_RECEIVER: &str = "0x7e57000000000000000000000000000000000001";
/// Where Bitcoin transfers go: the address of the first change key in the test vectors of BIP-86.
const BITCOIN_RECEIVER: &str = "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7";
/// Where Solana transfers go.
const SOLANA_RECEIVER: [u8; 32] = [0x7e; 32];

/// A wallet that signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payer {
    /// The wallet's name.
    pub id: String,
    /// Where it lives.
    pub chain: Chain,
    /// Its address.
    pub address: String,
}

impl Payer {
    /// The wallet's transfer number `count`.
    ///
    /// # Errors
    /// When the wallet's address cannot be read: it is no address of its chain.
    pub fn transfer(&self, count: u64) -> Result<Transfer, Failure> {
        match self.chain {
            Chain::Ethereum => ethereum::build(&ethereum::Payment {
                chain_id: 1,
                nonce: count,
                tip: 1_000_000_000,
                max_fee: 30_000_000_000,
                to: ETHEREUM_RECEIVER,
                amount: 1_000_000_000_000_000 + u128::from(count),
            }),
            Chain::Solana => solana::build(&solana::Payment {
                from: &self.address,
                to: &solana::to_base58(&SOLANA_RECEIVER),
                amount: 1_000_000 + count,
                blockhash: &solana::to_base58(&numbered(count)),
            }),
            _ => bitcoin::build(&bitcoin::Payment {
                chain: self.chain,
                from: &self.address,
                spend: &format!("{}:0:{}", hex::encode(numbered(count)), 200_000 + count),
                to: BITCOIN_RECEIVER,
                amount: 120_000,
                fee: 500,
            }),
        }
    }
}

/// 32 bytes that no other number has.
fn numbered(count: u64) -> [u8; 32] {
    let mut bytes = [0x5e; 32];
    bytes[24..].copy_from_slice(&count.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_transfer_is_readable_and_different() {
        let payers = [
            (Chain::Ethereum, "0x0000000000000000000000000000000000000001"),
            (Chain::Bitcoin, "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"),
            (Chain::Solana, "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"),
        ];
        for (chain, address) in payers {
            let payer = Payer { id: "w".into(), chain, address: address.into() };
            let transfers = (0..300).map(|count| payer.transfer(count).expect("built"));
            let mut seen = BTreeSet::new();
            for transfer in transfers {
                assert!(perennial_chain::parse(chain, &transfer.bytes).is_ok());
                assert!(seen.insert(transfer.bytes), "{chain}: twice the same");
            }
        }
    }
}
