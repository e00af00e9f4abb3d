//! One equation against the single checks.

use super::super::{verifies, verify_all};
use super::*;
use crate::encoding::Digest;
use crate::wallet::Scheme;
use k256::schnorr::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

type Signed = (Point, Digest, RawSignature);

/// Two probes of each of twelve wallets; keys with even and with odd y.
fn signed() -> Vec<Signed> {
    let probe = |number: u8| {
        let key = SigningKey::from_slice(&[number / 2 + 1; 32]).expect("a key");
        let message = Digest::of(&[number]);
        let signature = key.sign_raw(&message.0, &[7; 32]).expect("a signature").to_bytes();
        let mut point = [2 + number / 2 % 2; 33];
        point[1..].copy_from_slice(&key.verifying_key().to_bytes());
        let point = Point::from_bytes(&point).expect("33 bytes");
        (point, message, RawSignature { bytes: signature, recovery_id: None })
    };
    (0..24).map(probe).collect()
}

fn together(signed: &[Signed]) -> (Option<bool>, Result<(), usize>) {
    let probed: Vec<Probed<'_>> = signed
        .iter()
        .map(|(key, message, signature)| Probed { key: *key, message: *message, signature })
        .collect();
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    (all_verify(&probed, rng), verify_all(Scheme::Taproot, &probed, rng))
}

fn add_to_response(signature: &mut RawSignature, number: Number) {
    let response: [u8; 32] = signature.bytes[32..].try_into().expect("32 bytes");
    let response = <Number as Scalar>::decode(&response).expect("canonical") + number;
    signature.bytes[32..].copy_from_slice(&Scalar::encode(&response));
}

#[test]
fn signatures_that_all_verify_pass_together() {
    let signed = signed();
    for count in [1, 2, 3, 24] {
        assert_eq!(together(&signed[..count]), (Some(true), Ok(())), "{count}");
    }
    // Whose key comes when makes no difference.
    let turned: Vec<Signed> =
        signed.iter().step_by(2).chain(signed.iter().skip(1).step_by(2)).cloned().collect();
    assert_eq!(together(&turned), (Some(true), Ok(())));
}

#[test]
fn a_signature_altered_in_any_bit_is_found_and_its_place_named() {
    let honest = signed();
    for place in [0, 11, 23] {
        for bit in (0..512).step_by(7) {
            let mut signed = honest.clone();
            signed[place].2.bytes[bit / 8] ^= 1 << (bit % 8);
            let (holds, named) = together(&signed);
            assert_ne!(holds, Some(true), "bit {bit} of {place}");
            assert_eq!(named, Err(place), "bit {bit}");
        }
    }
}

#[test]
fn wrong_signatures_that_cancel_each_other_without_weights_are_found() {
    let mut signed = signed();
    add_to_response(&mut signed[4].2, Number::ONE);
    add_to_response(&mut signed[9].2, Number::ZERO - Number::ONE);
    assert_eq!(together(&signed), (Some(false), Err(4)));
}

#[test]
fn a_signature_of_another_message_or_under_another_key_is_found() {
    let honest = signed();
    let mut swapped = honest.clone();
    let (a, b) = (swapped[6].2.clone(), swapped[7].2.clone());
    (swapped[6].2, swapped[7].2) = (b, a);
    assert_eq!(together(&swapped), (Some(false), Err(6)));
    let mut renamed = honest.clone();
    renamed[8].0 = honest[2].0;
    assert_eq!(together(&renamed), (Some(false), Err(8)));
    let mut no_point = honest;
    no_point[5].0 = Point::from_bytes(&[0; 5]).expect("short enough");
    assert_eq!(together(&no_point), (None, Err(5)));
}

#[test]
fn what_the_single_check_refuses_for_its_form_is_refused_here() {
    // The nonce negated: `s = -k + e·d` leads to `R` with the right x-coordinate and an odd y.
    let mut odd = signed();
    let (key, message, signature) = &mut odd[3];
    let element = with_even_y(&key.as_bytes()[1..]).expect("a point");
    let secret = **SigningKey::from_slice(&[2; 32]).expect("a key").as_nonzero_scalar();
    let secret = if Secp256k1::generate(&secret) == element { secret } else { Number::ZERO - secret };
    let tag = Sha256::digest(b"BIP0340/challenge");
    let hashed = Sha256::new().chain_update(tag).chain_update(tag).chain_update(&signature.bytes[..32]);
    let hashed: [u8; 32] =
        hashed.chain_update(&key.as_bytes()[1..]).chain_update(message.0).finalize().into();
    let challenge = <Number as Reduce<k256::FieldBytes>>::reduce(&hashed.into());
    let (commitment, response) = read(signature).expect("as it was made");
    let response = challenge * secret + challenge * secret - response;
    let negated = Secp256k1::generate(&response) - Secp256k1::multiply_public(&challenge, &element);
    assert_eq!(negated, Secp256k1::identity() - commitment);
    signature.bytes[32..].copy_from_slice(&Scalar::encode(&response));
    assert_eq!(together(&odd), (Some(false), Err(3)));
    for bytes in [[0; 64], [0xff; 64]] {
        let mut signed = signed();
        signed[1].2.bytes = bytes;
        assert!(!verifies(Scheme::Taproot, &signed[1].0, &signed[1].1.0, &signed[1].2));
        assert_eq!(together(&signed), (None, Err(1)));
    }
}
