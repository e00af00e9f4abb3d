//! What the sender of multiplications opens with: one encrypted choice bit for each base transfer, with a proof that
//! it is a bit (Zhou, Zhang, Song, Ren, Zhang 2022, section 3). What comes out has the form and the distribution of
//! `OTReceiver::run_phase1_batch`, with seven multiplications for each transfer in place of ten, three of them by
//! the generator's table, and one inversion for all.
//!
//! Everything here is secret but what is sent: multiplications and selections are those in constant time.

use super::TRANSFERS;
use super::multiples::Multiples;
use super::transfers::{self, Encrypted, transfer_base, transfer_sessions};
use dkls23_core::utilities::hashes::{point_to_bytes, tagged_hash};
use dkls23_core::utilities::oracle_tags::TAG_OT_BASE_MSG;
use k256::elliptic_curve::BatchNormalize;
use k256::{AffinePoint, ProjectivePoint, Scalar as Number, Secp256k1};
use perennial_model::group::Scalar;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, Zeroizing};

/// The choice bits of one direction with what opens them later.
pub(super) struct Choices {
    /// What the points `h` follow from, together with the session.
    pub transfer_seed: [u8; 32],
    pub bits: Zeroizing<Vec<bool>>,
    /// The `r` of each transfer, in `v = r·G + bit·h` and `u = r·h`.
    pub randomizers: Zeroizing<Vec<Number>>,
}

impl Choices {
    /// The seeds that were chosen, out of the peer's key, whose logarithm it has proved to know: what
    /// `OTReceiver::run_phase2_batch` makes of it.
    pub fn seeds(&self, session: &[u8; 32], key: &AffinePoint) -> Vec<[u8; 32]> {
        let multiples = Multiples::of(ProjectivePoint::from(*key));
        let shared: Zeroizing<Vec<ProjectivePoint>> =
            Zeroizing::new(self.randomizers.iter().map(|r| multiples.multiply(r)).collect());
        let shared = Zeroizing::new(ProjectivePoint::batch_normalize(shared.as_slice()));
        let seed = |(session, shared): (&Vec<u8>, &AffinePoint)| {
            let shared = Zeroizing::new(point_to_bytes::<Secp256k1>(shared));
            tagged_hash(TAG_OT_BASE_MSG, &[session, &shared])
        };
        transfer_sessions(session).iter().zip(shared.iter()).map(seed).collect()
    }
}

/// The secrets of one proof.
struct Witness {
    /// 0 or 1; a [`Choice`] cannot be wiped.
    bit: u8,
    randomizer: Number,
    /// The nonce of the half that is proved.
    nonce: Number,
    /// The challenge of the half that is simulated.
    challenge: Number,
    /// Its response, and `challenge · randomizer` on top: uniform as the response is, and the commitments of a
    /// simulated half, which are multiples of two unequal points, become `sum·G ± challenge·h` and `sum·h`.
    sum: Number,
}

impl Drop for Witness {
    fn drop(&mut self) {
        for secret in [&mut self.randomizer, &mut self.nonce, &mut self.challenge, &mut self.sum] {
            secret.zeroize();
        }
        self.bit.zeroize();
    }
}

/// Draws the choice bits of one direction and encrypts them.
pub(super) fn encrypt(session: &[u8; 32], rng: &mut dyn rand_core::CryptoRng) -> (Choices, Vec<Encrypted>) {
    let mut transfer_seed = [0; 32];
    rng.fill_bytes(&mut transfer_seed);
    let mut drawn = Zeroizing::new([0; TRANSFERS.div_ceil(8)]);
    rng.fill_bytes(&mut *drawn);
    let bits: Zeroizing<Vec<bool>> =
        Zeroizing::new((0..TRANSFERS).map(|at| drawn[at / 8] >> (at % 8) & 1 == 1).collect());
    let sessions = transfer_sessions(session);
    let mut witnesses = Vec::with_capacity(TRANSFERS);
    let mut bases = Vec::with_capacity(TRANSFERS);
    let mut points = Zeroizing::new(Vec::with_capacity(6 * TRANSFERS));
    for (session, bit) in sessions.iter().zip(bits.iter()) {
        let witness = Witness::draw(u8::from(*bit), rng);
        let base = transfer_base(session, &transfer_seed);
        points.extend(witness.points(&base));
        witnesses.push(witness);
        bases.push(base);
    }
    let affine = Zeroizing::new(ProjectivePoint::batch_normalize(points.as_slice()));
    let (six, _) = affine.as_chunks::<6>();
    let of_each = sessions.iter().zip(&witnesses).zip(bases.iter().zip(six));
    let encrypted =
        of_each.map(|((session, witness), (base, six))| witness.prove(session, base, six)).collect();
    let randomizers = Zeroizing::new(witnesses.iter().map(|witness| witness.randomizer).collect());
    (Choices { transfer_seed, bits, randomizers }, encrypted)
}

impl Witness {
    fn draw(bit: u8, rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut draw = || random(rng);
        Self { bit, randomizer: draw(), nonce: draw(), challenge: draw(), sum: draw() }
    }

    fn choice(&self) -> Choice {
        Choice::from(self.bit)
    }

    /// `v`, `u`, the commitments of the half that is proved, those of the half that is simulated.
    fn points(&self, base: &AffinePoint) -> [ProjectivePoint; 6] {
        let h = ProjectivePoint::from(*base);
        let by_generator = ProjectivePoint::mul_by_generator;
        let chosen = ProjectivePoint::conditional_select(&ProjectivePoint::IDENTITY, &h, self.choice());
        // The half that is simulated speaks of `v - h` where the bit is 0, of `v` where it is 1: of `r·G - h` or
        // `r·G + h`.
        let part = h * self.challenge;
        let part = ProjectivePoint::conditional_select(&-part, &part, self.choice());
        [
            by_generator(&self.randomizer) + chosen,
            h * self.randomizer,
            by_generator(&self.nonce),
            h * self.nonce,
            by_generator(&self.sum) + part,
            h * self.sum,
        ]
    }

    /// Puts the proof together: the half about `v` comes first, whichever it is.
    fn prove(&self, session: &[u8], base: &AffinePoint, points: &[AffinePoint; 6]) -> Encrypted {
        let [v, u, proved_g, proved_h, simulated_g, simulated_h] = points;
        let first = |proved, simulated| AffinePoint::conditional_select(proved, simulated, self.choice());
        let points = [
            *v,
            *u,
            first(proved_g, simulated_g),
            first(proved_h, simulated_h),
            first(simulated_g, proved_g),
            first(simulated_h, proved_h),
        ];
        let challenge = transfers::challenge(session, base, &points) - self.challenge;
        let proved = [challenge, self.nonce - challenge * self.randomizer];
        let simulated = [self.challenge, self.sum - self.challenge * self.randomizer];
        let select = |a: &Number, b: &Number| Number::conditional_select(a, b, self.choice());
        let scalars = [
            select(&proved[0], &simulated[0]),
            select(&simulated[0], &proved[0]),
            select(&proved[1], &simulated[1]),
            select(&simulated[1], &proved[1]),
        ];
        Encrypted { points, scalars }
    }
}

/// A uniform scalar.
pub(super) fn random(rng: &mut dyn rand_core::CryptoRng) -> Number {
    let mut wide = Zeroizing::new([0; 64]);
    rng.fill_bytes(&mut *wide);
    <Number as Scalar>::reduce(&wide)
}

#[cfg(test)]
mod tests;
