//! Who holds shares: signers, their seats, and the threshold.

use crate::wallet::name_type;
use minicbor::{Decode, Encode};
use std::fmt;
use std::num::NonZeroU8;

/// The largest committee.
pub const MEMBERS_MAX: usize = 16;

name_type! {
    /// The name of a signer, as governance gives it. Never reused.
    SignerId
}

/// A signer's share index in one wallet, 1 to 255: never renumbered, never given to another signer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(NonZeroU8);

impl Seat {
    /// Seat number `index`, none for 0.
    pub fn new(index: u8) -> Option<Self> {
        NonZeroU8::new(index).map(Self)
    }

    /// Its number.
    pub fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seat {}", self.0)
    }
}

impl<C> Encode<C> for Seat {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.u8(self.get())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Seat {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(decoder.u8()?).ok_or_else(|| minicbor::decode::Error::message("seat 0 does not exist"))
    }
}

/// A signer with its seat.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Member {
    /// The signer.
    #[n(0)]
    pub signer: SignerId,
    /// Its share index.
    #[n(1)]
    pub seat: Seat,
}

/// Why members and a threshold make no committee.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommittee {
    /// Outside 2 ≤ t ≤ n ≤ [`MEMBERS_MAX`].
    #[error("{threshold} of {members} is no committee: 2 ≤ t ≤ n ≤ {MEMBERS_MAX} must hold")]
    Size {
        /// The threshold given.
        threshold: u8,
        /// How many members were given.
        members: usize,
    },
    /// Members are listed by rising seat, each signer once.
    #[error("members must be listed by rising seat, each signer once")]
    Order,
}

/// The holders of one epoch in the order of their seats, and how many of them sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committee {
    threshold: u8,
    members: Vec<Member>,
}

impl Committee {
    /// A committee of `members`, any `threshold` of which sign.
    ///
    /// # Errors
    /// [`BadCommittee`] when the sizes or the order of the members do not allow it.
    pub fn new(threshold: u8, members: Vec<Member>) -> Result<Self, BadCommittee> {
        if threshold < 2 || members.len() < usize::from(threshold) || members.len() > MEMBERS_MAX {
            return Err(BadCommittee::Size { threshold, members: members.len() });
        }
        let rising = members.windows(2).all(|pair| pair[0].seat < pair[1].seat);
        let distinct = members
            .iter()
            .enumerate()
            .all(|(at, member)| members[..at].iter().all(|other| other.signer != member.signer));
        if !rising || !distinct {
            return Err(BadCommittee::Order);
        }
        Ok(Self { threshold, members })
    }

    /// A first committee: seats 1, 2, 3 … in the order given.
    ///
    /// # Errors
    /// As [`Committee::new`].
    pub fn first(threshold: u8, signers: &[SignerId]) -> Result<Self, BadCommittee> {
        if signers.len() > MEMBERS_MAX {
            return Err(BadCommittee::Size { threshold, members: signers.len() });
        }
        let members = (1..=MEMBERS_MAX as u8)
            .filter_map(Seat::new)
            .zip(signers)
            .map(|(seat, signer)| Member { signer: signer.clone(), seat })
            .collect();
        Self::new(threshold, members)
    }

    /// How many members sign.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The members by rising seat.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The seats, rising.
    pub fn seats(&self) -> impl Iterator<Item = Seat> + '_ {
        self.members.iter().map(|member| member.seat)
    }

    /// The signers by rising seat.
    pub fn signers(&self) -> impl Iterator<Item = &SignerId> + '_ {
        self.members.iter().map(|member| &member.signer)
    }

    /// The seat of a signer, if it is a member.
    pub fn seat_of(&self, signer: &SignerId) -> Option<Seat> {
        self.members.iter().find(|member| &member.signer == signer).map(|member| member.seat)
    }

    /// The position of a signer among the members.
    pub fn position_of(&self, signer: &SignerId) -> Option<usize> {
        self.members.iter().position(|member| &member.signer == signer)
    }

    /// How many must prepare so that liars and lost disks stay in the budget: `2t - 1`.
    pub fn safe_activation_size(&self) -> usize {
        2 * usize::from(self.threshold) - 1
    }
}

#[derive(Encode, Decode)]
struct Written {
    #[n(0)]
    threshold: u8,
    #[n(1)]
    members: Vec<Member>,
}

impl<C> Encode<C> for Committee {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        Written { threshold: self.threshold, members: self.members.clone() }.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Committee {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let written = Written::decode(decoder, context)?;
        Self::new(written.threshold, written.members)
            .map_err(|e| minicbor::decode::Error::message(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committee_that_could_not_sign_or_counts_somebody_twice_cannot_be_made() {
        let signer = |name: &str| name.parse::<SignerId>().expect("a good name");
        let (a, b) = (signer("a"), signer("b"));
        assert!(Committee::first(1, &[a.clone(), b.clone()]).is_err());
        assert!(Committee::first(3, &[a.clone(), b.clone()]).is_err());
        assert!(Committee::first(2, &[a.clone(), a.clone()]).is_err());
        let seat = |n| Seat::new(n).expect("not zero");
        let falling =
            vec![Member { signer: a.clone(), seat: seat(2) }, Member { signer: b.clone(), seat: seat(1) }];
        assert_eq!(Committee::new(2, falling), Err(BadCommittee::Order));
        let committee = Committee::first(2, &[a.clone(), b]).expect("two of two");
        assert_eq!(committee.seat_of(&a).map(Seat::get), Some(1));
    }
}
