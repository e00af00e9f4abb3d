//! How an attack is written down: lines of text, documents in hexadecimal, and what was meant by it.
//!
//! A file begins with the versions of governance that a signer may be pinned to. Each case says what is attacked, how it
//! is refused, from which records the signer starts, and what it is told, twice: as an attack, and as its twin that
//! differs in what is attacked alone and is accepted.

use perennial_custody::keyslots::{SLOT_BYTES, SlotBytes};
use perennial_custody::store::Table;
use std::fmt::Write as _;

/// The cases of one file.
#[derive(Default, PartialEq, Debug)]
pub struct File {
    /// The versions of governance with their approvals, the first one first.
    pub versions: Vec<Vec<u8>>,
    /// The attacks.
    pub cases: Vec<Case>,
}

/// An attack and its twin.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Case {
    /// Its name, unique among all.
    pub name: String,
    /// What is attacked.
    pub why: Vec<String>,
    /// A short name of the refusal.
    pub refusal: String,
    /// What the signer says, as far as it has to be the same.
    pub says: String,
    /// To how many versions of governance the signer is pinned.
    pub pinned: usize,
    /// The records that the signer begins with.
    pub records: Vec<Record>,
    /// The key slots that it begins with.
    pub slots: Vec<SlotBytes>,
    /// What it is told; the last step has to be refused.
    pub attack: Vec<Step>,
    /// What it is told; the last step has to be carried out.
    pub twin: Vec<Step>,
}

/// A line of a signer's records.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// What happens to the signer.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// A request comes at this time.
    Request(u64, Vec<u8>),
    /// The clock says this, and nothing comes.
    Tick(u64),
    /// It stops and starts again from its disk.
    Restart(u64),
}

/// Reads a file.
pub fn read(text: &str) -> File {
    let mut file = File::default();
    let mut comments = Vec::new();
    let mut in_twin = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "#" {
            comments.push(rest.to_owned());
            continue;
        }
        if word == "version" {
            comments.clear();
            file.versions.push(bytes(rest));
            continue;
        }
        if word == "case" {
            let why = std::mem::take(&mut comments);
            file.cases.push(Case { name: rest.to_owned(), why, ..Case::default() });
            in_twin = false;
            continue;
        }
        let case = file.cases.last_mut().expect("a case begins with its name");
        match word {
            "refusal" => case.refusal = rest.to_owned(),
            "says" => case.says = rest.to_owned(),
            "pinned" => case.pinned = rest.parse().expect("a number of versions"),
            "record" => case.records.push(record(rest)),
            "slot" => case.slots.push(slot(rest)),
            "attack" => in_twin = false,
            "twin" => in_twin = true,
            "at" if in_twin => case.twin.push(step(rest)),
            "at" => case.attack.push(step(rest)),
            other => panic!("no line begins with {other}"),
        }
    }
    file
}

/// Writes a file.
pub fn write(about: &str, file: &File) -> String {
    let mut text = format!(
        "# {about}\n# Made by: cargo run --release -p perennial-custody --example approval_attacks\n"
    );
    for version in &file.versions {
        line(&mut text, format_args!("version {}", hex::encode(version)));
    }
    for case in &file.cases {
        text.push('\n');
        case.why.iter().for_each(|why| line(&mut text, format_args!("# {why}")));
        line(&mut text, format_args!("case {}", case.name));
        line(&mut text, format_args!("refusal {}", case.refusal));
        line(&mut text, format_args!("says {}", case.says));
        line(&mut text, format_args!("pinned {}", case.pinned));
        for Record { table, key, value } in &case.records {
            let (key, value) = (hex::encode(key), hex::encode(value));
            line(&mut text, format_args!("record {} {key} {value}", table.name()));
        }
        case.slots.iter().for_each(|slot| line(&mut text, format_args!("slot {}", hex::encode(slot.0))));
        for (word, steps) in [("attack", &case.attack), ("twin", &case.twin)] {
            line(&mut text, format_args!("{word}"));
            for step in steps {
                match step {
                    Step::Request(at, bytes) => {
                        line(&mut text, format_args!("at {at} request {}", hex::encode(bytes)));
                    }
                    Step::Tick(at) => line(&mut text, format_args!("at {at} tick")),
                    Step::Restart(at) => line(&mut text, format_args!("at {at} restart")),
                }
            }
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to memory does not fail");
}

fn step(rest: &str) -> Step {
    let mut words = rest.split(' ');
    let at = words.next().and_then(|word| word.parse().ok()).expect("a time");
    match (words.next(), words.next()) {
        (Some("request"), Some(document)) => Step::Request(at, bytes(document)),
        (Some("tick"), None) => Step::Tick(at),
        (Some("restart"), None) => Step::Restart(at),
        other => panic!("no step is {other:?}"),
    }
}

fn record(rest: &str) -> Record {
    let mut words = rest.split(' ');
    let name = words.next().expect("a table");
    let table = Table::ALL.into_iter().find(|table| table.name() == name).expect("a table of that name");
    let mut next = || bytes(words.next().expect("key and value"));
    Record { table, key: next(), value: next() }
}

fn slot(rest: &str) -> SlotBytes {
    let bytes: [u8; SLOT_BYTES] = bytes(rest).try_into().expect("as long as a slot");
    SlotBytes(bytes)
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}
