//! What the simulator may look at and no daemon can: the content of key slots. Never in a shipped binary.

use crate::keeper::Own;
use crate::keyslots::{SlotBytes, SlotIndex};
use crate::record::HeldEpoch;
use crate::seal::OneTimeSeed;
use crate::serving::unlock_share;
use perennial_model::committee::SignerId;
use perennial_model::group::SCALAR_BYTES;
use perennial_model::wallet::Scheme;
use zeroize::Zeroizing;

/// Opens a share with what a slot held at some time; none if the slot is erased, torn or another's.
pub fn danger_open_share(
    own: &Own,
    held: &HeldEpoch,
    slot: &SlotBytes,
) -> Option<Zeroizing<[u8; SCALAR_BYTES]>> {
    let key = own.wrapping.open(held.locked.slot, slot)?;
    let share = unlock_share(&key, &held.locked.ciphertext, &held.share_set, own.pinned.me()).ok()?;
    Some(share.danger_secret_bytes().clone())
}

/// The public one-time key for a counterparty that follows from the seed in a slot; none if the slot does not open.
pub fn one_time_key(
    own: &Own,
    at: SlotIndex,
    slot: &SlotBytes,
    scheme: Scheme,
    counterparty: &SignerId,
) -> Option<[u8; 32]> {
    let seed = OneTimeSeed::from_secret_bytes(own.wrapping.open(at, slot)?);
    Some(seed.public_key_for(scheme, counterparty))
}

/// Whether a slot holds a key of this signer at this place.
pub fn slot_opens(own: &Own, at: SlotIndex, slot: &SlotBytes) -> bool {
    own.wrapping.open(at, slot).is_some()
}

/// The slot that a record of a pair base refers to; none for the other records of its table.
pub fn base_slot(record: &[u8]) -> Option<SlotIndex> {
    crate::ceremony::pairs::slot_of_record(record)
}
