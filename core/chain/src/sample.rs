//! Wallets with known secrets and signers with the whole key, for tests.

use crate::{Signature, SigningMessage};
use ::bitcoin::key::TapTweak;
use ::bitcoin::secp256k1::{Keypair, Message, Secp256k1};
use ed25519_dalek::Signer;
use perennial_model::derivation::{Path, derive};
use perennial_model::encoding::Digest;
use perennial_model::group::{Group, Point, Scalar, Secp256k1 as Curve};
use perennial_model::wallet::{Chain, Tier, Wallet, WalletKey};

/// A wallet on a chain.
pub(crate) fn wallet(chain: Chain) -> Wallet {
    let name = chain.name();
    Wallet {
        id: name.parse().expect("a name"),
        tenant: "test".parse().expect("a name"),
        tier: Tier::Standard,
        chain,
    }
}

pub(crate) fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

pub(crate) fn bytes<const LENGTH: usize>(digits: &str) -> [u8; LENGTH] {
    hex::decode(digits).expect("digits").try_into().expect("the length")
}

/// The key of a compressed point in hexadecimal digits.
pub(crate) fn public_key(digits: &str) -> WalletKey {
    let point = Point::from_bytes(&hex::decode(digits).expect("digits")).expect("a point");
    WalletKey { public_key: point, chain_code: Digest([5; 32]) }
}

/// A root secret on secp256k1, whole.
pub(crate) struct Secp256k1Secret(pub(crate) [u8; 32]);

impl Secp256k1Secret {
    fn scalar(&self) -> k256::Scalar {
        <k256::Scalar as Scalar>::decode(&self.0).expect("below the order")
    }

    pub(crate) fn key(&self) -> WalletKey {
        let public_key = Curve::encode(&Curve::generate(&self.scalar()));
        WalletKey { public_key, chain_code: Digest([5; 32]) }
    }

    fn at(&self, path: &Path) -> [u8; 32] {
        let derived = derive(&self.key(), path).expect("a key");
        Scalar::encode(&(self.scalar() + derived.shift))
    }

    pub(crate) fn ecdsa(&self, path: &Path, message: &SigningMessage) -> Signature {
        let secret = k256::ecdsa::SigningKey::from_slice(&self.at(path)).expect("a secret");
        let (signature, recovery_id) = secret.sign_prehash_recoverable(message.as_bytes());
        Signature::Ecdsa { r_and_s: signature.to_bytes().into(), recovery_id: recovery_id.to_byte() }
    }

    pub(crate) fn taproot(&self, path: &Path, message: &SigningMessage) -> Signature {
        let context = Secp256k1::new();
        let pair = Keypair::from_seckey_slice(&context, &self.at(path)).expect("a secret");
        let tweaked = pair.tap_tweak(&context, None).to_keypair();
        let hash = Message::from_digest(message.as_bytes().try_into().expect("32 bytes"));
        Signature::Taproot(context.sign_schnorr_no_aux_rand(&hash, &tweaked).serialize())
    }
}

/// An Ed25519 secret, whole.
pub(crate) struct Ed25519Secret(ed25519_dalek::SigningKey);

impl Ed25519Secret {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn key(&self) -> WalletKey {
        let public_key = Point::from_bytes(&self.public()).expect("a point");
        WalletKey { public_key, chain_code: Digest([5; 32]) }
    }

    pub(crate) fn sign(&self, message: &SigningMessage) -> Signature {
        Signature::Ed25519(self.0.sign(message.as_bytes()).to_bytes())
    }
}
