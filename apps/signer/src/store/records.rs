//! The records of one signer in a redb file: one table of bytes per table of custody, one write transaction per
//! commit, durable when it returns.
//!
//! redb copies what it changes and keeps old pages until they are used again, so nothing is erased here by being
//! deleted: what is secret is ciphertext, and its key is in a slot. A record grows when a second epoch comes, so that its
//! page splits, and shrinks when the first one goes; so when half of the file is empty, everything is written anew in
//! its order into another file, which takes the place of the first. (redb's own compaction moves no record of more than
//! a page, and packs none.) A full file is doubled by the next commit, so a file that was written anew is let grow to
//! more than twice what it then was.

use super::StoreRefused;
use crate::private_file::open_records;
use crate::process::room_in;
use perennial_custody::store::{Row, StoreFailed, Table, Write};
use redb::backends::InMemoryBackend;
use redb::{
    Database, Durability, Key, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, TableHandle, Value, WriteTransaction,
};
use std::borrow::Borrow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The table beside custody's, about the file itself.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// A file below this size is not worth making smaller, in bytes.
const SMALL_BYTES: u64 = 4 << 20;
/// Looking for free pages is worth it after so many commits.
const COMMITS_BETWEEN_LOOKS: u32 = 16;
/// So much has to be left for everybody else when everything is written anew.
const ROOM_LEFT_BYTES: u64 = 64 << 20;
/// What the file that is written anew is called until it takes the place of the other: this follows its name.
const ANEW: &str = ".new";
/// The most memory that a copy to look at may take: far above what 100,000 wallets need.
const COPY_BYTES_MAX: u64 = 4 << 30;

/// An open file of records.
#[derive(Debug)]
pub struct Records {
    database: Database,
    /// Where it is; none for a copy in memory.
    home: Option<Home>,
    commits: u32,
}

#[derive(Debug)]
struct Home {
    path: PathBuf,
    cache_bytes: usize,
    /// How large the file was when everything in it was written anew; 0 if this process has not done that.
    packed_bytes: u64,
}

/// What a compaction came to, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// The size before.
    pub before: u64,
    /// The size after.
    pub after: u64,
}

impl Records {
    /// Opens the file, and makes it if it is missing or empty. After a crash the last commit that was durable is taken up,
    /// and what was half written anew is removed.
    ///
    /// # Errors
    /// [`StoreRefused`] when the disk does not answer, others may read the file, or it is no redb file.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreRefused> {
        let failed = failed("opened its records");
        remove(&anew(path)).map_err(|e| failed(&e))?;
        let file = open_records(path)?;
        let database =
            Database::builder().set_cache_size(cache_bytes).create_file(file).map_err(|e| failed(&e))?;
        let home = Some(Home { path: path.to_owned(), cache_bytes, packed_bytes: 0 });
        // A file may have been left large by a crash in the middle of a ceremony.
        Ok(Self { database, home, commits: COMMITS_BETWEEN_LOOKS })
    }

    /// Reads the file into memory and takes up its last durable commit there; the file stays as it is.
    ///
    /// # Errors
    /// As [`Records::open`], and for a file of more than 4 GiB.
    pub fn copy(file: File) -> Result<Self, StoreFailed> {
        let failed = failed("read its records");
        let length = file.metadata().map_err(|e| failed(&e))?.len();
        if length > COPY_BYTES_MAX {
            return Err(failed(&format!("{length} bytes are too many to look at in memory")));
        }
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        let copy = InMemoryBackend::new();
        copy.set_len(length).and_then(|()| copy.write(0, &bytes)).map_err(|e| failed(&e))?;
        let database = Database::builder().create_with_backend(copy).map_err(|e| failed(&e))?;
        Ok(Self { database, home: None, commits: 0 })
    }

    /// Applies all changes or none; they are durable on return.
    ///
    /// # Errors
    /// [`StoreFailed`]: whether they are durable is not known, and the process has to end.
    pub fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        let failed = failed("saved its records");
        let mut transaction = self.database.begin_write().map_err(|e| failed(&e))?;
        transaction.set_durability(Durability::Immediate).map_err(|e| failed(&e))?;
        for table in Table::ALL {
            let mut of_table = writes.iter().filter(|write| write.table == table).peekable();
            if of_table.peek().is_none() {
                continue;
            }
            let mut opened = transaction.open_table(definition(table)).map_err(|e| failed(&e))?;
            for write in of_table {
                match &write.value {
                    Some(value) => {
                        opened.insert(write.key.as_slice(), value.as_slice()).map_err(|e| failed(&e))?;
                    }
                    None => drop(opened.remove(write.key.as_slice()).map_err(|e| failed(&e))?),
                }
            }
        }
        transaction.commit().map_err(|e| failed(&e))?;
        self.commits = self.commits.saturating_add(1);
        Ok(())
    }

    /// One record.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer.
    pub fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        let failed = failed("read a record back");
        let transaction = self.database.begin_read().map_err(|e| failed(&e))?;
        let opened = match transaction.open_table(definition(table)) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other.map_err(|e| failed(&e))?,
        };
        let found = opened.get(key).map_err(|e| failed(&e))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    /// A whole table.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer.
    pub fn all(&self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        let failed = failed("read its records");
        let transaction = self.database.begin_read().map_err(|e| failed(&e))?;
        let opened = match transaction.open_table(definition(table)) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            other => other.map_err(|e| failed(&e))?,
        };
        let mut rows = Vec::new();
        for row in opened.iter().map_err(|e| failed(&e))? {
            let (key, value) = row.map_err(|e| failed(&e))?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(rows)
    }

    /// What the file says of itself under a name.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreFailed> {
        let failed = failed("read whose records these are");
        let transaction = self.database.begin_read().map_err(|e| failed(&e))?;
        let opened = match transaction.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other.map_err(|e| failed(&e))?,
        };
        let found = opened.get(name).map_err(|e| failed(&e))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    /// Writes what the file says of itself, durably.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end.
    pub fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<(), StoreFailed> {
        let failed = failed("wrote whose records these are");
        let transaction = self.database.begin_write().map_err(|e| failed(&e))?;
        let mut opened = transaction.open_table(META).map_err(|e| failed(&e))?;
        opened.insert(name, value).map_err(|e| failed(&e))?;
        drop(opened);
        transaction.commit().map_err(|e| failed(&e))
    }

    /// Makes the file smaller if it is large and more than half of it is empty. To be called when nothing else is to be
    /// done: it takes as long as copying what is in use, and as much room beside it.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end. If there is no room to write everything anew, that is no error: the log
    /// says so, and the file stays as it is.
    pub fn compact_if_sparse(&mut self) -> Result<Option<Compacted>, StoreFailed> {
        let failed = failed("made its records smaller");
        let Some(home) = &self.home else { return Ok(None) };
        if self.commits < COMMITS_BETWEEN_LOOKS {
            return Ok(None);
        }
        self.commits = 0;
        let before = std::fs::metadata(&home.path).map_err(|e| failed(&e))?.len();
        if before < SMALL_BYTES || before <= home.packed_bytes / 4 * 9 || !self.is_half_empty(before)? {
            return Ok(None);
        }
        let directory = home.path.parent().unwrap_or(Path::new("."));
        let room = room_in(directory).map_err(|e| failed(&e))?;
        if room < before + ROOM_LEFT_BYTES {
            tracing::warn!(room, before, "the records stay as large as they are: too little room is left");
            return Ok(None);
        }
        let anew = anew(&home.path);
        let written = self.write_anew(&anew, home.cache_bytes);
        let replaced = written.and_then(|database| std::fs::rename(&anew, &home.path).map(|()| database));
        let database = match replaced {
            Ok(database) => database,
            Err(reason) if is_for_want_of_room(&reason) => {
                tracing::warn!(%reason, "the records stay as large as they are: they could not be written anew");
                // What is left of it takes room, and is removed by the next attempt or start.
                let _ = remove(&anew);
                return Ok(None);
            }
            Err(reason) => return Err(failed(&reason)),
        };
        // Both files say the same until the next commit, and that comes after the directory says which of them counts.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|e| failed(&e))?;
        let after = std::fs::metadata(&home.path).map_err(|e| failed(&e))?.len();
        let home = Some(Home { path: home.path.clone(), packed_bytes: after, ..*home });
        *self = Self { database, home, commits: 0 };
        Ok(Some(Compacted { before, after }))
    }

    /// Writes everything into another file, durably.
    fn write_anew(&self, path: &Path, cache_bytes: usize) -> io::Result<Database> {
        remove(path)?;
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let copy = || -> Result<Database, redb::Error> {
            let mut other = Database::builder().set_cache_size(cache_bytes).create_file(file)?;
            let reading = self.database.begin_read()?;
            let writing = other.begin_write()?;
            for table in Table::ALL {
                copy_table(&reading, &writing, definition(table))?;
            }
            copy_table(&reading, &writing, META)?;
            writing.commit()?;
            // The file grew by doubling.
            other.compact()?;
            Ok(other)
        };
        copy().map_err(|error| match error {
            redb::Error::Io(error) => error,
            other => io::Error::other(other),
        })
    }

    /// Whether rows and the nodes above them take no more than half of so many bytes, and nothing but tables that are
    /// known here is in the file: those of a later version are not for this one to leave behind.
    fn is_half_empty(&self, bytes: u64) -> Result<bool, StoreFailed> {
        let failed = failed("looked for free space in its records");
        let transaction = self.database.begin_write().map_err(|e| failed(&e))?;
        let stats = transaction.stats().map_err(|e| failed(&e))?;
        let mut tables = transaction.list_tables().map_err(|e| failed(&e))?;
        let is_known =
            |name: &str| name == META.name() || Table::ALL.iter().any(|table| table.name() == name);
        let all_known = tables.all(|table| is_known(table.name()));
        drop(tables);
        transaction.abort().map_err(|e| failed(&e))?;
        Ok(all_known && stats.stored_bytes() + stats.metadata_bytes() <= bytes / 2)
    }
}

/// Copies a table as it is, in its order; a table that is missing stays missing.
fn copy_table<K: Key, V: Value>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<K, V>,
) -> Result<(), redb::Error>
where
    for<'r> K::SelfType<'r>: Borrow<K::SelfType<'r>>,
    for<'r> V::SelfType<'r>: Borrow<V::SelfType<'r>>,
{
    let rows = match from.open_table(table) {
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        other => other?,
    };
    let mut copy = to.open_table(table)?;
    for row in rows.iter()? {
        let (key, value) = row?;
        copy.insert(key.value(), value.value())?;
    }
    Ok(())
}

/// Whether a file could not be written because there was no room for it, or its name was not free.
fn is_for_want_of_room(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, IsADirectory, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge | IsADirectory)
}

/// Where a file is written anew.
fn anew(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ANEW);
    PathBuf::from(name)
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn failed(doing: &'static str) -> impl Fn(&dyn Display) -> StoreFailed {
    move |reason| StoreFailed { doing, reason: reason.to_string() }
}
