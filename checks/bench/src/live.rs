//! A cluster of the shipped programs: one coordinator and three signers as processes of their own, with real
//! sockets and a real disk, in a directory that goes with the cluster.

pub mod api;
pub mod load;
pub mod machine;
pub mod transfers;

use anyhow::{Context as _, bail};
use api::Api;
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the daemons may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long they have to end by themselves.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How often something is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// The signers.
pub const SIGNERS: [&str; 3] = ["a", "b", "c"];

/// How the signers' ceremonies give way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// As they are made.
    Usual,
    /// With `ceremonies_yield`, for machines that do nothing but sign.
    Yield,
}

/// A running cluster of which any two of three signers sign. Its processes and files end with it.
pub struct Cluster {
    /// Its API, and who approves there.
    pub api: Api,
    signers: Vec<Child>,
    coordinator: Child,
    place: TempDir,
}

impl Cluster {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// When a program is missing, or a port or a directory cannot be had.
    pub fn start(priority: Priority) -> anyhow::Result<Self> {
        let place = tempfile::Builder::new().prefix("perennial-bench-").tempdir()?;
        let directory = place.path().join("cluster");
        let [api, mail] = free_addresses()?;
        let mut init = Command::new(program("perennial")?);
        init.args(["init", "--json", "--signers", "3", "--threshold", "2", "--dir"]).arg(&directory);
        let made = init.args(["--api", &api.to_string(), "--mail", &mail.to_string()]).output()?;
        if !made.status.success() {
            bail!("no cluster was made: {}", String::from_utf8_lossy(&made.stderr));
        }
        let coordinator =
            daemon("perennial-coordinator", &directory.join("coordinator"), &place.path().join("log"))?;
        let mut cluster = Self { api: Api::new(api, &directory)?, signers: Vec::new(), coordinator, place };
        for name in SIGNERS {
            let log = cluster.place.path().join(format!("log-{name}"));
            let directory = directory.join("signers").join(name);
            if priority == Priority::Yield {
                // The file ends with the section of what may be tuned.
                let mut settings = File::options().append(true).open(directory.join("signer.toml"))?;
                writeln!(settings, "ceremonies_yield = true")?;
            }
            let signer = daemon("perennial-signer", &directory, &log)?;
            cluster.signers.push(signer);
        }
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// A signer's directory.
    pub fn directory_of(&self, signer: &str) -> PathBuf {
        self.place.path().join("cluster/signers").join(signer)
    }

    /// The processes: the coordinator's, then the signers'.
    pub fn processes(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(&self.coordinator).chain(&self.signers).map(Child::id)
    }

    /// Runs the operator's tool. Gives how long that took, and what it says.
    ///
    /// # Errors
    /// When it fails.
    pub fn tool(&self, words: &[&str]) -> anyhow::Result<(Duration, serde_json::Value)> {
        let directory = self.place.path().join("cluster");
        let mut command = Command::new(program("perennial")?);
        command.args(words).arg("--json").arg("--dir").arg(directory);
        let begun = Instant::now();
        let output = command.output()?;
        let took = begun.elapsed();
        if !output.status.success() {
            bail!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok((took, serde_json::from_slice(&output.stdout)?))
    }

    /// The place of everything.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            for child in std::iter::once(&mut self.coordinator).chain(&mut self.signers) {
                if let Some(status) = child.try_wait()? {
                    bail!("a daemon ended with {status}; its last words: {}", last_words(self.place.path()));
                }
            }
            if let Ok(health) = self.api.get("/v1/health")
                && health["signers_connected"] == SIGNERS.len()
            {
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                bail!("the cluster is not ready in time; its last words: {}", last_words(self.place.path()));
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut children: Vec<&mut Child> =
            std::iter::once(&mut self.coordinator).chain(&mut self.signers).collect();
        children.iter().for_each(|child| machine::ask_to_end(child.id()));
        let asked = Instant::now();
        for child in &mut children {
            while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < END_WITHIN {
                std::thread::sleep(LOOK);
            }
            // Both fail only if it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program of ours, which is built beside this one.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.is_file() {
        bail!("{} is missing: build it with `cargo build --release --bin {name}`", path.display());
    }
    Ok(path)
}

fn daemon(name: &str, directory: &Path, log: &Path) -> anyhow::Result<Child> {
    let out = File::create(log)?;
    let mut command = Command::new(program(name)?);
    command.arg("run").arg("--dir").arg(directory);
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    command.spawn().with_context(|| format!("cannot start {name}"))
}

/// Two addresses that are free now.
fn free_addresses() -> anyhow::Result<[SocketAddr; 2]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (one, two) = (listen()?, listen()?);
    Ok([one.local_addr()?, two.local_addr()?])
}

fn last_words(place: &Path) -> String {
    let names = std::iter::once("log".to_owned()).chain(SIGNERS.map(|name| format!("log-{name}")));
    let last = names.filter_map(|name| {
        let text = std::fs::read_to_string(place.join(&name)).ok()?;
        Some(format!("{name}: {}", text.lines().next_back()?))
    });
    last.collect::<Vec<_>>().join("; ")
}
