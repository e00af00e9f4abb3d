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
        let signature = identity.sign(&signed_text::<D>(identity.signer(), &bytes, || Digest::of(&bytes)));
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
        let digest = self.body_digest();
        if !key.verifies(&signed_text::<D>(&self.signer, &self.bytes.0, || digest), &self.signature) {
            return Err(Error::denied(format!("the signature on this {} is not {}'s", D::KIND, self.signer)));
        }
        let body = encoding::decode(&self.bytes.0)
            .map_err(|e| Error::misbehaved(&self.signer, format!("signed a malformed {}: {e}", D::KIND)))?;
        Ok(Said { signer: self.signer.clone(), body, digest })
    }
}

/// What an identity key signs: the name of the signer, then the whole labelled document, or its digest.
fn signed_text<D: Document>(signer: &SignerId, document: &[u8], digest: impl FnOnce() -> Digest) -> Vec<u8> {
    if D::IS_SIGNED_BY_DIGEST {
        return text_of(b"perennial statement by digest v1\0", signer, &digest().0);
    }
    text_of(b"perennial statement v1\0", signer, document)
}

fn text_of(label: &[u8], signer: &SignerId, said: &[u8]) -> Vec<u8> {
    let name = signer.as_str().as_bytes();
    let length = u8::try_from(name.len()).expect("a name has at most 40 characters");
    [label, &[length], name, said].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionMessage;
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

    fn key(name: &str) -> Key {
        Key(name.parse().expect("a name"), ed25519_dalek::SigningKey::from_bytes(&[9; 32]))
    }

    fn wallet() -> Wallet {
        Wallet {
            id: "treasury".parse().expect("name"),
            tenant: "acme".parse().expect("name"),
            tier: Tier::Standard,
            chain: Chain::Solana,
        }
    }

    fn message() -> SessionMessage {
        let items = vec![Bytes(vec![7; 300])];
        SessionMessage { session: Digest([1; 32]), round: 1, to: "b".parse().expect("name"), items }
    }

    fn is_nobody_elses<D: Document + Clone + PartialEq + fmt::Debug>(body: &D) {
        let key = key("a");
        let signed = Signed::new(&key, body);
        assert_eq!(signed.check(&key).expect("its own words").body, *body);
        let mut renamed = signed.clone();
        renamed.signer = "b".parse().expect("name");
        assert!(matches!(renamed.check(&key), Err(Error::Denied(_))));
        let mut of_another = signed.clone();
        of_another.signer = "c".parse().expect("name");
        assert!(matches!(of_another.check(&self::key("c")), Err(Error::Denied(_))));
        for place in 0..signed.bytes.0.len() {
            let mut changed = signed.clone();
            changed.bytes.0[place] ^= 1;
            assert!(matches!(changed.check(&key), Err(Error::Denied(_))), "byte {place}");
        }
    }

    #[test]
    fn nobody_can_put_words_into_a_signers_mouth() {
        is_nobody_elses(&wallet());
        is_nobody_elses(&message());
    }

    #[test]
    fn what_is_signed_by_its_digest_is_never_read_as_a_document() {
        let key = key("a");
        let public = key.identity_of(&key.0).expect("its key");
        let said = Signed::new(&key, &message());
        let digest = said.body_digest().0;
        let text = [b"perennial statement by digest v1\0\x01a", &digest[..]].concat();
        let as_document = [b"perennial statement v1\0\x01a", &digest[..]].concat();
        let whole = [b"perennial statement v1\0\x01a", &said.bytes.0[..]].concat();
        assert!(public.verifies(&text, &said.signature));
        for other in [as_document, whole] {
            assert!(!public.verifies(&other, &said.signature));
            let signed_otherwise = Signed { signature: key.sign(&other), ..said.clone() };
            assert!(matches!(signed_otherwise.check(&key), Err(Error::Denied(_))));
        }
    }
}
