//! What the engines cost. Prints, asserts no time: `cargo test --release -p perennial-custody --features
//! simulation figures -- --ignored --nocapture`.

use super::support::{Outcome, Wallet, run_with_pairs, seat, seats};
use super::*;
use crate::pairing::tests::{pair_use, set_up};
use crate::pairing::{Base, Setup, SetupTerms, Side};
use std::time::Instant;

fn median(times: usize, mut once: impl FnMut()) -> f64 {
    let mut taken: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            once();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    taken[times / 2]
}

#[test]
#[ignore = "prints figures, checks nothing"]
fn figures() {
    let start = Instant::now();
    let (first, second) = set_up(1).expect("two honest signers");
    println!("base setup, both sides one after the other: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let stored = first.to_secret_bytes();
    let load = median(51, || drop(Base::from_secret_bytes(&stored).expect("as it was written")));
    println!("base at rest: {} bytes a side; load {load:.3} ms", stored.len());
    let used = pair_use("treasury", 1, 1);
    let derive = median(201, || drop(first.derive(&used).expect("derived")));
    println!("derive for one counterparty: {derive:.3} ms");
    sizes_of_setup();

    let signing = seats(&[1, 3]);
    for (scheme, path) in [
        (Scheme::Ecdsa, "m/0/0"),
        (Scheme::Taproot, "m/0/0"),
        (Scheme::Ed25519, "m"),
        #[cfg(feature = "simulation")]
        (Scheme::Transparent, "m"),
    ] {
        let wallet = Wallet::shamir(scheme, 2, &seats(&[1, 2, 3]), 1);
        let states = |own| match scheme {
            Scheme::Ecdsa if own == seat(1) => {
                BTreeMap::from([(seat(3), first.derive(&used).expect("derived"))])
            }
            Scheme::Ecdsa => BTreeMap::from([(seat(1), second.derive(&used).expect("derived"))]),
            _ => BTreeMap::new(),
        };
        for (name, key_use) in [("root", KeyUse::Root), (path, KeyUse::Path(path.parse().expect("a path")))] {
            let mut sizes = BTreeMap::new();
            let taken = median(101, || {
                let outcome =
                    run_with_pairs(&wallet, &signing, key_use.clone(), states, |from, round, bytes| {
                        sizes.insert((round, from), bytes.len());
                    });
                assert!(matches!(&outcome, Outcome::Signed(_)), "{outcome:?}");
            });
            println!("{} 2-of-3, {name}: {taken:.3} ms for both signers; messages {sizes:?}", scheme.name());
        }
    }
}

fn sizes_of_setup() {
    let rng = &mut super::support::rng(1);
    let terms = |side| SetupTerms { context: Digest::of(b"sizes"), generation: 1, side };
    let (mut first, mut to_second) = Setup::begin(terms(Side::First), rng);
    let (mut second, mut to_first) = Setup::begin(terms(Side::Second), rng);
    let mut sizes = Vec::new();
    loop {
        sizes.push(to_first.len());
        let (a, b) = (first.advance(&to_first, rng), second.advance(&to_second, rng));
        let (
            Ok(crate::pairing::SetupProgress::Continue { setup: next_first, outgoing: for_second }),
            Ok(crate::pairing::SetupProgress::Continue { setup: next_second, outgoing: for_first }),
        ) = (a, b)
        else {
            break;
        };
        (first, second, to_second, to_first) = (next_first, next_second, for_second, for_first);
    }
    println!("base setup messages, each way: {sizes:?} bytes");
}
