//! The loop: replies and people's decisions in, facts into the journal, requests out.
//!
//! [`Driver::settle`] is the only place where anything becomes durable or leaves: it turns what was received into
//! facts, appends them together, and only then asks. It looks at what is, on boot and on every tick, and never
//! waits for an event that it might have missed.

mod asking;
mod boot;
mod decrees;
mod governing;
mod hearing;
mod performing;
mod probing;
mod recording;
mod relay;
#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod thefts;

pub use boot::BootError;
pub use decrees::MandateState;
pub use relay::relay;

use crate::ceremony::batch::{Ceremony, CeremonyFact};
use crate::ceremony::status::{CeremonyStatus, Count, Stage};
use crate::journal::{Batch, Journal, Note};
use crate::thefts::Tenure;
use crate::wallets::{HeadChange, Heads};
use asking::Desk;
use decrees::Decrees;
use governing::Governed;
use perennial_model::Error;
use perennial_model::approval::{Approval, check_approval};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::History;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::{CHUNK_WALLETS_MAX, Chunk, Plan, PlannedWallet};
use perennial_model::session::SESSION_MS_MAX;
use perennial_model::wallet::{Scheme, WalletId};
use probing::Bench;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use thefts::Thefts;

/// What the loop needs of the world.
pub trait World {
    /// The time, in milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// Chance.
    fn rng(&mut self) -> &mut dyn CryptoRng;
    /// Sends one request to several signers. It may be lost, late or doubled.
    fn ask(&mut self, signers: &[SignerId], request: &Request);
}

/// What may be set without changing what is safe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// The most wallets in a chunk, up to [`CHUNK_WALLETS_MAX`].
    pub chunk_wallets: u32,
    /// The most attempts of one ceremony before their Activation at a time.
    pub attempts_in_flight: usize,
    /// The most probe sessions at a time.
    pub sessions_in_flight: usize,
    /// How long a probe session is waited for, in milliseconds.
    pub session_ms: u64,
    /// How long a silent member is waited for when enough others have opened, in milliseconds.
    pub opening_patience_ms: u64,
    /// How long a signer that gives no sign of life is waited for before an attempt is left, in milliseconds.
    pub patience_ms: u64,
    /// How long one is waited for that gives signs of life and does not answer, in milliseconds.
    pub busy_patience_ms: u64,
    /// After how long a silent signer is asked for the second time, in milliseconds; it doubles from there.
    pub ask_again_ms: u64,
    /// The longest time between two asks, in milliseconds.
    pub ask_again_max_ms: u64,
    /// How often mandates are looked at, in milliseconds.
    pub schedule_ms: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            chunk_wallets: CHUNK_WALLETS_MAX,
            attempts_in_flight: 64,
            sessions_in_flight: 8,
            session_ms: SESSION_MS_MAX,
            opening_patience_ms: 5_000,
            patience_ms: 30_000,
            busy_patience_ms: 300_000,
            ask_again_ms: 1_000,
            ask_again_max_ms: 10_000,
            schedule_ms: 10_000,
        }
    }
}

/// What one turn of the loop came to. Everything in it is durable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    /// What the journal was told for the ledger.
    pub notes: Vec<Note>,
    /// What changed about wallets, for other copies of [`Heads`].
    pub changes: Vec<HeadChange>,
    /// Replies that were not believed: who sent them, and why not.
    pub objections: Vec<(SignerId, Error)>,
}

/// The coordinator's loop.
#[derive(Debug)]
pub struct Driver<J, W> {
    journal: J,
    world: W,
    history: Arc<History>,
    governed: Governed,
    decrees: Decrees,
    thefts: Thefts,
    tuning: Tuning,
    open: BTreeMap<Digest, Ceremony>,
    closed: BTreeMap<Digest, Closed>,
    heads: Heads,
    inbox: VecDeque<(SignerId, Reply)>,
    batch: Batch,
    settled: Settled,
    chunks_to_see: BTreeSet<Chunk>,
    ceremonies_to_see: BTreeSet<Digest>,
    desk: Desk,
    bench: Bench,
    now_ms: u64,
}

#[derive(Debug)]
struct Closed {
    status: CeremonyStatus,
    has_generations: bool,
    tenures: Vec<Tenure>,
}

impl<J: Journal, W: World> Driver<J, W> {
    /// Takes in a plan for which people will be asked. The same plan again is the same ceremony.
    ///
    /// # Errors
    /// `Denied` when the plan breaks a rule, `Stale` when it names a share set that is no longer in use.
    pub fn submit(&mut self, plan: Plan) -> Result<Digest, Error> {
        let digest = plan.digest();
        if self.open.contains_key(&digest) {
            return Ok(digest);
        }
        if self.closed.contains_key(&digest) {
            return Err(Error::denied(format!("plan {} was used; a plan is used once", digest.short())));
        }
        self.now_ms = self.world.now_ms();
        if plan.mandate.is_some() {
            return Err(Error::denied("plans under a mandate are made when they are due, not submitted"));
        }
        self.history.check_in_force(&plan.governance)?;
        plan.check(self.history.newest())?;
        if plan.expiry_ms < self.now_ms {
            return Err(Error::denied(format!("plan {} has expired", digest.short())));
        }
        self.check_wallets(&plan)?;
        self.record(digest, CeremonyFact::Submitted(Box::new(plan)));
        Ok(digest)
    }

    /// Takes in one person's approval, and says how many there are of how many.
    ///
    /// # Errors
    /// `Denied` when it does not count, `Stale` when no approval is awaited.
    pub fn approve(&mut self, ceremony: &Digest, approval: Approval) -> Result<Count, Error> {
        self.now_ms = self.world.now_ms();
        let known = self.open.get(ceremony).ok_or_else(|| unknown(ceremony))?;
        if known.submitted.approvals.iter().any(|counted| counted.person == approval.person) {
            return Ok(known.approvals());
        }
        if known.stage != Stage::AwaitingApproval {
            return Err(Error::stale(format!("ceremony {} is {}", ceremony.short(), known.stage)));
        }
        if known.plan().expiry_ms < self.now_ms {
            return Err(Error::denied(format!("plan {} has expired", ceremony.short())));
        }
        let governance = self.history.find(&known.plan().governance)?;
        check_approval(&known.plan().question(), ceremony, &approval, governance)?;
        self.record(*ceremony, CeremonyFact::Approved(approval));
        self.open.get(ceremony).map(Ceremony::approvals).ok_or_else(|| unknown(ceremony))
    }

    /// Takes in a reply; [`Driver::settle`] acts on it. `from` is whom the transport has authenticated.
    pub fn receive(&mut self, from: &SignerId, reply: Reply) {
        self.inbox.push_back((from.clone(), reply));
    }

    /// Has the next [`Driver::settle`] look at everything. To be called about once a second, and at
    /// [`Driver::wake_at_ms`].
    pub fn tick(&mut self) {
        self.governed.is_due = true;
        self.look_at_everything();
    }

    /// A signer gave a sign of life, whatever it said: it fetches its mail, say. Who works on something for long is
    /// not taken for gone then.
    pub fn seen(&mut self, signer: &SignerId, at_ms: u64) {
        self.desk.seen(signer, at_ms);
    }

    /// Turns what was received into facts, appends them, and asks.
    ///
    /// # Errors
    /// When the journal fails. Nothing has left; the process has to end and boot anew.
    pub fn settle(&mut self) -> Result<Settled, J::Error> {
        self.now_ms = self.world.now_ms();
        while let Some((from, reply)) = self.inbox.pop_front() {
            self.hear(from, reply);
        }
        self.bench_time_out();
        self.begin_what_is_due();
        let seen = self.see_to_everything();
        if !self.batch.is_empty() {
            self.journal.append(&self.batch)?;
            self.settled.notes = std::mem::take(&mut self.batch).notes;
        }
        self.ask_governance();
        self.ask_orders();
        self.ask_about(&seen);
        self.begin_probes();
        Ok(std::mem::take(&mut self.settled))
    }

    /// Where a ceremony is, open or over.
    pub fn status(&self, ceremony: &Digest) -> Option<CeremonyStatus> {
        match self.open.get(ceremony) {
            Some(open) => {
                let mut status = open.status();
                self.desk.add_declined(&mut status);
                Some(status)
            }
            None => self.closed.get(ceremony).map(|closed| closed.status.clone()),
        }
    }

    /// Every ceremony, open or over, by digest.
    pub fn ceremonies(&self) -> Vec<Digest> {
        let mut all: Vec<Digest> = self.open.keys().chain(self.closed.keys()).copied().collect();
        all.sort_unstable();
        all
    }

    /// A ceremony that is not over.
    pub fn ceremony(&self, ceremony: &Digest) -> Option<&Ceremony> {
        self.open.get(ceremony)
    }

    /// What is known of wallets.
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// The journal.
    pub fn journal(&self) -> &J {
        &self.journal
    }

    /// The world.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// The world, to be changed from outside the loop.
    pub fn world_mut(&mut self) -> &mut W {
        &mut self.world
    }

    /// Ends the loop and gives journal and world back.
    pub fn into_parts(self) -> (J, W) {
        (self.journal, self.world)
    }
}

impl<J, W> Driver<J, W> {
    /// What only someone who knows the wallets can check of a plan.
    fn check_wallets(&self, plan: &Plan) -> Result<(), Error> {
        let making: BTreeSet<_> = self
            .open
            .values()
            .flat_map(|ceremony| &ceremony.plan().wallets)
            .filter(|wallet| wallet.parent().is_none())
            .map(PlannedWallet::id)
            .collect();
        self.check_bases(plan)?;
        for wallet in &plan.wallets {
            let id = wallet.id();
            match wallet {
                PlannedWallet::New(_) if self.heads.is_taken(id) || making.contains(id) => {
                    return Err(Error::denied(format!("the name {id} is taken")));
                }
                PlannedWallet::New(_) => {}
                PlannedWallet::Held(_, parent) => {
                    let head = self.heads.get(id).ok_or_else(|| Error::denied(format!("no wallet {id}")))?;
                    let known = self.heads.share_set(id, parent);
                    known.ok_or_else(|| {
                        let short = parent.short();
                        Error::stale(format!("share set {short} of {id} is not in use: make the plan anew"))
                    })?;
                    let present = head.present.share_set.epoch;
                    let first = Epoch::new(plan.rank, *plan.counts().start());
                    if first <= present {
                        let reason = format!("epoch {first} is not above {id}'s epoch {present}");
                        return Err(Error::denied(reason));
                    }
                }
            }
        }
        Ok(())
    }

    fn look_at_everything(&mut self) {
        for (digest, ceremony) in &self.open {
            self.ceremonies_to_see.insert(*digest);
            self.chunks_to_see
                .extend(ceremony.attempts.values().filter(|a| !a.is_over()).map(|a| a.terms.chunk));
        }
    }

    /// Refuses a refresh that leaves out an ECDSA wallet of an open one that it overlaps, or that names more and is not
    /// above it: retired first, the other would put a wallet on pair bases that this one erases.
    fn check_bases(&self, plan: &Plan) -> Result<(), Error> {
        let on_bases = |plan: &Plan| -> BTreeSet<WalletId> {
            let is_ecdsa = |id: &&WalletId| {
                self.heads.get(id).is_some_and(|head| head.wallet().chain.scheme() == Scheme::Ecdsa)
            };
            let held = plan.wallets.iter().filter(|wallet| wallet.parent().is_some());
            held.map(PlannedWallet::id).filter(is_ecdsa).cloned().collect()
        };
        let named = on_bases(plan);
        if named.is_empty() {
            return Ok(());
        }
        for (digest, open) in &self.open {
            let others = on_bases(open.plan());
            let left_out = others.difference(&named).next().filter(|_| !others.is_disjoint(&named));
            if let Some(wallet) = left_out {
                let short = digest.short();
                return Err(Error::denied(format!(
                    "it leaves out {wallet}, which ceremony {short} renews together with wallets that it names: name \
                     {wallet} too, or wait until {short} is over"
                )));
            }
            if !others.is_disjoint(&named) && others != named && plan.rank <= open.plan().rank {
                let (short, rank) = (digest.short(), open.plan().rank);
                return Err(Error::denied(format!(
                    "ceremony {short} renews some of its ECDSA wallets under rank {rank}: take a rank above that"
                )));
            }
        }
        Ok(())
    }
}

fn unknown(ceremony: &Digest) -> Error {
    Error::denied(format!("no ceremony {}", ceremony.short()))
}
