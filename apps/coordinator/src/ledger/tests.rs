//! The ledger on a real disk: what is durable, and what is said when the disk does not answer.

use super::*;
use perennial_ledger::entry::{Content, Kind, ShortText};
use perennial_ledger::{Digest, Entry};
use sqlx::Executor;
use std::path::Path;

mod crashes;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn file(place: &Path) -> StoreFile {
    StoreFile::new(place.join("ledger.db"))
}

fn release(number: u64) -> Release {
    let subject = ShortText::new("treasury").expect("short");
    let content = Content::Other(Kind::new("test").expect("a kind"));
    let entry = Entry { time_ms: number, subject, body: Digest([1; 32]), content }.to_bytes();
    Release { entry, idempotency_key: None, request: [2; 32], released_ms: number, answer: vec![3] }
}

#[test]
fn a_disk_that_does_not_answer_is_given_up_in_time_and_nothing_is_released_until_it_does() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let (ledger, writer) = Ledger::open(file(place.path())).await.expect("opened");
        tokio::spawn(writer);
        assert_eq!(ledger.release(release(0)).await, Ok(0));

        // Somebody else holds the lock of the file: the write neither succeeds nor fails.
        let mut other = file(place.path()).open().await.expect("opened");
        other.execute("BEGIN IMMEDIATE").await.expect("begun");
        let answer = ledger.release(release(1)).await;
        assert!(matches!(answer, Err(StoreError::Blocked { .. })), "{answer:?}");
        // The second way to learn of it, for whoever has not asked yet.
        while ledger.blocked().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(ledger.trouble(), Some(StoreError::Blocked { .. })));
        assert_eq!(ledger.head().size, 1, "what is not durable is not shown");

        other.execute("ROLLBACK").await.expect("let go");
        assert_eq!(ledger.release(release(2)).await, Ok(2), "what was given up is there, and goes before");
        assert_eq!((ledger.blocked(), ledger.trouble()), (None, None));
    });
}

#[test]
fn the_newest_checkpoint_of_each_witness_is_kept() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let (ledger, writer) = Ledger::open(file(place.path())).await.expect("opened");
        tokio::spawn(writer);
        let witness = |name: &str| name.parse::<SignerId>().expect("a name");
        ledger.keep_cosigned(witness("a"), 3, vec![3]);
        ledger.keep_cosigned(witness("b"), 3, vec![4]);
        ledger.keep_cosigned(witness("a"), 5, vec![5]);
        // They are kept with whatever is released next.
        assert_eq!(ledger.release(release(0)).await, Ok(0));
        let mut kept = LedgerReader::new(file(place.path())).cosigned().await.expect("read");
        kept.sort();
        assert_eq!(kept, [("a".to_owned(), vec![5]), ("b".to_owned(), vec![4])]);
    });
}

#[test]
fn a_proof_from_any_size_is_made_from_what_is_on_the_disk() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let (ledger, writer) = Ledger::open(file(place.path())).await.expect("opened");
        tokio::spawn(writer);
        let mut heads = vec![ledger.head()];
        for number in 0..20 {
            ledger.release(release(number)).await.expect("released");
            heads.push(ledger.head());
        }
        let reader = LedgerReader::new(file(place.path()));
        for old in &heads {
            let needs = perennial_ledger::proof::consistency_needs(old.size, 20).expect("grown");
            let nodes = reader.nodes(&needs).await.expect("read");
            let proof = perennial_ledger::prove_consistency(old, &heads[20], &nodes).expect("proved");
            assert_eq!(proof.verify(old, &heads[20]), Ok(()));
        }
    });
}
