//! Nothing leaves before it is saved.
//!
//! A decision comes as a [`Turn`]: the next state, the effects on the disk in their order, and the mail. State
//! and mail come out of it only through [`Turn::save`], after every effect is durable.
//!
//! ```compile_fail
//! fn hurry(turn: perennial_custody::turn::Turn) -> Vec<perennial_model::mail::Reply> {
//!     turn.mail
//! }
//! ```
//!
//! ```
//! # use perennial_custody::{serving::Serve, store::{Store, StoreFailed}, turn::Turn};
//! fn wait(
//!     turn: Turn,
//!     store: &mut dyn Store,
//!     desk: &mut dyn Serve,
//! ) -> Result<Vec<perennial_model::mail::Reply>, StoreFailed> {
//!     Ok(turn.save(store, desk)?.mail)
//! }
//! ```

use crate::keeper::Keeper;
use crate::keyslots::{SlotBytes, SlotIndex};
use crate::serving::{Change, Serve};
use crate::store::{Store, StoreFailed, Table, Write};
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::mail::Reply;
use perennial_model::planted;
use perennial_model::wallet::WalletId;

/// One effect of a decision. A crash may come between any two; what follows a restart takes it from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Overwrite key slots and wait until they are durable.
    Slots(Vec<(SlotIndex, SlotBytes)>),
    /// Change records, all or none, durable on return.
    Commit(Vec<Write>),
    /// Read records and slots back from the disk and compare them with what was written.
    ReadBack { records: Vec<(Table, Vec<u8>, Digest)>, slots: Vec<(SlotIndex, SlotBytes)> },
    /// Stop serving these epochs; goes on when no session under them runs any more.
    Withdraw(Vec<(WalletId, Epoch)>),
    /// Overwrite key slots with zeros, wait until that is durable, read it back.
    Erase(Vec<SlotIndex>),
}

/// A decision that is not yet saved.
#[derive(Debug)]
#[must_use = "a turn that is not saved did not happen"]
pub struct Turn {
    keeper: Keeper,
    effects: Vec<Effect>,
    changes: Vec<Change>,
    mail: Vec<Reply>,
}

/// What a saved turn gives out.
#[derive(Debug)]
pub struct Saved {
    /// The next state.
    pub keeper: Keeper,
    /// What may leave now.
    pub mail: Vec<Reply>,
}

/// A decision while it is being made.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub effects: Vec<Effect>,
    pub changes: Vec<Change>,
    pub mail: Vec<Reply>,
}

impl Turn {
    pub(crate) fn new(keeper: Keeper, draft: Draft) -> Self {
        Self { keeper, effects: draft.effects, changes: draft.changes, mail: draft.mail }
    }

    /// The next state, before it is saved: for whoever makes the turn.
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The same turn, with one more change for the desk.
    pub(crate) fn telling(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Makes every effect durable, in order; then, and only then, gives out state and mail.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end. What was saved so far is taken up after the restart.
    pub fn save(self, store: &mut dyn Store, desk: &mut dyn Serve) -> Result<Saved, StoreFailed> {
        for effect in self.effects {
            effect.carry_out(store, desk)?;
        }
        if !self.changes.is_empty() {
            desk.publish(self.changes);
        }
        Ok(Saved { keeper: self.keeper, mail: self.mail })
    }
}

impl Effect {
    fn carry_out(self, store: &mut dyn Store, desk: &mut dyn Serve) -> Result<(), StoreFailed> {
        match self {
            Self::Slots(slots) => {
                store.write_slots(&slots)?;
                if !planted!(AcknowledgeBeforeSync) {
                    store.sync_slots()?;
                }
                Ok(())
            }
            Self::Commit(writes) => store.commit(&writes),
            Self::ReadBack { records, slots } => read_back(store, &records, &slots),
            Self::Withdraw(epochs) => {
                if !planted!(SignAfterRetirement) {
                    desk.withdraw(&epochs);
                }
                Ok(())
            }
            Self::Erase(slots) => erase(store, &slots),
        }
    }
}

fn read_back(
    store: &mut dyn Store,
    records: &[(Table, Vec<u8>, Digest)],
    slots: &[(SlotIndex, SlotBytes)],
) -> Result<(), StoreFailed> {
    let failed = |what: &str| StoreFailed {
        doing: "read back what it had just written",
        reason: format!("{what} came back different"),
    };
    for (table, key, digest) in records {
        let found = store.read(*table, key)?.ok_or_else(|| failed("a record"))?;
        if Digest::of(&found) != *digest {
            return Err(failed("a record"));
        }
    }
    let places: Vec<SlotIndex> = slots.iter().map(|(at, _)| *at).collect();
    let found = store.read_slots(&places)?;
    let same = found.len() == slots.len() && found.iter().zip(slots).all(|(found, (_, put))| found == put);
    if same || planted!(AcknowledgeBeforeSync) { Ok(()) } else { Err(failed("a key slot")) }
}

fn erase(store: &mut dyn Store, slots: &[SlotIndex]) -> Result<(), StoreFailed> {
    if slots.is_empty() || planted!(SkipErasure) {
        return Ok(());
    }
    let zeros: Vec<_> = slots.iter().map(|at| (*at, SlotBytes::EMPTY)).collect();
    store.write_slots(&zeros)?;
    store.sync_slots()?;
    read_back(store, &[], &zeros)
}
