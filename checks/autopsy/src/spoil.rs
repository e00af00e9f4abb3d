//! Damage, as a failing disk does it: one byte of a share's ciphertext changes, and nothing else.
//!
//! The signer must not run meanwhile. Its key slot stays whole, so the signer starts as always; only the share no
//! longer opens, which shows when it is to sign.

use crate::body::{RECORDS_FILE, definition, open_records, records_table};
use crate::{Error, disk, unreadable};
use perennial_custody::record::WalletRecord;
use perennial_custody::store::Table;
use perennial_model::encoding;
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use redb::Database;
use std::fs::{File, TryLockError};
use std::path::Path;

/// Changes one byte of the ciphertext of the wallet's newest share in a stopped signer's store, and tells the
/// epoch.
///
/// # Errors
/// [`Error`] when a signer works in the directory, it holds nothing of the wallet, or the disk refuses.
pub fn spoil_newest_share(directory: &Path, wallet: &WalletId) -> Result<Epoch, Error> {
    refuse_a_running_signer(directory)?;
    let path = directory.join(RECORDS_FILE);
    let key = wallet.as_str().as_bytes();
    let rows = records_table(&open_records(&path)?, &path, Table::Wallet)?;
    let row = rows.into_iter().find(|(found, _)| found == key);
    let (_, value) = row.ok_or_else(|| nothing_held(directory, wallet))?;
    let mut record: WalletRecord = encoding::decode(&value).map_err(|e| unreadable(&path, e))?;
    let held = record.held.last_mut().ok_or_else(|| nothing_held(directory, wallet))?;
    let epoch = held.share_set.epoch;
    let byte = held.locked.ciphertext.0.first_mut();
    *byte.ok_or_else(|| unreadable(&path, "an empty ciphertext"))? ^= 1;
    write(&path, key, &encoding::encode(&record))?;
    Ok(epoch)
}

fn write(path: &Path, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let failed = |e: &dyn std::fmt::Display| unreadable(path, e);
    let database = Database::open(path).map_err(|e| failed(&e))?;
    let transaction = database.begin_write().map_err(|e| failed(&e))?;
    let mut table = transaction.open_table(definition(Table::Wallet)).map_err(|e| failed(&e))?;
    table.insert(key, value).map_err(|e| failed(&e))?;
    drop(table);
    transaction.commit().map_err(|e| failed(&e))
}

/// A signer holds a lock on this file as long as it works in the directory.
fn refuse_a_running_signer(directory: &Path) -> Result<(), Error> {
    let path = directory.join("lock");
    match File::open(&path).map_err(disk("open", &path))?.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Question(format!("a signer works in {}: stop it first", directory.display())))
        }
        Err(TryLockError::Error(source)) => Err(disk("lock", &path)(source)),
    }
}

fn nothing_held(directory: &Path, wallet: &WalletId) -> Error {
    Error::Question(format!("{} holds no share of {wallet}", directory.display()))
}
