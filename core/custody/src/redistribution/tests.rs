//! Redistribution from any parent by any dealers to any committee, key generation, and the proofs that go with it.

use super::*;
use crate::share::Share;
use perennial_model::committee::{Committee, Member};
use perennial_model::dealing::{OneTimeKey, check_dealing};
use perennial_model::encoding;
use perennial_model::epoch::Epoch;
use perennial_model::group::{Edwards25519, Secp256k1, lagrange_at_zero};
use perennial_model::identity::{FindIdentity, IdentityKey, IdentitySignature, Sign, Signed};
use perennial_model::plan::{Action, BackupRule, Chunk, LiarTolerance, Plan, ProbeRate, Profile};
use perennial_model::wallet::{Chain, Scheme, Tier, Wallet};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

mod blame;

/// Signs as a named signer with a key made of its name.
struct Name(SignerId);

type Number = <Secp256k1 as Group>::Scalar;

fn key_of(signer: &SignerId) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&Digest::of(signer.as_str().as_bytes()).0)
}

impl Sign for Name {
    fn signer(&self) -> &SignerId {
        &self.0
    }
    fn sign(&self, message: &[u8]) -> IdentitySignature {
        use ed25519_dalek::Signer as _;
        IdentitySignature(key_of(&self.0).sign(message).to_bytes())
    }
}

struct Everybody;
impl FindIdentity for Everybody {
    fn identity_of(&self, signer: &SignerId) -> Option<IdentityKey> {
        Some(IdentityKey::Ed25519(key_of(signer).verifying_key().to_bytes()))
    }
}

fn say<D: encoding::Document>(signer: &SignerId, body: &D) -> Said<D> {
    Signed::new(&Name(signer.clone()), body).check(&Everybody).expect("its own words")
}

fn signer(prefix: &str, seat: u8) -> SignerId {
    format!("{prefix}{seat}").parse().expect("a good name")
}

fn committee(prefix: &str, threshold: u8, seats: &[u8]) -> Committee {
    let members = seats
        .iter()
        .map(|seat| Member { signer: signer(prefix, *seat), seat: Seat::new(*seat).expect("not zero") })
        .collect();
    Committee::new(threshold, members).expect("a committee")
}

fn plan(action: Action, wallets: usize, scheme: Scheme, committee: &Committee) -> Plan {
    let chain = if scheme == Scheme::Ed25519 { Chain::Solana } else { Chain::Ethereum };
    let wallet = |n: usize| Wallet {
        id: format!("w-{n}").parse().expect("a good name"),
        tenant: "acme".parse().expect("a good name"),
        tier: Tier::Low,
        chain,
    };
    let planned = |n| match action {
        Action::Create => PlannedWallet::New(wallet(n)),
        Action::Refresh => PlannedWallet::Held(wallet(n).id, Digest([n as u8; 32])),
    };
    Plan {
        action,
        tenant: "acme".parse().expect("a good name"),
        tier: Tier::Low,
        wallets: (0..wallets).map(planned).collect(),
        rank: 2,
        attempts: 1,
        committee: committee.clone(),
        liar_tolerance: LiarTolerance::WaivedUnsafe,
        profile: Profile::Planned { overlap_ms: 0 },
        not_before_ms: 0,
        expiry_ms: 1,
        activation_deadline_ms: 2,
        probe_rate: ProbeRate::Every,
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: Digest::default(),
        initiator: "ira".parse().expect("a good name"),
        nonce: Digest::default(),
        mandate: None,
    }
}

/// Holders with their one-time seeds, and what they published.
struct Holders {
    seeds: BTreeMap<SignerId, OneTimeSeed>,
    openings: Vec<Said<Opening>>,
}

fn open(chunk: Chunk, committee: &Committee, dealers: &[SignerId], rng: &mut ChaCha20Rng) -> Holders {
    let mut holders = Holders { seeds: BTreeMap::new(), openings: Vec::new() };
    for holder in committee.signers() {
        let seed = OneTimeSeed::random(rng);
        let key =
            |dealer: &SignerId| OneTimeKey { counterparty: dealer.clone(), public: seed.public_key(dealer) };
        let opening = Opening { chunk, keys: dealers.iter().map(key).collect() };
        holders.openings.push(say(holder, &opening));
        holders.seeds.insert(holder.clone(), seed);
    }
    holders
}

/// Old shares of several wallets as a dealer's committee holds them.
struct Parent<G: Group> {
    committee: Committee,
    secrets: Vec<G::Scalar>,
    shares: BTreeMap<SignerId, Vec<G::Scalar>>,
    /// What is known to all of the shares.
    verification: BTreeMap<SignerId, Vec<G::Element>>,
}

impl<G: Group> Parent<G> {
    /// What a dealer's constants commit to, among dealers at these seats.
    fn constants(&self, dealer: &SignerId, seats: &[u8]) -> Vec<G::Element> {
        let own = self.committee.seat_of(dealer).expect("a member").get();
        let weight = lagrange_at_zero::<G::Scalar>(own, seats).expect("distinct seats");
        self.verification[dealer].iter().map(|share| G::multiply_public(&weight, share)).collect()
    }
}

fn parent<G: Group>(threshold: u8, seats: &[u8], wallets: usize, rng: &mut ChaCha20Rng) -> Parent<G> {
    let committee = committee("old", threshold, seats);
    let mut shares: BTreeMap<SignerId, Vec<G::Scalar>> = BTreeMap::new();
    let mut secrets = Vec::new();
    for _ in 0..wallets {
        let coefficients: Vec<G::Scalar> = (0..threshold).map(|_| random_scalar::<G>(rng)).collect();
        secrets.push(coefficients[0]);
        for member in committee.members() {
            shares.entry(member.signer.clone()).or_default().push(evaluate(&coefficients, member.seat));
        }
    }
    let of_all = |shares: &Vec<G::Scalar>| shares.iter().map(G::generate).collect();
    let verification = shares.iter().map(|(signer, shares)| (signer.clone(), of_all(shares))).collect();
    Parent { committee, secrets, shares, verification }
}

/// Runs one whole redistribution; gives each new holder's shares, or the refusal.
fn redistribute<G: Group>(
    scheme: Scheme,
    old: &Parent<G>,
    dealers: &[SignerId],
    new: &Committee,
    tamper: impl Fn(&SignerId, &mut Dealing),
    rng: &mut ChaCha20Rng,
) -> Result<BTreeMap<SignerId, Vec<G::Scalar>>, String> {
    let plan = plan(Action::Refresh, old.secrets.len(), scheme, new);
    let chunk =
        Chunk { plan: plan.digest(), epoch: Epoch::new(2, 1), first: 0, count: old.secrets.len() as u32 };
    let holders = open(chunk, new, dealers, rng);
    let inputs = Inputs::new(chunk, dealers.to_vec(), &holders.openings);
    let seats: Vec<u8> =
        dealers.iter().map(|dealer| old.committee.seat_of(dealer).expect("a member").get()).collect();
    let mut published = Vec::new();
    for (dealer, seat) in dealers.iter().zip(&seats) {
        let weight = lagrange_at_zero::<G::Scalar>(*seat, &seats).expect("distinct seats");
        let own: Vec<_> = old.shares[dealer]
            .iter()
            .map(|share| {
                let bytes = zeroize::Zeroizing::new(share.encode());
                (weight, Share::from_secret_bytes(scheme, bytes).expect("a share"))
            })
            .collect();
        let terms = DealTerms {
            inputs: &inputs,
            wallets: &plan.wallets,
            threshold: new.threshold(),
            holders: holders
                .openings
                .iter()
                .map(|opening| (new.seat_of(&opening.signer).expect("a member"), opening))
                .collect(),
            dealer,
        };
        let mut dealing = deal::<G>(&terms, &Constants::Redealt(&own), rng).map_err(|e| e.to_string())?;
        tamper(dealer, &mut dealing);
        let said = say(dealer, &dealing);
        let checked = check_dealing::<G>(&said, &inputs, &plan, rng).map_err(|e| e.to_string())?;
        published.push((said, checked));
    }
    let (said, checked): (Vec<_>, Vec<_>) = published.into_iter().unzip();
    let published: Vec<_> = said.iter().zip(checked).collect();
    let mut shares = BTreeMap::new();
    for member in new.members() {
        let seed = &holders.seeds[&member.signer];
        let refused = |refused: Refused| format!("refused {}: {:?}", refused.dealer, refused.fault);
        let received = receive::<G>(&inputs, &member.signer, seed, &published).map_err(refused)?;
        let due = |at: usize| {
            let slopes = (0..usize::from(new.threshold()) - 1).map(|k| {
                published.iter().fold(G::identity(), |sum, (_, dealing)| sum + dealing.coefficients[at][k])
            });
            let key = G::generate(&old.secrets[at]);
            evaluate_in_exponent::<G>(&std::iter::once(key).chain(slopes).collect::<Vec<_>>(), member.seat)
        };
        let due: Vec<G::Element> = (0..old.secrets.len()).map(due).collect();
        let blamed = received
            .blame(member.seat, &published, |dealer| Ok(old.constants(dealer, &seats)))
            .map_err(|e| e.to_string())?;
        if !shares_fit::<G>(&received.shares, &due, rng) {
            return Err(blamed.map_or("nobody is to blame".into(), refused));
        }
        assert_eq!(blamed, None, "whoever dealt what fits is not to blame");
        shares.insert(member.signer.clone(), received.shares.to_vec());
    }
    Ok(shares)
}

fn interpolate<G: Group>(
    committee: &Committee,
    shares: &BTreeMap<SignerId, Vec<G::Scalar>>,
    who: &[usize],
    at: usize,
) -> G::Scalar {
    let chosen: Vec<&Member> = who.iter().map(|place| &committee.members()[*place]).collect();
    let seats: Vec<u8> = chosen.iter().map(|member| member.seat.get()).collect();
    chosen.iter().fold(G::Scalar::ZERO, |sum, member| {
        let weight = lagrange_at_zero::<G::Scalar>(member.seat.get(), &seats).expect("distinct seats");
        sum + weight * shares[&member.signer][at]
    })
}

/// A committee's size, threshold and seats.
fn shape() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (2_usize..=6).prop_flat_map(|size| {
        let seats = proptest::collection::btree_set(1_u8..=255, size);
        (2..=size as u8, seats.prop_map(|seats| seats.into_iter().collect()))
    })
}

fn any_parent_any_committee<G: Group>(
    scheme: Scheme,
    (t_old, old_seats): &(u8, Vec<u8>),
    (t_new, new_seats): &(u8, Vec<u8>),
    wallets: usize,
    seed: u64,
) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let old = parent::<G>(*t_old, old_seats, wallets, &mut rng);
    let members: Vec<SignerId> = old.committee.signers().cloned().collect();
    let skip = seed as usize % (members.len() - usize::from(*t_old) + 1);
    let dealers = members[skip..skip + usize::from(*t_old)].to_vec();
    let new = committee("new", *t_new, new_seats);
    let shares =
        redistribute::<G>(scheme, &old, &dealers, &new, |_, _| {}, &mut rng).expect("honest dealers");
    let size = usize::from(*t_new);
    let first: Vec<usize> = (0..size).collect();
    let last: Vec<usize> = (new_seats.len() - size..new_seats.len()).collect();
    for at in 0..wallets {
        assert!(interpolate::<G>(&new, &shares, &first, at) == old.secrets[at]);
        assert!(interpolate::<G>(&new, &shares, &last, at) == old.secrets[at]);
        let too_few = interpolate::<G>(&new, &shares, &first[1..], at);
        assert!(too_few != old.secrets[at], "t-1 shares are not the key");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_t_of_any_new_committee_hold_the_same_key(
        old in shape(), new in shape(), wallets in 1_usize..5, seed in any::<u64>(),
    ) {
        any_parent_any_committee::<Secp256k1>(Scheme::Ecdsa, &old, &new, wallets, seed);
        any_parent_any_committee::<Edwards25519>(Scheme::Ed25519, &old, &new, wallets, seed);
    }

    #[test]
    fn old_and_new_shares_together_are_not_the_key(shape in shape(), seed in any::<u64>()) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let old = parent::<Secp256k1>(shape.0, &shape.1, 1, &mut rng);
        let dealers: Vec<SignerId> = old.committee.signers().take(usize::from(shape.0)).cloned().collect();
        let shares = redistribute::<Secp256k1>(Scheme::Ecdsa, &old, &dealers, &old.committee, |_, _| {}, &mut rng)
            .expect("honest dealers");
        let mut mixed = old.shares.clone();
        let stale = dealers[0].clone();
        for (signer, new) in shares.iter().filter(|(signer, _)| **signer != stale) {
            mixed.insert(signer.clone(), new.clone());
        }
        let all: Vec<usize> = (0..usize::from(shape.0)).collect();
        prop_assert!(interpolate::<Secp256k1>(&old.committee, &mixed, &all, 0) != old.secrets[0]);
        prop_assert!(interpolate::<Secp256k1>(&old.committee, &old.shares, &all, 0) == old.secrets[0]);
    }
}

#[test]
fn a_dealer_that_deals_something_else_is_named() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let old = parent::<Secp256k1>(2, &[1, 2, 3], 3, &mut rng);
    let dealers = vec![signer("old", 1), signer("old", 3)];
    let liar = dealers[1].clone();
    let other = Secp256k1::commit_all(&[random_scalar::<Secp256k1>(&mut rng)])[0];
    let mut run = |tamper: &dyn Fn(&mut Dealing)| {
        let at_liar = |dealer: &SignerId, dealing: &mut Dealing| {
            if *dealer == liar {
                tamper(dealing);
            }
        };
        redistribute::<Secp256k1>(Scheme::Ecdsa, &old, &dealers, &old.committee, at_liar, &mut rng)
            .expect_err("it must not pass")
    };
    let slope = run(&|dealing| dealing.wallets[2].coefficients[0] = other);
    assert!(slope.contains("refused old3: OffPolynomial"), "{slope}");
    let constant = run(&|dealing| dealing.wallets[1].coefficients.insert(0, other));
    assert!(constant.contains("old3 misbehaved") && constant.contains("another degree"), "{constant}");
    let without = run(&|dealing| dealing.wallets[0].coefficients.clear());
    assert!(without.contains("another degree"), "{without}");
    let sealed = run(&|dealing| dealing.sub_shares[0].sealed.ciphertext.0[5] ^= 1);
    assert!(sealed.contains("refused old3: DoesNotOpen"), "{sealed}");
    let swapped = run(&|dealing| dealing.sub_shares.swap(0, 1));
    assert!(swapped.contains("for others than the holders"), "{swapped}");
    let added = run(&|dealing| {
        dealing.wallets[0].contribution = Some(Contribution { proof: no_proof(), entropy: [1; 32] })
    });
    assert!(added.contains("added to a key that exists"), "{added}");
}

fn no_proof() -> SchnorrProof {
    SchnorrProof { commitment: Secp256k1::encode(&Secp256k1::generate(&Number::ONE)), response: [0; 32] }
}

#[test]
fn when_a_key_is_made_every_dealer_proves_its_part() {
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let new = committee("new", 2, &[1, 2, 3]);
    let plan = plan(Action::Create, 4, Scheme::Ed25519, &new);
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(2, 1), first: 0, count: 4 };
    let dealers: Vec<SignerId> = new.signers().cloned().collect();
    let holders = open(chunk, &new, &dealers, &mut rng);
    let inputs = Inputs::new(chunk, dealers.clone(), &holders.openings);
    let terms = DealTerms {
        inputs: &inputs,
        wallets: &plan.wallets,
        threshold: 2,
        holders: new.seats().zip(&holders.openings).collect(),
        dealer: &dealers[0],
    };
    let dealing = deal::<Edwards25519>(&terms, &Constants::Fresh, &mut rng).expect("a dealing");
    let check = |dealing: &Dealing, rng: &mut ChaCha20Rng| {
        check_dealing::<Edwards25519>(&say(&dealers[0], dealing), &inputs, &plan, rng)
    };
    assert!(check(&dealing, &mut rng).is_ok());
    let mut without = dealing.clone();
    without.wallets[2].contribution = None;
    assert!(check(&without, &mut rng).expect_err("it must not pass").to_string().contains("its part of w-2"));
    let mut borrowed = dealing.clone();
    borrowed.wallets[3].contribution = dealing.wallets[1].contribution.clone();
    assert!(
        check(&borrowed, &mut rng).expect_err("it must not pass").to_string().contains("its part of w-3")
    );
}

#[test]
fn possession_is_proved_by_the_holder_of_every_share_alone() {
    use perennial_model::vote::{Possession, check_possession};
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let (inputs, root) = (Digest([1; 32]), Digest([2; 32]));
    let names = [signer("new", 1), signer("new", 2)];
    let secrets: Vec<Vec<_>> =
        names.iter().map(|_| (0..5).map(|_| random_scalar::<Secp256k1>(&mut rng)).collect()).collect();
    let prove = |at: usize, root: &Digest, rng: &mut ChaCha20Rng| {
        prove_possession::<Secp256k1>(&inputs, root, &names[at], &secrets[at], rng)
    };
    let proofs = [prove(0, &root, &mut rng), prove(1, &root, &mut rng)];
    let shares = |at: usize| secrets[at].iter().map(Secp256k1::generate).collect::<Vec<_>>();
    let check = |proofs: &[SchnorrProof; 2], shares: [Vec<_>; 2], rng: &mut ChaCha20Rng| {
        let [first, second] = shares;
        let possessions = [
            Possession::<Secp256k1> { signer: &names[0], proof: &proofs[0], shares: first },
            Possession::<Secp256k1> { signer: &names[1], proof: &proofs[1], shares: second },
        ];
        check_possession::<Secp256k1>(&inputs, &root, &possessions, rng).map_err(SignerId::to_string)
    };
    assert_eq!(check(&proofs, [shares(0), shares(1)], &mut rng), Ok(()));
    let mut other = shares(1);
    other.swap(0, 4);
    assert_eq!(check(&proofs, [shares(0), other], &mut rng), Err("new2".into()));
    let replayed = [proofs[0].clone(), prove(1, &Digest([3; 32]), &mut rng)];
    assert_eq!(check(&replayed, [shares(0), shares(1)], &mut rng), Err("new2".into()));
    let copied = [proofs[0].clone(), proofs[0].clone()];
    assert_eq!(check(&copied, [shares(0), shares(1)], &mut rng), Err("new2".into()));
}

#[test]
fn all_proofs_of_possession_together_hold_only_if_each_does() {
    use perennial_model::possession::hold_together;
    let mut rng = ChaCha20Rng::seed_from_u64(10);
    let (inputs, root) = (Digest([1; 32]), Digest([2; 32]));
    let old = parent::<Secp256k1>(3, &[2, 5, 9, 200], 4, &mut rng);
    let points = |at: usize| {
        let of = |member: &Member| Secp256k1::encode(&Secp256k1::generate(&old.shares[&member.signer][at]));
        old.committee.members().iter().map(of).collect::<Vec<_>>()
    };
    let wallets: Vec<Vec<_>> = (0..4).map(points).collect();
    let proofs: Vec<(SignerId, SchnorrProof)> = old
        .shares
        .iter()
        .map(|(name, shares)| {
            (name.clone(), prove_possession::<Secp256k1>(&inputs, &root, name, shares, &mut rng))
        })
        .collect();
    let mut hold = |proofs: &[(SignerId, SchnorrProof)], wallets: &[Vec<perennial_model::group::Point>]| {
        let proofs: Vec<_> = proofs.iter().map(|(name, proof)| (name, proof)).collect();
        let wallets = wallets.iter().map(Vec::as_slice);
        hold_together::<Secp256k1>((&inputs, &root), &old.committee, wallets, &proofs, &mut rng)
    };
    assert_eq!(hold(&proofs, &wallets), Some(true));
    assert_eq!(hold(&proofs[1..], &wallets), Some(true));
    for at in 0..proofs.len() {
        let mut wrong = proofs.clone();
        wrong[at].1.response[31] ^= 1;
        assert_eq!(hold(&wrong, &wallets), Some(false), "{at}");
        let mut borrowed = proofs.clone();
        borrowed[at].1 = proofs[(at + 1) % 4].1.clone();
        assert_eq!(hold(&borrowed, &wallets), Some(false), "{at}");
    }
    // Errors of two holders that would cancel each other without weights.
    let mut two = proofs.clone();
    for (at, step) in [(0, Number::ONE), (3, Number::ZERO - Number::ONE)] {
        let response = <Number as Scalar>::decode(&two[at].1.response).expect("canonical");
        two[at].1.response = Scalar::encode(&(step + response));
    }
    assert_eq!(hold(&two, &wallets), Some(false));
    let mut turned = wallets.clone();
    turned.swap(1, 2);
    assert_eq!(hold(&proofs, &turned), Some(false), "shares of the wallets in another order");
    let mut stranger = proofs.clone();
    stranger[0].0 = signer("new", 1);
    assert_eq!(hold(&stranger, &wallets), None, "a signer without a seat");
}

#[test]
fn shares_of_two_wallets_that_are_wrong_by_opposite_amounts_do_not_fit() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let values: Vec<Number> = (0..2).map(|_| random_scalar::<Secp256k1>(&mut rng)).collect();
    let due: Vec<_> = values.iter().map(Secp256k1::generate).collect();
    let mut fit = |values: &[Number]| shares_fit::<Secp256k1>(values, &due, &mut rng);
    assert!(fit(&values));
    assert!(!fit(&[values[0] + Number::ONE, values[1] - Number::ONE]));
    assert!(!fit(&[values[1], values[0]]));
    assert!(!fit(&values[..1]));
}
