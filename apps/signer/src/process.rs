//! What this process asks of its operating system: that it works alone in its directory, and that it can end at once.

use crate::ending::{ExitStatus, Failure};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file whose lock says that a process works in the directory.
pub const LOCK_FILE: &str = "lock";

/// A panic ends the whole process: what a thread was doing when it broke is not known, and no other may go on
/// with it.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let reason = format!(
            "a bug in thread `{name}`: {panic}; nothing was lost: start the signer again, and report this line"
        );
        end_now(&Failure::new(ExitStatus::Bug, reason));
    }));
}

/// Prints the failure and ends this process at once: no other thread goes on, no buffer is flushed, nothing more
/// leaves.
pub fn end_now(failure: &Failure) -> ! {
    let line = format!("{failure}\n");
    // If standard error is gone too, the exit status has to do.
    let _ = io::stderr().write_all(line.as_bytes());
    #[allow(unsafe_code)]
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe {
        libc::_exit(i32::from(failure.status.code()))
    }
}

/// The right to work in a directory. It ends with the process, however that ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why a directory cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "{directory} is in use by process {holder}: a signer's directory serves one process at a time; stop that \
         one first",
        directory = directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process's number, as it wrote it down.
        holder: String,
    },
    /// The operating system refused.
    #[error("cannot lock {path}: {source}", path = path.display())]
    Disk {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Takes the directory for this process.
    ///
    /// # Errors
    /// [`LockError`] when another process has it, or the disk refuses.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_FILE);
        let disk = |source| LockError::Disk { path: path.clone(), source };
        let opened =
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(disk(source)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = Read::by_ref(&mut file).take(20).read_to_string(&mut holder);
                let known = read.is_ok() && holder.trim().parse::<u32>().is_ok();
                let holder = if known { holder.trim().to_owned() } else { "(unknown)".to_owned() };
                return Err(LockError::InUse { directory: directory.to_owned(), holder });
            }
        }
        // The number helps people; the lock itself is what counts. So it need not be durable.
        let number = format!("{}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(number.as_bytes())).map_err(disk)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_serves_one_at_a_time() {
        let place = tempfile::tempdir().expect("a directory");
        let first = DirectoryLock::take(place.path()).expect("free");
        let refusal = DirectoryLock::take(place.path()).expect_err("in use").to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        drop(first);
        DirectoryLock::take(place.path()).expect("free again");
    }
}
