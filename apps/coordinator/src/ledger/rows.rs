//! Many rows in few statements: what a statement costs is more than what a row costs.
//!
//! Rows go in by a few fixed numbers at a time, so that there are few statements to prepare.

use super::Release;
use perennial_ledger::tree::StoredNode;
use sqlx::query_builder::{QueryBuilder, Separated};
use sqlx::{Sqlite, SqliteConnection};

/// How many rows go in together, the most first. Five columns of each stay below what a statement may bind.
const TOGETHER: [usize; 3] = [256, 16, 1];

pub(super) async fn insert_entries(
    connection: &mut SqliteConnection,
    entries: Vec<(i64, Vec<u8>)>,
) -> Result<(), sqlx::Error> {
    insert(connection, "INSERT INTO entries (place, entry) ", entries, |mut row, (place, entry)| {
        row.push_bind(place).push_bind(entry);
    })
    .await
}

pub(super) async fn insert_nodes(
    connection: &mut SqliteConnection,
    nodes: Vec<StoredNode>,
) -> Result<(), sqlx::Error> {
    insert(connection, "INSERT INTO nodes (level, place, hash) ", nodes, |mut row, node| {
        row.push_bind(i64::from(node.position.level))
            .push_bind(node.position.index as i64)
            .push_bind(node.hash.0.to_vec());
    })
    .await
}

pub(super) async fn insert_releases(
    connection: &mut SqliteConnection,
    releases: Vec<(i64, Release)>,
) -> Result<(), sqlx::Error> {
    let into = "INSERT INTO releases (place, idempotency_key, request, released_ms, answer) ";
    insert(connection, into, releases, |mut row, (place, release)| {
        row.push_bind(place)
            .push_bind(release.idempotency_key)
            .push_bind(release.request.to_vec())
            .push_bind(release.released_ms as i64)
            .push_bind(release.answer);
    })
    .await
}

async fn insert<T>(
    connection: &mut SqliteConnection,
    into: &'static str,
    rows: Vec<T>,
    bind: impl Fn(Separated<'_, Sqlite, &'static str>, T),
) -> Result<(), sqlx::Error> {
    let mut left = rows.len();
    let mut rows = rows.into_iter();
    for together in TOGETHER {
        while left >= together {
            let mut statement = QueryBuilder::<Sqlite>::new(into);
            statement.push_values(rows.by_ref().take(together), &bind);
            statement.build().execute(&mut *connection).await?;
            left -= together;
        }
    }
    Ok(())
}
