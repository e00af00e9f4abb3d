//! The combiner's own look at a finished signature, with other code than the engine that made it.

use super::{Common, EngineError, Signature};
use k256::ecdsa::{RecoveryId, VerifyingKey as EcdsaKey};
use k256::schnorr;
use perennial_model::group::Point;
use perennial_model::wallet::Scheme;

/// Passes the signature on if it verifies under the session's key.
pub(super) fn check(common: &Common, signature: Signature) -> Result<Signature, EngineError> {
    let terms = &common.terms;
    let key = &common.key.public_key;
    let good = match terms.scheme {
        Scheme::Ecdsa => ecdsa(key, &terms.message, &signature),
        Scheme::Taproot => taproot(key, &terms.message, &signature),
        Scheme::Ed25519 => ed25519(key, &terms.message, &signature),
        #[cfg(feature = "simulation")]
        Scheme::Transparent => super::transparent::verifies(key, &terms.message, &signature),
    };
    if good.is_some() {
        return Ok(signature);
    }
    Err(EngineError::Bug(format!("the finished signature does not verify under {key}")))
}

/// BIP-340 over the x-coordinate of `key`.
fn taproot(key: &Point, message: &[u8], signature: &Signature) -> Option<()> {
    let key = schnorr::VerifyingKey::from_slice(key.as_bytes().get(1..)?).ok()?;
    let read = schnorr::Signature::from_slice(&signature.bytes).ok()?;
    key.verify_raw(message, &read).ok()
}

/// RFC 8032, without the second spellings that only some verifiers accept.
fn ed25519(key: &Point, message: &[u8], signature: &Signature) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes().try_into().ok()?).ok()?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.bytes)).ok()
}

/// SEC 1, section 4.1.6: the recovery id leads to exactly this key, and `s` is in the lower half. Recovery
/// includes verification.
fn ecdsa(key: &Point, message: &[u8], signature: &Signature) -> Option<()> {
    let read = k256::ecdsa::Signature::from_slice(&signature.bytes).ok()?;
    let recovery_id = RecoveryId::from_byte(signature.recovery_id?)?;
    let low = read.normalize_s() == read;
    let recovered = EcdsaKey::recover_from_prehash(message, &read, recovery_id).ok()?;
    (low && !recovery_id.is_x_reduced() && recovered.to_sec1_point(true).as_bytes() == key.as_bytes())
        .then_some(())
}
