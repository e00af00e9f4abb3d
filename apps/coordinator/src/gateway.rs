//! The gateway: an unsigned transaction in, a signed one out, through sessions of the signers.
//!
//! It parses the transaction as a courtesy (each signer parses it again and makes the digest itself), goes the
//! way that [`Route`](perennial_workflow::Route) decides, verifies what comes under the wallet's key, and releases
//! it once its ledger entry is durable. It refuses bare digests, decides nothing about who may sign what, and never
//! releases two signatures for one request.
//!
//! A request runs to its end even if its caller goes away; whoever asks again with the same idempotency key gets
//! the same answer, within [`REPEAT_WITHIN_MS`] and after a crash too.

mod answer;
mod idempotency;
mod order;
mod request;

pub use answer::{Answer, Repeated, SignedTransaction, TransactionEncoding, WrittenSignature};
pub use idempotency::IdempotencyKey;
pub use order::{BadOrder, SigningOrder};

use crate::ceremonies::HeadNews;
use crate::config::Signing;
use crate::ledger::{Ledger, LedgerReader};
use crate::post::{Outbox, TakeReports};
use crate::store::StoreError;
use perennial_chain::Error as ChainError;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::session::SessionReport;
use perennial_workflow::Heads;
use perennial_workflow::access::Client;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc};

/// For how long a request with the same idempotency key gets the same answer, in milliseconds: one day.
pub const REPEAT_WITHIN_MS: u64 = 24 * 60 * 60 * 1000;

/// Why a request got no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// No wallet of this name, or none whose first epoch is kept by all.
    #[error("no wallet {0} can sign")]
    UnknownWallet(String),
    /// The request cannot be understood.
    #[error(transparent)]
    BadOrder(#[from] BadOrder),
    /// The transaction cannot be read, is not supported, or is not this wallet's to sign.
    #[error(transparent)]
    BadTransaction(#[from] ChainError),
    /// The idempotency key was used for something else.
    #[error("idempotency key {0} was used for another request: use a new key")]
    KeyReused(String),
    /// Too many requests at a time.
    #[error("{0} requests are under way already: try again in a moment")]
    Busy(usize),
    /// A signer's policy or the approvals forbid it.
    #[error("denied by {by}: {reason}")]
    Denied {
        /// Who says so.
        by: SignerId,
        /// Its words.
        reason: String,
    },
    /// A signer cannot read what the coordinator could.
    #[error("{by} cannot read the request: {reason}")]
    Unreadable {
        /// Who says so.
        by: SignerId,
        /// Its words.
        reason: String,
    },
    /// The time for the request is over.
    #[error("no signature after {waited_ms} ms and {tries} tries with {}; last: {last}", names(.signers))]
    OutOfTime {
        /// Who took part in the last try.
        signers: Vec<SignerId>,
        /// How many sessions were begun.
        tries: u32,
        /// How long the request was under way, in milliseconds.
        waited_ms: u64,
        /// Why the last session gave nothing.
        last: String,
    },
    /// A signature cannot be entered in the ledger, if there is one already.
    #[error("no signature is released: {0}")]
    Withheld(StoreError),
    /// What was released before cannot be looked up.
    #[error("the ledger cannot be read: {0}")]
    NotLookedUp(StoreError),
    /// A rule of our own code does not hold.
    #[error("bug: {0}")]
    Bug(String),
}

fn names(signers: &[SignerId]) -> String {
    let names: Vec<&str> = signers.iter().map(SignerId::as_str).collect();
    names.join(", ")
}

/// The gateway. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    heads: Mutex<Heads>,
    sessions: Mutex<HashMap<Digest, mpsc::UnboundedSender<(SignerId, SessionReport)>>>,
    under_way: idempotency::UnderWay,
    room: Arc<Semaphore>,
    signing: Signing,
    outbox: Outbox,
    ledger: Ledger,
    released: LedgerReader,
}

impl Gateway {
    /// A gateway that knows no wallet yet.
    pub fn new(signing: Signing, outbox: Outbox, ledger: Ledger, released: LedgerReader) -> Self {
        let room = Arc::new(Semaphore::new(signing.requests_in_flight));
        let shared = Shared {
            heads: Mutex::default(),
            sessions: Mutex::default(),
            under_way: idempotency::UnderWay::default(),
            room,
            signing,
            outbox,
            ledger,
            released,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Follows what becomes known of wallets, until nothing can any more. Big changes are taken in piece by piece,
    /// so that requests get their turn in between.
    pub async fn follow(self, mut news: mpsc::UnboundedReceiver<HeadNews>) {
        while let Some(news) = news.recv().await {
            match news {
                HeadNews::All(heads) => *locked(&self.shared.heads) = *heads,
                HeadNews::Changes(changes) => {
                    for change in changes {
                        locked(&self.shared.heads).apply(&change);
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// Signs for a client, or finds out that the same request was signed before. A wallet that does not exist for the
    /// client is unknown.
    ///
    /// # Errors
    /// [`SignError`] with whom to blame.
    pub async fn sign(
        &self,
        client: &Client,
        order: SigningOrder,
        key: Option<IdempotencyKey>,
    ) -> Result<Answer, SignError> {
        let known = locked(&self.shared.heads)
            .get(&order.wallet)
            .filter(|head| client.sees(&head.wallet().tenant))
            .map(|head| (head.wallet().clone(), head.key().clone()));
        let (wallet, wallet_key) = known.ok_or_else(|| SignError::UnknownWallet(order.wallet.to_string()))?;
        let key = key.map(|key| key.of(&wallet.tenant));
        let prepared = order.prepare(wallet, wallet_key)?;
        let gateway = self.clone();
        // A task of its own: it goes on when its caller goes away.
        let task = tokio::spawn(async move {
            match key {
                Some(key) => gateway.sign_once(prepared, key).await,
                None => gateway.sign_with_room(prepared, None).await,
            }
        });
        task.await.unwrap_or_else(|error| Err(SignError::Bug(error.to_string())))
    }

    async fn sign_with_room(
        &self,
        prepared: order::Prepared,
        key: Option<IdempotencyKey>,
    ) -> Result<Answer, SignError> {
        let most = self.shared.signing.requests_in_flight;
        let _room = Arc::clone(&self.shared.room).try_acquire_owned().map_err(|_| SignError::Busy(most))?;
        // What could not be released is not made.
        if let Some(blocked) = self.shared.ledger.blocked() {
            return Err(SignError::Withheld(blocked));
        }
        request::Request::new(Arc::clone(&self.shared), prepared).run(key).await
    }
}

impl TakeReports for Gateway {
    fn take_report(&self, from: SignerId, report: SessionReport) {
        let waiting = locked(&self.shared.sessions).get(&report.session).cloned();
        match waiting {
            // A request that has just ended needs no report.
            Some(waiting) => drop(waiting.send((from, report))),
            None => {
                tracing::debug!(signer = %from, session = %report.session, "nobody waits for this session")
            }
        }
    }
}

/// What these locks protect is complete between any two statements, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
