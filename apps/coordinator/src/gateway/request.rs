//! One request on its way: sessions, one after the other, until one gives a signature that verifies.

use super::answer::{Repeated, SignedTransaction, signature_of, written, written_transaction};
use super::order::Prepared;
use super::{Answer, IdempotencyKey, Shared, SignError, locked};
use crate::ledger::Release;
use crate::mailbox::Lane;
use crate::world::{now_ms, system_rng};
use perennial_chain::{Assembled, Error as ChainError, assemble};
use perennial_ledger::entry::{Content, Epoch as EntryEpoch, ShortText, Signature as EntrySignature};
use perennial_ledger::{Digest as EntryDigest, Entry};
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest};
use perennial_model::mail::Request as MailRequest;
use perennial_model::session::{SessionOutcome, SessionReport, SessionRequest};
use perennial_model::signature::RawSignature;
use perennial_workflow::Route;
use perennial_workflow::route::{Accepted, Failure, Next, WhyGivenUp};
use perennial_workflow::wallets::Head;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

type Reports = mpsc::UnboundedReceiver<(SignerId, SessionReport)>;
type SendReport = mpsc::UnboundedSender<(SignerId, SessionReport)>;

/// A request.
pub(super) struct Request {
    shared: Arc<Shared>,
    prepared: Prepared,
    begun: Instant,
    reports: Reports,
    send_report: SendReport,
    /// The sessions of the present route, the last one last.
    sessions: Vec<SessionRequest>,
    /// The plans behind the transcripts that were served since the request came.
    plans: BTreeMap<Digest, Digest>,
    /// When the last session is over.
    session_ends: Instant,
    /// Sessions of earlier routes.
    tries_before: u32,
    /// How long the next pause is, after a route that led nowhere.
    pause: Duration,
    /// Why the last session gave nothing.
    last: String,
}

/// The first pause after a route that led nowhere; it doubles from there.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How a session went.
enum Heard {
    Signed(Digest, Vec<RawSignature>, Assembled),
    Failed(Digest, Failure),
    OutOfTime,
}

impl Request {
    pub fn new(shared: Arc<Shared>, prepared: Prepared) -> Self {
        let (send_report, reports) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            shared,
            prepared,
            begun: now,
            reports,
            send_report,
            sessions: Vec::new(),
            plans: BTreeMap::new(),
            session_ends: now,
            tries_before: 0,
            pause: PAUSE,
            last: "no session has ended".into(),
        }
    }

    /// Runs to the end.
    pub async fn run(mut self, key: Option<IdempotencyKey>) -> Result<Answer, SignError> {
        let mut route = self.begin_route()?;
        loop {
            match self.hear().await {
                Heard::Signed(session, signatures, assembled) => {
                    // Sessions of earlier routes are not listened to any more, so it is one of this route's.
                    let accepted = route.accept(&session, signatures);
                    let accepted = accepted.map_err(|_| SignError::Bug("a session of no route".into()))?;
                    return self.release(accepted, assembled, key).await;
                }
                Heard::Failed(session, failure) => route = self.go_on(route, &session, failure).await?,
                Heard::OutOfTime => return Err(self.out_of_time()),
            }
        }
    }

    /// Chooses a way from what is known now, and begins its first session.
    fn begin_route(&mut self) -> Result<Route, SignError> {
        let seen = self.shared.outbox.seen_lately();
        let shared = Arc::clone(&self.shared);
        let heads = locked(&shared.heads);
        let id = &self.prepared.wallet.id;
        let head = heads.get(id).ok_or_else(|| SignError::UnknownWallet(id.to_string()))?;
        note_plans(&mut self.plans, &head);
        let order = self.prepared.order.clone();
        let (route, request) = Route::begin(&head, order, &seen, now_ms(), &mut system_rng());
        drop(heads);
        self.tries_before += self.sessions.len() as u32;
        self.forget_sessions();
        self.ask(request);
        Ok(route)
    }

    /// Goes on after a failure: by the same route, which is told what is served by now, or by a new one, after a
    /// pause, if it led nowhere and there is time left.
    async fn go_on(
        &mut self,
        mut route: Route,
        session: &Digest,
        failure: Failure,
    ) -> Result<Route, SignError> {
        let wallet = &self.prepared.wallet.id;
        if route.session() == Some(session) {
            self.last = said(&failure);
            tracing::info!(%wallet, session = %session.short(), "a signing session failed: {}", self.last);
        }
        if let Some(head) = locked(&self.shared.heads).get(wallet) {
            note_plans(&mut self.plans, &head);
            route.catch_up(&head);
        }
        let seen = self.shared.outbox.seen_lately();
        match route.failed(session, failure, &seen, now_ms(), &mut system_rng()) {
            Next::Wait(route) => Ok(route),
            Next::Retry(route, request) => {
                self.ask(*request);
                Ok(route)
            }
            Next::GiveUp(given_up) => match given_up.why {
                WhyGivenUp::Denied { by, reason } => Err(SignError::Denied { by, reason }),
                WhyGivenUp::Unreadable { by, reason } => Err(SignError::Unreadable { by, reason }),
                WhyGivenUp::NoMoreTries(_) if Instant::now() + self.pause < self.request_ends() => {
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                    self.begin_route()
                }
                WhyGivenUp::NoMoreTries(_) => Err(self.out_of_time()),
            },
        }
    }

    fn ask(&mut self, request: SessionRequest) {
        locked(&self.shared.sessions).insert(request.session, self.send_report.clone());
        let bytes = encoding::encode(&MailRequest::Session(Box::new(request.clone())));
        self.shared.outbox.send(&request.signers, Lane::Signing, &bytes);
        self.session_ends = Instant::now() + Duration::from_millis(self.shared.signing.attempt_ms);
        self.sessions.push(request);
    }

    /// Waits for the end of a session of this route, no longer than the limits allow.
    async fn hear(&mut self) -> Heard {
        let request_ends = self.request_ends();
        let until = self.session_ends.min(request_ends);
        loop {
            let Ok(Some((from, report))) = tokio::time::timeout_at(until, self.reports.recv()).await else {
                return match self.sessions.last() {
                    Some(last) if until < request_ends => Heard::Failed(last.session, Failure::TimedOut),
                    _ => Heard::OutOfTime,
                };
            };
            let Some(asked) = self.sessions.iter().find(|asked| asked.session == report.session) else {
                continue;
            };
            let (session, combiner) = (asked.session, asked.combiner() == Some(&from));
            match report.outcome {
                SessionOutcome::Failed { blame, reason } => {
                    return Heard::Failed(session, Failure::Reported { by: from, blame, reason });
                }
                SessionOutcome::Signed(signatures) if combiner => match self.put_together(&signatures) {
                    Ok(assembled) => return Heard::Signed(session, signatures, assembled),
                    Err(error) => {
                        tracing::warn!(signer = %from, "it posted a signature that is none: {error}");
                        return Heard::Failed(session, Failure::DoesNotVerify);
                    }
                },
                SessionOutcome::Signed(_) => {
                    tracing::warn!(signer = %from, "it posted a signature in a session that it does not combine");
                }
            }
        }
    }

    /// Verifies the signatures under the wallet's key and puts them into the transaction.
    fn put_together(&self, signatures: &[RawSignature]) -> Result<Assembled, ChainError> {
        let Prepared { wallet, key, transaction, order, .. } = &self.prepared;
        let scheme = wallet.chain.scheme();
        let read: Vec<_> = signatures.iter().filter_map(|raw| signature_of(scheme, raw)).collect();
        assemble(wallet, key, &order.path, transaction, &read)
    }

    /// Enters the signature in the ledger, then answers.
    async fn release(
        self,
        accepted: Accepted,
        assembled: Assembled,
        key: Option<IdempotencyKey>,
    ) -> Result<Answer, SignError> {
        let Prepared { wallet, order, digest, .. } = &self.prepared;
        let (signed_transaction, encoding, transaction_id, missing) =
            written_transaction(wallet.chain, assembled);
        let signed = SignedTransaction {
            wallet: wallet.id.to_string(),
            path: order.path.to_string(),
            epoch: accepted.epoch.to_string(),
            transcript: accepted.transcript.to_string(),
            signers: accepted.signers.iter().map(SignerId::to_string).collect(),
            signatures: accepted.signatures.iter().map(written).collect(),
            signed_transaction,
            encoding,
            transaction_id,
            missing,
            fallbacks: accepted.fallbacks,
            tries: self.tries_before + accepted.tries,
        };
        let answer = serde_json::to_vec(&signed).map_err(|error| SignError::Bug(error.to_string()))?;
        let released_ms = now_ms();
        let entry = self.entry(&accepted, released_ms, &answer)?;
        let release = Release {
            entry: entry.to_bytes(),
            idempotency_key: key.map(|key| key.as_str().to_owned()),
            request: digest.0,
            released_ms,
            answer,
        };
        let place = self.shared.ledger.release(release).await.map_err(SignError::Withheld)?;
        Ok(Answer { signed, ledger_index: place, repeated: Repeated::No })
    }

    fn entry(&self, accepted: &Accepted, time_ms: u64, answer: &[u8]) -> Result<Entry, SignError> {
        let unfit = |error: perennial_ledger::Error| SignError::Bug(error.to_string());
        let wallet = ShortText::new(self.prepared.wallet.id.as_str()).map_err(unfit)?;
        let plan = self.plans.get(&accepted.transcript);
        let plan = plan.ok_or_else(|| SignError::Bug("an epoch that was not asked for has signed".into()))?;
        let signature = EntrySignature {
            wallet: wallet.clone(),
            epoch: EntryEpoch { rank: accepted.epoch.rank, count: accepted.epoch.count },
            transcript: EntryDigest(accepted.transcript.0),
            plan: EntryDigest(plan.0),
            policy: None,
            decision: None,
            custody_state: None,
        };
        let content = Content::Signature(signature);
        Ok(Entry { time_ms, subject: wallet, body: EntryDigest::of(answer), content })
    }

    fn request_ends(&self) -> Instant {
        self.begun + Duration::from_millis(self.shared.signing.request_ms)
    }

    fn out_of_time(&self) -> SignError {
        SignError::OutOfTime {
            last: self.last.clone(),
            signers: self.last_signers(),
            tries: self.tries_before + self.sessions.len() as u32,
            waited_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn last_signers(&self) -> Vec<SignerId> {
        self.sessions.last().map(|last| last.signers.clone()).unwrap_or_default()
    }

    fn forget_sessions(&mut self) {
        let mut waiting = locked(&self.shared.sessions);
        for asked in self.sessions.drain(..) {
            waiting.remove(&asked.session);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.forget_sessions();
    }
}

fn note_plans(plans: &mut BTreeMap<Digest, Digest>, head: &Head<'_>) {
    for served in head.served() {
        plans.insert(served.share_set.transcript, served.standing.generation.inputs.chunk.plan);
    }
}

fn said(failure: &Failure) -> String {
    match failure {
        Failure::Reported { by, blame, reason } => format!("{by} blames {blame:?}: {reason}"),
        Failure::TimedOut => "it ran out of time".into(),
        Failure::DoesNotVerify => "its signature does not verify".into(),
    }
}
