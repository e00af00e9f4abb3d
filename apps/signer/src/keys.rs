//! The long-lived secrets of one signer, each in a file of 32 bytes that nobody else may read: `identity.key`
//! (Ed25519, RFC 8032) signs its statements, `wrapping.key` wraps the keys in its slots.
//!
//! It refuses to replace a key, to make a new one beside a store that was made with a lost one, and to print one.

use crate::private_file::{PrivateFileError, read_secret};
use ed25519_dalek::{Signer as _, SigningKey};
use perennial_custody::keyslots::WrappingKey;
use perennial_daemon::identity::{IdentityError, write_new_file};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file of the identity's secret, inside the signer's directory.
pub const IDENTITY_FILE: &str = "identity.key";
/// The file of the wrapping key, inside the signer's directory.
pub const WRAPPING_FILE: &str = "wrapping.key";

/// Why the keys cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read, or others could read it.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] IdentityError),
    /// There is no such key.
    #[error("{path} is missing: {cure}", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        cure: &'static str,
    },
    /// A file has another length than a key.
    #[error("{path} is damaged: a key has 32 bytes; put back the original", path = .0.display())]
    Damaged(PathBuf),
}

/// The secrets of one signer.
pub struct Keys {
    identity: SigningKey,
    wrapping: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys(redacted, of {})", hex::encode(self.identity.verifying_key().as_bytes()))
    }
}

impl Keys {
    /// Reads both keys.
    ///
    /// # Errors
    /// [`KeyError`] for permissions wider than 0600, a missing or damaged file, and whatever the disk refuses.
    pub fn load(directory: &Path) -> Result<Self, KeyError> {
        let identity = read_key(&directory.join(IDENTITY_FILE))?;
        let wrapping = read_key(&directory.join(WRAPPING_FILE))?;
        Ok(Self { identity: SigningKey::from_bytes(&identity), wrapping })
    }

    /// Makes whichever key is missing; an existing one is left as it is. `store_exists` says that records were
    /// written here, which a new key would not fit.
    ///
    /// # Errors
    /// [`KeyError`] when a key was lost, or the disk refuses.
    pub fn make(directory: &Path, store_exists: StoreExists) -> Result<Self, KeyError> {
        for name in [IDENTITY_FILE, WRAPPING_FILE] {
            let path = directory.join(name);
            let exists = path.try_exists().map_err(|source| PrivateFileError::Disk {
                action: "look for",
                path: path.clone(),
                source,
            })?;
            if exists {
                continue;
            }
            if store_exists == StoreExists::Yes {
                let cure = "the store in this directory was made with it; put it back, or give a new signer its own directory";
                return Err(KeyError::Missing { path, cure });
            }
            let mut secret = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *secret).map_err(|e| PrivateFileError::Disk {
                action: "get randomness for",
                path: path.clone(),
                source: e.into(),
            })?;
            write_new_file(&path, &*secret)?;
        }
        Self::load(directory)
    }

    /// The public half of the identity.
    pub fn identity_key(&self) -> IdentityKey {
        IdentityKey::Ed25519(*self.identity.verifying_key().as_bytes())
    }

    /// A digest that tells one wrapping key from another and nothing else about it.
    pub fn wrapping_check(&self) -> Digest {
        Digest::of_parts("perennial/wrapping-check/v1", &[&*self.wrapping])
    }

    /// Gives the secrets to those who use them: the signer's statements under this name, and its slots.
    pub fn into_use(self, signer: SignerId) -> (Statements, WrappingKey) {
        (Statements { signer, key: self.identity }, WrappingKey::from_secret_bytes(self.wrapping))
    }
}

/// Whether records were written in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreExists {
    /// There are records.
    Yes,
    /// There are none.
    No,
}

/// Signs statements as one signer.
pub struct Statements {
    signer: SignerId,
    key: SigningKey,
}

impl fmt::Debug for Statements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statements(redacted, of {})", self.signer)
    }
}

impl Sign for Statements {
    fn signer(&self) -> &SignerId {
        &self.signer
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        IdentitySignature(self.key.sign(message).to_bytes())
    }
}

/// An identity key as people and governance see it: 64 lower-case hexadecimal digits.
pub fn identity_digits(key: &IdentityKey) -> String {
    match key {
        IdentityKey::Ed25519(bytes) => hex::encode(bytes),
        // The simulator's kind exists only where its feature is on, which is never in a shipped binary.
        #[allow(unreachable_patterns)]
        _ => "no key".to_owned(),
    }
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    match read_secret(path) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(KeyError::Damaged(path.to_owned())),
        Err(missing) if missing.is_missing() => {
            let cure = "run `perennial-signer init` for a new signer, or put the file back";
            Err(KeyError::Missing { path: path.to_owned(), cure })
        }
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_signed_with_and_never_printed() {
        let place = tempfile::tempdir().expect("a directory");
        let made = Keys::make(place.path(), StoreExists::No).expect("made");
        let again = Keys::make(place.path(), StoreExists::Yes).expect("there already");
        assert_eq!(made.identity_key(), again.identity_key());
        assert_eq!(made.wrapping_check(), again.wrapping_check());
        for name in [IDENTITY_FILE, WRAPPING_FILE] {
            let path = place.path().join(name);
            assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
            let secret = hex::encode(std::fs::read(&path).expect("read"));
            assert_eq!(secret.len(), 64);
            assert!(!format!("{made:?}").contains(&secret));
        }
        let (key, public) = (made.into_use("a".parse().expect("a name")), again.identity_key());
        let signature = key.0.sign(b"said");
        assert!(public.verifies(b"said", &signature) && !public.verifies(b"else", &signature));
        assert_eq!(format!("{:?} {:?}", key.0, key.1), "Statements(redacted, of a) WrappingKey(redacted)");
    }

    #[test]
    fn a_lost_key_is_not_replaced_beside_a_store() {
        let place = tempfile::tempdir().expect("a directory");
        Keys::make(place.path(), StoreExists::No).expect("made");
        std::fs::remove_file(place.path().join(WRAPPING_FILE)).expect("removed");
        let refusal = Keys::make(place.path(), StoreExists::Yes).expect_err("refused").to_string();
        assert!(refusal.contains(WRAPPING_FILE) && refusal.contains("put it back"), "{refusal}");
        assert!(!place.path().join(WRAPPING_FILE).exists());
    }
}
