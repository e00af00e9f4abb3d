//! The public face of one epoch of one wallet.

use crate::committee::{Committee, Seat};
use crate::encoding::{Digest, Document};
use crate::epoch::Epoch;
use crate::group::{Group, Point, lagrange_at_zero};
use crate::wallet::{Scheme, Wallet, WalletKey};
use crate::with_group;
use minicbor::{Decode, Encode};

/// Wallet, epoch, committee, verification shares, transcript and parent: what `(wallet, epoch, T)` names.
///
/// It stands for itself: whoever has its digest from an approved plan can take the rest from anybody.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ShareSet {
    /// The wallet.
    #[n(0)]
    pub wallet: Wallet,
    /// Its key, the same in every epoch.
    #[n(1)]
    pub key: WalletKey,
    /// The epoch's number.
    #[n(2)]
    pub epoch: Epoch,
    /// Who holds a share at which seat, and how many sign.
    #[n(3)]
    pub committee: Committee,
    /// `X_j = x_j · G` for each member, in the order of the committee.
    #[n(4)]
    pub verification_shares: Vec<Point>,
    /// `T`, the digest of the transcript that made this epoch.
    #[n(5)]
    pub transcript: Digest,
    /// The digest of the share set that was redistributed; none after key generation.
    #[n(6)]
    pub parent: Option<Digest>,
    /// The highest seat that this wallet ever used.
    #[n(7)]
    pub highest_seat: Seat,
}

impl Document for ShareSet {
    const KIND: &'static str = "share-set";
}

impl ShareSet {
    /// How the wallet signs.
    pub fn scheme(&self) -> Scheme {
        self.wallet.chain.scheme()
    }

    /// The verification share of a seat.
    pub fn verification_share(&self, seat: Seat) -> Option<&Point> {
        let at = self.committee.seats().position(|held| held == seat)?;
        self.verification_shares.get(at)
    }

    /// The public key that the first `t` verification shares open to; none if they are no elements or are too
    /// few. In an honest share set every choice of `t` gives the wallet's key.
    pub fn opens_to(&self) -> Option<Point> {
        let count = usize::from(self.committee.threshold());
        let seats: Vec<u8> = self.committee.seats().map(Seat::get).collect();
        with_group!(self.scheme(), G => {
            let chosen = seats.get(..count)?;
            let shares = self.verification_shares.get(..count)?;
            let elements = shares.iter().map(G::decode).collect::<Option<Vec<_>>>()?;
            let weights = chosen
                .iter()
                .map(|&seat| lagrange_at_zero::<<G as Group>::Scalar>(seat, chosen))
                .collect::<Option<Vec<_>>>()?;
            Some(G::encode(&G::sum_public(&weights, &elements)))
        })
    }
}

/// The value at `seat` of the polynomial with these coefficients in the exponent: `Σ A_k · seat^k`.
pub fn evaluate_in_exponent<G: Group>(coefficients: &[G::Element], seat: Seat) -> G::Element {
    let Some((highest, lower)) = coefficients.split_last() else { return G::identity() };
    lower.iter().rev().fold(*highest, |sum, coefficient| small_multiple::<G>(seat, &sum) + *coefficient)
}

/// `seat · element` by doubling; a seat has eight bits, so this beats a general multiplication.
fn small_multiple<G: Group>(seat: Seat, element: &G::Element) -> G::Element {
    let mut multiple = *element;
    for bit in (0..seat.get().ilog2()).rev() {
        multiple = G::double(&multiple);
        if seat.get() >> bit & 1 == 1 {
            multiple = multiple + *element;
        }
    }
    multiple
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Edwards25519, Scalar, Secp256k1};

    fn evaluates<G: Group>() {
        let numbers: Vec<G::Scalar> = [5, 7, 11, 13].map(G::Scalar::from_u64).to_vec();
        let elements: Vec<G::Element> = numbers.iter().map(G::generate).collect();
        for index in 1..=255 {
            let seat = Seat::new(index).expect("not zero");
            let at = G::Scalar::from_u64(index.into());
            for count in 0..=numbers.len() {
                let value = numbers[..count].iter().rev().fold(G::Scalar::ZERO, |sum, n| sum * at + *n);
                assert_eq!(evaluate_in_exponent::<G>(&elements[..count], seat), G::generate(&value));
            }
        }
    }

    #[test]
    fn a_polynomial_in_the_exponent_has_the_value_of_the_polynomial_at_every_seat() {
        evaluates::<Secp256k1>();
        evaluates::<Edwards25519>();
    }
}
