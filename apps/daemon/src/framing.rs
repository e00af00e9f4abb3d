//! How several items travel in one HTTP body: deterministic CBOR (RFC 8949, 4.2.1) in the product's document
//! form.
//!
//! - delivery, to a signer: `["perennial", "delivery", 1, [incarnation, first number, [item, …]]]`
//! - parcel, from a signer: `["perennial", "parcel", 1, [item, …]]`
//!
//! Items are byte strings, and nobody looks into them here. Reading refuses everything that writing would not
//! produce. Large items are sent as they lie in memory; only the bytes around them are made.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use minicbor::{Decoder, Encoder};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The largest item, in bytes.
pub const ITEM_BYTES_MAX: usize = 16 << 20;
/// The largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 32 << 20;
/// The most items in one body, in either direction.
pub const ITEMS_MAX: usize = 256;
/// The head of every delivery: an array of four, the domain label, the kind, the format version.
const DELIVERY_HEAD: &[u8] = b"\x84\x69perennial\x68delivery\x01";
/// The head of every parcel.
const PARCEL_HEAD: &[u8] = b"\x84\x69perennial\x66parcel\x01";
/// Items up to this size are copied beside their neighbours, because a frame of their own would cost more.
const COPIED_BYTES_MAX: usize = 4 << 10;
const MEMORY: &str = "writing to memory does not fail";

/// An HTTP body of known length, made of pieces that are sent without copying them together.
#[derive(Debug, Default)]
pub struct Pieces {
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

/// The body of a post.
pub fn write_parcel(items: &[Bytes]) -> Pieces {
    write_items(Encoder::new(PARCEL_HEAD.to_vec()), items)
}

/// The body of a poll's answer.
pub fn write_delivery(incarnation: &[u8; 16], first: u64, items: &[Bytes]) -> Pieces {
    let mut encoder = Encoder::new(DELIVERY_HEAD.to_vec());
    encoder.array(3).and_then(|e| e.bytes(incarnation)).and_then(|e| e.u64(first)).expect(MEMORY);
    write_items(encoder, items)
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

/// The answer to a poll.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which run of the coordinator counts here.
    pub incarnation: [u8; 16],
    /// The number of the first item.
    pub first: u64,
    /// The items.
    pub items: Vec<Vec<u8>>,
}

/// Why a body is no delivery.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADelivery {
    /// It begins otherwise.
    #[error("the answer is no delivery of version 1: it begins otherwise")]
    OtherKind,
    /// It is broken, or cut short.
    #[error("the delivery is broken or cut short: {0}")]
    Unreadable(String),
    /// Writing would not have produced it.
    #[error("the delivery is not in canonical form: trailing bytes, or lengths longer than needed")]
    NotCanonical,
    /// More items than a body may hold.
    #[error("the delivery has {0} items; the limit is {ITEMS_MAX}")]
    TooManyItems(u64),
    /// An item of so many bytes.
    #[error("an item of the delivery has {0} bytes; the limit is {ITEM_BYTES_MAX}")]
    ItemTooLarge(usize),
    /// Its items cannot be counted from that number.
    #[error("the delivery begins with the item number {0}, from which its items cannot be counted")]
    ImpossibleNumber(u64),
}

impl From<minicbor::decode::Error> for NotADelivery {
    fn from(reason: minicbor::decode::Error) -> Self {
        Self::Unreadable(reason.to_string())
    }
}

/// Reads the answer to a poll.
///
/// # Errors
/// [`NotADelivery`] for everything that [`write_delivery`] would not produce.
pub fn read_delivery(body: Vec<u8>) -> Result<Delivery, NotADelivery> {
    let rest = body.strip_prefix(DELIVERY_HEAD).ok_or(NotADelivery::OtherKind)?;
    let mut decoder = Decoder::new(rest);
    if decoder.array()? != Some(3) {
        return Err(NotADelivery::OtherKind);
    }
    let incarnation: [u8; 16] = decoder.bytes()?.try_into().map_err(|_| NotADelivery::OtherKind)?;
    let first = decoder.u64()?;
    if first == 0 || first > u64::MAX - ITEMS_MAX as u64 {
        return Err(NotADelivery::ImpossibleNumber(first));
    }
    let count = decoder.array()?.ok_or(NotADelivery::NotCanonical)?;
    if count > ITEMS_MAX as u64 {
        return Err(NotADelivery::TooManyItems(count));
    }
    let mut canonical_bytes = head_bytes(3) + head_bytes(16) + 16 + head_bytes(first) + head_bytes(count);
    let mut places = Vec::new();
    for _ in 0..count {
        let length = decoder.bytes()?.len();
        if length > ITEM_BYTES_MAX {
            return Err(NotADelivery::ItemTooLarge(length));
        }
        canonical_bytes += head_bytes(length as u64) + length;
        let end = DELIVERY_HEAD.len() + decoder.position();
        places.push(end - length..end);
    }
    if canonical_bytes != rest.len() {
        return Err(NotADelivery::NotCanonical);
    }
    Ok(Delivery { incarnation, first, items: cut(body, &places) })
}

/// Why a body is no parcel.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAParcel {
    /// It begins otherwise.
    #[error("the body is no parcel of version 1: it begins otherwise")]
    OtherKind,
    /// It is broken, or cut short.
    #[error("the parcel is broken or cut short: {0}")]
    Unreadable(String),
    /// Writing would not have produced it.
    #[error("the parcel is not in canonical form: trailing bytes, or lengths longer than needed")]
    NotCanonical,
    /// No items, or more than a body may hold.
    #[error("the parcel has {0} items; a parcel holds 1 to {ITEMS_MAX}")]
    ItemCount(u64),
    /// An item of so many bytes.
    #[error("an item of the parcel has {0} bytes; the limit is {ITEM_BYTES_MAX}")]
    ItemTooLarge(usize),
}

impl From<minicbor::decode::Error> for NotAParcel {
    fn from(reason: minicbor::decode::Error) -> Self {
        Self::Unreadable(reason.to_string())
    }
}

/// The items of a parcel.
///
/// # Errors
/// [`NotAParcel`] for everything that [`write_parcel`] would not produce, and for a parcel without items.
pub fn read_parcel(body: Vec<u8>) -> Result<Vec<Vec<u8>>, NotAParcel> {
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

    fn delivery(rest: &[u8]) -> Vec<u8> {
        [DELIVERY_HEAD, rest].concat()
    }

    #[test]
    fn a_delivery_is_read_and_every_shortened_or_longer_one_is_refused() {
        let whole = delivery(b"\x83\x50IIIIIIIIIIIIIIII\x19\x01\x2c\x82\x41a\x42bc");
        let items = vec![b"a".to_vec(), b"bc".to_vec()];
        assert_eq!(read_delivery(whole.clone()), Ok(Delivery { incarnation: [b'I'; 16], first: 300, items }));
        let single = delivery(b"\x83\x50IIIIIIIIIIIIIIII\x07\x81\x42bc");
        let items = vec![b"bc".to_vec()];
        assert_eq!(read_delivery(single), Ok(Delivery { incarnation: [b'I'; 16], first: 7, items }));
        for length in 0..whole.len() {
            assert!(read_delivery(whole[..length].to_vec()).is_err(), "{length} bytes");
        }
        assert_eq!(read_delivery([whole.as_slice(), b"\0"].concat()), Err(NotADelivery::NotCanonical));
    }

    #[test]
    fn long_lengths_wrong_shapes_and_impossible_numbers_are_refused() {
        let read = |rest: &[u8]| {
            read_delivery(delivery(&[b"\x83\x50IIIIIIIIIIIIIIII", rest].concat())).expect_err("refused")
        };
        assert_eq!(read(b"\x18\x01\x80"), NotADelivery::NotCanonical);
        assert_eq!(read(b"\x01\x9f\xff"), NotADelivery::NotCanonical);
        assert_eq!(read(b"\x01\x81\x58\x01a"), NotADelivery::NotCanonical);
        assert_eq!(read(b"\x00\x80"), NotADelivery::ImpossibleNumber(0));
        assert_eq!(
            read(b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x80"),
            NotADelivery::ImpossibleNumber(u64::MAX)
        );
        assert_eq!(read(b"\x01\x9a\xff\xff\xff\xff"), NotADelivery::TooManyItems(0xffff_ffff));
        assert_eq!(read_delivery(delivery(b"\x83\x41I\x01\x80")), Err(NotADelivery::OtherKind));
        assert_eq!(read_delivery(delivery(b"\x82\x41I\x01")), Err(NotADelivery::OtherKind));
    }

    #[test]
    fn the_bytes_of_a_parcel_are_fixed_and_a_large_item_is_not_copied() {
        let large = Bytes::from(vec![7; COPIED_BYTES_MAX + 1]);
        let parcel = write_parcel(&[Bytes::from_static(b"a"), large.clone(), Bytes::from_static(b"bc")]);
        assert_eq!(parcel.pieces[1].as_ptr(), large.as_ptr());
        let expected = [PARCEL_HEAD, b"\x83\x41a\x59\x10\x01", &large, b"\x42bc"].concat();
        assert_eq!(parcel.size_hint().exact(), Some(expected.len() as u64));
        assert_eq!(parcel.pieces.iter().flatten().copied().collect::<Vec<u8>>(), expected);
    }

    fn parcel(items: &[Bytes]) -> Vec<u8> {
        write_parcel(items).pieces.iter().flatten().copied().collect()
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
        let pieces = write_delivery(&[5; 16], 300, &[Bytes::from_static(b"a"), Bytes::from_static(b"bc")]);
        let expected = [DELIVERY_HEAD, b"\x83\x50", &[5; 16], b"\x19\x01\x2c\x82\x41a\x42bc"].concat();
        assert_eq!(pieces.size_hint().exact(), Some(expected.len() as u64));
        assert_eq!(pieces.pieces.iter().flatten().copied().collect::<Vec<u8>>(), expected);
    }
}
