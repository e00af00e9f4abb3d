//! Reports of thefts: what they touch, what they do not, and that neither a restart nor a later refresh forgets.

use super::*;
use crate::journal::{Line, Loaded, Summary};
use perennial_model::encoding;
use perennial_model::exposure::{Copies, Exposure, KeyState};
use perennial_model::theft::{Certainty, Finding, TheftReport};

/// Epoch 1.1 is made at this time, and each of these later ones makes another.
const MADE_MS: u64 = 1_000;
const SECOND_MS: u64 = 10_000;

fn theft(signer: &str, span: (u64, u64)) -> TheftReport {
    TheftReport {
        finding: Finding::Stolen {
            signer: name(signer),
            wallets: vec![name("w0")],
            from_ms: span.0,
            to_ms: span.1,
            certainty: Certainty::Suspected,
        },
        tenant: Some(name("acme")),
        by: name("security"),
        text: format!("a disk of {signer} is gone"),
    }
}

fn withdrawal(report: Digest) -> TheftReport {
    TheftReport { finding: Finding::Withdrawn(report), text: "found again".into(), ..theft("a", (0, 0)) }
}

fn copies(play: &Play, wallet: &str) -> Vec<Copies> {
    let open: Vec<_> =
        play.driver.open.values().map(|ceremony| (ceremony.plan().clone(), ceremony.status())).collect();
    let open = open.iter().map(|(plan, status)| (plan, status));
    crate::exposure::copies(&play.driver.heads, open, play.driver.thefts(), &name(wallet))
}

/// Number, worth, key state and thieves of each row of the first wallet.
fn register(play: &Play) -> Vec<(String, Exposure, KeyState, String)> {
    let row = |copies: &Copies| {
        let stolen: Vec<&str> = copies.stolen.iter().map(SignerId::as_str).collect();
        (copies.number.to_string(), copies.exposure(), copies.key_state(), stolen.join(" "))
    };
    copies(play, "w0").iter().map(row).collect()
}

fn row(
    number: &str,
    exposure: Exposure,
    state: KeyState,
    stolen: &str,
) -> (String, Exposure, KeyState, String) {
    (number.into(), exposure, state, stolen.into())
}

fn report(play: &mut Play, report: TheftReport) -> Digest {
    let digest = play.driver.report_theft(report).expect("a sound report");
    play.settle();
    digest
}

/// Two wallets of which two of three signers sign, made at [`MADE_MS`] and refreshed at [`SECOND_MS`]; it is later now.
fn refreshed() -> Play {
    let mut play = play(2, 3);
    play.complete(&play.cast.create(&[Chain::Bitcoin, Chain::Ethereum]));
    play.driver.world.now_ms = SECOND_MS;
    play.complete(&play.cast.refresh(&parents(&play), 2));
    play.driver.world.now_ms = 20_000;
    play
}

const ONE_STOLEN: Exposure = Exposure::DeadAgainst { copies: 1, liars: 0 };

#[test]
fn copies_of_two_epochs_make_no_key_and_as_many_as_it_takes_of_one_lose_it_even_long_after() {
    let mut play = refreshed();
    let dead = row("below 2.1", Exposure::Dead, KeyState::Destroyed, "");
    let live = |stolen| row("2.1", Exposure::Live, KeyState::Active, stolen);
    assert_eq!(register(&play), [live(""), dead.clone()]);

    report(&mut play, theft("a", (MADE_MS, 5_000)));
    let one = row("1.1", ONE_STOLEN, KeyState::Deactivated, "a");
    assert_eq!(register(&play), [live(""), dead.clone(), one.clone()]);
    // Its copy of 1.1 was gone by then.
    report(&mut play, theft("b", (SECOND_MS + 1, 20_000)));
    assert_eq!(register(&play), [live("b"), dead.clone(), one.clone()]);
    let second = report(&mut play, theft("b", (MADE_MS, 5_000)));
    let lost = row("1.1", Exposure::Lost, KeyState::Compromised, "a b");
    assert_eq!(register(&play), [live("b"), dead.clone(), lost]);
    assert!(copies(&play, "w1").iter().all(|copies| copies.stolen.is_empty()), "it is not named");

    report(&mut play, withdrawal(second));
    assert_eq!(register(&play), [live("b"), dead, one]);
    report(&mut play, theft("c", (20_000, 20_000)));
    assert_eq!(register(&play)[0], row("2.1", Exposure::Lost, KeyState::Compromised, "b c"));
}

#[test]
fn reports_and_withdrawals_stay_through_crashes_and_nothing_leaves_before_they_are_on_the_disk() {
    let mut play = refreshed();
    play.driver.journal.full = true;
    play.driver.report_theft(theft("a", (1, 2))).expect("a sound report");
    assert!(play.driver.settle().is_err());
    play.driver.journal.full = false;
    play.crash();
    assert!(play.driver.thefts().is_empty(), "what was not written did not happen");

    let first = report(&mut play, theft("a", (MADE_MS, 20_000)));
    let known = play.driver.thefts().clone();
    play.crash();
    assert_eq!(*play.driver.thefts(), known);
    let told = play.notes.len();
    assert_eq!(report(&mut play, theft("a", (MADE_MS, 20_000))), first, "the same again is the same");
    assert_eq!((play.notes.len(), play.driver.thefts().len()), (told, 1));

    let taken_back = report(&mut play, withdrawal(first));
    let (known, shown) = (play.driver.thefts().clone(), register(&play));
    assert_eq!((known.len(), known[0].withdrawn_by), (2, Some(taken_back)));
    assert!(shown.iter().all(|(.., stolen)| stolen.is_empty()));
    play.crash();
    assert_eq!((play.driver.thefts(), register(&play)), (&known, shown));
    let entered = play.notes.iter().filter(|note| matches!(note, Note::TheftReported { .. }));
    assert_eq!(entered.count(), 2);
}

#[test]
fn an_epoch_that_no_wallet_stands_on_any_more_is_touched_by_a_report_that_comes_late() {
    let mut play = refreshed();
    for rank in 3..7 {
        play.driver.world.now_ms += 1_000;
        play.complete(&play.cast.refresh(&parents(&play), rank));
    }
    play.crash();
    report(&mut play, theft("a", (MADE_MS, 5_000)));
    report(&mut play, theft("c", (MADE_MS, 5_000)));
    let lost = row("1.1", Exposure::Lost, KeyState::Compromised, "a c");
    assert_eq!(register(&play).last(), Some(&lost));
    play.driver.world.now_ms += 1_000;
    play.complete(&play.cast.refresh(&parents(&play), 9));
    play.crash();
    let now = register(&play);
    assert_eq!((&now[0].0[..], now.last()), ("9.1", Some(&lost)), "no refresh undoes a theft");
}

#[test]
fn an_attempt_is_touched_from_its_dealings_on() {
    let mut play = play(2, 3);
    play.complete(&play.cast.create(&[Chain::Bitcoin]));
    play.driver.world.now_ms = SECOND_MS;
    play.begin(&play.cast.refresh(&parents(&play), 2));
    play.run(&mut |_, request| match request {
        Request::Verify { .. } => Fate::Lost,
        _ => Fate::Answered,
    });
    report(&mut play, theft("a", (SECOND_MS, SECOND_MS)));
    let stolen = |number, state| row(number, Exposure::Live, state, "a");
    let both = [stolen("2.1", KeyState::PreActivation), stolen("1.1", KeyState::Active)];
    assert_eq!(register(&play), both);
    report(&mut play, theft("b", (MADE_MS, SECOND_MS - 1)));
    let lost = row("1.1", Exposure::Lost, KeyState::Compromised, "a b");
    assert_eq!(register(&play), [stolen("2.1", KeyState::PreActivation), lost]);
}

#[test]
fn a_report_of_what_is_not_known_or_has_not_been_is_refused_with_the_reason() {
    let mut play = refreshed();
    let first = report(&mut play, theft("a", (MADE_MS, 5_000)));
    let second = report(&mut play, withdrawal(first));
    let mut foreign = theft("a", (1, 2));
    foreign.tenant = Some(name("globex"));
    let mut nobodys = TheftReport { tenant: Some(name("nobody")), ..theft("a", (1, 2)) };
    if let Finding::Stolen { wallets, .. } = &mut nobodys.finding {
        wallets.clear();
    }
    let mut other = withdrawal(first);
    other.tenant = None;
    let mut nowhere = theft("a", (1, 2));
    if let Finding::Stolen { wallets, .. } = &mut nowhere.finding {
        wallets.push(name("w7"));
    }
    for (bad, word) in [
        (theft("mallory", (1, 2)), "mallory"),
        (theft("a", (2, 1)), "before it begins"),
        (theft("a", (1, 20_001)), "now is 20000"),
        (nowhere, "no wallet w7"),
        (foreign, "no wallet w0"),
        (nobodys, "no tenant nobody"),
        (theft("a", (MADE_MS, 5_000)), "withdrawn"),
        (withdrawal(Digest([9; 32])), "no report"),
        (other, "no report"),
        (TheftReport { text: "once more".into(), ..withdrawal(first) }, "withdrawn already"),
        (withdrawal(second), "anew"),
    ] {
        let error = play.driver.report_theft(bad).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
    let mut last = first;
    for count in 1..crate::thefts::REPORTS_MAX {
        last = play.driver.report_theft(theft("a", (1, 100 + count as u64))).expect("room");
    }
    let error = play.driver.report_theft(theft("a", (1, 2))).expect_err("no room").to_string();
    assert!(error.contains("256 reports"), "{error}");
    play.driver.report_theft(withdrawal(last)).expect("what there is can always be withdrawn");
}

#[test]
fn a_journal_that_kept_no_tenures_is_read_and_what_it_tells_is_touched() {
    let mut play = refreshed();
    let mut disk = play.driver.journal.clone();
    let documents = disk.load().expect("a disk").into_iter().map(|loaded| match loaded {
        Loaded::Summary(bytes) => encoding::decode::<Summary>(&bytes).expect("a summary"),
        Loaded::Line(_) => panic!("everything is over"),
    });
    let mut earlier = Vec::new();
    for summary in documents {
        let whole = encoding::encode(&summary);
        let ceremony = summary.status.ceremony;
        let document = encoding::encode(&Summary { tenures: None, ..summary });
        assert!(document.len() < whole.len());
        earlier.push(Line { ceremony, document });
    }
    disk.append(&Batch { summaries: earlier, ..Batch::default() }).expect("a disk");
    play.driver.journal = disk;
    play.crash();
    report(&mut play, theft("a", (MADE_MS, 20_000)));
    let known: Vec<_> = register(&play).into_iter().filter(|(.., stolen)| !stolen.is_empty()).collect();
    assert_eq!(known, [row("2.1", Exposure::Live, KeyState::Active, "a")], "what was slimmed is not known");
}
