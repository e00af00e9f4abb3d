//! What an evidence bundle is made of. Whoever makes one checks all of it, and so does whoever is handed it.

use super::caller::By;
use super::input::{Named, Parameters};
use super::problem::{Blame, CANNOT_WRITE, MALFORMED, Problem};
use super::sign::not_there;
use super::{Answered, AtDesk, Desk, tenancy};
use crate::evidence::index::{About, Span};
use crate::evidence::{Evident, MadeChunk};
use crate::store::StoreError;
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The most entries on a page.
const PAGE_MAX: u32 = 1000;
/// The most chunks on a page: 64 of 256 wallets have some 8 MB.
const CHUNKS_MAX: usize = 64;

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// `governance`, `plan:` and a plan's digest, `epochs:` and a wallet's name (Activations of its epochs),
    /// `signatures:` and a wallet's name, `thefts` (reports for all tenants), or `thefts:` and a tenant's name.
    pub about: String,
    /// The size of the checkpoint that the proofs are to be for; only entries below it are given.
    pub size: u64,
    /// Only entries after this place.
    pub after: Option<u64>,
    /// Only entries from this time, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Only entries up to this time.
    pub to_ms: Option<u64>,
}

/// Entries with their bodies and proofs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proved {
    /// In the order of their places.
    pub entries: Vec<ProvedEntry>,
    /// Ask again with this as `after`; none if nothing follows.
    pub next: Option<u64>,
}

/// An entry with all that it takes to check it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProvedEntry {
    /// Its place, counted from 0.
    pub index: u64,
    /// Its canonical bytes in base64.
    pub entry: String,
    /// What its digest is of, in base64; none if it is not there.
    pub body: Option<String>,
    /// The hashes of the inclusion proof (RFC 9162) in hexadecimal digits.
    pub proof: Vec<String>,
}

/// Gives out entries by what they are about, each with its body and the proof that it is in the ledger.
#[utoipa::path(
    get,
    path = "/v1/evidence/entries",
    tag = "evidence",
    params(Wanted),
    responses(
        (status = 200, description = "Entries in order", body = Proved),
        (status = "4XX", description = "The caller's", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The store's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn entries(
    State(desk): AtDesk,
    by: By,
    Parameters(wanted): Parameters<Wanted>,
) -> Answered<Proved> {
    let about = read_about(&wanted.about).ok_or_else(|| {
        let detail = format!("{:?} is nothing that entries are about", wanted.about);
        let action =
            "ask about governance, plan:DIGEST, epochs:WALLET, signatures:WALLET, thefts or thefts:TENANT";
        Problem::of_caller(MALFORMED, detail, action)
    })?;
    insist(&desk, &by, &about).await?;
    let size = desk.ledger.head().size;
    if wanted.size == 0 || wanted.size > size {
        let detail = format!("the ledger has {size} entries, and proofs are wanted for {}", wanted.size);
        return Err(Problem::of_caller(MALFORMED, detail, "take the size of a checkpoint"));
    }
    let span = Span {
        size: wanted.size,
        after: wanted.after,
        from_ms: wanted.from_ms.unwrap_or(0),
        to_ms: wanted.to_ms.unwrap_or(u64::MAX),
    };
    let page = desk.evidence.entries(&about, span, PAGE_MAX).await.map_err(unreadable)?;
    Ok(Json(Proved { entries: page.entries.into_iter().map(ProvedEntry::from).collect(), next: page.next }))
}

/// Which chunks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Chosen {
    /// Only the share sets of this wallet.
    pub wallet: Option<String>,
    /// Only chunks after this one: rank, count, first and number of wallets, with commas.
    pub after: Option<String>,
}

/// What the attempts of a ceremony made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Chunks {
    /// By epoch and place.
    pub chunks: Vec<ChunkEvidence>,
    /// Ask again with this as `after`; none if nothing follows.
    pub next: Option<String>,
}

/// What one attempt at a chunk made.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChunkEvidence {
    /// The document whose digest is the chunk root, in base64.
    pub root: String,
    /// The bytes whose digest stands for all leaves in that document, in base64.
    pub leaves: String,
    /// The share sets in base64, in the order of the chunk.
    pub share_sets: Vec<String>,
}

/// Gives out the share sets that a ceremony made, and what opens their chunk roots. Attempts that were left are among
/// them: only what a certificate names counts.
#[utoipa::path(
    get,
    path = "/v1/evidence/chunks/{id}",
    tag = "evidence",
    params(("id" = String, Path, description = "The plan's digest, 64 hexadecimal digits"), Chosen),
    responses(
        (status = 200, description = "The chunks", body = Chunks),
        (status = "4XX", description = "The caller's", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The store's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn chunks(
    State(desk): AtDesk,
    by: By,
    Named(id): Named<Digest>,
    Parameters(chosen): Parameters<Chosen>,
) -> Answered<Chunks> {
    tenancy::insist(&desk, &by, &id).await?;
    let refused = |what: &str| Problem::of_caller(MALFORMED, what, "see /v1/openapi.json");
    let wallet = chosen.wallet.map(|name| name.parse()).transpose();
    let wallet = wallet.map_err(|error| refused(&format!("{error}")))?;
    let after = chosen.after.map(|text| read_chunk(id, &text).ok_or_else(|| refused("`after` is no chunk")));
    let made = desk.evidence.chunks(&id, wallet.as_ref(), after.transpose()?, CHUNKS_MAX).await;
    let made = made.map_err(unreadable)?;
    let next = made.last().filter(|_| made.len() == CHUNKS_MAX).map(|last| {
        let Chunk { epoch, first, count, .. } = last.chunk;
        format!("{},{},{first},{count}", epoch.rank, epoch.count)
    });
    Ok(Json(Chunks { chunks: made.iter().map(ChunkEvidence::from).collect(), next }))
}

/// Refuses what does not exist for a client, as what does not exist.
async fn insist(desk: &Desk, by: &By, about: &About) -> Result<(), Problem> {
    match about {
        About::Governance | About::Thefts(None) => Ok(()),
        About::Thefts(Some(tenant)) if by.sees(tenant) => Ok(()),
        About::Thefts(Some(tenant)) => {
            let detail = format!("governance knows no tenant {tenant}");
            Err(Problem::of_caller(MALFORMED, detail, "GET /v1/governance shows those that there are"))
        }
        About::Plan(plan) => tenancy::insist(desk, by, plan).await,
        About::Epochs(wallet) | About::Signatures(wallet) => {
            let seen =
                by.sees_all() || desk.view.heads().tenant(wallet).is_some_and(|tenant| by.sees(tenant));
            if seen { Ok(()) } else { Err(not_there(desk, by, wallet)) }
        }
    }
}

fn read_about(text: &str) -> Option<About> {
    match text.split_once(':') {
        None if text == "thefts" => Some(About::Thefts(None)),
        None => (text == "governance").then_some(About::Governance),
        Some(("plan", digest)) => digest.parse().ok().map(About::Plan),
        Some(("epochs", wallet)) => wallet.parse().ok().map(About::Epochs),
        Some(("signatures", wallet)) => wallet.parse().ok().map(About::Signatures),
        Some(("thefts", tenant)) => tenant.parse().ok().map(|tenant| About::Thefts(Some(tenant))),
        Some(_) => None,
    }
}

fn read_chunk(plan: Digest, text: &str) -> Option<Chunk> {
    let numbers: Vec<u32> = text.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let &[rank, count_of_epoch, first, count] = numbers.as_slice() else { return None };
    Some(Chunk { plan, epoch: Epoch::new(rank, count_of_epoch), first, count })
}

fn unreadable(error: StoreError) -> Problem {
    let action = "see to the disk of the coordinator";
    Problem::new(CANNOT_WRITE, Blame::Coordinator, error.to_string(), action)
}

impl From<Evident> for ProvedEntry {
    fn from(evident: Evident) -> Self {
        Self {
            index: evident.entry.place,
            entry: Base64::encode_string(&evident.entry.entry),
            body: evident.body.map(|body| Base64::encode_string(&body)),
            proof: evident.proof.hashes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&MadeChunk> for ChunkEvidence {
    fn from(made: &MadeChunk) -> Self {
        Self {
            root: Base64::encode_string(&encoding::encode(&made.root)),
            leaves: Base64::encode_string(&made.leaves),
            share_sets: made
                .share_sets
                .iter()
                .map(|set| Base64::encode_string(&encoding::encode(set)))
                .collect(),
        }
    }
}
