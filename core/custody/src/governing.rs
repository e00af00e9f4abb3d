//! Another version of governance comes, by mail or from the signer's own directory.
//!
//! It counts from the moment at which it is on disk: nothing is opened, dealt, verified, probed or activated under a plan
//! of an older one any more. What this signer has prepared and is active goes on to Keep and Retirement, since neither
//! gives anybody a share.

use crate::keeper::{Keeper, LoadFailed};
use crate::record::{HeldEpoch, put};
use crate::serving::Change;
use crate::store::{Store, Table};
use crate::turn::{Draft, Effect};
use perennial_model::approval::Approved;
use perennial_model::encoding;
use perennial_model::error::Error;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::mail::Reply;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::share_set::ShareSet;
use std::sync::Arc;

impl Keeper {
    /// Takes the next version of governance, approved by a quorum of the present one, or says again that it has it.
    pub(crate) fn take_governance(
        &mut self,
        next: ApprovedGovernance,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let pinned = &self.own.pinned;
        let (version, digest) = (next.governance.version, next.governance.digest());
        if planted!(GovernanceGoesBack) && pinned.history().version_of(&digest).is_some() {
            let mut versions = pinned.history().versions().clone();
            versions.0.truncate(version as usize);
            self.own.pinned = Arc::new(pinned.renewed(History::check(versions)?));
            draft.changes.push(Change::Governed(self.own.pinned.clone()));
            return Ok(());
        }
        if pinned.history().version_of(&digest).is_none() {
            let present = pinned.governance().version;
            if version != present.saturating_add(1) {
                // Versions in between are missing, or there is another of this number: saying which one is here asks
                // for the next, or for people who say which of the two counts.
                let digest = pinned.governance_digest();
                draft.mail.push(Reply::Governed { version: present, digest });
                return Ok(());
            }
            let mut history = pinned.history().clone();
            history.extend(next.clone())?;
            let pinned = Arc::new(pinned.renewed(history));
            draft.effects.push(Effect::Commit(vec![put(Table::Governance, version_key(version), &next)]));
            self.own.pinned = pinned.clone();
            draft.changes.push(Change::Governed(pinned));
        }
        draft.mail.push(Reply::Governed { version, digest });
        Ok(())
    }

    /// Refuses a plan that was approved under a version that has been replaced.
    pub(crate) fn check_in_force(&self, approved: &Approved) -> Result<(), Error> {
        if planted!(ActUnderOldGovernance) {
            return Ok(());
        }
        self.own.pinned.history().check_in_force(&approved.plan().governance)
    }

    /// Refuses a plan that speaks of wallets which this signer holds and that others have to be asked about: another
    /// tenant's, of a higher tier, held by another committee, or wallets that exist and are to be made; and one whose
    /// rank leaves none above it.
    pub(crate) fn check_concerns(&self, approved: &Approved, chunk: &Chunk) -> Result<(), Error> {
        let plan = approved.plan();
        self.check_rank(plan.rank)?;
        for wallet in plan.wallets_of(chunk)? {
            let held = self.wallets.get(wallet.id()).map(|record| record.held.as_slice()).unwrap_or_default();
            // What stands above it is neither erased nor passed over by it.
            let below =
                |held: &&HeldEpoch| held.chunk.plan != chunk.plan && held.share_set.epoch < chunk.epoch;
            for held in held.iter().filter(below) {
                let is_served = self.chunks.get(&held.chunk).is_some_and(|chunk| chunk.state.is_served());
                match is_served {
                    true => check_subject(plan, chunk, &held.share_set)?,
                    // Several attempts may stand side by side, but not those of two tenants.
                    false => check_tenant(plan, chunk, &held.share_set)?,
                }
            }
        }
        Ok(())
    }

    /// Under a replaced version nothing is believed about what this signer has no part in: keys that were good then may
    /// be anybody's now. What changes nothing here may be acknowledged.
    pub(crate) fn check_part(&self, approved: &Approved, chunk: &Chunk) -> Result<(), Error> {
        let has_part = self.chunks.get(chunk).is_some_and(|record| record.prepared.is_some());
        let Err(outdated) = self.check_in_force(approved) else { return Ok(()) };
        let is_past = |wallet: &PlannedWallet| {
            self.wallets.get(wallet.id()).is_some_and(|record| {
                record.floor >= chunk.epoch
                    && record.held.iter().all(|held| held.share_set.epoch >= chunk.epoch)
            })
        };
        match has_part || approved.plan().wallets_of(chunk)?.iter().all(is_past) {
            true => Ok(()),
            false => Err(Error::stale(format!("{chunk}: this signer has no part in it, and {outdated}"))),
        }
    }

    /// Puts together what lies in this signer's directory with what is on its records: the longer one counts. Returns
    /// what is not on the records yet.
    pub(crate) fn read_governance(
        &mut self,
        store: &mut dyn Store,
    ) -> Result<Vec<ApprovedGovernance>, LoadFailed> {
        let recorded = recorded_governance(store)?;
        let known = recorded.as_ref().map_or(0, |history| history.versions().0.len());
        let given = self.own.pinned.history().clone();
        let history = match recorded {
            Some(recorded) => recorded.newer(given).map_err(LoadFailed::Records)?,
            None => given,
        };
        let missing = history.versions().0.get(known..).unwrap_or_default().to_vec();
        self.own.pinned = Arc::new(self.own.pinned.renewed(history));
        Ok(missing)
    }

    /// Writes down what came with the signer's directory, and tells the desk what counts.
    pub(crate) fn resume_governance(&self, missing: &[ApprovedGovernance], draft: &mut Draft) {
        let write =
            |next: &ApprovedGovernance| put(Table::Governance, version_key(next.governance.version), next);
        if !missing.is_empty() {
            draft.effects.push(Effect::Commit(missing.iter().map(write).collect()));
        }
        draft.changes.push(Change::Governed(self.own.pinned.clone()));
    }
}

/// Refuses a plan that is not about a share set like this one.
pub(crate) fn check_subject(plan: &Plan, chunk: &Chunk, set: &ShareSet) -> Result<(), Error> {
    check_tenant(plan, chunk, set)?;
    let wrong = match plan.action {
        _ if planted!(SubjectUnchecked) => return Ok(()),
        Action::Create => "exists, and is to be made",
        Action::Refresh if set.wallet.tier > plan.tier => "is of a higher tier than the plan",
        Action::Refresh if set.committee != plan.committee => {
            "has another committee: a refresh keeps committee and threshold"
        }
        Action::Refresh => return Ok(()),
    };
    Err(Error::denied(format!("{chunk}: {} {wrong}", set.wallet.id)))
}

fn check_tenant(plan: &Plan, chunk: &Chunk, set: &ShareSet) -> Result<(), Error> {
    match set.wallet.tenant == plan.tenant || planted!(SubjectUnchecked) {
        true => Ok(()),
        false => Err(Error::denied(format!("{chunk}: {} is another tenant's", set.wallet.id))),
    }
}

/// The governance on a signer's records, none if they are new.
///
/// # Errors
/// [`LoadFailed`] when the disk fails, or the records are damaged.
pub fn recorded_governance(store: &mut dyn Store) -> Result<Option<History>, LoadFailed> {
    let rows = store.all(Table::Governance)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let read = rows.iter().map(|(_, bytes)| encoding::decode::<ApprovedGovernance>(bytes));
    let versions = read.collect::<Result<Vec<_>, _>>().map_err(|e| LoadFailed::Records(e.into()))?;
    let versions = perennial_model::governance::history::Versions(versions);
    History::check(versions).map(Some).map_err(LoadFailed::Records)
}

/// Versions in their order.
fn version_key(version: u64) -> Vec<u8> {
    version.to_be_bytes().to_vec()
}
