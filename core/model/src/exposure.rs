//! The exposure register: where usable copies of a wallet's shares may exist, and what that means for each epoch.
//!
//! Old shares die by erasure alone, and a receipt is a claim: a liar's is worth nothing. So an epoch is called dead only
//! when every place has given a receipt, and before that it is said how many liars it survives. Everything here follows
//! from what it is given; whoever calls knows of places, receipts and thefts.

use crate::committee::SignerId;
use crate::epoch::Epoch;
use std::collections::BTreeSet;
use std::fmt;

/// Of which numbers copies may exist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Number {
    /// Every epoch and attempt below this one: its Retirement lets each signer erase them all, with one receipt.
    Below(Epoch),
    /// This one.
    Of(Epoch),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(epoch) => write!(f, "below {epoch}"),
            Self::Of(epoch) => write!(f, "{epoch}"),
        }
    }
}

/// How a number stands by what people and signers have decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Its dealings went out, and it is not activated. Whoever has `t` of its shares has the key all the same.
    Candidate,
    /// Transactions are signed under it.
    Serving,
    /// It is held and not signed under for now.
    Suspended,
    /// It may be erased: a higher epoch is retired, or the attempt was left.
    Ended,
}

/// The copies of one number of one wallet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copies {
    /// Which.
    pub number: Number,
    /// How many shares make the key.
    pub threshold: u8,
    /// How it stands.
    pub standing: Standing,
    /// Where a copy may be: who prepared or activated it, or opened an attempt whose dealings went out.
    pub places: BTreeSet<SignerId>,
    /// Who has said that it erased its copy.
    pub receipts: BTreeSet<SignerId>,
    /// Whose copy is known to be stolen, or suspected to be. Erasing does not undo that.
    pub stolen: BTreeSet<SignerId>,
    /// Since when a newer epoch is signed under, in milliseconds since 1970; none for the newest and for what is above.
    pub superseded_ms: Option<u64>,
}

/// What the copies of a number are worth to a thief.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exposure {
    /// It is in use, and so are its copies.
    Live,
    /// So many copies are without receipt, and as many as it takes: together they still make the key.
    Retiring {
        /// Copies without receipt.
        copies: u32,
        /// How many it takes.
        needed: u8,
    },
    /// The copies without receipt are too few, unless more than so many receipts are lies.
    DeadAgainst {
        /// Copies without receipt.
        copies: u32,
        /// The liars that are survived.
        liars: u8,
    },
    /// Every place has said that it erased its copy.
    Dead,
    /// As many copies as it takes are stolen. Nothing helps but to move the funds.
    Lost,
}

impl Exposure {
    /// Whether no honest signer holds a copy any more.
    pub fn is_dead(self) -> bool {
        self == Self::Dead
    }

    /// The word for it, without its numbers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Retiring { .. } => "retiring",
            Self::DeadAgainst { .. } => "dead against liars",
            Self::Dead => "dead",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retiring { copies, needed } => {
                write!(f, "retiring ({copies} copies without receipt, {needed} needed)")
            }
            Self::DeadAgainst { copies, liars } => {
                write!(f, "dead against {liars} liars ({copies} copies without receipt)")
            }
            Self::Live | Self::Dead | Self::Lost => f.write_str(self.name()),
        }
    }
}

/// The state of a key in the words of NIST SP 800-57 Part 1, section 7, for one number of one wallet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Made, and not authorised for use.
    PreActivation,
    /// In use.
    Active,
    /// Not in use for now.
    Suspended,
    /// Not in use any more, and copies are left.
    Deactivated,
    /// Known to others.
    Compromised,
    /// Every copy is said to be erased.
    Destroyed,
}

impl KeyState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreActivation => "pre-activation",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deactivated => "deactivated",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Copies {
    /// Where a copy may still be: without receipt, or stolen, whatever the receipt says.
    pub fn outstanding(&self) -> impl Iterator<Item = &SignerId> {
        let receipts = self.receipts.difference(&self.stolen).collect::<BTreeSet<_>>();
        self.places.union(&self.stolen).filter(move |place| !receipts.contains(place))
    }

    /// What they are worth.
    pub fn exposure(&self) -> Exposure {
        let needed = u32::from(self.threshold);
        if self.stolen.len() as u32 >= needed {
            return Exposure::Lost;
        }
        match (self.standing, self.outstanding().count() as u32) {
            (Standing::Candidate | Standing::Serving | Standing::Suspended, _) => Exposure::Live,
            (Standing::Ended, 0) => Exposure::Dead,
            (Standing::Ended, copies) if copies >= needed => {
                Exposure::Retiring { copies, needed: self.threshold }
            }
            (Standing::Ended, copies) => {
                // Below the threshold, so it fits.
                Exposure::DeadAgainst { copies, liars: (needed - 1 - copies) as u8 }
            }
        }
    }

    /// The state of the key that they make.
    pub fn key_state(&self) -> KeyState {
        match (self.exposure(), self.standing) {
            (Exposure::Lost, _) => KeyState::Compromised,
            (Exposure::Dead, _) => KeyState::Destroyed,
            (_, Standing::Candidate) => KeyState::PreActivation,
            (_, Standing::Serving) => KeyState::Active,
            (_, Standing::Suspended) => KeyState::Suspended,
            (_, Standing::Ended) => KeyState::Deactivated,
        }
    }
}

/// Since when the oldest number that is not dead has a newer one above it that is signed under, in milliseconds since
/// 1970; none if everything below the newest is dead.
pub fn undead_since_ms<'a>(all: impl IntoIterator<Item = &'a Copies>) -> Option<u64> {
    let undead = all.into_iter().filter(|copies| !copies.exposure().is_dead());
    undead.filter_map(|copies| copies.superseded_ms).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<SignerId> {
        names.iter().map(|name| name.parse().expect("a name")).collect()
    }

    /// Copies at a, b, c, d and e, of which three make the key.
    fn copies(standing: Standing, receipts: &[&str], stolen: &[&str]) -> Copies {
        Copies {
            number: Number::Of(Epoch::new(1, 1)),
            threshold: 3,
            standing,
            places: names(&["a", "b", "c", "d", "e"]),
            receipts: names(receipts),
            stolen: names(stolen),
            superseded_ms: Some(7),
        }
    }

    fn ended(receipts: &[&str], stolen: &[&str]) -> (Exposure, KeyState) {
        let copies = copies(Standing::Ended, receipts, stolen);
        (copies.exposure(), copies.key_state())
    }

    #[test]
    fn an_epoch_dies_receipt_by_receipt_and_is_dead_with_the_last_alone() {
        use Exposure::{Dead, DeadAgainst, Retiring};
        use KeyState::{Deactivated, Destroyed};
        assert_eq!(ended(&[], &[]), (Retiring { copies: 5, needed: 3 }, Deactivated));
        assert_eq!(ended(&["a", "b"], &[]), (Retiring { copies: 3, needed: 3 }, Deactivated));
        assert_eq!(ended(&["a", "b", "c"], &[]), (DeadAgainst { copies: 2, liars: 0 }, Deactivated));
        assert_eq!(ended(&["a", "b", "c", "d"], &[]), (DeadAgainst { copies: 1, liars: 1 }, Deactivated));
        assert_eq!(ended(&["a", "b", "c", "d", "e"], &[]), (Dead, Destroyed));
    }

    #[test]
    fn a_receipt_of_somebody_who_held_nothing_counts_for_nothing() {
        assert_eq!(ended(&["x", "y", "z"], &[]).0, Exposure::Retiring { copies: 5, needed: 3 });
    }

    #[test]
    fn a_stolen_copy_outlives_its_receipt_and_as_many_as_it_takes_lose_the_key_in_any_standing() {
        let all = ["a", "b", "c", "d", "e"];
        assert_eq!(ended(&all, &["a"]).0, Exposure::DeadAgainst { copies: 1, liars: 1 });
        assert_eq!(ended(&all, &["a", "b"]).0, Exposure::DeadAgainst { copies: 2, liars: 0 });
        for standing in [Standing::Candidate, Standing::Serving, Standing::Suspended, Standing::Ended] {
            let lost = copies(standing, &all, &["a", "b", "x"]);
            assert_eq!((lost.exposure(), lost.key_state()), (Exposure::Lost, KeyState::Compromised));
        }
    }

    #[test]
    fn what_is_in_use_is_live_whatever_receipts_say() {
        let all = ["a", "b", "c", "d", "e"];
        for (standing, state) in [
            (Standing::Candidate, KeyState::PreActivation),
            (Standing::Serving, KeyState::Active),
            (Standing::Suspended, KeyState::Suspended),
        ] {
            let live = copies(standing, &all, &["a"]);
            assert_eq!((live.exposure(), live.key_state()), (Exposure::Live, state));
        }
    }

    #[test]
    fn an_attempt_that_nobody_opened_is_dead_at_once() {
        let nobody = Copies { places: BTreeSet::new(), ..copies(Standing::Ended, &[], &[]) };
        assert_eq!((nobody.exposure(), nobody.outstanding().count()), (Exposure::Dead, 0));
    }

    #[test]
    fn the_age_counts_from_the_oldest_that_is_not_dead() {
        let at = |superseded_ms, receipts: &[&str]| Copies {
            superseded_ms,
            ..copies(Standing::Ended, receipts, &[])
        };
        let all = ["a", "b", "c", "d", "e"];
        let (dead, dying, newer) = (at(Some(1), &all), at(Some(5), &["a"]), at(Some(9), &[]));
        let newest = Copies { superseded_ms: None, ..copies(Standing::Serving, &[], &[]) };
        assert_eq!(undead_since_ms([&newest, &newer, &dying, &dead]), Some(5));
        assert_eq!(undead_since_ms([&newest, &dead]), None);
        assert_eq!(undead_since_ms([]), None);
    }

    #[test]
    fn states_are_written_with_their_numbers() {
        let written = |receipts: &[&str]| ended(receipts, &[]).0.to_string();
        assert_eq!(written(&["a"]), "retiring (4 copies without receipt, 3 needed)");
        assert_eq!(written(&["a", "b", "c", "d"]), "dead against 1 liars (1 copies without receipt)");
        assert_eq!(Number::Below(Epoch::new(2, 1)).to_string(), "below 2.1");
    }
}
