//! All that the attacker has seen pass, sorted so that it can be put together anew.

use crate::network::Lane;
use perennial_model::approval::{Approval, ApprovedPlan};
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening};
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::identity::Signed;
use perennial_model::mail::{PairingMessage, Reply, Request};
use perennial_model::plan::Chunk;
use perennial_model::probe::{ProbeSignature, ProbeTask};
use perennial_model::session::{Purpose, SessionMessage, SessionOutcome, SessionRequest};
use perennial_model::share_set::ShareSet;
use perennial_model::vote::{Vote, VoteKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How many messages are kept; a newer one takes the place of a random older one.
const MAIL_MAX: usize = 2_000;
/// How many attempts are kept, the newest.
const ATTEMPTS_MAX: usize = 40;
/// How many sessions are kept, the newest.
const SESSIONS_MAX: usize = 60;

/// A message to a signer, as it was once delivered.
#[derive(Clone)]
pub struct Mail {
    /// To whom.
    pub number: usize,
    /// On which links.
    pub lane: Lane,
    /// What it says.
    pub request: Arc<Request>,
}

/// What is known of one attempt.
#[derive(Clone, Default)]
pub struct Attempt {
    /// The holders' one-time keys.
    pub openings: BTreeMap<SignerId, Signed<Opening>>,
    /// What dealers were asked to agree on.
    pub inputs: Vec<Inputs>,
    /// The dealers' promises.
    pub commitments: BTreeMap<SignerId, Signed<Commitment>>,
    /// The dealings.
    pub dealings: BTreeMap<SignerId, Signed<Dealing>>,
    /// Votes that shares are stored.
    pub prepared: BTreeMap<SignerId, Signed<Vote>>,
    /// Votes that they are kept.
    pub kept: BTreeMap<SignerId, Signed<Vote>>,
    /// Probes.
    pub probes: BTreeMap<ProbeTask, ProbeSignature>,
    /// What let signers serve it.
    pub activation: Option<Certificate>,
    /// What let them erase all below it.
    pub retirement: Option<Certificate>,
}

impl Attempt {
    /// The votes of a kind.
    pub fn votes(&self, kind: VoteKind) -> &BTreeMap<SignerId, Signed<Vote>> {
        match kind {
            VoteKind::Prepared => &self.prepared,
            VoteKind::Keep => &self.kept,
        }
    }

    /// The root that its votes name.
    pub fn root(&self) -> Option<Digest> {
        self.prepared.values().find_map(|vote| vote.read_unchecked().ok()).map(|vote| vote.root)
    }
}

/// One session, as the attacker has it begun and what came of it.
#[derive(Clone)]
pub struct Session {
    /// What was asked for.
    pub request: SessionRequest,
    /// What its signers said.
    pub said: Vec<Signed<SessionMessage>>,
}

/// Everything seen.
#[derive(Default)]
pub struct Archive {
    /// Messages.
    pub mail: Vec<Mail>,
    /// Attempts.
    pub attempts: BTreeMap<Chunk, Attempt>,
    order: VecDeque<Chunk>,
    /// Plans with a quorum, or under a mandate.
    pub plans: Vec<(Digest, ApprovedPlan)>,
    /// Refreshes of wallets of which nothing was retired when people approved them.
    pub early: BTreeSet<Digest>,
    /// Those of them that are under a mandate.
    pub under_mandate: BTreeSet<Digest>,
    /// Approvals of all that people ever signed, with what they signed.
    pub approvals: Vec<(Digest, Approval)>,
    /// Versions of governance, in order.
    pub governances: Vec<ApprovedGovernance>,
    /// Share sets that were activated, in order.
    pub sets: Vec<(Digest, ShareSet)>,
    /// Share sets of attempts at making wallets, as they were prepared, in order.
    pub candidates: Vec<(Digest, ShareSet)>,
    /// Sessions, the newest last.
    pub sessions: VecDeque<Session>,
    /// Pairing mail, if any passed.
    pub pairing: Vec<Signed<PairingMessage>>,
}

impl Archive {
    /// Notes a message to a signer. `at` is a random place.
    pub fn deliver(&mut self, number: usize, lane: Lane, request: &Arc<Request>, at: usize) {
        let mail = Mail { number, lane, request: request.clone() };
        match self.mail.len() < MAIL_MAX {
            true => self.mail.push(mail),
            false => self.mail[at % MAIL_MAX] = mail,
        }
        match &**request {
            Request::Commit { inputs, .. } | Request::Verify { inputs, .. } => {
                let known = &mut self.attempt(inputs.chunk).inputs;
                if known.len() < 4 && !known.contains(inputs) {
                    known.push(inputs.clone());
                }
            }
            Request::Session(request) => self.begin(request),
            _ => {}
        }
    }

    /// Notes what an honest coordinator would send as the end of a step.
    pub fn certify(&mut self, certificate: &Certificate) {
        let attempt = self.attempt(certificate.inputs.chunk);
        match certificate.kind {
            VoteKind::Prepared => attempt.activation = Some(certificate.clone()),
            VoteKind::Keep => attempt.retirement = Some(certificate.clone()),
        }
    }

    /// Notes what a signer said.
    pub fn hear(&mut self, reply: &Reply) {
        match reply {
            Reply::Opened(said) => {
                if let Ok(body) = said.read_unchecked() {
                    self.attempt(body.chunk).openings.insert(said.signer.clone(), said.clone());
                }
            }
            Reply::Committed(said) => {
                if let Ok(body) = said.read_unchecked() {
                    self.attempt(body.chunk).commitments.insert(said.signer.clone(), said.clone());
                }
            }
            Reply::Dealt(said) => {
                if let Ok(body) = said.read_unchecked() {
                    self.attempt(body.chunk).dealings.insert(said.signer.clone(), said.clone());
                }
            }
            Reply::Voted(said) => {
                if let Ok(body) = said.read_unchecked() {
                    let attempt = self.attempt(body.chunk);
                    let votes = match body.kind {
                        VoteKind::Prepared => &mut attempt.prepared,
                        VoteKind::Keep => &mut attempt.kept,
                    };
                    votes.insert(said.signer.clone(), said.clone());
                }
            }
            Reply::SessionMail(said) => self.hear_session(said),
            Reply::Session(report) => {
                if let SessionOutcome::Signed(signatures) = &report.outcome {
                    self.hear_signatures(&report.session, signatures);
                }
            }
            Reply::PairingMail(said) if self.pairing.len() < MAIL_MAX => self.pairing.push(said.clone()),
            _ => {}
        }
    }

    /// Notes a plan that is sent under a mandate; whether it is new.
    pub fn unattended(&mut self, approved: &ApprovedPlan) -> bool {
        let digest = approved.plan.digest();
        let is_new = self.under_mandate.insert(digest);
        if is_new {
            self.plans.push((digest, approved.clone()));
        }
        is_new
    }

    /// Notes share sets that a signer serves.
    pub fn serve(&mut self, sets: impl Iterator<Item = ShareSet>) {
        for set in sets {
            let digest = encoding::digest(&set);
            if self.set(&digest).is_none() {
                self.sets.push((digest, set));
            }
        }
    }

    /// Notes share sets of wallets that are being made.
    pub fn prepare(&mut self, sets: impl Iterator<Item = ShareSet>) {
        for set in sets {
            let digest = encoding::digest(&set);
            if self.candidates.iter().all(|(known, _)| *known != digest) {
                self.candidates.push((digest, set));
            }
        }
    }

    /// The newest attempts, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = (&Chunk, &Attempt)> {
        self.order.iter().rev().filter_map(|chunk| self.attempts.get_key_value(chunk))
    }

    /// The plan of this digest.
    pub fn plan(&self, digest: &Digest) -> Option<&ApprovedPlan> {
        self.plans.iter().rev().find(|(known, _)| known == digest).map(|(_, plan)| plan)
    }

    /// The share set of this digest.
    pub fn set(&self, digest: &Digest) -> Option<&ShareSet> {
        self.sets.iter().rev().find(|(known, _)| known == digest).map(|(_, set)| set)
    }

    fn attempt(&mut self, chunk: Chunk) -> &mut Attempt {
        if !self.attempts.contains_key(&chunk) {
            self.order.push_back(chunk);
            if self.order.len() > ATTEMPTS_MAX
                && let Some(old) = self.order.pop_front()
            {
                self.attempts.remove(&old);
            }
        }
        self.attempts.entry(chunk).or_default()
    }

    fn begin(&mut self, request: &SessionRequest) {
        if self.sessions.iter().any(|known| known.request == *request) {
            return;
        }
        if self.sessions.len() == SESSIONS_MAX {
            self.sessions.pop_front();
        }
        self.sessions.push_back(Session { request: request.clone(), said: Vec::new() });
    }

    fn hear_session(&mut self, said: &Signed<SessionMessage>) {
        let Ok(body) = said.read_unchecked() else { return };
        if let Some(known) =
            self.sessions.iter_mut().rev().find(|known| known.request.session == body.session)
        {
            known.said.push(said.clone());
        }
    }

    fn hear_signatures(&mut self, session: &Digest, signatures: &[perennial_model::signature::RawSignature]) {
        let known = self.sessions.iter().rev().find(|known| known.request.session == *session);
        let Some(Purpose::Probes { chunk, tasks, .. }) = known.map(|known| &known.request.purpose) else {
            return;
        };
        let (chunk, tasks) = (*chunk, tasks.clone());
        let attempt = self.attempt(chunk);
        for (task, signature) in tasks.into_iter().zip(signatures) {
            let probe = ProbeSignature { task: task.clone(), signature: signature.clone() };
            attempt.probes.insert(task, probe);
        }
    }
}
