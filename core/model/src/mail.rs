//! What travels between the coordinator and a signer.
//!
//! The coordinator's requests carry no authority of their own: everything in them is signed by those who
//! answer for it, and a signer checks it all. Every request may come again, late, or never.

use crate::approval::ApprovedPlan;
use crate::certificate::Certificate;
use crate::committee::SignerId;
use crate::dealing::{Commitment, Dealing, Inputs, Opening, Sealed};
use crate::encoding::{Digest, Document};
use crate::epoch::Epoch;
use crate::governance::history::ApprovedGovernance;
use crate::identity::Signed;
use crate::order::ApprovedOrder;
use crate::plan::Chunk;
use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::session::{Blame, SessionMessage, SessionReport, SessionRequest};
use crate::share_set::ShareSet;
use crate::vote::Vote;
use crate::witness::{Answer, Offer};
use minicbor::{Decode, Encode};

/// From the coordinator to a signer.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Request {
    /// A plan with its approvals.
    #[n(0)]
    Plan(#[n(0)] Box<ApprovedPlan>),
    /// Make one-time keys for a chunk.
    #[n(1)]
    Open {
        /// The chunk.
        #[n(0)]
        chunk: Chunk,
        /// The parent share sets that the plan names, in its order, for a signer that said it holds none;
        /// empty for all others.
        #[n(1)]
        parents: Vec<ShareSet>,
    },
    /// Make a dealing and promise it.
    #[n(2)]
    Commit {
        /// What all dealers agree on.
        #[n(0)]
        inputs: Inputs,
        /// The openings that the inputs name.
        #[n(1)]
        openings: Vec<Signed<Opening>>,
    },
    /// All promises are in: publish the dealing.
    #[n(3)]
    Deal {
        /// What all dealers agree on.
        #[n(0)]
        inputs: Inputs,
        /// One promise per dealer, in their order.
        #[n(1)]
        commitments: Vec<Signed<Commitment>>,
    },
    /// Verify all dealings, store the shares, vote.
    #[n(4)]
    Verify {
        /// What all dealers agree on.
        #[n(0)]
        inputs: Inputs,
        /// The openings that the inputs name.
        #[n(1)]
        openings: Vec<Signed<Opening>>,
        /// One promise per dealer.
        #[n(2)]
        commitments: Vec<Signed<Commitment>>,
        /// One dealing per dealer.
        #[n(3)]
        dealings: Vec<Signed<Dealing>>,
    },
    /// Serve the new epoch.
    #[n(5)]
    Activate(#[n(0)] Box<Certificate>),
    /// Vote Keep, as soon as the overlap is over.
    #[n(6)]
    Keep(#[n(0)] Chunk),
    /// Erase everything lower.
    #[n(7)]
    Retire(#[n(0)] Box<Certificate>),
    /// Begin a session.
    #[n(8)]
    Session(#[n(0)] Box<SessionRequest>),
    /// Another signer's message in a session.
    #[n(9)]
    SessionMail(#[n(0)] Signed<SessionMessage>),
    /// Another signer's message while a pair base is made.
    #[n(10)]
    PairingMail(#[n(0)] Signed<PairingMessage>),
    /// The next version of governance, approved by a quorum of the present one.
    #[n(11)]
    Governance(#[n(0)] Box<ApprovedGovernance>),
    /// A checkpoint of the ledger, to be cosigned.
    #[n(12)]
    Checkpoint(#[n(0)] Box<Offer>),
    /// What people have ordered.
    #[n(13)]
    Order(#[n(0)] Box<ApprovedOrder>),
}

impl Document for Request {
    const KIND: &'static str = "request";
}

/// One message between two signers that make the base of their pair for one attempt.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct PairingMessage {
    /// The plan of the attempt.
    #[n(0)]
    pub plan: Digest,
    /// Its number.
    #[n(1)]
    pub epoch: Epoch,
    /// For whom.
    #[n(2)]
    pub to: SignerId,
    /// Which of several runs of the set-up, named by the side that begins; a run cut short is never resumed.
    #[n(3)]
    pub run: Digest,
    /// The step within the run, from 0.
    #[n(4)]
    pub step: u8,
    /// The author's one-time key of this run, in its first message.
    #[n(5)]
    pub one_time_key: Option<Digest>,
    /// The engine's message, sealed to the receiver's one-time key; absent while none is known, and in the last message
    /// of the side that was invited, which says that its half is stored.
    #[n(6)]
    pub sealed: Option<Sealed>,
}

impl Document for PairingMessage {
    const KIND: &'static str = "pairing-message";
}

/// From a signer to the coordinator.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Reply {
    /// The plan was checked and is kept.
    #[n(0)]
    Planned(#[n(0)] Digest),
    /// One-time keys.
    #[n(1)]
    Opened(#[n(0)] Signed<Opening>),
    /// A promise.
    #[n(2)]
    Committed(#[n(0)] Signed<Commitment>),
    /// A dealing.
    #[n(3)]
    Dealt(#[n(0)] Signed<Dealing>),
    /// A bad sub-share.
    #[n(4)]
    Refused(#[n(0)] Signed<Refusal>),
    /// A vote.
    #[n(5)]
    Voted(#[n(0)] Signed<Vote>),
    /// The chunk is Active here since this time, in milliseconds since 1970.
    #[n(6)]
    Activated(#[n(0)] Chunk, #[n(1)] u64),
    /// Everything lower is erased.
    #[n(7)]
    Erased(#[n(0)] Signed<Receipt>),
    /// To be handed to another signer.
    #[n(8)]
    SessionMail(#[n(0)] Signed<SessionMessage>),
    /// To be handed to another signer.
    #[n(9)]
    PairingMail(#[n(0)] Signed<PairingMessage>),
    /// The end of a session.
    #[n(10)]
    Session(#[n(0)] SessionReport),
    /// A request that was not carried out.
    #[n(11)]
    Declined {
        /// The chunk that it was about, if any.
        #[n(0)]
        chunk: Option<Chunk>,
        /// The plan that it was about, if any.
        #[n(1)]
        plan: Option<Digest>,
        /// Who is to blame.
        #[n(2)]
        blame: Blame,
        /// What was expected and what came.
        #[n(3)]
        reason: String,
    },
    /// This version of governance is on disk here, and in force unless a newer one is.
    #[n(12)]
    Governed {
        /// Its number.
        #[n(0)]
        version: u64,
        /// Its digest.
        #[n(1)]
        digest: Digest,
    },
    /// A witness's word on a checkpoint.
    #[n(13)]
    Checkpoint(#[n(0)] Answer),
    /// This order is on disk here, and obeyed.
    #[n(14)]
    Ordered(#[n(0)] Digest),
}

impl Document for Reply {
    const KIND: &'static str = "reply";
}
