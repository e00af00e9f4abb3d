//! Benchmarks. Each prints its floor or rival from the same run beside every figure; none asserts a time.

mod cpu;
mod evidence;
mod fleet;
mod fleet_core;
mod ledger;
mod live;
mod report;
mod signing;

use clap::{Parser, ValueEnum};
use live::machine;
use report::{Load, Report};

/// Measures what Perennial costs. Every figure stands beside a floor or a rival from the same run.
#[derive(Parser)]
struct Arguments {
    /// What is measured.
    benchmark: Benchmark,
    /// Prints one JSON object per benchmark in place of tables.
    #[arg(long)]
    json: bool,
    /// Measures only cases with this in their names, as `ed25519 × 1,000`.
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Processor time per refreshed wallet: keepers and driver in one process, without sockets and disk.
    FleetCore,
    /// Latency of signatures, steady and during refreshes, and single refreshes: real processes and disk.
    Signing,
    /// Fleets of wallets refreshed in one ceremony: real processes and disk.
    Fleet,
    /// The ledger: entries a second until they are durable, and proofs at ten million entries.
    Ledger,
    /// Evidence of a thousand wallets: made and checked.
    Evidence,
    /// All of them, one after the other.
    All,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    type Run = fn(&str) -> anyhow::Result<Report>;
    let runs: &[(Benchmark, Run)] = &[
        (Benchmark::FleetCore, fleet_core::run),
        (Benchmark::Signing, signing::run),
        (Benchmark::Fleet, fleet::run),
        (Benchmark::Ledger, ledger::run),
        (Benchmark::Evidence, evidence::run),
    ];
    for (benchmark, run) in runs {
        if arguments.benchmark == *benchmark || arguments.benchmark == Benchmark::All {
            let before = machine::load();
            let report = run(&arguments.only)?;
            let load = Load { before, after: machine::load() };
            if arguments.json {
                println!("{}", report.json(&load));
            } else {
                report.print(&load);
            }
        }
    }
    Ok(())
}
