//! The run that the gate asks for: so many refreshes under so many faults, and no invariant broken.

use crate::faults::Table;
use crate::runs::{Outcome, run};
use crate::scenario::Kind;
use std::ops::RangeInclusive;

/// The seeds of each kind of run. ECDSA runs are few: each pair base costs a second of the processor.
const SEEDS: [(Kind, RangeInclusive<u64>); 3] =
    [(Kind::Transparent, 1..=1_020), (Kind::Real, 1..=80), (Kind::Ecdsa, 1..=20)];
/// How many refreshes there are at least.
pub const REFRESHES: u64 = 20_000;
/// How many of them use real cryptography, at least.
pub const REAL_REFRESHES: u64 = 500;
/// How many faults hit ceremonies in progress, at least.
pub const FAULTS: u64 = 2_000_000;
/// How many faults of each kind hit each step, at least.
pub const IN_A_CELL: u64 = 100;

/// What the gate's run came to.
pub struct Gate {
    /// All kinds together.
    pub all: Outcome,
    /// The refreshes with real cryptography.
    pub real_refreshes: u64,
}

impl Gate {
    /// Runs it; `done` is told about each kind.
    pub fn run(mut done: impl FnMut(Kind, &Outcome)) -> Self {
        let mut gate = Self { all: Outcome::default(), real_refreshes: 0 };
        for (kind, seeds) in SEEDS {
            let outcome = run(kind, seeds, None);
            done(kind, &outcome);
            if kind != Kind::Transparent {
                gate.real_refreshes += outcome.tally.refreshes;
            }
            gate.all.merge(outcome);
        }
        gate
    }

    /// What is missing, a line each; nothing when the gate is open.
    pub fn shortfalls(&self) -> Vec<String> {
        let tally = &self.all.tally;
        let faults: &Table = &tally.faults;
        let mut lines: Vec<String> = self
            .all
            .broken
            .iter()
            .map(|broken| {
                let (kind, seed) = (broken.kind.name(), broken.seed);
                format!("{}\n  replay: perennial-sim --kind {kind} --seed {seed}", broken.violation)
            })
            .collect();
        let mut at_least = |what: &str, count: u64, least: u64| {
            if count < least {
                lines.push(format!("{count} {what}, {least} are asked for"));
            }
        };
        at_least("refreshes", tally.refreshes, REFRESHES);
        at_least("refreshes with real cryptography", self.real_refreshes, REAL_REFRESHES);
        at_least("faults", faults.total(), FAULTS);
        for (kind, step, count) in faults.short_of(IN_A_CELL) {
            let (kind_name, step_name) = (kind.name(), step.name());
            lines.push(match kind.can_hit(step) {
                true => format!("{kind_name} in {step_name}: {count} times, {IN_A_CELL} are asked for"),
                false => {
                    format!("{kind_name} in {step_name}: {count} times, and it is said to be impossible")
                }
            });
        }
        lines
    }
}
