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

/// A signature in the wire form of its scheme.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct RawSignature {
    /// ECDSA: `r ‖ s` with low `s`; BIP-340 and Ed25519: 64 bytes as they are.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub bytes: [u8; 64],
    /// ECDSA only: the recovery id, 0 or 1; 2 and 3 are for an `r` below its x-coordinate by the order, one in 2^127.
    #[n(1)]
    pub recovery_id: Option<u8>,
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

/// Whether a signature verifies under a raw key: ECDSA with low `s` over a 32-byte digest, BIP-340 under the
/// x coordinate, Ed25519 (strict) over the message.
pub fn verifies(scheme: Scheme, key: &Point, message: &[u8], signature: &RawSignature) -> bool {
    match scheme {
        Scheme::Ecdsa => ecdsa_verifies(key, message, signature),
        Scheme::Taproot => {
            use k256::schnorr::{Signature, VerifyingKey};
            let x_only = key.as_bytes().get(1..);
            x_only.and_then(|x| VerifyingKey::from_slice(x).ok()).is_some_and(|key| {
                Signature::try_from(signature.bytes.as_slice())
                    .is_ok_and(|signature| key.verify_raw(message, &signature).is_ok())
            })
        }
        Scheme::Ed25519 => key.as_bytes().try_into().is_ok_and(|bytes: &[u8; 32]| {
            ed25519_dalek::VerifyingKey::from_bytes(bytes).is_ok_and(|key| {
                key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.bytes)).is_ok()
            })
        }),
        #[cfg(feature = "simulation")]
        Scheme::Transparent => transparent_verifies(key, message, signature),
    }
}

fn ecdsa_verifies(key: &Point, message: &[u8], signature: &RawSignature) -> bool {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
    let Ok(key) = VerifyingKey::from_sec1_bytes(key.as_bytes()) else { return false };
    let Ok(parsed) = Signature::from_slice(&signature.bytes) else { return false };
    let Some(recovery_id) = signature.recovery_id.and_then(RecoveryId::from_byte) else { return false };
    parsed == parsed.normalize_s()
        && message.len() == 32
        && VerifyingKey::recover_from_prehash(message, &parsed, recovery_id).is_ok_and(|found| found == key)
}

/// `z · G = R + c · X` with `R` and `z` of 8 and 32 bytes, `c = H(X, R, message)`.
#[cfg(feature = "simulation")]
fn transparent_verifies(key: &Point, message: &[u8], signature: &RawSignature) -> bool {
    use crate::group::{Group, Scalar, Transparent};
    let (left, right) = signature.bytes.split_at(32);
    let scalar = |bytes: &[u8]| {
        bytes.try_into().ok().and_then(|bytes: &[u8; 32]| <Transparent as Group>::Scalar::decode(bytes))
    };
    let (Some(commitment), Some(response), Some(key)) =
        (scalar(left), scalar(right), Transparent::decode(key))
    else {
        return false;
    };
    let challenge = transparent_challenge(&Transparent::encode(&key), left, message);
    response == commitment + challenge * key
}

/// The challenge of every transparent signature; `commitment` is the group commitment as scalar bytes.
#[cfg(feature = "simulation")]
pub fn transparent_challenge(
    key: &Point,
    commitment: &[u8],
    message: &[u8],
) -> <crate::group::Transparent as crate::group::Group>::Scalar {
    use crate::group::Scalar;
    let mut wide = [0; 64];
    let parts = [key.as_bytes(), commitment, message];
    wide[..32].copy_from_slice(&Digest::of_parts("perennial/transparent/challenge", &parts).0);
    Scalar::reduce(&wide)
}
