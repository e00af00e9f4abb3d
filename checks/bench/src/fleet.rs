//! `fleet`: many wallets refreshed in one ceremony, by real processes over real sockets and a real disk: wallets a
//! second, a signer's memory, and what its disk holds after ten refreshes.

mod needs;

use crate::live::api::Probe;
use crate::live::load::percentile;
use crate::live::machine;
use crate::live::{Cluster, Priority, SIGNERS};
use crate::report::{Figure, Kind, Report, Target};
use needs::Needs;
use perennial_model::wallet::{Chain, Scheme};
use std::time::Duration;

/// How many wallets go through one ceremony.
const SIZES: [u32; 2] = [1_000, FULL];
/// As many as a signer's memory and disk are measured with.
const FULL: u32 = 10_000;
/// One chain for each scheme.
const CHAINS: [Chain; 3] = [Chain::Solana, Chain::Bitcoin, Chain::Ethereum];
/// How many refreshes with one wallet of each chunk probed.
const TIMES: usize = 10;
/// How many refreshes with every wallet probed.
const PROBED_TIMES: usize = 2;
/// Wallets a second with one wallet of each chunk probed.
const WALLETS_PER_SECOND: f64 = 2_000.0;
/// Wallets a second with every wallet probed, FROST and ECDSA.
const PROBED_PER_SECOND: [f64; 2] = [600.0, 90.0];
/// The most memory of a signer with 10,000 wallets, in MB.
const MEMORY_MB: f64 = 300.0;
/// The most that a wallet takes on a signer's disk, in KB.
const DISK_KB: f64 = 2.0;
/// After a ceremony signers make their records smaller when no mail has come for two seconds; checkpoints of the ledger
/// come for some seconds more.
const IDLE: Duration = Duration::from_secs(15);

/// Runs the benchmark: the cases with `only` in their names, such as `solana × 1,000`.
pub fn run(only: &str) -> anyhow::Result<Report> {
    let mut figures = Vec::new();
    for count in SIZES {
        for chain in CHAINS {
            let name = format!("{} × {},000", chain.name(), count / 1_000);
            if name.contains(only) {
                measure(&name, chain, count, &mut figures)?;
            }
        }
    }
    let what = "wallets of one scheme refreshed in one ceremony with overlap zero, from the approval until the last \
                receipt was seen at the API: one coordinator and three signers, any two of which sign, as processes \
                on this machine, in chunks of 256"
        .to_owned();
    Ok(Report { name: "fleet", what, figures })
}

fn measure(name: &str, chain: Chain, count: u32, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let cluster = Cluster::start(Priority::Usual)?;
    let wallets: Vec<_> = (0..count).map(|number| (format!("wallet-{number:05}"), chain.name())).collect();
    let made = cluster.api.create(&wallets)?;
    let per_second = |took: Duration| f64::from(count) / took.as_secs_f64();
    figures.push(Figure::new(format!("{name}: made, every one probed"), per_second(made.took), "wallets/s"));
    let scheme = chain.scheme();
    let needs = Needs::measure(scheme)?;
    let processors = std::thread::available_parallelism()?.get() as f64;
    let busy = || cluster.processes().map(machine::processor_time).sum::<anyhow::Result<Duration>>();
    for (probe, times, target) in [
        (Probe::OnePerChunk, TIMES, WALLETS_PER_SECOND),
        (Probe::Every, PROBED_TIMES, PROBED_PER_SECOND[usize::from(scheme == Scheme::Ecdsa)]),
    ] {
        let before = busy()?;
        let mut rates = Vec::with_capacity(times);
        for _ in 0..times {
            rates.push(per_second(cluster.api.refresh(&["*"], probe, 0)?.took));
        }
        let spent = (busy()? - before).as_secs_f64() / (times as f64 * f64::from(count));
        let probed = if probe == Probe::Every { "every wallet probed" } else { "one per chunk probed" };
        let figure =
            Figure::new(format!("{name}: {probed}, p50 of {times}"), percentile(&rates, 50), "wallets/s");
        let figure = figure.target(Target::AtLeast(target));
        let least = needs.per_wallet(count, probe);
        figures.push(figure.beside(Kind::Ceiling, needs.what(), processors / least));
        let figure = Figure::new(format!("{name}: {probed}, processor time"), spent * 1e6, "µs/wallet");
        figures.push(figure.beside(Kind::Floor, "the same", least * 1e6));
    }
    resources(name, &cluster, count, figures)
}

fn resources(name: &str, cluster: &Cluster, count: u32, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let peaks = cluster.processes().map(machine::peak_memory).collect::<anyhow::Result<Vec<_>>>()?;
    let of_signers = peaks.iter().skip(1).copied().max().unwrap_or_default();
    let figure = Figure::new(format!("{name}: a signer's memory at its peak"), of_signers as f64 / 1e6, "MB");
    figures.push(figure.target(Target::AtMost(MEMORY_MB)));
    let coordinator = peaks.first().copied().unwrap_or_default();
    figures.push(Figure::new(format!("{name}: the coordinator's"), coordinator as f64 / 1e6, "MB"));
    let mut disk = [0.0; 2];
    for (place, wait) in disk.iter_mut().zip([Duration::ZERO, IDLE]) {
        std::thread::sleep(wait);
        for signer in SIGNERS {
            let bytes = machine::disk_bytes(&cluster.directory_of(signer))? as f64;
            *place = f64::max(*place, bytes / 1e3 / f64::from(count));
        }
    }
    let [at_once, later] = disk;
    figures.push(Figure::new(format!("{name}: a signer's disk, at once"), at_once, "KB/wallet"));
    let figure = Figure::new(format!("{name}: a signer's disk, when it is idle"), later, "KB/wallet");
    figures.push(if count == FULL { figure.target(Target::AtMost(DISK_KB)) } else { figure });
    Ok(())
}
