//! What a signer says after it erased. A receipt is a claim, and claims no more than was done.

use crate::encoding::{Digest, Document};
use crate::epoch::Epoch;
use crate::plan::Chunk;
use crate::wallet::WalletId;
use minicbor::{Decode, Encode};

/// How far the erasure reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum ErasureLevel {
    /// Key slots were overwritten in a file and read back. Snapshots of the host and copies made below the
    /// file system defeat this. The ciphertext may stay in free pages, for ever unreadable.
    #[n(0)]
    Software,
}

impl ErasureLevel {
    /// The word shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
        }
    }
}

/// One epoch of one wallet that is gone at this signer.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ErasedShare {
    /// The wallet.
    #[n(0)]
    pub wallet: WalletId,
    /// The epoch.
    #[n(1)]
    pub epoch: Epoch,
    /// Its transcript digest `T`.
    #[n(2)]
    pub transcript: Digest,
}

/// The statement of one signer that everything below a retired chunk is erased.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Receipt {
    /// The chunk whose Retirement allowed it.
    #[n(0)]
    pub chunk: Chunk,
    /// Every share that went.
    #[n(1)]
    pub shares: Vec<ErasedShare>,
    /// Attempts of these wallets whose one-time keys and dealings went with them.
    #[n(2)]
    pub attempts: Vec<Chunk>,
    /// The pair bases that went.
    #[n(3)]
    pub bases: Vec<Digest>,
    /// How far the erasure reaches.
    #[n(4)]
    pub level: ErasureLevel,
    /// When it was done, in milliseconds since 1970 by the signer's clock.
    #[n(5)]
    pub erased_at_ms: u64,
}

impl Document for Receipt {
    const KIND: &'static str = "receipt";
}
