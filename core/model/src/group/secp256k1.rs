//! secp256k1 on the `k256` crate.

use super::{Group, Point, SCALAR_BYTES, Scalar, multiply};
use k256::elliptic_curve::BatchNormalize;
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::group::GroupEncoding;
use k256::elliptic_curve::ops::{LinearCombination, MulVartime, Reduce};
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, ProjectivePoint};

/// The length of a point that is not compressed.
pub const UNCOMPRESSED_BYTES: usize = 65;

/// Up to so many products the library's sum, which halves scalars by the curve's endomorphism, is the faster.
const FEW: usize = 16;

/// The group of ECDSA and BIP-340 wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secp256k1;

impl Scalar for k256::Scalar {
    const ZERO: Self = k256::Scalar::ZERO;
    const ONE: Self = k256::Scalar::ONE;

    fn from_u64(value: u64) -> Self {
        value.into()
    }

    fn decode(bytes: &[u8; SCALAR_BYTES]) -> Option<Self> {
        Self::from_repr((*bytes).into()).into()
    }

    fn encode(&self) -> [u8; SCALAR_BYTES] {
        self.to_bytes().into()
    }

    fn reduce(bytes: &[u8; 64]) -> Self {
        <Self as Reduce<k256::WideBytes>>::reduce(&(*bytes).into())
    }

    fn invert(&self) -> Option<Self> {
        k256::Scalar::invert(self).into()
    }

    fn public_bits(&self) -> [u8; SCALAR_BYTES] {
        let mut bits = self.encode();
        bits.reverse();
        bits
    }
}

impl Group for Secp256k1 {
    type Scalar = k256::Scalar;
    type Element = ProjectivePoint;

    fn identity() -> ProjectivePoint {
        ProjectivePoint::IDENTITY
    }

    fn generate(scalar: &k256::Scalar) -> ProjectivePoint {
        ProjectivePoint::mul_by_generator(scalar)
    }

    fn multiply_public(scalar: &k256::Scalar, element: &ProjectivePoint) -> ProjectivePoint {
        element.mul_vartime(scalar)
    }

    fn double(element: &ProjectivePoint) -> ProjectivePoint {
        element.double()
    }

    fn sum_public(scalars: &[k256::Scalar], elements: &[ProjectivePoint]) -> ProjectivePoint {
        if scalars.len().min(elements.len()) > FEW {
            return multiply::sum_public::<Self>(scalars, elements);
        }
        let terms: Vec<(ProjectivePoint, k256::Scalar)> =
            elements.iter().copied().zip(scalars.iter().copied()).collect();
        ProjectivePoint::lincomb_vartime(terms.as_slice())
    }

    fn encode_all(elements: &[ProjectivePoint]) -> Vec<Point> {
        ProjectivePoint::batch_normalize(elements)
            .iter()
            .map(|affine| Point::remembering(&affine.to_bytes(), &affine.y()).expect("65 bytes"))
            .collect()
    }

    fn decode(point: &Point) -> Option<ProjectivePoint> {
        let bytes: &[u8; 33] = point.as_bytes().try_into().ok()?;
        let [2 | 3, x @ ..] = bytes else { return None };
        match point.beside().try_into() {
            Ok(y) => at(x, y).map(ProjectivePoint::from),
            Err(_) => {
                let affine: Option<AffinePoint> = AffinePoint::from_bytes(&(*bytes).into()).into();
                affine.map(ProjectivePoint::from)
            }
        }
    }

    /// Uncompressed SEC1: the second coordinate costs the reader a square root, which is more than all else that it
    /// does with a commitment, and 32 bytes on the wire.
    fn commit_all(scalars: &[k256::Scalar]) -> Vec<Point> {
        let elements: Vec<ProjectivePoint> = scalars.iter().map(Self::generate).collect();
        ProjectivePoint::batch_normalize(elements.as_slice())
            .iter()
            .map(|affine| Point::published(affine.to_sec1_point(false).as_bytes()).expect("65 bytes"))
            .collect()
    }

    fn read_commitment(point: &Point) -> Option<ProjectivePoint> {
        read_uncompressed(point.as_bytes().try_into().ok()?).map(ProjectivePoint::from)
    }
}

/// The point with these uncompressed bytes (SEC 1, section 2.3.3); none if they are not those of a point of the curve, or
/// not canonical.
pub fn read_uncompressed(bytes: &[u8; UNCOMPRESSED_BYTES]) -> Option<AffinePoint> {
    match bytes.split_first()? {
        (4, coordinates) => match coordinates.as_chunks() {
            ([x, y], []) => at(x, y),
            _ => None,
        },
        _ => None,
    }
}

/// The point with these coordinates; none if they are not those of a point of the curve, or not canonical.
fn at(x: &[u8; 32], y: &[u8; 32]) -> Option<AffinePoint> {
    AffinePoint::from_coordinates(&(*x).into(), &(*y).into()).into()
}
