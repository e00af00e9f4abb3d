//! What the states from the Activation on hold. Nobody leaves them by choice: what is Activated is served, kept, and
//! at last replaces everything lower.

use super::State;
use super::generation::Generation;
use super::heard::Heard;
use super::states::{Terms, awaits_vote, certificate, missing};
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::mail::Request;
use perennial_model::receipt::Receipt;
use perennial_model::vote::{Vote, VoteKind};
use std::sync::Arc;

/// The Activation exists; holders begin to serve.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activating {
    pub(super) terms: Arc<Terms>,
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
    pub(super) terms: Arc<Terms>,
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
