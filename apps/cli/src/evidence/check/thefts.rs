//! Reports of thefts: each says what it says, is about the bundle's wallet, and withdraws only what came before it.
//!
//! That somebody reported something is shown, and by which client, in the coordinator's word. Whether copies were stolen is
//! not.

use super::ledger::Line;
use super::only_wallet;
use super::story::{Story, read_in};
use super::wallets::Wallets;
use crate::evidence::bundle::{About, document_member};
use crate::evidence::facts::{At, TheftFact};
use crate::evidence::flaw::{Check, Flaw};
use perennial_model::encoding::Digest;
use perennial_model::theft::{Finding, TheftReport};
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a report is about a wallet, or withdraws one of those that are.
pub fn concerns(report: &TheftReport, wallet: &WalletId, earlier: &BTreeSet<Digest>) -> bool {
    match &report.finding {
        Finding::Stolen { wallets, .. } => wallets.is_empty() || wallets.contains(wallet),
        Finding::Withdrawn(other) => earlier.contains(other),
    }
}

/// Reads a report, of which the bundle has these before it.
pub fn read(
    line: &Line,
    body: &[u8],
    about: &About,
    before: &BTreeMap<Digest, (At, TheftReport)>,
) -> Result<TheftReport, Flaw> {
    let refused = |reason: &str| line.flaw(Check::Theft, reason);
    let foreign = |reason: &str| line.flaw(Check::Entry, reason);
    let subject = line.entry.subject.as_str();
    let named = subject.parse().ok().filter(|digest: &Digest| digest.to_string() == subject);
    let named = named.ok_or_else(|| foreign("its subject is not of its form"))?;
    if named != line.digest() {
        return Err(refused("its subject is not the report's digest"));
    }
    let report: TheftReport = read_in(line, Check::Theft, body)?;
    report.check().map_err(|error| line.flaw(Check::Theft, error))?;
    let wallet = only_wallet(about).ok_or_else(|| foreign("the bundle is about a ceremony"))?;
    if before.contains_key(&named) {
        return Err(refused("it was reported before"));
    }
    let stolen = before.iter().filter(|(_, (_, earlier))| {
        earlier.tenant == report.tenant && matches!(earlier.finding, Finding::Stolen { .. })
    });
    if !concerns(&report, wallet, &stolen.map(|(digest, _)| *digest).collect()) {
        return Err(match report.finding {
            Finding::Stolen { .. } => foreign("it is not about the bundle's wallet"),
            Finding::Withdrawn(_) => refused("it withdraws no report that is here before it"),
        });
    }
    Ok(report)
}

/// Refuses reports for another tenant, and tells the others.
///
/// # Errors
/// [`Flaw`] of the document of the report.
pub fn facts(story: &Story<'_>, wallets: &Wallets) -> Result<Vec<TheftFact>, Flaw> {
    let mut all = Vec::new();
    for (digest, (at, report)) in &story.thefts {
        if let Some(tenant) = wallets.tenants().find(|tenant| !report.is_for(tenant)) {
            let reason = format!("it is about another tenant's wallets than {tenant}'s");
            return Err(Flaw::new(Check::Theft, document_member(digest), reason));
        }
        let withdraws = |(_, later): &&(At, TheftReport)| later.finding == Finding::Withdrawn(*digest);
        let withdrawn = story.thefts.values().find(withdraws).map(|(at, _)| *at);
        all.push(TheftFact { at: *at, digest: *digest, report: report.clone(), withdrawn });
    }
    all.sort_by_key(|fact| fact.at);
    Ok(all)
}
