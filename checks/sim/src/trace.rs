//! The last events of a run, shown when an invariant does not hold.

use crate::faults::Step;
use perennial_model::encoding::Digest;
use perennial_model::plan::Chunk;
use std::collections::VecDeque;
use std::fmt;

/// How many events are kept.
const KEPT: usize = 60;

/// One event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A signer took a request.
    Took(usize, Option<Step>, Option<Chunk>),
    /// A signer's process died.
    SignerDied(usize),
    /// It started again.
    SignerStarted(usize),
    /// The coordinator took a reply.
    Heard(usize, Option<Step>, Option<Chunk>),
    /// The coordinator's process died.
    CoordinatorDied,
    /// It started again.
    CoordinatorStarted,
    /// Power was lost everywhere.
    PowerLoss,
    /// A plan was handed in.
    Planned(Digest, u32),
    /// Something else.
    Said(String),
}

/// The last events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    lines: VecDeque<(u64, What)>,
    /// A digest of all events, to compare two runs.
    pub fingerprint: u64,
}

impl Trace {
    /// Notes an event.
    pub fn add(&mut self, at_ms: u64, what: What) {
        let word = match &what {
            What::Took(number, step, _) => 1 + *number as u64 * 16 + step.map_or(15, |step| step as u64),
            What::Heard(number, step, _) => 1_000 + *number as u64 * 16 + step.map_or(15, |step| step as u64),
            What::SignerDied(number) => 2_000 + *number as u64,
            What::SignerStarted(number) => 3_000 + *number as u64,
            What::CoordinatorDied => 4_000,
            What::CoordinatorStarted => 4_001,
            What::PowerLoss => 4_002,
            What::Planned(_, rank) => 5_000 + u64::from(*rank),
            What::Said(_) => 4_003,
        };
        for part in [at_ms, word] {
            self.fingerprint = (self.fingerprint ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((at_ms, what));
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first_ms = self.lines.front().map_or(0, |(at_ms, _)| *at_ms);
        let step = |step: &Option<Step>| step.map_or("", Step::name);
        let chunk = |chunk: &Option<Chunk>| chunk.map(|chunk| chunk.to_string()).unwrap_or_default();
        for (at_ms, what) in &self.lines {
            write!(f, "  +{:>6} ms  ", at_ms - first_ms)?;
            match what {
                What::Took(number, of, about) => {
                    writeln!(f, "s{:02} takes {} {}", number + 1, step(of), chunk(about))?;
                }
                What::Heard(number, of, about) => {
                    writeln!(f, "coordinator hears s{:02}: {} {}", number + 1, step(of), chunk(about))?;
                }
                What::SignerDied(number) => writeln!(f, "s{:02} dies", number + 1)?,
                What::SignerStarted(number) => writeln!(f, "s{:02} starts", number + 1)?,
                What::CoordinatorDied => writeln!(f, "coordinator dies")?,
                What::CoordinatorStarted => writeln!(f, "coordinator starts")?,
                What::PowerLoss => writeln!(f, "power lost everywhere")?,
                What::Planned(plan, rank) => {
                    writeln!(f, "plan {} of rank {rank} is handed in", plan.short())?
                }
                What::Said(text) => writeln!(f, "{text}")?,
            }
        }
        Ok(())
    }
}
