//! How signing messages are written: every one names the session by the digest of all that its signers agree
//! on, so that a message of another session, or of a signer with other terms, is told apart before any of it
//! is used.

use super::EngineError;
use minicbor::{Decode, Encode};
use perennial_model::committee::Seat;
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::planted;
use std::collections::BTreeMap;

/// A message of one round of one session.
#[derive(Encode, Decode)]
struct Envelope {
    /// The digest of the agreed terms.
    #[n(0)]
    agreement: Digest,
    /// The round that the message belongs to, from 1.
    #[n(1)]
    round: u8,
    /// The document of the round.
    #[n(2)]
    body: Bytes,
}

impl Document for Envelope {
    const KIND: &'static str = "signing-message";
}

/// Writes one message.
pub(super) fn seal<D: Document>(agreement: &Digest, round: u8, body: &D) -> Vec<u8> {
    let body = Bytes(encoding::encode(body));
    encoding::encode(&Envelope { agreement: *agreement, round, body })
}

/// Reads the messages of one round.
///
/// # Errors
/// [`EngineError::Stale`] when a message belongs to another session, round or to other terms;
/// [`EngineError::Misbehaved`] when its bytes are no message at all.
pub(super) fn open_all<D: Document>(
    agreement: &Digest,
    round: u8,
    messages: &BTreeMap<Seat, Vec<u8>>,
) -> Result<BTreeMap<Seat, D>, EngineError> {
    let bodies: BTreeMap<Seat, Bytes> = messages
        .iter()
        .map(|(&seat, bytes)| Ok((seat, open(agreement, round, seat, bytes)?)))
        .collect::<Result<_, EngineError>>()?;
    bodies
        .into_iter()
        .map(|(seat, body)| {
            let body = encoding::decode(&body.0).map_err(|e| EngineError::misbehaved(seat, e.to_string()))?;
            Ok((seat, body))
        })
        .collect()
}

fn open(agreement: &Digest, round: u8, seat: Seat, bytes: &[u8]) -> Result<Bytes, EngineError> {
    let envelope: Envelope =
        encoding::decode(bytes).map_err(|e| EngineError::misbehaved(seat, e.to_string()))?;
    if envelope.agreement != *agreement && !planted!(SignUnderOtherTerms) {
        return Err(EngineError::Stale(format!(
            "seat {seat} signs in another session or under other terms: expected {agreement:?}, got {:?}",
            envelope.agreement
        )));
    }
    if envelope.round != round {
        return Err(EngineError::Stale(format!(
            "seat {seat} sent a message of round {}, expected round {round}",
            envelope.round
        )));
    }
    Ok(envelope.body)
}

/// Whether a message names this agreement: its author was told the same.
pub(super) fn names(agreement: &Digest, bytes: &[u8]) -> bool {
    encoding::decode::<Envelope>(bytes).is_ok_and(|envelope| envelope.agreement == *agreement)
}

/// The body of a message, if it is a `D`.
#[cfg(feature = "simulation")]
pub(super) fn peek<D: Document>(bytes: &[u8]) -> Option<D> {
    let envelope: Envelope = encoding::decode(bytes).ok()?;
    encoding::decode(&envelope.body.0).ok()
}
