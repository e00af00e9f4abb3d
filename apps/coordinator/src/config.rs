//! What may be tuned: `coordinator.toml`, read once at the start and printed then.
//!
//! What is trusted is not in here: the governance document and the identity keys have files of their own
//! (`directory.rs`). Refuses keys that it does not know, addresses that other machines can reach, and numbers
//! outside of their limits.

use perennial_model::plan::CHUNK_WALLETS_MAX;
use perennial_model::session::SESSION_MS_MAX;
use perennial_workflow::Tuning;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the API listens. Loopback only, as long as the API has no authentication. Port 0 takes any.
    pub api_address: SocketAddr,
    /// Where signers fetch and post mail. Loopback only. Port 0 takes any.
    pub mail_address: SocketAddr,
    /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, or rules such as
    /// `info,perennial_coordinator=debug`.
    pub log: String,
    /// Ceremonies.
    pub ceremonies: Ceremonies,
    /// Signing requests.
    pub signing: Signing,
}

/// How ceremonies are run. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ceremonies {
    /// The most wallets in a chunk.
    pub chunk_wallets: u32,
    /// The most attempts of one ceremony before their Activation at a time.
    pub attempts_in_flight: usize,
    /// The most probe sessions at a time.
    pub sessions_in_flight: usize,
    /// How long a probe session is waited for.
    pub session_ms: u64,
    /// How long a silent member is waited for when enough others have opened.
    pub opening_patience_ms: u64,
    /// How long a silent signer is waited for before an attempt is left.
    pub patience_ms: u64,
    /// After how long a silent signer is asked for the second time; it doubles from there.
    pub ask_again_ms: u64,
    /// The longest time between two asks.
    pub ask_again_max_ms: u64,
    /// How often it is looked at what is due under mandates.
    pub schedule_ms: u64,
}

/// How signing requests are served. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signing {
    /// How long one session is waited for before the next one is tried.
    pub attempt_ms: u64,
    /// How long a request may take in all.
    pub request_ms: u64,
    /// The most requests at a time; more are refused at once.
    pub requests_in_flight: usize,
}

/// The longest time limit that can be set, in milliseconds: one day.
const TIME_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// The most requests, attempts or sessions that can be allowed at a time.
const IN_FLIGHT_MAX: usize = 10_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            api_address: (Ipv4Addr::LOCALHOST, 7700).into(),
            mail_address: (Ipv4Addr::LOCALHOST, 7701).into(),
            log: "info".into(),
            ceremonies: Ceremonies::default(),
            signing: Signing::default(),
        }
    }
}

impl Default for Ceremonies {
    fn default() -> Self {
        let tuning = Tuning::default();
        Self {
            chunk_wallets: tuning.chunk_wallets,
            attempts_in_flight: tuning.attempts_in_flight,
            sessions_in_flight: tuning.sessions_in_flight,
            session_ms: tuning.session_ms,
            opening_patience_ms: tuning.opening_patience_ms,
            patience_ms: tuning.patience_ms,
            ask_again_ms: tuning.ask_again_ms,
            ask_again_max_ms: tuning.ask_again_max_ms,
            schedule_ms: tuning.schedule_ms,
        }
    }
}

impl Default for Signing {
    fn default() -> Self {
        Self { attempt_ms: 2_000, request_ms: 10_000, requests_in_flight: 256 }
    }
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not there or cannot be read.
    #[error("cannot read {path}: {source}; make it with `perennial-coordinator init`", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is no TOML, has an unknown key, or a value of the wrong type.
    #[error("{path} is not understood: {reason}", path = path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// A value outside of its limits.
    #[error("{key} = {value} is refused: {rule}")]
    Refused {
        /// The key with its section.
        key: &'static str,
        /// What stands there.
        value: String,
        /// The rule, and what to do.
        rule: String,
    },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`] with what is wrong and what to do.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::NotUnderstood {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// The file as it is written for a new coordinator: everything at its default.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("numbers, texts and addresses can all be written");
        format!("{HEADER}{body}")
    }

    /// How ceremonies are run.
    pub fn tuning(&self) -> Tuning {
        let Ceremonies {
            chunk_wallets,
            attempts_in_flight,
            sessions_in_flight,
            session_ms,
            opening_patience_ms,
            patience_ms,
            ask_again_ms,
            ask_again_max_ms,
            schedule_ms,
        } = self.ceremonies;
        Tuning {
            chunk_wallets,
            attempts_in_flight,
            sessions_in_flight,
            session_ms,
            opening_patience_ms,
            patience_ms,
            ask_again_ms,
            ask_again_max_ms,
            schedule_ms,
        }
    }

    /// The refusal of [`Config::log`].
    pub fn log_refused(&self, rule: &str) -> ConfigError {
        ConfigError::Refused { key: "log", value: self.log.clone(), rule: rule.to_owned() }
    }

    /// Checks every value against its limits.
    ///
    /// # Errors
    /// [`ConfigError::Refused`].
    pub fn check(&self) -> Result<(), ConfigError> {
        loopback("api_address", self.api_address, "the API has no authentication yet")?;
        loopback("mail_address", self.mail_address, "signers elsewhere need a forwarder that you trust")?;
        let Ceremonies { chunk_wallets, attempts_in_flight, sessions_in_flight, session_ms, .. } =
            self.ceremonies;
        within("ceremonies.chunk_wallets", chunk_wallets.into(), 1, CHUNK_WALLETS_MAX.into())?;
        within("ceremonies.session_ms", session_ms, 1, SESSION_MS_MAX)?;
        for (key, number) in [
            ("ceremonies.attempts_in_flight", attempts_in_flight),
            ("ceremonies.sessions_in_flight", sessions_in_flight),
            ("signing.requests_in_flight", self.signing.requests_in_flight),
        ] {
            within(key, number as u64, 1, IN_FLIGHT_MAX as u64)?;
        }
        for (key, time_ms) in [
            ("ceremonies.opening_patience_ms", self.ceremonies.opening_patience_ms),
            ("ceremonies.patience_ms", self.ceremonies.patience_ms),
            ("ceremonies.ask_again_ms", self.ceremonies.ask_again_ms),
            ("ceremonies.ask_again_max_ms", self.ceremonies.ask_again_max_ms),
            ("ceremonies.schedule_ms", self.ceremonies.schedule_ms),
            ("signing.request_ms", self.signing.request_ms),
        ] {
            within(key, time_ms, 1, TIME_MS_MAX)?;
        }
        within("signing.attempt_ms", self.signing.attempt_ms, 1, self.signing.request_ms)
    }
}

const HEADER: &str = "\
# What may be tuned. What is trusted stands elsewhere: governance.cbor, identity/ and ledger.key.
# Times are in milliseconds. Both addresses must be loopback addresses; port 0 takes any free port.
# A key that is left out has the value below; a key that is not known is refused.

";

fn loopback(key: &'static str, address: SocketAddr, why: &str) -> Result<(), ConfigError> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let rule = format!("{why}, so it must be a loopback address such as 127.0.0.1:7700");
    Err(ConfigError::Refused { key, value: address.to_string(), rule })
}

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let rule = format!("it must lie between {least} and {most}");
    Err(ConfigError::Refused { key, value: value.to_string(), rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("coordinator.toml");
        std::fs::write(&path, text).expect("written");
        Config::read(&path)
    }

    #[test]
    fn the_written_defaults_are_read_as_the_defaults() {
        assert_eq!(read(&Config::default().to_toml()).expect("read"), Config::default());
        assert_eq!(read("").expect("read"), Config::default());
    }

    #[test]
    fn an_address_that_other_machines_reach_is_refused() {
        for key in ["api_address", "mail_address"] {
            for address in ["0.0.0.0:7700", "[::]:7700", "192.0.2.1:7700"] {
                let refusal = read(&format!("{key} = \"{address}\"")).expect_err("refused").to_string();
                assert!(refusal.contains(key) && refusal.contains("loopback"), "{refusal}");
            }
        }
        assert!(read("api_address = \"[::1]:0\"").is_ok());
    }

    #[test]
    fn an_unknown_key_and_a_number_outside_of_its_limits_are_refused() {
        for text in [
            "apiaddress = \"127.0.0.1:1\"",
            "[signing]\nattempt = 3",
            "[signing]\nattempt_ms = 0",
            "[signing]\nattempt_ms = 20000",
            "[signing]\nrequests_in_flight = 0",
            "[ceremonies]\nchunk_wallets = 257",
            "[ceremonies]\npatience_ms = 99999999999",
            "[ceremonies]\nsession_ms = -1",
            "api_address = 7",
            "api_address = ",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
