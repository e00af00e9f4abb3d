//! The simulator's command. It runs seeds, says which invariants break and how, and what went wrong how often.

mod siege;

use clap::{Parser, ValueEnum};
use perennial_model::mutant::{MARKER, Mutant, plant};
use perennial_sim::gate::Gate;
use perennial_sim::planted::{Caught, SEEDS_MAX, broken_without, catch, kind, masked, words};
use perennial_sim::runs::{Outcome, run};
use perennial_sim::scenario::{Kind, Scenario};
use perennial_sim::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A sixth of a run's time went to the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the shipped keeper, desk, driver and routes under faults, and holds every step against the invariants.
#[derive(Parser)]
#[command(name = "perennial-sim")]
struct Arguments {
    /// The run of the gate: at least 20,000 refreshes and 2 million faults.
    #[arg(long, conflicts_with_all = ["mutants", "seed"])]
    check: bool,
    /// Plants each fault in turn and shows which invariant notices it.
    #[arg(long, conflicts_with = "seed")]
    mutants: bool,
    /// One seed, with the last events if an invariant breaks.
    #[arg(long)]
    seed: Option<u64>,
    /// As many seeds from the first on.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// With which cryptography.
    #[arg(long, value_enum, default_value_t = Crypto::Transparent)]
    kind: Crypto,
    /// A hostile coordinator in place of faults.
    #[arg(long, conflicts_with_all = ["check", "kind"])]
    hostile: bool,
    /// How many moves it makes.
    #[arg(long, default_value_t = 1_000_000, requires = "hostile")]
    moves: u64,
    /// A fault to plant, by the name that --mutants prints.
    #[arg(long)]
    mutant: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Crypto {
    Transparent,
    Real,
    Ecdsa,
}

impl Crypto {
    fn kind(self) -> Kind {
        match self {
            Self::Transparent => Kind::Transparent,
            Self::Real => Kind::Real,
            Self::Ecdsa => Kind::Ecdsa,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!("{MARKER}");
    let mutant = match arguments.mutant.as_deref().map(named).transpose() {
        Ok(mutant) => mutant,
        Err(error) => {
            eprintln!("perennial-sim: {error}");
            return ExitCode::from(2);
        }
    };
    let kind = arguments.kind.kind();
    if arguments.hostile && arguments.mutants {
        return if siege::mutants() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if arguments.hostile {
        return match siege::run(arguments.seed.unwrap_or(1), arguments.moves, mutant) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let is_clean = match (arguments.check, arguments.mutants, arguments.seed) {
        (true, ..) => check(),
        (_, true, _) => mutants(),
        (.., Some(seed)) => replay(kind, seed, mutant),
        _ => {
            let outcome = run(kind, 1..=arguments.seeds, mutant);
            outcome.broken.iter().for_each(|broken| println!("seed {}: {}", broken.seed, broken.violation));
            println!("{}", outcome.tally.faults);
            println!("{}", summary(&outcome));
            outcome.broken.is_empty()
        }
    };
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn named(name: &str) -> Result<Mutant, String> {
    let all = Mutant::ALL.iter().chain(&Mutant::HOSTILE);
    let known = all.clone().map(|mutant| format!("{mutant:?}")).collect::<Vec<_>>().join(", ");
    all.copied()
        .find(|mutant| format!("{mutant:?}") == name)
        .ok_or_else(|| format!("there is no planted fault {name:?}; there are {known}"))
}

fn check() -> bool {
    let begun = Instant::now();
    let gate = Gate::run(|kind, outcome| {
        println!("{:11} {} ({:.0} s so far)", kind.name(), summary(outcome), begun.elapsed().as_secs_f64());
    });
    let tally = &gate.all.tally;
    println!("{}", tally.faults);
    println!(
        "{} faults in {} refreshes, {} of them with real cryptography; {} checks of {} steps",
        tally.faults.total(),
        tally.refreshes,
        gate.real_refreshes,
        tally.checks,
        tally.steps
    );
    let shortfalls = gate.shortfalls();
    shortfalls.iter().for_each(|line| println!("MISSING {line}"));
    println!("{} violations", gate.all.broken.len());
    shortfalls.is_empty()
}

/// What came of one planted fault.
enum Fate {
    Caught(Caught, Vec<u64>),
    Masked(&'static str),
    Missed,
}

fn mutants() -> bool {
    println!("{:29}{:37}{:57}{:>6}  without it", "mutant", "what it does", "caught by", "seeds");
    let next = AtomicUsize::new(0);
    let fates = Mutex::new(BTreeMap::new());
    let work = || {
        let mut known = BTreeSet::new();
        loop {
            let place = next.fetch_add(1, Relaxed);
            let Some(mutant) = Mutant::ALL.get(place) else { return };
            let fate = match (catch(*mutant), masked(*mutant)) {
                (Some(caught), _) => {
                    let broken = broken_without(kind(*mutant), caught.seeds, &mut known);
                    Fate::Caught(caught, broken)
                }
                (None, Some(why)) => Fate::Masked(why),
                (None, None) => Fate::Missed,
            };
            fates.lock().unwrap_or_else(PoisonError::into_inner).insert(place, fate);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let fates = fates.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (mut missed, mut masks) = (0, 0);
    for (place, mutant) in Mutant::ALL.into_iter().enumerate() {
        let (name, words) = (format!("{mutant:?}"), words(mutant));
        match fates.get(&place) {
            Some(Fate::Caught(caught, broken)) => {
                missed += usize::from(!broken.is_empty());
                let clean = match broken.is_empty() {
                    true => "clean".to_owned(),
                    false => format!("breaks too: {broken:?}"),
                };
                println!("{name:29}{words:37}{:57}{:>6}  {clean}", caught.invariant.name(), caught.seeds);
            }
            Some(Fate::Masked(why)) => {
                masks += 1;
                println!("{name:29}{words:37}{why}");
            }
            Some(Fate::Missed) | None => {
                missed += 1;
                println!("{name:29}{words:37}NOT CAUGHT in {SEEDS_MAX} seeds");
            }
        }
    }
    let all = Mutant::ALL.len();
    println!("{all} planted faults: {} caught, {masks} masked, {missed} missed", all - missed - masks);
    missed == 0
}

fn replay(kind: Kind, seed: u64, mutant: Option<Mutant>) -> bool {
    plant(mutant);
    let (result, tally, trace) = World::new(Scenario::new(kind, seed)).run();
    plant(None);
    let Err(violation) = result else {
        let steps = tally.steps;
        let outcome = Outcome { tally, broken: Vec::new() };
        println!("seed {seed}: nothing breaks in {steps} steps: {}", summary(&outcome));
        return true;
    };
    println!("{trace}");
    println!("seed {seed}: {violation}");
    false
}

fn summary(outcome: &Outcome) -> String {
    let tally = &outcome.tally;
    format!(
        "{} refreshes of {} wallets, {} under mandates, {} attempts left, {} signatures ({} by fallback), {} faults, {} violations",
        tally.refreshes,
        tally.wallets,
        tally.mandated,
        tally.attempts_left,
        tally.signatures,
        tally.fallbacks,
        tally.faults.total(),
        outcome.broken.len()
    )
}
