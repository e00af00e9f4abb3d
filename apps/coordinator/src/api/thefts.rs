//! Reports that copies of shares are known to others. They tell the exposure register, and change nothing at signers:
//! what helps against a theft are plans and orders that people approve.

use super::caller::By;
use super::decisions::Taken;
use super::input::Body;
use super::plans::refused;
use super::problem::{BAD_REPORT, MALFORMED, Problem};
use super::sign::not_there;
use super::tenancy::sees_report;
use super::{Answered, AtDesk, Desk};
use axum::Json;
use axum::extract::State;
use perennial_model::encoding::Digest;
use perennial_model::theft::{Certainty, Finding, TheftReport};
use perennial_model::wallet::{TenantId, WalletId};
use perennial_workflow::access::Reach;
use perennial_workflow::thefts::Filed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use utoipa::ToSchema;

/// A report that names as many wallets as it may.
const BODY_BYTES_MAX: usize = 64 << 10;

/// How sure those are who report.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertaintyBody {
    /// It may have happened.
    Suspected,
    /// It has happened.
    Known,
}

/// Which copies others may have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StolenBody {
    /// Who held them.
    pub signer: String,
    /// Of which wallets, all of one tenant; by default of all that the caller sees, or of all of `tenant`.
    #[serde(default)]
    pub wallets: Vec<String>,
    /// Whose wallets. It has to be said if none is named and the caller sees those of several tenants, but not all.
    pub tenant: Option<String>,
    /// From when, in milliseconds since 1970. What the signer held at any moment of the span counts.
    pub from_ms: u64,
    /// Up to when, in milliseconds since 1970; not in the future.
    pub to_ms: u64,
    /// How sure it is. The register counts both.
    pub certainty: CertaintyBody,
}

/// A report: one of `stolen` and `withdraws`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    /// What is stolen.
    pub stolen: Option<StolenBody>,
    /// The digest of an earlier report that does not hold.
    pub withdraws: Option<String>,
    /// What is known of it: one line of at most 200 characters. It is entered in the ledger, and every tenant that is
    /// concerned sees it.
    pub text: String,
}

/// A report that is on record.
#[derive(Debug, Serialize, ToSchema)]
pub struct TheftBody {
    /// Its digest.
    pub report: String,
    /// The client that reported it.
    pub by: String,
    /// When it was recorded, in milliseconds since 1970.
    pub reported_ms: u64,
    /// Whose wallets; none for those of all tenants.
    pub tenant: Option<String>,
    /// What is known of it.
    pub text: String,
    /// Who held what is stolen; none for a report that withdraws another, and so below.
    pub signer: Option<String>,
    /// The wallets that it names; empty for all of the tenant, or of all tenants.
    pub wallets: Vec<String>,
    /// From when, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Up to when, in milliseconds since 1970.
    pub to_ms: Option<u64>,
    /// `suspected` or `known`.
    pub certainty: Option<&'static str>,
    /// The report that it withdraws.
    pub withdraws: Option<String>,
    /// The report that withdraws it: it counts no more.
    pub withdrawn_by: Option<String>,
}

/// All reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct TheftList {
    /// In the order in which they came.
    pub thefts: Vec<TheftBody>,
}

/// All reports of stolen copies, those among them that were withdrawn.
#[utoipa::path(
    get,
    path = "/v1/thefts",
    tag = "wallets",
    responses((status = 200, description = "The reports", body = TheftList))
)]
pub async fn list(State(desk): AtDesk, by: By) -> Json<TheftList> {
    let thefts = desk.view.thefts();
    let seen = thefts.iter().filter(|filed| sees_report(&by, &filed.report));
    Json(TheftList { thefts: seen.map(TheftBody::from).collect() })
}

/// Takes in a report. It is entered in the ledger, and the register counts what it touches from then on. The same report
/// again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/thefts",
    tag = "wallets",
    request_body = NewReport,
    responses(
        (status = 200, description = "It is on record", body = Taken),
        (status = "4XX", description = "It speaks of what is not known, or is not sound", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn report(
    State(desk): AtDesk,
    by: By,
    Body(body): Body<NewReport, BODY_BYTES_MAX>,
) -> Answered<Taken> {
    let (finding, tenant) = match (body.stolen, body.withdraws) {
        (Some(stolen), None) => finding(&desk, &by, stolen)?,
        (None, Some(digest)) => withdrawal(&desk, &by, named(&digest)?)?,
        _ => {
            let action = "say what is stolen, or name the report to withdraw";
            return Err(Problem::of_caller(MALFORMED, "expected one of `stolen` and `withdraws`", action));
        }
    };
    let report = TheftReport { finding, tenant, by: by.client().name.clone(), text: body.text };
    let taken = desk.ceremonies.report_theft(report).await;
    let digest = taken.map_err(|refusal| refused(refusal, BAD_REPORT))?;
    Ok(Json(Taken { digest: digest.to_string() }))
}

fn finding(desk: &Desk, by: &By, body: StolenBody) -> Result<(Finding, Option<TenantId>), Problem> {
    let wallets =
        body.wallets.iter().map(|wallet| named(wallet)).collect::<Result<BTreeSet<WalletId>, _>>()?;
    let tenant = match body.tenant {
        Some(name) => {
            let tenant = named(&name)?;
            let unknown = || bad_report(format!("governance knows no tenant {name}"));
            if by.sees(&tenant) { Some(tenant) } else { return Err(unknown()) }
        }
        None if wallets.is_empty() => only_tenant(by)?,
        None => None,
    };
    let tenant = wallets.iter().try_fold(tenant, |tenant, wallet| {
        let own = desk.view.heads().get(wallet).map(|head| head.wallet().tenant.clone());
        let own = own.filter(|own| by.sees(own)).ok_or_else(|| not_there(desk, by, wallet))?;
        match tenant.is_none_or(|tenant| tenant == own) {
            true => Ok(Some(own)),
            false => Err(bad_report(format!("{wallet} is not of the same tenant: report once for each"))),
        }
    })?;
    let certainty = match body.certainty {
        CertaintyBody::Suspected => Certainty::Suspected,
        CertaintyBody::Known => Certainty::Known,
    };
    let StolenBody { from_ms, to_ms, signer, .. } = body;
    let wallets = wallets.into_iter().collect();
    Ok((Finding::Stolen { signer: named(&signer)?, wallets, from_ms, to_ms, certainty }, tenant))
}

/// For whom a client reports that names nobody: for all, or for its own tenant.
fn only_tenant(by: &By) -> Result<Option<TenantId>, Problem> {
    match &by.client().reach {
        Reach::EveryTenant => Ok(None),
        Reach::Of(tenants) if tenants.len() == 1 => Ok(tenants.first().cloned()),
        Reach::Of(_) => {
            Err(bad_report("expected the tenant, or wallets: the caller sees several tenants".into()))
        }
    }
}

/// Whoever withdraws a report for all tenants sees all of them.
fn withdrawal(desk: &Desk, by: &By, report: Digest) -> Result<(Finding, Option<TenantId>), Problem> {
    let thefts = desk.view.thefts();
    let found = thefts.iter().find(|filed| filed.digest == report).map(|filed| &filed.report.tenant);
    let is_theirs = |tenant: &&Option<TenantId>| tenant.as_ref().map_or(by.sees_all(), |own| by.sees(own));
    match found.filter(is_theirs) {
        Some(tenant) => Ok((Finding::Withdrawn(report), tenant.clone())),
        None => Err(bad_report(format!("there is no report {report} to withdraw"))),
    }
}

fn bad_report(detail: String) -> Problem {
    Problem::of_caller(BAD_REPORT, detail, "put it right; GET /v1/thefts lists the reports that there are")
}

fn named<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse::<T>().map_err(|error| {
        let action = "compare the body with the schema in /v1/openapi.json";
        Problem::of_caller(MALFORMED, format!("{text:?} cannot be read: {error}"), action)
    })
}

impl From<&Filed> for TheftBody {
    fn from(filed: &Filed) -> Self {
        let TheftReport { finding, tenant, by, text } = &*filed.report;
        let body = Self {
            report: filed.digest.to_string(),
            by: by.to_string(),
            reported_ms: filed.at_ms,
            tenant: tenant.as_ref().map(ToString::to_string),
            text: text.clone(),
            signer: None,
            wallets: Vec::new(),
            from_ms: None,
            to_ms: None,
            certainty: None,
            withdraws: None,
            withdrawn_by: filed.withdrawn_by.map(|digest| digest.to_string()),
        };
        match finding {
            Finding::Withdrawn(report) => Self { withdraws: Some(report.to_string()), ..body },
            Finding::Stolen { signer, wallets, from_ms, to_ms, certainty } => Self {
                signer: Some(signer.to_string()),
                wallets: wallets.iter().map(ToString::to_string).collect(),
                from_ms: Some(*from_ms),
                to_ms: Some(*to_ms),
                certainty: Some(certainty.name()),
                ..body
            },
        }
    }
}
