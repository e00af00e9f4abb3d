//! A decision on its way: a file that goes from person to person, each of whom reads it and adds an approval; then it
//! is handed to the coordinator. What a governance, a mandate and an order have in common.

use crate::approve::consent;
use crate::arguments::ApproveProposal;
use crate::failure::{Failure, Kind};
use crate::governance::present;
use crate::key_file::{ApproverKey, write_new};
use crate::operator::Operator;
use crate::rendering::grouped;
use base64ct::{Base64, Encoding};
use perennial_model::approval::{
    Approval, ApprovalSignature, NAMESPACE, Question, check_approval, signed_line,
};
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::governance::Governance;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a person is asked.
pub struct Asked<'a> {
    /// What decides on the quorum.
    pub question: Question<'a>,
    /// What they sign.
    pub digest: Digest,
    /// The governance that says who may.
    pub judge: &'a Governance,
    /// The command whose `approve` this is.
    pub command: &'static str,
}

/// A document that people approve in a file.
pub trait Proposal: Document {
    /// The command that makes and submits it.
    const COMMAND: &'static str;
    /// Where it is handed in.
    const PATH: &'static str;
    /// What people sign.
    fn digest(&self) -> Digest;
    /// What decides on the quorum.
    fn question(&self) -> Question<'_>;
    /// The approvals so far.
    fn approvals(&mut self) -> &mut Vec<Approval>;
    /// Checks everything, the quorum as well.
    fn check(&self, governance: &Governance) -> Result<(), perennial_model::Error>;
    /// What it says, for people.
    fn text(&self) -> String;
}

/// Shows a new proposal and writes it to a file that is not there yet.
pub fn write<P: Proposal>(operator: &Operator, proposal: &P, out: &Path) -> Result<(), Failure> {
    if out.exists() {
        return Err(Failure::usage(
            format!("{} is there already", out.display()),
            "name another file with --out",
        ));
    }
    write_new(out, &encoding::encode(proposal), 0o600)?;
    operator.remark(&proposal.text());
    let next = format!("\nnow each approver: perennial {} approve {}\n", P::COMMAND, out.display());
    operator.answer(&next, &json!({"file": out, "digest": proposal.digest().to_string()}));
    Ok(())
}

/// Reads a proposal.
pub fn read<P: Proposal>(path: &Path) -> Result<P, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
    encoding::decode(&bytes).map_err(|e| {
        let todo = format!("make one with `perennial {}`", P::COMMAND);
        Failure::usage(format!("{} is no such proposal: {e}", path.display()), todo)
    })
}

/// Shows a proposal and adds an approval to its file.
pub fn approve<P: Proposal>(operator: &Operator, arguments: &ApproveProposal) -> Result<(), Failure> {
    let mut proposal: P = read(&arguments.file)?;
    let governance = present(operator)?.0.newest().clone();
    operator.remark(&proposal.text());
    let asked = Asked {
        question: proposal.question(),
        digest: proposal.digest(),
        judge: &governance,
        command: P::COMMAND,
    };
    let approval = one_approval(operator, arguments, &asked)?;
    let person = approval.person.clone();
    if !proposal.approvals().iter().any(|known| known.person == person) {
        proposal.approvals().push(approval);
        replace(&arguments.file, &encoding::encode(&proposal))?;
    }
    let missing = proposal.check(&governance).err().map(|error| match error {
        perennial_model::Error::Denied(reason) => reason,
        other => other.to_string(),
    });
    let standing = match &missing {
        None => format!(
            "{person} has approved, and the quorum is complete: perennial {} submit {}\n",
            P::COMMAND,
            arguments.file.display()
        ),
        Some(missing) => format!("{person} has approved; {missing}\n"),
    };
    let complete = missing.is_none();
    operator.answer(&standing, &json!({"person": person.as_str(), "complete": complete, "missing": missing}));
    Ok(())
}

/// Hands a complete proposal to the coordinator.
pub fn submit<P: Proposal>(operator: &Operator, file: &Path) -> Result<(), Failure> {
    let proposal: P = read(file)?;
    let body = json!({"approved": Base64::encode_string(&encoding::encode(&proposal))});
    let said: Value = operator.client.post(P::PATH, &body, None)?;
    let text = format!("it counts\ndigest      {}\n", grouped(&proposal.digest()));
    operator.answer(&text, &said);
    Ok(())
}

/// Asks one person, or takes the signature that they made elsewhere.
pub fn one_approval(
    operator: &Operator,
    arguments: &ApproveProposal,
    asked: &Asked<'_>,
) -> Result<Approval, Failure> {
    let (digest, command) = (&asked.digest, asked.command);
    operator.remark(&format!(
        "\nThe same by hand:\n  echo {} | ssh-keygen -Y sign -n {NAMESPACE} -f KEY > {command}.sig\n  perennial \
         {command} approve {} --person YOU --signature {command}.sig\n\n",
        signed_line(digest).trim_end(),
        arguments.file.display()
    ));
    let (person, signature) = match (&arguments.signature, &arguments.key) {
        (Some(file), _) => {
            let person = arguments.person.clone();
            let person = person
                .ok_or_else(|| Failure::usage("it is not said whose signature it is", "add --person"))?;
            (person, std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?)
        }
        (None, key) => {
            let path = match key {
                Some(path) => path.clone(),
                None => operator.cluster.directory.join(&operator.cluster.settings()?.key),
            };
            let key = ApproverKey::read(&path)?;
            let person = key.owner_named(asked.judge, arguments.person.as_ref())?;
            consent(operator, arguments.yes)?;
            (person, key.approve(digest)?)
        }
    };
    let approval = Approval { person, signature: ApprovalSignature::Ssh(signature) };
    check_approval(&asked.question, digest, &approval, asked.judge).map_err(|e| refused(e.into()))?;
    Ok(approval)
}

/// What nobody would accept.
pub fn refused(error: perennial_model::Error) -> Failure {
    let todo = "have it corrected, or collect the approvals that are missing; no signer would accept it";
    Failure::new(Kind::Refused, error, "whoever made it", todo)
}

/// Puts a file in the place of another, whole and synced, or not at all.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let passing = path.with_added_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&passing)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&passing, path));
    written.map_err(|e| Failure::file("write", path, &e))
}
