//! One plan's ceremony: its approvals, the cutting into chunks, the attempts, and which of them may start or
//! retire now. Like an attempt it is moved by facts alone, and replaying them rebuilds it.
//!
//! It never goes on with an attempt of a wallet once a higher one is started: the wallets of an attempt that is
//! left go back to those that wait, and only from there into the next.

use crate::ceremony::cutting::Portion;
use crate::ceremony::inputs::Experience;
use crate::ceremony::states::Terms;
use crate::ceremony::status::{CeremonyStatus, ChunkStatus, Count, Holding, Phase, Stage};
use crate::ceremony::{Attempt, Fact, Reason, State};
use minicbor::{Decode, Encode};
use perennial_model::approval::{Approval, Approved, ApprovedPlan, Question};
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::History;
use perennial_model::governance::{Governance, PersonId};
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::theft::TheftReport;
use perennial_model::wallet::{Scheme, WalletId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What happened to a ceremony.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum CeremonyFact {
    /// Somebody asked for it.
    #[n(0)]
    Submitted(#[n(0)] Box<Plan>),
    /// Somebody approved it.
    #[n(1)]
    Approved(#[n(0)] Approval),
    /// The plan was cut.
    #[n(2)]
    Cut(#[n(0)] Vec<Portion>),
    /// The first of the waiting portions has its attempt.
    #[n(3)]
    Started(#[n(0)] Chunk),
    /// Something happened to an attempt.
    #[n(4)]
    Chunk(#[n(0)] Chunk, #[n(1)] Box<Fact>),
    /// No attempt is left for the wallets that wait.
    #[n(5)]
    GivenUp,
    /// Nobody approved it in time.
    #[n(6)]
    Expired,
    /// Nothing is left to do.
    #[n(7)]
    Finished,
    /// Governance changed before it was approved.
    #[n(8)]
    Outdated,
    /// People have called it off before it was approved.
    #[n(9)]
    Cancelled,
    /// A mandate stands for its approvals.
    #[n(10)]
    UnderMandate(#[n(0)] Box<ApprovedMandate>),
    /// No ceremony but what ceremonies go by: people have given a mandate.
    #[n(11)]
    Mandated(#[n(0)] Box<ApprovedMandate>),
    /// No ceremony but what ceremonies go by: people have given an order.
    #[n(12)]
    Ordered(#[n(0)] Box<ApprovedOrder>),
    /// No ceremony: somebody has reported copies as stolen, or withdrawn such a report.
    #[n(13)]
    TheftReported(#[n(0)] Box<TheftReport>),
}

/// How the ECDSA wallets of a plan stand together.
struct Together {
    /// The highest number that one of them needs.
    highest: Option<Epoch>,
    /// Whether all of them can be retired under it.
    is_ready: bool,
}

/// A fact that does not fit the ceremony. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fact that does not fit: {0}")]
pub struct Unfit(pub String);

/// What the ceremony as a whole has to do now; the attempts have steps of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next<'a> {
    /// Wait for people.
    AwaitApproval,
    /// Cut the plan into portions.
    Cut,
    /// Start this attempt, when the plan's dates and the limits allow.
    Start(&'a Portion, Chunk),
    /// See to the attempts.
    Attend,
    /// Everything is done: say so.
    Finish,
    /// Nothing, ever.
    Rest,
}

/// One plan's ceremony.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ceremony {
    /// The plan's digest.
    pub digest: Digest,
    /// The plan with the approvals that came.
    pub submitted: ApprovedPlan,
    /// How many approvals it takes.
    pub approvals_needed: u32,
    approvals_counted: u32,
    /// The plan, once its quorum is complete.
    pub approved: Option<Arc<Approved>>,
    /// Where it is.
    pub stage: Stage,
    /// Every attempt, by number and place.
    pub attempts: BTreeMap<Chunk, Attempt>,
    /// What its attempts have shown.
    pub experience: Experience,
    cut: bool,
    waiting: VecDeque<(u32, Portion)>,
    wallets_given_up: u32,
    given_up_on_bases: bool,
    submitted_ms: u64,
    approved_ms: Option<u64>,
    finished_ms: Option<u64>,
}

impl Ceremony {
    /// A ceremony that nobody has approved yet.
    pub fn submitted(at_ms: u64, plan: Plan, history: &History) -> Self {
        let under_mandate = plan.mandate.is_some();
        let of_version = |governance: &Governance| {
            if under_mandate {
                return Some(0);
            }
            let Question { matter, tier, .. } = plan.question();
            governance.approvals_for(matter, tier)
        };
        Self {
            digest: plan.digest(),
            approvals_needed: history.version_of(&plan.governance).and_then(of_version).unwrap_or(u32::MAX),
            approvals_counted: 0,
            submitted: ApprovedPlan::new(plan),
            approved: None,
            stage: Stage::AwaitingApproval,
            attempts: BTreeMap::new(),
            experience: Experience::default(),
            cut: false,
            waiting: VecDeque::new(),
            wallets_given_up: 0,
            given_up_on_bases: false,
            submitted_ms: at_ms,
            approved_ms: None,
            finished_ms: None,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.submitted.plan
    }

    /// Takes in a fact that came at `at_ms`, in milliseconds since 1970. Whether an approval is genuine is
    /// checked here once more, with the quorum.
    ///
    /// # Errors
    /// [`Unfit`], and nothing has changed.
    pub fn apply(&mut self, at_ms: u64, fact: CeremonyFact, history: &History) -> Result<(), Unfit> {
        match (self.stage, fact) {
            (Stage::AwaitingApproval, CeremonyFact::Approved(approval)) => {
                if self.submitted.approvals.iter().any(|known| known.person == approval.person) {
                    return Err(Unfit(format!("{} has approved already", approval.person)));
                }
                self.submitted.approvals.push(approval);
                self.complete_quorum(at_ms, history)
            }
            (Stage::AwaitingApproval, CeremonyFact::Expired) => self.end(Stage::Expired, at_ms),
            (Stage::AwaitingApproval, CeremonyFact::Outdated) => self.end(Stage::Outdated, at_ms),
            (Stage::AwaitingApproval, CeremonyFact::Cancelled) => self.end(Stage::Cancelled, at_ms),
            (Stage::AwaitingApproval, CeremonyFact::UnderMandate(mandate)) => {
                self.submitted.mandate = Some(mandate);
                self.run(at_ms, history).inspect_err(|_| self.submitted.mandate = None)
            }
            (Stage::Running, CeremonyFact::Cut(portions)) if !self.cut => {
                self.cut = true;
                let first = *self.plan().counts().start();
                self.waiting = portions.into_iter().map(|portion| (first, portion)).collect();
                Ok(())
            }
            (Stage::Running, CeremonyFact::Started(chunk)) => self.start(at_ms, chunk),
            (Stage::Running, CeremonyFact::Chunk(chunk, fact)) => self.apply_to(at_ms, chunk, *fact),
            (Stage::Running, CeremonyFact::GivenUp) => {
                for (_, portion) in std::mem::take(&mut self.waiting) {
                    self.give_up(portion.scheme, portion.count);
                }
                Ok(())
            }
            (Stage::Running, CeremonyFact::Finished) if self.next() == Next::Finish => {
                self.end(Stage::Done, at_ms)
            }
            (stage, _) => Err(Unfit(format!("ceremony {} is {stage}", self.digest.short()))),
        }
    }

    /// What is to be done now, apart from the steps of the attempts.
    pub fn next(&self) -> Next<'_> {
        match self.stage {
            Stage::AwaitingApproval => Next::AwaitApproval,
            Stage::Done | Stage::Expired | Stage::Outdated | Stage::Cancelled => Next::Rest,
            Stage::Running if !self.cut => Next::Cut,
            Stage::Running => match self.waiting.front() {
                Some((count, portion)) => Next::Start(portion, self.chunk(*count, portion)),
                None if self.attempts.values().all(Attempt::is_over) => Next::Finish,
                None => Next::Attend,
            },
        }
    }

    /// Whether the Keep votes of an attempt may become a Retirement now. Pair bases are made per pair and attempt
    /// number, and the first Retirement erases those of every lower number; so the ECDSA wallets of a refresh are
    /// retired under one number or not at all. Where one of them is given up the others stay beside their parents until
    /// the next plan names all of them; those that are being made have no parent to lose, and go on without it.
    pub fn may_retire(&self, chunk: &Chunk) -> bool {
        let Some(attempt) = self.attempts.get(chunk) else { return false };
        attempt.terms.scheme != Scheme::Ecdsa || self.together().is_ready
    }

    /// The number to which an attempt has to follow other ECDSA wallets of its plan, if there is one.
    pub fn outrun_by(&self, chunk: &Chunk) -> Option<Epoch> {
        let attempt = self.attempts.get(chunk)?;
        if attempt.terms.scheme != Scheme::Ecdsa || attempt.is_over() {
            return None;
        }
        self.together().highest.filter(|highest| *highest > chunk.epoch)
    }

    /// The ECDSA chunks that have something to do because of each other: they follow to a higher number, or are retired.
    pub fn moved_by_each_other(&self) -> Vec<Chunk> {
        let Together { highest, is_ready } = self.together();
        let moves = |attempt: &&Attempt| {
            let outrun = highest.is_some_and(|highest| highest > attempt.terms.chunk.epoch);
            !attempt.is_over() && (is_ready || outrun)
        };
        self.on_bases().filter(moves).map(|attempt| attempt.terms.chunk).collect()
    }

    /// How the ECDSA wallets of the plan stand together. Those that are being made wait for each other, so that none is
    /// refreshed while another is being made beside it; but each keeps its number, since a signer makes no wallet twice,
    /// and no Retirement among them takes a base that another stands on.
    fn together(&self) -> Together {
        if planted!(BasesUnderSeveralNumbers) {
            return Together { highest: None, is_ready: true };
        }
        let made = self.plan().action == Action::Create;
        let waiting = self.waiting.iter().filter(|(_, portion)| portion.scheme == Scheme::Ecdsa);
        let waiting = waiting.map(|(count, _)| Epoch::new(self.plan().rank, *count)).max();
        let highest = self.on_bases().map(|attempt| attempt.terms.chunk.epoch).max().max(waiting);
        let is_done = |attempt: &Attempt| match &attempt.state {
            State::Keeping(state) => {
                state.is_complete() && (made || Some(attempt.terms.chunk.epoch) == highest)
            }
            State::Retiring(_) | State::Retired(_) | State::Left(_) => true,
            _ => false,
        };
        let given_up = self.given_up_on_bases && !made;
        let is_ready = !given_up && waiting.is_none() && self.on_bases().all(is_done);
        Together { highest: highest.filter(|_| !made), is_ready }
    }

    fn on_bases(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.values().filter(|attempt| attempt.terms.scheme == Scheme::Ecdsa)
    }

    /// Whether some member may still be asked to open.
    pub fn has_openings_ahead(&self) -> bool {
        self.stage == Stage::Running
            && (!self.cut
                || !self.waiting.is_empty()
                || self.attempts.values().any(|attempt| matches!(attempt.state, State::Opening(_))))
    }

    /// For people to look at.
    pub fn status(&self) -> CeremonyStatus {
        let wallets_retired = |attempt: &Attempt| match attempt.state {
            State::Retiring(_) | State::Retired(_) => attempt.terms.chunk.count,
            _ => 0,
        };
        CeremonyStatus {
            ceremony: self.digest,
            action: self.plan().action,
            wallets: self.plan().wallets.len() as u32,
            rank: self.plan().rank,
            stage: self.stage,
            approvals: self.approvals(),
            submitted_ms: self.submitted_ms,
            approved_ms: self.approved_ms,
            finished_ms: self.finished_ms,
            attempts: self.attempts.values().map(Attempt::status).collect(),
            wallets_retired: self.attempts.values().map(wallets_retired).sum(),
            wallets_given_up: self.wallets_given_up,
            wallets_waiting: self.waiting.iter().map(|(_, portion)| portion.count).sum(),
            mandate: self.plan().mandate.map(|under| under.mandate),
        }
    }

    /// Approvals, of those that governance asks for.
    pub fn approvals(&self) -> Count {
        Count { have: self.approvals_counted, of: self.approvals_needed }
    }

    /// The wallets that wait for an attempt.
    pub fn waiting_wallets(&self) -> Vec<WalletId> {
        let range = |portion: &Portion| portion.first as usize..(portion.first + portion.count) as usize;
        let planned = self.waiting.iter().filter_map(|(_, portion)| self.plan().wallets.get(range(portion)));
        planned.flatten().map(PlannedWallet::id).cloned().collect()
    }

    /// How many attempts are before their Activation.
    pub fn attempts_in_flight(&self) -> usize {
        self.attempts.values().filter(|attempt| attempt.phase().is_before_activation()).count()
    }

    fn end(&mut self, stage: Stage, at_ms: u64) -> Result<(), Unfit> {
        self.stage = stage;
        self.finished_ms = Some(at_ms);
        Ok(())
    }

    /// Runs once the quorum is there. An approval beyond what its role takes is kept, and the others are awaited.
    fn complete_quorum(&mut self, at_ms: u64, history: &History) -> Result<(), Unfit> {
        let ApprovedPlan { plan, approvals, .. } = &self.submitted;
        if let Some(governance) = history.version_of(&plan.governance) {
            let people: Vec<&PersonId> = approvals.iter().map(|approval| &approval.person).collect();
            self.approvals_counted = governance.counted(plan.action.into(), plan.tier, &people);
        }
        if self.approvals_counted < self.approvals_needed {
            return Ok(());
        }
        self.run(at_ms, history).inspect_err(|_| drop(self.submitted.approvals.pop()))
    }

    fn run(&mut self, at_ms: u64, history: &History) -> Result<(), Unfit> {
        let governance = history.find(&self.plan().governance);
        let approved = governance.and_then(|governance| self.submitted.clone().check(governance));
        self.approved = Some(Arc::new(approved.map_err(|error| Unfit(error.to_string()))?));
        self.stage = Stage::Running;
        self.approved_ms = Some(at_ms);
        Ok(())
    }

    fn chunk(&self, count: u32, portion: &Portion) -> Chunk {
        let epoch = Epoch::new(self.plan().rank, count);
        Chunk { plan: self.digest, epoch, first: portion.first, count: portion.count }
    }

    fn start(&mut self, at_ms: u64, chunk: Chunk) -> Result<(), Unfit> {
        let approved = self.approved.clone().ok_or_else(|| Unfit("not approved".into()))?;
        match self.waiting.front() {
            Some((count, portion)) if self.chunk(*count, portion) == chunk => {}
            _ => return Err(Unfit(format!("{chunk} is not the next to start"))),
        }
        if let Some((_, portion)) = self.waiting.pop_front() {
            let terms = Terms { chunk, scheme: portion.scheme, plan: approved, parent: portion.parent };
            self.attempts.insert(chunk, Attempt::new(at_ms, terms));
        }
        Ok(())
    }

    fn apply_to(&mut self, at_ms: u64, chunk: Chunk, fact: Fact) -> Result<(), Unfit> {
        let attempt =
            self.attempts.remove(&chunk).ok_or_else(|| Unfit(format!("{chunk} was never started")))?;
        let (attempt, result) = match attempt.apply(at_ms, fact) {
            Ok(attempt) => (attempt, Ok(())),
            Err(refused) => {
                let unfit = Unfit(refused.to_string());
                (*refused.attempt, Err(unfit))
            }
        };
        if let (Ok(()), State::Left(reason)) = (&result, &attempt.state) {
            self.experience.learn(reason);
            self.try_again(&attempt, reason);
        }
        self.attempts.insert(chunk, attempt);
        result
    }

    /// Whether an attempt that was left has a successor.
    pub fn tries_again(&self, chunk: &Chunk, reason: &Reason) -> bool {
        chunk.epoch.count < *self.plan().counts().end()
            && !matches!(
                reason,
                Reason::Superseded(_) | Reason::TooLate | Reason::Outdated | Reason::Cancelled
            )
    }

    fn give_up(&mut self, scheme: Scheme, wallets: u32) {
        self.wallets_given_up += wallets;
        self.given_up_on_bases |= scheme == Scheme::Ecdsa;
    }

    /// The wallets of an attempt that was left wait for the next number, in two halves; together, if they were not
    /// what failed.
    fn try_again(&mut self, attempt: &Attempt, reason: &Reason) {
        let chunk = attempt.terms.chunk;
        let scheme = attempt.terms.scheme;
        if !self.tries_again(&chunk, reason) {
            self.give_up(scheme, chunk.count);
            return;
        }
        let portion =
            |first: u32, count: u32| Portion { first, count, scheme, parent: attempt.terms.parent.clone() };
        if let Reason::Outrun(epoch) = reason {
            return self.waiting.push_back((epoch.count, portion(chunk.first, chunk.count)));
        }
        let next = chunk.epoch.count + 1;
        let half = chunk.count / 2;
        self.waiting.push_back((next, portion(chunk.first, chunk.count - half)));
        if half > 0 {
            self.waiting.push_back((next, portion(chunk.first + chunk.count - half, half)));
        }
    }
}

impl Attempt {
    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Retired(_) | State::Left(_))
    }

    /// Whether the plan allows no attempt after it. The last one is not left for silence: it waits for as long as
    /// the plan lasts.
    pub fn is_last(&self) -> bool {
        self.terms.chunk.epoch.count >= *self.terms.plan().counts().end()
    }

    /// When its Activation was put together, in milliseconds since 1970; 0 if it never was.
    pub fn activated_ms(&self) -> u64 {
        self.progress.entered_ms(Phase::Activating).unwrap_or(0)
    }

    /// When its Retirement was, in milliseconds since 1970; 0 if it never was.
    pub fn retired_ms(&self) -> u64 {
        let retired = || self.progress.entered_ms(Phase::Retired);
        self.progress.entered_ms(Phase::Retiring).or_else(retired).unwrap_or(0)
    }

    fn status(&self) -> ChunkStatus {
        let left = match &self.state {
            State::Left(reason) => Some(reason.clone()),
            _ => None,
        };
        ChunkStatus {
            chunk: self.terms.chunk,
            scheme: self.terms.scheme,
            phase: self.phase(),
            counts: self.progress.counts,
            entered_ms: self.progress.phases.clone(),
            left,
            declined: Vec::new(),
            holding: Holding::of(&self.state, &self.progress),
        }
    }
}
