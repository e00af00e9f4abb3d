//! The one equation against the library's own check of every proof.

use super::*;
use crate::pairing::tests::rng;
use dkls23_core::utilities::ot::base::{OTReceiver, OTSender};
use dkls23_core::utilities::proofs::{CPProof, EncProof, RandomCommitments};

const SESSION: [u8; 32] = [7; 32];

/// A proof as the library has it: both halves speak of one `h` and `u`, the second of `v - h` instead of `v`.
fn transfer_proof(base_h: AffinePoint, encrypted: &Encrypted) -> EncProof<Secp256k1> {
    let [v, u, rc0_g, rc0_h, rc1_g, rc1_h] = encrypted.points;
    let [challenge0, challenge1, response0, response1] = encrypted.scalars;
    let second = (ProjectivePoint::from(v) - ProjectivePoint::from(base_h)).to_affine();
    let half = |point_u, challenge_response| CPProof {
        base_g: AffinePoint::GENERATOR,
        base_h,
        point_u,
        point_v: u,
        challenge_response,
    };
    EncProof {
        proof0: half(v, response0),
        proof1: half(second, response1),
        commitments0: RandomCommitments { rc_g: rc0_g, rc_h: rc0_h },
        commitments1: RandomCommitments { rc_g: rc1_g, rc_h: rc1_h },
        challenge0,
        challenge1,
    }
}

/// The proofs of a session as the library has them.
pub(crate) fn transfer_proofs(
    session: &[u8; 32],
    transfer_seed: &[u8; 32],
    encrypted: &[Encrypted],
) -> Vec<EncProof<Secp256k1>> {
    let bases = transfer_sessions(session).into_iter().map(|session| transfer_base(&session, transfer_seed));
    bases.zip(encrypted).map(|(base, encrypted)| transfer_proof(base, encrypted)).collect()
}

fn parts_of(proof: &EncProof<Secp256k1>) -> Encrypted {
    let (first, second, statement) = (&proof.commitments0, &proof.commitments1, &proof.proof0);
    let points = [statement.point_u, statement.point_v, first.rc_g, first.rc_h, second.rc_g, second.rc_h];
    let responses = [proof.proof0.challenge_response, proof.proof1.challenge_response];
    Encrypted { points, scalars: [proof.challenge0, proof.challenge1, responses[0], responses[1]] }
}

/// A sender's key, and what a peer encrypts for it.
fn encrypted() -> (OTSender<Secp256k1>, OTReceiver, Vec<Encrypted>) {
    let (sender, receiver) = (OTSender::init(&SESSION), OTReceiver::init());
    let bits: Vec<bool> = (0..TRANSFERS).map(|at| at % 3 == 0).collect();
    let (_, proofs) = receiver.run_phase1_batch::<Secp256k1>(&SESSION, &bits).expect("256 are few enough");
    (sender, receiver, proofs.iter().map(parts_of).collect())
}

#[test]
fn seeds_are_those_of_the_library() {
    let (sender, receiver, encrypted) = encrypted();
    let proofs = transfer_proofs(&SESSION, &receiver.seed, &encrypted);
    let expected = sender.run_phase2_batch(&SESSION, &receiver.seed, &proofs).expect("honest");
    let seeds = receive(&sender.s, &SESSION, &receiver.seed, &encrypted, &mut rng()).expect("honest");
    assert_eq!((&seeds[0], &seeds[1]), (&expected.0, &expected.1));
}

#[test]
fn no_altered_part_of_any_proof_passes() {
    let (sender, receiver, honest) = encrypted();
    let rng = &mut rng();
    let mut refuses = |what: &str, change: &dyn Fn(&mut Vec<Encrypted>)| {
        let mut altered = honest.clone();
        change(&mut altered);
        assert!(receive(&sender.s, &SESSION, &receiver.seed, &altered, rng).is_none(), "{what}");
    };
    for part in 0..6 {
        refuses(&format!("point {part}"), &|all| all[200].points[part] = AffinePoint::GENERATOR);
    }
    for part in 0..4 {
        refuses(&format!("scalar {part}"), &|all| all[17].scalars[part] += Number::ONE);
    }
    // The challenges still add up, and the responses do not follow them.
    refuses("both challenges", &|all| {
        all[17].scalars[0] += Number::ONE;
        all[17].scalars[1] -= Number::ONE;
    });
    // The sum of all equations without weights stays as it was.
    refuses("two proofs against each other", &|all| {
        all[3].scalars[2] += Number::ONE;
        all[4].scalars[2] -= Number::ONE;
    });
    refuses("two proofs in each other's place", &|all| all.swap(0, 1));
    refuses("one too few", &|all| all.truncate(TRANSFERS - 1));
    let seed = [1; 32];
    assert!(receive(&sender.s, &SESSION, &seed, &honest, rng).is_none(), "another seed");
    assert!(receive(&sender.s, &[8; 32], &receiver.seed, &honest, rng).is_none(), "another session");
}

#[test]
fn a_wrong_proof_with_a_fitting_challenge_is_found_by_the_equation() {
    let (sender, receiver, mut altered) = encrypted();
    let session = [&5_u16.to_be_bytes()[..], &SESSION].concat();
    let proof = &mut altered[5];
    proof.points[5] = AffinePoint::GENERATOR;
    let h = transfer_base(&session, &receiver.seed);
    let said = [&AffinePoint::GENERATOR, &h, &proof.points[1], &proof.points[0]];
    let said: Vec<u8> =
        said.into_iter().chain(&proof.points[2..]).flat_map(point_to_bytes::<Secp256k1>).collect();
    let expected = tagged_hash_as_scalar::<Secp256k1>(TAG_ENCPROOF_FS, &[&session, &said]);
    proof.scalars[1] = expected - proof.scalars[0];
    assert_eq!(challenge(&session, &h, &proof.points), proof.scalars[0] + proof.scalars[1]);
    assert!(receive(&sender.s, &SESSION, &receiver.seed, &altered, &mut rng()).is_none());
}
