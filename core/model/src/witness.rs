//! What the coordinator and a signer say to each other when the signer is a witness of the ledger.
//!
//! Checkpoints, proofs and keys are the ledger's own forms and only carried here: signed notes and key lines as
//! text (C2SP), proofs as the ledger writes them.

use crate::encoding::{Bytes, Document};
use crate::identity::Signed;
use minicbor::{Decode, Encode};

/// A checkpoint of the ledger, to be cosigned.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Offer {
    /// The ledger's key in one line. A witness believes it once, with its first checkpoint.
    #[n(0)]
    pub key: String,
    /// The checkpoint: a note that this key signed.
    #[n(1)]
    pub note: Bytes,
    /// That it continues the last checkpoint which the witness is known to have cosigned.
    #[n(2)]
    pub proof: Bytes,
    /// When it was sent, in milliseconds since 1970 by the coordinator's clock. It tells a checkpoint that was
    /// overtaken on its way from one of a ledger that went back.
    #[n(3)]
    pub sent_ms: u64,
}

/// What a witness answers.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Answer {
    /// It has stored the checkpoint and cosigned it.
    #[n(0)]
    Cosigned {
        /// The size of the checkpoint.
        #[n(0)]
        size: u64,
        /// The line to be put under the note.
        #[n(1)]
        line: String,
    },
    /// The proof does not begin where this witness stands: here is the last checkpoint that it cosigned, none
    /// if there is none.
    #[n(1)]
    Holds(#[n(0)] Option<Bytes>),
    /// The ledger does not continue what was cosigned: this signer has halted.
    #[n(2)]
    Alarm(#[n(0)] Signed<Alarm>),
}

/// How a ledger can break its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Breach {
    /// Two heads of one size.
    #[n(0)]
    Forked,
    /// Fewer entries than before.
    #[n(1)]
    Truncated,
    /// Other entries than before.
    #[n(2)]
    Rewritten,
}

impl Breach {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forked => "forked",
            Self::Truncated => "truncated",
            Self::Rewritten => "rewritten",
        }
    }
}

/// A witness's accusation, with all that it takes to see that it is right: two notes, both signed by the ledger's
/// key.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Alarm {
    /// What the ledger did.
    #[n(0)]
    pub breach: Breach,
    /// The ledger's key in one line.
    #[n(1)]
    pub key: String,
    /// The last checkpoint that was cosigned.
    #[n(2)]
    pub held: Bytes,
    /// The one that does not continue it.
    #[n(3)]
    pub offered: Bytes,
    /// The proof that came with it.
    #[n(4)]
    pub proof: Bytes,
    /// When it was seen, in milliseconds since 1970 by the witness's clock.
    #[n(5)]
    pub at_ms: u64,
}

impl Document for Alarm {
    const KIND: &'static str = "alarm";
}
