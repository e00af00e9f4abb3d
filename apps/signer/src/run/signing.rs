//! The signing lane: it owns the desk and the desk's store, and somebody waits for whatever it does. It never
//! waits for the ceremony lane: what is for the keeper is left where the keeper finds it.

use super::ceremony::{CeremonyEvent, Urgent};
use super::post::{NoPlans, Post};
use crate::clock::{Clock, SystemRandom};
use crate::ending::{ExitStatus, Failure};
use crate::mailbox::Received;
use crate::process::end_now;
use crate::store::SessionStore;
use perennial_custody::inbox::{About, Checked};
use perennial_custody::keeper::decline;
use perennial_custody::serving::{Change, Serve};
use perennial_custody::signing::{Desk, DeskTurn};
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::plan::Chunk;
use perennial_model::wallet::WalletId;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// An Activation is handed over once in this time, however many requests bring it, in milliseconds.
const HAND_AGAIN_MS: u64 = 500;

/// What reaches the desk.
pub(super) enum SigningEvent {
    /// An item from the coordinator.
    Mail(Received),
    /// The keeper serves something else now.
    Changed(Vec<Change>),
    /// The keeper waits until no session runs under these epochs.
    Withdraw(Vec<(WalletId, Epoch)>, SyncSender<()>),
    /// The signer ends.
    Stop,
}

impl From<Received> for SigningEvent {
    fn from(received: Received) -> Self {
        Self::Mail(received)
    }
}

pub(super) struct SigningLane {
    pub desk: Desk,
    pub store: SessionStore,
    pub random: SystemRandom,
    pub clock: Clock,
    pub post: Post,
    pub to_urgent: SyncSender<Urgent>,
    pub to_ceremony: SyncSender<CeremonyEvent>,
    /// When an Activation was handed to the keeper last, by chunk.
    pub handed: BTreeMap<Chunk, u64>,
    /// Bans that the keeper has not been told of. They are durable already.
    pub untold_bans: Vec<SignerId>,
    pub tick: Duration,
}

impl SigningLane {
    /// Works until it is told to stop.
    pub fn run(mut self, events: &Receiver<SigningEvent>) {
        let mut next_tick = Instant::now();
        loop {
            let wait = next_tick.saturating_duration_since(Instant::now());
            let mut look = wait.is_zero();
            match events.recv_timeout(wait) {
                Ok(SigningEvent::Mail(received)) => self.take(&received.body),
                Ok(SigningEvent::Changed(changes)) => {
                    // The next request that brings such an Activation has to be answered as well.
                    self.handed.retain(|chunk, _| {
                        !changes.iter().any(|change| matches!(change, Change::NotServed(not) if not == chunk))
                    });
                    self.desk.publish(changes);
                    // Requests may be waiting for just this.
                    look = true;
                }
                Ok(SigningEvent::Withdraw(epochs, done)) => {
                    self.desk.withdraw(&epochs);
                    // The keeper is there: it waits for this answer. If not, the process is ending.
                    let _ = done.try_send(());
                    look = true;
                }
                Ok(SigningEvent::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => look = true,
            }
            if look {
                let turn = self.desk.tick(self.clock.now_ms(), &mut self.random);
                self.save(turn);
                self.tell_bans();
                next_tick = Instant::now() + self.tick;
            }
        }
    }

    fn take(&mut self, item: &[u8]) {
        let Some(checked) = self.post.open(item, &self.desk.pinned(), &NoPlans) else { return };
        if !matches!(checked, Checked::Session(_) | Checked::SessionMail(_)) {
            let error = Error::denied("this request came in the lane for signing; send it in the other");
            self.post.send(vec![decline(About::default(), &error)]);
            return;
        }
        let turn = self.desk.handle(self.clock.now_ms(), &mut self.random, checked);
        self.save(turn);
    }

    fn save(&mut self, turn: DeskTurn) {
        match turn.save(&mut self.store) {
            Ok(saved) => {
                self.post.send(saved.mail);
                saved.activations.into_iter().for_each(|certificate| self.hand_over(certificate));
                self.untold_bans.extend(saved.bans);
                self.tell_bans();
            }
            Err(failed) => end_now(&Failure::new(ExitStatus::DiskFailed, failed)),
        }
    }

    /// Leaves an Activation for the keeper, which checks it like mail. If there is no room for it, the request
    /// that brought it may fail, and the coordinator tries another way.
    fn hand_over(&mut self, certificate: Certificate) {
        let now_ms = self.clock.now_ms();
        self.handed.retain(|_, at_ms| now_ms.saturating_sub(*at_ms) < HAND_AGAIN_MS);
        let chunk = certificate.inputs.chunk;
        if self.handed.contains_key(&chunk) {
            return;
        }
        if self.tell(Urgent::Activation(Box::new(certificate))) {
            self.handed.insert(chunk, now_ms);
        } else {
            tracing::warn!("no room for {chunk}'s Activation that came with a request");
        }
    }

    fn tell_bans(&mut self) {
        while let Some(counterparty) = self.untold_bans.last() {
            tracing::error!(blame = %counterparty, "a consistency check failed: nothing is signed with it any more");
            if !self.tell(Urgent::Ban(counterparty.clone())) {
                return;
            }
            self.untold_bans.pop();
        }
    }

    /// Leaves a word for the keeper; false if there is no room.
    fn tell(&self, word: Urgent) -> bool {
        let told = self.to_urgent.try_send(word).is_ok();
        // A lane that has no room to be woken is awake.
        let _ = self.to_ceremony.try_send(CeremonyEvent::Wake);
        told
    }
}
