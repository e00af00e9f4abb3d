//! `perennial init`: makes the directories of a local cluster. Governance version 1 names one approver, whose key
//! is made here, and asks for one approval for each action.
//!
//! It refuses to change a cluster that is there: governance is changed by people, not by a tool.

use crate::arguments::{Global, Init};
use crate::cluster::{API_PORT, Cluster, GOVERNANCE_FILE, SETTINGS_FILE, Settings, TOKEN_FILE};
use crate::failure::Failure;
use crate::key_file::{ApproverKey, write_new};
use crate::operator::{Form, print};
use crate::process::run as run_program;
use perennial_model::approval::{Approval, ApprovalSignature};
use perennial_model::committee::{Committee, MEMBERS_MAX, SignerId};
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{self, Governance, PersonId, SignerIdentity};
use perennial_model::identity::IdentityKey;
use serde::Deserialize;
use serde_json::json;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// What a new cluster is to be.
#[derive(Clone, Debug)]
pub struct NewCluster {
    /// How many signers; they are called a, b, c and so on.
    pub signers: u8,
    /// How many of them sign, for new wallets.
    pub threshold: u8,
    /// Who approves.
    pub approver: PersonId,
    /// Who starts plans.
    pub initiator: PersonId,
    /// Whose wallets these are.
    pub tenant: String,
    /// Where the API will listen.
    pub api: SocketAddr,
    /// Where the mailbox will listen.
    pub mail: SocketAddr,
}

/// Carries out the command.
pub fn run(global: &Global, arguments: &Init) -> Result<(), Failure> {
    let directory = global.dir.as_deref().ok_or_else(|| {
        Failure::usage("it is not said where", "name a new directory: perennial init --dir DIR")
    })?;
    let api = global.api.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, API_PORT).into());
    let next_port = SocketAddr::new(api.ip(), api.port().wrapping_add(1));
    let new = NewCluster {
        signers: arguments.signers,
        threshold: arguments.threshold.unwrap_or(arguments.signers / 2 + 1),
        approver: arguments.approver.clone(),
        initiator: arguments.initiator.clone(),
        tenant: arguments.tenant.clone(),
        api,
        mail: arguments.mail.unwrap_or(next_port),
    };
    let cluster = make(directory, &new)?;
    let names = signer_names(new.signers, new.threshold)?;
    let governance = cluster.history()?.map(|history| history.first_digest().to_string());
    if Form::of(global) == Form::Json {
        let signers: Vec<&str> = names.iter().map(SignerId::as_str).collect();
        let value = json!({
            "directory": cluster.directory, "api": new.api, "mail": new.mail, "signers": signers,
            "threshold": new.threshold, "approver": new.approver.as_str(), "governance": governance,
            "token_file": cluster.directory.join(TOKEN_FILE),
        });
        print(&format!("{value}\n"));
    } else {
        print(&next_steps(&cluster, &names, &new));
    }
    Ok(())
}

/// What to type next, each line in a shell of its own.
fn next_steps(cluster: &Cluster, names: &[SignerId], new: &NewCluster) -> String {
    let directory = cluster.directory.display();
    let mut text = format!(
        "A cluster of {} signers, {} of whom sign, is in {directory}; {} approves.\n\n\
         Start it, each in a shell of its own:\n  perennial-coordinator run --dir {}\n",
        names.len(),
        new.threshold,
        new.approver,
        cluster.coordinator().display()
    );
    for name in names {
        text.push_str(&format!("  perennial-signer run --dir {}\n", cluster.signer(name.as_str()).display()));
    }
    text.push_str(&format!(
        "\nThen:\n  cd {directory}\n  perennial wallet create treasury --chain ethereum --approve-with {}.key --wait\n",
        new.approver
    ));
    text
}

/// What a signer says of itself.
#[derive(Deserialize)]
struct SaidSigner {
    identity_key: String,
    transport_pin: String,
}

/// What a coordinator says of itself.
#[derive(Deserialize)]
struct SaidCoordinator {
    pin: String,
    ledger_key: String,
}

/// The names of the first signers: a, b, c and so on.
///
/// # Errors
/// When they cannot make a committee with this threshold.
pub fn signer_names(signers: u8, threshold: u8) -> Result<Vec<SignerId>, Failure> {
    let letters = ('a'..='z').take(usize::from(signers));
    let names: Vec<SignerId> = letters.filter_map(|letter| letter.to_string().parse().ok()).collect();
    Committee::first(threshold, &names).map_err(|_| {
        Failure::usage(
            format!("any {threshold} of {signers} signers is no committee"),
            format!("take 2 to {MEMBERS_MAX} signers, and a threshold from 2 to their number"),
        )
    })?;
    Ok(names)
}

/// Makes everything, and opens the cluster.
///
/// # Errors
/// When there is a cluster already, the request makes no sense, or the disk or a daemon refuses.
pub fn make(directory: &Path, new: &NewCluster) -> Result<Cluster, Failure> {
    let names = signer_names(new.signers, new.threshold)?;
    if new.approver == new.initiator {
        return Err(Failure::usage(
            format!("{} cannot both start and approve plans", new.approver),
            "name two people: an initiator's own approval does not count",
        ));
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|e| Failure::file("make", directory, &e))?;
    let directory = &directory.canonicalize().map_err(|e| Failure::file("find", directory, &e))?;
    if directory.join(SETTINGS_FILE).exists() || directory.join(GOVERNANCE_FILE).exists() {
        return Err(Failure::usage(
            format!("{} holds a cluster already", directory.display()),
            "use it, or name another directory",
        ));
    }
    let mut entries = directory.read_dir().map_err(|e| Failure::file("read", directory, &e))?;
    if entries.next().is_some() {
        return Err(Failure::usage(
            format!("{} holds files already", directory.display()),
            "name a new directory",
        ));
    }
    let key_name = format!("{}.key", new.approver);
    let settings = Settings {
        api: new.api,
        tenant: new.tenant.clone(),
        initiator: new.initiator.to_string(),
        approver: new.approver.to_string(),
        key: key_name.clone().into(),
        threshold: new.threshold,
    };
    let cluster = Cluster { directory: directory.clone(), settings: Some(settings.clone()) };
    let key = ApproverKey::create(&directory.join(key_name), new.approver.as_str())?;
    let coordinator = init_coordinator(&cluster, new)?;
    add_operator(&cluster)?;
    let signers = names
        .iter()
        .map(|name| init_signer(&cluster, name, new.mail, &coordinator.pin))
        .collect::<Result<Vec<_>, _>>()?;
    let governance = first_governance(new, &key, signers, coordinator.ledger_key)?;
    let document = encoding::encode(governance.versions());
    let places = names.iter().map(|name| cluster.signer(name.as_str()));
    for place in places.chain([cluster.coordinator(), directory.clone()]) {
        write_new(&place.join(GOVERNANCE_FILE), &document, 0o600)?;
    }
    write_new(&directory.join(SETTINGS_FILE), settings.to_toml().as_bytes(), 0o600)?;
    Ok(cluster)
}

/// One approver, who alone decides everything, and these signers; approved by that one.
fn first_governance(
    new: &NewCluster,
    key: &ApproverKey,
    signers: Vec<SignerIdentity>,
    ledger_key: String,
) -> Result<History, Failure> {
    let bug = |e: &dyn std::fmt::Display| Failure::local(e, "report this");
    let tenant =
        new.tenant.parse().map_err(|e| Failure::usage(format!("--tenant: {e}"), "name it otherwise"))?;
    let role = "operator".parse().map_err(|e| bug(&e))?;
    let people = vec![(new.approver.clone(), governance::ApproverKey::Ssh(key.public_line()?))];
    let mut governance =
        Governance::of_one_role(new.initiator.clone(), role, 1, people, vec![tenant], signers);
    governance.ledger_key = Some(ledger_key);
    let signature = ApprovalSignature::Ssh(key.approve(&governance.digest())?);
    let approvals = vec![Approval { person: new.approver.clone(), signature }];
    History::begin(ApprovedGovernance { governance, approvals }).map_err(|e| bug(&e))
}

fn init_coordinator(cluster: &Cluster, new: &NewCluster) -> Result<SaidCoordinator, Failure> {
    let place = cluster.coordinator();
    let (api, mail) = (new.api.to_string(), new.mail.to_string());
    let arguments: [&OsStr; 8] = [
        "init".as_ref(),
        "--json".as_ref(),
        "--dir".as_ref(),
        place.as_ref(),
        "--api-address".as_ref(),
        api.as_ref(),
        "--mail-address".as_ref(),
        mail.as_ref(),
    ];
    read_said("perennial-coordinator", &run_program("perennial-coordinator", &arguments)?)
}

/// Makes the operator a client of the API who may do everything, with a token here.
fn add_operator(cluster: &Cluster) -> Result<(), Failure> {
    let (place, token) = (cluster.coordinator(), cluster.directory.join(TOKEN_FILE));
    let words = ["client", "add", "operator", "--scopes", "read,submit,sign,audit", "--tenants", "*"];
    let words = words.iter().map(AsRef::as_ref);
    let files: [&OsStr; 4] = ["--dir".as_ref(), place.as_ref(), "--token-file".as_ref(), token.as_ref()];
    run_program("perennial-coordinator", &words.chain(files).collect::<Vec<&OsStr>>()).map(drop)
}

fn init_signer(
    cluster: &Cluster,
    name: &SignerId,
    mail: SocketAddr,
    coordinator_pin: &str,
) -> Result<SignerIdentity, Failure> {
    let place = cluster.signer(name.as_str());
    let mail = mail.to_string();
    let arguments: [&OsStr; 9] = [
        "init".as_ref(),
        "--dir".as_ref(),
        place.as_ref(),
        "--name".as_ref(),
        name.as_str().as_ref(),
        "--coordinator".as_ref(),
        mail.as_ref(),
        "--coordinator-pin".as_ref(),
        coordinator_pin.as_ref(),
    ];
    let text = run_program("perennial-signer", &arguments)?;
    let said: SaidSigner = read_said("perennial-signer", &text)?;
    let mut key = [0; 32];
    let read = hex::decode_to_slice(&said.identity_key, &mut key)
        .ok()
        .zip(said.transport_pin.parse::<Digest>().ok());
    let (_, transport_pin) = read.ok_or_else(|| not_understood("perennial-signer", &text))?;
    Ok(SignerIdentity { signer: name.clone(), key: IdentityKey::Ed25519(key), transport_pin })
}

fn read_said<T: serde::de::DeserializeOwned>(program: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text.trim()).map_err(|_| not_understood(program, text))
}

fn not_understood(program: &str, text: &str) -> Failure {
    let said: String = text.chars().take(200).collect();
    Failure::local(format!("{program} init said something unexpected: {said}"), "use programs of one release")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_that_make_no_committee_are_refused() {
        let names = signer_names(3, 2).expect("2 of 3");
        assert_eq!(names.iter().map(SignerId::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
        for (signers, threshold) in [(1, 1), (3, 1), (2, 3), (17, 2), (0, 0)] {
            assert!(signer_names(signers, threshold).is_err(), "{threshold} of {signers}");
        }
        assert!(signer_names(16, 16).is_ok());
    }
}
