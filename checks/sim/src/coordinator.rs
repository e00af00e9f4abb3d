//! The coordinator's process around the shipped driver: replies in, requests out, every fact in the journal between.

use crate::disk::Landed;
use crate::journal::{AppendFailed, Log};
use perennial_model::approval::Approval;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::mail::{Reply, Request};
use perennial_model::mandate::ApprovedMandate;
use perennial_model::mutant;
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::{Chunk, Plan};
use perennial_workflow::ceremony::status::Phase;
use perennial_workflow::driver::{BootError, Driver, Settled, Tuning, World};
use perennial_workflow::wallets::Heads;
use rand_chacha::ChaCha8Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use std::sync::Arc;

/// What the driver sees of the world.
#[derive(Debug)]
pub struct Outside {
    now_ms: u64,
    rng: ChaCha8Rng,
    outbox: Vec<(Vec<SignerId>, Request)>,
}

impl World for Outside {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut self.rng
    }

    fn ask(&mut self, signers: &[SignerId], request: &Request) {
        self.outbox.push((signers.to_vec(), request.clone()));
    }
}

/// What came of one turn of the loop.
#[derive(Debug, Default)]
pub struct Turned {
    /// What is durable.
    pub settled: Settled,
    /// What is to be sent.
    pub outbox: Vec<(Vec<SignerId>, Request)>,
}

/// The coordinator: a journal that stays, and a process that may die.
pub struct Coordinator {
    /// The journal.
    pub log: Log,
    history: Arc<History>,
    tuning: Tuning,
    driver: Option<Driver<Log, Outside>>,
    /// An attempt for which this life of the process chooses the dealers that it would not choose otherwise.
    contrary: Option<Chunk>,
    /// What is known of wallets, kept from changes alone, as the gateway does.
    pub heads: Heads,
    /// The attempts that were in progress when the process died.
    in_progress: Vec<(Chunk, Phase)>,
    seeds: ChaCha8Rng,
}

impl Coordinator {
    /// A coordinator that has not been started.
    pub fn new(history: Arc<History>, tuning: Tuning, seed: u64) -> Self {
        Self {
            log: Log::default(),
            history,
            tuning,
            driver: None,
            contrary: None,
            heads: Heads::default(),
            in_progress: Vec::new(),
            seeds: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// A coordinator that will start from a copy of another's journal.
    pub fn from_copy(history: Arc<History>, tuning: Tuning, seed: u64, log: Log) -> Self {
        Self { log, ..Self::new(history, tuning, seed) }
    }

    /// Starts the process from the journal.
    ///
    /// # Errors
    /// [`BootError`]: a journal that cannot be replayed, which is a bug.
    pub fn start(&mut self, now_ms: u64) -> Result<(), BootError<AppendFailed>> {
        let rng = ChaCha8Rng::seed_from_u64(self.seeds.next_u64());
        let outside = Outside { now_ms, rng, outbox: Vec::new() };
        let driver = Driver::boot(self.history.clone(), self.tuning.clone(), self.log.clone(), outside)?;
        self.heads = driver.heads().clone();
        self.driver = Some(driver);
        Ok(())
    }

    /// Whether the process runs.
    pub fn is_up(&self) -> bool {
        self.driver.is_some()
    }

    /// The loop, while it runs.
    pub fn driver(&self) -> Option<&Driver<Log, Outside>> {
        self.driver.as_ref()
    }

    /// The process dies.
    pub fn die(&mut self) {
        self.log.set_fuse(None);
        self.contrary = None;
        if let Some(driver) = self.driver.take() {
            let open = driver.ceremonies().into_iter().filter_map(|digest| driver.ceremony(&digest).cloned());
            self.in_progress = open
                .flat_map(|ceremony| ceremony.attempts.into_iter())
                .filter(|(_, attempt)| !attempt.is_over())
                .map(|(chunk, attempt)| (chunk, attempt.phase()))
                .collect();
        }
    }

    /// The attempts in progress and where they are.
    pub fn attempts(&self) -> Vec<(Chunk, Phase)> {
        let Some(driver) = &self.driver else { return self.in_progress.clone() };
        let open = driver.ceremonies().into_iter().filter_map(|digest| driver.ceremony(&digest));
        let attempts = open.flat_map(|ceremony| &ceremony.attempts);
        let attempts = attempts.filter(|(_, attempt)| !attempt.is_over());
        attempts.map(|(chunk, attempt)| (*chunk, attempt.phase())).collect()
    }

    /// The process dies, forgets an attempt from the choice of its dealers on, and will choose others.
    pub fn die_and_forget(&mut self, chunk: &Chunk) {
        self.die();
        self.log.forget(chunk);
        self.contrary = Some(*chunk);
    }

    /// Where an attempt is; none if it is over.
    pub fn phase(&self, chunk: &Chunk) -> Option<Phase> {
        match &self.driver {
            Some(driver) => {
                let attempt = driver.ceremony(&chunk.plan)?.attempts.get(chunk)?;
                (!attempt.is_over()).then(|| attempt.phase())
            }
            None => self.in_progress.iter().find(|(open, _)| open == chunk).map(|(_, phase)| *phase),
        }
    }

    /// Whether a ceremony is not over.
    pub fn is_open(&self, plan: &Digest) -> bool {
        match &self.driver {
            Some(driver) => driver.ceremony(plan).is_some(),
            None => self.in_progress.iter().any(|(open, _)| open.plan == *plan),
        }
    }

    /// Takes a plan and its approvals.
    ///
    /// # Errors
    /// Why the driver refuses them.
    pub fn submit(
        &mut self,
        now_ms: u64,
        plan: Plan,
        approvals: Vec<Approval>,
    ) -> Result<Digest, perennial_model::Error> {
        let Some(driver) = &mut self.driver else {
            return Err(perennial_model::Error::stale("the coordinator is down"));
        };
        driver.world_mut().now_ms = now_ms;
        let digest = driver.submit(plan)?;
        for approval in approvals {
            driver.approve(&digest, approval)?;
        }
        Ok(digest)
    }

    /// Takes a mandate, or an order.
    ///
    /// # Errors
    /// Why the driver refuses it.
    pub fn decree(&mut self, now_ms: u64, decree: Decree) -> Result<Digest, perennial_model::Error> {
        let Some(driver) = &mut self.driver else {
            return Err(perennial_model::Error::stale("the coordinator is down"));
        };
        driver.world_mut().now_ms = now_ms;
        match decree {
            Decree::Mandate(mandate) => driver.mandate(mandate),
            Decree::Order(order) => driver.order(order),
        }
    }

    /// Takes the next version of governance, which is durable before the loop hears of it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn govern(
        &mut self,
        now_ms: u64,
        next: ApprovedGovernance,
    ) -> Result<Arc<History>, perennial_model::Error> {
        if let Some(driver) = &mut self.driver {
            driver.world_mut().now_ms = now_ms;
            driver.govern(next)?;
            self.history = driver.history().clone();
        }
        Ok(self.history.clone())
    }

    /// One turn of the loop, with what came.
    ///
    /// # Errors
    /// [`AppendFailed`]: the process has to end, and nothing leaves.
    pub fn turn(&mut self, now_ms: u64, came: Came) -> Result<Turned, AppendFailed> {
        self.contrary = self.contrary.filter(|chunk| self.phase(chunk) == Some(Phase::Opening));
        let Some(driver) = &mut self.driver else { return Ok(Turned::default()) };
        driver.world_mut().now_ms = now_ms;
        mutant::lie(self.contrary.is_some());
        match came {
            Came::Reply(from, reply) => driver.receive(&from, *reply),
            Came::Alarm(seen) => {
                seen.iter().for_each(|signer| driver.seen(signer, now_ms));
                driver.tick();
            }
            Came::Nothing => {}
        }
        let settled = driver.settle();
        mutant::lie(false);
        let settled = settled?;
        for change in &settled.changes {
            self.heads.apply(change);
        }
        Ok(Turned { settled, outbox: std::mem::take(&mut driver.world_mut().outbox) })
    }

    /// Makes the next append fail.
    pub fn cut_next_append(&mut self, landed: Landed) {
        self.log.set_fuse(Some(landed));
    }
}

/// What people decide beyond single plans.
#[derive(Debug)]
pub enum Decree {
    /// A mandate.
    Mandate(ApprovedMandate),
    /// An order.
    Order(ApprovedOrder),
}

/// What wakes the loop.
#[derive(Debug)]
pub enum Came {
    /// A reply.
    Reply(SignerId, Box<Reply>),
    /// The time that it asked for, and the signers that gave a sign of life just now.
    Alarm(Vec<SignerId>),
    /// Something else that was handed to it before.
    Nothing,
}
