//! The simulator's command.
use perennial_sim::scenario::{Kind, Scenario};
use perennial_sim::world::World;
fn main() {
    let seed: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    let mut scenario = Scenario::new(Kind::Transparent, seed);
    scenario.weather = perennial_sim::faults::Weather::CALM;
    scenario.signers = 3;
    scenario.threshold = 2;
    let start = std::time::Instant::now();
    let (result, tally, trace) = World::new(scenario).run();
    if let Err(v) = result { println!("{trace}\n{v}"); }
    println!("{tally:?} {:?}", start.elapsed());
}
