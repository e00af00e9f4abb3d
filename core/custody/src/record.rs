//! A signer's own durable records, apart from the keys of shares and pair bases, which are in the slots.

use crate::keyslots::SlotIndex;
use crate::serving::{Attempt, LockedShare};
use crate::store::{Table, Write};
use minicbor::{Decode, Encode};
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening};
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::identity::Signed;
use perennial_model::plan::Chunk;
use perennial_model::receipt::Receipt;
use perennial_model::refusal::Refusal;
use perennial_model::share_set::ShareSet;
use perennial_model::vote::Vote;
use perennial_model::wallet::{WalletId, WalletKey};
use std::sync::Arc;

/// What a signer keeps of one wallet.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct WalletRecord {
    /// The highest number that this signer has prepared, or seen Activated or Retired.
    #[n(0)]
    pub floor: Epoch,
    /// The epochs whose shares it holds, rising.
    #[n(1)]
    pub held: Vec<HeldEpoch>,
    /// The key that it has promised to keep: set with its first vote Keep for the wallet, and never changed.
    #[n(2)]
    pub key: Option<WalletKey>,
    /// The first number whose Retirement came here with this signer's own vote in it, or in what it erased: all members
    /// have promised the key then. Never changed.
    #[n(3)]
    pub anchor: Option<Epoch>,
}

impl Document for WalletRecord {
    const KIND: &'static str = "wallet-record";
}

impl WalletRecord {
    /// A wallet of which nothing is held.
    pub fn new(floor: Epoch) -> Self {
        Self { floor, held: Vec::new(), key: None, anchor: None }
    }
}

/// One epoch of one wallet at one signer.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct HeldEpoch {
    /// Its public face.
    #[cbor(n(0), with = "shared")]
    pub share_set: Arc<ShareSet>,
    /// The chunk whose fate it shares.
    #[n(1)]
    pub chunk: Chunk,
    /// The share.
    #[n(2)]
    pub locked: LockedShare,
}

/// Where a chunk is in its life at one signer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum ChunkState {
    /// One-time keys are made; their seed is in this slot.
    #[n(0)]
    Opened(#[n(0)] SlotIndex),
    /// Shares are held; nothing but probes is signed under them.
    #[n(1)]
    Prepared,
    /// Dealt from without being a new holder.
    #[n(5)]
    Dealt,
    /// Left after a refusal; kept so that the number is not opened again.
    #[n(6)]
    Left,
    /// Signed under since this time, in milliseconds since 1970 by this signer's clock.
    #[n(2)]
    Active(#[n(0)] u64),
    /// Kept: only a Retirement above erases it. Active since the time given.
    #[n(3)]
    Kept(#[n(0)] u64),
    /// Retired: everything lower is to be erased, or was if there is a receipt. Active since the time given.
    #[n(4)]
    Retired(#[n(0)] u64),
}

impl ChunkState {
    /// Whether transactions are signed under it.
    pub fn is_served(self) -> bool {
        matches!(self, Self::Active(_) | Self::Kept(_) | Self::Retired(_))
    }

    /// The word for it in a status line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Prepared => "prepared",
            Self::Dealt => "dealt",
            Self::Left => "left",
            Self::Active(_) => "active",
            Self::Kept(_) => "kept",
            Self::Retired(_) => "retired",
        }
    }
}

/// What a signer keeps of one chunk.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ChunkRecord {
    /// Where it is.
    #[n(0)]
    pub state: ChunkState,
    /// The wallets, in the order of the plan.
    #[n(1)]
    pub wallets: Vec<WalletId>,
    /// Parents handed over at opening, where this signer holds none.
    #[n(2)]
    pub parents: Vec<ShareSet>,
    /// The opening sent, by a new holder.
    #[n(3)]
    pub opening: Option<Signed<Opening>>,
    /// The inputs dealt or prepared for.
    #[n(4)]
    pub inputs: Option<Inputs>,
    /// The promise sent. The dealing itself is in a table of its own.
    #[n(5)]
    pub commitment: Option<Signed<Commitment>>,
    /// The chunk root, once prepared.
    #[n(6)]
    pub root: Option<Digest>,
    /// The vote sent.
    #[n(7)]
    pub prepared: Option<Signed<Vote>>,
    /// How many probe sessions were begun.
    #[n(8)]
    pub probe_sessions: u32,
    /// The certificate that made it Active.
    #[n(9)]
    pub activation: Option<Certificate>,
    /// The vote sent.
    #[n(10)]
    pub keep: Option<Signed<Vote>>,
    /// The certificate that retired it.
    #[n(11)]
    pub retirement: Option<Certificate>,
    /// The receipt for what was erased under it.
    #[n(12)]
    pub receipt: Option<Signed<Receipt>>,
    /// The refusal sent, if a dealer's sub-shares were bad.
    #[n(13)]
    pub refusal: Option<Signed<Refusal>>,
    /// One digest of all dealers' promises, on which this signer published its dealing of a new key.
    #[n(14)]
    pub promises: Option<Digest>,
}

impl Document for ChunkRecord {
    const KIND: &'static str = "chunk-record";
}

impl ChunkRecord {
    /// A chunk about which nothing was said yet.
    pub fn new(state: ChunkState, wallets: Vec<WalletId>, parents: Vec<ShareSet>) -> Self {
        Self {
            state,
            wallets,
            parents,
            opening: None,
            inputs: None,
            commitment: None,
            root: None,
            prepared: None,
            probe_sessions: 0,
            activation: None,
            keep: None,
            retirement: None,
            receipt: None,
            refusal: None,
            promises: None,
        }
    }
}

/// This signer's own dealing of one chunk, so that it sends the same bytes again.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct DealingRecord {
    /// The dealing as it was signed.
    #[n(0)]
    pub dealing: Signed<Dealing>,
}

impl Document for DealingRecord {
    const KIND: &'static str = "dealing-record";
}

/// A pair base under its own key, and where that key is. Safe to keep anywhere.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct BaseRecord {
    /// The other signer of the pair.
    #[n(0)]
    pub counterparty: SignerId,
    /// The attempt that it was made for.
    #[n(1)]
    pub attempt: Attempt,
    /// The slot of its key.
    #[n(2)]
    pub slot: SlotIndex,
    /// The base's ciphertext.
    #[n(3)]
    pub ciphertext: Bytes,
}

impl Document for BaseRecord {
    const KIND: &'static str = "base-record";
}

/// The change that stores a record.
pub(crate) fn put<D: Document>(table: Table, key: Vec<u8>, record: &D) -> Write {
    Write { table, key, value: Some(encoding::encode(record)) }
}

/// The change that deletes a record.
pub(crate) fn delete(table: Table, key: Vec<u8>) -> Write {
    Write { table, key, value: None }
}

/// The key of a chunk's records.
pub(crate) fn chunk_key(chunk: &Chunk) -> Vec<u8> {
    minicbor::to_vec(chunk).expect("writing to memory does not fail")
}

/// The key of a wallet's record.
pub(crate) fn wallet_key(wallet: &WalletId) -> Vec<u8> {
    wallet.as_str().as_bytes().to_vec()
}

mod shared {
    //! An `Arc` is written as what it holds.

    use minicbor::{Decode, Decoder, Encode, Encoder};
    use std::sync::Arc;

    pub fn encode<T: Encode<C>, C, W: minicbor::encode::Write>(
        value: &Arc<T>,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        (**value).encode(encoder, context)
    }

    pub fn decode<'b, T: Decode<'b, C>, C>(
        decoder: &mut Decoder<'b>,
        context: &mut C,
    ) -> Result<Arc<T>, minicbor::decode::Error> {
        T::decode(decoder, context).map(Arc::new)
    }
}
