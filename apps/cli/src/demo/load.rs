//! A steady stream of signing requests: each has its time, whatever became of the ones before it.
//!
//! Latency counts from the time at which a request was due, not from the moment at which a thread got round to
//! it; so a stall shows in every request that it delays. Nothing is tried twice: a failure is a failure.

use crate::failure::Failure;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many requests may be under way at a time. If all are, later ones wait, and their latency says so.
const THREADS: usize = 64;
/// What one of these threads needs, in bytes.
const STACK_BYTES: usize = 512 << 10;

/// What came of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was signed.
    Signed {
        /// How many epochs or groups of signers were tried before the one that signed.
        fallbacks: u64,
    },
    /// It was not, for this reason.
    Failed(String),
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Its number, from 0.
    pub number: u64,
    /// When it was due.
    pub due: Instant,
    /// From then to the answer.
    pub latency: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// A running load.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    begun: Instant,
    interval: Duration,
    next: AtomicU64,
    ended: Mutex<Option<Instant>>,
    wake: Condvar,
    samples: Mutex<Vec<Sample>>,
    failed: AtomicUsize,
    panicked: AtomicBool,
}

impl Load {
    /// Begins to send: `send(n)` is called for every `n` from 0, `rate` times a second, from many threads.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn begin<S>(rate: f64, send: S) -> Result<Self, Failure>
    where
        S: Fn(u64) -> Outcome + Send + Sync + 'static,
    {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            interval: Duration::from_secs_f64(1.0 / rate),
            next: AtomicU64::new(0),
            ended: Mutex::default(),
            wake: Condvar::new(),
            samples: Mutex::default(),
            failed: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        });
        let send = Arc::new(send);
        let thread = |number: usize| {
            let (shared, send) = (shared.clone(), send.clone());
            let builder = std::thread::Builder::new().name(format!("load-{number}")).stack_size(STACK_BYTES);
            builder.spawn(move || shared.work(&*send))
        };
        let threads: Result<_, _> = (0..THREADS).map(thread).collect();
        let threads =
            threads.map_err(|e| Failure::local(format!("no threads: {e}"), "lift the limit on threads"))?;
        Ok(Self { shared, threads })
    }

    /// How many requests were answered until now.
    pub fn answered(&self) -> usize {
        lock(&self.shared.samples).len()
    }

    /// How many of them failed.
    pub fn failed(&self) -> usize {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Why the latest of them did, if any has.
    pub fn latest_failure(&self) -> Option<String> {
        let samples = lock(&self.shared.samples);
        samples.iter().rev().find_map(|sample| match &sample.outcome {
            Outcome::Failed(why) => Some(why.clone()),
            Outcome::Signed { .. } => None,
        })
    }

    /// Sends no more, waits for what is under way and gives all samples in their order.
    pub fn end(mut self) -> Vec<Sample> {
        self.stop();
        let mut samples = std::mem::take(&mut *lock(&self.shared.samples));
        samples.sort_by_key(|sample| sample.number);
        samples
    }

    fn stop(&mut self) {
        lock(&self.shared.ended).get_or_insert_with(Instant::now);
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.panicked.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn work<S: Fn(u64) -> Outcome>(&self, send: &S) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(due) = self.due(number) else { return };
            if !self.wait_until(due) {
                return;
            }
            let outcome = send(number);
            if matches!(outcome, Outcome::Failed(_)) {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
            lock(&self.samples).push(Sample { number, due, latency: due.elapsed(), outcome });
        }
    }

    fn due(&self, number: u64) -> Option<Instant> {
        let after = self.interval.checked_mul(u32::try_from(number).ok()?)?;
        self.begun.checked_add(after)
    }

    /// Waits for a request's time; false if the load ends before it.
    fn wait_until(&self, due: Instant) -> bool {
        let mut ended = lock(&self.ended);
        loop {
            if ended.is_some_and(|ended| ended < due) {
                return false;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            ended = self.wake.wait_timeout(ended, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_shows_in_the_latency_of_every_request_that_was_due_meanwhile() {
        // One request holds a lock that all others need, for as long as a hundred of them are due.
        let gate = Arc::new(Mutex::new(()));
        let held = gate.clone();
        let load = Load::begin(1000.0, move |number| {
            let guard = lock(&gate);
            if number == 20 {
                std::thread::sleep(Duration::from_millis(100));
            }
            drop(guard);
            Outcome::Signed { fallbacks: 0 }
        })
        .expect("threads");
        while load.answered() < 200 {
            std::thread::yield_now();
        }
        drop(held);
        let samples = load.end();
        let numbers: Vec<u64> = samples.iter().map(|sample| sample.number).collect();
        assert_eq!(numbers, (0..samples.len() as u64).collect::<Vec<_>>(), "none is left out");
        let late = samples.iter().filter(|sample| sample.latency > Duration::from_millis(20)).count();
        assert!(late >= 70, "{late} were late");
    }

    #[test]
    fn failures_are_counted_and_nothing_is_sent_after_the_end() {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        let load = Load::begin(2000.0, move |number| {
            counted.fetch_add(1, Ordering::Relaxed);
            if number % 2 == 1 { Outcome::Failed("odd".into()) } else { Outcome::Signed { fallbacks: 1 } }
        })
        .expect("threads");
        while load.answered() < 50 {
            std::thread::yield_now();
        }
        assert!(load.failed() >= 20);
        assert_eq!(load.latest_failure().as_deref(), Some("odd"));
        let samples = load.end();
        assert_eq!(samples.len(), sent.load(Ordering::Relaxed));
    }
}
