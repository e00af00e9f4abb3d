//! Bases made of a seed instead of a setup: as consistent as real ones, the same every time, and free.

use super::{Base, Side, TRANSFERS, gadget, init_session, mul_receiver, mul_sender};
use k256::Scalar as Number;
use perennial_model::encoding::Digest;
use perennial_model::group::Scalar;
use zeroize::Zeroizing;

/// Both halves of the base number `number`.
pub(crate) fn bases(number: u64) -> (Base, Base) {
    (base(number, Side::First), base(number, Side::Second))
}

fn base(number: u64, side: Side) -> Base {
    let value = |name: &str, direction: Side, k: usize| {
        let parts = [&number.to_be_bytes()[..], &direction.direction(), &(k as u64).to_be_bytes()];
        Digest::of_parts(name, &parts).0
    };
    let nonce = |direction| {
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&value("nonce", direction, 0));
        Number::reduce(&wide)
    };
    let context = Digest::of(b"synthetic");
    let generation = 7;
    let choice = |direction, k| value("choice", direction, k)[0] & 1 == 1;
    let seeds = |name: &'static str, direction| (0..TRANSFERS).map(move |k| value(name, direction, k));
    let (receives, sends) = (side, side.other());
    let chosen = (0..TRANSFERS)
        .map(|k| if choice(sends, k) { value("seed 1", sends, k) } else { value("seed 0", sends, k) });
    let weights = |direction| gadget(&init_session(&context, generation, direction), &nonce(direction));
    let sender =
        mul_sender(weights(sends), (0..TRANSFERS).map(|k| choice(sends, k)).collect(), chosen.collect());
    let receiver = mul_receiver(
        weights(receives),
        seeds("seed 0", receives).collect(),
        seeds("seed 1", receives).collect(),
    );
    Base {
        context,
        generation,
        side,
        id: Digest(value("id", Side::First, 0)),
        secret: Zeroizing::new(value("secret", Side::First, 0)),
        sender: sender.expect("the library's form"),
        sender_nonce: nonce(sends),
        receiver: receiver.expect("the library's form"),
        receiver_nonce: nonce(receives),
    }
}
