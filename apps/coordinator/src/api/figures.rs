//! `GET /metrics`: figures for a monitoring system (OpenMetrics text, as Prometheus reads it). They say how much and how
//! many, and name signers and stages; no wallet, no client and no tenant.

use super::problem::Problem;
use super::{AtDesk, Desk};
use crate::view::Running;
use crate::world::now_ms;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use perennial_workflow::ceremony::status::{CeremonyStatus, Phase};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];

/// What is counted while the daemon runs.
#[derive(Debug, Default)]
pub struct Figures {
    signing: Family<Label, Counter>,
    refused: Family<Label, Counter>,
}

/// Why a request was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody knows who asked.
    Unauthenticated,
    /// They may not do that.
    NotAllowed,
    /// They ask too often.
    TooOften,
}

impl Figures {
    /// Counts a signing request by what came of it: `signed`, `repeated`, or the name of the problem.
    pub fn signing(&self, outcome: &str) {
        self.signing.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    /// Counts a request that was not let through.
    pub fn refused(&self, refusal: Refusal) {
        let reason = match refusal {
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::NotAllowed => "not-allowed",
            Refusal::TooOften => "too-often",
        };
        self.refused.get_or_create(&[("reason", reason.to_owned())]).inc();
    }
}

/// Gives out figures for a monitoring system.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "standing",
    responses((status = 200, description = "OpenMetrics text", body = String,
               content_type = "application/openmetrics-text"))
)]
pub async fn metrics(State(desk): AtDesk) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry(&desk)) {
        Ok(()) => ([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => Problem::bug(error.to_string()).into_response(),
    }
}

/// When the first of a ceremony's Retirements was made whose receipts are not all there.
fn oldest_retirement(status: &CeremonyStatus) -> Option<u64> {
    let retiring = status.attempts.iter().filter(|attempt| attempt.phase == Phase::Retiring);
    retiring.filter_map(|attempt| attempt.entered_ms.last().map(|(_, at_ms)| *at_ms)).min()
}

fn registry(desk: &Desk) -> Registry {
    let mut registry = Registry::with_prefix("perennial");
    let figures = &desk.figures;
    registry.register("signing_requests", "Signing requests by outcome", figures.signing.clone());
    registry.register("api_refused", "Requests that were not let through", figures.refused.clone());
    let mut number = |name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    let works = desk.ledger.trouble().is_none() && desk.view.running() == Running::Yes;
    number("works", "1 while the coordinator can write and ceremonies go on", works.into());
    number("wallets", "Wallets that sign", desk.view.heads().len());
    number("ledger_entries", "Entries in the ledger", desk.ledger.head().size as usize);
    number("clients", "Clients of the API", desk.access.len());
    let refused = desk.access.trouble().is_some();
    number(
        "clients_file_refused",
        "1 while clients.toml is refused and the clients of before stay",
        refused.into(),
    );
    let stages = Family::<Label, Gauge>::default();
    for shown in desk.view.ceremonies() {
        stages.get_or_create(&[("stage", shown.status.stage.name().to_owned())]).inc();
    }
    registry.register("ceremonies", "Ceremonies by stage", stages);
    let retiring =
        desk.view.ceremonies().into_iter().filter_map(|shown| oldest_retirement(&shown.status)).min();
    let waiting_s = retiring.map_or(0, |since_ms| now_ms().saturating_sub(since_ms) / 1000);
    let oldest = Gauge::<i64>::default();
    oldest.set(i64::try_from(waiting_s).unwrap_or(i64::MAX));
    let help = "For how long the oldest Retirement has waited for receipts; 0 if none does";
    registry.register("receipts_awaited_seconds", help, oldest);
    let (connected, seen) = (Family::<Label, Gauge>::default(), Family::<Label, Gauge>::default());
    let halted = Family::<Label, Gauge>::default();
    for signer in &desk.in_force.get().governance().signers {
        let known = super::standing::seen(desk, &signer.signer);
        let label = [("signer", known.signer.clone())];
        connected.get_or_create(&label).set(known.connected.into());
        halted.get_or_create(&label).set(known.halted.is_some().into());
        if let Some(last_ms) = known.last_seen_ms {
            let silent_s = now_ms().saturating_sub(last_ms) / 1000;
            seen.get_or_create(&label).set(i64::try_from(silent_s).unwrap_or(i64::MAX));
        }
    }
    registry.register("signer_connected", "1 while the signer is there", connected);
    registry.register("signer_halted", "1 while the signer has halted for the ledger", halted);
    registry.register("signer_silent_seconds", "Since its last sign of life, if there was one", seen);
    registry
}
