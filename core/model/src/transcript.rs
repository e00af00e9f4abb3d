//! What an attempt comes to: one leaf per wallet, the chunk root over all of them, and `T` for each wallet.
//!
//! Everybody computes the same from the same dealings; votes sign the root, and `T` binds root and leaf.

use crate::committee::{Committee, Seat};
use crate::dealing::{CheckedDealing, Inputs, digest_of_all};
use crate::encoding::{self, Digest, Document};
use crate::error::Error;
use crate::group::{Group, Point};
use crate::plan::PlannedWallet;
use crate::share_set::{ShareSet, evaluate_in_exponent};
use crate::wallet::{Wallet, WalletId, WalletKey};
use minicbor::{Decode, Encode};

/// What one wallet's share set will be, without the names that depend on the whole chunk.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Leaf {
    /// The wallet.
    #[n(0)]
    pub wallet: WalletId,
    /// The digest of the parent share set; none where a key was made.
    #[n(1)]
    pub parent: Option<Digest>,
    /// The wallet's public key.
    #[n(2)]
    pub public_key: Point,
    /// The new holders.
    #[n(3)]
    pub committee: Committee,
    /// Their verification shares.
    #[n(4)]
    pub verification_shares: Vec<Point>,
    /// The highest seat ever used.
    #[n(5)]
    pub highest_seat: Seat,
}

impl Document for Leaf {
    const KIND: &'static str = "leaf";
}

/// What the chunk root is the digest of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ChunkRoot {
    /// The digest of the [`Inputs`].
    #[n(0)]
    pub inputs: Digest,
    /// The digest of all dealings' digests, in the order of the dealers.
    #[n(1)]
    pub dealings: Digest,
    /// The digest of all leaves' digests, in the order of the chunk: that of [`leaf_list`].
    #[n(2)]
    pub leaves: Digest,
}

impl Document for ChunkRoot {
    const KIND: &'static str = "chunk-root";
}

/// The label in front of the leaves' digests.
const LEAVES: &str = "leaves";

/// The bytes whose digest stands for all leaves: so whoever has them can say which leaves a root is over.
pub fn leaf_list(leaves: &[Digest]) -> Vec<u8> {
    let parts: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.0.as_slice()).collect();
    encoding::parts(LEAVES, &parts)
}

/// The digests in a [`leaf_list`]; none if it is none.
pub fn read_leaf_list(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (_, rest) = bytes.split_at_checked(size_of::<u64>() + LEAVES.len())?;
    let each = size_of::<u64>() + size_of::<Digest>();
    let leaf = |part: &[u8]| part.get(size_of::<u64>()..)?.try_into().ok().map(Digest);
    let leaves: Vec<Digest> = rest.chunks(each).map(leaf).collect::<Option<_>>()?;
    (leaf_list(&leaves) == bytes).then_some(leaves)
}

/// A finished attempt of one chunk, from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transcript {
    /// What the votes sign.
    pub root: Digest,
    /// One leaf per wallet, in the order of the chunk.
    pub leaves: Vec<Leaf>,
    /// The digests of the leaves.
    leaf_digests: Vec<Digest>,
    /// The inputs.
    pub inputs: Inputs,
}

impl ChunkRoot {
    /// The root of these inputs, dealings in the order of the dealers, and leaves in the order of the chunk.
    pub fn new(inputs: &Inputs, dealings: &[Digest], leaves: &[Digest]) -> Self {
        Self {
            inputs: inputs.digest(),
            dealings: digest_of_all("dealings", dealings.iter()),
            leaves: digest_of_all(LEAVES, leaves.iter()),
        }
    }
}

/// `T` of the wallet with this leaf in the chunk of this root.
pub fn transcript_digest(root: &Digest, leaf: &Digest) -> Digest {
    Digest::of_parts("perennial/transcript/v1", &[&root.0, &leaf.0])
}

impl Transcript {
    /// Puts root and leaves together. `dealings` are the digests of all dealings in the order of the dealers.
    pub fn new(inputs: Inputs, dealings: &[Digest], leaves: Vec<Leaf>) -> Self {
        let leaf_digests: Vec<Digest> = leaves.iter().map(encoding::digest).collect();
        let root = encoding::digest(&ChunkRoot::new(&inputs, dealings, &leaf_digests));
        Self { root, leaves, leaf_digests, inputs }
    }

    /// `T` of the wallet at place `at` in the chunk.
    pub fn of_wallet(&self, at: usize) -> Digest {
        transcript_digest(&self.root, &self.leaf_digests[at])
    }

    /// The share set of the wallet at place `at` in the chunk.
    pub fn share_set(&self, at: usize, wallet: Wallet, chain_code: Digest) -> ShareSet {
        let leaf = &self.leaves[at];
        ShareSet {
            wallet,
            key: WalletKey { public_key: leaf.public_key, chain_code },
            epoch: self.inputs.chunk.epoch,
            committee: leaf.committee.clone(),
            verification_shares: leaf.verification_shares.clone(),
            transcript: self.of_wallet(at),
            parent: leaf.parent,
            highest_seat: leaf.highest_seat,
        }
    }

    /// Puts a transcript together again from a root that was computed before and the share sets that came of
    /// it; none if their `T` does not fit the root.
    pub fn restored(inputs: Inputs, root: Digest, share_sets: &[&ShareSet]) -> Option<Self> {
        let leaves: Vec<Leaf> = share_sets.iter().map(|share_set| Leaf::of(share_set)).collect();
        let leaf_digests = leaves.iter().map(encoding::digest).collect();
        let transcript = Self { root, leaves, leaf_digests, inputs };
        let fits = share_sets.iter().enumerate().all(|(at, set)| transcript.of_wallet(at) == set.transcript);
        fits.then_some(transcript)
    }
}

impl Leaf {
    /// The leaf that a share set came of.
    pub fn of(share_set: &ShareSet) -> Self {
        Self {
            wallet: share_set.wallet.id.clone(),
            parent: share_set.parent,
            public_key: share_set.key.public_key,
            committee: share_set.committee.clone(),
            verification_shares: share_set.verification_shares.clone(),
            highest_seat: share_set.highest_seat,
        }
    }
}

/// What is known of a wallet before an attempt.
#[derive(Clone, Debug)]
pub struct Before<'a> {
    /// The wallet in the plan.
    pub planned: &'a PlannedWallet,
    /// Its public key; none where the key is being made.
    pub public_key: Option<Point>,
    /// The highest seat ever used; none where the key is being made.
    pub highest_seat: Option<Seat>,
}

/// Computes all leaves from checked dealings.
///
/// # Errors
/// `Bug` when the sum of the constants is not the wallet's key although each constant was checked (the stored
/// parent share set does not open to the key); `Stale` when fresh contributions cancel out to the identity.
pub fn leaves<G: Group>(
    committee: &Committee,
    before: &[Before<'_>],
    dealings: &[CheckedDealing<G>],
) -> Result<Vec<Leaf>, Error> {
    let seats: Vec<Seat> = committee.seats().collect();
    let mut elements = Vec::with_capacity(before.len() * (seats.len() + 1));
    for (at, wallet) in before.iter().enumerate() {
        let mut sums = vec![G::identity(); usize::from(committee.threshold())];
        for dealing in dealings {
            for (sum, coefficient) in sums.iter_mut().zip(&dealing.coefficients[at]) {
                *sum = *sum + *coefficient;
            }
        }
        if sums[0] == G::identity() {
            return Err(Error::stale(format!("the dealings for {} cancel out", wallet.planned.id())));
        }
        elements.push(sums[0]);
        elements.extend(seats.iter().map(|seat| evaluate_in_exponent::<G>(&sums, *seat)));
    }
    if elements.contains(&G::identity()) {
        return Err(Error::stale(
            "a verification share came out as the identity; the next attempt deals anew",
        ));
    }
    let points = G::encode_all(&elements);
    let mut leaves = Vec::with_capacity(before.len());
    for (wallet, points) in before.iter().zip(points.chunks(seats.len() + 1)) {
        if wallet.public_key.is_some_and(|key| key != points[0]) {
            return Err(Error::Bug(format!(
                "the parent of {} does not open to its key",
                wallet.planned.id()
            )));
        }
        let highest = seats.last().copied().max(wallet.highest_seat).expect("a committee has members");
        leaves.push(Leaf {
            wallet: wallet.planned.id().clone(),
            parent: wallet.planned.parent(),
            public_key: points[0],
            committee: committee.clone(),
            verification_shares: points[1..].to_vec(),
            highest_seat: highest,
        });
    }
    Ok(leaves)
}

/// The chain code of a new wallet: from all dealers' entropy in seat order and `T`.
pub fn new_chain_code(entropies: &[[u8; 32]], transcript: &Digest) -> Digest {
    let mut parts: Vec<&[u8]> = entropies.iter().map(<[u8; 32]>::as_slice).collect();
    parts.push(&transcript.0);
    Digest::of_parts("perennial/chain-code/v1", &parts)
}
