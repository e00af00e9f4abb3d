//! The mail between this signer and its coordinator: opaque items over HTTP/2 and TLS 1.3 with pinned
//! identities. The signer dials out and never listens.
//!
//! Each [`Lane`] has a thread and a connection of its own, so a big body in one never delays the other. A lane
//! keeps trying for ever. Mail may come twice (an answer was lost) or not at all (a restart, an overflow), in
//! both directions: every sender in this product sends again until it sees the effect, and every receiver
//! knows repetitions. Within a lane the order is kept. What an item says is not looked at here.

mod lane;
mod outbox;
mod tls;

pub use perennial_daemon::framing::ITEM_BYTES_MAX;
pub use perennial_daemon::lane::Lane;

use bytes::Bytes;
use lane::LaneWork;
use outbox::Outbox;
use perennial_daemon::identity::{Identity, Pin};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Instant;
use tls::Dialer;
use tokio::sync::watch;

/// An item from the coordinator.
#[derive(Debug)]
pub struct Received {
    /// The lane in which it came.
    pub lane: Lane,
    /// The item.
    pub body: Vec<u8>,
    /// When it was there.
    pub arrived: Instant,
}

/// How a lane stands with the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The first attempt is under way.
    Connecting,
    /// The coordinator has answered on this connection.
    Connected,
    /// There is no connection; the next attempt comes within two seconds.
    Down {
        /// What is wrong, in a word. Watchers are told of a change only if this changes.
        trouble: Trouble,
        /// What the last attempt failed for, and what to do about it.
        reason: String,
    },
}

/// Why a lane is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens at the coordinator's address.
    Unreachable,
    /// Somebody with another pin answers at the coordinator's address.
    WrongCoordinator,
    /// The coordinator does not know this signer's pin.
    NotRegistered,
    /// The connection failed or ended.
    Broken,
    /// The coordinator answers, but not in the way that this signer understands.
    Misunderstood,
    /// The receiver of the lane's channel is gone. The lane has ended and makes no further attempt.
    NobodyTakesMail,
}

/// Items were queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queued {
    /// How many older items of the same lane, not sent yet, were dropped to make room.
    pub dropped: u64,
}

/// Nothing of this call was queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an item of {bytes} bytes is to be sent; the limit is {ITEM_BYTES_MAX}: split it")]
pub struct ItemTooLarge {
    /// Its size.
    pub bytes: usize,
}

/// The connection to the coordinator. Dropping it ends its threads; what was not sent yet is forgotten.
#[derive(Debug)]
pub struct Client {
    signing: LaneHandle,
    ceremony: LaneHandle,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct LaneHandle {
    outbox: Arc<Outbox>,
    state: watch::Receiver<State>,
}

impl Client {
    /// Starts both lanes and returns at once; [`Client::state`] and the log tell how they fare. What arrives is
    /// put into the channel of its lane (both may be the same one). While a channel is full, its lane fetches no
    /// more; when its receiver is gone, the lane ends.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn connect<S: From<Received> + Send + 'static, C: From<Received> + Send + 'static>(
        address: SocketAddr,
        identity: &Identity,
        coordinator: Pin,
        signing: SyncSender<S>,
        ceremony: SyncSender<C>,
    ) -> io::Result<Self> {
        let dialer = Arc::new(Dialer::new(address, identity, coordinator));
        let (stop, stopped) = watch::channel(false);
        let (signing, signing_thread) = start(Lane::Signing, &dialer, signing, &stopped)?;
        // From here on a failure drops `stop`, which ends the first lane.
        let (ceremony, ceremony_thread) = start(Lane::Ceremony, &dialer, ceremony, &stopped)?;
        Ok(Self { signing, ceremony, stop, threads: vec![signing_thread, ceremony_thread] })
    }

    /// Queues items for the coordinator, in order, and returns at once. If the queue (16,384 items, 256 MiB) is
    /// full, its oldest items are dropped, and [`Queued::dropped`] says how many.
    ///
    /// # Errors
    /// [`ItemTooLarge`] for an item above [`ITEM_BYTES_MAX`].
    pub fn send(&self, lane: Lane, items: Vec<Vec<u8>>) -> Result<Queued, ItemTooLarge> {
        if let Some(item) = items.iter().find(|item| item.len() > ITEM_BYTES_MAX) {
            return Err(ItemTooLarge { bytes: item.len() });
        }
        let dropped = self.lane(lane).outbox.push(items.into_iter().map(Bytes::from));
        Ok(Queued { dropped })
    }

    /// How the lane stands with the coordinator; the receiver also tells of changes.
    pub fn state(&self, lane: Lane) -> watch::Receiver<State> {
        self.lane(lane).state.clone()
    }

    fn lane(&self, lane: Lane) -> &LaneHandle {
        match lane {
            Lane::Signing => &self.signing,
            Lane::Ceremony => &self.ceremony,
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            // A lane that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn start<E: From<Received> + Send + 'static>(
    lane: Lane,
    dialer: &Arc<Dialer>,
    received: SyncSender<E>,
    stopped: &watch::Receiver<bool>,
) -> io::Result<(LaneHandle, JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outbox = Arc::new(Outbox::default());
    let (report, state) = watch::channel(State::Connecting);
    let work = LaneWork::new(lane, Arc::clone(dialer), Arc::clone(&outbox), received, report);
    let mut stopped = stopped.clone();
    let thread = std::thread::Builder::new().name(format!("mail-{}", lane.name())).spawn(move || {
        if lane == Lane::Ceremony {
            perennial_daemon::priority::lower_this_thread();
        }
        runtime.block_on(async {
            tokio::select! {
                () = work.run() => {}
                // A client that is gone means the same as one that says so.
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    })?;
    Ok((LaneHandle { outbox, state }, thread))
}
