//! A setup against whatever can happen to its messages.

use super::super::synthetic::bases;
use super::super::tests::{rng, terms};
use super::*;
use proptest::prelude::*;

fn goes_on(progress: Result<SetupProgress, PairingError>) -> (Setup, Vec<u8>) {
    match progress {
        Ok(SetupProgress::Continue { setup, outgoing }) => (setup, outgoing),
        other => panic!("{other:?}"),
    }
}

fn is_refused(result: &Result<SetupProgress, PairingError>) -> bool {
    matches!(result, Err(PairingError::Misbehaved(_) | PairingError::Stale(_)))
}

/// Both sides after their openings, with a base that costs nothing, and their challenges.
fn challenged() -> [(Setup, Vec<u8>); 2] {
    let (first, second) = bases(2);
    [
        goes_on(Setup::challenge(terms(Side::First, 1), first)),
        goes_on(Setup::challenge(terms(Side::Second, 1), second)),
    ]
}

type Change<'a> = &'a dyn Fn(&mut Init, &mut Opening);

#[test]
fn an_altered_opening_leads_to_no_base() {
    let rng = &mut rng();
    let (_, message) = Setup::begin(terms(Side::Second, 1), rng);
    let altered = |change: Change<'_>| {
        let mut envelope: Envelope = encoding::decode(&message).expect("an envelope");
        let mut opening: Opening = encoding::decode(&envelope.body.0).expect("an opening");
        let mut init: Init = encoding::decode(&opening.init.0).expect("an init message");
        change(&mut init, &mut opening);
        opening.init = Bytes(encoding::encode(&init));
        envelope.body = Bytes(encoding::encode(&opening));
        encoding::encode(&envelope)
    };
    // Points of the curve all the same: the generator in place of the first.
    let generator = |points: &mut Bytes| {
        let generator = write_points([&k256::AffinePoint::GENERATOR]);
        points.0[..generator.0.len()].copy_from_slice(&generator.0);
    };
    let changes: [Change<'_>; 8] = [
        &|init, _| generator(&mut init.key_commitments),
        &|init, _| generator(&mut init.transfer_points),
        &|init, _| init.key_challenges.0[0] ^= 1,
        &|init, _| init.key_responses.0[31] ^= 1,
        &|init, _| init.transfer_seed[0] ^= 1,
        &|init, _| init.transfer_points.0[0] ^= 1,
        &|init, _| init.transfer_scalars.0[31] ^= 1,
        &|init, _| init.transfer_scalars.0.truncate(64),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (setup, _) = Setup::begin(terms(Side::First, 1), rng);
        let result = setup.advance(&altered(change), rng);
        assert!(matches!(&result, Err(PairingError::Misbehaved(_))), "{number}: {result:?}");
    }
}

#[test]
fn sides_with_different_openings_of_one_peer_do_not_confirm() {
    let rng = &mut rng();
    let changes: [fn(&mut Base); 3] = [
        |base| base.secret[0] ^= 1,
        |base| base.id.0[0] ^= 1,
        |base| base.sender.ote_sender.seeds[255][31] ^= 1,
    ];
    for change in changes {
        let (mut first, second) = bases(2);
        change(&mut first);
        let (first, to_second) = goes_on(Setup::challenge(terms(Side::First, 1), first));
        let (second, to_first) = goes_on(Setup::challenge(terms(Side::Second, 1), second));
        let answers = (first.advance(&to_first, rng), second.advance(&to_second, rng));
        let refused = match answers {
            (Ok(SetupProgress::Continue { .. }), Err(PairingError::Misbehaved(_)))
            | (Err(PairingError::Misbehaved(_)), Ok(SetupProgress::Continue { .. })) => true,
            (Err(PairingError::Misbehaved(_)), Err(PairingError::Misbehaved(_))) => true,
            (a, b) => {
                let ((first, to_second), (second, to_first)) = (goes_on(a), goes_on(b));
                is_refused(&first.advance(&to_first, rng)) && is_refused(&second.advance(&to_second, rng))
            }
        };
        assert!(refused);
    }
}

#[test]
fn a_message_of_another_setup_or_thrown_back_is_stale() {
    let rng = &mut rng();
    let (_, own) = Setup::begin(terms(Side::First, 3), rng);
    let (_, other_generation) = Setup::begin(terms(Side::Second, 4), rng);
    for message in [own, other_generation] {
        let (setup, _) = Setup::begin(terms(Side::First, 3), rng);
        let result = setup.advance(&message, rng);
        assert!(matches!(&result, Err(PairingError::Stale(_))), "{result:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_challenge_or_an_answer_altered_in_any_bit_leads_to_no_base(
        position: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let rng = &mut rng();
        let alter = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let length = bytes.len();
            bytes[position.index(length)] ^= 1 << bit;
            bytes
        };
        let [(first, to_second), (second, to_first)] = challenged();
        prop_assert!(is_refused(&first.advance(&alter(&to_first), rng)));
        drop((second, to_second));

        let [(first, to_second), (second, to_first)] = challenged();
        let (first, _) = goes_on(first.advance(&to_first, rng));
        let (_, to_first) = goes_on(second.advance(&to_second, rng));
        prop_assert!(is_refused(&first.advance(&alter(&to_first), rng)));
    }
}
