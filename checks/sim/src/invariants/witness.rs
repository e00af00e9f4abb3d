//! I13, as far as it is the signers': what a signer cosigns continues what it cosigned before, is on its disk, and is
//! nothing once it has halted.

use crate::hostile::ledger::Ledger;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::store::Table;
use perennial_custody::witness::standing;
use perennial_ledger::Checkpoint;
use perennial_model::witness::Answer;

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
