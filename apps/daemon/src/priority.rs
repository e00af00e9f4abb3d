//! Work that nobody waits for gives way to work that somebody waits for. Without this, redistribution and bulk
//! mail take the processors from signing for milliseconds at a time, on whatever threads and connections.
//!
//! Two things are asked of the system for it (sched(7), `sched_setattr(2)`): how much of a processor a thread gets, its
//! niceness, and how soon it gets its share, its slice. A thread that asks for a short slice runs at once when it wakes
//! and gives the processor back the sooner; it gets no more of it in the end. Linux knows slices of ordinary threads
//! since 6.12, and ignores the wish before.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// The niceness of work that nobody waits for.
const NICE: i32 = 10;
/// The slice of threads that somebody waits for, in nanoseconds: the shortest there is.
const SHORT_SLICE: u64 = 100_000;
/// The slice of work that nobody waits for: the longest.
const LONG_SLICE: u64 = 100_000_000;

static CEREMONIES_YIELD: AtomicBool = AtomicBool::new(false);

/// From here on, threads of this process that are lowered run only where nothing else wants to (SCHED_IDLE, see
/// sched(7)): for machines that have nothing to do but sign.
pub fn ceremonies_yield_to_all() {
    CEREMONIES_YIELD.store(true, Relaxed);
}

/// Has the calling thread, and the threads that it starts from here on, run as soon as they wake. For the first thread of
/// a daemon; [`lower_this_thread`] takes it back for one that nobody waits for.
pub fn run_as_soon_as_woken() {
    report(change(|attributes| attributes.sched_runtime = SHORT_SLICE));
}

/// Gives the calling thread, and no other, a low ordinary priority (nice 10). It still gets a tenth of a processor that
/// something else wants all of: a signing request may bring an Activation that the ceremony's thread has to take first,
/// and at SCHED_IDLE (see sched(7)) that thread may not run for half a minute on a busy machine, so that signatures are
/// lost; so that is for machines of their own. It is an improvement and no promise: if the system refuses, the thread
/// goes on as it is, and the log says so.
pub fn lower_this_thread() {
    report(change(|attributes| {
        attributes.sched_nice = attributes.sched_nice.max(NICE);
        attributes.sched_runtime = LONG_SLICE;
        if CEREMONIES_YIELD.load(Relaxed) {
            attributes.sched_policy = libc::SCHED_IDLE.cast_unsigned();
        }
    }));
}

/// Changes how the calling thread is scheduled; what is left alone stays as whoever started this process wanted it.
fn change(change: impl FnOnce(&mut libc::sched_attr)) -> io::Result<()> {
    let size = size_of::<libc::sched_attr>();
    let mut attributes = libc::sched_attr {
        size: size as u32,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    #[allow(unsafe_code)]
    // SAFETY: sched_getattr(2) writes no more than `size` bytes to a struct that outlives the call; 0 means this thread.
    done(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) })?;
    change(&mut attributes);
    #[allow(unsafe_code)]
    // SAFETY: sched_setattr(2) reads one struct, whose `size` says how long it is, and which outlives the call.
    done(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw mut attributes, 0) })
}

fn done(outcome: libc::c_long) -> io::Result<()> {
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn report(outcome: io::Result<()>) {
    if let Err(error) = outcome {
        let thread = std::thread::current();
        tracing::warn!("cannot set the priority of thread {:?}: {error}", thread.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> libc::sched_attr {
        let mut now = None;
        change(|attributes| now = Some(*attributes)).expect("asked");
        now.expect("answered")
    }

    #[test]
    fn a_thread_that_is_lowered_is_nice_and_those_that_it_did_not_start_are_not() {
        run_as_soon_as_woken();
        let before = now().sched_nice;
        let lowered = std::thread::spawn(|| {
            lower_this_thread();
            now().sched_nice
        });
        assert_eq!(lowered.join().expect("no panic"), before.max(NICE));
        assert_eq!(now().sched_nice, before);
    }
}
