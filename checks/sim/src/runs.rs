//! Many seeds, on all cores, and what they come to.

use crate::scenario::{Kind, Scenario};
use crate::violation::Violation;
use crate::world::{Tally, World};
use perennial_model::mutant::{Mutant, plant};
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A seed in which an invariant does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The kind of run.
    pub kind: Kind,
    /// The seed.
    pub seed: u64,
    /// What does not hold.
    pub violation: Violation,
}

/// What many seeds come to.
#[derive(Default)]
pub struct Outcome {
    /// Everything counted.
    pub tally: Tally,
    /// The seeds in which an invariant does not hold, the lowest first.
    pub broken: Vec<Broken>,
}

impl Outcome {
    /// Adds other seeds'.
    pub fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        self.broken.extend(other.broken);
    }
}

/// Runs every seed of a range, with or without a planted fault. What comes out does not depend on how many cores
/// there are.
pub fn run(kind: Kind, seeds: RangeInclusive<u64>, mutant: Option<Mutant>) -> Outcome {
    let next = AtomicU64::new(*seeds.start());
    let outcome = Mutex::new(Outcome::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                plant(mutant);
                let mut own = Outcome::default();
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if !seeds.contains(&seed) {
                        break;
                    }
                    own.merge(run_one(kind, seed));
                }
                plant(None);
                outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(own);
            });
        }
    });
    let mut outcome = outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    outcome.broken.sort_by_key(|broken| broken.seed);
    outcome
}

/// Runs one seed with whatever is planted in this thread.
pub fn run_one(kind: Kind, seed: u64) -> Outcome {
    let (result, tally, _) = World::new(Scenario::new(kind, seed)).run();
    let broken = result.err().map(|violation| Broken { kind, seed, violation: *violation });
    Outcome { tally, broken: broken.into_iter().collect() }
}
