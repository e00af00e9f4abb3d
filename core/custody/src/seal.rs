//! Sealing to one-time keys: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305.
//!
//! A holder keeps one seed per attempt in a key slot and derives from it a key pair per counterparty; when the
//! slot is overwritten, everything that was ever sealed to the attempt stays closed for good.

use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use perennial_model::committee::SignerId;
use perennial_model::dealing::Sealed;
use perennial_model::encoding::Bytes;
use perennial_model::wallet::Scheme;
use rand_core::CryptoRng;
use std::fmt;
use zeroize::Zeroizing;

#[cfg(feature = "simulation")]
mod transparent;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// The seed of all one-time keys of one attempt at one holder.
pub struct OneTimeSeed(Zeroizing<[u8; 32]>);

impl OneTimeSeed {
    /// A fresh seed.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self(seed)
    }

    /// Takes a seed back from its key slot.
    pub(crate) fn from_secret_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes that go into a key slot, and nowhere else.
    pub(crate) fn danger_secret_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn key_pair(&self, counterparty: &SignerId) -> (PrivateKey, PublicKey) {
        let mut material = Zeroizing::new([0; 32]);
        Hkdf::<sha2::Sha256>::new(Some(b"perennial/one-time-key/v1"), &*self.0)
            .expand(counterparty.as_str().as_bytes(), &mut *material)
            .expect("32 bytes are within what HKDF-SHA256 gives");
        X25519HkdfSha256::derive_keypair(&*material)
    }

    /// The public key that `counterparty` seals to.
    pub fn public_key(&self, counterparty: &SignerId) -> [u8; 32] {
        self.key_pair(counterparty).1.to_bytes().into()
    }

    /// The same for the wallets of one scheme: those of the simulator get a key of the simulator's.
    pub(crate) fn public_key_for(&self, scheme: Scheme, counterparty: &SignerId) -> [u8; 32] {
        match scheme {
            #[cfg(feature = "simulation")]
            Scheme::Transparent => transparent::public_key(&self.0, counterparty),
            _ => self.public_key(counterparty),
        }
    }

    /// Opens what `counterparty` sealed under this context; none if it was not sealed so.
    pub fn open(
        &self,
        counterparty: &SignerId,
        context: &[u8],
        sealed: &Sealed,
    ) -> Option<Zeroizing<Vec<u8>>> {
        #[cfg(feature = "simulation")]
        if transparent::is_key(&sealed.encapsulated) {
            return transparent::open(&self.0, counterparty, context, sealed);
        }
        let (private, _) = self.key_pair(counterparty);
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.encapsulated).ok()?;
        hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private,
            &encapsulated,
            INFO,
            &sealed.ciphertext.0,
            context,
        )
        .ok()
        .map(Zeroizing::new)
    }
}

impl fmt::Debug for OneTimeSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeSeed(redacted)")
    }
}

/// What every sealed message is for.
const INFO: &[u8] = b"perennial/seal/v1";

/// Seals for the owner of a one-time key; `context` is authenticated with it. None if the key is no good.
pub fn seal(
    public: &[u8; 32],
    context: &[u8],
    plaintext: &[u8],
    mut rng: &mut dyn CryptoRng,
) -> Option<Sealed> {
    #[cfg(feature = "simulation")]
    if transparent::is_key(public) {
        return Some(transparent::seal(public, context, plaintext, rng));
    }
    let public = PublicKey::from_bytes(public).ok()?;
    let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<
        ChaCha20Poly1305,
        HkdfSha256,
        X25519HkdfSha256,
    >(&OpModeS::Base, &public, INFO, plaintext, context, &mut rng)
    .ok()?;
    Some(Sealed { encapsulated: encapsulated.to_bytes().into(), ciphertext: Bytes(ciphertext) })
}
