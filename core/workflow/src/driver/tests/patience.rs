//! Who is gone is waited for shortly, who is at work longer, and nobody for ever.

use super::*;

/// How long an attempt waits for `b`, which was asked to verify and is seen every second for `seen_for_ms`, and
/// answers `said`, if anything.
fn waited_for(seen_for_ms: u64, said: Option<Blame>) -> u64 {
    let mut play = play(2, 3);
    let ceremony = play.begin(&play.cast.create(&[Chain::Bitcoin]));
    let mut at_work = |signer: &SignerId, request: &Request| match request {
        Request::Verify { inputs, .. } if signer.as_str() == "b" => {
            let no = |blame| Reply::Declined {
                chunk: Some(inputs.chunk),
                plan: None,
                blame,
                reason: "not yet".into(),
            };
            said.clone().map(no).map_or(Fate::Lost, Fate::Replied)
        }
        _ => honest(signer, request),
    };
    play.run(&mut at_work);
    let begun = play.driver.world.now_ms;
    while play.phases(&ceremony)[0] != Phase::Left {
        assert!(play.driver.world.now_ms < begun + 1_000_000, "it is waited for without an end");
        play.driver.world.now_ms += 1_000;
        let passed = play.driver.world.now_ms - begun;
        if passed <= seen_for_ms {
            play.driver.seen(&name("b"), play.driver.world.now_ms);
        }
        play.driver.tick();
        play.run(&mut at_work);
    }
    play.driver.world.now_ms - begun
}

#[test]
fn a_signer_that_gives_signs_of_life_is_waited_for_longer_and_not_for_ever() {
    assert_eq!(waited_for(0, None), 31_000);
    assert_eq!(waited_for(100_000, None), 131_000, "it died at work");
    assert_eq!(waited_for(u64::MAX, None), 301_000);
}

#[test]
fn a_signer_that_says_no_is_not_at_work() {
    assert_eq!(waited_for(u64::MAX, Some(Blame::Stale)), 31_000);
}
