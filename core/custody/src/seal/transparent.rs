//! Sealing that hides nothing, for the simulator alone: the rules of sealing at a hundredth of the price.
//!
//! A message still opens under its own seed, counterparty and context only. The keys begin with a mark, so no key
//! of the real scheme is ever taken for one of these.

use perennial_model::committee::SignerId;
use perennial_model::dealing::Sealed;
use perennial_model::encoding::{Bytes, Digest};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What keys and encapsulated keys begin with.
const MARK: [u8; 8] = *b"nowhere:";

const TAG_BYTES: usize = 16;

/// Whether these bytes are a key of this scheme.
pub(super) fn is_key(bytes: &[u8; 32]) -> bool {
    bytes.starts_with(&MARK)
}

/// The public key of a seed for one counterparty.
pub(super) fn public_key(seed: &[u8; 32], counterparty: &SignerId) -> [u8; 32] {
    marked(&Digest::of_parts("transparent/one-time-key", &[seed, counterparty.as_str().as_bytes()]).0)
}

/// Seals to a public key.
pub(super) fn seal(public: &[u8; 32], context: &[u8], plaintext: &[u8], rng: &mut dyn CryptoRng) -> Sealed {
    let mut random = [0; 32];
    rng.fill_bytes(&mut random);
    let encapsulated = marked(&random);
    let key = Digest::of_parts("transparent/seal", &[public, &encapsulated, context]);
    let mut ciphertext = plaintext.to_vec();
    cover(&key, &mut ciphertext);
    let tag = tag(&key, &ciphertext);
    ciphertext.extend_from_slice(&tag);
    Sealed { encapsulated, ciphertext: Bytes(ciphertext) }
}

/// Opens what was sealed to the key of this seed and counterparty under this context.
pub(super) fn open(
    seed: &[u8; 32],
    counterparty: &SignerId,
    context: &[u8],
    sealed: &Sealed,
) -> Option<Zeroizing<Vec<u8>>> {
    let public = public_key(seed, counterparty);
    let key = Digest::of_parts("transparent/seal", &[&public, &sealed.encapsulated, context]);
    let length = sealed.ciphertext.0.len().checked_sub(TAG_BYTES)?;
    let (ciphertext, shown) = sealed.ciphertext.0.split_at(length);
    if !bool::from(tag(&key, ciphertext).ct_eq(shown)) {
        return None;
    }
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    cover(&key, &mut plaintext);
    Some(plaintext)
}

fn marked(bytes: &[u8; 32]) -> [u8; 32] {
    let mut key = *bytes;
    key[..MARK.len()].copy_from_slice(&MARK);
    key
}

fn cover(key: &Digest, bytes: &mut [u8]) {
    for (block, bytes) in (0u64..).zip(bytes.chunks_mut(32)) {
        let stream = Digest::of_parts("transparent/stream", &[&key.0, &block.to_be_bytes()]);
        bytes.iter_mut().zip(stream.0).for_each(|(byte, cover)| *byte ^= cover);
    }
}

fn tag(key: &Digest, ciphertext: &[u8]) -> [u8; TAG_BYTES] {
    let digest = Digest::of_parts("transparent/tag", &[&key.0, ciphertext]);
    let (tag, _) = digest.0.split_first_chunk().expect("32 bytes hold 16");
    *tag
}

#[cfg(test)]
mod tests {
    use crate::seal::{OneTimeSeed, seal};
    use perennial_model::committee::SignerId;
    use perennial_model::wallet::Scheme;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn even_without_secrecy_a_message_opens_for_one_seed_counterparty_and_context_alone() {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let signer = |name: &str| name.parse::<SignerId>().expect("a good name");
        let (a, b) = (signer("a"), signer("b"));
        let (seed, other) = (OneTimeSeed::random(&mut rng), OneTimeSeed::random(&mut rng));
        let public = seed.public_key_for(Scheme::Transparent, &a);
        let plaintext = [9; 70];
        let mut sealed = seal(&public, b"chunk 1", &plaintext, &mut rng).expect("a key");
        let opened = seed.open(&a, b"chunk 1", &sealed).expect("sealed to it");
        assert_eq!(opened[..], plaintext);
        assert!(seed.open(&b, b"chunk 1", &sealed).is_none());
        assert!(seed.open(&a, b"chunk 2", &sealed).is_none());
        assert!(other.open(&a, b"chunk 1", &sealed).is_none());
        sealed.ciphertext.0[3] ^= 1;
        assert!(seed.open(&a, b"chunk 1", &sealed).is_none());
    }
}
