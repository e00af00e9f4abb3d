//! Key slots: the small place where a secret lives or dies.
//!
//! Every share is encrypted under a key of its own, and that key, wrapped under the signer's wrapping key,
//! lives in one slot. Copy-on-write storage may keep old ciphertext for ever; overwriting the slot is what
//! erases. A slot is 72 bytes: a nonce (24), the wrapped key (32) and its tag (16); an empty slot is zeros.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use minicbor::{Decode, Encode};
use perennial_model::error::Error;
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// The size of a slot in bytes.
pub const SLOT_BYTES: usize = 72;

/// The place of a slot in the file, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct SlotIndex(#[n(0)] pub u32);

/// What a slot holds: ciphertext, safe to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SlotBytes(pub [u8; SLOT_BYTES]);

impl SlotBytes {
    /// An erased slot.
    pub const EMPTY: Self = Self([0; SLOT_BYTES]);
}

impl fmt::Debug for SlotBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::EMPTY { "(empty slot)" } else { "(full slot)" })
    }
}

/// The key that wraps all slot keys of one signer.
pub struct WrappingKey(Zeroizing<[u8; 32]>);

impl WrappingKey {
    /// Takes the key from wherever the signer keeps it.
    pub fn from_secret_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    fn wrap(&self, at: SlotIndex, key: &[u8; 32], rng: &mut dyn CryptoRng) -> SlotBytes {
        let mut slot = [0; SLOT_BYTES];
        rng.fill_bytes(&mut slot[..24]);
        let cipher = XChaCha20Poly1305::new((&*self.0).into());
        let nonce: [u8; 24] = slot[..24].try_into().expect("24 of 72 bytes");
        let payload = Payload { msg: key, aad: &slot_context(at) };
        let wrapped = cipher.encrypt(&nonce.into(), payload).expect("32 bytes are not too long");
        slot[24..].copy_from_slice(&wrapped);
        SlotBytes(slot)
    }

    /// Opens a slot's content; none if it is empty, of another place or of another signer. Whoever calls this
    /// outside of a signer holds a copy of its secrets: a thief, or somebody who shows what a thief would get.
    pub fn open(&self, at: SlotIndex, slot: &SlotBytes) -> Option<Zeroizing<[u8; 32]>> {
        let cipher = XChaCha20Poly1305::new((&*self.0).into());
        let nonce: [u8; 24] = slot.0[..24].try_into().expect("24 of 72 bytes");
        let payload = Payload { msg: &slot.0[24..], aad: &slot_context(at) };
        let mut key = cipher.decrypt(&nonce.into(), payload).ok()?;
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&key);
        key.zeroize();
        Some(bytes)
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(redacted)")
    }
}

fn slot_context(at: SlotIndex) -> [u8; 28] {
    let mut context = *b"perennial/key-slot/v1\0\0\0....";
    context[24..].copy_from_slice(&at.0.to_be_bytes());
    context
}

/// All slots of one signer, as they are on disk, with the key that opens them.
#[derive(Debug)]
pub struct Cabinet {
    wrapping: Arc<WrappingKey>,
    slots: Vec<SlotBytes>,
    free: BTreeSet<u32>,
}

impl Cabinet {
    /// Takes over the slots found on disk.
    pub fn new(wrapping: Arc<WrappingKey>, slots: Vec<SlotBytes>) -> Self {
        let free =
            (0..).zip(&slots).filter(|(_, slot)| **slot == SlotBytes::EMPTY).map(|(at, _)| at).collect();
        Self { wrapping, slots, free }
    }

    /// Wraps a key into a free slot. The caller writes the slot to disk.
    pub fn put(&mut self, key: &[u8; 32], rng: &mut dyn CryptoRng) -> (SlotIndex, SlotBytes) {
        let at = self.free.pop_first().unwrap_or_else(|| {
            self.slots.push(SlotBytes::EMPTY);
            u32::try_from(self.slots.len() - 1).expect("slots are counted in 32 bits")
        });
        let at = SlotIndex(at);
        let slot = self.wrapping.wrap(at, key, rng);
        self.slots[at.0 as usize] = slot;
        (at, slot)
    }

    /// The key in a slot.
    ///
    /// # Errors
    /// `Bug` when the slot is empty or was not wrapped here: the store is damaged or another signer's.
    pub fn get(&self, at: SlotIndex) -> Result<Zeroizing<[u8; 32]>, Error> {
        self.slots.get(at.0 as usize).and_then(|slot| self.wrapping.open(at, slot)).ok_or_else(|| {
            Error::Bug(format!("key slot {} does not open with this signer's wrapping key", at.0))
        })
    }

    /// The content of a slot as it is on disk.
    pub fn wrapped(&self, at: SlotIndex) -> SlotBytes {
        self.slots.get(at.0 as usize).copied().unwrap_or(SlotBytes::EMPTY)
    }

    /// Keeps slots from being handed out although they are empty: something still refers to them.
    pub fn reserve(&mut self, slots: impl IntoIterator<Item = SlotIndex>) {
        for slot in slots {
            self.free.remove(&slot.0);
        }
    }

    /// Forgets the key in a slot. The caller overwrites it on disk before the slot is used again.
    pub fn forget(&mut self, at: SlotIndex) {
        if let Some(slot) = self.slots.get_mut(at.0 as usize) {
            *slot = SlotBytes::EMPTY;
            self.free.insert(at.0);
        }
    }

    /// The slots that hold something although nobody refers to them: leftovers of a step cut short.
    pub fn orphans(&self, referred: &BTreeSet<SlotIndex>) -> Vec<SlotIndex> {
        (0..)
            .zip(&self.slots)
            .map(|(at, slot)| (SlotIndex(at), slot))
            .filter(|(at, slot)| **slot != SlotBytes::EMPTY && !referred.contains(at))
            .map(|(at, _)| at)
            .collect()
    }
}

/// Encrypts one secret under a key that is used for nothing else; so the nonce can be zero.
pub fn lock(key: &[u8; 32], context: &[u8], secret: &[u8]) -> Vec<u8> {
    ChaCha20Poly1305::new(key.into())
        .encrypt(&[0; 12].into(), Payload { msg: secret, aad: context })
        .expect("secrets here are far below the cipher's limit")
}

/// Decrypts what [`lock`] encrypted; none if key, context or ciphertext differ.
pub fn unlock(key: &[u8; 32], context: &[u8], ciphertext: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    ChaCha20Poly1305::new(key.into())
        .decrypt(&[0; 12].into(), Payload { msg: ciphertext, aad: context })
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn wrapping(fill: u8) -> Arc<WrappingKey> {
        Arc::new(WrappingKey::from_secret_bytes(Zeroizing::new([fill; 32])))
    }

    #[test]
    fn a_slot_opens_at_its_own_place_and_under_its_own_signer_only() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut cabinet = Cabinet::new(wrapping(2), Vec::new());
        let (first, slot) = cabinet.put(&[3; 32], &mut rng);
        let (second, _) = cabinet.put(&[4; 32], &mut rng);
        assert_eq!(*cabinet.get(first).expect("just put"), [3; 32]);
        let moved = Cabinet::new(wrapping(2), vec![SlotBytes::EMPTY, slot]);
        assert!(moved.get(SlotIndex(1)).is_err());
        let other = Cabinet::new(wrapping(9), vec![slot]);
        assert!(other.get(SlotIndex(0)).is_err());
        cabinet.forget(first);
        assert!(cabinet.get(first).is_err());
        assert!(cabinet.get(second).is_ok());
        assert_eq!(cabinet.put(&[5; 32], &mut rng).0, first, "freed slots are used again");
    }

    #[test]
    fn ciphertext_is_bound_to_what_it_is_for() {
        let locked = lock(&[1; 32], b"wallet a", b"secret");
        assert!(unlock(&[1; 32], b"wallet b", &locked).is_none());
        assert!(unlock(&[2; 32], b"wallet a", &locked).is_none());
        assert_eq!(
            unlock(&[1; 32], b"wallet a", &locked).as_deref().map(Vec::as_slice),
            Some(&b"secret"[..])
        );
    }
}
