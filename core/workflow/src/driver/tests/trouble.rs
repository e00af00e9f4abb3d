//! Silence, refusals, lies and dates that pass: attempts are left, replaced and bounded.

use super::*;

#[test]
fn a_silent_signer_is_asked_again_and_again_but_not_flooded() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.begin(&plan);
    let mut times = Vec::new();
    play.run(&mut honest_but("c"));
    let begun = play.driver.world.now_ms;
    while play.driver.world.now_ms < begun + 60_000 {
        play.driver.world.now_ms += 250;
        play.driver.tick();
        play.settle();
        for (signer, request) in std::mem::take(&mut play.driver.world.asked) {
            assert_eq!(signer.as_str(), "c");
            if matches!(request, Request::Open { .. }) {
                times.push(play.driver.world.now_ms - begun);
            }
        }
    }
    assert_eq!(times, [1_000, 3_000, 7_000, 15_000, 25_000, 35_000, 45_000, 55_000]);
}

/// A committee with one wallet.
fn made(threshold: u8, signers: usize) -> Play {
    let mut play = play(threshold, signers);
    play.complete(&play.cast.create(&[Chain::Bitcoin]));
    play
}

fn honest_but(silent: &'static str) -> impl FnMut(&SignerId, &Request) -> Fate {
    move |signer, _| if signer.as_str() == silent { Fate::Lost } else { Fate::Answered }
}

#[test]
fn an_attempt_goes_on_without_a_silent_member_if_the_plan_allows() {
    let mut play = made(2, 4);
    let plan = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.begin(&plan);
    let until_ms = play.driver.world.now_ms + 8_000;
    play.run_until(until_ms, &mut honest_but("d"), &|_| false);
    let status = play.status(&ceremony);
    assert_eq!((status.attempts[0].counts.opened.have, status.attempts[0].counts.opened.of), (3, 4));
    assert_eq!(status.wallets_retired, 1, "three of four are 2t-1");
    let erased = status.attempts[0].counts.erased;
    assert_eq!((erased.have, erased.of), (3, 4), "whoever is silent still holds the parent");
}

#[test]
fn wallets_whose_holder_falls_silent_go_into_halves_under_the_next_number() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin; 5]);
    let ceremony = play.begin(&plan);
    let mut dead = |signer: &SignerId, request: &Request| {
        let first = matches!(request, Request::Verify { inputs, .. } if inputs.chunk.epoch.count == 1);
        if first && signer.as_str() == "b" { Fate::Lost } else { Fate::Answered }
    };
    play.run_until(100_000, &mut dead, &|_| false);
    let status = play.status(&ceremony);
    let left = status.attempts[0].left.clone().expect("left");
    assert_eq!(left, Reason::Silent(vec![name("b")]));
    let next: Vec<_> =
        status.attempts[1..].iter().map(|a| (a.chunk.epoch.count, a.chunk.first, a.chunk.count)).collect();
    assert_eq!(next, [(2, 0, 3), (2, 3, 2)]);
    assert_eq!((status.stage, status.wallets_retired), (Stage::Done, 5));
}

#[test]
fn a_refused_dealer_does_not_deal_to_the_same_holder_again() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let plan = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.begin(&plan);
    let mut refusing = |signer: &SignerId, request: &Request| match request {
        Request::Verify { inputs, .. } if inputs.dealers.contains(&name("a")) && signer.as_str() == "c" => {
            Fate::Replied(Reply::Refused(crate::sample::sign(signer, &refusal(inputs, "a"))))
        }
        _ => Fate::Answered,
    };
    play.run(&mut refusing);
    let status = play.status(&ceremony);
    assert!(
        matches!(&status.attempts[0].left, Some(Reason::Refused(refusal)) if refusal.signer().as_str() == "c")
    );
    assert_eq!((status.attempts.len(), status.stage), (2, Stage::Done));
}

fn refusal(inputs: &Inputs, dealer: &str) -> Refusal {
    Refusal {
        chunk: inputs.chunk,
        inputs: inputs.digest(),
        dealer: name(dealer),
        fault: Fault::OffPolynomial,
    }
}

#[test]
fn attempts_are_bounded_and_then_the_wallets_are_given_up() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin; 2]);
    let ceremony = play.begin(&plan);
    let mut blaming = |signer: &SignerId, request: &Request| match request {
        Request::Verify { inputs, .. } if signer.as_str() == "b" => Fate::Replied(Reply::Declined {
            chunk: Some(inputs.chunk),
            plan: Some(inputs.chunk.plan),
            blame: Blame::Signer(name("a")),
            reason: "it dealt badly".into(),
        }),
        _ => Fate::Answered,
    };
    play.run(&mut blaming);
    let status = play.status(&ceremony);
    assert_eq!((status.stage, status.wallets_given_up, status.attempts.len()), (Stage::Done, 2, 5));
    assert!(status.attempts.iter().all(|attempt| matches!(attempt.left, Some(Reason::Accused { .. }))));
    assert!(play.driver.heads.is_empty());
    assert_eq!(play.notes.iter().filter(|note| matches!(note, Note::GivenUp { .. })).count(), 2);
    // The name is free again, and all who opened owe receipts for what they may hold.
    let mut again = play.cast.create(&[Chain::Bitcoin; 2]);
    (again.rank, again.nonce) = (2, Digest([1; 32]));
    play.complete(&again);
}

/// Wallets of these chains, each in a chunk of its own, and a plan that refreshes all of them.
fn renewal(chains: &[Chain]) -> (Play, Plan) {
    let mut play = play(2, 3);
    play.driver.tuning.chunk_wallets = 1;
    let plan = play.cast.create(chains);
    play.complete(&plan);
    let plan = play.cast.refresh(&parents(&play), 2);
    (play, plan)
}

#[test]
fn ecdsa_chunks_of_one_plan_retire_together() {
    let (mut play, plan) = renewal(&[Chain::Ethereum, Chain::Ethereum, Chain::Bitcoin]);
    let ceremony = play.begin(&plan);
    let mut withheld = |signer: &SignerId, request: &Request| {
        let second = matches!(request, Request::Activate(certificate) if certificate.inputs.chunk.first == 1);
        if second && signer.as_str() == "a" { Fate::Lost } else { Fate::Answered }
    };
    play.run(&mut withheld);
    assert_eq!(play.phases(&ceremony), [Phase::Keeping, Phase::Activating, Phase::Retired]);
    play.driver.world.now_ms += 2_000;
    play.driver.tick();
    play.run(&mut honest);
    assert_eq!(play.phases(&ceremony), [Phase::Retired; 3]);
}

/// Refuses the first attempt at the second wallet, and loses what opens the second attempts.
fn refusing(signer: &SignerId, request: &Request) -> Fate {
    match request {
        Request::Verify { inputs, .. } if inputs.chunk.first == 1 && inputs.chunk.epoch.count == 1 => {
            Fate::Replied(Reply::Refused(crate::sample::sign(signer, &refusal(inputs, "a"))))
        }
        Request::Open { chunk, .. } if chunk.epoch.count == 2 => Fate::Lost,
        _ => Fate::Answered,
    }
}

#[test]
fn ecdsa_chunks_of_one_plan_go_to_a_higher_number_together() {
    let (mut play, plan) = renewal(&[Chain::Ethereum, Chain::Ethereum, Chain::Bitcoin]);
    let ceremony = play.begin(&plan);
    play.run(&mut refusing);
    // The first wallet has all its Keep votes, and follows the second; the one without bases is done.
    let (left, opening, retired) = (Phase::Left, Phase::Opening, Phase::Retired);
    assert_eq!(play.phases(&ceremony), [left, left, retired, opening, opening]);
    let head = play.driver.heads.get(&name("w0")).expect("a wallet");
    assert_eq!(
        (head.present.share_set.epoch.rank, head.parent.is_some()),
        (1, false),
        "nothing stands on it"
    );
    let followed = Reason::Outrun(perennial_model::epoch::Epoch::new(2, 2));
    assert_eq!(play.status(&ceremony).attempts[0].left, Some(followed));
    play.driver.world.now_ms += 2_000;
    play.driver.tick();
    play.run(&mut honest);
    assert_eq!(play.phases(&ceremony), [left, left, retired, retired, retired]);
    assert_eq!(play.status(&ceremony).stage, Stage::Done);
}

#[test]
fn no_ecdsa_wallet_is_retired_where_another_of_its_plan_is_given_up_until_a_plan_names_all() {
    let (mut play, mut plan) = renewal(&[Chain::Ethereum, Chain::Ethereum]);
    plan.attempts = 1;
    let ceremony = play.begin(&plan);
    play.run(&mut refusing);
    let status = play.status(&ceremony);
    assert_eq!((status.stage, status.wallets_given_up, status.wallets_retired), (Stage::Running, 1, 0));
    assert_eq!(play.phases(&ceremony), [Phase::Keeping, Phase::Left]);
    assert!(play.driver.heads.get(&name("w0")).expect("a wallet").parent.is_some(), "both are usable");
    let next = play.cast.refresh(&parents(&play), 3);
    play.complete(&next);
    assert_eq!(play.status(&ceremony).stage, Stage::Done);
}

#[test]
fn ecdsa_wallets_that_are_made_wait_for_each_other_and_keep_their_numbers() {
    for attempts in [1, 5] {
        let mut play = play(2, 3);
        play.driver.tuning.chunk_wallets = 1;
        let mut plan = play.cast.create(&[Chain::Ethereum, Chain::Ethereum]);
        plan.attempts = attempts;
        let ceremony = play.begin(&plan);
        play.run(&mut refusing);
        if attempts == 1 {
            assert_eq!(play.phases(&ceremony), [Phase::Retired, Phase::Left], "there is nothing to wait for");
            continue;
        }
        assert_eq!(play.phases(&ceremony), [Phase::Keeping, Phase::Left, Phase::Opening]);
        assert!(play.driver.heads.is_empty(), "neither is shown before the other is made");
        play.driver.world.now_ms += 2_000;
        play.driver.tick();
        play.run(&mut honest);
        assert_eq!(play.phases(&ceremony), [Phase::Retired, Phase::Left, Phase::Retired]);
    }
}

#[test]
fn after_its_expiry_a_plan_leaves_nothing_for_a_number_that_cannot_be_opened() {
    let (mut play, mut plan) = renewal(&[Chain::Ethereum, Chain::Ethereum]);
    plan.expiry_ms = 2_000;
    let ceremony = play.begin(&plan);
    let mut late = |signer: &SignerId, request: &Request| match request {
        Request::Verify { inputs, .. } if inputs.chunk.first == 1 => Fate::Lost,
        _ => honest(signer, request),
    };
    play.run(&mut late);
    play.driver.world.now_ms = 3_000;
    play.driver.tick();
    play.run(&mut refusing);
    let status = play.status(&ceremony);
    assert_eq!(play.phases(&ceremony), [Phase::Keeping, Phase::Left]);
    assert_eq!((status.stage, status.wallets_given_up), (Stage::Running, 1));
}

#[test]
fn a_refresh_names_all_ecdsa_wallets_of_an_open_one_that_it_overlaps() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Ethereum, Chain::Ethereum, Chain::Bitcoin]);
    play.complete(&plan);
    let all = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.begin(&all);
    let mut some = play.cast.refresh(&parents(&play), 3);
    some.wallets.remove(0);
    let refused = play.driver.submit(some.clone()).expect_err("w0 would lose its base").to_string();
    assert!(refused.contains("leaves out w0") && refused.contains(ceremony.short().as_str()), "{refused}");
    some.wallets.remove(0);
    play.driver.submit(some).expect("a wallet without bases concerns nobody");
    let mut again = play.cast.refresh(&parents(&play), 4);
    again.nonce = Digest([4; 32]);
    play.driver.submit(again).expect("all of them are named");
    let mut fewer = play.cast.refresh(&parents(&play), 2);
    fewer.wallets.truncate(1);
    assert!(play.driver.submit(fewer).is_err());
}

#[test]
fn after_an_activation_an_attempt_waits_for_keep_for_as_long_as_it_takes() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let mut plan = play.cast.refresh(&parents(&play), 2);
    plan.profile = Profile::Planned { overlap_ms: 30_000 };
    let ceremony = play.begin(&plan);
    let begun = play.driver.world.now_ms;
    let mut lazy = |signer: &SignerId, request: &Request| match request {
        Request::Activate(certificate) => Fate::Replied(Reply::Activated(certificate.inputs.chunk, 1)),
        Request::Keep(_) if signer.as_str() == "c" => Fate::Lost,
        _ => Fate::Answered,
    };
    play.run(&mut lazy);
    assert_eq!(play.driver.wake_at_ms(), Some(begun + 30_000), "Keep is asked when the overlap is over");
    let head = play.driver.heads.get(&name("w0")).expect("a wallet");
    assert!(head.parent.is_some() && head.present.activation_to_bring().is_none());
    play.run_until(plan.activation_deadline_ms + 9_000_000, &mut lazy, &|play| {
        play.driver.world.now_ms > 9_000_000
    });
    assert_eq!(play.phases(&ceremony), [Phase::Keeping]);
    play.driver.world.now_ms += 20_000;
    play.driver.tick();
    play.run(&mut honest);
    assert_eq!(play.status(&ceremony).stage, Stage::Done);
}

#[test]
fn a_candidate_that_is_not_activated_by_its_date_is_left() {
    let mut play = play(2, 3);
    let mut plan = play.cast.create(&[Chain::Bitcoin]);
    (plan.expiry_ms, plan.activation_deadline_ms) = (5_000, 6_000);
    let ceremony = play.begin(&plan);
    let mut stuck = |_: &SignerId, request: &Request| match request {
        Request::Deal { .. } => Fate::Lost,
        _ => Fate::Answered,
    };
    play.run_until(10_000, &mut stuck, &|_| false);
    let status = play.status(&ceremony);
    assert_eq!((status.stage, &status.attempts[0].left), (Stage::Done, &Some(Reason::TooLate)));
    assert_eq!(status.wallets_given_up, 1);
}

#[test]
fn a_failed_probe_session_is_replaced_and_a_false_signature_names_who_posted_it() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    let ceremony = play.begin(&plan);
    let mut sessions = Vec::new();
    let mut failing = |_: &SignerId, request: &Request| {
        let Request::Session(asked) = request else { return Fate::Answered };
        if !sessions.contains(&asked.session) {
            sessions.push(asked.session);
        }
        let outcome = SessionOutcome::Failed { blame: Blame::Stale, reason: "busy".into() };
        if sessions.len() > 4 { Fate::Answered } else { report(asked.session, outcome) }
    };
    play.run_until(20_000, &mut failing, &|_| false);
    assert_eq!(play.status(&ceremony).stage, Stage::Done);
    let plan = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.begin(&plan);
    let mut forging = |signer: &SignerId, request: &Request| match request {
        Request::Session(asked) if asked.signers[0] == *signer => {
            let Purpose::Probes { tasks, .. } = &asked.purpose else { return Fate::Lost };
            let signature = RawSignature { bytes: [7; 64], recovery_id: None };
            report(asked.session, SessionOutcome::Signed(vec![signature; tasks.len()]))
        }
        _ => Fate::Answered,
    };
    play.run(&mut forging);
    let status = play.status(&ceremony);
    assert!(
        matches!(&status.attempts[0].left, Some(Reason::Misbehaved { culprit, .. }) if culprit.as_str() == "a")
    );
}

#[test]
fn of_a_probe_that_does_not_come_those_are_named_who_have_said_nothing() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    let ceremony = play.begin(&plan);
    let mut dead = |signer: &SignerId, request: &Request| match request {
        Request::Session(_) if signer.as_str() == "c" => Fate::Lost,
        Request::Session(asked) => {
            let reason = "it lasted too long".into();
            report(asked.session, SessionOutcome::Failed { blame: Blame::Stale, reason })
        }
        _ => Fate::Answered,
    };
    play.run_until(100_000, &mut dead, &|_| false);
    assert_eq!(play.status(&ceremony).attempts[0].left, Some(Reason::Silent(vec![name("c")])));
}

fn report(session: Digest, outcome: SessionOutcome) -> Fate {
    Fate::Replied(Reply::Session(SessionReport { session, outcome }))
}

#[test]
fn a_report_from_outside_the_session_changes_nothing() {
    let mut play = play(2, 4);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    let ceremony = play.begin(&plan);
    let mut asked = None;
    play.run(&mut |_, request| match request {
        Request::Session(request) => {
            asked.get_or_insert(request.clone());
            Fate::Lost
        }
        _ => Fate::Answered,
    });
    let request = asked.expect("a session");
    let outsider =
        play.cast.signers.iter().find(|signer| !request.signers.contains(signer)).expect("one").clone();
    let outcome = SessionOutcome::Failed { blame: Blame::Signer(name("a")), reason: "so there".into() };
    play.driver.receive(&outsider, Reply::Session(SessionReport { session: request.session, outcome }));
    let settled = play.settle();
    assert!(matches!(&settled.objections[..], [(from, Error::Denied(_))] if *from == outsider));
    assert_eq!(play.phases(&ceremony), [Phase::Probing]);
}

#[test]
fn a_signer_that_lost_plan_or_parents_gets_them_again() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let plan = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.begin(&plan);
    let (mut plans, mut with_parents) = (0, 0);
    let mut forgetful = |signer: &SignerId, request: &Request| {
        if signer.as_str() != "b" {
            return Fate::Answered;
        }
        match request {
            Request::Plan(_) => plans += 1,
            Request::Open { chunk, parents } => {
                with_parents += usize::from(!parents.is_empty());
                if parents.is_empty() || plans < 2 {
                    return Fate::Replied(Reply::Declined {
                        chunk: Some(*chunk),
                        plan: Some(chunk.plan),
                        blame: Blame::Stale,
                        reason: "unknown".into(),
                    });
                }
            }
            _ => {}
        }
        Fate::Answered
    };
    play.run_until(20_000, &mut forgetful, &|_| false);
    assert_eq!(play.status(&ceremony).stage, Stage::Done);
    assert_eq!((plans, with_parents), (2, 3));
}

#[test]
fn whoever_opened_an_attempt_that_was_left_owes_a_receipt() {
    let mut play = made(2, 4);
    let plan = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.begin(&plan);
    let mut fading = |signer: &SignerId, request: &Request| {
        let first = |chunk: &Chunk| chunk.epoch.count == 1;
        let lost = match request {
            Request::Open { chunk, .. } => signer.as_str() == "d" && !first(chunk),
            Request::Verify { inputs, .. } => signer.as_str() == "b" && first(&inputs.chunk),
            Request::Retire(_) => signer.as_str() == "d",
            _ => false,
        };
        if lost { Fate::Lost } else { Fate::Answered }
    };
    play.run_until(80_000, &mut fading, &|_| false);
    let status = play.status(&ceremony);
    assert_eq!(play.phases(&ceremony), [Phase::Left, Phase::Retiring]);
    let (opened, erased) = (status.attempts[1].counts.opened, status.attempts[1].counts.erased);
    assert_eq!((opened.have, erased.have, erased.of), (3, 3, 4));
    assert!(play.driver.heads.get(&name("w0")).is_some(), "the wallet does not wait for the receipt");
    play.driver.world.now_ms += 20_000;
    play.driver.tick();
    play.run(&mut honest);
    assert_eq!(play.status(&ceremony).stage, Stage::Done);
}

#[test]
fn a_member_that_will_not_take_part_is_not_waited_for_and_too_many_end_the_attempt() {
    for (unwilling, makes, goes_on) in [("d", false, true), ("cd", false, false), ("d", true, false)] {
        // Whoever makes a wallet leaves nobody out.
        let mut play = if makes { play(2, 4) } else { made(2, 4) };
        let plan = match makes {
            true => play.cast.create(&[Chain::Bitcoin]),
            false => play.cast.refresh(&parents(&play), 2),
        };
        let ceremony = play.begin(&plan);
        play.run(&mut |signer, request| match request {
            Request::Open { chunk, .. } if unwilling.contains(signer.as_str()) => {
                Fate::Replied(Reply::Declined {
                    chunk: Some(*chunk),
                    plan: Some(chunk.plan),
                    blame: Blame::Denied,
                    reason: "not with me".into(),
                })
            }
            _ => Fate::Answered,
        });
        let status = play.status(&ceremony);
        assert_eq!(status.stage, Stage::Done);
        assert_eq!((status.wallets_retired == 1, status.wallets_given_up == 1), (goes_on, !goes_on));
    }
}

#[test]
fn a_member_that_has_seen_a_higher_number_gets_a_higher_one() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    let ceremony = play.begin(&plan);
    let mut ahead = |signer: &SignerId, request: &Request| match request {
        Request::Open { chunk, .. } if signer.as_str() == "a" && chunk.epoch.count < 3 => {
            Fate::Replied(Reply::Declined {
                chunk: Some(*chunk),
                plan: Some(chunk.plan),
                blame: Blame::Stale,
                reason: "not above 1.2".into(),
            })
        }
        _ => Fate::Answered,
    };
    play.run_until(200_000, &mut ahead, &|_| false);
    let status = play.status(&ceremony);
    assert_eq!((status.stage, status.attempts.len(), status.wallets_retired), (Stage::Done, 3, 1));
}
