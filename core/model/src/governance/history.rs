//! Every version of governance from the first, each with the approvals that made it count.
//!
//! The first version is approved by its own quorum and trusted because a person compared its digest; every later one
//! is approved by a quorum of the one before it. So who holds the digest of the first can check the newest.

use super::Governance;
use crate::approval::{Approval, Question, Unapproved, check_quorum};
use crate::committee::SignerId;
use crate::encoding::{Digest, Document};
use crate::error::Error;
use crate::identity::{FindIdentity, IdentityKey};
use crate::wallet::Tier;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// The most versions that are read.
pub const VERSIONS_MAX: usize = 10_000;

/// A version of governance with the approvals given to it, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ApprovedGovernance {
    /// The version.
    #[n(0)]
    pub governance: Governance,
    /// The approvals.
    #[n(1)]
    pub approvals: Vec<Approval>,
}

impl Document for ApprovedGovernance {
    const KIND: &'static str = "approved-governance";
}

/// All versions with their approvals, the first one first, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(transparent)]
pub struct Versions(#[n(0)] pub Vec<ApprovedGovernance>);

impl Document for Versions {
    const KIND: &'static str = "governance-history";
}

impl ApprovedGovernance {
    /// Checks the version's own rules, that it follows `present` (nothing, for the first), and that a quorum of
    /// `present` (of itself, for the first) approved it.
    ///
    /// # Errors
    /// What is wrong with it, or what is missing. `Stale` if it is not the next version.
    pub fn check(&self, present: Option<&Governance>) -> Result<(), Error> {
        self.check_place(present)?;
        let governance = &self.governance;
        if present.is_none() {
            governance.check()?;
        }
        let question = question(governance);
        check_quorum(&question, &governance.digest(), &self.approvals, present.unwrap_or(governance))?;
        // What nobody approved is not looked into any further.
        governance.check()?;
        Ok(())
    }

    /// As [`ApprovedGovernance::check`], without asking whether the quorum is complete. What approvals there are have
    /// to be good.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_so_far(&self, present: Option<&Governance>) -> Result<(), Error> {
        self.check_place(present)?;
        let governance = &self.governance;
        governance.check()?;
        let quorum = check_quorum(
            &question(governance),
            &governance.digest(),
            &self.approvals,
            present.unwrap_or(governance),
        );
        match quorum {
            Ok(()) | Err(Unapproved::QuorumMissing { .. }) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    fn check_place(&self, present: Option<&Governance>) -> Result<(), Error> {
        let governance = &self.governance;
        let next = present.map_or(1, |present| present.version + 1);
        if governance.version != next {
            return Err(Error::stale(format!(
                "this is governance version {}, and the next one is {next}",
                governance.version
            )));
        }
        if governance.predecessor != present.map(Governance::digest) {
            return Err(Error::denied(format!(
                "governance version {next} does not follow the version {} that is known here",
                next - 1
            )));
        }
        Ok(())
    }
}

/// What is asked of people who are to approve a governance.
pub fn question(governance: &Governance) -> Question<'_> {
    Question {
        matter: super::Matter::Govern,
        tier: Tier::High,
        tenant: None,
        initiator: &governance.initiator,
    }
}

impl FindIdentity for History {
    fn identity_of(&self, signer: &SignerId) -> Option<IdentityKey> {
        // Who was removed still gives its receipts, with the one key that its name ever stood for.
        self.versions.0.iter().rev().find_map(|version| version.governance.identity_of(signer))
    }
}

/// All versions, each checked against the one before it. It exists only if the checks passed, and is never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    versions: Versions,
    digests: Vec<Digest>,
    /// Names of signers that were removed: they are never given again.
    gone: BTreeSet<SignerId>,
}

impl History {
    /// Begins with a first version.
    ///
    /// # Errors
    /// As [`ApprovedGovernance::check`].
    pub fn begin(first: ApprovedGovernance) -> Result<Self, Error> {
        first.check(None)?;
        let digests = vec![first.governance.digest()];
        Ok(Self { versions: Versions(vec![first]), digests, gone: BTreeSet::new() })
    }

    /// Checks all versions from the first.
    ///
    /// # Errors
    /// As [`ApprovedGovernance::check`], with the first version that fails.
    pub fn check(versions: Versions) -> Result<Self, Error> {
        if versions.0.len() > VERSIONS_MAX {
            return Err(Error::denied(format!("more than {VERSIONS_MAX} versions of governance")));
        }
        let mut versions = versions.0.into_iter();
        let first =
            versions.next().ok_or_else(|| Error::denied("a governance history without any version"))?;
        let mut history = Self::begin(first)?;
        for next in versions {
            history.extend(next)?;
        }
        Ok(history)
    }

    /// Takes in the next version.
    ///
    /// # Errors
    /// As [`ApprovedGovernance::check`], and `Denied` if the name of a removed signer is given again; nothing has
    /// changed then.
    pub fn extend(&mut self, next: ApprovedGovernance) -> Result<(), Error> {
        let present = self.newest();
        if self.digests.len() >= VERSIONS_MAX {
            return Err(Error::denied(format!("{VERSIONS_MAX} versions of governance are all that is read")));
        }
        next.check(Some(present))?;
        self.check_names(&next.governance)?;
        let removed: Vec<SignerId> = next.governance.removed(present).cloned().collect();
        self.gone.extend(removed);
        self.digests.push(next.governance.digest());
        self.versions.0.push(next);
        Ok(())
    }

    /// A signer's name stands for one key for ever, and only who is no signer any more is written off.
    fn check_names(&self, next: &Governance) -> Result<(), Error> {
        for known in &next.signers {
            if self.gone.contains(&known.signer) {
                return Err(Error::denied(format!(
                    "{} is the name of a signer that was removed: names are never given again",
                    known.signer
                )));
            }
            if self.newest().identity_of(&known.signer).is_some_and(|key| key != known.key) {
                return Err(Error::denied(format!(
                    "{} has another identity key in the version before: a new identity is a new signer with a new name",
                    known.signer
                )));
            }
        }
        let was_signer =
            |name: &SignerId| self.gone.contains(name) || self.newest().identity_of(name).is_some();
        match next.written_off.iter().find(|name| !was_signer(name)) {
            Some(name) => Err(Error::denied(format!("{name} is written off and was never a signer"))),
            None => Ok(()),
        }
    }

    /// Whether a signer was written off: nothing is awaited of it.
    pub fn is_written_off(&self, signer: &SignerId) -> bool {
        self.versions.0.iter().any(|version| version.governance.written_off.contains(signer))
    }

    /// The newest version.
    pub fn newest(&self) -> &Governance {
        &self.versions.0[self.versions.0.len() - 1].governance
    }

    /// Its digest.
    pub fn newest_digest(&self) -> Digest {
        self.digests[self.digests.len() - 1]
    }

    /// The digest of the first version, from which all others can be checked.
    pub fn first_digest(&self) -> Digest {
        self.digests[0]
    }

    /// The version of this digest.
    pub fn version_of(&self, digest: &Digest) -> Option<&Governance> {
        let at = self.digests.iter().position(|known| known == digest)?;
        Some(&self.versions.0[at].governance)
    }

    /// The version of this digest.
    ///
    /// # Errors
    /// `Denied` if it is none of ours.
    pub fn find(&self, digest: &Digest) -> Result<&Governance, Error> {
        self.version_of(digest).ok_or_else(|| {
            Unapproved::UnknownGovernance { named: *digest, newest: self.newest().version }.into()
        })
    }

    /// Refuses what names a version that has been replaced.
    ///
    /// # Errors
    /// `Denied`, also if it is none of ours.
    pub fn check_in_force(&self, named: &Digest) -> Result<(), Error> {
        if *named == self.newest_digest() {
            return Ok(());
        }
        let version = self.find(named)?.version;
        Err(Unapproved::OldGovernance { version, newest: self.newest().version }.into())
    }

    /// All versions with their approvals.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Takes the longer of two histories of which one continues the other.
    ///
    /// # Errors
    /// `Denied` if they contradict each other.
    pub fn newer(self, other: Self) -> Result<Self, Error> {
        let common = self.digests.len().min(other.digests.len());
        if self.digests[..common] != other.digests[..common] {
            return Err(Error::denied(format!(
                "two governances contradict each other: version {} is {} here and {} there",
                common,
                self.digests[common - 1].short(),
                other.digests[common - 1].short()
            )));
        }
        Ok(if self.digests.len() >= other.digests.len() { self } else { other })
    }
}
