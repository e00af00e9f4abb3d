//! A coordinator that is the adversary can stall, and never loses or forks a wallet; and what it does follows from a seed.

use perennial_model::mutant::{Mutant, plant};
use perennial_sim::hostile::campaign::besiege;
use perennial_sim::hostile::tally::SOUND_PERCENT;
use perennial_sim::violation::Invariant;

#[test]
fn a_hostile_coordinator_can_stall_but_never_lose_or_fork_a_wallet() {
    let mut ended = 0;
    for seed in 1..=12 {
        let (result, tally) = besiege(seed, 2_000);
        assert!(result.is_ok(), "siege {seed}: {result:?}");
        assert!(tally.unlisted.is_empty(), "siege {seed}: {:?}", tally.unlisted);
        assert!(tally.sound * 100 >= tally.moves * SOUND_PERCENT, "siege {seed}: {} sound", tally.sound);
        assert!(tally.retired > 0, "siege {seed}: no plan came to its end");
        ended += tally.retired;
    }
    // What is stalled for good shows nothing of what is done under attack.
    assert!(ended > 100, "only {ended} plans came to their end in all sieges");
}

#[test]
fn a_seed_decides_a_siege() {
    assert_eq!(besiege(7, 1_000).1, besiege(7, 1_000).1);
}

#[test]
fn a_mandate_that_retires_twice_at_once_is_noticed() {
    plant(Some(Mutant::RetireWithoutGap));
    let broken = (26..=29).find_map(|seed| besiege(seed, 4_000).0.err());
    plant(None);
    assert_eq!(broken.map(|violation| violation.invariant), Some(Invariant::I11ApprovalsBind));
}

#[test]
fn a_broken_rule_is_noticed() {
    plant(Some(Mutant::RetireOnPreparedVotes));
    let broken = (1..=4).find_map(|seed| besiege(seed, 4_000).0.err());
    plant(None);
    assert_eq!(broken.map(|violation| violation.invariant), Some(Invariant::I5ErasureAllowed));
}
