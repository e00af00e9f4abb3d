//! What signers have promised: votes, as they left.

use super::Mirror;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// The highest epoch of a wallet that anybody could show to be retired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retired {
    /// Its number.
    pub epoch: Epoch,
    /// Its transcript digest.
    pub transcript: Digest,
    /// Its activation set.
    pub holders: Vec<SignerId>,
}

/// What was promised so far.
#[derive(Default)]
pub struct Spoken {
    /// Signers whose word counts for nothing: the attacker has their keys.
    pub corrupt: BTreeSet<SignerId>,
    /// Whether a dealer lied on purpose, so that refusals are right.
    pub lies: bool,
    /// The digests of openings.
    pub opened: BTreeMap<Chunk, BTreeMap<SignerId, Digest>>,
    /// Dealers' promises: the inputs that each names, and its dealing.
    pub promised: BTreeMap<Chunk, BTreeMap<SignerId, (Digest, Digest)>>,
    /// The dealings of all that were promised when a signer handed out its own of a new key.
    pub shown_on: BTreeMap<(usize, Chunk), Vec<Digest>>,
    /// Prepared votes, with the root that each names.
    pub prepared: BTreeMap<Chunk, BTreeMap<SignerId, Digest>>,
    /// Keep votes, with the root that each names.
    pub kept: BTreeMap<Chunk, BTreeMap<SignerId, Digest>>,
    /// The highest retired epoch of each wallet: every member of its activation set has voted Keep.
    pub retired: BTreeMap<WalletId, Retired>,
}

impl Spoken {
    /// The votes of a kind on a chunk.
    pub fn votes(&self, kind: VoteKind, chunk: &Chunk) -> Option<&BTreeMap<SignerId, Digest>> {
        match kind {
            VoteKind::Prepared => self.prepared.get(chunk),
            VoteKind::Keep => self.kept.get(chunk),
        }
    }

    /// Takes a vote that is about to leave. Gives the chunk if it can be shown to be retired now.
    pub fn vote(&mut self, signer: &SignerId, vote: &Vote, mirror: &Mirror) -> Option<Chunk> {
        let votes = match vote.kind {
            VoteKind::Prepared => &mut self.prepared,
            VoteKind::Keep => &mut self.kept,
        };
        votes.entry(vote.chunk).or_default().insert(signer.clone(), vote.root);
        if vote.kind == VoteKind::Prepared {
            return None;
        }
        let record = mirror.chunks.get(&vote.chunk)?;
        let inputs = record.inputs.as_ref()?;
        let kept = self.kept.get(&vote.chunk)?;
        let honest = |holder: &&SignerId| !self.corrupt.contains(holder);
        if !inputs.holders.iter().filter(honest).all(|holder| kept.contains_key(holder)) {
            return None;
        }
        for wallet in &record.wallets {
            // What this signer has erased of it since is retired above; the other wallets are retired here all the same.
            let held = mirror.wallets.get(wallet).into_iter().flat_map(|record| &record.held);
            let Some(held) = held.into_iter().find(|held| held.chunk == vote.chunk) else { continue };
            let set = &held.share_set;
            if self.retired.get(wallet).is_none_or(|known| known.epoch < set.epoch) {
                let (epoch, transcript) = (set.epoch, set.transcript);
                let retired = Retired { epoch, transcript, holders: inputs.holders.clone() };
                self.retired.insert(wallet.clone(), retired);
            }
        }
        Some(vote.chunk)
    }
}
