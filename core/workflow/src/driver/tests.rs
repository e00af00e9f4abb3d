//! The loop: what it asks, what it writes down, and what is left of it after a crash.

mod decrees;
mod exposure;
mod governing;
mod patience;
mod thefts;
mod trouble;

use super::stage::{Fate, Play};
use super::*;
use crate::ceremony::Reason;
use crate::ceremony::status::Phase;
use crate::journal::{Abandoned, Line, Loaded, Summary};
use crate::sample::{Cast, name};
use perennial_model::dealing::Inputs;
use perennial_model::encoding;
use perennial_model::plan::{LiarTolerance, ProbeRate, Profile};
use perennial_model::refusal::{Fault, Refusal};
use perennial_model::session::{Blame, Purpose, SessionOutcome, SessionReport};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::{Chain, WalletId};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn honest(_: &SignerId, _: &Request) -> Fate {
    Fate::Answered
}

fn play(threshold: u8, count: usize) -> Play {
    Play::new(Cast::new(threshold, count), Tuning::default())
}

fn parents(play: &Play) -> Vec<(WalletId, Digest)> {
    play.driver.heads.iter().map(|head| (head.wallet().id.clone(), head.present.digest)).collect()
}

#[test]
fn wallets_are_made_and_refreshed_and_keep_their_keys() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin, Chain::Bitcoin, Chain::Ethereum]);
    let ceremony = play.begin(&plan);
    play.run(&mut |_, request| match request {
        Request::Keep(_) | Request::Activate(_) => Fate::Lost,
        _ => Fate::Answered,
    });
    assert_eq!(play.phases(&ceremony), [Phase::Activating, Phase::Activating]);
    assert!(play.driver.heads.is_empty(), "no wallet is shown before its first epoch is kept by all");
    play.driver.world.now_ms += 5_000;
    play.driver.tick();
    play.run(&mut honest);
    let status = play.status(&ceremony);
    assert_eq!((status.stage, status.wallets_retired, status.wallets_given_up), (Stage::Done, 3, 0));
    assert!(status.phase_ms(Phase::Activating).is_some_and(|ms| ms >= 5_000));
    let before: Vec<_> =
        play.driver.heads.iter().map(|head| (head.wallet().clone(), head.key().clone())).collect();
    assert_eq!(before.len(), 3);
    for rank in 2..5 {
        let plan = play.cast.refresh(&parents(&play), rank);
        play.complete(&plan);
        let after: Vec<_> =
            play.driver.heads.iter().map(|head| (head.wallet().clone(), head.key().clone())).collect();
        assert_eq!(before, after);
        for head in play.driver.heads.iter() {
            assert_eq!(head.present.share_set.epoch.rank, rank);
            assert!(head.parent.is_none() && head.present.standing.retired_ms.is_some());
        }
    }
    let count = |wanted: fn(&Note) -> bool| play.notes.iter().filter(|note| wanted(note)).count();
    assert_eq!(count(|note| matches!(note, Note::Authorised { .. })), 4);
    assert_eq!(count(|note| matches!(note, Note::Activated { .. })), 8);
    assert_eq!(count(|note| matches!(note, Note::Retired { .. })), 8);
    assert_eq!(count(|note| matches!(note, Note::Created { .. })), 2);
    assert_eq!(count(|note| matches!(note, Note::Erased { .. })), 24);
    assert_eq!(count(|note| matches!(note, Note::Finished { .. })), 4);
}

#[test]
fn a_crash_after_any_step_loses_nothing_and_stops_nothing() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin, Chain::Ethereum]);
    let ceremony = play.begin(&plan);
    let mut crashes = 0;
    play.settle();
    while play.status(&ceremony).stage != Stage::Done {
        crashes += 1;
        assert!(crashes < 200, "no progress");
        let (heads, open) = (play.driver.heads.clone(), play.driver.open.clone());
        play.crash();
        assert_eq!((&play.driver.heads, &play.driver.open), (&heads, &open));
        play.settle();
        // One request of those that were sent is answered, then the process dies again.
        let asked = std::mem::take(&mut play.driver.world.asked);
        let (signer, request) = asked
            .into_iter()
            .find(|(_, request)| !matches!(request, Request::Plan(_)))
            .expect("something is asked");
        for to in play.cast.signers.clone() {
            let session = matches!(request, Request::Session(_));
            if to == signer || session {
                play.cast.answer(&to, &request).into_iter().for_each(|reply| play.driver.receive(&to, reply));
            }
        }
        play.settle();
    }
    let heads = play.driver.heads.clone();
    play.crash();
    assert_eq!(play.driver.heads, heads);
    assert_eq!(play.status(&ceremony).wallets_retired, 2);
    assert!(crashes > 20, "{crashes} crashes");
}

#[test]
fn nothing_leaves_before_it_is_on_the_disk() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.begin(&plan);
    play.driver.journal.full = true;
    assert!(play.driver.settle().is_err());
    assert!(play.driver.world.asked.is_empty());
    play.crash();
    assert_eq!(play.driver.ceremonies(), [], "what was not written did not happen");
}

#[test]
fn what_arrives_together_is_appended_together() {
    let mut play = play(2, 3);
    let chains = vec![Chain::Bitcoin; 6];
    play.driver.tuning.chunk_wallets = 1;
    let plan = play.cast.create(&chains);
    play.begin(&plan);
    play.settle();
    let before = play.driver.journal.appends;
    for (signer, request) in std::mem::take(&mut play.driver.world.asked) {
        play.cast.answer(&signer, &request).into_iter().for_each(|reply| play.driver.receive(&signer, reply));
    }
    play.settle();
    assert_eq!(play.driver.journal.appends, before + 1);
    assert_eq!(play.phases(&plan.digest()), [Phase::Committing; 6]);
}

#[test]
fn nobody_is_asked_for_anything_before_people_have_approved() {
    let mut play = play(2, 3);
    let mut plan = play.cast.create(&[Chain::Bitcoin]);
    plan.expiry_ms = 50_000;
    let ceremony = play.driver.submit(plan.clone()).expect("a sound plan");
    play.run(&mut honest);
    let good = play.cast.approval(&plan);
    let mut other = play.cast.create(&[Chain::Bitcoin]);
    other.nonce = Digest([1; 32]);
    assert!(play.driver.approve(&ceremony, play.cast.approval(&other)).is_err());
    let nobody = Approval { person: name("mallory"), ..good.clone() };
    assert!(play.driver.approve(&ceremony, nobody).is_err());
    let initiator = Approval { person: name("iris"), ..good.clone() };
    assert!(play.driver.approve(&ceremony, initiator).is_err());
    play.run(&mut honest);
    assert_eq!(play.status(&ceremony).stage, Stage::AwaitingApproval);
    assert!(play.driver.world.asked.is_empty());
    assert_eq!(play.driver.wake_at_ms(), Some(50_001));
    play.driver.world.now_ms = 50_001;
    play.driver.tick();
    play.settle();
    assert_eq!(play.status(&ceremony).stage, Stage::Expired);
    assert!(play.driver.approve(&ceremony, good).is_err());
    assert!(play.driver.submit(plan).is_err(), "a plan is used once");
    play.crash();
    assert_eq!(play.status(&ceremony).stage, Stage::Expired);
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_refused_with_the_reason() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let refused = |play: &mut Play, plan: Plan, word: &str| {
        let error = play.driver.submit(plan).expect_err("refused").to_string();
        assert!(error.contains(word), "{error}");
    };
    let mut again = play.cast.create(&[Chain::Bitcoin]);
    again.nonce = Digest([1; 32]);
    refused(&mut play, again, "taken");
    let present = parents(&play);
    let low = play.cast.refresh(&present, 1);
    refused(&mut play, low, "not above");
    let elsewhere = play.cast.refresh(&[(name("w0"), Digest([1; 32]))], 2);
    refused(&mut play, elsewhere, "not in use");
    let unknown = play.cast.refresh(&[(name("w7"), present[0].1)], 2);
    refused(&mut play, unknown, "no wallet");
    let mut late = play.cast.refresh(&present, 2);
    late.expiry_ms = 500;
    refused(&mut play, late, "expired");
}

#[test]
fn what_a_higher_retirement_has_overtaken_is_left_even_after_its_activation() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let present = parents(&play);
    let lower = play.cast.refresh(&present, 2);
    let lower = play.begin(&lower);
    play.run(&mut |_, request| match request {
        Request::Activate(certificate) => Fate::Replied(Reply::Activated(certificate.inputs.chunk, 1)),
        Request::Keep(_) => Fate::Lost,
        _ => Fate::Answered,
    });
    assert_eq!(play.phases(&lower), [Phase::Keeping]);
    let higher = play.cast.refresh(&present, 3);
    play.complete(&higher);
    let status = play.status(&lower);
    assert_eq!(status.attempts[0].left, Some(Reason::Superseded(perennial_model::epoch::Epoch::new(3, 1))));
    assert_eq!(status.stage, Stage::Done);
    let head = play.driver.heads.get(&name("w0")).expect("a wallet");
    assert_eq!((head.present.share_set.epoch.rank, head.parent.is_none()), (3, true));
    let heads = play.driver.heads.clone();
    play.crash();
    assert_eq!(play.driver.heads, heads);
}

#[test]
fn a_ceremony_that_is_over_leaves_nothing_to_load_once_no_wallet_stands_on_it() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin; 3]);
    play.complete(&plan);
    let size = |play: &Play| {
        let loaded = play.driver.journal.clone().load().expect("a disk");
        loaded
            .iter()
            .map(|l| match l {
                Loaded::Summary(b) | Loaded::Line(b) => b.len(),
            })
            .sum::<usize>()
    };
    let plan = play.cast.refresh(&parents(&play), 2);
    play.complete(&plan);
    let after_one = size(&play);
    for rank in 3..9 {
        let plan = play.cast.refresh(&parents(&play), rank);
        play.complete(&plan);
    }
    assert!(size(&play) < after_one + 6 * 1_500, "{} after {after_one}", size(&play));
    let heads = play.driver.heads.clone();
    play.crash();
    assert_eq!(play.driver.heads, heads);
    assert_eq!(play.driver.ceremonies().len(), 8);
}

#[test]
fn a_summary_is_read_again_however_many_wallets_its_plan_had() {
    let mut play = play(2, 3);
    let plan = play.cast.create(&[Chain::Bitcoin]);
    play.complete(&plan);
    let loaded = play.driver.journal.clone().load().expect("a disk");
    let [Loaded::Summary(bytes)] = loaded.as_slice() else { panic!("one ceremony that is over") };
    let mut summary: Summary = encoding::decode(bytes).expect("a summary");
    let openers = vec![name("a")];
    let left =
        Abandoned { epoch: summary.generations[0].generation.inputs.chunk.epoch, wallets: vec![], openers };
    let wallets = (0..1_000).map(|n| name(&format!("{n:040}"))).collect();
    summary.abandoned = vec![Abandoned { wallets, ..left }; 500];
    let document = encoding::encode(&summary);
    assert!(document.len() > encoding::DOCUMENT_BYTES_MAX, "{}", document.len());
    let line = Line { ceremony: plan.digest(), document };
    play.driver.journal.append(&Batch { summaries: vec![line], ..Batch::default() }).expect("a disk");
    play.crash();
    assert!(play.driver.heads.get(&name("w0")).is_some(), "it is there again");
}

#[test]
fn a_copy_of_the_heads_follows_from_the_changes_alone() {
    let mut play = play(2, 3);
    let mut copy = play.driver.heads.clone();
    let plan = play.cast.create(&[Chain::Bitcoin, Chain::Ethereum]);
    play.begin(&plan);
    for rank in 2..5 {
        loop {
            let settled = play.settle();
            settled.changes.iter().for_each(|change| copy.apply(change));
            assert_eq!(copy, play.driver.heads);
            let asked = std::mem::take(&mut play.driver.world.asked);
            if asked.is_empty() {
                break;
            }
            for (signer, request) in asked {
                let replies = play.cast.answer(&signer, &request);
                replies.into_iter().for_each(|reply| play.driver.receive(&signer, reply));
            }
        }
        let plan = play.cast.refresh(&parents(&play), rank);
        play.begin(&plan);
    }
    assert_eq!(copy.iter().map(|head| head.present.share_set.epoch.rank).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn mail_between_signers_is_handed_on_and_never_in_anothers_name() {
    let mut play = play(2, 3);
    let body = perennial_model::session::SessionMessage {
        session: Digest([1; 32]),
        round: 1,
        to: name("b"),
        items: Vec::new(),
    };
    let mail = crate::sample::sign(&name("a"), &body);
    play.driver.receive(&name("a"), Reply::SessionMail(mail.clone()));
    play.driver.receive(&name("c"), Reply::SessionMail(mail.clone()));
    let settled = play.settle();
    let handed: Vec<_> = play.driver.world.asked.drain(..).collect();
    assert_eq!(handed, [(name("b"), Request::SessionMail(mail))]);
    assert_eq!(settled.objections.len(), 1);
}

#[test]
fn every_new_wallet_is_probed_by_all_its_holders_and_the_first_by_every_pair() {
    let mut play = play(2, 3);
    let mut plan = play.cast.create(&[Chain::Ethereum; 40]);
    plan.probe_rate = ProbeRate::OnePerChunk;
    plan.liar_tolerance = LiarTolerance::Required;
    let ceremony = play.begin(&plan);
    let mut asked_of: BTreeMap<u32, BTreeSet<Vec<SignerId>>> = BTreeMap::new();
    let mut requests = 0;
    play.run(&mut |_, request| {
        if let Request::Session(asked) = request {
            let Purpose::Probes { tasks, .. } = &asked.purpose else { panic!("only probes here") };
            assert!(tasks.len() <= 32);
            for task in tasks {
                asked_of.entry(task.wallet).or_default().insert(asked.signers.clone());
            }
            requests += 1;
        }
        Fate::Answered
    });
    let status = play.status(&ceremony);
    assert_eq!((status.attempts[0].counts.probes.have, requests), (3 + 39 * 2, 3 * 2));
    assert_eq!(asked_of.len(), 40);
    for (wallet, pairs) in asked_of {
        let holders: BTreeSet<&SignerId> = pairs.iter().flatten().collect();
        assert_eq!((holders.len(), pairs.len()), (3, if wallet == 0 { 3 } else { 2 }), "{wallet}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lost_mail_and_crashes_delay_a_ceremony_and_nothing_else(
        seed in any::<u64>(),
        crash_at in proptest::collection::vec(0usize..120, 0..5),
    ) {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let mut play = play(2, 3);
        let plan = play.cast.create(&[Chain::Bitcoin, Chain::Bitcoin, Chain::Ethereum]);
        let ceremony = play.begin(&plan);
        play.settle();
        let mut rounds = 0;
        while play.status(&ceremony).stage != Stage::Done && rounds < 1_000 {
            rounds += 1;
            if crash_at.contains(&rounds) {
                play.crash();
            }
            play.settle();
            for (signer, request) in std::mem::take(&mut play.driver.world.asked) {
                let fate = chance.next_u32() % 10;
                if fate < 4 {
                    continue;
                }
                for reply in play.cast.answer(&signer, &request) {
                    play.driver.receive(&signer, reply.clone());
                    if fate == 9 {
                        play.driver.receive(&signer, reply);
                    }
                }
            }
            play.driver.world.now_ms += 700;
            play.driver.tick();
        }
        let status = play.status(&ceremony);
        prop_assert_eq!(status.stage, Stage::Done);
        prop_assert_eq!(status.wallets_retired, 3, "{:?}", status);
        prop_assert_eq!(play.driver.heads.len(), 3);
        let heads = play.driver.heads.clone();
        play.crash();
        prop_assert_eq!(&play.driver.heads, &heads);
    }
}
