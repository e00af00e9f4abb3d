//! One SQLite file: how it is opened, what its errors mean, and how its write-ahead log is kept short.
//!
//! There are two files, because SQLite has one writer per file and a commit is as slow as the disk: a ceremony
//! commits megabytes at a time, and a signature must never wait for that. `ceremonies.db` belongs to the loop
//! that runs ceremonies, `ledger.db` to the one that releases signatures. No transaction spans both: what the
//! ledger has to say of a ceremony is written with the ceremony's facts as a note, and taken over by its number.
//!
//! Every commit is synced (`synchronous = FULL`). Moving the write-ahead log into the file is done beside the
//! writer and never by it, so that no commit pays for it.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// What a writer keeps in memory: 32 MiB, counted in KiB and negative as SQLite wants it. A transaction that outgrows
/// it writes its pages to the log more than once; the ledger's largest changes some 5 MiB, and where
/// idempotency keys are random up to a page more for each.
const WRITER_CACHE: &str = "-32768";
/// The pages of a file whose transactions are small and scattered.
pub const PAGE_BYTES: u32 = 4 << 10;
/// The pages of a file that grows at its end: the system is called for each page, so fewer of them cost less.
pub const LARGE_PAGE_BYTES: u32 = 16 << 10;
/// A write-ahead log of so many bytes is moved into its file.
const LOG_BYTES: i64 = 16 << 20;
/// Beyond so many bytes writers are made to wait until it is moved.
const LOG_BYTES_MAX: i64 = 256 << 20;
/// How often it is tried to catch up with the writers.
const TRIES: usize = 4;
/// How often the size is looked at.
const LOG_LOOKED_AT_EVERY: Duration = Duration::from_secs(1);
/// How long a connection waits for a lock. Only moving an overlong log takes one.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// The migrations of a file: of each the name, which begins with its number, and its text. SQLite's file keeps their
/// digests, so one that was ever released stays as it is.
///
/// # Panics
/// If a name has no number, which a test would see.
pub fn migrations(texts: &[(&'static str, &'static str)]) -> Migrator {
    let read = |(name, text): &(&'static str, &'static str)| {
        let (number, what) = name.split_once('_').expect("a number and what it does");
        let number = number.parse().expect("a number");
        Migration::new(
            number,
            what.replace('_', " ").into(),
            MigrationType::Simple,
            text.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(texts.iter().map(read).collect())
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written. It can be tried again.
    #[error("{file} cannot be written ({reason}): make room on its disk, or lift the limit on file sizes")]
    Unwritable {
        /// The file.
        file: String,
        /// What SQLite says.
        reason: String,
    },
    /// The disk did not confirm. What is on it is unknown, and stays so for a process that read it before.
    #[error("the disk did not confirm a write to {file} ({reason}): check the disk; the daemon ends here")]
    Unconfirmed {
        /// The file.
        file: String,
        /// What SQLite says.
        reason: String,
    },
    /// The disk has not answered for too long. Whether it was written shows when it answers.
    #[error("the disk has not confirmed a write to {file} for {waited_ms} ms: check the disk")]
    Blocked {
        /// The file.
        file: String,
        /// For how long, in milliseconds.
        waited_ms: u64,
    },
    /// The file is damaged, of another version, or used by somebody else.
    #[error("{file} cannot be used ({reason}): restore it, or start the version that wrote it")]
    Unusable {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// Whether the process has to end.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Unconfirmed { .. })
    }
}

/// A file of this name, and the errors that it can have.
#[derive(Debug, Clone)]
pub struct StoreFile {
    path: PathBuf,
}

/// SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC (<https://www.sqlite.org/rescode.html>).
const SYNC_FAILED: [u32; 2] = [1034, 1290];
/// Primary codes SQLITE_PERM, SQLITE_BUSY, SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN.
const CANNOT_WRITE: [u32; 6] = [3, 5, 8, 10, 13, 14];

impl StoreFile {
    /// The file at this path, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes it with pages of this size when it is not there, and brings its tables up to date. A file that is there
    /// keeps its pages.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn prepare(&self, migrations: &Migrator, page_bytes: u32) -> Result<(), StoreError> {
        // SQLite gives the files beside it the same permissions.
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.path);
        made.map_err(|error| StoreError::Unwritable { file: self.name(), reason: error.to_string() })?;
        let connected = self.options_to_write().page_size(page_bytes).connect().await;
        let mut connection = connected.map_err(|error| self.error(&error))?;
        migrations.run(&mut connection).await.map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.error(&error),
            other => StoreError::Unusable { file: self.name(), reason: other.to_string() },
        })
    }

    /// Opens it to write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(&self) -> Result<SqliteConnection, StoreError> {
        self.options_to_write().connect().await.map_err(|error| self.error(&error))
    }

    /// Opens it to read. A reader neither waits for a writer nor is waited for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_to_read(&self) -> Result<SqliteConnection, StoreError> {
        self.options().read_only(true).connect().await.map_err(|error| self.error(&error))
    }

    /// What an error of SQLite means here.
    pub fn error(&self, error: &sqlx::Error) -> StoreError {
        let (file, reason) = (self.name(), error.to_string());
        let code = match error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            sqlx::Error::Io(_) => return StoreError::Unwritable { file, reason },
            _ => None,
        };
        match code {
            Some(code) if SYNC_FAILED.contains(&code) => StoreError::Unconfirmed { file, reason },
            Some(code) if CANNOT_WRITE.contains(&(code & 0xff)) => StoreError::Unwritable { file, reason },
            _ => StoreError::Unusable { file, reason },
        }
    }

    /// The error for a row that this version cannot have written.
    pub fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unusable { file: self.name(), reason: reason.into() }
    }

    /// Moves the write-ahead log into the file whenever it has grown, for ever. Errors are logged: nothing is
    /// lost by them but room.
    pub async fn keep_log_short(self) {
        let mut connection = None;
        let mut every = tokio::time::interval(LOG_LOOKED_AT_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Err(error) = self.shorten_log(&mut connection).await {
                connection = None;
                tracing::warn!("the write-ahead log of {} stays long: {error}", self.name());
            }
        }
    }

    async fn shorten_log(&self, connection: &mut Option<SqliteConnection>) -> Result<(), sqlx::Error> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.options().synchronous(SqliteSynchronous::Full).connect().await?),
        };
        let (page_bytes,): (i64,) = sqlx::query_as("PRAGMA page_size").fetch_one(&mut *connection).await?;
        let (due, too_many) = (LOG_BYTES / page_bytes, LOG_BYTES_MAX / page_bytes);
        let (_, mut pages, mut moved): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&mut *connection).await?;
        // The log begins anew only if a writer finds all of it moved, and writers go on meanwhile.
        for _ in 0..TRIES {
            if pages - moved < due && (moved == 0 || pages == moved) {
                break;
            }
            let now: (i64, i64, i64) =
                sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
            (_, pages, moved) = now;
        }
        // Writers wait only while the rest is moved, which came in during the last try.
        if pages > too_many {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await?;
        }
        Ok(())
    }

    fn options_to_write(&self) -> SqliteConnectOptions {
        self.options()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "0")
            .pragma("cache_size", WRITER_CACHE)
    }

    fn options(&self) -> SqliteConnectOptions {
        let name = self.name();
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(LOCK_PATIENCE)
            .thread_name(move |_| name.clone())
            .disable_statement_logging()
    }

    fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

/// Rolls back whatever was begun, and lets go of the file.
pub async fn abandon(connection: SqliteConnection) {
    // A connection that cannot even be closed is gone as well.
    let _ = connection.close_hard().await;
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_file_has_all_migrations_of_its_directory_under_their_numbers() {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        for (directory, embedded) in [
            ("ceremonies", &*crate::journal::MIGRATIONS),
            ("index", &*crate::evidence::index::MIGRATIONS),
            ("ledger", &*crate::ledger::MIGRATIONS),
        ] {
            let mut texts: Vec<(String, String)> = fs::read_dir(all.join(directory))
                .expect("a directory")
                .map(|file| file.expect("a file").path())
                .map(|path| {
                    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
                    (name, fs::read_to_string(path).expect("a text"))
                })
                .collect();
            texts.sort();
            let embedded: Vec<(String, String)> = embedded
                .iter()
                .map(|one| {
                    let name = format!("{:04}_{}", one.version, one.description.replace(' ', "_"));
                    (name, one.sql.as_str().to_owned())
                })
                .collect();
            assert_eq!(embedded, texts, "{directory}");
        }
    }
}
