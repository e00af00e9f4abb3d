//! The subgroup of prime order of edwards25519 on the `curve25519-dalek` crate.

use super::{Group, Point, SCALAR_BYTES, Scalar};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar as Number;
use curve25519_dalek::traits::{Identity, IsIdentity, VartimeMultiscalarMul};
use std::sync::LazyLock;
use zeroize::Zeroize;

/// The group of Ed25519 wallets: scalars modulo ℓ, no clamping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edwards25519;

/// The inverse of the cofactor modulo ℓ.
static EIGHTH: LazyLock<Number> = LazyLock::new(|| Number::from(8_u64).invert());

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
        let bytes = point.as_bytes().try_into().ok()?;
        if is_second_spelling(&bytes) {
            return None;
        }
        CompressedEdwardsY(bytes).decompress().filter(|element| !element.is_identity())
    }

    /// An eighth of each element is published, since eight times anything lies in the subgroup of prime order.
    /// The alternative, a multiplication by ℓ per point, is most of what a reader does.
    fn commit_all(scalars: &[Number]) -> Vec<Point> {
        let eighth = |scalar: &Number| {
            let mut part = scalar * *EIGHTH;
            let element = EdwardsPoint::mul_base(&part);
            part.zeroize();
            element
        };
        let elements: Vec<EdwardsPoint> = scalars.iter().map(eighth).collect();
        Self::encode_all(&elements)
    }

    fn read_commitment(point: &Point) -> Option<EdwardsPoint> {
        let element = Self::decode_own(point)?.mul_by_cofactor();
        (!element.is_identity()).then_some(element)
    }
}

/// Whether decompression would accept bytes that it never makes: a `y` at or above the prime 2^255 - 19, or a
/// sign on the zero `x` that goes with `y = -1` (that of `y = 1` belongs to the identity, which is refused anyway).
fn is_second_spelling(bytes: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = bytes;
    let near_the_prime = middle.iter().all(|&byte| byte == 0xff) && highest & 0x7f == 0x7f;
    near_the_prime && (*lowest >= 0xed || (*lowest == 0xec && highest & 0x80 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_one_spelling() {
        let made = (1..200_u64).map(|n| EdwardsPoint::mul_base(&Number::from(n)).compress().0);
        let near_the_prime = (0x80..=0xff).flat_map(|lowest| {
            [0x7f, 0xff].map(|highest| {
                let mut bytes = [0xff; 32];
                (bytes[0], bytes[31]) = (lowest, highest);
                bytes
            })
        });
        let near_zero = (0..=0xff).flat_map(|lowest| {
            [0, 0x80].map(|highest| {
                let mut bytes = [0; 32];
                (bytes[0], bytes[31]) = (lowest, highest);
                bytes
            })
        });
        for bytes in made.chain(near_the_prime).chain(near_zero) {
            let compressed = CompressedEdwardsY(bytes);
            let expected = compressed
                .decompress()
                .filter(|element| element.compress() == compressed && !element.is_identity());
            let point = Point::from_bytes(&bytes).expect("32 bytes");
            assert_eq!(Edwards25519::decode_own(&point), expected, "{point}");
        }
    }
}
