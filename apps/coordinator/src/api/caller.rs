//! Who asks: nothing is answered to somebody unknown but whether the coordinator is alive, and nobody does what their
//! scopes do not say.
//!
//! A request that shows a token is judged by it alone; one without by the certificate of its connection. What concerns a
//! tenant of whom the caller may not know is answered as if it did not exist, in the handlers.

use super::door::Peer;
use super::figures::{Figures, Refusal};
use super::problem::{NOT_ALLOWED, Problem, TOO_OFTEN, UNAUTHENTICATED};
use crate::access::{Access, Known, NotAdmitted, Shown};
use crate::world::now_ms;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use perennial_model::wallet::TenantId;
use perennial_workflow::access::{Need, Reach};
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

/// What decides who is let in.
#[derive(Clone)]
pub struct Gate {
    /// The clients.
    pub access: Access,
    /// Where refusals are counted.
    pub figures: Arc<Figures>,
    /// The paths that anybody may ask for.
    pub open: &'static [&'static str],
}

/// The client that asks.
#[derive(Debug, Clone)]
pub struct By(Arc<Known>);

impl By {
    /// Whether wallets of this tenant exist for it.
    pub fn sees(&self, tenant: &TenantId) -> bool {
        self.0.client.sees(tenant)
    }

    /// Whether it sees every tenant, so that nothing has to be looked up.
    pub fn sees_all(&self) -> bool {
        self.0.client.reach == Reach::EveryTenant
    }

    /// The client.
    pub fn client(&self) -> &perennial_workflow::access::Client {
        &self.0.client
    }
}

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::bug("a route was reached by somebody unknown"))
    }
}

/// Finds out who asks, before anything else is done for them, and writes down who has changed something.
pub async fn recognise(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return Problem::bug("a request came from nowhere").into_response();
    };
    let shown = shown(request.headers(), &peer);
    let is_open = gate.open.contains(&request.uri().path());
    if shown == Shown::Nothing && is_open {
        return next.run(request).await;
    }
    // A certificate is shown to whatever is asked on its connection; a token is meant for this request.
    let needs_none = is_open && matches!(shown, Shown::Certificate(_));
    let by = match gate.access.admit(shown, peer.address.ip(), now_ms()) {
        Ok(known) => By(known),
        Err(NotAdmitted::Unknown) if needs_none => return next.run(request).await,
        Err(reason) => return not_admitted(&gate, &peer, &reason),
    };
    request.extensions_mut().insert(by.clone());
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::info!(client = %by.0.client.name, status, "{method} {path}");
    response
}

/// Lets those through who may do what the route needs.
pub async fn allow(
    State((need, figures)): State<(Need, Arc<Figures>)>,
    by: By,
    request: Request,
    next: Next,
) -> Response {
    let client = &by.0.client;
    if client.may(need) {
        return next.run(request).await;
    }
    figures.refused(Refusal::NotAllowed);
    let scopes: Vec<&str> = need.scopes().iter().map(|scope| scope.name()).collect();
    let scopes = scopes.join(" or ");
    let whole = if need.is_about_all() { ", for every tenant" } else { "" };
    let detail = format!("this takes the scope {scopes}{whole}; client {} has not got that", client.name);
    let action = "use another client's credentials, or have the coordinator's operator add a client for this";
    Problem::of_caller(NOT_ALLOWED, detail, action).into_response()
}

fn shown<'a>(headers: &'a HeaderMap, peer: &Peer) -> Shown<'a> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next(), peer.pin) {
        (None, _, Some(pin)) => Shown::Certificate(pin),
        (None, _, None) => Shown::Nothing,
        (Some(value), None, _) => {
            let words = value.to_str().ok().and_then(|text| text.split_once(' '));
            let token = words.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            Shown::Token(token.map_or("", |(_, token)| token.trim()))
        }
        (Some(_), Some(_), _) => Shown::Token(""),
    }
}

fn not_admitted(gate: &Gate, peer: &Peer, reason: &NotAdmitted) -> Response {
    let wait = match reason {
        NotAdmitted::TooOften { wait, .. } | NotAdmitted::Knocking { wait } => *wait,
        NotAdmitted::ShowsNothing | NotAdmitted::Unknown | NotAdmitted::Expired(_) => {
            gate.figures.refused(Refusal::Unauthenticated);
            let action = "send `Authorization: Bearer` with a token of `perennial-coordinator client add`; \
                          `perennial` takes it with --token-file or from PERENNIAL_TOKEN";
            let problem = Problem::of_caller(UNAUTHENTICATED, reason.to_string(), action);
            tracing::info!(address = %peer.address.ip(), "not let in: {reason}");
            let challenge = HeaderValue::from_static("Bearer realm=\"perennial\"");
            return ([(WWW_AUTHENTICATE, challenge)], problem.into_unlogged_response()).into_response();
        }
    };
    gate.figures.refused(Refusal::TooOften);
    // Not in the log at the usual level: it must not grow as fast as somebody can ask.
    tracing::debug!(address = %peer.address.ip(), "not let in: {reason}");
    let problem = Problem::of_caller(TOO_OFTEN, reason.to_string(), "wait as long as Retry-After says");
    ([(RETRY_AFTER, HeaderValue::from(seconds(wait)))], problem.into_unlogged_response()).into_response()
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Writes into the document what every one of its routes needs.
pub fn describe(document: &mut OpenApi, need: Need) {
    let ways = || need.scopes().iter().map(|scope| scope.name());
    let requirements: Vec<SecurityRequirement> = ["token", "certificate"]
        .into_iter()
        .flat_map(|scheme| ways().map(move |scope| SecurityRequirement::new(scheme, [scope])))
        .collect();
    let whole = if need.is_about_all() { " for every tenant" } else { "" };
    let note = format!("Scope: {}{whole}.", ways().collect::<Vec<_>>().join(" or "));
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [&mut item.get, &mut item.post, &mut item.put, &mut item.delete]);
    for operation in operations.flatten() {
        operation.security = Some(requirements.clone());
        add_note(operation, &note);
    }
}

fn add_note(operation: &mut Operation, note: &str) {
    let described = operation.description.take().map_or(String::new(), |text| format!("{text}\n\n"));
    operation.description = Some(format!("{described}{note}"));
}

/// Writes down how a caller proves who it is.
pub fn add_schemes(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("perennial_ and 43 characters")
        .description(Some("A token of `perennial-coordinator client add`"))
        .build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let certificate = "A TLS certificate whose pin a client has, where the API speaks TLS";
    let certificate = SecurityScheme::MutualTls {
        description: Some(certificate.into()),
        deprecated: None,
        extensions: None,
    };
    components.add_security_scheme("certificate", certificate);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(pin: Option<&str>) -> Peer {
        let pin = pin.map(|byte| byte.repeat(32).parse().expect("a pin"));
        Peer { address: ([127, 0, 0, 1], 1).into(), pin }
    }

    #[test]
    fn a_token_that_is_shown_counts_alone_and_two_count_for_nothing() {
        let mut headers = HeaderMap::new();
        assert!(shown(&headers, &peer(None)) == Shown::Nothing);
        assert!(matches!(shown(&headers, &peer(Some("ab"))), Shown::Certificate(_)));
        for (value, token) in [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", ""), ("abc", "")]
        {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert!(shown(&headers, &peer(Some("ab"))) == Shown::Token(token), "{value}");
        }
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer abc"));
        assert!(shown(&headers, &peer(None)) == Shown::Token(""));
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_as_none() {
        let told = [0, 1, 999, 1_000, 1_001].map(|ms| seconds(Duration::from_millis(ms)));
        assert_eq!(told, [1, 1, 1, 1, 2]);
    }
}
