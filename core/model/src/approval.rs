//! Approvals: an SSH signature (the SSHSIG format of OpenSSH's PROTOCOL.sshsig) over a plan's digest.
//!
//! What is signed is one line, the digest in hexadecimal with a newline, in the namespace
//! [`NAMESPACE`]; so `ssh-keygen -Y sign -n perennial-plan` and `-Y verify` work on it as they are.

use crate::encoding::Digest;
use crate::encoding::Document;
use crate::error::Error;
use crate::governance::{Governance, PersonId};
use crate::plan::Plan;
use minicbor::{Decode, Encode};
use ssh_key::{PublicKey, SshSig};

/// The SSHSIG namespace of plan approvals.
pub const NAMESPACE: &str = "perennial-plan";

/// The most approvals that are looked at.
pub const APPROVALS_MAX: usize = 64;

/// One person's approval of one plan.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Approval {
    /// Who approves.
    #[n(0)]
    pub person: PersonId,
    /// The armoured SSH signature, as `ssh-keygen -Y sign` writes it.
    #[n(1)]
    pub signature: String,
}

/// A plan with the approvals given to it, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ApprovedPlan {
    /// The plan.
    #[n(0)]
    pub plan: Plan,
    /// The approvals.
    #[n(1)]
    pub approvals: Vec<Approval>,
}

impl Document for ApprovedPlan {
    const KIND: &'static str = "approved-plan";
}

/// A plan whose quorum was checked. It exists only if the check passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approved {
    plan: Plan,
    digest: Digest,
}

impl Approved {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// The line that an approver signs.
pub fn signed_line(plan: &Digest) -> String {
    format!("{plan}\n")
}

impl ApprovedPlan {
    /// Checks the plan's own rules and that a quorum of distinct approvers, the initiator not among them,
    /// signed exactly its digest.
    ///
    /// # Errors
    /// `Denied` with what is missing.
    pub fn check(self, governance: &Governance) -> Result<Approved, Error> {
        self.plan.check(governance)?;
        let digest = self.plan.digest();
        let needed = governance
            .approvals_for(self.plan.action)
            .ok_or_else(|| Error::denied(format!("governance lets nobody {} wallets", self.plan.action)))?;
        if self.approvals.len() > APPROVALS_MAX {
            return Err(Error::denied(format!(
                "{} approvals; at most {APPROVALS_MAX} are read",
                self.approvals.len()
            )));
        }
        let mut counted: Vec<&PersonId> = Vec::new();
        for approval in &self.approvals {
            if approval.person == self.plan.initiator {
                return Err(Error::denied(format!(
                    "{} started this plan and cannot approve it",
                    approval.person
                )));
            }
            check_signature(approval, &digest, governance)?;
            if !counted.contains(&&approval.person) {
                counted.push(&approval.person);
            }
        }
        if counted.len() < usize::from(needed) {
            return Err(Error::denied(format!(
                "plan {} has {} of the {needed} approvals that governance asks for",
                digest.short(),
                counted.len()
            )));
        }
        Ok(Approved { plan: self.plan, digest })
    }
}

/// Checks one approval against the key that governance has for its person.
///
/// # Errors
/// `Denied` when the person is no approver, or the signature is not theirs over this digest.
pub fn check_signature(approval: &Approval, plan: &Digest, governance: &Governance) -> Result<(), Error> {
    let person = &approval.person;
    let approver = governance
        .approvers
        .iter()
        .find(|known| &known.person == person)
        .ok_or_else(|| Error::denied(format!("{person} is no approver in this governance")))?;
    let key = PublicKey::from_openssh(&approver.ssh_key)
        .map_err(|e| Error::denied(format!("governance holds an unreadable SSH key for {person}: {e}")))?;
    let signature = SshSig::from_pem(&approval.signature)
        .map_err(|e| Error::denied(format!("{person}'s approval is no SSH signature: {e}")))?;
    key.verify(NAMESPACE, signed_line(plan).as_bytes(), &signature).map_err(|e| {
        Error::denied(format!(
            "{person}'s SSH signature is not over plan {} in namespace {NAMESPACE}: {e}",
            plan.short()
        ))
    })
}
