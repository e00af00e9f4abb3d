//! A Schnorr-like scheme over the transparent group, for the simulator alone: the same rounds and blame as a
//! real engine at a fraction of the cost, and nonces in plain sight, so that a nonce that was used twice is
//! noticed.

use super::{Common, EngineError, Outgoing, Step, envelope};
use crate::share::Share;
use minicbor::{Decode, Encode};
use perennial_model::committee::Seat;
use perennial_model::encoding::Document;
use perennial_model::group::{Group, Point, Scalar, Transparent, lagrange_at_zero};
use perennial_model::signature::{RawSignature, transparent_challenge};
use std::collections::BTreeMap;

type Number = <Transparent as Group>::Scalar;
type Element = <Transparent as Group>::Element;

/// Round 1: the nonce, as an element; in this group that is the nonce itself.
#[derive(Encode, Decode)]
struct Nonce {
    #[n(0)]
    point: Point,
}

impl Document for Nonce {
    const KIND: &'static str = "transparent-nonce";
}

/// Round 2: `z_i = k_i + c·λ_i·x_i`.
#[derive(Encode, Decode)]
struct Response {
    #[cbor(n(0), with = "minicbor::bytes")]
    scalar: [u8; 32],
}

impl Document for Response {
    const KIND: &'static str = "transparent-response";
}

/// The nonce in a message of the first round: two messages of different sessions with one nonce mean that a
/// signer has used it twice. None for any other message.
pub fn nonce_in(message: &[u8]) -> Option<Point> {
    envelope::peek::<Nonce>(message).map(|nonce| nonce.point)
}

/// A signer between two rounds.
pub(super) enum Engine {
    /// Waits for the nonces of the others.
    Committed { share: Number, nonce: Number },
    /// The combiner, which waits for the others' responses.
    Combining { nonces: BTreeMap<Seat, Element>, total: Element, own: Number },
}

impl Engine {
    /// Makes the nonce and the message to all others.
    pub(super) fn begin(
        common: &Common,
        share: &Share,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<(Self, Outgoing), EngineError> {
        let share = <Number as Scalar>::decode(share.danger_secret_bytes())
            .ok_or_else(|| EngineError::Bug("the share belongs to another scheme".into()))?;
        let mut random = [0; 64];
        rng.fill_bytes(&mut random);
        let nonce = Number::reduce(&random);
        let body = Nonce { point: Transparent::encode(&Transparent::generate(&nonce)) };
        let message = envelope::seal(&common.agreement, 1, &body);
        let outgoing = common.terms.others().map(|seat| (seat, message.clone())).collect();
        Ok((Self::Committed { share, nonce }, outgoing))
    }

    /// Answers one round.
    pub(super) fn advance(
        self,
        common: &Common,
        round: u8,
        messages: &BTreeMap<Seat, Vec<u8>>,
    ) -> Result<Step<Self>, EngineError> {
        match self {
            Self::Committed { share, nonce } => {
                let bodies = envelope::open_all(&common.agreement, round, messages)?;
                respond(common, round, share, nonce, &bodies)
            }
            Self::Combining { nonces, total, own } => {
                let bodies = envelope::open_all(&common.agreement, round, messages)?;
                combine(common, &nonces, total, own, &bodies).map(Step::Signed)
            }
        }
    }
}

fn respond(
    common: &Common,
    round: u8,
    share: Number,
    nonce: Number,
    bodies: &BTreeMap<Seat, Nonce>,
) -> Result<Step<Engine>, EngineError> {
    let mut nonces = BTreeMap::from([(common.terms.own_seat, Transparent::generate(&nonce))]);
    for (seat, body) in bodies {
        let element = Transparent::decode(&body.point).ok_or_else(|| {
            EngineError::misbehaved(*seat, format!("its nonce {} is no element", body.point))
        })?;
        nonces.insert(*seat, element);
    }
    let total = nonces.values().fold(Transparent::identity(), |sum, element| sum + *element);
    let own = nonce + weight(common, common.terms.own_seat, &total)? * share;
    if common.terms.own_seat == common.terms.combiner {
        return Ok(Step::Continue(Engine::Combining { nonces, total, own }, Vec::new()));
    }
    let message = envelope::seal(&common.agreement, round + 1, &Response { scalar: own.encode() });
    Ok(Step::Finished(vec![(common.terms.combiner, message)]))
}

fn combine(
    common: &Common,
    nonces: &BTreeMap<Seat, Element>,
    total: Element,
    own: Number,
    bodies: &BTreeMap<Seat, Response>,
) -> Result<RawSignature, EngineError> {
    let mut sum = own;
    for (seat, body) in bodies {
        let response = <Number as Scalar>::decode(&body.scalar)
            .ok_or_else(|| EngineError::misbehaved(*seat, "its response is no scalar"))?;
        let point = &common.terms.signers[seat];
        let verification_share = Transparent::decode(point)
            .ok_or_else(|| EngineError::Bug(format!("the own record holds {point}, no element")))?;
        if response != nonces[seat] + weight(common, *seat, &total)? * verification_share {
            common.terms.check_own_records()?;
            return Err(EngineError::misbehaved(*seat, "its response does not fit its verification share"));
        }
        sum = sum + response;
    }
    let mut signature = RawSignature { bytes: [0; 64], recovery_id: None };
    signature.bytes[..32].copy_from_slice(&total.encode());
    signature.bytes[32..].copy_from_slice(&sum.encode());
    common.verified(signature)
}

/// `c·λ_i`.
fn weight(common: &Common, seat: Seat, total: &Element) -> Result<Number, EngineError> {
    let seats: Vec<u8> = common.terms.signers.keys().map(|seat| seat.get()).collect();
    let coefficient = lagrange_at_zero::<Number>(seat.get(), &seats)
        .ok_or_else(|| EngineError::Bug(format!("seat {seat} does not sign")))?;
    let challenge = transparent_challenge(&common.key.public_key, &total.encode(), &common.terms.message);
    Ok(coefficient * challenge)
}
