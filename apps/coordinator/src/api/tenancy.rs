//! Whose a ceremony is, and what a client may know of it: one of another tenant is answered as one that does not exist.

use super::caller::By;
use super::ceremonies::unknown;
use super::plans::refused;
use super::problem::{BAD_PLAN, Blame, CANNOT_WRITE, Problem};
use super::{Desk, draft};
use crate::ceremonies::Refusal;
use crate::plan_reader::PlanReader;
use crate::store::StoreError;
use crate::view::ShownCeremony;
use crate::world::now_ms;
use perennial_ledger::Entry;
use perennial_ledger::entry::Content;
use perennial_model::Error;
use perennial_model::encoding::Digest;
use perennial_model::plan::{Plan, PlannedWallet};
use perennial_model::theft::TheftReport;
use perennial_model::wallet::{TenantId, WalletId};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// What was found out about ceremonies that are over; their plans are read once.
#[derive(Debug, Default)]
pub struct Tenants(Mutex<HashMap<Digest, TenantId>>);

impl Tenants {
    async fn read(&self, plans: &PlanReader, ceremony: &Digest) -> Result<Option<TenantId>, Problem> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = known().get(ceremony) {
            return Ok(Some(tenant.clone()));
        }
        let read = plans.plan(ceremony).await.map_err(unreadable)?;
        let tenant = read.map(|approved| approved.plan.tenant);
        if let Some(tenant) = &tenant {
            known().insert(*ceremony, tenant.clone());
        }
        Ok(tenant)
    }
}

/// Whether a ceremony exists for a client.
///
/// # Errors
/// [`Problem`] when the store cannot be read.
pub async fn sees(desk: &Desk, by: &By, ceremony: &Digest) -> Result<bool, Problem> {
    if by.sees_all() {
        return Ok(true);
    }
    let plan = desk.view.ceremony(ceremony).and_then(|shown| shown.plan.clone());
    let tenant = match plan {
        Some(plan) => Some(plan.tenant.clone()),
        None => desk.tenants.read(&desk.plans, ceremony).await?,
    };
    Ok(tenant.is_some_and(|tenant| by.sees(&tenant)))
}

/// Refuses a ceremony that does not exist for a client, as one that does not exist.
///
/// # Errors
/// [`Problem`].
pub async fn insist(desk: &Desk, by: &By, ceremony: &Digest) -> Result<(), Problem> {
    if sees(desk, by, ceremony).await? { Ok(()) } else { Err(unknown(ceremony)) }
}

/// Those of some ceremonies that exist for a client.
///
/// # Errors
/// [`Problem`] when the store cannot be read.
pub async fn seen_of(
    desk: &Desk,
    by: &By,
    mut all: Vec<std::sync::Arc<ShownCeremony>>,
) -> Result<Vec<std::sync::Arc<ShownCeremony>>, Problem> {
    if by.sees_all() {
        return Ok(all);
    }
    let mut seen = Vec::with_capacity(all.len());
    for shown in &all {
        seen.push(sees(desk, by, &shown.status.ceremony).await?);
    }
    let mut seen = seen.into_iter();
    all.retain(|_| seen.next().unwrap_or(false));
    Ok(all)
}

/// Refuses a plan for a tenant, or with a wallet, that does not exist for a client, as signers and coordinator refuse
/// one that exists for nobody.
///
/// # Errors
/// [`Problem`].
pub fn check_plan(desk: &Desk, by: &By, plan: &Plan) -> Result<(), Problem> {
    if by.sees_all() {
        return Ok(());
    }
    let denied = |error: Error| refused(Refusal::Rule(error), BAD_PLAN);
    let trusted = desk.in_force.get();
    // What is wrong apart from that is said first, as it is of a plan with what exists for nobody.
    trusted.history.check_in_force(&plan.governance).map_err(denied)?;
    let mut governance = trusted.governance().clone();
    governance.tenants.retain(|tenant| by.sees(tenant));
    Plan { governance: governance.digest(), ..plan.clone() }.check(&governance).map_err(denied)?;
    if plan.mandate.is_some() || plan.expiry_ms < now_ms() {
        // It is refused for that.
        return Ok(());
    }
    let heads = desk.view.heads();
    let foreign = |id: &&WalletId| heads.tenant(id).is_some_and(|tenant| !by.sees(tenant));
    let held = plan.wallets.iter().filter(|wallet| wallet.parent().is_some());
    match held.map(PlannedWallet::id).find(foreign) {
        None => Ok(()),
        Some(id) => Err(denied(Error::denied(format!("no wallet {id}")))),
    }
}

/// The rank of a plan, raised above that of every ceremony whose failed attempts its wallets may have seen. For whoever
/// sees all, that is any; for others one that names a wallet of the plan, so that no rank tells of other tenants.
///
/// # Errors
/// [`Problem`] when the store cannot be read.
pub async fn rank_above_unclean(desk: &Desk, by: &By, plan: &Plan) -> Result<u32, Problem> {
    let named: HashSet<&WalletId> = plan.wallets.iter().map(PlannedWallet::id).collect();
    for (ceremony, rank) in desk.view.unclean(plan.rank) {
        let concerns = by.sees_all() || {
            let read = desk.plans.plan(&ceremony).await.map_err(unreadable)?;
            let wallets = read.map(|approved| approved.plan.wallets).unwrap_or_default();
            wallets.iter().any(|planned| named.contains(planned.id()))
        };
        if concerns {
            return Ok(rank.saturating_add(1));
        }
    }
    Ok(plan.rank)
}

/// Refuses a tenant that does not exist for a client.
///
/// # Errors
/// [`Problem`].
pub fn check_tenant(by: &By, tenant: &TenantId) -> Result<(), Problem> {
    let detail = || format!("the plan is not sound: governance knows no tenant {tenant}");
    if by.sees(tenant) { Ok(()) } else { Err(draft::bad_plan(detail())) }
}

/// Whether a report of a theft exists for a client. One for all tenants concerns each of them.
pub fn sees_report(by: &By, report: &TheftReport) -> bool {
    report.tenant.as_ref().is_none_or(|tenant| by.sees(tenant))
}

fn unreadable(error: StoreError) -> Problem {
    Problem::new(CANNOT_WRITE, Blame::Coordinator, error.to_string(), "see to the disk of the coordinator")
}

/// Whether an entry of the ledger exists for a client: one about its wallets, its ceremonies, thefts from it, or governance.
///
/// # Errors
/// [`Problem`] when the store cannot be read.
pub async fn sees_entry(desk: &Desk, by: &By, entry: &Entry) -> Result<bool, Problem> {
    if by.sees_all() {
        return Ok(true);
    }
    if let Content::Signature(signature) = &entry.content {
        let wallet: Option<WalletId> = signature.wallet.as_str().parse().ok();
        let heads = desk.view.heads();
        return Ok(wallet.and_then(|id| heads.tenant(&id).cloned()).is_some_and(|tenant| by.sees(&tenant)));
    }
    if entry.kind() == "governance-pinned" {
        return Ok(true);
    }
    let decrees = desk.view.decrees();
    let subject = entry.subject.as_str();
    if entry.kind() == "mandate-given" {
        let given = decrees.mandates.iter().find(|(digest, ..)| digest.to_string() == subject);
        return Ok(given.is_some_and(|(_, approved, _)| by.sees(&approved.mandate.tenant)));
    }
    if entry.kind() == "order-given" {
        let given = decrees.orders.iter().find(|(digest, ..)| digest.to_string() == subject);
        let tenant = given.and_then(|(_, approved, _)| approved.order.tenant.clone());
        return Ok(tenant.is_some_and(|tenant| by.sees(&tenant)));
    }
    if entry.kind() == "theft-reported" {
        let thefts = desk.view.thefts();
        let filed = thefts.iter().find(|filed| filed.digest.to_string() == subject);
        return Ok(filed.is_some_and(|filed| sees_report(by, &filed.report)));
    }
    // The subject of every other kind begins with its plan.
    let plan: Option<Digest> = entry.subject.as_str().split(' ').next().and_then(|word| word.parse().ok());
    match plan {
        Some(plan) => sees(desk, by, &plan).await,
        None => Ok(false),
    }
}
