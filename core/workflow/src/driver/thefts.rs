//! Reports of thefts: taken in, resolved into what they touch, and kept. They change nothing that the loop does.

use super::{Driver, World};
use crate::ceremony::Attempt;
use crate::ceremony::batch::{CeremonyFact, Unfit};
use crate::ceremony::status::Phase;
use crate::driver::recording::wallets_of;
use crate::journal::{Journal, Note, Settlement};
use crate::thefts::{Filed, KnownWallets, REPORTS_MAX, Tenure, Wallets, touched};
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::theft::{Finding, TheftReport};
use perennial_model::wallet::WalletId;
use std::sync::Arc;

/// The reports in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Thefts {
    filed: Arc<Vec<Filed>>,
    names: KnownWallets,
}

impl Thefts {
    /// The same tenures, with names that are kept once.
    pub(super) fn sharing_names(&mut self, tenures: Vec<Tenure>) -> Vec<Tenure> {
        let shared = |tenure: Tenure| Tenure { wallets: self.names.shared(tenure.wallets), ..tenure };
        tenures.into_iter().map(shared).collect()
    }

    fn find(&self, digest: &Digest) -> Option<&Filed> {
        self.filed.iter().find(|filed| filed.digest == *digest)
    }
}

impl<J: Journal, W: World> Driver<J, W> {
    /// Takes in a report. The same again changes nothing.
    ///
    /// # Errors
    /// `Denied` when it is not sound, speaks of a signer, a wallet or a report that is not known here or of what has not
    /// been yet, when it was withdrawn before, and when there are too many.
    pub fn report_theft(&mut self, report: TheftReport) -> Result<Digest, Error> {
        let digest = report.digest();
        match self.thefts.find(&digest) {
            Some(known) if known.withdrawn_by.is_some() => {
                let text = "this very report was withdrawn: say in its text what is known now";
                return Err(Error::denied(text));
            }
            Some(_) => return Ok(digest),
            None => {}
        }
        self.now_ms = self.world.now_ms();
        report.check()?;
        self.check_report(&report)?;
        self.record(digest, CeremonyFact::TheftReported(Box::new(report)));
        Ok(digest)
    }
}

impl<J, W> Driver<J, W> {
    /// The reports of thefts, in the order in which they came.
    pub fn thefts(&self) -> &Arc<Vec<Filed>> {
        &self.thefts.filed
    }

    fn check_report(&self, report: &TheftReport) -> Result<(), Error> {
        match &report.finding {
            Finding::Withdrawn(other) => self.check_withdrawn(report, other),
            Finding::Stolen { signer, wallets, to_ms, .. } => {
                if !self.knew(signer) {
                    return Err(Error::denied(format!("no governance here ever named a signer {signer}")));
                }
                if *to_ms > self.now_ms {
                    return Err(Error::denied(format!(
                        "the span ends at {to_ms}, and now is {}: report what has been, and later the rest",
                        self.now_ms
                    )));
                }
                // Whatever there is can be withdrawn, and once: only these are counted.
                let stolen = self.thefts.filed.iter().filter(|filed| filed.report.tenant == report.tenant);
                let stolen = stolen.filter(|filed| matches!(filed.report.finding, Finding::Stolen { .. }));
                if stolen.count() >= REPORTS_MAX {
                    return Err(Error::denied(format!(
                        "there are {REPORTS_MAX} reports for the same tenant already"
                    )));
                }
                self.check_tenant(report, wallets)
            }
        }
    }

    /// Refuses wallets that are not there, or another tenant's; to a tenant both are the same.
    fn check_tenant(&self, report: &TheftReport, wallets: &[WalletId]) -> Result<(), Error> {
        let tenant = report.tenant.as_ref();
        if let Some(tenant) =
            tenant.filter(|own| self.history.newest().tenants.iter().all(|known| known != *own))
        {
            return Err(Error::denied(format!("governance knows no tenant {tenant}")));
        }
        let is_there = |wallet: &WalletId| {
            self.heads.get(wallet).is_some_and(|head| tenant == Some(&head.wallet().tenant))
        };
        match wallets.iter().find(|wallet| !is_there(wallet)) {
            Some(wallet) => Err(Error::denied(format!("no wallet {wallet}"))),
            None => Ok(()),
        }
    }

    fn check_withdrawn(&self, report: &TheftReport, other: &Digest) -> Result<(), Error> {
        let short = other.short();
        let known = self.thefts.find(other).filter(|known| known.report.tenant == report.tenant);
        let known = known.ok_or_else(|| Error::denied(format!("no report {short} to withdraw")))?;
        if known.withdrawn_by.is_some() {
            return Err(Error::denied(format!("report {short} is withdrawn already")));
        }
        match &known.report.finding {
            Finding::Stolen { .. } => Ok(()),
            Finding::Withdrawn(_) => {
                Err(Error::denied(format!("report {short} withdraws another: report the theft anew instead")))
            }
        }
    }

    fn knew(&self, signer: &SignerId) -> bool {
        let versions = self.history.versions().0.iter();
        versions.flat_map(|version| &version.governance.signers).any(|known| known.signer == *signer)
    }

    /// Takes in a report, at boot as well: what it touches follows from what happened before it.
    pub(super) fn take_theft(
        &mut self,
        digest: Digest,
        at_ms: u64,
        report: TheftReport,
    ) -> Result<(), Unfit> {
        if report.digest() != digest || self.thefts.find(&digest).is_some() {
            return Err(Unfit("a report under another digest, or twice".into()));
        }
        let open = self.open.values().flat_map(|ceremony| ceremony.attempts.values());
        let open: Vec<Tenure> = open.filter_map(tenure).collect();
        let closed = self.closed.values().flat_map(|closed| &closed.tenures);
        let touched = touched(&report, closed.chain(&open).collect()).into();
        let report = Arc::new(report);
        self.batch.notes.push(Note::TheftReported { theft: digest, report: report.clone() });
        let filed = Arc::make_mut(&mut self.thefts.filed);
        for known in filed.iter_mut().filter(|known| report.finding == Finding::Withdrawn(known.digest)) {
            known.withdrawn_by = Some(digest);
        }
        filed.push(Filed { digest, at_ms, report, touched, withdrawn_by: None });
        Ok(())
    }
}

/// Who holds or held copies of an attempt; none before its dealings go out.
pub(super) fn tenure(attempt: &Attempt) -> Option<Tenure> {
    let progress = &attempt.progress;
    let plan = attempt.terms.plan();
    Some(Tenure {
        epoch: attempt.terms.chunk.epoch,
        threshold: plan.committee.threshold(),
        tenant: plan.tenant.clone(),
        wallets: Wallets::new(wallets_of(attempt).to_vec()),
        places: progress.holders.clone(),
        from_ms: progress.entered_ms(Phase::Dealing)?,
        receipts: progress.receipts.clone(),
    })
}

/// The same of what a version left behind that kept no tenures. It did not say when receipts came; nothing that they were
/// for is known any more either.
pub(super) fn tenure_of_settlement(settlement: &Settlement) -> Option<Tenure> {
    let first = settlement.generation.share_sets.first()?;
    let wallets = settlement.generation.share_sets.iter().map(|share_set| share_set.wallet.id.clone());
    Some(Tenure {
        epoch: first.epoch,
        threshold: first.committee.threshold(),
        tenant: first.wallet.tenant.clone(),
        wallets: Wallets::new(wallets.collect()),
        places: settlement.generation.inputs.holders.clone(),
        from_ms: settlement.activated_ms,
        receipts: Vec::new(),
    })
}
