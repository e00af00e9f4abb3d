//! The least that redistribution with Feldman commitments can cost: its curve operations, and nothing else.

use crate::cpu;
use perennial_model::group::{Group, Scalar};
use rand_core::CryptoRng;
use std::hint::black_box;
use std::time::Duration;

/// How many wallets go through together, as in a chunk.
const WALLETS: usize = 256;

/// Processor time per wallet of the curve operations that a 2-of-3 refresh with two dealers cannot do without.
///
/// Nothing that checks what is dealt can be faster with these groups. A dealer has to publish one fresh commitment, a
/// multiplication of the generator by a secret; that to its constant is known. Three holders and the coordinator have to
/// turn the two encodings of two dealings into elements before they can compute with them: one look at the curve's
/// equation each on secp256k1, one square root on edwards25519, whose library takes no second coordinate. A holder has
/// to hold its share against the commitments: one term of a multi-scalar multiplication, and 128 bits for it is the
/// least that leaves an error of 2^-128. All four have to know the three new verification shares in their one encoding:
/// four additions, one of them of the slopes, and three shares of a common inversion. Sealing, hashing, encoding, locking,
/// signatures and storing are left out.
pub fn per_wallet<G: Group>(rng: &mut dyn CryptoRng) -> Duration {
    let mut random = |bytes: usize| {
        let mut wide = [0; 64];
        rng.fill_bytes(&mut wide[..bytes]);
        G::Scalar::reduce(&wide)
    };
    let secrets: Vec<G::Scalar> = (0..2 * WALLETS).map(|_| random(64)).collect();
    let small: Vec<G::Scalar> = (0..WALLETS).map(|_| random(16)).collect();
    let elements: Vec<G::Element> = secrets.iter().map(G::generate).collect();
    let points = G::commit_all(&secrets);
    let commit = cpu::least(5, || {
        black_box(G::commit_all(black_box(&secrets)));
    });
    let read = cpu::least(5, || {
        let read: Vec<G::Element> = points.iter().filter_map(G::read_commitment).collect();
        black_box(read);
    });
    let hold = cpu::least(5, || {
        black_box(G::sum_public(black_box(&small), &elements[..WALLETS]));
    });
    let name = cpu::least(5, || {
        let mut shares = Vec::with_capacity(3 * WALLETS);
        for (two, key) in elements.chunks_exact(2).zip(&elements) {
            let slope = two[0] + two[1];
            let mut sum = *key;
            for _ in 0..3 {
                sum = sum + slope;
                shares.push(sum);
            }
        }
        black_box(G::encode_all(&shares));
    });
    (commit + 4 * read + 3 * hold + 4 * name) / WALLETS as u32
}
