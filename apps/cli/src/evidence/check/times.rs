//! Times: the coordinator's clock, held against the order of the ledger, the plan's dates, the signers' receipts, and
//! the clocks of those who cosigned.

use super::CLOCKS_DIFFER_MS;
use super::ledger::Proved;
use super::story::{Attempt, Ceremony, Story};
use crate::evidence::bundle::{CHECKPOINT, entry_member};
use crate::evidence::facts::At;
use crate::evidence::flaw::{Check, Flaw};

/// Checks that nothing is dated before what it follows, or after the checkpoint that it is under.
pub fn check(story: &Story<'_>, proved: &Proved) -> Result<(), Flaw> {
    let cosigned_s = proved.fact.cosigned.iter().map(|(_, time_s)| *time_s).max();
    if let Some(last_s) = cosigned_s {
        let last_ms = last_s.saturating_add(1).saturating_mul(1000).saturating_add(CLOCKS_DIFFER_MS);
        if let Some(line) = proved.lines.iter().find(|line| line.at.time_ms > last_ms) {
            return Err(line.flaw(Check::Times, format!("it is dated after {CHECKPOINT} was cosigned")));
        }
    }
    story.ceremonies.values().try_for_each(check_ceremony)
}

fn check_ceremony(ceremony: &Ceremony) -> Result<(), Flaw> {
    let Some(approved) = &ceremony.approved else { return Ok(()) };
    if let Some(submitted) = ceremony.submitted {
        follows(approved.at, submitted, "the plan was approved before it was submitted")?;
    }
    let plan = approved.plan.plan();
    for attempt in ceremony.attempts.values() {
        let Some((activated, _)) = attempt.activated else { continue };
        follows(activated, approved.at, "it was activated before the plan was approved")?;
        let dated = |ok: bool, reason: &str| match ok {
            true => Ok(()),
            false => Err(Flaw::new(Check::Times, entry_member(activated.place), reason)),
        };
        let latest = plan.activation_deadline_ms.saturating_add(CLOCKS_DIFFER_MS);
        dated(activated.time_ms <= latest, "it was activated after the plan's date for that")?;
        let earliest = activated.time_ms.saturating_add(CLOCKS_DIFFER_MS);
        dated(earliest >= plan.not_before_ms, "it was activated before the plan allowed anything")?;
        check_retirement(attempt, activated)?;
    }
    Ok(())
}

fn check_retirement(attempt: &Attempt, activated: At) -> Result<(), Flaw> {
    let Some(retired) = attempt.retired else { return Ok(()) };
    follows(retired, activated, "it was retired before it was activated")?;
    for (at, signer, receipt) in &attempt.receipts {
        follows(*at, retired, "a receipt came before the Retirement")?;
        if receipt.erased_at_ms.saturating_add(CLOCKS_DIFFER_MS) < retired.time_ms {
            let reason = format!("{signer} says that it erased before the Retirement");
            return Err(Flaw::new(Check::Times, entry_member(at.place), reason));
        }
    }
    Ok(())
}

/// The later one stands behind the earlier one in the ledger, and no clock contradicts that by much.
fn follows(later: At, earlier: At, otherwise: &str) -> Result<(), Flaw> {
    let in_order = later.place > earlier.place;
    let in_time = later.time_ms.saturating_add(CLOCKS_DIFFER_MS) >= earlier.time_ms;
    match in_order && in_time {
        true => Ok(()),
        false => Err(Flaw::new(Check::Times, entry_member(later.place), otherwise)),
    }
}
