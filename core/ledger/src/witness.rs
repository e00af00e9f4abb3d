//! The rule of a witness: it cosigns a checkpoint only if the log signed it and if it continues the last one
//! that the witness cosigned.
//!
//! A log that shows two people two different histories has to sign two heads of which neither continues the
//! other; a witness that has seen the one never cosigns the other, and has both to show. This module refuses
//! to remember anything: whoever uses it makes the checkpoint that comes out durable before the cosignature
//! leaves, and hands it in the next time.

use crate::proof::ConsistencyProof;
use crate::tree::{NodeHash, TreeHead};
use crate::{Checkpoint, Error, NoteKey};

/// Why a checkpoint is not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no checkpoint of the log whose key is pinned. Nothing is known about that log from it.
    #[error("no checkpoint of the pinned log: {0}")]
    NotOfThisLog(Error),
    /// The proof is none, or about other sizes. Another proof may do.
    #[error("no proof from size {held} to size {offered}: {reason}")]
    Unproved {
        /// The size of the last checkpoint cosigned, from which a proof is needed.
        held: u64,
        /// The size of the checkpoint offered.
        offered: u64,
        /// What is wrong with the proof.
        reason: Error,
    },
    /// The log has signed two heads of one size: it shows different histories to different people.
    #[error("the log forked at size {size}: it signed root {held} before, and now root {offered}")]
    Forked {
        /// The size of both.
        size: u64,
        /// The root cosigned last.
        held: NodeHash,
        /// The root offered.
        offered: NodeHash,
    },
    /// The log has fewer entries than it had. A checkpoint that was overtaken on its way looks the same.
    #[error("the log was truncated: it had {held} entries before, and now {offered}")]
    Truncated {
        /// The size cosigned last.
        held: u64,
        /// The size offered.
        offered: u64,
    },
    /// The log has more entries, but does not begin with those that it had.
    #[error(
        "the log was rewritten: what it has at size {offered} does not continue what it had at size {held}"
    )]
    Rewritten {
        /// The size cosigned last.
        held: u64,
        /// The size offered.
        offered: u64,
    },
}

impl Refusal {
    /// Whether the log itself shows by its own signatures that it does not continue what was cosigned.
    pub fn breaks_the_log(&self) -> bool {
        matches!(self, Self::Forked { .. } | Self::Truncated { .. } | Self::Rewritten { .. })
    }
}

/// Decides on a checkpoint: `held` is the head of the last one that this witness cosigned, none if there was
/// none, `proof` is from its size (or 0) to the size of the one offered. What comes out may be cosigned once
/// it is durable. Equal heads may be cosigned again.
///
/// # Errors
/// [`Refusal`].
pub fn judge(
    key: &NoteKey,
    held: Option<&TreeHead>,
    offered: &[u8],
    proof: &ConsistencyProof,
) -> Result<Checkpoint, Refusal> {
    let checkpoint = Checkpoint::open(offered, key).map_err(Refusal::NotOfThisLog)?;
    let held = held.copied().unwrap_or(TreeHead { size: 0, root: NodeHash::of_nothing() });
    let head = *checkpoint.head();
    let (from, to) = (held.size, head.size);
    if to < from {
        return Err(Refusal::Truncated { held: from, offered: to });
    }
    if to == from && head.root != held.root {
        return Err(Refusal::Forked { size: from, held: held.root, offered: head.root });
    }
    match proof.verify(&held, &head) {
        Ok(()) => Ok(checkpoint),
        Err(Error::Inconsistent { .. }) => Err(Refusal::Rewritten { held: from, offered: to }),
        Err(reason) => Err(Refusal::Unproved { held: from, offered: to, reason }),
    }
}
