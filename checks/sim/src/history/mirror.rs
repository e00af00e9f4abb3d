//! A signer's durable records, read: taken over change by change, and compared with the disk every so often.

use crate::disk::Disk;
use crate::violation::{Invariant, Violation};
use perennial_custody::keyslots::SlotIndex;
use perennial_custody::record::{BaseRecord, ChunkRecord, ChunkState, DealingRecord, WalletRecord};
use perennial_custody::store::Table;
use perennial_custody::witness::{HALT, HaltRecord};
use perennial_model::approval::ApprovedPlan;
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// What a signer has durably.
#[derive(Clone, Default)]
pub struct Mirror {
    /// Wallets, by name.
    pub wallets: BTreeMap<WalletId, WalletRecord>,
    /// Chunks.
    pub chunks: BTreeMap<Chunk, ChunkRecord>,
    /// The digests of its own dealings.
    pub dealings: BTreeMap<Chunk, Digest>,
    /// Plans, by digest, with the governance that they name.
    pub plans: BTreeMap<Digest, Digest>,
    /// The mandates of those that are under one.
    pub under: BTreeMap<Digest, Digest>,
    /// The versions of governance.
    pub governance: BTreeMap<u64, Digest>,
    /// The orders that were obeyed.
    pub orders: BTreeSet<Digest>,
    /// What it has halted for.
    pub halt: Option<Digest>,
    /// Sessions begun lately.
    pub sessions: BTreeSet<Digest>,
    /// Its pair bases, by the records' keys.
    pub bases: BTreeMap<Vec<u8>, BaseRecord>,
    /// How many changes there were of records that refer to slots.
    pub referring: u64,
}

/// A wallet's record before and after.
pub struct WalletChange {
    /// The wallet.
    pub id: WalletId,
    /// Before.
    pub old: Option<WalletRecord>,
    /// After.
    pub new: Option<WalletRecord>,
}

/// A chunk's record before and after.
pub struct ChunkChange {
    /// The chunk.
    pub chunk: Chunk,
    /// Before.
    pub old: Option<ChunkRecord>,
    /// After.
    pub new: Option<ChunkRecord>,
}

/// What changed since the last look.
#[derive(Default)]
pub struct Changed {
    /// Wallets.
    pub wallets: Vec<WalletChange>,
    /// Chunks.
    pub chunks: Vec<ChunkChange>,
    /// Plans that are new.
    pub plans: Vec<Plan>,
    /// Orders that are new.
    pub orders: Vec<Digest>,
    /// What it no longer halts for.
    pub readmitted: Option<Digest>,
    /// Versions of governance that are new, and what stood there before.
    pub governance: Vec<(u64, Option<Digest>)>,
    /// Whether a pair base went, on which any wallet may stand.
    pub base_went: bool,
}

impl Changed {
    /// The state that a chunk had before.
    pub fn old_state(&self, mirror: &Mirror, chunk: &Chunk) -> Option<ChunkState> {
        match self.chunks.iter().find(|change| change.chunk == *chunk) {
            Some(change) => change.old.as_ref().map(|record| record.state),
            None => mirror.chunks.get(chunk).map(|record| record.state),
        }
    }
}

impl Mirror {
    /// Takes over the records at these keys as they are on the disk now.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn take_over(&mut self, disk: &Disk, touched: Vec<(Table, Vec<u8>)>) -> Result<Changed, Violation> {
        let mut changed = Changed::default();
        let touched: BTreeSet<(Table, Vec<u8>)> = touched.into_iter().collect();
        for (table, key) in touched {
            let value = disk.record(table, &key);
            self.referring += u64::from(matches!(table, Table::Wallet | Table::Chunk | Table::Base));
            self.put(table, &key, value, &mut changed)?;
        }
        Ok(changed)
    }

    /// Compares everything with the disk.
    ///
    /// # Errors
    /// When something was missed, which is a bug of the simulator.
    pub fn compare(&self, disk: &Disk) -> Result<(), Violation> {
        let mut fresh = Self::default();
        for table in Table::ALL {
            for (key, value) in disk.table(table) {
                fresh.put(table, key, Some(value), &mut Changed::default())?;
            }
        }
        let same = fresh.wallets == self.wallets
            && fresh.chunks == self.chunks
            && fresh.dealings == self.dealings
            && fresh.plans == self.plans
            && fresh.governance == self.governance
            && fresh.under == self.under
            && fresh.orders == self.orders
            && fresh.halt == self.halt
            && fresh.sessions == self.sessions
            && fresh.bases == self.bases;
        if same { Ok(()) } else { Err(Violation::new(Invariant::Sound, "the simulator missed a change")) }
    }

    /// The slots that records refer to.
    pub fn referred(&self) -> BTreeSet<SlotIndex> {
        let held = self.wallets.values().flat_map(|record| &record.held).map(|held| held.locked.slot);
        let seeds = self.chunks.values().filter_map(|record| match record.state {
            ChunkState::Opened(slot) => Some(slot),
            _ => None,
        });
        held.chain(seeds).chain(self.bases.values().map(|base| base.slot)).collect()
    }

    fn put(
        &mut self,
        table: Table,
        key: &[u8],
        value: Option<&[u8]>,
        changed: &mut Changed,
    ) -> Result<(), Violation> {
        match table {
            Table::Wallet => {
                let id: WalletId = String::from_utf8_lossy(key).parse().map_err(|e| unreadable(&e))?;
                let new: Option<WalletRecord> = read(value)?;
                let old = replace(&mut self.wallets, &id, new.clone());
                changed.wallets.push(WalletChange { id, old, new });
            }
            Table::Chunk => {
                let chunk: Chunk = minicbor::decode(key).map_err(|e| unreadable(&e))?;
                let new: Option<ChunkRecord> = read(value)?;
                let old = replace(&mut self.chunks, &chunk, new.clone());
                changed.chunks.push(ChunkChange { chunk, old, new });
            }
            Table::Dealing => {
                let chunk: Chunk = minicbor::decode(key).map_err(|e| unreadable(&e))?;
                let record: Option<DealingRecord> = read(value)?;
                replace(&mut self.dealings, &chunk, record.map(|record| record.dealing.body_digest()));
            }
            Table::Plan => {
                let name = Digest(key.try_into().map_err(|e| unreadable(&e))?);
                let document: Option<ApprovedPlan> = read(value)?;
                let plan = document.map(|document| document.plan);
                let under = plan.as_ref().and_then(|plan| plan.mandate);
                replace(&mut self.under, &name, under.map(|under| under.mandate));
                let known = replace(&mut self.plans, &name, plan.as_ref().map(|plan| plan.governance));
                changed.plans.extend(plan.filter(|_| known.is_none()));
            }
            Table::Governance => {
                let version: Option<ApprovedGovernance> = read(value)?;
                if let Some(ApprovedGovernance { governance, .. }) = version {
                    let known = self.governance.insert(governance.version, governance.digest());
                    changed.governance.push((governance.version, known));
                }
            }
            Table::Order => {
                let name = Digest(key.try_into().map_err(|e| unreadable(&e))?);
                match value {
                    Some(_) if self.orders.insert(name) => changed.orders.push(name),
                    Some(_) => {}
                    None => drop(self.orders.remove(&name)),
                }
            }
            Table::Session => {
                let name = Digest(key.try_into().map_err(|e| unreadable(&e))?);
                match value {
                    Some(_) => self.sessions.insert(name),
                    None => self.sessions.remove(&name),
                };
            }
            Table::Base => {
                let record: Option<BaseRecord> = read(value)?;
                changed.base_went |= record.is_none();
                replace(&mut self.bases, &key.to_vec(), record);
            }
            Table::Ledger if key == HALT => {
                let halt = read::<HaltRecord>(value)?.map(|halt| halt.alarm.body_digest());
                changed.readmitted = self.halt.filter(|_| halt.is_none());
                self.halt = halt;
            }
            Table::Ban | Table::Ledger => {}
        }
        Ok(())
    }
}

fn replace<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}

fn read<D: Document>(value: Option<&[u8]>) -> Result<Option<D>, Violation> {
    value.map(encoding::decode).transpose().map_err(|e| unreadable(&e))
}

fn unreadable(error: &dyn std::fmt::Display) -> Violation {
    Violation::new(Invariant::Sound, format!("a durable record cannot be read: {error}"))
}
