//! The records of one signer in a redb file: one table of bytes per table of custody, one write transaction per
//! commit, durable when it returns.
//!
//! redb copies what it changes and keeps old pages until they are used again, so nothing is erased here by being
//! deleted: what is secret is ciphertext, and its key is in a slot. A record grows when a second epoch comes, so that its
//! page splits, and shrinks when the first one goes; so when half of the file is empty, everything is written anew in
//! its order into another file, which takes the place of the first. (redb's own compaction moves no record of more than
//! a page, and packs none.)

use super::StoreRefused;
use crate::private_file::open_records;
use perennial_custody::store::{Row, StoreFailed, Table, Write};
use redb::backends::InMemoryBackend;
use redb::{
    Database, Durability, Key, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend,
    TableDefinition, Value, WriteTransaction,
};
use std::borrow::Borrow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The table beside custody's, about the file itself.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// A file below this size is not worth making smaller, in bytes.
const SMALL_BYTES: u64 = 4 << 20;
/// Looking for free pages is worth it after so many commits.
const COMMITS_BETWEEN_LOOKS: u32 = 16;
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
        let home = Some(Home { path: path.to_owned(), cache_bytes });
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
        let Some(Home { path, cache_bytes }) = &self.home else { return Ok(None) };
        if self.commits < COMMITS_BETWEEN_LOOKS {
            return Ok(None);
        }
        self.commits = 0;
        let before = std::fs::metadata(path).map_err(|e| failed(&e))?.len();
        if before < SMALL_BYTES || self.content_bytes()? > before / 2 {
            return Ok(None);
        }
        let anew = anew(path);
        if let Err(reason) = self.write_anew(&anew, *cache_bytes) {
            tracing::warn!(%reason, "the records stay as large as they are: they could not be written anew");
            // What is left of it takes room, and is removed by the next attempt or start.
            let _ = remove(&anew);
            return Ok(None);
        }
        // Both files say the same until the next commit, and that comes after the directory says which of them counts.
        let directory = path.parent().unwrap_or(Path::new("."));
        let replaced = std::fs::rename(&anew, path);
        replaced.and_then(|()| File::open(directory)?.sync_all()).map_err(|e| failed(&e))?;
        let replacement = Self::open(path, *cache_bytes).map_err(|e| failed(&e))?;
        *self = Self { commits: 0, ..replacement };
        let after = self.home.as_ref().map_or(Ok(before), |home| Ok(std::fs::metadata(&home.path)?.len()));
        Ok(Some(Compacted { before, after: after.map_err(|e: io::Error| failed(&e))? }))
    }

    /// Writes everything into another file, durably.
    fn write_anew(&self, path: &Path, cache_bytes: usize) -> Result<(), StoreRefused> {
        let failed = failed("wrote its records anew");
        let mut other = Self::open(path, cache_bytes)?;
        let reading = self.database.begin_read().map_err(|e| failed(&e))?;
        let writing = other.database.begin_write().map_err(|e| failed(&e))?;
        for table in Table::ALL {
            copy_table(&reading, &writing, definition(table)).map_err(|e| failed(&e))?;
        }
        copy_table(&reading, &writing, META).map_err(|e| failed(&e))?;
        writing.commit().map_err(|e| failed(&e))?;
        // The file grew by doubling.
        other.database.compact().map_err(|e| failed(&e))?;
        Ok(())
    }

    /// What rows and the nodes above them take, without what is empty in between.
    fn content_bytes(&self) -> Result<u64, StoreFailed> {
        let failed = failed("looked for free space in its records");
        let transaction = self.database.begin_write().map_err(|e| failed(&e))?;
        let stats = transaction.stats().map_err(|e| failed(&e))?;
        transaction.abort().map_err(|e| failed(&e))?;
        Ok(stats.stored_bytes() + stats.metadata_bytes())
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
