//! What can be wrong with something that was said, sorted by who is to blame.

use crate::committee::SignerId;
use crate::encoding::Malformed;

/// Why a statement, plan or certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Out of date or out of order: look again and retry. Nobody is at fault.
    #[error("stale: {0}")]
    Stale(String),
    /// Against what was approved or what policy allows.
    #[error("denied: {0}")]
    Denied(String),
    /// A signer said something that an honest one never says.
    #[error("signer {culprit} misbehaved: {what}")]
    Misbehaved {
        /// Who signed it.
        culprit: SignerId,
        /// What was expected and what came.
        what: String,
    },
    /// The bytes are no document of ours; whoever sent them is to blame.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A rule of our own code does not hold. Stop and report.
    #[error("bug: {0}")]
    Bug(String),
}

impl Error {
    /// Shorthand for [`Error::Stale`].
    pub fn stale(reason: impl Into<String>) -> Self {
        Self::Stale(reason.into())
    }

    /// Shorthand for [`Error::Denied`].
    pub fn denied(reason: impl Into<String>) -> Self {
        Self::Denied(reason.into())
    }

    /// Shorthand for [`Error::Misbehaved`].
    pub fn misbehaved(culprit: &SignerId, what: impl Into<String>) -> Self {
        Self::Misbehaved { culprit: culprit.clone(), what: what.into() }
    }
}
