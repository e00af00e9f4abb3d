//! The coordinator's private log of facts: what is written, and what a store for it has to promise.
//!
//! A batch is one transaction: facts, what the ledger has to say of them, and the summaries of ceremonies that
//! are over. Nothing that depends on a fact leaves before its batch is durable.

use crate::ceremony::Reason;
use crate::ceremony::batch::CeremonyFact;
use crate::ceremony::generation::Generation;
use crate::ceremony::status::CeremonyStatus;
use crate::thefts::Tenure;
use minicbor::{Decode, Encode};
use perennial_model::approval::ApprovedPlan;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::encoding::{Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::governance::PersonId;
use perennial_model::identity::Signed;
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::Chunk;
use perennial_model::receipt::Receipt;
use perennial_model::theft::TheftReport;
use perennial_model::wallet::WalletId;
use std::sync::Arc;

/// Where facts are kept.
pub trait Journal {
    /// Why the store cannot go on. The process has to end: what was written is unknown until it is read again.
    type Error;

    /// Appends a whole batch, or nothing, and returns once it is durable.
    ///
    /// # Errors
    /// When the store cannot promise that.
    fn append(&mut self, batch: &Batch) -> Result<(), Self::Error>;

    /// Everything that was appended and still matters: first the latest summary of each ceremony that is over, in
    /// the order in which they were first closed, then every line of all other ceremonies in the order in which
    /// they were appended.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&mut self) -> Result<Vec<Loaded>, Self::Error>;
}

/// What is appended together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Facts, in order.
    pub lines: Vec<Line>,
    /// What the ledger has to record of them, in order.
    pub notes: Vec<Note>,
    /// Ceremonies that are over. A later summary of the same ceremony takes the place of the earlier one.
    pub summaries: Vec<Line>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.notes.is_empty() && self.summaries.is_empty()
    }
}

/// One document of one ceremony.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The ceremony.
    pub ceremony: Digest,
    /// The canonical bytes: a [`Recorded`] fact, or a [`Summary`].
    pub document: Vec<u8>,
}

/// What comes back on boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loaded {
    /// The summary of a ceremony that is over.
    Summary(Vec<u8>),
    /// A line of one that is not.
    Line(Vec<u8>),
}

/// A fact with its ceremony and its time.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Recorded {
    /// The ceremony.
    #[n(0)]
    pub ceremony: Digest,
    /// When the coordinator recorded it, in milliseconds since 1970.
    #[n(1)]
    pub at_ms: u64,
    /// The fact.
    #[n(2)]
    pub fact: CeremonyFact,
}

impl Document for Recorded {
    const KIND: &'static str = "fact";
    const VERSION: u16 = 2;
}

/// What boot needs of a ceremony that is over. Its lines stay in the journal as evidence.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Summary {
    /// How it ended.
    #[n(0)]
    pub status: CeremonyStatus,
    /// What it made, as long as some wallet still stands on it.
    #[n(1)]
    pub generations: Vec<Settlement>,
    /// Attempts that were left, and who had opened them.
    #[n(2)]
    pub abandoned: Vec<Abandoned>,
    /// Who held copies of what it made, and when. It stays when no wallet stands on it any more: thefts come to light
    /// late. None where nothing was held, and in journals of versions that did not keep it.
    #[n(3)]
    pub tenures: Option<Vec<Tenure>>,
}

impl Document for Summary {
    const KIND: &'static str = "ceremony-summary";
    /// It has all share sets of a plan: 100,000 of sixteen members take some 150 MB.
    const BYTES_MAX: usize = 1 << 30;
}

/// A generation that was retired above everything lower.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Settlement {
    /// The share sets.
    #[n(0)]
    pub generation: Generation,
    /// When its Activation was put together, in milliseconds since 1970.
    #[n(1)]
    pub activated_ms: u64,
    /// When its Retirement was.
    #[n(2)]
    pub retired_ms: u64,
}

/// An attempt that was left.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Abandoned {
    /// Its number.
    #[n(0)]
    pub epoch: Epoch,
    /// Its wallets.
    #[n(1)]
    pub wallets: Vec<WalletId>,
    /// Who opened it, and may hold something of it.
    #[n(2)]
    pub openers: Vec<SignerId>,
}

/// What the ledger, and people, should know. It is written with the facts that cause it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// A plan came in.
    Submitted {
        /// Its digest.
        ceremony: Digest,
    },
    /// A person approved it.
    Approved {
        /// The plan's digest.
        ceremony: Digest,
        /// Who.
        person: PersonId,
    },
    /// The quorum is complete.
    Authorised {
        /// The plan with its approvals.
        plan: Arc<ApprovedPlan>,
        /// Its digest.
        ceremony: Digest,
    },
    /// People have given a mandate.
    Mandated {
        /// Its digest.
        mandate: Digest,
        /// The mandate with its approvals.
        approved: Arc<ApprovedMandate>,
    },
    /// People have given an order.
    Ordered {
        /// Its digest.
        order: Digest,
        /// The order with its approvals.
        approved: Arc<ApprovedOrder>,
    },
    /// Somebody has reported copies as stolen, or withdrawn such a report.
    TheftReported {
        /// Its digest.
        theft: Digest,
        /// The report.
        report: Arc<TheftReport>,
    },
    /// A chunk has its Activation.
    Activated {
        /// The chunk.
        chunk: Chunk,
        /// The certificate.
        certificate: Arc<Certificate>,
    },
    /// A chunk has its Retirement.
    Retired {
        /// The chunk.
        chunk: Chunk,
        /// The certificate.
        certificate: Arc<Certificate>,
    },
    /// Wallets exist from now on: their first epoch is kept by all.
    Created {
        /// The chunk.
        chunk: Chunk,
        /// Their share sets, with names and keys.
        generation: Arc<Generation>,
    },
    /// A signer erased everything below a chunk.
    Erased {
        /// The chunk.
        chunk: Chunk,
        /// Its receipt.
        receipt: Signed<Receipt>,
    },
    /// An attempt was left.
    Left {
        /// The chunk.
        chunk: Chunk,
        /// Why.
        reason: Reason,
    },
    /// No attempt is left for these wallets.
    GivenUp {
        /// The plan's digest.
        ceremony: Digest,
        /// The wallets.
        wallets: Vec<WalletId>,
    },
    /// A ceremony is over.
    Finished {
        /// How it ended.
        status: Box<CeremonyStatus>,
    },
}
