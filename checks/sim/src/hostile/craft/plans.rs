//! Plans that people did approve, used where or when they do not hold.

use super::approvals::some_plan;
use super::ceremony::nth;
use super::{Blows, ask};
use crate::hostile::stage::Stage;
use perennial_model::committee::Committee;
use perennial_model::epoch::Epoch;
use perennial_model::mail::Request;
use perennial_model::plan::{Action, Chunk, LiarTolerance, Plan, PlannedWallet};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::Tier;

/// A plan whose people were not the ones to ask about these wallets.
pub fn of_foreign_wallets(stage: &mut Stage) -> Blows {
    let sets = newest_sets(stage);
    if sets.is_empty() {
        return Vec::new();
    }
    let mut plan = some_plan(stage);
    let set = sets[stage.below(sets.len())].clone();
    match stage.below(4) {
        0 => {
            let other = sets.iter().find(|(_, other)| other.wallet.tenant != plan.tenant);
            let Some((digest, other)) = other else { return Vec::new() };
            plan.action = Action::Refresh;
            plan.wallets = vec![PlannedWallet::Held(other.wallet.id.clone(), *digest)];
            plan.tier = Tier::High;
        }
        1 => {
            plan.tier = Tier::Low;
            if plan.action == Action::Create {
                return Vec::new();
            }
        }
        2 => {
            plan.action = Action::Create;
            let mut wallet = set.1.wallet.clone();
            wallet.tenant = plan.tenant.clone();
            wallet.tier = plan.tier;
            plan.wallets = vec![PlannedWallet::New(wallet)];
        }
        _ => {
            let fewer = stage.cast.ids[1..=stage.members()].to_vec();
            let Ok(committee) = Committee::first(2, &fewer) else { return Vec::new() };
            plan.committee = committee;
            plan.liar_tolerance = LiarTolerance::WaivedUnsafe;
        }
    }
    persuaded(stage, plan)
}

/// A plan that stands on a share set which the coordinator made up: of shares that make no key, of another key, or of
/// another epoch.
pub fn of_made_up_parents(stage: &mut Stage) -> Blows {
    let mut plan = some_plan(stage);
    let mut parents = Vec::new();
    let which = stage.below(3);
    for wallet in &mut plan.wallets {
        let PlannedWallet::Held(_, digest) = wallet else { return Vec::new() };
        let Some(mut set) = stage.archive.set(digest).cloned() else { return Vec::new() };
        match which {
            0 => set.verification_shares.reverse(),
            1 => {
                set.verification_shares.reverse();
                let Some(key) = set.opens_to() else { return Vec::new() };
                set.key.public_key = key;
            }
            _ => set.epoch.count += 1,
        }
        *digest = perennial_model::encoding::digest(&set);
        parents.push(set);
    }
    let approved = stage.persuade(plan);
    let plan = &approved.plan;
    let (epoch, count) = (Epoch::new(plan.rank, 1), plan.wallets.len() as u32);
    let chunk = Chunk { plan: plan.digest(), epoch, first: 0, count };
    let number = stage.any_member();
    vec![
        ask(number, Request::Plan(Box::new(approved.clone()))),
        ask(number, Request::Open { chunk, parents }),
    ]
}

/// A plan with a rank so high that it would leave no numbers for those after it.
pub fn of_far_rank(stage: &mut Stage) -> Blows {
    let mut plan = some_plan(stage);
    plan.rank += 4_000_000_000;
    persuaded(stage, plan)
}

/// A plan before its time.
pub fn too_early(stage: &mut Stage) -> Blows {
    let mut plan = some_plan(stage);
    let later = 30_000;
    plan.not_before_ms += later;
    plan.expiry_ms += later;
    plan.activation_deadline_ms += later;
    persuaded(stage, plan)
}

/// A plan after one of its dates, and what belongs to its attempts.
pub fn too_late(stage: &mut Stage) -> Blows {
    let now_ms = stage.now_ms;
    let number = stage.any_member();
    if stage.one_in(2) {
        let mut plan = some_plan(stage);
        plan.not_before_ms = now_ms - 5_000;
        plan.expiry_ms = now_ms - 1_000;
        plan.activation_deadline_ms = now_ms - if stage.one_in(2) { 500 } else { 0 };
        return persuaded(stage, plan);
    }
    let past: Vec<Chunk> = stage
        .archive
        .newest()
        .filter(|(chunk, attempt)| {
            let plan = stage.archive.plan(&chunk.plan);
            !attempt.openings.is_empty() && plan.is_some_and(|plan| plan.plan.activation_deadline_ms < now_ms)
        })
        .map(|(chunk, _)| *chunk)
        .collect();
    let Some(chunk) = stage.one_of(&past) else { return Vec::new() };
    let of_chunk = |request: &Request| match request {
        Request::Open { chunk: of, .. } => *of == chunk,
        Request::Commit { inputs, .. } | Request::Deal { inputs, .. } | Request::Verify { inputs, .. } => {
            inputs.chunk == chunk
        }
        Request::Activate(certificate) => certificate.inputs.chunk == chunk,
        _ => false,
    };
    let mail = stage.archive.mail.iter().filter(|mail| of_chunk(&mail.request));
    let requests: Vec<Request> = mail.map(|mail| (*mail.request).clone()).collect();
    stage.one_of(&requests).map(|request| ask(number, request)).into_iter().collect()
}

/// What belongs to a plan that was approved under a version of governance which has been replaced.
pub fn of_old_governance(stage: &mut Stage) -> Blows {
    let newest = stage.cast.history.newest_digest();
    let old: Vec<_> = stage
        .archive
        .plans
        .iter()
        .rev()
        .filter(|(_, plan)| plan.plan.governance != newest)
        .take(6)
        .map(|(_, plan)| plan.clone())
        .collect();
    let Some(approved) = stage.one_of(&old) else { return Vec::new() };
    let number = stage.any_member();
    let plan = approved.plan.digest();
    let count = 1 + stage.below(approved.plan.attempts as usize) as u32;
    let epoch = nth(&approved.plan, count);
    let chunk = Chunk { plan, epoch, first: 0, count: approved.plan.wallets.len() as u32 };
    match stage.below(3) {
        0 => vec![ask(number, Request::Plan(Box::new(approved)))],
        1 => vec![ask(number, Request::Open { chunk, parents: Vec::new() })],
        _ => {
            let of_plan = |request: &Request| match request {
                Request::Commit { inputs, .. }
                | Request::Deal { inputs, .. }
                | Request::Verify { inputs, .. } => inputs.chunk.plan == plan,
                Request::Activate(certificate) | Request::Retire(certificate) => {
                    certificate.inputs.chunk.plan == plan
                }
                _ => false,
            };
            let mail = stage.archive.mail.iter().filter(|mail| of_plan(&mail.request));
            let requests: Vec<Request> = mail.map(|mail| (*mail.request).clone()).collect();
            stage.one_of(&requests).map(|request| ask(number, request)).into_iter().collect()
        }
    }
}

/// What belongs to a plan that nobody sent.
pub fn withheld(stage: &mut Stage) -> Blows {
    let plan = some_plan(stage);
    let chunk = Chunk {
        plan: plan.digest(),
        epoch: Epoch::new(plan.rank, 1),
        first: 0,
        count: plan.wallets.len() as u32,
    };
    let number = stage.any_member();
    let request = match stage.below(2) {
        0 => Request::Open { chunk, parents: Vec::new() },
        _ => {
            let Some((_, attempt)) = stage.an_attempt(|attempt| attempt.activation.is_some()) else {
                return Vec::new();
            };
            let Some(mut certificate) = attempt.activation else { return Vec::new() };
            certificate.inputs.chunk = chunk;
            Request::Activate(Box::new(certificate))
        }
    };
    vec![ask(number, request)]
}

/// A plan that people have signed, to a signer, and its first attempt.
fn persuaded(stage: &mut Stage, plan: Plan) -> Blows {
    let approved = stage.persuade(plan);
    let plan = &approved.plan;
    let number = stage.any_member();
    let count = plan.wallets.len() as u32;
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, 1), first: 0, count };
    let parents = plan.wallets.iter().filter_map(|wallet| stage.archive.set(&wallet.parent()?).cloned());
    let parents = if stage.one_in_fixed(plan.rank) { parents.collect() } else { Vec::new() };
    vec![
        ask(number, Request::Plan(Box::new(approved.clone()))),
        ask(number, Request::Open { chunk, parents }),
    ]
}

fn newest_sets(stage: &Stage) -> Vec<(perennial_model::encoding::Digest, ShareSet)> {
    let mut sets: Vec<(perennial_model::encoding::Digest, ShareSet)> = Vec::new();
    for (digest, set) in stage.archive.sets.iter().rev() {
        if sets.iter().all(|(_, known)| known.wallet.id != set.wallet.id) {
            sets.push((*digest, set.clone()));
        }
    }
    sets
}

impl Stage {
    fn one_in_fixed(&self, rank: u32) -> bool {
        rank.is_multiple_of(2)
    }
}
