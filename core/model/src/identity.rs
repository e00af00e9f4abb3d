//! Who said something: a signer's identity key, and statements signed with it; and who asks.

use crate::committee::SignerId;
use crate::encoding::{self, Bytes, Digest, Document};
use crate::error::Error;
use crate::wallet::name_type;
use minicbor::{Decode, Encode};
use std::fmt;

name_type! {
    /// The name of a client of the coordinator's interface, as it stands in logs.
    ClientId
}

/// The public half of a signer's identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum IdentityKey {
    /// An Ed25519 key (RFC 8032), 32 bytes.
    #[n(0)]
    Ed25519(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
    /// A tag in place of a key; anyone can sign with it. For the simulator alone.
    #[cfg(feature = "simulation")]
    #[n(255)]
    Transparent(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
}

/// A signature of an identity key.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct IdentitySignature(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 64]);

impl fmt::Debug for IdentitySignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..4]))
    }
}

impl IdentityKey {
    /// Whether `signature` is this key's over `message`. Strict: no small-order keys, canonical encodings.
    pub fn verifies(&self, message: &[u8], signature: &IdentitySignature) -> bool {
        match self {
            Self::Ed25519(bytes) => ed25519_dalek::VerifyingKey::from_bytes(bytes).is_ok_and(|key| {
                key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
            }),
            #[cfg(feature = "simulation")]
            Self::Transparent(tag) => transparent_signature(tag, message) == *signature,
        }
    }
}

/// The signature of a [`IdentityKey::Transparent`] identity.
#[cfg(feature = "simulation")]
pub fn transparent_signature(tag: &[u8; 32], message: &[u8]) -> IdentitySignature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&Digest::of_parts("transparent", &[tag, message]).0);
    IdentitySignature(bytes)
}

/// Signs as one signer. The secret half stays behind this trait.
pub trait Sign {
    /// Who signs.
    fn signer(&self) -> &SignerId;
    /// The signature over `message`.
    fn sign(&self, message: &[u8]) -> IdentitySignature;
}

/// Finds the identity key of a signer.
pub trait FindIdentity {
    /// The key of `signer`, none if nobody of that name is known.
    fn identity_of(&self, signer: &SignerId) -> Option<IdentityKey>;
}

/// A document with its author's signature, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Signed<D> {
    /// Who claims to have said it.
    #[n(0)]
    pub signer: SignerId,
    /// The canonical bytes of the document.
    #[n(1)]
    bytes: Bytes,
    /// The signature over `signed_text`.
    #[n(2)]
    signature: IdentitySignature,
    #[cbor(skip)]
    kind: std::marker::PhantomData<D>,
}

/// A document whose author's signature was checked. It exists only if the check passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said<D> {
    /// Who said it.
    pub signer: SignerId,
    /// What was said.
    pub body: D,
    /// The digest of the body's canonical bytes.
    pub digest: Digest,
}

impl<D: Document> Signed<D> {
    /// Signs a document.
    pub fn new(identity: &dyn Sign, body: &D) -> Self {
        let bytes = encoding::encode(body);
        let signature = identity.sign(&signed_text(identity.signer(), &bytes));
        Self { signer: identity.signer().clone(), bytes: Bytes(bytes), signature, kind: Default::default() }
    }

    /// The digest of the body's bytes, checked or not.
    pub fn body_digest(&self) -> Digest {
        Digest::of(&self.bytes.0)
    }

    /// Reads the body without checking who said it. Only for those who cannot act on it.
    ///
    /// # Errors
    /// When the bytes are no canonical `D`.
    pub fn read_unchecked(&self) -> Result<D, Error> {
        Ok(encoding::decode(&self.bytes.0)?)
    }

    /// Checks the signature and reads the body.
    ///
    /// # Errors
    /// `Denied` for an unknown signer or a wrong signature (the sender is to blame, the named signer did not
    /// say it), `Misbehaved` when the signer signed bytes that are no canonical `D`.
    pub fn check(&self, identities: &dyn FindIdentity) -> Result<Said<D>, Error> {
        let key = identities
            .identity_of(&self.signer)
            .ok_or_else(|| Error::denied(format!("governance knows no signer {}", self.signer)))?;
        if !key.verifies(&signed_text(&self.signer, &self.bytes.0), &self.signature) {
            return Err(Error::denied(format!("the signature on this {} is not {}'s", D::KIND, self.signer)));
        }
        let body = encoding::decode(&self.bytes.0)
            .map_err(|e| Error::misbehaved(&self.signer, format!("signed a malformed {}: {e}", D::KIND)))?;
        Ok(Said { signer: self.signer.clone(), body, digest: self.body_digest() })
    }
}

/// What an identity key signs: the name of the signer, then the whole labelled document.
fn signed_text(signer: &SignerId, document: &[u8]) -> Vec<u8> {
    let name = signer.as_str().as_bytes();
    let mut text = Vec::with_capacity(32 + name.len() + document.len());
    text.extend_from_slice(b"perennial statement v1\0");
    text.push(u8::try_from(name.len()).expect("a name has at most 40 characters"));
    text.extend_from_slice(name);
    text.extend_from_slice(document);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::{Chain, Tier, Wallet};
    use ed25519_dalek::Signer as _;

    struct Key(SignerId, ed25519_dalek::SigningKey);
    impl Sign for Key {
        fn signer(&self) -> &SignerId {
            &self.0
        }
        fn sign(&self, message: &[u8]) -> IdentitySignature {
            IdentitySignature(self.1.sign(message).to_bytes())
        }
    }
    impl FindIdentity for Key {
        fn identity_of(&self, signer: &SignerId) -> Option<IdentityKey> {
            (signer == &self.0).then(|| IdentityKey::Ed25519(self.1.verifying_key().to_bytes()))
        }
    }

    #[test]
    fn nobody_can_put_words_into_a_signers_mouth() {
        let key = Key("a".parse().expect("name"), ed25519_dalek::SigningKey::from_bytes(&[9; 32]));
        let wallet = Wallet {
            id: "treasury".parse().expect("name"),
            tenant: "acme".parse().expect("name"),
            tier: Tier::Standard,
            chain: Chain::Solana,
        };
        let signed = Signed::new(&key, &wallet);
        assert_eq!(signed.check(&key).expect("its own words").body, wallet);
        let mut renamed = signed.clone();
        renamed.signer = "b".parse().expect("name");
        assert!(matches!(renamed.check(&key), Err(Error::Denied(_))));
        let mut changed = signed.clone();
        *changed.bytes.0.last_mut().expect("not empty") ^= 1;
        assert!(matches!(changed.check(&key), Err(Error::Denied(_))));
    }
}
