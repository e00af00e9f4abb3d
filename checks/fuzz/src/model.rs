//! Feeds the model: the canonical decoder with documents of every kind that crosses a wire, and the checks behind it
//! with whatever was decoded.

mod scene;

use crate::Verdict;
use perennial_model::approval::ApprovedPlan;
use perennial_model::certificate::Certificate;
use perennial_model::committee::Seat;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening, check_dealing};
use perennial_model::encoding::{self, Bytes, Digest, Document, decode, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::Governance;
use perennial_model::group::{Edwards25519, Group, Point, Scalar as _, Secp256k1};
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::{PairingMessage, Reply, Request};
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::Plan;
use perennial_model::receipt::{ErasedShare, ErasureLevel, Receipt};
use perennial_model::refusal::{Fault, Refusal};
use perennial_model::session::SessionMessage;
use perennial_model::share_set::ShareSet;
use perennial_model::theft::TheftReport;
use perennial_model::transcript::Leaf;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Wallet, WalletKey};
use perennial_model::witness::{Alarm, Answer, Breach, Offer};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use scene::{Curve, Scene, named};
use std::fmt::Debug;
use std::sync::LazyLock;

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::new);

/// A document of whichever kind its label names: what is accepted is written back byte for byte, by one kind only, and
/// the checks behind it end with an answer.
pub fn document(bytes: &[u8]) -> Verdict {
    let verdicts = [
        read::<Wallet>(bytes, |_| ()),
        read::<Governance>(bytes, |governance| drop(governance.check())),
        read::<Plan>(bytes, check_plan),
        read::<ApprovedPlan>(bytes, |plan| drop(plan.clone().check(&SCENE.governance))),
        read::<ApprovedMandate>(bytes, |mandate| drop(mandate.check(&SCENE.governance))),
        read::<ApprovedOrder>(bytes, |order| drop(order.check(&SCENE.governance))),
        read::<TheftReport>(bytes, |report| drop(report.check())),
        read::<ShareSet>(bytes, check_share_set),
        read::<Inputs>(bytes, check_inputs),
        read::<Opening>(bytes, |_| ()),
        read::<Commitment>(bytes, |_| ()),
        read::<Dealing>(bytes, check_any_dealing),
        read::<Vote>(bytes, |_| ()),
        read::<Certificate>(bytes, check_certificate),
        read::<Refusal>(bytes, |_| ()),
        read::<Receipt>(bytes, |_| ()),
        read::<Leaf>(bytes, |_| ()),
        read::<SessionMessage>(bytes, |_| ()),
        read::<PairingMessage>(bytes, |_| ()),
        read::<Request>(bytes, |_| ()),
        read::<Reply>(bytes, |_| ()),
        read::<Alarm>(bytes, |_| ()),
    ];
    let accepted = verdicts.iter().filter(|verdict| **verdict == Verdict::Accepted).count();
    assert!(accepted <= 1, "bytes were accepted as {accepted} kinds of document");
    if accepted == 1 { Verdict::Accepted } else { Verdict::Refused }
}

/// A group element in both groups: what is accepted is written back byte for byte, is not the identity, and behaves.
pub fn element(bytes: &[u8]) -> Verdict {
    let Some(point) = Point::from_bytes(bytes) else { return Verdict::Refused };
    let accepted = decodes::<Secp256k1>(&point) | decodes::<Edwards25519>(&point);
    if accepted { Verdict::Accepted } else { Verdict::Refused }
}

/// At least one document of each kind, and both sorts of certificate.
pub fn document_samples() -> Vec<Vec<u8>> {
    let scene = &*SCENE;
    let identity = &scene.identities[0];
    let opening = Signed::new(identity, &scene.openings[0]);
    let dealing = scene.dealing(0);
    let commitment =
        Commitment { chunk: scene.chunk, inputs: scene.inputs.digest(), dealing: encoding::digest(&dealing) };
    let (to, run) = (scene.inputs.holders[1].clone(), Digest([3; 32]));
    let round = SessionMessage { session: run, round: 1, to: to.clone(), items: vec![Bytes(vec![1; 40])] };
    let (plan, epoch) = (scene.chunk.plan, scene.chunk.epoch);
    let pairing = PairingMessage { plan, epoch, to, run, step: 0, one_time_key: Some(run), sealed: None };
    let refusal = Refusal {
        chunk: scene.chunk,
        inputs: scene.inputs.digest(),
        dealer: named("b"),
        fault: Fault::DoesNotOpen,
    };
    let bytes = || Bytes(vec![4; 40]);
    let offer = Offer { key: "log+01020304+AQ==".into(), note: bytes(), proof: bytes(), sent_ms: 5 };
    let alarm = Alarm {
        breach: Breach::Forked,
        key: offer.key.clone(),
        held: bytes(),
        offered: bytes(),
        proof: bytes(),
        at_ms: 6,
    };
    vec![
        encode(&scene::wallet("treasury")),
        encode(&scene.governance),
        encode(scene.approved.plan()),
        encode(&scene.approved_plan),
        encode(&share_set()),
        encode(&scene.inputs),
        encode(&scene.openings[0]),
        encode(&commitment),
        encode(&dealing),
        encode(&scene.vote(VoteKind::Prepared)),
        encode(&scene.certificate(VoteKind::Prepared)),
        encode(&scene.certificate(VoteKind::Keep)),
        encode(&refusal),
        encode(&receipt()),
        encode(&Leaf::of(&share_set())),
        encode(&round),
        encode(&pairing),
        encode(&Request::Commit { inputs: scene.inputs.clone(), openings: vec![opening.clone()] }),
        encode(&Reply::Opened(opening)),
        encode(&alarm),
        encode(&Request::Checkpoint(Box::new(offer))),
        encode(&Reply::Checkpoint(Answer::Alarm(Signed::new(identity, &alarm)))),
    ]
}

/// One element of each group.
pub fn element_samples() -> Vec<Vec<u8>> {
    fn generator<G: Group>() -> Vec<u8> {
        G::encode(&G::generate(&G::Scalar::ONE)).as_bytes().to_vec()
    }
    vec![generator::<Secp256k1>(), generator::<Edwards25519>()]
}

fn read<D: Document + Debug>(bytes: &[u8], check: impl Fn(&D)) -> Verdict {
    let decoded = decode::<D>(bytes);
    match &decoded {
        Ok(document) => {
            assert_eq!(encode(document), bytes, "a {} has two written forms", D::KIND);
            assert_eq!(encoding::digest(document), Digest::of(bytes), "a digest is not of the bytes");
            assert!(!format!("{document:?}").is_empty(), "a {} cannot be shown", D::KIND);
            check(document);
        }
        Err(malformed) => assert!(!malformed.to_string().is_empty(), "a refusal without a reason"),
    }
    Verdict::of(&decoded)
}

fn check_plan(plan: &Plan) {
    // Whatever the answer, it comes.
    let _ = plan.check(&SCENE.governance);
    let _ = plan.wallets_of(&SCENE.chunk);
    assert!(
        plan.activation_size() >= usize::from(plan.committee.threshold()),
        "fewer would activate than sign"
    );
}

fn check_inputs(inputs: &Inputs) {
    let plan = SCENE.approved.plan();
    if inputs.check(plan, Some(&plan.committee)).is_ok() {
        assert!(inputs.holders.len() >= plan.activation_size(), "an activation set is too small");
    }
}

fn check_share_set(share_set: &ShareSet) {
    let _ = share_set.opens_to();
    for seat in (0..=u8::MAX).filter_map(Seat::new) {
        let found = share_set.verification_share(seat).is_some();
        let held = share_set.committee.seats().any(|held| held == seat);
        assert!(held || !found, "a share of a seat that nobody holds");
    }
}

/// The checks that everybody makes of a dealing, as if `a` had signed it.
fn check_any_dealing(dealing: &Dealing) {
    let signer = SCENE.inputs.dealers[0].clone();
    let said = Said { signer: signer.clone(), body: dealing.clone(), digest: encoding::digest(dealing) };
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let plan = SCENE.approved.plan();
    let answer = check_dealing::<Curve>(&said, &SCENE.inputs, plan, &mut rng);
    if let Ok(checked) = answer {
        assert_eq!(checked.dealer, signer, "a dealing was put down to another");
        let threshold = usize::from(plan.committee.threshold());
        let degrees = checked.coefficients.iter().map(Vec::len);
        assert!(degrees.eq([threshold; 2]), "a polynomial of another degree was accepted");
    }
}

fn check_certificate(certificate: &Certificate) {
    if let Ok(confirmed) = certificate.clone().check(&SCENE.approved, &SCENE.governance) {
        assert!(confirmed.certificate.votes.len() >= 3, "a certificate with too few votes was accepted");
        assert_eq!(
            confirmed.certificate.inputs, SCENE.inputs,
            "votes were counted for what they did not say"
        );
    }
}

fn decodes<G: Group>(point: &Point) -> bool {
    let Some(element) = G::decode(point) else { return false };
    assert_eq!(G::encode(&element), *point, "an element has two written forms");
    assert!(element != G::identity(), "the identity was accepted");
    let largest = G::Scalar::ZERO - G::Scalar::ONE;
    let full_turn = G::multiply_public(&largest, &element) + element;
    assert!(full_turn == G::identity(), "an element outside of the group of prime order was accepted");
    true
}

fn share_set() -> ShareSet {
    let point = Curve::encode(&Curve::generate(&<Curve as Group>::Scalar::from_u64(5)));
    ShareSet {
        wallet: scene::wallet("treasury"),
        key: WalletKey { public_key: point, chain_code: Digest([8; 32]) },
        epoch: Epoch { rank: 1, count: 1 },
        committee: SCENE.approved.plan().committee.clone(),
        verification_shares: vec![point; 3],
        transcript: Digest([1; 32]),
        parent: Some(Digest([2; 32])),
        highest_seat: Seat::new(3).expect("3 is a seat"),
    }
}

fn receipt() -> Receipt {
    let share = ErasedShare {
        wallet: named("treasury"),
        epoch: Epoch { rank: 1, count: 1 },
        transcript: Digest([1; 32]),
    };
    Receipt {
        chunk: SCENE.chunk,
        shares: vec![share],
        attempts: vec![SCENE.chunk],
        bases: vec![Digest([9; 32])],
        level: ErasureLevel::Software,
        erased_at_ms: 1_700_000_900_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_get_past_the_checks_behind_the_decoder() -> Result<(), perennial_model::Error> {
        let plan = SCENE.approved.plan();
        SCENE.inputs.check(plan, None)?;
        let body = SCENE.dealing(0);
        let digest = encoding::digest(&body);
        let said = Said { signer: SCENE.inputs.dealers[0].clone(), body, digest };
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        check_dealing::<Curve>(&said, &SCENE.inputs, plan, &mut rng)?;
        for kind in [VoteKind::Prepared, VoteKind::Keep] {
            SCENE.certificate(kind).check(&SCENE.approved, &SCENE.governance)?;
        }
        assert!(share_set().opens_to().is_some());
        Ok(())
    }
}
