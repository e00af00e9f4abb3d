//! Votes of a whole activation set, checked by one verifier whatever they promise.

use crate::approval::Approved;
use crate::committee::SignerId;
use crate::dealing::{Inputs, SchnorrProof};
use crate::encoding::{Digest, Document};
use crate::error::Error;
use crate::governance::Governance;
use crate::identity::{Said, Signed};
use crate::planted;
use crate::probe::{ProbeGroups, ProbeSignature, ProbeTask, Probed, probe_digest, verify_all};
use crate::transcript::Transcript;
use crate::vote::{Vote, VoteKind};
use crate::wallet::Scheme;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use std::collections::BTreeMap;

/// `Prepared` of all of `A` is an Activation, `Keep` of all of `A` is a Retirement. Anybody assembles it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Certificate {
    /// What all votes say.
    #[n(0)]
    pub kind: VoteKind,
    /// The inputs of the attempt, which name the activation set.
    #[n(1)]
    pub inputs: Inputs,
    /// The chunk root that all votes name.
    #[n(2)]
    pub root: Digest,
    /// One vote per member of the activation set.
    #[n(3)]
    pub votes: Vec<Signed<Vote>>,
    /// With an Activation: the probes.
    #[n(4)]
    pub probes: Vec<ProbeSignature>,
}

impl Document for Certificate {
    const KIND: &'static str = "certificate";
}

/// A certificate whose votes were checked. It exists only if the check passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmed {
    /// The certificate.
    pub certificate: Certificate,
    /// The proofs of possession, with an Activation.
    pub possessions: Vec<(SignerId, SchnorrProof)>,
}

impl Certificate {
    /// Checks that every member of the activation set, each once, signed this vote for this chunk, these inputs
    /// and this root, under a plan that was approved and the governance that approved it.
    ///
    /// Probes and proofs of possession speak of single wallets: whoever knows the leaves checks them with
    /// [`check_probes`] and [`crate::vote::check_possession`].
    ///
    /// # Errors
    /// `Denied` with what is missing or wrong.
    pub fn check(self, plan: &Approved, governance: &Governance) -> Result<Confirmed, Error> {
        let chunk = self.inputs.chunk;
        let denied = |reason: String| {
            Err(Error::denied(format!("no {} certificate for {chunk}: {reason}", self.kind)))
        };
        if chunk.plan != plan.digest() {
            return denied("it belongs to another plan".into());
        }
        plan.plan().wallets_of(&chunk)?;
        let members = &plan.plan().committee;
        if !self.inputs.holders.iter().all(|holder| members.seat_of(holder).is_some()) {
            return denied("a holder is no member of the approved committee".into());
        }
        let needed = if planted!(ActivateBelowA) {
            usize::from(members.threshold())
        } else {
            self.inputs.holders.len()
        };
        if self.inputs.holders.len() < plan.plan().activation_size() && !planted!(SmallActivationSet) {
            return denied("its activation set is smaller than the plan demands".into());
        }
        let votes = self.votes.iter().map(|vote| vote.check(governance)).collect::<Result<Vec<_>, _>>()?;
        let mut voters: Vec<&SignerId> = Vec::new();
        for vote in &votes {
            self.check_vote(vote, plan)?;
            let repeated = voters.contains(&&vote.signer) && !planted!(CountOneVoterTwice);
            if repeated || !self.inputs.holders.contains(&vote.signer) {
                return denied(format!("{} votes twice or is not in the activation set", vote.signer));
            }
            voters.push(&vote.signer);
        }
        if voters.len() < needed {
            return denied(format!("{} of {needed} votes", voters.len()));
        }
        let possessions = votes
            .into_iter()
            .filter_map(|vote| vote.body.possession.map(|proof| (vote.signer, proof)))
            .collect();
        Ok(Confirmed { certificate: self, possessions })
    }

    fn check_vote(&self, vote: &Said<Vote>, plan: &Approved) -> Result<(), Error> {
        let body = &vote.body;
        let same_transcript = (body.inputs == self.inputs.digest() && body.root == self.root)
            || planted!(CountVotesWithoutTranscript);
        let same = (body.kind == self.kind || planted!(RetireOnPreparedVotes))
            && body.chunk == self.inputs.chunk
            && body.governance == plan.plan().governance
            && (body.possession.is_some() == (self.kind == VoteKind::Prepared)
                || planted!(RetireOnPreparedVotes));
        if same && same_transcript {
            return Ok(());
        }
        Err(Error::denied(format!(
            "{}'s vote is for {} {} root {}, not for {} {} root {}",
            vote.signer,
            body.kind,
            body.chunk,
            body.root.short(),
            self.kind,
            self.inputs.chunk,
            self.root.short()
        )))
    }
}

/// Checks that an Activation brings a valid signature for every probe that root and plan demand.
///
/// # Errors
/// `Denied` with the first probe that is missing or wrong.
pub fn check_probes(
    scheme: Scheme,
    transcript: &Transcript,
    plan: &Approved,
    probes: &[ProbeSignature],
    rng: &mut dyn CryptoRng,
) -> Result<(), Error> {
    let chunk = &transcript.inputs.chunk;
    let groups = ProbeGroups::due(scheme, plan.plan(), &transcript.root, &transcript.inputs);
    let denied = |task: &ProbeTask| {
        let wallet = &transcript.leaves[task.wallet as usize].wallet.id;
        Error::denied(format!("{chunk}: probe {} of {wallet} is missing or does not verify", task.counter))
    };
    let brought: BTreeMap<&ProbeTask, &ProbeSignature> =
        probes.iter().rev().map(|probe| (&probe.task, probe)).collect();
    let mut probed = Vec::with_capacity(brought.len());
    for task in groups.tasks() {
        let found = *brought.get(&task).ok_or_else(|| denied(&task))?;
        let leaf = &transcript.leaves[task.wallet as usize];
        let bound = transcript.of_wallet(task.wallet as usize);
        let message = probe_digest(&leaf.wallet.id, chunk.epoch, &bound, task.counter);
        probed.push((found, Probed { key: leaf.key.public_key, message, signature: &found.signature }));
    }
    let (found, probed): (Vec<_>, Vec<_>) = probed.into_iter().unzip();
    verify_all(scheme, &probed, rng).map_err(|at| denied(&found[at].task))
}
