//! One signer at work: it takes up what is on disk, then runs two lanes until it is asked to stop.
//!
//! The ceremony lane owns the keeper and its store, and runs at the lowest priority; the signing lane owns the
//! desk and its store. They share no lock. Changes go from the keeper to the desk as messages, and the keeper
//! waits for one answer only: that no session runs any more under epochs that it is about to erase. The signing
//! lane never waits for the ceremony lane.

mod ages;
mod ceremony;
mod post;
mod signing;

use crate::clock::{Clock, system_random};
use crate::config::{Config, ConfigError, GOVERNANCE_FILE};
use crate::ending::{ExitStatus, Failure};
use crate::keys::{KeyError, Keys, identity_digits};
use crate::mailbox::Client;
use crate::private_file::{PrivateFileError, check_directory};
use crate::process::{DirectoryLock, LockError, end_now};
use crate::store::{self, Owner, StoreRefused, Stores};
use ages::Ages;
use ceremony::{CeremonyEvent, CeremonyLane, DeskHandle};
use perennial_custody::governing::recorded_governance;
use perennial_custody::keeper::{Keeper, LoadFailed, Own};
use perennial_custody::pinned::Pinned;
use perennial_custody::signing::Desk;
use perennial_custody::store::{Store, StoreFailed, Table};
use perennial_custody::witness::{self, Clear, Standing};
use perennial_daemon::identity::{Identity, IdentityError};
use perennial_daemon::priority::{ceremonies_yield_to_all, run_as_soon_as_woken};
use perennial_model::committee::SignerId;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::identity::IdentityKey;
use post::Post;
use signing::{SigningEvent, SigningLane};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How many items of signing mail, and changes, wait for the desk.
const SIGNING_EVENTS_MAX: usize = 256;
/// How many items of ceremony mail wait for the keeper. An item may be large.
const CEREMONY_EVENTS_MAX: usize = 8;
/// How many words of the signing lane wait for the keeper.
const URGENT_MAX: usize = 64;

/// Why a signer does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory or a file in it is open to others, or missing.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Another process works in the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key is missing.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The transport identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Governance and this directory do not fit.
    #[error("{0}")]
    Governance(String),
    /// The store is not this signer's, or not whole.
    #[error(transparent)]
    Store(#[from] StoreRefused),
    /// The records cannot be taken up.
    #[error(transparent)]
    Load(#[from] LoadFailed),
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl From<StoreFailed> for StartError {
    fn from(failed: StoreFailed) -> Self {
        Self::Store(failed.into())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let status = match &error {
            StartError::Lock(LockError::InUse { .. }) => ExitStatus::AlreadyRunning,
            StartError::Store(StoreRefused::Disk(_)) | StartError::Load(LoadFailed::Store(_)) => {
                ExitStatus::DiskFailed
            }
            StartError::Store(StoreRefused::OtherSigner { .. } | StoreRefused::Incomplete { .. })
            | StartError::Load(LoadFailed::Records(_)) => ExitStatus::WrongStore,
            StartError::System { .. } => ExitStatus::System,
            _ => ExitStatus::Setup,
        };
        Self::new(status, error)
    }
}

/// Runs the signer of this directory until SIGTERM or SIGINT. `begin_log` is called once the settings are read.
///
/// # Errors
/// [`StartError`] when it cannot start. A failure after the start ends the process.
pub fn run(
    directory: &Path,
    begin_log: impl FnOnce(&Config) -> Result<(), String>,
) -> Result<(), StartError> {
    let signals = Signals::begin()?;
    check_directory(directory)?;
    let _lock = DirectoryLock::take(directory)?;
    let config = Config::load(directory)?;
    let refused = |e: String| StartError::System { action: "begin the log", source: io::Error::other(e) };
    begin_log(&config).map_err(refused)?;
    let keys = Keys::load(directory)?;
    let identity = Identity::load_or_create(directory)?;
    let me = name_in_governance(&config, &keys.identity_key(), &identity)?;
    let owner = Owner {
        signer: me.clone(),
        identity_key: keys.identity_key(),
        wrapping_check: keys.wrapping_check(),
    };
    run_as_soon_as_woken();
    if config.tune.ceremonies_yield {
        ceremonies_yield_to_all();
    }
    let mut stores = store::open(directory, &owner, config.tune.records_cache_mib << 20)?;
    let governance = newest_governance(&config, &mut stores)?;
    announce(&config, &governance, &owner, &identity);
    let pinned = Pinned::new(me.clone(), governance).map_err(|e| StartError::Governance(e.to_string()))?;
    let (statements, wrapping) = keys.into_use(me);
    let own = Own { identity: Arc::new(statements), wrapping: Arc::new(wrapping), pinned: Arc::new(pinned) };
    Running::start(&config, &identity, own, stores)?.until_stopped(signals)
}

/// Clears the halt of the signer of this directory, which does not run, and says what it cleared.
///
/// # Errors
/// [`StartError`] while the signer runs, and when its files cannot be read or written.
pub fn clear_halt(directory: &Path, clear: Clear) -> Result<Standing, StartError> {
    check_directory(directory)?;
    let _lock = DirectoryLock::take(directory)?;
    let config = Config::load(directory)?;
    let keys = Keys::load(directory)?;
    let identity = Identity::load_or_create(directory)?;
    let owner = Owner {
        signer: name_in_governance(&config, &keys.identity_key(), &identity)?,
        identity_key: keys.identity_key(),
        wrapping_check: keys.wrapping_check(),
    };
    let mut stores = store::open(directory, &owner, config.tune.records_cache_mib << 20)?;
    let standing = witness::standing(&stores.keeper.all(Table::Ledger)?).map_err(LoadFailed::Records)?;
    if standing.halt.is_some() {
        witness::clear(&mut stores.keeper, clear)?;
    }
    Ok(standing)
}

/// Both lanes and the way to stop them.
struct Running {
    client: Arc<Client>,
    stop: Arc<AtomicBool>,
    to_signing: SyncSender<SigningEvent>,
    to_ceremony: SyncSender<CeremonyEvent>,
    ceremony: JoinHandle<()>,
    signing: JoinHandle<()>,
}

impl Running {
    fn start(config: &Config, identity: &Identity, own: Own, stores: Stores) -> Result<Self, StartError> {
        let Stores { keeper: mut keeper_store, mut sessions } = stores;
        let clock = Clock::default();
        let mut desk = Desk::load(own.clone(), &mut sessions)?;
        let turn = Keeper::load(own.clone(), clock.now_ms(), &mut keeper_store)?;
        let mut saved = turn.save(&mut keeper_store, &mut desk)?;
        // A ban that the desk made durable may not have reached the keeper before the last end.
        let banned: Vec<SignerId> = desk.banned().cloned().collect();
        for counterparty in banned {
            tracing::warn!("the pair with {counterparty} is banned: people have to decide");
            let excluded = saved.keeper.exclude(&counterparty).save(&mut keeper_store, &mut desk)?;
            saved.keeper = excluded.keeper;
            saved.mail.extend(excluded.mail);
        }
        announce_records(&saved.keeper);

        let (to_signing, signing_events) = sync_channel(SIGNING_EVENTS_MAX);
        let (to_ceremony, ceremony_events) = sync_channel(CEREMONY_EVENTS_MAX);
        let (to_urgent, urgent) = sync_channel(URGENT_MAX);
        let thread = |source| StartError::System { action: "start a thread", source };
        let trust = &config.trust;
        let client = Client::connect(
            trust.coordinator,
            identity,
            trust.coordinator_pin,
            to_signing.clone(),
            to_ceremony.clone(),
        );
        let client = Arc::new(client.map_err(thread)?);
        let stop = Arc::new(AtomicBool::new(false));
        let tick = Duration::from_millis(config.tune.tick_ms);
        let signing = SigningLane {
            desk,
            store: sessions,
            random: system_random(),
            clock: clock.clone(),
            post: Post::signing(Arc::clone(&client)),
            to_urgent,
            to_ceremony: to_ceremony.clone(),
            handed: Default::default(),
            untold_bans: Vec::new(),
            tick,
        };
        let ceremony = CeremonyLane {
            store: keeper_store,
            random: system_random(),
            clock,
            post: Post::ceremony(Arc::clone(&client)),
            desk: DeskHandle::new(to_signing.clone()),
            urgent,
            stop: Arc::clone(&stop),
            tick,
            ages: Ages::new(config.tune.old_epoch_hours),
        };
        ceremony.post.send(saved.mail);
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let signing = named("signing").spawn(move || signing.run(&signing_events)).map_err(thread)?;
        let keeper = saved.keeper;
        let ceremony =
            named("ceremony").spawn(move || ceremony.run(keeper, &ceremony_events)).map_err(thread)?;
        Ok(Self { client, stop, to_signing, to_ceremony, ceremony, signing })
    }

    /// Waits for SIGTERM or SIGINT, lets both lanes finish the turn that they are in, and ends them: first the
    /// ceremony lane, which may be waiting for an answer of the other.
    fn until_stopped(self, signals: Signals) -> Result<(), StartError> {
        tracing::info!("ready");
        let name = signals.wait();
        tracing::info!("{name}: finishing the turn that runs");
        self.stop.store(true, Relaxed);
        // If the lane has no room for the word, it is busy, and looks at the flag after its turn.
        let _ = self.to_ceremony.try_send(CeremonyEvent::Wake);
        join(self.ceremony);
        // The signing lane always takes its events; if it is gone, it has ended already.
        let _ = self.to_signing.send(SigningEvent::Stop);
        join(self.signing);
        drop(self.client);
        tracing::info!("stopped");
        Ok(())
    }
}

/// SIGTERM and SIGINT, remembered from the moment at which this is made.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn begin() -> Result<Self, StartError> {
        let system = |source| StartError::System { action: "wait for signals", source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
        let entered = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(system)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(system)?;
        drop(entered);
        Ok(Self { runtime, terminate, interrupt })
    }

    /// Waits for one of them, and gives its name.
    fn wait(mut self) -> &'static str {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
            }
        })
    }
}

fn join(lane: JoinHandle<()>) {
    if lane.join().is_err() {
        end_now(&Failure::new(ExitStatus::Bug, "a lane ended by a bug"));
    }
}

/// This signer's name: the one that governance gives to its identity key.
fn name_in_governance(
    config: &Config,
    key: &IdentityKey,
    identity: &Identity,
) -> Result<SignerId, StartError> {
    let versions = &config.trust.governance.versions().0;
    let names_me =
        |version: &&ApprovedGovernance| version.governance.signers.iter().any(|known| known.key == *key);
    // A signer that was removed erases what it is told to; nobody else accepts a word of it.
    let version = versions.iter().rev().find(names_me).or(versions.last());
    let signers = version.map(|version| version.governance.signers.as_slice()).unwrap_or_default();
    let own: Vec<_> = signers.iter().filter(|signer| signer.key == *key).collect();
    let refuse = |reason: String| Err(StartError::Governance(reason));
    let [known] = own.as_slice() else {
        let names: Vec<&str> = signers.iter().map(|signer| signer.signer.as_str()).collect();
        return refuse(format!(
            "governance names this signer's identity key {} {} times, not once (its signers: {}); it takes the line \
             that `perennial-signer init` prints",
            identity_digits(key),
            own.len(),
            names.join(", ")
        ));
    };
    if let Some(name) = &config.trust.signer
        && *name != known.signer
    {
        return refuse(format!(
            "signer.toml says that this is signer `{name}`, but governance gives its identity key to `{}`; mend the \
             one that is wrong",
            known.signer
        ));
    }
    if known.transport_pin.to_string() != identity.pin().to_string() {
        return refuse(format!(
            "governance gives signer `{}` the transport pin {}, but transport.key here has {}; mend the one that is \
             wrong",
            known.signer,
            known.transport_pin,
            identity.pin()
        ));
    }
    Ok(known.signer.clone())
}

/// The newest governance that this signer has seen: in its directory, or by mail. One continues the other.
fn newest_governance(config: &Config, stores: &mut Stores) -> Result<History, StartError> {
    let given = config.trust.governance.clone();
    match recorded_governance(&mut stores.keeper)? {
        None => Ok(given),
        Some(recorded) => recorded.newer(given).map_err(|e| {
            StartError::Governance(format!(
                "{GOVERNANCE_FILE} is not what this signer has worked under: {e}; put back the one that its approvers \
                 signed"
            ))
        }),
    }
}

fn announce(config: &Config, governance: &History, owner: &Owner, identity: &Identity) {
    let trust = &config.trust;
    tracing::info!(
        signer = %owner.signer,
        identity_key = identity_digits(&owner.identity_key),
        transport_pin = %identity.pin(),
        coordinator = %trust.coordinator,
        coordinator_pin = %trust.coordinator_pin,
        governance = governance.newest().version,
        governance_digest = %governance.newest_digest(),
        genesis_digest = %governance.first_digest(),
        "trusts"
    );
    tracing::info!("tuned: {}", config.tune);
}

/// Says what was found on the disk, and what of it is damaged.
fn announce_records(keeper: &Keeper) {
    let wallets = keeper.wallets().count();
    tracing::info!(wallets, "the records are taken up");
    if let Some(reason) = keeper.halted() {
        tracing::error!("HALTED: {reason}; `perennial-signer clear-halt` once it is known why");
    }
    for (wallet, epoch) in keeper.damaged() {
        tracing::error!(
            "the share of {wallet} epoch {epoch} does not open: its slot is damaged; refresh the wallet"
        );
    }
    for (counterparty, epoch) in keeper.damaged_bases() {
        tracing::error!(
            "the pair base with {counterparty} for epoch {epoch} does not open: its slot is damaged; refresh the ECDSA \
             wallets"
        );
    }
}
