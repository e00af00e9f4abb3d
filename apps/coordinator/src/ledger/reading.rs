//! Reading the ledger beside its writer: entries, and what was released under an idempotency key.

use super::{Released, rows};
use crate::store::{StoreError, StoreFile};
use perennial_ledger::{MemoryNodes, NodePosition};
use sqlx::SqliteConnection;
use tokio::sync::Mutex;

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadEntry {
    /// Counted from 0.
    pub place: u64,
    /// The canonical bytes.
    pub entry: Vec<u8>,
}

/// One connection that reads. It is opened when it is first needed, and anew after an error.
#[derive(Debug)]
pub struct LedgerReader {
    file: StoreFile,
    connection: Mutex<Option<SqliteConnection>>,
}

impl LedgerReader {
    /// Reads this file, which the writer has made.
    pub fn new(file: StoreFile) -> Self {
        Self { file, connection: Mutex::new(None) }
    }

    /// Entries from a place on, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self, from: u64, limit: u32) -> Result<Vec<ReadEntry>, StoreError> {
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        let rows: Vec<(i64, Vec<u8>)> = self
            .read(async |connection| {
                sqlx::query_as("SELECT place, entry FROM entries WHERE place >= $1 ORDER BY place LIMIT $2")
                    .bind(from)
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await
            })
            .await?;
        Ok(rows.into_iter().map(|(place, entry)| ReadEntry { place: place as u64, entry }).collect())
    }

    /// The canonical bytes of the entry at a place, and what was answered with it if it is a signature's.
    ///
    /// # Errors
    /// [`StoreError`], also if there is no such entry.
    pub async fn entry_with_answer(&self, place: u64) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
        let row: Option<(Vec<u8>, Option<Vec<u8>>)> = self
            .read(async |connection| {
                sqlx::query_as(
                    "SELECT entries.entry, releases.answer FROM entries \
                     LEFT JOIN releases ON releases.place = entries.place WHERE entries.place = $1",
                )
                .bind(i64::try_from(place).unwrap_or(i64::MAX))
                .fetch_optional(connection)
                .await
            })
            .await?;
        row.ok_or_else(|| self.file.damaged(format!("it has no entry {place}")))
    }

    /// The complete nodes of the tree at these positions; those that are not there are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nodes(&self, positions: &[NodePosition]) -> Result<MemoryNodes, StoreError> {
        let nodes = self.read(async |connection| rows::read_nodes(connection, positions).await).await?;
        Ok(nodes.into_iter().collect())
    }

    /// Each witness's name and the newest checkpoint that it cosigned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cosigned(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.read(async |connection| {
            sqlx::query_as("SELECT witness, note FROM cosignatures").fetch_all(connection).await
        })
        .await
    }

    /// What was last released under a key since a time, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn released(&self, key: &str, since_ms: u64) -> Result<Option<Released>, StoreError> {
        let row: Option<(i64, Vec<u8>, Vec<u8>)> = self
            .read(async |connection| {
                sqlx::query_as(
                    "SELECT place, request, answer FROM releases \
                     WHERE idempotency_key = $1 AND released_ms >= $2 ORDER BY place DESC LIMIT 1",
                )
                .bind(key)
                .bind(i64::try_from(since_ms).unwrap_or(i64::MAX))
                .fetch_optional(connection)
                .await
            })
            .await?;
        let Some((place, request, answer)) = row else { return Ok(None) };
        let request =
            request.try_into().map_err(|_| self.file.damaged("a request digest of another length"))?;
        Ok(Some(Released { place: place as u64, request, answer }))
    }

    async fn read<T>(
        &self,
        action: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut place = self.connection.lock().await;
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.file.open_to_read().await?,
        };
        let outcome = action(&mut connection).await;
        if outcome.is_ok() {
            *place = Some(connection);
        }
        outcome.map_err(|error| self.file.error(&error))
    }
}
