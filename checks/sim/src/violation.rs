//! An invariant that does not hold.

use std::fmt;

/// The invariants, by the names that the protocol gives them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum Invariant {
    I1KeyContinuity,
    I2OneTranscript,
    I3Authority,
    I4ValidSignatures,
    I5ErasureAllowed,
    I6Recoverable,
    I7NoGoingBack,
    I8DurableFirst,
    I9ErasureComplete,
    I11ApprovalsBind,
    I12NobodyWronged,
    I13OneLedger,
    L1Completes,
    L2SignsOn,
    /// A process that cannot start, or reports a bug of its own.
    Sound,
}

impl Invariant {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::I1KeyContinuity => "I1 key continuity",
            Self::I2OneTranscript => "I2 one transcript",
            Self::I3Authority => "I3 authority",
            Self::I4ValidSignatures => "I4 valid signatures, no mixed session, no nonce twice",
            Self::I5ErasureAllowed => "I5 erasure only where allowed",
            Self::I6Recoverable => "I6 recoverable",
            Self::I7NoGoingBack => "I7 no going back",
            Self::I8DurableFirst => "I8 acknowledgement implies durability",
            Self::I9ErasureComplete => "I9 erasure is complete",
            Self::I11ApprovalsBind => "I11 approvals bind",
            Self::I12NobodyWronged => "I12 a hostile coordinator has nobody blamed",
            Self::I13OneLedger => "I13 one ledger is witnessed",
            Self::L1Completes => "L1 every ceremony comes to an end",
            Self::L2SignsOn => "L2 signing goes on",
            Self::Sound => "no process reports a bug",
        }
    }
}

/// What does not hold, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// What was expected and what was found.
    pub what: String,
}

impl Violation {
    /// A violation of an invariant.
    pub fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }

    /// Nothing goes on.
    pub fn stuck(what: impl Into<String>) -> Self {
        Self::new(Invariant::L1Completes, what)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.what)
    }
}
