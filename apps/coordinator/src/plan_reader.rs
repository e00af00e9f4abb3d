//! The plans of ceremonies, read from the fact log beside its writer: each is the first fact of its ceremony.

use crate::store::{StoreError, StoreFile};
use perennial_model::approval::{Approval, ApprovedPlan};
use perennial_model::encoding::{self, Digest};
use perennial_workflow::ceremony::batch::CeremonyFact;
use perennial_workflow::journal::Recorded;
use sqlx::SqliteConnection;
use tokio::sync::Mutex;

/// A quorum is complete long before this many facts.
const FACTS_READ: i64 = 128;

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

    async fn first_facts(&self, ceremony: &Digest) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut place = self.connection.lock().await;
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => self.file.open_to_read().await?,
        };
        let rows: Result<Vec<(Vec<u8>,)>, sqlx::Error> =
            sqlx::query_as("SELECT document FROM facts WHERE ceremony = $1 ORDER BY number LIMIT $2")
                .bind(ceremony.to_string())
                .bind(FACTS_READ)
                .fetch_all(&mut connection)
                .await;
        let rows = rows.map_err(|error| self.file.error(&error))?;
        *place = Some(connection);
        Ok(rows.into_iter().map(|(document,)| document).collect())
    }
}

fn add(approvals: &mut Vec<Approval>, approval: Approval) {
    if approvals.iter().all(|known| known.person != approval.person) {
        approvals.push(approval);
    }
}
