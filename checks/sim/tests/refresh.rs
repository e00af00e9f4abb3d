//! Refreshes go through when nothing goes wrong, with every kind of cryptography; and a seed decides everything.

use perennial_sim::faults::Weather;
use perennial_sim::scenario::{Kind, Scenario};
use perennial_sim::world::World;

#[test]
fn without_faults_every_plan_goes_through() {
    for (kind, seeds) in [(Kind::Transparent, 1..=8), (Kind::Real, 1..=2), (Kind::Ecdsa, 1..=1)] {
        for seed in seeds {
            let scenario = Scenario {
                weather: Weather::CALM,
                mandates: false,
                cancels: false,
                ..Scenario::new(kind, seed)
            };
            let plans = u64::from(scenario.plans);
            let (result, tally, trace) = World::new(scenario).run();
            assert!(result.is_ok(), "{} seed {seed}: {result:?}\n{trace}", kind.name());
            assert!(tally.refreshes * 10 >= plans * 7, "{} of {plans} plans went through", tally.refreshes);
            assert!(tally.signatures > 0);
            assert_eq!(tally.faults.total(), 0);
        }
    }
}

#[test]
fn a_seed_decides_everything() {
    for seed in [3, 9, 17] {
        let run = || World::new(Scenario::new(Kind::Transparent, seed)).run();
        let ((_, tally, trace), (_, tally_again, trace_again)) = (run(), run());
        assert_eq!((tally.steps, trace.fingerprint), (tally_again.steps, trace_again.fingerprint));
        assert_eq!(tally.faults, tally_again.faults);
    }
}
