//! Probes: signatures under a prepared epoch, made before anybody relies on it.
//!
//! Which wallets are probed, by whom, and what they sign follows from the chunk root and the plan; the
//! coordinator chooses nothing. A probe uses the raw root key: no derivation, no tweak.

mod batch;
mod groups;

pub use groups::ProbeGroups;

use crate::encoding::Digest;
use crate::epoch::Epoch;
use crate::group::Point;
use crate::plan::ProbeRate;
use crate::signature::{RawSignature, verifies};
use crate::wallet::{Scheme, WalletId};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

/// One probe that an Activation needs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct ProbeTask {
    /// The place of the wallet in the chunk.
    #[n(0)]
    pub wallet: u32,
    /// The number of the probe of this wallet, from 0; each has its own group of signers.
    #[n(1)]
    pub counter: u32,
}

/// A signature of one probe.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ProbeSignature {
    /// Which probe.
    #[n(0)]
    pub task: ProbeTask,
    /// The signature.
    #[n(1)]
    pub signature: RawSignature,
}

/// The places in a chunk of `count` wallets that are probed: all of them, or the one that the root points at.
pub fn sampled(root: &Digest, count: u32, rate: ProbeRate) -> Vec<u32> {
    match rate {
        ProbeRate::Every => (0..count).collect(),
        ProbeRate::OnePerChunk => {
            let (head, _) = root.0.split_first_chunk::<8>().expect("32 bytes hold 8");
            let point = u64::from_be_bytes(*head) % u64::from(count.max(1));
            vec![point as u32]
        }
    }
}

/// The 32 bytes that a probe signs.
pub fn probe_digest(wallet: &WalletId, epoch: Epoch, transcript: &Digest, counter: u32) -> Digest {
    Digest::of_parts(
        "perennial/probe/v1",
        &[
            wallet.as_str().as_bytes(),
            &epoch.rank.to_be_bytes(),
            &epoch.count.to_be_bytes(),
            &transcript.0,
            &counter.to_be_bytes(),
        ],
    )
}

/// A probe's signature with what it has to verify under.
#[derive(Clone, Debug)]
pub struct Probed<'a> {
    /// The wallet's raw key.
    pub key: Point,
    /// What was signed.
    pub message: Digest,
    /// The signature.
    pub signature: &'a RawSignature,
}

/// Checks many signatures: those over secp256k1 as one equation, one by one only if that fails; all others one by one,
/// since the strict check of Ed25519 and a sum of it are not the same question.
///
/// # Errors
/// The place of the first that does not verify.
pub fn verify_all(scheme: Scheme, probed: &[Probed<'_>], rng: &mut dyn CryptoRng) -> Result<(), usize> {
    if probed.len() > 1 && batch::all_verify(scheme, probed, rng) == Some(true) {
        return Ok(());
    }
    let wrong = |probe: &Probed<'_>| !verifies(scheme, &probe.key, &probe.message.0, probe.signature);
    probed.iter().position(wrong).map_or(Ok(()), Err)
}
