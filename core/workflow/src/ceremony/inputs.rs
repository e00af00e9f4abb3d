//! Whom an attempt takes: exactly `t` of the parent's holders deal, and the members that opened hold.
//!
//! What earlier attempts have shown is used, never more than the committee allows: a refused pair of dealer and
//! holder is separated, whoever was silent or accused deals last.

use crate::ceremony::Reason;
use crate::ceremony::heard::Heard;
use crate::ceremony::states::{Opening, Terms};
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::dealing::Inputs;
use perennial_model::identity::Said;
use perennial_model::plan::{Action, CHUNK_WALLETS_MAX};

/// What the attempts of one ceremony have shown so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Experience {
    /// Pairs of dealer and holder, one of whom is faulty.
    pub refused: Vec<(SignerId, SignerId)>,
    /// Signers that were silent or are blamed, once for each time.
    pub doubted: Vec<SignerId>,
}

impl Experience {
    /// Learns from an attempt that was left.
    pub fn learn(&mut self, reason: &Reason) {
        match reason {
            Reason::Refused(refusal) => {
                let pair = (refusal.body().dealer.clone(), refusal.signer().clone());
                if !self.refused.contains(&pair) {
                    self.refused.push(pair);
                }
            }
            Reason::Misbehaved { culprit, .. } => self.doubted.push(culprit.clone()),
            Reason::Accused { by, culprit, .. } => self.doubted.extend([by.clone(), culprit.clone()]),
            Reason::Declined { by, .. } => self.doubted.push(by.clone()),
            Reason::Silent(signers) => self.doubted.extend(signers.iter().cloned()),
            Reason::Unusable(_)
            | Reason::TooLate
            | Reason::Outdated
            | Reason::Cancelled
            | Reason::Superseded(_)
            | Reason::Outrun(_) => {}
        }
    }

    fn doubts(&self, signer: &SignerId) -> usize {
        self.doubted.iter().filter(|doubted| *doubted == signer).count()
    }

    fn pairs(&self, dealers: &[SignerId], holders: &[SignerId]) -> usize {
        let meets = |(dealer, holder): &&(SignerId, SignerId)| {
            dealer != holder && dealers.contains(dealer) && holders.contains(holder)
        };
        self.refused.iter().filter(meets).count()
    }
}

/// Whether enough members have opened to go on without the rest.
pub fn can_fix(terms: &Terms, opening: &Opening) -> bool {
    opening.openings.len() >= terms.plan().activation_size()
        && choose(terms, opening, &Default::default(), &|_| 0).is_ok()
}

/// Chooses dealers and holders among those that opened. `holds` tells of how many of the chunk's wallets a signer is
/// known to hold the parent share; whoever holds more deals first.
///
/// # Errors
/// `Stale` when too few have opened.
pub fn choose(
    terms: &Terms,
    opening: &Opening,
    experience: &Experience,
    holds: &dyn Fn(&SignerId) -> usize,
) -> Result<Inputs, Error> {
    let committee = &terms.plan().committee;
    let opened = |signer: &SignerId| opening.openings.iter().any(|said| said.signer() == signer);
    let mut holders: Vec<SignerId> = committee.signers().filter(|signer| opened(signer)).cloned().collect();
    let needed = terms.plan().activation_size();
    if holders.len() < needed {
        let reason = format!("{}: {} of {needed} openings", terms.chunk, holders.len());
        return Err(Error::stale(reason));
    }
    let mut dealers = dealers_for(terms, &holders, experience, holds)?;
    while holders.len() > needed && experience.pairs(&dealers, &holders) > 0 {
        let Some(at) = most_refused(&dealers, &holders, experience) else { break };
        holders.remove(at);
        dealers = dealers_for(terms, &holders, experience, holds)?;
    }
    let openings: Vec<Said<_>> = holders
        .iter()
        .filter_map(|holder| opening.openings.iter().find(|said| said.signer() == holder))
        .map(Heard::said)
        .cloned()
        .collect();
    Ok(Inputs::new(terms.chunk, dealers, &openings))
}

/// Exactly `t` of the parent's holders, in the order of their seats; all holders where keys are made.
fn dealers_for(
    terms: &Terms,
    holders: &[SignerId],
    experience: &Experience,
    holds: &dyn Fn(&SignerId) -> usize,
) -> Result<Vec<SignerId>, Error> {
    let parent = match (terms.plan().action, &terms.parent) {
        (Action::Create, _) => return Ok(holders.to_vec()),
        (Action::Refresh, Some(parent)) => parent,
        (Action::Refresh, None) => return Err(Error::stale("a refresh needs a parent share set")),
    };
    let committee = &terms.plan().committee;
    // A member that did not open is not there; of others nothing is known.
    let mut candidates: Vec<&SignerId> = parent
        .signers()
        .filter(|signer| holders.contains(signer) || committee.seat_of(signer).is_none())
        .collect();
    let needed = usize::from(parent.threshold());
    if candidates.len() < needed {
        let reason = format!("{}: {} of {needed} possible dealers", terms.chunk, candidates.len());
        return Err(Error::stale(reason));
    }
    // Chunks take turns, so that dealing is spread over all.
    let turn = (terms.chunk.first / CHUNK_WALLETS_MAX) as usize % candidates.len();
    candidates.rotate_left(turn);
    candidates.sort_by_key(|dealer| {
        let pairs = experience.pairs(std::slice::from_ref(*dealer), holders);
        (std::cmp::Reverse(holds(dealer)), pairs, experience.doubts(dealer))
    });
    if perennial_model::lying!() {
        candidates.reverse();
    }
    candidates.truncate(needed);
    Ok(parent.signers().filter(|signer| candidates.contains(signer)).cloned().collect())
}

/// The holder whose absence separates the most pairs, if any does.
fn most_refused(dealers: &[SignerId], holders: &[SignerId], experience: &Experience) -> Option<usize> {
    let separated = |holder: &SignerId| {
        let as_holder = experience.pairs(dealers, std::slice::from_ref(holder));
        let as_dealer = experience.pairs(std::slice::from_ref(holder), holders);
        as_holder + as_dealer
    };
    (0..holders.len())
        .filter(|at| separated(&holders[*at]) > 0)
        .max_by_key(|at| (separated(&holders[*at]), experience.doubts(&holders[*at])))
}
