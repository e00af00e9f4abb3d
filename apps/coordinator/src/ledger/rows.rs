//! What a transaction adds: the tree grows by the entries, and many rows go in by few statements, as what a statement
//! costs is more than what a row costs. And how nodes of the tree are read: the upper ones from their rows, the lower ones
//! made again from the entries below them.
//!
//! Rows go in by a few fixed numbers at a time, so that there are few statements to prepare.

use super::Release;
use perennial_ledger::tree::{Growth, NodePosition, StoredNode};
use perennial_ledger::{Error, NodeHash, Tree};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};
use std::collections::VecDeque;
use std::sync::LazyLock;

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
    /// As it becomes with the entries.
    tree: Tree,
    entries: VecDeque<Vec<u8>>,
    /// The nodes that the entries have completed so far.
    nodes: VecDeque<StoredNode>,
    first_release: u64,
    releases: VecDeque<Release>,
}

/// A statement and its values.
type Statement = (&'static str, SqliteArguments);

/// Why a transaction was not written.
pub(super) enum Failure {
    Sql(sqlx::Error),
    Tree(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl NewRows {
    /// The entries that follow on this tree: those of the notes, then one of each release.
    pub fn new(tree: Tree, notes: Vec<Vec<u8>>, mut releases: Vec<Release>) -> Self {
        let first_release = tree.size() + notes.len() as u64;
        let mut entries = VecDeque::from(notes);
        entries.extend(releases.iter_mut().map(|release| std::mem::take(&mut release.entry)));
        Self { tree, entries, nodes: VecDeque::new(), first_release, releases: releases.into() }
    }

    fn next(&mut self) -> Result<Option<Statement>, Failure> {
        let statement = if let Some(at) = first_that_fits(self.entries.len()) {
            let place = self.tree.size();
            let entries = &self.entries.make_contiguous()[..TOGETHER[at]];
            let Growth { tree, nodes } = self.tree.append(entries).map_err(Failure::Tree)?;
            self.nodes.extend(nodes.into_iter().filter(|node| node.position.is_kept()));
            self.tree = tree;
            statement(
                &INTO_ENTRIES,
                at,
                (place..).zip(self.entries.drain(..TOGETHER[at])),
                |values, (place, entry)| {
                    values.add(place as i64)?;
                    values.add(entry)
                },
            )
        } else if let Some(at) = first_that_fits(self.nodes.len()) {
            statement(&INTO_NODES, at, self.nodes.drain(..TOGETHER[at]), |values, node| {
                values.add(i64::from(node.position.level))?;
                values.add(node.position.index as i64)?;
                values.add(node.hash.0.to_vec())
            })
        } else if let Some(at) = first_that_fits(self.releases.len()) {
            let place = self.first_release;
            self.first_release += TOGETHER[at] as u64;
            statement(
                &INTO_RELEASES,
                at,
                (place..).zip(self.releases.drain(..TOGETHER[at])),
                |values, (place, release)| {
                    values.add(place as i64)?;
                    values.add(release.idempotency_key)?;
                    values.add(release.request.to_vec())?;
                    values.add(release.released_ms as i64)?;
                    values.add(release.answer)
                },
            )
        } else {
            return Ok(None);
        };
        statement.map(Some).map_err(|error| Failure::Sql(sqlx::Error::Encode(error)))
    }
}

fn first_that_fits(rows: usize) -> Option<usize> {
    TOGETHER.iter().position(|together| *together <= rows)
}

fn statement<T>(
    texts: &'static Texts,
    at: usize,
    mut rows: impl Iterator<Item = T>,
    bind: impl Fn(&mut SqliteArguments, T) -> Result<(), BoxDynError>,
) -> Result<Statement, BoxDynError> {
    let mut values = SqliteArguments::default();
    rows.try_for_each(|row| bind(&mut values, row))?;
    Ok((&texts[at], values))
}

/// Begins a transaction and puts all of it in; returns the tree with the entries. The tree grows, and each statement is
/// made, while the thread of the connection is at work on the statement before.
pub(super) async fn begin_with(
    connection: &mut SqliteConnection,
    mut rows: NewRows,
) -> Result<Tree, Failure> {
    let mut at_work = Some(("BEGIN", SqliteArguments::default()));
    while let Some((text, values)) = at_work {
        let done = sqlx::query_with(text, values).execute(&mut *connection);
        let (done, next) = tokio::join!(biased; done, async { rows.next() });
        done?;
        at_work = next?;
    }
    Ok(rows.tree)
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
