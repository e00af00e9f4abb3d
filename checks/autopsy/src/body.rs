//! A signer's directory as a thief finds it: records, key slots and the key that wraps them.
//!
//! Everything is read into memory and nothing is changed, so a copy that was taken in the middle of a write is
//! taken up at its last whole commit, as the signer would after a crash.

use crate::{Error, disk, unreadable};
use minicbor::{Decode, Encode};
use perennial_custody::keyslots::{SLOT_BYTES, SlotBytes, WrappingKey};
use perennial_custody::record::{BaseRecord, WalletRecord};
use perennial_custody::store::{Row, Table};
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::identity::IdentityKey;
use perennial_model::wallet::WalletId;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError};
use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The keeper's records, in redb.
pub const RECORDS_FILE: &str = "records.redb";
/// The key slots: a place that names the store, then one place of 72 bytes for each slot.
pub const SLOTS_FILE: &str = "slots.bin";
/// The 32 bytes that wrap the keys in the slots.
pub const WRAPPING_FILE: &str = "wrapping.key";

/// How often a copy of a running signer's directory is tried before it is given up.
const COPY_TRIES: u32 = 200;
/// A share that stays closed in so many copies in a row is damaged: no step of a signer takes that long.
const DAMAGED_AFTER: u32 = 30;
/// How long to let the signer go on between two tries.
const COPY_PAUSE: Duration = Duration::from_millis(10);

/// A copied directory, read.
pub struct Body {
    /// Where it was read from.
    pub directory: PathBuf,
    /// Whose it is.
    pub signer: SignerId,
    /// What opens the slots.
    pub wrapping: WrappingKey,
    /// The slots, by place.
    pub slots: Vec<SlotBytes>,
    /// What the signer holds of each wallet.
    pub wallets: Vec<(WalletId, WalletRecord)>,
    /// Its pair bases, locked.
    pub bases: Vec<BaseRecord>,
}

/// What the records say of their owner. Only the name is used; the rest is there because it is there.
#[derive(Clone, Debug, Encode, Decode)]
struct Ownership {
    #[n(0)]
    owner: Owner,
    #[n(1)]
    store: Digest,
}

impl Document for Ownership {
    const KIND: &'static str = "signer-store";
}

#[derive(Clone, Debug, Encode, Decode)]
struct Owner {
    #[n(0)]
    signer: SignerId,
    #[n(1)]
    identity_key: IdentityKey,
    #[n(2)]
    wrapping_check: Digest,
}

impl Body {
    /// Reads a directory. A signer that works in it may write meanwhile; then the parts may not belong together.
    ///
    /// # Errors
    /// [`Error`] for files that are missing or not what they should be.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(RECORDS_FILE);
        let records = open_records(&path)?;
        let owner = records_meta(&records, &path)?;
        let wallets = records_table(&records, &path, Table::Wallet)?;
        let wallets = wallets.into_iter().map(|row| wallet(&path, row)).collect::<Result<_, _>>()?;
        let bases = records_table(&records, &path, Table::Base)?.into_iter();
        let bases = bases.map(|(_, value)| encoding::decode(&value).map_err(|e| unreadable(&path, e)));
        let bases = bases.collect::<Result<_, _>>()?;
        Ok(Self {
            directory: directory.to_owned(),
            signer: owner.owner.signer,
            wrapping: read_wrapping(&directory.join(WRAPPING_FILE))?,
            slots: read_slots(&directory.join(SLOTS_FILE))?,
            wallets,
            bases,
        })
    }

    /// What a slot holds; zeros beyond the end of the file.
    pub fn slot(&self, at: perennial_custody::keyslots::SlotIndex) -> SlotBytes {
        self.slots.get(at.0 as usize).copied().unwrap_or(SlotBytes::EMPTY)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({}, {} wallets)", self.signer, self.wallets.len())
    }
}

/// Copies a signer's directory, running or not, and tries again until every share that the copied records name
/// opens with the copied slots: until records and slots are of one moment. Shares that open in none of several
/// copies in a row are damaged where they are, and are copied as that.
///
/// # Errors
/// [`Error`] when the disk refuses, the target exists, or no try came out whole.
pub fn copy(from: &Path, to: &Path) -> Result<Body, Error> {
    DirBuilder::new().mode(0o700).create(to).map_err(disk("make", to))?;
    let mut last = None;
    let (mut closed, mut times) = (BTreeSet::new(), 0);
    for _ in 0..COPY_TRIES {
        copy_files(from, to)?;
        match Body::read(to) {
            Ok(body) => {
                let closed_now = closed_shares(&body);
                times = if closed_now == closed { times + 1 } else { 1 };
                closed = closed_now;
                if closed.is_empty() || times == DAMAGED_AFTER {
                    return Ok(body);
                }
            }
            Err(error) => last = Some(error),
        }
        std::thread::sleep(COPY_PAUSE);
    }
    Err(last.unwrap_or_else(|| {
        Error::Question(format!(
            "no copy of {} came out whole: its shares change all the time",
            from.display()
        ))
    }))
}

/// The shares that do not open with the slots beside them.
fn closed_shares(body: &Body) -> BTreeSet<(WalletId, Epoch)> {
    let found = crate::shares::open_all(body, body).into_iter();
    let closed = found.filter(|share| share.secret.is_none());
    closed.map(|share| (share.share_set.wallet.id.clone(), share.share_set.epoch)).collect()
}

fn copy_files(from: &Path, to: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(from).map_err(disk("list", from))? {
        let entry = entry.map_err(disk("list", from))?;
        let path = entry.path();
        if entry.file_type().map_err(disk("inspect", &path))?.is_file() {
            let target = to.join(entry.file_name());
            match std::fs::copy(&path, &target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.map_err(disk("copy", &path))?),
            }
        }
    }
    Ok(())
}

/// The records, copied into memory and taken up there.
pub(crate) fn open_records(path: &Path) -> Result<Database, Error> {
    let bytes = std::fs::read(path).map_err(disk("read", path))?;
    let memory = InMemoryBackend::new();
    let copied = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes));
    copied.map_err(disk("read", path))?;
    Database::builder().create_with_backend(memory).map_err(|e| unreadable(path, format!("no records: {e}")))
}

/// How a table of custody's records is called in the file.
pub(crate) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

/// A whole table; empty if there is none.
pub(crate) fn records_table(records: &Database, path: &Path, table: Table) -> Result<Vec<Row>, Error> {
    let failed = |e: &dyn std::fmt::Display| unreadable(path, e);
    let transaction = records.begin_read().map_err(|e| failed(&e))?;
    let opened = match transaction.open_table(definition(table)) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        other => other.map_err(|e| failed(&e))?,
    };
    let mut rows = Vec::new();
    for row in opened.iter().map_err(|e| failed(&e))? {
        let (key, value) = row.map_err(|e| failed(&e))?;
        rows.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(rows)
}

fn records_meta(records: &Database, path: &Path) -> Result<Ownership, Error> {
    const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
    let failed = |e: &dyn std::fmt::Display| unreadable(path, format!("nothing says whose it is: {e}"));
    let transaction = records.begin_read().map_err(|e| failed(&e))?;
    let meta = transaction.open_table(META).map_err(|e| failed(&e))?;
    let owner = meta.get("owner").map_err(|e| failed(&e))?;
    let owner = owner.ok_or_else(|| failed(&"no owner"))?;
    encoding::decode(owner.value()).map_err(|e| failed(&e))
}

fn wallet(path: &Path, (key, value): Row) -> Result<(WalletId, WalletRecord), Error> {
    let id = String::from_utf8_lossy(&key).parse().map_err(|e| unreadable(path, format!("{e}")))?;
    let record = encoding::decode(&value).map_err(|e| unreadable(path, e))?;
    Ok((id, record))
}

fn read_wrapping(path: &Path) -> Result<WrappingKey, Error> {
    let bytes = Zeroizing::new(std::fs::read(path).map_err(disk("read", path))?);
    let key: [u8; 32] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| unreadable(path, format!("{} bytes, not 32", bytes.len())))?;
    Ok(WrappingKey::from_secret_bytes(Zeroizing::new(key)))
}

fn read_slots(path: &Path) -> Result<Vec<SlotBytes>, Error> {
    let bytes = std::fs::read(path).map_err(disk("read", path))?;
    let (places, rest) = bytes.as_chunks::<SLOT_BYTES>();
    let head = places.first().filter(|head| head.starts_with(b"perennial key slots, format 1\n"));
    if head.is_none() || !rest.is_empty() {
        return Err(unreadable(path, "these are no key slots of format 1"));
    }
    Ok(places[1..].iter().map(|place| SlotBytes(*place)).collect())
}
