//! One signer loses power at every single operation of its disk, once before and once after it landed, through the
//! making of wallets and two refreshes. Nothing breaks, and the refreshes go through.

use perennial_sim::disk::Landed;
use perennial_sim::faults::Weather;
use perennial_sim::scenario::{Kind, Scenario};
use perennial_sim::world::World;
use perennial_workflow::driver::Tuning;

fn scenario(seed: u64) -> Scenario {
    let scenario = Scenario::new(Kind::Transparent, seed);
    let wallets = scenario.wallets[..1].repeat(3);
    Scenario { signers: 3, threshold: 2, wallets, plans: 2, weather: Weather::CALM, ..scenario }
}

#[test]
fn a_signer_may_lose_power_at_every_operation() {
    let (result, tally, _) = World::new(scenario(1)).run();
    assert!(result.is_ok(), "{result:?}");
    let operations = tally.operations[0] as u32;
    assert!(operations > 100, "only {operations} operations");
    for operation in 0..operations {
        for landed in [Landed::Yes, Landed::No] {
            let (result, tally, trace) = World::new(scenario(1)).cut_at(0, operation, landed).run();
            assert!(result.is_ok(), "cut at operation {operation}, {landed:?}: {result:?}\n{trace}");
            assert!(tally.signatures > 0);
        }
    }
}

/// Two signers, since each base takes a second, and two wallets on one, each in a chunk of its own that waits for it.
/// The cuts are those of the refreshes, which are the later half, after they landed.
#[test]
fn a_signer_with_pair_bases_may_lose_power_at_every_operation_of_a_refresh() {
    let scenario = || {
        let scenario = Scenario::new(Kind::Ecdsa, 1);
        let wallets = vec![scenario.wallets[0]; 2];
        let tuning = Tuning { chunk_wallets: 1, ..scenario.tuning.clone() };
        Scenario { signers: 2, threshold: 2, wallets, tuning, plans: 1, weather: Weather::CALM, ..scenario }
    };
    let (result, tally, _) = World::new(scenario()).run();
    assert!(result.is_ok(), "{result:?}");
    let operations = tally.operations[0] as u32;
    assert!(operations > 40, "only {operations} operations");
    let cut_at_every_other = |first: u32| {
        for operation in (operations / 2 + first..operations).step_by(2) {
            let (result, tally, trace) = World::new(scenario()).cut_at(0, operation, Landed::Yes).run();
            assert!(result.is_ok(), "cut at operation {operation}: {result:?}\n{trace}");
            assert!(tally.signatures > 0);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| cut_at_every_other(0));
        cut_at_every_other(1);
    });
}
