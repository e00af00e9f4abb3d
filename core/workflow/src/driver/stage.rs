//! A journal in memory and a world that writes down what is asked, for tests of the loop.

use super::{Driver, Settled, Tuning, World};
use crate::ceremony::status::{CeremonyStatus, Phase, Stage};
use crate::journal::{Batch, Journal, Loaded, Note};
use crate::sample::{Cast, rng};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::Plan;
use rand_chacha::ChaCha8Rng;
use rand_core::CryptoRng;
use std::collections::VecDeque;

/// Keeps everything that was appended, as a database would.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    lines: Vec<(Digest, Vec<u8>)>,
    summaries: Vec<(Digest, Vec<u8>)>,
    pub appends: usize,
    pub full: bool,
}

impl Journal for Disk {
    type Error = &'static str;

    fn append(&mut self, batch: &Batch) -> Result<(), Self::Error> {
        if self.full {
            return Err("the disk is full");
        }
        self.appends += 1;
        self.lines.extend(batch.lines.iter().map(|line| (line.ceremony, line.document.clone())));
        for summary in &batch.summaries {
            match self.summaries.iter_mut().find(|(ceremony, _)| *ceremony == summary.ceremony) {
                Some((_, document)) => *document = summary.document.clone(),
                None => self.summaries.push((summary.ceremony, summary.document.clone())),
            }
        }
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<Loaded>, Self::Error> {
        let closed = |ceremony: &Digest| self.summaries.iter().any(|(known, _)| known == ceremony);
        let summaries = self.summaries.iter().map(|(_, document)| Loaded::Summary(document.clone()));
        let open = self.lines.iter().filter(|(ceremony, _)| !closed(ceremony));
        Ok(summaries.chain(open.map(|(_, document)| Loaded::Line(document.clone()))).collect())
    }
}

/// What was asked, in order, and a clock that stands still until it is moved.
#[derive(Debug)]
pub struct Street {
    pub now_ms: u64,
    pub asked: VecDeque<(SignerId, Request)>,
    rng: ChaCha8Rng,
}

impl World for Street {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }
    fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut self.rng
    }
    fn ask(&mut self, signers: &[SignerId], request: &Request) {
        self.asked.extend(signers.iter().map(|signer| (signer.clone(), request.clone())));
    }
}

/// What becomes of a request on its way.
pub enum Fate {
    /// The signer answers as an honest one.
    Answered,
    /// Nothing comes back.
    Lost,
    /// This comes back instead.
    Replied(Reply),
}

/// A loop with its cast.
pub struct Play {
    pub driver: Driver<Disk, Street>,
    pub cast: Cast,
    pub notes: Vec<Note>,
}

impl Play {
    pub fn new(cast: Cast, tuning: Tuning) -> Self {
        let street = Street { now_ms: 1_000, asked: VecDeque::new(), rng: rng() };
        let driver = Driver::boot(cast.history.clone(), tuning, Disk::default(), street);
        Self { driver: driver.expect("an empty journal"), cast, notes: Vec::new() }
    }

    /// Submits and approves a plan.
    pub fn begin(&mut self, plan: &Plan) -> Digest {
        let ceremony = self.driver.submit(plan.clone()).expect("a sound plan");
        self.cast.approved(plan);
        self.driver.approve(&ceremony, self.cast.approval(plan)).expect("a good approval");
        ceremony
    }

    pub fn settle(&mut self) -> Settled {
        let settled = self.driver.settle().expect("a disk with room");
        self.notes.extend(settled.notes.iter().cloned());
        settled
    }

    /// Runs until nothing is asked any more at this instant. Answers as `fate` has it.
    pub fn run(&mut self, fate: &mut dyn FnMut(&SignerId, &Request) -> Fate) {
        self.settle();
        while let Some((signer, request)) = self.driver.world.asked.pop_front() {
            let replies = match fate(&signer, &request) {
                Fate::Answered => self.cast.answer(&signer, &request),
                Fate::Lost => Vec::new(),
                Fate::Replied(reply) => vec![reply],
            };
            for reply in replies {
                self.driver.receive(&signer, reply);
            }
            self.settle();
        }
    }

    /// Runs on, moving the clock to whenever something is due, until `done` or until that is after `until_ms`.
    pub fn run_until(
        &mut self,
        until_ms: u64,
        fate: &mut dyn FnMut(&SignerId, &Request) -> Fate,
        done: &dyn Fn(&Self) -> bool,
    ) {
        loop {
            self.run(fate);
            let Some(wake_ms) = self.driver.wake_at_ms().filter(|wake_ms| *wake_ms <= until_ms) else {
                return;
            };
            if done(self) {
                return;
            }
            assert!(wake_ms >= self.driver.world.now_ms, "due in the past, and not seen to");
            self.driver.world.now_ms = wake_ms.max(self.driver.world.now_ms + 1);
            self.driver.tick();
        }
    }

    /// Runs a whole ceremony with honest signers and no losses.
    pub fn complete(&mut self, plan: &Plan) -> Digest {
        let ceremony = self.begin(plan);
        self.run(&mut |_, _| Fate::Answered);
        assert_eq!(self.status(&ceremony).stage, Stage::Done);
        ceremony
    }

    pub fn status(&self, ceremony: &Digest) -> CeremonyStatus {
        self.driver.status(ceremony).expect("a known ceremony")
    }

    pub fn phases(&self, ceremony: &Digest) -> Vec<Phase> {
        self.status(ceremony).attempts.iter().map(|attempt| attempt.phase).collect()
    }

    /// Ends the process and starts it again from what is on the disk.
    pub fn crash(&mut self) {
        let tuning = self.driver.tuning.clone();
        let street = Street { now_ms: self.driver.world.now_ms, asked: VecDeque::new(), rng: rng() };
        let disk = self.driver.journal.clone();
        let booted = Driver::boot(self.cast.history.clone(), tuning, disk, street);
        self.driver = booted.expect("its own journal");
    }
}
