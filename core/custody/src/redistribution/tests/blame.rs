//! Who is named when new shares do not fit.

use super::*;

#[test]
fn a_dealer_that_deals_another_share_than_its_own_is_named_and_nobody_for_a_parent_without_its_key() {
    let mut rng = ChaCha20Rng::seed_from_u64(13);
    let dealers = [signer("old", 1), signer("old", 3)];
    let mut refresh = |spoil: &dyn Fn(&mut Parent<Edwards25519>)| {
        let mut old = parent::<Edwards25519>(2, &[1, 2, 3], 3, &mut rng);
        spoil(&mut old);
        let new = old.committee.clone();
        redistribute::<Edwards25519>(Scheme::Ed25519, &old, &dealers, &new, |_, _| {}, &mut rng)
    };
    assert!(refresh(&|_| {}).is_ok());
    type Number = <Edwards25519 as Group>::Scalar;
    let other = refresh(&|old| {
        let shares = old.shares.get_mut(&dealers[1]).expect("a holder");
        shares[2] += Number::ONE;
    });
    assert_eq!(other, Err("refused old3: OffPolynomial".into()));
    let without_key = refresh(&|old| old.secrets[1] += Number::ONE);
    assert_eq!(without_key, Err("nobody is to blame".into()));
}

#[test]
fn whoever_of_two_dealers_is_wrong_is_blamed_and_nobody_where_both_are_right() {
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let seat = Seat::new(3).expect("not zero");
    let polynomials: Vec<[Number; 2]> =
        (0..2).map(|_| [0, 1].map(|_| random_scalar::<Secp256k1>(&mut rng))).collect();
    let names = [signer("old", 1), signer("old", 2)];
    let said = say(&names[0], &no_dealing());
    let values: Vec<Number> = polynomials.iter().map(|polynomial| evaluate(polynomial, seat)).collect();
    for known in [0, 1] {
        let dealt = |at: usize| {
            let coefficients = polynomials[at][known..].iter().map(Secp256k1::generate).collect();
            (
                &said,
                CheckedDealing::<Secp256k1> { dealer: names[at].clone(), coefficients: vec![coefficients] },
            )
        };
        let dealings = [dealt(0), dealt(1)];
        let constants = |dealer: &SignerId| {
            let at = usize::from(*dealer == names[1]);
            Ok(polynomials[at][..known].iter().map(Secp256k1::generate).collect())
        };
        let blamed = |wrong: [Number; 2]| {
            let of = |at: usize| Zeroizing::new(vec![values[at] + wrong[at]]);
            let received = Received { of_each: vec![of(0), of(1)], shares: Zeroizing::new(Vec::new()) };
            let blamed = received.blame(seat, &dealings, constants).expect("constants are known");
            blamed.map(|refused| refused.dealer)
        };
        assert_eq!(blamed([Number::ZERO, Number::ZERO]), None);
        assert_eq!(blamed([Number::ONE, Number::ZERO]).as_ref(), Some(&names[0]));
        assert_eq!(blamed([Number::ZERO, Number::ONE]).as_ref(), Some(&names[1]));
    }
}

fn no_dealing() -> Dealing {
    let chunk = Chunk { plan: Digest::default(), epoch: Epoch::new(2, 1), first: 0, count: 1 };
    Dealing { chunk, inputs: Digest::default(), wallets: Vec::new(), sub_shares: Vec::new() }
}
