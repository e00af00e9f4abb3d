//! `signing`: what a request at the API takes, steady and while shares are replaced back to back, and what one
//! refresh takes from its approval to the last receipt. Real processes, real sockets, a real disk.

pub mod floor;
mod refreshes;

use crate::live::api::Probe;
use crate::live::load::{self, Sample, percentile};
use crate::live::transfers::transfer;
use crate::live::{Cluster, Priority};
use crate::report::{Figure, Kind, Report, Target};
use anyhow::Context as _;
use floor::Hardware;
use perennial_model::wallet::{Chain, Scheme};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// One wallet of each scheme signs.
const WALLETS: [(&str, Chain); 3] =
    [("treasury", Chain::Ethereum), ("vault", Chain::Bitcoin), ("payroll", Chain::Solana)];
/// Signatures a second, over all wallets: what two processors and one disk bear beside a refresh.
const RATE: f64 = 30.0;
/// Steady and disturbed signing take turns, so that whatever else the machine does meets both.
const TURNS: u32 = 3;
/// Signatures in a turn.
const SIGNATURES: u64 = 700;
/// How long old and new shares are both served: longer than sessions last that were begun under the old ones.
const OVERLAP_MS: u64 = 250;
/// How often it is looked whether a turn is over.
const LOOK: Duration = Duration::from_millis(5);

/// What half of the requests to an ECDSA wallet should keep below.
const ECDSA_MS: f64 = 15.0;
/// How many times as long the slowest of a hundred may take while shares are replaced.
const P99_RATIO: f64 = 1.3;

/// What happens meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    /// All wallets are refreshed, again and again.
    Refreshes,
    /// Every processor is busy with something else that gives way to all.
    Idlers,
}

/// What was found in all turns of a kind.
#[derive(Default)]
struct Side {
    samples: Vec<Sample>,
    refreshes: usize,
}

impl Priority {
    fn name(self) -> &'static str {
        match self {
            Self::Usual => "latency",
            Self::Yield => "latency with ceremonies_yield",
        }
    }
}

/// Runs the benchmark: the cases with `only` in their names, which are `latency`, `latency with ceremonies_yield`,
/// `refresh ethereum`, `refresh bitcoin` and `refresh solana`.
pub fn run(only: &str) -> anyhow::Result<Report> {
    let mut figures = Vec::new();
    for priority in [Priority::Usual, Priority::Yield] {
        if priority.name().contains(only) {
            latency(priority, &mut figures)?;
        }
    }
    for (_, chain) in WALLETS {
        if format!("refresh {}", chain.name()).contains(only) {
            refreshes::measure(chain, &mut figures)?;
        }
    }
    let what = format!(
        "one coordinator and three signers, any two of which sign, as processes on this machine. Latency at the API \
         from the time at which a request was due, {RATE} requests a second over three wallets, in turns of \
         {SIGNATURES}: steady, while all three wallets are refreshed back to back with an overlap of {OVERLAP_MS} ms, and \
         while something at idle priority that touches neither disk nor memory keeps every processor busy. \
         One wallet alone is refreshed with overlap zero, from its approval until the last receipt was seen"
    );
    Ok(Report { name: "signing", what, figures })
}

fn latency(priority: Priority, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let cluster = Cluster::start(priority)?;
    let hardware = Hardware::measure(cluster.place())?;
    let wallets: Vec<_> = WALLETS.iter().map(|(name, chain)| ((*name).to_owned(), chain.name())).collect();
    cluster.api.create(&wallets)?;
    let addresses = WALLETS.iter().map(|(name, _)| {
        let wallet = cluster.api.get(&format!("/v1/wallets/{name}"))?;
        Ok(wallet["address"].as_str().context("a wallet has an address")?.to_owned())
    });
    let addresses = addresses.collect::<anyhow::Result<Vec<_>>>()?;
    let api = &cluster.api;
    let send = |number: u64| {
        let place = (number % WALLETS.len() as u64) as usize;
        let (name, chain) = WALLETS[place];
        api.sign(name, &transfer(chain, &addresses[place], number)?, &format!("bench-{number}"))
    };
    let turn = |first, meanwhile| -> anyhow::Result<(usize, Vec<Sample>)> {
        load::during(RATE, first, send, |sent: &AtomicU64| {
            let mut refreshes = 0;
            let idlers = (meanwhile == Meanwhile::Idlers).then(floor::Idlers::start).transpose()?;
            while sent.load(Relaxed) < SIGNATURES {
                match meanwhile {
                    Meanwhile::Refreshes => drop(api.refresh(&["*"], Probe::OnePerChunk, OVERLAP_MS)?),
                    Meanwhile::Nothing | Meanwhile::Idlers => std::thread::sleep(LOOK),
                }
                refreshes += 1;
            }
            drop(idlers);
            Ok(refreshes)
        })
    };
    // The first requests find caches and connections cold and do not count.
    let (_, cold) = turn(0, Meanwhile::Nothing)?;
    let mut first = cold.len() as u64;
    let (mut steady, mut during, mut busy) = (Side::default(), Side::default(), Side::default());
    for _ in 0..TURNS {
        for (side, meanwhile) in [
            (&mut steady, Meanwhile::Nothing),
            (&mut during, Meanwhile::Refreshes),
            (&mut busy, Meanwhile::Idlers),
        ] {
            let (refreshes, samples) = turn(first, meanwhile)?;
            first += samples.len() as u64;
            side.samples.extend(samples);
            side.refreshes += refreshes;
        }
    }
    let before = figures.len();
    describe(&steady, &during, hardware, figures)?;
    let (calm, busy) = (steady.latencies(None), busy.latencies(None));
    let name = "all: beside idle-priority work on every processor, p99";
    let figure = Figure::new(name, percentile(&busy, 99), "ms");
    figures.push(figure.beside(Kind::Undisturbed, "steady", percentile(&calm, 99)));
    if priority == Priority::Yield {
        figures.iter_mut().skip(before).for_each(|figure| figure.name.insert_str(0, "yielding, "));
    }
    Ok(())
}

impl Side {
    /// The latencies of what was signed for a chain, or for all, in milliseconds.
    fn latencies(&self, chain: Option<Chain>) -> Vec<f64> {
        let of_chain = |sample: &&Sample| {
            let place = (sample.number % WALLETS.len() as u64) as usize;
            sample.outcome.is_ok() && chain.is_none_or(|chain| chain == WALLETS[place].1)
        };
        self.samples.iter().filter(of_chain).map(|sample| sample.latency.as_secs_f64() * 1e3).collect()
    }

    fn failed(&self) -> usize {
        self.samples.iter().filter(|sample| sample.outcome.is_err()).count()
    }
}

fn describe(
    steady: &Side,
    during: &Side,
    hardware: Hardware,
    figures: &mut Vec<Figure>,
) -> anyhow::Result<()> {
    let rival = floor::library_signs()?;
    for (_, chain) in WALLETS {
        let (name, floor_ms) = (chain.name(), floor::signature_ms(chain.scheme(), hardware, rival));
        let (calm, disturbed) = (steady.latencies(Some(chain)), during.latencies(Some(chain)));
        let p50 = percentile(&calm, 50);
        let figure = Figure::new(format!("{name}: steady, p50"), p50, "ms");
        let figure = figure.beside(Kind::Floor, "syncs, round trips, engine", floor_ms);
        figures.push(match chain.scheme() {
            Scheme::Ecdsa => figure.target(Target::AtMost(ECDSA_MS)),
            _ => figure,
        });
        let figure = Figure::new(format!("{name}: during refreshes, p50"), percentile(&disturbed, 50), "ms");
        figures.push(figure.beside(Kind::Undisturbed, "steady", p50));
        let figure = Figure::new(format!("{name}: during refreshes, p99"), percentile(&disturbed, 99), "ms");
        figures.push(figure.beside(Kind::Undisturbed, "steady", percentile(&calm, 99)));
    }
    let (calm, disturbed) = (steady.latencies(None), during.latencies(None));
    for percent in [50, 90, 99] {
        let value = percentile(&disturbed, percent);
        let figure = Figure::new(format!("all: during refreshes, p{percent}"), value, "ms");
        let figure = figure.beside(Kind::Undisturbed, "steady", percentile(&calm, percent));
        figures.push(if percent == 99 { figure.target(Target::RatioAtMost(P99_RATIO)) } else { figure });
    }
    for (name, side) in [("steady", steady), ("during refreshes", during)] {
        figures.push(Figure::new(
            format!("all: signed, {name}"),
            (side.samples.len() - side.failed()) as f64,
            "",
        ));
        let failed = Figure::new(format!("all: failed, {name}"), side.failed() as f64, "");
        figures.push(failed.target(Target::AtMost(0.0)));
        let reason = side.samples.iter().find_map(|sample| sample.outcome.as_ref().err());
        if let Some(reason) = reason {
            eprintln!("one of the requests that failed: {reason}");
        }
    }
    let tries = during.samples.iter().filter_map(|sample| sample.outcome.as_ref().ok());
    let again = tries.filter(|tries| **tries > 1).count();
    figures.push(Figure::new("all: signed in a second session or later, during refreshes", again as f64, ""));
    figures.push(Figure::new("all: refreshes meanwhile", during.refreshes as f64, ""));
    Ok(())
}
