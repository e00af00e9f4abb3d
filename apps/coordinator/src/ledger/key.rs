//! The key that signs checkpoints of the ledger: one line of text in a file that only its owner reads.
//!
//! It shows its public half alone and refuses to be cloned or printed. Whoever pins that line recognises this
//! ledger; a new key is a new ledger.

use ed25519_dalek::{Signer, SigningKey};
use perennial_ledger::{Error, KeyName, NoteKey, SignNote};
use std::fmt;
use zeroize::Zeroizing;

/// What stands before the digits, so that the file says what it is.
const LABEL: &str = "perennial-ledger-key-v1";

/// A ledger's key.
pub struct LedgerKey {
    secret: SigningKey,
    public: NoteKey,
}

impl LedgerKey {
    /// The text of a new key.
    pub fn generate_text() -> Zeroizing<String> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).expect("the system gives randomness");
        let digits = Zeroizing::new(hex::encode(*seed));
        Zeroizing::new(format!("{LABEL} {}\n", digits.as_str()))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// A sentence without the text, when it is no key.
    pub fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected one line, `{LABEL}` and 64 hexadecimal digits");
        let digits = text.strip_prefix(LABEL).and_then(|rest| rest.strip_prefix(' ')).ok_or_else(wrong)?;
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits.trim_end_matches('\n'), &mut *seed).map_err(|_| wrong())?;
        let secret = SigningKey::from_bytes(&seed);
        let public = secret.verifying_key().to_bytes();
        // The name is the log's origin: unique, because the key is.
        let name = KeyName::new(&format!("perennial/ledger/{}", hex::encode(&public[..8])));
        let public = name.and_then(|name| NoteKey::new(name, &public)).map_err(|error| error.to_string())?;
        Ok(Self { secret, public })
    }

    /// The line that a verifier pins: `name+id+base64` as other tools for signed notes write it.
    pub fn public_line(&self) -> String {
        self.public.to_string()
    }
}

impl SignNote for LedgerKey {
    fn key(&self) -> &NoteKey {
        &self.public
    }

    fn sign_note(&self, text: &str) -> Result<[u8; 64], Error> {
        Ok(self.secret.sign(text.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerKey({})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_ledger::{Checkpoint, Tree};

    #[test]
    fn a_key_read_back_signs_what_its_public_line_opens() {
        let key = LedgerKey::from_text(&LedgerKey::generate_text()).expect("a key");
        let checkpoint = Checkpoint::sign(Tree::empty().head(), &key).expect("signed");
        let public = NoteKey::parse(&key.public_line()).expect("a public key");
        assert!(Checkpoint::open(&checkpoint.to_bytes(), &public).is_ok());
    }

    #[test]
    fn a_text_that_is_no_key_is_refused_without_being_repeated() {
        let text = LedgerKey::generate_text();
        let digits = text.trim_end().rsplit(' ').next().expect("digits");
        for wrong in ["", "perennial-ledger-key-v1", digits, &text[..40], &format!("{}00", text.trim_end())] {
            let refusal = LedgerKey::from_text(wrong).expect_err("refused");
            assert!(!refusal.contains(&digits[..8]), "{refusal}");
        }
    }

    #[test]
    fn a_printed_key_shows_no_secret() {
        let text = LedgerKey::generate_text();
        let key = LedgerKey::from_text(&text).expect("a key");
        let digits = text.trim_end().rsplit(' ').next().expect("digits");
        assert!(!format!("{key:?}").contains(&digits[..16]));
    }
}
