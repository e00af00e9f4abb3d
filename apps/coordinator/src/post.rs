//! Mail that came from signers: read strictly, handed on where it is for another signer, and given to whoever
//! waits for it.
//!
//! Mail of the signing lane is seen to at once, by the thread that also answers signing requests. Mail of the
//! ceremony lane is read by a thread of low priority. Bytes that are no canonical reply are logged with the name
//! of their sender and dropped; so is mail for a signer that governance does not know, and what a queue has no
//! room for. Every sender asks again until it sees an effect.

use crate::mailbox::{Incoming, ItemTooLarge, Lane, Mailbox, Posted};
use crate::trusted::InForce;
use crate::world::now_ms;
use perennial_daemon::priority::lower_this_thread;
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, DOCUMENT_BYTES_MAX};
use perennial_model::mail::Reply;
use perennial_model::session::SessionReport;
use perennial_workflow::driver::relay;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// The most items of the ceremony lane that wait to be read.
const ITEMS_MAX: usize = 16 << 10;
/// The most bytes of them.
const BYTES_MAX: usize = 256 << 20;
/// A signer that gave no sign of life for so long is not chosen while there are others.
const SEEN_LATELY: Duration = Duration::from_secs(1);

/// A transport that stores mail for signers and forwards it when they fetch it.
pub trait PostMail: Debug + Send + Sync {
    /// Stores one item for a signer. Returns at once.
    ///
    /// # Errors
    /// [`ItemTooLarge`].
    fn post(&self, signer: &str, lane: Lane, body: Vec<u8>) -> Result<Posted, ItemTooLarge>;
    /// When the signer last gave a sign of life.
    fn last_seen(&self, signer: &str) -> Option<Instant>;
}

impl PostMail for Mailbox {
    fn post(&self, signer: &str, lane: Lane, body: Vec<u8>) -> Result<Posted, ItemTooLarge> {
        self.post(signer, lane, body)
    }

    fn last_seen(&self, signer: &str) -> Option<Instant> {
        self.last_seen(signer)
    }
}

/// Sends requests to signers. Clones share the transport.
#[derive(Debug, Clone)]
pub struct Outbox {
    mail: Arc<dyn PostMail>,
    in_force: InForce,
}

impl Outbox {
    /// For the signers that governance names, and those that still have to erase.
    pub fn new(mail: Arc<dyn PostMail>, in_force: InForce) -> Self {
        Self { mail, in_force }
    }

    /// Puts one item into the mailboxes of several signers.
    pub fn send(&self, signers: &[SignerId], lane: Lane, bytes: &[u8]) {
        let known = self.in_force.get();
        for signer in signers {
            if !known.signers.contains_key(signer.as_str()) {
                tracing::warn!(%signer, "mail for a signer that governance does not know was dropped");
                continue;
            }
            match self.mail.post(signer.as_str(), lane, bytes.to_vec()) {
                Ok(posted) if posted.dropped > 0 => {
                    let (dropped, lane) = (posted.dropped, lane.name());
                    tracing::warn!(%signer, lane, dropped, "its mailbox is full: the oldest mail went");
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%signer, lane = lane.name(), "mail was not posted: {error}"),
            }
        }
    }

    /// When a signer last gave a sign of life; none if it has not since the start.
    pub fn last_seen(&self, signer: &SignerId) -> Option<Instant> {
        self.mail.last_seen(signer.as_str())
    }

    /// The signers that gave a sign of life just now.
    pub fn seen_lately(&self) -> Vec<SignerId> {
        let all = self.silences().into_iter();
        all.filter(|(_, silence)| *silence <= SEEN_LATELY).map(|(signer, _)| signer).collect()
    }

    /// When each signer last gave a sign of life, in milliseconds since 1970; without those that have given none.
    pub fn signs_of_life(&self) -> Vec<(SignerId, u64)> {
        let now_ms = now_ms();
        let ago = |silence: Duration| now_ms.saturating_sub(silence.as_millis() as u64);
        self.silences().into_iter().map(|(signer, silence)| (signer, ago(silence))).collect()
    }

    fn silences(&self) -> Vec<(SignerId, Duration)> {
        let trusted = self.in_force.get();
        let named = trusted.governance().signers.iter().map(|known| &known.signer);
        named.filter_map(|signer| Some((signer.clone(), self.last_seen(signer)?.elapsed()))).collect()
    }

    /// Reads an item, or says in the log why it cannot be read.
    fn read(&self, item: &Incoming) -> Option<(SignerId, Reply)> {
        let (from, _) = self.in_force.get().signers.get(&item.from)?.clone();
        match encoding::decode::<Reply>(&item.body) {
            Ok(reply) => Some((from, reply)),
            Err(error) => {
                let bytes = item.body.len();
                tracing::warn!(signer = %from, bytes, "it sent mail that cannot be read, now dropped: {error}");
                None
            }
        }
    }

    /// Hands mail between signers on. Gives the reply back when it is for somebody here too.
    fn hand_on(&self, from: &SignerId, lane: Lane, reply: Reply) -> Option<Reply> {
        match relay(from, &reply) {
            Ok(None) => Some(reply),
            Ok(Some((to, request))) => {
                self.send(&[to], lane, &encoding::encode(&request));
                // The loop hears of it, so that a signer at work on a pair base does not count as silent.
                matches!(reply, Reply::PairingMail(_)).then_some(reply)
            }
            Err(error) => {
                tracing::warn!(signer = %from, "its mail to another signer was dropped: {error}");
                None
            }
        }
    }
}

/// Where replies go that are for the coordinator itself.
pub trait TakeReplies: Send + 'static {
    /// Takes in a reply of the ceremony lane; may wait until there is room.
    fn take_reply(&self, from: SignerId, reply: Reply);
}

/// Where the ends of sessions go.
pub trait TakeReports: Send + 'static {
    /// Takes in the end of a session at one signer.
    fn take_report(&self, from: SignerId, report: SessionReport);
}

/// Takes the mail of both lanes apart until nothing can come any more.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    outbox: Outbox,
    mut incoming: tokio::sync::mpsc::Receiver<Incoming>,
    replies: impl TakeReplies,
    reports: impl TakeReports,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    let backlog = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = sync_channel(ITEMS_MAX);
    let (for_thread, counted) = (outbox.clone(), Arc::clone(&backlog));
    std::thread::Builder::new().name("ceremony-post".into()).spawn(move || {
        lower_this_thread();
        read_ceremony_mail(&for_thread, &receiver, &counted, &replies);
    })?;
    Ok(async move {
        while let Some(item) = incoming.recv().await {
            match item.lane {
                Lane::Signing => read_signing_mail(&outbox, &item, &reports),
                Lane::Ceremony => put_aside(item, &sender, &backlog),
            }
        }
    })
}

fn read_signing_mail(outbox: &Outbox, item: &Incoming, reports: &impl TakeReports) {
    let Some((from, reply)) = outbox.read(item) else { return };
    match outbox.hand_on(&from, Lane::Signing, reply) {
        None => {}
        Some(Reply::Session(report)) => reports.take_report(from, report),
        Some(_) => tracing::warn!(signer = %from, "it sent mail that does not belong on the signing lane"),
    }
}

fn put_aside(item: Incoming, sender: &SyncSender<Incoming>, backlog: &AtomicUsize) {
    let bytes = item.body.len();
    let waiting = backlog.fetch_add(bytes, Relaxed) + bytes;
    let from = item.from.clone();
    if waiting > BYTES_MAX + DOCUMENT_BYTES_MAX || sender.try_send(item).is_err() {
        backlog.fetch_sub(bytes, Relaxed);
        tracing::warn!(signer = from, bytes, "ceremonies are behind with their mail: one item was dropped");
    }
}

fn read_ceremony_mail(
    outbox: &Outbox,
    receiver: &Receiver<Incoming>,
    backlog: &AtomicUsize,
    replies: &impl TakeReplies,
) {
    while let Ok(item) = receiver.recv() {
        backlog.fetch_sub(item.body.len(), Relaxed);
        if let Some((from, reply)) = outbox.read(&item)
            && let Some(reply) = outbox.hand_on(&from, Lane::Ceremony, reply)
        {
            replies.take_reply(from, reply);
        }
    }
}
