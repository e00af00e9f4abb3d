//! The subgroup of prime order of edwards25519 on the `curve25519-dalek` crate.

use super::{Group, Point, SCALAR_BYTES, Scalar};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar as Number;
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};

/// The group of Ed25519 wallets: scalars modulo ℓ, no clamping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edwards25519;

impl Scalar for Number {
    const ZERO: Self = Number::ZERO;
    const ONE: Self = Number::ONE;

    fn from_u64(value: u64) -> Self {
        value.into()
    }

    fn decode(bytes: &[u8; SCALAR_BYTES]) -> Option<Self> {
        Number::from_canonical_bytes(*bytes).into()
    }

    fn encode(&self) -> [u8; SCALAR_BYTES] {
        self.to_bytes()
    }

    fn reduce(bytes: &[u8; 64]) -> Self {
        Number::from_bytes_mod_order_wide(bytes)
    }

    fn invert(&self) -> Option<Self> {
        (*self != Number::ZERO).then(|| Number::invert(self))
    }

    fn public_bits(&self) -> [u8; SCALAR_BYTES] {
        self.to_bytes()
    }
}

impl Group for Edwards25519 {
    type Scalar = Number;
    type Element = EdwardsPoint;

    fn identity() -> EdwardsPoint {
        EdwardsPoint::identity()
    }

    fn generate(scalar: &Number) -> EdwardsPoint {
        EdwardsPoint::mul_base(scalar)
    }

    fn multiply_public(scalar: &Number, element: &EdwardsPoint) -> EdwardsPoint {
        EdwardsPoint::vartime_double_scalar_mul_basepoint(scalar, element, &Number::ZERO)
    }

    fn double(element: &EdwardsPoint) -> EdwardsPoint {
        element + element
    }

    fn sum_public(scalars: &[Number], elements: &[EdwardsPoint]) -> EdwardsPoint {
        let length = scalars.len().min(elements.len());
        EdwardsPoint::vartime_multiscalar_mul(&scalars[..length], &elements[..length])
    }

    fn encode_all(elements: &[EdwardsPoint]) -> Vec<Point> {
        EdwardsPoint::compress_batch_alloc(elements)
            .iter()
            .map(|compressed| Point::from_bytes(compressed.as_bytes()).expect("32 bytes"))
            .collect()
    }

    fn decode(point: &Point) -> Option<EdwardsPoint> {
        Self::decode_own(point).filter(EdwardsPoint::is_torsion_free)
    }

    fn decode_own(point: &Point) -> Option<EdwardsPoint> {
        let compressed = CompressedEdwardsY(point.as_bytes().try_into().ok()?);
        let element = compressed.decompress()?;
        // Decompression accepts a few second spellings (y ≥ p, a signed zero); one spelling is enough.
        (element.compress() == compressed && !element.is_identity()).then_some(element)
    }
}
