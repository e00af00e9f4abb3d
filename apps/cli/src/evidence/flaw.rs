//! Why a bundle is refused: which check, where, and what is wrong.

use std::fmt;

/// One check that a bundle does not pass. The names are those in `docs/formats.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// The archive has its one form.
    Archive,
    /// The manifest lists what is there.
    Manifest,
    /// A document is named by its digest, and something speaks of it.
    Document,
    /// The versions of governance follow from the one that is trusted.
    Governance,
    /// The ledger's key signed the checkpoint.
    Checkpoint,
    /// Enough signers have cosigned it.
    Witnesses,
    /// An entry is in the ledger, and its body is here.
    Entry,
    /// A quorum approved the plan.
    Plan,
    /// Everybody who had to voted for it.
    Certificate,
    /// The root is over these leaves.
    Root,
    /// A share set is of its epoch, and the key stays the same.
    ShareSet,
    /// The holders showed that they can sign.
    Possession,
    /// A receipt names what was retired.
    Receipt,
    /// A transaction was signed under an epoch that is known.
    Signature,
    /// Things happened one after the other.
    Times,
    /// The summary follows from the rest.
    Summary,
    /// A report of a theft is sound and for the wallet's tenant, and withdraws only what came before it.
    Theft,
}

impl Check {
    /// Its number and its name in `docs/formats.md`.
    pub fn name(self) -> (u8, &'static str) {
        match self {
            Self::Archive => (1, "archive"),
            Self::Manifest => (2, "manifest"),
            Self::Document => (3, "document"),
            Self::Governance => (4, "governance"),
            Self::Checkpoint => (5, "checkpoint"),
            Self::Witnesses => (6, "witnesses"),
            Self::Entry => (7, "entry"),
            Self::Plan => (8, "plan"),
            Self::Certificate => (9, "certificate"),
            Self::Root => (10, "root"),
            Self::ShareSet => (11, "share-set"),
            Self::Possession => (12, "possession"),
            Self::Receipt => (13, "receipt"),
            Self::Signature => (14, "signature"),
            Self::Times => (15, "times"),
            Self::Summary => (16, "summary"),
            Self::Theft => (17, "theft"),
        }
    }
}

/// What is wrong with a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// Which check it does not pass.
    pub check: Check,
    /// The member, or the part of the archive.
    pub member: String,
    /// What was expected and what came.
    pub reason: String,
}

impl Flaw {
    /// A flaw of a member.
    pub fn new(check: Check, member: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self { check, member: member.into(), reason: reason.to_string() }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, name) = self.check.name();
        write!(f, "check {number} ({name}) fails at {}: {}", self.member, self.reason)
    }
}
