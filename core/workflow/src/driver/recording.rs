//! The one place where a fact takes effect: it is written down, applied, and what follows from it for wallets and
//! ledger is noted. Boot goes through here as well.

use super::thefts::tenure;
use super::{Closed, Driver};
use crate::ceremony::batch::{Ceremony, CeremonyFact, Unfit};
use crate::ceremony::generation::Generation;
use crate::ceremony::serving::{Retired, Retiring};
use crate::ceremony::status::{Phase, Stage};
use crate::ceremony::{Attempt, Fact, State};
use crate::journal::{Abandoned, Line, Note, Recorded, Settlement, Summary};
use crate::thefts::Tenure;
use crate::wallets::HeadChange;
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest};
use perennial_model::plan::{Action, Chunk, PlannedWallet};
use perennial_model::wallet::WalletId;
use std::sync::Arc;

impl<J, W> Driver<J, W> {
    /// Writes a fact down and applies it. A fact that does not fit changes nothing and is not written.
    pub(super) fn record(&mut self, ceremony: Digest, fact: CeremonyFact) -> bool {
        let recorded = Recorded { ceremony, at_ms: self.now_ms, fact };
        let document = encoding::encode(&recorded);
        let place = self.batch.lines.len();
        self.batch.lines.push(Line { ceremony, document });
        if self.take_in(recorded).is_err() {
            self.batch.lines.truncate(place);
            return false;
        }
        true
    }

    /// Applies a fact and notes what follows from it.
    pub(super) fn take_in(&mut self, recorded: Recorded) -> Result<(), Unfit> {
        let Recorded { ceremony: digest, at_ms, fact } = recorded;
        if let CeremonyFact::Submitted(plan) = fact {
            let ceremony = Ceremony::submitted(at_ms, *plan, &self.history);
            if ceremony.digest != digest || self.open.contains_key(&digest) {
                return Err(Unfit("a plan under another digest, or twice".into()));
            }
            self.open.insert(digest, ceremony);
            self.batch.notes.push(Note::Submitted { ceremony: digest });
            self.ceremonies_to_see.insert(digest);
            return Ok(());
        }
        if matches!(fact, CeremonyFact::Mandated(_) | CeremonyFact::Ordered(_)) {
            return self.take_decree(digest, at_ms, fact);
        }
        if let CeremonyFact::TheftReported(report) = fact {
            return self.take_theft(digest, at_ms, *report);
        }
        let history = self.history.clone();
        let ceremony = self.open.get_mut(&digest).ok_or_else(|| Unfit("an unknown ceremony".into()))?;
        let trace = Trace::of(ceremony, &fact);
        ceremony.apply(at_ms, fact, &history)?;
        self.ceremonies_to_see.insert(digest);
        match trace {
            Trace::Approved(person) => {
                let running = ceremony.stage == Stage::Running;
                let plan = running.then(|| Arc::new(ceremony.submitted.clone()));
                self.batch.notes.push(Note::Approved { ceremony: digest, person });
                self.batch.notes.extend(plan.map(|plan| Note::Authorised { plan, ceremony: digest }));
            }
            Trace::UnderMandate => {
                let plan = Arc::new(ceremony.submitted.clone());
                self.batch.notes.push(Note::Authorised { plan, ceremony: digest });
            }
            Trace::Chunk(chunk, before, said) => self.follow_chunk(chunk, before, said, at_ms),
            Trace::GivenUp(wallets) => {
                self.batch.notes.push(Note::GivenUp { ceremony: digest, wallets });
                self.see_siblings(&digest);
            }
            Trace::Closed => self.close(digest),
            Trace::Nothing => {}
        }
        Ok(())
    }

    fn follow_chunk(&mut self, chunk: Chunk, before: Phase, said: Said, at_ms: u64) {
        self.chunks_to_see.insert(chunk);
        match said {
            Said::Serves(holder, since_ms) => {
                self.change(HeadChange::Serves { chunk, holder, at_ms: since_ms });
            }
            Said::Note(note) => self.batch.notes.push(*note),
            Said::Nothing => {}
        }
        let Some(ceremony) = self.open.get(&chunk.plan) else { return };
        let Some(attempt) = ceremony.attempts.get(&chunk) else { return };
        let action = ceremony.plan().action;
        match &attempt.state {
            State::Activating(state) if before.is_before_activation() => {
                let (generation, activation) = (state.generation.clone(), state.activation.clone());
                let certificate = activation.clone();
                self.batch.notes.push(Note::Activated { chunk, certificate });
                self.change(HeadChange::Activated { generation, activation, at_ms });
            }
            State::Retiring(Retiring { generation, retirement, .. })
            | State::Retired(Retired { generation, retirement })
                if before == Phase::Keeping =>
            {
                let (generation, certificate) = (generation.clone(), retirement.clone());
                let activated_ms = attempt.activated_ms();
                self.follow_retirement(action, generation, certificate, activated_ms, at_ms);
            }
            State::Left(reason) => {
                let openers: Arc<[SignerId]> = attempt.progress.openers.clone().into();
                let wallets = wallets_of(attempt);
                if !ceremony.tries_again(&chunk, reason) {
                    let wallets = wallets.to_vec();
                    self.batch.notes.push(Note::GivenUp { ceremony: chunk.plan, wallets });
                }
                self.change(HeadChange::Abandoned { epoch: chunk.epoch, wallets, openers });
                if !before.is_before_activation() {
                    self.change(HeadChange::Withdrawn { chunk });
                }
                self.see_siblings(&chunk.plan);
            }
            State::Keeping(state) if state.is_complete() => self.see_siblings(&chunk.plan),
            _ => {}
        }
    }

    fn follow_retirement(
        &mut self,
        action: Action,
        generation: Arc<Generation>,
        certificate: Arc<perennial_model::certificate::Certificate>,
        activated_ms: u64,
        at_ms: u64,
    ) {
        let chunk = generation.inputs.chunk;
        self.batch.notes.push(Note::Retired { chunk, certificate });
        if action == Action::Create {
            self.batch.notes.push(Note::Created { chunk, generation: generation.clone() });
        }
        self.change(HeadChange::Retired { generation, activated_ms, at_ms });
        self.slim_summaries();
        // Attempts of other plans that this one has overtaken have to be looked at.
        for (digest, other) in &self.open {
            if *digest != chunk.plan && other.plan().rank <= chunk.epoch.rank {
                let open = other.attempts.values().filter(|attempt| !attempt.is_over());
                self.chunks_to_see.extend(open.map(|attempt| attempt.terms.chunk));
            }
        }
    }

    pub(super) fn change(&mut self, change: HeadChange) {
        self.heads.apply(&change);
        self.settled.changes.push(change);
    }

    /// ECDSA chunks that have to follow others of their plan to a higher number, and those whose Retirement has waited
    /// for the rest and need not wait any longer.
    fn see_siblings(&mut self, ceremony: &Digest) {
        let Some(ceremony) = self.open.get(ceremony) else { return };
        self.chunks_to_see.extend(ceremony.moved_by_each_other());
    }

    /// Forgets the share sets of ceremonies that are over and on which no wallet stands any more.
    fn slim_summaries(&mut self) {
        for (digest, closed) in &mut self.closed {
            if closed.has_generations && !self.heads.stands_on(digest) {
                closed.has_generations = false;
                let status = closed.status.clone();
                let tenures = Some(closed.tenures.clone()).filter(|tenures| !tenures.is_empty());
                let summary = Summary { status, generations: Vec::new(), abandoned: Vec::new(), tenures };
                self.batch.summaries.push(Line { ceremony: *digest, document: encoding::encode(&summary) });
            }
        }
    }

    /// Puts a ceremony that is over aside.
    fn close(&mut self, digest: Digest) {
        let Some(ceremony) = self.open.remove(&digest) else { return };
        let status = ceremony.status();
        let generations: Vec<Settlement> = ceremony.attempts.values().filter_map(settlement).collect();
        let abandoned = ceremony
            .attempts
            .values()
            .filter(|attempt| matches!(attempt.state, State::Left(_)))
            .map(|attempt| Abandoned {
                epoch: attempt.terms.chunk.epoch,
                wallets: wallets_of(attempt).to_vec(),
                openers: attempt.progress.openers.clone(),
            })
            .collect();
        let has_generations = !generations.is_empty();
        let tenures: Vec<Tenure> = ceremony.attempts.values().filter_map(tenure).collect();
        let tenures = self.thefts.sharing_names(tenures);
        let kept = Some(tenures.clone()).filter(|tenures| !tenures.is_empty());
        let summary = Summary { status: status.clone(), generations, abandoned, tenures: kept };
        self.batch.summaries.push(Line { ceremony: digest, document: encoding::encode(&summary) });
        self.batch.notes.push(Note::Finished { status: Box::new(status.clone()) });
        self.closed.insert(digest, Closed { status, has_generations, tenures });
        self.desk.forget(&digest);
        self.ceremonies_to_see.remove(&digest);
        self.decrees.is_due = true;
    }
}

/// What has to be kept of a fact before it is consumed.
enum Trace {
    Approved(perennial_model::governance::PersonId),
    UnderMandate,
    Chunk(Chunk, Phase, Said),
    GivenUp(Vec<WalletId>),
    Closed,
    Nothing,
}

enum Said {
    Serves(SignerId, u64),
    Note(Box<Note>),
    Nothing,
}

impl Trace {
    fn of(ceremony: &Ceremony, fact: &CeremonyFact) -> Self {
        match fact {
            CeremonyFact::Approved(approval) => Self::Approved(approval.person.clone()),
            CeremonyFact::Chunk(chunk, fact) => {
                let before = ceremony.attempts.get(chunk).map_or(Phase::Opening, Attempt::phase);
                let said = match &**fact {
                    Fact::Activated(holder, since_ms) => Said::Serves(holder.clone(), *since_ms),
                    Fact::Erased(receipt) => Said::Note(Box::new(Note::Erased {
                        chunk: *chunk,
                        receipt: receipt.signed().clone(),
                    })),
                    Fact::Left(reason) => {
                        Said::Note(Box::new(Note::Left { chunk: *chunk, reason: reason.clone() }))
                    }
                    _ => Said::Nothing,
                };
                Self::Chunk(*chunk, before, said)
            }
            CeremonyFact::Started(chunk) => Self::Chunk(*chunk, Phase::Opening, Said::Nothing),
            CeremonyFact::GivenUp => Self::GivenUp(ceremony.waiting_wallets()),
            CeremonyFact::Expired
            | CeremonyFact::Outdated
            | CeremonyFact::Cancelled
            | CeremonyFact::Finished => Self::Closed,
            CeremonyFact::UnderMandate(_) => Self::UnderMandate,
            CeremonyFact::Submitted(_)
            | CeremonyFact::Cut(_)
            | CeremonyFact::Mandated(_)
            | CeremonyFact::Ordered(_)
            | CeremonyFact::TheftReported(_) => Self::Nothing,
        }
    }
}

/// The names of an attempt's wallets.
pub(super) fn wallets_of(attempt: &Attempt) -> Arc<[WalletId]> {
    let planned = attempt.terms.plan().wallets_of(&attempt.terms.chunk).unwrap_or_default();
    planned.iter().map(PlannedWallet::id).cloned().collect()
}

fn settlement(attempt: &Attempt) -> Option<Settlement> {
    let State::Retired(state) = &attempt.state else { return None };
    Some(Settlement {
        generation: (*state.generation).clone(),
        activated_ms: attempt.activated_ms(),
        retired_ms: attempt.retired_ms(),
    })
}
