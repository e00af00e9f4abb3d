//! Evidence from files on a real disk: what is asked for is found, proved, and of the ledger that is there.

use super::*;
use crate::ledger::{Ledger, Release};
use perennial_ledger::entry::{Content, Epoch, ShortText, Signature};
use std::path::Path;

fn file(place: &Path, name: &str) -> StoreFile {
    StoreFile::new(place.join(name))
}

/// The signature of this number; every third one is of another wallet.
fn release(number: u64) -> Release {
    let answer = format!("answer {number}").into_bytes();
    let wallet = ShortText::new(if number % 3 == 2 { "vault" } else { "payroll" }).expect("short");
    let signature = Signature {
        wallet: wallet.clone(),
        epoch: Epoch { rank: 1, count: 1 },
        transcript: perennial_ledger::Digest([1; 32]),
        plan: perennial_ledger::Digest([2; 32]),
        policy: None,
        decision: None,
        custody_state: None,
    };
    let entry = Entry {
        time_ms: 1000 * number,
        subject: wallet,
        body: perennial_ledger::Digest::of(&answer),
        content: Content::Signature(signature),
    };
    let (entry, request) = (entry.to_bytes(), [0; 32]);
    Release { entry, idempotency_key: None, request, released_ms: number, answer }
}

async fn ledger(place: &Path, numbers: impl Iterator<Item = u64>) -> TreeHead {
    let (ledger, writer) = Ledger::open(file(place, "ledger.db")).await.expect("opened");
    tokio::spawn(writer);
    for number in numbers {
        ledger.release(release(number)).await.expect("released");
    }
    ledger.head()
}

async fn evidence(place: &Path) -> Evidence {
    let [index, ledger, ceremonies] =
        ["index.db", "ledger.db", "ceremonies.db"].map(|name| file(place, name));
    Evidence::open(index, ledger, ceremonies).await.expect("opened")
}

fn payroll() -> About {
    About::Signatures("payroll".parse().expect("a name"))
}

fn all(size: u64) -> Span {
    Span { size, after: None, from_ms: 0, to_ms: u64::MAX }
}

fn answers(page: &Page) -> Vec<String> {
    let body = |evident: &Evident| evident.body.clone().expect("kept");
    page.entries.iter().map(|evident| String::from_utf8(body(evident)).expect("text")).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn entries_are_found_by_wallet_and_time_page_by_page_each_proved_and_with_its_body() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let head = ledger(place.path(), 0..20).await;
        let evidence = evidence(place.path()).await;
        let page = evidence.entries(&payroll(), all(20), 1000).await.expect("read");
        assert_eq!((page.entries.len(), page.next), (14, None));
        for evident in &page.entries {
            assert_eq!(evident.proof.verify(&evident.entry.entry, &head), Ok(()));
            let entry = Entry::from_bytes(&evident.entry.entry).expect("canonical");
            let body = evident.body.as_ref().expect("kept");
            assert_eq!(entry.body, perennial_ledger::Digest::of(body));
        }
        let window = Span { from_ms: 4_000, to_ms: 7_000, ..all(20) };
        let page = evidence.entries(&payroll(), window, 1000).await.expect("read");
        assert_eq!(answers(&page), ["answer 4", "answer 6", "answer 7"]);
        let mut span = all(10);
        let mut read = Vec::new();
        loop {
            let page = evidence.entries(&payroll(), span, 2).await.expect("read");
            read.extend(answers(&page));
            match page.next {
                Some(next) => span.after = Some(next),
                None => break,
            }
        }
        assert_eq!(read, [0, 1, 3, 4, 6, 7, 9].map(|number| format!("answer {number}")));
        let nobody = About::Epochs("payroll".parse().expect("a name"));
        assert!(evidence.entries(&nobody, all(20), 10).await.expect("read").entries.is_empty());
    });
}

#[test]
fn an_index_of_another_ledger_is_made_anew_and_one_that_lags_catches_up() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        ledger(place.path(), 0..6).await;
        let page = evidence(place.path()).await.entries(&payroll(), all(6), 100).await.expect("read");
        assert_eq!(answers(&page), ["answer 0", "answer 1", "answer 3", "answer 4"]);
        ledger(place.path(), 6..8).await;
        let page = evidence(place.path()).await.entries(&payroll(), all(8), 100).await.expect("read");
        assert_eq!(answers(&page).len(), 6);
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            // Whether there is a file for the log belongs to SQLite.
            let _ = std::fs::remove_file(place.path().join(name));
        }
        ledger(place.path(), 100..110).await;
        let page = evidence(place.path()).await.entries(&payroll(), all(10), 100).await.expect("read");
        let expected = [100, 102, 103, 105, 106, 108, 109].map(|number| format!("answer {number}"));
        assert_eq!(answers(&page), expected);
    });
}

#[test]
fn a_checkpoint_of_an_earlier_size_still_gets_its_proofs() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let earlier = ledger(place.path(), 0..7).await;
        ledger(place.path(), 7..30).await;
        let page = evidence(place.path()).await.entries(&payroll(), all(7), 100).await.expect("read");
        assert_eq!(page.entries.len(), 5);
        assert!(page.entries.iter().all(|known| known.proof.verify(&known.entry.entry, &earlier).is_ok()));
    });
}
