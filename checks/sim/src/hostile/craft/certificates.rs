//! Certificates with too little behind them, or used where they do not hold.

use super::{Blows, ask};
use crate::hostile::archive::Attempt;
use crate::hostile::stage::Stage;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::dealing::Inputs;
use perennial_model::identity::Signed;
use perennial_model::mail::Request;
use perennial_model::vote::{Vote, VoteKind};

/// An Activation before all have voted, or before any probe.
pub fn premature_activation(stage: &mut Stage) -> Blows {
    with_certificate(stage, VoteKind::Prepared, |stage, certificate, _| {
        let fewer = stage.below(certificate.votes.len());
        match stage.below(3) {
            0 => certificate.votes.truncate(fewer),
            1 => {
                // The inputs are made to fit the votes that there are.
                certificate.votes.truncate(fewer.max(1));
                let voters: Vec<SignerId> =
                    certificate.votes.iter().map(|vote| vote.signer.clone()).collect();
                certificate.inputs.holders.retain(|holder| voters.contains(holder));
            }
            _ => certificate.probes.truncate(fewer.saturating_sub(1)),
        }
    })
}

/// A Retirement before all keep it.
pub fn premature_retirement(stage: &mut Stage) -> Blows {
    with_certificate(stage, VoteKind::Keep, |stage, certificate, attempt| {
        let fewer = stage.below(certificate.votes.len());
        match stage.below(3) {
            0 => certificate.votes.truncate(fewer),
            1 => certificate.votes = voted(attempt, VoteKind::Prepared, &certificate.inputs),
            _ => {
                let missing = voted(attempt, VoteKind::Prepared, &certificate.inputs);
                let has = |vote: &Signed<Vote>| certificate.votes.iter().any(|own| own.signer == vote.signer);
                let missing: Vec<_> = missing.into_iter().filter(|vote| !has(vote)).collect();
                certificate.votes.extend(missing);
            }
        }
    })
}

/// Votes of one kind under the name of the other.
pub fn mislabelled(stage: &mut Stage) -> Blows {
    let Some((_, attempt)) = stage.an_attempt(|attempt| !attempt.prepared.is_empty()) else {
        return Vec::new();
    };
    let (kind, other) = match stage.one_in(2) {
        true => (VoteKind::Prepared, VoteKind::Keep),
        false => (VoteKind::Keep, VoteKind::Prepared),
    };
    let Some(mut certificate) = made(&attempt, kind) else { return Vec::new() };
    let number = stage.any_member();
    match stage.below(2) {
        0 => certificate.votes = voted(&attempt, other, &certificate.inputs),
        _ => certificate.kind = other,
    }
    let certificate = Box::new(certificate);
    vec![ask(
        number,
        if kind == VoteKind::Prepared {
            Request::Activate(certificate)
        } else {
            Request::Retire(certificate)
        },
    )]
}

/// Votes on another chunk, of another transcript, or of another number among those that are asked for.
pub fn of_other_votes(stage: &mut Stage) -> Blows {
    let kind = if stage.one_in(2) { VoteKind::Prepared } else { VoteKind::Keep };
    let Some((_, other)) = stage.an_attempt(|other| !other.prepared.is_empty()) else { return Vec::new() };
    with_certificate(stage, kind, |stage, certificate, _| {
        if stage.one_in(3) {
            // The right votes, and a root that is not theirs.
            if let Some(root) = other.root() {
                certificate.root = root;
            }
            return;
        }
        for vote in &mut certificate.votes {
            if let Some(replaced) = other.votes(kind).get(&vote.signer)
                && stage.one_in(2)
            {
                *vote = replaced.clone();
            }
        }
    })
}

/// One vote as often as votes are needed.
pub fn of_one_voter(stage: &mut Stage) -> Blows {
    let kind = if stage.one_in(2) { VoteKind::Prepared } else { VoteKind::Keep };
    with_certificate(stage, kind, |stage, certificate, _| {
        let count = certificate.inputs.holders.len();
        if let Some(first) = certificate.votes.first().cloned() {
            match stage.one_in(2) {
                true => certificate.votes = vec![first; count],
                false => {
                    certificate.votes.truncate(count - 1);
                    while certificate.votes.len() < count {
                        certificate.votes.push(first.clone());
                    }
                }
            }
        }
    })
}

/// An Activation with probes of something else, or none.
pub fn of_other_probes(stage: &mut Stage) -> Blows {
    let Some((_, other)) = stage.an_attempt(|other| !other.probes.is_empty()) else { return Vec::new() };
    with_certificate(stage, VoteKind::Prepared, |stage, certificate, _| match stage.below(3) {
        0 => certificate.probes.clear(),
        1 => certificate.probes = other.probes.into_values().collect(),
        _ => {
            for probe in &mut certificate.probes {
                probe.task.counter += 1;
            }
        }
    })
}

/// A certificate of an earlier epoch, again.
pub fn of_old(stage: &mut Stage) -> Blows {
    let Some((_, attempt)) = stage.an_attempt(|attempt| attempt.activation.is_some()) else {
        return Vec::new();
    };
    let number = stage.anybody();
    let retirement = attempt.retirement.map(|certificate| Request::Retire(Box::new(certificate)));
    let activation = attempt.activation.map(|certificate| Request::Activate(Box::new(certificate)));
    let request = if stage.one_in(2) { retirement.or(activation) } else { activation };
    request.map(|request| ask(number, request)).into_iter().collect()
}

/// Two Activations for one number: the inputs, or the dealers, of one with the votes of the other.
pub fn rival(stage: &mut Stage) -> Blows {
    with_certificate(stage, VoteKind::Prepared, |stage, certificate, attempt| {
        match stage.one_of(&attempt.inputs).filter(|inputs| *inputs != certificate.inputs) {
            Some(inputs) => certificate.inputs = inputs,
            None => match stage.one_in(2) {
                true => certificate.inputs.dealers.reverse(),
                false => certificate.inputs.openings.0[0] ^= 1,
            },
        }
    })
}

/// A certificate that names holders who are no members, or fewer of them than the plan demands.
pub fn of_strangers(stage: &mut Stage) -> Blows {
    let stranger = stage.cast.ids[stage.members()].clone();
    let kind = if stage.one_in(2) { VoteKind::Prepared } else { VoteKind::Keep };
    with_certificate(stage, kind, |stage, certificate, _| match stage.one_in(2) {
        true => certificate.inputs.holders.push(stranger),
        false => {
            certificate.inputs.holders.truncate(1);
            certificate.votes.truncate(1);
        }
    })
}

/// Keep before there is anything to keep, or before the overlap is over.
pub fn early_keep(stage: &mut Stage) -> Blows {
    let Some((chunk, _)) = stage.an_attempt(|attempt| attempt.retirement.is_none()) else {
        return Vec::new();
    };
    let number = stage.any_member();
    vec![ask(number, Request::Keep(chunk))]
}

fn with_certificate(
    stage: &mut Stage,
    kind: VoteKind,
    change: impl FnOnce(&mut Stage, &mut Certificate, &Attempt),
) -> Blows {
    let found = stage.an_attempt(|attempt| !attempt.votes(kind).is_empty());
    let Some((_, attempt)) = found else { return Vec::new() };
    let Some(mut certificate) = made(&attempt, kind) else { return Vec::new() };
    let before = certificate.clone();
    change(stage, &mut certificate, &attempt);
    if certificate == before {
        return Vec::new();
    }
    let certificate = Box::new(certificate);
    let request = match kind {
        VoteKind::Prepared => Request::Activate(certificate),
        VoteKind::Keep => Request::Retire(certificate),
    };
    let number = stage.any_member();
    vec![ask(number, request)]
}

/// The certificate that the votes seen so far would make, complete or not.
pub fn made(attempt: &Attempt, kind: VoteKind) -> Option<Certificate> {
    let known = match kind {
        VoteKind::Prepared => attempt.activation.as_ref(),
        VoteKind::Keep => attempt.retirement.as_ref(),
    };
    if let Some(known) = known {
        return Some(known.clone());
    }
    let vote = attempt.prepared.values().find_map(|vote| vote.read_unchecked().ok())?;
    let inputs = attempt.inputs.iter().find(|inputs| inputs.digest() == vote.inputs)?;
    let probes = match kind {
        VoteKind::Prepared => attempt.probes.values().cloned().collect(),
        VoteKind::Keep => Vec::new(),
    };
    let votes = voted(attempt, kind, inputs);
    Some(Certificate { kind, inputs: inputs.clone(), root: vote.root, votes, probes })
}

fn voted(attempt: &Attempt, kind: VoteKind, inputs: &Inputs) -> Vec<Signed<Vote>> {
    inputs.holders.iter().filter_map(|holder| attempt.votes(kind).get(holder).cloned()).collect()
}
