//! Attempts that the attacker runs itself: honestly but at its own pace, and in every way that the rules forbid.

use super::{Blows, ask};
use crate::hostile::archive::Attempt;
use crate::hostile::stage::Stage;
use perennial_model::approval::ApprovedPlan;
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening};
use perennial_model::epoch::Epoch;
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::Request;
use perennial_model::plan::{Action, Chunk, Plan};

/// The next number of a plan is opened, and all that was only opened before is left: again and again.
pub fn next_number(stage: &mut Stage) -> Blows {
    match a_plan(stage) {
        Some(approved) => open_next(stage, &approved),
        None => Vec::new(),
    }
}

fn open_next(stage: &mut Stage, approved: &ApprovedPlan) -> Blows {
    let plan = &approved.plan;
    let digest = plan.digest();
    let mut highest = plan.counts().start() - 1;
    for (chunk, _) in stage.archive.attempts.iter().filter(|(chunk, _)| chunk.plan == digest) {
        highest = highest.max(chunk.epoch.count);
    }
    let count = highest.saturating_add(1).min(*plan.counts().end());
    let size = 1 + stage.below(plan.wallets.len()) as u32;
    let chunk = Chunk { plan: digest, epoch: Epoch::new(plan.rank, count), first: 0, count: size };
    let all = 0..stage.members();
    let mut blows: Blows = Vec::new();
    for number in all {
        if stage.one_in(3) {
            blows.push(ask(number, Request::Plan(Box::new(approved.clone()))));
        }
        blows.push(ask(number, Request::Open { chunk, parents: Vec::new() }));
    }
    blows
}

/// A number that was not approved, or wallets that are not in the plan.
pub fn outside(stage: &mut Stage) -> Blows {
    let Some(approved) = a_plan(stage) else { return Vec::new() };
    let plan = &approved.plan;
    let size = plan.wallets.len() as u32;
    let mut chunk = Chunk { plan: plan.digest(), epoch: nth(plan, 1), first: 0, count: size };
    match stage.below(6) {
        0 => chunk.epoch.count = plan.counts().end().saturating_add(1 + stage.below(3) as u32),
        1 => chunk.epoch.rank += 1,
        2 => chunk.epoch.rank = chunk.epoch.rank.saturating_sub(1),
        3 => chunk.count += 1,
        4 => chunk.first = size,
        _ => chunk.count = 0,
    }
    let number = stage.any_member();
    let request = match stage.below(3) {
        0 | 1 => Request::Open { chunk, parents: Vec::new() },
        _ => {
            let Some((_, attempt)) = stage.an_attempt(|attempt| !attempt.inputs.is_empty()) else {
                return Vec::new();
            };
            let mut inputs = attempt.inputs[0].clone();
            inputs.chunk = chunk;
            Request::Commit { inputs, openings: attempt.openings.into_values().collect() }
        }
    };
    vec![ask(number, request)]
}

/// Another cut of the wallets under a number that is used.
pub fn other_cut(stage: &mut Stage) -> Blows {
    let Some((mut chunk, _)) = stage.an_attempt(|attempt| !attempt.openings.is_empty()) else {
        return Vec::new();
    };
    let Some(size) = stage.archive.plan(&chunk.plan).map(|plan| plan.plan.wallets.len()) else {
        return Vec::new();
    };
    if size < 2 {
        return Vec::new();
    }
    let (first, count) = (chunk.first, chunk.count);
    chunk.first = stage.below(size) as u32;
    chunk.count = 1 + stage.below(size - chunk.first as usize) as u32;
    if (first, count) == (chunk.first, chunk.count) {
        return Vec::new();
    }
    let number = stage.any_member();
    vec![ask(number, Request::Open { chunk, parents: Vec::new() })]
}

/// An older number, of the same plan or of an older one, above which there is a newer.
pub fn older_number(stage: &mut Stage) -> Blows {
    let number = stage.any_member();
    let plans: Vec<ApprovedPlan> =
        stage.archive.plans.iter().rev().skip(1).take(8).map(|(_, plan)| plan.clone()).collect();
    if stage.one_in(2) {
        let Some(approved) = stage.one_of(&plans) else { return Vec::new() };
        let count = 1 + stage.below(approved.plan.attempts as usize) as u32;
        let epoch = nth(&approved.plan, count);
        let size = 1 + stage.below(approved.plan.wallets.len()) as u32;
        let chunk = Chunk { plan: approved.plan.digest(), epoch, first: 0, count: size };
        return vec![ask(number, Request::Open { chunk, parents: Vec::new() })];
    }
    let older: Vec<Chunk> = stage.archive.newest().skip(2).map(|(chunk, _)| *chunk).collect();
    let Some(chunk) = stage.one_of(&older) else { return Vec::new() };
    let Some(attempt) = stage.archive.attempts.get(&chunk).cloned() else { return Vec::new() };
    step(stage, &attempt).map(|request| ask(number, request)).into_iter().collect()
}

/// Dealers are told different inputs for one number.
pub fn split_inputs(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = stage.an_attempt(|attempt| attempt.openings.len() > 1) else {
        return Vec::new();
    };
    let Some(plan) = stage.archive.plan(&chunk.plan).map(|plan| plan.plan.clone()) else { return Vec::new() };
    let mut blows = Vec::new();
    for number in 0..stage.members() {
        let Some((inputs, openings)) = some_inputs(stage, &chunk, &attempt, &plan) else { continue };
        blows.push(ask(number, Request::Commit { inputs, openings }));
    }
    blows
}

/// Whoever has refused a dealer is asked to deal under the same number, for inputs of which it is a dealer itself.
pub fn after_refusal(stage: &mut Stage) -> Blows {
    let mut refused: Vec<(usize, Chunk)> = Vec::new();
    for number in 0..stage.members() {
        let chunks = stage.history.mirrors[number].chunks.iter();
        let left = chunks.filter(|(_, record)| record.refusal.is_some() && record.commitment.is_none());
        refused.extend(left.map(|(chunk, _)| (number, *chunk)));
    }
    let Some((number, chunk)) = stage.one_of(&refused) else { return Vec::new() };
    let Some(attempt) = stage.archive.attempts.get(&chunk).cloned() else { return Vec::new() };
    let Some(plan) = stage.archive.plan(&chunk.plan).map(|plan| plan.plan.clone()) else { return Vec::new() };
    // Dealers are drawn until it is one of them.
    for _ in 0..8 {
        let Some((inputs, openings)) = some_inputs(stage, &chunk, &attempt, &plan) else { break };
        if inputs.dealers.contains(&stage.cast.ids[number]) {
            return vec![ask(number, Request::Commit { inputs, openings })];
        }
    }
    Vec::new()
}

/// Inputs that break a rule of their own: too few holders, too many dealers, another order, strangers.
pub fn unsound_inputs(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = stage.an_attempt(|attempt| attempt.openings.len() > 1) else {
        return Vec::new();
    };
    let members = in_order(&attempt, stage.people.committee.signers());
    let said: Vec<Said<Opening>> = members.iter().filter_map(|one| said(stage, one)).collect();
    let names = |said: &[Said<Opening>]| said.iter().map(|one| one.signer.clone()).collect::<Vec<_>>();
    let threshold = usize::from(stage.people.committee.threshold());
    let all = names(&said);
    let refreshes = stage.archive.plan(&chunk.plan).is_some_and(|plan| plan.plan.action == Action::Refresh);
    if !refreshes || all.len() <= threshold {
        return Vec::new();
    }
    let (dealers, said): (Vec<SignerId>, Vec<Said<Opening>>) = match stage.below(5) {
        0 => (
            all.iter().take(threshold).cloned().collect(),
            said[..threshold - usize::from(stage.one_in(2))].to_vec(),
        ),
        1 => (all.clone(), said.clone()),
        2 => (all.iter().take(threshold).rev().cloned().collect(), said.clone()),
        3 => (all.iter().take(1).cloned().collect(), said.clone()),
        _ => {
            let mut reversed = said.clone();
            reversed.reverse();
            (all.iter().take(threshold).cloned().collect(), reversed)
        }
    };
    let inputs = Inputs::new(chunk, dealers, &said);
    let shown = said.iter().filter_map(|one| attempt.openings.get(&one.signer).cloned()).collect();
    let number = stage.any_member();
    vec![ask(number, Request::Commit { inputs, openings: shown })]
}

/// Dealers, or holders, are shown openings that the inputs do not name, or that belong elsewhere.
pub fn other_openings(stage: &mut Stage) -> Blows {
    let Some((chunk, attempt)) = stage.an_attempt(|attempt| !attempt.inputs.is_empty()) else {
        return Vec::new();
    };
    let Some((_, other)) = stage.an_attempt(|other| other.openings.len() > 1) else { return Vec::new() };
    let mut openings = attempt.openings.clone();
    for (signer, opening) in &other.openings {
        if stage.one_in(2) {
            openings.insert(signer.clone(), opening.clone());
        }
    }
    let mut inputs = attempt.inputs[0].clone();
    let mut shown: Vec<Signed<Opening>> =
        inputs.holders.iter().filter_map(|holder| openings.get(holder).cloned()).collect();
    match stage.below(4) {
        // Inputs that name them, so that only their own content speaks against them.
        0 | 1 => {
            let said: Vec<Said<Opening>> = shown.iter().filter_map(|one| said(stage, one)).collect();
            inputs = Inputs::new(chunk, inputs.dealers, &said);
        }
        2 => drop(shown.pop()),
        _ => {}
    }
    let number = stage.any_member();
    let request = match stage.below(3) {
        0 | 1 => Request::Commit { inputs, openings: shown },
        _ => Request::Verify {
            inputs,
            openings: shown,
            commitments: attempt.commitments.into_values().collect(),
            dealings: attempt.dealings.into_values().collect(),
        },
    };
    vec![ask(number, request)]
}

/// A dealer is asked to publish before all have promised, or on promises of something else.
pub fn early_deal(stage: &mut Stage) -> Blows {
    let Some((_, attempt)) = stage.an_attempt(|attempt| !attempt.commitments.is_empty()) else {
        return Vec::new();
    };
    let Some(inputs) = attempt.inputs.last().cloned() else { return Vec::new() };
    let mut commitments = of_dealers(&attempt, &inputs);
    match stage.below(3) {
        0 => {
            let at = stage.below(commitments.len());
            if at < commitments.len() {
                commitments.remove(at);
            }
        }
        1 => commitments.reverse(),
        _ => {
            let Some((_, other)) = stage.an_attempt(|other| !other.commitments.is_empty()) else {
                return Vec::new();
            };
            for commitment in &mut commitments {
                if let Some(replaced) = other.commitments.get(&commitment.signer)
                    && stage.one_in(2)
                {
                    *commitment = replaced.clone();
                }
            }
        }
    }
    (0..stage.members())
        .map(|number| ask(number, Request::Deal { inputs: inputs.clone(), commitments: commitments.clone() }))
        .collect()
}

/// Holders are shown different sets of dealings, or dealings of other attempts.
pub fn split_dealings(stage: &mut Stage) -> Blows {
    let Some((_, attempt)) = stage.an_attempt(|attempt| !attempt.dealings.is_empty()) else {
        return Vec::new();
    };
    let Some((_, other)) = stage.an_attempt(|other| !other.dealings.is_empty()) else { return Vec::new() };
    let Some(inputs) = attempt.inputs.last().cloned() else { return Vec::new() };
    let openings = of_holders(&attempt, &inputs);
    let mut commitments = of_dealers(&attempt, &inputs);
    let mut dealings = dealt(&attempt, &inputs);
    match stage.below(4) {
        0 => dealings.reverse(),
        1 => drop(dealings.pop()),
        2 => {
            for dealing in &mut dealings {
                if let Some(replaced) = other.dealings.get(&dealing.signer) {
                    *dealing = replaced.clone();
                }
            }
        }
        _ => {
            for dealing in &mut dealings {
                if let Some(replaced) = other.dealings.get(&dealing.signer) {
                    *dealing = replaced.clone();
                }
            }
            for commitment in &mut commitments {
                if let Some(replaced) = other.commitments.get(&commitment.signer) {
                    *commitment = replaced.clone();
                }
            }
        }
    }
    let number = stage.any_member();
    vec![ask(number, Request::Verify { inputs, openings, commitments, dealings })]
}

/// A signer that holds no parent is handed another than the plan names.
pub fn other_parents(stage: &mut Stage) -> Blows {
    let Some(approved) = a_plan(stage) else { return Vec::new() };
    let plan = &approved.plan;
    let count = 1 + stage.below(plan.attempts as usize) as u32;
    let size = plan.wallets.len() as u32;
    let chunk = Chunk { plan: plan.digest(), epoch: nth(plan, count), first: 0, count: size };
    let sets: Vec<_> = stage.archive.sets.iter().rev().take(6).map(|(_, set)| set.clone()).collect();
    let mut parents = sets;
    for parent in &mut parents {
        match stage.below(4) {
            0 => parent.epoch.rank += 1,
            1 => parent.verification_shares.reverse(),
            2 => parent.key.chain_code.0[0] ^= 1,
            _ => {}
        }
    }
    let number = stage.anybody();
    vec![
        ask(number, Request::Plan(Box::new(approved.clone()))),
        ask(number, Request::Open { chunk, parents }),
    ]
}

/// What comes next in an attempt, as an honest coordinator would ask it, to everybody.
pub fn by_hand(stage: &mut Stage) -> Blows {
    match stage.an_attempt(|attempt| !attempt.openings.is_empty()) {
        Some((chunk, attempt)) => advance(stage, chunk, &attempt),
        None => Vec::new(),
    }
}

/// A wallet is made under several numbers at once: the next one is opened, or one of them goes on.
pub fn made_again(stage: &mut Stage) -> Blows {
    let makes = |plan: &ApprovedPlan| plan.plan.action == Action::Create;
    let plans = stage.archive.plans.iter().rev().map(|(_, plan)| plan);
    let plans: Vec<ApprovedPlan> = plans.filter(|plan| makes(plan)).take(2).cloned().collect();
    let Some(approved) = stage.one_of(&plans) else { return Vec::new() };
    let digest = approved.plan.digest();
    let attempts = stage.archive.attempts.iter();
    let attempts = attempts.filter(|(chunk, attempt)| chunk.plan == digest && !attempt.openings.is_empty());
    let attempts: Vec<(Chunk, Attempt)> =
        attempts.map(|(chunk, attempt)| (*chunk, attempt.clone())).collect();
    // What is opened before the one below it is served may go on beside it.
    let is_due = attempts.iter().any(|(_, one)| !one.prepared.is_empty() && one.activation.is_none());
    if stage.one_in(if is_due { 2 } else { 8 }) {
        return open_next(stage, &approved);
    }
    // The highest goes on most often, so that it is kept or retired before those below it are served.
    let highest = attempts.iter().max_by_key(|(chunk, _)| chunk.epoch).cloned();
    let chosen = if stage.one_in(4) { stage.one_of(&attempts) } else { highest };
    match chosen {
        Some((chunk, attempt)) => advance(stage, chunk, &attempt),
        None => open_next(stage, &approved),
    }
}

/// What comes next in an attempt, to everybody.
pub(super) fn advance(stage: &mut Stage, chunk: Chunk, attempt: &Attempt) -> Blows {
    if attempt.inputs.is_empty() {
        let plan = stage.archive.plan(&chunk.plan).map(|plan| plan.plan.clone());
        let made = plan.and_then(|plan| some_inputs(stage, &chunk, attempt, &plan));
        let Some((inputs, openings)) = made else { return Vec::new() };
        return (0..stage.members())
            .map(|number| ask(number, Request::Commit { inputs: inputs.clone(), openings: openings.clone() }))
            .collect();
    }
    let Some(request) = step(stage, attempt) else { return Vec::new() };
    (0..stage.members()).map(|number| ask(number, request.clone())).collect()
}

/// What comes next in an attempt for which inputs are known.
pub(super) fn step(stage: &mut Stage, attempt: &Attempt) -> Option<Request> {
    let inputs = stage.one_of(&attempt.inputs)?;
    let commitments = of_dealers(attempt, &inputs);
    let dealings = dealt(attempt, &inputs);
    let openings = of_holders(attempt, &inputs);
    if let Some(retirement) = &attempt.retirement
        && stage.one_in(2)
    {
        return Some(Request::Retire(Box::new(retirement.clone())));
    }
    if let Some(activation) = &attempt.activation {
        return Some(match stage.below(3) {
            0 => Request::Keep(inputs.chunk),
            _ => Request::Activate(Box::new(activation.clone())),
        });
    }
    if dealings.len() == inputs.dealers.len() {
        return Some(Request::Verify { inputs, openings, commitments, dealings });
    }
    if commitments.len() == inputs.dealers.len() {
        return Some(Request::Deal { inputs, commitments });
    }
    Some(Request::Commit { inputs, openings })
}

/// The number of a plan's attempt, the first being 1.
pub(super) fn nth(plan: &Plan, attempt: u32) -> Epoch {
    Epoch::new(plan.rank, plan.counts().start().saturating_add(attempt - 1))
}

/// Some plan that people have approved, most often one of the newest.
fn a_plan(stage: &mut Stage) -> Option<ApprovedPlan> {
    let plans: Vec<ApprovedPlan> =
        stage.archive.plans.iter().rev().take(4).map(|(_, plan)| plan.clone()).collect();
    stage.one_of(&plans)
}

/// Inputs that hold every rule, with dealers and holders chosen by chance.
pub(super) fn some_inputs(
    stage: &mut Stage,
    chunk: &Chunk,
    attempt: &Attempt,
    plan: &Plan,
) -> Option<(Inputs, Vec<Signed<Opening>>)> {
    let mut members = in_order(attempt, plan.committee.signers());
    let least = plan.activation_size();
    while members.len() > least && stage.one_in(2) {
        let at = stage.below(members.len());
        members.remove(at);
    }
    let threshold = usize::from(plan.committee.threshold());
    let opened: Vec<Said<Opening>> = members.iter().filter_map(|one| said(stage, one)).collect();
    let holders: Vec<SignerId> = opened.iter().map(|one| one.signer.clone()).collect();
    if holders.len() < least {
        return None;
    }
    let mut dealers = match plan.action {
        Action::Create => holders,
        Action::Refresh => plan.committee.signers().cloned().collect(),
    };
    while plan.action == Action::Refresh && dealers.len() > threshold {
        let at = stage.below(dealers.len());
        dealers.remove(at);
    }
    Some((Inputs::new(*chunk, dealers, &opened), members))
}

/// The openings of an attempt in the order of the committee.
fn in_order<'a>(attempt: &Attempt, committee: impl Iterator<Item = &'a SignerId>) -> Vec<Signed<Opening>> {
    committee.filter_map(|signer| attempt.openings.get(signer).cloned()).collect()
}

fn of_holders(attempt: &Attempt, inputs: &Inputs) -> Vec<Signed<Opening>> {
    inputs.holders.iter().filter_map(|holder| attempt.openings.get(holder).cloned()).collect()
}

fn of_dealers(attempt: &Attempt, inputs: &Inputs) -> Vec<Signed<Commitment>> {
    inputs.dealers.iter().filter_map(|dealer| attempt.commitments.get(dealer).cloned()).collect()
}

fn dealt(attempt: &Attempt, inputs: &Inputs) -> Vec<Signed<Dealing>> {
    inputs.dealers.iter().filter_map(|dealer| attempt.dealings.get(dealer).cloned()).collect()
}

fn said(stage: &Stage, opening: &Signed<Opening>) -> Option<Said<Opening>> {
    opening.check(stage.cast.history.newest()).ok()
}
