//! Another governance: what is under way ends or goes on, and everybody is told.

use super::*;
use perennial_model::governance::history::ApprovedGovernance;

#[test]
fn every_signer_is_handed_the_versions_that_it_lacks_until_it_has_them() {
    let mut play = play(2, 3);
    play.complete(&play.cast.create(&[Chain::Bitcoin]));
    let first = play.driver.history().first_digest();
    for _ in 0..2 {
        let next = play.cast.govern();
        play.driver.govern(next).expect("the next version");
    }
    // A signer that says it has the first gets the second, and then the third; one that is silent is asked again.
    let behind: SignerId = name("b");
    let mut asked: Vec<(SignerId, u64)> = Vec::new();
    let mut answers = |signer: &SignerId, request: &Request| match request {
        Request::Governance(next) => {
            asked.push((signer.clone(), next.governance.version));
            let times = asked.iter().filter(|(known, _)| known == signer).count();
            match (signer == &behind, times) {
                (true, 1) => Fate::Replied(Reply::Governed { version: 1, digest: first }),
                (false, 1) => Fate::Lost,
                _ => Fate::Answered,
            }
        }
        _ => Fate::Answered,
    };
    for _ in 0..4 {
        play.driver.world.now_ms += 2_000;
        play.driver.tick();
        play.run(&mut answers);
    }
    let of = |signer: &SignerId| {
        asked.iter().filter(|(known, _)| known == signer).map(|(_, v)| *v).collect::<Vec<_>>()
    };
    assert_eq!(of(&behind), [3, 2, 3]);
    assert_eq!(of(&name("a")), [3, 3]);
    assert!(play.driver.governed().values().all(|version| *version == 3));
    assert_eq!(play.driver.governed().len(), 3);
}

#[test]
fn a_plan_that_waits_for_approval_ends_and_a_new_one_names_the_new_governance() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    let old = play.cast.approval(&plan);
    let ceremony = play.driver.submit(plan.clone()).expect("a sound plan");
    play.settle();
    let next = play.cast.govern();
    play.driver.govern(next).expect("the next version");
    play.settle();
    assert_eq!(play.status(&ceremony).stage, Stage::Outdated);
    assert!(play.driver.approve(&ceremony, old).is_err());
    let mut again = plan.clone();
    again.nonce = Digest([2; 32]);
    let refusal = play.driver.submit(again).expect_err("it names version 1").to_string();
    assert!(refusal.contains("version 2 is in force"), "{refusal}");
    play.complete(&play.cast.create(&[Chain::Bitcoin]));
    play.crash();
    assert_eq!(play.status(&ceremony).stage, Stage::Outdated);
}

#[test]
fn what_is_not_activated_is_left_and_what_is_active_is_kept_and_retired() {
    for (last, expected) in [(false, Phase::Left), (true, Phase::Retired)] {
        let mut play = play(2, 3);
        play.complete(&play.cast.create(&[Chain::Bitcoin]));
        let plan = play.cast.refresh(&parents(&play), 2);
        let ceremony = play.begin(&plan);
        // The one stops before its shares are made, the other before anybody keeps.
        play.run(&mut |_, request| match request {
            Request::Verify { .. } if !last => Fate::Lost,
            Request::Activate(_) | Request::Keep(_) => Fate::Lost,
            _ => Fate::Answered,
        });
        let next = play.cast.govern();
        play.driver.govern(next).expect("the next version");
        play.driver.world.now_ms += 20_000;
        play.driver.tick();
        play.run(&mut honest);
        assert_eq!(play.phases(&ceremony), [expected]);
        let status = play.status(&ceremony);
        assert_eq!(status.stage, Stage::Done);
        assert_eq!(status.wallets_given_up, u32::from(!last));
        if !last {
            assert_eq!(status.attempts[0].left, Some(Reason::Outdated));
        }
        // The wallet is refreshed by the next plan all the same.
        play.complete(&play.cast.refresh(&parents(&play), 3));
    }
}

#[test]
fn a_governance_that_is_not_the_next_or_lacks_approvals_changes_nothing() {
    let mut play = play(2, 3);
    let before = play.driver.history().newest_digest();
    let next = play.cast.govern();
    let unapproved = ApprovedGovernance { approvals: Vec::new(), ..next.clone() };
    assert!(play.driver.govern(unapproved).expect_err("nobody approved").to_string().contains("0 of the 1"));
    let mut skipped = next.clone();
    skipped.governance.version = 3;
    assert!(matches!(play.driver.govern(skipped), Err(Error::Stale(_))));
    assert_eq!(play.driver.history().newest_digest(), before);
    play.driver.govern(next.clone()).expect("the next version");
    assert!(play.driver.govern(next).is_err(), "once is enough");
}
