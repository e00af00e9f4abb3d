//! Which sessions a request begins, and how it ends.

use super::*;
use crate::ceremony::status::Phase;
use crate::driver::Tuning;
use crate::driver::stage::{Fate, Play};
use crate::sample::{Cast, name, rng};
use perennial_model::mail::{Reply, Request};
use perennial_model::wallet::Chain;
use std::collections::BTreeMap;

/// A cluster with one wallet, refreshed once; `overlap` leaves it where both epochs are served.
fn cluster(threshold: u8, count: usize, overlap: bool) -> Play {
    let mut play = Play::new(Cast::new(threshold, count), Tuning::default());
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let parent = play.driver.heads().get(&name("w0")).expect("a wallet").present.digest;
    let plan = play.cast.refresh(&[(name("w0"), parent)], 2);
    let ceremony = play.begin(&plan);
    play.run(&mut |_, request| match request {
        Request::Activate(certificate) if overlap => {
            Fate::Replied(Reply::Activated(certificate.inputs.chunk, 1))
        }
        Request::Keep(_) if overlap => Fate::Lost,
        _ => Fate::Answered,
    });
    let phase = if overlap { Phase::Keeping } else { Phase::Retired };
    assert_eq!(play.phases(&ceremony), [phase]);
    play
}

/// All but c come to an Activation, and nobody keeps it.
fn activated_but_by_c(signer: &SignerId, request: &Request) -> Fate {
    match request {
        Request::Activate(certificate) if signer.as_str() != "c" => {
            Fate::Replied(Reply::Activated(certificate.inputs.chunk, 1))
        }
        Request::Activate(_) | Request::Keep(_) => Fate::Lost,
        _ => Fate::Answered,
    }
}

fn begin(play: &Play, seen: &[SignerId], rng: &mut dyn CryptoRng) -> (Route, SessionRequest) {
    let head = play.driver.heads().get(&name("w0")).expect("a wallet");
    let order = Order { transaction: Bytes(vec![1, 2, 3]), path: Path::primary(Chain::Bitcoin) };
    Route::begin(&head, order, seen, 5, rng)
}

fn epoch_of(request: &SessionRequest) -> Epoch {
    match &request.purpose {
        Purpose::Transaction { epoch, .. } => *epoch,
        Purpose::Probes { .. } => panic!("a request signs no probes"),
    }
}

fn reported(by: &SignerId, blame: Blame) -> Failure {
    Failure::Reported { by: by.clone(), blame, reason: "so".into() }
}

fn retry(next: Next) -> (Route, SessionRequest) {
    match next {
        Next::Retry(route, request) => (route, *request),
        other => panic!("no retry: {other:?}"),
    }
}

fn signature() -> Vec<RawSignature> {
    vec![RawSignature { bytes: [1; 64], recovery_id: None }]
}

#[test]
fn a_failure_under_the_new_epoch_falls_back_to_the_parent_and_the_first_signature_is_the_only_one() {
    let play = cluster(2, 3, true);
    let mut rng = rng();
    let (route, first) = begin(&play, &[], &mut rng);
    assert_eq!(epoch_of(&first), Epoch::new(2, 1));
    assert_eq!(first.asked_at_ms, 5);
    let by = first.signers[1].clone();
    let (route, second) = retry(route.failed(&first.session, reported(&by, Blame::Stale), &[], 6, &mut rng));
    assert_eq!(epoch_of(&second), Epoch::new(1, 1));
    assert_ne!(first.session, second.session);
    let Next::Wait(route) = route.failed(&first.session, Failure::TimedOut, &[], 6, &mut rng) else {
        panic!("a session that is no longer waited for ends nothing")
    };
    let route = route.accept(&Digest([9; 32]), signature()).expect_err("a session of some other request");
    let accepted = route.accept(&second.session, signature()).expect("its own");
    assert_eq!((accepted.epoch, accepted.tries, accepted.fallbacks), (Epoch::new(1, 1), 2, 1));
    assert_eq!(accepted.signers, second.signers);
}

#[test]
fn a_late_signature_of_a_failed_session_is_as_good_as_any() {
    let play = cluster(2, 3, true);
    let mut rng = rng();
    let (route, first) = begin(&play, &[], &mut rng);
    let (route, _) = retry(route.failed(&first.session, Failure::TimedOut, &[], 6, &mut rng));
    let accepted = route.accept(&first.session, signature()).expect("its own");
    assert_eq!(accepted.epoch, Epoch::new(2, 1));
}

#[test]
fn what_policy_denies_or_nobody_can_read_is_not_tried_again() {
    let play = cluster(2, 3, true);
    for (blame, denied) in [(Blame::Denied, true), (Blame::Asker, false)] {
        let mut rng = rng();
        let (route, first) = begin(&play, &[], &mut rng);
        let by = first.signers[0].clone();
        let Next::GiveUp(given_up) = route.failed(&first.session, reported(&by, blame), &[], 6, &mut rng)
        else {
            panic!("it is final")
        };
        assert_eq!(matches!(given_up.why, WhyGivenUp::Denied { .. }), denied);
        assert_eq!((given_up.tries, given_up.fallbacks), (1, 0));
    }
}

#[test]
fn a_stranger_to_the_session_ends_nothing() {
    let play = cluster(2, 3, false);
    let mut rng = rng();
    let (route, first) = begin(&play, &[], &mut rng);
    let outsider = play.cast.signers.iter().find(|signer| !first.signers.contains(signer)).expect("one");
    let next = route.failed(&first.session, reported(outsider, Blame::Denied), &[], 6, &mut rng);
    assert!(matches!(next, Next::Wait(_)));
}

#[test]
fn tries_are_bounded_and_go_round_epochs_and_signers() {
    let play = cluster(2, 3, true);
    let mut rng = rng();
    let (mut route, mut request) = begin(&play, &[], &mut rng);
    let mut epochs = vec![epoch_of(&request)];
    let mut groups = vec![request.signers.clone()];
    let given_up = loop {
        let blamed = request.signers[1].clone();
        let failure = reported(&request.signers[0], Blame::Signer(blamed));
        match route.failed(&request.session, failure, &[], 6, &mut rng) {
            Next::Retry(next, again) => (route, request) = (next, *again),
            Next::GiveUp(given_up) => break given_up,
            Next::Wait(_) => panic!("it was the session waited for"),
        }
        epochs.push(epoch_of(&request));
        groups.push(request.signers.clone());
    };
    assert_eq!(given_up.tries, TRIES_MAX);
    assert_eq!(given_up.fallbacks, 3);
    let new = Epoch::new(2, 1);
    let old = Epoch::new(1, 1);
    assert_eq!(epochs, [new, old, new, old, new, old]);
    assert_ne!(groups[0], groups[1], "whoever is blamed makes room for another");
}

#[test]
fn signers_are_seated_seen_and_shared_out() {
    let play = cluster(3, 5, false);
    let mut rng = rng();
    let mut times: BTreeMap<SignerId, u32> = BTreeMap::new();
    for _ in 0..500 {
        let (_, request) = begin(&play, &[], &mut rng);
        assert_eq!(request.signers.len(), 3);
        assert!(request.signers.is_sorted(), "the names of this cast rise with their seats");
        request.signers.into_iter().for_each(|signer| *times.entry(signer).or_default() += 1);
    }
    assert!(times.len() == 5 && times.values().all(|times| (240..360).contains(times)), "{times:?}");
    let seen: Vec<SignerId> = vec![name("b"), name("d"), name("e")];
    let (_, request) = begin(&play, &seen, &mut rng);
    assert_eq!(request.signers, seen);
}

#[test]
fn the_activation_rides_along_until_every_holder_is_known_to_serve() {
    let mut play = Play::new(Cast::new(2, 3), Tuning::default());
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let parent = play.driver.heads().get(&name("w0")).expect("a wallet").present.digest;
    let plan = play.cast.refresh(&[(name("w0"), parent)], 2);
    play.begin(&plan);
    play.run(&mut activated_but_by_c);
    let brings = |play: &Play| {
        let (_, request) = begin(play, &[], &mut rng());
        matches!(request.purpose, Purpose::Transaction { activation: Some(_), .. })
    };
    assert!(brings(&play));
    let chunk = play.status(&plan.digest()).attempts[0].chunk;
    play.driver.receive(&name("c"), Reply::Activated(chunk, 2));
    play.settle();
    assert!(!brings(&play));
}

#[test]
fn a_request_does_not_wait_for_signers_that_have_not_come_to_the_activation() {
    let mut play = Play::new(Cast::new(2, 3), Tuning::default());
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let parent = play.driver.heads().get(&name("w0")).expect("a wallet").present.digest;
    let plan = play.cast.refresh(&[(name("w0"), parent)], 2);
    play.begin(&plan);
    play.run(&mut |_, request| match request {
        Request::Activate(_) => Fate::Lost,
        _ => Fate::Answered,
    });
    let chunk = play.status(&plan.digest()).attempts[0].chunk;
    let (old, new) = (Epoch::new(1, 1), Epoch::new(2, 1));
    let all: Vec<SignerId> = play.cast.signers.clone();
    let begun = |play: &Play, seen: &[SignerId]| {
        let (_, request) = begin(play, seen, &mut rng());
        (epoch_of(&request), request.signers)
    };
    assert_eq!(begun(&play, &all).0, old, "nobody serves the new epoch yet");
    for (signer, epoch) in [("c", old), ("a", new)] {
        play.driver.receive(&name(signer), Reply::Activated(chunk, 1));
        play.settle();
        assert_eq!(begun(&play, &all).0, epoch, "{signer}");
    }
    let serving: Vec<SignerId> = vec![name("a"), name("c")];
    assert_eq!(begun(&play, &all).1, serving, "b has not come to it");
    assert_eq!(begun(&play, &[]), (new, serving));
    let without_a: Vec<SignerId> = vec![name("b"), name("c")];
    assert_eq!(begun(&play, &without_a), (old, without_a), "a was not heard of lately");
}

/// As when a holder has dropped the newest epoch, and another ceremony is retired while the parent of both is asked.
#[test]
fn an_epoch_that_failed_does_not_come_again_before_one_that_was_retired_meanwhile() {
    let mut play = Play::new(Cast::new(2, 2), Tuning::default());
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let parent = play.driver.heads().get(&name("w0")).expect("a wallet").present.digest;
    let ceremonies = [2, 3].map(|rank| {
        let plan = play.cast.refresh(&[(name("w0"), parent)], rank);
        play.begin(&plan)
    });
    play.run(&mut |_, request| match request {
        Request::Activate(certificate) => Fate::Replied(Reply::Activated(certificate.inputs.chunk, 1)),
        Request::Keep(_) => Fate::Lost,
        _ => Fate::Answered,
    });
    assert_eq!(ceremonies.map(|ceremony| play.phases(&ceremony)), [[Phase::Keeping], [Phase::Keeping]]);
    let mut rng = rng();
    let (route, first) = begin(&play, &[], &mut rng);
    let by = first.signers[0].clone();
    let (mut route, second) =
        retry(route.failed(&first.session, reported(&by, Blame::Stale), &[], 6, &mut rng));
    play.run_until(
        1_000_000,
        &mut |_, request| match request {
            Request::Keep(chunk) if chunk.epoch.rank == 3 => Fate::Lost,
            _ => Fate::Answered,
        },
        &|play| play.phases(&ceremonies[0]) == [Phase::Retired],
    );
    route.catch_up(&play.driver.heads().get(&name("w0")).expect("a wallet"));
    let (_, third) = retry(route.failed(&second.session, reported(&by, Blame::Stale), &[], 7, &mut rng));
    assert_eq!(
        [&first, &second, &third].map(epoch_of),
        [(3, 1), (1, 1), (2, 1)].map(|(r, c)| Epoch::new(r, c))
    );
}

/// As when some holders have dropped two epochs that stand on one another, and a fault hits the first try.
#[test]
fn the_epoch_that_all_keep_has_its_turn_among_any_three_also_if_it_failed_first() {
    let mut play = Play::new(Cast::new(2, 3), Tuning::default());
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let mut rng = rng();
    let (mut route, first) = begin(&play, &[], &mut rng);
    for rank in [2, 3] {
        let ground = play.driver.heads().get(&name("w0")).expect("a wallet").ground().digest;
        let plan = play.cast.refresh(&[(name("w0"), ground)], rank);
        play.begin(&plan);
        play.run(&mut activated_but_by_c);
    }
    route.catch_up(&play.driver.heads().get(&name("w0")).expect("a wallet"));
    let mut asked = vec![first];
    let mut failure = Failure::TimedOut;
    while asked.len() < 5 {
        let (next, request) = retry(route.failed(&asked[asked.len() - 1].session, failure, &[], 6, &mut rng));
        failure = reported(&request.signers[0], Blame::Stale);
        route = next;
        asked.push(request);
    }
    let ranks: Vec<u32> = asked.iter().map(|request| epoch_of(request).rank).collect();
    assert_eq!(ranks, [1, 3, 2, 1, 3]);
}
