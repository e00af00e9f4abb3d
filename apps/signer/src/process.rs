//! What this process asks of its operating system: that it works alone in its directory, how much room
//! there is, and that it can end at once.

use crate::ending::{ExitStatus, Failure};
use std::ffi::CString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file whose lock says that a process works in the directory.
pub const LOCK_FILE: &str = "lock";

/// How many bytes the file system of this directory has left for this user.
///
/// # Errors
/// What the system says when it does not tell.
pub fn room_in(directory: &Path) -> io::Result<u64> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    #[allow(unsafe_code)]
    // SAFETY: statvfs(3) reads a string that ends with a zero byte and writes one structure; both live until it returns,
    // and any bytes are a value of that structure, which has numbers alone.
    let (refused, found) =
        unsafe { (libc::statvfs(path.as_ptr(), found.as_mut_ptr()) != 0, found.assume_init()) };
    if refused { Err(io::Error::last_os_error()) } else { Ok(found.f_bavail.saturating_mul(found.f_frsize)) }
}

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
    fn there_is_room_in_a_directory_and_none_in_one_that_is_not_there() {
        let place = tempfile::tempdir().expect("a directory");
        assert!(room_in(place.path()).expect("told") > 4096);
        assert_eq!(room_in(&place.path().join("gone")).expect_err("nothing").kind(), io::ErrorKind::NotFound);
    }

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
