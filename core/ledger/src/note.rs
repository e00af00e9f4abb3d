//! Signed notes: a text and the lines of those who signed it, as C2SP signed-note v1 specifies
//! (<https://c2sp.org/signed-note>).
//!
//! ```text
//! <text, one or more lines>
//!
//! — <key name> <base64 of 4 bytes key id and the signature>
//! ```
//!
//! Signatures are Ed25519 (RFC 8032) over the text with its last newline; the key id is the first four bytes
//! of `SHA-256(key name || 0x0A || 0x01 || public key)`. Lines of unknown keys are kept and ignored, so
//! witnesses can add theirs.
//!
//! This module refuses to hold a secret key: signing is done by whoever implements [`SignNote`]. It refuses
//! to hand out a signature that does not verify, and to give access to a text that is not signed by the
//! expected key.
//!
//! Our own code and not the crate `signed_note` 0.2: that one brings `ed25519-dalek` 2 beside our 3, and
//! does not refuse keys and signatures of small order.

use crate::Error;
use base64ct::{Base64, Encoding};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The most bytes of a note that are looked at: room for [`SIGNATURES_MAX`] signatures of 1.5 KB, or for 16
/// of the largest kind (5 KB) that the specification names.
pub const NOTE_BYTES_MAX: usize = 128 * 1024;

/// The most signature lines of a note. The specification wants 16 or more to be accepted.
pub const SIGNATURES_MAX: usize = 64;

/// The most bytes of a key name.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// The name of a signing key; for a log's key also the log's origin. A URL without scheme is recommended,
/// such as `example.com/ledger`; nothing need answer there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Box<str>);

/// A public key and its name: what a verifier pins to trust a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: KeyName,
    public: VerifyingKey,
}

/// Signs notes. Implemented where the secret key is kept.
pub trait SignNote {
    /// The name and public half of the key.
    fn key(&self) -> &NoteKey;

    /// The Ed25519 signature (RFC 8032, no context, no prehash) over the bytes of `text`.
    ///
    /// # Errors
    /// [`Error::SigningFailed`] if the key cannot be used now.
    fn sign_note(&self, text: &str) -> Result<[u8; 64], Error>;
}

impl KeyName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is empty, above [`KEY_NAME_BYTES_MAX`], or has spaces, control characters or
    /// `+`.
    pub fn new(text: &str) -> Result<Self, Error> {
        let fits = (1..=KEY_NAME_BYTES_MAX).contains(&text.len());
        if !fits || text.chars().any(|c| c.is_whitespace() || c < ' ' || c == '+') {
            let reason = format!(
                "use 1 to {KEY_NAME_BYTES_MAX} bytes without spaces, control characters and '+'; got {:?}",
                text.chars().take(80).collect::<String>()
            );
            return Err(Error::Unfit { what: "key name", reason });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NoteKey {
    /// Pairs a name with a public key: 32 bytes as in RFC 8032.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the bytes are no point of the curve, or one of small order, under which anybody
    /// can sign.
    pub fn new(name: KeyName, public: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self { name, public: sound_public(public)? })
    }

    /// Reads the one-line form of [`NoteKey`]'s `Display`: `name+id+base64`, the id in 8 hexadecimal digits
    /// and the base64 over the byte 0x01 and the public key. Other tools for signed notes read and write the
    /// same.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is anything else, or if the id is not that of name and key.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let (name, public) = parse_key_line(line, ED25519)?;
        Ok(Self { name, public })
    }

    /// The name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key id: with the name it says which line of a note to check. It is no protection by itself.
    pub fn id(&self) -> u32 {
        key_id(&self.name, ED25519, &self.public)
    }

    fn label(&self) -> String {
        key_label(&self.name, self.id())
    }

    /// Strict verification: unlike plain RFC 8032 it also refuses points of small order, which no honest key
    /// has.
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        verifies(&self.public, text.as_bytes(), signature)
    }
}

/// A well-formed note. Its text is out of reach until a signature is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    text: String,
    lines: Vec<SignatureLine>,
}

/// One line under a note: who, and what they put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignatureLine {
    pub name: KeyName,
    pub key_id: u32,
    pub signature: Vec<u8>,
}

impl Note {
    /// Signs a text, which ends in a newline and has no other control characters.
    pub(crate) fn sign(text: String, signer: &dyn SignNote) -> Result<Self, Error> {
        let key = signer.key();
        let signature = signer.sign_note(&text)?.to_vec();
        if !key.verifies(&text, &signature) {
            let reason = format!("its signature does not verify under {}", key.label());
            return Err(Error::SigningFailed { reason });
        }
        let line = SignatureLine { name: key.name.clone(), key_id: key.id(), signature };
        Ok(Self { text, lines: vec![line] })
    }

    /// Reads a note and nothing but a note.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(malformed(format!("{} bytes, at most {NOTE_BYTES_MAX} are read", bytes.len())));
        }
        let all = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        if all.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(malformed("a control character other than newline".into()));
        }
        // The last empty line divides, the text may have others.
        let (text, signatures) = all
            .rfind("\n\n")
            .map(|at| (&all[..=at], &all[at + 2..]))
            .ok_or_else(|| malformed("no empty line between text and signatures".into()))?;
        let signatures = signatures
            .strip_suffix('\n')
            .ok_or_else(|| malformed("no signature line that ends in a newline".into()))?;
        let lines = signatures.split('\n').map(SignatureLine::parse).collect::<Result<Vec<_>, _>>()?;
        if lines.len() > SIGNATURES_MAX {
            return Err(malformed(format!("{} signatures, at most {SIGNATURES_MAX} are read", lines.len())));
        }
        Ok(Self { text: text.into(), lines })
    }

    /// The text, if `key` signed it.
    pub(crate) fn text_signed_by(&self, key: &NoteKey) -> Result<&str, Error> {
        let line = self.line_of(&key.name, key.id())?;
        if !key.verifies(&self.text, &line.signature) {
            return Err(Error::BadSignature { key: key.label() });
        }
        Ok(&self.text)
    }

    /// The one line of a key. What is in it is not yet verified.
    pub(crate) fn line_of(&self, name: &KeyName, id: u32) -> Result<&SignatureLine, Error> {
        let lines: Vec<&SignatureLine> =
            self.lines.iter().filter(|line| line.name == *name && line.key_id == id).collect();
        match lines.as_slice() {
            &[line] => Ok(line),
            _ => Err(Error::NotSigned { key: key_label(name, id), found: lines.len() }),
        }
    }

    /// The text, for whoever has checked a signature over it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Adds a line at the end, in place of any that the same key has there.
    pub(crate) fn add(&mut self, line: SignatureLine) -> Result<(), Error> {
        self.lines.retain(|known| known.name != line.name || known.key_id != line.key_id);
        if self.lines.len() >= SIGNATURES_MAX {
            let reason = format!("a note takes at most {SIGNATURES_MAX} signatures");
            return Err(Error::Unfit { what: "signed note", reason });
        }
        self.lines.push(line);
        Ok(())
    }

    /// The bytes that [`Note::parse`] reads.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut note = format!("{}\n", self.text);
        self.lines.iter().for_each(|line| note += &line.to_line());
        note.into_bytes()
    }
}

impl SignatureLine {
    /// The line with its newline.
    pub(crate) fn to_line(&self) -> String {
        let id_and_signature = [&self.key_id.to_be_bytes()[..], &self.signature].concat();
        format!("{LINE_START}{} {}\n", self.name, Base64::encode_string(&id_and_signature))
    }

    /// Reads a line without its newline.
    pub(crate) fn parse(line: &str) -> Result<Self, Error> {
        let (name, encoded) = line
            .strip_prefix(LINE_START)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| malformed("a signature line is an em dash, a name and base64".into()))?;
        let name = KeyName::new(name).map_err(|error| malformed(error.to_string()))?;
        let bytes = Base64::decode_vec(encoded).map_err(|error| malformed(error.to_string()))?;
        match bytes.split_first_chunk::<4>() {
            Some((key_id, signature)) if !signature.is_empty() => {
                Ok(Self { name, key_id: u32::from_be_bytes(*key_id), signature: signature.to_vec() })
            }
            _ => Err(malformed(format!("a signature of {} bytes, expected 5 or more", bytes.len()))),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_line(&self.name, ED25519, &self.public))
    }
}

/// The first four bytes of the hash over name, type and public key.
pub(crate) fn key_id(name: &KeyName, kind: u8, public: &VerifyingKey) -> u32 {
    let hash = Sha256::new()
        .chain_update(name.as_str())
        .chain_update([b'\n', kind])
        .chain_update(public.as_bytes())
        .finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// What a key is called in errors.
pub(crate) fn key_label(name: &KeyName, id: u32) -> String {
    format!("{name}+{id:08x}")
}

/// A key with its type in one line.
pub(crate) fn key_line(name: &KeyName, kind: u8, public: &VerifyingKey) -> String {
    let type_and_key = [&[kind][..], public.as_bytes()].concat();
    format!("{}+{}", key_label(name, key_id(name, kind, public)), Base64::encode_string(&type_and_key))
}

/// Reads what [`key_line`] writes, for a key of this type.
pub(crate) fn parse_key_line(line: &str, kind: u8) -> Result<(KeyName, VerifyingKey), Error> {
    let wrong = |reason: String| Error::Malformed { what: "note key", reason };
    let mut parts = line.splitn(3, '+');
    let (Some(name), Some(_), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("expected name+id+base64".into()));
    };
    let bytes = Base64::decode_vec(encoded).map_err(|error| wrong(error.to_string()))?;
    let public = bytes.split_first().filter(|(found, _)| **found == kind);
    let public = public.and_then(|(_, public)| public.try_into().ok());
    let public =
        public.ok_or_else(|| wrong(format!("expected {kind:#04x} and a 32-byte Ed25519 public key")))?;
    let name = KeyName::new(name).map_err(|error| wrong(error.to_string()))?;
    let public = sound_public(public).map_err(|error| wrong(error.to_string()))?;
    let expected = key_line(&name, kind, &public);
    if expected != line {
        return Err(wrong(format!("expected {expected}, got {line}")));
    }
    Ok((name, public))
}

/// A point of the curve that is not of small order.
pub(crate) fn sound_public(public: &[u8; 32]) -> Result<VerifyingKey, Error> {
    let unfit = |reason: String| Error::Unfit { what: "Ed25519 public key", reason };
    let public = VerifyingKey::from_bytes(public).map_err(|error| unfit(error.to_string()))?;
    if public.is_weak() {
        return Err(unfit("a point of small order".into()));
    }
    Ok(public)
}

/// Strict verification, see [`NoteKey`].
pub(crate) fn verifies(public: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    ed25519_dalek::Signature::from_slice(signature)
        .is_ok_and(|signature| public.verify_strict(message, &signature).is_ok())
}

/// The signature type of plain Ed25519 in the specification.
const ED25519: u8 = 0x01;

/// Em dash and space.
const LINE_START: &str = "\u{2014} ";

fn malformed(reason: String) -> Error {
    Error::Malformed { what: "signed note", reason }
}

#[cfg(test)]
mod tests;
