//! Work that nobody waits for gives way to work that somebody waits for. Without this, bulk mail takes the
//! processors from signing mail for milliseconds at a time, whatever lane and connection it is on.

/// Gives the calling thread, and no other, the lowest ordinary priority (nice 19; see sched(7)). It is an
/// improvement and no promise: if the system refuses, the thread goes on as it is, and the log says so.
pub(super) fn lower_this_thread() {
    #[allow(unsafe_code)]
    // SAFETY: setpriority(2) takes three numbers and touches no memory of this process; 0 means the caller.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!("cannot lower the priority of the ceremony lane: {error}");
    }
}
