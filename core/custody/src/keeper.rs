//! HEART 1: one signer's decisions about its shares.
//!
//! The keeper takes a checked request and its own records, and decides: open, deal, prepare, activate, keep,
//! erase, or decline. It trusts nothing but what is pinned. Every request may come again or late; what was
//! answered once is answered again with the same bytes. The steps are in `ceremony/`, in their order.
//!
//! Rules it never breaks (protocol invariants I2, I5, I7, I8): a number at or below its floor is never opened,
//! dealt or prepared; no number is opened twice; one transcript per number; nothing is erased but under a
//! Retirement above it, or a candidate that was not activated by its date.

use crate::begun::Begun;
use crate::ceremony::pairs::Pairs;
use crate::exposure::{self, Undead};
use crate::inbox::{self, About, Checked, FindPlan};
use crate::keyslots::{Cabinet, SlotIndex, WrappingKey};
use crate::orders;
use crate::pinned::Pinned;
use crate::record::{ChunkRecord, ChunkState, DealingRecord, HeldEpoch, WalletRecord, wallet_key};
use crate::serving::{Attempt, Change, ServedEpoch};
use crate::sessions::Sessions;
use crate::store::{Store, StoreFailed, Table};
use crate::turn::{Draft, Effect, Turn};
use crate::witness::Witness;
use perennial_model::approval::{Approved, ApprovedPlan};
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::dealing::Dealing;
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::identity::{Sign, Signed};
use perennial_model::mail::{Reply, Request};
use perennial_model::order::Orders;
use perennial_model::plan::Chunk;
use perennial_model::planted;
use perennial_model::session::{Blame, SessionOutcome, SessionReport};
use perennial_model::transcript::Transcript;
use perennial_model::wallet::WalletId;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Who this signer is: its identity key, the key of its slots, and what it trusts.
#[derive(Clone)]
pub struct Own {
    /// Signs its statements.
    pub identity: Arc<dyn Sign + Send + Sync>,
    /// Wraps the keys in its slots.
    pub wrapping: Arc<WrappingKey>,
    /// What it trusts.
    pub pinned: Arc<Pinned>,
}

/// One signer's state: all that it has decided and not yet erased.
pub struct Keeper {
    pub(crate) own: Own,
    pub(crate) cabinet: Cabinet,
    pub(crate) plans: BTreeMap<Digest, Arc<Approved>>,
    pub(crate) latest_plans: VecDeque<Digest>,
    pub(crate) wallets: HashMap<WalletId, WalletRecord>,
    pub(crate) chunks: BTreeMap<Chunk, ChunkRecord>,
    pub(crate) chunks_of: HashMap<WalletId, BTreeSet<Chunk>>,
    pub(crate) dealings: BTreeMap<Chunk, Signed<Dealing>>,
    pub(crate) transcripts: BTreeMap<Chunk, Arc<Transcript>>,
    pub(crate) pairs: Pairs,
    pub(crate) probes: Sessions,
    pub(crate) begun: Begun,
    pub(crate) witness: Witness,
    pub(crate) orders: Orders,
    damaged: Vec<(WalletId, Epoch)>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Keeper({}, {} wallets, {} chunks)",
            self.own.pinned.me(),
            self.wallets.len(),
            self.chunks.len()
        )
    }
}

/// Why a signer cannot start from what is on its disk.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailed {
    /// The disk does not answer.
    #[error(transparent)]
    Store(#[from] StoreFailed),
    /// The records are not this signer's, or are damaged.
    #[error("this store cannot be used: {0}; give the signer its own directory, or enrol it anew")]
    Records(Error),
}

impl FindPlan for Keeper {
    fn plan(&self, digest: &Digest) -> Option<Arc<Approved>> {
        self.plans.get(digest).cloned()
    }
}

impl Keeper {
    /// Takes up what is on disk. The first turn finishes what a crash cut short and publishes what is served.
    ///
    /// # Errors
    /// [`LoadFailed`] when the disk fails or the store is another signer's.
    pub fn load(own: Own, now_ms: u64, store: &mut dyn Store) -> Result<Turn, LoadFailed> {
        let cabinet = Cabinet::new(own.wrapping.clone(), store.all_slots()?);
        let mut keeper = Self {
            own,
            cabinet,
            plans: BTreeMap::new(),
            latest_plans: VecDeque::new(),
            wallets: HashMap::new(),
            chunks: BTreeMap::new(),
            chunks_of: HashMap::new(),
            dealings: BTreeMap::new(),
            transcripts: BTreeMap::new(),
            pairs: Pairs::default(),
            probes: Sessions::default(),
            begun: Begun::read(store)?,
            witness: Witness::read(store)?,
            orders: orders::read(store)?,
            damaged: Vec::new(),
        };
        let governances = keeper.read_governance(store)?;
        keeper.read(store)?;
        let mut draft = keeper.resume(now_ms).map_err(LoadFailed::Records)?;
        keeper.resume_governance(&governances, &mut draft);
        Ok(Turn::new(keeper, draft))
    }

    /// Decides on one checked request.
    pub fn handle(mut self, now_ms: u64, rng: &mut dyn CryptoRng, checked: Checked) -> Turn {
        let about = about(&checked);
        let mut draft = Draft::default();
        if let Err(error) = self.decide(now_ms, rng, checked, &mut draft) {
            draft = Draft { mail: vec![decline(about, &error)], ..Draft::default() };
        }
        Turn::new(self, draft)
    }

    /// Takes an Activation that came with a signing request, through the same door as mail. Whoever waits for it at
    /// the desk is told if it makes this signer serve nothing new.
    pub fn learn(self, now_ms: u64, rng: &mut dyn CryptoRng, activation: Certificate) -> Turn {
        let chunk = activation.inputs.chunk;
        let bytes = encoding::encode(&Request::Activate(Box::new(activation)));
        match inbox::open(&bytes, &self.own.pinned.clone(), &self) {
            Ok(checked) => {
                let turn = self.handle(now_ms, rng, checked);
                if turn.keeper().serves(&chunk) { turn } else { turn.telling(Change::NotServed(chunk)) }
            }
            Err(rejected) => {
                let mail = vec![decline(rejected.about, &rejected.error)];
                Turn::new(self, Draft { mail, ..Draft::default() }).telling(Change::NotServed(chunk))
            }
        }
    }

    fn serves(&self, chunk: &Chunk) -> bool {
        self.chunks.get(chunk).is_some_and(|record| record.state.is_served())
    }

    /// Does what is due by the clock alone: votes Keep when an overlap is over, drops candidates past their
    /// date, ends old probe sessions.
    pub fn tick(mut self, now_ms: u64) -> Turn {
        let mut draft = Draft::default();
        draft.mail.extend(self.probes.expire(now_ms).into_iter().map(Reply::Session));
        if self.witness.halted().is_some() {
            return Turn::new(self, draft);
        }
        self.keep_all_due(now_ms, &mut draft);
        self.drop_candidates(now_ms, &mut draft);
        Turn::new(self, draft)
    }

    /// Takes over a ban that the signing desk has made durable: the bases with that counterparty are erased, for
    /// all wallets. Safe to call again.
    pub fn exclude(mut self, counterparty: &SignerId) -> Turn {
        let mut draft = Draft::default();
        if !self.pairs.is_banned(counterparty) {
            self.ban(counterparty, "a consistency check of a signing session failed", &mut draft);
        }
        Turn::new(self, draft)
    }

    /// One step of the protocol. On an error nothing has changed.
    fn decide(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        checked: Checked,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        // Whoever has halted still learns what people decide: else nobody could readmit it after they changed governance.
        if !matches!(checked, Checked::Checkpoint(..) | Checked::Order(..) | Checked::Governance(..)) {
            self.witness.check()?;
        }
        match checked {
            Checked::Plan(approved, document) => self.take_plan(now_ms, *approved, &document, draft),
            Checked::Governance(next) => self.take_governance(*next, draft),
            Checked::Order(order) => self.take_order(now_ms, *order, draft),
            Checked::Open(chunk, parents) => self.open(now_ms, rng, chunk, parents, draft),
            Checked::Commit(inputs, openings) => self.commit(now_ms, rng, &inputs, &openings, draft),
            Checked::Deal(inputs, commitments) => self.deal(now_ms, &inputs, &commitments, draft),
            Checked::Verify(dealings) => self.verify(now_ms, rng, *dealings, draft),
            Checked::PairingMail(said) => self.pairing_mail(now_ms, rng, said, draft),
            Checked::Session(request) => self.probe(now_ms, rng, *request, draft),
            Checked::SessionMail(said) => self.probe_mail(now_ms, rng, said, draft),
            Checked::Activate(confirmed) => self.activate(now_ms, rng, *confirmed, draft),
            Checked::Keep(chunk) => self.keep(now_ms, &chunk, draft),
            Checked::Retire(confirmed) => self.retire(now_ms, *confirmed, draft),
            Checked::Checkpoint(offer, proof) => self.checkpoint(now_ms, *offer, &proof, draft),
        }
    }

    /// Why this signer signs nothing and votes nothing; none while it works.
    pub fn halted(&self) -> Option<&Arc<str>> {
        self.witness.halted()
    }

    /// What this signer may be asked about itself: its chunks and their states.
    pub fn chunks(&self) -> impl Iterator<Item = (&Chunk, &ChunkRecord)> {
        self.chunks.iter()
    }

    /// The wallets that this signer holds anything of.
    pub fn wallets(&self) -> impl Iterator<Item = (&WalletId, &WalletRecord)> {
        self.wallets.iter()
    }

    /// What this signer holds for longest below what it signs under; none if there is nothing. It looks at every wallet.
    pub fn oldest_undead(&self) -> Option<Undead> {
        exposure::oldest(self.wallets.values(), |chunk| self.chunks.get(chunk))
    }

    /// Shares that did not open when this signer started: their slots are damaged. The wallets' next refresh
    /// replaces them.
    pub fn damaged(&self) -> &[(WalletId, Epoch)] {
        &self.damaged
    }

    /// Pair bases that did not open when this signer started, with the epoch that they were made for: their slots are
    /// damaged. Nothing is signed with that counterparty under that epoch until the wallets' next refresh.
    pub fn damaged_bases(&self) -> &[(SignerId, Epoch)] {
        self.pairs.damaged()
    }

    /// This signer.
    pub fn own(&self) -> &Own {
        &self.own
    }

    pub(crate) fn known_plan(&self, digest: &Digest) -> Result<Arc<Approved>, Error> {
        self.plans.get(digest).cloned().ok_or_else(|| crate::inbox::unknown_plan(digest))
    }

    /// The plan of a chunk, as long as an Activation may still come.
    pub(crate) fn plan_in_time(&self, now_ms: u64, chunk: &Chunk) -> Result<Arc<Approved>, Error> {
        let approved = self.known_plan(&chunk.plan)?;
        self.check_in_force(&approved)?;
        self.check_not_cancelled(&approved)?;
        if now_ms > approved.plan().activation_deadline_ms && !planted!(DatesUnchecked) {
            return Err(Error::denied(format!("{chunk}: the date that gates Activation is past")));
        }
        Ok(approved)
    }

    /// Refuses a number that is not above what this signer has prepared, or seen Activated or Retired.
    pub(crate) fn check_floor(&self, wallet: &WalletId, epoch: Epoch) -> Result<(), Error> {
        match self.wallets.get(wallet) {
            Some(record) if epoch <= record.floor && !planted!(NoEpochFloor) => Err(Error::stale(format!(
                "{wallet}: epoch {epoch} is not above {}, the highest seen here",
                record.floor
            ))),
            _ => Ok(()),
        }
    }

    /// Keeps a chunk's record and the index from wallets to chunks.
    pub(crate) fn insert_chunk(&mut self, chunk: Chunk, record: ChunkRecord) {
        for wallet in &record.wallets {
            self.chunks_of.entry(wallet.clone()).or_default().insert(chunk);
        }
        self.chunks.insert(chunk, record);
    }

    /// Forgets a chunk; gives back the slot of its one-time keys if it still had one.
    pub(crate) fn remove_chunk(&mut self, chunk: &Chunk) -> Option<SlotIndex> {
        let record = self.chunks.remove(chunk)?;
        for wallet in &record.wallets {
            if let Some(chunks) = self.chunks_of.get_mut(wallet) {
                chunks.remove(chunk);
            }
        }
        self.dealings.remove(chunk);
        self.transcripts.remove(chunk);
        match record.state {
            ChunkState::Opened(slot) => Some(slot),
            _ => None,
        }
    }

    /// The epochs of a wallet that may be served, newest first: what was Activated here and is not erased. As a
    /// rule that is the newest and, until the Retirement, its parent. Where several plans from one share set were
    /// activated it is more, and the only one that all holders serve may be the last (docs/decisions/0009).
    pub(crate) fn served(&self, wallet: &WalletId) -> Vec<Arc<ServedEpoch>> {
        let Some(record) = self.wallets.get(wallet) else { return Vec::new() };
        let is_active =
            |held: &&HeldEpoch| self.chunks.get(&held.chunk).is_some_and(|chunk| chunk.state.is_served());
        record.held.iter().rev().filter(is_active).filter_map(|held| self.as_served(held)).collect()
    }

    fn as_served(&self, held: &HeldEpoch) -> Option<Arc<ServedEpoch>> {
        Some(Arc::new(ServedEpoch {
            seat: held.share_set.committee.seat_of(self.own.pinned.me())?,
            share_set: held.share_set.clone(),
            chunk: held.chunk,
            base: Attempt::from(&held.chunk),
            locked: held.locked.clone(),
            wrapped: self.cabinet.wrapped(held.locked.slot),
        }))
    }

    /// The change that tells the desk what is served of a wallet now.
    pub(crate) fn published(&self, wallet: &WalletId) -> Change {
        Change::Epochs(wallet.clone(), self.served(wallet))
    }

    fn read(&mut self, store: &mut dyn Store) -> Result<(), LoadFailed> {
        let damaged = |e: encoding::Malformed| LoadFailed::Records(e.into());
        for (_, bytes) in store.all(Table::Plan)? {
            let document: ApprovedPlan = encoding::decode(&bytes).map_err(damaged)?;
            let named = self.own.pinned.history().find(&document.plan.governance);
            let named = named.map_err(LoadFailed::Records)?;
            let approved = document.check(named).map_err(LoadFailed::Records)?;
            self.plans.insert(approved.digest(), Arc::new(approved));
        }
        for (key, bytes) in store.all(Table::Chunk)? {
            let chunk: Chunk = minicbor::decode(&key)
                .map_err(|e| LoadFailed::Records(Error::Bug(format!("an unreadable chunk key: {e}"))))?;
            self.insert_chunk(chunk, encoding::decode(&bytes).map_err(damaged)?);
        }
        for (key, bytes) in store.all(Table::Wallet)? {
            let mut record: WalletRecord = encoding::decode(&bytes).map_err(damaged)?;
            let name = String::from_utf8_lossy(&key).parse::<WalletId>();
            let wallet = name.map_err(|e| LoadFailed::Records(Error::Bug(e.to_string())))?;
            self.fill_in(&mut record);
            self.wallets.insert(wallet, record);
        }
        for (_, bytes) in store.all(Table::Dealing)? {
            let record: DealingRecord = encoding::decode(&bytes).map_err(damaged)?;
            let chunk = record.dealing.read_unchecked().map_err(LoadFailed::Records)?.chunk;
            self.dealings.insert(chunk, record.dealing);
        }
        self.pairs.read(store, &self.own, &self.cabinet)?;
        Ok(())
    }

    /// Finishes what was cut short: scrubs slots that nothing refers to, ends erasures that were begun, checks
    /// that this signer's shares open with its own key, and publishes what is served.
    fn resume(&mut self, now_ms: u64) -> Result<Draft, Error> {
        let mut draft = Draft::default();
        // A process that died may have left slots in the machine's cache alone, erased ones too.
        draft.effects.push(Effect::Slots(Vec::new()));
        let unfinished: Vec<Chunk> = self
            .chunks
            .iter()
            .filter(|(_, record)| matches!(record.state, ChunkState::Retired(_)) && record.receipt.is_none())
            .map(|(chunk, _)| *chunk)
            .collect();
        self.check_own_shares(&unfinished)?;
        let mut referred: BTreeSet<SlotIndex> = self.pairs.slots().collect();
        let held = self.wallets.values().flat_map(|record| &record.held);
        referred.extend(held.map(|held| held.locked.slot));
        referred.extend(self.chunks.values().filter_map(|record| match record.state {
            ChunkState::Opened(slot) => Some(slot),
            _ => None,
        }));
        self.cabinet.reserve(referred.iter().copied());
        let orphans = self.cabinet.orphans(&referred);
        orphans.iter().for_each(|slot| self.cabinet.forget(*slot));
        draft.effects.push(Effect::Erase(orphans));
        self.restore_transcripts();
        for chunk in unfinished {
            self.erase_below(now_ms, &chunk, &mut draft);
        }
        self.resume_bases(&mut draft);
        draft.changes.extend(self.pairs.published());
        draft.changes.extend(self.witness.halted().cloned().map(Change::Halted));
        draft.changes.extend(self.wallets.keys().map(|wallet| self.published(wallet)));
        Ok(draft)
    }

    /// Notes every share whose slot does not open; refuses a store of which not one share opens. Slots of an
    /// erasure that was cut short may be empty already.
    fn check_own_shares(&mut self, unfinished: &[Chunk]) -> Result<(), Error> {
        let mut opened = 0;
        let mut damaged = Vec::new();
        for (wallet, record) in &self.wallets {
            for held in &record.held {
                let doomed = |chunk: &Chunk| {
                    held.share_set.epoch < chunk.epoch
                        && self.chunks.get(chunk).is_some_and(|record| record.wallets.contains(wallet))
                };
                match self.cabinet.get(held.locked.slot) {
                    Ok(_) => opened += 1,
                    Err(_) if unfinished.iter().any(doomed) => {}
                    Err(_) => damaged.push((wallet.clone(), held.share_set.epoch)),
                }
            }
        }
        if opened == 0 && !damaged.is_empty() {
            return Err(Error::Bug(format!(
                "none of its {} shares opens with this signer's wrapping key: it is another signer's store",
                damaged.len()
            )));
        }
        self.damaged = damaged;
        Ok(())
    }

    fn restore_transcripts(&mut self) {
        let mut restored = Vec::new();
        for (chunk, record) in &self.chunks {
            if let (ChunkState::Prepared, Some(inputs), Some(root)) =
                (record.state, &record.inputs, record.root)
            {
                let held: Option<Vec<_>> =
                    record.wallets.iter().map(|wallet| self.held(wallet, chunk)).collect();
                let sets: Option<Vec<_>> =
                    held.map(|held| held.iter().map(|held| &*held.share_set).collect());
                let transcript = sets.and_then(|sets| Transcript::restored(inputs.clone(), root, &sets));
                restored.extend(transcript.map(|transcript| (*chunk, Arc::new(transcript))));
            }
        }
        self.transcripts.extend(restored);
    }

    /// What is held of a wallet from this chunk.
    pub(crate) fn held(&self, wallet: &WalletId, chunk: &Chunk) -> Option<&HeldEpoch> {
        self.wallets.get(wallet)?.held.iter().find(|held| &held.chunk == chunk)
    }

    /// What is held from this chunk, of all of its wallets.
    pub(crate) fn held_from(&self, chunk: &Chunk) -> impl Iterator<Item = &HeldEpoch> {
        let wallets = self.chunks.get(chunk).map(|record| record.wallets.as_slice()).unwrap_or_default();
        wallets.iter().filter_map(|wallet| self.held(wallet, chunk))
    }

    /// The change that stores a wallet's record as it is now.
    pub(crate) fn wallet_write(&self, wallet: &WalletId) -> crate::store::Write {
        match self.wallets.get(wallet) {
            Some(record) => crate::record::put(Table::Wallet, wallet_key(wallet), record),
            None => crate::record::delete(Table::Wallet, wallet_key(wallet)),
        }
    }
}

fn about(checked: &Checked) -> About {
    match checked {
        Checked::Governance(_) | Checked::Order(_) => About::default(),
        Checked::Plan(approved, _) => About { plan: Some(approved.digest()), ..About::default() },
        Checked::Open(chunk, _) | Checked::Keep(chunk) => About::of(chunk),
        Checked::Commit(inputs, _) | Checked::Deal(inputs, _) => About::of(&inputs.chunk),
        Checked::Verify(dealings) => About::of(&dealings.inputs.chunk),
        Checked::Activate(confirmed) | Checked::Retire(confirmed) => {
            About::of(&confirmed.certificate.inputs.chunk)
        }
        Checked::Session(request) => About { session: Some(request.session), ..About::default() },
        Checked::SessionMail(said) => About { session: Some(said.body.session), ..About::default() },
        Checked::PairingMail(said) => About { plan: Some(said.body.plan), ..About::default() },
        Checked::Checkpoint(..) => About::default(),
    }
}

/// The answer to a request that is not carried out.
pub fn decline(about: About, error: &Error) -> Reply {
    let blame = match error {
        Error::Stale(_) => Blame::Stale,
        Error::Denied(_) => Blame::Denied,
        Error::Misbehaved { culprit, .. } => Blame::Signer(culprit.clone()),
        Error::Malformed(_) => Blame::Asker,
        Error::Bug(_) => Blame::Bug,
    };
    let reason = error.to_string();
    match about.session {
        Some(session) => {
            Reply::Session(SessionReport { session, outcome: SessionOutcome::Failed { blame, reason } })
        }
        None => Reply::Declined { chunk: about.chunk, plan: about.plan, blame, reason },
    }
}
