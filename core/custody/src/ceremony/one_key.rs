//! A wallet has one key. Every attempt to make it comes to another one, so a signer that has once promised to keep one has
//! no part in any other, for good.
//!
//! The first Retirement of a wallet takes its whole committee: a wallet is made by all ([`Plan::activation_size`]), and
//! until a signer has seen a Retirement of a wallet it deals to all or not at all. So every honest member has promised the
//! key of that Retirement, none votes for shares of another one, and fewer than the threshold are left who would: the
//! address that was shown then stays the wallet's.

use crate::keeper::Keeper;
use crate::record::{ChunkState, HeldEpoch, WalletRecord};
use crate::store::Write;
use perennial_model::dealing::Inputs;
use perennial_model::error::Error;
use perennial_model::plan::{Action, Chunk, Plan};
use perennial_model::planted;
use perennial_model::wallet::{WalletId, WalletKey};

impl Keeper {
    /// Refuses what would come to another key of this wallet than the one that this signer keeps: `key` is that of the
    /// share set in question, none where one is being made.
    ///
    /// # Errors
    /// `Denied` where another key is kept.
    pub(crate) fn check_one_key(
        &self,
        chunk: &Chunk,
        wallet: &WalletId,
        key: Option<&WalletKey>,
    ) -> Result<(), Error> {
        let kept = self.wallets.get(wallet).and_then(|record| record.key.as_ref());
        if kept.is_none() || kept == key || planted!(KeepSeveralKeys) {
            return Ok(());
        }
        let how = if key.is_some() { "under another key" } else { "already, and is kept" };
        Err(Error::denied(format!("{chunk}: wallet {wallet} exists {how}")))
    }

    /// The same for all wallets of a chunk that is to be served or retired, as far as it is held.
    pub(crate) fn check_one_key_each(&self, chunk: &Chunk) -> Result<(), Error> {
        for held in self.held_from(chunk) {
            self.check_one_key(chunk, &held.share_set.wallet.id, Some(&held.share_set.key))?;
        }
        Ok(())
    }

    /// Refuses to promise a key while another one is kept, or was activated here under a higher number.
    pub(crate) fn check_promise(&self, chunk: &Chunk) -> Result<(), Error> {
        self.check_one_key_each(chunk)?;
        for held in self.held_from(chunk) {
            let wallet = &held.share_set.wallet.id;
            let all = self.wallets.get(wallet).map(|record| record.held.as_slice()).unwrap_or_default();
            let mut higher = all.iter().filter(|other| {
                other.share_set.epoch > chunk.epoch
                    && other.share_set.key != held.share_set.key
                    && self.chunks.get(&other.chunk).is_some_and(|record| record.state.is_served())
            });
            if let Some(other) = higher.next().filter(|_| !planted!(KeepSeveralKeys)) {
                let epoch = other.share_set.epoch;
                return Err(Error::stale(format!("{chunk}: {wallet} came to another key in epoch {epoch}")));
            }
        }
        Ok(())
    }

    /// Refuses to deal shares of a wallet to fewer than all members before a Retirement of it was seen here.
    pub(crate) fn check_retired_once(&self, plan: &Plan, inputs: &Inputs) -> Result<(), Error> {
        let all = inputs.holders.len() == plan.committee.members().len();
        if plan.action == Action::Create || all || planted!(DealFromUnretired) {
            return Ok(());
        }
        let chunk = &inputs.chunk;
        let is_anchored =
            |wallet: &WalletId| self.wallets.get(wallet).is_some_and(|record| record.anchor.is_some());
        match plan.wallets_of(chunk)?.iter().find(|wallet| !is_anchored(wallet.id())) {
            Some(wallet) => Err(Error::stale(format!(
                "{chunk}: no Retirement of {} has come here, so all members have to take part",
                wallet.id()
            ))),
            None => Ok(()),
        }
    }

    /// Writes down that a Retirement of a chunk's wallets was seen: one for which this signer has voted, or that erases
    /// what it has voted for. Of any other it cannot tell whose wallet of that name it is.
    pub(crate) fn anchor(&mut self, chunk: &Chunk) -> Vec<Write> {
        let has_voted = |chunk: &Chunk| self.chunks.get(chunk).is_some_and(|record| record.keep.is_some());
        let is_ours = |wallet: &&WalletId| {
            let held = self.wallets.get(*wallet).map(|record| record.held.as_slice()).unwrap_or_default();
            let below = |held: &HeldEpoch| held.share_set.epoch < chunk.epoch && has_voted(&held.chunk);
            has_voted(chunk) || held.iter().any(below)
        };
        let wallets = self.chunks.get(chunk).map(|record| record.wallets.as_slice()).unwrap_or_default();
        let ours: Vec<WalletId> = wallets.iter().filter(is_ours).cloned().collect();
        let mut anchored = Vec::new();
        for wallet in ours {
            if let Some(record) = self.wallets.get_mut(&wallet).filter(|record| record.anchor.is_none()) {
                record.anchor = Some(chunk.epoch);
                anchored.push(wallet);
            }
        }
        anchored.iter().map(|wallet| self.wallet_write(wallet)).collect()
    }

    /// Records of before name no key: it is that of what was kept. They have no anchor until the next Retirement.
    pub(crate) fn fill_in(&self, record: &mut WalletRecord) {
        let is_kept = |held: &&HeldEpoch| {
            let state = self.chunks.get(&held.chunk).map(|record| record.state);
            matches!(state, Some(ChunkState::Kept(_) | ChunkState::Retired(_)))
        };
        if record.key.is_none() {
            record.key = record.held.iter().find(is_kept).map(|held| held.share_set.key.clone());
        }
    }

    /// Refuses a chunk some of whose wallets are not held from it any more: a vote and a certificate speak of all. A higher
    /// epoch of such a wallet was retired meanwhile, and took that candidate with it. A chunk has one fate, so the
    /// attempt is over.
    pub(crate) fn check_complete(&self, chunk: &Chunk) -> Result<(), Error> {
        let wallets = self.chunks.get(chunk).map(|record| record.wallets.as_slice()).unwrap_or_default();
        match wallets.iter().find(|wallet| self.held(wallet, chunk).is_none()) {
            Some(wallet) => Err(Error::stale(format!("{chunk}: a higher epoch of {wallet} is retired"))),
            None => Ok(()),
        }
    }

    /// Why a prepared chunk lacks something.
    pub(crate) fn incomplete(&self, chunk: &Chunk) -> Error {
        let why = self.check_complete(chunk).err();
        why.unwrap_or_else(|| Error::Bug(format!("{chunk} is prepared without transcript")))
    }

    /// With its vote a signer fixes the keys of the wallets that it keeps for the first time.
    pub(crate) fn fix_keys(&mut self, chunk: &Chunk) -> Vec<Write> {
        let record = self.chunks.get(chunk);
        let wallets = record.map(|record| record.wallets.clone()).unwrap_or_default();
        let mut fixed = Vec::new();
        for wallet in wallets {
            let key = self.held(&wallet, chunk).map(|held| held.share_set.key.clone());
            if let Some(record) = self.wallets.get_mut(&wallet).filter(|record| record.key.is_none()) {
                record.key = key;
                fixed.push(wallet);
            }
        }
        fixed.iter().map(|wallet| self.wallet_write(wallet)).collect()
    }
}
