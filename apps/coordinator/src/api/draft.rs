//! Making plans for people who will read them before they approve. A draft changes nothing and is kept nowhere.

use super::caller::By;
use super::input::Body;
use super::problem::{BAD_PLAN, MALFORMED, Problem};
use super::rendering::render;
use super::sign::unknown_wallet;
use super::{Answered, AtDesk, Desk, tenancy};
use crate::world::now_ms;
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_model::Error;
use perennial_model::committee::{Committee, MEMBERS_MAX, SignerId};
use perennial_model::encoding::{self, Digest};
use perennial_model::plan::{
    Action, BackupRule, LiarTolerance, PLAN_WALLETS_MAX, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::wallet::{Scheme, TenantId, Tier, Wallet, WalletId};
use perennial_workflow::wallets::Head;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use utoipa::ToSchema;

/// 100,000 wallets with names of forty characters.
const BODY_BYTES_MAX: usize = 16 << 20;
/// So much before now a plan begins to hold, because clocks differ.
const BEGUN_MS: u64 = 60_000;

/// What a plan should do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum DraftBody {
    /// Make wallets.
    Create(CreateDraft),
    /// Replace shares.
    Refresh(RefreshDraft),
}

/// New wallets.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDraft {
    /// The wallets.
    pub wallets: Vec<NewWallet>,
    /// Whose they are.
    pub tenant: String,
    /// Who will hold shares; by default every signer that governance names.
    pub signers: Option<Vec<String>>,
    /// How many of them sign; by default 2.
    pub threshold: Option<u8>,
    /// See `RefreshDraft`; by default 0, because nothing older is served.
    pub overlap_ms: Option<u64>,
    /// See `RefreshDraft`. New wallets are always probed.
    pub probe: Option<Probe>,
    /// See `RefreshDraft`.
    pub attempts: Option<u32>,
    /// See `RefreshDraft`.
    #[serde(default)]
    pub unsafe_ok: bool,
    /// See `RefreshDraft`.
    pub expires_in_ms: Option<u64>,
    /// See `RefreshDraft`.
    pub activates_in_ms: Option<u64>,
    /// See `RefreshDraft`.
    pub initiator: Option<String>,
}

/// A wallet to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWallet {
    /// Its name.
    pub id: String,
    /// `ethereum`, `bitcoin`, `bitcoin-test`, `bitcoin-regtest` or `solana`.
    pub chain: String,
    /// How much it matters; by default `standard`.
    pub tier: Option<TierName>,
}

/// Wallets whose shares are replaced: same holders, same threshold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshDraft {
    /// Names, or `*` alone for all wallets (of the tenant, if one is given).
    pub wallets: Vec<String>,
    /// Whose they are; only needed with `*` when there are several tenants.
    pub tenant: Option<String>,
    /// For how long old and new are both served at least; by default 10,000.
    pub overlap_ms: Option<u64>,
    /// How many wallets are probed; by default one per chunk.
    pub probe: Option<Probe>,
    /// How many attempts are approved; by default 3.
    pub attempts: Option<u32>,
    /// Whether as many holders as sign will do for an Activation. A liar or a lost disk among them can then lose
    /// the epoch.
    #[serde(default)]
    pub unsafe_ok: bool,
    /// For how long attempts may begin, from now; by default one hour.
    pub expires_in_ms: Option<u64>,
    /// For how long epochs may become active, from now; by default one day.
    pub activates_in_ms: Option<u64>,
    /// Who asks; they cannot approve it. By default `operator`.
    pub initiator: Option<String>,
}

/// How many wallets are probed.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// All of them.
    Every,
    /// One per chunk.
    OnePerChunk,
}

/// How much a wallet matters.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TierName {
    /// Goes first.
    Low,
    /// The usual.
    Standard,
    /// Goes last.
    High,
}

/// A plan that could be submitted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Drafted {
    /// Its canonical bytes in base64.
    pub plan: String,
    /// Its digest. Compute it from the bytes, too.
    pub digest: String,
    /// The rank of its epochs.
    pub rank: u32,
    /// How many wallets it names.
    pub wallets: usize,
    /// The plan in words. Write it from the bytes, too.
    pub rendering: String,
}

/// Makes a plan: canonical bytes, digest and words. Nothing is kept; submit it with `POST /v1/plans`.
#[utoipa::path(
    post,
    path = "/v1/plans/draft",
    tag = "plans",
    request_body = DraftBody,
    responses(
        (status = 200, description = "The plan", body = Drafted),
        (status = "4XX", description = "No plan can be made of this", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn draft(
    State(desk): AtDesk,
    by: By,
    Body(body): Body<DraftBody, BODY_BYTES_MAX>,
) -> Answered<Drafted> {
    let mut plan = match body {
        DraftBody::Create(draft) => create(&desk, &by, draft)?,
        DraftBody::Refresh(draft) => refresh(&desk, &by, draft)?,
    };
    plan.rank = tenancy::rank_above_unclean(&desk, &by, &plan).await?;
    plan.check(desk.in_force.get().governance()).map_err(|error| match error {
        Error::Denied(reason) => bad_plan(reason),
        other => bad_plan(other.to_string()),
    })?;
    Ok(Json(Drafted {
        plan: Base64::encode_string(&encoding::encode(&plan)),
        digest: plan.digest().to_string(),
        rank: plan.rank,
        wallets: plan.wallets.len(),
        rendering: render(&plan),
    }))
}

/// What both kinds of drafts say.
struct Terms {
    overlap_ms: u64,
    probe: Option<Probe>,
    attempts: Option<u32>,
    liar_tolerance: LiarTolerance,
    expires_in_ms: Option<u64>,
    activates_in_ms: Option<u64>,
    initiator: Option<String>,
}

fn create(desk: &Desk, by: &By, draft: CreateDraft) -> Result<Plan, Problem> {
    let tenant: TenantId = read("tenant", &draft.tenant)?;
    tenancy::check_tenant(by, &tenant)?;
    let mut wallets = Vec::with_capacity(draft.wallets.len());
    for new in &draft.wallets {
        let tier = match new.tier {
            None | Some(TierName::Standard) => Tier::Standard,
            Some(TierName::Low) => Tier::Low,
            Some(TierName::High) => Tier::High,
        };
        let (id, chain) = (read("wallet", &new.id)?, read("chain", &new.chain)?);
        wallets.push(Wallet { id, tenant: tenant.clone(), tier, chain });
    }
    // A chunk has one scheme, so those of one scheme have to stand together.
    wallets.sort_by_key(|wallet| wallet.chain.scheme());
    let signers = match &draft.signers {
        Some(names) => names.iter().map(|name| read("signer", name)).collect::<Result<Vec<SignerId>, _>>()?,
        None => {
            let trusted = desk.in_force.get();
            let all = trusted.governance().signers.iter().take(MEMBERS_MAX);
            all.map(|known| known.signer.clone()).collect()
        }
    };
    let committee = Committee::first(draft.threshold.unwrap_or(2), &signers);
    let terms = Terms {
        overlap_ms: draft.overlap_ms.unwrap_or(0),
        probe: draft.probe.or(Some(Probe::Every)),
        attempts: draft.attempts,
        liar_tolerance: liar_tolerance(draft.unsafe_ok),
        expires_in_ms: draft.expires_in_ms,
        activates_in_ms: draft.activates_in_ms,
        initiator: draft.initiator,
    };
    let tier = wallets.iter().map(|wallet| wallet.tier).max().unwrap_or(Tier::Low);
    let planned = wallets.into_iter().map(PlannedWallet::New).collect();
    let committee = committee.map_err(|error| bad_plan(error.to_string()))?;
    assemble(desk, Action::Create, tenant, tier, planned, committee, terms)
}

fn refresh(desk: &Desk, by: &By, draft: RefreshDraft) -> Result<Plan, Problem> {
    let wanted: Option<TenantId> = draft.tenant.as_deref().map(|name| read("tenant", name)).transpose()?;
    let held = held_wallets(desk, by, &draft.wallets, wanted.as_ref())?;
    let Some(first) = held.first() else {
        return Err(bad_plan("it names no wallet"));
    };
    let (tenant, committee) = (first.wallet.tenant.clone(), first.committee.clone());
    if let Some(other) = held.iter().find(|held| held.wallet.tenant != tenant) {
        let (one, two) = (&first.wallet, &other.wallet);
        let both = format!("{} belongs to {}, {} to {}", one.id, one.tenant, two.id, two.tenant);
        return Err(bad_plan(format!("{both}: make a plan for each tenant")));
    }
    if let Some(other) = held.iter().find(|held| held.committee != committee) {
        let both = format!("{} and {} have different committees", first.wallet.id, other.wallet.id);
        return Err(bad_plan(format!("{both}: make a plan for each committee")));
    }
    check_companions(desk, &held)?;
    let terms = Terms {
        overlap_ms: draft.overlap_ms.unwrap_or(10_000),
        probe: draft.probe,
        attempts: draft.attempts,
        liar_tolerance: liar_tolerance(draft.unsafe_ok),
        expires_in_ms: draft.expires_in_ms,
        activates_in_ms: draft.activates_in_ms,
        initiator: draft.initiator,
    };
    let tier = held.iter().map(|held| held.wallet.tier).max().unwrap_or(Tier::Low);
    let planned = held.into_iter().map(|held| PlannedWallet::Held(held.wallet.id, held.digest)).collect();
    assemble(desk, Action::Refresh, tenant, tier, planned, committee, terms)
}

/// ECDSA wallets that were last renewed together stand on the same pair bases, and signers refuse a plan that names
/// only some of them.
fn check_companions(desk: &Desk, held: &[HeldWallet]) -> Result<(), Problem> {
    let plans = |head: &Head<'_>| -> Vec<Digest> {
        head.served().map(|served| served.standing.generation.inputs.chunk.plan).collect()
    };
    let is_ecdsa = |head: &Head<'_>| head.wallet().chain.scheme() == Scheme::Ecdsa;
    let named: BTreeSet<&WalletId> = held.iter().map(|held| &held.wallet.id).collect();
    let heads = desk.view.heads();
    let renewed: BTreeSet<Digest> =
        named.iter().filter_map(|id| heads.get(id)).filter(is_ecdsa).flat_map(|head| plans(&head)).collect();
    let left_out: Vec<String> = heads
        .iter()
        .filter(|head| is_ecdsa(head) && !named.contains(&head.wallet().id))
        .filter(|head| plans(head).iter().any(|plan| renewed.contains(plan)))
        .map(|head| head.wallet().id.to_string())
        .collect();
    let Some(first) = left_out.first() else { return Ok(()) };
    let more = match left_out.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Err(bad_plan(format!(
        "it leaves out {first}{more}: ECDSA wallets that were last renewed together stand on the same pair bases, so \
         name all of them"
    )))
}

/// A wallet as a refresh needs it.
struct HeldWallet {
    wallet: Wallet,
    scheme: Scheme,
    digest: Digest,
    committee: Committee,
}

/// The wallets of these names, or all of a tenant, as far as they exist for the caller; those of one scheme stand
/// together.
fn held_wallets(
    desk: &Desk,
    by: &By,
    names: &[String],
    tenant: Option<&TenantId>,
) -> Result<Vec<HeldWallet>, Problem> {
    let heads = desk.view.heads();
    let held = |head: Head<'_>| HeldWallet {
        wallet: head.wallet().clone(),
        scheme: head.present.share_set.scheme(),
        digest: head.ground().digest,
        committee: head.ground().share_set.committee.clone(),
    };
    let mut wallets: Vec<HeldWallet> = if names == ["*"] {
        let of_tenant =
            |wallet: &Wallet| by.sees(&wallet.tenant) && tenant.is_none_or(|tenant| *tenant == wallet.tenant);
        heads.iter().filter(|head| of_tenant(head.wallet())).map(held).collect()
    } else {
        let find = |name: &String| -> Result<HeldWallet, Problem> {
            let id: WalletId = read("wallet", name)?;
            let seen = heads.get(&id).filter(|head| by.sees(&head.wallet().tenant));
            seen.map(held).ok_or_else(|| unknown_wallet(name))
        };
        names.iter().map(find).collect::<Result<_, _>>()?
    };
    wallets.sort_by_key(|held| held.scheme);
    Ok(wallets)
}

fn assemble(
    desk: &Desk,
    action: Action,
    tenant: TenantId,
    tier: Tier,
    wallets: Vec<PlannedWallet>,
    committee: Committee,
    terms: Terms,
) -> Result<Plan, Problem> {
    if wallets.len() > PLAN_WALLETS_MAX {
        return Err(bad_plan(format!("{} wallets; a plan has at most {PLAN_WALLETS_MAX}", wallets.len())));
    }
    let names: Vec<WalletId> = wallets.iter().map(PlannedWallet::id).cloned().collect();
    let now_ms = now_ms();
    let expiry_ms = now_ms.saturating_add(terms.expires_in_ms.unwrap_or(60 * 60 * 1000));
    let activation_ms = now_ms.saturating_add(terms.activates_in_ms.unwrap_or(24 * 60 * 60 * 1000));
    let mut nonce = Digest::default();
    getrandom::fill(&mut nonce.0).map_err(|error| Problem::bug(format!("no randomness: {error}")))?;
    Ok(Plan {
        action,
        tenant,
        tier,
        wallets,
        rank: desk.view.rank_above(&names),
        attempts: terms.attempts.unwrap_or(3),
        committee,
        liar_tolerance: terms.liar_tolerance,
        profile: Profile::Planned { overlap_ms: terms.overlap_ms },
        not_before_ms: now_ms.saturating_sub(BEGUN_MS),
        expiry_ms,
        activation_deadline_ms: activation_ms.max(expiry_ms),
        probe_rate: match terms.probe {
            Some(Probe::Every) => ProbeRate::Every,
            Some(Probe::OnePerChunk) | None => ProbeRate::OnePerChunk,
        },
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: desk.in_force.get().digest(),
        initiator: read("initiator", terms.initiator.as_deref().unwrap_or("operator"))?,
        nonce,
        mandate: None,
    })
}

fn liar_tolerance(unsafe_ok: bool) -> LiarTolerance {
    if unsafe_ok { LiarTolerance::WaivedUnsafe } else { LiarTolerance::Required }
}

fn read<T>(what: &str, text: &str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| {
        Problem::of_caller(MALFORMED, format!("{what}: {error}"), "put it right and draft again")
    })
}

/// The problem of a plan that breaks a rule.
pub fn bad_plan(reason: impl Into<String>) -> Problem {
    Problem::of_caller(BAD_PLAN, reason, "change what the plan should do")
}
