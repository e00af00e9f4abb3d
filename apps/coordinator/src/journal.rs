//! The fact log in SQLite: what the loop that runs ceremonies appends, and what brings it back after a crash.
//!
//! [`Journal::append`] writes into an open transaction, and [`FactLog::commit`] makes all of it durable
//! at once. Whoever owns the loop releases nothing that follows from a fact before that commit: mail stays in
//! `World`, and what changed stays unpublished. So facts that arrive one after the other, and of which nothing
//! follows yet, cost one sync together.
//!
//! After an error this journal does nothing any more; what is on the disk is learnt by opening another.

use crate::ledger::notes::{NoteEntry, governance_pinned, note_entry};
use crate::store::{PAGE_BYTES, StoreError, StoreFile, migrations};
use crate::world::now_ms;
use perennial_model::encoding;
use perennial_model::governance::history::History;
use perennial_workflow::Journal;
use perennial_workflow::journal::{Batch, Line, Loaded};
use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;
use tokio::runtime::Runtime;

pub(crate) static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| migrations(&[("0001_facts", include_str!("../migrations/ceremonies/0001_facts.sql"))]));

/// A note as it is stored: what the ledger is to record, under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedNote {
    /// Counted from 1, without gaps.
    pub number: i64,
    /// The canonical bytes of the ledger's entry.
    pub entry: Vec<u8>,
}

/// The fact log. It belongs to one thread, which it blocks while it writes.
#[derive(Debug)]
pub struct FactLog {
    file: StoreFile,
    runtime: Runtime,
    /// None after an error.
    connection: Option<SqliteConnection>,
    transaction: Transaction,
    next: Next,
    notes: Vec<NumberedNote>,
}

/// The numbers that come next.
#[derive(Debug, Clone, Copy)]
struct Next {
    fact: i64,
    summary: i64,
    note: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
}

/// Why the journal cannot be used at the start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no thread or no timer.
    #[error("cannot start a runtime for the journal: {0}")]
    System(#[from] std::io::Error),
    /// It was written under another governance.
    #[error(
        "the ceremonies here were recorded under governance {pinned} (version {version}), and governance.cbor is \
         {came}, which does not continue it: put the pinned governance back"
    )]
    OtherGovernance {
        /// The digest of the document that is pinned.
        pinned: String,
        /// Its version.
        version: i64,
        /// The digest of the document in the directory.
        came: String,
    },
}

impl OpenError {
    /// Whether the governance document is to blame.
    pub fn is_about_governance(&self) -> bool {
        matches!(self, Self::OtherGovernance { .. })
    }
}

impl FactLog {
    /// Opens the journal, makes it when it is not there, and pins the governance document in a new one.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(file: StoreFile, history: &History) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(file.prepare(&MIGRATIONS, PAGE_BYTES))?;
        let mut connection = runtime.block_on(file.open())?;
        let next = runtime.block_on(next_numbers(&mut connection)).map_err(|error| file.error(&error))?;
        let mut journal = Self {
            file,
            runtime,
            connection: Some(connection),
            transaction: Transaction::None,
            next,
            notes: Vec::new(),
        };
        journal.pin(history)?;
        Ok(journal)
    }

    /// Whether something is written that is not yet durable.
    pub fn has_pending(&self) -> bool {
        self.transaction == Transaction::Open
    }

    /// Makes durable whatever was appended, and returns the notes among it, for the ledger to take over.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it counts as written.
    pub fn commit(&mut self) -> Result<Vec<NumberedNote>, StoreError> {
        if self.transaction == Transaction::Open {
            self.perform(async |connection, _| {
                sqlx::query("COMMIT").execute(connection).await?;
                Ok(())
            })?;
            self.transaction = Transaction::None;
        }
        Ok(std::mem::take(&mut self.notes))
    }

    /// The notes after a number, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn notes_after(&mut self, number: i64) -> Result<Vec<NumberedNote>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = self.perform(async |connection, _| {
            sqlx::query_as("SELECT number, entry FROM notes WHERE number > $1 ORDER BY number")
                .bind(number)
                .fetch_all(connection)
                .await
        })?;
        Ok(rows.into_iter().map(|(number, entry)| NumberedNote { number, entry }).collect())
    }

    /// Writes something that changes nothing, to learn whether it can be written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn check_writable(&mut self) -> Result<(), StoreError> {
        self.perform(async |connection, _| {
            sqlx::query("UPDATE pinned SET version = version").execute(connection).await
        })?;
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<Loaded>, StoreError> {
        let (summaries, lines) = self.perform(async |connection, _| {
            let summaries: Vec<(Vec<u8>,)> = sqlx::query_as("SELECT document FROM summaries ORDER BY number")
                .fetch_all(&mut *connection)
                .await?;
            let lines: Vec<(Vec<u8>,)> = sqlx::query_as(
                "SELECT document FROM facts \
                 WHERE ceremony NOT IN (SELECT ceremony FROM summaries) ORDER BY number",
            )
            .fetch_all(connection)
            .await?;
            Ok((summaries, lines))
        })?;
        let summaries = summaries.into_iter().map(|(document,)| Loaded::Summary(document));
        Ok(summaries.chain(lines.into_iter().map(|(document,)| Loaded::Line(document))).collect())
    }

    /// Pins a governance, durably: every version that is not pinned yet gets its note. Returns what is committed with it.
    ///
    /// # Errors
    /// [`OpenError::OtherGovernance`] if it does not continue what is pinned.
    pub fn pin(&mut self, history: &History) -> Result<Vec<NumberedNote>, OpenError> {
        let pinned: Option<(String, i64)> = self.perform(async |connection, _| {
            sqlx::query_as("SELECT digest, version FROM pinned").fetch_optional(connection).await
        })?;
        let came = history.newest_digest().to_string();
        let known = match &pinned {
            None => 0,
            Some((digest, version)) => {
                let ours = digest.parse().ok().and_then(|digest| history.version_of(&digest));
                match ours.map(|governance| governance.version) {
                    Some(version) => version as usize,
                    None => {
                        let (pinned, version) = (digest.clone(), *version);
                        return Err(OpenError::OtherGovernance { pinned, version, came });
                    }
                }
            }
        };
        let fresh = history.versions().0.get(known..).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let notes: Vec<NoteEntry> =
            fresh.iter().map(|approved| governance_pinned(approved, now_ms())).collect();
        self.write(&[], &notes, &[])?;
        let version = i64::try_from(history.newest().version).unwrap_or(i64::MAX);
        let document = encoding::encode(history.versions());
        self.perform(async |connection, _| {
            sqlx::query("DELETE FROM pinned").execute(&mut *connection).await?;
            sqlx::query("INSERT INTO pinned (digest, version, document) VALUES ($1, $2, $3)")
                .bind(&came)
                .bind(version)
                .bind(&document)
                .execute(connection)
                .await
        })?;
        Ok(self.commit()?)
    }

    /// Writes into the open transaction, or into a new one.
    fn write(&mut self, lines: &[Line], notes: &[NoteEntry], summaries: &[Line]) -> Result<(), StoreError> {
        let begun = self.transaction;
        let (next, written) = self.perform(async |connection, mut next| {
            if begun == Transaction::None {
                sqlx::query("BEGIN").execute(&mut *connection).await?;
            }
            for line in lines {
                sqlx::query("INSERT INTO facts (number, ceremony, document) VALUES ($1, $2, $3)")
                    .bind(next.fact)
                    .bind(line.ceremony.to_string())
                    .bind(&line.document)
                    .execute(&mut *connection)
                    .await?;
                next.fact += 1;
            }
            let mut written = Vec::with_capacity(notes.len());
            for note in notes {
                sqlx::query("INSERT INTO notes (number, entry, body) VALUES ($1, $2, $3)")
                    .bind(next.note)
                    .bind(&note.entry)
                    .bind(&note.body)
                    .execute(&mut *connection)
                    .await?;
                written.push(NumberedNote { number: next.note, entry: note.entry.clone() });
                next.note += 1;
            }
            for summary in summaries {
                sqlx::query(
                    "INSERT INTO summaries (ceremony, number, document) VALUES ($1, $2, $3) \
                     ON CONFLICT (ceremony) DO UPDATE SET document = excluded.document",
                )
                .bind(summary.ceremony.to_string())
                .bind(next.summary)
                .bind(&summary.document)
                .execute(&mut *connection)
                .await?;
                next.summary += 1;
            }
            Ok((next, written))
        })?;
        self.next = next;
        self.notes.extend(written);
        self.transaction = Transaction::Open;
        Ok(())
    }

    /// Does something with the connection; after an error there is none any more, and whatever was not
    /// committed is rolled back.
    fn perform<T>(
        &mut self,
        action: impl AsyncFnOnce(&mut SqliteConnection, Next) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let Some(mut connection) = self.connection.take() else {
            return Err(self.file.damaged("an earlier error has closed it"));
        };
        match self.runtime.block_on(action(&mut connection, self.next)) {
            Ok(value) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Err(error) => Err(self.file.error(&error)),
        }
    }
}

/// The one log of a thread in several hands: the loop's, which appends to it, and its owner's, who commits.
#[derive(Debug, Clone)]
pub struct SharedFactLog(Rc<RefCell<FactLog>>);

impl SharedFactLog {
    /// Shares a log within this thread.
    pub fn new(log: FactLog) -> Self {
        Self(Rc::new(RefCell::new(log)))
    }

    /// As [`FactLog::has_pending`].
    pub fn has_pending(&self) -> bool {
        self.0.borrow().has_pending()
    }

    /// As [`FactLog::pin`].
    ///
    /// # Errors
    /// As [`FactLog::pin`].
    pub fn pin(&self, history: &History) -> Result<Vec<NumberedNote>, OpenError> {
        self.0.borrow_mut().pin(history)
    }

    /// As [`FactLog::commit`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn commit(&self) -> Result<Vec<NumberedNote>, StoreError> {
        self.0.borrow_mut().commit()
    }
}

impl Journal for SharedFactLog {
    type Error = StoreError;

    fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let at_ms = now_ms();
        let notes: Vec<NoteEntry> = batch.notes.iter().map(|note| note_entry(note, at_ms)).collect();
        self.0.borrow_mut().write(&batch.lines, &notes, &batch.summaries)
    }

    fn load(&mut self) -> Result<Vec<Loaded>, StoreError> {
        self.0.borrow_mut().load()
    }
}

async fn next_numbers(connection: &mut SqliteConnection) -> Result<Next, sqlx::Error> {
    let (fact, summary, note): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COALESCE(MAX(number), 0) FROM facts), (SELECT COALESCE(MAX(number), 0) FROM summaries), \
         (SELECT COALESCE(MAX(number), 0) FROM notes)",
    )
    .fetch_one(connection)
    .await?;
    Ok(Next { fact: fact + 1, summary: summary + 1, note: note + 1 })
}

#[cfg(test)]
mod tests;
