//! What the coordinator knows of places where copies of a wallet's shares may be, for the exposure register.
//!
//! It goes by facts: Activations, Retirements, receipts, attempts whose dealings went out, and thefts that were reported.
//! Of backups and exports nobody tells it in this version, and a signer that governance has written off owes no receipt
//! here although nobody knows what became of its disk.

use crate::ceremony::status::{CeremonyStatus, ChunkStatus};
use crate::thefts::{self, Filed};
use crate::wallets::{Heads, Served};
use perennial_model::committee::SignerId;
use perennial_model::exposure::{Copies, Number, Standing};
use perennial_model::plan::Plan;
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// The copies of a wallet's shares, the newest number first. `open` are the ceremonies that are not over. A wallet that
/// may not be shown yet has none.
pub fn copies<'a>(
    heads: &Heads,
    open: impl IntoIterator<Item = (&'a Plan, &'a CeremonyStatus)>,
    thefts: &[Filed],
    wallet: &WalletId,
) -> Vec<Copies> {
    let Some(head) = heads.get(wallet) else { return Vec::new() };
    let threshold = head.present.share_set.committee.threshold();
    let activated = heads.activated(wallet);
    let attempts: Vec<(u8, &ChunkStatus)> =
        open.into_iter().flat_map(|(plan, status)| attempts_at(plan, status, wallet)).collect();
    let mut all = Vec::new();
    for (threshold, attempt) in &attempts {
        if !attempt.holding.openers.is_empty() {
            let number = Number::Of(attempt.chunk.epoch);
            all.push(row(number, *threshold, Standing::Candidate, &attempt.holding.openers));
        }
    }
    let mut left: BTreeMap<_, Vec<SignerId>> = BTreeMap::new();
    for (epoch, opener) in heads.left_behind(wallet) {
        left.entry(*epoch).or_default().push(opener.clone());
    }
    for (epoch, openers) in left {
        let superseded_ms = superseded(&activated, Number::Of(epoch));
        let copies = row(Number::Of(epoch), threshold, Standing::Ended, &openers);
        all.push(Copies { superseded_ms, ..copies });
    }
    for served in &activated {
        let number = Number::Of(served.share_set.epoch);
        let threshold = served.share_set.committee.threshold();
        let copies = row(number, threshold, Standing::Serving, &served.standing.generation.inputs.holders);
        all.push(Copies { superseded_ms: superseded(&activated, number), ..copies });
    }
    all.extend(activated.iter().find_map(|served| below(served, &attempts)));
    thefts::mark(&mut all, thefts, wallet);
    all.sort_by_key(|copies| std::cmp::Reverse((epoch_of(copies.number), copies.number)));
    all
}

/// What is below a retired epoch, as one: a Retirement lets each signer erase all of it. Where everybody has given a
/// receipt it is dead; a first epoch has nothing below it but attempts.
fn below(served: &Served<'_>, attempts: &[(u8, &ChunkStatus)]) -> Option<Copies> {
    served.standing.retired_ms?;
    let generation = &served.standing.generation;
    let chunk = generation.inputs.chunk;
    let open =
        attempts.iter().find(|(_, attempt)| attempt.chunk == chunk).map(|(_, attempt)| &attempt.holding);
    let (owed, receipts) = match open.filter(|holding| !holding.owed.is_empty()) {
        Some(holding) => (&holding.owed, &holding.receipts),
        None if served.share_set.parent.is_none() => return None,
        None => (&generation.inputs.holders, &generation.inputs.holders),
    };
    let number = Number::Below(chunk.epoch);
    let copies = row(number, served.share_set.committee.threshold(), Standing::Ended, owed);
    let receipts = receipts.iter().cloned().collect();
    Some(Copies { receipts, superseded_ms: Some(served.standing.activated_ms), ..copies })
}

fn row(number: Number, threshold: u8, standing: Standing, places: &[SignerId]) -> Copies {
    Copies {
        number,
        threshold,
        standing,
        places: places.iter().cloned().collect(),
        receipts: BTreeSet::new(),
        stolen: BTreeSet::new(),
        superseded_ms: None,
    }
}

/// When the next newer epoch was activated.
fn superseded(activated: &[Served<'_>], number: Number) -> Option<u64> {
    let newer = activated.iter().filter(|served| served.share_set.epoch > epoch_of(number));
    newer.map(|served| (served.share_set.epoch, served.standing.activated_ms)).min().map(|(_, at_ms)| at_ms)
}

fn epoch_of(number: Number) -> perennial_model::epoch::Epoch {
    let (Number::Below(epoch) | Number::Of(epoch)) = number;
    epoch
}

/// The attempts at a wallet, each with the threshold of its plan.
fn attempts_at<'a>(
    plan: &'a Plan,
    status: &'a CeremonyStatus,
    wallet: &WalletId,
) -> impl Iterator<Item = (u8, &'a ChunkStatus)> {
    let at = plan.wallets.iter().position(|planned| planned.id() == wallet);
    let contains = move |attempt: &&ChunkStatus| {
        let chunk = attempt.chunk;
        let range = u64::from(chunk.first)..u64::from(chunk.first) + u64::from(chunk.count);
        at.is_some_and(|at| range.contains(&(at as u64)))
    };
    let threshold = plan.committee.threshold();
    status.attempts.iter().filter(contains).map(move |attempt| (threshold, attempt))
}
