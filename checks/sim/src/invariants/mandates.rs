//! I11 where a mandate stands for the quorum: what is done under it is what people gave, and no more of it in a time than
//! they said, by the signer's own clock and records.
//!
//! What a mandate covers is said here a second time, word for word, since the signers' own word for it is what is tried.

use super::approvals::newly_done;
use super::orders::paused_by;
use crate::history::{Changed, ChunkChange, History, Mirror};
use crate::violation::{Invariant, Violation};
use perennial_custody::pinned::CLOCK_SKEW_MS;
use perennial_custody::record::ChunkRecord;
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::mandate::{Mandate, Selector};
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::wallet::WalletId;

/// How many plans under one mandate a signer keeps under which it has opened nothing.
const IDLE_PLANS_MAX: usize = 16;

/// A plan that nobody was asked about is under a mandate that people gave and within what they said; and of such plans a
/// signer keeps few.
pub fn i11_only_under_what_people_gave(
    history: &mut History,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    for plan in &changed.plans {
        let Some(under) = &plan.mandate else { continue };
        let digest = plan.digest();
        let broken = |what: &str| {
            let what = format!("s{:02} keeps plan {} {what}", number + 1, digest.short());
            Err(Violation::new(Invariant::I11ApprovalsBind, what))
        };
        let Some(mandate) = history.mandates.get(&under.mandate) else {
            return broken("under a mandate that nobody gave");
        };
        if let Some(what) = beyond(mandate, plan) {
            return broken(&format!("which goes beyond its mandate: {what}"));
        }
        let mirror = &history.mirrors[number];
        let used = |plan: &Digest| mirror.chunks.keys().any(|chunk| chunk.plan == *plan);
        let beside = mirror.under.iter().filter(|(plan, of)| **of == under.mandate && !used(plan));
        if beside.count() > IDLE_PLANS_MAX {
            return broken("beside sixteen others of its mandate under which nothing was opened");
        }
        history.planned(plan);
    }
    Ok(())
}

/// A mandate leaves nobody out. Under it a wallet is opened only while the mandate does not rest, from what was retired last, under the next
/// numbers of its rank, and neither opened nor retired again before the mandate's gap is over.
pub fn i11_mandates_bind(
    history: &mut History,
    number: usize,
    changed: &Changed,
    clock_ms: u64,
) -> Result<(), Violation> {
    for change in &changed.chunks {
        note_renewal(history, number, change)?;
    }
    for change in &changed.chunks {
        let Some(new) = &change.new else { continue };
        let Some((plan, mandate)) = mandated(history, &change.chunk) else { continue };
        let Some(verb) = newly_done(change.old.as_ref(), new) else { continue };
        let broken = |what: String| {
            let what = format!("s{:02} {verb} {}, {what}", number + 1, change.chunk);
            Err(Violation::new(Invariant::I11ApprovalsBind, what))
        };
        let members = plan.committee.members().len();
        if new.inputs.as_ref().is_some_and(|inputs| inputs.holders.len() != members) {
            return broken("and leaves holders out".into());
        }
        if verb != "opens" {
            continue;
        }
        let mirror = &history.mirrors[number];
        let digest = mandate.digest();
        if let Some(order) = paused_by(history, mirror, &digest, (&mandate.tenant, mandate.tier)) {
            return broken(format!("although its mandate rests by order {}", order.short()));
        }
        for wallet in plan.wallets_of(&change.chunk).unwrap_or_default() {
            let renewed = history.renewed.get(&(number, wallet.id().clone()));
            let Some(what) = too_much(mandate, mirror, &change.chunk, new, wallet, renewed, clock_ms) else {
                continue;
            };
            return broken(what);
        }
    }
    Ok(())
}

/// What opening a wallet under a mandate takes that is not there.
fn too_much(
    mandate: &Mandate,
    mirror: &Mirror,
    chunk: &Chunk,
    record: &ChunkRecord,
    wallet: &PlannedWallet,
    renewed: Option<&(Epoch, u64)>,
    clock_ms: u64,
) -> Option<String> {
    let id = wallet.id();
    let Some((retired, renewed_ms)) = renewed else { return Some(format!("{id} was never retired there")) };
    let held = mirror.wallets.get(id).into_iter().flat_map(|record| &record.held);
    let known = held.map(|held| &*held.share_set).chain(&record.parents);
    let mut parents = known.filter(|set| wallet.parent() == Some(encoding::digest(*set)));
    let from = parents.next().map(|set| set.epoch);
    if from != Some(*retired) {
        return Some(format!("and {id} was retired at {retired}, not at what this begins from: {from:?}"));
    }
    if chunk.epoch.rank != retired.rank || chunk.epoch.count > retired.count + mandate.attempts {
        return Some(format!("and {id} was retired at {retired}, {} numbers are let", mandate.attempts));
    }
    let soon = clock_ms + CLOCK_SKEW_MS < renewed_ms + mandate.least_gap_ms;
    soon.then(|| format!("{} ms after the last renewal of {id}", clock_ms.saturating_sub(*renewed_ms)))
}

/// A signer has erased what was below a chunk: when, by its own clock, and not too soon under a mandate.
fn note_renewal(history: &mut History, number: usize, change: &ChunkChange) -> Result<(), Violation> {
    let receipt = |record: &ChunkRecord| record.receipt.clone();
    let before = change.old.as_ref().and_then(receipt);
    let Some(receipt) = change.new.as_ref().and_then(receipt).filter(|_| before.is_none()) else {
        return Ok(());
    };
    let unreadable = |e| Violation::new(Invariant::Sound, format!("a receipt cannot be read: {e}"));
    let erased_at_ms = receipt.read_unchecked().map_err(unreadable)?.erased_at_ms;
    let gap_ms = mandated(history, &change.chunk).map_or(0, |(_, mandate)| mandate.least_gap_ms);
    let wallets: Vec<WalletId> = change.new.iter().flat_map(|record| record.wallets.clone()).collect();
    for wallet in wallets {
        let name = (number, wallet);
        let last = history.renewed.get(&name).filter(|(epoch, _)| *epoch < change.chunk.epoch);
        if let Some((_, last_ms)) = last
            && erased_at_ms + CLOCK_SKEW_MS < last_ms + gap_ms
        {
            let (epoch, wallet) = (change.chunk.epoch, &name.1);
            let after_ms = erased_at_ms.saturating_sub(*last_ms);
            let what = format!(
                "s{:02} retires {wallet} {epoch} under a mandate, {after_ms} ms after its last Retirement",
                number + 1
            );
            return Err(Violation::new(Invariant::I11ApprovalsBind, what));
        }
        let known = history.renewed.entry(name).or_insert((change.chunk.epoch, erased_at_ms));
        *known = (change.chunk.epoch, erased_at_ms).max(*known);
    }
    Ok(())
}

/// The plan of a chunk and its mandate, if it is under one that people gave.
fn mandated<'a>(history: &'a History, chunk: &Chunk) -> Option<(&'a Plan, &'a Mandate)> {
    let plan = history.plans.get(&chunk.plan)?;
    Some((plan, history.mandates.get(&plan.mandate.as_ref()?.mandate)?))
}

/// What a plan does that people did not say when they gave the mandate.
fn beyond(mandate: &Mandate, plan: &Plan) -> Option<&'static str> {
    let names = |id: &WalletId| match &mandate.wallets {
        Selector::All => true,
        Selector::Named(named) => named.contains(id),
    };
    let in_window = |window: &perennial_model::mandate::Window| {
        let mut days = (0..8).map(|back| (plan.not_before_ms / DAY_MS).saturating_sub(back));
        days.any(|day| {
            // 1970 began on a Thursday; days count from Monday.
            let begins_ms = day * DAY_MS + u64::from(window.from_minute) * MINUTE_MS;
            let ends_ms = begins_ms + u64::from(window.minutes) * MINUTE_MS;
            window.days >> ((day + 3) % 7) & 1 == 1
                && begins_ms <= plan.not_before_ms
                && plan.expiry_ms <= ends_ms
        })
    };
    let rules = [
        (plan.action == Action::Refresh, "it does not refresh"),
        (plan.tenant == mandate.tenant, "another tenant"),
        (plan.tier <= mandate.tier, "a higher tier"),
        (plan.wallets.iter().all(|wallet| names(wallet.id())), "other wallets"),
        (plan.committee == mandate.committee, "another committee"),
        (plan.liar_tolerance == mandate.liar_tolerance, "another tolerance"),
        (plan.profile == mandate.profile, "another overlap"),
        (plan.probe_rate == mandate.probe_rate, "fewer probes"),
        (plan.backup_rule == mandate.backup_rule, "another backup rule"),
        (plan.policy == mandate.policy, "another policy"),
        (plan.governance == mandate.governance, "another governance"),
        (plan.initiator == mandate.initiator, "another initiator"),
        (plan.attempts <= mandate.attempts, "more attempts"),
        (plan.not_before_ms >= mandate.not_before_ms, "before its first date"),
        (plan.activation_deadline_ms <= mandate.until_ms, "after its last date"),
        (plan.activation_deadline_ms <= plan.not_before_ms + mandate.run_ms, "for longer"),
        (mandate.windows.is_empty() || mandate.windows.iter().any(in_window), "outside of its windows"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what)
}

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
