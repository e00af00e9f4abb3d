//! What a process asks of its operating system for itself, so that mistakes elsewhere do less harm.

use std::io;

/// Files made from here on are for this user alone; memory is never written to a core file and cannot be read by
/// other processes of this user; a file at its size limit is an error and not a signal.
///
/// # Errors
/// When the system refuses, or did not do what it was asked.
pub fn harden() -> io::Result<()> {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[allow(unsafe_code)]
    // SAFETY: umask(2), prctl(2) with PR_SET_DUMPABLE and signal(2) with SIG_IGN take numbers only; setrlimit(2)
    // reads one structure that lives until it returns.
    let refused = unsafe {
        libc::umask(0o077);
        let prctl = libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        let limit = libc::setrlimit(libc::RLIMIT_CORE, &no_core);
        let signal = libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        prctl != 0 || limit != 0 || signal == libc::SIG_ERR
    };
    if refused {
        return Err(io::Error::last_os_error());
    }
    if is_dumpable() { Err(io::Error::other("core dumps stay on")) } else { Ok(()) }
}

/// Whether the system would write this process's memory to a core file, or let others read it.
fn is_dumpable() -> bool {
    #[allow(unsafe_code)]
    // SAFETY: prctl(2) with PR_GET_DUMPABLE takes numbers only.
    let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
    dumpable != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_hardened_process_leaves_no_core_file_and_no_file_that_others_read() {
        assert!(is_dumpable(), "a process begins like that");
        harden().expect("hardened");
        assert!(!is_dumpable());
        let limits = std::fs::read_to_string("/proc/self/limits").expect("read");
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("listed");
        assert_eq!(core.split_whitespace().take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("file");
        std::fs::write(&file, "x").expect("written");
        let mode = std::fs::metadata(&file).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}
