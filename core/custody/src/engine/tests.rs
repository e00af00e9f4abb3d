//! The engines against each other, against other people's verifiers, and against signers that cheat.

mod ecdsa;
mod support;

use super::*;
use proptest::prelude::*;
use support::{Outcome, Wallet, rng, run, seat, seats};

#[test]
fn a_threshold_of_any_seats_or_more_signs_with_the_root_key_and_with_a_derived_one() {
    for (number, (scheme, path)) in [
        (Scheme::Ed25519, "m"),
        (Scheme::Taproot, "m"),
        (Scheme::Taproot, "m/0/0"),
        (Scheme::Taproot, "m/1/2147483647"),
        #[cfg(feature = "simulation")]
        (Scheme::Transparent, "m"),
    ]
    .into_iter()
    .enumerate()
    {
        for (threshold, all, signing) in [
            (2, &[1, 2][..], &[1, 2][..]),
            (2, &[1, 2, 3], &[1, 3]),
            (2, &[1, 2, 3], &[1, 2, 3]),
            (3, &[2, 7, 9, 200], &[2, 9, 200]),
        ] {
            let wallet = Wallet::shamir(scheme, threshold, &seats(all), number as u64);
            for key_use in [KeyUse::Root, KeyUse::Path(path.parse().expect("a path"))] {
                let outcome = run(&wallet, &seats(signing), key_use.clone(), |_, _, _| {});
                let Outcome::Signed(signature) = &outcome else {
                    panic!("{scheme:?} {key_use:?}: {outcome:?}")
                };
                assert!(wallet.verifies(&key_use, signature), "{scheme:?} {key_use:?}");
            }
        }
    }
}

/// The schemes that need no pairs.
const UNPAIRED: &[Scheme] = &[
    Scheme::Ed25519,
    Scheme::Taproot,
    #[cfg(feature = "simulation")]
    Scheme::Transparent,
];

fn schemes() -> impl Strategy<Value = Scheme> {
    prop::sample::select(UNPAIRED)
}

/// A committee with gaps between its seats, a threshold, and which members sign: that many, or `more` as well.
fn committees(members_max: usize, more: bool) -> impl Strategy<Value = (u8, Vec<u8>, Vec<u8>)> {
    prop::collection::btree_set(1_u8..=255, 2..=members_max).prop_flat_map(move |seats| {
        let all: Vec<u8> = seats.into_iter().collect();
        (2..=all.len()).prop_flat_map(move |threshold| {
            let signing =
                prop::sample::subsequence(all.clone(), threshold..=if more { all.len() } else { threshold });
            (Just(threshold as u8), Just(all.clone()), signing)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_committee_signs_under_its_own_key(
        scheme in schemes(),
        (threshold, all, signing) in committees(7, true),
        seed: u64,
        index in 0_u32..1 << 31,
    ) {
        let wallet = Wallet::shamir(scheme, threshold, &seats(&all), seed);
        let steps = if scheme == Scheme::Taproot { vec![0, index] } else { vec![] };
        let key_use = KeyUse::Path(Path::new(steps).expect("two plain steps"));
        let outcome = run(&wallet, &seats(&signing), key_use.clone(), |_, _, _| {});
        let Outcome::Signed(signature) = &outcome else { panic!("{outcome:?}") };
        prop_assert!(wallet.verifies(&key_use, signature));
    }

    #[test]
    fn whoever_alters_any_bit_of_a_message_is_named_or_the_session_is_stale(
        scheme in schemes(),
        more: bool,
        round in 1_u8..=2,
        position: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let threshold = if more { 2 } else { 3 };
        let wallet = Wallet::shamir(scheme, threshold, &seats(&[2, 7, 9, 11]), 5);
        let cheat = seat(9);
        let outcome = run(&wallet, &seats(&[2, 7, 9]), KeyUse::Root, |sender, at, bytes| {
            if sender == cheat && at == round {
                let length = bytes.len();
                bytes[position.index(length)] ^= 1 << bit;
            }
        });
        match outcome {
            Outcome::Failed(EngineError::Misbehaved { culprit, .. }) => prop_assert_eq!(culprit, cheat),
            Outcome::Failed(EngineError::Stale(_)) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

/// SEC 1 points have a compact form with the tag 5, which the library of FROST reads.
#[test]
fn nonce_commitments_in_another_spelling_are_refused() {
    let wallet = Wallet::shamir(Scheme::Taproot, 2, &seats(&[1, 4]), 8);
    let head = [0x58, 33];
    for skipped in 0..2 {
        let outcome = run(&wallet, &seats(&[1, 4]), KeyUse::Root, |sender, round, bytes| {
            if (sender, round) == (seat(4), 1) {
                let mut points = (0..bytes.len() - 2).filter(|at| bytes[*at..].starts_with(&head));
                let tag = points.nth(skipped).expect("two points") + 2;
                assert!([2, 3].contains(&bytes[tag]));
                bytes[tag] = 5;
            }
        });
        let Outcome::Failed(EngineError::Misbehaved { culprit, what }) = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(*culprit == seat(4) && what.contains("one form"), "{what}");
    }
}

#[test]
fn a_signer_with_a_wrong_share_is_named_and_no_other() {
    for (&scheme, threshold) in UNPAIRED.iter().flat_map(|scheme| [(scheme, 3), (scheme, 2)]) {
        let mut wallet = Wallet::shamir(scheme, threshold, &seats(&[1, 4, 6]), 8);
        wallet.spoil_share(seat(4));
        for key_use in [KeyUse::Root, KeyUse::Path(Path::default())] {
            let outcome = run(&wallet, &seats(&[1, 4, 6]), key_use, |_, _, _| {});
            assert!(
                matches!(&outcome, Outcome::Failed(EngineError::Misbehaved { culprit, .. }) if *culprit == seat(4)),
                "{outcome:?}"
            );
        }
    }
}

#[test]
fn nobody_else_is_blamed_for_a_combiner_with_a_wrong_share_or_wrong_records() {
    for &scheme in UNPAIRED {
        let mut wallet = Wallet::shamir(scheme, 2, &seats(&[1, 4]), 8);
        wallet.spoil_share(seat(1));
        let outcome = run(&wallet, &seats(&[1, 4]), KeyUse::Root, |_, _, _| {});
        assert!(matches!(&outcome, Outcome::Failed(EngineError::Bug(_))), "{outcome:?}");

        let mut wallet = Wallet::shamir(scheme, 2, &seats(&[1, 4]), 8);
        wallet.spoil_verification_share(seat(4));
        wallet.spoil_share(seat(4));
        let outcome = run(&wallet, &seats(&[1, 4]), KeyUse::Root, |_, _, _| {});
        assert!(matches!(&outcome, Outcome::Failed(EngineError::Bug(_))), "{outcome:?}");
    }
}

#[test]
fn signers_with_different_terms_part_as_stale_and_accuse_nobody() {
    for &scheme in UNPAIRED {
        let wallet = Wallet::shamir(scheme, 2, &seats(&[1, 2]), 3);
        let changes: [fn(&mut Terms); 6] = [
            |terms| terms.session_id.0[0] ^= 1,
            |terms| terms.message[0] ^= 1,
            |terms| terms.key_use = KeyUse::Path(Path::default()),
            |terms| terms.highest_seat = seat(77),
            |terms| terms.combiner = seat(2),
            |terms| terms.key.chain_code.0[0] ^= 1,
        ];
        for change in changes {
            let signing = seats(&[1, 2]);
            let terms = wallet.terms(&signing, seat(1), KeyUse::Root);
            let mut other = wallet.terms(&signing, seat(2), KeyUse::Root);
            change(&mut other);
            let rng = &mut rng(1);
            let (first, to_second) =
                begin(terms, wallet.share(seat(1)), BTreeMap::new(), rng).expect("good terms");
            let (second, to_first) =
                begin(other, wallet.share(seat(2)), BTreeMap::new(), rng).expect("good terms");
            let deliver = |from: u8, mail: &Outgoing| BTreeMap::from([(seat(from), mail[0].1.clone())]);
            for result in
                [first.advance(deliver(2, &to_first), rng), second.advance(deliver(1, &to_second), rng)]
            {
                assert!(matches!(&result, Err(EngineError::Stale(_))), "{result:?}");
            }
        }
    }
}

#[test]
fn terms_that_contradict_themselves_begin_nothing() {
    let wallet = Wallet::shamir(Scheme::Taproot, 2, &seats(&[1, 2, 3]), 3);
    let good = wallet.terms(&seats(&[1, 2]), seat(1), KeyUse::Root);
    let changes: [fn(&mut Terms); 7] = [
        |terms| terms.threshold = 3,
        |terms| terms.threshold = 1,
        |terms| terms.own_seat = seat(3),
        |terms| terms.combiner = seat(3),
        |terms| terms.highest_seat = seat(1),
        |terms| terms.message.push(0),
        |terms| terms.key.public_key = Point::from_bytes(&[2; 32]).expect("32 bytes"),
    ];
    for change in changes {
        let mut terms = good.clone();
        change(&mut terms);
        let result = begin(terms, wallet.share(seat(1)), BTreeMap::new(), &mut rng(1));
        assert!(matches!(&result, Err(EngineError::Bug(_))), "{result:?}");
    }
    let ed25519 = Wallet::shamir(Scheme::Ed25519, 2, &seats(&[1, 2]), 3);
    let derived = ed25519.terms(&seats(&[1, 2]), seat(1), KeyUse::Path("m/0".parse().expect("a path")));
    let result = begin(derived, ed25519.share(seat(1)), BTreeMap::new(), &mut rng(1));
    assert!(matches!(&result, Err(EngineError::Bug(_))), "{result:?}");
}

#[test]
fn a_session_shows_no_secret_in_debug_output() {
    let wallet = Wallet::shamir(Scheme::Ed25519, 2, &seats(&[1, 2]), 3);
    let terms = wallet.terms(&seats(&[1, 2]), seat(1), KeyUse::Root);
    let agreement = terms.agreement();
    let (session, _) = begin(terms, wallet.share(seat(1)), BTreeMap::new(), &mut rng(1)).expect("good terms");
    assert_eq!(format!("{session:?}"), format!("Session {{ agreement: {agreement:?}, round: 1, .. }}"));
}

#[cfg(feature = "simulation")]
#[test]
fn the_simulator_sees_whether_a_nonce_was_used_twice() {
    let wallet = Wallet::shamir(Scheme::Transparent, 2, &seats(&[1, 2]), 3);
    let nonce = |session: u8, seed: u64| {
        let mut terms = wallet.terms(&seats(&[1, 2]), seat(1), KeyUse::Root);
        terms.session_id = Digest([session; 32]);
        let (_, outgoing) =
            begin(terms, wallet.share(seat(1)), BTreeMap::new(), &mut rng(seed)).expect("good terms");
        transparent::nonce_in(&outgoing[0].1).expect("a first message shows its nonce")
    };
    assert_eq!(nonce(1, 5), nonce(2, 5), "one generator state twice is one nonce twice");
    assert_ne!(nonce(1, 5), nonce(2, 6));
}
