//! The coordinator's directory: which files are in it, how they are made, and what of them is trusted.
//!
//! | file | what it is |
//! |---|---|
//! | `coordinator.toml` | what may be tuned |
//! | `governance.cbor` | who approves what, and who the signers are; written by whoever governs, trusted as it is |
//! | `identity/` | who this coordinator is to signers |
//! | `ledger.key` | signs checkpoints of the ledger |
//! | `clients.toml` | who may use the API (`access/file.rs`), with a `.lock` for those who change it |
//! | `ceremonies.db` | facts, summaries and notes (SQLite, with its `-wal` and `-shm` beside it) |
//! | `ledger.db` | the Merkle log and the released signatures (SQLite as well) |
//! | `listening.toml` | where the running daemon listens; written anew at each start |
//! | `lock` | held by the running daemon, so that there is no second one |
//!
//! Refuses a directory that others may enter, and never replaces a file that is there.

use crate::config::{Config, ConfigError};
use crate::ledger::key::LedgerKey;
use crate::trusted::Trusted;
use perennial_daemon::identity::{Identity, IdentityError};
use perennial_model::encoding::{self, Malformed};
use perennial_model::governance::history::{History, Versions};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest governance document that is read, in bytes.
const GOVERNANCE_BYTES_MAX: u64 = 16 << 20;

/// A coordinator's directory, which exists and which nobody else may enter.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Others may read or change it.
    #[error("{path} is open to others (mode {mode:04o}): run `chmod {wanted:o} {path}`", path = path.display())]
    OpenToOthers {
        /// The directory or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it should have.
        wanted: u32,
    },
    /// Another coordinator runs on it.
    #[error("another coordinator runs on {path}: stop it first, or use another directory", path = .0.display())]
    InUse(PathBuf),
    /// There is no governance document.
    #[error(
        "{path} is missing: put the governance document there, the same that every signer pins",
        path = .0.display()
    )]
    NoGovernance(PathBuf),
    /// The governance document cannot be used.
    #[error("{path} is no usable governance document: {reason}", path = path.display())]
    BadGovernance {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file holds what it should not.
    #[error("{path} is not usable: {reason}; put back the original", path = path.display())]
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
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Holds the directory for one daemon until it is dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] File);

impl Directory {
    /// Makes what is missing: the directory, the configuration with these addresses, the identity, and the
    /// ledger's key. What is there stays as it is.
    ///
    /// # Errors
    /// [`DirectoryError`] for permissions that are too wide and whatever the disk refuses.
    pub fn init(path: &Path, config: &Config) -> Result<Self, DirectoryError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(disk("create", path))?;
        let directory = Self::open(path)?;
        create_file(&directory.config_file(), config.to_toml().as_bytes())?;
        directory.identity()?;
        directory.ledger_key()?;
        Ok(directory)
    }

    /// A directory that is there.
    ///
    /// # Errors
    /// [`DirectoryError`] when it cannot be read, or others may enter it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let metadata = std::fs::metadata(path).map_err(disk("open", path))?;
        refuse_wide_permissions(path, &metadata, 0o700)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Takes the directory for this process.
    ///
    /// # Errors
    /// [`DirectoryError::InUse`] when another process has it.
    pub fn lock(&self) -> Result<Lock, DirectoryError> {
        let path = self.path.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(disk("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(DirectoryError::InUse(self.path.clone())),
            Err(TryLockError::Error(source)) => Err(disk("lock", &path)(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `ceremonies.db`
    pub fn ceremonies_file(&self) -> PathBuf {
        self.path.join("ceremonies.db")
    }

    /// `index.db`
    pub fn index_file(&self) -> PathBuf {
        self.path.join("index.db")
    }

    /// `ledger.db`
    pub fn ledger_file(&self) -> PathBuf {
        self.path.join("ledger.db")
    }

    /// `clients.toml`
    pub fn clients_file(&self) -> PathBuf {
        self.path.join("clients.toml")
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn config(&self) -> Result<Config, DirectoryError> {
        Ok(Config::read(&self.config_file())?)
    }

    /// The identity that signers pin; made when there is none.
    ///
    /// # Errors
    /// As [`Identity::load_or_create`].
    pub fn identity(&self) -> Result<Identity, DirectoryError> {
        Ok(Identity::load_or_create(&self.path.join("identity"))?)
    }

    /// The key of the ledger's checkpoints; made when there is none.
    ///
    /// # Errors
    /// [`DirectoryError`] when the file is open to others or holds no key.
    pub fn ledger_key(&self) -> Result<LedgerKey, DirectoryError> {
        let path = self.path.join("ledger.key");
        if !path.try_exists().map_err(disk("look for", &path))? {
            create_file(&path, LedgerKey::generate_text().as_bytes())?;
        }
        let text = zeroize::Zeroizing::new(read_private_file(&path, 1 << 10)?);
        LedgerKey::from_text(&text).map_err(|reason| DirectoryError::Unusable { path, reason })
    }

    /// Reads the governance document and checks it.
    ///
    /// # Errors
    /// [`DirectoryError::NoGovernance`], [`DirectoryError::BadGovernance`].
    pub fn trusted(&self) -> Result<Trusted, DirectoryError> {
        let path = self.path.join("governance.cbor");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(DirectoryError::NoGovernance(path));
            }
            Err(source) => return Err(disk("open", &path)(source)),
        };
        let mut document = Vec::new();
        let read = file.take(GOVERNANCE_BYTES_MAX + 1).read_to_end(&mut document);
        read.map_err(disk("read", &path))?;
        let bad = |reason: String| DirectoryError::BadGovernance { path: path.clone(), reason };
        if document.len() as u64 > GOVERNANCE_BYTES_MAX {
            return Err(bad(format!("it is larger than {GOVERNANCE_BYTES_MAX} bytes")));
        }
        let versions: Versions =
            encoding::decode(&document).map_err(|error: Malformed| bad(error.to_string()))?;
        let history = History::check(versions).map_err(|error| bad(error.to_string()))?;
        if history.newest().signers.is_empty() {
            return Err(bad("it names no signer".into()));
        }
        Ok(Arc::new(history).into())
    }

    /// Replaces the governance, complete and synced.
    ///
    /// # Errors
    /// Whatever the disk refuses; the old one is there then.
    pub fn write_governance(&self, history: &History) -> Result<(), DirectoryError> {
        let path = self.path.join("governance.cbor");
        let passing = self.path.join("governance.cbor.new");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&passing)
            .and_then(|mut file| {
                file.write_all(&encoding::encode(history.versions())).and_then(|()| file.sync_all())
            })
            .and_then(|()| std::fs::rename(&passing, &path))
            .and_then(|()| File::open(&self.path)?.sync_all());
        written.map_err(disk("write", &path))
    }

    /// Writes down where the daemon listens, for tools on this machine.
    ///
    /// # Errors
    /// Whatever the disk refuses.
    pub fn write_listening(&self, api: SocketAddr, mail: SocketAddr) -> Result<(), DirectoryError> {
        let path = self.path.join("listening.toml");
        let passing = self.path.join("listening.toml.new");
        let text = format!("api_address = \"{api}\"\nmail_address = \"{mail}\"\n");
        let written = std::fs::write(&passing, text).and_then(|()| std::fs::rename(&passing, &path));
        written.map_err(disk("write", &path))
    }

    fn config_file(&self) -> PathBuf {
        self.path.join("coordinator.toml")
    }
}

/// Makes a file that only its owner reads, complete and synced, unless there is one of that name.
pub(crate) fn create_file(path: &Path, content: &[u8]) -> Result<(), DirectoryError> {
    if path.try_exists().map_err(disk("look for", path))? {
        return Ok(());
    }
    let passing = path.with_added_extension(format!("new-{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&passing)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::hard_link(&passing, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all())
        .map_err(disk("write", path));
    let removed = std::fs::remove_file(&passing).map_err(disk("remove", &passing));
    written.and(removed)
}

fn read_private_file(path: &Path, bytes_max: u64) -> Result<String, DirectoryError> {
    let file = File::open(path).map_err(disk("open", path))?;
    refuse_wide_permissions(path, &file.metadata().map_err(disk("inspect", path))?, 0o600)?;
    let mut content = String::new();
    file.take(bytes_max).read_to_string(&mut content).map_err(disk("read", path))?;
    Ok(content)
}

fn refuse_wide_permissions(
    path: &Path,
    metadata: &std::fs::Metadata,
    wanted: u32,
) -> Result<(), DirectoryError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DirectoryError::OpenToOthers { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    move |source| DirectoryError::Disk { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::init(&place.path().join("c"), &Config::default()).expect("made");
        (place, directory)
    }

    #[test]
    fn a_second_init_changes_nothing() {
        let (_place, directory) = made();
        let (pin, key) = (directory.identity().expect("there").pin(), directory.ledger_key().expect("there"));
        let other = Config { log: "trace".into(), ..Config::default() };
        let again = Directory::init(directory.path(), &other).expect("made again");
        assert_eq!(again.config().expect("read"), Config::default());
        assert_eq!(again.identity().expect("there").pin(), pin);
        assert_eq!(again.ledger_key().expect("there").public_line(), key.public_line());
    }

    #[test]
    fn two_daemons_never_share_a_directory() {
        let (_place, directory) = made();
        let lock = directory.lock().expect("free");
        assert!(matches!(directory.lock(), Err(DirectoryError::InUse(_))));
        drop(lock);
        assert!(directory.lock().is_ok());
    }

    #[test]
    fn secrets_that_others_may_read_are_refused() {
        let (_place, directory) = made();
        let key = directory.path().join("ledger.key");
        let widen = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("widened");
        };
        assert_eq!(std::fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
        widen(&key, 0o640);
        assert!(matches!(directory.ledger_key(), Err(DirectoryError::OpenToOthers { .. })));
        widen(directory.path(), 0o755);
        assert!(matches!(Directory::open(directory.path()), Err(DirectoryError::OpenToOthers { .. })));
    }

    #[test]
    fn a_missing_or_spoilt_governance_document_is_refused_and_says_what_to_do() {
        let (_place, directory) = made();
        let refusal = directory.trusted().expect_err("missing").to_string();
        assert!(refusal.contains("put the governance document there"), "{refusal}");
        std::fs::write(directory.path().join("governance.cbor"), b"nonsense").expect("written");
        assert!(matches!(directory.trusted(), Err(DirectoryError::BadGovernance { .. })));
    }
}
