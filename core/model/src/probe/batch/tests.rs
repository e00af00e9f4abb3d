//! One equation against the single checks.

use super::super::{verifies, verify_all};
use super::*;
use crate::encoding::Digest;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

type Signed = (Point, Digest, RawSignature);

/// Those whose signatures are checked as one equation.
const SCHEMES: [Scheme; 2] = [Scheme::Taproot, Scheme::Ecdsa];

/// Two probes of each of twelve wallets; keys with even and with odd y.
fn signed(scheme: Scheme) -> Vec<Signed> {
    let probe = |number: u8| {
        let secret = [number / 2 + 1; 32];
        let message = Digest::of(&[number]);
        match scheme {
            Scheme::Taproot => by_bip340(&secret, 2 + number / 2 % 2, message),
            _ => by_ecdsa(&secret, message),
        }
    };
    (0..24).map(probe).collect()
}

fn by_bip340(secret: &[u8], tag: u8, message: Digest) -> Signed {
    let key = schnorr::SigningKey::from_slice(secret).expect("a key");
    let bytes = key.sign_raw(&message.0, &[7; 32]).expect("a signature").to_bytes();
    let point = compressed(&key.verifying_key().to_bytes(), tag).expect("33 bytes");
    (point, message, RawSignature { bytes, recovery_id: None })
}

fn by_ecdsa(secret: &[u8], message: Digest) -> Signed {
    let key = ecdsa::SigningKey::from_slice(secret).expect("a key");
    let (signature, id) = key.sign_prehash_recoverable(&message.0);
    let point = Point::from_bytes(key.verifying_key().to_sec1_point(true).as_bytes()).expect("33 bytes");
    (point, message, RawSignature { bytes: signature.to_bytes().into(), recovery_id: Some(id.to_byte()) })
}

fn together(scheme: Scheme, signed: &[Signed]) -> (Option<bool>, Result<(), usize>) {
    let probed: Vec<Probed<'_>> = signed
        .iter()
        .map(|(key, message, signature)| Probed { key: *key, message: *message, signature })
        .collect();
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    (all_verify(scheme, &probed, rng), verify_all(scheme, &probed, rng))
}

fn response(signature: &RawSignature) -> Number {
    <Number as Scalar>::decode(&halves(signature).1).expect("canonical")
}

fn set_response(signature: &mut RawSignature, response: Number) {
    signature.bytes[32..].copy_from_slice(&Scalar::encode(&response));
}

#[test]
fn signatures_that_all_verify_pass_together() {
    for scheme in SCHEMES {
        let signed = signed(scheme);
        for count in [1, 2, 3, 24] {
            assert_eq!(together(scheme, &signed[..count]), (Some(true), Ok(())), "{scheme:?} {count}");
        }
        // Whose key comes when makes no difference.
        let turned: Vec<Signed> =
            signed.iter().step_by(2).chain(signed.iter().skip(1).step_by(2)).cloned().collect();
        assert_eq!(together(scheme, &turned), (Some(true), Ok(())));
        for (key, message, signature) in &signed {
            assert!(verifies(scheme, key, &message.0, signature), "{scheme:?}");
        }
    }
}

#[test]
fn a_signature_altered_in_any_bit_is_found_and_its_place_named() {
    for scheme in SCHEMES {
        let honest = signed(scheme);
        for place in [0, 11, 23] {
            for bit in (0..512).step_by(7) {
                let mut signed = honest.clone();
                signed[place].2.bytes[bit / 8] ^= 1 << (bit % 8);
                let (holds, named) = together(scheme, &signed);
                assert_ne!(holds, Some(true), "{scheme:?}, bit {bit} of {place}");
                assert_eq!(named, Err(place), "{scheme:?}, bit {bit}");
            }
        }
    }
}

#[test]
fn wrong_signatures_that_cancel_each_other_without_weights_are_found() {
    let mut signed = signed(Scheme::Taproot);
    let moved = [(4, Number::ONE), (9, -Number::ONE)];
    for (place, by) in moved {
        let sum = response(&signed[place].2) + by;
        set_response(&mut signed[place].2, sum);
    }
    assert_eq!(together(Scheme::Taproot, &signed), (Some(false), Err(4)));
    // Of ECDSA: claims whose bases are off by one, up and down.
    let mut signed = self::signed(Scheme::Ecdsa);
    let sum = |number: Number, place: usize| (number + reduced(signed[place].1.0)).encode();
    let (up, down) = (sum(Number::ONE, 4), sum(-Number::ONE, 9));
    (signed[4].1, signed[9].1) = (Digest(up), Digest(down));
    assert_eq!(together(Scheme::Ecdsa, &signed), (Some(false), Err(4)));
}

#[test]
fn a_signature_of_another_message_or_under_another_key_is_found() {
    for scheme in SCHEMES {
        let honest = signed(scheme);
        let mut swapped = honest.clone();
        let (a, b) = (swapped[6].2.clone(), swapped[7].2.clone());
        (swapped[6].2, swapped[7].2) = (b, a);
        assert_eq!(together(scheme, &swapped), (Some(false), Err(6)));
        let mut renamed = honest.clone();
        renamed[8].0 = honest[2].0;
        assert_eq!(together(scheme, &renamed), (Some(false), Err(8)));
        let mut no_point = honest;
        no_point[5].0 = Point::from_bytes(&[0; 5]).expect("short enough");
        assert_eq!(together(scheme, &no_point), (None, Err(5)));
    }
}

#[test]
fn what_the_single_check_refuses_for_its_form_is_refused_here() {
    for (scheme, bytes) in SCHEMES.into_iter().flat_map(|scheme| [(scheme, [0; 64]), (scheme, [0xff; 64])]) {
        let mut signed = signed(scheme);
        signed[1].2.bytes = bytes;
        assert!(!verifies(scheme, &signed[1].0, &signed[1].1.0, &signed[1].2));
        assert_eq!(together(scheme, &signed), (None, Err(1)));
    }
}

#[test]
fn a_nonce_point_of_odd_y_is_no_bip340_signature() {
    // The nonce negated: `s = -k + e·d` leads to `R` with the right x-coordinate and an odd y.
    let mut odd = signed(Scheme::Taproot);
    let (key, message, signature) = &mut odd[3];
    let claim = bip340_claim(&Probed { key: *key, message: *message, signature }).expect("as it was made");
    let element = Secp256k1::decode(&claim.key).expect("a point");
    let secret = **schnorr::SigningKey::from_slice(&[2; 32]).expect("a key").as_nonzero_scalar();
    let secret = if Secp256k1::generate(&secret) == element { secret } else { -secret };
    // `e·P` is on the other side of a claim.
    let product = reduced_challenge(&claim, signature, message) * secret;
    let response = product + product - response(signature);
    let negated = Secp256k1::generate(&response) - Secp256k1::generate(&product);
    assert_eq!(negated, -claim.commitment);
    set_response(signature, response);
    assert_eq!(together(Scheme::Taproot, &odd), (Some(false), Err(3)));
}

fn reduced_challenge(claim: &Claim, signature: &RawSignature, message: &Digest) -> Number {
    let tag = Sha256::digest(b"BIP0340/challenge");
    let hashed = Sha256::new().chain_update(tag).chain_update(tag).chain_update(halves(signature).0);
    reduced(hashed.chain_update(&claim.key.as_bytes()[1..]).chain_update(message.0).finalize().into())
}

#[test]
fn a_recovery_id_is_for_ecdsa_alone() {
    let mut signed = signed(Scheme::Taproot);
    signed[3].2.recovery_id = Some(0);
    assert_eq!(together(Scheme::Taproot, &signed), (None, Err(3)));
    let message = [7; 32];
    let secret = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let key = Point::from_bytes(secret.verifying_key().as_bytes()).expect("32 bytes");
    let bytes = ed25519_dalek::Signer::sign(&secret, &message).to_bytes();
    for (recovery_id, good) in [(None, true), (Some(0), false)] {
        let signature = RawSignature { bytes, recovery_id };
        assert_eq!(verifies(Scheme::Ed25519, &key, &message, &signature), good);
    }
}

/// A signature whose nonce point has an x-coordinate above the order of the group: the point is chosen, and then the
/// key that it signs for, `P = r^-1 (s·R - z·G)`.
fn above_the_order() -> Signed {
    let message = Digest([9; 32]);
    let (r, nonce_point) = (1_u64..)
        .find_map(|r| {
            // The order of secp256k1 (SEC 2, section 2.4.1), to which `r` is added.
            let mut x = hex_array("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
            let low = u64::from_be_bytes(x[24..].try_into().expect("8 bytes")) + r;
            x[24..].copy_from_slice(&low.to_be_bytes());
            Some((Number::from(r), Secp256k1::decode(&compressed(&x, 2)?)?))
        })
        .expect("half of all x are on the curve");
    let s = Number::from(5_u64);
    let inverse = Option::<Number>::from(r.invert()).expect("r is not zero");
    let key = Secp256k1::sum_public(&[inverse * s], &[nonce_point])
        - Secp256k1::generate(&(inverse * reduced(message.0)));
    let mut signature = RawSignature { bytes: [0; 64], recovery_id: None };
    signature.bytes[..32].copy_from_slice(&Scalar::encode(&r));
    signature.bytes[32..].copy_from_slice(&Scalar::encode(&s));
    (Secp256k1::encode(&key), message, signature)
}

fn hex_array(text: &str) -> [u8; 32] {
    hex::decode(text).expect("hexadecimal").try_into().expect("32 bytes")
}

#[test]
fn an_ecdsa_signature_has_the_low_s_and_the_right_recovery_id() {
    let honest = signed(Scheme::Ecdsa);
    let mut other_parity = honest.clone();
    other_parity[7].2.recovery_id = other_parity[7].2.recovery_id.map(|id| 1 - id);
    assert_eq!(together(Scheme::Ecdsa, &other_parity), (Some(false), Err(7)));
    for id in [None, Some(2), Some(3), Some(4)] {
        let mut unread = honest.clone();
        unread[7].2.recovery_id = id;
        assert_eq!(together(Scheme::Ecdsa, &unread), (None, Err(7)), "{id:?}");
    }
    // `r` is the x-coordinate of the nonce point less the order: found by beginning with that point. It verifies, and
    // no chain has a place for it.
    let (key, message, signature) = above_the_order();
    let parsed = ecdsa::Signature::from_slice(&signature.bytes).expect("r and s");
    let verifying = ecdsa::VerifyingKey::from_sec1_bytes(key.as_bytes()).expect("a key");
    assert!(
        ecdsa::signature::hazmat::PrehashVerifier::verify_prehash(&verifying, &message.0, &parsed).is_ok()
    );
    for id in 0..4 {
        let signature = RawSignature { recovery_id: Some(id), ..signature.clone() };
        assert!(!verifies(Scheme::Ecdsa, &key, &message.0, &signature), "{id}");
    }
    // `(r, n - s)` with the other parity leads to the same key, but its `s` is the high one.
    let mut high = honest;
    let negated = -response(&high[7].2);
    set_response(&mut high[7].2, negated);
    high[7].2.recovery_id = high[7].2.recovery_id.map(|id| 1 - id);
    assert_eq!(together(Scheme::Ecdsa, &high), (None, Err(7)));
}
