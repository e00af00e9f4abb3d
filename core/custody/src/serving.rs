//! What the keeper hands to the signing desk: the epochs that may be served, each with its locked share.

use crate::keyslots::{SlotBytes, SlotIndex, WrappingKey, lock, unlock};
use crate::pairing::Base;
use crate::pinned::Pinned;
use crate::share::Share;
use minicbor::{Decode, Encode};
use perennial_model::committee::{Seat, SignerId};
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::plan::Chunk;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::WalletId;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A share under its own key, and where that key is. Safe to keep anywhere.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct LockedShare {
    /// The share's ciphertext.
    #[n(0)]
    pub ciphertext: Bytes,
    /// The slot of its key.
    #[n(1)]
    pub slot: SlotIndex,
}

/// What a share's ciphertext is bound to: wallet, epoch, transcript and holder. It is public.
pub fn share_context(share_set: &ShareSet, me: &SignerId) -> Digest {
    Digest::of_parts(
        "perennial/locked-share/v1",
        &[
            share_set.wallet.id.as_str().as_bytes(),
            &share_set.epoch.rank.to_be_bytes(),
            &share_set.epoch.count.to_be_bytes(),
            &share_set.transcript.0,
            me.as_str().as_bytes(),
        ],
    )
}

/// Encrypts a share under a fresh key.
pub(crate) fn lock_share(key: &[u8; 32], share: &Share, share_set: &ShareSet, me: &SignerId) -> Bytes {
    Bytes(lock(key, &share_context(share_set, me).0, &**share.danger_secret_bytes()))
}

/// Decrypts a share with the key from its slot.
pub(crate) fn unlock_share(
    key: &[u8; 32],
    ciphertext: &Bytes,
    share_set: &ShareSet,
    me: &SignerId,
) -> Result<Share, Error> {
    let broken = || {
        Error::Bug(format!("the share of {} epoch {} does not open", share_set.wallet.id, share_set.epoch))
    };
    let plain = unlock(key, &share_context(share_set, me).0, &ciphertext.0).ok_or_else(broken)?;
    let mut bytes = Zeroizing::new([0; 32]);
    if plain.len() != bytes.len() {
        return Err(broken());
    }
    bytes.copy_from_slice(&plain);
    Share::from_secret_bytes(share_set.scheme(), bytes).ok_or_else(broken)
}

/// An epoch that this signer may sign under, as its own durable record says.
#[derive(Debug, Clone)]
pub struct ServedEpoch {
    /// Its public face.
    pub share_set: Arc<ShareSet>,
    /// This signer's seat.
    pub seat: Seat,
    /// The chunk that made it.
    pub chunk: Chunk,
    /// The attempt whose pair bases it stands on.
    pub base: Attempt,
    /// This signer's share.
    pub locked: LockedShare,
    /// The wrapped key from the slot.
    pub wrapped: SlotBytes,
}

impl ServedEpoch {
    /// Opens the share for one use.
    ///
    /// # Errors
    /// `Bug` when record and slot do not belong together.
    pub fn open(&self, wrapping: &WrappingKey, me: &SignerId) -> Result<Share, Error> {
        let key = wrapping
            .open(self.locked.slot, &self.wrapped)
            .ok_or_else(|| Error::Bug("a served share's key does not open".into()))?;
        unlock_share(&key, &self.locked.ciphertext, &self.share_set, me)
    }
}

/// Which attempt a pair base was made for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct Attempt {
    /// The plan.
    #[n(0)]
    pub plan: Digest,
    /// The number.
    #[n(1)]
    pub epoch: Epoch,
}

impl From<&Chunk> for Attempt {
    fn from(chunk: &Chunk) -> Self {
        Self { plan: chunk.plan, epoch: chunk.epoch }
    }
}

/// What a pair base's ciphertext is bound to: this signer, the other one, and the attempt. It is public.
pub fn base_context(me: &SignerId, counterparty: &SignerId, attempt: &Attempt) -> Digest {
    let attempt = minicbor::to_vec(attempt).expect("writing to memory does not fail");
    Digest::of_parts(
        "perennial/locked-base/v1",
        &[me.as_str().as_bytes(), counterparty.as_str().as_bytes(), &attempt],
    )
}

/// A change of what may be served.
#[derive(Debug, Clone)]
pub enum Change {
    /// These epochs of a wallet, newest first, and no others.
    Epochs(WalletId, Vec<Arc<ServedEpoch>>),
    /// The base of the pair with this counterparty for this attempt.
    Base(SignerId, Attempt, Arc<Base>),
    /// No base of that attempt any more.
    NoBase(SignerId, Attempt),
    /// Nothing is signed with this counterparty any more.
    Banned(SignerId),
    /// This signer has halted for this reason: nothing is signed any more.
    Halted(Arc<str>),
    /// People have let it work again.
    Readmitted,
    /// An Activation of this chunk was looked at, and this signer does not serve it all the same.
    NotServed(Chunk),
    /// This governance is in force.
    Governed(Arc<Pinned>),
}

/// The signing desk as the keeper sees it.
pub trait Serve {
    /// Takes over changes.
    fn publish(&mut self, changes: Vec<Change>);
    /// Stops serving these epochs; returns when no session under them runs any more.
    fn withdraw(&mut self, epochs: &[(WalletId, Epoch)]);
}
