//! Prints what pairing and signing cost in processor time, next to the ECDSA library called directly in the same
//! run. It asserts no time. `cargo run --release -p perennial-custody --example signing_costs`

use dkls23_core::protocols::re_key::re_key;
use dkls23_core::protocols::signing::SignData;
use dkls23_core::protocols::{Parameters, PartyIndex};
use k256::Secp256k1;
use perennial_custody::engine::{self, KeyUse, Outgoing, Progress, Terms};
use perennial_custody::pairing::{
    Base, PairState, PairUse, PairingError, Setup, SetupProgress, SetupTerms, Side,
};
use perennial_custody::share::Share;
use perennial_model::committee::Seat;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::group::{Group, Point, Scalar, Secp256k1 as Secp256k1Group};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::{Scheme, WalletKey};
use perennial_model::with_group;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use std::collections::BTreeMap;
use std::error::Error;
use zeroize::Zeroizing;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let start = used_ms()?;
    let ([first, second], sizes) = set_up(rng)?;
    println!("base setup: {:.0} ms, both sides one after the other", used_ms()? - start);
    println!("            messages each way {sizes:?} bytes");
    let stored = first.to_secret_bytes();
    println!("base at rest: {} bytes a side", stored.len());
    println!("base load:   {:.3} ms", mean(200, || Ok(Base::from_secret_bytes(&stored)?))?);
    let used = PairUse { wallet: "treasury".parse()?, epoch: Epoch::new(1, 1), transcript: Digest([1; 32]) };
    println!("base derive: {:.3} ms for one counterparty", mean(400, || Ok(first.derive(&used)?))?);
    println!("ECDSA 2-of-3, library alone: {:.3} ms for both signers", library_alone()?);

    for (scheme, path) in [(Scheme::Ecdsa, "m/0/0"), (Scheme::Taproot, "m/0/0"), (Scheme::Ed25519, "m")] {
        let wallet = with_group!(scheme, G => Wallet::shamir::<G>(scheme, 2, 3, rng))?;
        let signing = [0, 2];
        for (name, key_use) in [("root key", KeyUse::Root), (path, KeyUse::Path(path.parse()?))] {
            let mut sizes = BTreeMap::new();
            let times = if scheme == Scheme::Ecdsa { 100 } else { 1000 };
            let taken = mean(times, || {
                let pairs = match scheme {
                    Scheme::Ecdsa => vec![
                        BTreeMap::from([(wallet.seats[2], first.derive(&used)?)]),
                        BTreeMap::from([(wallet.seats[0], second.derive(&used)?)]),
                    ],
                    _ => vec![BTreeMap::new(), BTreeMap::new()],
                };
                sizes.clear();
                wallet.sign(&signing, &key_use, pairs, rng, &mut sizes)
            })?;
            let sizes: Vec<_> = sizes.values().collect();
            let scheme = scheme.name();
            println!("{scheme} 2-of-3, {name}: {taken:.3} ms for both signers; rounds of {sizes:?} bytes");
        }
    }
    for (threshold, divisions) in [
        (2, [&[&[0, 1][..], &[1, 2]][..], &[&[0, 1, 2]]]),
        (3, [&[&[0, 1, 2], &[2, 3, 4]], &[&[0, 1, 2, 3, 4]]]),
        (5, [&[&[0, 1, 2, 3, 4], &[4, 5, 6, 7, 8]], &[&[0, 1, 2, 3, 4, 5, 6, 7, 8]]]),
    ] {
        let count = 2 * threshold - 1;
        let wallet = Wallet::shamir::<Secp256k1Group>(Scheme::Taproot, threshold, count, rng)?;
        for groups in divisions {
            let taken = mean(200, || {
                groups.iter().try_for_each(|signing| {
                    let pairs = signing.iter().map(|_| BTreeMap::new()).collect();
                    wallet.sign(signing, &KeyUse::Root, pairs, rng, &mut BTreeMap::new()).map(|_| ())
                })
            })?;
            let sizes: Vec<usize> = groups.iter().map(|signing| signing.len()).collect();
            println!("Taproot {threshold}-of-{count}, probed by {sizes:?}: {taken:.3} ms for all signers");
        }
    }
    Ok(())
}

/// Makes a base, and says how long the messages of one side are.
fn set_up(rng: &mut dyn CryptoRng) -> Outcome<([Base; 2], Vec<usize>)> {
    let terms = |side| SetupTerms { context: Digest::of(b"costs"), generation: 1, side };
    let (mut first, mut to_second) = Setup::begin(terms(Side::First), rng);
    let (mut second, mut to_first) = Setup::begin(terms(Side::Second), rng);
    let mut sizes = Vec::new();
    loop {
        sizes.push(to_first.len());
        match (first.advance(&to_first, rng)?, second.advance(&to_second, rng)?) {
            (SetupProgress::Done(a), SetupProgress::Done(b)) => return Ok(([a, b], sizes)),
            (
                SetupProgress::Continue { setup: next_first, outgoing: for_second },
                SetupProgress::Continue { setup: next_second, outgoing: for_first },
            ) => (first, second, to_second, to_first) = (next_first, next_second, for_second, for_first),
            _ => return Err(PairingError::Bug("one side ended before the other".into()).into()),
        }
    }
}

/// A wallet whose seats are 1 and on.
struct Wallet {
    scheme: Scheme,
    threshold: u8,
    key: WalletKey,
    seats: Vec<Seat>,
    shares: Vec<Share>,
    points: Vec<Point>,
}

impl Wallet {
    fn shamir<G: Group>(scheme: Scheme, threshold: u8, count: u8, rng: &mut dyn CryptoRng) -> Outcome<Self> {
        let mut random = || {
            let mut wide = [0; 64];
            rng.fill_bytes(&mut wide);
            G::Scalar::reduce(&wide)
        };
        let coefficients: Vec<G::Scalar> = (0..threshold).map(|_| random()).collect();
        let value = |at: u8| {
            let at = G::Scalar::from_u64(at.into());
            coefficients.iter().rev().fold(G::Scalar::ZERO, |sum, coefficient| sum * at + *coefficient)
        };
        let share = |at| {
            Share::from_secret_bytes(scheme, Zeroizing::new(value(at).encode())).ok_or("a share of zero")
        };
        let point = |at| G::encode(&G::generate(&value(at)));
        Ok(Self {
            scheme,
            threshold,
            key: WalletKey { public_key: point(0), chain_code: Digest([7; 32]) },
            seats: (1..=count).map(|at| Seat::new(at).ok_or("seat 0")).collect::<Result<_, _>>()?,
            shares: (1..=count).map(share).collect::<Result<_, _>>()?,
            points: (1..=count).map(point).collect(),
        })
    }

    fn terms(&self, signing: &[usize], own: usize, key_use: &KeyUse) -> Terms {
        Terms {
            scheme: self.scheme,
            key: self.key.clone(),
            key_use: key_use.clone(),
            threshold: self.threshold,
            own_seat: self.seats[own],
            signers: signing.iter().map(|at| (self.seats[*at], self.points[*at])).collect(),
            highest_seat: self.seats[self.seats.len() - 1],
            combiner: self.seats[signing[0]],
            session_id: Digest::of(b"session"),
            message: vec![9; 32],
        }
    }

    /// One signature by those at the places `signing`, one after the other on this thread; `pairs` in their order.
    fn sign(
        &self,
        signing: &[usize],
        key_use: &KeyUse,
        pairs: Vec<BTreeMap<Seat, PairState>>,
        rng: &mut dyn CryptoRng,
        sizes: &mut BTreeMap<u8, usize>,
    ) -> Outcome<RawSignature> {
        let mut sessions = Vec::new();
        let mut mail: BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>> = BTreeMap::new();
        let mut post =
            |mail: &mut BTreeMap<Seat, BTreeMap<Seat, Vec<u8>>>, from, round, outgoing: Outgoing| {
                sizes.insert(round, outgoing.iter().map(|(_, message)| message.len()).sum());
                outgoing.into_iter().for_each(|(to, message)| {
                    mail.entry(to).or_default().insert(from, message);
                });
            };
        for (at, pairs) in signing.iter().zip(pairs) {
            let terms = self.terms(signing, *at, key_use);
            let (session, outgoing) = engine::begin(terms, &self.shares[*at], pairs, rng)?;
            post(&mut mail, self.seats[*at], 1, outgoing);
            sessions.push((self.seats[*at], session));
        }
        loop {
            let mut delivered = std::mem::take(&mut mail);
            for (seat, session) in std::mem::take(&mut sessions) {
                let round = session.round() + 1;
                match session.advance(delivered.remove(&seat).unwrap_or_default(), rng)? {
                    Progress::Continue { session, outgoing } => {
                        post(&mut mail, seat, round, outgoing);
                        sessions.push((seat, session));
                    }
                    Progress::Finished { outgoing } => post(&mut mail, seat, round, outgoing),
                    Progress::Signed(signature) => return Ok(signature),
                }
            }
        }
    }
}

/// The four phases of `dkls23-core` on state that is at hand: no wire format, no derivation, no second
/// verification. Nothing that signs by this library can cost less.
fn library_alone() -> Outcome<f64> {
    let parameters = Parameters::new(2, 3).map_err(|e| e.to_string())?;
    let secret = k256::Scalar::from(7_u64);
    let (parties, _) = re_key::<Secp256k1>(&parameters, b"costs", &secret, None, |_| String::new());
    let data = |other: u8| {
        let counterparties = vec![PartyIndex::new(other).map_err(|e| e.to_string())?];
        Ok::<_, String>(SignData { sign_id: b"session".to_vec(), counterparties, message_hash: [9; 32] })
    };
    let (one, two, one_data, two_data) = (&parties[0], &parties[2], data(3)?, data(1)?);
    mean(100, || {
        let say = |abort: dkls23_core::protocols::Abort| abort.description();
        let (one_unique, one_kept, to_two) = one.sign_phase1(&one_data).map_err(say)?;
        let (two_unique, two_kept, to_one) = two.sign_phase1(&two_data).map_err(say)?;
        let one_next = one.sign_phase2(&one_data, one_unique, one_kept, &to_one).map_err(say)?;
        let two_next = two.sign_phase2(&two_data, two_unique, two_kept, &to_two).map_err(say)?;
        let (x, part) = one.sign_phase3(&one_data, one_next.0, one_next.1, &two_next.2).map_err(say)?;
        let (_, other) = two.sign_phase3(&two_data, two_next.0, two_next.1, &one_next.2).map_err(say)?;
        one.sign_phase4(&one_data, &x, &[part, other], true).map_err(say)?;
        Ok(())
    })
}

/// The mean over many runs, in milliseconds.
fn mean<T>(times: u32, mut once: impl FnMut() -> Outcome<T>) -> Outcome<f64> {
    let start = used_ms()?;
    for _ in 0..times {
        once()?;
    }
    Ok((used_ms()? - start) / f64::from(times))
}

/// What this thread has used of a processor so far, in milliseconds, as Linux counts it: other work on the
/// machine counts only as far as it slows this down.
fn used_ms() -> Outcome<f64> {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = line.split_whitespace().next().ok_or("an empty line")?.parse()?;
    Ok(nanoseconds / 1e6)
}
