//! What a reply amounts to: a fact, a reason to ask again or to leave an attempt, mail for somebody else, or
//! something not to be believed.

use super::asking::ForGood;
use super::{Driver, World, relay};
use crate::ceremony::batch::CeremonyFact;
use crate::ceremony::statement::Statement;
use crate::ceremony::status::Phase;
use crate::ceremony::{Attempt, Fact, Reason, Step};
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use perennial_model::session::Blame;

/// The most characters of a signer's own words that are kept.
const WORDS_MAX: usize = 400;

impl<J, W: World> Driver<J, W> {
    pub(super) fn hear(&mut self, from: SignerId, reply: Reply) {
        let heard = match reply {
            Reply::Planned(digest) => {
                self.hear_planned(&from, digest);
                Ok(())
            }
            Reply::Governed { version, digest } => self.hear_governed(&from, version, &digest),
            Reply::Ordered(order) => {
                self.hear_ordered(&from, order);
                Ok(())
            }
            Reply::Session(report) => self.hear_session(&from, report),
            Reply::Declined { chunk: Some(chunk), blame, reason, .. } => {
                self.hear_declined(&from, chunk, blame, shortened(reason));
                Ok(())
            }
            // A plan that is not taken shows when its chunks are not opened.
            Reply::Declined { chunk: None, .. } => Ok(()),
            Reply::SessionMail(_) | Reply::PairingMail(_) => self.hand_on(&from, &reply),
            statement => self.hear_statement(&from, statement),
        };
        match heard {
            Ok(()) | Err(Error::Stale(_)) => {}
            Err(error) => self.settled.objections.push((from, error)),
        }
    }

    /// Leaves an attempt, if it still can be left.
    pub(super) fn leave(&mut self, chunk: Chunk, reason: Reason) {
        self.record(chunk.plan, CeremonyFact::Chunk(chunk, Box::new(Fact::Left(reason))));
    }

    pub(super) fn attempt(&self, chunk: &Chunk) -> Option<&Attempt> {
        self.open.get(&chunk.plan)?.attempts.get(chunk)
    }

    fn hear_statement(&mut self, from: &SignerId, reply: Reply) -> Result<(), Error> {
        let Some(statement) = Statement::check(from, reply, &*self.history)? else { return Ok(()) };
        let chunk = statement.chunk();
        let Some(attempt) = self.open.get(&chunk.plan).and_then(|open| open.attempts.get(&chunk)) else {
            return Err(Error::stale(format!("{chunk} has no attempt in progress")));
        };
        let fact = match attempt.hear(statement, self.world.rng()) {
            Ok(fact) => fact,
            Err(Error::Misbehaved { culprit, what }) => {
                if attempt.phase().is_before_activation() {
                    let reason =
                        Reason::Misbehaved { culprit: culprit.clone(), what: shortened(what.clone()) };
                    self.leave(chunk, reason);
                }
                return Err(Error::Misbehaved { culprit, what });
            }
            Err(error) => return Err(error),
        };
        if self.record(chunk.plan, CeremonyFact::Chunk(chunk, Box::new(fact))) {
            self.desk.heard(from, self.now_ms);
        }
        Ok(())
    }

    fn hear_planned(&mut self, from: &SignerId, digest: Digest) {
        let Some(ceremony) = self.open.get(&digest) else { return };
        if ceremony.plan().committee.seat_of(from).is_none() {
            return;
        }
        self.desk.planned(&digest, from);
        let opening = ceremony.attempts.values().filter(|attempt| !attempt.is_over());
        self.chunks_to_see.extend(opening.map(|attempt| attempt.terms.chunk));
    }

    /// A no. Before an Activation, one that will not change ends the attempt as soon as it cannot do without.
    fn hear_declined(&mut self, from: &SignerId, chunk: Chunk, blame: Blame, what: String) {
        let Some(attempt) = self.attempt(&chunk) else { return };
        let Step::Ask(_, missing) = attempt.next() else { return };
        if !missing.contains(&from) {
            return;
        }
        let phase = attempt.phase();
        let may_leave = phase.is_before_activation();
        self.chunks_to_see.insert(chunk);
        match blame {
            Blame::Signer(culprit) if may_leave => {
                self.leave(chunk, Reason::Accused { by: from.clone(), culprit, what });
            }
            Blame::Denied | Blame::Asker if may_leave => {
                self.desk.declined(&chunk, phase, from, ForGood::Yes, what);
            }
            Blame::Stale => {
                let times = self.desk.declined(&chunk, phase, from, ForGood::NotYet, what);
                self.supply(from, &chunk, phase, times);
            }
            _ => drop(self.desk.declined(&chunk, phase, from, ForGood::NotYet, what)),
        }
    }

    /// A signer that is not ready may lack the parents or the plan itself; it gets them, one after the other.
    fn supply(&mut self, signer: &SignerId, chunk: &Chunk, phase: Phase, times: u32) {
        if !self.desk.has_plan(&chunk.plan, signer) {
            self.desk.forgot_plan(&chunk.plan, signer);
            return;
        }
        if phase == Phase::Opening {
            self.desk.wants_parents(chunk, signer);
        }
        // Before its overlap is over every signer says so; that is no sign of anything missing.
        if times > 1 && phase != Phase::Keeping {
            self.desk.forgot_plan(&chunk.plan, signer);
        }
    }

    fn hand_on(&mut self, from: &SignerId, reply: &Reply) -> Result<(), Error> {
        if let Some((to, request)) = relay(from, reply)? {
            if matches!(reply, Reply::PairingMail(_)) {
                self.desk.heard(from, self.now_ms);
            }
            self.world.ask(&[to], &request);
        }
        Ok(())
    }
}

/// A signer's own words, at a length that can be kept.
pub(super) fn shortened(words: String) -> String {
    if words.chars().count() <= WORDS_MAX { words } else { words.chars().take(WORDS_MAX).collect() }
}
