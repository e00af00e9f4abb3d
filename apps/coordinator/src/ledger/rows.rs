//! Many rows in few statements: what a statement costs is more than what a row costs. And how nodes of the tree are
//! read: the upper ones from their rows, the lower ones made again from the entries below them.
//!
//! Rows go in by a few fixed numbers at a time, so that there are few statements to prepare.

use super::Release;
use perennial_ledger::tree::{NodePosition, StoredNode};
use perennial_ledger::{Error, NodeHash};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};
use std::sync::LazyLock;
use std::vec;

/// How many rows go in together, the most first. Five columns of each stay below what a statement may bind.
const TOGETHER: [usize; 3] = [256, 16, 1];

/// The statements of a table for so many rows.
type Texts = LazyLock<[String; TOGETHER.len()]>;

static INTO_ENTRIES: Texts = LazyLock::new(|| texts("entries (place, entry)", 2));
static INTO_NODES: Texts = LazyLock::new(|| texts("nodes (level, place, hash)", 3));
static INTO_RELEASES: Texts =
    LazyLock::new(|| texts("releases (place, idempotency_key, request, released_ms, answer)", 5));

/// What one transaction adds.
pub(super) struct NewRows {
    pub entries: Vec<(i64, Vec<u8>)>,
    pub nodes: Vec<StoredNode>,
    pub releases: Vec<(i64, Release)>,
}

/// A statement and its values.
type Insert = (&'static str, SqliteArguments);

/// Rows of one table, as one statement after the other.
struct Inserts<T> {
    texts: &'static Texts,
    rows: vec::IntoIter<T>,
    bind: fn(&mut SqliteArguments, T) -> Result<(), BoxDynError>,
}

impl<T> Iterator for Inserts<T> {
    type Item = Result<Insert, BoxDynError>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.rows.len();
        let at = TOGETHER.iter().position(|together| *together <= left)?;
        let mut values = SqliteArguments::default();
        let bound = self.rows.by_ref().take(TOGETHER[at]).try_for_each(|row| (self.bind)(&mut values, row));
        Some(bound.map(|()| (self.texts[at].as_str(), values)))
    }
}

impl NewRows {
    fn inserts(self) -> impl Iterator<Item = Result<Insert, BoxDynError>> {
        let entries = Inserts {
            texts: &INTO_ENTRIES,
            rows: self.entries.into_iter(),
            bind: |values, (place, entry)| {
                values.add(place)?;
                values.add(entry)
            },
        };
        let nodes = Inserts {
            texts: &INTO_NODES,
            rows: self.nodes.into_iter(),
            bind: |values, node| {
                values.add(i64::from(node.position.level))?;
                values.add(node.position.index as i64)?;
                values.add(node.hash.0.to_vec())
            },
        };
        let releases = Inserts {
            texts: &INTO_RELEASES,
            rows: self.releases.into_iter(),
            bind: |values, (place, release)| {
                values.add(place)?;
                values.add(release.idempotency_key)?;
                values.add(release.request.to_vec())?;
                values.add(release.released_ms as i64)?;
                values.add(release.answer)
            },
        };
        entries.chain(nodes).chain(releases)
    }
}

/// Puts all of it in. Each statement is made while the thread of the connection is at work on the one before.
pub(super) async fn insert(connection: &mut SqliteConnection, rows: NewRows) -> Result<(), sqlx::Error> {
    let mut inserts = rows.inserts();
    let mut next = inserts.next();
    while let Some(insert) = next {
        let (text, values) = insert.map_err(sqlx::Error::Encode)?;
        let inserted = sqlx::query_with(text, values).execute(&mut *connection);
        let (inserted, following) = tokio::join!(biased; inserted, async { inserts.next() });
        inserted?;
        next = following;
    }
    Ok(())
}

fn texts(into: &str, columns: usize) -> [String; TOGETHER.len()] {
    let row = format!("({})", vec!["?"; columns].join(", "));
    TOGETHER.map(|together| format!("INSERT INTO {into} VALUES {}", vec![row.as_str(); together].join(", ")))
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
