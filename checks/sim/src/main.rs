//! The simulator's command: `perennial-sim FROM [TO] [real|ecdsa]` runs seeds and names what breaks.
//!
//! It prints a line for every seed in which an invariant does not hold, with the trace if one seed was asked for,
//! then the faults by kind and phase, and ends with status 1 if there was any.

use perennial_sim::scenario::{Kind, Scenario};
use perennial_sim::world::{Tally, World};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let seed = |at: usize| arguments.get(at).and_then(|argument| argument.parse::<u64>().ok());
    let Some(from) = seed(1) else {
        eprintln!("perennial-sim: say which seeds to run: perennial-sim FROM [TO] [real|ecdsa]");
        return ExitCode::from(2);
    };
    let to = seed(2).unwrap_or(from);
    let kind = match arguments.get(3).map(String::as_str) {
        Some("real") => Kind::Real,
        Some("ecdsa") => Kind::Ecdsa,
        _ => Kind::Transparent,
    };
    println!("{}", perennial_model::mutant::MARKER);
    let mut sum = Tally::default();
    let mut broken = 0_u64;
    for seed in from..=to {
        let (result, tally, trace) = World::new(Scenario::new(kind, seed)).run();
        if let Err(violation) = result {
            broken += 1;
            if from == to {
                println!("{trace}");
            }
            println!("seed {seed}: {violation}");
        }
        sum.faults.merge(&tally.faults);
        sum.refreshes += tally.refreshes;
        sum.steps += tally.steps;
    }
    println!("{}", sum.faults);
    println!("{} refreshes, {} steps, {} seeds with a violation", sum.refreshes, sum.steps, broken);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
