//! Work that nobody waits for gives way to work that somebody waits for. Without this, redistribution and bulk
//! mail take the processors from signing for milliseconds at a time, on whatever threads and connections.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// The niceness of work that nobody waits for.
const NICE: libc::c_int = 10;

static CEREMONIES_YIELD: AtomicBool = AtomicBool::new(false);

/// From here on, threads of this process that are lowered run only where nothing else wants to (SCHED_IDLE, see
/// sched(7)): for machines that have nothing to do but sign.
pub fn ceremonies_yield_to_all() {
    CEREMONIES_YIELD.store(true, Relaxed);
}

/// Gives the calling thread, and no other, a low ordinary priority (nice 10). It still gets a tenth of a processor that
/// something else wants all of: a signing request may bring an Activation that the ceremony's thread has to take first,
/// and at SCHED_IDLE (see sched(7)) that thread may not run for half a minute on a busy machine, so that signatures are
/// lost; so that is for machines of their own. It is an improvement and no promise: if the system refuses, the thread
/// goes on as it is, and the log says so.
pub fn lower_this_thread() {
    if CEREMONIES_YIELD.load(Relaxed) {
        let parameters = libc::sched_param { sched_priority: 0 };
        #[allow(unsafe_code)]
        // SAFETY: sched_setscheduler(2) reads one struct that outlives the call; 0 means the calling thread.
        return report(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) });
    }
    #[allow(unsafe_code)]
    // SAFETY: setpriority(2) takes three numbers and touches no memory of this process; 0 means the calling thread.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    report(outcome);
}

fn report(outcome: libc::c_int) {
    if outcome != 0 {
        let error = std::io::Error::last_os_error();
        let thread = std::thread::current();
        tracing::warn!("cannot lower the priority of thread {:?}: {error}", thread.name());
    }
}
