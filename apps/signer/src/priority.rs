//! Work that nobody waits for gives way to work that somebody waits for. Without this, redistribution and bulk
//! mail take the processors from signing for milliseconds at a time, on whatever threads and connections.

/// Gives the calling thread, and no other, the lowest ordinary priority (nice 19; see sched(7)). It is an
/// improvement and no promise: if the system refuses, the thread goes on as it is, and the log says so.
pub fn lower_this_thread() {
    #[allow(unsafe_code)]
    // SAFETY: setpriority(2) takes three numbers and touches no memory of this process; 0 means the caller.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        let thread = std::thread::current();
        tracing::warn!("cannot lower the priority of thread {:?}: {error}", thread.name());
    }
}
