//! Another version of governance comes, by mail or from the signer's own directory.
//!
//! It counts from the moment at which it is on disk: nothing is opened, dealt, verified, probed or activated under a plan
//! of an older one any more. What is active goes on to Keep and Retirement, since neither gives anybody a share.

use crate::keeper::{Keeper, LoadFailed};
use crate::pinned::Pinned;
use crate::record::put;
use crate::serving::Change;
use crate::store::{Store, Table};
use crate::turn::{Draft, Effect};
use perennial_model::approval::{Approved, Unapproved};
use perennial_model::encoding;
use perennial_model::error::Error;
use perennial_model::governance::Governance;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::mail::Reply;
use perennial_model::planted;
use std::sync::Arc;

impl Keeper {
    /// Takes the next version of governance, approved by a quorum of the present one, or says again that it has it.
    pub(crate) fn take_governance(
        &mut self,
        next: ApprovedGovernance,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let pinned = &self.own.pinned;
        let present = pinned.governance().version;
        let (version, digest) = match next.governance.version {
            // Versions in between are missing: saying which one is here asks for them.
            version if version > present.saturating_add(1) => {
                let digest = pinned.governance_digest();
                draft.mail.push(Reply::Governed { version: present, digest });
                return Ok(());
            }
            version => (version, next.governance.digest()),
        };
        if pinned.history().version_of(&digest).is_none() {
            let mut history = pinned.history().clone();
            history.extend(next.clone())?;
            self.check_removal(pinned.governance(), &next.governance)?;
            let pinned = Arc::new(Pinned::new(pinned.me().clone(), history)?);
            draft.effects.push(Effect::Commit(vec![put(Table::Governance, version_key(version), &next)]));
            self.own.pinned = pinned.clone();
            draft.changes.push(Change::Governed(pinned));
        }
        draft.mail.push(Reply::Governed { version, digest });
        Ok(())
    }

    /// A signer is not removed while it may hold a share of what this one holds, unless people wrote it off.
    fn check_removal(&self, present: &Governance, next: &Governance) -> Result<(), Error> {
        for removed in next.removed(present) {
            if next.written_off.contains(removed) {
                continue;
            }
            let held = self.wallets.values().flat_map(|record| &record.held);
            let sets = held.map(|held| &held.share_set);
            if let Some(set) = sets.into_iter().find(|set| set.committee.seat_of(removed).is_some()) {
                return Err(Error::denied(format!(
                    "governance version {} removes {removed}, which holds a share of {} epoch {} and has given no \
                     receipt: move the wallet away from it first, or write it off",
                    next.version, set.wallet.id, set.epoch
                )));
            }
        }
        Ok(())
    }

    /// Refuses a plan that was approved under a version that has been replaced.
    pub(crate) fn check_in_force(&self, approved: &Approved) -> Result<(), Error> {
        let pinned = &self.own.pinned;
        let named = approved.plan().governance;
        if named == pinned.governance_digest() || planted!(ActUnderOldGovernance) {
            return Ok(());
        }
        let version = pinned.history().find(&named)?.version;
        Err(Unapproved::OldGovernance { version, newest: pinned.governance().version }.into())
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
        let pinned = Pinned::new(self.own.pinned.me().clone(), history).map_err(LoadFailed::Records)?;
        self.own.pinned = Arc::new(pinned);
        Ok(missing)
    }

    /// Writes down what came with the signer's directory, and tells the desk what counts.
    pub(crate) fn resume_governance(
        &self,
        missing: &[ApprovedGovernance],
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let versions = &self.own.pinned.history().versions().0;
        for pair in versions.windows(2).filter(|pair| missing.contains(&pair[1])) {
            self.check_removal(&pair[0].governance, &pair[1].governance)?;
        }
        let write =
            |next: &ApprovedGovernance| put(Table::Governance, version_key(next.governance.version), next);
        if !missing.is_empty() {
            draft.effects.push(Effect::Commit(missing.iter().map(write).collect()));
        }
        draft.changes.push(Change::Governed(self.own.pinned.clone()));
        Ok(())
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
