//! Governance of the tests: the approver, and the signers by what they print when they are made.

use perennial_model::approval::{Approval, ApprovalSignature, NAMESPACE, signed_line};
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{ApproverKey, Governance, PersonId, SignerIdentity};
use perennial_model::identity::IdentityKey;
use perennial_model::plan::Plan;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// A name from text that is one.
pub fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().expect("a good name")
}

/// Somebody with a key.
pub struct Person {
    pub name: PersonId,
    pub seed: [u8; 32],
    key: PrivateKey,
}

impl Person {
    pub fn new(who: &str, seed: [u8; 32]) -> Self {
        let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), who);
        Self { name: name(who), seed, key: key.expect("a key") }
    }

    pub fn public_line(&self) -> String {
        self.key.public_key().to_openssh().expect("a key")
    }

    pub fn approves_digest(&self, digest: &Digest) -> Approval {
        let line = signed_line(digest);
        let signature = self.key.sign(NAMESPACE, HashAlg::Sha512, line.as_bytes()).expect("a signature");
        let signature = ApprovalSignature::Ssh(signature.to_pem(LineEnding::LF).expect("text"));
        Approval { person: self.name.clone(), signature }
    }
}

/// The approver of the first governance.
pub struct Dana(Person);

impl std::ops::Deref for Dana {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.0
    }
}

impl Dana {
    pub fn new(seed: [u8; 32]) -> Self {
        Self(Person::new("dana", seed))
    }

    pub fn approves(&self, plan: &Plan) -> Approval {
        self.approves_digest(&plan.digest())
    }

    /// Her key as she keeps it.
    pub fn key_file(&self) -> String {
        self.key.to_openssh(LineEnding::LF).expect("a key").to_string()
    }

    /// A first governance in which she decides everything, approved by her.
    pub fn governance(&self, signers: Vec<SignerIdentity>) -> History {
        let key = ApproverKey::Ssh(self.public_line());
        let people = vec![(name("dana"), key)];
        let governance = Governance::of_one_role(
            name("erin"),
            name("operator"),
            1,
            people,
            vec![name("acme"), name("globex")],
            signers,
        );
        let approvals = vec![self.approves_digest(&governance.digest())];
        History::begin(ApprovedGovernance { governance, approvals }).expect("a sound governance")
    }
}

/// An approval as the API takes it.
pub fn body(person: &str, approval: &Approval) -> serde_json::Value {
    match &approval.signature {
        ApprovalSignature::Ssh(armoured) => serde_json::json!({"person": person, "signature": armoured}),
        ApprovalSignature::Passkey(_) => panic!("people of these tests have SSH keys"),
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
