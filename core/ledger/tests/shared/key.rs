//! A log's key whose secret is here.

use ed25519_dalek::{Signer, SigningKey};
use perennial_ledger::{Error, KeyName, NoteKey, SignNote};

pub struct Key {
    pub public: NoteKey,
    secret: SigningKey,
}

/// The key of a log of this name that follows from a number.
pub fn key(name: &str, seed: u8) -> Key {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let name = KeyName::new(name).expect("a name");
    Key { public: NoteKey::new(name, secret.verifying_key().as_bytes()).expect("a key"), secret }
}

impl SignNote for Key {
    fn key(&self) -> &NoteKey {
        &self.public
    }

    fn sign_note(&self, text: &str) -> Result<[u8; 64], Error> {
        Ok(self.secret.sign(text.as_bytes()).to_bytes())
    }
}
