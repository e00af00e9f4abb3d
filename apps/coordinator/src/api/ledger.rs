//! The ledger: its signed head and its entries.

use super::caller::By;
use super::input::Parameters;
use super::problem::{Blame, CANNOT_WRITE, Problem};
use super::{Answered, AtDesk, tenancy};
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_ledger::entry::Content;
use perennial_ledger::{Checkpoint, Entry, SignNote};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The most entries on a page.
const PAGE_MAX: u32 = 1000;
const PAGE_DEFAULT: u32 = 100;

/// A signed head of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointBody {
    /// The signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// How many entries it is over.
    pub size: u64,
    /// The root hash (RFC 6962) in hexadecimal digits.
    pub root: String,
    /// The public key that signed it, `name+id+base64`.
    pub key: String,
    /// What is known of each witness; their names in the note are the log's, a slash, and these.
    pub witnesses: Vec<WitnessBody>,
}

/// A signer as a witness of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct WitnessBody {
    /// The signer.
    pub signer: String,
    /// How many entries the newest checkpoint is over that it cosigned; none if there is none.
    pub size: Option<u64>,
    /// Why it has halted: `forked`, `truncated` or `rewritten`; none if it has not.
    pub alarm: Option<&'static str>,
}

/// Shows the newest checkpoint that every signer which is there has cosigned (C2SP tlog-cosignature), a second or so
/// old; while nobody has cosigned any, the present head. Everything in it is durable.
#[utoipa::path(
    get,
    path = "/v1/ledger/checkpoint",
    tag = "ledger",
    responses((status = 200, description = "The checkpoint", body = CheckpointBody))
)]
pub async fn checkpoint(State(desk): AtDesk) -> Answered<CheckpointBody> {
    let signed = match desk.witnesses.newest() {
        Some(cosigned) => cosigned,
        None => Checkpoint::sign(desk.ledger.head(), &*desk.ledger_key)
            .map_err(|error| Problem::bug(error.to_string()))?,
    };
    let head = signed.head();
    let witnesses = desk.witnesses.standing().into_iter().map(|known| WitnessBody {
        signer: known.witness.to_string(),
        size: known.size,
        alarm: known.alarm,
    });
    Ok(Json(CheckpointBody {
        checkpoint: String::from_utf8_lossy(&signed.to_bytes()).into_owned(),
        size: head.size,
        root: head.root.to_string(),
        key: desk.ledger_key.key().to_string(),
        witnesses: witnesses.collect(),
    }))
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Range {
    /// The place of the first one, counted from 0; by default 0.
    pub from: Option<u64>,
    /// At most so many, up to 1000; by default 100.
    pub limit: Option<u32>,
}

/// A run of entries.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entries {
    /// How many entries the ledger has.
    pub size: u64,
    /// Where to go on: the place after the last entry that was looked at.
    pub next: u64,
    /// The entries, in order. For a client of some tenants those that are about others are left out.
    pub entries: Vec<EntryBody>,
}

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryBody {
    /// Its place, counted from 0.
    pub index: u64,
    /// Its canonical bytes in base64: what the tree hashes.
    pub entry: String,
    /// What sort of thing happened.
    pub kind: String,
    /// When, in milliseconds since 1970, by the coordinator's clock.
    pub time_ms: u64,
    /// What it is about.
    pub subject: String,
    /// SHA-256 of the body, in hexadecimal digits.
    pub body: String,
    /// Of a signature: under which shares it was made.
    pub signature: Option<SignatureBody>,
}

/// What the entry of a signature holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignatureBody {
    /// The wallet.
    pub wallet: String,
    /// The epoch.
    pub epoch: String,
    /// The digest of the transcript that made the shares.
    pub transcript: String,
    /// The plan that made them.
    pub plan: String,
}

/// Lists entries.
#[utoipa::path(
    get,
    path = "/v1/ledger/entries",
    tag = "ledger",
    params(Range),
    responses(
        (status = 200, description = "Entries in order", body = Entries),
        (status = "4XX", description = "The caller's", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The store's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn entries(State(desk): AtDesk, by: By, Parameters(range): Parameters<Range>) -> Answered<Entries> {
    let size = desk.ledger.head().size;
    let limit = range.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let from = range.from.unwrap_or(0);
    let read = desk.entries.entries(from, limit).await.map_err(|error| {
        let action = "see to the disk of the coordinator";
        Problem::new(CANNOT_WRITE, Blame::Coordinator, error.to_string(), action)
    })?;
    let (mut next, mut entries) = (from, Vec::with_capacity(read.len()));
    for read in read.into_iter().filter(|read| read.place < size) {
        let entry = Entry::from_bytes(&read.entry).map_err(|error| Problem::bug(error.to_string()))?;
        if tenancy::sees_entry(&desk, &by, &entry).await? {
            entries.push(written(read.place, &read.entry, &entry));
        }
        next = read.place + 1;
    }
    Ok(Json(Entries { size, next, entries }))
}

fn written(index: u64, bytes: &[u8], entry: &Entry) -> EntryBody {
    let signature = match &entry.content {
        Content::Signature(signature) => Some(SignatureBody {
            wallet: signature.wallet.as_str().into(),
            epoch: format!("{}.{}", signature.epoch.rank, signature.epoch.count),
            transcript: hex::encode(signature.transcript.0),
            plan: hex::encode(signature.plan.0),
        }),
        Content::Other(_) => None,
    };
    EntryBody {
        index,
        entry: Base64::encode_string(bytes),
        kind: entry.kind().into(),
        time_ms: entry.time_ms,
        subject: entry.subject.as_str().into(),
        body: hex::encode(entry.body.0),
        signature,
    }
}
