//! Who this daemon is on the wire: one Ed25519 key with a self-signed certificate, kept in two files
//! (`transport.key`, `transport.crt`) of one directory, and named by its [`Pin`].
//!
//! It refuses files and directories that others may read, a certificate that does not belong to the key, and
//! to replace a lost key silently: a new key is a new pin, and a pin is known to other people.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The file of the private key (PKCS #8, PEM), inside the identity's directory.
pub const KEY_FILE: &str = "transport.key";
/// The file of the self-signed certificate (X.509, PEM), inside the identity's directory.
pub const CERTIFICATE_FILE: &str = "transport.crt";
/// The largest identity file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The name of a transport identity: SHA-256 over the SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) of its
/// certificate. It is written as 64 lower-case hexadecimal digits, and a new certificate for the same key
/// keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of a certificate.
    ///
    /// # Errors
    /// [`rustls::Error::InvalidCertificate`] when the bytes are no X.509 certificate.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
        Ok(Self(Sha256::digest(parsed.subject_public_key_info()).into()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// A text that is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pin: expected the 64 lower-case hexadecimal digits that the other daemon prints")]
pub struct NotAPin(String);

impl FromStr for Pin {
    type Err = NotAPin;

    fn from_str(text: &str) -> Result<Self, NotAPin> {
        let mut bytes = [0; 32];
        let lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if lower_case => Ok(Self(bytes)),
            _ => Err(NotAPin(text.chars().take(80).collect())),
        }
    }
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Others may read or change it.
    #[error(
        "{path} is open to others (mode {mode:04o}): run `chmod {wanted:o} {path}`, and if somebody else may \
         have read it, delete both transport files and register the new pin",
        path = path.display()
    )]
    OpenToOthers {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it should have.
        wanted: u32,
    },
    /// There is a certificate without its key.
    #[error(
        "{path} is missing, but its certificate is there: put the key back, or delete {CERTIFICATE_FILE} to \
         get a new identity, whose pin must be registered with the other side",
        path = .0.display()
    )]
    KeyMissing(PathBuf),
    /// A file's content is not what its name says.
    #[error("{path} is not usable: {reason}; put back the original of both transport files", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A key, its certificate and its pin. The key never leaves this process and is not printed.
#[derive(Clone)]
pub struct Identity {
    certified_key: Arc<CertifiedKey>,
    pin: Pin,
}

impl Identity {
    /// Loads the identity in `directory`, and makes one (and the directory) if there is none. If only the
    /// certificate is missing, it is issued again for the same key.
    ///
    /// # Errors
    /// [`IdentityError`] for permissions wider than 0700 (directory) and 0600 (files), a missing key, unusable
    /// contents, and whatever the disk refuses.
    pub fn load_or_create(directory: &Path) -> Result<Self, IdentityError> {
        let key_path = directory.join(KEY_FILE);
        let certificate_path = directory.join(CERTIFICATE_FILE);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(disk("create", directory))?;
        let opened = File::open(directory).map_err(disk("open", directory))?;
        refuse_wide_permissions(&opened, directory, 0o700)?;
        if !exists(&key_path)? {
            if exists(&certificate_path)? {
                return Err(IdentityError::KeyMissing(key_path));
            }
            let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(unusable(&key_path))?;
            write_new_file(&key_path, Zeroizing::new(key.serialize_pem()).as_bytes())?;
        }
        let key_pem = Zeroizing::new(read_private_file(&key_path)?);
        if !exists(&certificate_path)? {
            write_new_file(&certificate_path, self_signed(&key_pem, &key_path)?.as_bytes())?;
        }
        let certificate_pem = read_private_file(&certificate_path)?;

        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(unusable(&key_path))?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(unusable(&certificate_path))?;
        let pin = Pin::of_certificate(&certificate).map_err(unusable(&certificate_path))?;
        let provider = rustls::crypto::ring::default_provider();
        let certified_key =
            CertifiedKey::from_der(vec![certificate], key, &provider).map_err(unusable(&certificate_path))?;
        Ok(Self { certified_key: Arc::new(certified_key), pin })
    }

    /// The pin to register with the other side.
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// What TLS proves it with.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified_key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("pin", &self.pin).finish_non_exhaustive()
    }
}

fn self_signed(key_pem: &str, key_path: &Path) -> Result<String, IdentityError> {
    let key = rcgen::KeyPair::from_pem(key_pem).map_err(unusable(key_path))?;
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "perennial transport");
    Ok(parameters.self_signed(&key).map_err(unusable(key_path))?.pem())
}

/// The file appears under its name complete or not at all, and an existing one is never replaced: the content
/// is synced under a passing name first, and a hard link fails if its target exists.
///
/// # Errors
/// [`IdentityError::Disk`] with what the disk refuses, an existing file among it.
pub fn write_new_file(path: &Path, content: &[u8]) -> Result<(), IdentityError> {
    let passing = path.with_added_extension(format!("new-{}", std::process::id()));
    let directory = path.parent().unwrap_or(Path::new("."));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&passing)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::hard_link(&passing, path))
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(disk("write", path));
    let removed = std::fs::remove_file(&passing).map_err(disk("remove", &passing));
    written.and(removed)
}

fn read_private_file(path: &Path) -> Result<String, IdentityError> {
    let file = File::open(path).map_err(disk("open", path))?;
    refuse_wide_permissions(&file, path, 0o600)?;
    let mut content = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut content).map_err(disk("read", path))?;
    Ok(content)
}

fn refuse_wide_permissions(opened: &File, path: &Path, wanted: u32) -> Result<(), IdentityError> {
    let mode = opened.metadata().map_err(disk("inspect", path))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::OpenToOthers { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn exists(path: &Path) -> Result<bool, IdentityError> {
    path.try_exists().map_err(disk("look for", path))
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    move |source| IdentityError::Disk { action, path: path.to_owned(), source }
}

fn unusable<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> IdentityError {
    move |reason| IdentityError::Unusable { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};

    #[test]
    fn an_identity_survives_a_restart_and_the_loss_of_its_certificate() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = place.path().join("identity");
        let made = Identity::load_or_create(&directory).expect("made");
        assert_eq!(Identity::load_or_create(&directory).expect("loaded").pin(), made.pin());
        std::fs::remove_file(directory.join(CERTIFICATE_FILE)).expect("removed");
        assert_eq!(Identity::load_or_create(&directory).expect("issued again").pin(), made.pin());
        assert_eq!(made.pin().to_string().parse(), Ok(made.pin()));
        let names: Vec<_> = std::fs::read_dir(&directory).expect("listed").collect();
        assert_eq!(names.len(), 2, "only the two files stay: {names:?}");
    }

    #[test]
    fn a_lost_key_is_never_replaced_silently() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = place.path().join("identity");
        Identity::load_or_create(&directory).expect("made");
        std::fs::remove_file(directory.join(KEY_FILE)).expect("removed");
        let refusal = Identity::load_or_create(&directory).expect_err("refused");
        assert!(matches!(refusal, IdentityError::KeyMissing(_)), "{refusal}");
    }

    #[test]
    fn files_and_directories_that_others_may_read_are_refused() {
        for (name, mode) in [("", 0o750), (KEY_FILE, 0o640), (CERTIFICATE_FILE, 0o604)] {
            let place = tempfile::tempdir().expect("a temporary directory");
            let directory = place.path().join("identity");
            Identity::load_or_create(&directory).expect("made");
            set_permissions(directory.join(name), Permissions::from_mode(mode)).expect("widened");
            let refusal = Identity::load_or_create(&directory).expect_err("refused").to_string();
            assert!(refusal.contains("open to others") && refusal.contains("chmod"), "{name}: {refusal}");
        }
    }

    #[test]
    fn a_certificate_of_another_key_and_a_torn_file_are_refused() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let (one, other) = (place.path().join("one"), place.path().join("other"));
        Identity::load_or_create(&one).expect("made");
        Identity::load_or_create(&other).expect("made");
        std::fs::copy(other.join(CERTIFICATE_FILE), one.join(CERTIFICATE_FILE)).expect("copied");
        let refusal = Identity::load_or_create(&one).expect_err("refused");
        assert!(matches!(refusal, IdentityError::Unusable { .. }), "{refusal}");
        let key = std::fs::read(other.join(KEY_FILE)).expect("read");
        std::fs::write(other.join(KEY_FILE), &key[..key.len() / 2]).expect("torn");
        let refusal = Identity::load_or_create(&other).expect_err("refused");
        assert!(matches!(refusal, IdentityError::Unusable { .. }), "{refusal}");
    }

    #[test]
    fn only_the_printed_form_of_a_pin_is_read() {
        for text in ["", "ab", &"AB".repeat(32), &"zz".repeat(32), &"ab".repeat(33)] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_printed_identity_shows_its_pin_and_no_key() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let identity = Identity::load_or_create(&place.path().join("identity")).expect("made");
        assert_eq!(format!("{identity:?}"), format!("Identity {{ pin: {:?}, .. }}", identity.pin()));
    }
}
