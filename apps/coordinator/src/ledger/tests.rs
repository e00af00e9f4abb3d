//! The ledger on a real disk: what is durable, and what is said when the disk does not answer.

use super::*;
use perennial_ledger::entry::{Content, Kind, ShortText};
use perennial_ledger::{Digest, Entry};
use sqlx::Executor;
use std::path::Path;

mod crashes;
mod together;

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
fn what_comes_while_a_transaction_is_under_way_goes_into_the_next_and_nothing_of_it_is_forgotten() {
    let (jobs, waiting) = mpsc::unbounded_channel();
    let send = |job| jobs.send(job).expect("somebody collects");
    let witness: SignerId = "a".parse().expect("a name");
    let cosigned = |size: u64| Job::Cosigned(witness.clone(), Cosigned { size, note: vec![] });
    let note = |number| Job::Notes(vec![NumberedNote { number, entry: vec![] }]);
    let asked = || Job::Release(Box::new(release(0)), oneshot::channel().0);
    let mut collected = collecting::Collected::new(waiting, Arc::default());
    runtime().block_on(async {
        [cosigned(3), note(1), asked()].into_iter().for_each(send);
        collected.wait(true).await;
        let first = collected.releases().0;
        let first = collected.with(first);
        assert_eq!((first.notes.len(), first.releases.len(), first.cosigned[&witness].size), (1, 1, 3));
        let begun = tokio::time::Instant::now();

        let many = (0..collecting::RELEASES_MAX + 1).map(|_| asked());
        let under_way = async {
            [cosigned(5), note(2)].into_iter().chain(many).for_each(send);
            for _ in 0..collecting::RELEASES_MAX {
                tokio::task::yield_now().await;
            }
        };
        collected.wait_meanwhile(under_way).await;
        collected.forget_notes(1);
        let due = collected.notes_due.expect("something waits");
        assert!(due >= begun + collecting::NOTES_WITHIN, "what came meanwhile waits for others of its own");
        collected.forget_cosigned(&first.cosigned);
        let next = collected.releases().0;
        let next = collected.with(next);
        assert_eq!(next.releases.len(), collecting::RELEASES_MAX, "one too many waits for its turn");
        assert_eq!((next.notes.len(), next.notes[0].number, next.cosigned[&witness].size), (1, 2, 5));
    });
}

#[test]
fn a_release_waits_for_few_notes_of_a_big_ceremony() {
    let (jobs, waiting) = mpsc::unbounded_channel();
    let mut collected = collecting::Collected::new(waiting, Arc::default());
    let notes = (1..=100).map(|number| NumberedNote { number, entry: vec![] }).collect();
    runtime().block_on(async {
        assert!(jobs.send(Job::Notes(notes)).is_ok());
        assert!(jobs.send(Job::Release(Box::new(release(0)), oneshot::channel().0)).is_ok());
        collected.wait(true).await;
        let releases = collected.releases().0;
        let together = collected.with(releases);
        assert_eq!((together.notes.len(), together.releases.len()), (8, 1));
        assert!(collected.notes_due.is_some(), "the others are written soon");
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
