//! All that this signer trusts, on one screen. Everything else is checked against it.

use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest};
use perennial_model::error::Error;
use perennial_model::governance::Governance;

/// How far clocks may differ before a date counts as passed, in milliseconds.
pub const CLOCK_SKEW_MS: u64 = 30_000;

/// This signer's name and the governance that it acts under.
#[derive(Debug, Clone)]
pub struct Pinned {
    me: SignerId,
    governance: Governance,
    governance_digest: Digest,
}

impl Pinned {
    /// Pins a governance.
    ///
    /// # Errors
    /// `Denied` when the governance is unsound or does not name this signer.
    pub fn new(me: SignerId, governance: Governance) -> Result<Self, Error> {
        governance.check()?;
        if !governance.signers.iter().any(|known| known.signer == me) {
            return Err(Error::denied(format!("this governance names no signer {me}")));
        }
        let governance_digest = encoding::digest(&governance);
        Ok(Self { me, governance, governance_digest })
    }

    /// This signer.
    pub fn me(&self) -> &SignerId {
        &self.me
    }

    /// The governance.
    pub fn governance(&self) -> &Governance {
        &self.governance
    }

    /// Its digest.
    pub fn governance_digest(&self) -> Digest {
        self.governance_digest
    }
}
