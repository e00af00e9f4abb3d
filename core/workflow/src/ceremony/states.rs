//! What each state of an attempt holds, and the one way from it to the next. Requests are put together once, on
//! entering a state, and handed out as often as they are asked for.

use crate::ceremony::generation::Generation;
use crate::ceremony::heard::Heard;
use crate::ceremony::{Reason, State};
use perennial_model::approval::Approved;
use perennial_model::certificate::Certificate;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{self, Commitment, Inputs};
use perennial_model::identity::Signed;
use perennial_model::mail::Request;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::planted;
use perennial_model::probe::{ProbeSignature, ProbeTask, probing_groups, sampled};
use perennial_model::receipt::Receipt;
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
    fn enough(&self, inputs: &Inputs) -> usize {
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
        let groups =
            probing_groups(self.terms.scheme, &self.terms.plan().committee, &self.generation.inputs.holders);
        let chosen =
            sampled(&self.generation.root, self.terms.chunk.count, self.terms.plan().effective_probe_rate());
        let counters = 0..groups.len() as u32;
        let missing = chosen
            .into_iter()
            .flat_map(|wallet| counters.clone().map(move |counter| ProbeTask { wallet, counter }))
            .collect();
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
    /// Who makes the probes of each counter.
    pub groups: Vec<Vec<SignerId>>,
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

/// The Activation exists; holders begin to serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activating {
    terms: Arc<Terms>,
    /// What becomes active.
    pub generation: Arc<Generation>,
    /// The certificate.
    pub activation: Arc<Certificate>,
    /// Hands it out.
    pub request: Arc<Request>,
    /// Who serves it.
    pub activated: Vec<SignerId>,
    /// Keep votes that came early.
    pub keeps: Vec<Heard<Vote>>,
}

impl Activating {
    pub(super) fn missing(&self) -> Vec<&SignerId> {
        self.generation.inputs.holders.iter().filter(|holder| !self.activated.contains(holder)).collect()
    }

    pub(super) fn awaits_activation(&self, holder: &SignerId) -> bool {
        self.missing().contains(&holder)
    }

    pub(super) fn awaits_keep(&self, vote: &Heard<Vote>) -> bool {
        awaits_vote(&self.generation, &self.keeps, vote)
    }

    pub(super) fn activated(mut self, holder: SignerId) -> State {
        self.activated.push(holder);
        if self.activated.len() < self.terms.enough(&self.generation.inputs) {
            return State::Activating(self);
        }
        State::Keeping(Keeping {
            request: Arc::new(Request::Keep(self.terms.chunk)),
            terms: self.terms,
            generation: self.generation,
            keeps: self.keeps,
        })
    }

    pub(super) fn kept(mut self, vote: Heard<Vote>) -> State {
        self.keeps.push(vote);
        State::Activating(self)
    }
}

/// All holders serve it; the overlap runs, then they vote Keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keeping {
    terms: Arc<Terms>,
    /// What is active.
    pub generation: Arc<Generation>,
    /// Asks for the votes.
    pub request: Arc<Request>,
    /// Those that are in.
    pub keeps: Vec<Heard<Vote>>,
}

impl Keeping {
    pub(super) fn missing(&self) -> Vec<&SignerId> {
        missing(self.generation.inputs.holders.iter(), &self.keeps)
    }

    pub(super) fn awaits(&self, vote: &Heard<Vote>) -> bool {
        awaits_vote(&self.generation, &self.keeps, vote)
    }

    /// Whether every Keep vote is in.
    pub fn is_complete(&self) -> bool {
        self.keeps.len() >= self.terms.enough(&self.generation.inputs)
    }

    pub(super) fn kept(mut self, vote: Heard<Vote>) -> State {
        self.keeps.push(vote);
        State::Keeping(self)
    }

    pub(super) fn retired(self, owed: Vec<SignerId>) -> State {
        let votes = self.keeps.into_iter().map(Heard::into_signed).collect();
        let retirement = certificate(VoteKind::Keep, &self.generation, votes, Vec::new());
        Retiring {
            request: Arc::new(Request::Retire(Box::new(retirement.clone()))),
            generation: self.generation,
            retirement: Arc::new(retirement),
            owed,
            receipts: Vec::new(),
        }
        .or_retired()
    }
}

/// The Retirement exists; everything lower is erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retiring {
    /// What all hold now.
    pub generation: Arc<Generation>,
    /// The certificate.
    pub retirement: Arc<Certificate>,
    /// Hands it out.
    pub request: Arc<Request>,
    /// Who owes a receipt.
    pub owed: Vec<SignerId>,
    /// Who gave it.
    pub receipts: Vec<Heard<Receipt>>,
}

impl Retiring {
    pub(super) fn missing(&self) -> Vec<&SignerId> {
        missing(self.owed.iter(), &self.receipts)
    }

    pub(super) fn awaits(&self, receipt: &Heard<Receipt>) -> bool {
        self.missing().contains(&receipt.signer())
    }

    pub(super) fn erased(mut self, receipt: Heard<Receipt>) -> State {
        self.receipts.push(receipt);
        self.or_retired()
    }

    fn or_retired(self) -> State {
        if self.missing().is_empty() {
            return State::Retired(Retired { generation: self.generation, retirement: self.retirement });
        }
        State::Retiring(self)
    }
}

/// Every receipt is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retired {
    /// What all hold now.
    pub generation: Arc<Generation>,
    /// The certificate.
    pub retirement: Arc<Certificate>,
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

    /// Before its Activation an attempt is left for any reason; after it, only when a higher epoch has won.
    pub(super) fn can_be_left_for(&self, reason: &Reason) -> bool {
        match self {
            Self::Opening(_) | Self::Committing(_) | Self::Dealing(_) => true,
            Self::Preparing(_) | Self::Probing(_) => true,
            Self::Activating(_) | Self::Keeping(_) => matches!(reason, Reason::Superseded(_)),
            Self::Retiring(_) | Self::Retired(_) | Self::Left(_) => false,
        }
    }
}

fn awaits_vote(generation: &Generation, votes: &[Heard<Vote>], vote: &Heard<Vote>) -> bool {
    let repeated = votes.iter().any(|counted| counted.signer() == vote.signer());
    generation.inputs.holders.contains(vote.signer()) && (!repeated || planted!(CountOneVoterTwice))
}

fn certificate(
    kind: VoteKind,
    generation: &Generation,
    votes: Vec<Signed<Vote>>,
    probes: Vec<ProbeSignature>,
) -> Certificate {
    Certificate { kind, inputs: generation.inputs.clone(), root: generation.root, votes, probes }
}

fn missing<'a, D>(asked: impl Iterator<Item = &'a SignerId>, heard: &[Heard<D>]) -> Vec<&'a SignerId> {
    asked.filter(|signer| heard.iter().all(|said| said.signer() != *signer)).collect()
}

fn in_order<'a, D>(signers: &[SignerId], heard: &'a [Heard<D>]) -> Vec<&'a Heard<D>> {
    signers.iter().filter_map(|signer| heard.iter().find(|said| said.signer() == signer)).collect()
}

fn signed_in_order<D: Clone>(signers: &[SignerId], heard: &[Heard<D>]) -> Vec<Signed<D>> {
    in_order(signers, heard).into_iter().map(|said| said.signed().clone()).collect()
}
