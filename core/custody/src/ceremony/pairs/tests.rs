//! When a run is given up, and what is looked at again when a base is made.

use super::{Pairs, RUNS_MAX, idle_ms_max};
use crate::inbox::ToVerify;
use crate::serving::Attempt;
use perennial_model::dealing::Inputs;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use std::collections::BTreeSet;

#[test]
fn each_run_is_given_more_time_and_none_has_hours() {
    let times: Vec<u64> = (1..=6).map(idle_ms_max).collect();
    assert_eq!(times, [15_000, 30_000, 60_000, 120_000, 240_000, 240_000]);
    assert_eq!(idle_ms_max(RUNS_MAX), 240_000);
}

/// The dealings of a chunk of one wallet; what is in them plays no part here.
fn dealings(rank: u32, first: u32) -> ToVerify {
    let chunk = Chunk { plan: Digest([1; 32]), epoch: Epoch { rank, count: 1 }, first, count: 1 };
    let inputs = Inputs::new(chunk, Vec::new(), &[]);
    ToVerify { inputs, openings: Vec::new(), promises: Digest([2; 32]), dealings: Vec::new() }
}

#[test]
fn what_waits_is_looked_at_again_when_its_own_attempt_has_a_base() {
    let mut pairs = Pairs::default();
    let [first, second, other] = [dealings(2, 0), dealings(2, 1), dealings(3, 2)];
    let attempt = Attempt::from(&first.inputs.chunk);
    let (chunks, left) = ([first.inputs.chunk, second.inputs.chunk], other.inputs.chunk);
    [first, second, other].into_iter().for_each(|dealings| pairs.wait(dealings));
    assert!(pairs.again.is_empty());
    pairs.look_again(&attempt);
    assert!(pairs.again.keys().eq(&chunks));
    assert!(pairs.waiting.keys().eq([&left]));
    pairs.forget_runs(&BTreeSet::from([attempt]));
    assert!(pairs.again.is_empty());
    assert!(pairs.waiting.keys().eq([&left]));
}
