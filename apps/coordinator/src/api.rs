//! The REST interface, `/v1`: what people and their tools see and ask for.
//!
//! It holds no right: plans are approved by signatures that every signer checks, and a transaction is signed only
//! if the signers' own rules allow it. Whoever asks shows a token or a certificate ([`caller`]); each route says what
//! scope it needs, here and in the document. Without TLS it refuses to listen beyond this machine (`config.rs`).
//!
//! Signing is answered by the thread that it comes in on; everything else is done by another one of low priority.

pub mod approval;
pub mod caller;
pub mod ceremonies;
pub mod decisions;
pub mod door;
pub mod draft;
pub mod evidence;
pub mod figures;
pub mod governance;
pub mod greeting;
pub mod input;
pub mod ledger;
pub mod plans;
pub mod problem;
pub mod rendering;
pub mod schedule;
pub mod sign;
pub mod standing;
pub mod tenancy;
pub mod thefts;
pub mod tls;
pub mod unread;
pub mod wallets;

use crate::access::Access;
use crate::ceremonies::Ceremonies;
use crate::config::Metrics;
use crate::evidence::Evidence;
use crate::gateway::Gateway;
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
use caller::Gate;
use figures::Figures;
use perennial_daemon::identity::Pin;
use perennial_workflow::access::Need;
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
    /// Whose they are, as far as it was asked.
    pub tenants: Arc<tenancy::Tenants>,
    /// Who may ask.
    pub access: Access,
    /// What is counted.
    pub figures: Arc<Figures>,
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
        description = "Plans, approvals, ceremonies, wallets, signing and the ledger. Every request shows a token or \
                       a certificate, and each route says which scope it takes; what is of a tenant that the caller \
                       does not see is answered as if it did not exist. Every error is application/problem+json (RFC \
                       9457) with `blame` and `action`."
    ),
    components(schemas(problem::Problem))
)]
struct Document;

/// The paths that anybody may ask for, without and with figures.
const OPEN: [&[&str]; 2] = [&["/v1/health"], &["/v1/health", "/metrics"]];

/// The routes. `elsewhere` does everything but signing.
pub fn router(desk: Desk, elsewhere: Handle, metrics: Metrics) -> Router {
    let needing = |need, routes| needing(need, &desk.figures, routes);
    let figures = OpenApiRouter::new().routes(routes!(figures::metrics));
    let figures = match metrics {
        Metrics::Closed => OpenApiRouter::new(),
        Metrics::Clients => needing(Need::Overview, figures),
        Metrics::Anybody => figures,
    };
    let others = OpenApiRouter::new()
        .routes(routes!(standing::health))
        .merge(figures)
        .merge(needing(Need::Read, reading()))
        .merge(needing(Need::Audit, auditing()))
        .merge(needing(Need::Submit, submitting()))
        .merge(needing(Need::Govern, OpenApiRouter::new().routes(routes!(governance::extend))));
    let signing = needing(Need::Sign, OpenApiRouter::new().routes(routes!(sign::sign)));
    let (others, others_document) = others.split_for_parts();
    let (signing, signing_document) = signing.split_for_parts();
    let mut document = Document::openapi();
    document.merge(signing_document);
    document.merge(others_document);
    caller::add_schemes(&mut document);
    let text = document.to_json().unwrap_or_default();
    let written = axum::routing::get(async move || {
        ([(axum::http::header::CONTENT_TYPE, "application/json")], text).into_response()
    });
    let others = others.route("/v1/openapi.json", written);
    let others = others.route_layer(from_fn_with_state(elsewhere, run_elsewhere));
    let open = OPEN[usize::from(metrics == Metrics::Anybody)];
    let gate = Gate { access: desk.access.clone(), figures: Arc::clone(&desk.figures), open };
    signing
        .merge(others)
        .fallback(nothing_here)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(gate, caller::recognise))
        .with_state(Arc::new(desk))
}

type Routes = OpenApiRouter<Arc<Desk>>;

fn reading() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(governance::show))
        .routes(routes!(standing::signers))
        .routes(routes!(wallets::list))
        .routes(routes!(wallets::show))
        .routes(routes!(ceremonies::list))
        .routes(routes!(ceremonies::show))
        .routes(routes!(ceremonies::plan))
        .routes(routes!(ceremonies::events))
        .routes(routes!(decisions::mandates))
        .routes(routes!(decisions::orders))
        .routes(routes!(schedule::show))
        .routes(routes!(thefts::list))
}

fn auditing() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(ledger::checkpoint))
        .routes(routes!(ledger::entries))
        .routes(routes!(evidence::entries))
        .routes(routes!(evidence::chunks))
}

fn submitting() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(plans::submit))
        .routes(routes!(draft::draft))
        .routes(routes!(ceremonies::approve))
        .routes(routes!(decisions::give_mandate))
        .routes(routes!(decisions::give_order))
        .routes(routes!(thefts::report))
}

/// Routes that all need the same, said to those who come and in the document.
fn needing(need: Need, figures: &Arc<Figures>, mut routes: Routes) -> Routes {
    caller::describe(routes.get_openapi_mut(), need);
    routes.route_layer(from_fn_with_state((need, Arc::clone(figures)), caller::allow))
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
