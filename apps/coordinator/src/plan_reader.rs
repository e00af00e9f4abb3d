//! The plans of ceremonies, their other facts and what the ledger was to record of them, read from the fact log beside
//! its writer. A plan is the first fact of its ceremony.

use crate::store::{StoreError, StoreFile};
use perennial_model::approval::{Approval, ApprovedPlan};
use perennial_model::encoding::{self, Digest};
use perennial_workflow::ceremony::batch::CeremonyFact;
use perennial_workflow::journal::Recorded;
use sqlx::SqliteConnection;
use std::collections::VecDeque;
use tokio::sync::Mutex;

/// A quorum is complete long before this many facts.
const FACTS_READ: i64 = 128;
/// How many facts are read at a time: some have a hundred kilobytes.
const FACTS_TOGETHER: i64 = 64;

/// One connection that reads. It is opened when it is first needed, and anew after an error.
#[derive(Debug)]
pub struct PlanReader {
    file: StoreFile,
    connection: Mutex<Option<SqliteConnection>>,
}

impl PlanReader {
    /// Reads this file, which the journal has made.
    pub fn new(file: StoreFile) -> Self {
        Self { file, connection: Mutex::new(None) }
    }

    /// The plan of a ceremony with the approvals that it has got; none if there is no such ceremony.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plan(&self, ceremony: &Digest) -> Result<Option<ApprovedPlan>, StoreError> {
        let mut found: Option<ApprovedPlan> = None;
        for document in self.first_facts(ceremony).await? {
            let recorded: Recorded =
                encoding::decode(&document).map_err(|error| self.file.damaged(error.to_string()))?;
            match (recorded.fact, &mut found) {
                (CeremonyFact::Submitted(plan), None) => {
                    found = Some(ApprovedPlan::new(*plan));
                }
                (CeremonyFact::Approved(approval), Some(found)) => add(&mut found.approvals, approval),
                (CeremonyFact::UnderMandate(mandate), Some(found)) => found.mandate = Some(mandate),
                _ => break,
            }
        }
        Ok(found)
    }

    /// All facts of a ceremony, from the first.
    pub fn facts(&self, ceremony: &Digest) -> Facts<'_> {
        Facts { reader: self, ceremony: ceremony.to_string(), after: 0, read: VecDeque::new() }
    }

    /// A note: the entry that the ledger took over, and its body where no fact holds it.
    ///
    /// # Errors
    /// [`StoreError`], also if there is no such note.
    pub async fn note(&self, number: i64) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
        let row: Option<(Vec<u8>, Option<Vec<u8>>)> = self
            .read(async |connection| {
                sqlx::query_as("SELECT entry, body FROM notes WHERE number = $1")
                    .bind(number)
                    .fetch_optional(connection)
                    .await
            })
            .await?;
        row.ok_or_else(|| self.file.damaged(format!("it has no note {number}")))
    }

    async fn first_facts(&self, ceremony: &Digest) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows: Vec<(Vec<u8>,)> = self
            .read(async |connection| {
                sqlx::query_as("SELECT document FROM facts WHERE ceremony = $1 ORDER BY number LIMIT $2")
                    .bind(ceremony.to_string())
                    .bind(FACTS_READ)
                    .fetch_all(connection)
                    .await
            })
            .await?;
        Ok(rows.into_iter().map(|(document,)| document).collect())
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

/// The facts of one ceremony, read some at a time.
#[derive(Debug)]
pub struct Facts<'a> {
    reader: &'a PlanReader,
    ceremony: String,
    after: i64,
    read: VecDeque<(i64, Vec<u8>)>,
}

impl Facts<'_> {
    /// The next one, none after the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next(&mut self) -> Result<Option<CeremonyFact>, StoreError> {
        if self.read.is_empty() {
            let (ceremony, after) = (&self.ceremony, self.after);
            let rows: Vec<(i64, Vec<u8>)> = self
                .reader
                .read(async |connection| {
                    sqlx::query_as(
                        "SELECT number, document FROM facts WHERE ceremony = $1 AND number > $2 \
                         ORDER BY number LIMIT $3",
                    )
                    .bind(ceremony)
                    .bind(after)
                    .bind(FACTS_TOGETHER)
                    .fetch_all(connection)
                    .await
                })
                .await?;
            self.read.extend(rows);
            // Whoever shares this thread gets a turn.
            tokio::task::yield_now().await;
        }
        let Some((number, document)) = self.read.pop_front() else { return Ok(None) };
        self.after = number;
        let recorded: Recorded =
            encoding::decode(&document).map_err(|error| self.reader.file.damaged(error.to_string()))?;
        Ok(Some(recorded.fact))
    }
}

fn add(approvals: &mut Vec<Approval>, approval: Approval) {
    if approvals.iter().all(|known| known.person != approval.person) {
        approvals.push(approval);
    }
}
