//! What a signer needs of its disk. The signer's program and the simulated disk implement it.

use crate::keyslots::{SlotBytes, SlotIndex};
use std::fmt;

/// The tables of a signer's records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// Plans with their approvals, by digest.
    Plan,
    /// One record per wallet: its floor and the epochs held.
    Wallet,
    /// One record per chunk that is open, held or just retired.
    Chunk,
    /// This signer's own dealings, until they cannot be asked for any more.
    Dealing,
    /// Pair bases.
    Base,
    /// Sessions begun lately.
    Session,
    /// Counterparties that this signer no longer makes pairs with.
    Ban,
    /// Versions of governance with their approvals, by number.
    Governance,
    /// The last checkpoint of the ledger that was cosigned, and why this signer halted.
    Ledger,
    /// Orders with their approvals, by digest.
    Order,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Plan,
        Self::Wallet,
        Self::Chunk,
        Self::Dealing,
        Self::Base,
        Self::Session,
        Self::Ban,
        Self::Governance,
        Self::Ledger,
        Self::Order,
    ];

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Wallet => "wallet",
            Self::Chunk => "chunk",
            Self::Dealing => "dealing",
            Self::Base => "base",
            Self::Session => "session",
            Self::Ban => "ban",
            Self::Governance => "governance",
            Self::Ledger => "ledger",
            Self::Order => "order",
        }
    }
}

/// A key with its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One change of the records. It holds no secret: shares are ciphertext here.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: Table,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, none to delete.
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.value.is_some() { "put" } else { "delete" };
        write!(f, "{verb} {} {}", self.table.name(), hex::encode(&self.key))
    }
}

/// The disk did not do what it was asked. The process has to end: what is durable is no longer known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this signer's disk failed while it {doing}: {reason}; the signer stops: free or repair the disk, then start it again"
)]
pub struct StoreFailed {
    /// What was being done.
    pub doing: &'static str,
    /// What the disk said.
    pub reason: String,
}

/// A signer's disk: key slots and records.
pub trait Store {
    /// Overwrites slots. They are durable after [`Store::sync_slots`].
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn write_slots(&mut self, slots: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed>;
    /// Makes all slots durable.
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn sync_slots(&mut self) -> Result<(), StoreFailed>;
    /// Reads slots back from the disk.
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn read_slots(&mut self, slots: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed>;
    /// Applies all changes or none; they are durable on return.
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed>;
    /// Reads one record back.
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed>;
    /// All slots, when the signer starts.
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed>;
    /// A whole table, when the signer starts.
    ///
    /// # Errors
    /// [`StoreFailed`] ends the process.
    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed>;
}
