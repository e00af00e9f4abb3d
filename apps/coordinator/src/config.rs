//! What may be tuned: `coordinator.toml`, read once at the start and printed then.
//!
//! What is trusted is not in here: the governance document and the identity keys have files of their own
//! (`directory.rs`). Refuses keys that it does not know, addresses that other machines can reach (for the API: without
//! TLS), and numbers outside of their limits.

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
    /// Where the API listens. Loopback only, unless `tls` is configured. Port 0 takes any.
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
    /// How often the API may be asked, and who sees its figures.
    pub access: Access,
    /// With what the API proves who it is; without it, it speaks plain HTTP to this machine alone.
    pub tls: Option<Tls>,
}

/// How often the API may be asked, and who sees its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// How many requests a second one client may make in the long run, where `clients.toml` says nothing else.
    pub requests_per_second: u32,
    /// How many it may make at once after a pause.
    pub burst: u32,
    /// How many requests a minute from one address are told why they are not let in. Those who show the right token
    /// or certificate are let in all the same.
    pub failures_per_minute: u32,
    /// The most connections at a time.
    pub connections: usize,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
}

/// Who may read the figures at `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metrics {
    /// Nobody: there are none.
    Closed,
    /// Clients that may see what there is of every tenant.
    Clients,
    /// Whoever reaches the address.
    Anybody,
}

/// With what the API proves who it is (TLS 1.3). Paths are from the coordinator's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those that vouch for it, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// Whether clients are asked for certificates. None has to show one: a token will do.
    #[serde(default)]
    pub client_certificates: ClientCertificates,
}

/// Whether clients are asked for certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificates {
    /// They are; `clients.toml` names them by their pins.
    #[default]
    Asked,
    /// They are not.
    NotAsked,
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
    /// How long a signer that gives no sign of life is waited for before an attempt is left.
    pub patience_ms: u64,
    /// How long one is waited for that gives signs of life and does not answer.
    pub busy_patience_ms: u64,
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
/// The highest rate that can be set.
const RATE_MAX: u64 = 1_000_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            api_address: (Ipv4Addr::LOCALHOST, 7700).into(),
            mail_address: (Ipv4Addr::LOCALHOST, 7701).into(),
            log: "info".into(),
            ceremonies: Ceremonies::default(),
            signing: Signing::default(),
            access: Access::default(),
            tls: None,
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            requests_per_second: 500,
            burst: 1_000,
            failures_per_minute: 60,
            connections: 1_024,
            metrics: Metrics::Clients,
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
            busy_patience_ms: tuning.busy_patience_ms,
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
            busy_patience_ms,
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
            busy_patience_ms,
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
        if self.tls.is_none() {
            let why = "without [tls] the API speaks plain HTTP, and whoever listens on the way would have the tokens";
            loopback("api_address", self.api_address, why)?;
        }
        loopback("mail_address", self.mail_address, "signers elsewhere need a forwarder that you trust")?;
        let Ceremonies { chunk_wallets, attempts_in_flight, sessions_in_flight, session_ms, .. } =
            self.ceremonies;
        within("ceremonies.chunk_wallets", chunk_wallets.into(), 1, CHUNK_WALLETS_MAX.into())?;
        within("ceremonies.session_ms", session_ms, 1, SESSION_MS_MAX)?;
        for (key, number) in [
            ("ceremonies.attempts_in_flight", attempts_in_flight),
            ("ceremonies.sessions_in_flight", sessions_in_flight),
            ("signing.requests_in_flight", self.signing.requests_in_flight),
            ("access.connections", self.access.connections),
        ] {
            within(key, number as u64, 1, IN_FLIGHT_MAX as u64)?;
        }
        for (key, number) in [
            ("access.requests_per_second", self.access.requests_per_second),
            ("access.burst", self.access.burst),
            ("access.failures_per_minute", self.access.failures_per_minute),
        ] {
            within(key, number.into(), 1, RATE_MAX)?;
        }
        for (key, time_ms) in [
            ("ceremonies.opening_patience_ms", self.ceremonies.opening_patience_ms),
            ("ceremonies.patience_ms", self.ceremonies.patience_ms),
            ("ceremonies.busy_patience_ms", self.ceremonies.busy_patience_ms),
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
# Times are in milliseconds. mail_address must be a loopback address, and api_address too unless there is a [tls]
# section with certificate and key; port 0 takes any free port.
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
    fn with_a_certificate_the_api_may_be_reached_by_others_and_the_mail_still_not() {
        let tls = "[tls]\ncertificate = \"api.crt\"\nkey = \"api.key\"\n";
        let config = read(&format!("api_address = \"192.0.2.1:7700\"\n{tls}")).expect("read");
        let tls_read = config.tls.as_ref().expect("there");
        assert_eq!(tls_read.client_certificates, ClientCertificates::Asked);
        assert_eq!(toml::from_str::<Config>(&config.to_toml()).expect("read again"), config);
        assert!(read(&format!("mail_address = \"192.0.2.1:7700\"\n{tls}")).is_err());
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
            "[access]\nrequests_per_second = 0",
            "[access]\nconnections = 0",
            "[access]\nmetrics = \"open\"",
            "[tls]\ncertificate = \"api.crt\"",
            "[tls]\ncertificate = \"a\"\nkey = \"b\"\nclient_certificates = false",
            "api_address = 7",
            "api_address = ",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
