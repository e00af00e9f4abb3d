//! `clients.toml`: who may use the API. It holds no secret, only digests of tokens and pins of certificates; whoever
//! changes it decides who gets in.
//!
//! It is written by `perennial-coordinator client add` and `revoke`, complete and in one step, so that a reader never
//! sees half of it. A file that is open to others, or says anything that is not understood, is refused as a whole.

use super::token::TokenDigest;
use perennial_daemon::identity::Pin;
use perennial_workflow::access::{CLIENTS_MAX, Client, Reach, Scope};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// How every tenant is written, those to come included. No tenant can have this name.
const EVERY_TENANT: &str = "*";
const HEADER: &str = "\
# Who may use the API. Written by `perennial-coordinator client add` and `client revoke`; read again at once.
# There is no secret here: token_sha256 is SHA-256 of a token, certificate_pin of a certificate's public key.

";

/// What a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A token with this digest.
    Token(TokenDigest),
    /// A TLS certificate with this pin.
    Certificate(Pin),
}

impl Proof {
    /// Whether it is the token with this digest.
    pub fn is_token(&self, digest: &TokenDigest) -> bool {
        matches!(self, Self::Token(own) if own == digest)
    }
}

/// A client as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What it may do.
    pub client: Client,
    /// By what it is known.
    pub proof: Proof,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: u64,
    /// How often it may ask, where that is not as usual.
    pub requests_per_second: Option<u32>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system, or who may read the file.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Others may read or change it.
    #[error("{path} is open to others (mode {mode:04o}): run `chmod 600 {path}`", path = path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It says something that is not understood.
    #[error("{path} is refused: {reason}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl FileError {
    /// The file was there, and is not any more.
    pub(super) fn gone(path: &Path) -> Self {
        disk("find", path)(io::ErrorKind::NotFound.into())
    }
}

/// By what a file is told from the one that was there before, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    node: (u64, u64),
    bytes: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    /// The version that is there; none if there is no file.
    ///
    /// # Errors
    /// [`FileError::Disk`].
    pub fn of(path: &Path) -> Result<Option<Self>, FileError> {
        match std::fs::metadata(path) {
            Ok(found) => Ok(Some(Self {
                node: (found.dev(), found.ino()),
                bytes: found.len(),
                written: (found.mtime(), found.mtime_nsec()),
                changed: (found.ctime(), found.ctime_nsec()),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(disk("look at", path)(source)),
        }
    }
}

/// The file as TOML has it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    client: Vec<WrittenClient>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenClient {
    name: String,
    scopes: Vec<String>,
    tenants: Vec<String>,
    token_sha256: Option<String>,
    certificate_pin: Option<String>,
    added_ms: u64,
    expires_ms: u64,
    requests_per_second: Option<u32>,
}

/// Reading and changing the file.
#[derive(Debug)]
pub struct ClientsFile;

impl ClientsFile {
    /// All clients; none if there is no file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(path: &Path) -> Result<Vec<Listed>, FileError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(disk("open", path)(source)),
        };
        let mode = file.metadata().map_err(disk("inspect", path))?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(FileError::OpenToOthers { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
        read.map_err(disk("read", path))?;
        let refused = |reason: String| FileError::Refused { path: path.to_owned(), reason };
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(refused(format!("it is larger than {FILE_BYTES_MAX} bytes")));
        }
        let written: Written = toml::from_str(&text).map_err(|error| refused(error.message().to_owned()))?;
        let listed = written.client.iter().map(understood).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        check(&listed).map_err(refused)?;
        Ok(listed)
    }

    /// Changes the list, and leaves the file as it was where `change` refuses. Two such changes wait for each other.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn change(
        path: &Path,
        change: impl FnOnce(&mut Vec<Listed>) -> Result<(), String>,
    ) -> Result<(), FileError> {
        let refused = |reason: String| FileError::Refused { path: path.to_owned(), reason };
        let lock_path = path.with_added_extension("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(disk("open", &lock_path))?;
        lock.lock().map_err(disk("lock", &lock_path))?;
        let mut listed = Self::read(path)?;
        change(&mut listed).and_then(|()| check(&listed)).map_err(refused)?;
        let written = Written { client: listed.iter().map(WrittenClient::from).collect() };
        let body = toml::to_string(&written).map_err(|error| refused(error.to_string()))?;
        replace(path, format!("{HEADER}{body}").as_bytes())
    }
}

/// Puts another content into the place of a file, complete and synced.
fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let passing = path.with_added_extension("new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&passing)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&passing, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all())
        .map_err(disk("write", path))
}

fn understood(written: &WrittenClient) -> Result<Listed, String> {
    let name = &written.name;
    let of = |what: &str, error: &dyn std::fmt::Display| format!("client {name:?}: {what}: {error}");
    let proof = match (&written.token_sha256, &written.certificate_pin) {
        (Some(digest), None) => Proof::Token(digest.parse().map_err(|error| of("token_sha256", &error))?),
        (None, Some(pin)) => Proof::Certificate(pin.parse().map_err(|error| of("certificate_pin", &error))?),
        _ => return Err(of("proof", &"expected token_sha256 or certificate_pin, one of the two")),
    };
    let scopes = written.scopes.iter().map(|scope| scope.parse::<Scope>());
    let scopes = scopes.collect::<Result<BTreeSet<_>, _>>().map_err(|error| of("scopes", &error))?;
    let client = Client {
        name: name.parse().map_err(|error| of("name", &error))?,
        scopes,
        reach: reach(&written.tenants).map_err(|error| of("tenants", &error))?,
        expires_ms: written.expires_ms,
    };
    if written.requests_per_second == Some(0) {
        return Err(of("requests_per_second", &"it must be at least 1"));
    }
    Ok(Listed { client, proof, added_ms: written.added_ms, requests_per_second: written.requests_per_second })
}

/// The tenants that are written: names, or `*` alone.
///
/// # Errors
/// What is wrong with them.
pub fn reach(tenants: &[String]) -> Result<Reach, String> {
    if tenants == [EVERY_TENANT] {
        return Ok(Reach::EveryTenant);
    }
    let names = tenants.iter().map(|name| name.parse().map_err(|error| format!("{error}")));
    let names: BTreeSet<_> = names.collect::<Result<_, String>>()?;
    if names.is_empty() {
        return Err(format!("expected names, or \"{EVERY_TENANT}\" alone for every tenant"));
    }
    Ok(Reach::Of(names))
}

/// The tenants in words.
pub fn tenants(reach: &Reach) -> Vec<String> {
    match reach {
        Reach::EveryTenant => vec![EVERY_TENANT.to_owned()],
        Reach::Of(tenants) => tenants.iter().map(ToString::to_string).collect(),
    }
}

/// No name, token or certificate twice.
fn check(listed: &[Listed]) -> Result<(), String> {
    if listed.len() > CLIENTS_MAX {
        return Err(format!("{} clients; at most {CLIENTS_MAX} are possible", listed.len()));
    }
    let (mut names, mut tokens, mut pins) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for Listed { client, proof, .. } in listed {
        let name = &client.name;
        let is_new = match proof {
            Proof::Token(digest) => tokens.insert(digest.beginning()),
            Proof::Certificate(pin) => pins.insert(*pin),
        };
        if !names.insert(name) {
            return Err(format!(
                "there are two clients {name}: revoke the one there is, or take another name"
            ));
        }
        if !is_new {
            return Err(format!("client {name} has the token or certificate of another one"));
        }
        if client.scopes.is_empty() {
            return Err(format!("client {name} has no scope: it could do nothing"));
        }
    }
    Ok(())
}

impl From<&Listed> for WrittenClient {
    fn from(listed: &Listed) -> Self {
        let Listed { client, proof, added_ms, requests_per_second } = listed;
        let (token_sha256, certificate_pin) = match proof {
            Proof::Token(digest) => (Some(digest.to_string()), None),
            Proof::Certificate(pin) => (None, Some(pin.to_string())),
        };
        Self {
            name: client.name.to_string(),
            scopes: client.scopes.iter().map(ToString::to_string).collect(),
            tenants: tenants(&client.reach),
            token_sha256,
            certificate_pin,
            added_ms: *added_ms,
            expires_ms: client.expires_ms,
            requests_per_second: *requests_per_second,
        }
    }
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Disk { action, path: path.to_owned(), source }
}
