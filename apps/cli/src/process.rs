//! Other programs of this product as processes of their own: found beside this one, started, asked to end, and
//! never left behind.
//!
//! This is the one place that calls the C library.

use crate::failure::Failure;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a process has to end after it was asked to, before it is made to.
const ENDING: Duration = Duration::from_secs(10);
/// How often a process is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(5);
/// Whether this process was interrupted, and so is ended by what [`on_interrupt`] was given.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What becomes of a process when this one ends without asking it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bond {
    /// It ends too, however this one ends.
    EndsWithUs,
    /// It goes on. Unless this one fails: then it is asked to end as well.
    MayStay,
}

/// A running program. It is asked to end when this is dropped.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Option<Child>,
    log: PathBuf,
}

/// Where a program of this product is: beside this one, or wherever the system looks for programs.
pub fn program(name: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| name.into())
}

/// Runs a program to its end and gives what it wrote to standard output.
///
/// # Errors
/// When it cannot be started, or ends with another status than 0: then what it wrote to standard error.
pub fn run(name: &str, arguments: &[&std::ffi::OsStr]) -> Result<String, Failure> {
    let output = Command::new(program(name)).args(arguments).stdin(Stdio::null()).output();
    let Output { status, stdout, stderr } = output.map_err(|error| cannot_start(name, &error))?;
    if !status.success() {
        return Err(Failure::local(
            format!("{name} ended with {status}: {}", String::from_utf8_lossy(&stderr)),
            "do what its message says",
        ));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

impl Running {
    /// Starts a program. What it writes is added to the file `log`.
    ///
    /// # Errors
    /// When the file or the program cannot be opened.
    pub fn start(
        shown_as: &str,
        program_name: &str,
        arguments: &[&std::ffi::OsStr],
        log: &Path,
        bond: Bond,
    ) -> Result<Self, Failure> {
        let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(log);
        let (out, err) = (open(), open());
        let out = out.map_err(|e| Failure::file("open", log, &e))?;
        let err = err.map_err(|e| Failure::file("open", log, &e))?;
        let mut command = Command::new(program(program_name));
        // A process group of its own: an interrupt from the terminal reaches us alone, and we end the others.
        command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        bind(&mut command, bond);
        let child = command.spawn().map_err(|error| cannot_start(program_name, &error))?;
        Ok(Self { name: shown_as.to_owned(), child: Some(child), log: log.to_owned() })
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Refuses to go on if the process has ended by itself.
    ///
    /// # Errors
    /// With the last line that it wrote.
    pub fn check(&mut self) -> Result<(), Failure> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        match ended {
            None => Ok(()),
            Some(status) => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last =
                    log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it wrote nothing");
                Err(Failure::local(
                    format!("{} ended with {status}: {last}", self.name),
                    format!("read {}", self.log.display()),
                ))
            }
        }
    }

    /// Asks the process to end, and does not wait for that.
    pub fn ask_to_end(&self) {
        if let Some(child) = &self.child {
            ask_to_end(child.id());
        }
    }

    /// Asks the process to end, waits, and makes it end if it does not.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        ask_to_end(child.id());
        let asked = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < ENDING {
            std::thread::sleep(LOOK);
        }
        // Both fail only if it has ended.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Leaves the process running.
    pub fn leave(mut self) {
        self.child = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn cannot_start(name: &str, error: &io::Error) -> Failure {
    Failure::local(
        format!("cannot start {name}: {error}"),
        format!("build it beside this program: cargo build --release -p {name}"),
    )
}

/// Has the process listen to signals again, which [`on_interrupt`] made this one put off, and has the kernel end it
/// when the thread that starts it ends, which has to be the main thread.
fn bind(command: &mut Command, bond: Bond) {
    let parent = std::process::id();
    let in_child = move || {
        #[allow(unsafe_code)]
        // SAFETY: sigset_t is plain data, initialised by sigemptyset(3) before pthread_sigmask(3) reads it;
        // prctl(2) with PR_SET_PDEATHSIG and getppid(2) take numbers. All may be called after fork(2).
        let bound = unsafe {
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            let listens = libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()) == 0;
            let ends = bond == Bond::MayStay
                || (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) == 0
                    && libc::getppid() == parent.cast_signed());
            listens && ends
        };
        if bound { Ok(()) } else { Err(io::Error::from(io::ErrorKind::Interrupted)) }
    };
    #[allow(unsafe_code)]
    // SAFETY: the closure allocates nothing, takes no lock and calls only functions that are safe after fork(2).
    unsafe {
        command.pre_exec(in_child);
    }
}

fn ask_to_end(pid: u32) {
    #[allow(unsafe_code)]
    // SAFETY: kill(2) takes numbers. The process is a child of ours that nobody has waited for, so the number is
    // still its own.
    unsafe {
        libc::kill(pid.cast_signed(), libc::SIGTERM);
    }
}

/// Calls `then` once when somebody interrupts this process (SIGINT, SIGTERM, SIGHUP). To be called before any other
/// thread is started.
pub fn on_interrupt(then: impl FnOnce() + Send + 'static) -> io::Result<()> {
    #[allow(unsafe_code)]
    // SAFETY: sigset_t is plain data for which zeros are a value, initialised by sigemptyset(3) before use;
    // pthread_sigmask(3) reads it and is given no place for the old mask.
    let (set, masked) = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        (set, libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))
    };
    if masked != 0 {
        return Err(io::Error::from_raw_os_error(masked));
    }
    std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        let mut signal = 0;
        #[allow(unsafe_code)]
        // SAFETY: sigwait(3) reads the set and writes the number, which both live until it returns.
        let waited = unsafe { libc::sigwait(&set, &mut signal) };
        if waited == 0 {
            INTERRUPTED.store(true, Ordering::Release);
            then();
        }
    })?;
    Ok(())
}

/// Never returns if this process was interrupted. What fails then fails because everything is being ended, and
/// is nobody's to hear of.
pub fn give_way_to_interrupt() {
    while INTERRUPTED.load(Ordering::Acquire) {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ended_by_itself_is_noticed_with_its_last_words() {
        let place = tempfile::tempdir().expect("a directory");
        let log = place.path().join("log");
        let arguments = ["-c".as_ref(), "echo first; echo the last words >&2; exit 3".as_ref()];
        let mut running =
            Running::start("the shell", "sh", &arguments, &log, Bond::EndsWithUs).expect("started");
        let failure = loop {
            match running.check() {
                Err(failure) => break failure.to_string(),
                Ok(()) => std::thread::sleep(LOOK),
            }
        };
        assert!(failure.contains("the last words") && failure.contains("the shell"), "{failure}");
    }

    #[test]
    fn a_process_is_gone_when_its_holder_is() {
        let place = tempfile::tempdir().expect("a directory");
        let log = place.path().join("log");
        let running =
            Running::start("sleep", "sleep", &["600".as_ref()], &log, Bond::EndsWithUs).expect("started");
        let place = PathBuf::from(format!("/proc/{}", running.pid()));
        assert!(place.exists());
        drop(running);
        assert!(!place.exists());
    }
}
