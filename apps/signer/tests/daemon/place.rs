//! A directory with signers that were made by the program itself.

use super::dana::first_governance;
use perennial_model::encoding;
use perennial_model::governance::SignerIdentity;
use perennial_model::governance::history::{History, Versions};
use perennial_model::identity::IdentityKey;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_perennial-signer");

/// A pin that nobody has.
pub const NOBODYS_PIN: &str = "abababababababababababababababababababababababababababababababab";

/// Signers in directories of their own.
pub struct Place {
    place: TempDir,
    pub governance: History,
}

/// What `init` printed.
pub struct Printed {
    pub signer: String,
    pub identity_key: String,
    pub transport_pin: String,
}

pub fn init(directory: &Path, name: &str) -> Output {
    Command::new(PROGRAM)
        .args([
            "init",
            "--name",
            name,
            "--coordinator",
            "127.0.0.1:9",
            "--coordinator-pin",
            NOBODYS_PIN,
            "--dir",
        ])
        .arg(directory)
        .output()
        .expect("run")
}

pub fn printed(output: &Output) -> Printed {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let text = |key: &str| value[key].as_str().expect("text").to_owned();
    Printed {
        signer: text("signer"),
        identity_key: text("identity_key"),
        transport_pin: text("transport_pin"),
    }
}

impl Place {
    /// Signers of these names, and one governance for all.
    pub fn new(names: &[&str]) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let signers = names.iter().map(|name| {
            let printed = printed(&init(&place.path().join(name), name));
            let mut key = [0; 32];
            hex::decode_to_slice(&printed.identity_key, &mut key).expect("64 digits");
            SignerIdentity {
                signer: printed.signer.parse().expect("a name"),
                key: IdentityKey::Ed25519(key),
                transport_pin: printed.transport_pin.parse().expect("64 digits"),
            }
        });
        let governance = first_governance(signers.collect());
        let made = Self { place, governance };
        names.iter().for_each(|name| made.govern(name, &made.governance));
        made
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn govern(&self, name: &str, governance: &History) {
        self.write_governance(name, governance.versions());
    }

    /// Whatever it says.
    pub fn write_governance(&self, name: &str, versions: &Versions) {
        let path = self.directory(name).join("governance.cbor");
        std::fs::write(path, encoding::encode(versions)).expect("written");
    }

    pub fn set(&self, name: &str, settings: &str) {
        std::fs::write(self.directory(name).join("signer.toml"), settings).expect("written");
    }

    /// Starts a signer and waits until it is ready.
    pub fn start(&self, name: &str) -> Running {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--dir"]).arg(self.directory(name));
        Running::started(command)
    }

    /// Runs a signer that ends by itself.
    pub fn run(&self, name: &str) -> Ended {
        let output = Command::new(PROGRAM).args(["run", "--dir"]).arg(self.directory(name)).output();
        Ended::of(output.expect("run"))
    }

    pub fn show(&self, name: &str) -> Ended {
        let output =
            Command::new(PROGRAM).args(["show", "--json", "--dir"]).arg(self.directory(name)).output();
        Ended::of(output.expect("run"))
    }
}

/// How a program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    /// The lines of standard error that are no log.
    pub complaints: Vec<String>,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let text = String::from_utf8(output.stderr).expect("text");
        let complaints = text.lines().filter(|line| line.starts_with("perennial-signer: "));
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            complaints: complaints.map(str::to_owned).collect(),
        }
    }

    /// Asserts that the program ended with this status and one line that has all these words.
    pub fn complained(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.complaints.len()), (Some(code), 1), "{:?}", self.complaints);
        for word in words {
            assert!(self.complaints[0].contains(word), "`{word}` is not in: {}", self.complaints[0]);
        }
    }
}

/// A signer that runs; dropping it kills it.
pub struct Running {
    pub child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    pub log: String,
}

impl Running {
    pub fn started(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut log = String::new();
        while !log.ends_with("INFO  ready\n") {
            assert!(stderr.read_line(&mut log).expect("text") > 0, "it ended: {log}");
        }
        Self { child, stderr, log }
    }

    /// Sends a signal and waits for the end.
    pub fn signalled(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("run").success());
        let code = self.child.wait().expect("ended").code();
        self.stderr.read_to_string(&mut self.log).expect("text");
        (code, std::mem::take(&mut self.log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
