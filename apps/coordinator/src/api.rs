//! The REST interface, `/v1`, on a loopback address: what people and their tools see and ask for.
//!
//! It holds no right: plans are approved by signatures that every signer checks, and a transaction is signed only
//! if the signers' own rules allow it. As long as it has no authentication it refuses to listen beyond this
//! machine (`config.rs`, [`LoopbackListener`](crate::mailbox::LoopbackListener)).
//!
//! Signing is answered by the thread that it comes in on; everything else is done by another one of low priority.

pub mod approval;
pub mod ceremonies;
pub mod decisions;
pub mod draft;
pub mod evidence;
pub mod governance;
pub mod input;
pub mod ledger;
pub mod plans;
pub mod problem;
pub mod rendering;
pub mod schedule;
pub mod sign;
pub mod standing;
pub mod wallets;

use crate::ceremonies::Ceremonies;
use crate::evidence::Evidence;
use crate::gateway::Gateway;
use crate::identity::Pin;
use crate::ledger::key::LedgerKey;
use crate::ledger::witnesses::Witnesses;
use crate::ledger::{Ledger, LedgerReader};
use crate::plan_reader::PlanReader;
use crate::post::Outbox;
use crate::trusted::InForce;
use crate::view::View;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use problem::{METHOD, NO_SUCH_PATH, Problem};
use std::sync::Arc;
use tokio::runtime::Handle;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct Desk {
    /// What is known of wallets and ceremonies.
    pub view: Arc<View>,
    /// Where plans and approvals go.
    pub ceremonies: Ceremonies,
    /// Where signing requests go.
    pub gateway: Gateway,
    /// The ledger's head.
    pub ledger: Ledger,
    /// The ledger's entries.
    pub entries: Arc<LedgerReader>,
    /// What auditors get.
    pub evidence: Arc<Evidence>,
    /// The plans of ceremonies that are over.
    pub plans: Arc<PlanReader>,
    /// Who has cosigned the ledger.
    pub witnesses: Witnesses,
    /// The key of checkpoints.
    pub ledger_key: Arc<LedgerKey>,
    /// Who approves, and who the signers are.
    pub in_force: InForce,
    /// Who this coordinator is to signers.
    pub pin: Pin,
    /// When signers were last seen.
    pub outbox: Outbox,
    /// When the daemon was started, in milliseconds since 1970.
    pub started_ms: u64,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Perennial coordinator",
        description = "Plans, approvals, ceremonies, wallets, signing and the ledger. Loopback only: there is no \
                       authentication. Every error is application/problem+json (RFC 9457) with `blame` and `action`."
    ),
    components(schemas(problem::Problem))
)]
struct Document;

/// The routes. `elsewhere` does everything but signing.
pub fn router(desk: Desk, elsewhere: Handle) -> Router {
    let (others, others_document) = OpenApiRouter::new()
        .routes(routes!(standing::health))
        .routes(routes!(governance::show, governance::extend))
        .routes(routes!(standing::signers))
        .routes(routes!(wallets::list))
        .routes(routes!(wallets::show))
        .routes(routes!(plans::submit))
        .routes(routes!(draft::draft))
        .routes(routes!(decisions::mandates, decisions::give_mandate))
        .routes(routes!(decisions::orders, decisions::give_order))
        .routes(routes!(schedule::show))
        .routes(routes!(ceremonies::list))
        .routes(routes!(ceremonies::show))
        .routes(routes!(ceremonies::plan))
        .routes(routes!(ceremonies::approve))
        .routes(routes!(ceremonies::events))
        .routes(routes!(ledger::checkpoint))
        .routes(routes!(ledger::entries))
        .routes(routes!(evidence::entries))
        .routes(routes!(evidence::chunks))
        .split_for_parts();
    let (signing, signing_document) =
        OpenApiRouter::with_openapi(Document::openapi()).routes(routes!(sign::sign)).split_for_parts();
    let mut document = signing_document;
    document.merge(others_document);
    let text = document.to_json().unwrap_or_default();
    let written = axum::routing::get(async move || {
        ([(axum::http::header::CONTENT_TYPE, "application/json")], text).into_response()
    });
    let others = others.route("/v1/openapi.json", written);
    let others = others.route_layer(from_fn_with_state(elsewhere, run_elsewhere));
    signing
        .merge(others)
        .fallback(nothing_here)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::new(desk))
}

/// Has a request done by another thread.
async fn run_elsewhere(State(elsewhere): State<Handle>, request: Request, next: Next) -> Response {
    match elsewhere.spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => Problem::bug(error.to_string()).into_response(),
    }
}

async fn nothing_here(request: Request) -> Problem {
    let detail = format!("there is nothing at {}", request.uri().path());
    Problem::of_caller(NO_SUCH_PATH, detail, "see /v1/openapi.json for what there is")
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("{} is not understood at {}", request.method(), request.uri().path());
    Problem::of_caller(METHOD, detail, "see /v1/openapi.json for what there is")
}

/// What a handler gives: an answer or a problem.
pub type Answered<T> = Result<axum::Json<T>, Problem>;

/// What a handler is given.
pub type AtDesk = State<Arc<Desk>>;
