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
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        let thread = std::thread::current();
        tracing::warn!("cannot lower the priority of thread {:?}: {error}", thread.name());
    }
}
