//! Who is in the history: signers, an approver, the ledger's key, the wallets, and the governance that names them.

use ed25519_dalek::{Signer as _, SigningKey};
use perennial_ledger::{Error, KeyName, NoteKey, SignNote};
use perennial_model::approval::{Approval, ApprovalSignature, NAMESPACE, signed_line};
use perennial_model::committee::{Committee, SignerId};
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, Versions};
use perennial_model::governance::{ApproverKey, Governance, SignerIdentity};
use perennial_model::group::{Edwards25519, Group, Point, Scalar};
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign};
use perennial_model::mandate::{Mandate, Selector};
use perennial_model::plan::Plan;
use perennial_model::signature::RawSignature;
use perennial_model::wallet::{Chain, Tier, Wallet};
use sha2::{Digest as _, Sha512};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use std::fmt::Debug;
use std::str::FromStr;

pub type G = Edwards25519;
pub type S = <Edwards25519 as Group>::Scalar;

pub const SIGNERS: [&str; 3] = ["a", "b", "c"];
pub const WALLETS: [&str; 2] = ["payroll", "vault"];

pub fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a good name")
}

pub struct Key {
    pub name: SignerId,
    pub secret: SigningKey,
}

impl Key {
    pub fn of(index: usize) -> Self {
        let secret = SigningKey::from_bytes(&[index as u8 + 1; 32]);
        Self { name: name(SIGNERS[index]), secret }
    }

    pub fn public(&self) -> [u8; 32] {
        self.secret.verifying_key().to_bytes()
    }
}

impl Sign for Key {
    fn signer(&self) -> &SignerId {
        &self.name
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        IdentitySignature(self.secret.sign(message).to_bytes())
    }
}

pub struct Log(pub NoteKey, SigningKey);

impl Log {
    pub fn new() -> Self {
        let secret = SigningKey::from_bytes(&[77; 32]);
        let name = KeyName::new("example.com/ledger").expect("a name");
        Self(NoteKey::new(name, &secret.verifying_key().to_bytes()).expect("a key"), secret)
    }
}

impl SignNote for Log {
    fn key(&self) -> &NoteKey {
        &self.0
    }

    fn sign_note(&self, text: &str) -> Result<[u8; 64], Error> {
        Ok(self.1.sign(text.as_bytes()).to_bytes())
    }
}

/// A scalar that nobody else uses.
pub fn scalar(label: &str, numbers: &[u64]) -> S {
    let numbers: Vec<[u8; 8]> = numbers.iter().map(|number| number.to_be_bytes()).collect();
    let parts: Vec<&[u8]> = numbers.iter().map(|number| number.as_slice()).collect();
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&Digest::of_parts(label, &parts).0);
    S::reduce(&wide)
}

pub fn ed25519(secret: &S, key: &Point, message: &[u8]) -> RawSignature {
    let nonce = scalar("nonce", &[u64::from_be_bytes(message[..8].try_into().expect("eight"))]);
    let commitment = G::encode(&G::generate(&nonce));
    let hash = Sha512::new().chain_update(commitment.as_bytes()).chain_update(key.as_bytes());
    let challenge = S::reduce(&hash.chain_update(message).finalize().into());
    let response = (nonce + challenge * *secret).encode();
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(commitment.as_bytes());
    bytes[32..].copy_from_slice(&response);
    RawSignature { bytes, recovery_id: None }
}

pub fn dana() -> PrivateKey {
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[42; 32])), "dana").expect("a key")
}

pub fn approved_by(person: &str, digest: &Digest) -> Approval {
    let signature = dana().sign(NAMESPACE, HashAlg::Sha512, signed_line(digest).as_bytes()).expect("signed");
    let signature = ApprovalSignature::Ssh(signature.to_pem(LineEnding::LF).expect("text"));
    Approval { person: name(person), signature }
}

pub fn governance() -> Versions {
    let signers = (0..3).map(Key::of).map(|key| SignerIdentity {
        signer: key.name.clone(),
        key: IdentityKey::Ed25519(key.public()),
        transport_pin: Digest(key.public()),
    });
    let people = vec![(name("dana"), ApproverKey::Ssh(dana().public_key().to_openssh().expect("a key")))];
    let first = Governance::of_one_role(
        name("erin"),
        name("operator"),
        1,
        people,
        vec![name("acme")],
        signers.collect(),
    );
    let mut second = first.clone();
    (second.version, second.predecessor) = (2, Some(first.digest()));
    second.ledger_key = Some(Log::new().0.to_string());
    let approved = |governance: Governance| {
        let approvals = vec![approved_by("dana", &governance.digest())];
        ApprovedGovernance { governance, approvals }
    };
    Versions(vec![approved(first), approved(second)])
}

/// A mandate that a plan keeps to.
pub fn mandate_for(plan: &Plan) -> Mandate {
    Mandate {
        tenant: plan.tenant.clone(),
        tier: plan.tier,
        wallets: Selector::All,
        committee: plan.committee.clone(),
        liar_tolerance: plan.liar_tolerance,
        profile: plan.profile,
        probe_rate: plan.probe_rate,
        backup_rule: plan.backup_rule,
        policy: None,
        not_before_ms: plan.not_before_ms,
        until_ms: plan.activation_deadline_ms,
        least_gap_ms: 2_000_000,
        attempts: plan.attempts,
        windows: vec![],
        run_ms: 1_500_000,
        cadence: vec![],
        failures: 1,
        governance: plan.governance,
        initiator: plan.initiator.clone(),
        nonce: Digest([2; 32]),
    }
}

pub fn committee() -> Committee {
    Committee::first(2, &SIGNERS.map(name)).expect("two of three")
}

pub fn wallet(at: usize) -> Wallet {
    Wallet { id: name(WALLETS[at]), tenant: name("acme"), tier: Tier::High, chain: Chain::Solana }
}
