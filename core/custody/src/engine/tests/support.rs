//! Wallets by plain Shamir sharing, and a network that delivers everything in order.

use super::super::*;
use crate::share::Share;
use perennial_model::group::Scalar;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use zeroize::Zeroizing;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn seat(number: u8) -> Seat {
    Seat::new(number).expect("not zero")
}

pub(crate) fn seats(numbers: &[u8]) -> Vec<Seat> {
    numbers.iter().copied().map(seat).collect()
}

/// A key in shares of a polynomial of degree `threshold - 1`.
pub(crate) struct Wallet {
    pub scheme: Scheme,
    pub threshold: u8,
    pub key: WalletKey,
    pub message: Vec<u8>,
    shares: BTreeMap<Seat, Share>,
    points: BTreeMap<Seat, Point>,
}

impl Wallet {
    pub(crate) fn shamir(scheme: Scheme, threshold: u8, seats: &[Seat], seed: u64) -> Self {
        with_group!(scheme, G => Self::shamir_in::<G>(scheme, threshold, seats, seed))
    }

    fn shamir_in<G: Group>(scheme: Scheme, threshold: u8, seats: &[Seat], seed: u64) -> Self {
        let rng = &mut rng(seed);
        let coefficients: Vec<G::Scalar> = (0..threshold).map(|_| random::<G>(rng)).collect();
        let value = |at: u8| {
            let at = G::Scalar::from_u64(at.into());
            coefficients.iter().rev().fold(G::Scalar::ZERO, |sum, coefficient| sum * at + *coefficient)
        };
        let share = |seat: &Seat| {
            let bytes = Zeroizing::new(value(seat.get()).encode());
            (*seat, Share::from_secret_bytes(scheme, bytes).expect("a random value is not zero"))
        };
        let point = |seat: &Seat| (*seat, G::encode(&G::generate(&value(seat.get()))));
        let mut message = vec![0; 32];
        rng.fill_bytes(&mut message);
        let chain_code = Digest::of(&message);
        Self {
            scheme,
            threshold,
            key: WalletKey { public_key: G::encode(&G::generate(&value(0))), chain_code },
            message,
            shares: seats.iter().map(share).collect(),
            points: seats.iter().map(point).collect(),
        }
    }

    pub(crate) fn share(&self, seat: Seat) -> &Share {
        &self.shares[&seat]
    }

    /// The share itself, for whoever keeps it.
    pub(crate) fn take_share(&mut self, seat: Seat) -> Share {
        self.shares.remove(&seat).expect("not taken before")
    }

    /// Gives a seat a share that does not fit.
    pub(crate) fn spoil_share(&mut self, seat: Seat) {
        let other = Self::shamir(self.scheme, self.threshold, &[seat], 4_000);
        self.shares.extend(other.shares);
    }

    /// Puts a wrong verification share into everybody's record.
    pub(crate) fn spoil_verification_share(&mut self, seat: Seat) {
        let other = Self::shamir(self.scheme, self.threshold, &[seat], 4_001);
        self.points.extend(other.points);
    }

    /// The terms of one signer; the lowest signer combines.
    pub(crate) fn terms(&self, signing: &[Seat], own_seat: Seat, key_use: KeyUse) -> Terms {
        Terms {
            scheme: self.scheme,
            key: self.key.clone(),
            key_use,
            threshold: self.threshold,
            own_seat,
            signers: signing.iter().map(|seat| (*seat, self.points[seat])).collect(),
            highest_seat: *self.points.keys().last().expect("a wallet has seats"),
            combiner: signing[0],
            session_id: Digest::of(b"session"),
            message: self.message.clone(),
        }
    }

    /// Whether a signature verifies under the key that was asked for, found on a path of its own: the secret
    /// itself is not used, only public derivation.
    pub(crate) fn verifies(&self, key_use: &KeyUse, signature: &RawSignature) -> bool {
        let everyone: Vec<Seat> = self.points.keys().copied().take(self.threshold.into()).collect();
        let terms = self.terms(&everyone, everyone[0], key_use.clone());
        let key = WorkingKey::of(&terms).expect("a key");
        let common = Common { agreement: terms.agreement(), key, terms };
        common.verified(signature.clone()).is_ok()
    }
}

fn random<G: Group>(rng: &mut dyn CryptoRng) -> G::Scalar {
    let mut wide = [0; 64];
    rng.fill_bytes(&mut wide);
    G::Scalar::reduce(&wide)
}

/// How a session ended at the combiner, or at the first signer that failed.
#[derive(Debug)]
pub(crate) enum Outcome {
    Signed(RawSignature),
    Failed(EngineError),
}

/// Runs one session of schemes without pairs; `meddle(sender, round, message)` may alter what is sent.
pub(crate) fn run(
    wallet: &Wallet,
    signing: &[Seat],
    key_use: KeyUse,
    meddle: impl FnMut(Seat, u8, &mut Vec<u8>),
) -> Outcome {
    let mut pairs: BTreeMap<Seat, BTreeMap<Seat, PairState>> = BTreeMap::new();
    run_with_pairs(wallet, signing, key_use, |seat| pairs.remove(&seat).unwrap_or_default(), meddle)
}

/// As [`run`], with the pair states that each signer brings.
pub(crate) fn run_with_pairs(
    wallet: &Wallet,
    signing: &[Seat],
    key_use: KeyUse,
    mut pairs: impl FnMut(Seat) -> BTreeMap<Seat, PairState>,
    mut meddle: impl FnMut(Seat, u8, &mut Vec<u8>),
) -> Outcome {
    let rng = &mut rng(9);
    let mut sessions = BTreeMap::new();
    let mut mail: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
    let mut post = |mail: &mut BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>>, from, round, outgoing: Outgoing| {
        for (to, mut bytes) in outgoing {
            meddle(from, round, &mut bytes);
            mail.entry(to).or_default().insert(from, bytes);
        }
    };
    for seat in signing {
        let terms = wallet.terms(signing, *seat, key_use.clone());
        match begin(terms, wallet.share(*seat), pairs(*seat), rng) {
            Ok((session, outgoing)) => {
                post(&mut mail, *seat, 1, outgoing);
                sessions.insert(*seat, session);
            }
            Err(error) => return Outcome::Failed(error),
        }
    }
    for round in 2.. {
        let mut delivered = std::mem::take(&mut mail);
        for (seat, session) in std::mem::take(&mut sessions) {
            assert_eq!(session.round(), round - 1);
            match session.advance(delivered.remove(&seat).unwrap_or_default(), rng) {
                Ok(Progress::Continue { session, outgoing }) => {
                    post(&mut mail, seat, round, outgoing);
                    sessions.insert(seat, session);
                }
                Ok(Progress::Finished { outgoing }) => post(&mut mail, seat, round, outgoing),
                Ok(Progress::Signed(signature)) => return Outcome::Signed(signature),
                Err(error) => return Outcome::Failed(error),
            }
        }
    }
    unreachable!("a session ends")
}
