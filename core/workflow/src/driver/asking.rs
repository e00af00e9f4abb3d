//! Who was asked for what and when, and who is asked again. None of it is durable: after a crash everybody is
//! asked once more, which is always harmless.
//!
//! A signer that goes on delivering is busy, not gone: the time until it is asked again, and the patience with
//! it, count from the last thing it said. One that gives signs of life and does not answer is waited for longer than
//! one that gives none: what it works on would have to be done again in the next attempt.

use super::{Driver, Tuning, World};
use crate::ceremony::batch::{Ceremony, Next};
use crate::ceremony::status::{CeremonyStatus, Phase};
use crate::ceremony::{Attempt, State, Step};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::mail::Request;
use perennial_model::plan::{Chunk, PlannedWallet};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was asked.
#[derive(Debug, Default)]
pub(super) struct Desk {
    chunks: BTreeMap<Chunk, Asked>,
    plans: BTreeMap<Digest, PlanAsked>,
    heard_ms: BTreeMap<SignerId, u64>,
    seen_ms: BTreeMap<SignerId, u64>,
}

/// What was asked about one attempt in its present phase.
#[derive(Debug)]
pub(super) struct Asked {
    phase: Phase,
    since_ms: u64,
    reminders: BTreeMap<SignerId, Reminder>,
    declined: BTreeMap<SignerId, Declined>,
    parents_wanted: BTreeSet<SignerId>,
}

/// A signer's no.
#[derive(Clone, Debug)]
pub(super) struct Declined {
    /// Whether asking again is of no use.
    pub for_good: ForGood,
    /// Why, in its words.
    pub what: String,
    /// How often it has said no in this phase.
    pub times: u32,
}

/// Whether a no may become a yes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ForGood {
    Yes,
    NotYet,
}

#[derive(Debug, Default)]
struct PlanAsked {
    reminders: BTreeMap<SignerId, Reminder>,
    planned: BTreeSet<SignerId>,
    forgotten: BTreeSet<SignerId>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reminder {
    last_ms: u64,
    times: u32,
}

impl Reminder {
    pub(super) fn again(previous: Option<&Self>, now_ms: u64) -> Self {
        Self { last_ms: now_ms, times: previous.map_or(0, |previous| previous.times).saturating_add(1) }
    }

    /// When a signer is due again. However busy it is, a lost request is not waited for for ever.
    pub(super) fn due_ms(&self, heard_ms: u64, tuning: &Tuning) -> u64 {
        let doubled = tuning.ask_again_ms.saturating_mul(1 << self.times.saturating_sub(1).min(16));
        let wait_ms = doubled.min(tuning.ask_again_max_ms).max(1);
        let after_silence = self.last_ms.max(heard_ms).saturating_add(wait_ms);
        after_silence.min(self.last_ms.saturating_add(wait_ms.saturating_mul(4)))
    }
}

impl Desk {
    /// A signer said something that moved a ceremony.
    pub fn heard(&mut self, signer: &SignerId, now_ms: u64) {
        match self.heard_ms.get_mut(signer) {
            Some(heard_ms) => *heard_ms = now_ms,
            None => drop(self.heard_ms.insert(signer.clone(), now_ms)),
        }
    }

    /// A signer gave a sign of life.
    pub fn seen(&mut self, signer: &SignerId, at_ms: u64) {
        match self.seen_ms.get_mut(signer) {
            Some(seen_ms) => *seen_ms = at_ms.max(*seen_ms),
            None => drop(self.seen_ms.insert(signer.clone(), at_ms)),
        }
    }

    /// A signer has checked the plan and keeps it.
    pub fn planned(&mut self, ceremony: &Digest, signer: &SignerId) {
        let asked = self.plans.entry(*ceremony).or_default();
        asked.forgotten.remove(signer);
        asked.planned.insert(signer.clone());
        for (chunk, asked) in &mut self.chunks {
            if chunk.plan == *ceremony && asked.declined.remove(signer).is_some() {
                asked.reminders.remove(signer);
            }
        }
    }

    /// A signer does not know the plan.
    pub fn forgot_plan(&mut self, ceremony: &Digest, signer: &SignerId) {
        let asked = self.plans.entry(*ceremony).or_default();
        asked.planned.remove(signer);
        asked.forgotten.insert(signer.clone());
    }

    /// A signer said no to what it was asked in this phase. How often it has, this time included.
    pub fn declined(
        &mut self,
        chunk: &Chunk,
        phase: Phase,
        signer: &SignerId,
        for_good: ForGood,
        what: String,
    ) -> u32 {
        let Some(asked) = self.chunks.get_mut(chunk).filter(|asked| asked.phase == phase) else { return 0 };
        let times = asked.declined.get(signer).map_or(0, |no| no.times).saturating_add(1);
        asked.declined.insert(signer.clone(), Declined { for_good, what, times });
        times
    }

    /// Whether a signer has said that it keeps a plan.
    pub fn has_plan(&self, ceremony: &Digest, signer: &SignerId) -> bool {
        self.plans.get(ceremony).is_some_and(|asked| asked.planned.contains(signer))
    }

    /// The last no of a signer in this phase, and since when the phase lasts.
    pub fn declined_since_ms(
        &self,
        chunk: &Chunk,
        phase: Phase,
        signer: &SignerId,
    ) -> Option<(&Declined, u64)> {
        let asked = self.chunks.get(chunk).filter(|asked| asked.phase == phase)?;
        Some((asked.declined.get(signer)?, asked.since_ms))
    }

    /// A signer said that it holds no parent share set.
    pub fn wants_parents(&mut self, chunk: &Chunk, signer: &SignerId) {
        if let Some(asked) = self.chunks.get_mut(chunk)
            && asked.parents_wanted.insert(signer.clone())
        {
            asked.reminders.remove(signer);
        }
    }

    /// The final no of a signer in this phase.
    pub fn refusal_of(&self, chunk: &Chunk, phase: Phase, signer: &SignerId) -> Option<&Declined> {
        let asked = self.chunks.get(chunk).filter(|asked| asked.phase == phase)?;
        asked.declined.get(signer).filter(|declined| declined.for_good == ForGood::Yes)
    }

    /// Until when a signer is waited for that this phase lacks; none before it was asked.
    pub fn waited_for_until_ms(
        &self,
        chunk: &Chunk,
        phase: Phase,
        signer: &SignerId,
        tuning: &Tuning,
    ) -> Option<u64> {
        let asked = self.chunks.get(chunk).filter(|asked| asked.phase == phase)?;
        asked.reminders.get(signer)?;
        let silent_ms = asked.since_ms.max(self.heard_ms(signer));
        if phase == Phase::Opening {
            return Some(silent_ms.saturating_add(tuning.opening_patience_ms));
        }
        let over_ms = silent_ms.saturating_add(tuning.patience_ms);
        if asked.declined.contains_key(signer) {
            return Some(over_ms);
        }
        let seen_ms = self.seen_ms.get(signer).copied().unwrap_or(0);
        let gone_ms = seen_ms.saturating_add(tuning.patience_ms).max(over_ms);
        Some(gone_ms.min(silent_ms.saturating_add(tuning.busy_patience_ms).max(over_ms)))
    }

    /// Shows what was declined.
    pub fn add_declined(&self, status: &mut CeremonyStatus) {
        for attempt in &mut status.attempts {
            if let Some(asked) = self.chunks.get(&attempt.chunk).filter(|asked| asked.phase == attempt.phase)
            {
                let words = asked.declined.iter().map(|(signer, no)| (signer.clone(), no.what.clone()));
                attempt.declined = words.collect();
            }
        }
    }

    /// A ceremony is over.
    pub fn forget(&mut self, ceremony: &Digest) {
        self.plans.remove(ceremony);
        self.chunks.retain(|chunk, _| chunk.plan != *ceremony);
    }

    fn heard_ms(&self, signer: &SignerId) -> u64 {
        self.heard_ms.get(signer).copied().unwrap_or(0)
    }

    fn enter(&mut self, attempt: &Attempt, now_ms: u64) -> &mut Asked {
        let phase = attempt.phase();
        let new = || Asked {
            phase,
            since_ms: now_ms,
            reminders: BTreeMap::new(),
            declined: BTreeMap::new(),
            parents_wanted: BTreeSet::new(),
        };
        let asked = self.chunks.entry(attempt.terms.chunk).or_insert_with(new);
        if asked.phase != phase {
            *asked = new();
        }
        asked
    }

    fn due_ms(&self, attempt: &Attempt, signer: &SignerId, tuning: &Tuning) -> u64 {
        let asked = self.chunks.get(&attempt.terms.chunk).filter(|asked| asked.phase == attempt.phase());
        let reminder = asked.and_then(|asked| asked.reminders.get(signer));
        reminder.map_or_else(|| first_ask_ms(attempt), |known| known.due_ms(self.heard_ms(signer), tuning))
    }
}

/// When a phase begins to ask: at once, but for Keep, which no signer gives before its overlap is over.
fn first_ask_ms(attempt: &Attempt) -> u64 {
    match &attempt.state {
        State::Keeping(_) => {
            let entered_ms = attempt.progress.entered_ms(Phase::Keeping).unwrap_or(0);
            entered_ms.saturating_add(attempt.terms.plan().overlap_ms())
        }
        _ => 0,
    }
}

impl<J, W: World> Driver<J, W> {
    /// Asks what these attempts are missing, where it is due.
    pub(super) fn ask_about(&mut self, chunks: &BTreeSet<Chunk>) {
        let mut of_plan = None;
        for chunk in chunks {
            // Whoever has forgotten it may do so again when the next one comes.
            if of_plan.replace(chunk.plan) != Some(chunk.plan) {
                self.ask_plan(&chunk.plan);
            }
            let Some(attempt) = self.open.get(&chunk.plan).and_then(|open| open.attempts.get(chunk)) else {
                continue;
            };
            self.desk.enter(attempt, self.now_ms);
            let Step::Ask(request, missing) = attempt.next() else { continue };
            let due = missing.into_iter().filter(|signer| {
                self.desk.due_ms(attempt, signer, &self.tuning) <= self.now_ms
                    && self.desk.refusal_of(chunk, attempt.phase(), signer).is_none()
            });
            let due: Vec<SignerId> = due.cloned().collect();
            if due.is_empty() {
                continue;
            }
            let asked = self.desk.enter(attempt, self.now_ms);
            for signer in &due {
                let reminder = Reminder::again(asked.reminders.get(signer), self.now_ms);
                asked.reminders.insert(signer.clone(), reminder);
            }
            let (with_parents, plainly): (Vec<_>, Vec<_>) =
                due.into_iter().partition(|signer| asked.parents_wanted.contains(signer));
            if !plainly.is_empty() {
                self.world.ask(&plainly, request);
            }
            if !with_parents.is_empty() {
                let planned = attempt.terms.plan().wallets_of(chunk).unwrap_or_default();
                let parent_of =
                    |wallet: &PlannedWallet| self.heads.share_set(wallet.id(), &wallet.parent()?).cloned();
                let parents = planned.iter().filter_map(parent_of).collect();
                self.world.ask(&with_parents, &Request::Open { chunk: *chunk, parents });
            }
        }
    }

    /// Hands the plan to members that do not have it.
    fn ask_plan(&mut self, digest: &Digest) {
        let Some(ceremony) = self.open.get(digest).filter(|open| open.approved.is_some()) else { return };
        let ahead = ceremony.has_openings_ahead();
        let now_ms = self.now_ms;
        let asked = self.desk.plans.entry(*digest).or_default();
        let mut due = Vec::new();
        for signer in ceremony.plan().committee.signers() {
            let lacks = asked.forgotten.contains(signer) || (ahead && !asked.planned.contains(signer));
            let reminder = asked.reminders.get(signer);
            if lacks && reminder.is_none_or(|known| known.due_ms(0, &self.tuning) <= now_ms) {
                let reminder = Reminder::again(reminder, now_ms);
                asked.reminders.insert(signer.clone(), reminder);
                due.push(signer.clone());
            }
        }
        if !due.is_empty() {
            self.world.ask(&due, &Request::Plan(Box::new(ceremony.submitted.clone())));
        }
    }

    /// When there may be something to do without a reply: call [`Driver::tick`] and [`Driver::settle`] then. None
    /// when nothing is open. Ticks that come anyway, once a second, do as well.
    pub fn wake_at_ms(&self) -> Option<u64> {
        self.open
            .values()
            .map(|ceremony| self.wake_for_ms(ceremony))
            .chain(self.bench.wake_at_ms(self.now_ms))
            .min()
    }

    fn wake_for_ms(&self, ceremony: &Ceremony) -> u64 {
        let plan = ceremony.plan();
        let as_a_whole = match ceremony.next() {
            Next::AwaitApproval => plan.expiry_ms.saturating_add(1),
            Next::Start(..) if self.now_ms < plan.not_before_ms => plan.not_before_ms,
            Next::Start(..) => plan.expiry_ms.saturating_add(1),
            Next::Cut | Next::Finish => self.now_ms,
            Next::Attend | Next::Rest => u64::MAX,
        };
        let attempts = ceremony.attempts.values().filter(|attempt| !attempt.is_over());
        attempts.map(|attempt| self.wake_for_attempt_ms(attempt)).fold(as_a_whole, u64::min)
    }

    fn wake_for_attempt_ms(&self, attempt: &Attempt) -> u64 {
        let chunk = &attempt.terms.chunk;
        let plan = attempt.terms.plan();
        let phase = attempt.phase();
        let mut wake_ms = u64::MAX;
        if phase.is_before_activation() {
            wake_ms = plan.activation_deadline_ms.saturating_add(1);
        }
        if let Step::Ask(_, missing) = attempt.next() {
            for signer in missing {
                if self.desk.refusal_of(chunk, phase, signer).is_some() {
                    continue;
                }
                wake_ms = wake_ms.min(self.desk.due_ms(attempt, signer, &self.tuning));
                if let Some(until_ms) = self.desk.waited_for_until_ms(chunk, phase, signer, &self.tuning)
                    && until_ms >= self.now_ms
                {
                    wake_ms = wake_ms.min(until_ms.saturating_add(1));
                }
            }
        }
        wake_ms
    }
}
