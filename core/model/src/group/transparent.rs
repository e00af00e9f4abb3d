//! The integers modulo the prime 2^61 - 1 under addition, with generator 1: every logarithm is its own
//! element. It lets the simulator run the shipped protocol tens of thousands of times and open every share.

use super::{Group, Point, SCALAR_BYTES, Scalar};
use std::ops::{Add, Mul, Sub};

/// The Mersenne prime 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

/// A group in which nothing is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transparent;

/// A number modulo 2^61 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residue(u64);

impl zeroize::DefaultIsZeroes for Residue {}

impl Add for Residue {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(once_reduced(self.0 + other.0))
    }
}

impl Sub for Residue {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(once_reduced(self.0 + PRIME - other.0))
    }
}

impl Mul for Residue {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        // 2^61 is 1 here, so what stands above the lower 61 bits is added to them.
        let product = u128::from(self.0) * u128::from(other.0);
        Self(once_reduced((product as u64 & PRIME) + (product >> 61) as u64))
    }
}

/// Of a number below twice the prime.
fn once_reduced(number: u64) -> u64 {
    if number < PRIME { number } else { number - PRIME }
}

impl Scalar for Residue {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    fn from_u64(value: u64) -> Self {
        Self(value % PRIME)
    }

    fn decode(bytes: &[u8; SCALAR_BYTES]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let number = u64::from_le_bytes(*number);
        (number < PRIME && rest.iter().all(|&byte| byte == 0)).then_some(Self(number))
    }

    fn encode(&self) -> [u8; SCALAR_BYTES] {
        let mut bytes = [0; SCALAR_BYTES];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes
    }

    fn reduce(bytes: &[u8; 64]) -> Self {
        let (number, _) = bytes.split_first_chunk::<16>().expect("64 bytes hold 16");
        Self((u128::from_le_bytes(*number) % u128::from(PRIME)) as u64)
    }

    fn invert(&self) -> Option<Self> {
        (self.0 != 0).then(|| {
            let (mut power, mut base, mut exponent) = (Self::ONE, *self, PRIME - 2);
            while exponent > 0 {
                if exponent & 1 == 1 {
                    power = power * base;
                }
                base = base * base;
                exponent >>= 1;
            }
            power
        })
    }

    fn public_bits(&self) -> [u8; SCALAR_BYTES] {
        self.encode()
    }
}

impl Group for Transparent {
    type Scalar = Residue;
    type Element = Residue;

    fn identity() -> Residue {
        Residue::ZERO
    }

    fn generate(scalar: &Residue) -> Residue {
        *scalar
    }

    fn multiply_public(scalar: &Residue, element: &Residue) -> Residue {
        *scalar * *element
    }

    fn double(element: &Residue) -> Residue {
        *element + *element
    }

    fn sum_public(scalars: &[Residue], elements: &[Residue]) -> Residue {
        scalars.iter().zip(elements).fold(Residue::ZERO, |sum, (s, e)| sum + *s * *e)
    }

    fn encode_all(elements: &[Residue]) -> Vec<Point> {
        elements.iter().map(|e| Point::from_bytes(&e.0.to_le_bytes()).expect("8 bytes")).collect()
    }

    fn decode(point: &Point) -> Option<Residue> {
        let number = u64::from_le_bytes(point.as_bytes().try_into().ok()?);
        (number < PRIME && number != 0).then_some(Residue(number))
    }
}
