//! Steps that the coordinator performs itself, and decisions that need the time, chance or what is known of
//! wallets. Each comes back as a fact.

use super::hearing::shortened;
use super::recording::wallets_of;
use super::{Driver, World};
use crate::ceremony::batch::{CeremonyFact, Next};
use crate::ceremony::cutting::{Ground, cut};
use crate::ceremony::generation::{new_wallet, transcribe};
use crate::ceremony::inputs::choose;
use crate::ceremony::states::Opening;
use crate::ceremony::{Attempt, Fact, Reason, State, Step};
use crate::wallets::Served;
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::plan::{Chunk, PlannedWallet};
use perennial_model::share_set::ShareSet;
use std::collections::BTreeSet;

impl<J, W: World> Driver<J, W> {
    /// Performs every step that can be performed now. Returns the attempts that were looked at.
    pub(super) fn see_to_everything(&mut self) -> BTreeSet<Chunk> {
        let mut seen = BTreeSet::new();
        loop {
            if let Some(chunk) = self.chunks_to_see.pop_first() {
                if let Some(fact) = self.decide(&chunk) {
                    self.record(chunk.plan, CeremonyFact::Chunk(chunk, Box::new(fact)));
                }
                self.bench_wants(&chunk);
                seen.insert(chunk);
            } else if let Some(digest) = self.ceremonies_to_see.pop_first() {
                if let Some(fact) = self.decide_ceremony(&digest) {
                    self.record(digest, fact);
                }
            } else {
                return seen;
            }
        }
    }

    /// The next fact of a ceremony as a whole, if there is one now.
    fn decide_ceremony(&self, digest: &Digest) -> Option<CeremonyFact> {
        let ceremony = self.open.get(digest)?;
        let plan = ceremony.plan();
        match ceremony.next() {
            Next::AwaitApproval if self.is_cancelled(digest, plan) => Some(CeremonyFact::Cancelled),
            Next::AwaitApproval if !self.is_in_force(&plan.governance) => Some(CeremonyFact::Outdated),
            Next::AwaitApproval if self.now_ms > plan.expiry_ms => Some(CeremonyFact::Expired),
            Next::Cut => {
                let known = |at: usize| self.ground_of(&plan.wallets[at]);
                // A plan whose parents are gone has nothing to do: no portions, and so it is over.
                Some(CeremonyFact::Cut(cut(plan, self.tuning.chunk_wallets, &known).unwrap_or_default()))
            }
            Next::Start(..) if self.is_cancelled(digest, plan) => Some(CeremonyFact::GivenUp),
            Next::Start(..) if self.now_ms > plan.expiry_ms || !self.is_in_force(&plan.governance) => {
                Some(CeremonyFact::GivenUp)
            }
            Next::Start(_, chunk)
                if self.now_ms >= plan.not_before_ms
                    && ceremony.attempts_in_flight() < self.tuning.attempts_in_flight =>
            {
                Some(CeremonyFact::Started(chunk))
            }
            Next::Finish => Some(CeremonyFact::Finished),
            Next::AwaitApproval | Next::Start(..) | Next::Attend | Next::Rest => None,
        }
    }

    fn ground_of(&self, wallet: &PlannedWallet) -> Result<Ground, Error> {
        if let Some(wallet) = new_wallet(wallet) {
            return Ok(Ground { scheme: wallet.chain.scheme(), parent: None, holders: Vec::new() });
        }
        let gone = || Error::stale(format!("{} has another parent", wallet.id()));
        let digest = wallet.parent().ok_or_else(gone)?;
        let Served { share_set, standing, .. } = self.heads.parent(wallet.id(), &digest).ok_or_else(gone)?;
        let holders = share_set.committee.signers().filter(|signer| standing.is_held_by(signer));
        Ok(Ground {
            scheme: share_set.scheme(),
            parent: Some(share_set.committee.clone()),
            holders: holders.cloned().collect(),
        })
    }

    /// The next fact of an attempt that nobody has to say, if there is one now.
    fn decide(&mut self, chunk: &Chunk) -> Option<Fact> {
        let attempt = self.attempt(chunk)?;
        if let Some(reason) = self.reason_to_leave(attempt) {
            return Some(Fact::Left(reason));
        }
        match (&attempt.state, attempt.next()) {
            (State::Opening(state), Step::Fix | Step::Ask(..)) => self.decide_opening(attempt, state),
            (State::Dealing(_), Step::Transcribe) => self.decide_dealings(chunk),
            (State::Keeping(state), Step::Retire) => {
                let ceremony = self.open.get(&chunk.plan)?;
                if !ceremony.may_retire(chunk) {
                    return None;
                }
                let mut owed = self.heads.owing(&state.generation);
                let opened = attempt.progress.openers.iter().filter(|opener| !owed.contains(opener));
                let opened: Vec<SignerId> = opened.cloned().collect();
                owed.extend(opened);
                // What is written off is gone: no receipt will come.
                owed.retain(|signer| !self.history.is_written_off(signer));
                Some(Fact::Retirement(owed))
            }
            (state, Step::Ask(_, missing)) if state.phase().is_before_activation() => {
                self.reason_to_stop_asking(attempt, &missing).map(Fact::Left)
            }
            _ => None,
        }
    }

    /// Reasons that hold in every phase.
    fn reason_to_leave(&self, attempt: &Attempt) -> Option<Reason> {
        let chunk = &attempt.terms.chunk;
        if attempt.is_over() || matches!(attempt.state, State::Retiring(_)) {
            return None;
        }
        if self.open.len() > 1 {
            let retired = wallets_of(attempt).iter().filter_map(|id| self.heads.retired_epoch(id)).max();
            if let Some(higher) = retired.filter(|retired| *retired > chunk.epoch) {
                return Some(Reason::Superseded(higher));
            }
        }
        let ceremony = self.open.get(&chunk.plan)?;
        let in_force = self.is_in_force(&attempt.terms.plan().governance);
        // After its expiry no other number can be opened, nor under an older governance.
        let cancelled = self.is_cancelled(&chunk.plan, attempt.terms.plan());
        let can_follow = in_force && !cancelled && self.now_ms <= attempt.terms.plan().expiry_ms;
        if let Some(higher) = ceremony.outrun_by(chunk).filter(|_| can_follow) {
            return Some(Reason::Outrun(higher));
        }
        if !attempt.phase().is_before_activation() {
            return None;
        }
        if !in_force {
            return Some(Reason::Outdated);
        }
        if cancelled {
            return Some(Reason::Cancelled);
        }
        if self.now_ms > attempt.terms.plan().activation_deadline_ms {
            return Some(Reason::TooLate);
        }
        if attempt.is_last() { None } else { self.bench_gives_up(chunk) }
    }

    /// Goes on as soon as all members have opened, or enough have and the rest keeps silent.
    fn decide_opening(&self, attempt: &Attempt, state: &Opening) -> Option<Fact> {
        let chunk = &attempt.terms.chunk;
        let phase = attempt.phase();
        let plan = attempt.terms.plan();
        let missing = state.missing();
        let refused = |signer: &SignerId| self.desk.refusal_of(chunk, phase, signer);
        let awaited: Vec<&SignerId> =
            missing.iter().copied().filter(|signer| refused(signer).is_none()).collect();
        if state.openings.len() + awaited.len() < plan.activation_size() {
            let (by, no) = missing.iter().find_map(|signer| Some((*signer, refused(signer)?)))?;
            return Some(Fact::Left(Reason::Declined { by: by.clone(), what: no.what.clone() }));
        }
        let silent = |signer: &&SignerId| self.is_silent(attempt, signer);
        let enough = state.openings.len() >= plan.activation_size();
        if enough && awaited.iter().all(silent) {
            let experience = &self.open.get(&chunk.plan)?.experience;
            let planned = plan.wallets_of(chunk).unwrap_or_default();
            let parents: Vec<_> = planned
                .iter()
                .filter_map(|wallet| self.heads.standing(wallet.id(), &wallet.parent()?))
                .collect();
            let holds = |signer: &SignerId| parents.iter().filter(|parent| parent.is_held_by(signer)).count();
            return match choose(&attempt.terms, state, experience, &holds) {
                Ok(inputs) => Some(Fact::Fixed(inputs)),
                Err(error) if missing.is_empty() => Some(Fact::Left(Reason::Unusable(error.to_string()))),
                Err(_) => None,
            };
        }
        if enough {
            return None;
        }
        if self.now_ms > plan.expiry_ms {
            return Some(Fact::Left(Reason::TooLate));
        }
        self.try_another_number(attempt, &awaited).map(Fact::Left)
    }

    /// A member that goes on saying no may have seen a number above this one; the next may be above that.
    fn try_another_number(&self, attempt: &Attempt, awaited: &[&SignerId]) -> Option<Reason> {
        let chunk = &attempt.terms.chunk;
        if attempt.is_last() {
            return None;
        }
        awaited.iter().find_map(|signer| {
            let (no, since_ms) = self.desk.declined_since_ms(chunk, attempt.phase(), signer)?;
            let over = self.now_ms > since_ms.saturating_add(self.tuning.patience_ms);
            over.then(|| Reason::Declined { by: (*signer).clone(), what: no.what.clone() })
        })
    }

    fn reason_to_stop_asking(&self, attempt: &Attempt, missing: &[&SignerId]) -> Option<Reason> {
        let chunk = &attempt.terms.chunk;
        let phase = attempt.phase();
        for signer in missing {
            if let Some(no) = self.desk.refusal_of(chunk, phase, signer) {
                return Some(Reason::Declined { by: (*signer).clone(), what: no.what.clone() });
            }
        }
        if attempt.is_last() {
            return None;
        }
        let silent = |signer: &&&SignerId| self.is_silent(attempt, signer);
        let silent: Vec<SignerId> = missing.iter().filter(silent).map(|signer| (*signer).clone()).collect();
        let said_no = |signer: &SignerId| {
            let (no, _) = self.desk.declined_since_ms(chunk, phase, signer)?;
            Some(Reason::Declined { by: signer.clone(), what: no.what.clone() })
        };
        let reason = silent.iter().find_map(said_no);
        reason.or_else(|| (!silent.is_empty()).then_some(Reason::Silent(silent)))
    }

    fn is_silent(&self, attempt: &Attempt, signer: &SignerId) -> bool {
        let chunk = &attempt.terms.chunk;
        let until_ms = self.desk.waited_for_until_ms(chunk, attempt.phase(), signer, &self.tuning);
        until_ms.is_some_and(|until_ms| self.now_ms > until_ms)
    }

    /// Computes what the dealings come to; who dealt wrongly for all to see is named.
    fn decide_dealings(&mut self, chunk: &Chunk) -> Option<Fact> {
        let Self { open, heads, settled, .. } = self;
        let attempt = open.get(&chunk.plan)?.attempts.get(chunk)?;
        let State::Dealing(state) = &attempt.state else { return None };
        let planned = attempt.terms.plan().wallets_of(chunk).unwrap_or_default();
        let parent = |wallet: &PlannedWallet| heads.share_set(wallet.id(), &wallet.parent()?);
        let parents: Vec<&ShareSet> = planned.iter().filter_map(parent).collect();
        let computed = transcribe(&attempt.terms, &state.inputs, &state.in_order(), &parents);
        Some(match computed {
            Ok(generation) => Fact::Transcribed(Box::new(generation)),
            Err(Error::Misbehaved { culprit, what }) => {
                let error = Error::Misbehaved { culprit: culprit.clone(), what: what.clone() };
                settled.objections.push((culprit.clone(), error));
                Fact::Left(Reason::Misbehaved { culprit, what: shortened(what) })
            }
            Err(error) => Fact::Left(Reason::Unusable(error.to_string())),
        })
    }
}
