//! What this signer lets through. Later work narrows it (sweep only, closed); today it is open.

use perennial_chain::Summary;
use perennial_model::error::Error;
use perennial_model::wallet::Wallet;

/// The gate in front of every transaction at this signer. It stands before the share is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gate {
    /// Everything that policy allows.
    #[default]
    Open,
}

impl Gate {
    /// Whether a transaction may pass.
    ///
    /// # Errors
    /// `Denied` when the gate does not let it through.
    pub fn pass(self, _wallet: &Wallet, _summary: &Summary) -> Result<(), Error> {
        match self {
            Self::Open => Ok(()),
        }
    }
}
