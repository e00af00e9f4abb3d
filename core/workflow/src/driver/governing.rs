//! Another version of governance: what is open under an older one ends as if its date had passed, and every signer is
//! told until it says that it has it.

use super::asking::Reminder;
use super::{Driver, World};
use crate::journal::Journal;
use crate::wallets::Head;
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::mail::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which version each signer is known to have. Not durable: after a crash everybody is asked once more.
#[derive(Debug, Default)]
pub(super) struct Governed {
    versions: BTreeMap<SignerId, u64>,
    reminders: BTreeMap<SignerId, Reminder>,
    /// Somebody may have to be asked: it is looked at with everything else, and when a signer has said something.
    pub(super) is_due: bool,
}

impl<J: Journal, W: World> Driver<J, W> {
    /// Takes in the next version of governance. Whoever calls this has made it durable, or does before it lets
    /// anything else happen.
    ///
    /// # Errors
    /// As [`History::extend`]; nothing has changed then.
    pub fn govern(&mut self, next: ApprovedGovernance) -> Result<(), Error> {
        self.history = Arc::new(self.after(next)?);
        self.tick();
        Ok(())
    }
}

impl<J, W: World> Driver<J, W> {
    /// What the history would be with the next version: to be made durable before [`Driver::govern`].
    ///
    /// # Errors
    /// As [`History::extend`], and `Denied` if it removes a signer that may hold a share and is not written off.
    pub fn after(&self, next: ApprovedGovernance) -> Result<History, Error> {
        let governance = next.governance.clone();
        let mut history = History::clone(&self.history);
        history.extend(next)?;
        for removed in governance.removed(self.history.newest()) {
            if governance.written_off.contains(removed) {
                continue;
            }
            let holds = |head: &Head<'_>| {
                head.served().any(|served| served.share_set.committee.seat_of(removed).is_some())
            };
            if let Some(head) = self.heads.iter().find(holds) {
                return Err(Error::denied(format!(
                    "it removes {removed}, which may hold a share of {}: move the wallet away from it first, or write it \
                     off",
                    head.wallet().id
                )));
            }
        }
        Ok(history)
    }

    /// The governance that is in force, and how it came to be.
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Which version of governance each signer has said to have.
    pub fn governed(&self) -> &BTreeMap<SignerId, u64> {
        &self.governed.versions
    }

    /// Whether what names this governance may still begin something.
    pub(super) fn is_in_force(&self, governance: &Digest) -> bool {
        *governance == self.history.newest_digest()
    }

    /// A signer says what it has. Another version of a number that is known here is a contradiction that people have to
    /// settle.
    pub(super) fn hear_governed(
        &mut self,
        from: &SignerId,
        version: u64,
        digest: &Digest,
    ) -> Result<(), Error> {
        if self.history.version_of(digest).is_none_or(|known| known.version != version) {
            let ours = self.history.newest().version;
            let what = format!(
                "it has governance version {version} as {}, which continues none of the {ours} here",
                digest.short()
            );
            return Err(Error::denied(what));
        }
        self.governed.versions.insert(from.clone(), version);
        self.governed.reminders.remove(from);
        self.governed.is_due = true;
        Ok(())
    }

    /// Hands each signer the version after the one that it has.
    pub(super) fn ask_governance(&mut self) {
        let versions = &self.history.versions().0;
        let newest = versions.len() as u64;
        if !std::mem::take(&mut self.governed.is_due) || newest == 1 {
            return;
        }
        let everybody: BTreeSet<&SignerId> = versions
            .iter()
            .flat_map(|version| &version.governance.signers)
            .map(|known| &known.signer)
            .collect();
        let mut due: BTreeMap<u64, Vec<SignerId>> = BTreeMap::new();
        for signer in everybody {
            if self.history.is_written_off(signer) {
                continue;
            }
            let has = self.governed.versions.get(signer).copied();
            let next = has.map_or(newest, |version| version.saturating_add(1));
            let reminder = self.governed.reminders.get(signer);
            if next <= newest && reminder.is_none_or(|known| known.due_ms(0, &self.tuning) <= self.now_ms) {
                let reminder = Reminder::again(reminder, self.now_ms);
                self.governed.reminders.insert(signer.clone(), reminder);
                due.entry(next).or_default().push(signer.clone());
            }
        }
        for (version, signers) in due {
            if let Some(next) = versions.get(version as usize - 1) {
                self.world.ask(&signers, &Request::Governance(Box::new(next.clone())));
            }
        }
    }
}
