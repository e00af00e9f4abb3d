//! What is encrypted here against what the library reads.

use super::super::tests::rng;
use super::super::transfers;
use super::super::transfers::tests::transfer_proofs;
use super::*;
use dkls23_core::utilities::ot::base::{OTReceiver, OTSender};
use std::collections::BTreeSet;

const SESSION: [u8; 32] = [7; 32];

#[test]
fn the_library_believes_every_proof_and_makes_the_seeds_that_were_chosen() {
    let rng = &mut rng();
    let sender = OTSender::<Secp256k1>::init(&SESSION);
    let (choices, encrypted) = encrypt(&SESSION, rng);
    assert!(choices.bits.contains(&true) && choices.bits.contains(&false));
    let proofs = transfer_proofs(&SESSION, &choices.transfer_seed, &encrypted);
    let (seeds0, seeds1) =
        sender.run_phase2_batch(&SESSION, &choices.transfer_seed, &proofs).expect("honest choices");
    let receiver = OTReceiver { seed: choices.transfer_seed };
    let chosen = receiver
        .run_phase2_batch::<Secp256k1>(&SESSION, &choices.randomizers, &sender.run_phase1())
        .expect("an honest key");
    assert_eq!(choices.seeds(&SESSION, &sender.run_phase1().point), chosen);
    for (at, bit) in choices.bits.iter().enumerate() {
        let [right, wrong] = if *bit { [&seeds1, &seeds0] } else { [&seeds0, &seeds1] };
        assert_eq!(right[at], chosen[at], "transfer {at}");
        assert_ne!(wrong[at], chosen[at], "transfer {at}");
    }
    let ours = transfers::receive(&sender.s, &SESSION, &choices.transfer_seed, &encrypted, rng);
    assert_eq!(ours.expect("honest choices"), [seeds0, seeds1]);
}

#[test]
fn no_secret_of_a_proof_serves_twice() {
    let rng = &mut rng();
    let mut points = BTreeSet::new();
    let mut scalars = BTreeSet::new();
    for _ in 0..2 {
        for parts in encrypt(&SESSION, rng).1 {
            points.extend(
                parts.points.iter().map(|point| super::super::write_point(point).as_bytes().to_vec()),
            );
            scalars.extend(parts.scalars.iter().map(Scalar::encode));
        }
    }
    assert_eq!(points.len(), 2 * 6 * TRANSFERS);
    assert_eq!(scalars.len(), 2 * 4 * TRANSFERS);
}
