//! This signer's disk: `records.redb` and `slots.bin` for the keeper, `sessions.redb` for the signing desk, each
//! with one owner thread.
//!
//! A store belongs to one signer for ever. It refuses to open one that is another's, that has lost one of its
//! files, or that was made with another wrapping key: opening it wrongly could erase what it does not know.

mod records;
mod slots;

pub use records::Compacted;

use crate::keys::identity_digits;
use crate::private_file::{PrivateFileError, open_to_read};
use minicbor::{Decode, Encode};
use perennial_custody::keyslots::{SlotBytes, SlotIndex};
use perennial_custody::store::{Row, Store, StoreFailed, Table, Write};
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::identity::IdentityKey;
use records::Records;
use slots::{Found, SlotFile};
use std::path::{Path, PathBuf};

/// The keeper's records.
pub const RECORDS_FILE: &str = "records.redb";
/// The keeper's key slots.
pub const SLOTS_FILE: &str = "slots.bin";
/// The signing desk's records.
pub const SESSIONS_FILE: &str = "sessions.redb";
/// The sessions of a few minutes and a few bans need little cache, in bytes.
const SESSIONS_CACHE_BYTES: usize = 4 << 20;
/// Under this name a file of records says whose it is.
const OWNER: &str = "owner";

/// Whose store it is. It is written when the store is made and never changed.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Owner {
    /// The signer's name.
    #[n(0)]
    pub signer: SignerId,
    /// The key of its statements.
    #[n(1)]
    pub identity_key: IdentityKey,
    /// A digest that tells its wrapping key from others.
    #[n(2)]
    pub wrapping_check: Digest,
}

#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
struct Ownership {
    #[n(0)]
    owner: Owner,
    /// The random name that the slot file bears too.
    #[n(1)]
    store: Digest,
}

impl Document for Ownership {
    const KIND: &'static str = "signer-store";
}

/// Why a store is not opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreRefused {
    /// The disk does not answer.
    #[error(transparent)]
    Disk(#[from] StoreFailed),
    /// Others may read a file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// It is a store from another signer.
    #[error(
        "{path} is a store from another signer: it was made by `{owner}` ({owner_key}), but this directory's key is \
         `{me}` ({my_key}); give each signer its own directory, and put back the files that belong here",
        path = path.display()
    )]
    OtherSigner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: SignerId,
        /// The beginning of that signer's identity key.
        owner_key: String,
        /// Who wants to use it.
        me: SignerId,
        /// The beginning of this signer's identity key.
        my_key: String,
    },
    /// Its files do not belong together.
    #[error("{path}: {reason}", path = path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// What both lanes need of the disk.
#[derive(Debug)]
pub struct Stores {
    /// The keeper's.
    pub keeper: KeeperStore,
    /// The signing desk's.
    pub sessions: SessionStore,
}

/// The keeper's records and slots.
#[derive(Debug)]
pub struct KeeperStore {
    records: Records,
    slots: SlotFile,
}

/// The signing desk's records: sessions begun lately, and bans. It has no slots.
#[derive(Debug)]
pub struct SessionStore {
    records: Records,
}

/// Whether a store was begun in this directory.
///
/// # Errors
/// When the disk does not answer.
pub fn exists(directory: &Path) -> std::io::Result<bool> {
    for name in [RECORDS_FILE, SLOTS_FILE, SESSIONS_FILE] {
        if directory.join(name).try_exists()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens the store of this owner, and makes it if there is none.
///
/// # Errors
/// [`StoreRefused`] when it is not this signer's or not whole, or the disk does not answer.
pub fn open(directory: &Path, owner: &Owner, records_cache_bytes: usize) -> Result<Stores, StoreRefused> {
    let keeper = KeeperStore::open(directory, owner, records_cache_bytes)?;
    let path = directory.join(SESSIONS_FILE);
    let mut records = Records::open(&path, SESSIONS_CACHE_BYTES)?;
    match read_ownership(&records, &path)? {
        Some(found) => check_owner(&path, &found.owner, owner)?,
        // Sessions are remembered for minutes only; so this file may be made anew.
        None => records.set_meta(
            OWNER,
            &encoding::encode(&Ownership { owner: owner.clone(), store: Digest::default() }),
        )?,
    }
    Ok(Stores { keeper, sessions: SessionStore { records } })
}

/// Copies of the records in memory, to be looked at while no process works in the directory; none if the signer
/// never ran. The second is empty if there are no sessions.
///
/// # Errors
/// [`StoreRefused`] when the files cannot be read.
pub fn look(directory: &Path) -> Result<Option<Look>, StoreRefused> {
    let path = directory.join(RECORDS_FILE);
    let records = match open_to_read(&path) {
        Err(missing) if missing.is_missing() => return Ok(None),
        other => Records::copy(other?)?,
    };
    let Some(ownership) = read_ownership(&records, &path)? else { return Ok(None) };
    let slots = match SlotFile::find_to_read(&directory.join(SLOTS_FILE))? {
        Found::Slots(mut slots, _) => slots.all()?,
        Found::Nothing | Found::Foreign => Vec::new(),
    };
    let sessions = match open_to_read(&directory.join(SESSIONS_FILE)) {
        Err(missing) if missing.is_missing() => None,
        other => Some(Records::copy(other?)?),
    };
    Ok(Some(Look { owner: ownership.owner, records, sessions, slots }))
}

/// What [`look`] found.
#[derive(Debug)]
pub struct Look {
    /// Whose it is.
    pub owner: Owner,
    /// All slots.
    pub slots: Vec<SlotBytes>,
    records: Records,
    sessions: Option<Records>,
}

impl Look {
    /// A table of the keeper's records.
    ///
    /// # Errors
    /// [`StoreFailed`] when the copy is damaged.
    pub fn of_keeper(&self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        self.records.all(table)
    }

    /// A table of the desk's records.
    ///
    /// # Errors
    /// [`StoreFailed`] when the copy is damaged.
    pub fn of_desk(&self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        self.sessions.as_ref().map_or(Ok(Vec::new()), |records| records.all(table))
    }
}

impl KeeperStore {
    fn open(directory: &Path, owner: &Owner, cache_bytes: usize) -> Result<Self, StoreRefused> {
        let slots_path = directory.join(SLOTS_FILE);
        let records_path = directory.join(RECORDS_FILE);
        if slots_path.exists() {
            open_to_read(&slots_path)?;
        }
        let found = SlotFile::find(&slots_path)?;
        let mut records = Records::open(&records_path, cache_bytes)?;
        let incomplete = |path: &Path, reason: &str| {
            Err(StoreRefused::Incomplete { path: path.to_owned(), reason: reason.to_owned() })
        };
        match (read_ownership(&records, &records_path)?, found) {
            (_, Found::Foreign) => incomplete(&slots_path, "is no key-slot file; put back the original"),
            (Some(known), Found::Slots(slots, store)) => {
                check_owner(&records_path, &known.owner, owner)?;
                if known.store != store {
                    return incomplete(
                        &slots_path,
                        "belongs to other records than those in this directory; put back the one that was made \
                         with them, or enrol this signer anew",
                    );
                }
                Ok(Self { records, slots })
            }
            (Some(known), Found::Nothing) => {
                check_owner(&records_path, &known.owner, owner)?;
                incomplete(
                    &slots_path,
                    "is missing or empty, and without it no share here opens; put it back, or enrol this signer \
                     anew and refresh it in",
                )
            }
            (None, Found::Slots(mut slots, store)) => {
                if slots.all()?.iter().any(|slot| *slot != SlotBytes::EMPTY) {
                    return incomplete(
                        &records_path,
                        "is missing or empty, but there are keys in slots.bin; put back the records that they \
                         belong to",
                    );
                }
                records.set_meta(OWNER, &encoding::encode(&Ownership { owner: owner.clone(), store }))?;
                Ok(Self { records, slots })
            }
            (None, Found::Nothing) => {
                let store = random_name()?;
                let slots = SlotFile::make(&slots_path, &store)?;
                records.set_meta(OWNER, &encoding::encode(&Ownership { owner: owner.clone(), store }))?;
                Ok(Self { records, slots })
            }
        }
    }

    /// Makes the records smaller if that is worth it. See [`Compacted`].
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end.
    pub fn compact_if_sparse(&mut self) -> Result<Option<Compacted>, StoreFailed> {
        self.records.compact_if_sparse()
    }
}

impl Store for KeeperStore {
    fn write_slots(&mut self, slots: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        self.slots.write(slots)
    }
    fn sync_slots(&mut self) -> Result<(), StoreFailed> {
        self.slots.sync()
    }
    fn read_slots(&mut self, slots: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        self.slots.read(slots)
    }
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        self.records.commit(writes)
    }
    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        self.records.read(table, key)
    }
    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        self.slots.all()
    }
    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        self.records.all(table)
    }
}

impl Store for SessionStore {
    fn write_slots(&mut self, _: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        Err(no_slots())
    }
    fn sync_slots(&mut self) -> Result<(), StoreFailed> {
        Err(no_slots())
    }
    fn read_slots(&mut self, _: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        Err(no_slots())
    }
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        self.records.commit(writes)
    }
    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        self.records.read(table, key)
    }
    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        Err(no_slots())
    }
    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        self.records.all(table)
    }
}

fn no_slots() -> StoreFailed {
    StoreFailed { doing: "looked for key slots", reason: "the signing desk has none".to_owned() }
}

fn read_ownership(records: &Records, path: &Path) -> Result<Option<Ownership>, StoreRefused> {
    let Some(bytes) = records.meta(OWNER)? else { return Ok(None) };
    encoding::decode(&bytes).map(Some).map_err(|e| StoreRefused::Incomplete {
        path: path.to_owned(),
        reason: format!("does not say whose it is ({e}); put back the original"),
    })
}

fn check_owner(path: &Path, found: &Owner, me: &Owner) -> Result<(), StoreRefused> {
    if found.signer != me.signer || found.identity_key != me.identity_key {
        return Err(StoreRefused::OtherSigner {
            path: path.to_owned(),
            owner: found.signer.clone(),
            owner_key: shown(&found.identity_key),
            me: me.signer.clone(),
            my_key: shown(&me.identity_key),
        });
    }
    if found.wrapping_check != me.wrapping_check {
        let reason = "was made with another wrapping.key, and no share in it opens with the one that is there; put \
                      back the original";
        return Err(StoreRefused::Incomplete { path: path.to_owned(), reason: reason.to_owned() });
    }
    Ok(())
}

fn shown(key: &IdentityKey) -> String {
    let digits = identity_digits(key);
    format!("identity key {}…", digits.get(..8).unwrap_or(&digits))
}

fn random_name() -> Result<Digest, StoreFailed> {
    let mut name = [0; 32];
    getrandom::fill(&mut name)
        .map_err(|e| StoreFailed { doing: "named its store", reason: e.to_string() })?;
    Ok(Digest(name))
}

#[cfg(test)]
mod tests;
