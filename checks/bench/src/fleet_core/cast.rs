//! Who takes part: three signers and somebody who approves.

use perennial_custody::keeper::Own;
use perennial_custody::keyslots::WrappingKey;
use perennial_custody::pinned::Pinned;
use perennial_model::approval::{Approval, ApprovalSignature, NAMESPACE, signed_line};
use perennial_model::committee::{Committee, SignerId};
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{ApproverKey, Governance, SignerIdentity};
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The people and signers of a 2-of-3 fleet.
pub struct Cast {
    /// What everybody is pinned to.
    pub governance: Arc<Governance>,
    /// How it came to be.
    pub history: Arc<History>,
    /// What each signer has of its own.
    pub owns: Vec<Own>,
    /// All signers, of which two sign.
    pub committee: Committee,
    approver: PrivateKey,
}

struct Identity(SignerId, ed25519_dalek::SigningKey);

impl Sign for Identity {
    fn signer(&self) -> &SignerId {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        use ed25519_dalek::Signer as _;
        IdentitySignature(self.1.sign(message).to_bytes())
    }
}

/// A name that is known to be one.
pub fn name<N: FromStr<Err: Debug>>(text: &str) -> N {
    text.parse().expect("names here are made of small letters and digits")
}

impl Cast {
    /// A cast with fixed keys: what is measured does not depend on them.
    pub fn new() -> anyhow::Result<Self> {
        let ids: Vec<SignerId> = ["a", "b", "c"].map(name).to_vec();
        let secret = |what: &str, whose: &str| Digest::of_parts(what, &[whose.as_bytes()]).0;
        let keys: Vec<_> = ids
            .iter()
            .map(|id| ed25519_dalek::SigningKey::from_bytes(&secret("identity", id.as_str())))
            .collect();
        let approver = PrivateKey::from(Ed25519Keypair::from_seed(&secret("approver", "dana")));
        let signers = ids.iter().zip(&keys).map(|(id, key)| SignerIdentity {
            signer: id.clone(),
            key: IdentityKey::Ed25519(key.verifying_key().to_bytes()),
            transport_pin: Digest::of(id.as_str().as_bytes()),
        });
        let people = vec![(name("dana"), ApproverKey::Ssh(approver.public_key().to_openssh()?))];
        let (role, tenants) = (name("operator"), vec![name("acme")]);
        let governance = Governance::of_one_role(name("erin"), role, 1, people, tenants, signers.collect());
        let approvals = vec![approval(&approver, &governance.digest())?];
        let history = Arc::new(History::begin(ApprovedGovernance { governance, approvals })?);
        let owns = ids
            .iter()
            .zip(keys)
            .map(|(id, key)| {
                let wrapping = Zeroizing::new(secret("wrapping", id.as_str()));
                Ok(Own {
                    identity: Arc::new(Identity(id.clone(), key)),
                    wrapping: Arc::new(WrappingKey::from_secret_bytes(wrapping)),
                    pinned: Arc::new(Pinned::new(id.clone(), History::clone(&history))?),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let committee = Committee::first(2, &ids)?;
        Ok(Self { governance: Arc::new(history.newest().clone()), history, owns, committee, approver })
    }

    /// The approval of a plan.
    pub fn approve(&self, plan: &Digest) -> anyhow::Result<Approval> {
        approval(&self.approver, plan)
    }
}

fn approval(approver: &PrivateKey, digest: &Digest) -> anyhow::Result<Approval> {
    let signature = approver.sign(NAMESPACE, HashAlg::Sha512, signed_line(digest).as_bytes())?;
    let signature = ApprovalSignature::Ssh(signature.to_pem(LineEnding::LF)?);
    Ok(Approval { person: name("dana"), signature })
}
