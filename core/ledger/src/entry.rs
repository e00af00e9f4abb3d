//! One line of the log in its canonical bytes, which are the leaf that the tree hashes.
//!
//! An entry says that something happened, when, and to what, and carries the digest of the body, which is
//! kept elsewhere. This module refuses to know what kinds of entries there are and what their bodies mean:
//! only the kind `signature` has a typed content. It refuses bytes that are not the one encoding of an entry.
//!
//! # Written form
//!
//! Deterministic CBOR (RFC 8949, section 4.2.1), one array of seven:
//!
//! | element | type | meaning |
//! |---|---|---|
//! | 0 | text | `"perennial/ledger-entry"` |
//! | 1 | uint | format version, 1 |
//! | 2 | text | kind: 1 to 40 of `a-z`, `0-9` and `-`, beginning with a letter |
//! | 3 | uint | time in milliseconds since 1970-01-01 UTC, by the clock of whoever runs the log |
//! | 4 | text | subject: 1 to 128 bytes without control characters |
//! | 5 | 32-byte string | SHA-256 of the body |
//! | 6 | array or null | for the kind `signature` the array below, for every other kind null |
//!
//! What a signature entry holds, an array of seven:
//!
//! | element | type | meaning |
//! |---|---|---|
//! | 0 | text | wallet, as the subject |
//! | 1 | array of two uint | epoch: rank and count, each below 2^32 |
//! | 2 | 32-byte string | `T`, the digest of the transcript that made the share set |
//! | 3 | 32-byte string | digest of the plan that made the share set |
//! | 4 | 32-byte string or null | digest of the policy that allowed it |
//! | 5 | text or null | the policy's decision, as the subject |
//! | 6 | text or null | the custody state in which it was made, as the subject |

use crate::Error;
use crate::encoding::{self, Document, Written, read_hash, read_optional, unfit};
use minicbor::{Decoder, Encoder, decode};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The most bytes of an entry.
pub const ENTRY_BYTES_MAX: usize = 1024;

/// The most bytes of a [`ShortText`].
pub const SHORT_TEXT_BYTES_MAX: usize = 128;

/// The most characters of a [`Kind`].
pub const KIND_CHARACTERS_MAX: usize = 40;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in milliseconds since 1970-01-01 UTC, by the clock of whoever runs the log. Nothing is proved by
    /// it.
    pub time_ms: u64,
    /// What it is about, such as a wallet or a ceremony.
    pub subject: ShortText,
    /// The digest of the body.
    pub body: Digest,
    /// What happened.
    pub content: Content,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A signature was made; the body is what was released. Its kind is written `signature`.
    Signature(Signature),
    /// Anything else. The body alone says more.
    Other(Kind),
}

/// Under which shares and by which leave a signature was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The wallet that signed.
    pub wallet: ShortText,
    /// The epoch whose shares signed.
    pub epoch: Epoch,
    /// `T`, the digest of the transcript that made these shares.
    pub transcript: Digest,
    /// The plan that made these shares.
    pub plan: Digest,
    /// The policy that allowed the signature, where one is in force.
    pub policy: Option<Digest>,
    /// What the policy decided, where one is in force.
    pub decision: Option<ShortText>,
    /// The custody state in which the signature was made, where it is tracked.
    pub custody_state: Option<ShortText>,
}

/// The number of one generation of shares: rank, then attempt under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// What people approved.
    pub rank: u32,
    /// The attempt.
    pub count: u32,
}

/// A SHA-256 digest of something outside the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A line of text for people: 1 to [`SHORT_TEXT_BYTES_MAX`] bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortText(Box<str>);

/// What sort of thing happened: 1 to [`KIND_CHARACTERS_MAX`] of `a-z`, `0-9` and `-`, beginning with a
/// letter. Not `signature`, which is [`Content::Signature`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Box<str>);

impl Entry {
    /// The canonical bytes: what goes into the log.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::to_bytes(self)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bytes that [`Entry::to_bytes`] never gives, [`Error::UnknownFormat`] for
    /// another format version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        encoding::from_bytes(bytes)
    }

    /// The kind as it is written.
    pub fn kind(&self) -> &str {
        match &self.content {
            Content::Signature(_) => SIGNATURE,
            Content::Other(kind) => &kind.0,
        }
    }
}

impl Digest {
    /// The digest of a body.
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }
}

impl ShortText {
    /// Checks a text.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is empty, too long, or has control characters.
    pub fn new(text: &str) -> Result<Self, Error> {
        let fits = (1..=SHORT_TEXT_BYTES_MAX).contains(&text.len());
        if !fits || text.chars().any(char::is_control) {
            return Err(Error::Unfit {
                what: "short text",
                reason: format!(
                    "use 1 to {SHORT_TEXT_BYTES_MAX} bytes without control characters, got {} bytes",
                    text.len()
                ),
            });
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Kind {
    /// Checks a kind.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it has other characters or another length, or is the reserved `signature`.
    pub fn new(text: &str) -> Result<Self, Error> {
        let fits = (1..=KIND_CHARACTERS_MAX).contains(&text.len());
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !fits || !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.bytes().all(allowed) {
            let reason = format!(
                "use 1 to {KIND_CHARACTERS_MAX} of a-z, 0-9 and '-', beginning with a letter; got {} bytes",
                text.len()
            );
            return Err(Error::Unfit { what: "entry kind", reason });
        }
        if text == SIGNATURE {
            let reason = "the kind signature needs its typed content".into();
            return Err(Error::Unfit { what: "entry kind", reason });
        }
        Ok(Self(text.into()))
    }

    /// The kind as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Document for Entry {
    const LABEL: &'static str = "perennial/ledger-entry";
    const FORMAT: u64 = 1;
    const WHAT: &'static str = "ledger entry";
    const BYTES_MAX: usize = ENTRY_BYTES_MAX;
    const FIELDS: u64 = 5;

    fn write(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
        encoder.str(self.kind())?.u64(self.time_ms)?.str(&self.subject.0)?.bytes(&self.body.0)?;
        match &self.content {
            Content::Signature(signature) => signature.write(encoder),
            Content::Other(_) => encoder.null()?.ok(),
        }
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let kind = decoder.str()?;
        let time_ms = decoder.u64()?;
        let subject = read_text(decoder)?;
        let body = read_digest(decoder)?;
        let content = if kind == SIGNATURE {
            Content::Signature(Signature::read(decoder)?)
        } else {
            decoder.null()?;
            Content::Other(Kind::new(kind).map_err(unfit)?)
        };
        Ok(Self { time_ms, subject, body, content })
    }
}

impl Signature {
    fn write(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
        encoder.array(7)?.str(&self.wallet.0)?;
        encoder.array(2)?.u32(self.epoch.rank)?.u32(self.epoch.count)?;
        encoder.bytes(&self.transcript.0)?.bytes(&self.plan.0)?;
        match &self.policy {
            Some(policy) => encoder.bytes(&policy.0)?,
            None => encoder.null()?,
        };
        for text in [&self.decision, &self.custody_state] {
            match text {
                Some(text) => encoder.str(&text.0)?,
                None => encoder.null()?,
            };
        }
        Ok(())
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        decoder.array()?;
        let wallet = read_text(decoder)?;
        decoder.array()?;
        Ok(Self {
            wallet,
            epoch: Epoch { rank: decoder.u32()?, count: decoder.u32()? },
            transcript: read_digest(decoder)?,
            plan: read_digest(decoder)?,
            policy: read_optional(decoder, read_digest)?,
            decision: read_optional(decoder, read_text)?,
            custody_state: read_optional(decoder, read_text)?,
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const SIGNATURE: &str = "signature";

fn read_text(decoder: &mut Decoder<'_>) -> Result<ShortText, decode::Error> {
    ShortText::new(decoder.str()?).map_err(unfit)
}

fn read_digest(decoder: &mut Decoder<'_>) -> Result<Digest, decode::Error> {
    read_hash(decoder).map(Digest)
}

#[cfg(test)]
mod tests;
