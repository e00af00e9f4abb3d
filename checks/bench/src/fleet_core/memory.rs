//! A signer's disk and the coordinator's journal in memory, so that nothing but processor time is measured.

use perennial_custody::keyslots::{SlotBytes, SlotIndex};
use perennial_custody::store::{Row, Store, StoreFailed, Table, Write};
use perennial_workflow::Journal;
use perennial_workflow::journal::{Batch, Loaded};
use std::collections::HashMap;
use std::convert::Infallible;

/// A disk that never fails and needs no syncing.
#[derive(Default)]
pub struct Disk {
    slots: Vec<SlotBytes>,
    records: HashMap<Table, HashMap<Vec<u8>, Vec<u8>>>,
}

impl Store for Disk {
    fn write_slots(&mut self, slots: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        for (at, slot) in slots {
            let at = at.0 as usize;
            if self.slots.len() <= at {
                self.slots.resize(at + 1, SlotBytes::EMPTY);
            }
            self.slots[at] = *slot;
        }
        Ok(())
    }

    fn sync_slots(&mut self) -> Result<(), StoreFailed> {
        Ok(())
    }

    fn read_slots(&mut self, slots: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        let slot = |at: &SlotIndex| self.slots.get(at.0 as usize).copied().unwrap_or(SlotBytes::EMPTY);
        Ok(slots.iter().map(slot).collect())
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        for write in writes {
            let table = self.records.entry(write.table).or_default();
            match &write.value {
                Some(value) => drop(table.insert(write.key.clone(), value.clone())),
                None => drop(table.remove(&write.key)),
            }
        }
        Ok(())
    }

    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        Ok(self.records.get(&table).and_then(|records| records.get(key)).cloned())
    }

    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        Ok(self.slots.clone())
    }

    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        let records = self.records.get(&table).into_iter().flatten();
        Ok(records.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// A journal that counts what it is told and remembers what it began with.
#[derive(Debug, Default)]
pub struct Log {
    /// The summaries that it began with.
    pub summaries: Vec<Vec<u8>>,
    /// How many bytes it was told since.
    pub bytes: u64,
}

impl Journal for Log {
    type Error = Infallible;

    fn append(&mut self, batch: &Batch) -> Result<(), Infallible> {
        let lines = batch.lines.iter().chain(&batch.summaries);
        self.bytes += lines.map(|line| line.document.len() as u64).sum::<u64>();
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<Loaded>, Infallible> {
        Ok(self.summaries.iter().cloned().map(Loaded::Summary).collect())
    }
}
