//! The records of one signer in a redb file: one table of bytes per table of custody, one write transaction per
//! commit, durable when it returns.
//!
//! redb copies what it changes and keeps old pages until they are used again, so nothing is erased here by being
//! deleted: what is secret is ciphertext, and its key is in a slot. The file is made small again when a quarter of
//! it is free, and the records of wallets are written anew in their order when a quarter of their pages is empty:
//! each grows when a second epoch comes, so that its page splits, and shrinks when the first one goes.

use perennial_custody::store::{Row, StoreFailed, Table, Write};
use redb::backends::InMemoryBackend;
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend,
    TableDefinition,
};
use std::fmt::Display;
use std::fs::File;
use std::io::Read;

/// The table beside custody's, about the file itself.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// A file below this size is not worth making smaller, in bytes.
const SMALL_BYTES: u64 = 4 << 20;
/// Looking for free pages is worth it after so many commits.
const COMMITS_BETWEEN_LOOKS: u32 = 16;
/// The most memory that a copy to look at may take: far above what 100,000 wallets need.
const COPY_BYTES_MAX: u64 = 4 << 30;

/// An open file of records.
#[derive(Debug)]
pub struct Records {
    database: Database,
    /// A second handle for its size; none for a copy in memory.
    file: Option<File>,
    commits: u32,
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
    /// Opens the file, and makes it if it is empty. After a crash the last commit that was durable is taken up.
    ///
    /// # Errors
    /// [`StoreFailed`] when the disk does not answer, or the file is no redb file.
    pub fn open(file: File, cache_bytes: usize) -> Result<Self, StoreFailed> {
        let failed = failed("opened its records");
        let second = file.try_clone().map_err(|e| failed(&e))?;
        let mut builder = Database::builder();
        let database = builder.set_cache_size(cache_bytes).create_file(file).map_err(|e| failed(&e))?;
        // A file may have been left large by a crash in the middle of a ceremony.
        Ok(Self { database, file: Some(second), commits: COMMITS_BETWEEN_LOOKS })
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
        Ok(Self { database, file: None, commits: 0 })
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

    /// Makes the file smaller if it is large and more than a quarter of it is free or could be. To be called when
    /// nothing else is to be done: it takes as long as copying what is in use.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end.
    pub fn compact_if_sparse(&mut self) -> Result<Option<Compacted>, StoreFailed> {
        let failed = failed("made its records smaller");
        let Some(file) = &self.file else { return Ok(None) };
        if self.commits < COMMITS_BETWEEN_LOOKS {
            return Ok(None);
        }
        self.commits = 0;
        let before = file.metadata().map_err(|e| failed(&e))?.len();
        if before < SMALL_BYTES || (!self.repack_if_sparse()? && self.bytes_in_use()? > before / 4 * 3) {
            return Ok(None);
        }
        self.database.compact().map_err(|e| failed(&e))?;
        let after = file.metadata().map_err(|e| failed(&e))?.len();
        Ok(Some(Compacted { before, after }))
    }

    /// Writes the records of wallets anew if they fill less than three quarters of their pages: what comes in its order
    /// fills them.
    fn repack_if_sparse(&self) -> Result<bool, StoreFailed> {
        let failed = failed("packed the records of its wallets");
        let table = definition(Table::Wallet);
        let transaction = self.database.begin_write().map_err(|e| failed(&e))?;
        let stats = transaction.open_table(table).map_err(|e| failed(&e))?.stats().map_err(|e| failed(&e))?;
        if stats.fragmented_bytes() < stats.stored_bytes() / 3 {
            transaction.abort().map_err(|e| failed(&e))?;
            return Ok(false);
        }
        let rows = self.all(Table::Wallet)?;
        transaction.delete_table(table).map_err(|e| failed(&e))?;
        let mut anew = transaction.open_table(table).map_err(|e| failed(&e))?;
        for (key, value) in &rows {
            anew.insert(key.as_slice(), value.as_slice()).map_err(|e| failed(&e))?;
        }
        drop(anew);
        transaction.commit().map_err(|e| failed(&e))?;
        Ok(true)
    }

    fn bytes_in_use(&self) -> Result<u64, StoreFailed> {
        let failed = failed("looked for free space in its records");
        let transaction = self.database.begin_write().map_err(|e| failed(&e))?;
        let stats = transaction.stats().map_err(|e| failed(&e))?;
        transaction.abort().map_err(|e| failed(&e))?;
        Ok(stats.allocated_pages() * stats.page_size() as u64)
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

fn failed(doing: &'static str) -> impl Fn(&dyn Display) -> StoreFailed {
    move |reason| StoreFailed { doing, reason: reason.to_string() }
}
