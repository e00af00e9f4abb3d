//! The part of the command that sets a hostile coordinator against the signers.

use perennial_model::mutant::Mutant;
use perennial_sim::hostile::planted::{SIEGES_MAX, broken_without, catch};
use perennial_sim::hostile::run::run as besiege;
use perennial_sim::planted::words;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Runs hostile moves from a seed on, and shows what came of them.
pub fn run(seed: u64, moves: u64, mutant: Option<Mutant>) -> bool {
    let begun = Instant::now();
    let outcome = besiege(seed, moves, mutant);
    let tally = &outcome.tally;
    println!("{tally}");
    println!(
        "{} hostile moves, {} of them well signed, in {} sieges; {} honest messages ({} dropped), {} plans and {} more under \
         mandates came to their end, {} signatures; {} checks; {:.0} s",
        tally.moves,
        tally.sound,
        tally.sieges,
        tally.honest,
        tally.dropped,
        tally.retired,
        tally.mandated,
        tally.signatures,
        tally.checks,
        begun.elapsed().as_secs_f64()
    );
    let shortfalls = tally.shortfalls();
    shortfalls.iter().for_each(|line| println!("MISSING {line}"));
    for (seed, violation) in &outcome.broken {
        println!("seed {seed}: {violation}\n  replay: perennial-sim --hostile --moves 1 --seed {seed}");
    }
    println!("{} violations", outcome.broken.len());
    shortfalls.is_empty() && outcome.broken.is_empty()
}

/// Plants each fault that a hostile coordinator brings out, and shows what notices it.
pub fn mutants() -> bool {
    println!(
        "{:29}{:41}{:57}{:>6}{:>9}  without it",
        "mutant", "what it does", "caught by", "siege", "moves"
    );
    let all = Mutant::HOSTILE;
    let next = AtomicUsize::new(0);
    let fates = Mutex::new(BTreeMap::new());
    let work = || {
        let mut known = BTreeSet::new();
        while let Some(mutant) = all.get(next.fetch_add(1, Relaxed)) {
            let caught = catch(*mutant);
            let broken =
                caught.as_ref().map(|caught| broken_without(caught.siege, &mut known)).unwrap_or_default();
            fates
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(format!("{mutant:?}"), (caught, broken));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut fates = fates.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut missed = 0;
    for mutant in all {
        let (name, words) = (format!("{mutant:?}"), words(mutant));
        match fates.remove(&name) {
            Some((Some(caught), broken)) => {
                missed += usize::from(!broken.is_empty());
                let clean =
                    if broken.is_empty() { "clean".to_owned() } else { format!("breaks too: {broken:?}") };
                let by = caught.violation.invariant.name();
                println!("{name:29}{words:41}{by:57}{:>6}{:>9}  {clean}", caught.siege, caught.moves);
            }
            _ => {
                missed += 1;
                println!("{name:29}{words:41}NOT CAUGHT in {SIEGES_MAX} sieges");
            }
        }
    }
    let caught = all.len() - missed;
    println!("{} planted faults: {caught} caught, {missed} missed", all.len());
    missed == 0
}
