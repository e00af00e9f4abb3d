//! The small group trait that redistribution stands on.
//!
//! The engines bring group libraries of different generations that share no bound, so redistribution has a
//! trait of its own and engines are handed bytes. Nothing here knows which values are secret: operations that
//! may take time that depends on their arguments say `public` in their name.

mod edwards;
mod multiply;
mod secp256k1;
#[cfg(feature = "simulation")]
mod transparent;

pub use edwards::Edwards25519;
pub use secp256k1::{Secp256k1, UNCOMPRESSED_BYTES, read_uncompressed};
#[cfg(feature = "simulation")]
pub use transparent::Transparent;

use crate::wallet::Scheme;
use minicbor::{Decode, Encode};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Add, Mul, Sub};
use zeroize::Zeroize;

/// The length of a scalar's canonical bytes in every group.
pub const SCALAR_BYTES: usize = 32;

/// The longest canonical form of an element.
pub const POINT_BYTES_MAX: usize = 33;

/// The longest form of a published commitment: uncompressed SEC1.
const COMMITMENT_BYTES_MAX: usize = 65;

/// A group element in its canonical bytes: compressed SEC1 (33 bytes) on secp256k1, RFC 8032 (32 bytes) on
/// edwards25519; or, in a dealing alone, one in the form in which [`Group::commit_all`] publishes it. A `Point` is
/// text; only [`Group::decode`] says whether it stands for an element.
///
/// One that [`Group::encode_all`] made, and every copy of it, remembers the coordinate that its bytes leave out, so that
/// reading it takes no square root. That is no part of it: it is neither written nor compared, and one that was read from
/// the wire or a disk remembers nothing.
#[derive(Clone, Copy)]
pub struct Point {
    /// How many of the bytes are the point's own.
    length: u8,
    /// How many are there; those behind `length` are remembered.
    known: u8,
    bytes: [u8; COMMITMENT_BYTES_MAX],
}

impl Point {
    /// Wraps canonical bytes, none if they are too long for any group.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::remembering(bytes, &[]).filter(|point| point.as_bytes().len() <= POINT_BYTES_MAX)
    }

    /// Wraps the bytes of a published commitment, none if they are too long for any.
    fn published(bytes: &[u8]) -> Option<Self> {
        Self::remembering(bytes, &[])
    }

    /// Wraps canonical bytes, with what is remembered beside them.
    fn remembering(bytes: &[u8], beside: &[u8]) -> Option<Self> {
        let length = u8::try_from(bytes.len()).ok()?;
        let known = length.checked_add(u8::try_from(beside.len()).ok()?)?;
        let mut all = [0; COMMITMENT_BYTES_MAX];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        all.get_mut(bytes.len()..known.into())?.copy_from_slice(beside);
        Some(Self { length, known, bytes: all })
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// What is remembered beside them; empty if nothing is.
    fn beside(&self) -> &[u8] {
        &self.bytes[usize::from(self.length)..usize::from(self.known)]
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Point {}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<C> Encode<C> for Point {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(self.as_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Point {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::from_bytes(decoder.bytes()?)
            .ok_or_else(|| minicbor::decode::Error::message("a point has at most 33 bytes"))
    }
}

/// Reads published commitments: points that may be longer than others.
pub(crate) fn decode_commitments<'b, C>(
    decoder: &mut minicbor::Decoder<'b>,
    context: &mut C,
) -> Result<Vec<Point>, minicbor::decode::Error> {
    struct Published(Point);
    impl<'b, C> Decode<'b, C> for Published {
        fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
            let point = Point::published(decoder.bytes()?);
            let too_long = || minicbor::decode::Error::message("a commitment has at most 65 bytes");
            point.map(Self).ok_or_else(too_long)
        }
    }
    let points = Vec::<Published>::decode(decoder, context)?;
    Ok(points.into_iter().map(|point| point.0).collect())
}

/// A scalar of a group of prime order.
pub trait Scalar:
    Copy
    + PartialEq
    + Send
    + Sync
    + Zeroize
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + 'static
{
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;

    /// A small number.
    fn from_u64(value: u64) -> Self;
    /// Reads canonical bytes, none if they are not below the order.
    fn decode(bytes: &[u8; SCALAR_BYTES]) -> Option<Self>;
    /// The canonical bytes: big-endian on secp256k1, little-endian on edwards25519.
    fn encode(&self) -> [u8; SCALAR_BYTES];
    /// Reduces 64 bytes; uniform bytes give a uniform scalar.
    fn reduce(bytes: &[u8; 64]) -> Self;
    /// The multiplicative inverse, none for zero. Constant time.
    fn invert(&self) -> Option<Self>;
    /// The number as little-endian bytes, for bit-by-bit algorithms over public scalars.
    fn public_bits(&self) -> [u8; SCALAR_BYTES];
}

/// A group of prime order with a fixed generator `G`.
pub trait Group: Copy + fmt::Debug + Send + Sync + 'static {
    /// Its scalars.
    type Scalar: Scalar;
    /// Its elements.
    type Element: Copy
        + PartialEq
        + Send
        + Sync
        + Add<Output = Self::Element>
        + Sub<Output = Self::Element>
        + fmt::Debug
        + 'static;

    /// The neutral element.
    fn identity() -> Self::Element;
    /// `scalar · G` in constant time.
    fn generate(scalar: &Self::Scalar) -> Self::Element;
    /// `scalar · element` in variable time, for public values only.
    fn multiply_public(scalar: &Self::Scalar, element: &Self::Element) -> Self::Element;
    /// `element + element`.
    fn double(element: &Self::Element) -> Self::Element;
    /// `Σ scalars_i · elements_i` in variable time, for public values only.
    fn sum_public(scalars: &[Self::Scalar], elements: &[Self::Element]) -> Self::Element {
        multiply::sum_public::<Self>(scalars, elements)
    }
    /// The canonical bytes of elements, normalised together.
    fn encode_all(elements: &[Self::Element]) -> Vec<Point>;
    /// Reads canonical bytes; none for the identity, for bytes that are not canonical, and for elements
    /// outside the subgroup of prime order.
    fn decode(point: &Point) -> Option<Self::Element>;
    /// Reads bytes that this process has checked with [`Group::decode`] or made before (its own records);
    /// skips the check for the subgroup.
    fn decode_own(point: &Point) -> Option<Self::Element> {
        Self::decode(point)
    }

    /// The published forms of `scalar · G` for each scalar, in constant time: what a dealer commits to its
    /// coefficients with. They are written in such a way that whoever reads them need not ask whether they lie in
    /// the subgroup of prime order; see [`Group::read_commitment`].
    fn commit_all(scalars: &[Self::Scalar]) -> Vec<Point> {
        let elements: Vec<Self::Element> = scalars.iter().map(Self::generate).collect();
        Self::encode_all(&elements)
    }
    /// The element that a published commitment stands for; none for the identity and for bytes that are none of the
    /// group's forms of one. It always lies in the subgroup of prime order.
    fn read_commitment(point: &Point) -> Option<Self::Element> {
        Self::decode(point)
    }

    /// The canonical bytes of one element.
    fn encode(element: &Self::Element) -> Point {
        Self::encode_all(std::slice::from_ref(element))[0]
    }
}

/// Runs a generic expression in the group of a scheme: `with_group!(scheme, G => function::<G>(…))`.
// There are two of it, because a `cfg` inside would ask for the features of the crate that uses it.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! with_group {
    ($scheme:expr, $group:ident => $body:expr) => {
        match $crate::group::Curve::of($scheme) {
            $crate::group::Curve::Secp256k1 => {
                type $group = $crate::group::Secp256k1;
                $body
            }
            $crate::group::Curve::Edwards25519 => {
                type $group = $crate::group::Edwards25519;
                $body
            }
        }
    };
}

/// Runs a generic expression in the group of a scheme, the transparent one among them.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! with_group {
    ($scheme:expr, $group:ident => $body:expr) => {
        match $crate::group::Curve::of($scheme) {
            $crate::group::Curve::Secp256k1 => {
                type $group = $crate::group::Secp256k1;
                $body
            }
            $crate::group::Curve::Edwards25519 => {
                type $group = $crate::group::Edwards25519;
                $body
            }
            $crate::group::Curve::Transparent => {
                type $group = $crate::group::Transparent;
                $body
            }
        }
    };
}

/// Which group a scheme lives in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Curve {
    /// secp256k1 (SEC 2).
    Secp256k1,
    /// The subgroup of prime order of edwards25519 (RFC 7748).
    Edwards25519,
    /// The integers modulo a prime, where the logarithm is no secret; for the simulator alone.
    #[cfg(feature = "simulation")]
    Transparent,
}

impl Curve {
    /// The group of a scheme.
    pub fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Ecdsa | Scheme::Taproot => Self::Secp256k1,
            Scheme::Ed25519 => Self::Edwards25519,
            #[cfg(feature = "simulation")]
            Scheme::Transparent => Self::Transparent,
        }
    }
}

/// The Lagrange coefficient of the share at `index` for the value at zero, among the shares at `indices`.
///
/// Returns none when `indices` does not hold `index` exactly once, or repeats an index.
pub fn lagrange_at_zero<S: Scalar>(index: u8, indices: &[u8]) -> Option<S> {
    if indices.iter().filter(|&&other| other == index).count() != 1 {
        return None;
    }
    let own = S::from_u64(index.into());
    let mut numerator = S::ONE;
    let mut denominator = S::ONE;
    for &other in indices.iter().filter(|&&other| other != index) {
        let other = S::from_u64(other.into());
        numerator = numerator * other;
        denominator = denominator * (other - own);
    }
    Some(numerator * denominator.invert()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars<S: Scalar>(count: u64) -> Vec<S> {
        let seed = S::reduce(&[0xa7; 64]);
        (1..=count).map(|n| seed * S::from_u64(n * n + 1) + S::from_u64(n)).collect()
    }

    fn group_holds_together<G: Group>() {
        let numbers = scalars::<G::Scalar>(40);
        let elements: Vec<_> = numbers.iter().map(G::generate).collect();
        for (number, element) in numbers.iter().zip(&elements) {
            assert!(G::Scalar::decode(&number.encode()) == Some(*number));
            assert_eq!(G::decode(&G::encode(element)), Some(*element));
            assert_eq!(G::read_commitment(&G::commit_all(&[*number])[0]), Some(*element));
            assert_eq!(G::double(element), *element + *element);
            assert_eq!(G::multiply_public(number, &G::generate(&G::Scalar::ONE)), *element);
            let inverse = number.invert().expect("not zero");
            assert!(inverse * *number == G::Scalar::ONE);
        }
        for length in [0, 1, 2, 7, 40] {
            let expected = numbers[..length]
                .iter()
                .zip(&elements)
                .fold(G::identity(), |sum, (number, element)| sum + G::multiply_public(number, element));
            assert_eq!(G::sum_public(&numbers[..length], &elements[..length]), expected);
        }
        assert_eq!(G::encode_all(&elements), elements.iter().map(G::encode).collect::<Vec<_>>());
        assert_eq!(G::decode(&G::encode(&G::identity())), None, "the identity is no share of anything");
        let nothing = G::commit_all(&[G::Scalar::ZERO]);
        assert_eq!(G::read_commitment(&nothing[0]), None, "nobody commits to zero");
    }

    #[test]
    fn every_group_keeps_the_laws_that_redistribution_uses() {
        group_holds_together::<Secp256k1>();
        group_holds_together::<Edwards25519>();
        #[cfg(feature = "simulation")]
        group_holds_together::<Transparent>();
    }

    #[test]
    fn what_a_point_remembers_is_no_part_of_it() {
        let element = Secp256k1::generate(&scalars(1)[0]);
        let made = Secp256k1::encode(&element);
        let read = Point::from_bytes(made.as_bytes()).expect("33 bytes");
        assert!(!made.beside().is_empty() && read.beside().is_empty());
        assert_eq!(made, read);
        assert_eq!(std::collections::HashSet::from([made, read]).len(), 1);
        assert_eq!(minicbor::to_vec(made).expect("bytes"), minicbor::to_vec(read).expect("bytes"));
        assert_eq!((Secp256k1::decode(&made), Secp256k1::decode(&read)), (Some(element), Some(element)));
    }

    #[test]
    fn a_commitment_on_secp256k1_has_both_coordinates_of_a_point_of_the_curve() {
        let scalar = scalars(1)[0];
        let element = Secp256k1::generate(&scalar);
        let commitment = Secp256k1::commit_all(&[scalar])[0];
        let read = |bytes: &[u8]| Secp256k1::read_commitment(&Point::published(bytes)?);
        let bytes = commitment.as_bytes();
        assert_eq!((bytes[0], bytes.len()), (4, 65));
        assert_eq!(read(bytes), Some(element));
        assert_eq!(read(Secp256k1::encode(&element).as_bytes()), None, "a commitment has one spelling");
        assert_eq!(Secp256k1::decode(&commitment), None, "shares and keys have one spelling");
        for at in 0..65 {
            let mut altered: [u8; 65] = bytes.try_into().expect("65 bytes");
            altered[at] ^= 1;
            assert_eq!(read(&altered), None, "byte {at}");
        }
        assert_eq!(read(&bytes[..64]), None);
        assert!(Point::from_bytes(bytes).is_none(), "nothing else is so long");
        let written = minicbor::to_vec(commitment).expect("bytes");
        assert!(minicbor::decode::<Point>(&written).is_err());
        assert_eq!(read(&[&[4][..], &[0xff; 64]].concat()), None, "coordinates above the prime");
    }

    #[test]
    fn an_edwards_point_with_a_torsion_part_is_refused() {
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        for torsion in &EIGHT_TORSION[1..] {
            let mixed = (ED25519_BASEPOINT_POINT + torsion).compress();
            let point = Point::from_bytes(mixed.as_bytes()).expect("32 bytes");
            assert_eq!(Edwards25519::decode(&point), None);
        }
    }

    #[test]
    fn no_commitment_has_a_torsion_part() {
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        let read = |element: curve25519_dalek::EdwardsPoint| {
            let point = Point::from_bytes(element.compress().as_bytes()).expect("32 bytes");
            Edwards25519::read_commitment(&point)
        };
        for torsion in &EIGHT_TORSION {
            assert_eq!(read(*torsion), None, "an element of small order commits to nothing");
            let element = read(ED25519_BASEPOINT_POINT + torsion).expect("a commitment");
            assert!(element.is_torsion_free());
        }
    }

    #[test]
    fn scalars_at_or_above_the_order_are_refused() {
        // The order of secp256k1 (SEC 2, section 2.4.1).
        let mut order = [0; 32];
        let digits = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        hex::decode_to_slice(digits, &mut order).expect("digits");
        assert!(<Secp256k1 as Group>::Scalar::decode(&order).is_none());
        assert!(<Edwards25519 as Group>::Scalar::decode(&[0xff; 32]).is_none());
    }

    #[test]
    fn lagrange_coefficients_open_a_polynomial_at_zero() {
        type S = <Secp256k1 as Group>::Scalar;
        let (free, slope) = (S::from_u64(11), S::from_u64(5));
        let value = |at: u8| free + slope * S::from_u64(at.into());
        let seats = [2, 7];
        let opened = seats.iter().fold(S::ZERO, |sum, &seat| {
            sum + lagrange_at_zero::<S>(seat, &seats).expect("a seat of the set") * value(seat)
        });
        assert!(opened == free);
        assert!(lagrange_at_zero::<S>(3, &seats).is_none());
        assert!(lagrange_at_zero::<S>(2, &[2, 2]).is_none());
    }
}
