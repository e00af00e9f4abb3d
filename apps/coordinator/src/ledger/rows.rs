//! Many rows in few statements: what a statement costs is more than what a row costs. And how nodes of the tree are
//! read: the upper ones from their rows, the lower ones made again from the entries below them.
//!
//! Rows go in by a few fixed numbers at a time, so that there are few statements to prepare.

use super::Release;
use perennial_ledger::tree::{NodePosition, StoredNode};
use perennial_ledger::{Error, NodeHash};
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

/// The nodes at these positions, in order. Those that are not there, and those of which not all entries are there,
/// are left out: who needs them says which is missing.
pub(super) async fn read_nodes(
    connection: &mut SqliteConnection,
    positions: &[NodePosition],
) -> Result<Vec<StoredNode>, sqlx::Error> {
    let mut nodes = Vec::with_capacity(positions.len());
    for position in positions {
        let node = if position.is_kept() {
            read_node(connection, *position).await?
        } else {
            make_node(connection, *position).await?
        };
        nodes.extend(node);
    }
    Ok(nodes)
}

async fn read_node(
    connection: &mut SqliteConnection,
    position: NodePosition,
) -> Result<Option<StoredNode>, sqlx::Error> {
    let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT hash FROM nodes WHERE level = $1 AND place = $2")
        .bind(i64::from(position.level))
        .bind(position.index as i64)
        .fetch_optional(connection)
        .await?;
    let hash =
        row.map(|(hash,)| hash.try_into().map_err(|_| damaged("a node of another length"))).transpose()?;
    Ok(hash.map(|hash| StoredNode { position, hash: NodeHash(hash) }))
}

async fn make_node(
    connection: &mut SqliteConnection,
    position: NodePosition,
) -> Result<Option<StoredNode>, sqlx::Error> {
    let places = position.entries();
    let rows: Vec<(Vec<u8>,)> =
        sqlx::query_as("SELECT entry FROM entries WHERE place >= $1 AND place < $2 ORDER BY place")
            .bind(places.start as i64)
            .bind(places.end as i64)
            .fetch_all(connection)
            .await?;
    let entries: Vec<Vec<u8>> = rows.into_iter().map(|(entry,)| entry).collect();
    match StoredNode::made_again(position, &entries) {
        Ok(node) => Ok(Some(node)),
        Err(Error::NodeMissing { .. }) => Ok(None),
        Err(error) => Err(damaged(error)),
    }
}

fn damaged(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(reason.into())
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
