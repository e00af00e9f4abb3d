//! `perennial ledger`: the coordinator's ledger entry by entry, its export, and an audit of either.
//!
//! An audit believes nobody's word: it hashes every entry, compares the root with the checkpoint that the ledger
//! signed, and counts whose cosignatures under it verify with the keys in a governance document.

mod audit;

use crate::arguments;
use crate::client::{Client, understood};
use crate::failure::{Failure, Kind};
use crate::operator::{Form, Operator, print};
use crate::rendering::date;
use base64ct::{Base64, Encoding};
use perennial_ledger::audit::{export_head, export_line};
use perennial_ledger::{Audit, Checkpoint, Cosignature, Entry, Flaw, NoteKey};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many entries are asked for at once.
const PAGE: u64 = 1000;
/// How many of the last entries are shown if nobody says from where.
const TAIL: u64 = 20;
/// How often a followed ledger is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long it is waited until signers have cosigned.
const COSIGNED_WITHIN: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK_FOR_COSIGNATURES: Duration = Duration::from_millis(100);

/// A checkpoint as the API shows it.
#[derive(Debug, Deserialize)]
pub struct Shown {
    /// The signed note.
    pub checkpoint: String,
    /// The key that the coordinator says is the ledger's.
    pub key: String,
    /// How many entries it is over.
    pub size: u64,
    /// What the coordinator says of every signer as a witness.
    pub witnesses: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Page {
    size: u64,
    next: u64,
    entries: Vec<Line>,
}

/// An entry and where it stands.
#[derive(Debug, Deserialize)]
struct Line {
    index: u64,
    entry: String,
}

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Ledger) -> Result<(), Failure> {
    match command {
        arguments::Ledger::Tail { follow, from } => tail(operator, *follow, *from),
        arguments::Ledger::Export { output } => export(operator, output),
        arguments::Ledger::Verify { file, trust } => audit::run(operator, file.as_deref(), trust),
    }
}

fn tail(operator: &Operator, follow: bool, from: Option<u64>) -> Result<(), Failure> {
    let client = &operator.client;
    let mut next = match from {
        Some(from) => from,
        None => page(client, 0, 1)?.size.saturating_sub(TAIL),
    };
    loop {
        let page = page(client, next, PAGE)?;
        for line in &page.entries {
            let (bytes, entry) = line.read()?;
            show(operator.form, line.index, &bytes, &entry);
        }
        match (page.next == next, follow) {
            (true, false) => return Ok(()),
            (true, true) => std::thread::sleep(LOOK),
            (false, _) => next = page.next,
        }
    }
}

fn show(form: Form, index: u64, bytes: &[u8], entry: &Entry) {
    match form {
        Form::Text => {
            let (kind, subject) = (entry.kind(), entry.subject.as_str());
            print(&format!("{index:>8}  {}  {kind:<18}  {subject}\n", date(entry.time_ms)));
        }
        Form::Json => {
            let value = json!({
                "index": index,
                "time_ms": entry.time_ms,
                "kind": entry.kind(),
                "subject": entry.subject.as_str(),
                "body": hex::encode(entry.body.0),
                "entry": Base64::encode_string(bytes),
            });
            print(&format!("{value}\n"));
        }
    }
}

fn export(operator: &Operator, output: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file("write", output, &error);
    let (key, note) = newest(&operator.client)?;
    let audit = Audit::begin(&note, &key).map_err(|flaw| flawed(&flaw))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(failed)?;
    let mut file = BufWriter::new(file);
    let size = audit.checkpoint().head().size;
    let head = export_head(&key, audit.checkpoint());
    let written = file.write_all(head.as_bytes()).map_err(failed).and_then(|()| {
        audited(&operator.client, audit, |place, bytes| {
            file.write_all(export_line(place, bytes).as_bytes()).map_err(failed)
        })?;
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(failed)
    });
    if let Err(failure) = written {
        // Half of an export is none. What cannot be removed is refused by `verify`.
        let _ = std::fs::remove_file(output);
        return Err(failure);
    }
    let path = output.display().to_string();
    operator.answer(&format!("{size} entries in {path}\n"), &json!({"file": path, "size": size}));
    Ok(())
}

/// Takes every entry of the coordinator's ledger through an audit.
fn audited(
    client: &Client,
    mut audit: Audit,
    mut tell: impl FnMut(u64, &[u8]) -> Result<(), Failure>,
) -> Result<Checkpoint, Failure> {
    let size = audit.checkpoint().head().size;
    while audit.size() < size {
        let page = page(client, audit.size(), PAGE.min(size - audit.size()))?;
        if page.entries.is_empty() {
            break;
        }
        for line in &page.entries {
            let bytes = line.bytes()?;
            audit.add(line.index, &bytes).map_err(|flaw| flawed(&flaw))?;
            tell(line.index, &bytes)?;
        }
    }
    audit.finish().map_err(|flaw| flawed(&flaw))
}

impl Shown {
    /// The first checkpoint that will do; after ten seconds any. A coordinator that has just started shows a head that
    /// nobody has cosigned yet.
    pub fn awaited(client: &Client, will_do: impl Fn(&Self) -> bool) -> Result<Self, Failure> {
        let begun = Instant::now();
        loop {
            let shown: Self = understood(client.get("/v1/ledger/checkpoint")?)?;
            if will_do(&shown) || begun.elapsed() > COSIGNED_WITHIN {
                return Ok(shown);
            }
            std::thread::sleep(LOOK_FOR_COSIGNATURES);
        }
    }

    /// How many cosignatures are under it. Nothing is verified here.
    pub fn cosigners(&self) -> usize {
        self.checkpoint.split_inclusive('\n').filter(|line| Cosignature::parse(line).is_ok()).count()
    }
}

/// The newest cosigned checkpoint, and the key that the coordinator says is the ledger's.
fn newest(client: &Client) -> Result<(NoteKey, Vec<u8>), Failure> {
    let shown = Shown::awaited(client, |shown| shown.cosigners() > 0)?;
    let key = NoteKey::parse(&shown.key).map_err(|error| broken(&error.to_string()))?;
    Ok((key, shown.checkpoint.into_bytes()))
}

fn page(client: &Client, from: u64, limit: u64) -> Result<Page, Failure> {
    understood(client.get(&format!("/v1/ledger/entries?from={from}&limit={limit}"))?)
}

impl Line {
    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        Base64::decode_vec(&self.entry).map_err(|_| broken(&format!("entry {} is no base64", self.index)))
    }

    fn read(&self) -> Result<(Vec<u8>, Entry), Failure> {
        let bytes = self.bytes()?;
        let entry = Entry::from_bytes(&bytes)
            .map_err(|error| broken(&format!("entry {} is damaged: {error}", self.index)))?;
        Ok((bytes, entry))
    }
}

/// The ledger is not what it should be.
fn flawed(flaw: &Flaw) -> Failure {
    broken(&flaw.to_string())
}

fn broken(what: &str) -> Failure {
    Failure::new(
        Kind::Broken,
        what,
        "whoever keeps the ledger, or whoever had the file",
        "keep what you have as evidence, and ask another witness for its last checkpoint",
    )
}

/// What scripts get for a cosigned checkpoint.
fn as_json(size: u64, root: &str, cosigned: &[(String, u64)], missing: &[String]) -> Value {
    let by: Vec<Value> =
        cosigned.iter().map(|(signer, time_s)| json!({"signer": signer, "time_s": time_s})).collect();
    json!({"size": size, "root": root, "cosigned_by": by, "not_cosigned_by": missing})
}
