//! The mailbox: store and forward of opaque items between the coordinator and its signers, over HTTP/2 and
//! TLS 1.3 with pinned identities. Signers dial in and fetch; nobody here ever dials out.
//!
//! There is one mailbox per signer and [`Lane`], in memory only. It is allowed to lose mail (a restart, an
//! overflow), because every sender in this product sends again until it sees the effect. It refuses to listen
//! beyond this machine, to look into an item, and to speak to anybody without a pinned identity.
//!
//! | request | meaning |
//! |---|---|
//! | `GET /mail/{lane}?after=N&incarnation=I&wait_ms=W` | the items with numbers above `N`, at once if there are any; otherwise after at most `W` ms, then perhaps none. Items up to `N` are acknowledged, and deleted |
//! | `POST /mail/{lane}` | one or more items for the coordinator; 204 once its channel holds all of them, 503 if it has no room for all, and then it holds none |
//!
//! Numbers count within one incarnation of the coordinator, whose 16 bytes stand in every answer. An `after` is
//! heeded only with the present incarnation beside it, so a number from before a restart acknowledges nothing.

mod connection;
mod queue;
mod routes;
mod server;
mod tls;

pub use perennial_daemon::framing::{BODY_BYTES_MAX, ITEM_BYTES_MAX, ITEMS_MAX};
pub use perennial_daemon::lane::Lane;
pub use server::{ListenError, LoopbackListener, ServeError, serve};
pub use tls::{ServerTls, SharedPin, SignersByPin};

use bytes::Bytes;
use queue::{Batch, Queue};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// An answer holds at most this many bytes of items, or one item.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// A signer has one connection per lane; the others are old ones whose end is not known yet.
const CONNECTIONS_PER_SIGNER_MAX: usize = 8;

/// How much one mailbox (one signer, one lane) holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Items.
    pub items: usize,
    /// Bytes of items; one item is held even if it is larger.
    pub bytes: usize,
}

impl Default for Limits {
    /// 16,384 items and 256 MiB.
    fn default() -> Self {
        Self { items: 16 << 10, bytes: 256 << 20 }
    }
}

/// What became of a posted item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// Its number in its mailbox.
    pub number: u64,
    /// How many older items of the same mailbox were dropped to make room.
    pub dropped: u64,
}

/// The item was not posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an item of {bytes} bytes was posted to signer `{signer}`; the limit is {ITEM_BYTES_MAX}: split it")]
pub struct ItemTooLarge {
    /// For whom it was.
    pub signer: String,
    /// Its size.
    pub bytes: usize,
}

/// An item that a signer sent.
#[derive(Debug)]
pub struct Incoming {
    /// The name to which the sender's identity is pinned.
    pub from: String,
    /// The lane in which it came.
    pub lane: Lane,
    /// The item.
    pub body: Vec<u8>,
    /// When its request was complete.
    pub arrived: Instant,
}

/// The mail that waits for the signers. A handle: clones share one store, and every method returns at once and
/// may be called from any thread.
#[derive(Debug, Clone)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    incarnation: [u8; 16],
    limits: Limits,
    signers: RwLock<HashMap<String, Arc<SignerMail>>>,
}

impl Mailbox {
    /// Empty mailboxes. `incarnation` must be random and new at every start of the coordinator.
    pub fn new(incarnation: [u8; 16], limits: Limits) -> Self {
        Self { shared: Arc::new(Shared { incarnation, limits, signers: RwLock::default() }) }
    }

    /// Appends an item to a signer's mailbox and wakes the signer's waiting poll. If the mailbox is full, the
    /// oldest items are dropped, and [`Posted::dropped`] says how many.
    ///
    /// # Errors
    /// [`ItemTooLarge`] for an item above [`ITEM_BYTES_MAX`].
    pub fn post(&self, signer: &str, lane: Lane, body: Vec<u8>) -> Result<Posted, ItemTooLarge> {
        if body.len() > ITEM_BYTES_MAX {
            return Err(ItemTooLarge { signer: signer.to_owned(), bytes: body.len() });
        }
        let mail = self.mail_of(signer);
        let lane = mail.lane(lane);
        let posted = {
            let mut queue = locked(&lane.queue);
            let dropped = queue.push(Bytes::from(body), self.shared.limits);
            Posted { number: queue.last(), dropped }
        };
        lane.posted.notify_waiters();
        Ok(posted)
    }

    /// When the signer was last known to be there: now, if one of its polls is waiting; otherwise the moment of
    /// its last request or the end of its last poll. A connection whose other end has vanished without a word
    /// counts as there until its keep-alive fails, at most 20 seconds later. `None`: never since the start.
    pub fn last_seen(&self, signer: &str) -> Option<Instant> {
        let signers = self.shared.signers.read().unwrap_or_else(PoisonError::into_inner);
        signers.get(signer)?.last_seen()
    }

    fn incarnation(&self) -> &[u8; 16] {
        &self.shared.incarnation
    }

    fn mail_of(&self, signer: &str) -> Arc<SignerMail> {
        let signers = &self.shared.signers;
        if let Some(mail) = signers.read().unwrap_or_else(PoisonError::into_inner).get(signer) {
            return Arc::clone(mail);
        }
        let mut signers = signers.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(signers.entry(signer.to_owned()).or_insert_with(|| Arc::new(SignerMail::new())))
    }
}

/// The mailboxes of one signer, and the signs of its life. Those are atomic, because the threads of both lanes
/// write them, and the urgent one must never wait for the other.
#[derive(Debug)]
struct SignerMail {
    signing: LaneMail,
    ceremony: LaneMail,
    connections: AtomicUsize,
    waiting_polls: AtomicUsize,
    known_since: Instant,
    /// When it was last seen, counted from `known_since`; [`NEVER`] before that.
    last_seen_ms: AtomicU64,
}

const NEVER: u64 = u64::MAX;

#[derive(Debug, Default)]
struct LaneMail {
    queue: Mutex<Queue>,
    posted: Notify,
}

impl SignerMail {
    fn new() -> Self {
        Self {
            signing: LaneMail::default(),
            ceremony: LaneMail::default(),
            connections: AtomicUsize::new(0),
            waiting_polls: AtomicUsize::new(0),
            known_since: Instant::now(),
            last_seen_ms: AtomicU64::new(NEVER),
        }
    }

    fn lane(&self, lane: Lane) -> &LaneMail {
        match lane {
            Lane::Signing => &self.signing,
            Lane::Ceremony => &self.ceremony,
        }
    }

    fn last_seen(&self) -> Option<Instant> {
        if self.waiting_polls.load(Relaxed) > 0 {
            return Some(Instant::now());
        }
        match self.last_seen_ms.load(Relaxed) {
            NEVER => None,
            last_seen_ms => Some(self.known_since + Duration::from_millis(last_seen_ms)),
        }
    }

    fn seen(&self) {
        let now_ms = u64::try_from(self.known_since.elapsed().as_millis()).unwrap_or(NEVER - 1);
        self.last_seen_ms.store(now_ms, Relaxed);
    }

    /// Room for one more connection of this signer, until the guard is dropped; `None` if it has enough.
    fn connected(self: &Arc<Self>) -> Option<Connected> {
        let guard = Connected(Arc::clone(self));
        let before = self.connections.fetch_add(1, Relaxed);
        (before < CONNECTIONS_PER_SIGNER_MAX).then_some(guard)
    }

    /// The signer counts as present until the guard is dropped, which also happens when its connection ends.
    fn waiting(&self) -> WaitingPoll<'_> {
        self.waiting_polls.fetch_add(1, Relaxed);
        WaitingPoll(self)
    }
}

struct Connected(Arc<SignerMail>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

struct WaitingPoll<'a>(&'a SignerMail);

impl Drop for WaitingPoll<'_> {
    fn drop(&mut self) {
        self.0.seen();
        self.0.waiting_polls.fetch_sub(1, Relaxed);
    }
}

impl LaneMail {
    fn acknowledge(&self, number: u64) {
        let acknowledged = locked(&self.queue).acknowledge(number);
        drop(acknowledged);
    }

    fn batch_after(&self, after: u64) -> Batch {
        locked(&self.queue).batch_after(after, ITEMS_MAX, ANSWER_BYTES_MAX)
    }
}

/// What these locks protect is complete between any two statements, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
