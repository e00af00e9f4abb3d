//! The whole system in one thread: what happens next, to whom, and what follows.
//!
//! The loop takes one event at a time. Whatever a process does in it is saved, looked at by every invariant, and
//! only then sent. Everything that goes wrong follows from the seed.

mod at_coordinator;
mod at_signer;
mod ending;

use crate::cast::Cast;
use crate::coordinator::Coordinator;
use crate::disk::{Fuse, Landed};
use crate::faults::{Step, Table, Weather};
use crate::history::History;
use crate::load::Load;
use crate::network::{About, Body, Event, Lane, Network, Way, happens};
use crate::operator::Operator;
use crate::scenario::Scenario;
use crate::signer::{Death, Signer};
use crate::trace::{Trace, What};
use crate::violation::Violation;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::plan::Chunk;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::HashMap;

/// When every run begins, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_700_000_000_000;
/// How often a signer looks at the clock, in milliseconds.
const TICK_MS: u64 = 700;
/// How often people look after their plans, in milliseconds.
const OPERATOR_MS: u64 = 150;
/// How much slower everybody looks when wallets are left alone for years.
const SLOW: u64 = 5_000;
/// How long a signer counts as seen, in milliseconds.
const SEEN_MS: u64 = 3_000;

/// How far the run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    /// Plans are made and things go wrong.
    Storm,
    /// Nothing goes wrong any more; what is open must come to an end.
    Healed { since_ms: u64 },
    /// One more plan for all wallets must go through.
    Last { plan: Digest, since_ms: u64 },
    /// Every wallet signs once more.
    Farewell,
    /// The run is over.
    Over,
}

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Plans of existing wallets that ended with every wallet retired into its new epoch.
    pub refreshes: u64,
    /// Of these, plans that nobody was asked about, under a mandate.
    pub mandated: u64,
    /// Wallets that got new shares in them.
    pub wallets: u64,
    /// Chunks that were retired into.
    pub chunks: u64,
    /// Attempts that were left.
    pub attempts_left: u64,
    /// Events.
    pub steps: u64,
    /// Signatures released, each verified.
    pub signatures: u64,
    /// Those that a parent epoch gave after the new one had failed.
    pub fallbacks: u64,
    /// Requests that gave up because faults hit all their sessions.
    pub requests_lost: u64,
    /// Checks of invariants.
    pub checks: u64,
    /// Faults.
    pub faults: Table,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Operations on each signer's disk in the last run.
    pub operations: Vec<u64>,
}

impl Tally {
    /// Adds another run's.
    pub fn merge(&mut self, other: &Self) {
        self.refreshes += other.refreshes;
        self.mandated += other.mandated;
        self.wallets += other.wallets;
        self.chunks += other.chunks;
        self.attempts_left += other.attempts_left;
        self.steps += other.steps;
        self.signatures += other.signatures;
        self.fallbacks += other.fallbacks;
        self.requests_lost += other.requests_lost;
        self.checks += other.checks;
        self.virtual_ms += other.virtual_ms;
        self.faults.merge(&other.faults);
    }
}

/// One run.
pub struct World {
    scenario: Scenario,
    cast: Cast,
    now_ms: u64,
    network: Network,
    signers: Vec<Signer>,
    coordinator: Coordinator,
    operator: Operator,
    load: Load,
    weather: Weather,
    rng: ChaCha8Rng,
    act: Act,
    seen_ms: Vec<u64>,
    alarm: u64,
    alarm_at_ms: u64,
    probes: HashMap<Digest, Chunk>,
    /// An attempt whose dealings do not reach everybody, and that the coordinator will forget at the first vote.
    split: Option<Chunk>,
    history: History,
    trace: Trace,
    tally: Tally,
}

impl World {
    /// The beginning of the run that a scenario describes.
    pub fn new(scenario: Scenario) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        let cast = Cast::new(scenario.seed, scenario.signers, scenario.crypto);
        let signers: Vec<Signer> = cast
            .owns
            .iter()
            .map(|own| Signer::new(own.clone(), rng.next_u64(), rng.next_u64() % 2_000))
            .collect();
        let coordinator = Coordinator::new(cast.history.clone(), scenario.tuning.clone(), rng.next_u64());
        let operator = Operator::new(&scenario, &cast, ChaCha8Rng::seed_from_u64(rng.next_u64()));
        let mut network = Network::new(signers.len());
        network.at(BEGIN_MS, Event::CoordinatorStarts);
        for number in 0..signers.len() {
            network.at(BEGIN_MS, Event::SignerStarts(number));
            network.at(BEGIN_MS + TICK_MS + number as u64, Event::SignerTick(number));
        }
        network.at(BEGIN_MS + 1, Event::Operator);
        network.at(BEGIN_MS + 50, Event::Order);
        let history = History::new(&cast);
        Self {
            now_ms: BEGIN_MS,
            network,
            seen_ms: vec![0; signers.len()],
            signers,
            coordinator,
            operator,
            load: Load::default(),
            weather: scenario.weather,
            rng,
            act: Act::Storm,
            alarm: 0,
            alarm_at_ms: u64::MAX,
            probes: HashMap::new(),
            split: None,
            history,
            trace: Trace::default(),
            tally: Tally::default(),
            scenario,
            cast,
        }
    }

    /// Cuts the power of one signer at one operation of its disk, counted from the beginning. For scenarios in which
    /// no signer is cut by chance.
    pub fn cut_at(mut self, number: usize, operation: u32, landed: Landed) -> Self {
        self.signers[number].disk.set_fuse(Some(Fuse { after: operation, landed }));
        self
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn run(mut self) -> (Result<(), Box<Violation>>, Tally, Trace) {
        let mut result = Ok(());
        while self.act != Act::Over {
            if let Err(violation) = self.step() {
                result = Err(Box::new(violation));
                break;
            }
        }
        self.tally.virtual_ms = self.now_ms - BEGIN_MS;
        self.tally.checks = self.history.checks;
        self.tally.operations = self.signers.iter().map(|signer| signer.disk.operations()).collect();
        (result, self.tally, self.trace)
    }

    fn step(&mut self) -> Result<(), Violation> {
        let Some((at_ms, event)) = self.network.take_next() else {
            return Err(Violation::stuck("nothing will ever happen again"));
        };
        self.now_ms = at_ms;
        self.tally.steps += 1;
        match event {
            Event::Deliver(envelope) => self.deliver(*envelope)?,
            Event::SignerTick(number) => {
                self.network.at(self.now_ms + TICK_MS * self.pace(), Event::SignerTick(number));
                self.tick_signer(number)?;
            }
            Event::SignerGoesOn(number) => self.go_on_at_signer(number)?,
            Event::SignerStarts(number) => self.start_signer(number)?,
            Event::CoordinatorWakes(alarm) => {
                if alarm == self.alarm {
                    self.wake_coordinator()?;
                }
            }
            Event::CoordinatorStarts => self.start_coordinator()?,
            Event::Order => self.order()?,
            Event::Operator => {
                self.network.at(self.now_ms + OPERATOR_MS * self.pace(), Event::Operator);
                self.operate()?;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, envelope: crate::network::Envelope) -> Result<(), Violation> {
        if self.network.arrives(&envelope)
            && let (true, Some(step)) = (envelope.about.counts, envelope.about.step)
        {
            self.tally.faults.add(crate::faults::Kind::Reordered, step, 1);
        }
        match (envelope.way, envelope.body) {
            (Way::To(number), Body::Request(bytes)) => {
                self.deliver_to_signer(number, envelope.lane, envelope.about, &bytes)
            }
            (Way::From(number), Body::Reply(reply)) => {
                self.seen_ms[number] = self.now_ms;
                self.deliver_to_coordinator(number, envelope.lane, envelope.about, reply)
            }
            _ => Ok(()),
        }
    }

    fn send(&mut self, way: Way, lane: Lane, about: About, body: Body) {
        let letter = (way, lane, about, body);
        let (weather, rng, table) = (&self.weather, &mut self.rng, &mut self.tally.faults);
        if !self.network.send(self.now_ms, letter, weather, rng, table)
            && let Some(session) = about.session
        {
            self.load.hit(&session);
        }
    }

    /// The signers that were heard of lately.
    fn seen(&self) -> Vec<SignerId> {
        let lately = |number: &usize| self.seen_ms[*number] + SEEN_MS > self.now_ms;
        (0..self.signers.len()).filter(lately).map(|number| self.cast.ids[number].clone()).collect()
    }

    /// The power goes everywhere.
    fn lose_power(&mut self) -> Result<(), Violation> {
        self.trace.add(self.now_ms, What::PowerLoss);
        for (_, phase) in self.coordinator.attempts() {
            if let Some(step) = Step::of_phase(phase) {
                self.tally.faults.add(crate::faults::Kind::PowerLoss, step, 1);
            }
        }
        for number in 0..self.signers.len() {
            self.kill_signer(number, Death::Power, None)?;
        }
        self.kill_coordinator();
        Ok(())
    }

    /// How much slower than usual people, signers and the loop look at the clock.
    fn pace(&self) -> u64 {
        let alone = self.scenario.unattended_ms.is_some() && self.act == Act::Storm;
        if alone { SLOW } else { 1 }
    }

    fn happens(&mut self, in_a_million: u32) -> bool {
        happens(in_a_million, &mut self.rng)
    }

    /// A time from now, mostly short, seldom long.
    fn later_ms(&mut self, most_ms: u64) -> u64 {
        let reach_ms = (most_ms >> (self.rng.next_u32() % 8)).max(2);
        self.now_ms + 1 + self.rng.next_u64() % reach_ms
    }
}
