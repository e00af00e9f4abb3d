//! I11, approvals bind: nothing is opened, dealt, prepared or activated without a quorum over exactly this plan, under the
//! newest governance that the signer has. Where a mandate stands for the quorum, `mandates` says what holds.

use crate::history::{Changed, History, Mirror};
use crate::invariants::orders::cancelled_by;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::record::{ChunkRecord, HeldEpoch};
use perennial_model::mail::Reply;
use perennial_model::plan::{Action, Chunk, Plan};
use perennial_model::wallet::WalletId;

/// Every plan and every version of governance on a signer's disk has been approved by people, and no version has
/// taken the place of another.
pub fn i11_only_what_people_approved(
    history: &History,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    let who = number + 1;
    let broken =
        |what: String| Err(Violation::new(Invariant::I11ApprovalsBind, format!("s{who:02} keeps {what}")));
    let mut plans = changed.plans.iter().map(Plan::digest);
    if let Some(plan) = plans.find(|plan| !history.plans.contains_key(plan)) {
        return broken(format!("plan {}, which nobody approved", plan.short()));
    }
    let versions = &history.mirrors[number].governance;
    for (version, before) in &changed.governance {
        let now = versions.get(version);
        if now.is_none_or(|digest| !history.governances.contains(digest)) {
            return broken(format!("governance version {version}, which nobody approved"));
        }
        if before.is_some() && before.as_ref() != now {
            return broken(format!("another governance version {version} than before"));
        }
    }
    Ok(())
}

/// What a signer newly did belongs to a plan that people approved, in its range of numbers, at its time, about the
/// wallets that they were asked about, and that names the governance which was the newest on the signer's disk.
pub fn i11_approvals_bind(
    history: &mut History,
    number: usize,
    changed: &Changed,
    clock_ms: u64,
) -> Result<(), Violation> {
    let mirror = &history.mirrors[number];
    for change in &changed.chunks {
        let Some(new) = &change.new else { continue };
        let Some(verb) = newly_done(change.old.as_ref(), new) else { continue };
        let chunk = &change.chunk;
        let broken = |what: String| {
            let what = format!("s{:02} {verb} {chunk}, {what}", number + 1);
            Err(Violation::new(Invariant::I11ApprovalsBind, what))
        };
        let Some(plan) = history.plans.get(&chunk.plan) else {
            return broken("which nobody approved".into());
        };
        if !is_inside(plan, chunk) {
            return broken("which is outside of what was approved".into());
        }
        if verb != "retires" && mirror.governance.values().last() != Some(&plan.governance) {
            let newest = mirror.governance.keys().last();
            return broken(format!(
                "approved under another governance than the newest that it has, {newest:?}"
            ));
        }
        let cancel = cancelled_by(history, mirror, &chunk.plan, plan).filter(|_| verb != "retires");
        if let Some(order) = cancel {
            return broken(format!("although it obeys order {}", order.short()));
        }
        if !is_in_time(plan, verb, clock_ms) {
            return broken(format!("at {clock_ms} ms, outside of the plan's dates"));
        }
        if let Some(wallet) = beyond(mirror, changed, plan, chunk, new) {
            return broken(format!("and {wallet} is none that its people were asked about"));
        }
    }
    Ok(())
}

fn is_inside(plan: &Plan, chunk: &Chunk) -> bool {
    let first = plan.mandate.as_ref().map_or(1, |under| under.counts_from);
    let end = u64::from(chunk.first) + u64::from(chunk.count);
    chunk.epoch.rank == plan.rank
        && (first..first.saturating_add(plan.attempts)).contains(&chunk.epoch.count)
        && chunk.count > 0
        && end <= plan.wallets.len() as u64
}

/// Whether a step is taken between the dates that gate it; erasing and keeping have none.
fn is_in_time(plan: &Plan, verb: &str, clock_ms: u64) -> bool {
    match verb {
        "opens" => (plan.not_before_ms..=plan.expiry_ms).contains(&clock_ms),
        "retires" => true,
        _ => clock_ms <= plan.activation_deadline_ms,
    }
}

/// A wallet of the chunk that the signer serves below it, and that the plan's quorum does not speak for: another
/// tenant's, of a higher tier, with another committee, or one that exists and is to be made.
fn beyond<'a>(
    mirror: &'a Mirror,
    changed: &'a Changed,
    plan: &Plan,
    chunk: &Chunk,
    record: &ChunkRecord,
) -> Option<&'a WalletId> {
    let served = |held: &&HeldEpoch| {
        held.chunk.plan != chunk.plan
            && held.share_set.epoch < chunk.epoch
            && changed.old_state(mirror, &held.chunk).is_some_and(|state| state.is_served())
    };
    let is_beyond = |held: &&HeldEpoch| {
        let set = &held.share_set;
        plan.action == Action::Create
            || set.wallet.tenant != plan.tenant
            || set.wallet.tier > plan.tier
            || set.committee != plan.committee
    };
    // As it was before the turn: a Retirement has erased what it is about.
    let before = |wallet: &WalletId| match changed.wallets.iter().find(|change| change.id == *wallet) {
        Some(change) => change.old.as_ref(),
        None => mirror.wallets.get(wallet),
    };
    let wallets = record.wallets.iter().filter_map(before);
    let mut held = wallets.flat_map(|wallet| &wallet.held).filter(served).filter(is_beyond);
    held.next().map(|held| &held.share_set.wallet.id)
}

/// A dealing that goes out gives its receivers full power, so its plan is in force at that moment, and not called off.
pub fn i11_no_dealing_leaves_that_people_do_not_want(
    history: &History,
    number: usize,
    signer: &Signer,
    reply: &Reply,
) -> Result<(), Violation> {
    let Reply::Dealt(said) = reply else { return Ok(()) };
    let mirror = &history.mirrors[number];
    let plan = said.read_unchecked().ok().map(|dealing| dealing.chunk.plan);
    let named = plan.and_then(|plan| mirror.plans.get(&plan));
    let cancel = plan.and_then(|digest| {
        history.plans.get(&digest).and_then(|plan| cancelled_by(history, mirror, &digest, plan))
    });
    let what = match (named.is_some() && named == mirror.governance.values().last(), cancel) {
        (true, None) => return Ok(()),
        (false, _) => "is not in force",
        (true, Some(_)) => "is called off",
    };
    let what = format!("{} hands out a dealing whose plan {what}", signer.own.pinned.me());
    Err(Violation::new(Invariant::I11ApprovalsBind, what))
}

/// What a signer has done to a chunk since the last look, if it takes an approval in force.
pub fn newly_done(old: Option<&ChunkRecord>, new: &ChunkRecord) -> Option<&'static str> {
    let before = old.map(did).unwrap_or_default();
    let words = ["opens", "deals", "prepares", "activates", "retires"];
    let newly = did(new).into_iter().zip(before).position(|(now, then)| now && !then);
    newly.map(|at| words[at])
}

fn did(record: &ChunkRecord) -> [bool; 5] {
    [
        record.opening.is_some(),
        record.commitment.is_some(),
        record.prepared.is_some(),
        record.activation.is_some(),
        record.retirement.is_some(),
    ]
}
