//! The ceremony lane: it owns the keeper and the keeper's store, and gives way to everything else. One turn after
//! the other: decide, save, and only then send.

use super::ages::Ages;
use super::post::Post;
use super::signing::SigningEvent;
use crate::clock::{Clock, SystemRandom};
use crate::ending::{ExitStatus, Failure};
use crate::mailbox::Received;
use crate::process::end_now;
use crate::store::KeeperStore;
use perennial_custody::keeper::Keeper;
use perennial_custody::serving::{Change, Serve};
use perennial_custody::turn::Turn;
use perennial_daemon::priority::lower_this_thread;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// After so long without work the records may be made smaller.
const IDLE: Duration = Duration::from_secs(2);

/// What reaches the keeper.
pub(super) enum CeremonyEvent {
    /// An item from the coordinator.
    Mail(Received),
    /// Look at what else there is: an Activation from the signing lane, or the word to stop.
    Wake,
}

/// What the signing lane leaves for the keeper. It goes before all other mail.
pub(super) enum Urgent {
    /// An Activation that came with a signing request, not yet checked.
    Activation(Box<Certificate>),
    /// The desk has banned this counterparty, durably.
    Ban(SignerId),
}

impl From<Received> for CeremonyEvent {
    fn from(received: Received) -> Self {
        Self::Mail(received)
    }
}

pub(super) struct CeremonyLane {
    pub store: KeeperStore,
    pub random: SystemRandom,
    pub clock: Clock,
    pub post: Post,
    pub desk: DeskHandle,
    pub urgent: Receiver<Urgent>,
    pub stop: Arc<AtomicBool>,
    pub tick: Duration,
    pub ages: Ages,
}

impl CeremonyLane {
    /// Works until it is told to stop.
    pub fn run(mut self, mut keeper: Keeper, events: &Receiver<CeremonyEvent>) {
        lower_this_thread();
        let mut next_tick = Instant::now() + self.tick;
        let mut last_work = Instant::now();
        while !self.stop.load(Relaxed) {
            let wait = match keeper.can_go_on() {
                true => Duration::ZERO,
                false => next_tick.saturating_duration_since(Instant::now()),
            };
            match events.recv_timeout(wait) {
                Ok(CeremonyEvent::Mail(received)) => {
                    keeper = self.take_urgent(keeper);
                    keeper = self.take(keeper, &received.body);
                    last_work = Instant::now();
                }
                Ok(CeremonyEvent::Wake) | Err(RecvTimeoutError::Timeout) => {
                    keeper = self.take_urgent(keeper);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if keeper.can_go_on() {
                let turn = keeper.go_on(self.clock.now_ms(), &mut self.random);
                keeper = self.save(turn);
                last_work = Instant::now();
            }
            if Instant::now() >= next_tick {
                let turn = keeper.tick(self.clock.now_ms());
                keeper = self.save(turn);
                self.ages.look(&keeper, self.clock.now_ms());
                if last_work.elapsed() >= IDLE {
                    self.compact();
                }
                next_tick = Instant::now() + self.tick;
            }
        }
    }

    fn take_urgent(&mut self, mut keeper: Keeper) -> Keeper {
        while let Ok(word) = self.urgent.try_recv() {
            keeper = match word {
                Urgent::Activation(certificate) => {
                    let turn = keeper.learn(self.clock.now_ms(), &mut self.random, *certificate);
                    self.save(turn)
                }
                Urgent::Ban(counterparty) => self.save(keeper.exclude(&counterparty)),
            };
        }
        keeper
    }

    fn take(&mut self, keeper: Keeper, item: &[u8]) -> Keeper {
        let Some(checked) = self.post.open(item, &keeper.own().pinned, &keeper) else { return keeper };
        let turn = keeper.handle(self.clock.now_ms(), &mut self.random, checked);
        self.save(turn)
    }

    fn save(&mut self, turn: Turn) -> Keeper {
        match turn.save(&mut self.store, &mut self.desk) {
            Ok(saved) => {
                self.post.send(saved.mail);
                saved.keeper
            }
            Err(failed) => end_now(&Failure::new(ExitStatus::DiskFailed, failed)),
        }
    }

    fn compact(&mut self) {
        match self.store.compact_if_sparse() {
            Ok(Some(compacted)) => {
                let (before, after) = (compacted.before, compacted.after);
                tracing::info!(before, after, "the records take fewer bytes now");
            }
            Ok(None) => {}
            Err(failed) => end_now(&Failure::new(ExitStatus::DiskFailed, failed)),
        }
    }
}

/// The desk as the keeper reaches it: in another thread.
pub(super) struct DeskHandle {
    to_signing: SyncSender<SigningEvent>,
}

impl DeskHandle {
    pub fn new(to_signing: SyncSender<SigningEvent>) -> Self {
        Self { to_signing }
    }
}

impl Serve for DeskHandle {
    fn publish(&mut self, changes: Vec<Change>) {
        if self.to_signing.send(SigningEvent::Changed(changes)).is_err() {
            desk_is_gone();
        }
    }

    fn withdraw(&mut self, epochs: &[(WalletId, Epoch)]) {
        let (done, answer) = sync_channel(1);
        let asked = self.to_signing.send(SigningEvent::Withdraw(epochs.to_vec(), done));
        if asked.is_err() || answer.recv().is_err() {
            desk_is_gone();
        }
    }
}

/// Nothing may be erased while it is not known that the sessions have ended.
fn desk_is_gone() -> ! {
    end_now(&Failure::new(ExitStatus::Bug, "the signing lane ended before the ceremony lane"))
}
