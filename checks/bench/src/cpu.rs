//! Processor time, as the kernel accounts it: other work on the machine counts only as far as it slows this down.
#![allow(unsafe_code)]

use std::convert::Infallible;
use std::time::Duration;

/// The processor time of this thread so far.
pub fn of_thread() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// How much processor time of this thread a piece of work takes.
pub fn spent<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = of_thread();
    let result = work();
    (result, of_thread() - start)
}

/// The processor time of one run of `work`: the least of `times` runs, for noise only ever adds.
pub fn least<T>(times: usize, mut work: impl FnMut() -> T) -> Duration {
    match try_least(times, || Ok::<_, Infallible>(work())) {
        Ok(took) => took,
    }
}

/// The same of work that may fail.
///
/// # Errors
/// That of the first run that fails, for its time says nothing.
pub fn try_least<T, E>(times: usize, mut work: impl FnMut() -> Result<T, E>) -> Result<Duration, E> {
    let run = |_| {
        let (done, took) = spent(&mut work);
        done.map(|_| took)
    };
    Ok((0..times).map(run).collect::<Result<Vec<_>, E>>()?.into_iter().min().unwrap_or_default())
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for a timespec, and the clock is one that every Linux since 2.6.12 has.
    let outcome = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(outcome, 0, "the clock of this thread's processor time cannot be read");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
