//! How several items travel in one HTTP body: deterministic CBOR (RFC 8949, 4.2.1) in the product's document
//! form.
//!
//! - delivery, to a signer: `["perennial", "delivery", 1, [incarnation, first number, [item, …]]]`
//! - parcel, from a signer: `["perennial", "parcel", 1, [item, …]]`
//!
//! Items are byte strings, and nobody looks into them here. Reading refuses everything that writing would not
//! produce. Large items are sent as they lie in memory; only the bytes around them are made.

use super::queue::Batch;
use super::{ITEM_BYTES_MAX, ITEMS_MAX};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use minicbor::{Decoder, Encoder};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The head of every delivery: an array of four, the domain label, the kind, the format version.
const DELIVERY_HEAD: &[u8] = b"\x84\x69perennial\x68delivery\x01";
/// The head of every parcel.
const PARCEL_HEAD: &[u8] = b"\x84\x69perennial\x66parcel\x01";
/// Items up to this size are copied beside their neighbours, because a frame of their own would cost more.
const COPIED_BYTES_MAX: usize = 4 << 10;
const MEMORY: &str = "writing to memory does not fail";

/// An HTTP body of known length, made of pieces that are sent without copying them together.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: VecDeque<Bytes>,
    remaining: u64,
}

impl Pieces {
    /// A body that consists of one piece.
    pub fn of(piece: impl Into<Bytes>) -> Self {
        let mut pieces = Self::default();
        pieces.push(piece.into());
        pieces
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.remaining += piece.len() as u64;
            self.pieces.push_back(piece);
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.remaining -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// The body of a poll's answer.
pub(super) fn write_delivery(incarnation: &[u8; 16], batch: &Batch) -> Pieces {
    let mut encoder = Encoder::new(DELIVERY_HEAD.to_vec());
    encoder.array(3).and_then(|e| e.bytes(incarnation)).and_then(|e| e.u64(batch.first)).expect(MEMORY);
    write_items(encoder, &batch.items)
}

fn write_items(mut encoder: Encoder<Vec<u8>>, items: &[Bytes]) -> Pieces {
    let mut pieces = Pieces::default();
    encoder.array(items.len() as u64).expect(MEMORY);
    for item in items {
        encoder.bytes_len(item.len() as u64).expect(MEMORY);
        if item.len() <= COPIED_BYTES_MAX {
            encoder.writer_mut().extend_from_slice(item);
        } else {
            pieces.push(std::mem::take(encoder.writer_mut()).into());
            pieces.push(item.clone());
        }
    }
    pieces.push(encoder.into_writer().into());
    pieces
}

/// Why a body is no parcel.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAParcel {
    #[error("the body is no parcel of version 1: it begins otherwise")]
    OtherKind,
    #[error("the parcel is broken or cut short: {0}")]
    Unreadable(String),
    #[error("the parcel is not in canonical form: trailing bytes, or lengths longer than needed")]
    NotCanonical,
    #[error("the parcel has {0} items; a parcel holds 1 to {ITEMS_MAX}")]
    ItemCount(u64),
    #[error("an item of the parcel has {0} bytes; the limit is {ITEM_BYTES_MAX}")]
    ItemTooLarge(usize),
}

impl From<minicbor::decode::Error> for NotAParcel {
    fn from(reason: minicbor::decode::Error) -> Self {
        Self::Unreadable(reason.to_string())
    }
}

/// The items of a parcel.
pub(super) fn read_parcel(body: Vec<u8>) -> Result<Vec<Vec<u8>>, NotAParcel> {
    let places = places_in_parcel(&body)?;
    Ok(cut(body, &places))
}

fn places_in_parcel(body: &[u8]) -> Result<Vec<Range<usize>>, NotAParcel> {
    let rest = body.strip_prefix(PARCEL_HEAD).ok_or(NotAParcel::OtherKind)?;
    let mut decoder = Decoder::new(rest);
    let count = decoder.array()?.ok_or(NotAParcel::NotCanonical)?;
    if count == 0 || count > ITEMS_MAX as u64 {
        return Err(NotAParcel::ItemCount(count));
    }
    let mut canonical_bytes = head_bytes(count);
    let mut places = Vec::new();
    for _ in 0..count {
        let length = decoder.bytes()?.len();
        if length > ITEM_BYTES_MAX {
            return Err(NotAParcel::ItemTooLarge(length));
        }
        canonical_bytes += head_bytes(length as u64) + length;
        let end = PARCEL_HEAD.len() + decoder.position();
        places.push(end - length..end);
    }
    if canonical_bytes != rest.len() {
        return Err(NotAParcel::NotCanonical);
    }
    Ok(places)
}

/// A large item comes alone, and then the body's memory becomes the item's.
fn cut(mut body: Vec<u8>, places: &[Range<usize>]) -> Vec<Vec<u8>> {
    if let [only] = places {
        body.truncate(only.end);
        body.drain(..only.start);
        return vec![body];
    }
    places.iter().map(|place| body[place.clone()].to_vec()).collect()
}

/// How long the shortest CBOR head (major type and argument) is for this argument.
fn head_bytes(argument: u64) -> usize {
    match argument {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(items: &[Bytes]) -> Vec<u8> {
        let pieces = write_items(Encoder::new(PARCEL_HEAD.to_vec()), items);
        pieces.pieces.iter().flatten().copied().collect()
    }

    #[test]
    fn a_parcel_of_small_and_large_items_is_read_back() {
        let items: Vec<Bytes> =
            [0, 23, 24, 255, 256, 4096, 4097, 70_000].iter().map(|&n| Bytes::from(vec![9; n])).collect();
        assert_eq!(read_parcel(parcel(&items)).expect("read"), items);
    }

    #[test]
    fn every_shortened_parcel_and_every_trailing_byte_is_refused() {
        let whole = parcel(&[Bytes::from_static(b"first"), Bytes::from(vec![1; 5000])]);
        for length in 0..whole.len() {
            assert!(read_parcel(whole[..length].to_vec()).is_err(), "{length} bytes");
        }
        assert_eq!(read_parcel([whole.as_slice(), b"\0"].concat()), Err(NotAParcel::NotCanonical));
    }

    #[test]
    fn long_lengths_indefinite_arrays_and_wrong_counts_are_refused() {
        let body = |rest: &[u8]| [PARCEL_HEAD, rest].concat();
        assert_eq!(read_parcel(body(b"\x81\x41a")), Ok(vec![b"a".to_vec()]));
        assert_eq!(read_parcel(body(b"\x98\x01\x41a")), Err(NotAParcel::NotCanonical));
        assert_eq!(read_parcel(body(b"\x81\x58\x01a")), Err(NotAParcel::NotCanonical));
        assert_eq!(read_parcel(body(b"\x9f\x41a\xff")), Err(NotAParcel::NotCanonical));
        assert!(matches!(read_parcel(body(b"\x81\x5f\x41a\xff")), Err(NotAParcel::Unreadable(_))));
        assert_eq!(read_parcel(body(b"\x80")), Err(NotAParcel::ItemCount(0)));
        assert_eq!(read_parcel(body(b"\x9a\xff\xff\xff\xff")), Err(NotAParcel::ItemCount(0xffff_ffff)));
        assert_eq!(read_parcel(b"\x81\x41a".to_vec()), Err(NotAParcel::OtherKind));
    }

    #[test]
    fn an_item_over_the_limit_is_refused() {
        let body = parcel(&[Bytes::from(vec![0; ITEM_BYTES_MAX + 1])]);
        assert_eq!(read_parcel(body), Err(NotAParcel::ItemTooLarge(ITEM_BYTES_MAX + 1)));
    }

    #[test]
    fn the_bytes_of_a_delivery_are_fixed() {
        let batch = Batch { first: 300, items: vec![Bytes::from_static(b"a"), Bytes::from_static(b"bc")] };
        let pieces = write_delivery(&[5; 16], &batch);
        let expected = [DELIVERY_HEAD, b"\x83\x50", &[5; 16], b"\x19\x01\x2c\x82\x41a\x42bc"].concat();
        assert_eq!(pieces.size_hint().exact(), Some(expected.len() as u64));
        assert_eq!(pieces.pieces.iter().flatten().copied().collect::<Vec<u8>>(), expected);
    }
}
