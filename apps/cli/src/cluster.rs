//! A cluster on this machine as its directories: what is where, and the settings of the operator's tool.
//!
//! | path | what it is |
//! |---|---|
//! | `perennial.toml` | where the coordinator is, who starts plans and who approves them |
//! | `governance.cbor` | who approves what, and who the signers are |
//! | `operator.token` | with what the operator's tool comes to the coordinator's API |
//! | `NAME.key`, `NAME.key.pub` | the approver's SSH key |
//! | `coordinator/` | the coordinator's own directory |
//! | `signers/NAME/` | each signer's own directory |
//!
//! In earnest every signer is on a machine of its own, and so are coordinator and approvers.

use crate::failure::Failure;
use crate::token::Token;
use perennial_model::governance::history::History;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The file of the settings.
pub const SETTINGS_FILE: &str = "perennial.toml";
/// The file of the governance.
pub const GOVERNANCE_FILE: &str = "governance.cbor";
/// The file of the token for the API.
pub const TOKEN_FILE: &str = "operator.token";
/// The port of the API where nobody says otherwise.
pub const API_PORT: u16 = 7700;
/// The largest file of settings or governance that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What `perennial.toml` says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the coordinator's API listens.
    pub api: SocketAddr,
    /// Whose wallets these are.
    pub tenant: String,
    /// Who starts plans. Their own approval does not count.
    pub initiator: String,
    /// Who approves plans.
    pub approver: String,
    /// The approver's SSH key, a path from this file's directory.
    pub key: PathBuf,
    /// How many signers it takes to sign, for new wallets.
    pub threshold: u8,
}

/// A directory with or without settings in it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where it is.
    pub directory: PathBuf,
    /// What its settings say, if it has any.
    pub settings: Option<Settings>,
}

impl Cluster {
    /// Looks at a directory. One without settings is no error: the coordinator may be elsewhere.
    ///
    /// # Errors
    /// When the settings cannot be understood.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(SETTINGS_FILE);
        let settings = match read(&path)? {
            None => None,
            Some(bytes) => Some(parse(&path, &bytes)?),
        };
        Ok(Self { directory: directory.to_owned(), settings })
    }

    /// The settings, which a command cannot do without.
    pub fn settings(&self) -> Result<&Settings, Failure> {
        self.settings.as_ref().ok_or_else(|| {
            Failure::usage(
                format!("there is no {SETTINGS_FILE} in {}", self.directory.display()),
                "name a cluster's directory with --dir, or make one with `perennial init --dir DIR`",
            )
        })
    }

    /// Where the coordinator's API listens.
    pub fn api(&self) -> SocketAddr {
        let usual = (Ipv4Addr::LOCALHOST, API_PORT).into();
        self.settings.as_ref().map_or(usual, |settings| settings.api)
    }

    /// The token for the coordinator's API: the one in that file, or else the environment's, or else the one here.
    ///
    /// # Errors
    /// When a file that is there cannot be used.
    pub fn token(&self, named: Option<&Path>) -> Result<Option<Token>, Failure> {
        Token::find(named, &self.directory.join(TOKEN_FILE))
    }

    /// The governance as it is here, checked from its first version; none if there is no file.
    ///
    /// # Errors
    /// When the file is no sound governance.
    pub fn history(&self) -> Result<Option<History>, Failure> {
        crate::governance::installed(&self.directory.join(GOVERNANCE_FILE))
    }

    /// The coordinator's directory.
    pub fn coordinator(&self) -> PathBuf {
        self.directory.join("coordinator")
    }

    /// A signer's directory.
    pub fn signer(&self, name: &str) -> PathBuf {
        self.directory.join("signers").join(name)
    }
}

impl Settings {
    /// The file, with what each line is for.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("texts, numbers, an address and a path can all be written");
        format!("# Read by `perennial` when --dir names this directory. There is no secret here.\n{body}")
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Settings, Failure> {
    let text = String::from_utf8_lossy(bytes);
    toml::from_str(&text).map_err(|error| {
        Failure::local(
            format!("{} is not understood: {error}", path.display()),
            "correct the line, or make a new cluster with `perennial init`",
        )
    })
}

/// The content of a file, none if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file("open", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| Failure::file("read", path, &e))?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written_and_unknown_keys_are_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let settings = Settings {
            api: (Ipv4Addr::LOCALHOST, 7700).into(),
            tenant: "local".into(),
            initiator: "operator".into(),
            approver: "dana".into(),
            key: "dana.key".into(),
            threshold: 2,
        };
        let path = place.path().join(SETTINGS_FILE);
        assert_eq!(Cluster::open(place.path()).expect("empty").settings, None);
        std::fs::write(&path, settings.to_toml()).expect("written");
        let cluster = Cluster::open(place.path()).expect("read");
        assert_eq!(cluster.settings, Some(settings.clone()));
        std::fs::write(&path, format!("{}aip = 1\n", settings.to_toml())).expect("written");
        let refusal = Cluster::open(place.path()).expect_err("refused").to_string();
        assert!(refusal.contains("aip"), "{refusal}");
    }
}
