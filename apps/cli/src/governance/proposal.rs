//! A version of governance on its way: a file that goes from person to person, each of whom reads it, compares it with
//! the one in force and adds an approval; then it is handed to the coordinator, or put into a directory by hand.

use super::differences::differences;
use super::written::Written;
use super::{installed, present, text};
use crate::arguments::{ApproveProposal, Change, Install};
use crate::cluster::GOVERNANCE_FILE;
use crate::failure::Failure;
use crate::key_file::write_new;
use crate::operator::Operator;
use crate::proposal::{Asked, one_approval, refused, replace};
use crate::rendering::grouped;
use base64ct::{Base64, Encoding};
use perennial_model::encoding;
use perennial_model::governance::Governance;
use perennial_model::governance::history::{ApprovedGovernance, History, question};
use serde_json::json;
use std::path::Path;

/// Makes the first version, or the one after the present, from what people wrote.
pub fn propose(operator: &Operator, change: &Change, first: First) -> Result<(), Failure> {
    let history = match first {
        First::Yes => None,
        First::No => Some(present(operator)?.0),
    };
    let governance = Written::read(&change.file)?.version(history.as_ref())?;
    let proposal = ApprovedGovernance { governance, approvals: Vec::new() };
    proposal.check_so_far(history.as_ref().map(History::newest)).map_err(refused)?;
    if change.out.exists() {
        return Err(Failure::usage(
            format!("{} is there already", change.out.display()),
            "name another file with --out",
        ));
    }
    write_new(&change.out, &encoding::encode(&proposal), 0o600)?;
    let governance = &proposal.governance;
    operator.remark(&text(governance));
    if let Some(history) = &history {
        operator.remark(&changes(history.newest(), governance));
    }
    let digest = governance.digest();
    let next = format!(
        "\n{} is a proposal for version {}; now each approver: perennial governance approve {}\n",
        change.out.display(),
        governance.version,
        change.out.display()
    );
    operator.answer(
        &next,
        &json!({"file": change.out, "version": governance.version, "digest": digest.to_string()}),
    );
    Ok(())
}

/// Whether there is a governance before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum First {
    /// There is none.
    Yes,
    /// There is.
    No,
}

/// Shows a proposal and what it changes, and adds an approval to the file.
pub fn approve(operator: &Operator, arguments: &ApproveProposal) -> Result<(), Failure> {
    let mut proposal = read(&arguments.file)?;
    let history = before(operator, &proposal)?;
    let base = history.as_ref().map(History::newest);
    let governance = &proposal.governance;
    operator.remark(&text(governance));
    if let Some(base) = base {
        operator.remark(&changes(base, governance));
    }
    let judge = base.unwrap_or(governance);
    let asked =
        Asked { question: question(governance), digest: governance.digest(), judge, command: "governance" };
    let approval = one_approval(operator, arguments, &asked)?;
    let person = approval.person.clone();
    if !proposal.approvals.iter().any(|known| known.person == person) {
        proposal.approvals.push(approval);
        replace(&arguments.file, &encoding::encode(&proposal))?;
    }
    let missing = proposal.check(base).err().map(|error| match error {
        perennial_model::Error::Denied(reason) => reason,
        other => other.to_string(),
    });
    let standing = match &missing {
        None => format!(
            "{person} has approved, and the quorum is complete: perennial governance submit {file}, or perennial \
             governance install {file} DIR\n",
            file = arguments.file.display()
        ),
        Some(missing) => format!("{person} has approved; {missing}\n"),
    };
    let complete = missing.is_none();
    operator.answer(&standing, &json!({"person": person.as_str(), "complete": complete, "missing": missing}));
    Ok(())
}

/// Hands a complete proposal to the coordinator, which hands it to every signer.
pub fn submit(operator: &Operator, file: &Path) -> Result<(), Failure> {
    let proposal = read(file)?;
    let body = json!({"approved": Base64::encode_string(&encoding::encode(&proposal))});
    let said = operator.client.post("/v1/governance", &body, None)?;
    keep(operator, &proposal)?;
    let text = format!("version {} is in force at the coordinator; signers take it over\n", said["version"]);
    operator.answer(&text, &said);
    Ok(())
}

/// The copy in the cluster's directory goes along, if there is one and it can.
fn keep(operator: &Operator, proposal: &ApprovedGovernance) -> Result<(), Failure> {
    let Some(mut history) = operator.cluster.history()? else { return Ok(()) };
    if history.version_of(&proposal.governance.digest()).is_none() && history.extend(proposal.clone()).is_ok()
    {
        let path = operator.cluster.directory.join(GOVERNANCE_FILE);
        replace(&path, &encoding::encode(history.versions()))?;
    }
    Ok(())
}

/// Puts a complete proposal into directories of signers, coordinators or clusters, behind what is there.
pub fn install(operator: &Operator, arguments: &Install) -> Result<(), Failure> {
    let proposal = read(&arguments.file)?;
    let mut done = Vec::new();
    for directory in &arguments.directories {
        let path = directory.join(GOVERNANCE_FILE);
        let history = match installed(&path)? {
            None => History::begin(proposal.clone()).map_err(refused)?,
            Some(history) if history.version_of(&proposal.governance.digest()).is_some() => history,
            Some(mut history) => {
                history.extend(proposal.clone()).map_err(refused)?;
                history
            }
        };
        done.push((path, history));
    }
    for (path, history) in &done {
        replace(path, &encoding::encode(history.versions()))?;
    }
    let (version, digest) = (proposal.governance.version, proposal.governance.digest());
    let text = format!(
        "version {version} is in {} directories; a daemon takes it up when it starts\ndigest      {}\n",
        done.len(),
        grouped(&digest)
    );
    operator
        .answer(&text, &json!({"version": version, "digest": digest.to_string(), "directories": done.len()}));
    Ok(())
}

/// What a proposal, or a `governance.cbor`, changes against the present.
pub fn diff(operator: &Operator, file: &Path) -> Result<(), Failure> {
    let proposal = read(file)?;
    let history = present(operator)?.0;
    let lines = differences(history.newest(), &proposal.governance);
    let text = changes(history.newest(), &proposal.governance);
    operator.answer(&text, &json!({"version": proposal.governance.version, "changes": lines}));
    Ok(())
}

fn changes(before: &Governance, after: &Governance) -> String {
    let lines = differences(before, after);
    if lines.is_empty() {
        return format!("\nversion {} changes nothing but its number and who asks for it\n", after.version);
    }
    format!("\nagainst version {}:\n  {}\n", before.version, lines.join("\n  "))
}

/// The history that a proposal continues: none for a first version.
fn before(operator: &Operator, proposal: &ApprovedGovernance) -> Result<Option<History>, Failure> {
    let history = match proposal.governance.version {
        1 => None,
        _ => Some(present(operator)?.0),
    };
    proposal.check_so_far(history.as_ref().map(History::newest)).map_err(refused)?;
    Ok(history)
}

/// Reads a proposal.
pub fn read(path: &Path) -> Result<ApprovedGovernance, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
    encoding::decode(&bytes).map_err(|e| {
        Failure::usage(
            format!("{} is no proposal: {e}", path.display()),
            "make one with `perennial governance init` or `propose`",
        )
    })
}
