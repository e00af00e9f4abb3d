//! A signer that watches the ledger: what it stores, when it halts, and that it stays halted.

#[path = "../../../model/tests/shared/person.rs"]
#[allow(dead_code)]
mod person;

use super::*;
use crate::inbox;
use crate::keeper::Own;
use crate::keyslots::{SlotBytes, SlotIndex, WrappingKey};
use crate::pinned::Pinned;
use crate::signing::Desk;
use crate::store::{Row, Write};
use ed25519_dalek::{Signer, SigningKey};
use perennial_ledger::{MemoryNodes, SignNote, Tree, prove_consistency};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{Governance, PersonId, SignerIdentity};
use perennial_model::identity::{IdentitySignature, Sign};
use perennial_model::mail::Request;
use perennial_model::session::{Blame, Purpose, SessionOutcome, SessionRequest};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Records in memory, and no slots.
#[derive(Default)]
struct Memory(BTreeMap<(Table, Vec<u8>), Vec<u8>>);

impl Store for Memory {
    fn write_slots(&mut self, _: &[(SlotIndex, SlotBytes)]) -> Result<(), StoreFailed> {
        Ok(())
    }
    fn sync_slots(&mut self) -> Result<(), StoreFailed> {
        Ok(())
    }
    fn read_slots(&mut self, _: &[SlotIndex]) -> Result<Vec<SlotBytes>, StoreFailed> {
        Ok(Vec::new())
    }
    fn commit(&mut self, writes: &[Write]) -> Result<(), StoreFailed> {
        for write in writes {
            let key = (write.table, write.key.clone());
            match &write.value {
                Some(value) => drop(self.0.insert(key, value.clone())),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(())
    }
    fn read(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFailed> {
        Ok(self.0.get(&(table, key.to_vec())).cloned())
    }
    fn all_slots(&mut self) -> Result<Vec<SlotBytes>, StoreFailed> {
        Ok(Vec::new())
    }
    fn all(&mut self, table: Table) -> Result<Vec<Row>, StoreFailed> {
        let rows = self.0.iter().filter(|((of, _), _)| *of == table);
        Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}

struct Identity(SignerId, SigningKey);

impl Sign for Identity {
    fn signer(&self) -> &SignerId {
        &self.0
    }
    fn sign(&self, message: &[u8]) -> IdentitySignature {
        IdentitySignature(self.1.sign(message).to_bytes())
    }
}

struct LedgerKey(NoteKey, SigningKey);

impl SignNote for LedgerKey {
    fn key(&self) -> &NoteKey {
        &self.0
    }
    fn sign_note(&self, text: &str) -> Result<[u8; 64], perennial_ledger::Error> {
        Ok(self.1.sign(text.as_bytes()).to_bytes())
    }
}

fn ledger_key(seed: u8) -> LedgerKey {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let name = KeyName::new("perennial/ledger/test").expect("a name");
    LedgerKey(NoteKey::new(name, secret.verifying_key().as_bytes()).expect("a key"), secret)
}

/// A ledger of so many entries, the last of which are of this sort.
struct Ledger {
    nodes: MemoryNodes,
    heads: Vec<TreeHead>,
}

impl Ledger {
    fn of(size: u64, differs_from: u64) -> Self {
        let mut tree = Tree::empty();
        let mut ledger = Self { nodes: MemoryNodes::default(), heads: vec![tree.head()] };
        for number in 0..size {
            let sort = if number < differs_from { "entry" } else { "other" };
            let growth = tree.append(&[format!("{sort} {number}")]).expect("small");
            ledger.nodes.store(&growth.nodes);
            tree = growth.tree;
            ledger.heads.push(tree.head());
        }
        ledger
    }

    fn offer(&self, from: usize, to: usize, sent_ms: u64) -> Request {
        self.offer_by(&ledger_key(5), from, to, sent_ms)
    }

    fn offer_by(&self, key: &LedgerKey, from: usize, to: usize, sent_ms: u64) -> Request {
        let checkpoint = Checkpoint::sign(self.heads[to], key).expect("signed");
        let proof = match from <= to {
            true => prove_consistency(&self.heads[from], &self.heads[to], &self.nodes).expect("grown"),
            false => ConsistencyProof { old_size: to as u64, new_size: to as u64, hashes: Vec::new() },
        };
        Request::Checkpoint(Box::new(Offer {
            key: key.0.to_string(),
            note: Bytes(checkpoint.to_bytes()),
            proof: Bytes(proof.to_bytes()),
            sent_ms,
        }))
    }
}

/// A governance that one person has approved.
fn governance_of(signers: Vec<SignerIdentity>) -> History {
    let key = person::Key::Ssh(8);
    let [dana, erin] = ["dana", "erin"].map(|name| name.parse::<PersonId>().expect("a name"));
    let (role, tenants) = ("operator".parse().expect("a name"), vec!["acme".parse().expect("a name")]);
    let governance = Governance::of_one_role(erin, role, 1, vec![(dana, key.public())], tenants, signers);
    let approvals = vec![key.approve("dana", &governance.digest())];
    History::begin(ApprovedGovernance { governance, approvals }).expect("approved")
}

/// A signer on its disk.
struct Place {
    own: Own,
    disk: Memory,
    sessions: Memory,
    keeper: Option<Keeper>,
    desk: Desk,
}

impl Place {
    fn new() -> Self {
        let secret = SigningKey::from_bytes(&[3; 32]);
        let me: SignerId = "a".parse().expect("a name");
        let key = IdentityKey::Ed25519(secret.verifying_key().to_bytes());
        let signer = SignerIdentity { signer: me.clone(), key, transport_pin: Digest([9; 32]) };
        let governance = governance_of(vec![signer]);
        let own = Own {
            identity: Arc::new(Identity(me.clone(), secret)),
            wrapping: Arc::new(WrappingKey::from_secret_bytes(Zeroizing::new([4; 32]))),
            pinned: Arc::new(Pinned::new(me, governance).expect("sound")),
        };
        let mut sessions = Memory::default();
        let desk = Desk::load(own.clone(), &mut sessions).expect("loaded");
        let mut place = Self { own, disk: Memory::default(), sessions, keeper: None, desk };
        place.restart();
        place
    }

    fn restart(&mut self) {
        self.desk = Desk::load(self.own.clone(), &mut self.sessions).expect("loaded");
        let turn = Keeper::load(self.own.clone(), 1, &mut self.disk).expect("loaded");
        self.keeper = Some(turn.save(&mut self.disk, &mut self.desk).expect("saved").keeper);
    }

    /// Takes a request as the daemon does, and gives the one reply.
    fn ask(&mut self, request: &Request) -> Reply {
        let keeper = self.keeper.take().expect("it runs");
        let checked = inbox::open(&encoding::encode(request), &self.own.pinned, &keeper).expect("readable");
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let turn = keeper.handle(7_000, &mut rng, checked);
        let mut saved = turn.save(&mut self.disk, &mut self.desk).expect("saved");
        self.keeper = Some(saved.keeper);
        assert_eq!(saved.mail.len(), 1, "{:?}", saved.mail);
        saved.mail.remove(0)
    }

    fn on_disk(&mut self) -> Standing {
        standing(&self.disk.all(Table::Ledger).expect("read")).expect("readable")
    }

    /// What the desk says to a request for a signature.
    fn sign(&mut self) -> (Blame, String) {
        let request = SessionRequest {
            session: Digest([8; 32]),
            asked_at_ms: 7_000,
            signers: vec!["a".parse().expect("a name")],
            purpose: Purpose::Transaction {
                wallet: "treasury".parse().expect("a name"),
                epoch: perennial_model::epoch::Epoch::new(1, 1),
                transcript: Digest([1; 32]),
                transaction: Bytes(vec![1]),
                path: perennial_model::derivation::Path::new(Vec::new()).expect("a path"),
                activation: None,
            },
        };
        let checked = inbox::Checked::Session(Box::new(request));
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let saved = self.desk.handle(7_000, &mut rng, checked).save(&mut self.sessions).expect("saved");
        match saved.mail.as_slice() {
            [Reply::Session(report)] => match &report.outcome {
                SessionOutcome::Failed { blame, reason } => (blame.clone(), reason.clone()),
                signed => panic!("{signed:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

fn cosigned(reply: Reply) -> u64 {
    match reply {
        Reply::Checkpoint(Answer::Cosigned { size, .. }) => size,
        other => panic!("{other:?}"),
    }
}

fn alarm(reply: Reply) -> Alarm {
    match reply {
        Reply::Checkpoint(Answer::Alarm(alarm)) => alarm.read_unchecked().expect("its own words"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cosignature_verifies_under_governance_and_what_it_covers_is_on_the_disk() {
    let mut place = Place::new();
    let ledger = Ledger::of(9, 99);
    for (from, to) in [(0, 3), (3, 9), (9, 9)] {
        let Request::Checkpoint(offer) = ledger.offer(from, to, to as u64) else { panic!("an offer") };
        let reply = place.ask(&Request::Checkpoint(offer.clone()));
        let Reply::Checkpoint(Answer::Cosigned { line, .. }) = reply else { panic!("{reply:?}") };
        let checkpoint = Checkpoint::open(&offer.note.0, &ledger_key(5).0).expect("the ledger's");
        let Some(IdentityKey::Ed25519(public)) =
            place.own.pinned.governance().identity_of(place.own.pinned.me())
        else {
            panic!("a key")
        };
        let key = WitnessKey::of_member(checkpoint.origin(), "a", &public).expect("a key");
        let cosignature = Cosignature::parse(&line).expect("a line");
        assert_eq!(cosignature.verify(&checkpoint, &key), Ok(()));
        assert_eq!(cosignature.time_s(), 7);
        assert_eq!(place.on_disk().checkpoint.map(|record| record.note), Some(offer.note));
        place.restart();
    }
}

#[test]
fn a_proof_from_another_size_is_answered_with_what_is_held_and_a_stale_checkpoint_harms_nobody() {
    let mut place = Place::new();
    let ledger = Ledger::of(9, 99);
    assert!(matches!(place.ask(&ledger.offer(3, 9, 1)), Reply::Checkpoint(Answer::Holds(None))));
    assert_eq!(cosigned(place.ask(&ledger.offer(0, 6, 20))), 6);
    let held = place.on_disk();
    for (from, to, sent_ms) in [(4, 9, 30), (0, 9, 30), (0, 4, 20), (4, 5, 3)] {
        let reply = place.ask(&ledger.offer(from, to, sent_ms));
        let Reply::Checkpoint(Answer::Holds(Some(note))) = reply else { panic!("{reply:?}") };
        assert_eq!(Some(note), held.checkpoint.as_ref().map(|record| record.note.clone()));
        assert_eq!(place.on_disk(), held);
    }
    let stranger = place.ask(&ledger.offer_by(&ledger_key(6), 6, 9, 40));
    assert!(matches!(stranger, Reply::Declined { blame: Blame::Denied, .. }), "{stranger:?}");
    assert_eq!(cosigned(place.ask(&ledger.offer(6, 9, 40))), 9);
}

#[test]
fn a_broken_ledger_halts_this_signer_in_this_life_and_the_next_until_it_is_cleared() {
    let breaches = [(6, 6, Breach::Forked), (6, 9, Breach::Rewritten), (6, 4, Breach::Truncated)];
    for (from, to, breach) in breaches {
        let mut place = Place::new();
        let (before, other) = (Ledger::of(9, 99), Ledger::of(9, 4));
        assert_eq!(cosigned(place.ask(&before.offer(0, 6, 20))), 6);
        assert_eq!(place.sign().0, Blame::Stale, "it serves no such wallet");

        let told = alarm(place.ask(&other.offer(from, to, 21)));
        assert_eq!(told.breach, breach);
        let key = NoteKey::parse(&told.key).expect("a key");
        let sizes = [&told.held, &told.offered].map(|note| Checkpoint::open(&note.0, &key).expect("signed"));
        assert_eq!(sizes.map(|checkpoint| checkpoint.head().size), [6, to as u64], "evidence");
        for life in 0..3 {
            let (blame, reason) = place.sign();
            assert!(blame == Blame::Denied && reason.contains("halted"), "life {life}: {reason}");
            let reply = place.ask(&Request::Keep(chunk()));
            assert!(
                matches!(&reply, Reply::Declined { blame: Blame::Denied, reason, .. } if reason.contains("halted")),
                "{reply:?}"
            );
            // Even what continues the last checkpoint does not bring it back.
            assert_eq!(alarm(place.ask(&before.offer(6, 9, 50))), told);
            place.restart();
        }
        assert!(place.keeper.as_ref().is_some_and(|keeper| keeper.halted().is_some()));

        clear(&mut place.disk, Clear::Halt).expect("cleared");
        place.restart();
        assert_eq!(place.sign().0, Blame::Stale);
        assert_eq!(cosigned(place.ask(&before.offer(6, 9, 60))), 9);
        alarm(place.ask(&other.offer(9, 9, 70)));

        clear(&mut place.disk, Clear::HaltAndCheckpoint).expect("cleared");
        place.restart();
        assert_eq!(cosigned(place.ask(&other.offer(0, 5, 80))), 5);
    }
}

fn chunk() -> perennial_model::plan::Chunk {
    let epoch = perennial_model::epoch::Epoch::new(1, 1);
    perennial_model::plan::Chunk { plan: Digest([2; 32]), epoch, first: 0, count: 1 }
}
