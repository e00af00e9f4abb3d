//! Two years in which nobody is asked for anything: real signers with their own clocks and disks hold every refresh
//! against the mandate that was given once.

use perennial_sim::scenario::{Kind, Scenario};
use perennial_sim::world::World;

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn wallets_are_renewed_each_week_for_two_years_and_go_on_signing() {
    for (kind, seeds) in [(Kind::Transparent, 1..=3), (Kind::Real, 1..=1)] {
        for seed in seeds {
            let scenario = Scenario::new(kind, seed).unattended(2 * 365 * DAY_MS);
            let (result, tally, trace) = World::new(scenario).run();
            assert!(result.is_ok(), "{} seed {seed}: {result:?}\n{trace}", kind.name());
            assert!(tally.virtual_ms > 729 * DAY_MS);
            assert!((102..=105).contains(&tally.mandated), "seed {seed}: {} refreshes", tally.mandated);
            assert_eq!((tally.attempts_left, tally.requests_lost), (0, 0), "seed {seed}");
            assert!(tally.signatures > 1_000, "seed {seed}: {} signatures", tally.signatures);
        }
    }
}
