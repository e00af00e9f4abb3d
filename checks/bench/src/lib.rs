//! Benchmarks. Each prints its floor or rival from the same run beside every figure; none asserts a time.

mod cpu;
pub mod evidence;
pub mod fleet;
pub mod fleet_core;
pub mod ledger;
mod live;
mod report;
pub mod signing;

use anyhow::{Context as _, ensure};
use clap::Args;
use live::machine;
use report::Load;
pub use report::Report;
use std::process::Command;

/// The program that measures [`ledger`].
pub const LEDGER_PROGRAM: &str = "perennial-bench-ledger";

/// What every benchmark may be asked.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Prints one JSON object per benchmark in place of tables.
    #[arg(long)]
    pub json: bool,
    /// Measures only cases with this in their names, as `ed25519 × 1,000`.
    #[arg(long, default_value = "")]
    pub only: String,
}

/// Runs a benchmark in this process and prints what it found.
///
/// # Errors
/// Those of the benchmark.
pub fn measure(run: fn(&str) -> anyhow::Result<Report>, options: &Options) -> anyhow::Result<()> {
    let before = machine::load();
    let report = run(&options.only)?;
    let load = Load { before, after: machine::load() };
    if options.json {
        println!("{}", report.json(&load));
    } else {
        report.print(&load);
    }
    Ok(())
}

/// Runs a benchmark by another program of this package, which prints what it found.
///
/// # Errors
/// When the program is missing or fails.
pub fn measure_by(program: &str, options: &Options) -> anyhow::Result<()> {
    let mut command = Command::new(live::program(program)?);
    command.args(options.json.then_some("--json")).arg(format!("--only={}", options.only));
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} failed: {status}");
    Ok(())
}
