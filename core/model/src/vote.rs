//! What a signer promises about a chunk, and the proof that it holds its shares.

use crate::committee::SignerId;
use crate::dealing::{SchnorrProof, hash_to_scalar, small_random};
use crate::encoding::{Digest, Document};
use crate::group::{Group, Scalar};
use crate::plan::Chunk;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use std::fmt;

/// The two votes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum VoteKind {
    /// "My shares are verified, stored durably and read back." All of `A` make an Activation.
    #[n(0)]
    Prepared,
    /// "I am Active under this number, the least overlap is over at me, the backup rule is met, and only a
    /// Retirement above it makes me erase it." All of `A` make a Retirement.
    #[n(1)]
    Keep,
}

impl fmt::Display for VoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepared => "prepared",
            Self::Keep => "keep",
        })
    }
}

/// A vote on one chunk. The chunk names plan and epoch; the root covers inputs, dealings and every leaf, and
/// with them the parents; seats follow from the share sets.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Vote {
    /// Which promise.
    #[n(0)]
    pub kind: VoteKind,
    /// The governance under which the plan was approved.
    #[n(1)]
    pub governance: Digest,
    /// The chunk.
    #[n(2)]
    pub chunk: Chunk,
    /// The digest of the inputs.
    #[n(3)]
    pub inputs: Digest,
    /// The chunk root.
    #[n(4)]
    pub root: Digest,
    /// With `Prepared`: one proof of possession of all of the signer's new shares in the chunk.
    #[n(5)]
    pub possession: Option<SchnorrProof>,
}

impl Document for Vote {
    const KIND: &'static str = "vote";
}

/// The challenge of a batch proof of possession. The root covers every `X'_j`, so it need not be hashed again.
pub fn possession_challenge<G: Group>(
    inputs: &Digest,
    root: &Digest,
    signer: &SignerId,
    commitment: &crate::group::Point,
) -> G::Scalar {
    hash_to_scalar::<G>(
        "perennial/possession/v1",
        &[&inputs.0, &root.0, signer.as_str().as_bytes(), commitment.as_bytes()],
    )
}

/// One signer's proof of possession with what it speaks of.
#[derive(Debug, Clone)]
pub struct Possession<'a, G: Group> {
    /// Who proves.
    pub signer: &'a SignerId,
    /// The proof.
    pub proof: &'a SchnorrProof,
    /// Its verification shares in the order of the chunk.
    pub shares: Vec<G::Element>,
}

/// Checks batch Schnorr proofs (Gennaro, Leigh, Sundaram, Yerazunis 2004): `s·G = R + Σ c^k · X_k`, all signers'
/// together, one by one only if that fails.
///
/// # Errors
/// The signer whose proof is wrong.
pub fn check_possession<'a, G: Group>(
    inputs: &Digest,
    root: &Digest,
    possessions: &[Possession<'a, G>],
    rng: &mut dyn CryptoRng,
) -> Result<(), &'a SignerId> {
    if possessions.is_empty() || holds_together::<G>(inputs, root, possessions, rng)? {
        return Ok(());
    }
    for possession in possessions {
        if !holds_together::<G>(inputs, root, std::slice::from_ref(possession), rng)? {
            return Err(possession.signer);
        }
    }
    Ok(())
}

fn holds_together<'a, G: Group>(
    inputs: &Digest,
    root: &Digest,
    possessions: &[Possession<'a, G>],
    rng: &mut dyn CryptoRng,
) -> Result<bool, &'a SignerId> {
    let weights = small_random::<G::Scalar>(possessions.len(), rng);
    let mut scalars = Vec::new();
    let mut elements = Vec::new();
    let mut response_sum = G::Scalar::ZERO;
    for (possession, weight) in possessions.iter().zip(&weights) {
        let proof = possession.proof;
        let response = G::Scalar::decode(&proof.response).ok_or(possession.signer)?;
        let commitment = G::decode(&proof.commitment).ok_or(possession.signer)?;
        let challenge = possession_challenge::<G>(inputs, root, possession.signer, &proof.commitment);
        response_sum = response_sum + *weight * response;
        scalars.push(*weight);
        elements.push(commitment);
        let mut power = *weight;
        for share in &possession.shares {
            power = power * challenge;
            scalars.push(power);
            elements.push(*share);
        }
    }
    Ok(G::generate(&response_sum) == G::sum_public(&scalars, &elements))
}
