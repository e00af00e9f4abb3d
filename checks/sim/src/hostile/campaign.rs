//! Sieges: an honest driver works, the attacker strikes between any two of its messages, and at the end it is seen
//! whether everything can still be refreshed and signs.

mod deciding;

use super::craft::{Blow, Blows, What};
use super::grammar::{Outcome, SORTS};
use super::people;
use super::refusal::refusal;
use super::stage::{Answer, BEGIN_MS, Letter, Stage};
use super::tally::Tally;
use crate::coordinator::{Came, Coordinator};
use crate::journal::Log;
use crate::violation::{Invariant, Violation};
use perennial_custody::witness::{Clear, clear};
use perennial_model::encoding;
use perennial_model::mail::{Reply, Request};
use perennial_model::session::SessionOutcome;
use perennial_workflow::ceremony::status::Stage as CeremonyStage;
use perennial_workflow::driver::Tuning;
use std::sync::Arc;

/// How many messages of the attacker one siege has.
pub const MOVES_IN_A_SIEGE: u64 = 4_000;
/// How many honest steps a driver on an old journal takes.
const TWIN_STEPS: u32 = 120;
/// How often a signer looks at the clock, in virtual milliseconds.
const TICK_MS: u64 = 700;
/// After so many rounds the attacker begins with the quiet ones again.
const ROUNDS: u64 = 400;
/// In how many of them it lets the honest driver get on.
const CALM_ROUNDS: u64 = 280;
/// In sieges that the attacker takes over: the part of the moves, from the end, for which it does.
const TAKEN_OVER_PART: u64 = 3;
/// How many moves a halted signer stays halted.
const HALTED_MOVES: u64 = 30;

/// One siege.
pub struct Siege {
    stage: Stage,
    tally: Tally,
    ticked_ms: u64,
    /// An old copy of the journal.
    copy: Option<Log>,
    twin_steps: u32,
    watched: Vec<perennial_model::encoding::Digest>,
    halted_since: Vec<Option<u64>>,
    rewinds: bool,
    /// Whether people have begun to plan by themselves.
    at_work: bool,
    rounds: u64,
    weights: u32,
    /// How often people will yet wait for what is due under their mandates, before they plan again.
    waits: usize,
    /// How often nothing was to be done since they waited last.
    idle: u32,
    /// From how many moves on the attacker runs refreshes under mandates to their end.
    takes_over_at: u64,
}

/// Runs one siege of so many moves.
pub fn besiege(seed: u64, moves: u64) -> (Result<(), Violation>, Tally) {
    let mut siege = Siege::new(seed);
    let result = siege.run(moves);
    siege.tally.checks = siege.stage.history.checks;
    siege.tally.sieges = 1;
    (result, siege.tally)
}

/// Nothing by itself: the driver on an old journal strikes through the mail that it sends.
pub fn rewind(_: &mut Stage) -> Blows {
    Vec::new()
}

impl Siege {
    fn new(seed: u64) -> Self {
        let stage = Stage::new(seed);
        let halted_since = vec![None; stage.signers.len()];
        Self {
            stage,
            tally: Tally::default(),
            ticked_ms: BEGIN_MS,
            copy: None,
            twin_steps: 0,
            watched: Vec::new(),
            halted_since,
            rewinds: seed.is_multiple_of(2),
            at_work: false,
            rounds: 0,
            waits: 0,
            idle: 0,
            takes_over_at: u64::MAX,
            weights: SORTS.iter().map(|sort| sort.weight).sum(),
        }
    }

    fn run(&mut self, moves: u64) -> Result<(), Violation> {
        self.stage.start()?;
        self.found()?;
        self.at_work = true;
        if self.stage.one_in(2) {
            self.takes_over_at = moves - moves / TAKEN_OVER_PART;
        }
        while self.tally.moves < moves {
            self.rounds += 1;
            self.take_over()?;
            let calm = self.rounds % ROUNDS < CALM_ROUNDS;
            let (honest, strikes) = match calm || self.stage.takes_over {
                true => (3 + self.stage.below(4), self.stage.below(4)),
                false => (1, 1 + self.stage.below(6)),
            };
            for _ in 0..honest {
                self.honest_step()?;
            }
            for _ in 0..strikes {
                let sort = self.choose(calm);
                self.strike(sort)?;
                self.stage.now_ms += self.stage.below(3) as u64;
            }
            self.look_at_clocks()?;
            for number in 0..self.stage.signers.len() {
                self.clear_halt(number)?;
            }
        }
        self.stage.history.look_at_everything(&self.stage.signers)
    }

    /// The first wallets are made before the attack begins: what is not there cannot be attacked.
    fn found(&mut self) -> Result<(), Violation> {
        for group in 0..self.stage.people.groups.len() {
            let stage = &mut self.stage;
            let plan = stage.people.create(&stage.cast, group, stage.now_ms, &mut stage.rng);
            self.hand_in(plan)?;
        }
        for _ in 0..4_000 {
            if self.watched.is_empty() {
                return Ok(());
            }
            self.honest_step()?;
            self.look_at_clocks()?;
        }
        Err(Violation::stuck("wallets are not made although nobody attacks yet"))
    }

    /// The driver and the people go on: one message, or one look at what is to be done.
    fn honest_step(&mut self) -> Result<(), Violation> {
        match self.stage.letters.pop_front() {
            Some(Letter::To(number, lane, request)) => {
                let answer = self.stage.deliver(number, lane, &request)?;
                self.count_signed(&answer);
                match self.stage.twin.is_some() {
                    true => self.count(SORTS.len() - 1, &answer),
                    false => self.tally.honest += 1,
                }
                self.stage.post(number, answer.replies);
                Ok(())
            }
            Some(Letter::From(number, reply)) => {
                let from = self.stage.cast.ids[number].clone();
                self.stage.turn(Came::Reply(from, reply))
            }
            None => self.idle(),
        }
    }

    fn idle(&mut self) -> Result<(), Violation> {
        self.stage.now_ms += 20 + self.stage.below(180) as u64;
        self.close_plans();
        if self.stage.twin.is_some() || !self.at_work {
            return self.stage.turn(Came::Alarm(Vec::new()));
        }
        if self.stage.one_in(60) {
            self.govern()?;
        }
        self.decide()?;
        if self.is_waiting() {
            self.wait()?;
        } else if self.watched.len() < 2 {
            let stage = &mut self.stage;
            let group = stage.below(stage.people.groups.len());
            let makes = stage.one_in(7);
            let (heads, now_ms) = (&stage.coordinator.heads, stage.now_ms);
            let plan = match makes {
                true => stage.people.create_more(&stage.cast, group, now_ms, &mut stage.rng),
                false => stage.people.refresh(&stage.cast, heads, group, now_ms, &mut stage.rng),
            };
            if let Some(plan) = plan {
                self.hand_in(plan)?;
            }
        }
        self.stage.turn(Came::Alarm(Vec::new()))
    }

    fn hand_in(&mut self, plan: perennial_model::plan::Plan) -> Result<(), Violation> {
        let stage = &mut self.stage;
        let approved = people::approved(&stage.cast, plan, &mut stage.rng);
        let digest = approved.plan.digest();
        stage.history.planned(&approved.plan);
        stage.archive.approvals.extend(approved.approvals.iter().map(|one| (digest, one.clone())));
        // A driver that is behind the signers refuses what stands on what it has not heard of.
        if stage.coordinator.submit(stage.now_ms, approved.plan.clone(), approved.approvals.clone()).is_ok() {
            self.watched.push(digest);
        }
        stage.archive.plans.push((digest, approved));
        stage.turn(Came::Nothing)
    }

    fn govern(&mut self) -> Result<(), Violation> {
        let stage = &mut self.stage;
        let next = stage.cast.govern_as(&[0, 2]);
        stage.history.governed(next.governance.digest());
        stage.archive.governances.push(next.clone());
        let history = stage.coordinator.govern(stage.now_ms, next);
        let refused = |e| Violation::new(Invariant::Sound, format!("a sound governance is refused: {e}"));
        stage.cast.history = history.map_err(refused)?;
        stage.turn(Came::Nothing)
    }

    fn close_plans(&mut self) {
        self.watched.append(&mut self.stage.begun);
        let Some(driver) = self.stage.coordinator.driver() else { return };
        let (retired, mandated) = (&mut self.tally.retired, &mut self.tally.mandated);
        let now_ms = self.stage.now_ms;
        let history = &self.stage.history;
        self.watched.retain(|digest| {
            let Some(status) = driver.status(digest) else { return false };
            let over = matches!(
                status.stage,
                CeremonyStage::Done | CeremonyStage::Expired | CeremonyStage::Outdated
            );
            let is_done = over && status.wallets_retired == status.wallets;
            *retired += u64::from(is_done && status.mandate.is_none());
            *mandated += u64::from(is_done && status.mandate.is_some());
            let late =
                history.plans.get(digest).is_some_and(|plan| plan.activation_deadline_ms + 3_000 < now_ms);
            !over && !late
        });
    }

    fn look_at_clocks(&mut self) -> Result<(), Violation> {
        if self.stage.now_ms < self.ticked_ms + TICK_MS {
            return Ok(());
        }
        self.ticked_ms = self.stage.now_ms;
        for number in 0..self.stage.signers.len() {
            self.stage.tick(number)?;
            if self.stage.one_in(120) {
                self.stage.restart(number)?;
            }
        }
        self.rewind_or_return()
    }

    /// The operator of a halted signer looks at the evidence and clears the halt.
    fn clear_halt(&mut self, number: usize) -> Result<(), Violation> {
        let halted = self.stage.signers[number].keeper().is_some_and(|keeper| keeper.halted().is_some());
        if !halted {
            self.halted_since[number] = None;
            return Ok(());
        }
        self.look_at_halt(number)?;
        let since = *self.halted_since[number].get_or_insert(self.tally.moves);
        if self.tally.moves < since + HALTED_MOVES {
            return Ok(());
        }
        let what = if self.stage.one_in(2) { Clear::Halt } else { Clear::HaltAndCheckpoint };
        if what == Clear::HaltAndCheckpoint {
            self.stage.ledger.cosigned.remove(&number);
        }
        self.stage.signers[number].die(crate::signer::Death::Process);
        self.stage.history.mirrors[number].halt = None;
        let cleared = clear(&mut self.stage.signers[number].disk, what);
        cleared.map_err(|e| Violation::new(Invariant::Sound, e.to_string()))?;
        self.stage.start_signer(number)
    }

    /// Copies the journal, lets a driver run on an old copy, or lets the true one go on.
    fn rewind_or_return(&mut self) -> Result<(), Violation> {
        if self.stage.twin.is_some() {
            self.twin_steps = self.twin_steps.saturating_sub(1);
            if self.twin_steps == 0 {
                self.stage.twin = None;
            }
            return Ok(());
        }
        if !self.rewinds {
            return Ok(());
        }
        if self.stage.one_in(4) {
            self.copy = Some(self.stage.coordinator.log.copy());
        }
        if self.stage.one_in(6)
            && let Some(copy) = self.copy.take()
        {
            let history = self.stage.cast.history.clone();
            let seed = self.stage.below(1 << 30) as u64;
            let mut twin = Coordinator::from_copy(history, Tuning::default(), seed, copy);
            let cannot =
                |e| Violation::new(Invariant::Sound, format!("an old journal cannot be read: {e:?}"));
            twin.start(self.stage.now_ms).map_err(cannot)?;
            self.stage.twin = Some(twin);
            self.twin_steps = TWIN_STEPS / 20;
        }
        Ok(())
    }

    /// One of the sorts of moves, by their weights.
    fn choose(&mut self, calm: bool) -> Option<usize> {
        if !calm && self.stage.one_in(12) && !self.stage.letters.is_empty() {
            let at = self.stage.below(self.stage.letters.len());
            self.stage.letters.remove(at);
            self.tally.dropped += 1;
        }
        let mut point = self.stage.below(self.weights as usize) as u32;
        let sort = SORTS.iter().position(|sort| match point < sort.weight {
            true => true,
            false => {
                point -= sort.weight;
                false
            }
        });
        sort.filter(|sort| !calm || !SORTS[*sort].disturbs)
    }

    fn strike(&mut self, sort: Option<usize>) -> Result<(), Violation> {
        let Some(sort) = sort else { return Ok(()) };
        for Blow { number, lane, what } in (SORTS[sort].craft)(&mut self.stage) {
            let answer = match what {
                What::Request(request) => self.stage.deliver(number, lane, &request)?,
                // What can be read in spite of the damage is asked as well as anything else.
                What::Bytes(bytes) => match encoding::decode::<Request>(&bytes) {
                    Ok(request) => self.stage.deliver(number, lane, &Arc::new(request))?,
                    Err(_) => self.stage.deliver_bytes(number, lane, &bytes)?,
                },
            };
            self.count_signed(&answer);
            self.count(sort, &answer);
            if !self.stage.one_in(4) {
                self.stage.post(number, answer.replies);
            }
        }
        Ok(())
    }

    fn count(&mut self, sort: usize, answer: &Answer) {
        let refused = answer.replies.iter().find_map(|(_, reply)| refusal(reply));
        let outcome = match (&refused, answer.changed, answer.replies.is_empty()) {
            (_, true, _) => Outcome::Taken,
            (Some(_), ..) => Outcome::Refused,
            (None, false, false) => Outcome::Answered,
            (None, false, true) => Outcome::Ignored,
        };
        self.tally.count(sort, outcome, refused.as_ref());
    }

    fn count_signed(&mut self, answer: &Answer) {
        let signed = |reply: &Reply| match reply {
            Reply::Session(report) => matches!(report.outcome, SessionOutcome::Signed(_)),
            _ => false,
        };
        self.tally.signatures += answer.replies.iter().filter(|(_, reply)| signed(reply)).count() as u64;
    }
}
