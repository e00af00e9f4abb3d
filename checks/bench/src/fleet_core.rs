//! `fleet-core`: processor time per refreshed 2-of-3 wallet. The shipped keepers and the shipped driver in one
//! thread, with disk and journal in memory and no socket: what remains is what the core itself takes.

mod cast;
pub mod floor;
mod founding;
mod memory;
pub mod rival;
mod world;

use crate::report::{Figure, Kind, Report, Target};
use cast::Cast;
use perennial_model::wallet::{Chain, Scheme};
use perennial_model::with_group;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::time::Duration;
use world::{Costs, Fleet, Part};

/// How many wallets go through one ceremony, and how many ceremonies are measured.
const SIZES: [(u32, usize); 2] = [(1_000, 5), (10_000, 3)];

/// One chain for each scheme.
const CHAINS: [Chain; 3] = [Chain::Ethereum, Chain::Bitcoin, Chain::Solana];

const PARTS: [Part; 8] = [
    Part::Open,
    Part::Deal,
    Part::Pair,
    Part::Verify,
    Part::Probe,
    Part::Activate,
    Part::Retire,
    Part::Coordinate,
];

/// Runs the benchmark: the cases with `only` in their names.
pub fn run(only: &str) -> anyhow::Result<Report> {
    let rng = &mut ChaCha20Rng::from_seed([3; 32]);
    let mut figures = Vec::new();
    for chain in CHAINS {
        let scheme = chain.scheme();
        let floor = with_group!(scheme, G => floor::per_wallet::<G>(rng));
        for (count, times) in SIZES {
            let name = format!("{} × {},000", scheme.name(), count / 1_000);
            if !name.contains(only) {
                continue;
            }
            let cast = Cast::new()?;
            let founded = founding::found(&cast, chain, count, rng)?;
            let mut fleet = Fleet::start(cast, founded)?;
            // The first ceremony takes up what founding left; all state after it is the shipped code's own.
            fleet.refresh()?;
            let mut runs = (0..times).map(|_| fleet.refresh()).collect::<anyhow::Result<Vec<_>>>()?;
            runs.sort_by_key(total);
            let median = &runs[times / 2];
            let whole = per_wallet_us(total(median), count);
            figures.push(Figure::new(format!("{name}: whole refresh"), whole, "µs").beside(
                Kind::Floor,
                "its curve operations",
                us(floor),
            ));
            figures.extend(parts(&name, median, count));
            if scheme == Scheme::Ecdsa {
                figures.extend(against(&rival::measure()?, &name, whole));
            }
        }
    }
    let what = "processor time per wallet of refreshing 2-of-3 wallets in one ceremony, three signers and \
                coordinator together, in chunks of 256 with one wallet of each probed; in one thread, without \
                sockets and disk"
        .to_owned();
    Ok(Report { name: "fleet-core", what, figures })
}

fn parts(name: &str, costs: &Costs, count: u32) -> Vec<Figure> {
    let shown = PARTS.iter().filter_map(|part| Some((part, costs.get(part)?)));
    shown
        .map(|(part, spent)| {
            Figure::new(format!("{name}:   {}", part.name()), per_wallet_us(*spent, count), "µs")
        })
        .collect()
}

fn against(rival: &rival::Rival, name: &str, whole: f64) -> [Figure; 2] {
    let figure = |what: &str, cost: Duration, least: f64| {
        Figure::new(format!("{name}: beside {what}"), whole, "µs")
            .beside(Kind::Rival, format!("dkls23-core {what}"), us(cost))
            .target(Target::RatioAtLeast(least))
    };
    [figure("complete refresh", rival.complete, 1_000.0), figure("fast refresh", rival.fast, 60.0)]
}

fn total(costs: &Costs) -> Duration {
    costs.values().sum()
}

fn per_wallet_us(spent: Duration, count: u32) -> f64 {
    us(spent) / f64::from(count)
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
