//! A transaction signed by keys known here, and the same one spoilt.

use super::{accepted, line, refused};
use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use solana_transaction::Address;

fn secret(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn address(number: u8) -> String {
    Address::from(secret(number).verifying_key().to_bytes()).to_string()
}

/// A message of the legacy form in which these must sign: a transfer from the first.
fn message(signers: &[u8]) -> Vec<u8> {
    let mut bytes = vec![signers.len() as u8, 0, 1, signers.len() as u8 + 2];
    signers.iter().for_each(|number| bytes.extend(secret(*number).verifying_key().to_bytes()));
    bytes.extend([0xcc; 32]);
    bytes.extend([0; 32]);
    bytes.extend([0xbb; 32]);
    bytes.extend([1, signers.len() as u8 + 1, 2, 0, signers.len() as u8, 12]);
    bytes.extend([2, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0]);
    bytes
}

fn transaction(signatures: &[[u8; 64]], message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![signatures.len() as u8];
    bytes.extend(signatures.iter().flatten());
    bytes.extend_from_slice(message);
    bytes
}

fn signed(signers: &[u8], message: &[u8]) -> Vec<u8> {
    let sign = |number: &u8| secret(*number).sign(message).to_bytes();
    transaction(&signers.iter().map(sign).collect::<Vec<_>>(), message)
}

fn question(address: &str, transaction: &[u8]) -> String {
    line("solana", address, &Base64::encode_string(transaction), &[])
}

#[test]
fn a_transaction_that_all_have_signed_is_accepted_for_each_of_them() {
    let legacy = message(&[1, 2]);
    let versioned = [&[0x80], legacy.as_slice(), &[0]].concat();
    for message in [legacy, versioned] {
        for number in [1, 2] {
            assert!(
                accepted(&question(&address(number), &signed(&[1, 2], &message))).contains(&address(number))
            );
        }
        assert!(refused(&question(&address(3), &signed(&[1, 2], &message))).contains("none of its signers"));
    }
}

#[test]
fn any_change_of_what_was_signed_is_noticed() {
    let good = signed(&[1], &message(&[1]));
    accepted(&question(&address(1), &good));
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        refused(&question(&address(1), &changed));
    }
    for cut in 0..good.len() {
        refused(&question(&address(1), &good[..cut]));
    }
    assert!(refused(&question(&address(1), &[good.as_slice(), &[0]].concat())).contains("no serialised"));
}

#[test]
fn a_missing_or_misplaced_signature_is_refused() {
    let message = message(&[1, 2]);
    let own = secret(1).sign(&message).to_bytes();
    let other = secret(2).sign(&message).to_bytes();
    let asked = |signatures: &[[u8; 64]]| refused(&question(&address(1), &transaction(signatures, &message)));
    assert!(asked(&[own, [0; 64]]).contains("does not hold"));
    assert!(asked(&[other, own]).contains("does not hold"));
    assert!(asked(&[own]).contains("malformed"));
    assert!(asked(&[own, other, own]).contains("malformed"));
}

#[test]
fn a_second_spelling_and_a_packet_that_is_too_large_are_refused() {
    let good = signed(&[1], &message(&[1]));
    // The number of signatures in two bytes.
    let long = [&[0x81, 0], &good[1..]].concat();
    assert!(refused(&question(&address(1), &long)).contains("no serialised"));
    assert!(refused(&question(&address(1), &vec![0; 1233])).contains("do not fit"));
    let text = Base64::encode_string(&good);
    assert!(refused(&line("solana", &address(1), text.trim_end_matches('='), &[])).contains("base64"));
    assert!(refused(&line("solana", &address(1), &format!("{text}\n"), &[])).contains("base64"));
}
