//! Many BIP-340 signatures as one equation, as the standard describes it ("Batch Verification"):
//! `Σ a_i·s_i · G = Σ a_i·R_i + Σ a_i·e_i · P_i` with random `a_i` of 128 bits, `R_i` the point of even y with the
//! signature's x-coordinate. secp256k1 has no cofactor, so this and the single checks say the same: signatures that
//! all verify always pass, and one that does not slips through with 2^-128. The weights are drawn here, when keys,
//! messages and signatures are fixed.

use super::{Probed, RawSignature};
use crate::dealing::small_random;
use crate::group::{Group, Point, Scalar, Secp256k1};
use k256::Scalar as Number;
use k256::elliptic_curve::ops::Reduce;
use k256::schnorr::Signature;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

/// Whether all of them verify; none if one cannot even be read. This names nobody.
pub(super) fn all_verify(probed: &[Probed<'_>], rng: &mut dyn CryptoRng) -> Option<bool> {
    let tag = Sha256::digest(b"BIP0340/challenge");
    let tagged = Sha256::new().chain_update(tag).chain_update(tag);
    let weights = small_random::<Number>(probed.len(), rng);
    let mut elements = Vec::with_capacity(2 * probed.len());
    let mut scalars = Vec::with_capacity(2 * probed.len());
    let mut response_sum = Number::ZERO;
    // A wallet's probes stand together, so its key is read once.
    let mut last: Option<(&Point, usize)> = None;
    for (probe, weight) in probed.iter().zip(weights) {
        let (commitment, response) = read(probe.signature)?;
        let x_only = probe.key.as_bytes().get(1..)?;
        let hashed = tagged.clone().chain_update(&probe.signature.bytes[..32]).chain_update(x_only);
        let challenge: [u8; 32] = hashed.chain_update(probe.message.0).finalize().into();
        let challenge = <Number as Reduce<k256::FieldBytes>>::reduce(&challenge.into());
        response_sum += weight * response;
        elements.push(commitment);
        scalars.push(weight);
        match last {
            Some((key, at)) if *key == probe.key => scalars[at] += weight * challenge,
            _ => {
                last = Some((&probe.key, elements.len()));
                elements.push(with_even_y(x_only)?);
                scalars.push(weight * challenge);
            }
        }
    }
    Some(Secp256k1::generate(&response_sum) == Secp256k1::sum_public(&scalars, &elements))
}

/// `R` and `s`, read as strictly as the single check reads them.
fn read(signature: &RawSignature) -> Option<(k256::ProjectivePoint, Number)> {
    Signature::from_bytes(&signature.bytes).ok()?;
    let (x_only, response) = signature.bytes.split_at(32);
    Some((with_even_y(x_only)?, <Number as Scalar>::decode(response.try_into().ok()?)?))
}

fn with_even_y(x_only: &[u8]) -> Option<k256::ProjectivePoint> {
    let mut bytes = [2; 33];
    bytes[1..].copy_from_slice(x_only.get(..32)?);
    Secp256k1::decode(&Point::from_bytes(&bytes)?)
}

#[cfg(test)]
mod tests;
