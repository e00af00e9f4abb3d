//! Opening pair bases as a signer would: the slot's key under the wrapping key, the base's ciphertext under that.
//! A base that opens here is bytes to a thief; it is not read any further.

use crate::body::Body;
use perennial_custody::keyslots::{SlotIndex, unlock};
use perennial_custody::serving::{Attempt, base_context};
use perennial_model::committee::SignerId;

/// A base that records name, and what came of opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBase {
    /// The other signer of the pair.
    pub counterparty: SignerId,
    /// The attempt that it was made for.
    pub attempt: Attempt,
    /// Whether its key is in any slot, and opens it.
    pub opens: bool,
}

/// Tries every pair base that `records` names with all slots and the wrapping key of `keys`. They may be the same
/// directory, or an old copy and what is there today.
pub fn open_bases(records: &Body, keys: &Body) -> Vec<FoundBase> {
    let slots = (0..).map(SlotIndex).zip(&keys.slots);
    let opened: Vec<_> = slots.filter_map(|(at, slot)| keys.wrapping.open(at, slot)).collect();
    let found = records.bases.iter().map(|base| {
        let context = base_context(&records.signer, &base.counterparty, &base.attempt);
        let opens = opened.iter().any(|key| unlock(key, &context.0, &base.ciphertext.0).is_some());
        FoundBase { counterparty: base.counterparty.clone(), attempt: base.attempt, opens }
    });
    found.collect()
}
