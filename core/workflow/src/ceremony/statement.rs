//! What a signer says of a chunk, checked before it becomes a fact: who signed it, and whether an honest signer
//! could have. The coordinator is not to be fooled by a signer either, and it names who is to blame.

use crate::ceremony::generation::Generation;
use crate::ceremony::heard::Heard;
use crate::ceremony::states::Preparing;
use crate::ceremony::{Attempt, Fact, Reason, State, possession};
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening};
use perennial_model::identity::FindIdentity;
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use perennial_model::planted;
use perennial_model::receipt::Receipt;
use perennial_model::refusal::Refusal;
use perennial_model::vote::{Vote, VoteKind};
use rand_core::CryptoRng;

/// A reply about a chunk whose author is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    /// One-time keys.
    Opened(Heard<Opening>),
    /// A promise.
    Committed(Heard<Commitment>),
    /// A dealing.
    Dealt(Heard<Dealing>),
    /// A bad sub-share.
    Refused(Heard<Refusal>),
    /// A vote.
    Voted(Heard<Vote>),
    /// The epoch is served here since that time.
    Activated(SignerId, Chunk, u64),
    /// A receipt.
    Erased(Heard<Receipt>),
}

impl Statement {
    /// Checks that `from` speaks for itself. None for replies that are about no chunk's state.
    ///
    /// # Errors
    /// As [`Heard::check`].
    pub fn check(
        from: &SignerId,
        reply: Reply,
        governance: &dyn FindIdentity,
    ) -> Result<Option<Self>, Error> {
        Ok(Some(match reply {
            Reply::Opened(signed) => Self::Opened(Heard::check(signed, from, governance)?),
            Reply::Committed(signed) => Self::Committed(Heard::check(signed, from, governance)?),
            Reply::Dealt(signed) => Self::Dealt(Heard::check(signed, from, governance)?),
            Reply::Refused(signed) => Self::Refused(Heard::check(signed, from, governance)?),
            Reply::Voted(signed) => Self::Voted(Heard::check(signed, from, governance)?),
            Reply::Activated(chunk, at_ms) => Self::Activated(from.clone(), chunk, at_ms),
            Reply::Erased(signed) => Self::Erased(Heard::check(signed, from, governance)?),
            Reply::Planned(_)
            | Reply::Governed { .. }
            | Reply::Ordered(_)
            | Reply::SessionMail(_)
            | Reply::PairingMail(_)
            | Reply::Session(_)
            | Reply::Checkpoint(_)
            | Reply::Declined { .. } => return Ok(None),
        }))
    }

    /// The chunk that it is about.
    pub fn chunk(&self) -> Chunk {
        match self {
            Self::Opened(said) => said.body().chunk,
            Self::Committed(said) => said.body().chunk,
            Self::Dealt(said) => said.body().chunk,
            Self::Refused(said) => said.body().chunk,
            Self::Voted(said) => said.body().chunk,
            Self::Activated(_, chunk, _) => *chunk,
            Self::Erased(said) => said.body().chunk,
        }
    }

    /// Who says it.
    pub fn signer(&self) -> &SignerId {
        match self {
            Self::Opened(said) => said.signer(),
            Self::Committed(said) => said.signer(),
            Self::Dealt(said) => said.signer(),
            Self::Refused(said) => said.signer(),
            Self::Voted(said) => said.signer(),
            Self::Activated(signer, ..) => signer,
            Self::Erased(said) => said.signer(),
        }
    }
}

impl Attempt {
    /// The fact that a statement amounts to in the present state.
    ///
    /// # Errors
    /// `Stale` when it is known already, comes too late or too early; `Denied` when its author has no part in
    /// this; `Misbehaved` when no honest signer says so here.
    pub fn hear(&self, statement: Statement, rng: &mut dyn CryptoRng) -> Result<Fact, Error> {
        if statement.chunk() != self.terms.chunk {
            return Err(Error::denied(format!("a statement about another chunk than {}", self.terms.chunk)));
        }
        self.check_part(&statement)?;
        match (&self.state, statement) {
            (State::Opening(state), Statement::Opened(said)) => {
                first(&state.openings, &said)?;
                self.check_opening(&said)?;
                Ok(Fact::Opened(said))
            }
            (State::Committing(state), Statement::Committed(said)) => {
                first(&state.commitments, &said)?;
                same_inputs(&state.inputs, &said.body().inputs, said.signer())?;
                Ok(Fact::Committed(said))
            }
            (State::Dealing(state), Statement::Dealt(said)) => {
                first(&state.dealings, &said)?;
                let promise = state.commitments.iter().find(|promise| promise.signer() == said.signer());
                if promise.is_none_or(|promise| promise.body().dealing != said.digest()) {
                    return Err(self.fault(said.signer(), "dealt something else than it had promised"));
                }
                Ok(Fact::Dealt(said))
            }
            (State::Preparing(state), Statement::Refused(said)) => {
                same_inputs(&state.generation.inputs, &said.body().inputs, said.signer())?;
                if !state.generation.inputs.dealers.contains(&said.body().dealer) {
                    return Err(self.fault(said.signer(), "refused a signer that did not deal"));
                }
                Ok(Fact::Left(Reason::Refused(said)))
            }
            (State::Preparing(state), Statement::Voted(vote)) if vote.body().kind == VoteKind::Prepared => {
                known_vote(&state.votes, &vote)?;
                self.check_vote(&state.generation, &vote)?;
                self.check_possession(state, &vote, rng)?;
                Ok(Fact::Prepared(vote))
            }
            (State::Activating(state), Statement::Activated(holder, _, at_ms)) => {
                Ok(Fact::Activated(self.new_name(&state.activated, holder)?, at_ms))
            }
            (State::Activating(state), Statement::Voted(vote)) if vote.body().kind == VoteKind::Keep => {
                known_vote(&state.keeps, &vote)?;
                self.check_vote(&state.generation, &vote)?;
                Ok(Fact::Kept(vote))
            }
            (State::Keeping(state), Statement::Voted(vote)) if vote.body().kind == VoteKind::Keep => {
                known_vote(&state.keeps, &vote)?;
                self.check_vote(&state.generation, &vote)?;
                Ok(Fact::Kept(vote))
            }
            (State::Retiring(state), Statement::Erased(receipt)) => {
                if state.receipts.iter().any(|known| known.signer() == receipt.signer()) {
                    return Err(self.stale());
                }
                if receipt.body().shares.iter().any(|share| share.epoch >= self.terms.chunk.epoch) {
                    return Err(self.fault(receipt.signer(), "erased an epoch that was not retired"));
                }
                Ok(Fact::Erased(receipt))
            }
            _ => Err(self.stale()),
        }
    }

    /// Whether the author has the part in this attempt in which it speaks.
    fn check_part(&self, statement: &Statement) -> Result<(), Error> {
        let signer = statement.signer();
        let member = || self.terms.plan().committee.seat_of(signer).is_some();
        let inputs = self.state.inputs();
        let dealer = || inputs.is_none_or(|inputs| inputs.dealers.contains(signer));
        let holder = || inputs.is_none_or(|inputs| inputs.holders.contains(signer));
        let (part, plays) = match statement {
            Statement::Opened(_) => ("member of its committee", member()),
            Statement::Committed(_) | Statement::Dealt(_) => ("dealer", dealer()),
            Statement::Refused(_) | Statement::Voted(_) | Statement::Activated(..) => ("holder", holder()),
            Statement::Erased(_) => match &self.state {
                State::Retiring(state) => ("signer that owes a receipt", state.owed.contains(signer)),
                _ => return Ok(()),
            },
        };
        if plays {
            return Ok(());
        }
        Err(Error::denied(format!("{}: {signer} is no {part} of this attempt", self.terms.chunk)))
    }

    /// One key per possible dealer.
    fn check_opening(&self, said: &Heard<Opening>) -> Result<(), Error> {
        let dealers = self.terms.parent.as_ref().unwrap_or(&self.terms.plan().committee);
        if dealers.signers().all(|dealer| said.body().key_for(dealer).is_some()) {
            return Ok(());
        }
        Err(self.fault(said.signer(), "opened without a key for each possible dealer"))
    }

    fn check_vote(&self, generation: &Generation, vote: &Heard<Vote>) -> Result<(), Error> {
        let body = vote.body();
        if body.governance != self.terms.plan().governance {
            return Err(self.fault(vote.signer(), "voted under another governance than the plan's"));
        }
        if body.possession.is_some() != (body.kind == VoteKind::Prepared) {
            return Err(self.fault(vote.signer(), "voted with a proof where none belongs, or without one"));
        }
        let same = body.inputs == generation.inputs.digest() && body.root == generation.root;
        if same || planted!(CountVotesWithoutTranscript) {
            return Ok(());
        }
        let what = format!(
            "voted {} for root {}, but the dealings come to {}",
            body.kind,
            body.root.short(),
            generation.root.short()
        );
        Err(self.fault(vote.signer(), &what))
    }

    /// With the last vote that is missing, the proofs of all are checked together.
    fn check_possession(
        &self,
        state: &Preparing,
        last: &Heard<Vote>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        if state.missing() != [last.signer()] || planted!(CountVotesWithoutTranscript) {
            return Ok(());
        }
        let votes = state.votes.iter().chain([last]);
        let proofs: Vec<_> =
            votes.filter_map(|vote| Some((vote.signer(), vote.body().possession.as_ref()?))).collect();
        let committee = &self.terms.plan().committee;
        possession::check_all(self.terms.scheme, committee, &state.generation, &proofs, rng)
    }

    fn new_name(&self, known: &[SignerId], signer: SignerId) -> Result<SignerId, Error> {
        if known.contains(&signer) { Err(self.stale()) } else { Ok(signer) }
    }

    fn stale(&self) -> Error {
        Error::stale(format!("{} is {}", self.terms.chunk, self.phase()))
    }

    fn fault(&self, culprit: &SignerId, what: &str) -> Error {
        Error::misbehaved(culprit, format!("{}: {what}", self.terms.chunk))
    }
}

impl State {
    /// The inputs, once they are fixed and as long as they matter.
    pub fn inputs(&self) -> Option<&Inputs> {
        match self {
            Self::Committing(state) => Some(&state.inputs),
            Self::Dealing(state) => Some(&state.inputs),
            Self::Opening(_) | Self::Left(_) => None,
            _ => self.generation().map(|generation| &generation.inputs),
        }
    }
}

/// A statement for which there is room once: the same again is old, another one is two-faced.
fn first<D: perennial_model::encoding::Document>(known: &[Heard<D>], said: &Heard<D>) -> Result<(), Error> {
    match known.iter().find(|known| known.signer() == said.signer()) {
        None => Ok(()),
        Some(known) if known.digest() == said.digest() => {
            Err(Error::stale(format!("this {} of {} is known", D::KIND, said.signer())))
        }
        Some(_) => Err(Error::misbehaved(said.signer(), format!("signed two different {}s", D::KIND))),
    }
}

/// A vote counts once; a second one is looked at only for whether it contradicts the first.
fn known_vote(known: &[Heard<Vote>], vote: &Heard<Vote>) -> Result<(), Error> {
    let Some(known) = known.iter().find(|known| known.signer() == vote.signer()) else { return Ok(()) };
    if planted!(CountOneVoterTwice) {
        return Ok(());
    }
    if (known.body().inputs, known.body().root) == (vote.body().inputs, vote.body().root) {
        return Err(Error::stale(format!("this vote of {} is known", vote.signer())));
    }
    let what = format!("voted {} for two different roots", vote.body().kind);
    Err(Error::misbehaved(vote.signer(), what))
}

fn same_inputs(
    inputs: &Inputs,
    named: &perennial_model::encoding::Digest,
    signer: &SignerId,
) -> Result<(), Error> {
    if *named == inputs.digest() {
        return Ok(());
    }
    Err(Error::misbehaved(signer, format!("{}: spoke of other inputs than the attempt's", inputs.chunk)))
}
