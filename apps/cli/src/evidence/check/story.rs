//! What the entries tell, one after the other: plans, who approved them, what was activated and retired, and what was
//! signed. Each is checked against what came before it, so the order of the ledger is the order of events.

use super::ledger::Line;
use super::only_wallet;
use super::possession::Possessed;
use super::signatures::{self, SignedEntry};
use super::thefts;
use crate::evidence::bundle::About;
use crate::evidence::documents::Documents;
use crate::evidence::facts::{At, AttemptFact, CeremonyFact, Moment};
use crate::evidence::flaw::{Check, Flaw};
use perennial_ledger::entry::Content;
use perennial_model::approval::{Approved, ApprovedPlan};
use perennial_model::certificate::{Certificate, Confirmed};
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest};
use perennial_model::evidence::{CreatedWallets, read_subject};
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{Governance, PersonId};
use perennial_model::identity::Signed;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::receipt::Receipt;
use perennial_model::theft::TheftReport;
use perennial_model::vote::VoteKind;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that the entries tell.
#[derive(Debug)]
pub struct Story<'h> {
    about: &'h About,
    history: &'h History,
    /// When each version of governance was pinned.
    pub pinned: BTreeMap<u64, At>,
    /// Each ceremony by its plan.
    pub ceremonies: BTreeMap<Digest, Ceremony>,
    /// What was signed.
    pub signatures: Vec<SignedEntry>,
    /// Reports of thefts by their digests.
    pub thefts: BTreeMap<Digest, (At, TheftReport)>,
    /// What happened, in order, but for signatures.
    pub timeline: Vec<Moment>,
}

/// One plan and what came of it.
#[derive(Debug, Default)]
pub struct Ceremony {
    /// When it was submitted: before everything else that is told of it.
    pub submitted: Option<At>,
    /// Who is said to have approved it.
    said: BTreeSet<PersonId>,
    /// The plan and who approved it.
    pub approved: Option<ApprovedAt>,
    /// Its attempts.
    pub attempts: BTreeMap<Chunk, Attempt>,
    /// When it was over.
    pub ended: Option<At>,
}

/// A plan that a quorum approved.
#[derive(Debug)]
pub struct ApprovedAt {
    /// When.
    pub at: At,
    /// The plan.
    pub plan: Approved,
    /// Who approved it, or the mandate that stands for that.
    pub people: Vec<PersonId>,
}

/// One attempt at one chunk.
#[derive(Debug, Default)]
pub struct Attempt {
    /// Its Activation.
    pub activated: Option<(At, Confirmed)>,
    /// Its Retirement.
    pub retired: Option<At>,
    /// The wallets that it made.
    pub created: Option<(At, CreatedWallets)>,
    /// Receipts for what it retired.
    pub receipts: Vec<(At, SignerId, Receipt)>,
    /// When it was left.
    pub left: Option<At>,
}

impl Attempt {
    /// The certificate of its Activation.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.activated.as_ref().map(|(_, confirmed)| &confirmed.certificate)
    }
}

impl<'h> Story<'h> {
    /// Nothing told yet.
    pub fn new(about: &'h About, history: &'h History) -> Self {
        Self {
            about,
            history,
            pinned: BTreeMap::new(),
            ceremonies: BTreeMap::new(),
            signatures: Vec::new(),
            thefts: BTreeMap::new(),
            timeline: Vec::new(),
        }
    }

    /// What it is about.
    pub fn about(&self) -> &'h About {
        self.about
    }

    /// The plan of an attempt that was activated.
    pub fn plan_of(&self, chunk: &Chunk) -> Option<&Approved> {
        Some(&self.ceremonies.get(&chunk.plan)?.approved.as_ref()?.plan)
    }

    /// Every attempt with its chunk.
    pub fn attempts(&self) -> impl Iterator<Item = (&Chunk, &Attempt)> {
        self.ceremonies.values().flat_map(|ceremony| &ceremony.attempts)
    }

    /// Takes in the next entry.
    pub fn take(&mut self, line: &Line, documents: &mut Documents<'_>) -> Result<(), Flaw> {
        if let Content::Signature(signature) = &line.entry.content {
            let body = line.body(documents)?;
            self.signatures.push(signatures::read(line, signature, body, self.about)?);
            return Ok(());
        }
        let (kind, body) = (line.entry.kind(), line.body(documents)?);
        let subject = line.entry.subject.as_str();
        if kind == "governance-pinned" {
            return self.take_governance(line, body);
        }
        if kind == "theft-reported" {
            return self.take_theft(line, body);
        }
        self.timeline.push(Moment { at: line.at, kind: kind.into(), subject: subject.into() });
        if matches!(kind, "activation" | "retirement" | "wallets-created" | "receipt" | "attempt-left") {
            let chunk =
                read_subject(subject).ok_or_else(|| line.flaw(Check::Entry, "its subject is no chunk"))?;
            return self.take_attempt(line, &chunk, body);
        }
        let (plan, person) = read_plan_subject(kind, subject)
            .ok_or_else(|| line.flaw(Check::Entry, "its subject is not of its form"))?;
        self.check_concern(line, &plan)?;
        let history = self.history;
        let ceremony = self.ceremonies.entry(plan).or_default();
        if kind != "plan-submitted" && ceremony.submitted.is_none() {
            return Err(line.flaw(Check::Plan, "no plan-submitted of its plan comes before it"));
        }
        match kind {
            "plan-submitted" | "plan-approval" => {
                if line.digest() != plan {
                    return Err(line.flaw(Check::Plan, format!("its body is {}", line.digest())));
                }
                check_contains(self.about, line, &read_in(line, Check::Plan, body)?)?;
                ceremony.submitted.get_or_insert(line.at);
                ceremony.said.extend(person);
                ceremony.check_people(line)?;
            }
            "plan-approved" => {
                if ceremony.approved.is_some() {
                    return Err(line.flaw(Check::Plan, "it was approved before"));
                }
                let newest = self.pinned.last_key_value().map(|(version, _)| *version);
                ceremony.approved = Some(approved(line, &plan, body, history, newest)?);
                ceremony.check_people(line)?;
            }
            "given-up" => {}
            "ceremony-finished" => {
                ceremony.ended.get_or_insert(line.at);
            }
            other => return Err(line.flaw(Check::Entry, format!("{other} is no kind that is known"))),
        }
        Ok(())
    }

    fn check_concern(&self, line: &Line, plan: &Digest) -> Result<(), Flaw> {
        match self.about {
            About::Ceremony { plan: wanted } if wanted != plan => {
                Err(line.flaw(Check::Entry, format!("the bundle is about the ceremony {wanted}")))
            }
            _ => Ok(()),
        }
    }

    fn take_governance(&mut self, line: &Line, body: &[u8]) -> Result<(), Flaw> {
        let pinned: ApprovedGovernance = read_in(line, Check::Governance, body)?;
        let version = pinned.governance.version;
        let at = version.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let known = at.and_then(|at| self.history.versions().0.get(at));
        if known != Some(&pinned) || line.entry.subject.as_str() != format!("version {version}") {
            return Err(line.flaw(Check::Governance, "it is not that version in governance.cbor"));
        }
        if self.pinned.last_key_value().is_some_and(|(newest, _)| *newest >= version) {
            return Err(line.flaw(Check::Governance, "a later version was pinned before it"));
        }
        let (at, subject) = (line.at, line.entry.subject.as_str().to_owned());
        self.timeline.push(Moment { at, kind: line.entry.kind().into(), subject });
        self.pinned.insert(version, line.at);
        Ok(())
    }

    fn take_theft(&mut self, line: &Line, body: &[u8]) -> Result<(), Flaw> {
        let report = thefts::read(line, body, self.about, &self.thefts)?;
        let (at, subject) = (line.at, line.entry.subject.as_str().to_owned());
        self.timeline.push(Moment { at, kind: line.entry.kind().into(), subject });
        self.thefts.insert(line.digest(), (at, report));
        Ok(())
    }

    fn take_attempt(&mut self, line: &Line, chunk: &Chunk, body: &[u8]) -> Result<(), Flaw> {
        self.check_concern(line, &chunk.plan)?;
        let (about, history) = (self.about, self.history);
        let ceremony = self.ceremonies.entry(chunk.plan).or_default();
        let Ceremony { approved: Some(approved), attempts, .. } = ceremony else {
            return Err(line.flaw(Check::Plan, "its plan was not approved before it, or that is not here"));
        };
        let plan = &approved.plan;
        let wallets = plan.plan().wallets_of(chunk).map_err(|error| line.flaw(Check::Certificate, error))?;
        if let Some(wallet) = only_wallet(about)
            && !wallets.iter().any(|planned| planned.id() == wallet)
        {
            return Err(line.flaw(Check::Entry, format!("the bundle is about {wallet}, which is not in it")));
        }
        let governance = find(line, history, plan.plan())?;
        let attempt = attempts.entry(*chunk).or_default();
        match line.entry.kind() {
            "activation" => attempt.activate(line, chunk, body, (plan, governance)),
            "retirement" => attempt.retire(line, chunk, body, (plan, governance)),
            "wallets-created" => attempt.create(line, chunk, body),
            "receipt" => attempt.erase(line, chunk, body, history),
            _ => {
                attempt.left.get_or_insert(line.at);
                Ok(())
            }
        }
    }

    /// The ceremonies, by the time at which the ledger first speaks of each.
    pub fn ceremony_facts(&self, history: &History, possessed: &Possessed) -> Vec<CeremonyFact> {
        let mut facts: Vec<CeremonyFact> = Vec::new();
        for (plan, ceremony) in &self.ceremonies {
            facts.push(ceremony.fact(plan, history, possessed));
        }
        facts.sort_by_key(|fact| fact.submitted.or(fact.approved).map_or(u64::MAX, |at| at.place));
        facts
    }
}

impl Attempt {
    fn activate(
        &mut self,
        line: &Line,
        chunk: &Chunk,
        body: &[u8],
        under: (&Approved, &Governance),
    ) -> Result<(), Flaw> {
        if self.activated.is_some() {
            return Err(line.flaw(Check::Certificate, "it was activated before"));
        }
        let confirmed = confirmed(line, chunk, body, VoteKind::Prepared, under)?;
        self.activated = Some((line.at, confirmed));
        Ok(())
    }

    fn retire(
        &mut self,
        line: &Line,
        chunk: &Chunk,
        body: &[u8],
        under: (&Approved, &Governance),
    ) -> Result<(), Flaw> {
        if self.retired.is_some() {
            return Err(line.flaw(Check::Certificate, "it was retired before"));
        }
        let kept = confirmed(line, chunk, body, VoteKind::Keep, under)?.certificate;
        let active = self.certificate();
        if !active.is_some_and(|active| active.inputs == kept.inputs && active.root == kept.root) {
            return Err(line.flaw(Check::Certificate, "no Activation of the same shares comes before it"));
        }
        self.retired = Some(line.at);
        Ok(())
    }

    fn create(&mut self, line: &Line, chunk: &Chunk, body: &[u8]) -> Result<(), Flaw> {
        let created: CreatedWallets = read_in(line, Check::ShareSet, body)?;
        if created.chunk != *chunk || self.activated.is_none() {
            return Err(line.flaw(Check::ShareSet, "it is of another chunk, or nothing was activated before"));
        }
        if self.created.is_some() {
            return Err(line.flaw(Check::ShareSet, "they were created before"));
        }
        self.created = Some((line.at, created));
        Ok(())
    }

    fn erase(&mut self, line: &Line, chunk: &Chunk, body: &[u8], history: &History) -> Result<(), Flaw> {
        let refused = |reason: String| line.flaw(Check::Receipt, reason);
        let signed: Signed<Receipt> = minicbor::decode(body).map_err(|error| refused(error.to_string()))?;
        if minicbor::to_vec(&signed).ok().as_deref() != Some(body) {
            return Err(refused("it is not in its one form".into()));
        }
        let said = signed.check(history).map_err(|error| refused(error.to_string()))?;
        if said.body.chunk != *chunk || self.retired.is_none() {
            return Err(refused("it is of another chunk, or nothing was retired before".into()));
        }
        self.receipts.push((line.at, said.signer, said.body));
        Ok(())
    }
}

impl Ceremony {
    /// Nobody is said to have approved whose approval is not among those that made the quorum.
    fn check_people(&self, line: &Line) -> Result<(), Flaw> {
        let Some(approved) = &self.approved else { return Ok(()) };
        // Under a mandate nobody approves the plan itself.
        let is_mandated = approved.plan.mandate().is_some();
        match self.said.iter().find(|person| is_mandated || !approved.people.contains(person)) {
            None => Ok(()),
            Some(person) => {
                Err(line.flaw(Check::Plan, format!("no approval of {person} is among those of the plan")))
            }
        }
    }

    fn fact(&self, plan: &Digest, history: &History, possessed: &Possessed) -> CeremonyFact {
        let governance =
            self.approved.as_ref().and_then(|known| history.version_of(&known.plan.plan().governance));
        let role = |person: &PersonId| {
            let known = governance.and_then(|governance| governance.approver(person));
            known.map_or_else(String::new, |approver| approver.role.to_string())
        };
        let people = self.approved.iter().flat_map(|known| &known.people);
        let attempt = |(chunk, attempt): (&Chunk, &Attempt)| AttemptFact {
            chunk: *chunk,
            holders: attempt.certificate().map(|known| known.inputs.holders.clone()).unwrap_or_default(),
            activated: attempt.activated.as_ref().map(|(at, _)| *at),
            retired: attempt.retired,
            receipts: attempt
                .receipts
                .iter()
                .map(|(at, signer, receipt)| {
                    (*at, signer.clone(), receipt.erased_at_ms, receipt.level.name())
                })
                .collect(),
            left: attempt.left,
            is_possessed: possessed.contains(chunk),
        };
        CeremonyFact {
            plan: *plan,
            approved_plan: self.approved.as_ref().map(|known| known.plan.plan().clone()),
            governance_version: governance.map(|governance| governance.version),
            approved_by: people.map(|person| (person.clone(), role(person))).collect(),
            submitted: self.submitted,
            approved: self.approved.as_ref().map(|known| known.at),
            attempts: self.attempts.iter().map(attempt).collect(),
            ended: self.ended,
        }
    }
}

/// The plan of a subject, and the person where a person's approval is entered; none in any other form.
fn read_plan_subject(kind: &str, subject: &str) -> Option<(Digest, Option<PersonId>)> {
    let (plan, person) = match (kind, subject.split_once(' ')) {
        ("plan-approval", Some((plan, person))) => (plan, Some(person.parse().ok()?)),
        ("plan-approval", None) | (_, Some(_)) => return None,
        (_, None) => (subject, None),
    };
    let digest: Digest = plan.parse().ok()?;
    (digest.to_string() == plan).then_some((digest, person))
}

/// A wallet's bundle has only plans that name the wallet.
fn check_contains(about: &About, line: &Line, plan: &Plan) -> Result<(), Flaw> {
    let Some(wallet) = only_wallet(about) else { return Ok(()) };
    match plan.wallets.iter().any(|planned| planned.id() == wallet) {
        true => Ok(()),
        false => Err(line.flaw(Check::Entry, format!("the bundle is about {wallet}, which is not in it"))),
    }
}

/// A plan with its quorum, under the version of governance that was in force when it was complete.
fn approved(
    line: &Line,
    plan: &Digest,
    body: &[u8],
    history: &History,
    newest: Option<u64>,
) -> Result<ApprovedAt, Flaw> {
    let refused = |reason: String| line.flaw(Check::Plan, reason);
    let written: ApprovedPlan = read_in(line, Check::Plan, body)?;
    let governance = find(line, history, &written.plan)?;
    if newest != Some(governance.version) {
        let (named, newest) = (governance.version, newest.unwrap_or(0));
        return Err(refused(format!("it names governance version {named}, and {newest} was in force")));
    }
    let mandated = written.mandate.iter().flat_map(|approved| &approved.approvals);
    let people = written.approvals.iter().chain(mandated).map(|approval| approval.person.clone()).collect();
    let approved = written.check(governance).map_err(|error| refused(error.to_string()))?;
    if approved.digest() != *plan {
        return Err(refused(format!("the plan in it has the digest {}", approved.digest())));
    }
    Ok(ApprovedAt { at: line.at, plan: approved, people })
}

fn find<'h>(line: &Line, history: &'h History, plan: &Plan) -> Result<&'h Governance, Flaw> {
    history.find(&plan.governance).map_err(|error| line.flaw(Check::Plan, error))
}

fn confirmed(
    line: &Line,
    chunk: &Chunk,
    body: &[u8],
    kind: VoteKind,
    (plan, governance): (&Approved, &Governance),
) -> Result<Confirmed, Flaw> {
    let certificate: Certificate = read_in(line, Check::Certificate, body)?;
    if certificate.kind != kind || certificate.inputs.chunk != *chunk {
        let (came, of) = (certificate.kind, certificate.inputs.chunk);
        return Err(line.flaw(Check::Certificate, format!("it is a {came} certificate of {of}")));
    }
    let mut members = plan.plan().committee.signers();
    if !certificate.inputs.holders.iter().all(|holder| members.any(|member| member == holder)) {
        let reason = "its holders are not members of the committee in the order of their seats";
        return Err(line.flaw(Check::Certificate, reason));
    }
    certificate.check(plan, governance).map_err(|error| line.flaw(Check::Certificate, error))
}

pub(super) fn read_in<D: encoding::Document>(line: &Line, check: Check, body: &[u8]) -> Result<D, Flaw> {
    encoding::decode(body).map_err(|error| line.flaw(check, error))
}
