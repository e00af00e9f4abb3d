//! Tells what a stopped signer holds, from a copy of its records in memory: wallets, epochs, states. It opens no
//! share, needs no key, and changes nothing.

use crate::clock::Clock;
use crate::keys::identity_digits;
use crate::private_file::check_directory;
use crate::process::DirectoryLock;
use crate::run::StartError;
use crate::store::{self, Look, StoreRefused};
use perennial_chain::address;
use perennial_custody::exposure::{self, Undead};
use perennial_custody::keeper::LoadFailed;
use perennial_custody::keyslots::SlotBytes;
use perennial_custody::record::{ChunkRecord, ChunkState, HeldEpoch, WalletRecord};
use perennial_custody::store::Table;
use perennial_custody::witness::{self, Clear, Standing};
use perennial_model::derivation::Path as KeyPath;
use perennial_model::encoding::{self, Bytes};
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::plan::Chunk;
use perennial_model::witness::Alarm;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object on one line.
    Json,
}

/// Prints what the signer of this directory holds.
///
/// # Errors
/// [`StartError`] while the signer runs, and when its files cannot be read.
pub fn show(directory: &Path, form: Form) -> Result<(), StartError> {
    check_directory(directory)?;
    let _lock = DirectoryLock::take(directory)?;
    let text = match (store::look(directory)?, form) {
        (None, Form::Json) => format!("{}\n", json!({ "signer": null, "wallets": [], "chunks": [] })),
        (None, Form::Text) => "this signer has not run yet: it holds nothing\n".to_owned(),
        (Some(look), Form::Json) => format!("{}\n", as_json(&look, &read(&look)?)),
        (Some(look), Form::Text) => as_text(&look, &read(&look)?),
    };
    write(&text)
}

/// Writes to standard output. If nobody reads it, nothing is lost.
pub(crate) fn write(text: &str) -> Result<(), StartError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(StartError::System { action: "write to standard output", source })
        }
        _ => Ok(()),
    }
}

struct Holdings {
    wallets: BTreeMap<String, WalletRecord>,
    chunks: BTreeMap<Chunk, ChunkRecord>,
    banned: BTreeSet<String>,
    sessions: usize,
    ledger: Standing,
}

fn read(look: &Look) -> Result<Holdings, StartError> {
    let damaged =
        |reason: String| StartError::Load(LoadFailed::Records(Error::Bug(format!("unreadable: {reason}"))));
    let rows = |table| look.of_keeper(table).map_err(|e| StartError::Store(StoreRefused::Disk(e)));
    let text = |key: Vec<u8>| String::from_utf8(key).map_err(|e| damaged(e.to_string()));
    let mut wallets = BTreeMap::new();
    for (key, bytes) in rows(Table::Wallet)? {
        let record = encoding::decode(&bytes).map_err(|e| damaged(e.to_string()))?;
        wallets.insert(text(key)?, record);
    }
    let mut chunks = BTreeMap::new();
    for (key, bytes) in rows(Table::Chunk)? {
        let chunk = minicbor::decode(&key).map_err(|e| damaged(e.to_string()))?;
        chunks.insert(chunk, encoding::decode(&bytes).map_err(|e| damaged(e.to_string()))?);
    }
    let of_desk = |table| look.of_desk(table).map_err(|e| StartError::Store(StoreRefused::Disk(e)));
    let bans = rows(Table::Ban)?.into_iter().chain(of_desk(Table::Ban)?);
    let banned = bans.map(|(key, _)| text(key)).collect::<Result<_, _>>()?;
    let sessions = rows(Table::Session)?.len() + of_desk(Table::Session)?.len();
    let ledger = witness::standing(&rows(Table::Ledger)?).map_err(|e| damaged(e.to_string()))?;
    Ok(Holdings { wallets, chunks, banned, sessions, ledger })
}

impl Holdings {
    fn oldest_undead(&self) -> Option<Undead> {
        exposure::oldest(self.wallets.values(), |chunk| self.chunks.get(chunk))
    }

    fn state(&self, chunk: &Chunk) -> Option<ChunkState> {
        self.chunks.get(chunk).map(|record| record.state)
    }

    /// The wallet's address if this is an epoch that all holders keep, as this signer has seen. Before its first one a
    /// wallet has none.
    fn address(&self, held: &HeldEpoch) -> Option<String> {
        let set = &held.share_set;
        let is_kept_by_all = matches!(self.state(&held.chunk), Some(ChunkState::Retired(_)));
        let path = is_kept_by_all.then(|| KeyPath::primary(set.wallet.chain))?;
        address(&set.wallet, &set.key, &path).ok()
    }
}

fn name_of(state: Option<ChunkState>) -> &'static str {
    state.map_or("unknown", ChunkState::name)
}

fn is_served(state: Option<ChunkState>) -> bool {
    state.is_some_and(ChunkState::is_served)
}

fn numbers(epoch: Epoch) -> Value {
    json!([epoch.rank, epoch.count])
}

fn used(slots: &[SlotBytes]) -> usize {
    slots.iter().filter(|slot| **slot != SlotBytes::EMPTY).count()
}

fn undead(oldest: &Undead) -> Value {
    json!({
        "wallet": oldest.wallet.as_str(),
        "epoch": numbers(oldest.epoch),
        "since_ms": oldest.since_ms,
        "age_ms": Clock::default().now_ms().saturating_sub(oldest.since_ms),
    })
}

fn as_json(look: &Look, holdings: &Holdings) -> Value {
    let held = |record: &WalletRecord| -> Vec<Value> {
        record
            .held
            .iter()
            .map(|held| {
                let set = &held.share_set;
                let state = holdings.state(&held.chunk);
                json!({
                    "epoch": numbers(set.epoch),
                    "transcript": set.transcript.to_string(),
                    "state": name_of(state),
                    "served": is_served(state),
                    "threshold": set.committee.threshold(),
                    "signers": set.committee.signers().map(|signer| signer.as_str()).collect::<Vec<_>>(),
                    "seat": set.committee.seat_of(&look.owner.signer).map(|seat| seat.get()),
                })
            })
            .collect()
    };
    let wallets: Vec<Value> = holdings
        .wallets
        .iter()
        .map(|(id, record)| {
            let last = record.held.last().map(|held| &held.share_set);
            json!({
                "id": id,
                "chain": last.map(|set| set.wallet.chain.name()),
                "scheme": last.map(|set| set.scheme().name()),
                "address": record.held.iter().find_map(|held| holdings.address(held)),
                "floor": numbers(record.floor),
                "held": held(record),
            })
        })
        .collect();
    let chunks: Vec<Value> = holdings
        .chunks
        .iter()
        .map(|(chunk, record)| {
            json!({
                "plan": chunk.plan.to_string(),
                "epoch": numbers(chunk.epoch),
                "first": chunk.first,
                "count": chunk.count,
                "state": record.state.name(),
            })
        })
        .collect();
    json!({
        "signer": look.owner.signer.as_str(),
        "identity_key": identity_digits(&look.owner.identity_key),
        "wallets": wallets,
        "chunks": chunks,
        "slots": { "used": used(&look.slots), "size": look.slots.len() },
        "banned": holdings.banned,
        "sessions": holdings.sessions,
        "oldest_undead": holdings.oldest_undead().as_ref().map(undead),
        "checkpoint": holdings.ledger.checkpoint.as_ref().map(|held| note(&held.note)),
        "halted": halt(&holdings.ledger).map(|(reason, alarm)| json!({
            "reason": reason,
            "halt": holdings.ledger.halt.as_ref().map(|halt| halt.alarm.body_digest().to_string()),
            "breach": alarm.breach.name(),
            "at_ms": alarm.at_ms,
            "key": alarm.key,
            "cosigned": note(&alarm.held),
            "offered": note(&alarm.offered),
        })),
    })
}

fn as_text(look: &Look, holdings: &Holdings) -> String {
    let mut text = format!(
        "signer {} (identity key {}…)\n{} wallets, {} chunks, {} of {} key slots in use, {} sessions remembered\n",
        look.owner.signer,
        identity_digits(&look.owner.identity_key).get(..8).unwrap_or_default(),
        holdings.wallets.len(),
        holdings.chunks.len(),
        used(&look.slots),
        look.slots.len(),
        holdings.sessions,
    );
    let mut line = |row: [&str; 7]| {
        let [wallet, chain, epoch, state, served, committee, address] = row;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{wallet:<40}  {chain:<15}  {epoch:<8}  {state:<9}  {served:<6}  {committee:<12}  {address}"
        );
    };
    line(["wallet", "chain", "epoch", "state", "signs", "committee", "address"]);
    for (id, record) in &holdings.wallets {
        if record.held.is_empty() {
            line([id, "-", &format!("> {}", record.floor), "none held", "no", "-", "-"]);
        }
        for held in &record.held {
            let set = &held.share_set;
            let state = holdings.state(&held.chunk);
            let signers: Vec<&str> = set.committee.signers().map(|signer| signer.as_str()).collect();
            let committee = format!("{} of {}", set.committee.threshold(), signers.join(" "));
            let served = if is_served(state) { "yes" } else { "no" };
            let (chain, epoch) = (set.wallet.chain.name(), set.epoch.to_string());
            let address = holdings.address(held).unwrap_or_else(|| "-".to_owned());
            line([id, chain, &epoch, name_of(state), served, &committee, &address]);
        }
    }
    if let Some(Undead { wallet, epoch, since_ms }) = holdings.oldest_undead() {
        let minutes = Clock::default().now_ms().saturating_sub(since_ms) / 60_000;
        let _ = writeln!(
            text,
            "{wallet} epoch {epoch} is not dead, {minutes} minutes after a newer one came into use"
        );
    }
    for banned in &holdings.banned {
        let _ = writeln!(text, "the pair with {banned} is banned: people have to decide");
    }
    if let Some(held) = &holdings.ledger.checkpoint {
        let _ = writeln!(text, "\nthe ledger's last checkpoint that it cosigned:\n{}", indented(&held.note));
    }
    text + &halt_in_words(&holdings.ledger)
}

/// What was cleared, in words.
pub(crate) fn cleared(standing: &Standing, clear: Clear) -> String {
    if standing.halt.is_none() {
        return "this signer has not halted: nothing was changed\n".to_owned();
    }
    let kept = match clear {
        Clear::Halt => {
            "cleared; a ledger that continues the cosigned checkpoint is cosigned again, any other halts"
        }
        Clear::HaltAndCheckpoint => {
            "cleared, and the cosigned checkpoint with it; the next one is believed as it comes"
        }
    };
    format!("{}{kept}\n", halt_in_words(standing))
}

fn halt_in_words(standing: &Standing) -> String {
    let Some((reason, alarm)) = halt(standing) else { return String::new() };
    format!(
        "\nHALTED, it signs nothing: {reason}\nseen at {} ms; the ledger's key: {}\nit had cosigned:\n{}\nit was \
         offered:\n{}\n",
        alarm.at_ms,
        alarm.key,
        indented(&alarm.held),
        indented(&alarm.offered)
    )
}

fn halt(standing: &Standing) -> Option<(&str, Alarm)> {
    let halt = standing.halt.as_ref()?;
    Some((&halt.reason, halt.alarm.read_unchecked().ok()?))
}

fn note(bytes: &Bytes) -> String {
    String::from_utf8_lossy(&bytes.0).into_owned()
}

fn indented(bytes: &Bytes) -> String {
    note(bytes).trim_end().lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
