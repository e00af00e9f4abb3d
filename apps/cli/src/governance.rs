//! `perennial governance show`: who approves what, and who the signers are.

use crate::approve::{Source, governance};
use crate::failure::Failure;
use crate::operator::Operator;
use crate::rendering::grouped;
use perennial_model::encoding;
use perennial_model::governance::Governance;
use perennial_model::identity::IdentityKey;
use serde_json::{Value, json};
use ssh_key::{HashAlg, PublicKey};

/// Carries out the command.
pub fn show(operator: &Operator) -> Result<(), Failure> {
    let (governance, source) = governance(operator)?;
    operator.answer(&text(&governance, source), &value(&governance, source));
    Ok(())
}

fn text(governance: &Governance, source: Source) -> String {
    let mut text = format!(
        "governance  version {}, {}\ndigest      {}\n",
        governance.version,
        match source {
            Source::File => "as it lies here",
            Source::Coordinator => "as the coordinator says",
        },
        grouped(&encoding::digest(governance))
    );
    for quorum in &governance.quorums {
        text.push_str(&format!(
            "to {:<8} {} of the approvers\n",
            quorum.action.to_string(),
            quorum.approvals
        ));
    }
    for approver in &governance.approvers {
        text.push_str(&format!("approver    {} with {}\n", approver.person, fingerprint(&approver.ssh_key)));
    }
    for signer in &governance.signers {
        text.push_str(&format!("signer      {} with identity {}\n", signer.signer, identity(&signer.key)));
    }
    text
}

fn value(governance: &Governance, source: Source) -> Value {
    json!({
        "version": governance.version,
        "digest": encoding::digest(governance).to_string(),
        "from": if source == Source::File { "file" } else { "coordinator" },
        "quorums": governance.quorums.iter()
            .map(|quorum| json!({"action": quorum.action.to_string(), "approvals": quorum.approvals}))
            .collect::<Vec<_>>(),
        "approvers": governance.approvers.iter()
            .map(|approver| json!({"person": approver.person.as_str(), "ssh_key": approver.ssh_key}))
            .collect::<Vec<_>>(),
        "signers": governance.signers.iter()
            .map(|signer| json!({
                "signer": signer.signer.as_str(),
                "identity_key": identity(&signer.key),
                "transport_pin": signer.transport_pin.to_string(),
            }))
            .collect::<Vec<_>>(),
    })
}

fn fingerprint(public_line: &str) -> String {
    PublicKey::from_openssh(public_line).map_or_else(
        |_| "an unreadable key".to_owned(),
        |key| format!("SSH {}", key.fingerprint(HashAlg::Sha256)),
    )
}

fn identity(key: &IdentityKey) -> String {
    match key {
        IdentityKey::Ed25519(bytes) => hex::encode(bytes),
        // The model has one kind more when its simulation is on and this crate's is not.
        #[allow(unreachable_patterns)]
        _ => "of the simulator".to_owned(),
    }
}
