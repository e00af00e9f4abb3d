//! What people decide on. Each matter has its own quorum.

use crate::plan::Action;
use minicbor::{Decode, Encode};
use std::fmt;

/// A kind of decision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Matter {
    /// Making wallets.
    #[n(0)]
    Create,
    /// Replacing the shares of wallets, with the same holders and threshold.
    #[n(1)]
    Refresh,
    /// Changing governance itself.
    #[n(2)]
    Govern,
    /// Having wallets refreshed again and again, without asking each time.
    #[n(3)]
    Mandate,
    /// Calling off a plan or a mandate.
    #[n(4)]
    Cancel,
    /// Having a mandate rest, and go on.
    #[n(5)]
    Pause,
    /// Letting a signer work again that has stopped for what it saw.
    #[n(6)]
    Readmit,
}

impl Matter {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Create, Self::Refresh, Self::Govern, Self::Mandate, Self::Cancel, Self::Pause, Self::Readmit];
}

impl From<Action> for Matter {
    fn from(action: Action) -> Self {
        match action {
            Action::Create => Self::Create,
            Action::Refresh => Self::Refresh,
        }
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Refresh => "refresh",
            Self::Govern => "govern",
            Self::Mandate => "mandate",
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Readmit => "readmit",
        })
    }
}
