//! Approval with a passkey: a WebAuthn assertion (W3C Web Authentication, level 3) whose challenge is the digest.
//!
//! What is checked is section 7.2 of the specification as far as it concerns an assertion that is verified long after
//! it was made and by several parties on their own: type, challenge and origin of the client data (by the limited
//! verification algorithm of 5.8.1.2, which needs no JSON reader), the relying party, user presence and verification, and
//! the signature. The authenticator's counter is not looked at: it says something about the order of assertions only to
//! somebody who sees all of them, and whether a document is used twice is decided by its own nonce and numbers.

use super::Unapproved;
use crate::encoding::{Bytes, Digest};
use crate::governance::{Approver, ApproverKey, Passkey, PasskeyKey, RelyingParty};
use base64ct::{Base64UrlUnpadded, Encoding};
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier;

/// The most bytes of client data that are read.
const CLIENT_DATA_BYTES_MAX: usize = 4 << 10;
/// The authenticator's flags: somebody touched it (UP), and it knows who (UV).
const PRESENT_AND_VERIFIED: u8 = 0b101;
/// Length of the relying party's hash, the flags and the counter, which begin the authenticator data.
const AUTHENTICATOR_DATA_BYTES_MIN: usize = 37;

/// What an authenticator answers, byte for byte as the browser gives it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Assertion {
    /// The credential's id.
    #[n(0)]
    pub credential: Bytes,
    /// `authenticatorData`.
    #[n(1)]
    pub authenticator_data: Bytes,
    /// `clientDataJSON`.
    #[n(2)]
    pub client_data: Bytes,
    /// The signature: DER for ECDSA, 64 bytes for Ed25519.
    #[n(3)]
    pub signature: Bytes,
}

/// Checks an assertion against the passkeys that governance gives to a person.
pub(super) fn check(
    approver: &Approver,
    digest: &Digest,
    assertion: &Assertion,
    relying_party: Option<&RelyingParty>,
) -> Result<(), Unapproved> {
    let person = || approver.person.clone();
    let unreadable = |reason: &str| Unapproved::Unreadable { person: person(), reason: reason.to_owned() };
    let passkey = approver.keys.iter().find_map(|key| match key {
        ApproverKey::Passkey(passkey) if passkey.credential == assertion.credential => Some(passkey),
        _ => None,
    });
    let passkey = passkey.ok_or_else(|| Unapproved::OtherKey(person()))?;
    let party = relying_party.ok_or_else(|| unreadable("governance names no relying party"))?;
    check_client_data(approver, digest, &assertion.client_data.0, party)?;

    let data = &assertion.authenticator_data.0;
    if data.len() < AUTHENTICATOR_DATA_BYTES_MIN {
        return Err(unreadable("its authenticator data is cut short"));
    }
    if data[..32] != Digest::of(party.id.as_bytes()).0 {
        return Err(Unapproved::OtherPurpose {
            person: person(),
            found: format!("relying party {}…", hex::encode(&data[..4])),
            expected: party.id.clone(),
        });
    }
    if data[32] & PRESENT_AND_VERIFIED != PRESENT_AND_VERIFIED {
        return Err(Unapproved::NotVerified(person()));
    }
    let mut signed = data.clone();
    signed.extend_from_slice(&Digest::of(&assertion.client_data.0).0);
    match verifies(&passkey.key, &signed, &assertion.signature.0) {
        true => Ok(()),
        false => Err(Unapproved::BadSignature { person: person(), digest: *digest }),
    }
}

/// Client data begins with type, challenge, origin and crossOrigin, in this order and this spelling (5.8.1.1).
fn check_client_data(
    approver: &Approver,
    digest: &Digest,
    client_data: &[u8],
    party: &RelyingParty,
) -> Result<(), Unapproved> {
    let person = || approver.person.clone();
    let unreadable = |reason: &str| Unapproved::Unreadable { person: person(), reason: reason.to_owned() };
    let text = std::str::from_utf8(client_data).ok().filter(|text| text.len() <= CLIENT_DATA_BYTES_MAX);
    let text = text.ok_or_else(|| unreadable("its client data is no text, or too long"))?;
    let kind = text.strip_prefix("{\"type\":\"").and_then(|rest| rest.split_once('"'));
    let (kind, rest) = kind.ok_or_else(|| unreadable("its client data does not begin with a type"))?;
    if kind != "webauthn.get" {
        let (found, expected) = (kind.to_owned(), "webauthn.get".to_owned());
        return Err(Unapproved::OtherPurpose { person: person(), found, expected });
    }
    let challenge = rest.strip_prefix(",\"challenge\":\"").and_then(|rest| rest.split_once('"'));
    let (challenge, rest) = challenge.ok_or_else(|| unreadable("its client data has no challenge"))?;
    if challenge != Base64UrlUnpadded::encode_string(&digest.0) {
        return Err(Unapproved::OtherChallenge(person()));
    }
    let origin = rest.strip_prefix(",\"origin\":\"").and_then(|rest| rest.split_once('"'));
    let (origin, rest) = origin.ok_or_else(|| unreadable("its client data has no origin"))?;
    if !party.origins.iter().any(|known| known == origin) {
        let (found, expected) = (origin.to_owned(), party.origins.join(" or "));
        return Err(Unapproved::OtherPurpose { person: person(), found, expected });
    }
    match rest.strip_prefix(",\"crossOrigin\":false") {
        Some(rest) if rest == "}" || (rest.starts_with(',') && rest.ends_with('}')) => Ok(()),
        _ => Err(unreadable("its client data says nothing of crossOrigin, or that it was another's page")),
    }
}

fn verifies(key: &PasskeyKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        PasskeyKey::Es256(point) => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point.0);
            let signature = p256::ecdsa::DerSignature::from_bytes(signature);
            key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify(message, &signature).is_ok()))
        }
        PasskeyKey::Ed25519(bytes) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(bytes);
            let signature = ed25519_dalek::Signature::from_slice(signature);
            key.is_ok_and(|key| {
                signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            })
        }
    }
}

/// The public key; refused if it is no point, or not in its shortest form.
pub(super) fn key_material(passkey: &Passkey) -> Result<Vec<u8>, String> {
    match &passkey.key {
        PasskeyKey::Es256(Bytes(point)) => match p256::ecdsa::VerifyingKey::from_sec1_bytes(point) {
            // SEC 1 has a third form of this length, which would be the same key under another spelling.
            Ok(_) if point.len() == 33 && matches!(point[0], 2 | 3) => {
                Ok([b"es256 ".as_slice(), point].concat())
            }
            _ => Err("its passkey is no compressed point of P-256".into()),
        },
        PasskeyKey::Ed25519(bytes) => match super::is_ed25519_key(bytes) {
            true => Ok([b"ed25519 ".as_slice(), bytes].concat()),
            false => Err("its passkey is no Ed25519 key".into()),
        },
    }
}
