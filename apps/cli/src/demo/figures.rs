//! What the samples of a load come to.

use super::load::{Outcome, Sample};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Some requests in numbers.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    /// How many there were.
    pub count: usize,
    /// The latency that half of those signed kept below, in milliseconds.
    pub p50_ms: f64,
    /// The latency that 99 of 100 of those signed kept below, in milliseconds.
    pub p99_ms: f64,
    /// How many failed.
    pub failed: usize,
    /// How many sessions were begun under the parent epoch after a failure under the new one.
    pub fallbacks: u64,
}

impl Figures {
    /// Of these samples.
    pub fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let mut figures = Self::default();
        let mut latencies = Vec::new();
        for sample in samples {
            figures.count += 1;
            match &sample.outcome {
                Outcome::Signed { fallbacks } => {
                    latencies.push(sample.latency);
                    figures.fallbacks += fallbacks;
                }
                Outcome::Failed(_) => figures.failed += 1,
            }
        }
        latencies.sort_unstable();
        figures.p50_ms = percentile_ms(&latencies, 50);
        figures.p99_ms = percentile_ms(&latencies, 99);
        figures
    }

    /// As the last line of the demo has it.
    pub fn to_json(self) -> Value {
        let Self { count, p50_ms, p99_ms, .. } = self;
        json!({"count": count, "p50_ms": rounded(p50_ms), "p99_ms": rounded(p99_ms)})
    }
}

/// Those that were due before a moment, and those that were due from then on.
pub fn split(samples: &[Sample], at: Option<Instant>) -> (Figures, Figures) {
    let is_before = |sample: &&Sample| at.is_none_or(|at| sample.due < at);
    let before = Figures::of(samples.iter().filter(is_before));
    (before, Figures::of(samples.iter().filter(|sample| !is_before(sample))))
}

/// The nearest rank: the smallest latency that so many of a hundred do not exceed. 0 if there is none.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_were_measured_and_failures_have_none() {
        let begun = Instant::now();
        let sample = |number: u64, outcome| Sample {
            number,
            due: begun + Duration::from_secs(number),
            latency: Duration::from_millis(number + 1),
            outcome,
        };
        let mut samples: Vec<Sample> =
            (0..100).map(|number| sample(number, Outcome::Signed { fallbacks: 2 })).collect();
        samples.push(sample(900, Outcome::Failed("no".into())));
        let all = Figures::of(samples.iter());
        assert_eq!((all.count, all.failed, all.fallbacks), (101, 1, 200));
        assert_eq!((all.p50_ms, all.p99_ms), (50.0, 99.0));
        let (before, after) = split(&samples, Some(begun + Duration::from_secs(10)));
        assert_eq!((before.count, after.count), (10, 91));
        assert_eq!((before.p50_ms, before.p99_ms), (5.0, 10.0));
        assert_eq!(split(&samples, None).1, Figures::default());
    }
}
