//! This signer as a witness of the ledger: it cosigns a checkpoint only if it continues the last one that it cosigned.
//!
//! What was cosigned is durable before the cosignature leaves. A ledger that breaks its word (it forks, loses or
//! rewrites entries) is not served any longer: the signer halts, durably, with both checkpoints as evidence. From then
//! on it signs nothing, votes nothing and erases nothing, in this process and in every later one, until an operator
//! clears the halt on this machine or a quorum readmits it from exactly this halt. It still learns what people order and
//! how they govern: else nobody could.

use crate::keeper::Keeper;
use crate::record::{delete, put};
use crate::serving::Change;
use crate::store::{Store, StoreFailed, Table, Write};
use crate::turn::{Draft, Effect};
use minicbor::{Decode, Encode};
use perennial_ledger::witness::{Refusal, judge};
use perennial_ledger::{Checkpoint, ConsistencyProof, Cosignature, KeyName, NoteKey, TreeHead, WitnessKey};
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::error::Error;
use perennial_model::governance::Governance;
use perennial_model::identity::{FindIdentity, IdentityKey, Signed};
use perennial_model::mail::Reply;
use perennial_model::planted;
use perennial_model::witness::{Alarm, Answer, Breach, Offer};
use std::sync::Arc;

/// The key of the record of what was cosigned.
const CHECKPOINT: &[u8] = b"checkpoint";
/// The key of the record of why this signer halted.
pub const HALT: &[u8] = b"halt";

/// The last checkpoint that this signer cosigned, and the key by which it knows the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CheckpointRecord {
    /// The ledger's key in one line.
    #[n(0)]
    pub key: String,
    /// The checkpoint as the ledger signed it.
    #[n(1)]
    pub note: Bytes,
    /// The latest time at which a checkpoint taken here was sent, in milliseconds since 1970 by the coordinator's
    /// clock.
    #[n(2)]
    pub sent_ms: u64,
}

impl Document for CheckpointRecord {
    const KIND: &'static str = "checkpoint-record";
}

/// Why this signer halted.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct HaltRecord {
    /// In words.
    #[n(0)]
    pub reason: String,
    /// What it tells everybody, with both checkpoints.
    #[n(1)]
    pub alarm: Signed<Alarm>,
}

impl Document for HaltRecord {
    const KIND: &'static str = "halt-record";
}

/// What is left when a halt is cleared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear {
    /// The last checkpoint cosigned stays: only a ledger that continues it is cosigned again.
    Halt,
    /// That is forgotten as well: the next checkpoint is taken as the first one, whatever it says.
    HaltAndCheckpoint,
}

/// What a signer's disk says of the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// What it cosigned last.
    pub checkpoint: Option<CheckpointRecord>,
    /// Why it halted, if it has.
    pub halt: Option<HaltRecord>,
}

/// Reads a signer's rows of [`Table::Ledger`], without checking the ledger's signatures.
///
/// # Errors
/// When a record cannot be read.
pub fn standing(rows: &[(Vec<u8>, Vec<u8>)]) -> Result<Standing, Error> {
    let find = |name: &[u8]| rows.iter().find(|(key, _)| key == name).map(|(_, bytes)| bytes.as_slice());
    Ok(Standing {
        checkpoint: find(CHECKPOINT).map(encoding::decode).transpose()?,
        halt: find(HALT).map(encoding::decode).transpose()?,
    })
}

/// Clears the halt of a signer that does not run.
///
/// # Errors
/// [`StoreFailed`]: it may not be cleared.
pub fn clear(store: &mut dyn Store, clear: Clear) -> Result<(), StoreFailed> {
    let mut writes = vec![delete(Table::Ledger, HALT.to_vec())];
    if clear == Clear::HaltAndCheckpoint {
        writes.push(delete(Table::Ledger, CHECKPOINT.to_vec()));
    }
    store.commit(&writes)
}

/// The witness's state: the last checkpoint cosigned, with every check passed, and the halt.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    held: Option<Held>,
    halt: Option<(Arc<str>, Signed<Alarm>)>,
}

#[derive(Debug)]
struct Held {
    record: CheckpointRecord,
    key: NoteKey,
    head: TreeHead,
}

impl Witness {
    /// Takes up what is on disk. A record that cannot be read stops the signer: it must not begin anew by damage.
    pub(crate) fn read(store: &mut dyn Store) -> Result<Self, StoreFailed> {
        let failed = |reason: String| StoreFailed { doing: "read what it knows of the ledger", reason };
        let Standing { checkpoint, halt } =
            standing(&store.all(Table::Ledger)?).map_err(|e| failed(e.to_string()))?;
        let held = checkpoint.map(Held::of).transpose().map_err(|e| failed(e.to_string()))?;
        Ok(Self { held, halt: halt.map(|halt| (in_words(&halt.reason), halt.alarm)) })
    }

    /// Why this signer does nothing any more.
    pub(crate) fn halted(&self) -> Option<&Arc<str>> {
        self.halt.as_ref().map(|(reason, _)| reason)
    }

    /// The digest of what this signer halted for, to be named by whoever readmits it.
    pub(crate) fn halt_digest(&self) -> Option<Digest> {
        self.halt.as_ref().map(|(_, alarm)| alarm.body_digest())
    }

    /// Ends exactly the halt that an order names: gives the writes, none if this signer halted for something else, or
    /// not at all. What was cosigned stays: only a ledger that continues it is cosigned again.
    pub(crate) fn readmit(&mut self, halt: &Digest) -> Option<Write> {
        self.halt_digest().filter(|known| known == halt || planted!(ReadmitFromAnyHalt))?;
        self.halt = None;
        Some(delete(Table::Ledger, HALT.to_vec()))
    }

    /// Refuses everything while this signer is halted.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.halted().map_or(Ok(()), |reason| Err(Error::denied(&**reason)))
    }
}

impl Held {
    fn of(record: CheckpointRecord) -> Result<Self, perennial_ledger::Error> {
        let key = NoteKey::parse(&record.key)?;
        let head = *Checkpoint::open(&record.note.0, &key)?.head();
        Ok(Self { record, key, head })
    }
}

impl Keeper {
    /// Decides on a checkpoint that the coordinator offers.
    pub(crate) fn checkpoint(
        &mut self,
        now_ms: u64,
        offer: Offer,
        proof: &ConsistencyProof,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        if let Some((_, alarm)) = &self.witness.halt {
            draft.mail.push(Reply::Checkpoint(Answer::Alarm(alarm.clone())));
            return Ok(());
        }
        let held = self.witness.held.as_ref();
        let key = ledger_key(self.own.pinned.governance(), held, &offer.key)?;
        let head = held.map(|held| &held.head).filter(|_| !planted!(CosignAnything));
        match judge(&key, head, &offer.note.0, proof) {
            Ok(checkpoint) => self.cosign(now_ms, offer, key, &checkpoint, draft),
            Err(Refusal::NotOfThisLog(error)) => Err(Error::denied(error.to_string())),
            // A checkpoint that was overtaken on its way is smaller too. Nothing is said against it, and it is not
            // cosigned.
            Err(Refusal::Truncated { .. })
                if held.is_some_and(|held| offer.sent_ms <= held.record.sent_ms) =>
            {
                draft.mail.push(holds(held));
                Ok(())
            }
            Err(Refusal::Unproved { .. }) => {
                draft.mail.push(holds(held));
                Ok(())
            }
            Err(refusal) => {
                self.halt(now_ms, &offer, &refusal, draft);
                Ok(())
            }
        }
    }

    fn cosign(
        &mut self,
        now_ms: u64,
        offer: Offer,
        key: NoteKey,
        checkpoint: &Checkpoint,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let witness = self.witness_key(key.name())?;
        let made =
            Cosignature::make(checkpoint, &witness, now_ms / 1000, |message| self.cosignature(message));
        let made = made.map_err(|e| Error::Bug(e.to_string()))?;
        let head = *checkpoint.head();
        // The same head again needs no write: what it says is durable already.
        if self.witness.held.as_ref().is_none_or(|held| held.head != head) {
            let before_ms = self.witness.held.as_ref().map_or(0, |held| held.record.sent_ms);
            let sent_ms = offer.sent_ms.max(before_ms);
            let record = CheckpointRecord { key: offer.key, note: offer.note, sent_ms };
            draft.effects.push(Effect::Commit(vec![put(Table::Ledger, CHECKPOINT.to_vec(), &record)]));
            self.witness.held = Some(Held { record, key, head });
        }
        draft.mail.push(Reply::Checkpoint(Answer::Cosigned { size: head.size, line: made.to_line() }));
        Ok(())
    }

    /// Stops, for good: durable first, then the desk is told, and only then anybody else.
    fn halt(&mut self, now_ms: u64, offer: &Offer, refusal: &Refusal, draft: &mut Draft) {
        let held = self.witness.held.as_ref();
        let breach = match refusal {
            Refusal::Forked { .. } => Breach::Forked,
            Refusal::Truncated { .. } => Breach::Truncated,
            _ => Breach::Rewritten,
        };
        let alarm = Alarm {
            breach,
            key: offer.key.clone(),
            held: held.map_or_else(|| Bytes(Vec::new()), |held| held.record.note.clone()),
            offered: offer.note.clone(),
            proof: offer.proof.clone(),
            at_ms: now_ms,
        };
        let alarm = Signed::new(&*self.own.identity, &alarm);
        let record = HaltRecord { reason: refusal.to_string(), alarm: alarm.clone() };
        draft.effects.push(Effect::Commit(vec![put(Table::Ledger, HALT.to_vec(), &record)]));
        let reason = in_words(&record.reason);
        draft.mail.extend(self.probes.halt(&reason).into_iter().map(Reply::Session));
        draft.mail.push(Reply::Checkpoint(Answer::Alarm(alarm.clone())));
        draft.changes.push(Change::Halted(Arc::clone(&reason)));
        self.witness.halt = Some((reason, alarm));
    }

    /// The signature of this signer's identity.
    fn cosignature(&self, message: &[u8]) -> [u8; 64] {
        #[cfg(feature = "simulation")]
        if let Some(IdentityKey::Transparent(tag)) =
            self.own.pinned.governance().identity_of(self.own.pinned.me())
        {
            return crate::simulation::cosign(&tag, message);
        }
        self.own.identity.sign(message).0
    }

    /// The key under which this signer's cosignatures are known: its identity key, named after the ledger and itself.
    /// Statements and cosignatures begin with different words, so neither passes for the other.
    fn witness_key(&self, origin: &KeyName) -> Result<WitnessKey, Error> {
        let pinned = &self.own.pinned;
        let public = match pinned.governance().identity_of(pinned.me()) {
            Some(IdentityKey::Ed25519(public)) => public,
            #[cfg(feature = "simulation")]
            Some(IdentityKey::Transparent(tag)) => crate::simulation::cosigning_key(&tag),
            None => return Err(Error::denied("this signer has no key that cosigns")),
        };
        WitnessKey::of_member(origin, pinned.me().as_str(), &public).map_err(|e| Error::denied(e.to_string()))
    }
}

/// Where the ledger's key is found: governance names it; if it does not, it is the one that came with the first
/// checkpoint, and no other from then on.
fn ledger_key(governance: &Governance, held: Option<&Held>, offered: &str) -> Result<NoteKey, Error> {
    if let Some(named) = governance.ledger_key.as_ref().filter(|named| *named != offered) {
        return Err(Error::denied(format!(
            "this checkpoint is by the key {offered}, but governance names {named} as the ledger's"
        )));
    }
    match held {
        Some(held) if held.record.key == offered => Ok(held.key.clone()),
        Some(held) => Err(Error::denied(format!(
            "this checkpoint is by the key {offered}, but the ledger's key here is {}",
            held.record.key
        ))),
        None => NoteKey::parse(offered).map_err(|e| Error::denied(e.to_string())),
    }
}

fn holds(held: Option<&Held>) -> Reply {
    Reply::Checkpoint(Answer::Holds(held.map(|held| held.record.note.clone())))
}

/// What everybody is told who asks anything of a halted signer.
fn in_words(reason: &str) -> Arc<str> {
    format!("this signer has halted: {reason}; its operator has both checkpoints (perennial-signer show)")
        .into()
}

#[cfg(test)]
mod tests;
