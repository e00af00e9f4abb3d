//! The ledger: a Merkle log to which entries are only ever added, and proofs about it that anyone can check.
//!
//! Whoever runs the log cannot change, drop or reorder an entry once a checkpoint over it was seen by
//! somebody else: every later checkpoint has to be proved to contain the earlier one. Witnesses are somebody
//! else: they cosign a checkpoint only if it continues the last one that they cosigned.
//!
//! This crate refuses to do I/O, to read a clock, to draw randomness, to hold a secret key, and to know what
//! an entry means: entries are bytes to it, and it imports nothing of ours. It decides nothing about when a
//! checkpoint is made or who is shown one. It cannot tell that two people were shown different checkpoints
//! until somebody compares them.
//!
//! # Reading order
//!
//! 1. [`tree`]: hashes, the [`Tree`] that grows, and how stored nodes are read.
//! 2. [`proof`]: that an entry is in the log, that one state of the log continues another.
//! 3. [`note`]: text signed by a key, in the C2SP signed-note format.
//! 4. [`checkpoint`]: size and root of the log, signed as a note.
//! 5. [`witness`] and [`cosignature`]: what others ask of a checkpoint before they put their name under it.
//! 6. [`entry`]: the canonical bytes of one line of the log.
//! 7. [`audit`]: a whole log against one checkpoint.
//!
//! # A walk through it
//!
//! ```
//! use perennial_ledger::{MemoryNodes, Tree, prove_consistency, prove_inclusion};
//! # fn main() -> Result<(), perennial_ledger::Error> {
//! let mut stored = MemoryNodes::default();
//!
//! let growth = Tree::empty().append(&["first", "second", "third"])?;
//! stored.store(&growth.nodes); // durable first; only then is the grown tree used
//! let tree = growth.tree;
//! let yesterday = tree.head();
//!
//! let growth = tree.append(&["fourth"])?;
//! stored.store(&growth.nodes);
//! let today = growth.tree.head();
//!
//! prove_inclusion(1, &today, &stored)?.verify(b"second", &today)?;
//! prove_consistency(&yesterday, &today, &stored)?.verify(&yesterday, &today)?;
//!
//! // A restart reads the right edge of the tree, never the whole log.
//! assert_eq!(Tree::open(4, &stored)?, growth.tree);
//! # Ok(())
//! # }
//! ```

pub mod audit;
pub mod checkpoint;
pub mod cosignature;
mod encoding;
pub mod entry;
pub mod note;
pub mod proof;
pub mod tree;
pub mod witness;

pub use audit::{Audit, Flaw};
pub use checkpoint::Checkpoint;
pub use cosignature::{Cosignature, WitnessKey};
pub use entry::{Digest, Entry};
pub use note::{KeyName, NoteKey, SignNote};
pub use proof::{ConsistencyProof, InclusionProof, prove_consistency, prove_inclusion};
pub use tree::{MemoryNodes, NodeHash, NodePosition, ReadNodes, Tree, TreeHead};

/// Everything that can go wrong here, sorted by who is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    // The author of the bytes. Use nothing of them; ask the author for a good copy.
    /// The bytes are not a canonical encoding of what they should be.
    #[error("malformed {what}: {reason}; discard it and ask its author for a good copy")]
    Malformed {
        /// What the bytes should have been.
        what: &'static str,
        /// What was expected and what came.
        reason: String,
    },
    /// The bytes are of a format version that this program does not know.
    #[error("{what} has format version {found}, this program reads {known}: update the program")]
    UnknownFormat {
        /// What the bytes should have been.
        what: &'static str,
        /// The version in the bytes.
        found: u64,
        /// The version that is understood.
        known: u64,
    },

    // The log, or whoever speaks for it. Keep the bytes: they are what one complains with.
    /// No signature by the expected key is on the note, or more than one.
    #[error("the note carries {found} signatures by {key}, expected exactly 1: wrong log, or a forgery")]
    NotSigned {
        /// The expected key, as `name+id`.
        key: String,
        /// How many signature lines name it.
        found: usize,
    },
    /// A signature that claims to be by the expected key does not verify.
    #[error("the signature by {key} is wrong: the note was changed or forged")]
    BadSignature {
        /// The expected key, as `name+id`.
        key: String,
    },
    /// A note by the expected key speaks for another log.
    #[error("the checkpoint is for log {found}, expected {expected}")]
    WrongOrigin {
        /// The log that was expected.
        expected: String,
        /// The first line of the note.
        found: String,
    },
    /// A proof is about another size of the log than the head it is checked against.
    #[error("the proof is for log size {found}, the head has size {expected}: ask for a proof at that size")]
    WrongSize {
        /// The size in the trusted head.
        expected: u64,
        /// The size in the proof.
        found: u64,
    },
    /// The proof does not lead from the entry to the root.
    #[error(
        "entry {index} is not proved to be in the log of size {size}: expected root {expected}, got {found}"
    )]
    NotIncluded {
        /// Where the entry is claimed to be, from 0.
        index: u64,
        /// The size of the log.
        size: u64,
        /// The trusted root.
        expected: NodeHash,
        /// The root to which the proof leads.
        found: NodeHash,
    },
    /// The proof does not show that the newer head continues the older one. If no other proof does, the log
    /// was rewritten.
    #[error(
        "the log of size {new_size} is not proved to continue the one of size {old_size}: \
         expected root {expected}, got {found}"
    )]
    Inconsistent {
        /// The size of the older head.
        old_size: u64,
        /// The size of the newer head.
        new_size: u64,
        /// The root of the head that does not match.
        expected: NodeHash,
        /// The root to which the proof leads.
        found: NodeHash,
    },

    // The caller.
    /// A value that no entry, note or tree can carry.
    #[error("unfit {what}: {reason}")]
    Unfit {
        /// What was to be made.
        what: &'static str,
        /// The rule, and what came.
        reason: String,
    },
    /// An entry or size beyond the end of the log.
    #[error("{what} {asked} is beyond {limit}")]
    OutOfRange {
        /// What was asked for.
        what: &'static str,
        /// The number that was asked for.
        asked: u64,
        /// The largest number that there is.
        limit: u64,
    },

    // This machine: its storage or its key.
    /// The node store failed to answer.
    #[error("stored tree nodes cannot be read: {reason}")]
    NodesUnreadable {
        /// What the store said.
        reason: String,
    },
    /// A node that must have been stored is not there.
    #[error("stored tree node {position} is missing: restore the ledger's store")]
    NodeMissing {
        /// Which node.
        position: NodePosition,
    },
    /// The stored nodes do not give the root that they gave before.
    #[error(
        "the stored tree nodes are damaged, or the head is of another log ({reason}): restore the ledger's store"
    )]
    NodesDamaged {
        /// The check that failed.
        reason: String,
    },
    /// The signing key failed, or gave a signature that does not verify under its own public key.
    #[error("the ledger's key did not sign: {reason}")]
    SigningFailed {
        /// What the key's keeper said.
        reason: String,
    },
}
