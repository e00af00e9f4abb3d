//! Whether all holders of an attempt have proved that they hold their new shares.
//!
//! The proofs of a whole activation set are checked as one equation, with random weights, over `t` verification
//! shares per wallet: those of all other seats are combinations of these. It is done once, when the last vote is in;
//! one by one only if it fails, to name who is at fault.

use super::generation::Generation;
use perennial_model::Error;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{SchnorrProof, small_random};
use perennial_model::group::{Group, Scalar};
use perennial_model::vote::{Possession, check_possession, possession_challenge};
use perennial_model::wallet::Scheme;
use perennial_model::with_group;
use rand_core::CryptoRng;

/// Checks one proof per holder.
///
/// # Errors
/// `Misbehaved` names a holder whose proof does not hold; `Bug` when a share set cannot be read.
pub fn check_all(
    scheme: Scheme,
    committee: &Committee,
    generation: &Generation,
    proofs: &[(&SignerId, &SchnorrProof)],
    rng: &mut dyn CryptoRng,
) -> Result<(), Error> {
    with_group!(scheme, G => {
        match hold_together::<G>(committee, generation, proofs, rng) {
            Some(true) => Ok(()),
            _ => blame::<G>(committee, generation, proofs, rng),
        }
    })
}

/// `Σ_j v_j·s_j · G = Σ_j v_j · R_j + Σ_w Σ_k (Σ_j v_j · c_j^w · L_k(j)) · X_wk` with random `v_j`, the challenges
/// `c_j`, and `L_k(j)` the Lagrange coefficients at seat `j` over the first `t` seats. None if something cannot be
/// read.
fn hold_together<G: Group>(
    committee: &Committee,
    generation: &Generation,
    proofs: &[(&SignerId, &SchnorrProof)],
    rng: &mut dyn CryptoRng,
) -> Option<bool> {
    let threshold = usize::from(committee.threshold());
    let seats: Vec<u8> = committee.seats().map(|seat| seat.get()).collect();
    let basis = seats.get(..threshold)?;
    let inputs = generation.inputs.digest();
    let weights = small_random::<G::Scalar>(proofs.len(), rng);
    let mut elements = Vec::with_capacity(proofs.len() + threshold * generation.share_sets.len());
    let mut scalars = Vec::with_capacity(elements.capacity());
    let mut response_sum = G::Scalar::ZERO;
    let mut provers = Vec::with_capacity(proofs.len());
    for ((signer, proof), weight) in proofs.iter().zip(weights) {
        let challenge = possession_challenge::<G>(&inputs, &generation.root, signer, &proof.commitment);
        response_sum = response_sum + weight * G::Scalar::decode(&proof.response)?;
        elements.push(G::decode(&proof.commitment)?);
        scalars.push(weight);
        let seat = committee.seat_of(signer)?.get();
        let at_seat = basis.iter().map(|of| lagrange_at::<G::Scalar>(seat, *of, basis));
        provers.push((challenge, weight, at_seat.collect::<Option<Vec<_>>>()?));
    }
    for share_set in &generation.share_sets {
        for (challenge, power, _) in &mut provers {
            *power = *power * *challenge;
        }
        for (at, share) in share_set.verification_shares.get(..threshold)?.iter().enumerate() {
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

fn blame<G: Group>(
    committee: &Committee,
    generation: &Generation,
    proofs: &[(&SignerId, &SchnorrProof)],
    rng: &mut dyn CryptoRng,
) -> Result<(), Error> {
    let chunk = generation.inputs.chunk;
    let inputs = generation.inputs.digest();
    for (signer, proof) in proofs {
        let at = committee.position_of(signer);
        let share = |set: &perennial_model::share_set::ShareSet| {
            set.verification_shares.get(at?).and_then(G::decode_own)
        };
        let shares = generation.share_sets.iter().map(share).collect::<Option<Vec<_>>>();
        let shares = shares.ok_or_else(|| Error::Bug(format!("{chunk}: an unreadable share set")))?;
        let possession = Possession::<G> { signer, proof, shares };
        if check_possession::<G>(&inputs, &generation.root, &[possession], rng).is_err() {
            return Err(Error::misbehaved(signer, format!("{chunk}: proved no possession of its shares")));
        }
    }
    Ok(())
}
