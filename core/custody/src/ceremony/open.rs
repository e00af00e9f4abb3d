//! A plan comes, and a chunk of it is opened: one-time keys are made, stored and published.

use crate::governing::check_subject;
use crate::keeper::Keeper;
use crate::keyslots::SlotIndex;
use crate::record::{ChunkRecord, ChunkState, chunk_key, delete, put};
use crate::seal::OneTimeSeed;
use crate::serving::Attempt;
use crate::store::{Table, Write};
use crate::turn::{Draft, Effect};
use perennial_model::approval::{Approved, ApprovedPlan};
use perennial_model::committee::SignerId;
use perennial_model::dealing::{OneTimeKey, Opening};
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::identity::Signed;
use perennial_model::mail::Reply;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Scheme, WalletId};
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far a plan's rank may be above every rank that this signer has seen.
const RANKS_AT_ONCE_MAX: u32 = 1_000_000;
/// How many plans of replaced versions of governance are kept.
const OUTDATED_PLANS_MAX: usize = 1_000;
/// How many plans that came last are kept even if they are over here. Certificates of several may still be asked for: each
/// would take the place of another, which comes again as it is asked for, and so on for ever.
const LATEST_PLANS: usize = 4;
/// How many plans under one mandate are kept under which nothing was opened. One is under way at a time.
const MANDATED_PLANS_MAX: usize = 16;

impl Keeper {
    /// Keeps an approved plan, however late it comes: it takes a plan to read the certificates under it, and a
    /// Retirement may be long under way. Other plans that nothing refers to are forgotten but for those that came last,
    /// past their last date or left behind by all of their wallets.
    pub(crate) fn take_plan(
        &mut self,
        now_ms: u64,
        approved: Approved,
        document: &ApprovedPlan,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let digest = approved.digest();
        let is_new = !self.plans.contains_key(&digest);
        if is_new {
            self.check_room(&approved)?;
        }
        self.latest_plans.retain(|known| *known != digest);
        self.latest_plans.push_back(digest);
        if self.latest_plans.len() > LATEST_PLANS {
            self.latest_plans.pop_front();
        }
        if is_new {
            let mut writes = vec![put(Table::Plan, digest.0.to_vec(), document)];
            let used: BTreeSet<Digest> = self.chunks.keys().map(|chunk| chunk.plan).collect();
            let done = |plan: &Approved| {
                let digest = plan.digest();
                !used.contains(&digest)
                    && !self.latest_plans.contains(&digest)
                    && (now_ms > plan.plan().activation_deadline_ms || self.is_left_behind(plan.plan()))
            };
            let forgotten: Vec<_> =
                self.plans.iter().filter(|(_, plan)| done(plan)).map(|(digest, _)| *digest).collect();
            let gives_way = self.gives_way(&approved, &used);
            for old in forgotten.into_iter().chain(gives_way) {
                self.plans.remove(&old);
                writes.push(delete(Table::Plan, old.0.to_vec()));
            }
            draft.effects.push(Effect::Commit(writes));
            self.plans.insert(digest, Arc::new(approved));
        }
        draft.mail.push(Reply::Planned(digest));
        Ok(())
    }

    /// Whether no number of it can still be opened here and no certificate under it changes anything: the floor of each
    /// of its wallets, and whatever is held of it, lie above all its numbers. A fleet's plan takes 50 bytes for each
    /// wallet.
    fn is_left_behind(&self, plan: &Plan) -> bool {
        let last = Epoch::new(plan.rank, *plan.counts().end());
        plan.wallets.iter().all(|wallet| {
            self.wallets.get(wallet.id()).is_some_and(|record| {
                record.floor > last && record.held.iter().all(|held| held.share_set.epoch > last)
            })
        })
    }

    /// Plans of replaced versions are kept for their certificates alone, and not without end: who had the keys of then can
    /// make as many as they like.
    fn check_room(&self, approved: &Approved) -> Result<(), Error> {
        let Err(outdated) = self.check_in_force(approved) else { return Ok(()) };
        let old = self.plans.values().filter(|plan| self.check_in_force(plan).is_err());
        match old.count() < OUTDATED_PLANS_MAX {
            true => Ok(()),
            false => Err(outdated),
        }
    }

    /// Whoever runs ceremonies makes plans under a mandate without asking anybody, as many as they like. Of those
    /// under which nothing is open all that are too many give way to the next, and not only one: what was opened under
    /// them may have been left or dropped meanwhile, many at a time. They can be sent again.
    fn gives_way(&self, approved: &Approved, used: &BTreeSet<Digest>) -> Vec<Digest> {
        let under = |plan: &Approved| plan.plan().mandate.map(|under| under.mandate);
        let Some(mandate) = under(approved).filter(|_| !planted!(MandatedPlansWithoutEnd)) else {
            return Vec::new();
        };
        let beside =
            self.plans.iter().filter(|(digest, plan)| under(plan) == Some(mandate) && !used.contains(digest));
        beside.map(|(digest, _)| *digest).skip(MANDATED_PLANS_MAX - 1).collect()
    }

    /// Opens a chunk, or sends its opening again.
    pub(crate) fn open(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        chunk: Chunk,
        parents: Vec<ShareSet>,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        if let Some(opening) = self.chunks.get(&chunk).and_then(|record| record.opening.clone()) {
            draft.mail.push(Reply::Opened(opening));
            return Ok(());
        }
        let approved = self.known_plan(&chunk.plan)?;
        self.check_plan_begins(now_ms, &approved, &chunk)?;
        let plan = approved.plan();
        let wallets = plan.wallets_of(&chunk)?;
        let parents = self.needed_parents(wallets, parents)?;
        let standing = self.parents(&chunk, wallets, &parents)?;
        let scheme = self.check_chunk_begins(now_ms, &approved, &chunk, &standing)?;
        let ids: Vec<WalletId> = wallets.iter().map(|wallet| wallet.id().clone()).collect();

        let seed = OneTimeSeed::random(rng);
        let key = |counterparty: &SignerId| OneTimeKey {
            counterparty: counterparty.clone(),
            public: seed.public_key_for(scheme, counterparty),
        };
        let keys = self.counterparties(plan, &ids, &parents).iter().map(key).collect();
        let opening = Signed::new(&*self.own.identity, &Opening { chunk, keys });
        // The new seed is put away before lower attempts give up their slots: a crash between slot and record must
        // not leave one of them with a seed that is not its own.
        let (slot, wrapped) = self.cabinet.put(seed.danger_secret_bytes(), rng);
        let mut writes = Vec::new();
        let (left, attempts) = self.leave_lower(&ids, &chunk, &mut writes);
        let mut record = ChunkRecord::new(ChunkState::Opened(slot), ids, parents);
        record.opening = Some(opening.clone());
        writes.push(put(Table::Chunk, chunk_key(&chunk), &record));
        draft.effects.push(Effect::Slots(vec![(slot, wrapped)]));
        draft.effects.push(Effect::Commit(writes));
        draft.effects.push(Effect::Erase(left));
        draft.mail.push(Reply::Opened(opening));
        self.insert_chunk(chunk, record);
        self.drop_bases(&attempts, draft);
        Ok(())
    }

    /// Whether this signer takes part in anything of a plan now: it is in force and in time, and about what its people
    /// were asked about.
    pub(crate) fn check_plan_begins(
        &self,
        now_ms: u64,
        approved: &Approved,
        chunk: &Chunk,
    ) -> Result<(), Error> {
        self.check_in_force(approved)?;
        self.check_not_cancelled(approved)?;
        let plan = approved.plan();
        if now_ms < plan.not_before_ms && !planted!(DatesUnchecked) {
            return Err(Error::stale(format!(
                "{chunk}: the plan begins later, at {} ms",
                plan.not_before_ms
            )));
        }
        if now_ms > plan.expiry_ms && !planted!(DatesUnchecked) {
            return Err(Error::denied(format!("{chunk}: the plan has expired")));
        }
        if plan.committee.seat_of(self.own.pinned.me()).is_none() {
            return Err(Error::denied(format!("{chunk}: this signer is not in the new committee")));
        }
        self.check_concerns(approved, chunk)
    }

    /// Whether this signer takes part in an attempt that it has not begun, whose parents are these. Gives the scheme.
    pub(crate) fn check_chunk_begins(
        &self,
        now_ms: u64,
        approved: &Approved,
        chunk: &Chunk,
        parents: &[Option<Arc<ShareSet>>],
    ) -> Result<Scheme, Error> {
        let plan = approved.plan();
        let wallets = plan.wallets_of(chunk)?;
        let scheme = self.check_chunk(approved, chunk, wallets, parents)?;
        self.check_mandate(now_ms, approved, chunk, parents)?;
        for wallet in wallets {
            self.check_unopened(wallet.id(), chunk)?;
        }
        if scheme == Scheme::Ecdsa && plan.action != Action::Create {
            let ids: Vec<WalletId> = wallets.iter().map(|wallet| wallet.id().clone()).collect();
            self.check_companions(plan, &ids)?;
        }
        Ok(scheme)
    }

    /// The parents that this signer does not hold and was handed; each must be the one that the plan names.
    fn needed_parents(
        &self,
        wallets: &[PlannedWallet],
        given: Vec<ShareSet>,
    ) -> Result<Vec<ShareSet>, Error> {
        let mut needed = Vec::new();
        for wallet in wallets {
            let Some(digest) = wallet.parent() else { continue };
            if self.held_parent(wallet.id(), &digest).is_some() {
                continue;
            }
            let parent = given.iter().find(|set| encoding::digest(*set) == digest).ok_or_else(|| {
                Error::stale(format!(
                    "unknown parent of {}: send the share set that the plan names",
                    wallet.id()
                ))
            })?;
            if parent.opens_to() != Some(parent.key.public_key) {
                return Err(Error::denied(format!("the parent of {} does not open to its key", wallet.id())));
            }
            // What is known of the wallet is not to be changed by somebody's papers.
            let known = self.wallets.get(wallet.id()).and_then(|record| record.held.last());
            if known.is_some_and(|held| {
                held.share_set.wallet != parent.wallet || held.share_set.key != parent.key
            }) {
                return Err(Error::denied(format!("the parent of {} is another wallet's", wallet.id())));
            }
            needed.push(parent.clone());
        }
        Ok(needed)
    }

    /// Numbers never go down, so a plan that takes far too many at once would leave none for those after it.
    pub(crate) fn check_rank(&self, rank: u32) -> Result<(), Error> {
        if rank <= RANKS_AT_ONCE_MAX || planted!(RankUnbounded) {
            return Ok(());
        }
        let highest = self.wallets.values().map(|record| record.floor.rank).max().unwrap_or(0);
        match rank > highest.saturating_add(RANKS_AT_ONCE_MAX) {
            true => Err(Error::denied(format!(
                "rank {rank} is more than {RANKS_AT_ONCE_MAX} above {highest}, the highest seen here"
            ))),
            false => Ok(()),
        }
    }

    /// The share set of this digest, if it is held and was Activated: a mere candidate is nobody's parent.
    pub(crate) fn held_parent(&self, wallet: &WalletId, digest: &encoding::Digest) -> Option<&Arc<ShareSet>> {
        let held = self.wallets.get(wallet)?.held.iter();
        held.filter(|held| self.chunks.get(&held.chunk).is_some_and(|chunk| chunk.state.is_served()))
            .map(|held| &held.share_set)
            .find(|set| encoding::digest(&***set) == *digest)
    }

    /// The parent share sets of a chunk's wallets, in order; none for wallets being made.
    ///
    /// # Errors
    /// `Stale` where one is not known here; `Denied` where this signer keeps the wallet under another key.
    pub(crate) fn parents(
        &self,
        chunk: &Chunk,
        wallets: &[PlannedWallet],
        handed: &[ShareSet],
    ) -> Result<Vec<Option<Arc<ShareSet>>>, Error> {
        let find = |wallet: &PlannedWallet| {
            let parent = match wallet.parent() {
                Some(digest) => Some(self.parent(wallet.id(), &digest, handed)?),
                None => None,
            };
            self.check_one_key(chunk, wallet.id(), parent.as_ref().map(|parent| &parent.key))?;
            Ok(parent)
        };
        wallets.iter().map(find).collect()
    }

    fn parent(
        &self,
        wallet: &WalletId,
        digest: &encoding::Digest,
        handed: &[ShareSet],
    ) -> Result<Arc<ShareSet>, Error> {
        if let Some(held) = self.held_parent(wallet, digest) {
            return Ok(held.clone());
        }
        let handed = handed.iter().find(|set| set.wallet.id == *wallet && encoding::digest(*set) == *digest);
        let unknown = || Error::stale(format!("unknown parent of {wallet}: it is no longer held here"));
        handed.map(|set| Arc::new(set.clone())).ok_or_else(unknown)
    }

    /// Checks that the wallets of a chunk go together: one scheme, which it gives back, one parent committee, the
    /// same as the new one; and that a wallet to be made does not exist.
    fn check_chunk(
        &self,
        approved: &Approved,
        chunk: &Chunk,
        wallets: &[PlannedWallet],
        parents: &[Option<Arc<ShareSet>>],
    ) -> Result<Scheme, Error> {
        let schemes: Vec<Scheme> = wallets
            .iter()
            .zip(parents)
            .filter_map(|(wallet, parent)| match (wallet, parent) {
                (PlannedWallet::New(wallet), _) => Some(wallet.chain.scheme()),
                (_, Some(parent)) => Some(parent.scheme()),
                _ => None,
            })
            .collect();
        let scheme = schemes.first().copied().filter(|first| schemes.iter().all(|other| other == first));
        let Some(scheme) = scheme.filter(|_| schemes.len() == wallets.len()) else {
            return Err(Error::denied(format!("{chunk}: a chunk has wallets of one scheme only")));
        };
        for parent in parents.iter().flatten() {
            check_subject(approved.plan(), chunk, parent)?;
        }
        for wallet in wallets {
            let exists = |record: &crate::record::WalletRecord| {
                record
                    .held
                    .iter()
                    .any(|held| self.chunks.get(&held.chunk).is_some_and(|c| c.state.is_served()))
            };
            if wallet.parent().is_none() && self.wallets.get(wallet.id()).is_some_and(exists) {
                return Err(Error::denied(format!("{chunk}: wallet {} exists already", wallet.id())));
            }
        }
        Ok(scheme)
    }

    fn check_unopened(&self, wallet: &WalletId, chunk: &Chunk) -> Result<(), Error> {
        self.check_floor(wallet, chunk.epoch)?;
        let highest = self.chunks_of.get(wallet).into_iter().flatten().map(|opened| opened.epoch).max();
        match highest {
            Some(highest) if chunk.epoch <= highest && !planted!(NoEpochFloor) => Err(Error::stale(format!(
                "{wallet}: epoch {} is not above {highest}, which was opened here",
                chunk.epoch
            ))),
            _ => Ok(()),
        }
    }

    /// Leaves every lower attempt of these wallets that is only opened. Its number stays used up for its other
    /// wallets too. Gives the slots to erase, and the attempts that were left.
    fn leave_lower(
        &mut self,
        wallets: &[WalletId],
        above: &Chunk,
        writes: &mut Vec<Write>,
    ) -> (Vec<SlotIndex>, BTreeSet<Attempt>) {
        let lower: BTreeSet<Chunk> = wallets
            .iter()
            .filter_map(|wallet| self.chunks_of.get(wallet))
            .flatten()
            .filter(|chunk| chunk.epoch < above.epoch)
            .filter(|chunk| matches!(self.chunks.get(chunk).map(|r| r.state), Some(ChunkState::Opened(_))))
            .copied()
            .collect();
        let attempts = lower.iter().map(Attempt::from).collect();
        let mut slots = Vec::new();
        for chunk in lower {
            let named = self.chunks.get(&chunk).map(|record| record.wallets.clone()).unwrap_or_default();
            let others: Vec<WalletId> = named.into_iter().filter(|id| !wallets.contains(id)).collect();
            writes.extend(self.raise_floor(&others, chunk.epoch));
            writes.push(delete(Table::Chunk, chunk_key(&chunk)));
            writes.push(delete(Table::Dealing, chunk_key(&chunk)));
            slots.extend(self.remove_chunk(&chunk));
        }
        slots.iter().for_each(|slot| self.cabinet.forget(*slot));
        (slots, attempts)
    }

    /// Everybody who may deal: the parents' holders, or all new holders where keys are made.
    fn counterparties(
        &self,
        plan: &perennial_model::plan::Plan,
        wallets: &[WalletId],
        handed: &[ShareSet],
    ) -> Vec<SignerId> {
        let parent = wallets
            .iter()
            .find_map(|wallet| self.wallets.get(wallet).and_then(|record| record.held.last()))
            .map(|held| held.share_set.committee.clone())
            .or_else(|| handed.first().map(|set| set.committee.clone()));
        let committee = parent.as_ref().unwrap_or(&plan.committee);
        let mut signers: Vec<SignerId> = committee.signers().cloned().collect();
        for signer in plan.committee.signers() {
            if !signers.contains(signer) {
                signers.push(signer.clone());
            }
        }
        signers
    }
}
