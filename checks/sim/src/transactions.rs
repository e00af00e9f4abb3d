//! Unsigned transactions of each chain for the load, every one different.

use bitcoin::hashes::Hash as _;
use bitcoin::{absolute, transaction};
use perennial_model::derivation::Path;
use perennial_model::wallet::{Chain, Wallet, WalletKey};
use std::str::FromStr as _;

/// An unsigned transaction that spends from a wallet's first address, and the path of that address.
pub fn unsigned(wallet: &Wallet, key: &WalletKey, number: u64) -> Option<(Vec<u8>, Path)> {
    let path = Path::primary(wallet.chain);
    let bytes = match wallet.chain {
        Chain::Nowhere => format!("nowhere:{number}").into_bytes(),
        Chain::Ethereum => ethereum(number),
        Chain::Solana => solana(key, number),
        Chain::Bitcoin | Chain::BitcoinTest | Chain::BitcoinRegtest => {
            let address = perennial_chain::address(wallet, key, &path).ok()?;
            psbt(&address, number)?
        }
    };
    Some((bytes, path))
}

/// A payment of EIP-1559 whose nonce is the number.
fn ethereum(number: u64) -> Vec<u8> {
    let number = 1 + number % 0xffff_fffe;
    let nonce = number.to_be_bytes();
    let nonce: Vec<u8> = nonce.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut fields = vec![0x01];
    match nonce.as_slice() {
        [byte @ 0..0x80] => fields.push(*byte),
        bytes => {
            fields.push(0x80 + bytes.len() as u8);
            fields.extend_from_slice(bytes);
        }
    }
    // Tip 1 gwei, fee 20 gwei, 21,000 gas, to 0x6a…6a, 1 ether, no data, no access list.
    fields.extend([0x84, 0x3b, 0x9a, 0xca, 0x00, 0x85, 0x04, 0xa8, 0x17, 0xc8, 0x00, 0x82, 0x52, 0x08, 0x94]);
    fields.extend([0x6a; 20]);
    fields.extend([0x88, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x00, 0x80, 0xc0]);
    let mut bytes = vec![0x02, 0xc0 + fields.len() as u8];
    bytes.extend(fields);
    bytes
}

/// A transfer as a legacy message; the number is in the block hash.
fn solana(key: &WalletKey, number: u64) -> Vec<u8> {
    let mut block = [0xbb; 32];
    block[..8].copy_from_slice(&number.to_be_bytes());
    let transfer = [&2u32.to_le_bytes()[..], &1_000u64.to_le_bytes()].concat();
    let keys = [key.public_key.as_bytes(), &[7; 32], &[0; 32]].concat();
    [&[1, 0, 1, 3][..], &keys, &block, &[1, 2, 2, 0, 1, 12], &transfer].concat()
}

/// A PSBT that spends one output of the wallet; the number is in the name of what it spends.
fn psbt(address: &str, number: u64) -> Option<Vec<u8>> {
    let script = bitcoin::Address::from_str(address).ok()?.assume_checked().script_pubkey();
    let output = |satoshi: u64| bitcoin::TxOut {
        value: bitcoin::Amount::from_sat(satoshi),
        script_pubkey: script.clone(),
    };
    let mut name = [1; 32];
    name[..8].copy_from_slice(&number.to_be_bytes());
    let spent = bitcoin::OutPoint { txid: bitcoin::Txid::from_byte_array(name), vout: 0 };
    let unsigned = bitcoin::Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn { previous_output: spent, ..bitcoin::TxIn::default() }],
        output: vec![output(4_000)],
    };
    let mut psbt = bitcoin::Psbt::from_unsigned_tx(unsigned).ok()?;
    psbt.inputs.first_mut()?.witness_utxo = Some(output(5_000));
    Some(psbt.serialize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::encoding::Digest;
    use perennial_model::group::{Edwards25519, Group, Point, Scalar, Secp256k1};
    use perennial_model::wallet::Tier;

    fn key<G: Group>() -> Point {
        G::encode(&G::generate(&G::Scalar::from_u64(77)))
    }

    #[test]
    fn every_transaction_of_the_load_can_be_read_and_signed() {
        for (chain, public_key) in [
            (Chain::Ethereum, key::<Secp256k1>()),
            (Chain::BitcoinTest, key::<Secp256k1>()),
            (Chain::Solana, key::<Edwards25519>()),
        ] {
            let wallet = Wallet {
                id: "w".parse().expect("a name"),
                tenant: "t".parse().expect("a name"),
                tier: Tier::Standard,
                chain,
            };
            let key = WalletKey { public_key, chain_code: Digest([1; 32]) };
            for number in [0, 1, 127, 128, 70_000] {
                let (bytes, path) = unsigned(&wallet, &key, number).expect("a sound key");
                let read = perennial_chain::parse(chain, &bytes).expect("its own form");
                assert_eq!(read.messages(&wallet, &key, &path).expect("its own wallet").len(), 1);
            }
        }
    }
}
