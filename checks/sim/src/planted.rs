//! Every planted fault is caught: some seed breaks a named invariant with it, and no seed up to that one without it.

use crate::runs::run_one;
use crate::scenario::Kind;
use crate::violation::Invariant;
use perennial_model::mutant::{Mutant, plant};
use std::collections::BTreeSet;

/// The most seeds that are tried for one planted fault.
pub const SEEDS_MAX: u64 = 400;

/// The seeds that are tried for one that another rule masks.
const MASKED_SEEDS: u64 = 40;

/// How a planted fault was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caught {
    /// The invariant.
    pub invariant: Invariant,
    /// How many seeds it took.
    pub seeds: u64,
    /// What did not hold.
    pub what: String,
}

/// What a planted fault does, in words.
pub fn words(mutant: Mutant) -> &'static str {
    match mutant {
        Mutant::DestroyEarly => "erases the parent on Activation",
        Mutant::AcknowledgeBeforeSync => "answers before its slots are synced",
        Mutant::DealAgainAfterCrash => "deals anew when it is asked again",
        Mutant::SkipVerification => "takes sub-shares unseen",
        Mutant::ActivateBelowA => "activates at t votes",
        Mutant::CountVotesWithoutTranscript => "counts votes for another T",
        Mutant::CountOneVoterTwice => "counts one voter twice",
        Mutant::SinglePendingSlot => "has room for one candidate",
        Mutant::NoEpochFloor => "opens old numbers again",
        Mutant::DecisionNotPersisted => "does not write its decisions down",
        Mutant::OverlapNeverClosed => "goes on serving what is retired",
        Mutant::SignAfterRetirement => "lets sessions outlive their epoch",
        Mutant::NonceReused => "saves a nonce and uses it again",
        Mutant::KeepBeforeActivation => "promises to keep what is not active",
        Mutant::SkipErasure => "leaves erased slots as they are",
        Mutant::BasesUnderSeveralNumbers => "retires a plan under several numbers",
        Mutant::MandateWithoutClock => "refreshes under a mandate too soon",
        Mutant::DeafToOrders => "goes on with what is called off",
        Mutant::ActUnderOldGovernance => "acts under a replaced governance",
        Mutant::BasesTakenByAnyRetirement => "takes bases with any wallet",
        Mutant::CountOnePersonTwice => "counts one person twice",
        Mutant::CountOtherApprovals => "counts approvals of something else",
        Mutant::CountTheInitiator => "counts the approval of who asks",
        Mutant::CountAnyRole => "counts people of any role",
        Mutant::NumberOutsidePlan => "takes numbers that were not approved",
        Mutant::DatesUnchecked => "acts before and after a plan's dates",
        Mutant::SubjectUnchecked => "acts on wallets of others",
        Mutant::RankUnbounded => "takes ranks that leave none above",
        Mutant::GovernanceGoesBack => "goes back to a replaced governance",
        Mutant::RetireOnPreparedVotes => "retires on Prepared votes",
        Mutant::SmallActivationSet => "lets too few holders activate",
        Mutant::OpeningsUnchecked => "deals to openings that are not named",
        Mutant::DealForEveryInputs => "deals anew for other inputs",
        Mutant::DealUnopened => "deals unchecked what it left",
        Mutant::DealAfterRefusal => "promises under what it refused",
        Mutant::DealPassed => "publishes what it has gone beyond",
        Mutant::DealBeforeAllPromise => "publishes before all have promised",
        Mutant::ProbesUnbound => "signs probes that no root demands",
        Mutant::ProbesWithoutEnd => "signs probes without end",
        Mutant::ServeAnyTranscript => "signs under another T than is named",
        Mutant::BeginSessionsAgain => "begins a session twice",
        Mutant::SignUnderOtherTerms => "signs with mail of other sessions",
        Mutant::BlameForOtherTerms => "blames who was told other terms",
        Mutant::MandateUnapproved => "takes mandates that nobody gave",
        Mutant::MandateCoversAnything => "does more than a mandate says",
        Mutant::MandateLeavesOut => "leaves holders out under a mandate",
        Mutant::MandateNeverRests => "opens under a mandate that rests",
        Mutant::MandateOnPapers => "renews under a mandate what it never had",
        Mutant::MandateFromAnyEpoch => "renews what was not retired",
        Mutant::MandateOfAnyRank => "takes other ranks under a mandate",
        Mutant::MandateNumbersUnbounded => "takes numbers without end",
        Mutant::RetireWithoutGap => "retires again at once",
        Mutant::MandatedPlansWithoutEnd => "keeps plans without end",
        Mutant::OrdersUnapproved => "obeys orders that nobody gave",
        Mutant::OrdersNeverExpire => "obeys orders that have expired",
        Mutant::OrdersOfAnyTenant => "obeys other tenants' orders",
        Mutant::LastOrderCounts => "goes by the order that came last",
        Mutant::ReadmitFromAnyHalt => "works again after another halt",
        Mutant::EraseWhileHalted => "erases although it has halted",
        Mutant::ServeUnprobed => "serves what was not probed",
        Mutant::ProbeNoPairs => "leaves pairs out of ECDSA probes",
        Mutant::KeepSeveralKeys => "keeps several keys of a wallet",
        Mutant::MakeWithoutAll => "makes wallets without all members",
        Mutant::DealFromUnretired => "deals on before all have kept",
        Mutant::PromisesForgotten => "lets dealers promise twice",
        Mutant::CosignAnything => "cosigns what continues nothing",
    }
}

/// The only invariant that counts for a planted fault, where others may notice it too.
fn wanted(mutant: Mutant) -> Option<Invariant> {
    (mutant == Mutant::NoEpochFloor).then_some(Invariant::I7NoGoingBack)
}

/// The kind of run that can show a planted fault.
pub fn kind(mutant: Mutant) -> Kind {
    match mutant {
        Mutant::BasesUnderSeveralNumbers | Mutant::BasesTakenByAnyRetirement | Mutant::ProbeNoPairs => {
            Kind::Ecdsa
        }
        _ => Kind::Transparent,
    }
}

/// Why no seed can show a planted fault, where another rule stands in for the broken one.
pub fn masked(mutant: Mutant) -> Option<&'static str> {
    (mutant == Mutant::CountVotesWithoutTranscript)
        .then_some("masked: it takes two transcripts under one number, whose signers never make all probes")
}

/// Looks for the first seed in which an invariant of the protocol breaks.
pub fn catch(mutant: Mutant) -> Option<Caught> {
    plant(Some(mutant));
    let most = if masked(mutant).is_some() { MASKED_SEEDS } else { SEEDS_MAX };
    let caught = (1..=most).find_map(|seed| {
        let broken = run_one(kind(mutant), seed).broken.pop()?;
        let invariant = broken.violation.invariant;
        let counts = invariant != Invariant::Sound && wanted(mutant).is_none_or(|wanted| wanted == invariant);
        counts.then_some(Caught { invariant, seeds: seed, what: broken.violation.what })
    });
    plant(None);
    caught
}

/// The seeds of a kind up to this one in which something breaks although nothing is planted. `known` are seeds in which
/// nothing does.
pub fn broken_without(kind: Kind, seeds: u64, known: &mut BTreeSet<(Kind, u64)>) -> Vec<u64> {
    let fresh: Vec<u64> = (1..=seeds).filter(|seed| !known.contains(&(kind, *seed))).collect();
    let mut broken = Vec::new();
    for seed in fresh {
        match run_one(kind, seed).broken.is_empty() {
            true => drop(known.insert((kind, seed))),
            false => broken.push(seed),
        }
    }
    broken
}
