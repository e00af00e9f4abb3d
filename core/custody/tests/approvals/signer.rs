//! One signer alone: a real keeper on a disk in memory, told bytes at given times.

use crate::table::Record;
use perennial_custody::inbox;
use perennial_custody::keeper::{Keeper, Own, decline};
use perennial_custody::keyslots::{SlotBytes, SlotIndex, WrappingKey};
use perennial_custody::pinned::Pinned;
use perennial_custody::serving::{Change, Serve};
use perennial_custody::store::{Row, Store, StoreFailed, Table, Write};
use perennial_model::committee::SignerId;
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::History;
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign};
use perennial_model::mail::Reply;
use perennial_model::wallet::WalletId;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A signer with its disk.
pub struct Signer {
    own: Own,
    keeper: Keeper,
    /// What is durable.
    pub disk: Memory,
    rng: ChaCha20Rng,
}

/// A disk that never fails.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Memory {
    /// The key slots.
    pub slots: Vec<SlotBytes>,
    /// The records.
    pub records: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
}

impl Signer {
    /// Signer number `number`, pinned to this history, with what is on its disk.
    pub fn start(number: u8, history: History, mut disk: Memory, now_ms: u64) -> Self {
        let me: SignerId = format!("s{number}").parse().expect("a good name");
        let own = Own {
            identity: Arc::new(Identity(me.clone(), number)),
            wrapping: Arc::new(WrappingKey::from_secret_bytes(Zeroizing::new([number; 32]))),
            pinned: Arc::new(Pinned::new(me, history).expect("the history names it")),
        };
        let turn = Keeper::load(own.clone(), now_ms, &mut disk).expect("records of its own");
        let keeper = turn.save(&mut disk, &mut Nobody).expect("memory does not fail").keeper;
        let rng = ChaCha20Rng::seed_from_u64(number.into());
        Self { own, keeper, disk, rng }
    }

    /// Tells it something.
    pub fn hear(self, now_ms: u64, bytes: &[u8]) -> (Self, Vec<Reply>) {
        let Self { own, keeper, mut disk, mut rng } = self;
        match inbox::open(bytes, &keeper.own().pinned.clone(), &keeper) {
            Ok(checked) => {
                let turn = keeper.handle(now_ms, &mut rng, checked);
                let saved = turn.save(&mut disk, &mut Nobody).expect("memory does not fail");
                (Self { own, keeper: saved.keeper, disk, rng }, saved.mail)
            }
            Err(rejected) => {
                let mail = vec![decline(rejected.about, &rejected.error)];
                (Self { own, keeper, disk, rng }, mail)
            }
        }
    }

    /// Lets it look at its clock.
    pub fn tick(self, now_ms: u64) -> Self {
        let Self { own, keeper, mut disk, rng } = self;
        let keeper = keeper.tick(now_ms).save(&mut disk, &mut Nobody).expect("memory does not fail").keeper;
        Self { own, keeper, disk, rng }
    }

    /// Stops it and starts it again from its disk, with what it was given at first.
    pub fn restart(self, now_ms: u64) -> Self {
        let Self { own, mut disk, rng, .. } = self;
        let turn = Keeper::load(own.clone(), now_ms, &mut disk).expect("records of its own");
        let keeper = turn.save(&mut disk, &mut Nobody).expect("memory does not fail").keeper;
        Self { own, keeper, disk, rng }
    }

    /// What it has decided.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }
}

impl Memory {
    /// A disk with this on it.
    pub fn holding(records: &[Record], slots: &[SlotBytes]) -> Self {
        let records = records.iter().map(|record| ((record.table, record.key.clone()), record.value.clone()));
        Self { slots: slots.to_vec(), records: records.collect() }
    }

    /// What is on it.
    pub fn rows(&self) -> Vec<Record> {
        let row = |((table, key), value): (&(Table, Vec<u8>), &Vec<u8>)| Record {
            table: *table,
            key: key.clone(),
            value: value.clone(),
        };
        self.records.iter().map(row).collect()
    }
}

impl Store for Memory {
    fn write_slots(&mut self, slots: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        for (at, slot) in slots {
            let at = at.0 as usize;
            if self.slots.len() <= at {
                self.slots.resize(at + 1, SlotBytes::EMPTY);
            }
            self.slots[at] = *slot;
        }
        Ok(())
    }

    fn sync_slots(&mut self) -> Result<(), StoreFailed> {
        Ok(())
    }

    fn read_slots(&mut self, slots: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        let slot = |at: &SlotIndex| self.slots.get(at.0 as usize).copied().unwrap_or(SlotBytes::EMPTY);
        Ok(slots.iter().map(slot).collect())
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        for Write { table, key, value } in writes.iter().cloned() {
            match value {
                Some(value) => self.records.insert((table, key), value),
                None => self.records.remove(&(table, key)),
            };
        }
        Ok(())
    }

    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        Ok(self.records.get(&(table, key.to_vec())).cloned())
    }

    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        Ok(self.slots.clone())
    }

    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        let rows = self.records.iter().filter(|((of, _), _)| *of == table);
        Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}

/// The identity of signer number `number`, as governance has it.
pub fn identity_key(number: u8) -> IdentityKey {
    IdentityKey::Ed25519(identity(number).verifying_key().to_bytes())
}

/// Signs as signer number `number` does.
pub fn signing(number: u8) -> impl Sign {
    Identity(format!("s{number}").parse().expect("a good name"), number)
}

fn identity(number: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[100 + number; 32])
}

struct Identity(SignerId, u8);

impl Sign for Identity {
    fn signer(&self) -> &SignerId {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        use ed25519_dalek::Signer as _;
        IdentitySignature(identity(self.1).sign(message).to_bytes())
    }
}

/// A signing desk at which nobody asks for anything.
struct Nobody;

impl Serve for Nobody {
    fn publish(&mut self, _: Vec<Change>) {}
    fn withdraw(&mut self, _: &[(WalletId, Epoch)]) {}
}
