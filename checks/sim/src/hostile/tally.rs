//! What hostile moves come to: sorts of moves by outcome, and reasons for refusals.

use super::grammar::{Outcome, SORTS, Seals};
use super::refusal::{REASONS, is_signature};
use std::collections::BTreeMap;
use std::fmt;

/// How often each cell that has to be filled must be.
pub const IN_A_CELL: u64 = 100;
/// How many moves of a hundred have to pass every check of signatures.
pub const SOUND_PERCENT: u64 = 30;

/// The count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    cells: Vec<[u64; Outcome::ALL.len()]>,
    reasons: Vec<u64>,
    /// Refusals that no reason fits.
    pub unlisted: BTreeMap<String, u64>,
    /// Messages of moves.
    pub moves: u64,
    /// Those of which no signature was found wanting.
    pub sound: u64,
    /// Honest messages that signers took meanwhile.
    pub honest: u64,
    /// Honest messages that the attacker let fall.
    pub dropped: u64,
    /// Plans that came to their end all the same.
    pub retired: u64,
    /// The same of those that nobody was asked about, under mandates.
    pub mandated: u64,
    /// Signatures given out, each of what was asked for.
    pub signatures: u64,
    /// Checks of invariants.
    pub checks: u64,
    /// Sieges.
    pub sieges: u64,
    /// Wallets that were refreshed and signed when the siege was over.
    pub mended: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            cells: vec![[0; Outcome::ALL.len()]; SORTS.len()],
            reasons: vec![0; REASONS.len()],
            unlisted: BTreeMap::new(),
            moves: 0,
            sound: 0,
            honest: 0,
            dropped: 0,
            retired: 0,
            mandated: 0,
            signatures: 0,
            checks: 0,
            sieges: 0,
            mended: 0,
        }
    }
}

impl Tally {
    /// Counts one message of a sort.
    pub fn count(&mut self, sort: usize, outcome: Outcome, refusal: Option<&Result<usize, String>>) {
        self.moves += 1;
        self.cells[sort][outcome as usize] += 1;
        let mut sound = SORTS[sort].seals == Seals::Sound;
        match refusal {
            Some(Ok(at)) => {
                self.reasons[*at] += 1;
                sound &= !is_signature(*at);
            }
            Some(Err(words)) => *self.unlisted.entry(words.clone()).or_default() += 1,
            None => {}
        }
        self.sound += u64::from(sound);
    }

    /// Adds another siege's.
    pub fn merge(&mut self, other: &Self) {
        for (row, others) in self.cells.iter_mut().zip(&other.cells) {
            row.iter_mut().zip(others).for_each(|(cell, more)| *cell += more);
        }
        self.reasons.iter_mut().zip(&other.reasons).for_each(|(count, more)| *count += more);
        for (words, count) in &other.unlisted {
            *self.unlisted.entry(words.clone()).or_default() += count;
        }
        self.moves += other.moves;
        self.sound += other.sound;
        self.honest += other.honest;
        self.dropped += other.dropped;
        self.retired += other.retired;
        self.mandated += other.mandated;
        self.signatures += other.signatures;
        self.checks += other.checks;
        self.sieges += other.sieges;
        self.mended += other.mended;
    }

    /// What is missing, a line each.
    pub fn shortfalls(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (sort, row) in SORTS.iter().zip(&self.cells) {
            for outcome in Outcome::ALL {
                let count = row[outcome as usize];
                if sort.must.contains(&outcome) && count < IN_A_CELL {
                    lines.push(format!(
                        "{} {}: {count} times, {IN_A_CELL} are asked for",
                        sort.name,
                        outcome.name()
                    ));
                }
                if sort.never.contains(&outcome) && count > 0 {
                    lines.push(format!(
                        "{} {}: {count} times, and it must never be",
                        sort.name,
                        outcome.name()
                    ));
                }
            }
        }
        for (reason, count) in REASONS.iter().zip(&self.reasons) {
            if *count < IN_A_CELL && !reason.seldom {
                lines.push(format!("refused for {}: {count} times, {IN_A_CELL} are asked for", reason.code));
            }
        }
        lines.extend(
            self.unlisted
                .iter()
                .map(|(words, count)| format!("refused {count} times for what is not listed: {words}")),
        );
        if self.sound * 100 < self.moves * SOUND_PERCENT {
            lines.push(format!(
                "{} of {} moves pass the checks of signatures, {SOUND_PERCENT} % are asked for",
                self.sound, self.moves
            ));
        }
        lines
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:28}", "move")?;
        for outcome in Outcome::ALL {
            write!(f, "{:>10}", outcome.name())?;
        }
        for (sort, row) in SORTS.iter().zip(&self.cells) {
            write!(f, "\n{:28}", sort.name)?;
            row.iter().try_for_each(|count| write!(f, "{count:>10}"))?;
        }
        write!(f, "\n\n{:44}{:>10}", "refused for", "times")?;
        for (reason, count) in REASONS.iter().zip(&self.reasons) {
            write!(f, "\n{:44}{count:>10}", reason.code)?;
        }
        Ok(())
    }
}
