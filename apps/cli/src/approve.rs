//! `perennial approve`: shows a plan as it was decoded from the very bytes whose digest is signed, and signs.
//!
//! It trusts no coordinator: the bytes come from there, the words, the digest and the signature are made here.

use crate::api::Ceremony;
use crate::arguments::Approve;
use crate::client::understood;
use crate::failure::{Failure, Kind};
use crate::governance::{Source, present};
use crate::key_file::ApproverKey;
use crate::operator::{Form, Operator, print};
use crate::rendering::{ReadPlan, grouped};
use perennial_model::approval::{Approval, ApprovalSignature, NAMESPACE, check_approval, signed_line};
use perennial_model::encoding::Digest;
use perennial_model::governance::{Governance, PersonId};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;

/// Whose approval it is to be, and the governance that says so.
pub struct Approver {
    person: PersonId,
    governance: Governance,
}

/// Carries out the command.
pub fn run(operator: &Operator, arguments: &Approve) -> Result<(), Failure> {
    let name = operator.client.find_ceremony(&arguments.ceremony)?;
    refuse_if_over(operator, &name)?;
    let plan = operator.client.plan(&name)?;
    let (history, source) = present(operator)?;
    operator.remark(&plan.text());
    operator.remark(&format!("\n{}\n", standing(&plan, history.newest(), source)));
    if let Some(file) = &arguments.signature {
        return hand_in(operator, arguments, &name, file);
    }
    operator.remark(&by_hand(&plan.digest));
    let path = match &arguments.key {
        Some(path) => path.clone(),
        None => {
            let settings = operator.cluster.settings()?;
            operator.cluster.directory.join(&settings.key)
        }
    };
    let key = ApproverKey::read(&path)?;
    let approver = Approver::find(operator, &key, arguments.person.clone())?;
    plan.plan.check(&approver.governance).map_err(|error| {
        let todo = "do not approve it; have a new plan made";
        Failure::new(
            Kind::Refused,
            format!("no signer would accept this plan: {error}"),
            "whoever made it",
            todo,
        )
    })?;
    operator.remark(&format!("signing as {} with {}\n", approver.person, key.fingerprint()));
    consent(operator, arguments.yes)?;
    let counted = sign(operator, &plan, &approver, &key)?;
    operator.answer(&format!("approved: {} of {} approvals\n", counted["have"], counted["of"]), &counted);
    Ok(())
}

impl Approver {
    /// Whose key this is according to governance, if they are the person that was named.
    pub fn find(operator: &Operator, key: &ApproverKey, named: Option<PersonId>) -> Result<Self, Failure> {
        let governance = present(operator)?.0.newest().clone();
        let person = key.owner_named(&governance, named.as_ref())?;
        Ok(Self { person, governance })
    }
}

/// Nothing is asked of people about a plan that waits for nobody.
fn refuse_if_over(operator: &Operator, name: &str) -> Result<(), Failure> {
    let ceremony: Ceremony = understood(operator.client.get(&format!("/v1/ceremonies/{name}"))?)?;
    if ceremony.stage == "awaiting approval" {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Refused,
        format!("ceremony {} waits for no approval: it is {}", &name[..8.min(name.len())], ceremony.stage),
        "caller",
        "`perennial ceremony list` shows what waits",
    ))
}

/// Asks whether to go on, unless that was said before.
pub fn consent(operator: &Operator, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if operator.form == Form::Json || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is nobody to ask whether to approve",
            "add --yes if that was decided before",
        ));
    }
    print("Approve? Type yes: ");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    if read.is_ok() && line.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::usage("not approved", "nothing was signed; run it again to decide anew"))
}

/// Signs the plan's digest, checks the signature as every signer will, and hands it in.
pub fn sign(
    operator: &Operator,
    plan: &ReadPlan,
    approver: &Approver,
    key: &ApproverKey,
) -> Result<Value, Failure> {
    let Approver { person, governance } = approver;
    let signature = key.approve(&plan.digest)?;
    let made = Approval { person: person.clone(), signature: ApprovalSignature::Ssh(signature.clone()) };
    check_approval(&plan.plan.question(), &plan.digest, &made, governance)
        .map_err(|error| Failure::local(format!("the signature would not count: {error}"), "report this"))?;
    operator.client.approve(&plan.digest.to_string(), person.as_str(), &signature)
}

/// Whether the plan names the governance that is known here.
fn standing(plan: &ReadPlan, governance: &Governance, source: Source) -> String {
    let known = governance.digest();
    if known != plan.plan.governance {
        return format!("WARNING: it names another governance than the one known here, {}", grouped(&known));
    }
    match source {
        Source::File => format!("The governance is version {} as it lies here.", governance.version),
        Source::Coordinator => {
            "The governance is what the coordinator says: compare its digest with your own \
                                copy."
                .to_owned()
        }
    }
}

/// How to do the same with nothing of ours.
fn by_hand(digest: &Digest) -> String {
    let short = &digest.to_string()[..8];
    format!(
        "The same by hand:\n  echo {} | ssh-keygen -Y sign -n {NAMESPACE} -f KEY > {short}.sig\n  perennial approve \
         {short} --signature {short}.sig\n\n",
        signed_line(digest).trim_end()
    )
}

fn hand_in(operator: &Operator, arguments: &Approve, name: &str, file: &Path) -> Result<(), Failure> {
    let signature = std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?;
    let person = match &arguments.person {
        Some(person) => person.to_string(),
        None => operator.cluster.settings()?.approver.clone(),
    };
    let counted = operator.client.approve(name, &person, &signature)?;
    operator
        .answer(&format!("approved: {} of {} approvals\n", counted["have"], counted["of"]), &json!(counted));
    Ok(())
}
