//! One wallet refreshed alone, again and again: from the approval to the last receipt.

use super::floor::{self, Hardware};
use crate::fleet_core::rival;
use crate::live::api::Probe;
use crate::live::load::percentile;
use crate::live::{Cluster, Priority};
use crate::report::{Figure, Kind, Target};
use perennial_model::wallet::{Chain, Scheme};
use std::collections::BTreeMap;

/// How often a wallet is refreshed.
const TIMES: usize = 60;
/// How often an ECDSA wallet is.
const ECDSA_TIMES: usize = 12;
/// What half of the refreshes of a FROST wallet should keep below, in milliseconds.
const FROST_MS: f64 = 25.0;
/// What half of the refreshes of an ECDSA wallet should keep below, in milliseconds.
const ECDSA_MS: f64 = 1_300.0;

/// Measures one wallet of this chain in a cluster of its own.
pub fn measure(chain: Chain, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let cluster = Cluster::start(Priority::Usual)?;
    let hardware = Hardware::measure(cluster.place())?;
    cluster.api.create(&[("treasury".to_owned(), chain.name())])?;
    cluster.api.refresh(&["treasury"], Probe::OnePerChunk, 0)?;
    let times = if chain.scheme() == Scheme::Ecdsa { ECDSA_TIMES } else { TIMES };
    let mut seen_ms = Vec::with_capacity(times);
    let mut phases: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..times {
        let done = cluster.api.refresh(&["treasury"], Probe::OnePerChunk, 0)?;
        seen_ms.push(done.took.as_secs_f64() * 1e3);
        for (phase, took_ms) in done.told["phases_ms"].as_object().into_iter().flatten() {
            phases.entry(phase.clone()).or_default().extend(took_ms.as_f64());
        }
    }
    let name = chain.name();
    let p50 = percentile(&seen_ms, 50);
    let p50_of = || Figure::new(format!("refresh of one {name} wallet, p50"), p50, "ms");
    let above_floor = p50_of().beside(Kind::Floor, "syncs and round trips", floor::refresh_ms(hardware));
    if chain.scheme() == Scheme::Ecdsa {
        let rival_ms = rival::measure()?.complete.as_secs_f64() * 1e3;
        figures.push(above_floor.target(Target::AtMost(ECDSA_MS)));
        figures.push(p50_of().beside(Kind::Rival, "dkls23-core complete refresh", rival_ms));
    } else {
        figures.push(above_floor.target(Target::AtMost(FROST_MS)));
    }
    figures.push(Figure::new(format!("refresh of one {name} wallet, p90"), percentile(&seen_ms, 90), "ms"));
    for (phase, took_ms) in phases {
        figures.push(Figure::new(format!("  {name}, {phase}, p50"), percentile(&took_ms, 50), "ms"));
    }
    Ok(())
}
