//! Many releases in one transaction: each at its place, and all of them or none.

use super::crashes::{rows, rows_of};
use super::*;
use perennial_ledger::Tree;

/// More than go into one statement, and of each number of rows that go together.
const MANY: u64 = 600;

/// A ledger whose writer finds a note and these releases when it begins, and what it answers.
struct Asked {
    ledger: Ledger,
    writer: tokio::task::JoinHandle<Result<(), StoreError>>,
    answers: Vec<Result<u64, StoreError>>,
}

async fn ask(place: &Path, note: i64, releases: impl Iterator<Item = Release>) -> Asked {
    let (ledger, writer) = Ledger::open(file(place)).await.expect("opened");
    ledger.take_notes(vec![NumberedNote { number: note, entry: release(MANY).entry }]);
    let asking = releases.map(|release| {
        let (done, is_done) = oneshot::channel();
        assert!(ledger.jobs.send(Job::Release(Box::new(release), done)).is_ok());
        is_done
    });
    let asking: Vec<_> = asking.collect();
    let writer = tokio::spawn(writer);
    let mut answers = Vec::new();
    for is_done in asking {
        answers.push(is_done.await.expect("answered"));
    }
    Asked { ledger, writer, answers }
}

fn numbered() -> impl Iterator<Item = Release> {
    (0..MANY).map(|number| Release { answer: number.to_be_bytes().into(), ..release(number) })
}

#[test]
fn an_answer_stands_at_the_place_of_its_entry_and_the_tree_on_the_disk_is_theirs() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let Asked { ledger, writer, answers } = ask(place.path(), 1, numbered()).await;
        assert_eq!(answers, (1..=MANY).map(Ok).collect::<Vec<_>>());
        let head = ledger.head();
        drop(ledger);
        writer.await.expect("no panic").expect("ended");

        let reader = LedgerReader::new(file(place.path()));
        let mut tree = Tree::empty();
        for place in 0..=MANY {
            let (entry, answer) = reader.entry_with_answer(place).await.expect("read");
            assert_eq!(entry, release(place.checked_sub(1).unwrap_or(MANY)).entry);
            assert_eq!(answer, place.checked_sub(1).map(|number| number.to_be_bytes().into()));
            tree = tree.append(&[entry]).expect("small").tree;
        }
        assert_eq!((tree.head(), rows(place.path()).await), (head, rows_of(&head, 1)));
        let (again, _writer) = Ledger::open(file(place.path())).await.expect("opened");
        assert_eq!(again.head(), head, "from the nodes that were stored");
    });
}

#[test]
fn a_transaction_that_fails_in_its_middle_releases_nothing_and_the_next_begins_where_it_began() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        // Somebody has written a row that is not theirs to write; the statement that meets it is not the first.
        let (ledger, _) = Ledger::open(file(place.path())).await.expect("opened");
        let mut other = file(place.path()).open().await.expect("opened");
        other.execute("INSERT INTO releases VALUES (500, NULL, x'00', 0, x'00')").await.expect("written");
        drop(ledger);

        let Asked { ledger, answers, .. } = ask(place.path(), 1, numbered()).await;
        assert!(
            answers.iter().all(|answer| matches!(answer, Err(StoreError::Unusable { .. }))),
            "{answers:?}"
        );
        assert_eq!((ledger.head(), ledger.notes_taken()), (Tree::empty().head(), 0));
        assert_eq!(rows(place.path()).await, (0, 1, 0, 0), "only what somebody wrote");

        other.execute("DELETE FROM releases").await.expect("taken away");
        assert_eq!(ledger.release(release(1)).await, Ok(1), "after the note, which was kept");
        assert_eq!(rows(place.path()).await, rows_of(&ledger.head(), 1));
    });
}
