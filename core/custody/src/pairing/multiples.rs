//! Multiples of one point, ready for multiplying it by many secrets: `Σ digit_i · 16^i · P` is then 64 additions and
//! no doubling. Every entry of a row is looked at for every digit, so time and memory say nothing of the secret.

use k256::{ProjectivePoint, Scalar as Number};
use perennial_model::group::Scalar as _;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// How many digits to the base 16 a scalar has.
const DIGITS: usize = 64;

/// Row `i` holds `0, 1, … 15` times `16^i · P`.
pub(super) struct Multiples(Vec<[ProjectivePoint; 16]>);

impl Multiples {
    pub fn of(point: ProjectivePoint) -> Self {
        let mut unit = point;
        let row = |_| {
            let mut row = [ProjectivePoint::IDENTITY; 16];
            for at in 1..row.len() {
                row[at] = row[at - 1] + unit;
            }
            unit += row[15];
            row
        };
        Self((0..DIGITS).map(row).collect())
    }

    /// `secret · P`.
    pub fn multiply(&self, secret: &Number) -> ProjectivePoint {
        let bytes = Zeroizing::new(secret.encode());
        let mut sum = ProjectivePoint::IDENTITY;
        for (at, row) in self.0.iter().enumerate() {
            let byte = bytes[bytes.len() - 1 - at / 2];
            let digit = if at % 2 == 0 { byte & 15 } else { byte >> 4 };
            let mut multiple = ProjectivePoint::IDENTITY;
            for (number, entry) in (0_u8..).zip(row) {
                multiple.conditional_assign(entry, number.ct_eq(&digit));
            }
            sum += multiple;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::choices::random;
    use super::super::tests::rng;
    use super::*;

    #[test]
    fn every_multiple_is_that_of_the_library() {
        let rng = &mut rng();
        let point = ProjectivePoint::mul_by_generator(&random(rng));
        let multiples = Multiples::of(point);
        let mut secrets: Vec<Number> = (0..40).map(|_| random(rng)).collect();
        secrets.extend([
            Number::ZERO,
            Number::ONE,
            -Number::ONE,
            Number::from(16_u64),
            Number::from(255_u64),
        ]);
        for secret in secrets {
            assert_eq!(multiples.multiply(&secret), point * secret);
        }
    }
}
