//! From the raw root key to the key that a signature is made with: BIP-32 derivation and, for Taproot
//! payments, the BIP-341 tweak. Every share gets the same public adjustment, in memory and for one signature.

use super::{EngineError, KeyUse, Terms};
use crate::share::Share;
use k256::Scalar as Number;
use perennial_model::derivation::{Path, derive};
use perennial_model::encoding::Digest;
use perennial_model::group::{Group, Point, SCALAR_BYTES, Scalar, Secp256k1};
use perennial_model::wallet::{Scheme, WalletKey};
use sha2::Digest as _;
use zeroize::Zeroizing;

/// The key of one signature and how it follows from the raw one.
pub(super) struct WorkingKey {
    /// The public key that the signature verifies under. For Taproot only its x-coordinate counts.
    pub public_key: Point,
    /// Its chain code; that of the root where nothing is derived.
    pub chain_code: Digest,
    adjustment: Option<Adjustment>,
}

/// `adjusted = ±raw + shift`, in public.
struct Adjustment {
    negated: bool,
    shift: Number,
}

impl WorkingKey {
    /// The key that the terms ask for.
    pub(super) fn of(terms: &Terms) -> Result<Self, EngineError> {
        let path = match (&terms.key_use, terms.scheme) {
            (KeyUse::Root, _) => return Ok(Self::raw(&terms.key)),
            (KeyUse::Path(path), Scheme::Ecdsa | Scheme::Taproot) => path,
            (KeyUse::Path(path), _) if path.steps().is_empty() => return Ok(Self::raw(&terms.key)),
            (KeyUse::Path(path), scheme) => {
                return Err(EngineError::Bug(format!(
                    "{} keys are not derived, asked for {path}",
                    scheme.name()
                )));
            }
        };
        if terms.scheme == Scheme::Taproot {
            Self::taproot(&terms.key, path)
        } else {
            Self::child(&terms.key, path)
        }
    }

    fn raw(key: &WalletKey) -> Self {
        Self { public_key: key.public_key, chain_code: key.chain_code, adjustment: None }
    }

    fn child(key: &WalletKey, path: &Path) -> Result<Self, EngineError> {
        let derived = derive(key, path).map_err(|e| EngineError::Bug(e.to_string()))?;
        let WalletKey { public_key, chain_code } = derived.key;
        let adjustment = Some(Adjustment { negated: false, shift: derived.shift });
        Ok(Self { public_key, chain_code, adjustment })
    }

    /// BIP-341: `Q = P + int(hash_TapTweak(x(P)))·G` for the point `P` of even y, without a script tree.
    fn taproot(key: &WalletKey, path: &Path) -> Result<Self, EngineError> {
        let no_key = || EngineError::Bug(format!("{path} leads to no Taproot key: take the next index"));
        let child = Self::child(key, path)?;
        let derived = child.adjustment.map_or(Number::ZERO, |adjustment| adjustment.shift);
        let [prefix, x @ ..] = child.public_key.as_bytes() else { return Err(no_key()) };
        let negated = *prefix == 3;
        let tweak = <Number as Scalar>::decode(&tagged_hash("TapTweak", x)).ok_or_else(no_key)?;
        let adjustment =
            Adjustment { negated, shift: if negated { tweak - derived } else { tweak + derived } };
        let output = adjustment.element(&element(&key.public_key)?);
        if output == Secp256k1::identity() {
            return Err(no_key());
        }
        let public_key = Secp256k1::encode(&output);
        Ok(Self { public_key, chain_code: child.chain_code, adjustment: Some(adjustment) })
    }

    /// The share of the working key that belongs to a raw share.
    pub(super) fn share(&self, share: &Share) -> Result<Zeroizing<[u8; SCALAR_BYTES]>, EngineError> {
        let raw = share.danger_secret_bytes();
        let Some(Adjustment { negated, shift }) = &self.adjustment else { return Ok(raw.clone()) };
        let number = <Number as Scalar>::decode(raw)
            .map(Zeroizing::new)
            .ok_or_else(|| EngineError::Bug("the share belongs to another scheme".into()))?;
        let adjusted = Zeroizing::new(if *negated { *shift - *number } else { *shift + *number });
        Ok(Zeroizing::new(Scalar::encode(&*adjusted)))
    }

    /// The verification share of the working key that belongs to a raw one.
    pub(super) fn verification_share(&self, raw: &Point) -> Result<Point, EngineError> {
        let Some(adjustment) = &self.adjustment else { return Ok(*raw) };
        Ok(Secp256k1::encode(&adjustment.element(&element(raw)?)))
    }
}

impl Adjustment {
    fn element(&self, raw: &k256::ProjectivePoint) -> k256::ProjectivePoint {
        let shift = Secp256k1::generate(&self.shift);
        if self.negated { shift - *raw } else { shift + *raw }
    }
}

fn element(point: &Point) -> Result<k256::ProjectivePoint, EngineError> {
    Secp256k1::decode(point)
        .ok_or_else(|| EngineError::Bug(format!("the own record holds {point}, no element of secp256k1")))
}

/// The tagged hash of BIP-340.
fn tagged_hash(tag: &str, message: &[u8]) -> [u8; 32] {
    let tag = sha2::Sha256::digest(tag.as_bytes());
    sha2::Sha256::new().chain_update(tag).chain_update(tag).chain_update(message).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_key_agrees_with_the_vectors_of_bip_86() {
        // BIP-86, account 0 of the "abandon … about" mnemonic: the extended public key of m/86'/0'/0' and the
        // output keys of its first two receiving addresses and of its first change address.
        let account = WalletKey {
            public_key: point("03418278a2885c8bb98148158d1474634097a179c642f23cf1cc04da629ac6f0fb"),
            chain_code: "c61a8f27e98182314d2444da3e600eb5836ec8ad183c86c311f95df8082b18aa"
                .parse()
                .expect("32 bytes"),
        };
        for (path, expected) in [
            ("m/0/0", "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c"),
            ("m/0/1", "a82f29944d65b86ae6b5e5cc75e294ead6c59391a1edc5e016e3498c67fc7bbb"),
            ("m/1/0", "882d74e5d0572d5a816cef0041a96b6c1de832f6f9676d9605c44d5e9a97d3dc"),
        ] {
            let key = WorkingKey::taproot(&account, &path.parse().expect("a path")).expect("a key");
            assert_eq!(hex::encode(&key.public_key.as_bytes()[1..]), expected, "{path}");
        }
    }

    fn point(digits: &str) -> Point {
        Point::from_bytes(&hex::decode(digits).expect("digits")).expect("33 bytes")
    }
}
