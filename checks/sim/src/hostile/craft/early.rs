//! Wallets that are renewed before any Retirement of them: people are shown the digest of a share set, and approve a
//! refresh of what one of several attempts at making a wallet came to.

use super::ceremony::{advance, nth};
use super::{Blows, ask};
use crate::hostile::stage::Stage;
use perennial_model::mail::Request;
use perennial_model::plan::{Action, Chunk, PlannedWallet};

/// Such a refresh is begun, or one of them goes on: with all members or with fewer, whoever is to keep which key.
pub fn renewed(stage: &mut Stage) -> Blows {
    let early = &stage.archive.early;
    let newest = stage.archive.newest().filter(|(chunk, _)| early.contains(&chunk.plan));
    let begun: Vec<Chunk> = newest.take(3).map(|(chunk, _)| *chunk).collect();
    let chosen = stage.one_of(&begun).filter(|_| !stage.one_in(4));
    match chosen.and_then(|chunk| Some((chunk, stage.archive.attempts.get(&chunk)?.clone()))) {
        Some((chunk, attempt)) => advance(stage, chunk, &attempt),
        None => begin(stage),
    }
}

fn begin(stage: &mut Stage) -> Blows {
    let sets: Vec<_> = stage.archive.candidates.iter().rev().take(6).cloned().collect();
    let Some((digest, set)) = stage.one_of(&sets) else { return Vec::new() };
    let groups = &stage.people.groups;
    let Some(group) = groups.iter().position(|group| group.tenant == set.wallet.tenant) else {
        return Vec::new();
    };
    let wallets = vec![PlannedWallet::Held(set.wallet.id.clone(), digest)];
    let (people, now_ms) = (&mut stage.people, stage.now_ms);
    let plan = people.plan(&stage.cast, group, Action::Refresh, wallets, now_ms, &mut stage.rng);
    let approved = stage.persuade(plan);
    let plan = approved.plan.digest();
    stage.archive.early.insert(plan);
    let chunk = Chunk { plan, epoch: nth(&approved.plan, 1), first: 0, count: 1 };
    let both = |number| {
        let parents = vec![set.clone()];
        [
            ask(number, Request::Plan(Box::new(approved.clone()))),
            ask(number, Request::Open { chunk, parents }),
        ]
    };
    (0..stage.members()).flat_map(both).collect()
}
