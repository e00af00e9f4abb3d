//! `evidence`: how long it takes to make and to check the package that an auditor asks for, of a refresh of a thousand
//! wallets and of one wallet with its signatures, by the shipped tool as a process.

use crate::live::api::Probe;
use crate::live::transfers::transfer;
use crate::live::{Cluster, Priority};
use crate::report::{Figure, Kind, Report, Target};
use anyhow::Context as _;
use ed25519_dalek::{Signer as _, SigningKey};
use perennial_model::encoding::{self, Digest};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::Chain;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How many wallets are refreshed.
const WALLETS: u32 = 1_000;
/// How many transactions the one wallet signs.
const SIGNATURES: u32 = 200;
/// How often each is done; the median counts.
const TIMES: usize = 5;
/// The most seconds for making a bundle, and for checking one.
const SECONDS: [f64; 2] = [10.0, 5.0];
/// One chain for each scheme.
const CHAINS: [Chain; 3] = [Chain::Solana, Chain::Bitcoin, Chain::Ethereum];

/// Runs the benchmark: the cases with `only` in their names, such as `solana`.
pub fn run(only: &str) -> anyhow::Result<Report> {
    let mut figures = Vec::new();
    for chain in CHAINS.into_iter().filter(|chain| chain.name().contains(only)) {
        measure(chain, &mut figures)?;
    }
    let what = format!(
        "a refresh of {WALLETS} wallets of one chain in one ceremony, and one wallet with {SIGNATURES} signatures: \
         `perennial evidence` against a running cluster, and `perennial verify` without one; p50 of {TIMES}"
    );
    Ok(Report { name: "evidence", what, figures })
}

fn measure(chain: Chain, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let cluster = Cluster::start(Priority::Usual)?;
    let wallets: Vec<_> = (0..WALLETS).map(|number| (format!("wallet-{number:05}"), chain.name())).collect();
    cluster.api.create(&wallets)?;
    let told = cluster.api.refresh(&["*"], Probe::OnePerChunk, 0)?.told;
    let ceremony = told["ceremony"].as_str().context("a ceremony has a name")?.to_owned();
    let wallet = cluster.api.get("/v1/wallets/wallet-00000")?;
    let address = wallet["address"].as_str().context("a wallet has an address")?;
    for number in 0..SIGNATURES {
        let unsigned = transfer(chain, address, u64::from(number))?;
        cluster.api.sign("wallet-00000", &unsigned, &format!("evidence-{number}"))?;
    }
    for (about, name) in [(ceremony.as_str(), "the ceremony"), ("wallet-00000", "one wallet")] {
        let file = cluster.place().join(format!("{name}.zip"));
        let path = file.display().to_string();
        let (mut making, mut checking, mut shown) = (Vec::new(), Vec::new(), Value::Null);
        for _ in 0..TIMES {
            // What was made before would not be made again.
            let _ = std::fs::remove_file(&file);
            making.push(cluster.tool(&["evidence", about, "-o", &path])?.0);
            let (took, value) = cluster.tool(&["verify", &path])?;
            checking.push(took);
            shown = value;
        }
        let bytes = std::fs::read(&file)?;
        let floor = floor(&bytes, &shown)?;
        let [made, checked] = [making, checking].map(median);
        let name = format!("{}: {name}, {} KB", chain.name(), bytes.len() / 1000);
        let figure = Figure::new(format!("{name}: made"), made, "s").target(Target::AtMost(SECONDS[0]));
        figures.push(figure.beside(Kind::Floor, "checking it, which making does too", checked));
        let figure = Figure::new(format!("{name}: checked"), checked, "s").target(Target::AtMost(SECONDS[1]));
        figures.push(figure.beside(Kind::Floor, "its hashes, signatures and keys", floor.as_secs_f64()));
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// The hash of every byte, every Ed25519 signature, and every share set opened to its key: what nobody can leave out.
fn floor(bundle: &[u8], shown: &Value) -> anyhow::Result<Duration> {
    let attempts = || {
        shown["ceremonies"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|ceremony| ceremony["attempts"].as_array().into_iter().flatten())
    };
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    let of_attempts: usize =
        attempts().map(|known| 2 * count(&known["holders"]) + count(&known["receipts"])).sum();
    let approvals: usize =
        shown["ceremonies"].as_array().into_iter().flatten().map(|known| count(&known["approved_by"])).sum();
    let signatures = of_attempts + approvals + count(&shown["ledger"]["cosigned_by"]) + 2;
    let key = SigningKey::from_bytes(&[1; 32]);
    let signature = key.sign(b"a statement");
    let sets = share_sets(bundle)?;
    let begun = Instant::now();
    let digest = Digest::of(bundle);
    for _ in 0..signatures {
        key.verifying_key().verify_strict(b"a statement", &signature)?;
    }
    let opened = sets.iter().filter(|set| set.opens_to() == Some(set.key.public_key)).count();
    let took = begun.elapsed();
    anyhow::ensure!(opened == sets.len() && digest != Digest::default(), "a share set does not open");
    Ok(took)
}

/// The share sets in an archive, whose members stand there as they are.
fn share_sets(bundle: &[u8]) -> anyhow::Result<Vec<ShareSet>> {
    const HEADER: &[u8] = b"\x84iperennialishare-set\x01";
    let mut sets = Vec::new();
    let mut rest = bundle;
    while let Some(at) = rest.windows(HEADER.len()).position(|window| window == HEADER) {
        let document = &rest[at..];
        let mut decoder = minicbor::Decoder::new(document);
        decoder.skip()?;
        sets.push(encoding::decode(&document[..decoder.position()])?);
        rest = &document[HEADER.len()..];
    }
    Ok(sets)
}
