//! The ledger of this coordinator: entries durable before what they record is released, in one file, by one writer.
//!
//! A signature is released in one transaction with its entry and with the answer that the same request gets when
//! it is asked again; requests in flight share that transaction, and so its sync. What happened in ceremonies
//! comes as numbered notes, which are durable with their facts already; each is taken over once. If the file
//! cannot be written, or the disk does not confirm in time, nothing is released, and notes wait.

mod collecting;
pub mod key;
pub mod notes;
mod reading;
mod rows;
pub mod witnesses;
mod writing;

pub use reading::{LedgerReader, ReadEntry};

use crate::journal::NumberedNote;
use crate::store::{LARGE_PAGE_BYTES, StoreError, StoreFile, migrations};
use perennial_ledger::TreeHead;
use perennial_model::committee::SignerId;
use sqlx::migrate::Migrator;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    migrations(&[
        ("0001_entries", include_str!("../migrations/ledger/0001_entries.sql")),
        ("0002_cosignatures", include_str!("../migrations/ledger/0002_cosignatures.sql")),
        ("0003_kept_nodes", include_str!("../migrations/ledger/0003_kept_nodes.sql")),
    ])
});

/// The most releases that wait for the writer. The gateway lets in fewer requests.
const WAITING_MAX: usize = 16 << 10;

/// A signature to be released: its entry, and what the same request is answered from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The canonical bytes of the entry; the digest in it is that of the answer.
    pub entry: Vec<u8>,
    /// The key under which the request may come again.
    pub idempotency_key: Option<String>,
    /// The digest of what was asked.
    pub request: [u8; 32],
    /// When, in milliseconds since 1970.
    pub released_ms: u64,
    /// What is answered, without the place of the entry.
    pub answer: Vec<u8>,
}

/// What was released before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// The place of the entry.
    pub place: u64,
    /// The digest of what was asked.
    pub request: [u8; 32],
    /// What was answered, without the place of the entry.
    pub answer: Vec<u8>,
}

enum Job {
    Release(Box<Release>, oneshot::Sender<Result<u64, StoreError>>),
    Notes(Vec<NumberedNote>),
    Cosigned(SignerId, Cosigned),
}

/// The newest checkpoint that a witness has cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cosigned {
    size: u64,
    note: Vec<u8>,
}

/// A write that takes longer is taken for one that does not come: whoever waits is told, and no other is begun.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(4);

/// A handle of the writer. Clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<tokio::sync::Semaphore>,
    head: watch::Receiver<TreeHead>,
    notes_taken: Arc<AtomicI64>,
    trouble: watch::Receiver<Option<StoreError>>,
    writing: watch::Receiver<Option<Instant>>,
}

impl Ledger {
    /// Opens the file. The returned future is the writer; it ends when every handle is gone, or with the error
    /// for which the process has to end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(
        file: StoreFile,
    ) -> Result<(Self, impl Future<Output = Result<(), StoreError>> + Send), StoreError> {
        file.prepare(&MIGRATIONS, LARGE_PAGE_BYTES).await?;
        let written = writing::Written::read(file.clone()).await?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        let (head_sender, head) = watch::channel(written.head());
        let (trouble_sender, trouble) = watch::channel(None);
        let (writing_sender, writing) = watch::channel(None);
        let notes_taken = Arc::new(AtomicI64::new(written.notes_taken()));
        let writer = writing::Writer {
            file,
            written: Some(written),
            collected: collecting::Collected::new(waiting, Arc::clone(&notes_taken)),
            head: head_sender,
            trouble: trouble_sender,
            writing: writing_sender,
        };
        let room = Arc::new(tokio::sync::Semaphore::new(WAITING_MAX));
        Ok((Self { jobs, room, head, notes_taken, trouble, writing }, writer.write_until_nobody_asks()))
    }

    /// Makes a signature's entry durable, and returns its place. Until then the signature must not be shown.
    ///
    /// # Errors
    /// [`StoreError`]: the entry is not known to be there, so nothing may be released. The same request asked
    /// again finds out. A disk that does not answer is waited for no longer than `CONFIRMED_WITHIN`.
    pub async fn release(&self, release: Release) -> Result<u64, StoreError> {
        let closed =
            |reason: &str| StoreError::Unwritable { file: "ledger.db".into(), reason: reason.into() };
        let released = async {
            let _room = self.room.acquire().await.map_err(|_| closed("the daemon is ending"))?;
            let (done, is_done) = oneshot::channel();
            let job = Job::Release(Box::new(release), done);
            self.jobs.send(job).map_err(|_| closed("its writer has ended"))?;
            is_done.await.unwrap_or_else(|_| Err(closed("its writer has ended")))
        };
        let in_time = tokio::time::timeout(CONFIRMED_WITHIN, released).await;
        in_time.unwrap_or_else(|_| Err(blocked(CONFIRMED_WITHIN)))
    }

    /// Why a release would wait in vain: the disk has not confirmed the present write for too long.
    pub fn blocked(&self) -> Option<StoreError> {
        let waited = self.writing.borrow().map(|since| since.elapsed());
        waited.filter(|waited| *waited >= CONFIRMED_WITHIN).map(blocked)
    }

    /// Hands over notes, in order. Those that were taken before are left out.
    pub fn take_notes(&self, notes: Vec<NumberedNote>) {
        if !notes.is_empty() {
            // A writer that is gone takes them over after the next start.
            let _ = self.jobs.send(Job::Notes(notes));
        }
    }

    /// Hands over a checkpoint with a witness's cosignature under it, to be kept. Nobody waits for it.
    pub fn keep_cosigned(&self, witness: SignerId, size: u64, note: Vec<u8>) {
        // A writer that is gone keeps nothing; the witness is asked again after the next start.
        let _ = self.jobs.send(Job::Cosigned(witness, Cosigned { size, note }));
    }

    /// The number of the last note that is in the ledger.
    pub fn notes_taken(&self) -> i64 {
        self.notes_taken.load(Relaxed)
    }

    /// Size and root of what is durable.
    pub fn head(&self) -> TreeHead {
        *self.head.borrow()
    }

    /// Why the ledger could not be written the last time it was tried; none if it could.
    pub fn trouble(&self) -> Option<StoreError> {
        self.blocked().or_else(|| self.trouble.borrow().clone())
    }
}

fn blocked(waited: Duration) -> StoreError {
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    StoreError::Blocked { file: "ledger.db".into(), waited_ms }
}

#[cfg(test)]
mod tests;
