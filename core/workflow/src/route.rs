//! The route of one signing request: which epoch and which signers are asked, and what is tried next.
//!
//! The newest activated epoch comes first, as soon as enough of its holders are known to serve it: a request never
//! waits for a signer that has not come to an Activation yet. Inside an overlap a failure under it is tried again
//! under its parent, then under other signers. A route gives up at most one signature: accepting takes the route away.
//!
//! ```
//! # use perennial_model::{encoding::Digest, signature::RawSignature};
//! # use perennial_workflow::route::{Accepted, Route};
//! fn release(route: Route, session: Digest, made: Vec<RawSignature>) -> Option<Accepted> {
//!     route.accept(&session, made).ok()
//! }
//! ```
//!
//! A second signature for the same request does not compile:
//!
//! ```compile_fail,E0382
//! # use perennial_model::{encoding::Digest, signature::RawSignature};
//! # use perennial_workflow::route::{Accepted, Route};
//! fn release(route: Route, session: Digest, made: Vec<RawSignature>) -> Option<Accepted> {
//!     route.accept(&session, made.clone()).ok();
//!     route.accept(&session, made).ok()
//! }
//! ```

use crate::wallets::{Head, Served};
use perennial_model::certificate::Certificate;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::derivation::Path;
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::session::{Blame, Purpose, SessionRequest};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::WalletId;
use rand_core::CryptoRng;
use std::sync::Arc;

/// The most sessions that one request begins.
pub const TRIES_MAX: u32 = 6;

/// What is to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The unsigned transaction in the form of its chain.
    pub transaction: Bytes,
    /// Which derived key signs.
    pub path: Path,
}

/// How a session failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A signer reported that it will not go on.
    Reported {
        /// Who.
        by: SignerId,
        /// Whom it blames.
        blame: Blame,
        /// Why, in its words.
        reason: String,
    },
    /// Its time is over.
    TimedOut,
    /// The combiner posted a signature that does not verify.
    DoesNotVerify,
}

/// What comes after a failure.
#[derive(Debug)]
pub enum Next {
    /// Begin this session.
    Retry(Route, Box<SessionRequest>),
    /// The failure was of a session that is no longer waited for.
    Wait(Route),
    /// The request has failed for good.
    GiveUp(GivenUp),
}

/// Why a request has failed for good.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why} (after {tries} sessions)")]
pub struct GivenUp {
    /// The last word.
    pub why: WhyGivenUp,
    /// How many sessions were begun.
    pub tries: u32,
    /// How many of them were under the parent after a failure under the new epoch.
    pub fallbacks: u32,
}

/// The kinds of final failure.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WhyGivenUp {
    /// Policy or approval forbids it.
    #[error("denied by {by}: {reason}")]
    Denied {
        /// Who says so.
        by: SignerId,
        /// Its words.
        reason: String,
    },
    /// The request itself cannot be read.
    #[error("{by} cannot read the request: {reason}")]
    Unreadable {
        /// Who says so.
        by: SignerId,
        /// Its words.
        reason: String,
    },
    /// Every try failed; the last one so.
    #[error("no group of signers made a signature; last: {0}")]
    NoMoreTries(String),
}

/// A released signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// One signature per item of the transaction.
    pub signatures: Vec<RawSignature>,
    /// The session that made it.
    pub session: Digest,
    /// Under which epoch.
    pub epoch: Epoch,
    /// Its transcript digest `T`.
    pub transcript: Digest,
    /// By whom.
    pub signers: Vec<SignerId>,
    /// How many sessions were begun.
    pub tries: u32,
    /// How many of them were under the parent after a failure under the new epoch.
    pub fallbacks: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    epoch: Epoch,
    transcript: Digest,
    committee: Committee,
    holders: Vec<SignerId>,
    /// Holders that are known to serve it.
    serving: Vec<SignerId>,
    activation: Option<Arc<Certificate>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Try {
    session: Digest,
    target: usize,
    signers: Vec<SignerId>,
}

/// One signing request on its way. It cannot be cloned: two copies could release two signatures.
#[derive(Debug)]
pub struct Route {
    wallet: WalletId,
    order: Order,
    /// Everything that was served since the request came.
    targets: Vec<Target>,
    /// What is served now, the newest first, as places among the targets.
    served: Vec<usize>,
    tries: Vec<Try>,
    doubts: Vec<SignerId>,
    fallbacks: u32,
}

impl Route {
    /// Chooses epoch and signers. `seen` are the signers that were heard of lately.
    pub fn begin(
        head: &Head<'_>,
        order: Order,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut dyn CryptoRng,
    ) -> (Self, SessionRequest) {
        let mut route = Self {
            wallet: head.wallet().id.clone(),
            order,
            targets: Vec::new(),
            served: Vec::new(),
            tries: Vec::new(),
            doubts: Vec::new(),
            fallbacks: 0,
        };
        route.catch_up(head);
        let first = route.first(seen);
        let request = route.begin_session(first, seen, now_ms, rng);
        (route, request)
    }

    /// Takes over which epochs are served now. To be called before [`Route::failed`]: a ceremony may have activated
    /// a new epoch since the request came, and retired the one that it was asked under.
    pub fn catch_up(&mut self, head: &Head<'_>) {
        self.served = head
            .served()
            .map(|served| {
                let target = Target::of(served);
                let same =
                    |known: &Target| known.transcript == target.transcript && known.epoch == target.epoch;
                match self.targets.iter().position(same) {
                    Some(place) => {
                        self.targets[place] = target;
                        place
                    }
                    None => {
                        self.targets.push(target);
                        self.targets.len() - 1
                    }
                }
            })
            .collect();
    }

    /// The session that is waited for now.
    pub fn session(&self) -> Option<&Digest> {
        self.tries.last().map(|tried| &tried.session)
    }

    /// What to do after a session failed.
    pub fn failed(
        mut self,
        session: &Digest,
        failure: Failure,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut dyn CryptoRng,
    ) -> Next {
        let Some(last) = self.tries.last().filter(|tried| tried.session == *session) else {
            return Next::Wait(self);
        };
        let part = match &failure {
            Failure::Reported { by, .. } => last.signers.contains(by),
            Failure::TimedOut | Failure::DoesNotVerify => true,
        };
        if !part {
            return Next::Wait(self);
        }
        let (target, signers) = (last.target, last.signers.clone());
        let why = match failure {
            Failure::Reported { by, blame: Blame::Denied, reason } => {
                return self.give_up(WhyGivenUp::Denied { by, reason });
            }
            Failure::Reported { by, blame: Blame::Asker, reason } => {
                return self.give_up(WhyGivenUp::Unreadable { by, reason });
            }
            Failure::Reported { by, blame: Blame::Signer(culprit), reason } => {
                // Either of the two is faulty; who, others cannot tell.
                self.doubts.extend([culprit, by.clone()]);
                format!("{by}: {reason}")
            }
            Failure::Reported { by, blame: Blame::Stale | Blame::Bug, reason } => {
                self.doubts.push(by.clone());
                format!("{by}: {reason}")
            }
            Failure::TimedOut => {
                self.doubts.extend(signers);
                "the session ran out of time".to_owned()
            }
            Failure::DoesNotVerify => {
                self.doubts.extend(signers.into_iter().take(1));
                "the signature does not verify".to_owned()
            }
        };
        if self.tries.len() as u32 >= TRIES_MAX {
            return self.give_up(WhyGivenUp::NoMoreTries(why));
        }
        let next = self.after(target);
        if self.targets[next].epoch < self.targets[target].epoch {
            self.fallbacks += 1;
        }
        let request = self.begin_session(next, seen, now_ms, rng);
        Next::Retry(self, Box::new(request))
    }

    /// Takes the signatures of one of this request's sessions, once they have been verified. Whatever comes later
    /// finds no route any more.
    ///
    /// # Errors
    /// Gives the route back when the session is none of its own.
    #[allow(clippy::result_large_err)]
    pub fn accept(self, session: &Digest, signatures: Vec<RawSignature>) -> Result<Accepted, Self> {
        let Some(at) = self.tries.iter().position(|tried| tried.session == *session) else {
            return Err(self);
        };
        let tries = self.tries.len() as u32;
        let made = &self.tries[at];
        let target = &self.targets[made.target];
        Ok(Accepted {
            signatures,
            session: made.session,
            epoch: target.epoch,
            transcript: target.transcript,
            signers: made.signers.clone(),
            tries,
            fallbacks: self.fallbacks,
        })
    }

    /// What is tried first: the newest that enough signers serve who were heard of lately; else the newest that
    /// enough serve at all; else the newest.
    fn first(&self, seen: &[SignerId]) -> usize {
        let is_served_by = |place: &&usize, count: &dyn Fn(&SignerId) -> bool| {
            let target = &self.targets[**place];
            let serving = target.serving.iter().filter(|signer| count(signer)).count();
            serving >= usize::from(target.committee.threshold())
        };
        let lately = self.served.iter().find(|place| is_served_by(place, &|signer| seen.contains(signer)));
        let ever = || self.served.iter().find(|place| is_served_by(place, &|_| true));
        lately.or_else(ever).or(self.served.first()).copied().unwrap_or_default()
    }

    /// What is tried after a failure under a target: of the others that are served now one that was not tried, the
    /// newest of these; else the one that was tried longest ago. So what has failed does not come again before something
    /// that a ceremony has put in place meanwhile, and the one that all holders keep has its turn among any three.
    fn after(&self, target: usize) -> usize {
        let last = |place: &&usize| self.tries.iter().rposition(|tried| tried.target == **place);
        let others = self.served.iter().filter(|place| **place != target);
        others.min_by_key(last).or(self.served.first()).copied().unwrap_or(target)
    }

    fn begin_session(
        &mut self,
        target: usize,
        seen: &[SignerId],
        now_ms: u64,
        rng: &mut dyn CryptoRng,
    ) -> SessionRequest {
        let signers = self.choose(&self.targets[target], seen, rng);
        let session = new_session_name(rng);
        let chosen = &self.targets[target];
        let request = SessionRequest {
            session,
            asked_at_ms: now_ms,
            signers: signers.clone(),
            purpose: Purpose::Transaction {
                wallet: self.wallet.clone(),
                epoch: chosen.epoch,
                transcript: chosen.transcript,
                transaction: self.order.transaction.clone(),
                path: self.order.path.clone(),
                activation: chosen.activation.as_ref().map(|certificate| Box::new((**certificate).clone())),
            },
        };
        self.tries.push(Try { session, target, signers });
        request
    }

    /// Exactly `t` holders by rising seat: the least doubted, those seen lately first, those first that are known to
    /// serve the epoch, else by lot.
    fn choose(&self, target: &Target, seen: &[SignerId], rng: &mut dyn CryptoRng) -> Vec<SignerId> {
        let mut candidates: Vec<(usize, bool, bool, u64, &SignerId)> = target
            .holders
            .iter()
            .map(|holder| {
                let doubts = self.doubts.iter().filter(|doubted| *doubted == holder).count();
                (doubts, !seen.contains(holder), !target.serving.contains(holder), rng.next_u64(), holder)
            })
            .collect();
        candidates.sort();
        candidates.truncate(usize::from(target.committee.threshold()));
        let chosen: Vec<&SignerId> = candidates.into_iter().map(|(.., holder)| holder).collect();
        target.committee.signers().filter(|signer| chosen.contains(signer)).cloned().collect()
    }

    fn give_up(self, why: WhyGivenUp) -> Next {
        Next::GiveUp(GivenUp { why, tries: self.tries.len() as u32, fallbacks: self.fallbacks })
    }
}

impl Target {
    fn of(served: &Served<'_>) -> Self {
        let holders = &served.standing.generation.inputs.holders;
        Self {
            serving: holders.iter().filter(|holder| served.standing.is_held_by(holder)).cloned().collect(),
            epoch: served.share_set.epoch,
            transcript: served.share_set.transcript,
            committee: served.share_set.committee.clone(),
            holders: holders.clone(),
            activation: served.activation_to_bring().cloned(),
        }
    }
}

/// A random name for a session.
pub(crate) fn new_session_name(rng: &mut dyn CryptoRng) -> Digest {
    let mut name = [0; 32];
    rng.fill_bytes(&mut name);
    Digest(name)
}

#[cfg(test)]
mod tests;
