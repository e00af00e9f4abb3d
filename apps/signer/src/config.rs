//! The settings of one signer: `signer.toml` and `governance.cbor` in its directory, read once at the start.
//!
//! What this signer trusts ([`Trust`]) is apart from what may be tuned ([`Tune`]); nothing in the second can make
//! it less safe. Unknown keys are refused: a misspelt setting must not fall silent. There is no secret here.

use crate::private_file::{PrivateFileError, read_setting};
use perennial_daemon::identity::Pin;
use perennial_model::committee::SignerId;
use perennial_model::encoding;
use perennial_model::governance::history::{History, Versions};
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracing::level_filters::LevelFilter;

/// The file of the settings, inside the signer's directory.
pub const CONFIG_FILE: &str = "signer.toml";
/// The file of the governance: one canonical document, inside the signer's directory.
pub const GOVERNANCE_FILE: &str = "governance.cbor";

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// What this signer trusts.
    pub trust: Trust,
    /// What may be tuned.
    pub tune: Tune,
}

/// What this signer trusts: whoever can change this can change whom it obeys.
#[derive(Debug, Clone)]
pub struct Trust {
    /// This signer's name, if the file says it. Governance has the last word.
    pub signer: Option<SignerId>,
    /// Where the coordinator is. The address proves nothing; the pin does.
    pub coordinator: SocketAddr,
    /// Who the coordinator is.
    pub coordinator_pin: Pin,
    /// Approvers, quorums and signers.
    pub governance: History,
}

/// What may be tuned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tune {
    /// How much is logged.
    pub log: LevelFilter,
    /// How often the signer looks at its clock when no mail comes, in milliseconds.
    pub tick_ms: u64,
    /// How much memory the records of wallets may take as cache, in MiB.
    pub records_cache_mib: usize,
    /// Whether ceremonies run only where nothing else on the machine wants to.
    pub ceremonies_yield: bool,
    /// After how many hours of holding an epoch below what it signs under the signer warns.
    pub old_epoch_hours: u64,
}

impl Default for Tune {
    fn default() -> Self {
        Self {
            log: LevelFilter::INFO,
            tick_ms: TICK_MS,
            records_cache_mib: RECORDS_CACHE_MIB,
            ceremonies_yield: false,
            old_epoch_hours: OLD_EPOCH_HOURS,
        }
    }
}

/// The usual time between two looks at the clock, in milliseconds, and the longest.
const TICK_MS: u64 = 100;
const TICK_MS_MAX: u64 = 200;
/// The usual cache of the records, in MiB, and the largest.
const RECORDS_CACHE_MIB: usize = 16;
const RECORDS_CACHE_MIB_MAX: usize = 1024;

/// After how long an old epoch is warned about, usually, and at the longest: a year.
const OLD_EPOCH_HOURS: u64 = 24;
const OLD_EPOCH_HOURS_MAX: u64 = 365 * 24;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read, or others could change it.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// There is no such file yet.
    #[error("{path} is missing: {cure}", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        cure: &'static str,
    },
    /// A key is unknown, missing, or has a value that cannot be used.
    #[error("{path}{line}: {reason}", path = path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The line, as ` line N`, if it is known.
        line: String,
        /// What is wrong, with the key's name.
        reason: String,
    },
    /// The governance is no sound governance.
    #[error("{path}: {reason}; get the governance from those who approved it", path = path.display())]
    Governance {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    signer: Option<String>,
    coordinator: String,
    coordinator_pin: String,
    #[serde(default)]
    tune: WrittenTune,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenTune {
    log: Option<String>,
    tick_ms: Option<u64>,
    records_cache_mib: Option<usize>,
    ceremonies_yield: Option<bool>,
    old_epoch_hours: Option<u64>,
}

/// The name that a directory was made for, without asking whether the rest of the file is complete.
#[derive(Deserialize)]
struct NameOnly {
    signer: Option<String>,
}

impl Config {
    /// Reads both files.
    ///
    /// # Errors
    /// [`ConfigError`] with the file, the key and what to do.
    pub fn load(directory: &Path) -> Result<Self, ConfigError> {
        let path = directory.join(CONFIG_FILE);
        let text = read(
            &path,
            "run `perennial-signer init` in this directory, then set `coordinator` and `coordinator_pin`",
        )?;
        let (written, tune) = parse(&path, &text)?;
        let setting =
            |reason: String| ConfigError::Setting { path: path.clone(), line: String::new(), reason };
        let signer = written
            .signer
            .map(|name| name.parse().map_err(|e| setting(format!("key `signer`: {e}"))))
            .transpose()?;
        let coordinator = written.coordinator.parse().map_err(|_| {
            let shown: String = written.coordinator.chars().take(80).collect();
            setting(format!(
                "key `coordinator`: `{shown}` is no address; expected numbers as in 127.0.0.1:7300"
            ))
        })?;
        let coordinator_pin =
            written.coordinator_pin.parse().map_err(|e| setting(format!("key `coordinator_pin`: {e}")))?;
        let governance = load_governance(&directory.join(GOVERNANCE_FILE))?;
        Ok(Self { trust: Trust { signer, coordinator, coordinator_pin, governance }, tune })
    }

    /// The signer's name as `signer.toml` says it; none if there is no file, or no name in it.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read.
    pub fn name_in(directory: &Path) -> Result<Option<String>, ConfigError> {
        let path = directory.join(CONFIG_FILE);
        let bytes = match read_setting(&path) {
            Err(missing) if missing.is_missing() => return Ok(None),
            other => other?,
        };
        let named: NameOnly = toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|e| unusable(&path, &String::from_utf8_lossy(&bytes), &e))?;
        Ok(named.signer)
    }
}

/// The content of a new `signer.toml`.
pub fn template(signer: &SignerId, coordinator: Option<SocketAddr>, pin: Option<Pin>) -> String {
    let coordinator = match coordinator {
        Some(address) => format!("coordinator = \"{address}\""),
        None => "#coordinator = \"127.0.0.1:7300\"".to_owned(),
    };
    let pin = match pin {
        Some(pin) => format!("coordinator_pin = \"{pin}\""),
        None => "#coordinator_pin = \"the 64 digits that the coordinator prints\"".to_owned(),
    };
    format!(
        "# What this signer trusts. Beside it: {GOVERNANCE_FILE}, the approvers, quorums and signers.\n\
         signer = \"{signer}\"\n{coordinator}\n{pin}\n\n\
         # What may be tuned. These are the usual values.\n\
         [tune]\n#log = \"info\"\n#tick_ms = {TICK_MS}\n#records_cache_mib = {RECORDS_CACHE_MIB}\n\
         # On a machine that has nothing to do but sign: refreshes disturb signing less, and wait for as long as the\n\
         # processors are busy.\n#ceremonies_yield = false\n\
         # After so long an epoch that should be erased by now is warned about, whatever the coordinator says.\n\
         #old_epoch_hours = {OLD_EPOCH_HOURS}\n"
    )
}

impl fmt::Display for Tune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, tick_ms, records_cache_mib, ceremonies_yield, old_epoch_hours } = self;
        write!(f, "log {log}, tick_ms {tick_ms}, records_cache_mib {records_cache_mib}")?;
        write!(f, ", ceremonies_yield {ceremonies_yield}, old_epoch_hours {old_epoch_hours}")
    }
}

fn read(path: &Path, cure: &'static str) -> Result<Vec<u8>, ConfigError> {
    read_setting(path).map_err(|error| {
        if error.is_missing() { ConfigError::Missing { path: path.to_owned(), cure } } else { error.into() }
    })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<(Written, Tune), ConfigError> {
    let setting =
        |reason: String| ConfigError::Setting { path: path.to_owned(), line: String::new(), reason };
    let text = std::str::from_utf8(bytes).map_err(|e| setting(format!("it is no text in UTF-8: {e}")))?;
    let written: Written = toml::from_str(text).map_err(|e| unusable(path, text, &e))?;
    let usual = Tune::default();
    let tune = &written.tune;
    let log = match tune.log.as_deref() {
        None => usual.log,
        Some("error") => LevelFilter::ERROR,
        Some("warn") => LevelFilter::WARN,
        Some("info") => LevelFilter::INFO,
        Some("debug") => LevelFilter::DEBUG,
        Some(_) => return Err(setting("key `tune.log` is one of error, warn, info, debug".into())),
    };
    let tick_ms = tune.tick_ms.unwrap_or(usual.tick_ms);
    if !(1..=TICK_MS_MAX).contains(&tick_ms) {
        return Err(setting(format!("key `tune.tick_ms` is from 1 to {TICK_MS_MAX}")));
    }
    let records_cache_mib = tune.records_cache_mib.unwrap_or(usual.records_cache_mib);
    if !(1..=RECORDS_CACHE_MIB_MAX).contains(&records_cache_mib) {
        return Err(setting(format!("key `tune.records_cache_mib` is from 1 to {RECORDS_CACHE_MIB_MAX}")));
    }
    let ceremonies_yield = tune.ceremonies_yield.unwrap_or(usual.ceremonies_yield);
    let old_epoch_hours = tune.old_epoch_hours.unwrap_or(usual.old_epoch_hours);
    if !(1..=OLD_EPOCH_HOURS_MAX).contains(&old_epoch_hours) {
        return Err(setting(format!("key `tune.old_epoch_hours` is from 1 to {OLD_EPOCH_HOURS_MAX}")));
    }
    let tune = Tune { log, tick_ms, records_cache_mib, ceremonies_yield, old_epoch_hours };
    Ok((written, tune))
}

fn unusable(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line =
        error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count());
    let line = line.map(|before| format!(" line {}", before + 1)).unwrap_or_default();
    ConfigError::Setting { path: path.to_owned(), line, reason: error.message().to_owned() }
}

fn load_governance(path: &Path) -> Result<History, ConfigError> {
    let bytes = read(path, "put the governance there; every signer pins it")?;
    let unsound = |reason: String| ConfigError::Governance { path: path.to_owned(), reason };
    let versions: Versions = encoding::decode(&bytes).map_err(|e| unsound(e.to_string()))?;
    History::check(versions).map_err(|e| unsound(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "coordinator = \"127.0.0.1:7300\"\ncoordinator_pin = \"00\"\n";

    fn refusal(text: &str) -> String {
        match parse(Path::new("signer.toml"), text.as_bytes()) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_misspelt_or_missing_key_is_named() {
        let unknown = refusal(&format!("{GOOD}cordinator = 1\n"));
        assert!(unknown.contains("`cordinator`") && unknown.contains("line 3"), "{unknown}");
        let unknown = refusal(&format!("{GOOD}[tune]\nlogg = 1\n"));
        assert!(unknown.contains("`logg`") && unknown.contains("line 4"), "{unknown}");
        assert!(refusal("coordinator = \"127.0.0.1:1\"").contains("`coordinator_pin`"));
    }

    #[test]
    fn values_outside_their_range_are_refused_with_the_range() {
        for (line, words) in [
            ("log = \"loud\"", "error, warn, info, debug"),
            ("tick_ms = 0", "from 1 to 200"),
            ("tick_ms = 201", "from 1 to 200"),
            ("records_cache_mib = 0", "from 1 to 1024"),
            ("ceremonies_yield = 1", "boolean"),
            ("old_epoch_hours = 0", "from 1 to 8760"),
            ("old_epoch_hours = 8761", "from 1 to 8760"),
        ] {
            let text = refusal(&format!("{GOOD}[tune]\n{line}\n"));
            assert!(text.contains(words), "{text}");
        }
        let (_, tune) = parse(Path::new("signer.toml"), GOOD.as_bytes()).expect("accepted");
        assert_eq!(tune, Tune::default());
        let text = format!("{GOOD}[tune]\nceremonies_yield = true\n");
        let (_, tune) = parse(Path::new("signer.toml"), text.as_bytes()).expect("accepted");
        assert_eq!(tune, Tune { ceremonies_yield: true, ..Tune::default() });
    }

    #[test]
    fn the_template_is_read_back() {
        let name: SignerId = "a".parse().expect("a name");
        let pin: Pin = "ab".repeat(32).parse().expect("a pin");
        let text = template(&name, Some(([127, 0, 0, 1], 7300).into()), Some(pin));
        let (written, tune) = parse(Path::new("signer.toml"), text.as_bytes()).expect("accepted");
        assert_eq!(written.signer.as_deref(), Some("a"));
        assert_eq!(written.coordinator_pin, pin.to_string());
        assert_eq!(tune, Tune::default());
        let shown = template(&name, None, None);
        let settings = shown.lines().filter(|line| !line.starts_with("# "));
        let uncommented: String =
            settings.map(|line| format!("{}\n", line.trim_start_matches('#'))).collect();
        assert!(parse(Path::new("signer.toml"), uncommented.as_bytes()).is_ok(), "{uncommented}");
    }
}
