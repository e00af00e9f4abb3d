//! The only door: bytes become checked values here and nowhere else.
//!
//! Whatever the coordinator sends is checked against what is pinned: signatures, quorums, certificates. What
//! depends on this signer's own records is the keeper's to check.

use crate::pinned::Pinned;
use perennial_ledger::ConsistencyProof;
use perennial_model::approval::{Approved, ApprovedPlan};
use perennial_model::certificate::Confirmed;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening, digest_of_all};
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::error::Error;
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::{PairingMessage, Request};
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::Chunk;
use perennial_model::planted;
use perennial_model::session::{SessionMessage, SessionRequest};
use perennial_model::share_set::ShareSet;
use perennial_model::vote::VoteKind;
use perennial_model::witness::Offer;
use std::sync::Arc;

/// Finds an approved plan that this signer keeps.
pub trait FindPlan {
    /// The plan, none if it never came or is long done.
    fn plan(&self, digest: &Digest) -> Option<Arc<Approved>>;
}

/// A request whose every signature was checked.
#[derive(Debug)]
pub enum Checked {
    /// A plan with a quorum, and its bytes for the record.
    Plan(Box<Approved>, Box<ApprovedPlan>),
    /// The next version of governance; what it says and its quorum are checked against the present one when it is taken.
    Governance(Box<ApprovedGovernance>),
    /// A chunk to open.
    Open(Chunk, Vec<ShareSet>),
    /// Inputs and the openings that they name.
    Commit(Inputs, Vec<Said<Opening>>),
    /// Inputs and one promise per dealer.
    Deal(Inputs, Vec<Said<Commitment>>),
    /// A finished set of dealings.
    Verify(Box<ToVerify>),
    /// An Activation.
    Activate(Box<Confirmed>),
    /// A chunk to keep.
    Keep(Chunk),
    /// A Retirement.
    Retire(Box<Confirmed>),
    /// A session to begin.
    Session(Box<SessionRequest>),
    /// Another signer's word in a session.
    SessionMail(Said<SessionMessage>),
    /// Another signer's word while a pair base is made.
    PairingMail(Said<PairingMessage>),
    /// An order; its quorum is checked when it is taken.
    Order(Box<ApprovedOrder>),
    /// A checkpoint with a proof that can be read. Who signed it is checked against this signer's own records.
    Checkpoint(Box<Offer>, ConsistencyProof),
}

/// Everything that a holder verifies.
#[derive(Debug)]
pub struct ToVerify {
    /// What all dealers agree on.
    pub inputs: Inputs,
    /// The openings that the inputs name.
    pub openings: Vec<Said<Opening>>,
    /// One digest of all promises, in the order of the dealers.
    pub promises: Digest,
    /// One dealing per dealer, each as promised.
    pub dealings: Vec<Said<Dealing>>,
}

/// What a request is about, readable even if it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The chunk.
    pub chunk: Option<Chunk>,
    /// The plan.
    pub plan: Option<Digest>,
    /// The session.
    pub session: Option<Digest>,
}

/// A request that did not pass the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What it was about, as far as it could be read.
    pub about: About,
    /// What is wrong with it.
    pub error: Error,
}

/// Reads and checks one request.
///
/// # Errors
/// What is wrong with it, and what it was about.
pub fn open(bytes: &[u8], pinned: &Pinned, plans: &dyn FindPlan) -> Result<Checked, Box<Rejected>> {
    let rejected = |about, error| Box::new(Rejected { about, error });
    let request: Request = encoding::decode(bytes).map_err(|e| rejected(About::default(), e.into()))?;
    let about = about(&request);
    check(request, pinned, plans).map_err(|error| rejected(about, error))
}

impl About {
    /// A chunk and its plan.
    pub(crate) fn of(chunk: &Chunk) -> Self {
        Self { chunk: Some(*chunk), plan: Some(chunk.plan), session: None }
    }
}

fn about(request: &Request) -> About {
    match request {
        Request::Plan(approved) => About { plan: Some(approved.plan.digest()), ..About::default() },
        Request::Open { chunk, .. } | Request::Keep(chunk) => About::of(chunk),
        Request::Commit { inputs, .. } | Request::Deal { inputs, .. } | Request::Verify { inputs, .. } => {
            About::of(&inputs.chunk)
        }
        Request::Activate(certificate) | Request::Retire(certificate) => About::of(&certificate.inputs.chunk),
        Request::Session(request) => About { session: Some(request.session), ..About::default() },
        Request::SessionMail(_)
        | Request::PairingMail(_)
        | Request::Governance(_)
        | Request::Order(_)
        | Request::Checkpoint(_) => About::default(),
    }
}

fn check(request: Request, pinned: &Pinned, plans: &dyn FindPlan) -> Result<Checked, Error> {
    let governance = pinned.governance();
    let history = pinned.history();
    match &request {
        // Whoever was removed still erases, and learns what is in force.
        Request::Plan(_) | Request::Retire(_) | Request::Governance(_) => {}
        _ => pinned.check_named()?,
    }
    Ok(match request {
        Request::Plan(plan) => {
            let named = history.find(&plan.plan.governance)?;
            Checked::Plan(Box::new(plan.clone().check(named)?), plan)
        }
        Request::Governance(next) => Checked::Governance(next),
        Request::Order(order) => Checked::Order(order),
        Request::Open { chunk, parents } => Checked::Open(chunk, parents),
        Request::Commit { inputs, openings } => Checked::Commit(inputs, check_all(&openings, pinned)?),
        Request::Deal { inputs, commitments } => {
            let commitments = check_all(&commitments, pinned)?;
            check_commitments(&inputs, &commitments)?;
            Checked::Deal(inputs, commitments)
        }
        Request::Verify { inputs, openings, commitments, dealings } => {
            let openings = check_all(&openings, pinned)?;
            let commitments = check_all(&commitments, pinned)?;
            check_commitments(&inputs, &commitments)?;
            let dealings = check_all(&dealings, pinned)?;
            check_promised(&commitments, &dealings)?;
            let promises = promises_digest(&commitments);
            Checked::Verify(Box::new(ToVerify { inputs, openings, promises, dealings }))
        }
        Request::Activate(certificate) if certificate.kind == VoteKind::Prepared => {
            let plan = known(plans, &certificate.inputs.chunk)?;
            let named = history.find(&plan.plan().governance)?;
            Checked::Activate(Box::new(certificate.check(&plan, named)?))
        }
        Request::Retire(certificate)
            if certificate.kind == VoteKind::Keep || planted!(RetireOnPreparedVotes) =>
        {
            let plan = known(plans, &certificate.inputs.chunk)?;
            let named = history.find(&plan.plan().governance)?;
            Checked::Retire(Box::new(certificate.check(&plan, named)?))
        }
        Request::Activate(_) | Request::Retire(_) => {
            return Err(Error::denied("the certificate's votes promise something else than it is used for"));
        }
        Request::Keep(chunk) => Checked::Keep(chunk),
        Request::Session(request) => Checked::Session(request),
        Request::SessionMail(message) => Checked::SessionMail(addressed(message.check(governance)?, pinned)?),
        Request::PairingMail(message) => {
            let said = message.check(governance)?;
            if &said.body.to != pinned.me() || &said.signer == pinned.me() {
                return Err(Error::denied("pairing mail for somebody else"));
            }
            Checked::PairingMail(said)
        }
        Request::Checkpoint(offer) => {
            let proof = ConsistencyProof::from_bytes(&offer.proof.0)
                .map_err(|e| Error::denied(format!("the proof with a checkpoint: {e}")))?;
            Checked::Checkpoint(offer, proof)
        }
    })
}

fn known(plans: &dyn FindPlan, chunk: &Chunk) -> Result<Arc<Approved>, Error> {
    plans.plan(&chunk.plan).ok_or_else(|| unknown_plan(&chunk.plan))
}

/// The answer to a request about a plan that this signer does not keep.
pub(crate) fn unknown_plan(plan: &Digest) -> Error {
    Error::stale(format!("unknown plan {}: send it with its approvals first", plan.short()))
}

fn check_all<D: Document>(signed: &[Signed<D>], pinned: &Pinned) -> Result<Vec<Said<D>>, Error> {
    signed.iter().map(|one| one.check(pinned.governance())).collect()
}

fn check_commitments(inputs: &Inputs, commitments: &[Said<Commitment>]) -> Result<(), Error> {
    if planted!(DealBeforeAllPromise) {
        return Ok(());
    }
    if !commitments.iter().map(|commitment| &commitment.signer).eq(&inputs.dealers) {
        return Err(Error::denied(format!("{}: not one promise per dealer in their order", inputs.chunk)));
    }
    let digest = inputs.digest();
    for commitment in commitments {
        if commitment.body.inputs != digest || commitment.body.chunk != inputs.chunk {
            return Err(Error::stale(format!(
                "{}: {} promised for other inputs",
                inputs.chunk, commitment.signer
            )));
        }
    }
    Ok(())
}

/// One digest of what all dealers have promised, in their order.
pub(crate) fn promises_digest(commitments: &[Said<Commitment>]) -> Digest {
    digest_of_all("perennial/promises/v1", commitments.iter().map(|commitment| &commitment.digest))
}

fn check_promised(commitments: &[Said<Commitment>], dealings: &[Said<Dealing>]) -> Result<(), Error> {
    if !dealings.iter().map(|dealing| &dealing.signer).eq(commitments.iter().map(|c| &c.signer)) {
        return Err(Error::denied("not one dealing per dealer in their order"));
    }
    for (commitment, dealing) in commitments.iter().zip(dealings) {
        if commitment.body.dealing != dealing.digest {
            return Err(Error::misbehaved(&dealing.signer, "published another dealing than it promised"));
        }
    }
    Ok(())
}

fn addressed(said: Said<SessionMessage>, pinned: &Pinned) -> Result<Said<SessionMessage>, Error> {
    if &said.body.to != pinned.me() || &said.signer == pinned.me() {
        return Err(Error::denied("session mail for somebody else"));
    }
    Ok(said)
}
