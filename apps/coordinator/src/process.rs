//! What this process asks of the operating system for itself. Nothing else in the daemon is unsafe but the
//! priority of threads.

/// Makes three things so that mistakes elsewhere do less harm: no core dump may hold the ledger's key, files are
/// readable by their owner alone, and a limit on file sizes is an error to be reported instead of a signal that
/// kills.
///
/// # Errors
/// What the system says when it refuses to give up core dumps.
pub fn harden() -> std::io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[allow(unsafe_code)]
    // SAFETY: setrlimit(2) reads the structure that outlives the call; umask(2) takes a number; signal(2) is told
    // to ignore a signal, which installs no code of ours. All three are called before any thread is started.
    let outcome = unsafe {
        libc::umask(0o077);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_CORE, &none)
    };
    if outcome == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
