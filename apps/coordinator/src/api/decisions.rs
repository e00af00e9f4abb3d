//! What people decide beyond single plans: mandates and orders, handed in with their approvals.

use super::approval::ApprovalBody;
use super::caller::By;
use super::input::Body;
use super::plans::refused;
use super::problem::{BAD_DECISION, MALFORMED, Problem};
use super::{Answered, AtDesk, Desk};
use crate::ceremonies::Refusal;
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_model::Error;
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::{ApprovedOrder, Order};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A mandate that names ten thousand wallets, with sixty-four approvals.
const BODY_BYTES_MAX: usize = 2 << 20;

/// A decision with its approvals.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The canonical bytes of the approved mandate or order, in base64.
    pub approved: String,
}

/// What was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    /// The digest of the mandate or order.
    pub digest: String,
}

/// A mandate.
#[derive(Debug, Serialize, ToSchema)]
pub struct MandateBody {
    /// Its digest.
    pub mandate: String,
    /// `waiting`, `active`, `paused`, `cancelled`, `stopped`, `expired` or `outdated`.
    pub state: String,
    /// Whose wallets.
    pub tenant: String,
    /// The highest tier.
    pub tier: String,
    /// Its canonical bytes in base64.
    pub document: String,
    /// The approvals.
    pub approvals: Vec<ApprovalBody>,
}

/// All mandates.
#[derive(Debug, Serialize, ToSchema)]
pub struct MandateList {
    /// In no particular order.
    pub mandates: Vec<MandateBody>,
}

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderBody {
    /// Its digest.
    pub order: String,
    /// What is ordered, in words.
    pub deed: String,
    /// Whose plan or mandate it is about; none if it concerns all tenants.
    pub tenant: Option<String>,
    /// Its number.
    pub number: u64,
    /// How many signers have said that they obey it, since the coordinator was started.
    pub obeyed_by: usize,
    /// Its canonical bytes in base64.
    pub document: String,
    /// The approvals.
    pub approvals: Vec<ApprovalBody>,
}

/// All orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderList {
    /// In no particular order.
    pub orders: Vec<OrderBody>,
}

/// All mandates that people have given, and where each stands.
#[utoipa::path(
    get,
    path = "/v1/mandates",
    tag = "plans",
    responses((status = 200, description = "The mandates", body = MandateList))
)]
pub async fn mandates(State(desk): AtDesk, by: By) -> Json<MandateList> {
    let decrees = desk.view.decrees();
    let seen = decrees.mandates.iter().filter(|(_, approved, _)| by.sees(&approved.mandate.tenant));
    let shown = seen.map(|(digest, approved, state)| MandateBody {
        mandate: digest.to_string(),
        state: state.to_string(),
        tenant: approved.mandate.tenant.to_string(),
        tier: approved.mandate.tier.to_string(),
        document: Base64::encode_string(&encoding::encode(&approved.mandate)),
        approvals: approved.approvals.iter().cloned().map(ApprovalBody::from).collect(),
    });
    Json(MandateList { mandates: shown.collect() })
}

/// All orders that people have given.
#[utoipa::path(
    get,
    path = "/v1/orders",
    tag = "plans",
    responses((status = 200, description = "The orders", body = OrderList))
)]
pub async fn orders(State(desk): AtDesk, by: By) -> Json<OrderList> {
    let decrees = desk.view.decrees();
    let seen = decrees.orders.iter().filter(|(_, approved, _)| sees(&by, &approved.order));
    let shown = seen.map(|(digest, approved, obeyed_by)| OrderBody {
        order: digest.to_string(),
        deed: approved.order.deed.to_string(),
        tenant: approved.order.tenant.as_ref().map(ToString::to_string),
        number: approved.order.number,
        obeyed_by: *obeyed_by,
        document: Base64::encode_string(&encoding::encode(&approved.order)),
        approvals: approved.approvals.iter().cloned().map(ApprovalBody::from).collect(),
    });
    Json(OrderList { orders: shown.collect() })
}

/// Takes in a mandate. Refreshes begin under it when they are due; every signer holds each against it.
#[utoipa::path(
    post,
    path = "/v1/mandates",
    tag = "plans",
    request_body = Decided,
    responses(
        (status = 200, description = "It counts", body = Taken),
        (status = "4XX", description = "It breaks a rule, or lacks approvals", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn give_mandate(
    State(desk): AtDesk,
    by: By,
    Body(body): Body<Decided, BODY_BYTES_MAX>,
) -> Answered<Taken> {
    let approved: ApprovedMandate = read(&body)?;
    if !by.sees(&approved.mandate.tenant) {
        let reason = "the mandate is not sound: governance does not know its tenant";
        return Err(nobodys(&desk, &approved.mandate.governance, reason));
    }
    let digest = desk.ceremonies.mandate(approved).await.map_err(|refusal| refused(refusal, BAD_DECISION))?;
    Ok(Json(Taken { digest: digest.to_string() }))
}

/// Takes in an order, and hands it to every signer, who checks it again.
#[utoipa::path(
    post,
    path = "/v1/orders",
    tag = "plans",
    request_body = Decided,
    responses(
        (status = 200, description = "It counts", body = Taken),
        (status = "4XX", description = "It breaks a rule, or lacks approvals", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn give_order(
    State(desk): AtDesk,
    by: By,
    Body(body): Body<Decided, BODY_BYTES_MAX>,
) -> Answered<Taken> {
    let approved: ApprovedOrder = read(&body)?;
    if !sees(&by, &approved.order) {
        let reason = format!("there is nothing here to {}", approved.order.deed.matter());
        return Err(nobodys(&desk, &approved.order.governance, reason));
    }
    let digest = desk.ceremonies.obey(approved).await.map_err(|refusal| refused(refusal, BAD_DECISION))?;
    Ok(Json(Taken { digest: digest.to_string() }))
}

/// Whether an order exists for a client: one for all tenants only for who sees all of them.
fn sees(by: &By, order: &Order) -> bool {
    order.tenant.as_ref().map_or_else(|| by.sees_all(), |tenant| by.sees(tenant))
}

/// Refuses what is for nobody that a client sees, in the words for what is for nobody.
fn nobodys(desk: &Desk, governance: &Digest, reason: impl Into<String>) -> Problem {
    let in_force = desk.in_force.get().history.check_in_force(governance);
    refused(Refusal::Rule(in_force.err().unwrap_or_else(|| Error::denied(reason))), BAD_DECISION)
}

fn read<D: Document>(body: &Decided) -> Result<D, Problem> {
    let action = "send the file that `perennial mandate approve` or `perennial order approve` wrote";
    let bytes = Base64::decode_vec(&body.approved)
        .map_err(|error| Problem::of_caller(MALFORMED, format!("this is no base64: {error}"), action))?;
    encoding::decode(&bytes)
        .map_err(|error| Problem::of_caller(BAD_DECISION, format!("this cannot be read: {error}"), action))
}
