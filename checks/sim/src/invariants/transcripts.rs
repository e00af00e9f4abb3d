//! I2, one transcript: signers that prepared one `T` hold shares of one polynomial, an epoch is served or retired
//! only on the promises of its whole activation set for that `T`, and no number has two of them.

use crate::history::{Changed, History};
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::record::ChunkState;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::dealing::Inputs;
use perennial_model::encoding::Digest;
use perennial_model::plan::Chunk;
use perennial_model::vote::{Vote, VoteKind};

/// A chunk that a signer newly serves was prepared, under the root that the signer has, by the whole of `A`.
pub fn i2_one_transcript(
    history: &History,
    signer: &Signer,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    for change in &changed.chunks {
        let Some(new) = &change.new else { continue };
        let before = change.old.as_ref().is_some_and(|old| old.state.is_served());
        if before || !matches!(new.state, ChunkState::Active(_) | ChunkState::Kept(_)) {
            continue;
        }
        let who = signer.own.pinned.me();
        let (Some(inputs), Some(root)) = (&new.inputs, new.root) else {
            return Err(broken(format!("{who} serves {} without a transcript", change.chunk)));
        };
        promised_by_all(history, VoteKind::Prepared, &change.chunk, inputs, &root)?;
    }
    let _ = number;
    Ok(())
}

/// An Activation speaks for all of `A`, each of whom prepared exactly its root.
pub fn i2_all_prepared_what_is_activated(
    history: &History,
    certificate: &Certificate,
) -> Result<(), Violation> {
    let chunk = certificate.inputs.chunk;
    promised_by_all(history, VoteKind::Prepared, &chunk, &certificate.inputs, &certificate.root)
}

/// A Retirement speaks for all of `A`, each of whom keeps exactly its root.
pub fn i2_all_keep_what_is_retired(history: &History, certificate: &Certificate) -> Result<(), Violation> {
    let chunk = certificate.inputs.chunk;
    promised_by_all(history, VoteKind::Keep, &chunk, &certificate.inputs, &certificate.root)
}

/// A signer promises one root per number, and keeps what it prepared.
pub fn i2_one_vote_per_number(history: &History, signer: &SignerId, vote: &Vote) -> Result<(), Violation> {
    for kind in [VoteKind::Prepared, VoteKind::Keep] {
        let known = history.spoken.votes(kind, &vote.chunk).and_then(|votes| votes.get(signer));
        if known.is_some_and(|root| *root != vote.root) {
            return Err(broken(format!("{signer} promises {} under two roots", vote.chunk)));
        }
    }
    Ok(())
}

fn promised_by_all(
    history: &History,
    kind: VoteKind,
    chunk: &Chunk,
    inputs: &Inputs,
    root: &Digest,
) -> Result<(), Violation> {
    let votes = history.spoken.votes(kind, chunk);
    for holder in &inputs.holders {
        match votes.and_then(|votes| votes.get(holder)) {
            Some(promised) if promised == root => {}
            Some(other) => {
                let (has, wants) = (other.short(), root.short());
                return Err(broken(format!("{chunk}: {holder} promised {kind} for {has}, not for {wants}")));
            }
            None => return Err(broken(format!("{chunk}: {holder} of A has not promised {kind}"))),
        }
    }
    Ok(())
}

fn broken(what: String) -> Violation {
    Violation::new(Invariant::I2OneTranscript, what)
}
