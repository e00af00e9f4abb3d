//! A wallet has one key. Every attempt to make it comes to another one, so a signer that has promised to keep one has no
//! part in any other.
//!
//! A wallet is made by its whole committee ([`Plan::activation_size`]). So once a first epoch is retired, every honest
//! member keeps it, and while it holds that key it deals, prepares, serves and keeps shares of no other. What a signer
//! keeps is read from what it holds: of a Retirement that it had no part in it does not know the key, and what that
//! erases is kept no longer. `docs/decisions/0021-one-key.md` says which attack that leaves.

use crate::keeper::Keeper;
use crate::record::{ChunkRecord, ChunkState, HeldEpoch};
use perennial_model::error::Error;
use perennial_model::plan::{Action, Chunk, Plan};
use perennial_model::planted;
use perennial_model::wallet::{WalletId, WalletKey};

impl Keeper {
    /// Refuses what would come to another key of this wallet than the one that this signer keeps: `key` is that of the
    /// share set in question, none where one is being made.
    ///
    /// # Errors
    /// `Denied` names the epoch that is kept.
    pub(crate) fn check_one_key(
        &self,
        chunk: &Chunk,
        wallet: &WalletId,
        key: Option<&WalletKey>,
    ) -> Result<(), Error> {
        match self.kept_under_other_keys(chunk, wallet, key).next() {
            Some(kept) => Err(exists(chunk, kept, key)),
            None => Ok(()),
        }
    }

    /// The same for all wallets of a chunk that is to be served or retired. Of a chunk of which this signer holds nothing
    /// it knows the keys only where they are new: then it is refused if it would erase one that is kept.
    pub(crate) fn check_one_key_each(&self, plan: &Plan, chunk: &Chunk) -> Result<(), Error> {
        for wallet in plan.wallets_of(chunk)? {
            let key = self.held(wallet.id(), chunk).map(|held| &held.share_set.key);
            let mut kept = self.kept_under_other_keys(chunk, wallet.id(), key);
            let found = match key {
                Some(_) => kept.next(),
                None if plan.action == Action::Create => kept.find(|kept| kept.share_set.epoch < chunk.epoch),
                None => None,
            };
            if let Some(kept) = found {
                return Err(exists(chunk, kept, key));
            }
        }
        Ok(())
    }

    /// Refuses to promise a key while another one is kept, or was activated here under a higher number.
    pub(crate) fn check_promise(&self, chunk: &Chunk) -> Result<(), Error> {
        let wallets = self.chunks.get(chunk).map(|record| record.wallets.as_slice()).unwrap_or_default();
        for held in wallets.iter().filter_map(|wallet| self.held(wallet, chunk)) {
            let wallet = &held.share_set.wallet.id;
            self.check_one_key(chunk, wallet, Some(&held.share_set.key))?;
            let higher = |(other, record): &(&HeldEpoch, &ChunkRecord)| {
                record.state.is_served() && other.share_set.epoch > chunk.epoch
            };
            let mut others = self.under_other_keys(chunk, wallet, Some(&held.share_set.key));
            if let Some((other, _)) = others.find(higher).filter(|_| !planted!(KeepSeveralKeys)) {
                let epoch = other.share_set.epoch;
                return Err(Error::stale(format!("{chunk}: {wallet} came to another key in epoch {epoch}")));
            }
        }
        Ok(())
    }

    fn kept_under_other_keys<'a>(
        &'a self,
        chunk: &'a Chunk,
        wallet: &WalletId,
        key: Option<&'a WalletKey>,
    ) -> impl Iterator<Item = &'a HeldEpoch> {
        let is_kept = |state| matches!(state, ChunkState::Kept(_) | ChunkState::Retired(_));
        self.under_other_keys(chunk, wallet, key)
            .filter(move |(_, record)| is_kept(record.state) && !planted!(KeepSeveralKeys))
            .map(|(held, _)| held)
    }

    /// What this signer holds of a wallet in other chunks under other keys.
    fn under_other_keys<'a>(
        &'a self,
        chunk: &'a Chunk,
        wallet: &WalletId,
        key: Option<&'a WalletKey>,
    ) -> impl Iterator<Item = (&'a HeldEpoch, &'a ChunkRecord)> {
        let held = self.wallets.get(wallet).into_iter().flat_map(|record| &record.held);
        held.filter(move |held| held.chunk != *chunk && key != Some(&held.share_set.key))
            .filter_map(|held| Some((held, self.chunks.get(&held.chunk)?)))
    }
}

fn exists(chunk: &Chunk, kept: &HeldEpoch, key: Option<&WalletKey>) -> Error {
    let how = if key.is_some() { "under another key" } else { "already" };
    let (wallet, epoch) = (&kept.share_set.wallet.id, kept.share_set.epoch);
    Error::denied(format!("{chunk}: wallet {wallet} exists {how}, kept in epoch {epoch}"))
}
