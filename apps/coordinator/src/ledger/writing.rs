//! The writer: one transaction after the other, each with everything that waits.

use super::collecting::{Collected, Open, Together};
use super::rows::{self, Failure, NewRows};
use super::{Cosigned, Release};
use crate::store::{StoreError, StoreFile};
use perennial_ledger::{MemoryNodes, Tree, TreeHead};
use perennial_model::committee::SignerId;
use sqlx::SqliteConnection;
use std::time::Instant;
use tokio::sync::watch;

/// The only source of notes.
const SOURCE: &str = "ceremonies";

/// The connection, and what is durable in the file.
pub(super) struct Written {
    connection: SqliteConnection,
    tree: Tree,
    notes_taken: i64,
}

pub(super) struct Writer {
    pub file: StoreFile,
    /// None after an error.
    pub written: Option<Written>,
    pub collected: Collected,
    pub head: watch::Sender<TreeHead>,
    pub trouble: watch::Sender<Option<StoreError>>,
    /// Since when a write has not come back.
    pub writing: watch::Sender<Option<Instant>>,
}

impl Written {
    /// Opens the file and reads what is durable in it.
    pub async fn read(file: StoreFile) -> Result<Self, StoreError> {
        let mut connection = file.open().await?;
        let (size,): (i64,) = sqlx::query_as("SELECT COALESCE(MAX(place) + 1, 0) FROM entries")
            .fetch_one(&mut connection)
            .await
            .map_err(|error| file.error(&error))?;
        let size = u64::try_from(size).map_err(|_| file.damaged("an entry stands before the first place"))?;
        let tree = read_tree(&mut connection, &file, size).await?;
        let taken: Option<(i64,)> = sqlx::query_as("SELECT notes FROM taken WHERE source = $1")
            .bind(SOURCE)
            .fetch_optional(&mut connection)
            .await
            .map_err(|error| file.error(&error))?;
        Ok(Self { connection, tree, notes_taken: taken.map_or(0, |(notes,)| notes) })
    }

    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    pub fn notes_taken(&self) -> i64 {
        self.notes_taken
    }

    /// Writes something that changes nothing, to learn whether it can be written.
    async fn check_writable(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE taken SET notes = notes").execute(&mut self.connection).await.map(drop)
    }

    /// Appends everything in one transaction.
    async fn append(&mut self, together: Together) -> Result<(), Failure> {
        let Together { notes, releases, cosigned } = together;
        let last_note = notes.last().map_or(self.notes_taken, |note| note.number);
        let notes = notes.into_iter().map(|note| note.entry).collect();
        let connection = &mut self.connection;
        let tree = rows::begin_with(connection, NewRows::new(self.tree.clone(), notes, releases)).await?;
        for (witness, cosigned) in cosigned {
            insert_cosigned(connection, &witness, cosigned).await?;
        }
        if last_note != self.notes_taken {
            sqlx::query(
                "INSERT INTO taken (source, notes) VALUES ($1, $2) \
                 ON CONFLICT (source) DO UPDATE SET notes = excluded.notes",
            )
            .bind(SOURCE)
            .bind(last_note)
            .execute(&mut *connection)
            .await?;
        }
        sqlx::query("COMMIT").execute(&mut *connection).await?;
        self.tree = tree;
        self.notes_taken = last_note;
        Ok(())
    }
}

impl Writer {
    pub async fn write_until_nobody_asks(mut self) -> Result<(), StoreError> {
        loop {
            let open = self.collected.wait(self.written.is_some()).await;
            let (releases, waiting) = self.collected.releases();
            self.writing.send_replace(Some(Instant::now()));
            let outcome = self.write(releases).await;
            self.writing.send_replace(None);
            match outcome {
                Ok(first) => {
                    // Not by the writer, which goes on with the next transaction meanwhile.
                    tokio::spawn(async move {
                        for (place, done) in (first..).zip(waiting) {
                            // Whoever asked may have gone meanwhile; here and below.
                            let _ = done.send(Ok(place));
                        }
                    });
                }
                Err(error) => {
                    self.trouble.send_replace(Some(error.clone()));
                    for done in waiting {
                        let _ = done.send(Err(error.clone()));
                    }
                    if error.is_final() {
                        return Err(error);
                    }
                    tracing::error!("nothing is released: {error}");
                }
            }
            if open == Open::No && (!self.collected.has_notes() || self.written.is_none()) {
                return Ok(());
            }
        }
    }

    /// Writes these releases and some of the notes that wait, and lets the next collect meanwhile. Returns the place of
    /// the first release.
    async fn write(&mut self, releases: Vec<Release>) -> Result<u64, StoreError> {
        let mut written = match self.written.take() {
            Some(written) => written,
            None => Written::read(self.file.clone()).await?,
        };
        self.collected.forget_notes(written.notes_taken);
        let released = releases.len() as u64;
        let together = self.collected.with(releases);
        let cosigned = together.cosigned.clone();
        if !together.is_empty() {
            let outcome = self.collected.wait_meanwhile(written.append(together)).await;
            outcome.map_err(|failure| {
                self.collected.keep();
                failure.in_file(&self.file)
            })?;
        } else if self.trouble.borrow().is_some() {
            written.check_writable().await.map_err(|error| self.file.error(&error))?;
        }
        self.collected.forget_notes(written.notes_taken);
        self.collected.forget_cosigned(&cosigned);
        let first = written.tree.size() - released;
        self.head.send_replace(written.head());
        self.written = Some(written);
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        Ok(first)
    }
}

impl Failure {
    fn in_file(self, file: &StoreFile) -> StoreError {
        match self {
            Self::Sql(error) => file.error(&error),
            Self::Tree(error) => file.damaged(error.to_string()),
        }
    }
}

async fn insert_cosigned(
    connection: &mut SqliteConnection,
    witness: &SignerId,
    cosigned: Cosigned,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO cosignatures (witness, size, note) VALUES ($1, $2, $3) \
         ON CONFLICT (witness) DO UPDATE SET size = excluded.size, note = excluded.note",
    )
    .bind(witness.as_str())
    .bind(cosigned.size as i64)
    .bind(cosigned.note)
    .execute(connection)
    .await?;
    Ok(())
}

async fn read_tree(
    connection: &mut SqliteConnection,
    file: &StoreFile,
    size: u64,
) -> Result<Tree, StoreError> {
    let damaged = |error: perennial_ledger::Error| file.damaged(error.to_string());
    let needs = Tree::open_needs(size).map_err(damaged)?;
    let nodes = rows::read_nodes(connection, &needs).await.map_err(|error| file.error(&error))?;
    Tree::open(size, &nodes.into_iter().collect::<MemoryNodes>()).map_err(damaged)
}
