//! One base of oblivious transfers per pair of signers, and what a wallet derives from it when it signs.
//!
//! Threshold ECDSA multiplies two secrets between every two signers. The state for it does not depend on the
//! key, so a pair makes it once ([`Setup`]) and derives a wallet's share of it for one epoch ([`Base::derive`]):
//! choice bits moved by a known offset, seeds hashed, gadget scaled. The scaling makes signers who derived from
//! different bases, epochs or transcripts find out before the first transfer, instead of accusing each other.
//!
//! What keeps this safe is not here: a base never serves two epochs of one wallet, is never backed up, and dies
//! with the epochs that it served; a ban destroys it. This module makes, stores and derives, and has no opinion
//! on when. Integrity at rest is the caller's (AEAD): a base altered in memory makes the honest peer look like a
//! cheat.

mod choices;
mod derive;
mod knowledge;
mod multiples;
mod setup;
mod stored;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
pub(crate) mod tests;
mod transfers;
mod wire;

pub use derive::{PairState, PairUse};
pub use setup::{Setup, SetupProgress, SetupTerms};
pub(crate) use wire::{Extension, Malformed, Transfer, point, scalar, write_point};

use dkls23_core::utilities::hashes::tagged_hash_as_scalar;
use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use dkls23_core::utilities::oracle_tags::TAG_MUL_GADGET;
use dkls23_core::utilities::ot::extension::{BATCH_SIZE, KAPPA, OTEReceiver, OTESender};
use k256::{Scalar as Number, Secp256k1};
use minicbor::{Decode, Encode};
use perennial_model::encoding::Digest;
use perennial_model::group::Scalar as _;
use std::fmt;
use zeroize::Zeroizing;

/// How many base transfers each direction has.
pub(crate) const TRANSFERS: usize = KAPPA as usize;

/// How many weights a gadget has.
pub(crate) const GADGET: usize = BATCH_SIZE as usize;

/// Which of the two signers one is. The caller orders the pair, both sides in the same way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Side {
    /// The first of the pair.
    #[n(1)]
    First,
    /// The second of the pair.
    #[n(2)]
    Second,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The multiplications in which this side is the receiver, as a byte for hashing.
    fn direction(self) -> [u8; 1] {
        [match self {
            Self::First => 1,
            Self::Second => 2,
        }]
    }
}

/// Why a base could not be made or read. The culprit, where there is one, is the other signer of the pair. The
/// base in question never served, so nobody is banned for it: making it starts anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// The two sides are not in the same setup. Start anew.
    #[error("stale: {0}; start the setup anew")]
    Stale(String),
    /// The peer sent what an honest one never sends.
    #[error("the peer misbehaved: {0}")]
    Misbehaved(String),
    /// The stored bytes are no base, or were altered.
    #[error("damaged: {0}; the base is lost, make a fresh one")]
    Damaged(String),
    /// A rule of our own code does not hold. Stop and report.
    #[error("bug: {0}")]
    Bug(String),
}

/// The oblivious transfers of one pair, both directions, at one of its two signers.
///
/// A copy of a base is as good as the base, so it cannot be cloned:
///
/// ```compile_fail
/// fn copy(base: &perennial_custody::pairing::Base) -> perennial_custody::pairing::Base {
///     base.clone()
/// }
/// ```
///
/// Only what it is called can:
///
/// ```
/// fn copy(base: &perennial_custody::pairing::Base) -> perennial_model::encoding::Digest {
///     base.id().clone()
/// }
/// ```
pub struct Base {
    context: Digest,
    generation: u64,
    side: Side,
    id: Digest,
    /// Known to both sides.
    secret: Zeroizing<[u8; 32]>,
    /// This signer's half of the multiplications in which it sends: `Delta` and `seed_Delta`.
    sender: MulSender<Secp256k1>,
    sender_nonce: Number,
    /// Its half of those in which it receives: `seed0` and `seed1`.
    receiver: MulReceiver<Secp256k1>,
    receiver_nonce: Number,
}

impl Base {
    /// The digest of labels, generation and both init transcripts: equal at both sides, and at no other base.
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// The generation that it was made under.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Which of the two signers this is.
    pub fn side(&self) -> Side {
        self.side
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base")
            .field("id", &self.id)
            .field("generation", &self.generation)
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

/// The session id of one direction's init: the one in which `receiver` receives.
fn init_session(context: &Digest, generation: u64, receiver: Side) -> [u8; 32] {
    let parts = [&context.0[..], &generation.to_be_bytes(), &receiver.direction()];
    Digest::of_parts("perennial/pair-base/init/v1", &parts).0
}

/// The public weights of a direction, as `dkls23-core` makes them from the receiver's nonce.
fn gadget(session: &[u8; 32], nonce: &Number) -> Vec<Number> {
    let mut counter = *nonce;
    (0..GADGET)
        .map(|_| {
            counter += Number::ONE;
            tagged_hash_as_scalar::<Secp256k1>(TAG_MUL_GADGET, &[session, &counter.encode()])
        })
        .collect()
}

/// A sender's state from its parts. A field of the type is private, so it starts from the written form of an
/// empty one.
fn mul_sender(
    public_gadget: Vec<Number>,
    correlation: Vec<bool>,
    seeds: Vec<[u8; 32]>,
) -> Result<MulSender<Secp256k1>, PairingError> {
    let mut sender: MulSender<Secp256k1> = postcard::from_bytes(&[0; 3]).map_err(no_template)?;
    sender.public_gadget = public_gadget;
    sender.ote_sender = OTESender { correlation, seeds };
    Ok(sender)
}

/// A receiver's state from its parts.
fn mul_receiver(
    public_gadget: Vec<Number>,
    seeds0: Vec<[u8; 32]>,
    seeds1: Vec<[u8; 32]>,
) -> Result<MulReceiver<Secp256k1>, PairingError> {
    let mut receiver: MulReceiver<Secp256k1> = postcard::from_bytes(&[0; 3]).map_err(no_template)?;
    receiver.public_gadget = public_gadget;
    receiver.ote_receiver = OTEReceiver { seeds0, seeds1 };
    Ok(receiver)
}

fn no_template(error: postcard::Error) -> PairingError {
    PairingError::Bug(format!("dkls23-core changed the form of its state: {error}"))
}
