//! Unsigned transactions of the three chains, and the independent judge of what comes back.

use crate::payments::{ethereum, solana};
use base64ct::{Base64, Encoding};
use bitcoin::absolute::LockTime;
use bitcoin::psbt::Psbt;
use bitcoin::transaction::Version;
use bitcoin::{Address, Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use serde_json::{Value, json};

/// A transaction to be signed.
#[derive(Clone, Debug)]
pub struct Unsigned {
    /// As the API takes it.
    pub text: String,
    /// The outputs that it spends, on Bitcoin.
    prevouts: Value,
}

/// The wallet's payment of this number: no two are the same.
pub fn payment(wallet: &Value, number: u32) -> Unsigned {
    match wallet["chain"].as_str().expect("text") {
        "ethereum" => Unsigned { text: format!("0x{}", hex::encode(ethereum(number))), prevouts: json!([]) },
        "solana" => {
            let text = Base64::encode_string(&solana(&public_key(wallet), number));
            Unsigned { text, prevouts: json!([]) }
        }
        _ => {
            let (psbt, spent) = psbt(&script(wallet), number);
            let script = hex::encode(spent.script_pubkey.as_bytes());
            Unsigned {
                text: Base64::encode_string(&psbt.serialize()),
                prevouts: json!([{"script_pubkey": script, "amount": spent.value.to_sat()}]),
            }
        }
    }
}

/// Whether what the API answered is the wallet's good signature over this transaction; if not, why.
pub fn judge(wallet: &Value, unsigned: &Unsigned, answer: &Value) -> Result<(), String> {
    let question = json!({
        "chain": wallet["chain"], "address": wallet["address"],
        "signed_transaction": answer["signed_transaction"], "prevouts": unsigned.prevouts,
    });
    let verdict = perennial_referee::judge(question.to_string().as_bytes());
    if verdict.ok { Ok(()) } else { Err(verdict.why) }
}

fn public_key(wallet: &Value) -> [u8; 32] {
    let mut key = [0; 32];
    hex::decode_to_slice(wallet["public_key"].as_str().expect("text"), &mut key).expect("32 bytes");
    key
}

/// Where a Bitcoin wallet receives.
pub fn script(wallet: &Value) -> ScriptBuf {
    let address: Address<_> = wallet["address"].as_str().expect("text").parse().expect("an address");
    address.assume_checked().script_pubkey()
}

/// One output of this script is spent by key path, and most of it goes back. With the output that is spent.
pub fn psbt(own: &ScriptBuf, number: u32) -> (Psbt, TxOut) {
    let spent = TxOut { value: Amount::from_sat(100_000 + u64::from(number)), script_pubkey: own.clone() };
    let mut id = [0x5e; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let txid: Txid = hex::encode(id).parse().expect("32 bytes");
    let input = TxIn {
        previous_output: OutPoint { txid, vout: 0 },
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let output = TxOut { value: Amount::from_sat(99_000), script_pubkey: own.clone() };
    let unsigned = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output],
    };
    let mut psbt = Psbt::from_unsigned_tx(unsigned).expect("unsigned");
    psbt.inputs[0].witness_utxo = Some(spent.clone());
    (psbt, spent)
}
