//! Who takes part: three signers and somebody who approves.

use perennial_custody::keeper::Own;
use perennial_custody::keyslots::WrappingKey;
use perennial_custody::pinned::Pinned;
use perennial_model::approval::{Approval, NAMESPACE, signed_line};
use perennial_model::committee::{Committee, SignerId};
use perennial_model::encoding::Digest;
use perennial_model::governance::{Approver, Governance, Quorum, SignerIdentity};
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign};
use perennial_model::plan::Action;
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
        let governance = Governance {
            version: 1,
            predecessor: None,
            approvers: vec![Approver { person: name("dana"), ssh_key: approver.public_key().to_openssh()? }],
            quorums: vec![Quorum { action: Action::Refresh, approvals: 1 }],
            signers: signers.collect(),
        };
        let owns = ids
            .iter()
            .zip(keys)
            .map(|(id, key)| {
                let wrapping = Zeroizing::new(secret("wrapping", id.as_str()));
                Ok(Own {
                    identity: Arc::new(Identity(id.clone(), key)),
                    wrapping: Arc::new(WrappingKey::from_secret_bytes(wrapping)),
                    pinned: Arc::new(Pinned::new(id.clone(), governance.clone())?),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let committee = Committee::first(2, &ids)?;
        Ok(Self { governance: Arc::new(governance), owns, committee, approver })
    }

    /// The approval of a plan.
    pub fn approve(&self, plan: &Digest) -> anyhow::Result<Approval> {
        let signature = self.approver.sign(NAMESPACE, HashAlg::Sha512, signed_line(plan).as_bytes())?;
        Ok(Approval { person: name("dana"), signature: signature.to_pem(LineEnding::LF)? })
    }
}
