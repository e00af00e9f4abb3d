//! A signature as signers make it, and the one check of it, by other code than the engines that make it.

#[cfg(feature = "simulation")]
use crate::encoding::Digest;
use crate::group::Point;
use crate::wallet::Scheme;
use minicbor::{Decode, Encode};
use std::fmt;

/// A signature in the wire form of its scheme.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct RawSignature {
    /// ECDSA: `r ‖ s`, big-endian, `s` in the lower half. Taproot: `x(R) ‖ s` (BIP-340). Ed25519: `R ‖ s` (RFC 8032).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: [u8; 64],
    /// ECDSA only: the parity of the `y` of `R`, 0 or 1. 2 and 3 would be for an `R` whose x-coordinate is above the
    /// order, one in 2^127; no chain takes them, so such a signature is made again.
    #[n(1)]
    pub recovery_id: Option<u8>,
}

impl fmt::Debug for RawSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", hex::encode(self.bytes), self.recovery_id)
    }
}

/// Whether a signature verifies under a key: ECDSA with low `s` over a 32-byte digest, BIP-340 under the x-coordinate,
/// Ed25519 (strict) over the message; a recovery id for ECDSA alone.
pub fn verifies(scheme: Scheme, key: &Point, message: &[u8], signature: &RawSignature) -> bool {
    if signature.recovery_id.is_some() != (scheme == Scheme::Ecdsa) {
        return false;
    }
    let good = match scheme {
        Scheme::Ecdsa => ecdsa(key, message, signature),
        Scheme::Taproot => taproot(key, message, signature),
        Scheme::Ed25519 => ed25519(key, message, signature),
        #[cfg(feature = "simulation")]
        Scheme::Transparent => transparent(key, message, signature),
    };
    good.is_some()
}

/// SEC 1, section 4.1.6: the recovery id leads to exactly this key, and `s` is in the lower half. Recovery includes
/// verification.
fn ecdsa(key: &Point, message: &[u8], signature: &RawSignature) -> Option<()> {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(key.as_bytes()).ok()?;
    let read = Signature::from_slice(&signature.bytes).ok()?;
    let recovery_id = RecoveryId::from_byte(signature.recovery_id?)?;
    let plain = message.len() == 32 && read == read.normalize_s() && !recovery_id.is_x_reduced();
    (plain && VerifyingKey::recover_from_prehash(message, &read, recovery_id).ok()? == key).then_some(())
}

/// BIP-340 over the x-coordinate of `key`.
fn taproot(key: &Point, message: &[u8], signature: &RawSignature) -> Option<()> {
    use k256::schnorr::{Signature, VerifyingKey};
    let key = VerifyingKey::from_slice(key.as_bytes().get(1..)?).ok()?;
    key.verify_raw(message, &Signature::from_slice(&signature.bytes).ok()?).ok()
}

/// RFC 8032, without the second spellings that only some verifiers accept.
fn ed25519(key: &Point, message: &[u8], signature: &RawSignature) -> Option<()> {
    use ed25519_dalek::{Signature, VerifyingKey};
    let key = VerifyingKey::from_bytes(key.as_bytes().try_into().ok()?).ok()?;
    key.verify_strict(message, &Signature::from_bytes(&signature.bytes)).ok()
}

/// `z · G = R + c · X` with `R` and `z` in 32 bytes each, `c = H(X, R, message)`.
#[cfg(feature = "simulation")]
fn transparent(key: &Point, message: &[u8], signature: &RawSignature) -> Option<()> {
    use crate::group::{Group, Scalar, Transparent};
    let (left, right) = signature.bytes.split_at(32);
    let scalar = |bytes: &[u8]| <Transparent as Group>::Scalar::decode(bytes.try_into().ok()?);
    let challenge = transparent_challenge(key, left, message);
    (scalar(right)? == scalar(left)? + challenge * Transparent::decode(key)?).then_some(())
}

/// The challenge of every transparent signature; `commitment` is the group commitment as scalar bytes.
#[cfg(feature = "simulation")]
pub fn transparent_challenge(
    key: &Point,
    commitment: &[u8],
    message: &[u8],
) -> <crate::group::Transparent as crate::group::Group>::Scalar {
    use crate::group::Scalar;
    let mut wide = [0; 64];
    let parts = [key.as_bytes(), commitment, message];
    wide[..32].copy_from_slice(&Digest::of_parts("perennial/transparent/challenge", &parts).0);
    Scalar::reduce(&wide)
}
