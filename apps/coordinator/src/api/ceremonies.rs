//! Ceremonies: where each is, its plan, its approvals, and a way to wait for the next change.

use super::approval::ApprovalBody;
use super::caller::By;
use super::input::{Body, Named, Parameters};
use super::plans::refused;
use super::problem::{BAD_APPROVAL, Blame, CANNOT_WRITE, Problem, UNKNOWN_CEREMONY};
use super::rendering::render;
use super::{Answered, AtDesk, tenancy};
use crate::view::ShownCeremony;
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_model::encoding::{self, Digest};
use perennial_workflow::ceremony::status::{ChunkStatus, Count, Counts, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The most ceremonies on a page.
const PAGE_MAX: usize = 1000;
const PAGE_DEFAULT: usize = 100;
/// The longest time that a change is waited for, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;
/// An SSH signature has less than a kilobyte.
const APPROVAL_BYTES_MAX: usize = 16 << 10;

/// How many ceremonies are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Leaves out so many of the newest; by default none.
    pub skip: Option<usize>,
    /// At most so many, up to 1000; by default 100.
    pub limit: Option<usize>,
}

/// Ceremonies, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ceremonies {
    /// Without their attempts.
    pub ceremonies: Vec<CeremonyBody>,
    /// How many there are in all.
    pub total: usize,
}

/// A ceremony. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CeremonyBody {
    /// The plan's digest.
    pub ceremony: String,
    /// `create` or `refresh`.
    pub action: String,
    /// The rank of its epochs.
    pub rank: u32,
    /// `awaiting approval`, `running`, `done` or `expired`.
    pub stage: &'static str,
    /// Approvals, of those that governance asks for.
    pub approvals: CountBody,
    /// Who has approved it, while it is not over.
    pub approved_by: Vec<String>,
    /// How many wallets the plan names.
    pub wallets: u32,
    /// Wallets under a Retirement of this ceremony.
    pub wallets_retired: u32,
    /// Wallets that no further attempt will be made for.
    pub wallets_given_up: u32,
    /// Wallets that wait for an attempt.
    pub wallets_waiting: u32,
    /// When the plan was submitted.
    pub submitted_ms: u64,
    /// When the last approval came.
    pub approved_ms: Option<u64>,
    /// When it was over.
    pub finished_ms: Option<u64>,
    /// From the last approval to the end, in milliseconds.
    pub total_ms: Option<u64>,
    /// For each phase the time from the first attempt's entry into it to the last attempt's end of it, in
    /// milliseconds.
    pub phases_ms: BTreeMap<&'static str, u64>,
    /// What has come in, over all attempts that were not left.
    pub counts: CountsBody,
    /// How many attempts are in each phase.
    pub attempts_in: BTreeMap<&'static str, u32>,
    /// Every attempt at every chunk; empty in a list.
    pub attempts: Vec<AttemptBody>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountBody {
    /// How many are there.
    pub have: u32,
    /// How many it takes; 0 while that is not known.
    pub of: u32,
}

/// What has come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CountsBody {
    /// Openings, of the members.
    pub opened: CountBody,
    /// Promises, of the dealers.
    pub committed: CountBody,
    /// Dealings, of the dealers.
    pub dealt: CountBody,
    /// Prepared votes, of the holders.
    pub prepared: CountBody,
    /// Probes that verify, of those that are demanded.
    pub probes: CountBody,
    /// Holders that serve the epoch.
    pub activated: CountBody,
    /// Keep votes, of the holders.
    pub kept: CountBody,
    /// Receipts, of the signers that owe one.
    pub erased: CountBody,
}

/// One attempt at one chunk.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptBody {
    /// Its number.
    pub epoch: String,
    /// The place of its first wallet in the plan.
    pub first: u32,
    /// How many wallets.
    pub count: u32,
    /// How they sign.
    pub scheme: &'static str,
    /// Where it is.
    pub phase: &'static str,
    /// What has come in.
    pub counts: CountsBody,
    /// When it entered each phase, in order.
    pub entered: Vec<Entered>,
    /// Why it was left, if it was.
    pub left: Option<String>,
    /// What signers last declined in the present phase.
    pub declined: Vec<DeclinedBody>,
}

/// The beginning of a phase.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Entered {
    /// The phase.
    pub phase: &'static str,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A signer's no.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeclinedBody {
    /// The signer.
    pub signer: String,
    /// Why, in its words.
    pub reason: String,
}

/// Lists ceremonies, the newest first.
#[utoipa::path(
    get,
    path = "/v1/ceremonies",
    tag = "ceremonies",
    params(Page),
    responses(
        (status = 200, description = "A page of ceremonies", body = Ceremonies),
        (status = "4XX", description = "The caller's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn list(State(desk): AtDesk, by: By, Parameters(page): Parameters<Page>) -> Answered<Ceremonies> {
    let all = tenancy::seen_of(&desk, &by, desk.view.ceremonies()).await?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let shown = all.iter().skip(page.skip.unwrap_or(0)).take(limit);
    let ceremonies = shown.map(|shown| CeremonyBody { attempts: Vec::new(), ..written(shown) });
    Ok(Json(Ceremonies { ceremonies: ceremonies.collect(), total: all.len() }))
}

/// Shows one ceremony with all of its attempts.
#[utoipa::path(
    get,
    path = "/v1/ceremonies/{id}",
    tag = "ceremonies",
    params(("id" = String, Path, description = "The plan's digest, 64 hexadecimal digits")),
    responses(
        (status = 200, description = "The ceremony", body = CeremonyBody),
        (status = "4XX", description = "Unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn show(State(desk): AtDesk, by: By, Named(id): Named<Digest>) -> Answered<CeremonyBody> {
    tenancy::insist(&desk, &by, &id).await?;
    let shown = desk.view.ceremony(&id).ok_or_else(|| unknown(&id))?;
    Ok(Json(written(&shown)))
}

/// The plan of a ceremony.
#[derive(Debug, Serialize, ToSchema)]
pub struct CeremonyPlan {
    /// Its canonical bytes in base64.
    pub plan: String,
    /// Its digest: what approvers sign, as one line with a newline, in the SSHSIG namespace `perennial`.
    pub digest: String,
    /// The plan in words. Write it from the bytes, too.
    pub rendering: String,
    /// The approvals that it has got.
    pub approvals: Vec<ApprovalBody>,
}

/// Gives out the plan that is to be approved, or was.
#[utoipa::path(
    get,
    path = "/v1/ceremonies/{id}/plan",
    tag = "ceremonies",
    params(("id" = String, Path, description = "The plan's digest, 64 hexadecimal digits")),
    responses(
        (status = 200, description = "The plan", body = CeremonyPlan),
        (status = "4XX", description = "Unknown", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The store's", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn plan(State(desk): AtDesk, by: By, Named(id): Named<Digest>) -> Answered<CeremonyPlan> {
    tenancy::insist(&desk, &by, &id).await?;
    let read = desk.plans.plan(&id).await.map_err(|error| {
        let action = "see to the disk of the coordinator";
        Problem::new(CANNOT_WRITE, Blame::Coordinator, error.to_string(), action)
    })?;
    let approved = read.ok_or_else(|| unknown(&id))?;
    Ok(Json(CeremonyPlan {
        plan: Base64::encode_string(&encoding::encode(&approved.plan)),
        digest: id.to_string(),
        rendering: render(&approved.plan),
        approvals: approved.approvals.into_iter().map(ApprovalBody::from).collect(),
    }))
}

/// Approvals after this one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Approvals {
    /// The plan's digest.
    pub ceremony: String,
    /// How many there are.
    pub have: u32,
    /// How many governance asks for.
    pub of: u32,
}

/// Takes in a person's approval. Every signer checks it again. The same approval again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/ceremonies/{id}/approvals",
    tag = "ceremonies",
    params(("id" = String, Path, description = "The plan's digest, 64 hexadecimal digits")),
    request_body = ApprovalBody,
    responses(
        (status = 200, description = "It counts", body = Approvals),
        (status = "4XX", description = "It does not count", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn approve(
    State(desk): AtDesk,
    by: By,
    Named(id): Named<Digest>,
    Body(body): Body<ApprovalBody, APPROVAL_BYTES_MAX>,
) -> Answered<Approvals> {
    tenancy::insist(&desk, &by, &id).await?;
    if desk.view.ceremony(&id).is_none() {
        return Err(unknown(&id));
    }
    let count = desk.ceremonies.approve(id, body.read()?).await;
    let Count { have, of } = count.map_err(|refusal| refused(refusal, BAD_APPROVAL))?;
    Ok(Json(Approvals { ceremony: id.to_string(), have, of }))
}

/// From where on changes are of interest.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Since {
    /// The `number` of the last answer; by default 0, which is answered at once.
    pub since: Option<u64>,
    /// For how long a change is waited for, up to 60,000; by default 0.
    pub wait_ms: Option<u64>,
}

/// A ceremony as it stands after a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Rises with every change, also over restarts of the coordinator. Changes that follow one another faster than
    /// they are asked for are told as one.
    pub number: u64,
    /// Whether it has changed since `since`; if not, the time was over first.
    pub changed: bool,
    /// Where it is now.
    pub ceremony: CeremonyBody,
}

/// Waits until a ceremony has changed (long poll): ask again with the `number` that came.
#[utoipa::path(
    get,
    path = "/v1/ceremonies/{id}/events",
    tag = "ceremonies",
    params(("id" = String, Path, description = "The plan's digest, 64 hexadecimal digits"), Since),
    responses(
        (status = 200, description = "The ceremony after the change, or when the time was over", body = Event),
        (status = "4XX", description = "Unknown", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn events(
    State(desk): AtDesk,
    by: By,
    Named(id): Named<Digest>,
    Parameters(query): Parameters<Since>,
) -> Answered<Event> {
    tenancy::insist(&desk, &by, &id).await?;
    let since = query.since.unwrap_or(0);
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let deadline = tokio::time::Instant::now() + wait;
    let shown = desk.view.ceremony_after(&id, since, deadline).await.ok_or_else(|| unknown(&id))?;
    let changed = shown.number > since;
    Ok(Json(Event { number: shown.number, changed, ceremony: written(&shown) }))
}

/// The problem of a ceremony that does not exist.
pub fn unknown(id: &Digest) -> Problem {
    let detail = format!("there is no ceremony {id}");
    Problem::of_caller(UNKNOWN_CEREMONY, detail, "GET /v1/ceremonies lists those that there are")
}

fn written(shown: &ShownCeremony) -> CeremonyBody {
    let status = &shown.status;
    let mut counts = CountsBody::default();
    let mut attempts_in = BTreeMap::new();
    for attempt in &status.attempts {
        *attempts_in.entry(attempt.phase.name()).or_default() += 1;
        if attempt.phase != Phase::Left {
            counts.add(&attempt.counts);
        }
    }
    let phases_ms = PHASES.into_iter().filter_map(|phase| Some((phase.name(), status.phase_ms(phase)?)));
    let end = status.finished_ms.zip(status.approved_ms);
    CeremonyBody {
        ceremony: status.ceremony.to_string(),
        action: status.action.to_string(),
        rank: status.rank,
        stage: status.stage.name(),
        approvals: status.approvals.into(),
        approved_by: shown.approved_by.iter().map(ToString::to_string).collect(),
        wallets: status.wallets,
        wallets_retired: status.wallets_retired,
        wallets_given_up: status.wallets_given_up,
        wallets_waiting: status.wallets_waiting,
        submitted_ms: status.submitted_ms,
        approved_ms: status.approved_ms,
        finished_ms: status.finished_ms,
        total_ms: end.map(|(finished_ms, approved_ms)| finished_ms.saturating_sub(approved_ms)),
        phases_ms: phases_ms.collect(),
        counts,
        attempts_in,
        attempts: status.attempts.iter().map(attempt).collect(),
    }
}

const PHASES: [Phase; 8] = [
    Phase::Opening,
    Phase::Committing,
    Phase::Dealing,
    Phase::Preparing,
    Phase::Probing,
    Phase::Activating,
    Phase::Keeping,
    Phase::Retiring,
];

fn attempt(attempt: &ChunkStatus) -> AttemptBody {
    let mut counts = CountsBody::default();
    counts.add(&attempt.counts);
    let entered =
        attempt.entered_ms.iter().map(|(phase, at_ms)| Entered { phase: phase.name(), at_ms: *at_ms });
    let declined = attempt
        .declined
        .iter()
        .map(|(signer, reason)| DeclinedBody { signer: signer.to_string(), reason: reason.clone() });
    AttemptBody {
        epoch: attempt.chunk.epoch.to_string(),
        first: attempt.chunk.first,
        count: attempt.chunk.count,
        scheme: attempt.scheme.name(),
        phase: attempt.phase.name(),
        counts,
        entered: entered.collect(),
        left: attempt.left.as_ref().map(ToString::to_string),
        declined: declined.collect(),
    }
}

impl From<Count> for CountBody {
    fn from(count: Count) -> Self {
        Self { have: count.have, of: count.of }
    }
}

impl CountsBody {
    fn add(&mut self, counts: &Counts) {
        for (sum, count) in [
            (&mut self.opened, counts.opened),
            (&mut self.committed, counts.committed),
            (&mut self.dealt, counts.dealt),
            (&mut self.prepared, counts.prepared),
            (&mut self.probes, counts.probes),
            (&mut self.activated, counts.activated),
            (&mut self.kept, counts.kept),
            (&mut self.erased, counts.erased),
        ] {
            sum.have += count.have;
            sum.of += count.of;
        }
    }
}
