//! Checkpoints: size and root of the log, signed by the log, as C2SP tlog-checkpoint specifies
//! (<https://c2sp.org/tlog-checkpoint>).
//!
//! The text of the note has exactly three lines, each ending in a newline:
//!
//! ```text
//! <origin: the name of the log's key>
//! <size: decimal, without leading zeroes>
//! <root: base64 of 32 bytes>
//! ```
//!
//! The specification allows an origin that differs from the key's name and further lines for extensions; here
//! both are refused, so that a checkpoint has nothing in it that no proof covers.
//!
//! This module cannot know which checkpoints were signed before: whoever signs proves that the new head
//! continues the last signed one ([`crate::prove_consistency`]) and never signs two heads of which neither
//! continues the other.
//!
//! Our own code and not the crate `tlog_tiles` 0.2: it accepts extension lines and takes its stored
//! hashes in one numbered sequence, and brings `serde_json` and `url` into the verifier.

use crate::note::{Note, NoteKey, SignNote, SignatureLine};
use crate::tree::{NodeHash, SIZE_MAX, TreeHead};
use crate::{Error, KeyName};
use base64ct::{Base64, Encoding};

/// A head of the log that its key signed. If it exists, the signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: KeyName,
    head: TreeHead,
    note: Note,
}

impl Checkpoint {
    /// Signs a head. The origin is the name of the key.
    ///
    /// # Errors
    /// [`Error::SigningFailed`] if the key fails or gives a wrong signature, [`Error::OutOfRange`] for a size
    /// above [`SIZE_MAX`].
    pub fn sign(head: TreeHead, signer: &dyn SignNote) -> Result<Self, Error> {
        crate::tree::check_size(head.size)?;
        let origin = signer.key().name().clone();
        let text = format!("{origin}\n{}\n{}\n", head.size, Base64::encode_string(&head.root.0));
        Ok(Self { note: Note::sign(text, signer)?, origin, head })
    }

    /// Reads a checkpoint of the log whose key is pinned. Signatures by other keys are kept and ignored.
    ///
    /// # Errors
    /// [`Error::NotSigned`], [`Error::BadSignature`] or [`Error::WrongOrigin`] if it is not by this log;
    /// [`Error::Malformed`] if it is no checkpoint.
    pub fn open(bytes: &[u8], key: &NoteKey) -> Result<Self, Error> {
        let note = Note::parse(bytes)?;
        let text = note.text_signed_by(key)?;
        let lines: Vec<&str> = text.lines().collect();
        let &[origin, size, root] = lines.as_slice() else {
            return Err(malformed(format!("expected 3 lines, got {}", lines.len())));
        };
        if origin != key.name().as_str() {
            let (expected, found) = (key.name().to_string(), origin.to_string());
            return Err(Error::WrongOrigin { expected, found });
        }
        let head = TreeHead { size: parse_size(size)?, root: parse_root(root)? };
        Ok(Self { origin: key.name().clone(), head, note })
    }

    /// The name of the log, which is the name of its key.
    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    /// The size and root that were signed.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The text that the log signed, and witnesses cosign.
    pub(crate) fn text(&self) -> &str {
        self.note.text()
    }

    /// The line of a key under the note. What is in it is not yet verified.
    pub(crate) fn line_of(&self, name: &KeyName, id: u32) -> Result<&SignatureLine, Error> {
        self.note.line_of(name, id)
    }

    /// Adds a line under the note.
    pub(crate) fn add(&mut self, line: SignatureLine) -> Result<(), Error> {
        self.note.add(line)
    }

    /// The whole note, with every signature on it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }
}

fn parse_size(line: &str) -> Result<u64, Error> {
    let size = line.parse().ok().filter(|size: &u64| *size <= SIZE_MAX && size.to_string() == line);
    size.ok_or_else(|| {
        malformed(format!("{line:?} is no size: use decimal without leading zeroes, up to 2^63-1"))
    })
}

fn parse_root(line: &str) -> Result<NodeHash, Error> {
    let bytes = Base64::decode_vec(line).ok();
    let root = bytes.and_then(|bytes| bytes.try_into().ok()).map(NodeHash);
    root.ok_or_else(|| malformed(format!("{line:?} is no root: use base64 of 32 bytes")))
}

fn malformed(reason: String) -> Error {
    Error::Malformed { what: "checkpoint", reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};

    struct Log {
        key: NoteKey,
        secret: SigningKey,
    }

    impl Log {
        fn new(name: &str, seed: [u8; 32]) -> Result<Self, Error> {
            let secret = SigningKey::from_bytes(&seed);
            Ok(Self { key: NoteKey::new(KeyName::new(name)?, &secret.verifying_key().to_bytes())?, secret })
        }
    }

    impl SignNote for Log {
        fn key(&self) -> &NoteKey {
            &self.key
        }

        fn sign_note(&self, text: &str) -> Result<[u8; 64], Error> {
            Ok(self.secret.sign(text.as_bytes()).to_bytes())
        }
    }

    const NAME: &str = "example.com/ledger";

    /// The first secret key of RFC 8032, section 7.1.
    fn rfc_8032_seed() -> [u8; 32] {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        seed.ok().and_then(|seed| seed.try_into().ok()).expect("32 bytes")
    }

    fn head() -> TreeHead {
        let root = hex::decode("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
        let root = root.ok().and_then(|root| root.try_into().ok()).expect("32 bytes");
        TreeHead { size: 8, root: NodeHash(root) }
    }

    fn open_signed(log: &Log, text: &str) -> Result<Checkpoint, Error> {
        Checkpoint::open(&Note::sign(text.into(), log)?.to_bytes(), &log.key)
    }

    /// The bytes were made by an independent implementation.
    #[test]
    fn the_bytes_of_a_checkpoint_never_change() -> Result<(), Error> {
        let log = Log::new(NAME, rfc_8032_seed())?;
        let checkpoint = Checkpoint::sign(head(), &log)?;
        let golden = "example.com/ledger\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\
            — example.com/ledger \
            YNtRn2gzE9LAJwGMgl/BVkntTh9PpiPy/kV5jU1IrHQ8tEC00JHqKCIoEpwgkM2AgFamiFXF1o00jTDXQucFLBEpCgc=\n";
        assert_eq!(String::from_utf8_lossy(&checkpoint.to_bytes()), golden);
        let key = "example.com/ledger+60db519f+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
        assert_eq!(log.key.to_string(), key);

        let opened = Checkpoint::open(golden.as_bytes(), &NoteKey::parse(key)?)?;
        assert_eq!(opened, checkpoint);
        assert_eq!((opened.origin().as_str(), *opened.head()), (NAME, head()));
        Ok(())
    }

    #[test]
    fn a_checkpoint_with_any_flipped_bit_is_refused() -> Result<(), Error> {
        let log = Log::new(NAME, rfc_8032_seed())?;
        let bytes = Checkpoint::sign(head(), &log)?.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::open(&flipped, &log.key).is_err(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(Checkpoint::open(&bytes[..cut], &log.key).is_err(), "cut at {cut}");
        }
        for trailing in ["\n", " ", "x", "\0"] {
            let longer = [&bytes[..], trailing.as_bytes()].concat();
            assert!(Checkpoint::open(&longer, &log.key).is_err(), "trailing {trailing:?}");
        }
        Ok(())
    }

    #[test]
    fn another_log_cannot_speak_for_this_one() -> Result<(), Error> {
        let ours = Log::new(NAME, rfc_8032_seed())?;
        let stranger = Log::new(NAME, [1; 32])?;
        let renamed = Log::new("example.com/other", rfc_8032_seed())?;
        for other in [&stranger, &renamed] {
            let bytes = Checkpoint::sign(head(), other)?.to_bytes();
            let refused = Checkpoint::open(&bytes, &ours.key);
            assert!(matches!(refused, Err(Error::NotSigned { found: 0, .. })), "{refused:?}");
        }
        let root = Base64::encode_string(&[7; 32]);
        let refused = open_signed(&ours, &format!("example.com/other\n8\n{root}\n"));
        let expected = Error::WrongOrigin { expected: NAME.into(), found: "example.com/other".into() };
        assert_eq!(refused, Err(expected));
        Ok(())
    }

    #[test]
    fn a_signed_text_that_is_no_checkpoint_is_refused() -> Result<(), Error> {
        let log = Log::new(NAME, rfc_8032_seed())?;
        let root = Base64::encode_string(&[7; 32]);
        let short = Base64::encode_string(&[7; 31]);
        let unpadded = root.trim_end_matches('=');
        assert!(open_signed(&log, &format!("{NAME}\n0\n{root}\n")).is_ok());
        assert!(open_signed(&log, &format!("{NAME}\n{SIZE_MAX}\n{root}\n")).is_ok());
        for text in [
            format!("{NAME}\n"),
            format!("{NAME}\n8\n"),
            format!("{NAME}\n{root}\n8\n"),
            format!("{NAME}\n8\n{root}\nextension\n"),
            format!("{NAME}\n8\n{root}\n\n"),
            format!("{NAME}\n\n8\n{root}\n"),
            format!("{NAME}\n08\n{root}\n"),
            format!("{NAME}\n+8\n{root}\n"),
            format!("{NAME}\n-8\n{root}\n"),
            format!("{NAME}\n 8\n{root}\n"),
            format!("{NAME}\n\n{root}\n"),
            format!("{NAME}\n9223372036854775808\n{root}\n"),
            format!("{NAME}\n99999999999999999999\n{root}\n"),
            format!("{NAME}\n8\n{short}\n"),
            format!("{NAME}\n8\n{unpadded}\n"),
            format!("{NAME}\n8\n {root}\n"),
            format!("{NAME}\n8\n\n"),
        ] {
            let refused = open_signed(&log, &text);
            assert!(matches!(refused, Err(Error::Malformed { .. })), "{text:?}: {refused:?}");
        }
        Ok(())
    }

    #[test]
    fn a_key_that_signs_wrongly_releases_nothing() -> Result<(), Error> {
        let mut log = Log::new(NAME, rfc_8032_seed())?;
        log.secret = SigningKey::from_bytes(&[1; 32]);
        assert!(matches!(Checkpoint::sign(head(), &log), Err(Error::SigningFailed { .. })));
        let beyond = TreeHead { size: SIZE_MAX + 1, ..head() };
        assert!(matches!(Checkpoint::sign(beyond, &log), Err(Error::OutOfRange { .. })));
        Ok(())
    }
}
