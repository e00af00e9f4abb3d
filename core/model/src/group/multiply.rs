//! `Σ s_i · P_i` over public values by the bucket method (Pippenger 1976; Bernstein, Doumen, Lange, Oosterwijk
//! 2012, section 4). Its time depends on scalars and points: nothing secret may come here.

use super::{Group, SCALAR_BYTES, Scalar};

/// `Σ scalars_i · elements_i`; lists of unequal length are cut to the shorter.
pub(super) fn sum_public<G: Group>(scalars: &[G::Scalar], elements: &[G::Element]) -> G::Element {
    let digits: Vec<[u8; SCALAR_BYTES]> = scalars.iter().map(Scalar::public_bits).collect();
    let highest = digits.iter().filter_map(|number| number.iter().rposition(|&byte| byte != 0)).max();
    let Some(highest) = highest else { return G::identity() };
    let bits = (highest + 1) * 8;
    let width = window_width(scalars.len().min(elements.len()));
    let mut sum = G::identity();
    for window in (0..bits.div_ceil(width)).rev() {
        for _ in 0..width {
            sum = G::double(&sum);
        }
        sum = sum + window_sum::<G>(&digits, elements, window * width, width);
    }
    sum
}

/// The sum of one window: every element goes to the bucket of its digit, bucket `d` counts `d` times.
fn window_sum<G: Group>(
    digits: &[[u8; SCALAR_BYTES]],
    elements: &[G::Element],
    from_bit: usize,
    width: usize,
) -> G::Element {
    let mut buckets = vec![None::<G::Element>; (1 << width) - 1];
    for (number, element) in digits.iter().zip(elements) {
        let digit = digit(number, from_bit, width);
        if digit != 0 {
            let bucket = &mut buckets[digit - 1];
            *bucket = Some(bucket.map_or(*element, |held| held + *element));
        }
    }
    let mut running = G::identity();
    let mut sum = G::identity();
    for bucket in buckets.into_iter().rev() {
        if let Some(held) = bucket {
            running = running + held;
        }
        sum = sum + running;
    }
    sum
}

/// `width` bits of a little-endian number from bit `from_bit` on.
fn digit(number: &[u8; SCALAR_BYTES], from_bit: usize, width: usize) -> usize {
    let first = from_bit / 8;
    let mut window = 0_u32;
    for (at, byte) in number.iter().skip(first).take(3).enumerate() {
        window |= u32::from(*byte) << (8 * at);
    }
    (window >> (from_bit % 8)) as usize & ((1 << width) - 1)
}

/// The width that balances `n` additions against `2^width` bucket additions per window.
fn window_width(count: usize) -> usize {
    match count {
        0..=3 => 2,
        4..=15 => 3,
        16..=63 => 4,
        64..=255 => 6,
        256..=1023 => 7,
        1024..=4095 => 9,
        _ => 11,
    }
}
