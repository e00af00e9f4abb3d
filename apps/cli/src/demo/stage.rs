//! The processes of the demo: one coordinator and the signers, each with a directory and an identity of its own,
//! on free ports of the loopback interface.
//!
//! Nothing is left behind: however this program ends, the processes end, and a directory that it made for itself
//! is removed. With `--keep` they stay, if all went well.

use crate::client::Client;
use crate::cluster::TOKEN_FILE;
use crate::failure::Failure;
use crate::init::{NewCluster, make};
use crate::operator::{Form, Operator};
use crate::process::{Bond, Running, on_interrupt};
use perennial_model::committee::SignerId;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a daemon may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often readiness is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// The exit status after an interrupt: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// Whether the cluster goes on after the demo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Afterwards {
    /// It ends with the demo.
    Ends,
    /// It goes on.
    Stays,
}

/// A running cluster.
pub struct Stage {
    /// Its coordinator, for whoever starts plans and approves them.
    pub operator: Operator,
    /// Its signers.
    pub signers: Vec<SignerId>,
    processes: Arc<Mutex<Processes>>,
    bond: Bond,
}

/// What has to end.
#[derive(Default)]
struct Processes {
    coordinator: Option<Running>,
    signers: Vec<(SignerId, Running)>,
    /// Directories that are removed when all have ended.
    passing: Vec<PathBuf>,
    /// Directories that are removed in any case.
    always_passing: Vec<PathBuf>,
}

impl Drop for Processes {
    fn drop(&mut self) {
        // All are asked first, so that they end together.
        self.coordinator.iter().for_each(Running::ask_to_end);
        self.signers.iter().for_each(|(_, running)| running.ask_to_end());
        self.signers.clear();
        self.coordinator = None;
        for directory in self.passing.iter().chain(&self.always_passing) {
            // Nothing depends on it any more; what cannot be removed is for the system to tidy.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl Stage {
    /// Makes a cluster in the directory, or in a passing one, and starts it. To be called by the main thread
    /// before any other is started.
    ///
    /// # Errors
    /// When a directory, a port or a daemon cannot be had.
    pub fn start(
        directory: Option<&Path>,
        signers: u8,
        threshold: u8,
        form: Form,
        afterwards: Afterwards,
    ) -> Result<Self, Failure> {
        let processes = Arc::new(Mutex::new(Processes::default()));
        let at_interrupt = processes.clone();
        on_interrupt(move || {
            drop(std::mem::take(&mut *lock(&at_interrupt)));
            eprintln!("\nperennial: interrupted; every process that the demo started has ended");
            std::process::exit(INTERRUPTED);
        })
        .map_err(|e| {
            Failure::local(format!("interrupts cannot be handled: {e}"), "look at the system's limits")
        })?;
        let directory = match directory {
            Some(directory) => directory.to_owned(),
            None => {
                let made = temporary("perennial-demo-")?;
                lock(&processes).passing.push(made.clone());
                made
            }
        };
        let [api, mail] = free_addresses()?;
        let new = NewCluster {
            signers,
            threshold,
            approver: name("dana"),
            initiator: name("operator"),
            tenant: "local".into(),
            api,
            mail,
        };
        let cluster = make(&directory, &new)?;
        let token = cluster.token(Some(&cluster.directory.join(TOKEN_FILE)))?;
        let client = Client::new(api, token)?;
        let operator = Operator { cluster, client, form };
        let bond = match afterwards {
            Afterwards::Ends => Bond::EndsWithUs,
            Afterwards::Stays => Bond::MayStay,
        };
        let names = crate::init::signer_names(signers, threshold)?;
        let stage = Self { operator, signers: names, processes, bond };
        stage.start_all()?;
        Ok(stage)
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.operator.cluster.directory
    }

    /// Whether they are removed when the cluster ends.
    pub fn is_passing(&self) -> bool {
        self.bond == Bond::EndsWithUs && !lock(&self.processes).passing.is_empty()
    }

    /// The coordinator's process and each signer's.
    pub fn pids(&self) -> (u32, Vec<(SignerId, u32)>) {
        let processes = lock(&self.processes);
        let signers = processes.signers.iter().map(|(name, running)| (name.clone(), running.pid()));
        (processes.coordinator.as_ref().map_or(0, Running::pid), signers.collect())
    }

    /// Refuses to go on if a daemon has ended by itself.
    ///
    /// # Errors
    /// With its last line.
    pub fn check(&self) -> Result<(), Failure> {
        let mut processes = lock(&self.processes);
        processes.coordinator.iter_mut().try_for_each(Running::check)?;
        processes.signers.iter_mut().try_for_each(|(_, running)| running.check())
    }

    /// Stops a signer, lets `meanwhile` work on its directory, and starts it again.
    ///
    /// # Errors
    /// When `meanwhile` fails, or the signer does not come back.
    pub fn interrupt_signer(
        &self,
        signer: &SignerId,
        meanwhile: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut processes = lock(&self.processes);
        let place = processes.signers.iter().position(|(name, _)| name == signer);
        let place = place.ok_or_else(|| Failure::local(format!("no signer {signer}"), "report this"))?;
        processes.signers[place].1.stop();
        meanwhile(&self.operator.cluster.signer(signer.as_str()))?;
        processes.signers[place].1 = self.start_signer(signer)?;
        drop(processes);
        self.wait_for_signers()
    }

    /// A new directory that nobody else may enter and that is removed in any case.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn passing_directory(&self) -> Result<PathBuf, Failure> {
        let made = temporary("perennial-copies-")?;
        lock(&self.processes).always_passing.push(made.clone());
        Ok(made)
    }

    /// Leaves everything running.
    pub fn leave(self) {
        let mut processes = std::mem::take(&mut *lock(&self.processes));
        processes.passing.clear();
        if let Some(coordinator) = processes.coordinator.take() {
            coordinator.leave();
        }
        processes.signers.drain(..).for_each(|(_, running)| running.leave());
    }

    /// Ends everything, and removes a passing directory.
    pub fn end(self) {
        drop(std::mem::take(&mut *lock(&self.processes)));
    }

    fn start_all(&self) -> Result<(), Failure> {
        let directory = self.operator.cluster.coordinator();
        let arguments: [&OsStr; 3] = ["run".as_ref(), "--dir".as_ref(), directory.as_ref()];
        let log = self.log("coordinator");
        let coordinator =
            Running::start("the coordinator", "perennial-coordinator", &arguments, &log, self.bond)?;
        lock(&self.processes).coordinator = Some(coordinator);
        for signer in &self.signers {
            let running = self.start_signer(signer)?;
            lock(&self.processes).signers.push((signer.clone(), running));
        }
        self.wait_for_signers()
    }

    fn start_signer(&self, signer: &SignerId) -> Result<Running, Failure> {
        let directory = self.operator.cluster.signer(signer.as_str());
        let arguments: [&OsStr; 3] = ["run".as_ref(), "--dir".as_ref(), directory.as_ref()];
        let shown_as = format!("signer {signer}");
        Running::start(&shown_as, "perennial-signer", &arguments, &self.log(signer.as_str()), self.bond)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}.log"))
    }

    /// Waits until the coordinator works and all signers are there.
    fn wait_for_signers(&self) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            self.check()?;
            let failure = match self.operator.client.health() {
                Ok(health) if health.signers_connected == health.signers => return Ok(()),
                Ok(health) => Failure::local(
                    format!("only {} of {} signers came", health.signers_connected, health.signers),
                    format!("read the logs in {}", self.directory().display()),
                ),
                Err(failure) => failure,
            };
            if begun.elapsed() > READY_WITHIN {
                return Err(failure);
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn temporary(prefix: &str) -> Result<PathBuf, Failure> {
    let made = tempfile::Builder::new().prefix(prefix).tempdir();
    Ok(made.map_err(|e| Failure::file("make", Path::new("a temporary directory"), &e))?.keep())
}

/// Two addresses that are free now. Whoever takes them meanwhile makes the coordinator say so.
fn free_addresses() -> Result<[SocketAddr; 2], Failure> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let refused = |e: std::io::Error| Failure::local(format!("no free port: {e}"), "close other programs");
    let (one, two) = (listen().map_err(refused)?, listen().map_err(refused)?);
    Ok([one.local_addr().map_err(refused)?, two.local_addr().map_err(refused)?])
}

fn name<T: std::str::FromStr>(text: &'static str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("the demo's own names follow the rule for names")
}

fn lock(processes: &Mutex<Processes>) -> MutexGuard<'_, Processes> {
    processes.lock().unwrap_or_else(PoisonError::into_inner)
}
