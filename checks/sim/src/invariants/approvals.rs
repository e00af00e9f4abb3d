//! I11, approvals bind: nothing is opened, dealt, prepared or activated without a quorum over exactly this plan, under the
//! newest governance that the signer has.

use crate::history::{Changed, History};
use crate::violation::{Invariant, Violation};
use perennial_custody::record::ChunkRecord;

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

/// What a signer has done to a chunk since the last look, if it takes an approval in force.
fn newly_done(old: Option<&ChunkRecord>, new: &ChunkRecord) -> Option<&'static str> {
    let is_new = |has: &dyn Fn(&ChunkRecord) -> bool| has(new) && !old.is_some_and(has);
    let done: [(&'static str, &dyn Fn(&ChunkRecord) -> bool); 4] = [
        ("opens", &|record| record.opening.is_some()),
        ("deals", &|record| record.commitment.is_some()),
        ("prepares", &|record| record.prepared.is_some()),
        ("activates", &|record| record.activation.is_some()),
    ];
    done.into_iter().find(|(_, has)| is_new(*has)).map(|(verb, _)| verb)
}
