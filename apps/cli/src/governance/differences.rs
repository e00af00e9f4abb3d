//! What another version of governance changes, line by line.

use super::sentences;
use perennial_model::governance::Governance;

/// What is in one version and not in the other: `-` for what goes, `+` for what comes.
pub fn differences(before: &Governance, after: &Governance) -> Vec<String> {
    let (old, new) = (sentences(before), sentences(after));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}
