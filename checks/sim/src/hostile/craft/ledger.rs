//! Checkpoints of a ledger whose owner lies.

use super::{Blows, ask};
use crate::hostile::ledger::Show;
use crate::hostile::stage::Stage;
use perennial_model::mail::Request;

/// A checkpoint that continues the last.
pub fn growth(stage: &mut Stage) -> Blows {
    show(stage, Show::Growth)
}

/// Another head of a size that was cosigned.
pub fn fork(stage: &mut Stage) -> Blows {
    show(stage, Show::Fork)
}

/// Fewer entries than were cosigned.
pub fn truncated(stage: &mut Stage) -> Blows {
    show(stage, Show::Truncated)
}

/// Other entries than were cosigned.
pub fn rewritten(stage: &mut Stage) -> Blows {
    show(stage, Show::Rewritten)
}

/// A proof that begins elsewhere, or another ledger's key.
pub fn unproved(stage: &mut Stage) -> Blows {
    let what = [Show::Unproved, Show::OtherKey, Show::Forged][stage.below(3)];
    show(stage, what)
}

fn show(stage: &mut Stage, what: Show) -> Blows {
    let number = stage.anybody();
    let chance = stage.below(1 << 20) as u64;
    // Most of them say that they were sent now, some that they were long under way.
    let sent_ms = if stage.one_in(4) { stage.now_ms - 60_000 } else { stage.now_ms };
    let offer = stage.ledger.offer(number, what, chance, sent_ms);
    offer.map(|offer| ask(number, Request::Checkpoint(Box::new(offer)))).into_iter().collect()
}
