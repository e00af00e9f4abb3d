//! The end of a base: with the epochs that it served, or with a counterparty that is banned.

use super::{BanRecord, base_key};
use crate::keeper::Keeper;
use crate::keyslots::SlotIndex;
use crate::record::{ChunkState, HeldEpoch, delete, put};
use crate::serving::{Attempt, Change};
use crate::store::{Table, Write};
use crate::turn::{Draft, Effect};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Scheme, WalletId};
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Wallets of a chunk that stand on pair bases, before anything of them is forgotten.
pub(crate) struct OnBases {
    wallets: BTreeSet<WalletId>,
    /// The plans under which something of each is held.
    held: BTreeMap<WalletId, BTreeSet<Digest>>,
}

impl Keeper {
    /// Erases every base of a lower attempt whose plan names one of these ECDSA wallets, whatever is held here: it may
    /// have served one of the epochs that go. An ECDSA wallet that is not named never stands on one of them, since a
    /// plan names all that stand together. With them go those of its own attempt and of attempts that it left, where
    /// nothing stands on them.
    pub(crate) fn retire_bases(
        &mut self,
        fresh: &Chunk,
        gone: &OnBases,
        left: &[Chunk],
        slots: &mut Vec<SlotIndex>,
        writes: &mut Vec<Write>,
        draft: &mut Draft,
    ) -> Vec<Digest> {
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let in_use = self.attempts_in_use();
        let left: BTreeSet<Attempt> = left.iter().chain([fresh]).map(Attempt::from).collect();
        let left: BTreeSet<Attempt> = left.difference(&in_use).copied().collect();
        self.pairs.forget_runs(&left);
        let attempts: BTreeSet<Attempt> = self.pairs.bases.keys().map(|(_, attempt)| *attempt).collect();
        let fresh = Attempt::from(fresh);
        let mut lower: BTreeSet<Attempt> =
            attempts.into_iter().filter(|attempt| self.is_superseded(attempt, &fresh, gone)).collect();
        if self.plans.get(&fresh.plan).is_some_and(|plan| plan.plan().action == Action::Create) {
            // Below a first epoch there are candidates alone, under keys that nobody uses.
            lower.retain(|attempt| !in_use.contains(attempt));
        }
        lower.extend(left);
        self.remove_bases(&lower, slots, writes, draft)
    }

    /// Erases the bases of attempts that were dropped, where nothing stands on them and no chunk is under way that
    /// would: they may have made probes of candidates that are gone.
    pub(crate) fn drop_bases(&mut self, attempts: &BTreeSet<Attempt>, draft: &mut Draft) {
        let mut of_bases_and_runs = self.pairs.bases.keys().chain(self.pairs.runs.keys());
        if !of_bases_and_runs.any(|(_, attempt)| attempts.contains(attempt)) {
            return;
        }
        let in_use = self.attempts_in_use();
        let unused: BTreeSet<Attempt> = attempts.difference(&in_use).copied().collect();
        self.pairs.forget_runs(&unused);
        let (mut slots, mut writes) = (Vec::new(), Vec::new());
        self.remove_bases(&unused, &mut slots, &mut writes, draft);
        if !slots.is_empty() {
            slots.iter().for_each(|slot| self.cabinet.forget(*slot));
            draft.effects.push(Effect::Commit(writes));
            draft.effects.push(Effect::Erase(slots));
        }
    }

    /// Ends what a crash cut short: erases bases that nothing stands on and those with a counterparty that was banned,
    /// and deletes records of bases that are erased already.
    pub(crate) fn resume_bases(&mut self, draft: &mut Draft) {
        let gone = std::mem::take(&mut self.pairs.unreadable);
        if !gone.is_empty() {
            let deletes = gone.into_iter().map(|place| delete(Table::Base, place)).collect();
            draft.effects.push(Effect::Commit(deletes));
        }
        let attempts = self.pairs.bases.keys().map(|(_, attempt)| *attempt).collect();
        self.drop_bases(&attempts, draft);
        let with: BTreeSet<SignerId> = self.pairs.bases.keys().map(|(with, _)| with.clone()).collect();
        for counterparty in with.intersection(&self.pairs.banned.clone()) {
            self.ban(counterparty, "a consistency check of a signing session failed", draft);
        }
    }

    /// The attempts whose bases something stands on, or will once it is prepared. What is held comes of a chunk that is
    /// remembered, and a chunk has one scheme.
    pub(super) fn attempts_in_use(&self) -> BTreeSet<Attempt> {
        let stands = |chunk: &Chunk| {
            self.held_from(chunk).next().is_some_and(|held| held.share_set.scheme() == Scheme::Ecdsa)
        };
        let in_use = self
            .chunks
            .iter()
            .filter(|(chunk, record)| matches!(record.state, ChunkState::Opened(_)) || stands(chunk));
        in_use.map(|(chunk, _)| Attempt::from(chunk)).collect()
    }

    fn remove_bases(
        &mut self,
        attempts: &BTreeSet<Attempt>,
        slots: &mut Vec<SlotIndex>,
        writes: &mut Vec<Write>,
        draft: &mut Draft,
    ) -> Vec<Digest> {
        let of_one = |(_, attempt): &&(SignerId, Attempt)| attempts.contains(attempt);
        let names: Vec<_> = self.pairs.bases.keys().filter(of_one).cloned().collect();
        let mut gone = Vec::with_capacity(names.len());
        for name in names {
            let Some(stored) = self.pairs.bases.remove(&name) else { continue };
            gone.push(*stored.base.id());
            slots.push(stored.slot);
            writes.push(delete(Table::Base, base_key(&name.0, &name.1)));
            draft.changes.push(Change::NoBase(name.0, name.1));
        }
        gone
    }

    /// Those of a chunk's wallets that stand on bases. To be asked before anything of the chunk is forgotten: a base
    /// was made here only if the wallet was held or its parent was handed over, or if the plan makes it.
    pub(crate) fn standing_on_bases(&self, chunk: &Chunk, wallets: &[WalletId]) -> OnBases {
        let plan = self.plans.get(&chunk.plan);
        let planned = plan.and_then(|plan| plan.plan().wallets_of(chunk).ok()).unwrap_or_default();
        let is_ecdsa = |wallet: &WalletId| {
            let held = self.wallets.get(wallet).and_then(|record| record.held.first());
            let handed = || {
                let chunks = self.chunks_of.get(wallet).into_iter().flatten();
                let mut sets =
                    chunks.filter_map(|chunk| self.chunks.get(chunk)).flat_map(|record| &record.parents);
                sets.find(|set| set.wallet.id == *wallet).map(ShareSet::scheme)
            };
            let made = || {
                planned.iter().find_map(|planned| match planned {
                    PlannedWallet::New(new) if new.id == *wallet => Some(new.chain.scheme()),
                    _ => None,
                })
            };
            let scheme = held.map(|held| held.share_set.scheme()).or_else(handed).or_else(made);
            scheme == Some(Scheme::Ecdsa) || planted!(BasesTakenByAnyRetirement)
        };
        let wallets: BTreeSet<WalletId> = wallets.iter().filter(|wallet| is_ecdsa(wallet)).cloned().collect();
        let plans = |wallet: &WalletId| -> BTreeSet<Digest> {
            let held = self.wallets.get(wallet).into_iter().flat_map(|record| &record.held);
            held.map(|held| held.chunk.plan).collect()
        };
        let held = wallets.iter().map(|wallet| (wallet.clone(), plans(wallet))).collect();
        OnBases { wallets, held }
    }

    /// Whether a base was made for a lower attempt at one of these wallets. A plan that failed to make a wallet of this
    /// name made another one's, under a key that nobody uses; and another tenant's wallet of this name is none of these.
    fn is_superseded(&self, attempt: &Attempt, fresh: &Attempt, gone: &OnBases) -> bool {
        let concerns = |plan: &Plan, wallet: &WalletId| {
            plan.action != Action::Create
                || gone.held.get(wallet).is_some_and(|held| held.contains(&attempt.plan))
        };
        let tenant = self.plans.get(&fresh.plan).map(|fresh| &fresh.plan().tenant);
        let names_one = |plan: &Plan| {
            if tenant.is_some_and(|tenant| *tenant != plan.tenant) {
                return false;
            }
            let named = plan.wallets.iter().map(PlannedWallet::id);
            named.filter(|wallet| gone.wallets.contains(*wallet)).any(|wallet| concerns(plan, wallet))
        };
        attempt.epoch < fresh.epoch && self.plans.get(&attempt.plan).is_none_or(|plan| names_one(plan.plan()))
    }

    /// Refuses a plan that names some of the ECDSA wallets that stand on the pair bases of one plan and not the others:
    /// these are erased with the first epoch that is retired above them, and the others could not sign any more.
    pub(crate) fn check_companions(&self, plan: &Plan, wallets: &[WalletId]) -> Result<(), Error> {
        let plans: BTreeSet<Digest> = wallets
            .iter()
            .filter_map(|wallet| self.wallets.get(wallet))
            .flat_map(|record| &record.held)
            .map(|held| held.chunk.plan)
            .collect();
        let planned =
            LazyCell::new(|| -> HashSet<&WalletId> { plan.wallets.iter().map(PlannedWallet::id).collect() });
        for (chunk, record) in &self.chunks {
            if !record.state.is_served() || !plans.contains(&chunk.plan) {
                continue;
            }
            // Plans of a fleet name the same wallets in the same places time and again.
            let in_place = plan.wallets.iter().skip(chunk.first as usize).take(record.wallets.len());
            if in_place.map(PlannedWallet::id).eq(&record.wallets) {
                continue;
            }
            let stands_here = |held: &HeldEpoch| held.share_set.scheme() == Scheme::Ecdsa;
            let is_left_out = |wallet: &&WalletId| {
                !planned.contains(wallet) && self.held(wallet, chunk).is_some_and(stands_here)
            };
            if let Some(wallet) = record.wallets.iter().find(is_left_out) {
                return Err(Error::denied(format!(
                    "the plan leaves out {wallet}, which was last renewed together with wallets that it names and \
                     stands on the same pair bases: make a plan that names all of them"
                )));
            }
        }
        Ok(())
    }

    /// Bans a counterparty for good: no wallet signs with it from here, and the bases with it are erased.
    pub(crate) fn ban(&mut self, counterparty: &SignerId, reason: &str, draft: &mut Draft) {
        let record = BanRecord { counterparty: counterparty.clone(), reason: reason.to_owned() };
        let mut writes = vec![put(Table::Ban, counterparty.as_str().as_bytes().to_vec(), &record)];
        let names: Vec<_> =
            self.pairs.bases.keys().filter(|(other, _)| other == counterparty).cloned().collect();
        let mut slots = Vec::new();
        for name in names {
            if let Some(stored) = self.pairs.bases.remove(&name) {
                slots.push(stored.slot);
                writes.push(delete(Table::Base, base_key(&name.0, &name.1)));
                draft.changes.push(Change::NoBase(name.0.clone(), name.1));
            }
        }
        slots.iter().for_each(|slot| self.cabinet.forget(*slot));
        self.pairs.banned.insert(counterparty.clone());
        self.pairs.runs.retain(|(other, _), _| other != counterparty);
        draft.effects.push(Effect::Commit(writes));
        draft.effects.push(Effect::Erase(slots));
        draft.changes.push(Change::Banned(counterparty.clone()));
    }
}
