//! The approver of the tests, who alone decides everything.

use perennial_model::approval::{Approval, ApprovalSignature, NAMESPACE, signed_line};
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{ApproverKey, Governance, SignerIdentity};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// A governance with her approval.
pub fn approved(governance: Governance) -> ApprovedGovernance {
    let line = signed_line(&governance.digest());
    let signature = key().sign(NAMESPACE, HashAlg::Sha512, line.as_bytes()).expect("a signature");
    let signature = ApprovalSignature::Ssh(signature.to_pem(LineEnding::LF).expect("text"));
    let approvals = vec![Approval { person: "dana".parse().expect("a name"), signature }];
    ApprovedGovernance { governance, approvals }
}

/// A first governance of these signers.
pub fn first_governance(signers: Vec<SignerIdentity>) -> History {
    let line = key().public_key().to_openssh().expect("a line");
    let people = vec![("dana".parse().expect("a name"), ApproverKey::Ssh(line))];
    let [initiator, role, tenant] = ["erin", "operator", "acme"];
    let governance = Governance::of_one_role(
        initiator.parse().expect("a name"),
        role.parse().expect("a name"),
        1,
        people,
        vec![tenant.parse().expect("a name")],
        signers,
    );
    History::begin(approved(governance)).expect("a sound governance")
}

fn key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}
