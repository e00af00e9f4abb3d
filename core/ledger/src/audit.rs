//! An audit: every entry of a log against one checkpoint, in order, and the file in which a log is handed to an auditor.
//!
//! # The file
//!
//! Text, one thing a line, each line ended by a newline, nothing before, between or after them:
//!
//! ```text
//! perennial-ledger-export 1
//! key <the log's key: name+id+base64>
//! checkpoint <base64 of the whole note, with its cosignatures>
//! 0 <leaf hash of entry 0 in 64 hexadecimal digits> <base64 of its canonical bytes>
//! 1 <…>
//! ```
//!
//! There are as many entries as the checkpoint says. The leaf hashes follow from the entries; they are there so that a
//! line that was damaged can be told from the others, which the root alone cannot.
//!
//! This module refuses to say whom to trust: the log's key in a file is only what the file claims. Whoever audits pins
//! that key, or asks for the cosignatures of witnesses whose keys are known ([`Checkpoint::cosigned_by`]).

use crate::tree::Tree;
use crate::{Checkpoint, Entry, Error, NodeHash, NoteKey};
use base64ct::{Base64, Encoding};

/// The most bytes of a line that are looked at: a checkpoint's with room for its largest note.
pub const LINE_BYTES_MAX: usize = 256 << 10;

const FIRST_LINE: &str = "perennial-ledger-export 1";

/// What is wrong with a log or its export, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A line is not what belongs there.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What was expected and what came.
        reason: String,
    },
    /// The checkpoint is none of this log's.
    #[error("the checkpoint: {0}")]
    Checkpoint(Error),
    /// An entry was left out, repeated or moved.
    #[error("entry {expected} is missing: entry {found} stands in its place")]
    Misplaced {
        /// The place whose turn it was.
        expected: u64,
        /// The place that was claimed.
        found: u64,
    },
    /// An entry is not what it was.
    #[error("entry {place} is damaged: {reason}")]
    Damaged {
        /// Its place.
        place: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The log ends too early.
    #[error("entry {missing} is missing, and all after it: the checkpoint is over {size} entries")]
    Short {
        /// The first place of which nothing is there.
        missing: u64,
        /// The size in the checkpoint.
        size: u64,
    },
    /// The log goes on after its end.
    #[error("entry {place} is too many: the checkpoint is over {size} entries")]
    Long {
        /// The place of the first one too many.
        place: u64,
        /// The size in the checkpoint.
        size: u64,
    },
    /// All places are filled, but not with what the log signed.
    #[error(
        "the {size} entries are not those that the log signed: they have root {found}, the checkpoint of size {size} \
         has {expected}"
    )]
    OtherRoot {
        /// How many entries there are.
        size: u64,
        /// The root in the checkpoint.
        expected: NodeHash,
        /// The root of the entries.
        found: NodeHash,
    },
}

/// An audit under way. It keeps the right edge of the tree, whatever the size of the log.
#[derive(Debug, Clone)]
pub struct Audit {
    checkpoint: Checkpoint,
    tree: Tree,
}

impl Audit {
    /// Begins an audit against a checkpoint of the log with this key.
    ///
    /// # Errors
    /// [`Flaw::Checkpoint`].
    pub fn begin(note: &[u8], key: &NoteKey) -> Result<Self, Flaw> {
        let checkpoint = Checkpoint::open(note, key).map_err(Flaw::Checkpoint)?;
        Ok(Self { checkpoint, tree: Tree::empty() })
    }

    /// Takes in the next entry.
    ///
    /// # Errors
    /// [`Flaw::Misplaced`], [`Flaw::Long`] or [`Flaw::Damaged`].
    pub fn add(&mut self, place: u64, bytes: &[u8]) -> Result<Entry, Flaw> {
        let (expected, size) = (self.tree.size(), self.checkpoint.head().size);
        if expected >= size {
            return Err(Flaw::Long { place: expected, size });
        }
        if place != expected {
            return Err(Flaw::Misplaced { expected, found: place });
        }
        let damaged = |error: Error| Flaw::Damaged { place, reason: error.to_string() };
        let entry = Entry::from_bytes(bytes).map_err(damaged)?;
        self.tree = self.tree.append(&[bytes]).map_err(damaged)?.tree;
        Ok(entry)
    }

    /// The checkpoint as the log signed it. It says nothing about the entries until the audit has ended well.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// How many entries were taken in.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Ends the audit. The checkpoint that comes out is over exactly the entries that were taken in.
    ///
    /// # Errors
    /// [`Flaw::Short`] or [`Flaw::OtherRoot`].
    pub fn finish(self) -> Result<Checkpoint, Flaw> {
        let (found, signed) = (self.tree.head(), *self.checkpoint.head());
        if found.size < signed.size {
            return Err(Flaw::Short { missing: found.size, size: signed.size });
        }
        if found.root != signed.root {
            return Err(Flaw::OtherRoot { size: signed.size, expected: signed.root, found: found.root });
        }
        Ok(self.checkpoint)
    }
}

/// The lines of an export before its entries.
pub fn export_head(key: &NoteKey, checkpoint: &Checkpoint) -> String {
    format!("{FIRST_LINE}\nkey {key}\ncheckpoint {}\n", Base64::encode_string(&checkpoint.to_bytes()))
}

/// The line of an export for the entry at a place.
pub fn export_line(place: u64, entry: &[u8]) -> String {
    format!("{place} {} {}\n", NodeHash::of_leaf(entry), Base64::encode_string(entry))
}

/// Reads an export line by line.
#[derive(Debug, Default)]
pub struct ExportReader {
    line: u64,
    key: Option<NoteKey>,
    audit: Option<Audit>,
}

impl ExportReader {
    /// Takes in the next line, with its newline.
    ///
    /// # Errors
    /// [`Flaw`], with the line or the entry.
    pub fn take(&mut self, line: &[u8]) -> Result<Option<Entry>, Flaw> {
        self.line += 1;
        let number = self.line;
        let wrong = |reason: &str| Flaw::Line { line: number, reason: reason.to_owned() };
        let ended = line.strip_suffix(b"\n").ok_or_else(|| wrong("it is cut short: no newline ends it"))?;
        let text = std::str::from_utf8(ended).map_err(|_| wrong("it is no text"))?;
        match (number, &self.key, &mut self.audit) {
            (1, ..) if text == FIRST_LINE => Ok(None),
            (1, ..) => Err(wrong("this is no export of a ledger, or of a newer version")),
            (2, ..) => {
                let line =
                    text.strip_prefix("key ").ok_or_else(|| wrong("expected `key` and the log's key"))?;
                self.key = Some(NoteKey::parse(line).map_err(|error| wrong(&error.to_string()))?);
                Ok(None)
            }
            (3, Some(key), _) => {
                let note = text.strip_prefix("checkpoint ").and_then(|text| Base64::decode_vec(text).ok());
                let note = note.ok_or_else(|| wrong("expected `checkpoint` and its note in base64"))?;
                self.audit = Some(Audit::begin(&note, key)?);
                Ok(None)
            }
            (_, _, Some(audit)) => take_entry(audit, line, text, &wrong).map(Some),
            _ => Err(wrong("the lines before it are missing")),
        }
    }

    /// Ends the reading: the log's key as the file claims it, and the checkpoint over exactly the entries read.
    ///
    /// # Errors
    /// [`Flaw`].
    pub fn finish(self) -> Result<(NoteKey, Checkpoint), Flaw> {
        match (self.key, self.audit) {
            (Some(key), Some(audit)) => Ok((key, audit.finish()?)),
            _ => Err(Flaw::Line { line: self.line + 1, reason: "it is missing".into() }),
        }
    }
}

fn take_entry(
    audit: &mut Audit,
    line: &[u8],
    text: &str,
    wrong: &dyn Fn(&str) -> Flaw,
) -> Result<Entry, Flaw> {
    let mut parts = text.splitn(3, ' ');
    let (Some(place), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("expected the place of an entry, its hash and its bytes"));
    };
    let place: u64 = place.parse().map_err(|_| wrong("it does not begin with the place of an entry"))?;
    let damaged = |reason: &str| Flaw::Damaged { place, reason: reason.to_owned() };
    let bytes = Base64::decode_vec(encoded).map_err(|_| damaged("its bytes are no base64"))?;
    if export_line(place, &bytes).as_bytes() != line {
        return Err(damaged("its bytes and its hash do not belong together"));
    }
    audit.add(place, &bytes)
}
