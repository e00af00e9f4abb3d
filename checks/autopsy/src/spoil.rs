//! Damage, as a failing disk does it: a few bytes of one key slot change, and nothing else.
//!
//! The signer must not run meanwhile. The share of that slot opens never again; whether its signer starts all the
//! same, and what the others do about it, is what is to be seen.

use crate::body::{Body, SLOTS_FILE};
use crate::{Error, disk};
use perennial_custody::keyslots::SLOT_BYTES;
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Damages the key slot of the wallet's newest share in a stopped signer's store, and tells the epoch.
///
/// # Errors
/// [`Error`] when a signer works in the directory, it holds nothing of the wallet, or the disk refuses.
pub fn spoil_newest_share(directory: &Path, wallet: &WalletId) -> Result<Epoch, Error> {
    refuse_a_running_signer(directory)?;
    let body = Body::read(directory)?;
    let record = body.wallets.iter().find(|(id, _)| id == wallet).map(|(_, record)| record);
    let held = record
        .and_then(|record| record.held.last())
        .ok_or_else(|| Error::Question(format!("{} holds no share of {wallet}", directory.display())))?;
    let mut slot = body.slot(held.locked.slot).0;
    slot[SLOT_BYTES - 8..].iter_mut().for_each(|byte| *byte = !*byte);
    // The first place of the file names the store; slot 0 stands after it.
    let place = (u64::from(held.locked.slot.0) + 1) * SLOT_BYTES as u64;
    let path = directory.join(SLOTS_FILE);
    let file = File::options().write(true).open(&path).map_err(disk("open", &path))?;
    file.write_all_at(&slot, place).and_then(|()| file.sync_all()).map_err(disk("write", &path))?;
    Ok(held.share_set.epoch)
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
