//! Every broken rule that stands between a hostile coordinator and harm is noticed: some siege breaks a named invariant
//! with it, and no siege up to that one without it.

use super::campaign::{MOVES_IN_A_SIEGE, besiege};
use crate::violation::{Invariant, Violation};
use perennial_model::mutant::{Mutant, plant};
use std::collections::BTreeSet;

/// The most sieges that are tried for one planted fault.
pub const SIEGES_MAX: u64 = 120;

/// How a planted fault was caught.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caught {
    /// What did not hold.
    pub violation: Violation,
    /// In which siege, the first being 1.
    pub siege: u64,
    /// After how many moves in all.
    pub moves: u64,
}

/// Looks for the first siege in which an invariant of the protocol breaks.
pub fn catch(mutant: Mutant) -> Option<Caught> {
    plant(Some(mutant));
    let mut moves = 0;
    let caught = (1..=SIEGES_MAX).find_map(|siege| {
        let (result, tally) = besiege(siege, MOVES_IN_A_SIEGE);
        moves += tally.moves;
        let violation = result.err().filter(|violation| violation.invariant != Invariant::Sound)?;
        Some(Caught { violation, siege, moves })
    });
    plant(None);
    caught
}

/// The sieges up to this one in which something breaks although nothing is planted. `known` are those in which nothing
/// does.
pub fn broken_without(siege: u64, known: &mut BTreeSet<u64>) -> Vec<u64> {
    let mut broken = Vec::new();
    for seed in 1..=siege {
        if known.contains(&seed) {
            continue;
        }
        match besiege(seed, MOVES_IN_A_SIEGE).0.is_ok() {
            true => drop(known.insert(seed)),
            false => broken.push(seed),
        }
    }
    broken
}
