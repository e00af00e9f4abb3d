//! What each state of an attempt holds up to its Activation, and the way from it to the next. Requests are put
//! together once, on entering a state, and handed out as often as they are asked for.

use crate::ceremony::generation::Generation;
use crate::ceremony::heard::Heard;
use crate::ceremony::serving::Activating;
use crate::ceremony::{Reason, State};
use perennial_model::approval::Approved;
use perennial_model::certificate::Certificate;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{self, Commitment, Inputs};
use perennial_model::identity::Signed;
use perennial_model::mail::Request;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::planted;
use perennial_model::probe::{ProbeGroups, ProbeSignature, ProbeTask};
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::Scheme;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an attempt is about; it never changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The chunk, and with it plan and epoch.
    pub chunk: Chunk,
    /// The scheme of its wallets.
    pub scheme: Scheme,
    /// The plan.
    pub plan: Arc<Approved>,
    /// Who holds the parent share sets; none where keys are made.
    pub parent: Option<Committee>,
}

impl Terms {
    /// The plan itself.
    pub fn plan(&self) -> &Plan {
        self.plan.plan()
    }

    /// How many of these holders have to do a thing before the attempt goes on: all of them.
    pub(super) fn enough(&self, inputs: &Inputs) -> usize {
        if planted!(ActivateBelowA) {
            return usize::from(self.plan().committee.threshold());
        }
        inputs.holders.len()
    }
}

/// Members make one-time keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    terms: Arc<Terms>,
    /// Asks for them.
    pub request: Arc<Request>,
    /// Those that are in.
    pub openings: Vec<Heard<dealing::Opening>>,
}

impl Opening {
    pub(super) fn new(terms: &Arc<Terms>) -> Self {
        let request = Arc::new(Request::Open { chunk: terms.chunk, parents: Vec::new() });
        Self { terms: terms.clone(), request, openings: Vec::new() }
    }

    /// How many members may open.
    pub fn members(&self) -> usize {
        self.terms.plan().committee.members().len()
    }

    /// Members that have not opened.
    pub fn missing(&self) -> Vec<&SignerId> {
        missing(self.terms.plan().committee.signers(), &self.openings)
    }

    pub(super) fn awaits(&self, said: &Heard<dealing::Opening>) -> bool {
        self.missing().contains(&said.signer())
    }

    pub(super) fn opened(mut self, said: Heard<dealing::Opening>) -> State {
        self.openings.push(said);
        State::Opening(self)
    }

    /// Whether these inputs are made of openings that are here and follow the plan.
    pub(super) fn fits(&self, inputs: &Inputs) -> bool {
        let openings = self.of_holders(inputs);
        let said: Vec<_> = openings.iter().map(|opening| opening.said().clone()).collect();
        inputs.chunk == self.terms.chunk
            && inputs.check(self.terms.plan(), self.terms.parent.as_ref()).is_ok()
            && inputs.check_openings(&said).is_ok()
    }

    pub(super) fn fixed(self, inputs: Inputs) -> State {
        let openings: Vec<_> =
            self.of_holders(&inputs).into_iter().map(|opening| opening.signed().clone()).collect();
        let request = Arc::new(Request::Commit { inputs: inputs.clone(), openings: openings.clone() });
        State::Committing(Committing {
            terms: self.terms,
            inputs,
            openings,
            request,
            commitments: Vec::new(),
        })
    }

    fn of_holders(&self, inputs: &Inputs) -> Vec<&Heard<dealing::Opening>> {
        in_order(&inputs.holders, &self.openings)
    }
}

/// Dealers promise a dealing each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committing {
    terms: Arc<Terms>,
    /// What the attempt is made of.
    pub inputs: Inputs,
    openings: Vec<Signed<dealing::Opening>>,
    /// Asks for the promises.
    pub request: Arc<Request>,
    /// Those that are in.
    pub commitments: Vec<Heard<Commitment>>,
}

impl Committing {
    pub(super) fn missing(&self) -> Vec<&SignerId> {
        missing(self.inputs.dealers.iter(), &self.commitments)
    }

    pub(super) fn awaits(&self, said: &Heard<Commitment>) -> bool {
        self.missing().contains(&said.signer())
    }

    pub(super) fn committed(mut self, said: Heard<Commitment>) -> State {
        self.commitments.push(said);
        if !self.missing().is_empty() {
            return State::Committing(self);
        }
        let commitments = signed_in_order(&self.inputs.dealers, &self.commitments);
        let request = Arc::new(Request::Deal { inputs: self.inputs.clone(), commitments });
        State::Dealing(Dealing {
            terms: self.terms,
            inputs: self.inputs,
            openings: self.openings,
            commitments: self.commitments,
            request,
            dealings: Vec::new(),
        })
    }
}

/// All promises are in; dealers publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dealing {
    terms: Arc<Terms>,
    /// What the attempt is made of.
    pub inputs: Inputs,
    openings: Vec<Signed<dealing::Opening>>,
    /// The promises.
    pub commitments: Vec<Heard<Commitment>>,
    /// Asks for the dealings.
    pub request: Arc<Request>,
    /// Those that are in.
    pub dealings: Vec<Heard<dealing::Dealing>>,
}

impl Dealing {
    pub(super) fn missing(&self) -> Vec<&SignerId> {
        missing(self.inputs.dealers.iter(), &self.dealings)
    }

    pub(super) fn awaits(&self, said: &Heard<dealing::Dealing>) -> bool {
        self.missing().contains(&said.signer())
    }

    pub(super) fn dealt(mut self, said: Heard<dealing::Dealing>) -> State {
        self.dealings.push(said);
        State::Dealing(self)
    }

    /// The dealings in the order of the dealers.
    pub fn in_order(&self) -> Vec<&Heard<dealing::Dealing>> {
        in_order(&self.inputs.dealers, &self.dealings)
    }

    pub(super) fn fits(&self, generation: &Generation) -> bool {
        self.missing().is_empty() && generation.inputs == self.inputs
    }

    pub(super) fn transcribed(self, generation: Generation) -> State {
        let commitments = signed_in_order(&self.inputs.dealers, &self.commitments);
        let mut dealings = self.dealings;
        dealings.sort_by_key(|said| self.inputs.dealers.iter().position(|dealer| dealer == said.signer()));
        let request = Arc::new(Request::Verify {
            inputs: self.inputs,
            openings: self.openings,
            commitments,
            dealings: dealings.into_iter().map(Heard::into_signed).collect(),
        });
        let generation = Arc::new(generation);
        State::Preparing(Preparing { terms: self.terms, generation, request, votes: Vec::new() })
    }
}

/// Holders verify, store and vote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preparing {
    terms: Arc<Terms>,
    /// What the dealings come to.
    pub generation: Arc<Generation>,
    /// Asks for the votes.
    pub request: Arc<Request>,
    /// Those that are in.
    pub votes: Vec<Heard<Vote>>,
}

impl Preparing {
    pub(super) fn missing(&self) -> Vec<&SignerId> {
        missing(self.generation.inputs.holders.iter(), &self.votes)
    }

    pub(super) fn awaits(&self, vote: &Heard<Vote>) -> bool {
        awaits_vote(&self.generation, &self.votes, vote)
    }

    pub(super) fn prepared(mut self, vote: Heard<Vote>) -> State {
        self.votes.push(vote);
        if self.votes.len() < self.terms.enough(&self.generation.inputs) {
            return State::Preparing(self);
        }
        let Generation { root, inputs, .. } = &*self.generation;
        let groups = ProbeGroups::due(self.terms.scheme, self.terms.plan(), root, inputs);
        let missing = groups.tasks().collect();
        Probing {
            terms: self.terms,
            generation: self.generation,
            votes: self.votes.into_iter().map(Heard::into_signed).collect(),
            groups,
            missing,
            probes: Vec::new(),
        }
        .or_activating()
    }
}

/// The whole activation set has prepared; the shares show that they sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probing {
    terms: Arc<Terms>,
    /// What was prepared.
    pub generation: Arc<Generation>,
    votes: Vec<Signed<Vote>>,
    /// Who makes which probe.
    pub groups: ProbeGroups,
    /// The probes still to be made.
    pub missing: BTreeSet<ProbeTask>,
    /// The probes that verify.
    pub probes: Vec<ProbeSignature>,
}

impl Probing {
    pub(super) fn awaits(&self, probes: &[ProbeSignature]) -> bool {
        !probes.is_empty() && probes.iter().all(|probe| self.missing.contains(&probe.task))
    }

    pub(super) fn probed(mut self, probes: Vec<ProbeSignature>) -> State {
        for probe in probes {
            if self.missing.remove(&probe.task) {
                self.probes.push(probe);
            }
        }
        self.or_activating()
    }

    fn or_activating(mut self) -> State {
        if !self.missing.is_empty() {
            return State::Probing(self);
        }
        self.probes.sort_by(|one, other| one.task.cmp(&other.task));
        let activation = certificate(VoteKind::Prepared, &self.generation, self.votes, self.probes);
        State::Activating(Activating {
            terms: self.terms,
            request: Arc::new(Request::Activate(Box::new(activation.clone()))),
            generation: self.generation,
            activation: Arc::new(activation),
            activated: Vec::new(),
            keeps: Vec::new(),
        })
    }
}

impl State {
    /// What the dealings came to, once that is known and as long as the attempt lives.
    pub fn generation(&self) -> Option<&Arc<Generation>> {
        match self {
            Self::Preparing(state) => Some(&state.generation),
            Self::Probing(state) => Some(&state.generation),
            Self::Activating(state) => Some(&state.generation),
            Self::Keeping(state) => Some(&state.generation),
            Self::Retiring(state) => Some(&state.generation),
            Self::Retired(state) => Some(&state.generation),
            Self::Opening(_) | Self::Committing(_) | Self::Dealing(_) | Self::Left(_) => None,
        }
    }

    /// Before its Activation an attempt is left for any reason; after it, only for a higher epoch.
    pub(super) fn can_be_left_for(&self, reason: &Reason) -> bool {
        match self {
            Self::Opening(_) | Self::Committing(_) | Self::Dealing(_) => true,
            Self::Preparing(_) | Self::Probing(_) => true,
            Self::Activating(_) | Self::Keeping(_) => {
                matches!(reason, Reason::Superseded(_) | Reason::Outrun(_))
            }
            Self::Retiring(_) | Self::Retired(_) | Self::Left(_) => false,
        }
    }
}

pub(super) fn awaits_vote(generation: &Generation, votes: &[Heard<Vote>], vote: &Heard<Vote>) -> bool {
    let repeated = votes.iter().any(|counted| counted.signer() == vote.signer());
    generation.inputs.holders.contains(vote.signer()) && (!repeated || planted!(CountOneVoterTwice))
}

pub(super) fn certificate(
    kind: VoteKind,
    generation: &Generation,
    votes: Vec<Signed<Vote>>,
    probes: Vec<ProbeSignature>,
) -> Certificate {
    Certificate { kind, inputs: generation.inputs.clone(), root: generation.root, votes, probes }
}

pub(super) fn missing<'a, D>(
    asked: impl Iterator<Item = &'a SignerId>,
    heard: &[Heard<D>],
) -> Vec<&'a SignerId> {
    asked.filter(|signer| heard.iter().all(|said| said.signer() != *signer)).collect()
}

fn in_order<'a, D>(signers: &[SignerId], heard: &'a [Heard<D>]) -> Vec<&'a Heard<D>> {
    signers.iter().filter_map(|signer| heard.iter().find(|said| said.signer() == signer)).collect()
}

fn signed_in_order<D: Clone>(signers: &[SignerId], heard: &[Heard<D>]) -> Vec<Signed<D>> {
    in_order(signers, heard).into_iter().map(|said| said.signed().clone()).collect()
}
