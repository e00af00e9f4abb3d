//! Probes and proofs of possession: that the holders could sign before anybody relied on them. Both speak of all wallets
//! of a chunk together, so they are checked where all of them are in the bundle.

use super::chunks::Roots;
use super::story::{Attempt, Story};
use super::wallets::Wallets;
use crate::evidence::flaw::{Check, Flaw};
use perennial_model::approval::Approved;
use perennial_model::certificate::{Confirmed, check_probes};
use perennial_model::group::Group;
use perennial_model::plan::Chunk;
use perennial_model::share_set::ShareSet;
use perennial_model::transcript::Transcript;
use perennial_model::vote::{Possession, check_possession};
use perennial_model::wallet::Scheme;
use perennial_model::with_group;
use rand_core::CryptoRng;
use std::collections::BTreeSet;

/// The chunks for which both were checked.
pub type Possessed = BTreeSet<Chunk>;

/// Checks every chunk whose wallets are all here.
pub fn check(
    story: &Story<'_>,
    roots: &Roots,
    wallets: &Wallets,
    rng: &mut dyn CryptoRng,
) -> Result<Possessed, Flaw> {
    let mut possessed = Possessed::new();
    for (chunk, attempt) in story.attempts() {
        let (Some(plan), Some(leaves)) = (story.plan_of(chunk), roots.get(chunk)) else { continue };
        let Some(sets) = wallets.all_of(plan, chunk).filter(|sets| sets.len() == leaves.len()) else {
            continue;
        };
        check_chunk(plan, chunk, attempt, &sets, rng)
            .map_err(|reason| Flaw::new(Check::Possession, format!("activation of {chunk}"), reason))?;
        possessed.insert(*chunk);
    }
    Ok(possessed)
}

fn check_chunk(
    plan: &Approved,
    chunk: &Chunk,
    attempt: &Attempt,
    sets: &[&ShareSet],
    rng: &mut dyn CryptoRng,
) -> Result<(), String> {
    let Some((_, confirmed)) = &attempt.activated else { return Ok(()) };
    let Confirmed { certificate, .. } = confirmed;
    let scheme = sets.first().map(|set| set.scheme()).ok_or("a chunk without wallets")?;
    if sets.iter().any(|set| set.scheme() != scheme) {
        return Err(format!("{chunk} has wallets of several schemes"));
    }
    let transcript = Transcript::restored(certificate.inputs.clone(), certificate.root, sets)
        .ok_or("its share sets do not belong to the root")?;
    check_probes(scheme, &transcript, plan, &certificate.probes, rng).map_err(|error| error.to_string())?;
    check_holders(scheme, confirmed, sets, rng)
}

fn check_holders(
    scheme: Scheme,
    confirmed: &Confirmed,
    sets: &[&ShareSet],
    rng: &mut dyn CryptoRng,
) -> Result<(), String> {
    let inputs = confirmed.certificate.inputs.digest();
    with_group!(scheme, G => {
        let mut possessions = Vec::with_capacity(confirmed.possessions.len());
        for (signer, proof) in &confirmed.possessions {
            let share = |set: &&ShareSet| {
                let at = set.committee.position_of(signer)?;
                set.verification_shares.get(at).and_then(G::decode)
            };
            let shares = sets.iter().map(share).collect::<Option<Vec<_>>>();
            let shares = shares.ok_or_else(|| format!("a verification share of {signer} cannot be read"))?;
            possessions.push(Possession::<G> { signer, proof, shares });
        }
        check_possession::<G>(&inputs, &confirmed.certificate.root, &possessions, rng)
            .map_err(|signer| format!("{signer}'s proof of possession does not hold"))
    })
}
