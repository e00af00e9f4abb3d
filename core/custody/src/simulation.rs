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

/// The key of a transparent identity's cosignatures: checkpoints are signed in earnest, since the ledger knows no other
/// kind.
pub fn cosigning_key(tag: &[u8; 32]) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(tag).verifying_key().to_bytes()
}

/// A transparent identity's signature under [`cosigning_key`].
pub fn cosign(tag: &[u8; 32], message: &[u8]) -> [u8; 64] {
    use ed25519_dalek::Signer as _;
    ed25519_dalek::SigningKey::from_bytes(tag).sign(message).to_bytes()
}

/// A planted fault: the randomness of a session as if it had been saved and were used in every session.
#[derive(Debug, Default)]
pub struct SavedRandomness(u64);

impl rand_core::TryRng for SavedRandomness {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for part in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for SavedRandomness {}
