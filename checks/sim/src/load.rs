//! The signing load: people who want transactions signed all the time, and a gateway that routes them.
//!
//! The gateway is part of the coordinator's process and dies with it; the people wait and ask again. Every
//! signature is checked here under the wallet's key, from the transaction, before it is released.

use crate::transactions::unsigned;
use perennial_model::committee::SignerId;
use perennial_model::derivation::Path;
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::session::{SessionOutcome, SessionReport, SessionRequest};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::{Scheme, Wallet, WalletId, WalletKey};
use perennial_workflow::route::{Failure, GivenUp, Next, Order, Route};
use perennial_workflow::wallets::Heads;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How long the gateway waits for a session, in milliseconds.
pub const SESSION_MS: u64 = 2_000;

/// A transaction that somebody wants signed.
pub struct Wanted {
    /// The wallet.
    pub wallet: Wallet,
    /// Its key, which no refresh may change.
    pub key: WalletKey,
    transaction: Vec<u8>,
    path: Path,
    /// When it was asked for.
    pub since_ms: u64,
    /// How often the coordinator died over it.
    pub interrupted: u32,
    /// Why the last sessions failed, as far as no fault of the world hit one since.
    pub unexplained: Vec<String>,
    /// The most of them in a row.
    pub unexplained_most: Vec<String>,
    /// Sessions that a fault of the world hit.
    pub hits: u32,
    current: Option<Current>,
}

struct Current {
    route: Route,
    session: Digest,
    signers: Vec<SignerId>,
    until_ms: u64,
    hit: bool,
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// A signature was released.
    Signed {
        /// How many sessions it took.
        tries: u32,
        /// How many of them were under the parent.
        fallbacks: u32,
    },
    /// The route gave up.
    GivenUp(GivenUp),
}

/// What the gateway has to do or to say.
#[derive(Debug)]
pub enum Outcome {
    /// Begin this session.
    Ask(Box<SessionRequest>),
    /// A request is over.
    Over(u64, Ended),
    /// A combiner posted signatures that do not verify.
    BadSignature(u64, SignerId, String),
    /// A session ran out of time although no fault hit it.
    WaitedInVain(u64),
    /// Nothing.
    Nothing,
}

/// All requests.
#[derive(Default)]
pub struct Load {
    /// Those that wait for their signature.
    pub wanted: BTreeMap<u64, Wanted>,
    by_session: BTreeMap<Digest, u64>,
    asked: u64,
}

impl Load {
    /// Somebody wants a transaction of this wallet signed.
    pub fn want(
        &mut self,
        heads: &Heads,
        wallet: &WalletId,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Option<Box<SessionRequest>> {
        let head = heads.get(wallet)?;
        self.asked += 1;
        let number = self.asked;
        let (transaction, path) = unsigned(head.wallet(), head.key(), number)?;
        self.wanted.insert(
            number,
            Wanted {
                wallet: head.wallet().clone(),
                key: head.key().clone(),
                transaction,
                path,
                since_ms: now_ms,
                interrupted: 0,
                unexplained: Vec::new(),
                unexplained_most: Vec::new(),
                hits: 0,
                current: None,
            },
        );
        self.begin(number, heads, seen, now_ms, rng)
    }

    /// Puts a request on its way.
    pub fn begin(
        &mut self,
        number: u64,
        heads: &Heads,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Option<Box<SessionRequest>> {
        let wanted = self.wanted.get_mut(&number)?;
        let head = heads.get(&wanted.wallet.id)?;
        let order = Order { transaction: Bytes(wanted.transaction.clone()), path: wanted.path.clone() };
        let (route, request) = Route::begin(&head, order, seen, now_ms, rng);
        wanted.follow(route, &request, now_ms);
        self.by_session.insert(request.session, number);
        Some(Box::new(request))
    }

    /// The coordinator died: all routes are gone, the people are not.
    pub fn interrupt(&mut self) {
        self.by_session.clear();
        for wanted in self.wanted.values_mut() {
            wanted.current = None;
            wanted.interrupted += 1;
            wanted.unexplained.clear();
        }
    }

    /// A fault of the world hit this session.
    pub fn hit(&mut self, session: &Digest) {
        if let Some(current) = self.current_of(session) {
            current.hit = true;
        }
    }

    /// A signer died: all sessions that it has a part in are hit.
    pub fn hit_signer(&mut self, signer: &SignerId) {
        for wanted in self.wanted.values_mut() {
            if let Some(current) = wanted.current.as_mut().filter(|now| now.signers.contains(signer)) {
                current.hit = true;
            }
        }
    }

    /// Sessions whose time is over.
    pub fn overdue(&self, now_ms: u64) -> Vec<Digest> {
        let current = self.wanted.values().filter_map(|wanted| wanted.current.as_ref());
        current.filter(|current| current.until_ms <= now_ms).map(|current| current.session).collect()
    }

    /// When the next session runs out of time.
    pub fn next_overdue_ms(&self) -> Option<u64> {
        let current = self.wanted.values().filter_map(|wanted| wanted.current.as_ref());
        current.map(|current| current.until_ms).min()
    }

    /// The end of a session, as one of its signers reports it.
    pub fn report(
        &mut self,
        from: &SignerId,
        report: SessionReport,
        heads: &Heads,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Outcome {
        let session = report.session;
        match report.outcome {
            SessionOutcome::Signed(signatures) => self.signed(from, &session, signatures),
            SessionOutcome::Failed { blame, reason } => {
                let failure = Failure::Reported { by: from.clone(), blame, reason };
                self.failed(&session, failure, heads, seen, now_ms, rng)
            }
        }
    }

    /// A session came to nothing.
    pub fn failed(
        &mut self,
        session: &Digest,
        failure: Failure,
        heads: &Heads,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Outcome {
        let Some(number) = self.by_session.get(session).copied() else { return Outcome::Nothing };
        let Some(wanted) = self.wanted.get_mut(&number) else { return Outcome::Nothing };
        let Some(mut current) = wanted.current.take() else { return Outcome::Nothing };
        if let Some(head) = heads.get(&wanted.wallet.id) {
            current.route.catch_up(&head);
        }
        let hit = current.hit;
        let in_vain = failure == Failure::TimedOut && !hit;
        let why = words(&failure);
        match current.route.failed(session, failure, seen, now_ms, rng) {
            Next::Wait(route) => {
                wanted.current = Some(Current { route, ..current });
                Outcome::Nothing
            }
            Next::Retry(route, request) => {
                wanted.count(hit, why);
                wanted.follow(route, &request, now_ms);
                self.by_session.insert(request.session, number);
                if in_vain { Outcome::WaitedInVain(number) } else { Outcome::Ask(request) }
            }
            Next::GiveUp(given_up) => {
                wanted.count(hit, why);
                Outcome::Over(number, Ended::GivenUp(given_up))
            }
        }
    }

    /// Forgets a request that is over.
    pub fn close(&mut self, number: u64) -> Option<Wanted> {
        self.by_session.retain(|_, other| *other != number);
        self.wanted.remove(&number)
    }

    fn signed(&mut self, from: &SignerId, session: &Digest, signatures: Vec<RawSignature>) -> Outcome {
        let Some(number) = self.by_session.get(session).copied() else { return Outcome::Nothing };
        let Some(wanted) = self.wanted.get_mut(&number) else { return Outcome::Nothing };
        if let Err(reason) = wanted.check(&signatures) {
            return Outcome::BadSignature(number, from.clone(), reason);
        }
        let Some(current) = wanted.current.take() else { return Outcome::Nothing };
        match current.route.accept(session, signatures) {
            Ok(accepted) => {
                let (tries, fallbacks) = (accepted.tries, accepted.fallbacks);
                Outcome::Over(number, Ended::Signed { tries, fallbacks })
            }
            Err(route) => {
                wanted.current = Some(Current { route, ..current });
                Outcome::Nothing
            }
        }
    }

    fn current_of(&mut self, session: &Digest) -> Option<&mut Current> {
        let number = self.by_session.get(session)?;
        let current = self.wanted.get_mut(number)?.current.as_mut()?;
        (current.session == *session).then_some(current)
    }
}

impl Wanted {
    fn follow(&mut self, route: Route, request: &SessionRequest, now_ms: u64) {
        self.current = Some(Current {
            route,
            session: request.session,
            signers: request.signers.clone(),
            until_ms: now_ms + SESSION_MS,
            hit: false,
        });
    }

    fn count(&mut self, hit: bool, why: String) {
        if hit {
            self.hits += 1;
            self.unexplained.clear();
        } else {
            self.unexplained.push(why);
            if self.unexplained.len() > self.unexplained_most.len() {
                self.unexplained_most.clone_from(&self.unexplained);
            }
        }
    }

    /// Checks signatures from the transaction alone, under the key that the wallet always had.
    fn check(&self, signatures: &[RawSignature]) -> Result<(), String> {
        let signature = |raw: &RawSignature| match self.wallet.chain.scheme() {
            Scheme::Ecdsa => perennial_chain::Signature::Ecdsa {
                r_and_s: raw.bytes,
                recovery_id: raw.recovery_id.unwrap_or(u8::MAX),
            },
            Scheme::Taproot => perennial_chain::Signature::Taproot(raw.bytes),
            Scheme::Ed25519 => perennial_chain::Signature::Ed25519(raw.bytes),
            Scheme::Transparent => perennial_chain::Signature::Transparent(raw.bytes),
        };
        let signatures: Vec<_> = signatures.iter().map(signature).collect();
        let transaction =
            perennial_chain::parse(self.wallet.chain, &self.transaction).map_err(|e| e.to_string())?;
        perennial_chain::verify(&self.wallet, &self.key, &self.path, &transaction, &signatures)
            .map_err(|e| e.to_string())
    }
}

fn words(failure: &Failure) -> String {
    match failure {
        Failure::Reported { by, reason, .. } => format!("{by} says {reason}"),
        Failure::TimedOut => "it ran out of time".into(),
        Failure::DoesNotVerify => "its signature does not verify".into(),
    }
}
