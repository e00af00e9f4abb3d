//! `ledger`: how many entries a second become durable through the shipped writer, and how large and how dear proofs
//! are at ten million entries.

use crate::report::{Figure, Kind, Report, Target};
use anyhow::Context;
use perennial_coordinator::ledger::{Ledger, LedgerReader, Release};
use perennial_coordinator::store::StoreFile;
use perennial_ledger::entry::{Content, Epoch, ShortText, Signature};
use perennial_ledger::proof::inclusion_needs;
use perennial_ledger::{Digest, Entry, MemoryNodes, Tree, TreeHead, prove_consistency, prove_inclusion};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Entries a second that are wanted.
const WANTED: f64 = 100_000.0;
/// How many requests wait at a time, and what their idempotency keys are.
const CROWDS: [(u64, Keys); 4] =
    [(1, Keys::Counted), (256, Keys::Counted), (CROWD, Keys::Counted), (CROWD, Keys::Random)];
/// The most that a coordinator can be made to let in (`requests_in_flight`).
const CROWD: u64 = 10_000;
/// For how long each crowd asks.
const ASKING: Duration = Duration::from_secs(5);
/// How many writes are synced for the ceiling of one request at a time.
const SYNCS: u32 = 200;
/// How many entries are appended for the ceiling of many.
const APPENDED: u64 = 200_000;
/// How many proofs are made from what was written.
const READ: u64 = 500;
/// The log whose proofs are measured.
const LARGE: u64 = 10_000_000;
/// How many proofs are made there.
const PROOFS: u64 = 1_000;

/// Runs the benchmark: the cases with `only` in their names.
pub fn run(only: &str) -> anyhow::Result<Report> {
    let mut figures = Vec::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for (crowd, keys) in CROWDS {
        let name = format!("entries, {crowd} at a time{}", keys.name());
        if name.contains(only) {
            let place = tempfile::tempdir()?;
            let (entries, proof) = runtime.block_on(append(place.path(), crowd, keys))?;
            let (ceiling, what) = match crowd {
                1 => (synced(place.path())?, "one small write, synced"),
                _ => (
                    appended(place.path(), crowd, keys)?,
                    "the same bytes in one file, synced once a crowd, and the tree",
                ),
            };
            let figure = Figure::new(&name, entries, "entries/s").beside(Kind::Ceiling, what, ceiling);
            let is_wanted = crowd == CROWD && keys == Keys::Counted;
            figures.push(if is_wanted { figure.target(Target::AtLeast(WANTED)) } else { figure });
            figures.push(Figure::new(format!("{name}: a proof of one, from the file"), proof, "µs"));
        }
    }
    if "proofs".contains(only) {
        proofs(&mut figures)?;
    }
    let what = "signatures released by the coordinator's own writer, each counted when its entry, its tree nodes and \
                its answer are durable (SQLite, synced); proofs over a log of ten million entries in memory"
        .to_owned();
    Ok(Report { name: "ledger", what, figures })
}

/// What requests are called by those who make them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// By numbers that count up, as orders have.
    Counted,
    /// At random, as UUIDs are: in the index of keys each stands on another page, which is written for it.
    Random,
}

impl Keys {
    fn name(self) -> &'static str {
        match self {
            Self::Counted => "",
            Self::Random => ", random keys",
        }
    }

    fn key(self, number: u64) -> String {
        match self {
            Self::Counted => format!("payment-{number}"),
            Self::Random => hex::encode(&Digest::of(&number.to_le_bytes()).0[..16]),
        }
    }
}

/// The entry of a signature, as large as they are.
fn entry(number: u64) -> anyhow::Result<Vec<u8>> {
    let wallet = ShortText::new(&format!("wallet-{:05}", number % 10_000))?;
    let signature = Signature {
        wallet: wallet.clone(),
        epoch: Epoch { rank: 3, count: 1 },
        transcript: Digest::of(&number.to_be_bytes()),
        plan: Digest([2; 32]),
        policy: None,
        decision: None,
        custody_state: None,
    };
    let content = Content::Signature(signature);
    let body = Digest::of(&number.to_le_bytes());
    Ok(Entry { time_ms: 1_700_000_000_000 + number, subject: wallet, body, content }.to_bytes())
}

fn release(number: u64, keys: Keys) -> anyhow::Result<Release> {
    Ok(Release {
        entry: entry(number)?,
        idempotency_key: Some(keys.key(number)),
        request: [7; 32],
        released_ms: number,
        answer: vec![8; 700],
    })
}

/// Entries a second while so many requests wait at a time, and microseconds for a proof of one of them.
async fn append(place: &Path, crowd: u64, keys: Keys) -> anyhow::Result<(f64, f64)> {
    let file = StoreFile::new(place.join("ledger.db"));
    let (ledger, writer) = Ledger::open(file.clone()).await?;
    tokio::spawn(writer);
    tokio::spawn(file.clone().keep_log_short());
    let begun = Instant::now();
    let asking = (0..crowd).map(|member| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let mut number = member;
            while begun.elapsed() < ASKING {
                ledger.release(release(number, keys)?).await?;
                number += crowd;
            }
            anyhow::Ok(())
        })
    });
    let asking: Vec<_> = asking.collect();
    for one in asking {
        one.await??;
    }
    let entries = ledger.head().size as f64 / begun.elapsed().as_secs_f64();
    Ok((entries, prove_from_file(file, ledger.head()).await?))
}

fn synced(place: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(place.join("synced"))?;
    let begun = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
    }
    Ok(f64::from(SYNCS) / begun.elapsed().as_secs_f64())
}

/// What nobody can do without: the tree, and the bytes on the disk, synced once for each crowd.
fn appended(place: &Path, crowd: u64, keys: Keys) -> anyhow::Result<f64> {
    let releases = (0..APPENDED).map(|number| release(number, keys)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut file = File::create(place.join("appended"))?;
    let begun = Instant::now();
    let mut tree = Tree::empty();
    for together in releases.chunks(usize::try_from(crowd)?) {
        let entries: Vec<&[u8]> = together.iter().map(|release| release.entry.as_slice()).collect();
        tree = tree.append(&entries)?.tree;
        let mut bytes = Vec::new();
        for release in together {
            let key = release.idempotency_key.as_deref().unwrap_or_default().as_bytes();
            bytes.extend([&release.entry[..], key, &release.request, &release.answer].concat());
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(tree.size() as f64 / begun.elapsed().as_secs_f64())
}

/// Microseconds for a proof of an entry that is made from the file.
async fn prove_from_file(file: StoreFile, head: TreeHead) -> anyhow::Result<f64> {
    let reader = LedgerReader::new(file);
    let begun = Instant::now();
    for number in 0..READ {
        let index = number * (head.size / READ);
        let nodes = reader.nodes(&inclusion_needs(index, head.size)?).await?;
        prove_inclusion(index, &head, &nodes)?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / READ as f64)
}

fn proofs(figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let (mut tree, mut nodes) = (Tree::empty(), MemoryNodes::default());
    let mut old = tree.head();
    for first in (0..LARGE).step_by(100_000) {
        let entries: Vec<[u8; 8]> = (first..first + 100_000).map(u64::to_be_bytes).collect();
        let growth = tree.append(&entries)?;
        nodes.store(&growth.nodes);
        tree = growth.tree;
        if first == LARGE / 3 / 100_000 * 100_000 {
            old = tree.head();
        }
    }
    let head = tree.head();
    let begun = Instant::now();
    let mut longest = 0;
    let mut bytes = 0;
    for number in 0..PROOFS {
        let index = number * (LARGE / PROOFS) + number % 97;
        let proof = prove_inclusion(index, &head, &nodes)?;
        longest = longest.max(proof.hashes.len());
        bytes = bytes.max(proof.to_bytes().len());
    }
    let per_proof = begun.elapsed().as_secs_f64() * 1e6 / PROOFS as f64;
    let consistency =
        prove_consistency(&old, &head, &nodes).context("a third of the log is a prefix of it")?;
    let levels = (LARGE as f64).log2().ceil();
    figures.extend([
        Figure::new("proofs: longest of an entry", longest as f64, "hashes")
            .beside(Kind::Floor, "levels of the tree", levels)
            .target(Target::RatioAtMost(1.0)),
        Figure::new("proofs: largest of an entry, as written", bytes as f64, "bytes"),
        Figure::new("proofs: made and checked", per_proof, "µs"),
        Figure::new(
            "proofs: that the log continues its first third",
            consistency.hashes.len() as f64,
            "hashes",
        )
        .beside(Kind::Floor, "levels of the tree", levels),
    ]);
    Ok(())
}
