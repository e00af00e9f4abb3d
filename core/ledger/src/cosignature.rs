//! Cosignatures: a witness's line under a checkpoint, as C2SP tlog-cosignature specifies for Ed25519
//! (<https://c2sp.org/tlog-cosignature>).
//!
//! ```text
//! — <witness> <base64 of 4 bytes key id, 8 bytes time, 64 bytes signature>
//! ```
//!
//! The signature is over two lines, `cosignature/v1` and `time <seconds since 1970>`, and the text of the
//! checkpoint below them; the key id is that of a signed note, with type 0x04 in place of 0x01. So a key that
//! signs cosignatures never signs what a log signs, and the other way round.
//!
//! A cosignature says: at this time, by my clock, this was the largest head that I had seen of this log, and
//! it continues every one that I cosigned before. Whoever makes one follows [`crate::witness`]; nothing here
//! checks that. This module refuses to hold a secret key, and to hand out a cosignature that does not verify.

use crate::note::{self, SignatureLine};
use crate::{Checkpoint, Error, KeyName};
use ed25519_dalek::VerifyingKey;
use std::fmt;

/// The signature type of Ed25519 cosignatures in the specification.
const COSIGNATURE: u8 = 0x04;
/// Time and signature.
const SIGNATURE_BYTES: usize = 8 + 64;

/// A witness's public key and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: KeyName,
    public: VerifyingKey,
}

/// A witness's line under a checkpoint. It says nothing until it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    name: KeyName,
    key_id: u32,
    time_s: u64,
    signature: [u8; 64],
}

impl WitnessKey {
    /// Pairs a name with a public key: 32 bytes as in RFC 8032.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the bytes are no point of the curve, or one of small order.
    pub fn new(name: KeyName, public: &[u8; 32]) -> Result<Self, Error> {
        Ok(Self { name, public: note::sound_public(public)? })
    }

    /// The key of a witness that belongs to this log and is known to it as `member`: its name is
    /// `<origin>/<member>`.
    ///
    /// # Errors
    /// [`Error::Unfit`] if that is no name, or as for [`WitnessKey::new`].
    pub fn of_member(origin: &KeyName, member: &str, public: &[u8; 32]) -> Result<Self, Error> {
        Self::new(KeyName::new(&format!("{origin}/{member}"))?, public)
    }

    /// Reads the one-line form of `Display`: `name+id+base64`, the base64 over the byte 0x04 and the public
    /// key.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is anything else, or if the id is not that of name and key.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let (name, public) = note::parse_key_line(line, COSIGNATURE)?;
        Ok(Self { name, public })
    }

    /// The name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key id: with the name it says which line of a note to check. It is no protection by itself.
    pub fn id(&self) -> u32 {
        note::key_id(&self.name, COSIGNATURE, &self.public)
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&note::key_line(&self.name, COSIGNATURE, &self.public))
    }
}

impl Cosignature {
    /// Makes one with `sign`, which gives the Ed25519 signature (RFC 8032) over the bytes it is handed. The
    /// time is in seconds since 1970.
    ///
    /// # Errors
    /// [`Error::SigningFailed`] if the signature does not verify under `key`.
    pub fn make(
        checkpoint: &Checkpoint,
        key: &WitnessKey,
        time_s: u64,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<Self, Error> {
        let signature = sign(&signed_message(checkpoint, time_s));
        let made = Self { name: key.name.clone(), key_id: key.id(), time_s, signature };
        made.verify(checkpoint, key).map_err(|error| Error::SigningFailed { reason: error.to_string() })?;
        Ok(made)
    }

    /// Reads a line with its newline, and nothing but that.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(line: &str) -> Result<Self, Error> {
        let content = line.strip_suffix('\n').filter(|rest| !rest.bytes().any(|byte| byte < 0x20));
        let content = content.ok_or_else(|| malformed("expected one line that ends in a newline".into()))?;
        let read = Self::read(&SignatureLine::parse(content)?)?;
        if read.to_line() != line {
            return Err(malformed("not in canonical form".into()));
        }
        Ok(read)
    }

    /// The line with its newline.
    pub fn to_line(&self) -> String {
        self.line().to_line()
    }

    /// Checks that this is `key`'s word on this checkpoint.
    ///
    /// # Errors
    /// [`Error::NotSigned`] for another key's, [`Error::BadSignature`] if it does not verify.
    pub fn verify(&self, checkpoint: &Checkpoint, key: &WitnessKey) -> Result<(), Error> {
        let label = || note::key_label(&key.name, key.id());
        if self.name != key.name || self.key_id != key.id() {
            return Err(Error::NotSigned { key: label(), found: 0 });
        }
        if !note::verifies(&key.public, &signed_message(checkpoint, self.time_s), &self.signature) {
            return Err(Error::BadSignature { key: label() });
        }
        Ok(())
    }

    /// The name of the witness.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// When, in seconds since 1970, by the witness's clock.
    pub fn time_s(&self) -> u64 {
        self.time_s
    }

    fn line(&self) -> SignatureLine {
        let signature = [&self.time_s.to_be_bytes()[..], &self.signature].concat();
        SignatureLine { name: self.name.clone(), key_id: self.key_id, signature }
    }

    fn read(line: &SignatureLine) -> Result<Self, Error> {
        let wrong = || {
            let found = line.signature.len();
            malformed(format!("{found} bytes after the key id, expected {SIGNATURE_BYTES}"))
        };
        let (time, signature) = line.signature.split_first_chunk::<8>().ok_or_else(wrong)?;
        Ok(Self {
            name: line.name.clone(),
            key_id: line.key_id,
            time_s: u64::from_be_bytes(*time),
            signature: signature.try_into().map_err(|_| wrong())?,
        })
    }
}

impl Checkpoint {
    /// The same checkpoint with a cosignature under it, in place of an older one by the same key.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the note is full.
    pub fn with(mut self, cosignature: &Cosignature) -> Result<Self, Error> {
        self.add(cosignature.line())?;
        Ok(self)
    }

    /// A witness's cosignature under this checkpoint, verified.
    ///
    /// # Errors
    /// [`Error::NotSigned`] if there is none or more than one, [`Error::BadSignature`] if it is none of this
    /// witness's, whatever is wrong with it.
    pub fn cosigned_by(&self, key: &WitnessKey) -> Result<Cosignature, Error> {
        let bad = |_| Error::BadSignature { key: note::key_label(&key.name, key.id()) };
        let cosignature = Cosignature::read(self.line_of(&key.name, key.id())?).map_err(bad)?;
        cosignature.verify(self, key)?;
        Ok(cosignature)
    }
}

fn signed_message(checkpoint: &Checkpoint, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{}", checkpoint.text()).into_bytes()
}

fn malformed(reason: String) -> Error {
    Error::Malformed { what: "cosignature", reason }
}

#[cfg(test)]
mod tests;
