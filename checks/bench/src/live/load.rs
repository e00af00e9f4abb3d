//! A steady stream of requests: each has its time, whatever became of the ones before it. Latency counts from the
//! time at which a request was due, so a stall shows in every request that it delays.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many requests may be under way at a time; later ones wait, and their latency says so.
const THREADS: usize = 32;

/// What came of one request.
pub struct Sample {
    /// Its number.
    pub number: u64,
    /// From the time at which it was due to the answer.
    pub latency: Duration,
    /// How many sessions it took; or why there is no signature.
    pub outcome: Result<u64, String>,
}

/// Sends `send(first)`, `send(first + 1)` and so on, `rate` times a second, for as long as `meanwhile` takes, and
/// gives all that came of it. `meanwhile` is told how many were sent.
pub fn during<T>(
    rate: f64,
    first: u64,
    send: impl Fn(u64) -> anyhow::Result<u64> + Sync,
    meanwhile: impl FnOnce(&AtomicU64) -> anyhow::Result<T>,
) -> anyhow::Result<(T, Vec<Sample>)> {
    let (begun, next, end) = (Instant::now(), AtomicU64::new(0), Mutex::new(None));
    let samples = Mutex::new(Vec::new());
    let work = || {
        loop {
            let place = next.fetch_add(1, Relaxed);
            let due = begun + Duration::from_secs_f64(place as f64 / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // What was due before the end is sent, however late its thread woke, so that no number is left out.
            if end.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|end| due >= end) {
                return;
            }
            let number = first + place;
            let outcome = send(number).map_err(|error| format!("{error:#}"));
            let sample = Sample { number, latency: due.elapsed(), outcome };
            samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
        }
    };
    let done = std::thread::scope(|scope| {
        (0..THREADS).for_each(|_| drop(scope.spawn(work)));
        let done = meanwhile(&next);
        end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        done
    })?;
    Ok((done, samples.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// The nearest rank: the least value that so many of a hundred do not exceed; 0 if there is none.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_turn_and_percentiles_were_measured() -> anyhow::Result<()> {
        let (sent, samples) = during(
            500.0,
            7,
            |number| Ok(number % 2),
            |next| {
                while next.load(Relaxed) < 100 {
                    std::thread::yield_now();
                }
                Ok(next.load(Relaxed))
            },
        )?;
        assert!(sent >= 100);
        let mut numbers: Vec<u64> = samples.iter().map(|sample| sample.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (7..7 + numbers.len() as u64).collect::<Vec<_>>());
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (50.0, 99.0));
        assert_eq!(percentile(&[], 99), 0.0);
        Ok(())
    }
}
