//! How far a ceremony is, for people to look at. Nothing here decides anything.

use crate::ceremony::{Fact, Reason, State};
use minicbor::{Decode, Encode};
use perennial_model::committee::SignerId;
use perennial_model::encoding::{Digest, Document};
use perennial_model::plan::{Action, Chunk};
use perennial_model::wallet::Scheme;
use std::fmt;

/// A word for each state of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
#[allow(missing_docs)]
pub enum Phase {
    #[n(0)]
    Opening,
    #[n(1)]
    Committing,
    #[n(2)]
    Dealing,
    #[n(3)]
    Preparing,
    #[n(4)]
    Probing,
    #[n(5)]
    Activating,
    #[n(6)]
    Keeping,
    #[n(7)]
    Retiring,
    #[n(8)]
    Retired,
    #[n(9)]
    Left,
}

impl Phase {
    /// The word, as shown and as written in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Committing => "committing",
            Self::Dealing => "dealing",
            Self::Preparing => "preparing",
            Self::Probing => "probing",
            Self::Activating => "activating",
            Self::Keeping => "keeping",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Left => "left",
        }
    }

    /// Whether the Activation does not exist yet, so that the attempt may still be left.
    pub fn is_before_activation(self) -> bool {
        self < Self::Activating
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// So many of so many.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Encode, Decode)]
pub struct Count {
    /// How many are there.
    #[n(0)]
    pub have: u32,
    /// How many it takes; 0 while that is not known.
    #[n(1)]
    pub of: u32,
}

impl Count {
    fn new(have: usize, of: usize) -> Self {
        Self { have: have as u32, of: of as u32 }
    }

    fn full(of: usize) -> Self {
        Self::new(of, of)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.have, self.of)
    }
}

/// What has come in for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Encode, Decode)]
pub struct Counts {
    /// Openings, of the members.
    #[n(0)]
    pub opened: Count,
    /// Promises, of the dealers.
    #[n(1)]
    pub committed: Count,
    /// Dealings, of the dealers.
    #[n(2)]
    pub dealt: Count,
    /// Prepared votes, of the holders.
    #[n(3)]
    pub prepared: Count,
    /// Probes that verify, of those that root and plan demand.
    #[n(4)]
    pub probes: Count,
    /// Holders that serve the epoch.
    #[n(5)]
    pub activated: Count,
    /// Keep votes, of the holders.
    #[n(6)]
    pub kept: Count,
    /// Receipts, of the signers that owe one.
    #[n(7)]
    pub erased: Count,
}

/// How far an attempt came, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The phases it entered and when, in milliseconds since 1970, in order.
    pub phases: Vec<(Phase, u64)>,
    /// What has come in.
    pub counts: Counts,
    /// Who opened, and so may hold something of it.
    pub openers: Vec<SignerId>,
    /// Whom its dealings are for.
    pub holders: Vec<SignerId>,
    /// Whose receipt came, and when, in milliseconds since 1970.
    pub receipts: Vec<(SignerId, u64)>,
}

impl Progress {
    pub(super) fn begun(at_ms: u64) -> Self {
        Self {
            phases: vec![(Phase::Opening, at_ms)],
            counts: Counts::default(),
            openers: Vec::new(),
            holders: Vec::new(),
            receipts: Vec::new(),
        }
    }

    pub(super) fn reached(&mut self, state: &State, at_ms: u64) {
        if self.phases.last().is_none_or(|(phase, _)| *phase != state.phase()) {
            self.phases.push((state.phase(), at_ms));
        }
        let counts = &mut self.counts;
        match state {
            State::Opening(state) => {
                counts.opened = Count::new(state.openings.len(), state.members());
                self.openers = state.openings.iter().map(|said| said.signer().clone()).collect();
            }
            State::Committing(state) => {
                counts.committed = Count::new(state.commitments.len(), state.inputs.dealers.len());
                self.holders = state.inputs.holders.clone();
            }
            State::Dealing(state) => {
                counts.committed = Count::full(state.inputs.dealers.len());
                counts.dealt = Count::new(state.dealings.len(), state.inputs.dealers.len());
            }
            State::Preparing(state) => {
                counts.prepared = Count::new(state.votes.len(), state.generation.inputs.holders.len());
            }
            State::Probing(state) => {
                let made = state.probes.len();
                counts.prepared = Count::full(state.generation.inputs.holders.len());
                counts.probes = Count::new(made, made + state.missing.len());
            }
            State::Activating(state) => {
                let holders = state.generation.inputs.holders.len();
                counts.prepared = Count::full(holders);
                counts.probes = Count::full(state.activation.probes.len());
                counts.activated = Count::new(state.activated.len(), holders);
                counts.kept = Count::new(state.keeps.len(), holders);
            }
            State::Keeping(state) => {
                let holders = state.generation.inputs.holders.len();
                counts.activated = Count::full(holders);
                counts.kept = Count::new(state.keeps.len(), holders);
            }
            State::Retiring(state) => {
                counts.erased = Count::new(state.receipts.len(), state.owed.len());
            }
            State::Retired(_) => counts.erased = Count::full(counts.erased.of as usize),
            State::Left(_) => {}
        }
    }

    /// When a phase was entered, in milliseconds since 1970, if it was.
    pub fn entered_ms(&self, phase: Phase) -> Option<u64> {
        self.phases.iter().find(|(entered, _)| *entered == phase).map(|(_, at_ms)| *at_ms)
    }
}

/// Where a ceremony is as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Stage {
    /// People have not approved it yet.
    #[n(0)]
    AwaitingApproval,
    /// Approved; attempts are under way or wait for the plan's date.
    #[n(1)]
    Running,
    /// Over: every wallet is retired under its new epoch, or given up.
    #[n(2)]
    Done,
    /// Never approved in time.
    #[n(3)]
    Expired,
    /// Governance changed before it was approved.
    #[n(4)]
    Outdated,
    /// Called off before it was approved.
    #[n(5)]
    Cancelled,
}

impl Stage {
    /// The word, as shown and as written in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting approval",
            Self::Running => "running",
            Self::Done => "done",
            Self::Expired => "expired",
            Self::Outdated => "outdated",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One attempt at one chunk.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ChunkStatus {
    /// Which.
    #[n(0)]
    pub chunk: Chunk,
    /// How its wallets sign.
    #[n(1)]
    pub scheme: Scheme,
    /// Where it is.
    #[n(2)]
    pub phase: Phase,
    /// What has come in.
    #[n(3)]
    pub counts: Counts,
    /// When it entered each phase, in milliseconds since 1970, in order.
    #[n(4)]
    pub entered_ms: Vec<(Phase, u64)>,
    /// Why it was left, if it was.
    #[n(5)]
    pub left: Option<Reason>,
    /// What signers last declined in the present phase, in their words.
    #[n(6)]
    pub declined: Vec<(SignerId, String)>,
    /// Who may hold what of it. It follows from the facts, is shown while the ceremony is open, and is never written.
    #[cbor(skip)]
    pub holding: Holding,
}

/// Who may hold something of an attempt, or of what is below it, while that is not over.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Holding {
    /// From when dealings go out until the Activation: who has opened it.
    pub openers: Vec<SignerId>,
    /// From the Retirement until the last receipt: who owes one.
    pub owed: Vec<SignerId>,
    /// Who has given it.
    pub receipts: Vec<SignerId>,
}

impl Holding {
    pub(super) fn of(state: &State, progress: &Progress) -> Self {
        match state {
            State::Dealing(_) | State::Preparing(_) | State::Probing(_) => {
                Self { openers: progress.openers.clone(), ..Self::default() }
            }
            State::Retiring(state) => Self {
                owed: state.owed.clone(),
                receipts: state.receipts.iter().map(|receipt| receipt.signer().clone()).collect(),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

/// A whole ceremony.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CeremonyStatus {
    /// The plan's digest, which names the ceremony.
    #[n(0)]
    pub ceremony: Digest,
    /// What it does.
    #[n(1)]
    pub action: Action,
    /// How many wallets the plan names.
    #[n(2)]
    pub wallets: u32,
    /// The rank of its epochs.
    #[n(3)]
    pub rank: u32,
    /// Where it is.
    #[n(4)]
    pub stage: Stage,
    /// Approvals, of those that governance asks for.
    #[n(5)]
    pub approvals: Count,
    /// When the plan was submitted, in milliseconds since 1970.
    #[n(6)]
    pub submitted_ms: u64,
    /// When the last approval came.
    #[n(7)]
    pub approved_ms: Option<u64>,
    /// When it was over.
    #[n(8)]
    pub finished_ms: Option<u64>,
    /// Every attempt, by number and place.
    #[n(9)]
    pub attempts: Vec<ChunkStatus>,
    /// Wallets under a Retirement of this ceremony.
    #[n(10)]
    pub wallets_retired: u32,
    /// Wallets that no further attempt will be made for.
    #[n(11)]
    pub wallets_given_up: u32,
    /// Wallets that wait for an attempt.
    #[n(12)]
    pub wallets_waiting: u32,
    /// The mandate under which the plan was made, if people did not approve the plan itself.
    #[n(13)]
    pub mandate: Option<Digest>,
}

impl Document for CeremonyStatus {
    const KIND: &'static str = "ceremony-status";
}

impl CeremonyStatus {
    /// Milliseconds from the first attempt's entry into a phase to the last attempt's end of it, over all
    /// attempts that have left that phase; none if no attempt has.
    pub fn phase_ms(&self, phase: Phase) -> Option<u64> {
        let spans = self.attempts.iter().filter_map(|attempt| {
            let at = attempt.entered_ms.iter().position(|(entered, _)| *entered == phase)?;
            Some((attempt.entered_ms[at].1, attempt.entered_ms.get(at + 1)?.1))
        });
        let (first, last) =
            spans.fold((u64::MAX, 0), |(first, last), (start, end)| (first.min(start), last.max(end)));
        last.checked_sub(first)
    }
}

impl State {
    /// The phase, in a word.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Opening(_) => Phase::Opening,
            Self::Committing(_) => Phase::Committing,
            Self::Dealing(_) => Phase::Dealing,
            Self::Preparing(_) => Phase::Preparing,
            Self::Probing(_) => Phase::Probing,
            Self::Activating(_) => Phase::Activating,
            Self::Keeping(_) => Phase::Keeping,
            Self::Retiring(_) => Phase::Retiring,
            Self::Retired(_) => Phase::Retired,
            Self::Left(_) => Phase::Left,
        }
    }
}

impl Fact {
    /// The fact, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Fixed(_) => "fixed",
            Self::Committed(_) => "committed",
            Self::Dealt(_) => "dealt",
            Self::Transcribed(_) => "transcribed",
            Self::Prepared(_) => "prepared",
            Self::Probed(_) => "probed",
            Self::Activated(..) => "activated",
            Self::Kept(_) => "kept",
            Self::Retirement(_) => "retirement",
            Self::Erased(_) => "erased",
            Self::Left(_) => "left",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => {
                write!(f, "{} refused the sub-shares of {}", refusal.signer(), refusal.body().dealer)?;
                write!(f, " ({:?}): one of the two is faulty", refusal.body().fault)
            }
            Self::Misbehaved { culprit, what } => write!(f, "{culprit} misbehaved: {what}"),
            Self::Accused { by, culprit, what } => {
                write!(f, "{by} blames {culprit}: {what}; one of the two is faulty, or who told them ")?;
                f.write_str("different things")
            }
            Self::Declined { by, what } => write!(f, "{by} declined: {what}"),
            Self::Silent(signers) => {
                let names: Vec<&str> = signers.iter().map(SignerId::as_str).collect();
                write!(f, "no answer from {}", names.join(", "))
            }
            Self::Unusable(what) => f.write_str(what),
            Self::TooLate => f.write_str("the plan's date has passed"),
            Self::Outdated => f.write_str("governance has changed since the plan was approved"),
            Self::Cancelled => f.write_str("called off by order"),
            Self::Superseded(epoch) => write!(f, "epoch {epoch} is retired above it"),
            Self::Outrun(epoch) => {
                write!(f, "wallets on the same pair bases need epoch {epoch}, and it goes with them")
            }
        }
    }
}
