//! What a base is good for, and what it must never do. Whether derived states sign is shown with the engine.

use super::synthetic::bases;
use super::*;
use perennial_model::epoch::Epoch;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeSet;

pub(crate) fn pair_use(wallet: &str, rank: u32, transcript: u8) -> PairUse {
    PairUse {
        wallet: wallet.parse().expect("a name"),
        epoch: Epoch::new(rank, 1),
        transcript: Digest([transcript; 32]),
    }
}

pub(super) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(5)
}

pub(super) fn terms(side: Side, generation: u64) -> SetupTerms {
    SetupTerms { context: Digest::of(b"a and b, plan 1"), generation, side }
}

/// Runs a whole setup.
pub(crate) fn set_up(generation: u64) -> Result<(Base, Base), PairingError> {
    let rng = &mut rng();
    let (mut first, mut to_second) = Setup::begin(terms(Side::First, generation), rng);
    let (mut second, mut to_first) = Setup::begin(terms(Side::Second, generation), rng);
    loop {
        match (first.advance(&to_first, rng)?, second.advance(&to_second, rng)?) {
            (
                SetupProgress::Continue { setup: next_first, outgoing: for_second },
                SetupProgress::Continue { setup: next_second, outgoing: for_first },
            ) => (first, second, to_second, to_first) = (next_first, next_second, for_second, for_first),
            (SetupProgress::Done(a), SetupProgress::Done(b)) => return Ok((a, b)),
            other => panic!("one side ended before the other: {other:?}"),
        }
    }
}

/// Whether the two halves multiply, in the direction in which `receiver` receives.
fn halves_fit(sender: &MulSender<Secp256k1>, receiver: &MulReceiver<Secp256k1>) -> bool {
    let (sends, receives) = (&sender.ote_sender, &receiver.ote_receiver);
    let fits = |k: usize| {
        let chosen = if sends.correlation[k] { receives.seeds1[k] } else { receives.seeds0[k] };
        sends.seeds[k] == chosen && receives.seeds0[k] != receives.seeds1[k]
    };
    sender.public_gadget == receiver.public_gadget && (0..TRANSFERS).all(fits)
}

/// Every secret of a state, each by itself.
fn secrets(sender: &MulSender<Secp256k1>, receiver: &MulReceiver<Secp256k1>) -> BTreeSet<[u8; 32]> {
    let mut all: BTreeSet<[u8; 32]> = sender.ote_sender.seeds.iter().copied().collect();
    all.extend(receiver.ote_receiver.seeds0.iter().chain(&receiver.ote_receiver.seeds1));
    all.extend(sender.public_gadget.iter().chain(&receiver.public_gadget).map(|weight| weight.encode()));
    let bits: Vec<u8> = sender.ote_sender.correlation.iter().map(|bit| u8::from(*bit)).collect();
    all.insert(Digest::of(&bits).0);
    all
}

#[test]
fn a_setup_makes_two_halves_of_one_base_and_a_second_setup_shares_nothing_with_it() {
    let (old_first, old_second) = set_up(1).expect("two honest signers");
    assert_eq!(old_first.id(), old_second.id());
    assert_eq!(old_first.secret, old_second.secret);
    assert!(halves_fit(&old_first.sender, &old_second.receiver));
    assert!(halves_fit(&old_second.sender, &old_first.receiver));
    assert_ne!(old_first.sender.public_gadget, old_first.receiver.public_gadget);

    let copied = Base::from_secret_bytes(&old_first.to_secret_bytes()).expect("as it was written");
    let (fresh_first, fresh_second) = set_up(2).expect("two honest signers");
    assert_ne!(copied.id(), fresh_first.id());
    assert_ne!(copied.secret, fresh_first.secret);
    let of = |base: &Base| secrets(&base.sender, &base.receiver);
    assert!(of(&copied).is_disjoint(&of(&fresh_first)) && of(&copied).is_disjoint(&of(&fresh_second)));
    let same_use = pair_use("treasury", 4, 9);
    let derived = |base: &Base| {
        let state = base.derive(&same_use).expect("derived");
        secrets(&state.sender, &state.receiver)
    };
    assert!(derived(&copied).is_disjoint(&derived(&fresh_first)));
}

#[test]
fn a_base_made_by_setup_survives_being_stored_and_its_gadget_is_the_librarys() {
    let (first, second) = set_up(1).expect("two honest signers");
    for base in [first, second] {
        let bytes = base.to_secret_bytes();
        let read = Base::from_secret_bytes(&bytes).expect("as it was written");
        assert_eq!(read.sender.public_gadget, base.sender.public_gadget);
        assert_eq!(read.receiver.public_gadget, base.receiver.public_gadget);
        assert_eq!(read.sender.ote_sender.correlation, base.sender.ote_sender.correlation);
        assert_eq!(*read.to_secret_bytes(), *bytes);
        assert_eq!((read.id(), read.generation(), read.side()), (base.id(), base.generation(), base.side()));
    }
}

#[test]
fn both_sides_derive_matching_halves_and_every_use_gets_values_of_its_own() {
    let (first, second) = bases(1);
    assert!(halves_fit(&first.sender, &second.receiver) && halves_fit(&second.sender, &first.receiver));
    let mut seen = secrets(&first.sender, &first.receiver);
    let uses = [
        pair_use("treasury", 4, 9),
        pair_use("treasury", 5, 9),
        pair_use("treasury", 4, 8),
        pair_use("payroll", 4, 9),
    ];
    for pair_use in &uses {
        let (a, b) = (first.derive(pair_use).expect("derived"), second.derive(pair_use).expect("derived"));
        assert!(halves_fit(&a.sender, &b.receiver) && halves_fit(&b.sender, &a.receiver));
        assert_eq!(a.zero_seed, b.zero_seed);
        let fresh = secrets(&a.sender, &a.receiver);
        assert!(fresh.is_disjoint(&seen), "{pair_use:?}");
        seen.extend(fresh);
        assert!(seen.insert(*a.zero_seed));
    }
}

#[test]
fn the_derived_values_never_change() {
    let (first, second) = bases(1);
    let digest = |part: &[u8]| Digest::of(part).short();
    let weights =
        |gadget: &[Number]| digest(&gadget.iter().flat_map(|weight| weight.encode()).collect::<Vec<_>>());
    let bits = |bits: &[bool]| digest(&bits.iter().map(|bit| u8::from(*bit)).collect::<Vec<_>>());
    let describe = |base: &Base| {
        let state = base.derive(&pair_use("treasury", 4, 9)).expect("derived");
        [
            bits(&state.sender.ote_sender.correlation),
            digest(state.sender.ote_sender.seeds.as_flattened()),
            weights(&state.sender.public_gadget),
            digest(state.receiver.ote_receiver.seeds0.as_flattened()),
            digest(state.receiver.ote_receiver.seeds1.as_flattened()),
            weights(&state.receiver.public_gadget),
            digest(&*state.zero_seed),
        ]
    };
    // Computed apart from this crate, from the construction alone.
    let [bits_first, seeds_first, sends, seeds0_first, seeds1_first, receives, zero] =
        ["5e80 5358", "1ba8 0c8d", "bd82 8d6c", "7f0c d0ca", "3afb e9d6", "90ee 1b69", "d121 4b15"];
    assert_eq!(
        describe(&first),
        [bits_first, seeds_first, sends, seeds0_first, seeds1_first, receives, zero],
    );
    assert_eq!(
        describe(&second),
        ["f493 ddcd", "cff9 b8f8", receives, "d8fb 6d6e", "327c ca6c", sends, zero],
    );
    assert_eq!(digest(&first.to_secret_bytes()), "50fa 04f5");
}

#[test]
fn a_bit_altered_in_a_stored_base_is_found_before_it_accuses_anybody() {
    let (base, _) = bases(3);
    let bytes = base.to_secret_bytes();
    let ends = (0..400).chain(bytes.len() - 400..bytes.len());
    for at in ends.chain((400..bytes.len() - 400).step_by(97)) {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << (at % 8);
        let result = Base::from_secret_bytes(&altered);
        assert!(matches!(&result, Err(PairingError::Damaged(_))), "byte {at}: {result:?}");
    }
    assert!(Base::from_secret_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(Base::from_secret_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let (base, _) = bases(3);
    let state = base.derive(&pair_use("treasury", 4, 9)).expect("derived");
    let (setup, _) = Setup::begin(terms(Side::First, 3), &mut rng());
    assert_eq!(format!("{state:?}"), "PairState(redacted)");
    let shown = format!("{base:?}");
    assert_eq!(shown, format!("Base {{ id: {:?}, generation: 7, side: First, .. }}", base.id()));
    assert_eq!(format!("{setup:?}"), format!("Setup {{ terms: {:?}, .. }}", terms(Side::First, 3)));
}
