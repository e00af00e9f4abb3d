//! Many signatures over secp256k1 as one equation with random weights `a_i` of 128 bits, which are drawn here, when keys,
//! messages and signatures are fixed. secp256k1 has no cofactor, so this and the single checks say the same: signatures
//! that all verify always pass, and one that does not slips through with 2^-128.
//!
//! BIP-340, as the standard describes it ("Batch Verification"), `R_i` the point of even y with the signature's
//! x-coordinate: `Σ a_i·s_i · G = Σ a_i·R_i + Σ a_i·e_i · P_i`.
//!
//! ECDSA, where the recovery id gives `R_i` whole (SEC 1, section 4.1.6: `P = r⁻¹·(s·R - z·G)` is the one key that the
//! signature is of): `Σ a_i·z_i · G = Σ a_i·s_i · R_i - Σ a_i·r_i · P_i`.

use super::{Probed, RawSignature};
use crate::dealing::small_random;
use crate::group::{Group, Point, Scalar, Secp256k1};
use crate::wallet::Scheme;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::scalar::IsHigh;
use k256::{ProjectivePoint, Scalar as Number, ecdsa, schnorr};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// What one signature claims: `base · G = of_commitment · commitment + of_key · key`.
struct Claim {
    base: Number,
    commitment: ProjectivePoint,
    of_commitment: Number,
    key: Point,
    of_key: Number,
}

/// Whether all of them verify; none if one cannot even be read, or where a scheme has no such equation. This names
/// nobody.
pub(super) fn all_verify(scheme: Scheme, probed: &[Probed<'_>], rng: &mut dyn CryptoRng) -> Option<bool> {
    let claim = match scheme {
        Scheme::Taproot => bip340_claim,
        Scheme::Ecdsa => ecdsa_claim,
        _ => return None,
    };
    let mut elements = Vec::with_capacity(2 * probed.len());
    let mut scalars = Vec::with_capacity(2 * probed.len());
    let mut base = Number::ZERO;
    // A wallet's probes stand together, so its key is read once.
    let mut last: Option<(Point, usize)> = None;
    for (probe, weight) in probed.iter().zip(small_random::<Number>(probed.len(), rng)) {
        let claim = claim(probe)?;
        base += weight * claim.base;
        elements.push(claim.commitment);
        scalars.push(weight * claim.of_commitment);
        match last {
            Some((key, at)) if key == claim.key => scalars[at] += weight * claim.of_key,
            _ => {
                last = Some((claim.key, elements.len()));
                elements.push(Secp256k1::decode(&claim.key)?);
                scalars.push(weight * claim.of_key);
            }
        }
    }
    Some(Secp256k1::generate(&base) == Secp256k1::sum_public(&scalars, &elements))
}

fn bip340_claim(probe: &Probed<'_>) -> Option<Claim> {
    /// SHA-256 that has read the tag twice.
    static TAGGED: LazyLock<Sha256> = LazyLock::new(|| {
        let tag = Sha256::digest(b"BIP0340/challenge");
        Sha256::new().chain_update(tag).chain_update(tag)
    });
    schnorr::Signature::from_bytes(&probe.signature.bytes).ok()?;
    if probe.signature.recovery_id.is_some() {
        return None;
    }
    let (commitment, response) = halves(probe.signature);
    let key = compressed(probe.key.as_bytes().get(1..)?, 2)?;
    let hashed = TAGGED.clone().chain_update(commitment).chain_update(&key.as_bytes()[1..]);
    Some(Claim {
        base: Scalar::decode(&response)?,
        commitment: Secp256k1::decode(&compressed(&commitment, 2)?)?,
        of_commitment: Number::ONE,
        key,
        of_key: reduced(hashed.chain_update(probe.message.0).finalize().into()),
    })
}

fn ecdsa_claim(probe: &Probed<'_>) -> Option<Claim> {
    ecdsa::Signature::from_slice(&probe.signature.bytes).ok()?;
    let (commitment, response) = halves(probe.signature);
    let parity = probe.signature.recovery_id.filter(|id| *id < 2)?;
    let response =
        <Number as Scalar>::decode(&response).filter(|response| !bool::from(response.is_high()))?;
    Some(Claim {
        base: reduced(probe.message.0),
        commitment: Secp256k1::decode(&compressed(&commitment, 2 + parity)?)?,
        of_commitment: response,
        key: probe.key,
        of_key: -<Number as Scalar>::decode(&commitment)?,
    })
}

fn halves(signature: &RawSignature) -> ([u8; 32], [u8; 32]) {
    let (first, second) = signature.bytes.split_at(32);
    (first.try_into().expect("32 of 64 bytes"), second.try_into().expect("32 of 64 bytes"))
}

fn reduced(bytes: [u8; 32]) -> Number {
    <Number as Reduce<k256::FieldBytes>>::reduce(&bytes.into())
}

/// The compressed point (SEC 1, section 2.3.3) with that x-coordinate and the parity that the tag says.
fn compressed(coordinate: &[u8], tag: u8) -> Option<Point> {
    let mut bytes = [tag; 33];
    bytes[1..].copy_from_slice(coordinate.get(..32)?);
    Point::from_bytes(&bytes)
}

#[cfg(test)]
mod tests;
