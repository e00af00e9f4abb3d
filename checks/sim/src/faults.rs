//! What goes wrong, how often, and the count of it: fault kind by step of the ceremony that it hit.
//!
//! A fault counts only if it hit a message, a turn or a write of an attempt in progress.

use perennial_model::mail::{Reply, Request};
use perennial_model::session::Purpose;
use perennial_model::vote::VoteKind;
use perennial_workflow::ceremony::status::Phase;
use std::fmt;

/// The steps of a ceremony.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// One-time keys are made.
    Open,
    /// Dealings are promised.
    Commit,
    /// Dealings are published.
    Deal,
    /// Dealings are verified and shares stored.
    Prepare,
    /// The new shares show that they sign.
    Probe,
    /// The new epoch is served.
    Activate,
    /// It is kept.
    Keep,
    /// Everything lower is erased.
    Retire,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Commit,
        Self::Deal,
        Self::Prepare,
        Self::Probe,
        Self::Activate,
        Self::Keep,
        Self::Retire,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Commit => "commit",
            Self::Deal => "deal",
            Self::Prepare => "prepare",
            Self::Probe => "probe",
            Self::Activate => "activate",
            Self::Keep => "keep",
            Self::Retire => "retire",
        }
    }

    /// The step that a request asks for.
    pub fn of_request(request: &Request) -> Option<Self> {
        Some(match request {
            Request::Plan(_) | Request::Open { .. } => Self::Open,
            Request::Commit { .. } => Self::Commit,
            Request::Deal { .. } => Self::Deal,
            Request::Verify { .. } | Request::PairingMail(_) => Self::Prepare,
            Request::Session(request) => match request.purpose {
                Purpose::Probes { .. } => Self::Probe,
                Purpose::Transaction { .. } => return None,
            },
            Request::SessionMail(_) => Self::Probe,
            Request::Activate(_) => Self::Activate,
            Request::Keep(_) => Self::Keep,
            Request::Retire(_) => Self::Retire,
            Request::Governance(_) | Request::Order(_) | Request::Checkpoint(_) => return None,
        })
    }

    /// The step that a reply belongs to; none for those that do not say.
    pub fn of_reply(reply: &Reply) -> Option<Self> {
        Some(match reply {
            Reply::Planned(_) | Reply::Opened(_) => Self::Open,
            Reply::Committed(_) => Self::Commit,
            Reply::Dealt(_) => Self::Deal,
            Reply::Refused(_) | Reply::PairingMail(_) => Self::Prepare,
            Reply::Voted(vote) => match vote.read_unchecked().ok()?.kind {
                VoteKind::Prepared => Self::Prepare,
                VoteKind::Keep => Self::Keep,
            },
            Reply::SessionMail(_) | Reply::Session(_) => Self::Probe,
            Reply::Activated(..) => Self::Activate,
            Reply::Erased(_) => Self::Retire,
            Reply::Declined { .. } | Reply::Governed { .. } | Reply::Ordered(_) | Reply::Checkpoint(_) => {
                return None;
            }
        })
    }

    /// The step that an attempt in this phase is at.
    pub fn of_phase(phase: Phase) -> Option<Self> {
        Some(match phase {
            Phase::Opening => Self::Open,
            Phase::Committing => Self::Commit,
            Phase::Dealing => Self::Deal,
            Phase::Preparing => Self::Prepare,
            Phase::Probing => Self::Probe,
            Phase::Activating => Self::Activate,
            Phase::Keeping => Self::Keep,
            Phase::Retiring => Self::Retire,
            Phase::Retired | Phase::Left => return None,
        })
    }
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A message never arrives.
    Lost,
    /// A message arrives twice, the second time at any later moment.
    Doubled,
    /// A message, and all behind it on its link, is late.
    Delayed,
    /// A message arrives after one that was sent after it.
    Reordered,
    /// A dealer gives one holder a sub-share that is not on its polynomial.
    DealerLied,
    /// A signer's process dies before or after a turn, never within.
    SignerStopped,
    /// A signer's process dies between two effects of one turn, or within one.
    SignerCut,
    /// A slot write that was not synced is lost in a power cut.
    WriteLost,
    /// A slot write survives a power cut that an earlier one did not.
    WriteReordered,
    /// A slot write survives a power cut in part.
    WriteTorn,
    /// The coordinator dies: before it took a message, or with its mail unsent after an append.
    CoordinatorStopped,
    /// The coordinator dies within an append, done or not done.
    AppendCut,
    /// The coordinator comes back with a journal that lacks the last of an attempt, and chooses other dealers for it.
    CoordinatorForgot,
    /// All processes lose power at once.
    PowerLoss,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Lost,
        Self::Doubled,
        Self::Delayed,
        Self::Reordered,
        Self::DealerLied,
        Self::SignerStopped,
        Self::SignerCut,
        Self::WriteLost,
        Self::WriteReordered,
        Self::WriteTorn,
        Self::CoordinatorStopped,
        Self::AppendCut,
        Self::CoordinatorForgot,
        Self::PowerLoss,
    ];

    /// The words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "message lost",
            Self::Doubled => "message doubled",
            Self::Delayed => "message delayed",
            Self::Reordered => "message overtaken",
            Self::DealerLied => "dealer lies to one holder",
            Self::SignerStopped => "signer dies between turns",
            Self::SignerCut => "signer dies within a turn",
            Self::WriteLost => "unsynced write lost",
            Self::WriteReordered => "unsynced write reordered",
            Self::WriteTorn => "unsynced write torn",
            Self::CoordinatorStopped => "coordinator dies",
            Self::AppendCut => "coordinator dies in append",
            Self::CoordinatorForgot => "coordinator forgets, differs",
            Self::PowerLoss => "power lost everywhere",
        }
    }

    /// Whether a step is hit too seldom to ask for it. An opening writes one slot between two syncs, so that nothing of it
    /// is reordered unless a process died over another one first. Publishing a dealing writes where keys are made, and
    /// nothing where they are renewed.
    pub fn is_seldom(self, step: Step) -> bool {
        matches!((self, step), (Self::WriteReordered, Step::Open) | (Self::SignerCut, Step::Deal))
    }

    /// Whether this kind can hit this step at all. Slots are written, and so can be unsynced, in three steps only.
    pub fn can_hit(self, step: Step) -> bool {
        match self {
            Self::DealerLied => step == Step::Commit,
            Self::CoordinatorForgot => step == Step::Prepare,
            Self::WriteLost | Self::WriteReordered | Self::WriteTorn => {
                matches!(step, Step::Open | Step::Prepare | Step::Retire)
            }
            _ => true,
        }
    }
}

/// How many faults of each kind hit each step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    cells: [[u64; Step::ALL.len()]; Kind::ALL.len()],
}

impl Table {
    /// Counts faults.
    pub fn add(&mut self, kind: Kind, step: Step, count: u64) {
        self.cells[kind as usize][step as usize] += count;
    }

    /// How many of a kind hit a step.
    pub fn get(&self, kind: Kind, step: Step) -> u64 {
        self.cells[kind as usize][step as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.cells.iter().flatten().sum()
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Self) {
        for (row, others) in self.cells.iter_mut().zip(&other.cells) {
            row.iter_mut().zip(others).for_each(|(cell, more)| *cell += more);
        }
    }

    /// The cells that can be hit and were hit fewer than `least` times, and those that were hit and cannot be.
    pub fn short_of(&self, least: u64) -> Vec<(Kind, Step, u64)> {
        let cells = Kind::ALL.iter().flat_map(|kind| Step::ALL.iter().map(move |step| (*kind, *step)));
        cells
            .map(|(kind, step)| (kind, step, self.get(kind, step)))
            .filter(|(kind, step, count)| match kind.can_hit(*step) {
                true => *count < least && !kind.is_seldom(*step),
                false => *count > 0,
            })
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:28}", "fault")?;
        for step in Step::ALL {
            write!(f, "{:>10}", step.name())?;
        }
        for kind in Kind::ALL {
            write!(f, "\n{:28}", kind.name())?;
            for step in Step::ALL {
                match kind.can_hit(step) {
                    true => write!(f, "{:>10}", self.get(kind, step))?,
                    false => write!(f, "{:>10}", "-")?,
                }
            }
        }
        Ok(())
    }
}

/// How often things go wrong, each in a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weather {
    /// Of messages: lost.
    pub lost: u32,
    /// Of messages: doubled.
    pub doubled: u32,
    /// Of messages: delayed.
    pub delayed: u32,
    /// Of messages: held back so that others may overtake.
    pub held: u32,
    /// Of a signer's turns: it dies before or after.
    pub signer_stop: u32,
    /// Of a signer's turns: it dies within.
    pub signer_cut: u32,
    /// Of the coordinator's turns: it dies before or after.
    pub coordinator_stop: u32,
    /// Of the coordinator's turns: it dies in the append.
    pub append_cut: u32,
    /// Of all turns: the power goes everywhere.
    pub power_loss: u32,
    /// Of messages of signing sessions: lost.
    pub signing_lost: u32,
    /// Of attempts: their dealings do not reach everybody, and the coordinator forgets them at the first vote.
    pub amnesia: u32,
    /// Of dealings: one holder is lied to.
    pub lies: u32,
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        lost: 0,
        doubled: 0,
        delayed: 0,
        held: 0,
        signer_stop: 0,
        signer_cut: 0,
        coordinator_stop: 0,
        append_cut: 0,
        power_loss: 0,
        signing_lost: 0,
        amnesia: 0,
        lies: 0,
    };
}
