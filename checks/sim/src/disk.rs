//! A signer's disk in memory: records that change all or none, and a slot file that can lose what was not synced.
//!
//! What the process reads is the cache; what a power cut leaves is the platter. Between the two lie the writes
//! since the last sync. At a cut every sector takes any version that it had since then, each sector for itself,
//! so writes are lost, land out of their order, or tear a slot that straddles two sectors. A fuse lets any single
//! operation fail, before or after it took effect: that is how a crash comes between two effects of one turn.

use perennial_custody::keyslots::{SLOT_BYTES, SlotBytes, SlotIndex};
use perennial_custody::store::{Row, Store, StoreFailed, Table, Write};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// How many bytes reach the platter together.
const SECTOR_BYTES: usize = 128;

/// Which operation fails, counted from the next one, and whether it takes effect all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fuse {
    /// How many operations still succeed.
    pub after: u32,
    /// Whether the failing one is done before the process dies.
    pub landed: Landed,
}

/// Whether an operation that the process did not live to see was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Landed {
    /// It was done.
    Yes,
    /// It was not.
    No,
}

/// What a cut did to the writes that were not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Damage {
    /// Writes of which nothing is left.
    pub lost: u32,
    /// Writes that landed although an earlier one did not.
    pub reordered: u32,
    /// Writes of which a part landed.
    pub torn: u32,
}

struct Pending {
    offset: usize,
    bytes: [u8; SLOT_BYTES],
}

/// One signer's disk.
pub struct Disk {
    platter: Vec<u8>,
    cache: Vec<u8>,
    pending: Vec<Pending>,
    records: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    touched: Vec<(Table, Vec<u8>)>,
    slots_touched: u64,
    fuse: Option<Fuse>,
    operations: u64,
    rng: ChaCha8Rng,
}

impl Disk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self {
            platter: Vec::new(),
            cache: Vec::new(),
            pending: Vec::new(),
            records: BTreeMap::new(),
            touched: Vec::new(),
            slots_touched: 0,
            fuse: None,
            operations: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Sets or takes away the fuse.
    pub fn set_fuse(&mut self, fuse: Option<Fuse>) {
        self.fuse = fuse;
    }

    /// Whether the fuse is still whole.
    pub fn fuse(&self) -> Option<Fuse> {
        self.fuse
    }

    /// How many operations there were since the beginning.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The power goes: whatever was not synced may be lost, out of order or torn.
    pub fn cut(&mut self) -> Damage {
        let damage = self.settle_pending();
        self.cache.clone_from(&self.platter);
        self.fuse = None;
        damage
    }

    /// The process ends but the machine goes on: the cache keeps what was written.
    pub fn abandon(&mut self) {
        self.fuse = None;
    }

    /// The records changed since the last call.
    pub fn take_touched(&mut self) -> Vec<(Table, Vec<u8>)> {
        std::mem::take(&mut self.touched)
    }

    /// Counts every change of the platter under the slots.
    pub fn slots_touched(&self) -> u64 {
        self.slots_touched
    }

    /// A record as it is durable.
    pub fn record(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        // The map is keyed by owned bytes; looking up by a borrowed pair would need a key type of its own.
        self.records.get(&(table, key.to_vec())).map(Vec::as_slice)
    }

    /// All records of a table as they are durable.
    pub fn table(&self, table: Table) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.records
            .range((table, Vec::new())..)
            .take_while(move |((other, _), _)| *other == table)
            .map(|((_, key), value)| (key.as_slice(), value.as_slice()))
    }

    /// A slot as it is on the platter: what is left if the power goes now and takes every unsynced write.
    pub fn durable_slot(&self, at: SlotIndex) -> SlotBytes {
        slot_in(&self.platter, at)
    }

    /// How many slots the platter has room for.
    pub fn durable_slots(&self) -> u32 {
        (self.platter.len() / SLOT_BYTES) as u32
    }

    /// Whether bytes stand anywhere on the platter or in the cache.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        [&self.platter, &self.cache].into_iter().any(|file| memchr::memmem::find(file, bytes).is_some())
    }

    /// Lets one operation pass, or fail as the fuse says.
    fn operate(&mut self, doing: &'static str) -> Result<Option<StoreFailed>, StoreFailed> {
        self.operations += 1;
        let Some(fuse) = &mut self.fuse else { return Ok(None) };
        if fuse.after > 0 {
            fuse.after -= 1;
            return Ok(None);
        }
        let landed = fuse.landed;
        self.fuse = None;
        let failed = StoreFailed { doing, reason: "the power went".into() };
        match landed {
            Landed::Yes => Ok(Some(failed)),
            Landed::No => Err(failed),
        }
    }

    fn write(&mut self, at: SlotIndex, slot: &SlotBytes) {
        let offset = at.0 as usize * SLOT_BYTES;
        grow(&mut self.cache, offset + SLOT_BYTES);
        self.cache[offset..offset + SLOT_BYTES].copy_from_slice(&slot.0);
        self.pending.push(Pending { offset, bytes: slot.0 });
    }

    fn sync(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        self.pending.clear();
        self.platter.clone_from(&self.cache);
        self.slots_touched += 1;
    }

    /// Gives each sector one of its versions since the last sync.
    fn settle_pending(&mut self) -> Damage {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Damage::default();
        }
        self.slots_touched += 1;
        let end = pending.iter().map(|write| write.offset + SLOT_BYTES).max().unwrap_or(0);
        grow(&mut self.platter, end);
        let mut kept: BTreeMap<usize, usize> = BTreeMap::new();
        for write in &pending {
            for sector in sectors(write.offset) {
                let versions = pending.iter().filter(|other| sectors(other.offset).contains(&sector)).count();
                let choice = (self.rng.next_u32() as usize) % (versions + 1);
                kept.entry(sector).or_insert(choice);
            }
        }
        let mut damage = Damage::default();
        let mut missing_before = false;
        let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
        for write in &pending {
            let (mut landed, mut missed) = (0, 0);
            for sector in sectors(write.offset) {
                let version = seen.entry(sector).or_insert(0);
                *version += 1;
                if *version <= kept.get(&sector).copied().unwrap_or(0) {
                    landed += 1;
                    let range = sector_part(write.offset, sector);
                    let from = range.start - write.offset;
                    self.platter[range.clone()].copy_from_slice(&write.bytes[from..from + range.len()]);
                } else {
                    missed += 1;
                }
            }
            match (landed, missed) {
                (0, _) => damage.lost += 1,
                (_, 0) if missing_before => damage.reordered += 1,
                (_, 0) => {}
                _ => damage.torn += 1,
            }
            missing_before |= missed > 0;
        }
        damage
    }
}

/// The sectors that a slot at this offset lies in.
fn sectors(offset: usize) -> std::ops::RangeInclusive<usize> {
    offset / SECTOR_BYTES..=(offset + SLOT_BYTES - 1) / SECTOR_BYTES
}

/// The part of a slot that lies in one sector, as offsets in the file.
fn sector_part(offset: usize, sector: usize) -> std::ops::Range<usize> {
    let start = offset.max(sector * SECTOR_BYTES);
    let end = (offset + SLOT_BYTES).min((sector + 1) * SECTOR_BYTES);
    start..end
}

fn grow(file: &mut Vec<u8>, length: usize) {
    if file.len() < length {
        file.resize(length, 0);
    }
}

fn slot_in(file: &[u8], at: SlotIndex) -> SlotBytes {
    let offset = at.0 as usize * SLOT_BYTES;
    let mut slot = SlotBytes::EMPTY;
    if let Some(bytes) = file.get(offset..offset + SLOT_BYTES) {
        slot.0.copy_from_slice(bytes);
    }
    slot
}

impl Store for Disk {
    fn write_slots(&mut self, slots: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        let failed = match self.operate("wrote key slots") {
            Ok(failed) => failed,
            Err(failed) => {
                // Some of them may have gone out before it failed.
                let some = self.rng.next_u32() as usize % (slots.len() + 1);
                slots[..some].iter().for_each(|(at, slot)| self.write(*at, slot));
                return Err(failed);
            }
        };
        slots.iter().for_each(|(at, slot)| self.write(*at, slot));
        failed.map_or(Ok(()), Err)
    }

    fn sync_slots(&mut self) -> Result<(), StoreFailed> {
        let failed = self.operate("synced key slots")?;
        self.sync();
        failed.map_or(Ok(()), Err)
    }

    fn read_slots(&mut self, slots: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        Ok(slots.iter().map(|at| slot_in(&self.cache, *at)).collect())
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        let failed = self.operate("committed records")?;
        for write in writes {
            let place = (write.table, write.key.clone());
            match &write.value {
                Some(value) => drop(self.records.insert(place.clone(), value.clone())),
                None => drop(self.records.remove(&place)),
            }
            self.touched.push(place);
        }
        failed.map_or(Ok(()), Err)
    }

    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        Ok(self.record(table, key).map(<[u8]>::to_vec))
    }

    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        let count = self.cache.len().div_ceil(SLOT_BYTES) as u32;
        Ok((0..count).map(|at| slot_in(&self.cache, SlotIndex(at))).collect())
    }

    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        Ok(self.table(table).map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(fill: u8) -> SlotBytes {
        SlotBytes([fill; SLOT_BYTES])
    }

    #[test]
    fn what_was_synced_survives_every_cut() {
        for seed in 0..200 {
            let mut disk = Disk::new(seed);
            disk.write_slots(&[(SlotIndex(0), slot(1)), (SlotIndex(3), slot(3))]).expect("no fuse");
            disk.sync_slots().expect("no fuse");
            disk.write_slots(&[(SlotIndex(1), slot(2))]).expect("no fuse");
            disk.cut();
            assert_eq!(disk.durable_slot(SlotIndex(0)), slot(1));
            assert_eq!(disk.durable_slot(SlotIndex(3)), slot(3));
        }
    }

    #[test]
    fn an_unsynced_slot_is_lost_whole_or_torn_at_times() {
        let (mut lost, mut torn, mut reordered) = (0, 0, 0);
        for seed in 0..400 {
            let mut disk = Disk::new(seed);
            let slots: Vec<_> = (0..6).map(|at| (SlotIndex(at), slot(at as u8 + 1))).collect();
            disk.write_slots(&slots).expect("no fuse");
            let damage = disk.cut();
            lost += damage.lost;
            torn += damage.torn;
            reordered += damage.reordered;
        }
        assert!(lost > 100 && torn > 100 && reordered > 100, "{lost} {torn} {reordered}");
    }

    #[test]
    fn a_commit_that_fails_is_there_as_a_whole_or_not_at_all() {
        let write = |key: u8| Write { table: Table::Plan, key: vec![key], value: Some(vec![key]) };
        for landed in [Landed::Yes, Landed::No] {
            let mut disk = Disk::new(1);
            disk.set_fuse(Some(Fuse { after: 0, landed }));
            assert!(disk.commit(&[write(1), write(2)]).is_err());
            let expected = if landed == Landed::Yes { 2 } else { 0 };
            assert_eq!(disk.table(Table::Plan).count(), expected);
        }
    }
}
