//! Feeds the readers of transactions, one target per family of chains, as a signer gets them through the gateway.
//!
//! What is accepted is explained, signed with a key known to everybody, checked and put together. A signature that
//! signs nothing must never pass.

use crate::Verdict;
use bitcoin::hashes::Hash as _;
use bitcoin::key::{Keypair, Secp256k1, TapTweak as _};
use bitcoin::{absolute, transaction};
use ed25519_dalek::Signer as _;
use perennial_chain::{Assembled, Error, Signature, SigningMessage, Transaction, assemble, parse};
use perennial_model::derivation::Path;
use perennial_model::encoding::Digest;
use perennial_model::group::Point;
use perennial_model::wallet::{Chain, Tier, Wallet, WalletKey};
use sha3::{Digest as _, Keccak256};
use std::str::FromStr as _;
use std::sync::LazyLock;

/// The secret of the wallet that the transactions are signed for, on every chain.
const SECRET: [u8; 32] = [3; 32];

/// The wallet's key on secp256k1 and the context that signs for it.
static SECP256K1: LazyLock<(Secp256k1<bitcoin::secp256k1::All>, Keypair)> = LazyLock::new(|| {
    let context = Secp256k1::new();
    let pair = Keypair::from_seckey_slice(&context, &SECRET).expect("the secret is below the order");
    (context, pair)
});

/// An EIP-1559 transaction: what is signed is the digest of exactly these bytes.
pub fn ethereum(bytes: &[u8]) -> Verdict {
    feed(Chain::Ethereum, bytes, |messages, assembled| {
        let digest: [u8; 32] = Keccak256::digest(bytes).into();
        assert!(
            messages.len() == 1 && messages[0].as_bytes() == digest,
            "a digest is not of the transaction"
        );
        let Assembled::Complete { bytes: signed, .. } = assembled else {
            panic!("an only signer is not enough")
        };
        assert!(signed.len() > bytes.len() && signed[0] == 2, "the signed transaction lost something");
        assert!(parse(Chain::Ethereum, signed).is_err(), "a signed transaction would be signed again");
    })
}

/// A PSBT: one message for each of the wallet's inputs, and none for others'.
pub fn bitcoin(bytes: &[u8]) -> Verdict {
    feed(Chain::Bitcoin, bytes, |messages, _| {
        let inputs: Vec<_> = messages.iter().map(|message| message.input()).collect();
        assert!(inputs.windows(2).all(|pair| pair[0] < pair[1]), "inputs out of order, or one signed twice");
        assert!(messages.iter().all(|message| message.as_bytes().len() == 32), "a hash that is none");
    })
}

/// A Solana message: what is signed is exactly these bytes.
pub fn solana(bytes: &[u8]) -> Verdict {
    feed(Chain::Solana, bytes, |messages, assembled| {
        assert!(
            messages.len() == 1 && messages[0].as_bytes() == bytes,
            "something else than the message is signed"
        );
        let (Assembled::Complete { bytes: signed, .. } | Assembled::Partial { bytes: signed, .. }) =
            assembled;
        assert!(signed.ends_with(bytes), "the signed transaction carries another message");
    })
}

/// A payment and a call with an access list.
pub fn ethereum_samples() -> Vec<Vec<u8>> {
    let payment = [
        "01",
        "42",
        "843b9aca00",
        "8504a817c800",
        "825208",
        &format!("94{}", "6a".repeat(20)),
        "880de0b6b3a7640000",
        "80",
        "c0",
    ];
    let slots = format!("e1a0{}", "05".repeat(32));
    let call_data = format!("b844a9059cbb{}{}", "07".repeat(32), "09".repeat(32));
    let list = format!("f838f794{}{slots}", "6b".repeat(20));
    let call = ["01", "80", "01", "02", "82ad62", &format!("94{}", "6a".repeat(20)), "80", &call_data, &list];
    [payment, call].map(|fields| typed_list(&digits(&fields.concat()))).to_vec()
}

/// A PSBT with one input of the wallet, and one with another's beside it.
pub fn bitcoin_samples() -> Vec<Vec<u8>> {
    let (wallet, key) = wallet(Chain::Bitcoin);
    let address = perennial_chain::address(&wallet, &key, &Path::default()).expect("the key is sound");
    let own =
        bitcoin::Address::from_str(&address).expect("it is an address").assume_checked().script_pubkey();
    let other = bitcoin::ScriptBuf::from_bytes([&[0x51, 0x20][..], &[0x79; 32]].concat());
    vec![psbt(std::slice::from_ref(&own)), psbt(&[own, other])]
}

/// A transfer as a legacy message, and one of version 0 with a lookup.
pub fn solana_samples() -> Vec<Vec<u8>> {
    let own = ed25519_dalek::SigningKey::from_bytes(&SECRET).verifying_key().to_bytes();
    let transfer = [&2u32.to_le_bytes()[..], &1_000u64.to_le_bytes()].concat();
    let keys = [own, [7; 32], [0; 32]].concat();
    let body = [&[1, 0, 1, 3][..], &keys, &[0xbb; 32], &[1, 2, 2, 0, 1, 12], &transfer].concat();
    let lookup = [&[1][..], &[8; 32], &[1, 0, 1, 4]].concat();
    vec![body.clone(), [&[0x80][..], &body, &lookup].concat()]
}

/// Reads, explains, signs and puts together; `promises` are checked on what was signed and what came of it.
fn feed(chain: Chain, bytes: &[u8], promises: impl Fn(&[SigningMessage], &Assembled)) -> Verdict {
    let parsed = parse(chain, bytes);
    if let Ok(transaction) = &parsed {
        assert_eq!(transaction.chain(), chain, "a transaction was read for another chain");
        assert!(!format!("{:?}", transaction.summary()).is_empty(), "a transaction cannot be explained");
        sign(transaction, promises);
    }
    Verdict::of(&parsed)
}

fn sign(transaction: &Transaction, promises: impl Fn(&[SigningMessage], &Assembled)) {
    let chain = transaction.chain();
    let (wallet, key) = wallet(chain);
    let path = Path::default();
    let Ok(messages) = transaction.messages(&wallet, &key, &path) else { return };
    assert!(!messages.is_empty(), "there is nothing to sign, and nobody was told");
    let nothing: Vec<Signature> = messages.iter().map(|_| empty_signature(chain)).collect();
    assert!(
        assemble(&wallet, &key, &path, transaction, &nothing).is_err(),
        "a signature of nothing was accepted"
    );
    let signatures: Vec<Signature> = messages.iter().map(|message| signature(chain, message)).collect();
    match assemble(&wallet, &key, &path, transaction, &signatures) {
        Ok(assembled) => promises(&messages, &assembled),
        // Only what others left in a PSBT may still spoil it.
        Err(error) => assert!(
            chain == Chain::Bitcoin && !matches!(error, Error::BadSignature { .. }),
            "an honest signature was refused: {error}"
        ),
    }
}

fn signature(chain: Chain, message: &SigningMessage) -> Signature {
    match chain {
        Chain::Ethereum => {
            let secret = k256::ecdsa::SigningKey::from_slice(&SECRET).expect("the secret is below the order");
            let (signed, recovery_id) = secret.sign_prehash_recoverable(message.as_bytes());
            let (r_and_s, recovery_id) = (signed.to_bytes().into(), recovery_id.to_byte());
            Signature::Ecdsa { r_and_s, recovery_id }
        }
        Chain::Solana => {
            let secret = ed25519_dalek::SigningKey::from_bytes(&SECRET);
            Signature::Ed25519(secret.sign(message.as_bytes()).to_bytes())
        }
        _ => {
            let (context, pair) = &*SECP256K1;
            let tweaked = pair.tap_tweak(context, None).to_keypair();
            let hash = message.as_bytes().try_into().expect("a signature hash has 32 bytes");
            let hash = bitcoin::secp256k1::Message::from_digest(hash);
            Signature::Taproot(context.sign_schnorr_no_aux_rand(&hash, &tweaked).serialize())
        }
    }
}

fn empty_signature(chain: Chain) -> Signature {
    match chain {
        Chain::Ethereum => Signature::Ecdsa { r_and_s: [0; 64], recovery_id: 0 },
        Chain::Solana => Signature::Ed25519([0; 64]),
        _ => Signature::Taproot([0; 64]),
    }
}

fn wallet(chain: Chain) -> (Wallet, WalletKey) {
    let public = match chain {
        Chain::Solana => ed25519_dalek::SigningKey::from_bytes(&SECRET).verifying_key().to_bytes().to_vec(),
        _ => SECP256K1.1.public_key().serialize().to_vec(),
    };
    let public_key = Point::from_bytes(&public).expect("it is as long as a point");
    let name = "treasury".parse().expect("the sample is a name");
    let tenant = "acme".parse().expect("the sample is a name");
    let wallet = Wallet { id: name, tenant, tier: Tier::Standard, chain };
    (wallet, WalletKey { public_key, chain_code: Digest([5; 32]) })
}

/// A PSBT that spends 5,000 from each script and pays most of it to the first.
fn psbt(spent: &[bitcoin::ScriptBuf]) -> Vec<u8> {
    let output = |script: &bitcoin::ScriptBuf, satoshi: u64| bitcoin::TxOut {
        value: bitcoin::Amount::from_sat(satoshi),
        script_pubkey: script.clone(),
    };
    let input = |number: u8| bitcoin::TxIn {
        previous_output: bitcoin::OutPoint { txid: bitcoin::Txid::from_byte_array([number; 32]), vout: 7 },
        ..bitcoin::TxIn::default()
    };
    let unsigned = bitcoin::Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: (1..).take(spent.len()).map(input).collect(),
        output: vec![output(&spent[0], 4_000)],
    };
    let mut psbt = bitcoin::Psbt::from_unsigned_tx(unsigned).expect("it is unsigned");
    for (input, script) in psbt.inputs.iter_mut().zip(spent) {
        input.witness_utxo = Some(output(script, 5_000));
    }
    psbt.serialize()
}

/// The type byte and the header of a list in front of fields that are in RLP already.
fn typed_list(fields: &[u8]) -> Vec<u8> {
    let length = fields.len();
    let header = match u8::try_from(length) {
        Ok(short @ 0..56) => vec![0xc0 + short],
        Ok(long) => vec![0xf8, long],
        Err(_) => [&[0xf9][..], &(length as u16).to_be_bytes()].concat(),
    };
    [&[2][..], &header, fields].concat()
}

fn digits(text: &str) -> Vec<u8> {
    hex::decode(text).expect("the sample is in hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_samples_are_signed_and_put_together() {
        let samples = [
            (Chain::Ethereum, ethereum_samples()),
            (Chain::Bitcoin, bitcoin_samples()),
            (Chain::Solana, solana_samples()),
        ];
        for (chain, samples) in samples {
            for sample in samples {
                let assembled = Cell::new(false);
                feed(chain, &sample, |_, _| assembled.set(true));
                assert!(assembled.get(), "a sample for {chain} is not signed");
            }
        }
    }
}
