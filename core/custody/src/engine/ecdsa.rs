//! Threshold ECDSA by DKLs23 (Doerner, Kondi, Lee, Shelat, 2023/765) on `dkls23-core`.
//!
//! Three rounds: openings, each to each; reveals, each to each; then a part from each to the combiner. The
//! library's `Party` is put together in memory for one signature, of the adjusted share and the pair states
//! derived for this wallet and epoch, and zeroed after its last use. It is never printed and never written.
//!
//! A failed consistency check of the transfers is [`EngineError::Ban`]: the library says which signer, and the
//! caller stores it before anything else happens. Whatever could also come of different epochs or bases is
//! found out before that, by the library's session binding, and is [`EngineError::Stale`].

mod wire;

use super::{Common, EngineError, Outgoing, Step, envelope};
use crate::pairing::{Malformed, PairState};
use crate::share::Share;
use dkls23_core::protocols::derivation::DerivData;
use dkls23_core::protocols::signing::{
    Broadcast3to4, KeepPhase1to2, KeepPhase2to3, SignData, UniqueKeep1to2, UniqueKeep2to3,
};
use dkls23_core::protocols::{Abort, AbortKind, AbortReason, Parameters, Party, PartyIndex};
use dkls23_core::utilities::zero_shares::{SeedPair, ZeroShare};
use k256::{AffinePoint, Scalar as Number, Secp256k1};
use perennial_model::committee::Seat;
use perennial_model::group::{Group, Scalar, Secp256k1 as OurGroup};
use perennial_model::signature::RawSignature;
use std::collections::BTreeMap;
use wire::{Opening, Part, Reveal};
use zeroize::{Zeroize, Zeroizing};

/// A signer between two rounds.
pub(super) struct Ecdsa {
    party: Party<Secp256k1>,
    data: SignData,
    phase: Phase,
}

enum Phase {
    /// Waits for the openings of the others.
    Opened { unique: UniqueKeep1to2<Secp256k1>, kept: BTreeMap<PartyIndex, KeepPhase1to2<Secp256k1>> },
    /// Waits for their reveals.
    Revealed { unique: UniqueKeep2to3<Secp256k1>, kept: BTreeMap<PartyIndex, KeepPhase2to3<Secp256k1>> },
    /// The combiner, which waits for their parts. The party has no secrets any more.
    Combining { x_coordinate: String, own: Broadcast3to4<Secp256k1> },
}

impl Ecdsa {
    /// Puts the party together and makes the openings.
    pub(super) fn begin(
        common: &Common,
        share: &Share,
        pairs: BTreeMap<Seat, PairState>,
    ) -> Result<(Self, Outgoing), EngineError> {
        let (party, data) = party_and_data(common, share, pairs)?;
        let (unique, kept, messages) =
            party.sign_phase1(&data).map_err(|abort| explain(common, &party, &abort))?;
        let outgoing = messages
            .iter()
            .map(|message| {
                let sealed = envelope::seal(&common.agreement, 1, &Opening::write(message));
                Ok((seat(message.parties.receiver)?, sealed))
            })
            .collect::<Result<_, EngineError>>()?;
        Ok((Self { party, data, phase: Phase::Opened { unique, kept } }, outgoing))
    }

    /// Answers one round.
    pub(super) fn advance(
        self,
        common: &Common,
        round: u8,
        messages: &BTreeMap<Seat, Vec<u8>>,
    ) -> Result<Step<Self>, EngineError> {
        let Self { party, data, phase } = self;
        match phase {
            Phase::Opened { unique, kept } => reveal(common, round, party, data, (unique, kept), messages),
            Phase::Revealed { unique, kept } => part(common, round, party, data, (unique, kept), messages),
            Phase::Combining { x_coordinate, own } => {
                combine(common, round, &party, &data, &x_coordinate, own, messages).map(Step::Signed)
            }
        }
    }
}

fn reveal(
    common: &Common,
    round: u8,
    party: Party<Secp256k1>,
    data: SignData,
    (unique, kept): (UniqueKeep1to2<Secp256k1>, BTreeMap<PartyIndex, KeepPhase1to2<Secp256k1>>),
    messages: &BTreeMap<Seat, Vec<u8>>,
) -> Result<Step<Ecdsa>, EngineError> {
    let received = read_all(common, messages, round, |opening: &Opening, sender, receiver| {
        opening.read(sender, receiver)
    })?;
    let (unique, kept, messages) =
        party.sign_phase2(&data, unique, kept, &received).map_err(|abort| explain(common, &party, &abort))?;
    let outgoing = messages
        .iter()
        .map(|message| {
            let sealed = envelope::seal(&common.agreement, round + 1, &Reveal::write(message));
            Ok((seat(message.parties.receiver)?, sealed))
        })
        .collect::<Result<_, EngineError>>()?;
    Ok(Step::Continue(Ecdsa { party, data, phase: Phase::Revealed { unique, kept } }, outgoing))
}

fn part(
    common: &Common,
    round: u8,
    mut party: Party<Secp256k1>,
    data: SignData,
    (unique, kept): (UniqueKeep2to3<Secp256k1>, BTreeMap<PartyIndex, KeepPhase2to3<Secp256k1>>),
    messages: &BTreeMap<Seat, Vec<u8>>,
) -> Result<Step<Ecdsa>, EngineError> {
    let received =
        read_all(common, messages, round, |reveal: &Reveal, sender, receiver| reveal.read(sender, receiver))?;
    let (x_coordinate, own) =
        party.sign_phase3(&data, unique, kept, &received).map_err(|abort| explain(common, &party, &abort))?;
    party.zeroize();
    if common.terms.own_seat == common.terms.combiner {
        let phase = Phase::Combining { x_coordinate, own };
        return Ok(Step::Continue(Ecdsa { party, data, phase }, Vec::new()));
    }
    let sealed = envelope::seal(&common.agreement, round + 1, &Part::write(&own));
    Ok(Step::Finished(vec![(common.terms.combiner, sealed)]))
}

fn combine(
    common: &Common,
    round: u8,
    party: &Party<Secp256k1>,
    data: &SignData,
    x_coordinate: &str,
    own: Broadcast3to4<Secp256k1>,
    messages: &BTreeMap<Seat, Vec<u8>>,
) -> Result<RawSignature, EngineError> {
    let mut parts = read_all(common, messages, round, |part: &Part, _, _| part.read())?;
    parts.push(own);
    let (s, recovery_id) = party
        .sign_phase4(data, x_coordinate, &parts, true)
        .map_err(|abort| explain(common, party, &abort))?;
    if recovery_id > 1 {
        return Err(EngineError::Stale("the nonce's x-coordinate is above the order, once in 2^127".into()));
    }
    let mut signature = RawSignature { bytes: [0; 64], recovery_id: Some(recovery_id) };
    let bug = |e: hex::FromHexError| EngineError::Bug(format!("dkls23-core wrote no hexadecimal: {e}"));
    hex::decode_to_slice(x_coordinate, &mut signature.bytes[..32]).map_err(bug)?;
    hex::decode_to_slice(&s, &mut signature.bytes[32..]).map_err(bug)?;
    common.verified(signature)
}

/// The party for one signature, and what it signs.
fn party_and_data(
    common: &Common,
    share: &Share,
    pairs: BTreeMap<Seat, PairState>,
) -> Result<(Party<Secp256k1>, SignData), EngineError> {
    let message_hash = common.terms.message.as_slice().try_into();
    let data = SignData {
        sign_id: common.agreement.0.to_vec(),
        counterparties: common.terms.others().map(index).collect::<Result<_, _>>()?,
        message_hash: message_hash.map_err(|_| EngineError::Bug("ECDSA signs 32 bytes".into()))?,
    };
    Ok((party(common, share, pairs)?, data))
}

/// The party for one signature. `share_count` is the highest seat ever used, because the library bounds
/// indices by it.
fn party(
    common: &Common,
    share: &Share,
    mut pairs: BTreeMap<Seat, PairState>,
) -> Result<Party<Secp256k1>, EngineError> {
    let terms = &common.terms;
    let secret = common.key.share(share)?;
    let share = <Number as Scalar>::decode(&secret)
        .map(Zeroizing::new)
        .ok_or_else(|| EngineError::Bug("the share belongs to another scheme".into()))?;
    let public_key = public_key(common)?;
    let (mut mul_senders, mut mul_receivers) = (BTreeMap::new(), BTreeMap::new());
    let mut seeds = Vec::with_capacity(usize::from(terms.threshold) - 1);
    for other in terms.others() {
        let state = pairs
            .remove(&other)
            .ok_or_else(|| EngineError::Bug(format!("no pair state with seat {other}")))?;
        let counterparty = index(other)?;
        mul_senders.insert(counterparty, state.sender);
        mul_receivers.insert(counterparty, state.receiver);
        seeds.push(SeedPair {
            lowest_index: terms.own_seat < other,
            index_counterparty: counterparty,
            seed: *state.zero_seed,
        });
    }
    Ok(Party {
        parameters: Parameters { threshold: terms.threshold, share_count: terms.highest_seat.get() },
        party_index: index(terms.own_seat)?,
        session_id: common.agreement.0.to_vec(),
        poly_point: *share,
        pk: public_key,
        zero_share: ZeroShare { seeds },
        mul_senders,
        mul_receivers,
        // The key is derived already; only the chain code is read, for the session binding.
        derivation_data: DerivData {
            depth: 0,
            child_number: 0,
            parent_fingerprint: [0; 4],
            poly_point: Number::ZERO,
            pk: public_key,
            chain_code: common.key.chain_code.0,
        },
        address: String::new(),
    })
}

/// Reads the bodies of a round, and names whoever sent a malformed one before anything is computed on any.
fn read_all<B: perennial_model::encoding::Document, M>(
    common: &Common,
    messages: &BTreeMap<Seat, Vec<u8>>,
    round: u8,
    read: impl Fn(&B, PartyIndex, PartyIndex) -> Result<M, Malformed>,
) -> Result<Vec<M>, EngineError> {
    let own = index(common.terms.own_seat)?;
    envelope::open_all::<B>(&common.agreement, round, messages)?
        .iter()
        .map(|(seat, body)| read(body, index(*seat)?, own).map_err(|e| EngineError::misbehaved(*seat, e.0)))
        .collect()
}

/// Says who is to blame for an abort of the library.
fn explain(common: &Common, party: &Party<Secp256k1>, abort: &Abort) -> EngineError {
    let what = abort.description();
    if let AbortKind::BanCounterparty(culprit) = abort.kind {
        return seat(culprit).map_or_else(|bug| bug, |culprit| EngineError::Ban { culprit, what });
    }
    let named = |culprit: PartyIndex| {
        seat(culprit).map_or_else(|bug| bug, |culprit| EngineError::misbehaved(culprit, what.clone()))
    };
    match abort.reason {
        AbortReason::SessionBindingMismatch { counterparty } => EngineError::Stale(format!(
            "seat {counterparty} signs with another pair base or under another epoch or transcript"
        )),
        AbortReason::CommitmentMismatch { counterparty }
        | AbortReason::TrivialInstancePoint { counterparty } => named(counterparty),
        AbortReason::PolynomialInconsistency => {
            unnamed(common, check_own_share(common, party), "the shares do not make the key")
        }
        AbortReason::ZeroDenominator | AbortReason::SignatureVerificationFailed => {
            unnamed(common, Ok(()), "the parts do not make a signature")
        }
        _ => EngineError::Bug(format!("dkls23-core: {what}")),
    }
}

/// The blame for what the library leaves without a name. With two signers there is only one other, once the
/// own values are known to be right; with more, nobody can be named.
fn unnamed(common: &Common, own: Result<(), EngineError>, what: &str) -> EngineError {
    if let Err(bug) = own.and_then(|()| common.terms.check_own_records()) {
        return bug;
    }
    let mut others = common.terms.others();
    match (others.next(), others.next()) {
        (Some(culprit), None) => EngineError::misbehaved(culprit, what),
        _ => EngineError::Stale(format!("{what}, and with more than two signers nobody can be named")),
    }
}

fn check_own_share(common: &Common, party: &Party<Secp256k1>) -> Result<(), EngineError> {
    let terms = &common.terms;
    let expected = common.key.verification_share(&terms.signers[&terms.own_seat])?;
    if OurGroup::encode(&OurGroup::generate(&party.poly_point)) == expected {
        return Ok(());
    }
    Err(EngineError::Bug("the own share does not fit its verification share".into()))
}

fn public_key(common: &Common) -> Result<AffinePoint, EngineError> {
    crate::pairing::point("public key", &common.key.public_key).map_err(|e| EngineError::Bug(e.0))
}

fn index(seat: Seat) -> Result<PartyIndex, EngineError> {
    PartyIndex::new(seat.get()).map_err(|e| EngineError::Bug(e.to_string()))
}

fn seat(index: PartyIndex) -> Result<Seat, EngineError> {
    Seat::new(index.as_u8()).ok_or_else(|| EngineError::Bug("seat 0 does not exist".into()))
}
