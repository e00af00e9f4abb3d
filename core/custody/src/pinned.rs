//! All that this signer trusts, on one screen. Everything else is checked against it.

use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::governance::Governance;
use perennial_model::governance::history::History;
use perennial_model::identity::FindIdentity;

/// How far clocks may differ before a date counts as passed, in milliseconds.
pub const CLOCK_SKEW_MS: u64 = 30_000;

/// This signer's name and the governance that it acts under: the newest that it has seen, and how it came to be.
#[derive(Debug, Clone)]
pub struct Pinned {
    me: SignerId,
    history: History,
}

impl Pinned {
    /// Pins a governance.
    ///
    /// # Errors
    /// `Denied` when no version of it names this signer.
    pub fn new(me: SignerId, history: History) -> Result<Self, Error> {
        match history.identity_of(&me) {
            Some(_) => Ok(Self { me, history }),
            None => Err(Error::denied(format!("this governance names no signer {me}"))),
        }
    }

    /// The same signer under a longer history.
    pub(crate) fn renewed(&self, history: History) -> Self {
        Self { me: self.me.clone(), history }
    }

    /// This signer.
    pub fn me(&self) -> &SignerId {
        &self.me
    }

    /// Every version of the governance, the newest of which is in force.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The governance that is in force.
    pub fn governance(&self) -> &Governance {
        self.history.newest()
    }

    /// Its digest.
    pub fn governance_digest(&self) -> Digest {
        self.history.newest_digest()
    }

    /// Refuses to act for a governance that does not name this signer any more.
    ///
    /// # Errors
    /// `Denied` if it was removed.
    pub fn check_named(&self) -> Result<(), Error> {
        // A name stands for one key for ever, so the name is enough.
        match self.governance().identity_of(&self.me) {
            Some(_) => Ok(()),
            None => Err(Error::denied(format!(
                "{} was removed by governance version {}: it only erases",
                self.me,
                self.governance().version
            ))),
        }
    }
}
