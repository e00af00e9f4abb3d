//! I13, as far as it is the signers': what a signer cosigns continues what it cosigned before, is on its disk, and is
//! nothing once it has halted.

use super::orders::readmits;
use crate::history::{Changed, History};
use crate::hostile::ledger::Ledger;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::store::Table;
use perennial_custody::witness::standing;
use perennial_ledger::Checkpoint;
use perennial_model::witness::Answer;

/// A signer that has halted touches none of its wallets and chunks, and works again only if people readmit it from exactly
/// that halt. What its operator does at its disk is not looked at here.
pub fn i13_halted_does_nothing(
    history: &History,
    signer: &Signer,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    let mirror = &history.mirrors[number];
    let me = signer.own.pinned.me();
    let broken = |what: &str| Err(Violation::new(Invariant::I13OneLedger, format!("{me} {what}")));
    match changed.readmitted {
        Some(halt) if !readmits(history, mirror, me.as_str(), &halt) => {
            broken("works again, and nobody has readmitted it from what it halted for")
        }
        None if mirror.halt.is_some() && !(changed.chunks.is_empty() && changed.wallets.is_empty()) => {
            broken("has halted, and still does something to its wallets")
        }
        _ => Ok(()),
    }
}

/// Looks at a signer's answer to a checkpoint.
pub fn i13_one_ledger(
    ledger: &mut Ledger,
    number: usize,
    signer: &Signer,
    answer: &Answer,
) -> Result<(), Violation> {
    let Answer::Cosigned { size, .. } = answer else { return Ok(()) };
    let broken = |what: &str| {
        let what = format!("s{:02} cosigns a checkpoint of {size} entries {what}", number + 1);
        Err(Violation::new(Invariant::I13OneLedger, what))
    };
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        signer.disk.table(Table::Ledger).map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let Ok(standing) = standing(&rows) else { return broken("and its records cannot be read") };
    if standing.halt.is_some() {
        return broken("although it has halted");
    }
    let note = standing.checkpoint.map(|record| record.note);
    let Some(checkpoint) = note.and_then(|note| Checkpoint::open(&note.0, ledger.key()).ok()) else {
        return broken("which is not on its disk");
    };
    let head = *checkpoint.head();
    if head.size != *size {
        return broken("and another is on its disk");
    }
    match ledger.cosigned.insert(number, head) {
        Some(before) if !ledger.continues(&before, &head) => {
            broken("that do not continue what it cosigned before")
        }
        _ => Ok(()),
    }
}
