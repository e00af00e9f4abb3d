//! What waits for the writer, and what of it goes into one transaction.

use super::{Cosigned, Job, Release};
use crate::journal::NumberedNote;
use crate::store::StoreError;
use perennial_model::committee::SignerId;
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The most releases in one transaction. More would have those who ask wait for the writer and the writer for them.
pub(super) const RELEASES_MAX: usize = 4096;
/// The most notes in one transaction, so that a signature never waits long for a big ceremony's.
const NOTES_MAX: usize = 64;
/// The most notes that go with releases.
const NOTES_WITH_RELEASES_MAX: usize = 8;
/// For how long notes wait for others, so that a ceremony does not sync the disk for each of them.
pub(super) const NOTES_WITHIN: Duration = Duration::from_millis(50);
/// How long a file that could not be written is left alone, if nobody waits.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Whoever waits for a release, in the order of the releases.
pub(super) type Waiting = Vec<oneshot::Sender<Result<u64, StoreError>>>;

/// What goes into one transaction: notes first, then releases.
pub(super) struct Together {
    pub notes: Vec<NumberedNote>,
    pub releases: Vec<Release>,
    pub cosigned: BTreeMap<SignerId, Cosigned>,
}

impl Together {
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.releases.is_empty() && self.cosigned.is_empty()
    }
}

/// What has come and is not written.
pub(super) struct Collected {
    jobs: mpsc::UnboundedReceiver<Job>,
    releases: Vec<Release>,
    waiting: Waiting,
    notes: VecDeque<NumberedNote>,
    /// The newest cosigned checkpoint of each witness from which one came.
    cosigned: BTreeMap<SignerId, Cosigned>,
    /// When the oldest of both that is not under way is to be written.
    pub notes_due: Option<Instant>,
    notes_taken: Arc<AtomicI64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Yes,
    No,
}

impl Collected {
    /// Nothing yet. The counter is of the notes that are durable.
    pub fn new(jobs: mpsc::UnboundedReceiver<Job>, notes_taken: Arc<AtomicI64>) -> Self {
        Self {
            jobs,
            releases: Vec::new(),
            waiting: Waiting::new(),
            notes: VecDeque::new(),
            cosigned: BTreeMap::new(),
            notes_due: None,
            notes_taken,
        }
    }

    pub fn has_notes(&self) -> bool {
        !self.notes.is_empty()
    }

    /// Waits for something to write, if nothing came meanwhile, and takes in what is there. Notes are durable already
    /// and wait for more of their kind, or for a release to go with; a file that could not be written is tried again
    /// after a while.
    pub async fn wait(&mut self, is_writable: bool) -> Open {
        if self.releases.is_empty() {
            let due = if is_writable { self.notes_due } else { Some(Instant::now() + TRY_AGAIN_AFTER) };
            let first = match due {
                None => self.jobs.recv().await,
                Some(due) => match tokio::time::timeout_at(due, self.jobs.recv()).await {
                    Ok(job) => job,
                    Err(_) => return Open::Yes,
                },
            };
            let Some(first) = first else { return Open::No };
            self.take_in(first);
        }
        while self.room() > 0
            && let Ok(job) = self.jobs.try_recv()
        {
            self.take_in(job);
        }
        Open::Yes
    }

    /// Takes in what comes for the next transaction while this one is under way, and gives what became of it.
    pub async fn wait_meanwhile<T>(&mut self, under_way: impl Future<Output = T>) -> T {
        let mut under_way = pin!(under_way);
        let mut jobs = Vec::new();
        loop {
            let room = self.room();
            tokio::select! {
                biased;
                outcome = &mut under_way => return outcome,
                1.. = self.jobs.recv_many(&mut jobs, room), if room > 0 => {
                    jobs.drain(..).for_each(|job| self.take_in(job));
                }
            }
        }
    }

    /// The releases of the next transaction, and who waits for them.
    pub fn releases(&mut self) -> (Vec<Release>, Waiting) {
        (std::mem::take(&mut self.releases), std::mem::take(&mut self.waiting))
    }

    /// What goes into a transaction with these releases. Notes and checkpoints stay here until they are known to be
    /// written.
    pub fn with(&mut self, releases: Vec<Release>) -> Together {
        let is_due = self.notes_due.is_some_and(|due| due <= Instant::now());
        let most = match (releases.is_empty(), is_due) {
            (false, _) => NOTES_WITH_RELEASES_MAX,
            (true, true) => NOTES_MAX,
            (true, false) => 0,
        };
        let notes = self.notes.iter().take(most).cloned().collect();
        let cosigned = if most > 0 { self.cosigned.clone() } else { BTreeMap::new() };
        if most > 0 && self.notes.len() <= most {
            // What comes while these are under way waits for others of its own.
            self.notes_due = None;
        }
        Together { notes, releases, cosigned }
    }

    /// What was under way is not written, and goes first when the file can be written again.
    pub fn keep(&mut self) {
        if !self.notes.is_empty() || !self.cosigned.is_empty() {
            self.notes_due = Some(Instant::now());
        }
    }

    /// The notes up to this number are written.
    pub fn forget_notes(&mut self, taken: i64) {
        while self.notes.front().is_some_and(|note| note.number <= taken) {
            self.notes.pop_front();
        }
        self.notes_taken.store(taken, Relaxed);
    }

    /// These checkpoints are written. Newer ones may have come meanwhile.
    pub fn forget_cosigned(&mut self, written: &BTreeMap<SignerId, Cosigned>) {
        self.cosigned.retain(|witness, cosigned| written.get(witness) != Some(cosigned));
    }

    fn take_in(&mut self, job: Job) {
        match job {
            Job::Release(release, done) => {
                self.releases.push(*release);
                self.waiting.push(done);
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
    }

    fn room(&self) -> usize {
        RELEASES_MAX.saturating_sub(self.releases.len())
    }

    /// What comes first says when everything that follows is written.
    fn put_off(&mut self) {
        self.notes_due.get_or_insert_with(|| Instant::now() + NOTES_WITHIN);
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
}
