//! The document that names the approvers, the quorum per action and the signers.
//!
//! Every signer pins it. Each version names the digest of the one before it.

use crate::committee::SignerId;
use crate::encoding::{Digest, Document};
use crate::error::Error;
use crate::identity::{FindIdentity, IdentityKey};
use crate::plan::Action;
use crate::wallet::name_type;
use minicbor::{Decode, Encode};

name_type! {
    /// A person who starts or approves plans.
    PersonId
}

/// Somebody whose approval counts.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Approver {
    /// Who.
    #[n(0)]
    pub person: PersonId,
    /// Their key, as one line of an OpenSSH public key file (RFC 4253, 6.6; type `ssh-ed25519`).
    #[n(1)]
    pub ssh_key: String,
}

/// How many approvers an action needs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Quorum {
    /// The action.
    #[n(0)]
    pub action: Action,
    /// How many distinct persons have to approve it.
    #[n(1)]
    pub approvals: u8,
}

/// A signer as governance knows it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SignerIdentity {
    /// Its name.
    #[n(0)]
    pub signer: SignerId,
    /// The key of its statements.
    #[n(1)]
    pub key: IdentityKey,
    /// SHA-256 of the public key (SubjectPublicKeyInfo) that it shows in TLS.
    #[n(2)]
    pub transport_pin: Digest,
}

/// One version of governance.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Governance {
    /// From 1, one more with each change.
    #[n(0)]
    pub version: u64,
    /// The digest of the version before this one; none for the first.
    #[n(1)]
    pub predecessor: Option<Digest>,
    /// Whose approval counts.
    #[n(2)]
    pub approvers: Vec<Approver>,
    /// How many approvals each action needs. An action without a line here cannot be approved.
    #[n(3)]
    pub quorums: Vec<Quorum>,
    /// The signers.
    #[n(4)]
    pub signers: Vec<SignerIdentity>,
}

impl Document for Governance {
    const KIND: &'static str = "governance";
}

impl Governance {
    /// Checks what must hold inside one version: names once each, quorums that can be met, a predecessor for
    /// all versions but the first.
    ///
    /// # Errors
    /// `Denied` with the rule that is broken.
    pub fn check(&self) -> Result<(), Error> {
        let once = |names: Vec<&str>| {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            sorted.dedup();
            sorted.len() == names.len()
        };
        if (self.version == 1) != self.predecessor.is_none() || self.version == 0 {
            return Err(Error::denied("versions count from 1 and all but the first name their predecessor"));
        }
        if !once(self.approvers.iter().map(|a| a.person.as_str()).collect()) {
            return Err(Error::denied("an approver is listed twice"));
        }
        if !once(self.approvers.iter().map(|a| a.ssh_key.as_str()).collect()) {
            return Err(Error::denied("two approvers share one key"));
        }
        if !once(self.signers.iter().map(|s| s.signer.as_str()).collect()) {
            return Err(Error::denied("a signer is listed twice"));
        }
        for quorum in &self.quorums {
            if quorum.approvals == 0 || usize::from(quorum.approvals) > self.approvers.len() {
                return Err(Error::denied(format!(
                    "{} approvals for {:?} cannot be had from {} approvers",
                    quorum.approvals,
                    quorum.action,
                    self.approvers.len()
                )));
            }
        }
        Ok(())
    }

    /// How many approvals an action needs, none if it cannot be approved.
    pub fn approvals_for(&self, action: Action) -> Option<u8> {
        self.quorums.iter().find(|quorum| quorum.action == action).map(|quorum| quorum.approvals)
    }
}

impl FindIdentity for Governance {
    fn identity_of(&self, signer: &SignerId) -> Option<IdentityKey> {
        self.signers.iter().find(|known| &known.signer == signer).map(|known| known.key)
    }
}
