//! Benchmarks. Each prints its floor or rival from the same run beside every figure; none asserts a time.

mod cpu;
mod fleet_core;
mod report;

use clap::{Parser, ValueEnum};
use report::Report;

/// Measures what Perennial costs. Every figure stands beside a floor or a rival from the same run.
#[derive(Parser)]
struct Arguments {
    /// What is measured.
    benchmark: Benchmark,
    /// Prints one JSON object per benchmark in place of tables.
    #[arg(long)]
    json: bool,
    /// Measures only cases with this in their names, as `ed25519 × 1000`.
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Processor time per refreshed wallet: keepers and driver in one process, without sockets and disk.
    FleetCore,
    /// All of them, one after the other.
    All,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    type Run = fn(&str) -> anyhow::Result<Report>;
    let runs: &[(Benchmark, Run)] = &[(Benchmark::FleetCore, fleet_core::run)];
    for (benchmark, run) in runs {
        if arguments.benchmark == *benchmark || arguments.benchmark == Benchmark::All {
            let report = run(&arguments.only)?;
            if arguments.json {
                println!("{}", report.json());
            } else {
                report.print();
            }
        }
    }
    Ok(())
}
