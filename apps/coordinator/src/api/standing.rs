//! How the coordinator stands: health, what it trusts, and whether signers are there.

use super::caller::By;
use super::problem::{Blame, CANNOT_WRITE, Problem};
use super::{Answered, AtDesk, Desk};
use crate::view::Running;
use crate::world::now_ms;
use axum::Json;
use axum::extract::{Extension, State};
use perennial_model::committee::SignerId;
use perennial_workflow::access::Need;
use serde::Serialize;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// A signer whose last sign of life is older is shown as not connected. One that is there polls without end.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);

/// A coordinator that can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; anything else is a problem.
    #[schema(example = "ok")]
    pub status: &'static str,
    /// How it stands, for clients that may see what there is.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

/// How a coordinator stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    /// The version of the daemon.
    pub version: &'static str,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: u64,
    /// Wallets that may be shown to the caller.
    pub wallets: usize,
    /// Entries in the ledger.
    pub ledger_size: u64,
    /// Signers that are there.
    pub signers_connected: usize,
    /// Signers that governance names.
    pub signers: usize,
}

/// Says whether the coordinator can do its work. It cannot while it is unable to write its disk. Anybody may ask; how it
/// stands is told to clients with the scope read or audit.
#[utoipa::path(
    get,
    path = "/v1/health",
    tag = "standing",
    responses(
        (status = 200, description = "It can", body = Health),
        (status = "5XX", description = "It cannot", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn health(State(desk): AtDesk, by: Option<Extension<By>>) -> Answered<Health> {
    let by = by.map(|Extension(by)| by).filter(|by| by.client().may(Need::Read));
    let stands_still = match desk.view.running() {
        Running::No(reason) => Some(reason),
        Running::Yes => None,
    };
    if let Some(trouble) = desk.ledger.trouble().map(|trouble| trouble.to_string()).or(stands_still) {
        let action = "see to the disk of the coordinator; it goes on by itself";
        return Err(Problem::new(CANNOT_WRITE, Blame::Coordinator, told(trouble, by.as_ref()), action));
    }
    Ok(Json(Health { status: "ok", standing: by.map(|by| standing(&desk, &by)) }))
}

/// What is wrong, which names files of the coordinator's machine, is for clients that may see what there is.
fn told(trouble: String, by: Option<&By>) -> String {
    match by {
        Some(_) => trouble,
        None => "it cannot do its work; its log says why".to_owned(),
    }
}

fn standing(desk: &Desk, by: &By) -> Standing {
    let trusted = desk.in_force.get();
    let signers = &trusted.governance().signers;
    let heads = desk.view.heads();
    let wallets = match by.sees_all() {
        true => heads.len(),
        false => heads.iter().filter(|head| by.sees(&head.wallet().tenant)).count(),
    };
    Standing {
        version: env!("CARGO_PKG_VERSION"),
        started_ms: desk.started_ms,
        wallets,
        ledger_size: desk.ledger.head().size,
        signers_connected: signers.iter().filter(|known| seen(desk, &known.signer).connected).count(),
        signers: signers.len(),
    }
}

/// All signers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Signers {
    /// In the order of governance.
    pub signers: Vec<SignerBody>,
}

/// A signer as the mailbox knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignerBody {
    /// Its name.
    pub signer: String,
    /// Whether it is there now.
    pub connected: bool,
    /// When it last gave a sign of life, in milliseconds since 1970; none if it has not since the coordinator was
    /// started.
    pub last_seen_ms: Option<u64>,
    /// Why it has halted and signs nothing: the ledger was `forked`, `truncated` or `rewritten`; none if it works.
    pub halted: Option<&'static str>,
    /// The digest of its alarm, which an order to readmit it has to name.
    pub halt: Option<String>,
}

/// Lists the signers that governance names, and whether they are there.
#[utoipa::path(
    get,
    path = "/v1/signers",
    tag = "standing",
    responses((status = 200, description = "All signers", body = Signers))
)]
pub async fn signers(State(desk): AtDesk) -> Json<Signers> {
    let trusted = desk.in_force.get();
    let known = trusted.governance().signers.iter();
    Json(Signers { signers: known.map(|known| seen(&desk, &known.signer)).collect() })
}

/// A signer as the mailbox knows it.
pub fn seen(desk: &Desk, signer: &SignerId) -> SignerBody {
    let silence = desk.outbox.last_seen(signer).map(|instant: Instant| instant.elapsed());
    let halt = desk.witnesses.alarm_of(signer);
    SignerBody {
        signer: signer.to_string(),
        connected: silence.is_some_and(|silence| silence <= CONNECTED_WITHIN),
        last_seen_ms: silence.map(|silence| now_ms().saturating_sub(silence.as_millis() as u64)),
        halted: halt.map(|halt| halt.breach),
        halt: halt.map(|halt| halt.digest.to_string()),
    }
}
