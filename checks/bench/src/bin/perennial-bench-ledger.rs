//! `perennial-bench ledger`, as a process of its own: it has the allocator of the coordinator, whose writer it measures.
//! What the others measure in their process is run by signers, which have the system's.

use clap::Parser;
use perennial_bench::{Options, ledger, measure};
use perennial_coordinator::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Measures the ledger. Usually started by `perennial-bench ledger`.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> anyhow::Result<()> {
    measure(ledger::run, &Arguments::parse().options)
}
