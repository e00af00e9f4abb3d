//! What the combiner of a Taproot session makes of the shares: the aggregate of RFC 9591, section 5.3, with the
//! group commitment of section 4.5, in its BIP-340 form.
//!
//! `frost_core::aggregate` computes the same and verifies it, at four times the cost. Here nothing is verified: the
//! caller does that with other code, and asks the library for a culprit if the signature is wrong.

use super::frost::{Commitments, identifier};
use super::{Common, EngineError};
use frost_core::{Ciphersuite, Field};
use frost_secp256k1_tr::Secp256K1Sha256TR as Suite;
use perennial_model::committee::Seat;
use perennial_model::group::{Group, Scalar, Secp256k1};
use perennial_model::signature::RawSignature;
use std::collections::BTreeMap;

type Number = <Secp256k1 as Group>::Scalar;

/// `x(R) ‖ Σ z_i` with `R = Σ (D_i + ρ_i·E_i)`; none if a part cannot be read.
pub(super) fn aggregate(
    common: &Common,
    commitments: &BTreeMap<Seat, Commitments>,
    shares: impl Iterator<Item = [u8; 32]>,
) -> Result<Option<RawSignature>, EngineError> {
    let factors = binding_factors(common, commitments)?;
    let read = || -> Option<RawSignature> {
        let mut hiding = Secp256k1::identity();
        let mut binding = Vec::with_capacity(commitments.len());
        for pair in commitments.values() {
            hiding += Secp256k1::decode(&pair.hiding)?;
            binding.push(Secp256k1::decode(&pair.binding)?);
        }
        let commitment = Secp256k1::encode(&(hiding + Secp256k1::sum_public(&factors, &binding)));
        let mut response = Number::ZERO;
        for share in shares {
            response += <Number as Scalar>::decode(&share)?;
        }
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(commitment.as_bytes().get(1..33)?);
        bytes[32..].copy_from_slice(&Scalar::encode(&response));
        Some(RawSignature { bytes, recovery_id: None })
    };
    Ok(read())
}

/// `ρ_i` of every signer (RFC 9591, section 4.4), under the key of even y that BIP-340 signs with.
fn binding_factors(
    common: &Common,
    commitments: &BTreeMap<Seat, Commitments>,
) -> Result<Vec<Number>, EngineError> {
    let mut listed = Vec::new();
    for (seat, pair) in commitments {
        listed.extend_from_slice(&identifier::<Suite>(*seat)?.serialize());
        listed.extend_from_slice(pair.hiding.as_bytes());
        listed.extend_from_slice(pair.binding.as_bytes());
    }
    let mut prefix = common.key.public_key.as_bytes().to_vec();
    if let Some(parity) = prefix.first_mut() {
        *parity = 2;
    }
    prefix.extend_from_slice(&Suite::H4(&common.terms.message));
    prefix.extend_from_slice(&Suite::H5(&listed));
    let factor = |seat: &Seat| {
        let hashed = Suite::H1(&[&prefix[..], &identifier::<Suite>(*seat)?.serialize()].concat());
        let bytes =
            <<<Suite as Ciphersuite>::Group as frost_core::Group>::Field as Field>::serialize(&hashed);
        <Number as Scalar>::decode(&bytes)
            .ok_or_else(|| EngineError::Bug("a binding factor above the order of the group".into()))
    };
    commitments.keys().map(factor).collect()
}
