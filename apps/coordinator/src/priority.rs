//! Work that nobody waits for gives way to work that somebody waits for. Without this, redistribution and bulk
//! mail take the processors from signing for milliseconds at a time, on whatever threads and connections.

/// Gives the calling thread, and no other, what the processors have left (SCHED_IDLE, see sched(7)). The lowest
/// ordinary priority, nice 19, would not do: it keeps a processor to the end of its slice of some milliseconds,
/// however urgent the thread is that wakes meanwhile, and a signature needs ten such awakenings. It is an improvement
/// and no promise: if the system refuses, the thread goes on as it is, and the log says so.
pub fn lower_this_thread() {
    let priority = libc::sched_param { sched_priority: 0 };
    #[allow(unsafe_code)]
    // SAFETY: sched_setscheduler(2) reads the structure, which lives until it returns; 0 means the calling thread.
    let outcome = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) };
    report(outcome);
}

/// Gives the calling thread, and no other, the lowest ordinary priority (nice 19): for short answers that people wait
/// for. On a machine that is busy with other things a thread at the end of [`lower_this_thread`] may not run for half
/// a minute, and whoever asks takes the daemon for dead.
pub fn lower_this_thread_that_answers() {
    #[allow(unsafe_code)]
    // SAFETY: setpriority(2) takes three numbers and touches no memory of this process; 0 means the caller.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    report(outcome);
}

fn report(outcome: libc::c_int) {
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        let thread = std::thread::current();
        tracing::warn!("cannot lower the priority of thread {:?}: {error}", thread.name());
    }
}
