//! One attempt at one chunk: its states, the facts that move it, and the next step.
//!
//! The heart of the coordinator is two functions. [`Attempt::apply`] is one `match (state, fact)`, and
//! [`Attempt::next`] says what is to be done now; it takes nothing and is safe to ask twice. Replaying the facts
//! rebuilds the state, so recovery after a crash and the happy path are the same code. It is a reconciler, not a
//! saga: a share has no undo, so nothing is ever compensated. An attempt is left, and a higher one replaces it.
//!
//! Here is no time, no chance and nobody's word that was not checked before ([`statement`]): what depends on
//! these is decided by the driver and comes back as a fact. What each state holds is in [`states`]
//! and [`serving`].

pub mod batch;
pub mod cutting;
pub mod generation;
pub mod heard;
pub mod inputs;
pub mod possession;
pub mod serving;
pub mod statement;
pub mod states;
pub mod status;

use crate::ceremony::generation::Generation;
use crate::ceremony::heard::Heard;
use crate::ceremony::serving::{Activating, Keeping, Retired, Retiring};
use crate::ceremony::states::{Committing, Dealing, Opening, Preparing, Probing, Terms};
use crate::ceremony::status::{Phase, Progress};
use minicbor::{Decode, Encode};
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Commitment, Inputs};
use perennial_model::epoch::Epoch;
use perennial_model::mail::Request;
use perennial_model::probe::{ProbeSignature, ProbeTask};
use perennial_model::receipt::Receipt;
use perennial_model::refusal::Refusal;
use perennial_model::vote::Vote;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where an attempt is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Members make one-time keys.
    Opening(Opening),
    /// Dealers promise a dealing each.
    Committing(Committing),
    /// All promises are in; dealers publish.
    Dealing(Dealing),
    /// Holders verify, store and vote.
    Preparing(Preparing),
    /// The whole activation set has prepared; the shares show that they sign.
    Probing(Probing),
    /// The Activation exists; holders begin to serve. From here on nobody leaves the attempt by choice.
    Activating(Activating),
    /// All holders serve it; the overlap runs, then they vote Keep.
    Keeping(Keeping),
    /// The Retirement exists; everything lower is erased.
    Retiring(Retiring),
    /// Every receipt is there. Final.
    Retired(Retired),
    /// Left before its Activation, or overtaken by a higher epoch. Final.
    Left(Reason),
}

/// What happened. Facts are in the journal before anything that depends on them leaves.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Fact {
    /// A member's one-time keys.
    #[n(0)]
    Opened(#[n(0)] Heard<perennial_model::dealing::Opening>),
    /// Dealers and holders are chosen.
    #[n(1)]
    Fixed(#[n(0)] Inputs),
    /// A dealer's promise.
    #[n(2)]
    Committed(#[n(0)] Heard<Commitment>),
    /// A dealer's dealing.
    #[n(3)]
    Dealt(#[n(0)] Heard<perennial_model::dealing::Dealing>),
    /// What the dealings come to.
    #[n(4)]
    Transcribed(#[n(0)] Box<Generation>),
    /// A holder's vote that its shares are stored.
    #[n(5)]
    Prepared(#[n(0)] Heard<Vote>),
    /// Probes that verify.
    #[n(6)]
    Probed(#[n(0)] Vec<ProbeSignature>),
    /// A holder serves the epoch, since this time by its own clock, in milliseconds since 1970.
    #[n(7)]
    Activated(#[n(0)] SignerId, #[n(1)] u64),
    /// A holder's vote that it keeps the epoch.
    #[n(8)]
    Kept(#[n(0)] Heard<Vote>),
    /// Everything lower may go; these signers owe a receipt.
    #[n(9)]
    Retirement(#[n(0)] Vec<SignerId>),
    /// A receipt.
    #[n(10)]
    Erased(#[n(0)] Heard<Receipt>),
    /// The attempt is given up.
    #[n(11)]
    Left(#[n(0)] Reason),
}

/// Why an attempt was left.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Reason {
    /// A holder refused a dealer's sub-shares: one of the two is faulty.
    #[n(0)]
    Refused(#[n(0)] Heard<Refusal>),
    /// A signer signed what no honest one signs.
    #[n(1)]
    Misbehaved {
        /// Who.
        #[n(0)]
        culprit: SignerId,
        /// What was expected and what came.
        #[n(1)]
        what: String,
    },
    /// One signer blames another, without proof: one of the two is faulty, or a third one of a session that has told them
    /// different things.
    #[n(2)]
    Accused {
        /// Who says so.
        #[n(0)]
        by: SignerId,
        /// Whom it blames.
        #[n(1)]
        culprit: SignerId,
        /// For what.
        #[n(2)]
        what: String,
    },
    /// A signer without which the attempt cannot go on will not take part.
    #[n(3)]
    Declined {
        /// Who.
        #[n(0)]
        by: SignerId,
        /// Why, in its words.
        #[n(1)]
        what: String,
    },
    /// These signers said nothing for longer than patience lasts.
    #[n(4)]
    Silent(#[n(0)] Vec<SignerId>),
    /// The dealings come to nothing usable although nobody is at fault, or their parent is gone.
    #[n(5)]
    Unusable(#[n(0)] String),
    /// The plan's date for Opening or for Activation has passed.
    #[n(6)]
    TooLate,
    /// A higher epoch of one of its wallets is retired.
    #[n(7)]
    Superseded(#[n(0)] Epoch),
    /// Other ECDSA wallets of the plan need this higher number. All of them stand on the pair bases of one number, so
    /// its own wallets go there as well.
    #[n(8)]
    Outrun(#[n(0)] Epoch),
    /// Governance has changed since the plan was approved.
    #[n(9)]
    Outdated,
    /// People have called the plan off, or its mandate.
    #[n(10)]
    Cancelled,
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// Ask these signers, until they answer.
    Ask(&'a Arc<Request>, Vec<&'a SignerId>),
    /// Choose dealers and holders, then report [`Fact::Fixed`].
    Fix,
    /// Compute what the dealings come to, then report [`Fact::Transcribed`].
    Transcribe,
    /// Have these probes made, then report [`Fact::Probed`].
    Probe(&'a BTreeSet<ProbeTask>),
    /// Say who owes receipts: [`Fact::Retirement`]. It may have to wait for other chunks.
    Retire,
    /// Nothing, ever.
    Rest,
}

/// A fact that does not fit the state: known already, too late or too early. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("{} does not fit an attempt that is {}", .fact.name(), .attempt.phase())]
pub struct OutOfOrder {
    /// The attempt as it was.
    pub attempt: Box<Attempt>,
    /// The fact.
    pub fact: Box<Fact>,
}

/// One attempt at one chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// What it is about.
    pub terms: Arc<Terms>,
    /// Where it is.
    pub state: State,
    /// How far it came and when.
    pub progress: Progress,
}

impl Attempt {
    /// A new attempt, begun at `at_ms`, in milliseconds since 1970.
    pub fn new(at_ms: u64, terms: Terms) -> Self {
        let terms = Arc::new(terms);
        let state = State::Opening(Opening::new(&terms));
        Self { terms, state, progress: Progress::begun(at_ms) }
    }

    /// The attempt after a fact that came at `at_ms`, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`OutOfOrder`] gives the attempt back unchanged.
    pub fn apply(mut self, at_ms: u64, fact: Fact) -> Result<Self, OutOfOrder> {
        let erased = match &fact {
            Fact::Erased(receipt) => Some(receipt.signer().clone()),
            _ => None,
        };
        let state = match (self.state, fact) {
            (State::Opening(state), Fact::Opened(said)) if state.awaits(&said) => state.opened(said),
            (State::Opening(state), Fact::Fixed(inputs)) if state.fits(&inputs) => state.fixed(inputs),
            (State::Committing(state), Fact::Committed(said)) if state.awaits(&said) => state.committed(said),
            (State::Dealing(state), Fact::Dealt(said)) if state.awaits(&said) => state.dealt(said),
            (State::Dealing(state), Fact::Transcribed(generation)) if state.fits(&generation) => {
                state.transcribed(*generation)
            }
            (State::Preparing(state), Fact::Prepared(vote)) if state.awaits(&vote) => state.prepared(vote),
            (State::Probing(state), Fact::Probed(probes)) if state.awaits(&probes) => state.probed(probes),
            (State::Activating(state), Fact::Activated(holder, _)) if state.awaits_activation(&holder) => {
                state.activated(holder)
            }
            (State::Activating(state), Fact::Kept(vote)) if state.awaits_keep(&vote) => state.kept(vote),
            (State::Keeping(state), Fact::Kept(vote)) if state.awaits(&vote) => state.kept(vote),
            (State::Keeping(state), Fact::Retirement(owed)) if state.is_complete() => state.retired(owed),
            (State::Retiring(state), Fact::Erased(receipt)) if state.awaits(&receipt) => {
                state.erased(receipt)
            }
            (state, Fact::Left(reason)) if state.can_be_left_for(&reason) => State::Left(reason),
            (state, fact) => {
                let attempt = Box::new(Self { state, ..self });
                return Err(OutOfOrder { attempt, fact: Box::new(fact) });
            }
        };
        self.progress.reached(&state, at_ms);
        self.progress.receipts.extend(erased.map(|signer| (signer, at_ms)));
        Ok(Self { state, ..self })
    }

    /// What is to be done now.
    pub fn next(&self) -> Step<'_> {
        match &self.state {
            State::Opening(state) if state.missing().is_empty() => Step::Fix,
            State::Opening(state) => Step::Ask(&state.request, state.missing()),
            State::Committing(state) => Step::Ask(&state.request, state.missing()),
            State::Dealing(state) if state.missing().is_empty() => Step::Transcribe,
            State::Dealing(state) => Step::Ask(&state.request, state.missing()),
            State::Preparing(state) => Step::Ask(&state.request, state.missing()),
            State::Probing(state) => Step::Probe(&state.missing),
            State::Activating(state) => Step::Ask(&state.request, state.missing()),
            State::Keeping(state) if state.is_complete() => Step::Retire,
            State::Keeping(state) => Step::Ask(&state.request, state.missing()),
            State::Retiring(state) => Step::Ask(&state.request, state.missing()),
            State::Retired(_) | State::Left(_) => Step::Rest,
        }
    }

    /// The phase, in a word.
    pub fn phase(&self) -> Phase {
        self.state.phase()
    }
}

#[cfg(test)]
mod tests;
