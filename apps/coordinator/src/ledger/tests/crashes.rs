//! What is left of a ledger after a crash: whole transactions, the entries of each with their nodes and releases. And
//! what is said of a file of which a part is gone, or that another version wrote.

use super::{file, release, runtime};
use crate::journal::NumberedNote;
use crate::ledger::{Ledger, LedgerReader, MIGRATIONS};
use crate::store::{PAGE_BYTES, StoreError, StoreFile};
use perennial_ledger::{Tree, TreeHead, proof::consistency_needs, prove_consistency};
use sqlx::Executor;
use std::path::Path;

/// More entries than one kept node covers.
const MANY: u64 = 150;

async fn open(place: &Path) -> Result<(Ledger, tokio::task::JoinHandle<Result<(), StoreError>>), StoreError> {
    let (ledger, writer) = Ledger::open(file(place)).await?;
    Ok((ledger, tokio::spawn(writer)))
}

/// Releases these, several at a time so that they share transactions.
async fn release_all(ledger: &Ledger, numbers: std::ops::Range<u64>) {
    let releases: Vec<_> = numbers
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.release(release(number)).await })
        })
        .collect();
    for released in releases {
        released.await.expect("no panic").expect("released");
    }
}

async fn proves_every_size(place: &Path, heads: &[TreeHead], newest: &TreeHead) {
    let reader = LedgerReader::new(file(place));
    for old in heads {
        let needs = consistency_needs(old.size, newest.size).expect("grown");
        let nodes = reader.nodes(&needs).await.expect("read");
        let proof = prove_consistency(old, newest, &nodes).expect("proved");
        assert_eq!(proof.verify(old, newest), Ok(()));
        let edge = reader.nodes(&Tree::open_needs(old.size).expect("small")).await.expect("read");
        assert_eq!(Tree::open(old.size, &edge).expect("opened").head(), *old);
    }
}

fn note(number: i64) -> NumberedNote {
    NumberedNote { number, entry: release(1_000 + number as u64).entry }
}

/// A write-ahead log that was cut anywhere is what a crash leaves: the pages of a transaction are written in any
/// order until it is synced, and nobody was told of it before.
#[test]
fn whatever_was_being_written_when_it_ended_is_there_with_all_of_its_parts_or_not_at_all() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let (ledger, _writer) = open(place.path()).await.expect("opened");
        let mut heads = vec![ledger.head()];
        for batch in 0..8_u64 {
            ledger.take_notes(vec![note(1 + batch as i64)]);
            release_all(&ledger, batch * 20..batch * 20 + 20).await;
            heads.push(ledger.head());
        }
        let sizes = sizes_and_heads(place.path(), &ledger.head()).await;
        let whole = std::fs::read(place.path().join("ledger.db-wal")).expect("the log");
        let mut found = Vec::new();
        // Frames are 16,408 bytes: most of these cuts are within one.
        for cut in (0..=whole.len()).rev().step_by(8_191) {
            let copy = tempfile::tempdir().expect("a directory");
            std::fs::copy(place.path().join("ledger.db"), copy.path().join("ledger.db")).expect("copied");
            std::fs::write(copy.path().join("ledger.db-wal"), &whole[..cut]).expect("written");
            let (left, _writer) = open(copy.path()).await.expect("a crash leaves a ledger that opens");
            let head = left.head();
            assert_eq!(Some(&head), sizes.get(head.size as usize), "cut at {cut}: another ledger");
            assert_eq!(rows(copy.path()).await, rows_of(&head, left.notes_taken()), "cut at {cut}");
            found.push(head.size);
            if found.len() % 16 == 1 {
                assert_eq!(left.release(release(9_000)).await, Ok(head.size), "it goes on from there");
                let before = heads.iter().filter(|old| old.size <= head.size).copied().collect::<Vec<_>>();
                proves_every_size(copy.path(), &before, &left.head()).await;
            }
        }
        assert_eq!((found.first(), found.last()), (Some(&heads[8].size), Some(&0)));
        assert!(found.is_sorted_by(|longer, shorter| longer >= shorter), "a shorter log never says more");
        for head in &heads {
            assert!(found.contains(&head.size), "what was confirmed as {head:?} was the last one once");
        }
    });
}

/// The head that the ledger had at each size, from its entries alone.
async fn sizes_and_heads(place: &Path, newest: &TreeHead) -> Vec<TreeHead> {
    let entries = LedgerReader::new(file(place)).entries(0, 1_000).await.expect("read");
    let entries: Vec<Vec<u8>> = entries.into_iter().map(|read| read.entry).collect();
    let head_of = |size: usize| Tree::empty().append(&entries[..size]).expect("small").tree.head();
    let heads: Vec<TreeHead> = (0..=entries.len()).map(head_of).collect();
    assert_eq!(heads.last(), Some(newest));
    heads
}

/// Entries, releases, kept nodes and notes taken, as they are in the file.
pub async fn rows(place: &Path) -> (i64, i64, i64, i64) {
    let mut connection = file(place).open_to_read().await.expect("opened");
    sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM entries), (SELECT COUNT(*) FROM releases), (SELECT COUNT(*) FROM nodes), \
         (SELECT COALESCE(MAX(notes), 0) FROM taken)",
    )
    .fetch_one(&mut connection)
    .await
    .expect("counted")
}

pub fn rows_of(head: &TreeHead, notes: i64) -> (i64, i64, i64, i64) {
    let entries = head.size as i64;
    let kept = (6..63).map(|level| entries >> level).sum();
    (entries, entries - notes, kept, notes)
}

#[test]
fn entries_without_their_nodes_are_refused_and_so_are_nodes_without_their_entries() {
    let broken = |statement: &'static str| {
        let place = tempfile::tempdir().expect("a directory");
        runtime().block_on(async {
            let (ledger, writer) = open(place.path()).await.expect("opened");
            release_all(&ledger, 0..MANY).await;
            drop(ledger);
            writer.await.expect("no panic").expect("ended");
            let mut other = file(place.path()).open().await.expect("opened");
            other.execute(statement).await.expect("broken");
            open(place.path()).await.map(|(ledger, _)| ledger.head().size).map_err(|error| error.to_string())
        })
    };
    assert_eq!(broken("SELECT 1"), Ok(MANY));
    let error = broken("DELETE FROM nodes WHERE level = 7").expect_err("no edge");
    assert!(error.contains("node 7/0 is missing"), "{error}");
    let error = broken("DELETE FROM entries WHERE place = 130").expect_err("no edge");
    assert!(error.contains("node 4/8 is missing"), "{error}");
    let error = broken("UPDATE nodes SET hash = x'00'").expect_err("no hash");
    assert!(error.contains("another length"), "{error}");
}

/// Makes a file as the version before wrote it, which kept every node.
async fn write_as_before(file: &StoreFile, entries: &[Vec<u8>]) -> Tree {
    file.prepare(&until_kept_nodes(), PAGE_BYTES).await.expect("prepared");
    let mut connection = file.open().await.expect("opened");
    let growth = Tree::empty().append(entries).expect("small");
    for (place, entry) in (0_i64..).zip(entries) {
        let insert =
            sqlx::query("INSERT INTO entries (place, entry) VALUES ($1, $2)").bind(place).bind(entry);
        insert.execute(&mut connection).await.expect("inserted");
    }
    for node in &growth.nodes {
        let insert = sqlx::query("INSERT INTO nodes (level, place, hash) VALUES ($1, $2, $3)")
            .bind(i64::from(node.position.level))
            .bind(node.position.index as i64)
            .bind(node.hash.0.to_vec());
        insert.execute(&mut connection).await.expect("inserted");
    }
    growth.tree
}

fn until_kept_nodes() -> sqlx::migrate::Migrator {
    let before = MIGRATIONS.iter().filter(|migration| migration.version <= 2).cloned().collect();
    sqlx::migrate::Migrator::with_migrations(before)
}

#[test]
fn a_file_of_the_version_that_kept_every_node_goes_on_and_is_not_for_that_version_any_more() {
    let place = tempfile::tempdir().expect("a directory");
    runtime().block_on(async {
        let entries: Vec<Vec<u8>> = (0..MANY).map(|number| release(number).entry).collect();
        let before = write_as_before(&file(place.path()), &entries).await;
        let mut heads = vec![Tree::empty().head(), before.head()];
        let (ledger, _writer) = open(place.path()).await.expect("opened");
        assert_eq!(ledger.head(), before.head());
        for number in MANY..2 * MANY {
            assert_eq!(ledger.release(release(number)).await, Ok(number));
            heads.push(ledger.head());
        }
        proves_every_size(place.path(), &heads, &ledger.head()).await;
        let refused = file(place.path()).prepare(&until_kept_nodes(), PAGE_BYTES).await;
        let Err(StoreError::Unusable { reason, .. }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("migration 3"), "{reason}");
    });
}
