//! BIP-32 public derivation, non-hardened, on secp256k1.
//!
//! A derived key is the root key plus a public multiple of `G`. Every share gets the same public shift in
//! memory, so derivation commutes with redistribution and only root keys are ever refreshed.

use crate::group::{Group, Scalar, Secp256k1};
use crate::wallet::{Chain, WalletKey};
use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;

/// The most steps in a path.
pub const STEPS_MAX: usize = 8;

/// A non-hardened derivation path, written `m/0/7`; `m` is the root.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Path(Vec<u32>);

/// Why a path cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not of the form `m/0/7`.
    #[error("{0:?} is no path: write m or m/0/7, at most {STEPS_MAX} steps below 2147483648, none hardened")]
    Form(String),
    /// Ed25519 keys have no public derivation.
    #[error("an {0} wallet signs with its root key: its only path is m")]
    NoDerivation(Chain),
    /// BIP-32 leaves out about one key in 2^127.
    #[error("path {0} leads to no key: take the next index")]
    NoKey(Path),
    /// The stored wallet key is no element; the record is damaged.
    #[error("the wallet's public key is no element of secp256k1")]
    BadKey,
}

impl Path {
    /// A path of these steps, none if a step is hardened or there are too many.
    pub fn new(steps: Vec<u32>) -> Option<Self> {
        (steps.len() <= STEPS_MAX && steps.iter().all(|step| *step < 1 << 31)).then_some(Self(steps))
    }

    /// Its steps from the root.
    pub fn steps(&self) -> &[u32] {
        &self.0
    }

    /// The path of the address that a wallet shows first: `m/0/0`, or the root where keys are not derived.
    pub fn primary(chain: Chain) -> Self {
        match chain {
            Chain::Solana => Self::default(),
            #[cfg(feature = "simulation")]
            Chain::Nowhere => Self::default(),
            _ => Self(vec![0, 0]),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|step| write!(f, "/{step}"))
    }
}

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadPath::Form(text.chars().take(80).collect());
        let mut parts = text.split('/');
        if parts.next() != Some("m") {
            return Err(bad());
        }
        let step = |part: &str| match part.parse::<u32>() {
            Ok(number) if number.to_string() == part => Ok(number),
            _ => Err(bad()),
        };
        let steps = parts.take(STEPS_MAX + 1).map(step).collect::<Result<Vec<_>, _>>()?;
        Self::new(steps).ok_or_else(bad)
    }
}

impl<C> Encode<C> for Path {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.0.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Path {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(Vec::decode(decoder, context)?)
            .ok_or_else(|| minicbor::decode::Error::message("a path has at most 8 steps, none hardened"))
    }
}

/// What a path adds to a wallet's root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The sum of the public tweaks along the path: `child = root + shift · G`.
    pub shift: k256::Scalar,
    /// The child key and its chain code.
    pub key: WalletKey,
}

/// Follows a path from a secp256k1 root key (BIP-32, "CKDpub").
///
/// # Errors
/// [`BadPath::NoKey`] for the rare step that BIP-32 leaves out, [`BadPath::BadKey`] for a damaged root key.
pub fn derive(root: &WalletKey, path: &Path) -> Result<Derived, BadPath> {
    let mut element = Secp256k1::decode(&root.public_key).ok_or(BadPath::BadKey)?;
    let mut derived = Derived { shift: Scalar::ZERO, key: root.clone() };
    for step in path.steps() {
        let mut mac = Hmac::<sha2::Sha512>::new_from_slice(&derived.key.chain_code.0)
            .expect("HMAC takes a key of any length");
        mac.update(derived.key.public_key.as_bytes());
        mac.update(&step.to_be_bytes());
        let output: [u8; 64] = mac.finalize().into_bytes().into();
        let (left, right) = output.split_at(32);
        let tweak = <k256::Scalar as Scalar>::decode(left.try_into().expect("32 of 64 bytes"))
            .ok_or_else(|| BadPath::NoKey(path.clone()))?;
        element += Secp256k1::generate(&tweak);
        if element == Secp256k1::identity() {
            return Err(BadPath::NoKey(path.clone()));
        }
        derived.shift += tweak;
        derived.key.public_key = Secp256k1::encode(&element);
        derived.key.chain_code.0.copy_from_slice(right);
    }
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Digest;
    use crate::group::Point;

    #[test]
    fn derivation_agrees_with_the_vectors_of_bip_32() {
        // BIP-32, test vector 2: chain m and m/0, public keys and chain codes.
        let root = WalletKey {
            public_key: point("03cbcaa9c98c877a26977d00825c956a238e8dddfbd322cce4f74b0b5bd6ace4a7"),
            chain_code: digest("60499f801b896d83179a4374aeb7822aaeaceaa0db1f85ee3e904c4defbd9689"),
        };
        let child = derive(&root, &"m/0".parse().expect("a path")).expect("a key");
        assert_eq!(
            child.key.public_key,
            point("02fc9e5af0ac8d9b3cecfe2a888e2117ba3d089d8585886c9c826b6b22a98d12ea"),
        );
        assert_eq!(
            child.key.chain_code,
            digest("f0909affaa7ee7abe5dd4e100598d4dc53cd709d5a5c2cac40e7412f232f7c9c"),
        );
        let shifted = Secp256k1::decode(&root.public_key).expect("a key") + Secp256k1::generate(&child.shift);
        assert_eq!(Secp256k1::encode(&shifted), child.key.public_key);
    }

    #[test]
    fn hardened_long_and_odd_paths_are_refused() {
        for bad in ["", "0", "m/", "m/0'", "m/2147483648", "m/-1", "m/+1", "m/01", "m/0/0/0/0/0/0/0/0/0"] {
            assert!(bad.parse::<Path>().is_err(), "{bad:?}");
        }
        assert_eq!("m/0/7".parse::<Path>().expect("a path").to_string(), "m/0/7");
        assert_eq!("m".parse::<Path>().expect("a path"), Path::default());
    }

    fn point(digits: &str) -> Point {
        Point::from_bytes(&hex::decode(digits).expect("digits")).expect("33 bytes")
    }

    fn digest(digits: &str) -> Digest {
        digits.parse().expect("32 bytes")
    }
}
