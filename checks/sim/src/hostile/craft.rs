//! How the attacker puts a message together from what it has: one function for each sort of move.
//!
//! A move is written here, named in `grammar`, and counted nowhere else: a new one takes a function and a row.

pub mod approvals;
pub mod ceremony;
pub mod certificates;
pub mod corrupt;
pub mod early;
pub mod ledger;
pub mod mail;
pub mod mandates;
pub mod orders;
pub mod plans;
pub mod sessions;
pub mod transactions;
pub mod unattended;

use super::archive::Attempt;
use super::stage::Stage;
use crate::network::Lane;
use perennial_model::mail::Request;
use perennial_model::plan::Chunk;
use std::sync::Arc;

/// One message of a move.
pub struct Blow {
    /// To whom.
    pub number: usize,
    /// On which links.
    pub lane: Lane,
    /// What it says.
    pub what: What,
}

/// What a message says.
pub enum What {
    /// Something that can be read.
    Request(Arc<Request>),
    /// Perhaps not.
    Bytes(Vec<u8>),
}

/// Messages of a move, for whom each.
pub type Blows = Vec<Blow>;

/// A request on the ceremonies' links.
pub fn ask(number: usize, request: Request) -> Blow {
    Blow { number, lane: Lane::Ceremony, what: What::Request(Arc::new(request)) }
}

/// A request on the links of transactions.
pub fn sign(number: usize, request: Request) -> Blow {
    Blow { number, lane: Lane::Signing, what: What::Request(Arc::new(request)) }
}

impl Stage {
    /// A member of the committee, by chance.
    pub fn any_member(&mut self) -> usize {
        let members = self.members();
        self.below(members)
    }

    /// Any signer, also the one that is in no committee.
    pub fn anybody(&mut self) -> usize {
        let all = self.signers.len();
        self.below(all)
    }

    /// One of the newest attempts for which something holds; the newer the likelier.
    pub fn an_attempt(&mut self, fits: impl Fn(&Attempt) -> bool) -> Option<(Chunk, Attempt)> {
        let fitting: Vec<Chunk> = self
            .archive
            .newest()
            .filter(|(_, attempt)| fits(attempt))
            .map(|(chunk, _)| *chunk)
            .take(12)
            .collect();
        let reach = fitting.len();
        let at = self.below(reach).min(self.below(reach));
        let chunk = *fitting.get(at)?;
        Some((chunk, self.archive.attempts.get(&chunk)?.clone()))
    }

    /// Whether a coin falls on one side of `sides`.
    pub fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}
