//! Bad mail is declined, and the signer stays up; a disk without room ends it at once, and nothing leaves.

use crate::governance::name;
use crate::office::{Office, PROGRAM, now_ms};
use crate::plans::create;
use crate::signing::sign;
use perennial_coordinator::mailbox::Lane;
use perennial_model::committee::SignerId;
use perennial_model::encoding;
use perennial_model::mail::{Reply, Request};
use perennial_model::session::{Blame, SessionOutcome};
use perennial_model::wallet::{Chain, WalletId};
use std::process::Command;

fn declined(office: &mut Office, words: &str) -> Blame {
    office.until(&format!("something is declined with `{words}`"), |office| {
        let declined = std::mem::take(&mut office.declined).into_iter();
        let mut blamed = declined.filter_map(|(_, reply)| match reply {
            Reply::Declined { blame, reason, .. } if reason.contains(words) => Some(blame),
            _ => None,
        });
        blamed.next()
    })
}

#[test]
fn bad_mail_is_declined_with_who_is_to_blame_and_the_signer_stays_up() {
    let mut office = Office::running(&["a", "b", "c"]);
    let wallet: WalletId = name("target");
    office.complete(&create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms()));
    let a: SignerId = name("a");
    let plan = create(&office.governance, 2, &[(name("next"), Chain::Solana)], now_ms());
    let good = encoding::encode(&Request::Plan(Box::new(office.approved(&plan))));

    for lane in [Lane::Ceremony, Lane::Signing] {
        for junk in [vec![], vec![0xff; 100], vec![0x9f; 5_000_000], good[..good.len() - 1].to_vec()] {
            office.post(&a, lane, junk);
            assert_eq!(declined(&mut office, ""), Blame::Asker);
        }
    }
    office.post(&a, Lane::Signing, good.clone());
    assert_eq!(declined(&mut office, "lane for signing"), Blame::Denied);
    let mut changed = office.approved(&plan);
    changed.plan.expiry_ms += 1;
    office.post(&a, Lane::Ceremony, encoding::encode(&Request::Plan(Box::new(changed))));
    assert_eq!(declined(&mut office, "signature is not over"), Blame::Denied);
    let mut replayed = office.approved(&plan);
    replayed.approvals.clear();
    office.post(&a, Lane::Ceremony, encoding::encode(&Request::Plan(Box::new(replayed))));
    assert_eq!(declined(&mut office, "0 of the 1 approvals"), Blame::Denied);

    sign(&mut office, &wallet, 1);
    office.stop("a");
    let log = office.log("a");
    for words in ["blame=the coordinator", "blame=whoever asked", "cannot read a request"] {
        assert!(log.contains(words), "`{words}` is not in: {log}");
    }
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 2_000, "a line of {longest} bytes: bodies do not belong into the log");
}

#[test]
fn mail_that_a_signer_fetched_before_it_was_started_again_is_not_called_dropped() {
    let mut office = Office::running(&["a", "b"]);
    let a: SignerId = name("a");
    for start in [1, 2] {
        for lane in [Lane::Signing, Lane::Ceremony] {
            // That the second came acknowledges the first.
            for _ in 0..2 {
                office.post(&a, lane, vec![0xff]);
                assert_eq!(declined(&mut office, ""), Blame::Asker);
            }
        }
        assert_eq!(office.stop("a"), Some(0));
        let log = office.log("a");
        assert!(!log.contains("mail was dropped"), "start {start}: {log}");
        office.start("a");
    }
}

#[test]
fn a_plan_with_any_changed_byte_is_declined() {
    let mut office = Office::running(&["a", "b"]);
    let a: SignerId = name("a");
    let plan = create(&office.governance, 2, &[(name("next"), Chain::Solana)], now_ms());
    let good = encoding::encode(&Request::Plan(Box::new(office.approved(&plan))));
    // The plan stands before its approvals, whose text alone may be written in several ways.
    let plan_bytes = encoding::encode(&plan).len();
    for at in (0..plan_bytes).step_by(5) {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        office.post(&a, Lane::Ceremony, changed);
        let blame = declined(&mut office, "");
        assert!(matches!(blame, Blame::Asker | Blame::Denied), "byte {at}: {blame:?}");
    }
    assert_eq!(office.stop("a"), Some(0), "{}", office.log("a"));
    assert_eq!(office.show("a")["wallets"], serde_json::json!([]), "something was opened");
}

#[test]
fn a_signing_session_that_is_replayed_is_declined_also_after_a_restart() {
    let mut office = Office::running(&["a", "b"]);
    let wallet: WalletId = name("target");
    office.complete(&create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms()));
    let session = sign(&mut office, &wallet, 1).session;
    let again = encoding::encode(&Request::Session(Box::new(session.clone())));
    for restart in [false, true] {
        if restart {
            assert_eq!(office.stop("a"), Some(0));
            office.start("a");
        }
        office.post(&name("a"), Lane::Signing, again.clone());
        let (blame, reason) = office.until("the replay is answered", |office| {
            let (_, report) = office.reports.pop().filter(|(_, report)| report.session == session.session)?;
            match report.outcome {
                SessionOutcome::Failed { blame, reason } => Some((blame, reason)),
                SessionOutcome::Signed(_) => None,
            }
        });
        assert_eq!(blame, Blame::Stale, "{reason}");
        assert!(reason.contains("begun before"), "{reason}");
    }
    assert_eq!(sign(&mut office, &wallet, 2).tries, 1);
}

#[test]
fn a_signer_whose_disk_is_full_stops_at_once_and_goes_on_when_there_is_room() {
    let mut office = Office::new(&["a", "b"]);
    // Room for a start, and not for a plan of 90,000 wallets. The shell counts in blocks of 512 or 1024 bytes.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 2500; exec \"$0\" run --dir \"$1\"", PROGRAM]);
    limited.arg(office.places.directory("a"));
    office.start_as("a", limited);
    let wallets: Vec<(WalletId, Chain)> =
        (0..90_000).map(|at| (name(&format!("wallet-of-many-{at}")), Chain::Solana)).collect();
    let plan = create(&office.governance, 2, &wallets, now_ms());
    let request = encoding::encode(&Request::Plan(Box::new(office.approved(&plan))));
    assert!(request.len() > 2_560_000);
    office.post(&name("a"), Lane::Ceremony, request);
    let mut child = office.signers.remove(&name("a")).expect("it runs");
    assert_eq!(child.wait().expect("ended").code(), Some(4), "{}", office.log("a"));
    let log = office.log("a");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("perennial-signer: ")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("disk failed while it saved its records"), "{log}");
    assert!(lines[0].contains("free or repair the disk, then start it again"), "{log}");
    assert_eq!(office.turn(), 0, "something left after the disk had failed");
    office.start("a");
    assert_eq!(office.stop("a"), Some(0), "{}", office.log("a"));
}
