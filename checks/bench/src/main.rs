//! `perennial-bench`: the benchmarks' command.

use clap::{Parser, ValueEnum};
use perennial_bench::{LEDGER_PROGRAM, Options, evidence, fleet, fleet_core, measure, measure_by, signing};

/// Measures what Perennial costs. Every figure stands beside a floor or a rival from the same run.
#[derive(Parser)]
struct Arguments {
    /// What is measured.
    benchmark: Benchmark,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Processor time per refreshed wallet: keepers and driver in one process, without sockets and disk.
    FleetCore,
    /// Latency of signatures, steady and during refreshes, and single refreshes: real processes and disk.
    Signing,
    /// Fleets of wallets refreshed in one ceremony: real processes and disk.
    Fleet,
    /// The ledger: entries a second until they are durable, and proofs at ten million entries. By a program of its own:
    /// build the whole package before.
    Ledger,
    /// Evidence of a thousand wallets: made and checked.
    Evidence,
    /// All of them, one after the other.
    All,
}

fn main() -> anyhow::Result<()> {
    let Arguments { benchmark, options } = Arguments::parse();
    run(benchmark, &options)
}

fn run(benchmark: Benchmark, options: &Options) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::FleetCore => measure(fleet_core::run, options),
        Benchmark::Signing => measure(signing::run, options),
        Benchmark::Fleet => measure(fleet::run, options),
        Benchmark::Ledger => measure_by(LEDGER_PROGRAM, options),
        Benchmark::Evidence => measure(evidence::run, options),
        Benchmark::All => {
            use Benchmark::{Evidence, Fleet, FleetCore, Ledger, Signing};
            [FleetCore, Signing, Fleet, Ledger, Evidence].into_iter().try_for_each(|one| run(one, options))
        }
    }
}
