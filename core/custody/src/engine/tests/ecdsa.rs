//! Threshold ECDSA over derived pair states.

use super::support::{Outcome, Wallet, rng, run_with_pairs, seat, seats};
use super::*;
use crate::pairing::synthetic::bases;
use crate::pairing::tests::{pair_use, set_up};
use crate::pairing::{Base, PairUse};
use crate::sessions::{Item, Sessions};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Bytes;
use perennial_model::epoch::Epoch;
use perennial_model::identity::Said;
use perennial_model::session::{Blame, Purpose, SessionMessage, SessionOutcome, SessionRequest};

/// A base for every pair of seats.
struct Bases(BTreeMap<(Seat, Seat), (Base, Base)>);

impl Bases {
    fn synthetic(seats: &[Seat], generation: u64) -> Self {
        let number = |(a, b): (Seat, Seat)| generation << 16 | u64::from(a.get()) << 8 | u64::from(b.get());
        Self(pairs(seats).map(|pair| (pair, bases(number(pair)))).collect())
    }

    fn of(&self, own: Seat, signing: &[Seat], pair_use: &PairUse) -> BTreeMap<Seat, PairState> {
        let others = signing.iter().filter(|other| **other != own);
        let base = |other: Seat| {
            if own < other { &self.0[&(own, other)].0 } else { &self.0[&(other, own)].1 }
        };
        others.map(|other| (*other, base(*other).derive(pair_use).expect("derived"))).collect()
    }
}

fn pairs(seats: &[Seat]) -> impl Iterator<Item = (Seat, Seat)> + '_ {
    seats.iter().enumerate().flat_map(|(at, a)| seats[at + 1..].iter().map(move |b| (*a, *b)))
}

fn path(text: &str) -> KeyUse {
    KeyUse::Path(text.parse().expect("a path"))
}

#[test]
fn a_base_made_by_setup_signs_for_several_wallets_epochs_and_thresholds() {
    let everyone = seats(&[1, 2, 3]);
    let bases = Bases(pairs(&everyone).map(|pair| (pair, set_up(1).expect("two honest signers"))).collect());
    for (number, (threshold, all, signing)) in [
        (2, &[1, 2][..], &[1, 2][..]),
        (2, &[1, 2, 3], &[2, 3]),
        (2, &[1, 2, 3], &[1, 3]),
        (3, &[1, 2, 3, 4, 5], &[1, 2, 3]),
    ]
    .into_iter()
    .enumerate()
    {
        let wallet = Wallet::shamir(Scheme::Ecdsa, threshold, &seats(all), number as u64);
        for (epoch, key_use) in [(1, KeyUse::Root), (1, path("m/0/0")), (2, path("m/7"))] {
            let pair_use = pair_use(&format!("wallet-{number}"), epoch, 1);
            let signing = seats(signing);
            let states = |own| bases.of(own, &signing, &pair_use);
            let outcome = run_with_pairs(&wallet, &signing, key_use.clone(), states, |_, _, _| {});
            let Outcome::Signed(signature) = &outcome else { panic!("{outcome:?}") };
            assert!(wallet.verifies(&key_use, signature));
        }
    }
}

#[test]
fn another_wallet_epoch_transcript_or_base_at_one_signer_is_stale_at_both_and_bans_nobody() {
    let signing = seats(&[1, 2]);
    let wallet = Wallet::shamir(Scheme::Ecdsa, 2, &seats(&[1, 2, 3]), 1);
    let (old, fresh) = (Bases::synthetic(&signing, 1), Bases::synthetic(&signing, 2));
    let good = pair_use("treasury", 4, 9);
    for (bases, other) in [
        (&old, pair_use("treasury", 5, 9)),
        (&old, pair_use("treasury", 4, 8)),
        (&old, pair_use("payroll", 4, 9)),
        (&fresh, good.clone()),
    ] {
        let rng = &mut rng(1);
        let mut start = |own: Seat, states| {
            let terms = wallet.terms(&signing, own, KeyUse::Root);
            begin(terms, wallet.share(own), states, rng).expect("good terms")
        };
        let (first, to_second) = start(seat(1), old.of(seat(1), &signing, &good));
        let (second, to_first) = start(seat(2), bases.of(seat(2), &signing, &other));
        let deliver = |from: u8, mail: &Outgoing| BTreeMap::from([(seat(from), mail[0].1.clone())]);
        for result in [first.advance(deliver(2, &to_first), rng), second.advance(deliver(1, &to_second), rng)]
        {
            assert!(matches!(&result, Err(EngineError::Stale(_))), "{result:?}");
        }
    }
}

#[test]
fn a_base_altered_in_memory_accuses_the_honest_peer_which_is_why_it_is_checked_on_load() {
    let signing = seats(&[1, 2]);
    let wallet = Wallet::shamir(Scheme::Ecdsa, 2, &signing, 1);
    let bases = Bases::synthetic(&signing, 1);
    let changes: [fn(&mut PairState); 3] = [
        |state| state.sender.ote_sender.seeds[0][0] ^= 1,
        |state| state.sender.ote_sender.correlation[0] ^= true,
        |state| state.receiver.ote_receiver.seeds0[0][0] ^= 1,
    ];
    for change in changes {
        let states = |own| {
            let mut states = bases.of(own, &signing, &pair_use("treasury", 4, 9));
            if own == seat(1) {
                states.values_mut().for_each(change);
            }
            states
        };
        let outcome = run_with_pairs(&wallet, &signing, KeyUse::Root, states, |_, _, _| {});
        assert!(matches!(&outcome, Outcome::Failed(EngineError::Ban { .. })), "{outcome:?}");
    }
}

#[test]
fn of_two_signers_the_one_with_a_wrong_share_is_named_and_of_three_nobody_is() {
    for (threshold, all) in [(2, &[1, 4][..]), (3, &[1, 4, 9])] {
        let signing = seats(all);
        let mut wallet = Wallet::shamir(Scheme::Ecdsa, threshold, &signing, 8);
        wallet.spoil_share(seat(4));
        let bases = Bases::synthetic(&signing, 1);
        let states = |own| bases.of(own, &signing, &pair_use("treasury", 4, 9));
        let outcome = run_with_pairs(&wallet, &signing, path("m/0/0"), states, |_, _, _| {});
        match (threshold, &outcome) {
            (2, Outcome::Failed(EngineError::Misbehaved { culprit, .. })) => assert_eq!(*culprit, seat(4)),
            (3, Outcome::Failed(EngineError::Stale(_))) => {}
            _ => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn the_signer_with_the_wrong_share_blames_itself() {
    let signing = seats(&[1, 4]);
    let mut wallet = Wallet::shamir(Scheme::Ecdsa, 2, &signing, 8);
    wallet.spoil_share(seat(1));
    let bases = Bases::synthetic(&signing, 1);
    let states = |own| bases.of(own, &signing, &pair_use("treasury", 4, 9));
    let outcome = run_with_pairs(&wallet, &signing, KeyUse::Root, states, |_, _, _| {});
    assert!(matches!(&outcome, Outcome::Failed(EngineError::Bug(_))), "{outcome:?}");
}

#[test]
fn more_signers_than_the_threshold_begin_no_session() {
    let signing = seats(&[1, 2, 3]);
    let wallet = Wallet::shamir(Scheme::Ecdsa, 2, &signing, 3);
    let terms = wallet.terms(&signing, seat(1), KeyUse::Root);
    let bases = Bases::synthetic(&signing, 1);
    let states = bases.of(seat(1), &signing, &pair_use("treasury", 4, 9));
    let result = begin(terms, wallet.share(seat(1)), states, &mut rng(1));
    assert!(matches!(&result, Err(EngineError::Bug(_))), "{result:?}");
}

#[test]
fn a_session_without_a_pair_state_does_not_begin() {
    let signing = seats(&[1, 2]);
    let wallet = Wallet::shamir(Scheme::Ecdsa, 2, &signing, 1);
    let terms = wallet.terms(&signing, seat(1), KeyUse::Root);
    let result = begin(terms, wallet.share(seat(1)), BTreeMap::new(), &mut rng(1));
    assert!(matches!(&result, Err(EngineError::Bug(_))), "{result:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_committee_signs_by_ecdsa_under_its_own_key(
        (threshold, all, signing) in committees(5, false),
        seed: u64,
        index in 0_u32..1 << 31,
    ) {
        let wallet = Wallet::shamir(Scheme::Ecdsa, threshold, &seats(&all), seed);
        let signing = seats(&signing);
        let bases = Bases::synthetic(&signing, seed >> 20);
        let key_use = KeyUse::Path(Path::new(vec![0, index]).expect("two plain steps"));
        let states = |own| bases.of(own, &signing, &pair_use("treasury", 4, 9));
        let outcome = run_with_pairs(&wallet, &signing, key_use.clone(), states, |_, _, _| {});
        let Outcome::Signed(signature) = &outcome else { panic!("{outcome:?}") };
        prop_assert!(wallet.verifies(&key_use, signature));
    }

    #[test]
    fn whoever_alters_any_bit_is_named_banned_or_the_session_is_stale(
        signers in 2_usize..=3,
        round in 1_u8..=3,
        position: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let signing = seats(&[2, 7, 9][..signers]);
        let wallet = Wallet::shamir(Scheme::Ecdsa, signers as u8, &signing, 5);
        let bases = Bases::synthetic(&signing, 1);
        let cheat = seat(7);
        let states = |own| bases.of(own, &signing, &pair_use("treasury", 4, 9));
        let outcome = run_with_pairs(&wallet, &signing, KeyUse::Root, states, |sender, at, bytes| {
            if sender == cheat && at == round {
                let length = bytes.len();
                bytes[position.index(length)] ^= 1 << bit;
            }
        });
        match outcome {
            Outcome::Failed(EngineError::Misbehaved { culprit, .. } | EngineError::Ban { culprit, .. }) => {
                prop_assert_eq!(culprit, cheat);
            }
            Outcome::Failed(EngineError::Stale(_)) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

/// One of two signers, asked at that time for a session of always the same name, and what it says first.
fn asked(number: u8, asked_at_ms: u64) -> (Sessions, Said<SessionMessage>) {
    let signing = seats(&[1, 2]);
    let mut wallet = Wallet::shamir(Scheme::Ecdsa, 2, &signing, 1);
    let [first, second] = ["a", "b"].map(|name| name.parse::<SignerId>().expect("a name"));
    let me = if number == 1 { first.clone() } else { second.clone() };
    let request = SessionRequest {
        session: Digest([4; 32]),
        asked_at_ms,
        signers: vec![first, second],
        purpose: Purpose::Transaction {
            wallet: "treasury".parse().expect("a name"),
            epoch: Epoch { rank: 1, count: 1 },
            transcript: Digest([5; 32]),
            transaction: Bytes(vec![6]),
            path: "m".parse().expect("a path"),
            activation: None,
        },
    };
    let terms = wallet.terms(&signing, seat(number), KeyUse::Root);
    let pairs = Bases::synthetic(&signing, 1).of(seat(number), &signing, &pair_use("treasury", 1, 1));
    let item = Item { terms, share: wallet.take_share(seat(number)), pairs };
    let mut sessions = Sessions::default();
    let mut begun = sessions.begin(asked_at_ms, &mut rng(3), request, &me, vec![item], vec![]);
    (
        sessions,
        Said { signer: me, body: begun.mail.pop().expect("it says something"), digest: Digest::default() },
    )
}

#[test]
fn a_name_of_a_session_that_is_used_again_for_another_request_locks_with_another_key() {
    let (_, said) = asked(1, 1_000);
    let (mut same, _) = asked(2, 1_000);
    let stepped = same.mail(1_000, &mut rng(4), said.clone());
    assert!(stepped.report.is_none() && stepped.mail.len() == 1, "{stepped:?}");
    let (mut other, _) = asked(2, 200_000);
    let stepped = other.mail(200_000, &mut rng(4), said);
    let Some(SessionOutcome::Failed { blame: Blame::Stale, reason }) = stepped.report.map(|it| it.outcome)
    else {
        panic!("the message opened: {:?}", stepped.mail)
    };
    assert!(reason.contains("asked for something else"), "{reason}");
}
