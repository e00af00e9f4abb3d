//! `Σ s_i · P_i` over public values by the bucket method (Pippenger 1976; Bernstein, Doumen, Lange, Oosterwijk
//! 2012, section 4) with signed digits, which halve the buckets. Its time depends on scalars and points: nothing
//! secret may come here.

use super::{Group, SCALAR_BYTES, Scalar};

/// The widest digit that is tried, in bits.
const WIDTH_MAX: usize = 12;

/// `Σ scalars_i · elements_i`; lists of unequal length are cut to the shorter.
pub(super) fn sum_public<G: Group>(scalars: &[G::Scalar], elements: &[G::Element]) -> G::Element {
    let numbers: Vec<[u8; SCALAR_BYTES]> =
        scalars.iter().zip(elements).map(|(scalar, _)| scalar.public_bits()).collect();
    let highest = numbers.iter().filter_map(|number| number.iter().rposition(|&byte| byte != 0)).max();
    let Some(highest) = highest else { return G::identity() };
    // One bit more than the numbers have: the last digit may pass on a one.
    let bits = (highest + 1) * 8 + 1;
    let width = best_width(bits, numbers.len());
    let windows = bits.div_ceil(width);
    let digits: Vec<i16> =
        numbers.iter().flat_map(|number| signed_digits(number, width).take(windows)).collect();
    let mut buckets = vec![None::<G::Element>; 1 << (width - 1)];
    let mut sum = G::identity();
    for window in (0..windows).rev() {
        if window + 1 < windows {
            for _ in 0..width {
                sum = G::double(&sum);
            }
        }
        let of_window = digits.iter().skip(window).step_by(windows);
        sum = sum + window_sum::<G>(of_window, elements, &mut buckets);
    }
    sum
}

/// The sum of one window: every element goes to the bucket of its digit's size, bucket `d` counts `d` times.
fn window_sum<'a, G: Group>(
    digits: impl Iterator<Item = &'a i16>,
    elements: &[G::Element],
    buckets: &mut [Option<G::Element>],
) -> G::Element {
    buckets.fill(None);
    for (&digit, element) in digits.zip(elements) {
        if digit == 0 {
            continue;
        }
        let bucket = &mut buckets[usize::from(digit.unsigned_abs()) - 1];
        *bucket = Some(match (*bucket, digit > 0) {
            (Some(held), true) => held + *element,
            (Some(held), false) => held - *element,
            (None, true) => *element,
            (None, false) => G::identity() - *element,
        });
    }
    let mut running: Option<G::Element> = None;
    let mut sum = G::identity();
    for bucket in buckets.iter().rev() {
        if let Some(held) = bucket {
            running = Some(running.map_or(*held, |running| running + *held));
        }
        if let Some(running) = running {
            sum = sum + running;
        }
    }
    sum
}

/// The digits of a little-endian number to the base `2^width`, lowest first, each between `-2^(width-1)` and
/// `2^(width-1)`; zeros without end above the number.
fn signed_digits(number: &[u8; SCALAR_BYTES], width: usize) -> impl Iterator<Item = i16> + '_ {
    let half = 1_i16 << (width - 1);
    let mut carry = 0;
    (0..).map(move |window| {
        let digit = unsigned_digit(number, window * width, width) + carry;
        carry = i16::from(digit > half);
        digit - (carry << width)
    })
}

/// `width` bits of a little-endian number from bit `from_bit` on.
fn unsigned_digit(number: &[u8; SCALAR_BYTES], from_bit: usize, width: usize) -> i16 {
    let mut window = 0_u32;
    for (at, byte) in number.iter().skip(from_bit / 8).take(3).enumerate() {
        window |= u32::from(*byte) << (8 * at);
    }
    ((window >> (from_bit % 8)) & ((1 << width) - 1)) as i16
}

/// The width with the fewest additions: per window one for each number and two for each bucket.
fn best_width(bits: usize, count: usize) -> usize {
    let additions = |width: &usize| bits.div_ceil(*width) * (count + (1 << width));
    (2..=WIDTH_MAX).min_by_key(additions).unwrap_or(WIDTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Secp256k1;

    type S = <Secp256k1 as Group>::Scalar;

    #[test]
    fn signed_digits_are_the_number_at_every_width() {
        let order_less_one = S::ZERO - S::ONE;
        let numbers = [S::ONE, S::reduce(&[0x5a; 64]), S::reduce(&[0xff; 64]), order_less_one];
        for number in numbers {
            for width in 2..=WIDTH_MAX {
                let base = S::from_u64(1 << width);
                let digits: Vec<i16> =
                    signed_digits(&number.public_bits(), width).take(257_usize.div_ceil(width)).collect();
                let sum = digits.iter().rev().fold(S::ZERO, |sum, digit| {
                    assert!(usize::from(digit.unsigned_abs()) <= 1 << (width - 1));
                    let size = S::from_u64(digit.unsigned_abs().into());
                    if *digit < 0 { sum * base - size } else { sum * base + size }
                });
                assert!(sum == number, "width {width}");
            }
        }
    }

    #[test]
    fn sums_of_any_length_are_those_of_single_products() {
        let short = |n: u64| S::from_u64(n * n + 1);
        let long = |n: u64| S::reduce(&[n as u8; 64]);
        for scalar in [&short as &dyn Fn(u64) -> S, &long] {
            for count in [0, 1, 2, 3, 10, 100, 300] {
                let scalars: Vec<S> = (0..count).map(scalar).collect();
                let elements: Vec<_> = (0..count).map(|n| Secp256k1::generate(&short(n + 7))).collect();
                let expected = (0..count).fold(S::ZERO, |sum, n| sum + scalars[n as usize] * short(n + 7));
                assert_eq!(sum_public::<Secp256k1>(&scalars, &elements), Secp256k1::generate(&expected));
            }
        }
    }
}
