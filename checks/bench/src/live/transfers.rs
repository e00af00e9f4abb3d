//! Real unsigned transfers of each chain, every one different, as the API takes them.

use anyhow::Context as _;
use base64ct::{Base64, Encoding as _};
use bitcoin::hashes::Hash as _;
use bitcoin::{Address, Amount, OutPoint, Psbt, Transaction, TxIn, TxOut, Txid, absolute, transaction};
use perennial_model::wallet::Chain;
use std::str::FromStr as _;

/// The wallet's transfer number `count`, from its address to itself or to somebody.
pub fn transfer(chain: Chain, address: &str, count: u64) -> anyhow::Result<String> {
    match chain {
        Chain::Ethereum => Ok(format!("0x{}", hex::encode(ethereum(count)))),
        Chain::Solana => Ok(Base64::encode_string(&solana(address, count)?)),
        _ => Ok(Base64::encode_string(&bitcoin(address, count)?)),
    }
}

/// A payment of 1 ether by EIP-1559, whose nonce is the number: tip 1 gwei, fee 20 gwei, 21,000 gas.
fn ethereum(count: u64) -> Vec<u8> {
    let nonce = (1 + count).to_be_bytes();
    let nonce: Vec<u8> = nonce.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut fields = vec![0x01];
    match nonce.as_slice() {
        [byte @ 0..0x80] => fields.push(*byte),
        bytes => {
            fields.push(0x80 + bytes.len() as u8);
            fields.extend_from_slice(bytes);
        }
    }
    fields.extend([0x84, 0x3b, 0x9a, 0xca, 0x00, 0x85, 0x04, 0xa8, 0x17, 0xc8, 0x00, 0x82, 0x52, 0x08, 0x94]);
    fields.extend([0x7e; 20]);
    fields.extend([0x88, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x00, 0x80, 0xc0]);
    [&[0x02, 0xc0 + fields.len() as u8][..], &fields].concat()
}

/// A transfer by the system program as a legacy message; the number is in the block hash.
fn solana(address: &str, count: u64) -> anyhow::Result<Vec<u8>> {
    let from = base58ck::decode(address).ok().filter(|key| key.len() == 32).context("no Solana address")?;
    let mut block = [0x5e; 32];
    block[..8].copy_from_slice(&count.to_be_bytes());
    let instruction = [&2_u32.to_le_bytes()[..], &1_000_u64.to_le_bytes()].concat();
    let head: &[u8] = &[1, 0, 1, 3];
    Ok([head, &from, &[7; 32], &[0; 32], &block, &[1, 2, 2, 0, 1, 12], &instruction].concat())
}

/// A PSBT that spends one output of the wallet by key path; the number is in the name of what it spends.
fn bitcoin(address: &str, count: u64) -> anyhow::Result<Vec<u8>> {
    let script = Address::from_str(address)?.assume_checked().script_pubkey();
    let output = |satoshi| TxOut { value: Amount::from_sat(satoshi), script_pubkey: script.clone() };
    let mut name = [1; 32];
    name[..8].copy_from_slice(&count.to_be_bytes());
    let spent = OutPoint { txid: Txid::from_byte_array(name), vout: 0 };
    let unsigned = Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn { previous_output: spent, ..TxIn::default() }],
        output: vec![output(4_000)],
    };
    let mut psbt = Psbt::from_unsigned_tx(unsigned)?;
    psbt.inputs.first_mut().context("one input")?.witness_utxo = Some(output(5_000));
    Ok(psbt.serialize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_can_read_every_transfer() -> anyhow::Result<()> {
        let addresses = [
            (Chain::Ethereum, "0x0000000000000000000000000000000000000001"),
            (Chain::Bitcoin, "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"),
            (Chain::Solana, "4vJ9JU1bJJE96FWSJKvHsmmFADCg4gpZQff4P3bkLKi"),
        ];
        for (chain, address) in addresses {
            for count in [0, 1, 127, 128, 70_000] {
                let text = transfer(chain, address, count)?;
                let bytes = match text.strip_prefix("0x") {
                    Some(digits) => hex::decode(digits)?,
                    None => Base64::decode_vec(&text).map_err(|error| anyhow::anyhow!("{error}"))?,
                };
                perennial_chain::parse(chain, &bytes)?;
            }
        }
        Ok(())
    }
}
