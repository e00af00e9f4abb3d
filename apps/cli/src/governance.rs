//! `perennial governance`: who approves what, who the signers are, and how people change it.

mod differences;
mod proposal;
mod written;

use crate::api::Governance as SaidGovernance;
use crate::arguments;
use crate::client::understood;
use crate::cluster::GOVERNANCE_FILE;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::rendering::grouped;
use base64ct::{Base64, Encoding};
use perennial_model::encoding;
use perennial_model::governance::history::{History, Versions};
use perennial_model::governance::{Approver, ApproverKey, Governance, PasskeyKey};
use perennial_model::identity::IdentityKey;
use proposal::First;
use serde_json::{Value, json};
use ssh_key::{HashAlg, PublicKey};
use std::path::Path;
use written::Written;

/// Where a governance was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// From a file on this machine.
    File,
    /// From the coordinator, whom nobody has to believe.
    Coordinator,
}

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Governance) -> Result<(), Failure> {
    match command {
        arguments::Governance::Show { file, toml } => show(operator, file.as_deref(), *toml),
        arguments::Governance::Init(change) => proposal::propose(operator, change, First::Yes),
        arguments::Governance::Propose(change) => proposal::propose(operator, change, First::No),
        arguments::Governance::Diff { file } => proposal::diff(operator, file),
        arguments::Governance::Approve(arguments) => proposal::approve(operator, arguments),
        arguments::Governance::Submit { file } => proposal::submit(operator, file),
        arguments::Governance::Install(arguments) => proposal::install(operator, arguments),
    }
}

/// The governance to go by, with its history: the longer of the one in the cluster's directory and what the coordinator
/// says, which has to continue it.
pub fn present(operator: &Operator) -> Result<(History, Source), Failure> {
    let here = operator.cluster.history()?;
    let asked = operator.client.get("/v1/governance");
    if let (Some(here), Err(_)) = (&here, &asked) {
        return Ok((here.clone(), Source::File));
    }
    let said: SaidGovernance = understood(asked?)?;
    let read =
        Base64::decode_vec(&said.history).ok().and_then(|bytes| encoding::decode::<Versions>(&bytes).ok());
    let said = read.and_then(|versions| History::check(versions).ok()).ok_or_else(|| {
        Failure::local("the coordinator's governance cannot be read", "use programs of one release")
    })?;
    let Some(here) = here else { return Ok((said, Source::Coordinator)) };
    let newer = here.newer(said).map_err(|error| {
        Failure::local(
            format!("the coordinator does not say what {GOVERNANCE_FILE} here says: {error}"),
            "do not go on: find out who has changed it, and compare with what the signers pin",
        )
    })?;
    Ok((newer, Source::File))
}

/// The history in a file; none if there is none.
///
/// # Errors
/// When it is no sound history.
pub fn installed(path: &Path) -> Result<Option<History>, Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file("read", path, &error)),
    };
    let unsound = |reason: String| {
        Failure::local(
            format!("{} is no sound governance: {reason}", path.display()),
            "get it from those who approved it",
        )
    };
    let versions: Versions = encoding::decode(&bytes).map_err(|e| unsound(e.to_string()))?;
    History::check(versions).map(Some).map_err(|e| unsound(e.to_string()))
}

fn show(operator: &Operator, file: Option<&Path>, toml: bool) -> Result<(), Failure> {
    let (governance, head, from, genesis) = match file {
        Some(path) => {
            let proposal = proposal::read(path)?;
            let have: Vec<&str> =
                proposal.approvals.iter().map(|approval| approval.person.as_str()).collect();
            let have = if have.is_empty() { "nobody".to_owned() } else { have.join(", ") };
            (proposal.governance.clone(), format!("a proposal, approved by {have}"), "proposal", None)
        }
        None => {
            let (history, source) = present(operator)?;
            let (words, from) = match source {
                Source::File => ("checked from the first version, which lies here", "file"),
                Source::Coordinator => ("as the coordinator says: compare the first digest", "coordinator"),
            };
            (history.newest().clone(), words.to_owned(), from, Some(history.first_digest()))
        }
    };
    if toml {
        operator.answer(&Written::of(&governance).to_toml()?, &value(&governance, from));
        return Ok(());
    }
    let genesis_line =
        genesis.map(|digest| format!("genesis     {}\n", grouped(&digest))).unwrap_or_default();
    let mut shown = value(&governance, from);
    shown["genesis"] = genesis.map_or(Value::Null, |digest| digest.to_string().into());
    operator.answer(&format!("{head}\n{genesis_line}{}", text(&governance)), &shown);
    Ok(())
}

/// A version in words.
pub fn text(governance: &Governance) -> String {
    let mut text = format!(
        "governance  version {}\ndigest      {}\ninitiator   {}, whose own approval does not count\n",
        governance.version,
        grouped(&governance.digest()),
        governance.initiator
    );
    for sentence in sentences(governance) {
        text.push_str(&sentence);
        text.push('\n');
    }
    text
}

/// What a version says, one sentence a line, apart from its number and who asks for it.
fn sentences(governance: &Governance) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in &governance.rules {
        let demands: Vec<String> = rule
            .demands
            .iter()
            .map(|demand| format!("{} of role {}", demand.approvals, demand.role))
            .collect();
        let matter = rule.matter.to_string();
        lines.push(format!(
            "to {matter:<8} takes {}, from tier {} on",
            demands.join(" and "),
            rule.from_tier
        ));
    }
    for approver in &governance.approvers {
        lines.extend(keys(approver));
    }
    if let Some(party) = &governance.relying_party {
        lines.push(format!("passkeys    of {}, asked for at {}", party.id, party.origins.join(", ")));
    }
    let tenants: Vec<&str> = governance.tenants.iter().map(|tenant| tenant.as_str()).collect();
    lines.push(format!("tenants     {}", tenants.join(", ")));
    for signer in &governance.signers {
        let (key, pin) = (identity(&signer.key), &signer.transport_pin);
        lines.push(format!("signer      {} with identity {key} and transport pin {pin}", signer.signer));
    }
    for gone in &governance.written_off {
        lines.push(format!("written off {gone}: no receipt is awaited for what it holds"));
    }
    lines.extend(governance.ledger_key.as_ref().map(|key| format!("ledger key  {key}")));
    lines
}

fn keys(approver: &Approver) -> Vec<String> {
    let Approver { person, role, keys, tenants } = approver;
    let whose = match tenants.is_empty() {
        true => "for all tenants".to_owned(),
        false => format!("for {}", tenants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    keys.iter()
        .map(|key| format!("approver    {person}, {role}, {whose}, with {}", fingerprint(key)))
        .collect()
}

fn value(governance: &Governance, from: &str) -> Value {
    let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<String>>();
    json!({
        "version": governance.version,
        "digest": governance.digest().to_string(),
        "from": from,
        "initiator": governance.initiator.as_str(),
        "rules": governance.rules.iter()
            .map(|rule| json!({
                "matter": rule.matter.to_string(),
                "from_tier": rule.from_tier.to_string(),
                "demands": rule.demands.iter()
                    .map(|demand| json!({"role": demand.role.as_str(), "approvals": demand.approvals}))
                    .collect::<Vec<_>>(),
            }))
            .collect::<Vec<_>>(),
        "approvers": governance.approvers.iter()
            .map(|approver| json!({
                "person": approver.person.as_str(),
                "role": approver.role.as_str(),
                "keys": approver.keys.iter().map(fingerprint).collect::<Vec<_>>(),
                "tenants": names(&mut approver.tenants.iter().map(ToString::to_string)),
            }))
            .collect::<Vec<_>>(),
        "tenants": names(&mut governance.tenants.iter().map(ToString::to_string)),
        "signers": governance.signers.iter()
            .map(|signer| json!({
                "signer": signer.signer.as_str(),
                "identity_key": identity(&signer.key),
                "transport_pin": signer.transport_pin.to_string(),
            }))
            .collect::<Vec<_>>(),
        "written_off": names(&mut governance.written_off.iter().map(ToString::to_string)),
        "ledger_key": governance.ledger_key,
    })
}

fn fingerprint(key: &ApproverKey) -> String {
    match key {
        ApproverKey::Ssh(line) => PublicKey::from_openssh(line).map_or_else(
            |_| "an unreadable key".to_owned(),
            |key| format!("SSH {}", key.fingerprint(HashAlg::Sha256)),
        ),
        ApproverKey::Passkey(passkey) => match &passkey.key {
            PasskeyKey::Es256(point) => format!("passkey es256 {}", hex::encode(&point.0)),
            PasskeyKey::Ed25519(bytes) => format!("passkey ed25519 {}", hex::encode(bytes)),
        },
    }
}

fn identity(key: &IdentityKey) -> String {
    match key {
        IdentityKey::Ed25519(bytes) => hex::encode(bytes),
        // The model has one kind more when its simulation is on and this crate's is not.
        #[allow(unreachable_patterns)]
        _ => "of the simulator".to_owned(),
    }
}
