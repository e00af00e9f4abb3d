//! The number of one generation of a wallet's shares.

use minicbor::{Decode, Encode};
use std::fmt;

/// `(rank, count)`, compared in that order and written `3.1`.
///
/// People approve the rank; the count is the attempt under it. Every attempt takes a new number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct Epoch {
    /// Approved with the plan, the same for all its wallets and above every rank approved before for them.
    #[n(0)]
    pub rank: u32,
    /// The attempt, from 1.
    #[n(1)]
    pub count: u32,
}

impl Epoch {
    /// The number of attempt `count` under `rank`.
    pub const fn new(rank: u32, count: u32) -> Self {
        Self { rank, count }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.rank, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_rank_beats_any_count() {
        assert!(Epoch::new(2, 1) > Epoch::new(1, 900));
        assert!(Epoch::new(2, 2) > Epoch::new(2, 1));
        assert_eq!(Epoch::new(3, 1).to_string(), "3.1");
    }
}
