//! What the receiver of multiplications makes of the peer's encrypted choice bits: the second phase of the library's
//! base transfers (Zhou, Zhang, Song, Ren, Zhang 2022, section 3), with the proofs of all transfers checked as one
//! equation. Results are those of `OTSender::run_phase2_batch`, in two thirds of its time.
//!
//! Each proof is four equations between public points. Their sum, each weighted with 128 random bits, holds for
//! proofs of which one is wrong with a chance of `2^-128` (Bellare, Garay, Rabin 1998, section 3.3). The weights are
//! drawn when the proofs are here, so nobody can fit a proof to them.

use super::TRANSFERS;
use dkls23_core::utilities::hashes::{
    point_to_bytes, tagged_hash, tagged_hash_as_point, tagged_hash_as_scalar,
};
use dkls23_core::utilities::oracle_tags::{TAG_ENCPROOF_FS, TAG_OT_BASE_H, TAG_OT_BASE_MSG};
use k256::elliptic_curve::BatchNormalize;
use k256::{AffinePoint, ProjectivePoint, Scalar as Number, Secp256k1};
use perennial_model::group::{Group, Scalar};
use zeroize::{Zeroize, Zeroizing};

/// The points and scalars of one proof that do not follow from each other, as they are sent.
#[derive(Clone)]
pub(super) struct Encrypted {
    /// `v, u`, then the commitments of both halves. The point `h` follows from the session.
    pub points: [AffinePoint; 6],
    /// The challenges of both halves, then the responses.
    pub scalars: [Number; 4],
}

/// The two seeds of each transfer.
pub(super) type Seeds = [Vec<[u8; 32]>; 2];

/// Checks the proofs and makes the seeds. None if the peer's proofs do not hold.
pub(super) fn receive(
    key: &Number,
    session: &[u8; 32],
    transfer_seed: &[u8; 32],
    encrypted: &[Encrypted],
    rng: &mut dyn rand_core::CryptoRng,
) -> Option<Seeds> {
    if encrypted.len() != TRANSFERS {
        return None;
    }
    let sessions = transfer_sessions(session);
    let mut sum = Sum::default();
    let mut shared = Zeroizing::new(Vec::with_capacity(2 * TRANSFERS));
    for (session, encrypted) in sessions.iter().zip(encrypted) {
        let h = transfer_base(session, transfer_seed);
        if challenge(session, &h, &encrypted.points) != encrypted.scalars[0] + encrypted.scalars[1] {
            return None;
        }
        sum.add(&h, encrypted, rng);
        let with = ProjectivePoint::from(encrypted.points[0]);
        shared.extend([with, with - ProjectivePoint::from(h)]);
    }
    if !sum.is_zero() {
        return None;
    }
    shared.iter_mut().for_each(|point| *point *= key);
    let shared = Zeroizing::new(ProjectivePoint::batch_normalize(shared.as_slice()));
    let mut seeds = [Vec::with_capacity(TRANSFERS), Vec::with_capacity(TRANSFERS)];
    for (session, shared) in sessions.iter().zip(shared.as_chunks::<2>().0) {
        for (shared, seeds) in shared.iter().zip(&mut seeds) {
            let mut shared = point_to_bytes::<Secp256k1>(shared);
            seeds.push(tagged_hash(TAG_OT_BASE_MSG, &[session, &shared]));
            shared.zeroize();
        }
    }
    Some(seeds)
}

/// The session id of each transfer.
pub(super) fn transfer_sessions(session: &[u8; 32]) -> Vec<Vec<u8>> {
    (0_u16..).map(|at| [&at.to_be_bytes()[..], session].concat()).take(TRANSFERS).collect()
}

/// The point `h` of a transfer.
pub(super) fn transfer_base(session: &[u8], transfer_seed: &[u8; 32]) -> AffinePoint {
    tagged_hash_as_point::<Secp256k1>(TAG_OT_BASE_H, &[session, transfer_seed])
}

/// The challenge that follows from the session and all points of a proof: those of both halves add up to it.
pub(super) fn challenge(session: &[u8], h: &AffinePoint, points: &[AffinePoint; 6]) -> Number {
    let [v, u, rest @ ..] = points;
    let said = [&AffinePoint::GENERATOR, h, u, v].into_iter().chain(rest);
    let said: Vec<u8> = said.flat_map(point_to_bytes::<Secp256k1>).collect();
    tagged_hash_as_scalar::<Secp256k1>(TAG_ENCPROOF_FS, &[session, &said])
}

/// The weighted sum of equations, still to be computed.
#[derive(Default)]
struct Sum {
    of_generator: Number,
    scalars: Vec<Number>,
    elements: Vec<ProjectivePoint>,
}

impl Sum {
    /// Adds the four equations of a proof, in which the first half speaks of `v`, the second of `v - h`:
    /// `z0 G + c0 v = r0`, `z0 h + c0 u = s0`, `z1 G + c1 (v - h) = r1`, `z1 h + c1 u = s1`.
    fn add(&mut self, h: &AffinePoint, encrypted: &Encrypted, rng: &mut dyn rand_core::CryptoRng) {
        let [v, u, commitments @ ..] = &encrypted.points;
        let [c0, c1, z0, z1] = encrypted.scalars;
        let mut weight = || {
            let mut wide = [0; 64];
            rng.fill_bytes(&mut wide[48..]);
            <Number as Scalar>::reduce(&wide)
        };
        let weights: [Number; 4] = std::array::from_fn(|_| weight());
        let [a, b, c, d] = weights;
        self.of_generator += a * z0 + c * z1;
        self.scalars.extend([b * z0 + d * z1 - c * c1, a * c0 + c * c1, b * c0 + d * c1]);
        self.elements.extend([h, v, u].map(|point| ProjectivePoint::from(*point)));
        self.scalars.extend(weights);
        self.elements.extend(commitments.iter().map(|point| -ProjectivePoint::from(*point)));
    }

    fn is_zero(&self) -> bool {
        type Curve = perennial_model::group::Secp256k1;
        let sum = Curve::sum_public(&self.scalars, &self.elements);
        sum + ProjectivePoint::mul_by_generator(&self.of_generator) == ProjectivePoint::IDENTITY
    }
}

#[cfg(test)]
pub(super) mod tests;
