//! Deterministic CBOR (RFC 8949, section 4.2.1) for what this crate stores or sends: an array that begins
//! with a domain label and a format version.
//!
//! Arrays have a fixed length and absent values are `null`, so there are no map keys to sort. Decoding
//! refuses whatever would not be written the same way again.

use crate::Error;
use minicbor::{Decoder, Encoder, decode, encode};
use std::convert::Infallible;

/// Writing into a `Vec` fails only if an `Encode` implementation reports an error of its own; none here does.
pub(crate) type Written = Result<(), encode::Error<Infallible>>;

/// A document with exactly one written form.
pub(crate) trait Document: Sized {
    /// The domain label, the first element.
    const LABEL: &'static str;
    /// The format version, the second element.
    const FORMAT: u64;
    /// What to call it in errors.
    const WHAT: &'static str;
    /// The most bytes that are looked at.
    const BYTES_MAX: usize;
    /// The number of elements after label and version.
    const FIELDS: u64;

    /// Writes the elements after label and version.
    fn write(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> Written;

    /// Reads the elements after label and version.
    fn read(decoder: &mut Decoder<'_>) -> Result<Self, decode::Error>;
}

pub(crate) fn to_bytes<D: Document>(document: &D) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let mut encoder = Encoder::new(&mut bytes);
    encoder
        .array(2 + D::FIELDS)
        .and_then(|e| e.str(D::LABEL))
        .and_then(|e| e.u64(D::FORMAT)?.ok())
        .and_then(|()| document.write(&mut encoder))
        .expect("a Vec accepts all bytes, and no document reports an error of its own");
    bytes
}

pub(crate) fn from_bytes<D: Document>(bytes: &[u8]) -> Result<D, Error> {
    if bytes.len() > D::BYTES_MAX {
        return Err(malformed::<D>(format!("{} bytes, at most {} are read", bytes.len(), D::BYTES_MAX)));
    }
    let unreadable = |error: decode::Error| malformed::<D>(error.to_string());
    let mut decoder = Decoder::new(bytes);
    // Lengths of arrays are not looked at while reading: comparing the bytes at the end settles them all.
    decoder.array().map_err(unreadable)?;
    let label = decoder.str().map_err(unreadable)?;
    if label != D::LABEL {
        return Err(malformed::<D>(format!("expected label {:?}, got {label:?}", D::LABEL)));
    }
    let format = decoder.u64().map_err(unreadable)?;
    if format != D::FORMAT {
        return Err(Error::UnknownFormat { what: D::WHAT, found: format, known: D::FORMAT });
    }
    let document = D::read(&mut decoder).map_err(unreadable)?;
    if to_bytes(&document) != bytes {
        return Err(malformed::<D>(
            "not in canonical form (long integer, trailing bytes or the like)".into(),
        ));
    }
    Ok(document)
}

/// Reads a byte string of exactly 32 bytes.
pub(crate) fn read_hash(decoder: &mut Decoder<'_>) -> Result<[u8; 32], decode::Error> {
    let bytes = decoder.bytes()?;
    bytes.try_into().map_err(|_| decode::Error::message(format!("expected 32 bytes, got {}", bytes.len())))
}

/// Reads `null` as absent, anything else by `read`.
pub(crate) fn read_optional<T>(
    decoder: &mut Decoder<'_>,
    read: impl FnOnce(&mut Decoder<'_>) -> Result<T, decode::Error>,
) -> Result<Option<T>, decode::Error> {
    if decoder.datatype()? == minicbor::data::Type::Null {
        decoder.null()?;
        Ok(None)
    } else {
        read(decoder).map(Some)
    }
}

/// Passes on why a value inside a document is unfit.
pub(crate) fn unfit(error: Error) -> decode::Error {
    decode::Error::message(error)
}

fn malformed<D: Document>(reason: String) -> Error {
    Error::Malformed { what: D::WHAT, reason }
}
