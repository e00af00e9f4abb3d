//! Whether all holders of an attempt have proved that they hold their new shares, asked once for all of them.
//!
//! The proofs of a whole activation set are checked as one equation, with random weights, over `t` verification
//! shares per wallet: those of all other seats are combinations of these, because whoever asks has computed all of
//! them from the same coefficients. This names nobody: where it fails, [`crate::vote::check_possession`] does.

use crate::committee::{Committee, SignerId};
use crate::dealing::{SchnorrProof, small_random};
use crate::encoding::Digest;
use crate::group::{Group, Point, Scalar};
use crate::vote::possession_challenge;
use rand_core::CryptoRng;

/// `Σ_j v_j·s_j · G = Σ_j v_j · R_j + Σ_w Σ_k (Σ_j v_j · c_j^w · L_k(j)) · X_wk` with random `v_j`, the challenges
/// `c_j`, and `L_k(j)` the Lagrange coefficients at seat `j` over the first `t` seats.
///
/// `wallets` are the verification shares of each wallet of the chunk, in the order of the committee's seats. They
/// have to lie on a polynomial of degree `t-1`: with shares that were computed from `t` coefficients they do, and the
/// equation is then that of each holder's own shares. None if something cannot be read or a signer has no seat.
pub fn hold_together<'a, G: Group>(
    (inputs, root): (&Digest, &Digest),
    committee: &Committee,
    wallets: impl Iterator<Item = &'a [Point]>,
    proofs: &[(&SignerId, &SchnorrProof)],
    rng: &mut dyn CryptoRng,
) -> Option<bool> {
    let threshold = usize::from(committee.threshold());
    let seats: Vec<u8> = committee.seats().map(|seat| seat.get()).collect();
    let basis = seats.get(..threshold)?;
    let weights = small_random::<G::Scalar>(proofs.len(), rng);
    let mut elements = Vec::new();
    let mut scalars = Vec::new();
    let mut response_sum = G::Scalar::ZERO;
    let mut provers = Vec::with_capacity(proofs.len());
    for ((signer, proof), weight) in proofs.iter().zip(weights) {
        let challenge = possession_challenge::<G>(inputs, root, signer, &proof.commitment);
        response_sum = response_sum + weight * G::Scalar::decode(&proof.response)?;
        elements.push(G::decode(&proof.commitment)?);
        scalars.push(weight);
        let seat = committee.seat_of(signer)?.get();
        let at_seat = basis.iter().map(|of| lagrange_at::<G::Scalar>(seat, *of, basis));
        provers.push((challenge, weight, at_seat.collect::<Option<Vec<_>>>()?));
    }
    for shares in wallets {
        for (challenge, power, _) in &mut provers {
            *power = *power * *challenge;
        }
        for (at, share) in shares.get(..threshold)?.iter().enumerate() {
            elements.push(G::decode_own(share)?);
            let combined = provers.iter().map(|(_, power, at_seat)| *power * at_seat[at]);
            scalars.push(combined.fold(G::Scalar::ZERO, |sum, part| sum + part));
        }
    }
    Some(G::generate(&response_sum) == G::sum_public(&scalars, &elements))
}

/// The Lagrange coefficient of `of` at `seat` over `basis`; none if `basis` repeats a seat.
fn lagrange_at<S: Scalar>(seat: u8, of: u8, basis: &[u8]) -> Option<S> {
    let number = |seat: u8| S::from_u64(seat.into());
    let mut numerator = S::ONE;
    let mut denominator = S::ONE;
    for other in basis.iter().copied().filter(|other| *other != of) {
        numerator = numerator * (number(seat) - number(other));
        denominator = denominator * (number(of) - number(other));
    }
    Some(numerator * denominator.invert()?)
}
