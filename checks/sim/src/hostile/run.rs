//! Many sieges on all cores.

use super::campaign::{MOVES_IN_A_SIEGE, besiege};
use super::tally::Tally;
use crate::violation::Violation;
use perennial_model::mutant::{Mutant, plant};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What many sieges come to.
#[derive(Default)]
pub struct Outcome {
    /// Everything counted.
    pub tally: Tally,
    /// The seeds of sieges in which an invariant does not hold, the lowest first, and which.
    pub broken: Vec<(u64, Violation)>,
}

/// Runs sieges from a seed on until there were so many moves. What comes out does not depend on how many cores there
/// are.
pub fn run(first: u64, moves: u64, mutant: Option<Mutant>) -> Outcome {
    let sieges = moves.div_ceil(MOVES_IN_A_SIEGE);
    let next = AtomicU64::new(0);
    let outcome = Mutex::new(Outcome::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                plant(mutant);
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    if at >= sieges {
                        break;
                    }
                    let seed = first.wrapping_add(at);
                    let (result, tally) = besiege(seed, MOVES_IN_A_SIEGE);
                    let mut all = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    all.tally.merge(&tally);
                    all.broken.extend(result.err().map(|violation| (seed, violation)));
                }
                plant(None);
            });
        }
    });
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.broken.sort_by_key(|(seed, _)| *seed);
    outcome
}
