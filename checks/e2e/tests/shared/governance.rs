//! Governance of the tests: the approver, and the signers by what they print when they are made.

use perennial_model::approval::{Approval, NAMESPACE, signed_line};
use perennial_model::governance::{Approver, Governance, Quorum, SignerIdentity};
use perennial_model::identity::IdentityKey;
use perennial_model::plan::{Action, Plan};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// A name from text that is one.
pub fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().expect("a good name")
}

/// The approver, and her secret.
pub struct Dana {
    pub seed: [u8; 32],
    key: PrivateKey,
}

impl Dana {
    pub fn new(seed: [u8; 32]) -> Self {
        let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "dana");
        Self { seed, key: key.expect("a key") }
    }

    pub fn approves(&self, plan: &Plan) -> Approval {
        let line = signed_line(&plan.digest());
        let signature = self.key.sign(NAMESPACE, HashAlg::Sha512, line.as_bytes()).expect("a signature");
        Approval { person: name("dana"), signature: signature.to_pem(LineEnding::LF).expect("text") }
    }

    /// Her key as she keeps it.
    pub fn key_file(&self) -> String {
        self.key.to_openssh(LineEnding::LF).expect("a key").to_string()
    }

    pub fn governance(&self, signers: Vec<SignerIdentity>) -> Governance {
        let quorum = |action| Quorum { action, approvals: 1 };
        Governance {
            version: 1,
            predecessor: None,
            approvers: vec![Approver {
                person: name("dana"),
                ssh_key: self.key.public_key().to_openssh().expect("a key"),
            }],
            quorums: vec![quorum(Action::Create), quorum(Action::Refresh)],
            signers,
        }
    }
}

/// A signer by what its program prints when it is made.
pub fn identity(printed: &serde_json::Value) -> SignerIdentity {
    let text = |key: &str| printed[key].as_str().expect("text");
    let mut key = [0; 32];
    hex::decode_to_slice(text("identity_key"), &mut key).expect("64 digits");
    SignerIdentity {
        signer: name(text("signer")),
        key: IdentityKey::Ed25519(key),
        transport_pin: name(text("transport_pin")),
    }
}
