//! What an attempt comes to: one leaf per wallet, the chunk root over all of them, and `T` for each wallet.
//!
//! Everybody computes the same from the same dealings; votes sign the root, and `T` binds root and leaf.

use crate::committee::{Committee, Seat};
use crate::dealing::{CheckedDealing, Dealing, Inputs, digest_of_all};
use crate::encoding::{self, Digest, Document};
use crate::error::Error;
use crate::group::{Group, Point};
use crate::identity::Said;
use crate::plan::PlannedWallet;
use crate::share_set::{ShareSet, evaluate_in_exponent};
use crate::wallet::{Wallet, WalletKey};
use minicbor::{Decode, Encode};

/// What one wallet's share set will be, without the names that depend on the whole chunk. All that a share set says
/// is in it or follows: so whoever votes for a root votes for the wallets' addresses.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Leaf {
    /// The wallet.
    #[n(0)]
    pub wallet: Wallet,
    /// The digest of the parent share set; none where a key was made.
    #[n(1)]
    pub parent: Option<Digest>,
    /// The wallet's key.
    #[n(2)]
    pub key: WalletKey,
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
    const VERSION: u16 = 2;
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
            dealings: all_dealings(dealings),
            leaves: digest_of_all(LEAVES, leaves.iter()),
        }
    }
}

fn all_dealings(dealings: &[Digest]) -> Digest {
    digest_of_all("dealings", dealings.iter())
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
    pub fn share_set(&self, at: usize) -> ShareSet {
        let leaf = &self.leaves[at];
        ShareSet {
            wallet: leaf.wallet.clone(),
            key: leaf.key.clone(),
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
            wallet: share_set.wallet.clone(),
            parent: share_set.parent,
            key: share_set.key.clone(),
            committee: share_set.committee.clone(),
            verification_shares: share_set.verification_shares.clone(),
            highest_seat: share_set.highest_seat,
        }
    }
}

/// What is known of a wallet before an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The wallet in the plan.
    pub planned: &'a PlannedWallet,
    /// The share set that is redistributed; none where the key is being made.
    pub parent: Option<&'a ShareSet>,
}

impl Transcript {
    /// What dealings come to, each with its checked public part, one per dealer and in their order: all leaves, and
    /// the root over them. `before` is in the order of the chunk.
    ///
    /// # Errors
    /// `Bug` when a parent's key is no element of the group; `Stale` when fresh contributions cancel out to the
    /// identity, a verification share comes out as the identity, or a parent is unknown; `Misbehaved` names a dealer without a contribution to a new key.
    pub fn of_dealings<G: Group>(
        inputs: Inputs,
        committee: &Committee,
        before: &[Before<'_>],
        dealings: &[(&Said<Dealing>, CheckedDealing<G>)],
    ) -> Result<Self, Error> {
        let digests: Vec<Digest> = dealings.iter().map(|(said, _)| said.digest).collect();
        let points = new_points(committee, before, dealings)?;
        let made_of = [inputs.digest(), all_dealings(&digests)];
        let highest_seat = committee.seats().last().expect("a committee has members");
        let mut leaves = Vec::with_capacity(before.len());
        for (at, points) in points.chunks(committee.members().len() + 1).enumerate() {
            let Before { planned, parent } = before[at];
            let (wallet, chain_code) = match (planned, parent) {
                (PlannedWallet::Held(id, _), Some(parent)) if parent.wallet.id == *id => {
                    (&parent.wallet, parent.key.chain_code)
                }
                (PlannedWallet::Held(id, _), _) => {
                    return Err(Error::stale(format!("the parent share set of {id} is not known")));
                }
                (PlannedWallet::New(wallet), _) => {
                    (wallet, new_chain_code(&entropies(dealings, at)?, &made_of, wallet, &points[0]))
                }
            };
            leaves.push(Leaf {
                wallet: wallet.clone(),
                parent: planned.parent(),
                key: WalletKey { public_key: points[0], chain_code },
                committee: committee.clone(),
                verification_shares: points[1..].to_vec(),
                highest_seat: parent.map_or(highest_seat, |parent| parent.highest_seat.max(highest_seat)),
            });
        }
        Ok(Self::new(inputs, &digests, leaves))
    }
}

/// Of each wallet in turn the public key, and the verification shares in the order of the committee.
///
/// Where shares move, the constants are those of the parent's shares and add up to its key, so they are not asked. If
/// a parent did not open to its key, no share of honest dealers would fit its verification share.
fn new_points<G: Group>(
    committee: &Committee,
    before: &[Before<'_>],
    dealings: &[(&Said<Dealing>, CheckedDealing<G>)],
) -> Result<Vec<Point>, Error> {
    let seats: Vec<Seat> = committee.seats().collect();
    let mut elements = Vec::with_capacity(before.len() * (seats.len() + 1));
    for (at, wallet) in before.iter().enumerate() {
        let mut sums = vec![G::identity(); usize::from(committee.threshold())];
        let mut published = &mut sums[..];
        if let Some(parent) = wallet.parent {
            let key = G::decode_own(&parent.key.public_key);
            published[0] = key.ok_or_else(|| Error::Bug(format!("{} has no key", parent.wallet.id)))?;
            published = &mut published[1..];
        }
        for (_, dealing) in dealings {
            for (sum, coefficient) in published.iter_mut().zip(&dealing.coefficients[at]) {
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
    Ok(G::encode_all(&elements))
}

/// What all dealers give to the chain code of the new wallet at place `at`.
fn entropies<'d, G: Group>(
    dealings: &[(&'d Said<Dealing>, CheckedDealing<G>)],
    at: usize,
) -> Result<Vec<&'d [u8]>, Error> {
    let entropy = |(said, _): &(&'d Said<Dealing>, CheckedDealing<G>)| {
        let contribution = said.body.wallets.get(at).and_then(|wallet| wallet.contribution.as_ref());
        let entropy = contribution.map(|contribution| contribution.entropy.as_slice());
        entropy.ok_or_else(|| Error::misbehaved(&said.signer, "dealt for a new key without entropy"))
    };
    dealings.iter().map(entropy).collect()
}

/// The chain code of a new wallet: from what it is made of (inputs, all dealings), its name and public key, and all
/// dealers' entropy in seat order. `T` cannot be in it, since the leaf that `T` is the digest of has the chain code.
fn new_chain_code(entropies: &[&[u8]], made_of: &[Digest; 2], wallet: &Wallet, public_key: &Point) -> Digest {
    let [inputs, dealings] = made_of;
    let mut parts: Vec<&[u8]> =
        vec![&inputs.0, &dealings.0, wallet.id.as_str().as_bytes(), public_key.as_bytes()];
    parts.extend(entropies);
    Digest::of_parts("perennial/chain-code/v2", &parts)
}
