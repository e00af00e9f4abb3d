//! I11, approvals bind: nothing is opened, dealt, prepared or activated without a quorum over exactly this plan, under the
//! newest governance that the signer has.

use crate::history::{Changed, History, Mirror};
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::record::ChunkRecord;
use perennial_model::mail::Reply;

/// What a signer newly did belongs to a plan that people approved, in its range of numbers, and that names the governance
/// which was the newest on the signer's disk.
pub fn i11_approvals_bind(history: &History, number: usize, changed: &Changed) -> Result<(), Violation> {
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
        if plan.wallets_of(chunk).is_err() {
            return broken("which is outside of what was approved".into());
        }
        if mirror.governance.values().last() != Some(&plan.governance) {
            let newest = mirror.governance.keys().last();
            return broken(format!(
                "approved under another governance than the newest that it has, {newest:?}"
            ));
        }
    }
    Ok(())
}

/// A dealing that goes out gives its receivers full power, so its plan is in force at that moment.
pub fn i11_no_dealing_leaves_under_an_old_governance(
    mirror: &Mirror,
    signer: &Signer,
    reply: &Reply,
) -> Result<(), Violation> {
    let Reply::Dealt(said) = reply else { return Ok(()) };
    let chunk = said.read_unchecked().ok().map(|dealing| dealing.chunk);
    let named = chunk.and_then(|chunk| mirror.plans.get(&chunk.plan));
    if named.is_some() && named == mirror.governance.values().last() {
        return Ok(());
    }
    let what = format!("{} hands out a dealing whose plan is not in force", signer.own.pinned.me());
    Err(Violation::new(Invariant::I11ApprovalsBind, what))
}

/// What a signer has done to a chunk since the last look, if it takes an approval in force.
fn newly_done(old: Option<&ChunkRecord>, new: &ChunkRecord) -> Option<&'static str> {
    let before = old.map(did).unwrap_or_default();
    let words = ["opens", "deals", "prepares", "activates"];
    let newly = did(new).into_iter().zip(before).position(|(now, then)| now && !then);
    newly.map(|at| words[at])
}

fn did(record: &ChunkRecord) -> [bool; 4] {
    [
        record.opening.is_some(),
        record.commitment.is_some(),
        record.prepared.is_some(),
        record.activation.is_some(),
    ]
}
