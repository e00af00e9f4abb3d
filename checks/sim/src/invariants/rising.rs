//! I7, no going back: the number that a signer opens, and what it Kept, never go down.

use crate::history::{Changed, History};
use crate::violation::{Invariant, Violation};
use perennial_custody::record::{ChunkRecord, ChunkState};
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// How far one plan may raise the rank.
const RANKS_AT_ONCE: u32 = 1_000_000;

/// The highest numbers seen, by signer and wallet.
#[derive(Default)]
pub struct Rising {
    opened: BTreeMap<(usize, WalletId), Epoch>,
    settled: BTreeMap<(usize, WalletId), Epoch>,
    kept: BTreeMap<(usize, WalletId), Epoch>,
}

impl Rising {
    /// The highest rank that a signer has seen of any wallet.
    fn highest_rank(&self, number: usize) -> u32 {
        let known = self.opened.iter().chain(&self.settled).chain(&self.kept);
        known.filter(|((of, _), _)| *of == number).map(|(_, epoch)| epoch.rank).max().unwrap_or(0)
    }
}

/// A signer opens, deals and prepares nothing at or below what it has prepared or seen Activated or Retired, opens
/// no number twice, and its floors and what it Kept never go down.
pub fn i7_no_going_back(history: &mut History, number: usize, changed: &Changed) -> Result<(), Violation> {
    let rising = &mut history.rising;
    for change in &changed.chunks {
        let Some(new) = &change.new else { continue };
        let epoch = change.chunk.epoch;
        for wallet in &new.wallets {
            let name = (number, wallet.clone());
            let settled = rising.settled.get(&name).copied();
            let opens = is_new(change.old.as_ref(), new, |record| record.opening.is_some());
            let deals = is_new(change.old.as_ref(), new, |record| record.commitment.is_some());
            let prepares = is_new(change.old.as_ref(), new, |record| record.prepared.is_some());
            if opens {
                let highest = rising.opened.get(&name).copied();
                let reach = rising.highest_rank(number).saturating_add(RANKS_AT_ONCE);
                if epoch.rank > reach {
                    let what = format!(
                        "s{:02} opens {epoch} of {wallet}, and few numbers are left above",
                        number + 1
                    );
                    return Err(Violation::new(Invariant::I7NoGoingBack, what));
                }
                if highest.max(settled).is_some_and(|highest| epoch <= highest) {
                    return Err(down(number, wallet, "opens", epoch, highest.max(settled)));
                }
                rising.opened.insert(name.clone(), epoch);
            }
            if (deals || prepares) && settled.is_some_and(|settled| epoch <= settled) {
                let verb = if deals { "deals" } else { "prepares" };
                return Err(down(number, wallet, verb, epoch, settled));
            }
            let above = rising.opened.get(&name).copied().filter(|opened| deals && epoch < *opened);
            if above.is_some() {
                return Err(down(number, wallet, "promises", epoch, above));
            }
            if deals && new.refusal.is_some() {
                let what = format!("s{:02} deals {epoch} of {wallet}, where it refused a dealer", number + 1);
                return Err(Violation::new(Invariant::I7NoGoingBack, what));
            }
        }
    }
    for change in &changed.chunks {
        let Some(new) = &change.new else { continue };
        if new.prepared.is_some() || new.activation.is_some() || new.retirement.is_some() {
            for wallet in &new.wallets {
                raise(&mut rising.settled, &(number, wallet.clone()), change.chunk.epoch);
            }
        }
    }
    floors_stay(number, changed)?;
    kept_stays(history, number, changed)
}

/// A signer publishes no dealing of a wallet that has gone on to a higher number there.
pub fn i7_publishes_nothing_that_is_passed(
    history: &History,
    number: usize,
    chunk: &Chunk,
) -> Result<(), Violation> {
    let mirror = &history.mirrors[number];
    let wallets = mirror.chunks.get(chunk).map(|record| record.wallets.as_slice()).unwrap_or_default();
    let floor = |wallet: &WalletId| mirror.wallets.get(wallet).map(|record| record.floor);
    match wallets.iter().find(|wallet| floor(wallet).is_some_and(|floor| floor > chunk.epoch)) {
        Some(wallet) => Err(down(number, wallet, "publishes a dealing of", chunk.epoch, floor(wallet))),
        None => Ok(()),
    }
}

fn floors_stay(number: usize, changed: &Changed) -> Result<(), Violation> {
    for change in &changed.wallets {
        let old = change.old.as_ref().map(|record| record.floor);
        let new = change.new.as_ref().map(|record| record.floor);
        if new < old {
            let what = format!("s{:02}: the floor of {} goes from {old:?} to {new:?}", number + 1, change.id);
            return Err(Violation::new(Invariant::I7NoGoingBack, what));
        }
    }
    Ok(())
}

/// The highest number that a signer keeps, or has as its floor, never goes down.
fn kept_stays(history: &mut History, number: usize, changed: &Changed) -> Result<(), Violation> {
    let records = changed.chunks.iter().flat_map(|change| change.old.iter().chain(&change.new));
    let wallets = records.flat_map(|record| &record.wallets);
    let wallets: BTreeSet<&WalletId> = wallets.chain(changed.wallets.iter().map(|c| &c.id)).collect();
    for wallet in wallets {
        let kept =
            |record: &ChunkRecord| matches!(record.state, ChunkState::Kept(_) | ChunkState::Retired(_));
        let chunks = history.mirrors[number].chunks.iter();
        let now = chunks
            .filter(|(_, record)| kept(record) && record.wallets.contains(wallet))
            .map(|(chunk, _)| chunk.epoch)
            .max();
        let now = now.max(history.mirrors[number].wallets.get(wallet).map(|record| record.floor));
        let name = (number, wallet.clone());
        let before = history.rising.kept.get(&name).copied();
        if now < before {
            let what = format!("s{:02} kept {before:?} of {wallet}, and now {now:?}", number + 1);
            return Err(Violation::new(Invariant::I7NoGoingBack, what));
        }
        if let Some(now) = now {
            history.rising.kept.insert(name, now);
        }
    }
    Ok(())
}

fn is_new(old: Option<&ChunkRecord>, new: &ChunkRecord, has: impl Fn(&ChunkRecord) -> bool) -> bool {
    has(new) && !old.is_some_and(has)
}

fn raise(map: &mut BTreeMap<(usize, WalletId), Epoch>, name: &(usize, WalletId), epoch: Epoch) {
    let known = map.entry(name.clone()).or_insert(epoch);
    *known = epoch.max(*known);
}

fn down(number: usize, wallet: &WalletId, verb: &str, epoch: Epoch, highest: Option<Epoch>) -> Violation {
    let highest = highest.map(|epoch| epoch.to_string()).unwrap_or_default();
    let what = format!("s{:02} {verb} {epoch} of {wallet}, which is not above {highest}", number + 1);
    Violation::new(Invariant::I7NoGoingBack, what)
}
