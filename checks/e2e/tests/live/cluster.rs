//! A coordinator and signers as processes: made by their own programs, started, killed, stopped, and limited in
//! what they may write.

use crate::api::Api;
use crate::governance::{Dana, identity};
use crate::people::{LOOK, PATIENCE};
use perennial_model::encoding;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;
use tempfile::TempDir;

/// The programs under test.
pub const SIGNER: &str = env!("CARGO_BIN_EXE_signer_under_test");
pub const COORDINATOR: &str = env!("CARGO_BIN_EXE_coordinator_under_test");
pub const OPERATOR: &str = env!("CARGO_BIN_EXE_operator_under_test");

/// The name of the coordinator among the processes.
pub const THE_COORDINATOR: &str = "coordinator";

/// The file of the operator's token.
pub const TOKEN_FILE: &str = "operator.token";
/// What a client can be allowed.
pub const ALL_SCOPES: &str = "read,submit,sign,audit";

/// Ports from here to [`PORTS_END`] are given to nobody by the system of its own accord, so that a coordinator finds
/// its own again when it is started anew.
const PORTS_BEGIN: u16 = 20_000;
const PORTS_END: u16 = 30_000;

/// How much is logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Log {
    Usual,
    Everything,
}

/// A running cluster; it ends when this is dropped.
pub struct Cluster {
    place: TempDir,
    pub dana: Dana,
    pub signers: Vec<String>,
    pub api: Api,
    running: BTreeMap<String, Running>,
}

/// A process, and the thread that copies what it says into a file: its own limits do not count there.
struct Running {
    child: Child,
    listener: JoinHandle<()>,
}

impl Cluster {
    /// A coordinator and signers of these names, all ready.
    pub fn running(signers: &[&str]) -> Self {
        Self::logging(signers, Log::Usual)
    }

    pub fn logging(signers: &[&str], log: Log) -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let dana = Dana::new(*b"the seed of dana's approving key");
        let address = make(place.path(), signers, log, &dana);
        let token = add_client(place.path(), "operator", ALL_SCOPES, "*");
        // Where the operator's tool finds it.
        write(&place.path().join(TOKEN_FILE), token.as_bytes());
        let mut cluster = Self {
            api: Api::new(address, Some(token)),
            place,
            dana,
            signers: signers.iter().map(ToString::to_string).collect(),
            running: BTreeMap::new(),
        };
        cluster.start(THE_COORDINATOR);
        signers.iter().for_each(|signer| cluster.start(signer));
        cluster.wait_until_ready();
        cluster
    }

    /// Adds a client of the API, and gives its token.
    pub fn add_client(&self, name: &str, scopes: &str, tenants: &str) -> String {
        add_client(self.place(), name, scopes, tenants)
    }

    /// What `perennial-coordinator client` prints; it has to succeed.
    pub fn client(&self, words: &[&str]) -> String {
        let directory = self.directory(THE_COORDINATOR);
        let words = ["client"].iter().chain(words).chain(&["--dir"]).map(AsRef::as_ref);
        said(COORDINATOR, &words.chain([directory.as_os_str()]).collect::<Vec<&OsStr>>())
    }

    /// The directory of a process.
    pub fn directory(&self, who: &str) -> PathBuf {
        self.place.path().join(who)
    }

    /// Where everything is.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// Everything that a process has written to standard error, over all of its lives.
    pub fn log(&self, who: &str) -> String {
        std::fs::read_to_string(self.log_file(who)).expect("a log")
    }

    pub fn log_file(&self, who: &str) -> PathBuf {
        self.place.path().join(format!("{who}.log"))
    }

    pub fn pid(&self, who: &str) -> u32 {
        self.running[who].child.id()
    }

    pub fn start(&mut self, who: &str) {
        let program = if who == THE_COORDINATOR { COORDINATOR } else { SIGNER };
        let mut command = Command::new(program);
        command.args(["run".as_ref(), "--dir".as_ref(), self.directory(who).as_os_str()]);
        let spoken = private_file(&self.place.path().join(format!("{who}.out")));
        command.stdin(Stdio::null()).stdout(spoken).stderr(Stdio::piped());
        end_with_this_thread(&mut command);
        let mut child = command.spawn().expect("started");
        let said = child.stderr.take().expect("piped");
        let log = private_file(&self.log_file(who));
        let listener = std::thread::spawn(move || listen(said, log));
        let before = self.running.insert(who.to_owned(), Running { child, listener });
        assert!(before.is_none(), "{who} runs already");
    }

    /// SIGKILL.
    pub fn kill(&mut self, who: &str) {
        end(self.running.remove(who).expect("it runs"));
    }

    /// SIGTERM, and the exit status.
    pub fn stop(&mut self, who: &str) -> Option<i32> {
        let sent = Command::new("kill").arg(self.pid(who).to_string()).status();
        assert!(sent.expect("run").success());
        self.wait_for_end(who)
    }

    /// Waits until a process ends by itself, and gives the exit status.
    pub fn wait_for_end(&mut self, who: &str) -> Option<i32> {
        let begun = Instant::now();
        let running = self.running.get_mut(who).expect("it runs");
        while running.child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "{who} does not end");
            std::thread::sleep(LOOK);
        }
        let mut running = self.running.remove(who).expect("it runs");
        running.listener.join().expect("copied");
        running.child.wait().expect("ended").code()
    }

    pub fn has_ended(&mut self, who: &str) -> bool {
        self.running.get_mut(who).expect("it runs").child.try_wait().expect("a child").is_some()
    }

    /// Waits until the coordinator answers and all signers are there.
    pub fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        loop {
            let health = self.api.get("/v1/health");
            if let Ok(health) = &health
                && health.body["signers_connected"] == self.signers.len()
            {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not ready: {health:?}");
            let names: Vec<String> = self.running.keys().cloned().collect();
            for who in names {
                assert!(!self.has_ended(&who), "{who} ended: {}", self.log(&who));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until a signer is there, whoever else is.
    pub fn wait_for_signer(&self, signer: &str) {
        let begun = Instant::now();
        loop {
            let signers = self.api.look("/v1/signers");
            let mut known = signers["signers"].as_array().expect("a list").iter();
            if known.any(|known| known["signer"] == signer && known["connected"] == true) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{signer} does not come: {}", self.log(signer));
            std::thread::sleep(LOOK);
        }
    }

    /// What a stopped signer holds.
    pub fn show(&self, signer: &str) -> serde_json::Value {
        let directory = self.directory(signer);
        let output =
            said(SIGNER, &["show".as_ref(), "--json".as_ref(), "--dir".as_ref(), directory.as_os_str()]);
        serde_json::from_str(&output).expect("one JSON object")
    }

    /// From now on no byte of a file beyond this one can be written by the process, as on a disk without room; none
    /// lifts the limit. Whoever runs the process may do this, no other rights are needed.
    pub fn limit_files(&self, who: &str, bytes: Option<u64>) {
        let soft = bytes.unwrap_or(libc::RLIM_INFINITY);
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: libc::RLIM_INFINITY };
        #[allow(unsafe_code)]
        // SAFETY: prlimit(2) reads one structure that lives until it returns, and is given no place for the old
        // limit. The number is of a child that nobody has waited for.
        let outcome = unsafe {
            let pid = self.pid(who).cast_signed();
            libc::prlimit(pid, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut())
        };
        assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        std::mem::take(&mut self.running).into_values().for_each(end);
    }
}

/// Has the kernel end the process when the test that starts it is gone, however that came.
fn end_with_this_thread(command: &mut Command) {
    #[allow(unsafe_code)]
    // SAFETY: prctl(2) with PR_SET_PDEATHSIG takes numbers, touches no memory and may be called after fork(2).
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

fn end(mut running: Running) {
    running.child.kill().expect("killed");
    running.child.wait().expect("dead");
    running.listener.join().expect("copied");
}

fn listen(mut said: ChildStderr, mut log: std::fs::File) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = said.read(&mut piece) {
        log.write_all(&piece[..length]).expect("room for a log");
    }
}

/// Makes all directories, and says where the API will be.
fn make(place: &Path, signers: &[&str], log: Log, dana: &Dana) -> SocketAddr {
    let [api, mail] = [free_port(), free_port()];
    let coordinator = place.join(THE_COORDINATOR);
    DirBuilder::new().mode(0o700).create(&coordinator).expect("made");
    let level = match log {
        Log::Usual => "info,perennial_coordinator=debug",
        Log::Everything => "debug",
    };
    let tuning = format!(
        "api_address = \"{api}\"\nmail_address = \"{mail}\"\nlog = \"{level}\"\n\
         [ceremonies]\nask_again_ms = 200\nask_again_max_ms = 800\nsession_ms = 3000\n\
         [signing]\nattempt_ms = 1000\nrequest_ms = 8000\n"
    );
    write(&coordinator.join("coordinator.toml"), tuning.as_bytes());
    let init = |program, words: &[&OsStr]| -> serde_json::Value {
        serde_json::from_str(&said(program, words)).expect("one JSON object")
    };
    let made =
        init(COORDINATOR, &["init".as_ref(), "--json".as_ref(), "--dir".as_ref(), coordinator.as_ref()]);
    let pin = made["pin"].as_str().expect("text");
    let known = signers.iter().map(|signer| {
        let directory = place.join(signer);
        let mail = mail.to_string();
        let words = ["init", "--name", signer, "--coordinator", &mail, "--coordinator-pin", pin, "--dir"];
        let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).chain([directory.as_os_str()]).collect();
        let printed = init(SIGNER, &words);
        let settings = directory.join("signer.toml");
        let text = std::fs::read_to_string(&settings).expect("settings");
        write(&settings, format!("{text}log = \"debug\"\n").as_bytes());
        identity(&printed)
    });
    let known = known.collect();
    let governance = encoding::encode(dana.governance(known).versions());
    for who in signers.iter().chain([&THE_COORDINATOR]) {
        write(&place.join(who).join("governance.cbor"), &governance);
    }
    api
}

/// What a program prints; it has to succeed.
pub fn said(program: &str, words: &[&OsStr]) -> String {
    let output = Command::new(program).args(words).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Adds a client of the API, and gives its token.
fn add_client(place: &Path, name: &str, scopes: &str, tenants: &str) -> String {
    let directory = place.join(THE_COORDINATOR);
    let words = ["client", "add", name, "--scopes", scopes, "--tenants", tenants, "--dir"];
    let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).chain([directory.as_os_str()]).collect();
    said(COORDINATOR, &words).trim().to_owned()
}

fn write(path: &Path, content: &[u8]) {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.expect("made").write_all(content).expect("written");
}

fn private_file(path: &Path) -> std::fs::File {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).expect("a file")
}

/// A port that nobody uses, and that is given out once by this process. Processes with neighbouring numbers begin far
/// from each other: between the look and the use another could take the same port.
fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS_END - PORTS_BEGIN;
    let first = (std::process::id().wrapping_mul(64) % u32::from(span)) as u16;
    loop {
        let port = PORTS_BEGIN + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
