//! The writer: one transaction after the other, each with everything that waits.

use super::{Cosigned, Job, Release, rows};
use crate::journal::NumberedNote;
use crate::store::{StoreError, StoreFile};
use perennial_ledger::{MemoryNodes, Tree, TreeHead, tree::Growth};
use perennial_model::committee::SignerId;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// The most releases in one transaction. More would have those who ask wait for the writer and the writer for them.
const RELEASES_MAX: usize = 4096;
/// The most notes in one transaction, so that a signature never waits long for a big ceremony's.
const NOTES_MAX: usize = 64;
/// The most notes that go with releases.
const NOTES_WITH_RELEASES_MAX: usize = 8;
/// For how long notes wait for others, so that a ceremony does not sync the disk for each of them.
const NOTES_WITHIN: Duration = Duration::from_millis(50);
/// How long a file that could not be written is left alone, if nobody waits.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The only source of notes.
const SOURCE: &str = "ceremonies";

/// Whoever waits for a release, in the order of the releases.
type Waiting = Vec<oneshot::Sender<Result<u64, StoreError>>>;

/// What goes into one transaction: notes first, then releases.
#[derive(Default)]
struct Together {
    notes: Vec<NumberedNote>,
    releases: Vec<Release>,
    cosigned: BTreeMap<SignerId, Cosigned>,
}

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
    pub waiting: mpsc::UnboundedReceiver<Job>,
    pub notes: VecDeque<NumberedNote>,
    /// The newest cosigned checkpoint of each witness from which one came.
    pub cosigned: BTreeMap<SignerId, Cosigned>,
    /// When the oldest of both is to be written.
    pub notes_due: Instant,
    pub head: watch::Sender<TreeHead>,
    pub trouble: watch::Sender<Option<StoreError>>,
    /// Since when a write has not come back.
    pub writing: watch::Sender<Option<std::time::Instant>>,
    pub notes_taken: Arc<AtomicI64>,
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
        let Together { notes, mut releases, cosigned } = together;
        let last_note = notes.last().map_or(self.notes_taken, |note| note.number);
        let first = self.tree.size() as i64;
        let first_release = first + notes.len() as i64;
        let mut entries: Vec<Vec<u8>> = notes.into_iter().map(|note| note.entry).collect();
        entries.extend(releases.iter_mut().map(|release| std::mem::take(&mut release.entry)));
        let Growth { tree, mut nodes } = self.tree.append(&entries).map_err(Failure::Tree)?;
        nodes.retain(|node| node.position.is_kept());
        let connection = &mut self.connection;
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        rows::insert_entries(connection, (first..).zip(entries).collect()).await?;
        rows::insert_nodes(connection, nodes).await?;
        rows::insert_releases(connection, (first_release..).zip(releases).collect()).await?;
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
            let mut releases = Vec::new();
            let mut waiting = Waiting::new();
            let open = self.collect(&mut releases, &mut waiting).await;
            self.writing.send_replace(Some(std::time::Instant::now()));
            let outcome = self.write(releases).await;
            self.writing.send_replace(None);
            match outcome {
                Ok(first) => {
                    for (place, done) in (first..).zip(waiting) {
                        // Whoever asked may have gone meanwhile; here and below.
                        let _ = done.send(Ok(place));
                    }
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
            if open == Open::No && (self.notes.is_empty() || self.written.is_none()) {
                return Ok(());
            }
        }
    }

    /// Waits for something to write and takes in what is there. Notes are durable already and wait for more of
    /// their kind, or for a release to go with; a file that could not be written is tried again after a while.
    async fn collect(&mut self, releases: &mut Vec<Release>, waiting: &mut Waiting) -> Open {
        let first = if self.written.is_none() {
            match tokio::time::timeout(TRY_AGAIN_AFTER, self.waiting.recv()).await {
                Ok(job) => job,
                Err(_) => return Open::Yes,
            }
        } else if self.nothing_is_due() {
            self.waiting.recv().await
        } else {
            match tokio::time::timeout_at(self.notes_due, self.waiting.recv()).await {
                Ok(job) => job,
                Err(_) => return Open::Yes,
            }
        };
        let Some(first) = first else { return Open::No };
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Release(release, done) => {
                    releases.push(*release);
                    waiting.push(done);
                }
                Job::Notes(notes) => {
                    self.put_off();
                    notes.into_iter().for_each(|note| self.line_up(note));
                }
                Job::Cosigned(witness, cosigned) => {
                    self.put_off();
                    self.cosigned.insert(witness, cosigned);
                }
            }
            next = if releases.len() < RELEASES_MAX { self.waiting.try_recv().ok() } else { None };
        }
        Open::Yes
    }

    fn nothing_is_due(&self) -> bool {
        self.notes.is_empty() && self.cosigned.is_empty()
    }

    /// What comes first says when everything that follows is written.
    fn put_off(&mut self) {
        if self.nothing_is_due() {
            self.notes_due = Instant::now() + NOTES_WITHIN;
        }
    }

    /// After a boot of ceremonies the same notes come again; none is ever left out.
    fn line_up(&mut self, note: NumberedNote) {
        let last = self.notes.back().map_or_else(|| self.notes_taken.load(Relaxed), |last| last.number);
        if note.number == last + 1 {
            self.notes.push_back(note);
        } else if note.number > last {
            let number = note.number;
            tracing::error!(number, last, "a note came out of order: it is taken over after the next start");
        }
    }

    /// Writes these releases and some of the notes that wait. Returns the place of the first release.
    async fn write(&mut self, releases: Vec<Release>) -> Result<u64, StoreError> {
        let is_due = self.notes_due <= Instant::now();
        let mut written = match self.written.take() {
            Some(written) => written,
            None => Written::read(self.file.clone()).await?,
        };
        while self.notes.front().is_some_and(|note| note.number <= written.notes_taken) {
            self.notes.pop_front();
        }
        let most = match (releases.is_empty(), is_due) {
            (false, _) => NOTES_WITH_RELEASES_MAX,
            (true, true) => NOTES_MAX,
            (true, false) => 0,
        };
        let notes: Vec<NumberedNote> = self.notes.iter().take(most).cloned().collect();
        let (count, released) = (notes.len(), releases.len());
        let cosigned = if most > 0 { self.cosigned.clone() } else { BTreeMap::new() };
        let kept: Vec<SignerId> = cosigned.keys().cloned().collect();
        if count + released + kept.len() == 0 && self.trouble.borrow().is_some() {
            written.check_writable().await.map_err(|error| self.file.error(&error))?;
        }
        if count + released + kept.len() > 0 {
            let outcome = written.append(Together { notes, releases, cosigned }).await;
            outcome.map_err(|failure| failure.in_file(&self.file))?;
        }
        let first = written.tree.size() - released as u64;
        self.notes.drain(..count);
        kept.iter().for_each(|witness| drop(self.cosigned.remove(witness)));
        self.notes_taken.store(written.notes_taken, Relaxed);
        self.head.send_replace(written.head());
        self.written = Some(written);
        self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        Ok(first)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Yes,
    No,
}

enum Failure {
    Sql(sqlx::Error),
    Tree(perennial_ledger::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
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
