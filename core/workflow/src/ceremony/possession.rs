//! Whether all holders of an attempt have proved that they hold their new shares: all of them at once when the last
//! vote is in, and one by one only if that fails, to name who is at fault.

use super::generation::Generation;
use perennial_model::Error;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::SchnorrProof;
use perennial_model::group::Group;
use perennial_model::possession::hold_together;
use perennial_model::vote::{Possession, check_possession};
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
    let inputs = generation.inputs.digest();
    let wallets = || generation.share_sets.iter().map(|set| set.verification_shares.as_slice());
    with_group!(scheme, G => {
        match hold_together::<G>((&inputs, &generation.root), committee, wallets(), proofs, rng) {
            Some(true) => Ok(()),
            _ => blame::<G>(committee, generation, proofs, rng),
        }
    })
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
