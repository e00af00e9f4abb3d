//! What will be renewed when, and what people should look at.

use super::AtDesk;
use super::caller::By;
use super::input::Parameters;
use crate::world::now_ms;
use axum::Json;
use axum::extract::State;
use perennial_workflow::driver::MandateState;
use perennial_workflow::schedule::{Warning, calendar, warnings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The farthest that can be looked ahead, in days.
const DAYS_MAX: u64 = 3_660;

/// How far to look.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ahead {
    /// How many days ahead; 90 unless said otherwise.
    pub days: Option<u64>,
}

/// The schedule.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleBody {
    /// Now, in milliseconds since 1970.
    pub now_ms: u64,
    /// Refreshes that will begin if nothing changes, the earliest first.
    pub occasions: Vec<OccasionBody>,
    /// What people should look at.
    pub warnings: Vec<WarningBody>,
}

/// A refresh that will begin.
#[derive(Debug, Serialize, ToSchema)]
pub struct OccasionBody {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Under which mandate.
    pub mandate: String,
    /// Whose wallets.
    pub tenant: String,
    /// Of which tier.
    pub tier: String,
    /// How many.
    pub wallets: usize,
}

/// Something that people should look at.
#[derive(Debug, Serialize, ToSchema)]
pub struct WarningBody {
    /// The wallet.
    pub wallet: String,
    /// `uncovered`, `too-rare`, `too-frequent`, `overdue` or `unfit`.
    pub code: String,
    /// In words.
    pub what: String,
}

/// What will be renewed when under the mandates that are active, and what people should look at.
#[utoipa::path(
    get,
    path = "/v1/schedule",
    tag = "plans",
    params(Ahead),
    responses((status = 200, description = "The schedule", body = ScheduleBody))
)]
pub async fn show(State(desk): AtDesk, by: By, Parameters(ahead): Parameters<Ahead>) -> Json<ScheduleBody> {
    let now_ms = now_ms();
    let until_ms = now_ms.saturating_add(ahead.days.unwrap_or(90).min(DAYS_MAX) * DAY_MS);
    let decrees = desk.view.decrees();
    let is_active = |state: &MandateState| matches!(state, MandateState::Active | MandateState::Waiting);
    let seen = decrees.mandates.iter().filter(|(_, approved, _)| by.sees(&approved.mandate.tenant));
    let active: Vec<_> = seen.filter(|(.., state)| is_active(state)).collect();
    let heads = desk.view.heads();
    let mut occasions: Vec<OccasionBody> = Vec::new();
    for (digest, approved, _) in &active {
        let of_mandate = calendar(&approved.mandate, &heads, now_ms, until_ms).into_iter();
        occasions.extend(of_mandate.map(|occasion| OccasionBody {
            at_ms: occasion.at_ms,
            mandate: digest.to_string(),
            tenant: approved.mandate.tenant.to_string(),
            tier: occasion.tier.to_string(),
            wallets: occasion.wallets,
        }));
    }
    occasions.sort_by_key(|occasion| occasion.at_ms);
    let mandates: Vec<_> = active.iter().map(|(_, approved, _)| &approved.mandate).collect();
    let seen = |warning: &Warning| heads.tenant(warning.wallet()).is_some_and(|tenant| by.sees(tenant));
    let warnings = warnings(&mandates, &heads, now_ms).into_iter().filter(seen).map(|warning| WarningBody {
        wallet: warning.wallet().to_string(),
        code: warning.code().to_owned(),
        what: warning.to_string(),
    });
    Json(ScheduleBody { now_ms, occasions, warnings: warnings.collect() })
}
