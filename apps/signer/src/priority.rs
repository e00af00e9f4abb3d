//! Work that nobody waits for gives way to work that somebody waits for. Without this, redistribution and bulk
//! mail take the processors from signing for milliseconds at a time, on whatever threads and connections.

/// The niceness of work that nobody waits for.
const NICE: libc::c_int = 10;

/// Gives the calling thread, and no other, a low ordinary priority (nice 10). It still gets a tenth of a processor that
/// something else wants all of: a signing request may bring an Activation that the ceremony's thread has to take first,
/// and at SCHED_IDLE (see sched(7)) that thread may not run for half a minute on a busy machine, so that signatures are
/// lost. It is an improvement and no promise: if the system refuses, the thread goes on as it is, and the log says so.
pub fn lower_this_thread() {
    #[allow(unsafe_code)]
    // SAFETY: setpriority(2) takes three numbers and touches no memory of this process; 0 means the calling thread.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        let thread = std::thread::current();
        tracing::warn!("cannot lower the priority of thread {:?}: {error}", thread.name());
    }
}
