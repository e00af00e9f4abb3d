//! Mandates and orders: what is begun unattended, what is not, and what people stop.

use super::*;
use crate::sample::DAY_MS;
use crate::schedule;
use perennial_model::epoch::Epoch;
use perennial_model::mandate::{Cadence, Selector, Window};
use perennial_model::order::Deed;
use perennial_model::plan::Action;
use perennial_model::wallet::Tier;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// Lets time pass in steps, and says which plans were begun under mandates.
fn pass(play: &mut Play, days: u64, fate: &mut dyn FnMut(&SignerId, &Request) -> Fate) -> Vec<(u64, Plan)> {
    let mut begun = Vec::new();
    for _ in 0..days * 24 {
        play.driver.world.now_ms += HOUR_MS;
        play.driver.tick();
        let from = play.notes.len();
        play.run(fate);
        for note in &play.notes[from..] {
            if let Note::Authorised { plan, .. } = note
                && plan.mandate.is_some()
            {
                begun.push((play.driver.world.now_ms, plan.plan.clone()));
            }
        }
    }
    begun
}

fn epochs(play: &Play) -> Vec<Epoch> {
    play.driver.heads.iter().map(|head| head.present.share_set.epoch).collect()
}

fn state(play: &Play, mandate: &Digest) -> MandateState {
    let mut known = play.driver.mandates();
    known.find(|(digest, ..)| *digest == mandate).map(|(.., state)| state).expect("a known mandate")
}

fn made(chains: &[Chain]) -> Play {
    let mut play = play(2, 3);
    play.complete(&play.cast.create(chains));
    play
}

#[test]
fn two_years_go_by_without_anybody_being_asked() {
    let mut play = made(&[Chain::Bitcoin, Chain::Bitcoin, Chain::Ethereum]);
    let keys: Vec<_> = play.driver.heads.iter().map(|head| head.key().clone()).collect();
    let mandate = play.driver.mandate(play.cast.mandate(|_| {})).expect("a sound mandate");
    let begun = pass(&mut play, 365, &mut honest);
    play.crash();
    let more = pass(&mut play, 365, &mut honest);
    assert!((103..=104).contains(&(begun.len() + more.len())), "{} and {}", begun.len(), more.len());
    for pair in [begun, more].concat().windows(2) {
        let days = (pair[1].0 - pair[0].0) / DAY_MS;
        assert!((6..=7).contains(&days), "after {days} days");
        assert_eq!(pair[1].1.wallets.len(), 3);
    }
    assert!(epochs(&play).iter().all(|epoch| epoch.rank == 1 && epoch.count > 100), "{:?}", epochs(&play));
    assert_eq!(keys, play.driver.heads.iter().map(|head| head.key().clone()).collect::<Vec<_>>());
    assert_eq!(state(&play, &mandate), MandateState::Active);
    // What people approve stands above whatever was made unattended.
    play.driver.world.now_ms += HOUR_MS;
    let mut own = play.cast.refresh(&parents(&play), 2);
    own.expiry_ms = u64::MAX - 1;
    own.activation_deadline_ms = u64::MAX;
    play.complete(&own);
    assert!(epochs(&play).iter().all(|epoch| *epoch == Epoch::new(2, 1)));
}

#[test]
fn refreshes_begin_in_windows_and_the_low_tiers_go_first() {
    let mut play = play(2, 3);
    let mut plan = play.cast.create(&[Chain::Bitcoin, Chain::Bitcoin, Chain::Ethereum]);
    plan.tier = Tier::High;
    for (wallet, tier) in plan.wallets.iter_mut().zip([Tier::High, Tier::Standard, Tier::Low]) {
        if let perennial_model::plan::PlannedWallet::New(wallet) = wallet {
            wallet.tier = tier;
        }
    }
    play.complete(&plan);
    // 1970-01-01 was a Thursday: bit 3.
    let night = Window { days: 1 << 3, from_minute: 2 * 60, minutes: 4 * 60 };
    let approved = play.cast.mandate(|mandate| {
        mandate.tier = Tier::High;
        mandate.windows = vec![night];
        mandate.cadence.push(Cadence { from_tier: Tier::High, every_ms: 14 * DAY_MS });
    });
    play.driver.mandate(approved).expect("a sound mandate");
    let begun = pass(&mut play, 29, &mut honest);
    assert!(begun.iter().all(|(at_ms, _)| night.covers(*at_ms, *at_ms)), "{begun:?}");
    let tiers: Vec<(u64, Tier)> = begun.iter().map(|(at_ms, plan)| (at_ms / DAY_MS, plan.tier)).collect();
    let week = |n: u64| [(7 * n, Tier::Low), (7 * n, Tier::Standard)];
    let high = |n: u64| [(7 * n, Tier::High)];
    let expected = [&week(1)[..], &week(2), &high(2), &week(3), &week(4), &high(4)].concat();
    assert_eq!(tiers, expected);
    for pair in begun.windows(2).filter(|pair| pair[0].0 / DAY_MS == pair[1].0 / DAY_MS) {
        assert!(pair[0].0 < pair[1].0, "a higher tier waits until the lower one is done");
    }
}

#[test]
fn a_signer_that_is_away_stops_a_mandate_and_leaves_its_wallets_usable() {
    let mut play = made(&[Chain::Bitcoin]);
    let before = epochs(&play);
    let mandate = play.driver.mandate(play.cast.mandate(|_| {})).expect("a sound mandate");
    let mut away = |signer: &SignerId, _: &Request| match signer == &name::<SignerId>("c") {
        true => Fate::Lost,
        false => Fate::Answered,
    };
    let begun = pass(&mut play, 60, &mut away);
    assert_eq!(begun.len(), 3, "as many failures as the mandate allows");
    assert_eq!(state(&play, &mandate), MandateState::Stopped);
    assert_eq!(epochs(&play), before);
    play.crash();
    play.settle();
    assert_eq!(state(&play, &mandate), MandateState::Stopped);
    // People have it go on once the signer is back.
    play.driver.order(play.cast.order(Deed::Resume(mandate), 1)).expect("a good order");
    let begun = pass(&mut play, 6, &mut honest);
    assert_eq!(begun.len(), 1);
    assert!(epochs(&play)[0] > before[0]);
}

#[test]
fn a_mandate_rests_and_goes_on_by_order_and_ends_when_it_is_called_off() {
    let mut play = made(&[Chain::Bitcoin]);
    let mandate = play.driver.mandate(play.cast.mandate(|_| {})).expect("a sound mandate");
    play.driver.order(play.cast.order(Deed::Pause(mandate), 1)).expect("a good order");
    assert_eq!(pass(&mut play, 10, &mut honest), []);
    assert_eq!(state(&play, &mandate), MandateState::Paused);
    let again = play.driver.order(play.cast.order(Deed::Resume(mandate), 1));
    assert!(again.expect_err("no higher number").to_string().contains("take a higher one"));
    play.driver.order(play.cast.order(Deed::Resume(mandate), 2)).expect("a good order");
    assert_eq!(pass(&mut play, 8, &mut honest).len(), 2);
    play.driver.order(play.cast.order(Deed::Cancel(mandate), 3)).expect("a good order");
    assert_eq!(pass(&mut play, 20, &mut honest), []);
    play.crash();
    assert_eq!(pass(&mut play, 20, &mut honest), []);
    assert_eq!(state(&play, &mandate), MandateState::Cancelled);
    let told = play.driver.orders().map(|(.., obeyed)| obeyed);
    assert_eq!(told.collect::<Vec<_>>(), [3, 3, 3], "every signer is told, once more after a crash");
}

#[test]
fn nobody_has_a_mandate_go_on_so_that_it_cannot_be_stopped() {
    let mut play = made(&[Chain::Bitcoin]);
    let mandate = play.driver.mandate(play.cast.mandate(|_| {})).expect("a sound mandate");
    play.driver.order(play.cast.order(Deed::Resume(mandate), u64::MAX)).expect("a good order");
    play.driver.order(play.cast.order(Deed::Pause(mandate), u64::MAX)).expect("a good order");
    assert_eq!(state(&play, &mandate), MandateState::Paused);
    assert_eq!(pass(&mut play, 10, &mut honest), []);
    play.driver.order(play.cast.order(Deed::Cancel(mandate), 1)).expect("a good order");
    assert_eq!(state(&play, &mandate), MandateState::Cancelled);
}

#[test]
fn people_of_one_tenant_do_not_learn_what_another_has_given() {
    let mut play = made(&[Chain::Bitcoin]);
    let mandate = play.driver.mandate(play.cast.mandate(|_| {})).expect("a sound mandate");
    let plan = play.cast.refresh(&parents(&play), 2);
    let ceremony = play.driver.submit(plan).expect("a sound plan");
    let words = |play: &mut Play, target: Digest| {
        let refused = play.driver.order(play.cast.order_of("globex", Deed::Cancel(target), 1));
        refused.expect_err("not theirs").to_string().replace(&target.short(), "it")
    };
    let nothing = words(&mut play, Digest([9; 32]));
    assert_eq!(words(&mut play, mandate), nothing);
    assert_eq!(words(&mut play, ceremony), nothing);
}

#[test]
fn a_cadence_beyond_all_dates_stops_nobody() {
    let mut play = made(&[Chain::Bitcoin]);
    let night = Window { days: 1 << 3, from_minute: 2 * 60, minutes: 4 * 60 };
    let never = play.cast.mandate(|mandate| {
        mandate.windows = vec![night];
        mandate.cadence[0].every_ms = u64::MAX;
    });
    play.driver.mandate(never.clone()).expect("a sound mandate");
    assert_eq!(pass(&mut play, 30, &mut honest), []);
    assert_eq!(schedule::calendar(&never.mandate, &play.driver.heads, 0, u64::MAX), []);
}

#[test]
fn a_plan_that_is_called_off_ends_where_it_is_and_what_is_active_goes_on() {
    for (lost, stage, given_up) in
        [("plan", Stage::Cancelled, 0), ("verify", Stage::Done, 1), ("keep", Stage::Done, 0)]
    {
        let mut play = made(&[Chain::Bitcoin]);
        let plan = play.cast.refresh(&parents(&play), 2);
        let ceremony = match lost {
            "plan" => play.driver.submit(plan.clone()).expect("a sound plan"),
            _ => play.begin(&plan),
        };
        play.run(&mut |_, request| match request {
            Request::Verify { .. } if lost == "verify" => Fate::Lost,
            Request::Activate(_) | Request::Keep(_) if lost == "keep" => Fate::Lost,
            _ => Fate::Answered,
        });
        play.driver.order(play.cast.order(Deed::Cancel(ceremony), 1)).expect("a good order");
        play.driver.world.now_ms += 20_000;
        play.driver.tick();
        play.run(&mut honest);
        let status = play.status(&ceremony);
        assert_eq!((status.stage, status.wallets_given_up), (stage, given_up), "{lost}");
        if lost == "verify" {
            assert_eq!(status.attempts[0].left, Some(Reason::Cancelled));
        }
        let unknown = play.driver.order(play.cast.order(Deed::Cancel(Digest([9; 32])), 1));
        assert!(unknown.expect_err("about nothing").to_string().contains("there is no"));
    }
}

#[test]
fn another_governance_ends_a_mandate() {
    let mut play = made(&[Chain::Bitcoin]);
    let mandate = play.driver.mandate(play.cast.mandate(|_| {})).expect("a sound mandate");
    let next = play.cast.govern();
    play.driver.govern(next).expect("the next version");
    assert_eq!(pass(&mut play, 10, &mut honest), []);
    assert_eq!(state(&play, &mandate), MandateState::Outdated);
}

#[test]
fn what_is_not_approved_or_not_sound_is_no_mandate_and_no_order() {
    let mut play = made(&[Chain::Bitcoin]);
    let refusal = |play: &mut Play, approved| play.driver.mandate(approved).expect_err("refused").to_string();
    let mut unapproved = play.cast.mandate(|_| {});
    unapproved.mandate.least_gap_ms += 1;
    assert!(refusal(&mut play, unapproved).contains("signature is not over"));
    let hasty = play.cast.mandate(|mandate| mandate.cadence[0].every_ms = 1);
    assert!(refusal(&mut play, hasty).contains("more often than it allows"));
    let nobody = play.cast.mandate(|mandate| mandate.wallets = Selector::Named(Vec::new()));
    assert!(refusal(&mut play, nobody).contains("1 to 10000 wallets"));
    let never = play.cast.mandate(|mandate| mandate.failures = 0);
    assert!(refusal(&mut play, never).contains("number of failures"));
    let mut forged = play.cast.order(Deed::Pause(Digest([1; 32])), 1);
    forged.approvals.clear();
    assert!(play.driver.order(forged).expect_err("refused").to_string().contains("0 of the 1"));
    let mut plan = play.cast.refresh(&parents(&play), 1);
    plan.mandate = Some(perennial_model::mandate::UnderMandate { mandate: Digest([1; 32]), counts_from: 2 });
    assert!(play.driver.submit(plan).expect_err("refused").to_string().contains("not submitted"));
}

#[test]
fn ecdsa_wallets_on_the_same_bases_go_together_or_not_at_all() {
    let play = made(&[Chain::Ethereum, Chain::Ethereum, Chain::Bitcoin]);
    let one = play.cast.mandate(|mandate| mandate.wallets = Selector::Named(vec![name("w0"), name("w2")]));
    let units = schedule::units(&one.mandate, &play.driver.heads);
    let unfit: Vec<_> = units.iter().map(|unit| (unit.wallets[0].0.as_str(), unit.unfit.is_some())).collect();
    assert_eq!(unfit, [("w0", true), ("w2", false)]);
    let all = play.cast.mandate(|_| {});
    let units = schedule::units(&all.mandate, &play.driver.heads);
    assert_eq!(units.iter().map(|unit| unit.wallets.len()).collect::<Vec<_>>(), [2, 1]);
    let plan = schedule::due(&all.mandate, &play.driver.heads, Digest([3; 32]), 8 * DAY_MS).expect("due");
    assert_eq!((plan.action, plan.wallets.len(), plan.rank), (Action::Refresh, 3, 1));
    all.mandate.check_plan(&plan).expect("within the mandate");
    assert!(one.mandate.check_plan(&plan).is_err());
}
