//! Wallets, each with its epochs. A wallet is shown only once its first epoch is kept by all: before that, the
//! next attempt would give it another address.

use super::caller::By;
use super::input::{Named, Parameters};
use super::problem::Problem;
use super::sign::not_there;
use super::thefts::TheftBody;
use super::{Answered, AtDesk};
use crate::view::View;
use axum::Json;
use axum::extract::State;
use perennial_model::derivation::Path;
use perennial_model::exposure::{Copies, Exposure, undead_since_ms};
use perennial_model::wallet::{Tier, WalletId};
use perennial_workflow::wallets::{Head, Served};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The most wallets on a page.
const PAGE_MAX: usize = 1000;
const PAGE_DEFAULT: usize = 100;

/// Where a page begins and how long it is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Names after this one; the `next` of the page before.
    pub after: Option<String>,
    /// At most so many, up to 1000; by default 100.
    pub limit: Option<usize>,
}

/// A page of wallets, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Wallets {
    /// The wallets.
    pub wallets: Vec<WalletBody>,
    /// How many wallets there are in all.
    pub total: usize,
    /// The `after` of the next page; none on the last.
    pub next: Option<String>,
}

/// A wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletBody {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// How much it matters: `low`, `standard` or `high`.
    pub tier: &'static str,
    /// Where it receives.
    pub chain: &'static str,
    /// How it signs.
    pub scheme: &'static str,
    /// Where it receives first.
    pub address: Option<String>,
    /// The derivation path of that address.
    pub path: String,
    /// Its root public key in hexadecimal digits.
    pub public_key: String,
    /// Its chain code in hexadecimal digits.
    pub chain_code: String,
    /// The epoch that signs, such as `2.1`.
    pub epoch: String,
    /// The digest of the share set of that epoch, which the next plan names.
    pub share_set: String,
    /// How many signers sign.
    pub threshold: u8,
    /// Who holds shares.
    pub signers: Vec<SeatBody>,
    /// The epoch that signs and, while both are served, its parent.
    pub epochs: Vec<EpochBody>,
    /// Where copies of its shares may be, the newest number first; not in a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exposure: Vec<ExposureBody>,
    /// Since when the oldest number that is not dead has a newer epoch above it, in milliseconds since 1970; none if
    /// everything older than what signs is dead. Not in a list.
    pub undead_since_ms: Option<u64>,
    /// Reports that copies of its shares are stolen, also those that were withdrawn; not in a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thefts: Vec<TheftBody>,
}

/// The copies of one number of a wallet, by what the coordinator has heard. Receipts are claims.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExposureBody {
    /// The epoch or attempt, such as `2.1`, or `below 2.1` for all that the Retirement of 2.1 lets signers erase.
    pub number: String,
    /// `live`, `retiring`, `dead against liars`, `dead` or `lost`.
    pub exposure: &'static str,
    /// The same in full, such as `retiring (2 copies without receipt, 2 needed)`.
    pub words: String,
    /// How many lying receipts are survived, while it is `dead against liars`.
    pub liars: Option<u8>,
    /// The state of the key in the words of NIST SP 800-57.
    pub key_state: &'static str,
    /// How many shares make the key.
    pub threshold: u8,
    /// Where a copy may be.
    pub places: Vec<String>,
    /// Where a copy may still be: those of them without a receipt, and those whose copy is stolen.
    pub outstanding: Vec<String>,
    /// Whose copy is reported as stolen.
    pub stolen: Vec<String>,
}

impl From<&Copies> for ExposureBody {
    fn from(copies: &Copies) -> Self {
        let exposure = copies.exposure();
        let liars = match exposure {
            Exposure::DeadAgainst { liars, .. } => Some(liars),
            _ => None,
        };
        Self {
            number: copies.number.to_string(),
            exposure: exposure.name(),
            words: exposure.to_string(),
            liars,
            key_state: copies.key_state().name(),
            threshold: copies.threshold,
            places: copies.places.iter().map(ToString::to_string).collect(),
            outstanding: copies.outstanding().map(ToString::to_string).collect(),
            stolen: copies.stolen.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A signer's place in a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeatBody {
    /// The signer.
    pub signer: String,
    /// Its share index.
    pub seat: u8,
}

/// One epoch of a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochBody {
    /// Its number.
    pub epoch: String,
    /// `active`: it signs, and what is below is still there; `retired`: it signs, and all holders keep it;
    /// `parent`: it signs when the active one fails.
    pub state: &'static str,
    /// The digest of its share set.
    pub share_set: String,
    /// The digest of the transcript that made it.
    pub transcript: String,
    /// The plan that made it.
    pub plan: String,
    /// When it became active, in milliseconds since 1970.
    pub activated_ms: u64,
    /// When all holders kept it, in milliseconds since 1970.
    pub kept_by_all_ms: Option<u64>,
    /// Holders that said they serve it, while not all have.
    pub served_by: Vec<String>,
}

/// Lists wallets by name.
#[utoipa::path(
    get,
    path = "/v1/wallets",
    tag = "wallets",
    params(Page),
    responses(
        (status = 200, description = "A page of wallets", body = Wallets),
        (status = "4XX", description = "The caller's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list(State(desk): AtDesk, by: By, Parameters(page): Parameters<Page>) -> Answered<Wallets> {
    let limit = page.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let after = page.after.unwrap_or_default();
    let heads = desk.view.heads();
    let seen = || heads.iter().filter(|head| by.sees(&head.wallet().tenant));
    let mut rest = seen().filter(|head| head.wallet().id.as_str() > after.as_str());
    let wallets: Vec<WalletBody> = rest.by_ref().take(limit).map(|head| written(&head)).collect();
    let next = rest.next().and(wallets.last()).map(|last| last.id.clone());
    let total = if by.sees_all() { heads.len() } else { seen().count() };
    drop(rest);
    drop(heads);
    let wallets = wallets.into_iter().map(|wallet| with_address(&desk.view, wallet)).collect();
    Ok(Json(Wallets { wallets, total, next }))
}

/// Shows one wallet.
#[utoipa::path(
    get,
    path = "/v1/wallets/{id}",
    tag = "wallets",
    params(("id" = String, Path, description = "The wallet's name")),
    responses(
        (status = 200, description = "The wallet", body = WalletBody),
        (status = "4XX", description = "Unknown, or not ready", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn show(State(desk): AtDesk, by: By, Named(id): Named<WalletId>) -> Answered<WalletBody> {
    let heads = desk.view.heads();
    let seen = heads.get(&id).filter(|head| by.sees(&head.wallet().tenant));
    let known = seen.map(|head| written(&head));
    drop(heads);
    match known {
        Some(wallet) => {
            let copies = desk.view.copies(&id);
            let exposure = copies.iter().map(ExposureBody::from).collect();
            let undead_since_ms = undead_since_ms(&copies);
            let wallet = with_address(&desk.view, wallet);
            let thefts = desk.view.thefts();
            let thefts = thefts.iter().filter(|filed| filed.concerns(&id)).map(TheftBody::from).collect();
            Ok(Json(WalletBody { exposure, undead_since_ms, thefts, ..wallet }))
        }
        None => Err(not_there(&desk, &by, &id)),
    }
}

/// Everything but the address, which takes longer than anybody should hold the wallets.
fn written(head: &Head<'_>) -> WalletBody {
    let (wallet, key) = (head.wallet(), head.key());
    let share_set = head.present.share_set;
    let members = share_set.committee.members().iter();
    let present = match head.present.standing.retired_ms {
        Some(_) => "retired",
        None => "active",
    };
    let parent = head.parent.as_ref().map(|parent| epoch(parent, "parent"));
    WalletBody {
        id: wallet.id.to_string(),
        tenant: wallet.tenant.to_string(),
        tier: tier_name(wallet.tier),
        chain: wallet.chain.name(),
        scheme: wallet.chain.scheme().name(),
        address: None,
        path: Path::primary(wallet.chain).to_string(),
        public_key: key.public_key.to_string(),
        chain_code: key.chain_code.to_string(),
        epoch: share_set.epoch.to_string(),
        share_set: head.present.digest.to_string(),
        threshold: share_set.committee.threshold(),
        signers: members
            .map(|member| SeatBody { signer: member.signer.to_string(), seat: member.seat.get() })
            .collect(),
        epochs: std::iter::once(epoch(&head.present, present)).chain(parent).collect(),
        exposure: Vec::new(),
        undead_since_ms: None,
        thefts: Vec::new(),
    }
}

fn epoch(served: &Served<'_>, state: &'static str) -> EpochBody {
    let Served { share_set, digest, standing } = served;
    EpochBody {
        epoch: share_set.epoch.to_string(),
        state,
        share_set: digest.to_string(),
        transcript: share_set.transcript.to_string(),
        plan: standing.generation.inputs.chunk.plan.to_string(),
        activated_ms: standing.activated_ms,
        kept_by_all_ms: standing.retired_ms,
        served_by: standing.serving.iter().map(|(holder, _)| holder.to_string()).collect(),
    }
}

fn with_address(view: &View, mut wallet: WalletBody) -> WalletBody {
    let id: Option<WalletId> = wallet.id.parse().ok();
    wallet.address = id.and_then(|id| view.address(&id));
    wallet
}

/// The word for a tier.
pub fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "low",
        Tier::Standard => "standard",
        Tier::High => "high",
    }
}
