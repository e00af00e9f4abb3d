//! Submitting a plan, for which people will be asked.

use super::caller::By;
use super::input::Body;
use super::problem::{BAD_PLAN, BUSY, Blame, CANNOT_WRITE, Kind, MALFORMED, Problem, STALE};
use super::{Answered, AtDesk, tenancy};
use crate::ceremonies::Refusal;
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_model::Error;
use perennial_model::approval::Question;
use perennial_model::encoding;
use perennial_model::plan::Plan;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A plan of 100,000 wallets has about 8 MB, in base64 a third more.
const BODY_BYTES_MAX: usize = 24 << 20;

/// A plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanBody {
    /// Its canonical bytes in base64.
    pub plan: String,
}

/// A plan that waits for approval, or goes on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Submitted {
    /// The plan's digest, which is also the ceremony's name and what people approve.
    pub ceremony: String,
    /// Approvals that are there.
    pub approvals_have: u32,
    /// Approvals that governance asks for.
    pub approvals_of: u32,
}

/// Takes in a plan. The same plan again is the same ceremony.
#[utoipa::path(
    post,
    path = "/v1/plans",
    tag = "plans",
    request_body = PlanBody,
    responses(
        (status = 200, description = "It waits for approvals", body = Submitted),
        (status = "4XX", description = "The plan breaks a rule", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn submit(
    State(desk): AtDesk,
    by: By,
    Body(body): Body<PlanBody, BODY_BYTES_MAX>,
) -> Answered<Submitted> {
    let action = "send the canonical bytes of a plan, such as POST /v1/plans/draft gives";
    let bytes = Base64::decode_vec(&body.plan)
        .map_err(|error| Problem::of_caller(MALFORMED, format!("the plan is no base64: {error}"), action))?;
    let plan: Plan = encoding::decode(&bytes)
        .map_err(|error| Problem::of_caller(BAD_PLAN, format!("this is no plan: {error}"), action))?;
    tenancy::check_plan(&desk, &by, &plan)?;
    let Question { matter, tier, .. } = plan.question();
    let needed = desk.in_force.get().governance().approvals_for(matter, tier);
    let ceremony = desk.ceremonies.submit(plan).await.map_err(|refusal| refused(refusal, BAD_PLAN))?;
    let shown = desk.view.ceremony(&ceremony).map(|shown| shown.status.approvals);
    Ok(Json(Submitted {
        ceremony: ceremony.to_string(),
        approvals_have: shown.map_or(0, |approvals| approvals.have),
        approvals_of: shown.map_or(needed.unwrap_or(0), |approvals| approvals.of),
    }))
}

/// What a refusal of the loop means to a caller; `denied` is the kind of a broken rule.
pub fn refused(refusal: Refusal, denied: Kind) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        Refusal::Rule(Error::Denied(detail)) => {
            Problem::of_caller(denied, detail, "put it right, or make a new one")
        }
        Refusal::Rule(Error::Stale(detail)) => {
            Problem::of_caller(STALE, detail, "look again, then make a new plan with POST /v1/plans/draft")
        }
        Refusal::Rule(Error::Malformed(_)) => Problem::of_caller(MALFORMED, detail, "send canonical bytes"),
        Refusal::Rule(Error::Misbehaved { culprit, what }) => {
            let action = format!("find out what is wrong with {culprit}");
            Problem::new(denied, Blame::Signers(vec![culprit]), what, action)
        }
        Refusal::Rule(Error::Bug(_)) => Problem::bug(detail),
        Refusal::StandingStill(_) => {
            let action = "see to the disk of the coordinator, then send it again";
            Problem::new(CANNOT_WRITE, Blame::Coordinator, detail, action)
        }
        Refusal::Busy => Problem::new(BUSY, Blame::Coordinator, detail, "try again in a moment"),
    }
}
