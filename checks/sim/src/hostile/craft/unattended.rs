//! Refreshes that the attacker runs itself under a mandate, step by step, and ends as it likes.

use super::ceremony::{some_inputs, step};
use super::certificates::made;
use super::mandates::Bid;
use super::sessions::{due_of, to_its_signers};
use super::{Blows, ask};
use crate::hostile::archive::Attempt;
use crate::hostile::stage::Stage;
use perennial_model::certificate::Certificate;
use perennial_model::mail::Request;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::vote::VoteKind;

/// A plan that nobody was asked about, under a mandate that covers it, to all; when it is time and when it is not.
pub fn begun(stage: &mut Stage) -> Blows {
    let Some(bid) = Bid::new(stage) else { return Vec::new() };
    let chunk = bid.chunk();
    let plan = bid.send(stage);
    let members = 0..stage.members();
    let both =
        |number| [ask(number, plan.clone()), ask(number, Request::Open { chunk, parents: Vec::new() })];
    members.flat_map(both).collect()
}

/// What comes next in such a refresh, to all. What no honest driver knows of goes into use only when the attacker has
/// taken over: a driver that misses an epoch can refresh nothing any more.
pub fn pushed(stage: &mut Stage) -> Blows {
    let Some((chunk, plan)) = an_unattended(stage, |attempt| attempt.retirement.is_none()) else {
        return Vec::new();
    };
    let Some(attempt) = stage.archive.attempts.get(&chunk).cloned() else { return Vec::new() };
    let members = 0..stage.members();
    let to_all = |request: Request| members.clone().map(|number| ask(number, request.clone())).collect();
    let all = members.len();
    if attempt.inputs.is_empty() {
        return match some_inputs(stage, &chunk, &attempt, &plan) {
            Some((inputs, openings)) => to_all(Request::Commit { inputs, openings }),
            None => to_all(Request::Open { chunk, parents: Vec::new() }),
        };
    }
    if attempt.activation.is_none() && attempt.prepared.len() == all {
        if let Some(request) = due_of(stage, &chunk, &attempt) {
            // What was asked for last may be under way.
            return if stage.one_in(3) { to_its_signers(stage, &request) } else { Vec::new() };
        }
        let complete = complete(&attempt, VoteKind::Prepared).filter(|_| stage.takes_over);
        let Some(activation) = complete else { return Vec::new() };
        stage.archive.certify(&activation);
        return to_all(Request::Activate(Box::new(activation)));
    }
    step(stage, &attempt).map(to_all).unwrap_or_default()
}

/// Several numbers that were kept above one Retirement are retired at once, or one of them before all keep it.
pub fn retired(stage: &mut Stage) -> Blows {
    let newest: Vec<(Chunk, Attempt)> = stage
        .archive
        .newest()
        .filter(|(chunk, attempt)| {
            stage.archive.under_mandate.contains(&chunk.plan) && !attempt.kept.is_empty()
        })
        .take(4)
        .map(|(chunk, attempt)| (*chunk, attempt.clone()))
        .collect();
    let mut certificates: Vec<Certificate> = Vec::new();
    for (_, attempt) in newest.iter().rev() {
        let known = attempt.retirement.is_some() || stage.takes_over;
        let Some(mut certificate) = complete(attempt, VoteKind::Keep).filter(|_| known) else { continue };
        stage.archive.certify(&certificate);
        if stage.one_in(6) {
            certificate.votes.pop();
        }
        certificates.push(certificate);
    }
    let mut blows = Vec::new();
    for number in 0..stage.members() {
        for certificate in &certificates {
            blows.push(ask(number, Request::Retire(Box::new(certificate.clone()))));
        }
    }
    blows
}

/// What the attacker does next when it runs refreshes to their end by itself, by the name of the move; nothing where it
/// has to wait.
pub fn next(stage: &mut Stage) -> Option<&'static str> {
    let newest = an_unattended(stage, |_| true).filter(|(_, plan)| {
        plan.governance == stage.cast.history.newest_digest() && plan.activation_deadline_ms > stage.now_ms
    });
    let attempt = newest.and_then(|(chunk, _)| stage.archive.attempts.get(&chunk).cloned());
    let members = stage.members();
    match attempt {
        Some(attempt) if complete(&attempt, VoteKind::Keep).is_some() => match stage.below(12) {
            0..=3 => Some("mandate: retired at once"),
            4 => None,
            _ => Some("mandate: plan"),
        },
        Some(attempt) if attempt.openings.len() == members && !stage.one_in(16) => Some("mandate: pushed on"),
        _ if stage.one_in(8) => None,
        _ => Some("mandate: plan"),
    }
}

/// One of the newest attempts under a mandate, most often the newest.
fn an_unattended(stage: &mut Stage, fits: impl Fn(&Attempt) -> bool) -> Option<(Chunk, Plan)> {
    let known = &stage.archive.under_mandate;
    let newest = stage.archive.newest();
    let fitting = newest.filter(|(chunk, attempt)| known.contains(&chunk.plan) && fits(attempt));
    let chunks: Vec<Chunk> = fitting.take(3).map(|(chunk, _)| *chunk).collect();
    let at = stage.below(chunks.len()).min(stage.below(chunks.len())).min(stage.below(chunks.len()));
    let chunk = *chunks.get(at)?;
    let plan = stage.archive.plan(&chunk.plan)?.plan.clone();
    Some((chunk, plan))
}

/// The certificate with a vote of everybody, if all have voted.
fn complete(attempt: &Attempt, kind: VoteKind) -> Option<Certificate> {
    made(attempt, kind).filter(|certificate| certificate.votes.len() == certificate.inputs.holders.len())
}
