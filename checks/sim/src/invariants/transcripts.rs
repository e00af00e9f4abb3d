//! I2, one transcript: signers that prepared one `T` hold shares of one polynomial, an epoch is served or retired
//! only on the promises of its whole activation set for that `T`, and no number has two of them.

use crate::history::{Changed, History, Spoken};
use crate::network::Lane;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::record::ChunkState;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Commitment, Dealing, Inputs};
use perennial_model::encoding::Digest;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::{Action, Chunk, LiarTolerance, Plan};
use perennial_model::refusal::Refusal;
use perennial_model::vote::{Vote, VoteKind};
use std::collections::BTreeSet;

/// A chunk that a signer newly serves was prepared, under the root that the signer has, by the whole of `A`.
pub fn i2_one_transcript(
    history: &History,
    signer: &Signer,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    for change in &changed.chunks {
        let Some(new) = &change.new else { continue };
        if let (Some(inputs), Some(plan)) = (&new.inputs, history.plans.get(&change.chunk.plan))
            && change.old.as_ref().and_then(|old| old.inputs.as_ref()) != Some(inputs)
            && !is_whole(plan, inputs)
        {
            let who = signer.own.pinned.me();
            return Err(broken(format!(
                "{who} takes part in {} with too few of its committee",
                change.chunk
            )));
        }
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
pub fn i2_one_vote_per_number(spoken: &Spoken, signer: &SignerId, vote: &Vote) -> Result<(), Violation> {
    for kind in [VoteKind::Prepared, VoteKind::Keep] {
        let known = spoken.votes(kind, &vote.chunk).and_then(|votes| votes.get(signer));
        if known.is_some_and(|root| *root != vote.root) {
            return Err(broken(format!("{signer} promises {} under two roots", vote.chunk)));
        }
    }
    Ok(())
}

/// A signer opens a number with one set of one-time keys.
pub fn i7_one_opening_per_number(
    spoken: &mut Spoken,
    signer: &SignerId,
    (chunk, digest): &(Chunk, Digest),
) -> Result<(), Violation> {
    let known = spoken.opened.entry(*chunk).or_default().entry(signer.clone()).or_insert(*digest);
    match known == digest {
        true => Ok(()),
        false => Err(Violation::new(Invariant::I7NoGoingBack, format!("{signer} opens {chunk} twice"))),
    }
}

/// A dealer promises one dealing per number.
pub fn i2_one_promise_per_number(
    spoken: &mut Spoken,
    signer: &SignerId,
    said: &Commitment,
) -> Result<(), Violation> {
    let promise = (said.inputs, said.dealing);
    let known = spoken.promised.entry(said.chunk).or_default().entry(signer.clone()).or_insert(promise);
    match *known == promise {
        true => Ok(()),
        false => Err(broken(format!("{signer} promises two dealings of {}", said.chunk))),
    }
}

/// A dealing goes out when every dealer has promised one for the same inputs, so that nobody chooses last.
pub fn i2_dealt_when_all_have_promised(
    history: &History,
    number: usize,
    said: &Dealing,
) -> Result<(), Violation> {
    let chunk = &said.chunk;
    let inputs = history.mirrors[number].chunks.get(chunk).and_then(|record| record.inputs.as_ref());
    let promised = history.spoken.promised.get(chunk);
    let has = |dealer: &SignerId| {
        promised.and_then(|all| all.get(dealer)).is_some_and(|(inputs, _)| *inputs == said.inputs)
    };
    let honest = |dealer: &&SignerId| !history.spoken.corrupt.contains(dealer);
    match inputs.and_then(|inputs| inputs.dealers.iter().filter(honest).find(|dealer| !has(dealer))) {
        Some(dealer) => Err(broken(format!(
            "s{:02} hands out its dealing of {chunk} before {dealer} promised one",
            number + 1
        ))),
        None => Ok(()),
    }
}

/// Who hands out its dealing of a new key on promises of all the others goes on with these: a dealer that has seen what
/// is handed out chooses no more.
pub fn i2_nobody_chooses_last(
    history: &mut History,
    number: usize,
    request: &Request,
    replies: &[(Lane, Reply)],
    changed: bool,
) -> Result<(), Violation> {
    let hands_out = || replies.iter().any(|(_, reply)| matches!(reply, Reply::Dealt(_)));
    let votes = || changed && replies.iter().any(|(_, reply)| matches!(reply, Reply::Voted(_)));
    let (chunk, dealings): (Chunk, Vec<Digest>) = match request {
        Request::Deal { inputs, commitments } if hands_out() => {
            let promised = commitments.iter().filter_map(|said| Some(said.read_unchecked().ok()?.dealing));
            (inputs.chunk, promised.collect())
        }
        Request::Verify { inputs, dealings, .. } if votes() => {
            (inputs.chunk, dealings.iter().map(|said| said.body_digest()).collect())
        }
        _ => return Ok(()),
    };
    if history.plans.get(&chunk.plan).is_none_or(|plan| plan.action != Action::Create) {
        return Ok(());
    }
    let name = (number, chunk);
    let known = match request {
        Request::Deal { .. } => history.spoken.shown_on.entry(name).or_insert_with(|| dealings.clone()),
        _ => match history.spoken.shown_on.get(&name) {
            Some(known) => known,
            None => return Ok(()),
        },
    };
    match *known == dealings {
        true => Ok(()),
        false => Err(broken(format!("s{:02} goes on with {chunk} on other promises", number + 1))),
    }
}

/// An honest dealer is never refused by an honest holder, whoever carries the mail between them.
pub fn i12_nobody_is_refused_wrongly(
    history: &History,
    number: usize,
    said: &Refusal,
) -> Result<(), Violation> {
    if history.spoken.lies || history.spoken.corrupt.contains(&said.dealer) {
        return Ok(());
    }
    let what = format!("s{:02} refuses what {} dealt, which did not lie", number + 1, said.dealer);
    Err(Violation::new(Invariant::I12NobodyWronged, what))
}

/// Whether as many of the approved committee take part as the plan demands.
fn is_whole(plan: &Plan, inputs: &Inputs) -> bool {
    let threshold = usize::from(plan.committee.threshold());
    let least = match plan.liar_tolerance {
        _ if plan.action == Action::Create => plan.committee.members().len(),
        LiarTolerance::Required => 2 * threshold - 1,
        LiarTolerance::WaivedUnsafe => threshold,
    };
    let distinct: BTreeSet<&SignerId> = inputs.holders.iter().collect();
    distinct.len() >= least
        && distinct.iter().all(|holder| plan.committee.signers().any(|one| one == *holder))
}

fn promised_by_all(
    history: &History,
    kind: VoteKind,
    chunk: &Chunk,
    inputs: &Inputs,
    root: &Digest,
) -> Result<(), Violation> {
    let votes = history.spoken.votes(kind, chunk);
    for holder in inputs.holders.iter().filter(|holder| !history.spoken.corrupt.contains(holder)) {
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
