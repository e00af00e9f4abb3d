//! The end of a base: with the epochs that it served, or with a counterparty that is banned.

use super::{BanRecord, MovedRecord, base_key, moved_key};
use crate::keeper::Keeper;
use crate::keyslots::SlotIndex;
use crate::record::{HeldEpoch, delete, put};
use crate::serving::{Attempt, Change};
use crate::store::{Table, Write};
use crate::turn::{Draft, Effect};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::wallet::{Scheme, WalletId};
use std::collections::BTreeSet;

impl Keeper {
    /// Erases the bases that served only epochs which are gone now, and moves wallets outside the plan that
    /// still stand on one of them to the fresh base.
    pub(crate) fn retire_bases(
        &mut self,
        fresh: &Attempt,
        wallets: &[WalletId],
        slots: &mut Vec<SlotIndex>,
        writes: &mut Vec<Write>,
        draft: &mut Draft,
    ) -> Vec<Digest> {
        let scheme = wallets
            .iter()
            .find_map(|wallet| self.wallets.get(wallet)?.held.last())
            .map(|held| held.share_set.scheme());
        if scheme != Some(Scheme::Ecdsa) {
            return Vec::new();
        }
        let lower: BTreeSet<Attempt> = self
            .pairs
            .bases
            .keys()
            .map(|(_, attempt)| *attempt)
            .filter(|attempt| attempt != fresh && self.is_superseded(attempt, wallets))
            .collect();
        let mut gone = Vec::new();
        for attempt in lower {
            let names: Vec<_> =
                self.pairs.bases.keys().filter(|(_, other)| *other == attempt).cloned().collect();
            for name in names {
                let Some(stored) = self.pairs.bases.remove(&name) else { continue };
                gone.push(*stored.base.id());
                slots.push(stored.slot);
                writes.push(delete(Table::Base, base_key(&name.0, &attempt)));
                draft.changes.push(Change::NoBase(name.0.clone(), attempt));
            }
            let standing = self.standing_on(&attempt);
            if !standing.is_empty() {
                self.pairs.moved.insert(attempt, *fresh);
                let record = MovedRecord { from: attempt, to: *fresh };
                writes.push(put(Table::Base, moved_key(&attempt), &record));
                draft.changes.extend(standing.iter().map(|wallet| self.published(wallet)));
            }
        }
        self.forget_moved(writes);
        gone
    }

    /// Whether a base belongs to an attempt that made any of these wallets' erased epochs: named by its plan, and
    /// nothing of it is held of them any more.
    fn is_superseded(&self, attempt: &Attempt, wallets: &[WalletId]) -> bool {
        let holds = |wallet: &WalletId| {
            self.wallets
                .get(wallet)
                .is_some_and(|record| record.held.iter().any(|held| Attempt::from(&held.chunk) == *attempt))
        };
        let Some(plan) = self.plans.get(&attempt.plan) else { return true };
        let named = |wallet: &WalletId| plan.plan().wallets.iter().any(|planned| planned.id() == wallet);
        wallets.iter().any(|wallet| named(wallet) && !holds(wallet) && self.is_below(wallet, attempt))
    }

    fn is_below(&self, wallet: &WalletId, attempt: &Attempt) -> bool {
        let record = self.wallets.get(wallet);
        record.is_some_and(|record| record.held.iter().all(|held| held.share_set.epoch > attempt.epoch))
    }

    /// The wallets that hold an epoch of this attempt.
    fn standing_on(&self, attempt: &Attempt) -> Vec<WalletId> {
        let stands = |held: &HeldEpoch| Attempt::from(&held.chunk) == *attempt;
        let mut wallets: Vec<WalletId> = self
            .wallets
            .iter()
            .filter(|(_, record)| record.held.iter().any(stands))
            .map(|(wallet, _)| wallet.clone())
            .collect();
        wallets.sort_unstable();
        wallets
    }

    fn forget_moved(&mut self, writes: &mut Vec<Write>) {
        let over: Vec<Attempt> =
            self.pairs.moved.keys().filter(|from| self.standing_on(from).is_empty()).copied().collect();
        for from in over {
            self.pairs.moved.remove(&from);
            writes.push(delete(Table::Base, moved_key(&from)));
        }
    }

    /// The attempt whose base an epoch stands on: its own, or the fresh one that it moved to; but never one that
    /// names this wallet itself, since a base serves one epoch of a wallet.
    pub(crate) fn base_of(&self, held: &HeldEpoch) -> Attempt {
        let own = Attempt::from(&held.chunk);
        let mut attempt = own;
        while let Some(next) = self.pairs.moved.get(&attempt) {
            attempt = *next;
        }
        if attempt == own {
            return own;
        }
        let wallet = &held.share_set.wallet.id;
        let named = self
            .plans
            .get(&attempt.plan)
            .is_some_and(|plan| plan.plan().wallets.iter().any(|planned| planned.id() == wallet));
        if named { own } else { attempt }
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
