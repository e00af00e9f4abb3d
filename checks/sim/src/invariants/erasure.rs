//! I5, what may be erased, and I9, that erasing is complete.

use crate::history::{Changed, History, Mirror};
use crate::invariants::orders::cancelled_by;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::keyslots::{SlotBytes, SlotIndex};
use perennial_custody::pinned::CLOCK_SKEW_MS;
use perennial_custody::record::{ChunkState, HeldEpoch};
use perennial_custody::serving::Attempt;
use perennial_custody::simulation::slot_opens;
use perennial_model::committee::SignerId;
use perennial_model::plan::Chunk;
use perennial_model::receipt::Receipt;
use perennial_model::wallet::{Scheme, WalletId};
use std::collections::{BTreeMap, BTreeSet};

/// The content of key slots that must be gone when the next turn ends, by signer.
#[derive(Default)]
pub struct Doomed {
    live: BTreeMap<(usize, SlotIndex), SlotBytes>,
    gone: BTreeMap<usize, Vec<SlotBytes>>,
    /// Up to which change of its slots, and of the records that refer to them, each signer was looked at.
    seen: BTreeMap<usize, (u64, u64)>,
}

impl Doomed {
    /// Everything is looked at again, whether it has changed or not.
    pub fn forget_what_was_seen(&mut self) {
        self.seen.clear();
    }
}

/// A share goes only under a Retirement above it that all of its activation set have kept, or as a candidate that
/// was not activated by its date.
pub fn i5_erasure_only_where_allowed(
    history: &mut History,
    signer: &Signer,
    number: usize,
    changed: &Changed,
    clock_ms: u64,
) -> Result<(), Violation> {
    for change in &changed.wallets {
        let Some(old) = &change.old else { continue };
        for held in &old.held {
            let stays = |other: &HeldEpoch| other.share_set == held.share_set;
            if change.new.as_ref().is_some_and(|new| new.held.iter().any(stays)) {
                continue;
            }
            if !is_retired_above(history, number, &change.id, held)
                && !is_overdue(history, number, changed, held, clock_ms)
            {
                let who = signer.own.pinned.me();
                let (wallet, epoch) = (&change.id, held.share_set.epoch);
                let what = format!("{who} erased {wallet} {epoch} without a Retirement above it");
                return Err(Violation::new(Invariant::I5ErasureAllowed, what));
            }
        }
    }
    Ok(())
}

/// After a whole turn every slot on the platter that is not empty is referred to by a record and opens, and what
/// was erased stands nowhere in the file.
pub fn i9_erasure_is_complete(
    history: &mut History,
    signer: &Signer,
    number: usize,
) -> Result<(), Violation> {
    let who = signer.own.pinned.me();
    let broken = |what: String| Err(Violation::new(Invariant::I9ErasureComplete, what));
    let mirror = &history.mirrors[number];
    let changes = (signer.disk.slots_touched(), mirror.referring);
    if history.doomed.seen.get(&number) == Some(&changes) {
        return Ok(());
    }
    if let Some(attempt) = base_without_use(mirror) {
        return broken(format!(
            "{who}: a pair base of {} is still there, and nothing stands on it",
            attempt.epoch
        ));
    }
    let referred = mirror.referred();
    let doomed = &mut history.doomed;
    for at in (0..signer.disk.durable_slots()).map(SlotIndex) {
        let slot = signer.disk.durable_slot(at);
        let name = (number, at);
        let known = doomed.live.get(&name).copied().unwrap_or(SlotBytes::EMPTY);
        if slot == known {
            if slot != SlotBytes::EMPTY && !referred.contains(&at) {
                return broken(format!("{who}: slot {} holds a key that nothing refers to", at.0));
            }
            continue;
        }
        if known != SlotBytes::EMPTY {
            doomed.gone.entry(number).or_default().push(known);
        }
        if slot == SlotBytes::EMPTY {
            doomed.live.remove(&name);
            continue;
        }
        if !referred.contains(&at) {
            return broken(format!("{who}: slot {} holds a key that nothing refers to", at.0));
        }
        if !slot_opens(&signer.own, at, &slot) {
            return broken(format!("{who}: slot {} holds something that does not open", at.0));
        }
        doomed.live.insert(name, slot);
    }
    for slot in doomed.gone.remove(&number).unwrap_or_default() {
        if signer.disk.holds(&slot.0) {
            return broken(format!("{who}: an erased key still stands in its slot file"));
        }
    }
    doomed.seen.insert(number, changes);
    Ok(())
}

/// An attempt whose pair bases are kept although no ECDSA share set of it is held and no chunk of it is under way. One
/// that was refused keeps its record, and with it its base, until its date or the next Retirement.
fn base_without_use(mirror: &Mirror) -> Option<Attempt> {
    let made: BTreeSet<Attempt> = mirror.bases.values().map(|base| base.attempt).collect();
    let held = |attempt: &Attempt| {
        let mut held = mirror.wallets.values().flat_map(|record| &record.held);
        held.any(|held| Attempt::from(&held.chunk) == *attempt && held.share_set.scheme() == Scheme::Ecdsa)
    };
    let under_way = |attempt: &Attempt| {
        let is_open = |state: ChunkState| matches!(state, ChunkState::Opened(_) | ChunkState::Left);
        mirror.chunks.iter().any(|(chunk, record)| Attempt::from(chunk) == *attempt && is_open(record.state))
    };
    made.into_iter().find(|attempt| !held(attempt) && !under_way(attempt))
}

/// What a receipt says is true of the durable records: nothing lower is held, opened or dealt.
pub fn i9_receipt_is_true(mirror: &Mirror, receipt: &Receipt) -> Result<(), Violation> {
    let broken = |what: String| Err(Violation::new(Invariant::I9ErasureComplete, what));
    let chunk = receipt.chunk;
    let wallets = mirror.chunks.get(&chunk).map(|record| record.wallets.clone()).unwrap_or_default();
    for wallet in &wallets {
        let held = mirror.wallets.get(wallet).into_iter().flat_map(|record| &record.held);
        if let Some(lower) = held.into_iter().find(|held| held.share_set.epoch < chunk.epoch) {
            return broken(format!("{chunk}: {wallet} {} is still held", lower.share_set.epoch));
        }
    }
    // A lower attempt lives on only for wallets that this Retirement does not name.
    let lives = |lower: &Chunk| {
        let record = mirror.chunks.get(lower);
        let mut others = record.iter().flat_map(|record| &record.wallets).filter(|id| !wallets.contains(id));
        others.any(|id| {
            let held = mirror.wallets.get(id).into_iter().flat_map(|record| &record.held);
            held.into_iter().any(|held| held.chunk == *lower)
        })
    };
    let touches = |lower: &Chunk| {
        let record = mirror.chunks.get(lower);
        lower.epoch < chunk.epoch
            && record.is_none_or(|record| record.wallets.iter().any(|id| wallets.contains(id)))
    };
    // A Retirement that came after a higher one leaves its certificate, and nothing else.
    let attempts = mirror.chunks.iter().filter(|(_, record)| !matches!(record.state, ChunkState::Retired(_)));
    let attempts = attempts.map(|(lower, _)| (lower, "attempt"));
    let dealings = mirror.dealings.keys().map(|lower| (lower, "dealing"));
    match attempts.chain(dealings).find(|(lower, _)| touches(lower) && !lives(lower)) {
        Some((lower, what)) => broken(format!("{chunk}: the {what} of {lower} is still there")),
        None => Ok(()),
    }
}

/// Whether the signer's own records hold a Retirement above, for which every member has voted.
fn is_retired_above(history: &History, number: usize, wallet: &WalletId, held: &HeldEpoch) -> bool {
    history.mirrors[number].chunks.iter().any(|(chunk, record)| {
        let Some(certificate) = record.retirement.as_ref() else { return false };
        let kept = history.spoken.kept.get(chunk);
        let honest = |holder: &&SignerId| !history.spoken.corrupt.contains(holder);
        let all = certificate.inputs.holders.iter().filter(honest).all(|holder| {
            kept.and_then(|votes| votes.get(holder)).is_some_and(|root| *root == certificate.root)
        });
        chunk.epoch > held.share_set.epoch && record.wallets.contains(wallet) && all
    })
}

/// Whether a share was a mere candidate, and its date is past or its plan called off.
fn is_overdue(history: &History, number: usize, changed: &Changed, held: &HeldEpoch, clock_ms: u64) -> bool {
    let state = changed.old_state(&history.mirrors[number], &held.chunk);
    let plan = history.plans.get(&held.chunk.plan);
    let mirror = &history.mirrors[number];
    let over = plan.is_some_and(|plan| {
        clock_ms > plan.activation_deadline_ms + CLOCK_SKEW_MS
            || cancelled_by(history, mirror, &held.chunk.plan, plan).is_some()
    });
    state == Some(ChunkState::Prepared) && over
}
