//! Deterministic CBOR (RFC 8949, section 4.2.1) with a domain label, a kind and a format version in front of
//! every document that is stored, sent, signed or hashed.
//!
//! A document is the array `["perennial", kind, version, body]`. Structures are arrays of their fields in
//! order, so there are no map keys to sort; integers and lengths take their shortest form. Decoding refuses
//! whatever would not be written the same way again: that makes the encoding of a value unique, and a digest
//! of the bytes a digest of the meaning.

use minicbor::{Decode, Encode};
use sha2::Digest as _;
use std::fmt;

/// The domain label in front of every document.
pub const DOMAIN: &str = "perennial";

/// The largest document that [`decode`] looks at, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// A type with a canonical written form of its own.
pub trait Document: Encode<()> + for<'b> Decode<'b, ()> {
    /// What the document is, unique in the product.
    const KIND: &'static str;
    /// The version of its format. A reader refuses versions that it does not know.
    const VERSION: u16 = 1;
    /// The most bytes of one that are read. Only what a process writes for itself alone may be larger than others.
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
    /// Whether a signature is over the digest of its bytes, for what is long, sent at once and never kept. Ed25519 reads
    /// what it signs twice, by a hash that few processors have instructions for.
    const IS_SIGNED_BY_DIGEST: bool = false;
}

/// Why bytes are not the document that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The CBOR itself is broken, cut short, or has the wrong shape.
    #[error("not a readable {expected} document: {reason}")]
    Unreadable {
        /// The kind that was expected.
        expected: &'static str,
        /// What the decoder met.
        reason: String,
    },
    /// A well-formed document of another domain, kind or version.
    #[error("expected a {expected} document of version {version}, got {got}")]
    OtherKind {
        /// The kind that was expected.
        expected: &'static str,
        /// The version that was expected.
        version: u16,
        /// What the label says.
        got: String,
    },
    /// Readable, but not in its one canonical form.
    #[error(
        "a {expected} document that is not in canonical form (trailing bytes, long integers or the like)"
    )]
    NotCanonical {
        /// The kind that was expected.
        expected: &'static str,
    },
    /// Larger than [`Document::BYTES_MAX`].
    #[error("a {expected} document of {bytes} bytes; at most {most} are read")]
    TooLarge {
        /// The kind that was expected.
        expected: &'static str,
        /// Its size.
        bytes: usize,
        /// The most that are read.
        most: usize,
    },
}

struct Labelled<'a, D>(&'a D);

impl<D: Document> Encode<()> for Labelled<'_, D> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut (),
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.array(4)?.str(DOMAIN)?.str(D::KIND)?.u16(D::VERSION)?;
        self.0.encode(encoder, context)
    }
}

/// The canonical bytes of a document.
pub fn encode<D: Document>(document: &D) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    minicbor::encode(Labelled(document), &mut bytes).expect("writing to memory does not fail");
    bytes
}

/// Reads a document and insists on its canonical form.
///
/// # Errors
/// [`Malformed`] when the bytes are anything but the one encoding of a `D`.
pub fn decode<D: Document>(bytes: &[u8]) -> Result<D, Malformed> {
    let expected = D::KIND;
    if bytes.len() > D::BYTES_MAX {
        return Err(Malformed::TooLarge { expected, bytes: bytes.len(), most: D::BYTES_MAX });
    }
    let unreadable = |e: minicbor::decode::Error| Malformed::Unreadable { expected, reason: e.to_string() };
    let mut decoder = minicbor::Decoder::new(bytes);
    let length = decoder.array().map_err(unreadable)?;
    let domain = decoder.str().map_err(unreadable)?;
    let kind = decoder.str().map_err(unreadable)?;
    let version = decoder.u16().map_err(unreadable)?;
    if length != Some(4) || domain != DOMAIN || kind != expected || version != D::VERSION {
        return Err(Malformed::OtherKind {
            expected,
            version: D::VERSION,
            got: format!("{domain}/{kind} version {version}"),
        });
    }
    let document: D = decoder.decode().map_err(unreadable)?;
    if encode(&document) != bytes {
        return Err(Malformed::NotCanonical { expected });
    }
    Ok(document)
}

/// The SHA-256 digest of a document's canonical bytes.
pub fn digest<D: Document>(document: &D) -> Digest {
    Digest::of(&encode(document))
}

/// What [`Digest::of_parts`] is the digest of.
pub fn parts(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(label.len() + 40 * (parts.len() + 1));
    for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

impl Digest {
    /// The digest of bytes that already carry their own domain label.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of several parts under a label, each part preceded by its length.
    pub fn of_parts(label: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = sha2::Sha256::new();
        for part in std::iter::once(label.as_bytes()).chain(parts.iter().copied()) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The first eight hexadecimal digits in two groups, as shown to people beside the whole.
    pub fn short(&self) -> String {
        let digits = hex::encode(&self.0[..4]);
        format!("{} {}", &digits[..4], &digits[4..])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", hex::encode(&self.0[..4]))
    }
}

impl std::str::FromStr for Digest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Bytes that are written as one CBOR byte string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Bytes(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Sample {
        #[n(0)]
        number: u64,
        #[n(1)]
        digest: Digest,
        #[n(2)]
        optional: Option<u8>,
    }
    impl Document for Sample {
        const KIND: &'static str = "sample";
    }

    #[test]
    fn the_bytes_of_a_document_never_change() {
        let sample = Sample { number: 300, digest: Digest([7; 32]), optional: None };
        assert_eq!(
            hex::encode(encode(&sample)),
            format!("8469706572656e6e69616c6673616d706c65018219012c5820{}", "07".repeat(32)),
        );
        assert_eq!(decode::<Sample>(&encode(&sample)), Ok(sample));
    }

    #[test]
    fn a_second_spelling_of_the_same_value_is_refused() {
        let sample = Sample { number: 3, digest: Digest([7; 32]), optional: Some(1) };
        let bytes = encode(&sample);
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert!(matches!(decode::<Sample>(&trailing), Err(Malformed::NotCanonical { .. })));
        let at = bytes.iter().position(|&b| b == 0x83).expect("the body is an array of three") + 1;
        let mut long = bytes.clone();
        long.splice(at..at + 1, [0x18, 3]);
        assert!(matches!(decode::<Sample>(&long), Err(Malformed::NotCanonical { .. })));
        for cut in 0..bytes.len() {
            assert!(decode::<Sample>(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn another_kind_or_version_is_refused() {
        #[derive(Encode, Decode)]
        struct Other(#[n(0)] u64);
        impl Document for Other {
            const KIND: &'static str = "other";
        }
        assert!(matches!(decode::<Sample>(&encode(&Other(1))), Err(Malformed::OtherKind { .. })));
    }
}
