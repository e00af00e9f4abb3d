//! The key-slot file: places of 72 bytes that are overwritten where they stand, so that what was in one is gone.
//!
//! The first place is a header that names the store; slot `i` stands at byte `72 * (i + 1)`. It refuses a file
//! without that header. A copy-on-write file system, a snapshot or a worn flash cell may still keep old bytes:
//! that is what the receipt's level `software` says.

use crate::private_file::{open_records, open_to_read};
use perennial_custody::keyslots::{SLOT_BYTES, SlotBytes, SlotIndex};
use perennial_custody::store::StoreFailed;
use perennial_model::encoding::Digest;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What a slot file begins with, before the digest that names the store.
const MAGIC: &[u8; 40] = b"perennial key slots, format 1\n..........";
/// The file grows by so many slots at a time.
const GROWTH_SLOTS: u32 = 1024;

/// An open slot file.
#[derive(Debug)]
pub struct SlotFile {
    file: File,
    slots: u32,
}

/// What was found under the file's name.
#[derive(Debug)]
pub enum Found {
    /// Nothing, or a file whose making was cut short.
    Nothing,
    /// Slots, with the name of their store.
    Slots(SlotFile, Digest),
    /// Something else.
    Foreign,
}

impl SlotFile {
    /// Makes the file for the store of this name, durably.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not do it.
    pub fn make(path: &Path, store: &Digest) -> Result<Self, StoreFailed> {
        let failed = failed("made its key slots");
        let file = open_records(path).map_err(|e| failed(&e))?;
        let mut made = Self { file, slots: 0 };
        made.file.set_len(0).map_err(|e| failed(&e))?;
        made.grow(1).map_err(|e| failed(&e))?;
        made.file.write_all_at(&header(store), 0).map_err(|e| failed(&e))?;
        made.file.sync_all().map_err(|e| failed(&e))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|e| failed(&e))?;
        Ok(made)
    }

    /// Opens the file, if it is there.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer; permissions are the caller's to check first.
    pub fn find(path: &Path) -> Result<Found, StoreFailed> {
        let failed = failed("opened its key slots");
        if !path.try_exists().map_err(|e| failed(&e))? {
            return Ok(Found::Nothing);
        }
        Self::take(open_records(path).map_err(|e| failed(&e))?).map_err(|e| failed(&e))
    }

    /// Opens the file without the right to change it, if it is there.
    ///
    /// # Errors
    /// As [`SlotFile::find`].
    pub fn find_to_read(path: &Path) -> Result<Found, StoreFailed> {
        let failed = failed("opened its key slots");
        if !path.try_exists().map_err(|e| failed(&e))? {
            return Ok(Found::Nothing);
        }
        Self::take(open_to_read(path).map_err(|e| failed(&e))?).map_err(|e| failed(&e))
    }

    fn take(file: File) -> io::Result<Found> {
        let length = file.metadata()?.len();
        let mut head = [0; SLOT_BYTES];
        let has_header = length >= SLOT_BYTES as u64;
        if has_header {
            file.read_exact_at(&mut head, 0)?;
        }
        if head == [0; SLOT_BYTES] {
            // The header is the last thing that is written when the file is made, and slots come later.
            return Ok(Found::Nothing);
        }
        let Some(store) = head.strip_prefix(MAGIC) else { return Ok(Found::Foreign) };
        let store: [u8; 32] = store.try_into().expect("72 bytes without the first 40");
        let slots = length / SLOT_BYTES as u64 - 1;
        let slots = u32::try_from(slots).map_err(|_| io::Error::other("more slots than can be counted"))?;
        Ok(Found::Slots(Self { file, slots }, Digest(store)))
    }

    /// Overwrites slots where they stand. They are durable after [`SlotFile::sync`].
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not do it.
    pub fn write(&mut self, slots: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        let failed = failed("wrote key slots");
        if let Some(highest) = slots.iter().map(|(at, _)| at.0).max()
            && highest >= self.slots
        {
            self.grow(highest).map_err(|e| failed(&e))?;
        }
        for (at, slot) in slots {
            self.file.write_all_at(&slot.0, place(*at)).map_err(|e| failed(&e))?;
        }
        Ok(())
    }

    /// Makes all slots durable.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not do it.
    pub fn sync(&mut self) -> Result<(), StoreFailed> {
        self.file.sync_data().map_err(|e| failed("made key slots durable")(&e))
    }

    /// Reads slots. What lies beyond the file is empty.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer.
    pub fn read(&mut self, slots: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        let mut found = vec![SlotBytes::EMPTY; slots.len()];
        for (at, slot) in slots.iter().zip(&mut found) {
            if at.0 < self.slots {
                let read = self.file.read_exact_at(&mut slot.0, place(*at));
                read.map_err(|e| failed("read key slots back")(&e))?;
            }
        }
        Ok(found)
    }

    /// Reads all slots.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer.
    pub fn all(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        let mut bytes = vec![0; self.slots as usize * SLOT_BYTES];
        self.file
            .read_exact_at(&mut bytes, place(SlotIndex(0)))
            .map_err(|e| failed("read its key slots")(&e))?;
        let (places, _) = bytes.as_chunks::<SLOT_BYTES>();
        Ok(places.iter().map(|place| SlotBytes(*place)).collect())
    }

    /// Makes room for a slot and some more. New places read as zeros: empty slots.
    fn grow(&mut self, to_hold: u32) -> io::Result<()> {
        let slots = (to_hold / GROWTH_SLOTS + 1).saturating_mul(GROWTH_SLOTS);
        self.file.set_len(place(SlotIndex(slots)))?;
        self.slots = slots;
        Ok(())
    }
}

fn place(at: SlotIndex) -> u64 {
    (u64::from(at.0) + 1) * SLOT_BYTES as u64
}

fn header(store: &Digest) -> [u8; SLOT_BYTES] {
    let mut header = [0; SLOT_BYTES];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    header[MAGIC.len()..].copy_from_slice(&store.0);
    header
}

fn failed(doing: &'static str) -> impl Fn(&dyn std::fmt::Display) -> StoreFailed {
    move |reason| StoreFailed { doing, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(fill: u8) -> SlotBytes {
        SlotBytes([fill; SLOT_BYTES])
    }

    fn opened(path: &Path) -> SlotFile {
        match SlotFile::find(path).expect("the disk answers") {
            Found::Slots(file, store) => {
                assert_eq!(store, Digest([9; 32]));
                file
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_erased_slot_reads_as_zeros_and_its_old_bytes_are_nowhere_in_the_file() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("slots.bin");
        let mut file = SlotFile::make(&path, &Digest([9; 32])).expect("made");
        let far = SlotIndex(5_000);
        file.write(&[(SlotIndex(0), slot(1)), (SlotIndex(7), slot(0xab)), (far, slot(3))]).expect("written");
        file.sync().expect("durable");
        let contains = |needle: &[u8]| {
            std::fs::read(&path).expect("read").windows(needle.len()).any(|window| window == needle)
        };
        assert!(contains(&[0xab; 8]));
        file.write(&[(SlotIndex(7), SlotBytes::EMPTY)]).expect("erased");
        file.sync().expect("durable");
        assert_eq!(file.read(&[SlotIndex(7)]).expect("read"), [SlotBytes::EMPTY]);
        assert!(!contains(&[0xab; 8]));

        drop(file);
        let mut file = opened(&path);
        let all = file.all().expect("read");
        let full: Vec<usize> = (0..all.len()).filter(|at| all[*at] != SlotBytes::EMPTY).collect();
        assert_eq!(full, [0, 5_000]);
        assert_eq!(file.read(&[far, SlotIndex(1 << 30)]).expect("read"), [slot(3), SlotBytes::EMPTY]);
    }

    #[test]
    fn a_file_without_the_header_is_not_taken_for_slots() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("slots.bin");
        assert!(matches!(SlotFile::find(&path), Ok(Found::Nothing)));
        drop(open_records(&path).expect("made"));
        for (content, is_nothing) in [(vec![], true), (vec![0; 500], true), (vec![1; 500], false)] {
            std::fs::write(&path, content).expect("written");
            match SlotFile::find(&path).expect("the disk answers") {
                Found::Nothing => assert!(is_nothing),
                Found::Foreign => assert!(!is_nothing),
                Found::Slots(..) => panic!("taken for slots"),
            }
        }
    }
}
