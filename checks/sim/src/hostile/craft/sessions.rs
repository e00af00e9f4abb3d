//! Probe sessions that do not follow from a root, or never end, and mail of sessions at the wrong place.

use super::{Blow, Blows, What, ask, sign};
use crate::hostile::archive::{Attempt, Session};
use crate::hostile::stage::Stage;
use crate::network::Lane;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::identity::Signed;
use perennial_model::mail::Request;
use perennial_model::plan::Chunk;
use perennial_model::probe::{ProbeGroups, ProbeTask};
use perennial_model::session::{Purpose, SessionMessage, SessionRequest};
use perennial_model::wallet::Scheme;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many sessions are begun at a time, of those that never end.
const AT_ONCE: usize = 24;
/// How many are more than any signer takes.
const ENOUGH: usize = 270;

/// Probes that follow from the root, as the honest driver has them made.
pub fn due_probes(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = a_prepared(stage) else { return Vec::new() };
    let Some(request) = due(stage, &chunk, &attempt) else { return Vec::new() };
    to_its_signers(stage, &request)
}

/// Probes of another chunk, of wallets that are not sampled, by another group, or of what is not prepared.
pub fn foreign_probes(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = a_prepared(stage) else { return Vec::new() };
    let Some(mut request) = due(stage, &chunk, &attempt) else { return Vec::new() };
    let other =
        stage.an_attempt(|other| !other.openings.is_empty()).map(|(chunk, other)| (chunk, other.root()));
    let stranger = stage.cast.ids[stage.members()].clone();
    let change = stage.below(7);
    let Purpose::Probes { chunk, root, tasks } = &mut request.purpose else { return Vec::new() };
    match (change, other) {
        (0, _) => tasks.iter_mut().for_each(|task| task.counter += 1),
        (1, _) => tasks.iter_mut().for_each(|task| task.wallet = (task.wallet + 1) % chunk.count),
        (2, _) => tasks.clear(),
        (3, _) => request.signers.rotate_left(1),
        (4, _) => request.signers.push(stranger),
        (5, Some((other, Some(known)))) => (*chunk, *root) = (other, known),
        (_, Some((other, _))) => *chunk = other,
        _ => {}
    }
    to_its_signers(stage, &request)
}

/// The same probes in session after session.
pub fn endless_probes(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = a_prepared(stage) else { return Vec::new() };
    let Some(request) = due(stage, &chunk, &attempt) else { return Vec::new() };
    let Some(number) = request.signers.last().and_then(|signer| stage.number(signer)) else {
        return Vec::new();
    };
    let mut blows = Vec::new();
    let count = if stage.one_in(8) { ENOUGH } else { AT_ONCE };
    for _ in 0..count {
        let session = fresh(stage);
        blows.push(ask(number, Request::Session(Box::new(SessionRequest { session, ..request.clone() }))));
    }
    blows
}

/// Signers of one session are asked for different probes.
pub fn split_probes(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = a_prepared(stage) else { return Vec::new() };
    let Some(request) = due(stage, &chunk, &attempt) else { return Vec::new() };
    let mut blows = Vec::new();
    for signer in &request.signers {
        let Some(number) = stage.number(signer) else { continue };
        let mut told = request.clone();
        if let Purpose::Probes { tasks, .. } = &mut told.purpose
            && tasks.len() > 1
            && stage.one_in(2)
        {
            tasks.truncate(1);
        } else if stage.one_in(2) {
            told.asked_at_ms += 1;
        }
        blows.push(ask(number, Request::Session(Box::new(told))));
    }
    blows
}

/// Mail of a session again, or to somebody else, or on the other links.
pub fn mail_astray(stage: &mut Stage) -> Blows {
    let sessions: Vec<Session> = stage.archive.sessions.iter().rev().take(12).cloned().collect();
    let Some(session) = stage.one_of(&sessions) else { return Vec::new() };
    let Some(said) = stage.one_of(&session.said) else { return Vec::new() };
    let receiver = said.read_unchecked().ok().and_then(|body| stage.number(&body.to));
    let number = match (receiver, stage.one_in(3)) {
        (Some(number), false) => number,
        _ => stage.anybody(),
    };
    let lane = if stage.one_in(2) { Lane::Ceremony } else { Lane::Signing };
    vec![Blow { number, lane, what: What::Request(Arc::new(Request::SessionMail(said))) }]
}

/// A session that was begun, again: as it was, or with something else in it.
pub fn begun_again(stage: &mut Stage) -> Blows {
    let sessions: Vec<Session> = stage.archive.sessions.iter().rev().take(20).cloned().collect();
    let Some(session) = stage.one_of(&sessions) else { return Vec::new() };
    let mut request = session.request;
    let is_probe = matches!(request.purpose, Purpose::Probes { .. });
    if stage.one_in(2) {
        match &mut request.purpose {
            Purpose::Transaction { transaction, .. } => transaction.0.push(b'!'),
            Purpose::Probes { .. } => request.asked_at_ms += 1,
        }
    }
    let signers = request.signers.clone();
    let Some(number) = stage.one_of(&signers).and_then(|signer| stage.number(&signer)) else {
        return Vec::new();
    };
    let request = Request::Session(Box::new(request));
    vec![if is_probe { ask(number, request) } else { sign(number, request) }]
}

/// Words of a corrupt signer in a session: other ones than it would say.
pub fn false_words(stage: &mut Stage) -> Blows {
    let Some(corrupt) = stage.corrupt else { return Vec::new() };
    let name = stage.cast.ids[corrupt].clone();
    let sessions: Vec<Session> = stage
        .archive
        .sessions
        .iter()
        .rev()
        .filter(|session| session.request.signers.contains(&name))
        .take(8)
        .cloned()
        .collect();
    let Some(session) = stage.one_of(&sessions) else { return Vec::new() };
    let others: Vec<SignerId> = session.request.signers.iter().filter(|one| **one != name).cloned().collect();
    let Some(to) = stage.one_of(&others) else { return Vec::new() };
    let own = session.said.iter().filter(|said| said.signer == name);
    let bodies: Vec<SessionMessage> = own.filter_map(|said| said.read_unchecked().ok()).collect();
    let other = session.said.iter().filter_map(|said| said.read_unchecked().ok()).next();
    let Some(mut body) = stage.one_of(&bodies).or(other) else { return Vec::new() };
    body.to = to.clone();
    match stage.below(4) {
        0 => body.items.push(body.items[0].clone()),
        1 => body.items.clear(),
        2 => {
            let at = stage.below(body.items[0].0.len());
            body.items[0].0[at] ^= 1;
        }
        _ => body.round = 1 + stage.below(9) as u8,
    }
    let said = Signed::new(&*stage.cast.owns[corrupt].identity, &body);
    let Some(number) = stage.number(&to) else { return Vec::new() };
    let lane = match session.request.purpose {
        Purpose::Probes { .. } => Lane::Ceremony,
        Purpose::Transaction { .. } => Lane::Signing,
    };
    vec![Blow { number, lane, what: What::Request(Arc::new(Request::SessionMail(said))) }]
}

/// A new name.
pub fn fresh(stage: &mut Stage) -> Digest {
    use rand_core::Rng as _;
    let mut name = [0; 32];
    stage.rng.fill_bytes(&mut name);
    Digest(name)
}

/// The request to each signer that it names.
pub fn to_its_signers(stage: &Stage, request: &SessionRequest) -> Blows {
    let is_probe = matches!(request.purpose, Purpose::Probes { .. });
    let boxed = Arc::new(Request::Session(Box::new(request.clone())));
    let lane = if is_probe { Lane::Ceremony } else { Lane::Signing };
    let numbers = request.signers.iter().filter_map(|signer| stage.number(signer));
    numbers.map(|number| Blow { number, lane, what: What::Request(boxed.clone()) }).collect()
}

fn a_prepared(stage: &mut Stage) -> Option<(Chunk, Attempt)> {
    stage
        .an_attempt(|attempt| attempt.prepared.len() > 1 && attempt.activation.is_none())
        .or_else(|| stage.an_attempt(|attempt| !attempt.prepared.is_empty()))
}

/// The probes of one group of which some are missing still.
pub(super) fn due_of(stage: &mut Stage, chunk: &Chunk, attempt: &Attempt) -> Option<SessionRequest> {
    let is_missing = |request: &SessionRequest| match &request.purpose {
        Purpose::Probes { tasks, .. } => tasks.iter().any(|task| !attempt.probes.contains_key(task)),
        Purpose::Transaction { .. } => false,
    };
    all_due(stage, chunk, attempt).into_iter().find(is_missing)
}

/// The probes of one group that are due of a prepared chunk.
fn due(stage: &mut Stage, chunk: &Chunk, attempt: &Attempt) -> Option<SessionRequest> {
    let all = all_due(stage, chunk, attempt);
    stage.one_of(&all)
}

/// The probes that are due of a prepared chunk, by group.
fn all_due(stage: &mut Stage, chunk: &Chunk, attempt: &Attempt) -> Vec<SessionRequest> {
    let Some(vote) = attempt.prepared.values().find_map(|vote| vote.read_unchecked().ok()) else {
        return Vec::new();
    };
    let inputs = attempt.inputs.iter().find(|inputs| inputs.digest() == vote.inputs);
    let plan = stage.archive.plan(&chunk.plan).map(|plan| plan.plan.clone());
    let (Some(inputs), Some(plan)) = (inputs, plan) else { return Vec::new() };
    let groups = ProbeGroups::due(Scheme::Transparent, &plan, &vote.root, inputs);
    let mut by_signers: BTreeMap<&[SignerId], Vec<ProbeTask>> = BTreeMap::new();
    for task in groups.tasks() {
        if let Some(signers) = groups.signers(&task) {
            by_signers.entry(signers).or_default().push(task);
        }
    }
    let of_group = |(signers, tasks): (&[SignerId], Vec<ProbeTask>)| SessionRequest {
        session: fresh(stage),
        asked_at_ms: stage.now_ms,
        signers: signers.to_vec(),
        purpose: Purpose::Probes { chunk: *chunk, root: vote.root, tasks },
    };
    by_signers.into_iter().map(of_group).collect()
}
