//! The end of a base: with the epochs that it served, or with a counterparty that is banned.

use super::{BanRecord, base_key};
use crate::keeper::Keeper;
use crate::keyslots::SlotIndex;
use crate::record::{HeldEpoch, delete, put};
use crate::serving::{Attempt, Change};
use crate::store::{Table, Write};
use crate::turn::{Draft, Effect};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::plan::{Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Scheme, WalletId};
use std::collections::BTreeSet;

impl Keeper {
    /// Erases every base of a lower attempt whose plan names one of these ECDSA wallets, whatever is held here: it may
    /// have served one of the epochs that go. An ECDSA wallet that is not named never stands on one of them, since a
    /// plan names all that stand together.
    pub(crate) fn retire_bases(
        &mut self,
        fresh: &Attempt,
        wallets: &[WalletId],
        slots: &mut Vec<SlotIndex>,
        writes: &mut Vec<Write>,
        draft: &mut Draft,
    ) -> Vec<Digest> {
        if self.pairs.bases.is_empty() || wallets.is_empty() {
            return Vec::new();
        }
        let wallets: BTreeSet<&WalletId> = wallets.iter().collect();
        let attempts: BTreeSet<Attempt> = self.pairs.bases.keys().map(|(_, attempt)| *attempt).collect();
        let lower: BTreeSet<Attempt> =
            attempts.into_iter().filter(|attempt| self.is_superseded(attempt, fresh, &wallets)).collect();
        let names: Vec<_> =
            self.pairs.bases.keys().filter(|(_, attempt)| lower.contains(attempt)).cloned().collect();
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
    pub(crate) fn standing_on_bases(&self, chunk: &Chunk, wallets: &[WalletId]) -> Vec<WalletId> {
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
        wallets.iter().filter(|wallet| is_ecdsa(wallet)).cloned().collect()
    }

    /// Whether a base was made for a lower attempt at one of these wallets.
    fn is_superseded(&self, attempt: &Attempt, fresh: &Attempt, wallets: &BTreeSet<&WalletId>) -> bool {
        let names_one = |plan: &Plan| plan.wallets.iter().any(|planned| wallets.contains(planned.id()));
        attempt.epoch < fresh.epoch && self.plans.get(&attempt.plan).is_none_or(|plan| names_one(plan.plan()))
    }

    /// Refuses a plan that names some of the ECDSA wallets that stand on one pair base and not the others: the base is
    /// erased with the first epoch that it served, and the others could not sign any more.
    pub(crate) fn check_companions(&self, plan: &Plan, wallets: &[WalletId]) -> Result<(), Error> {
        let attempts: BTreeSet<Attempt> = wallets
            .iter()
            .filter_map(|wallet| self.wallets.get(wallet))
            .flat_map(|record| &record.held)
            .map(|held| Attempt::from(&held.chunk))
            .collect();
        let planned: BTreeSet<&WalletId> = plan.wallets.iter().map(PlannedWallet::id).collect();
        for (chunk, record) in &self.chunks {
            if !record.state.is_served() || !attempts.contains(&Attempt::from(chunk)) {
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
