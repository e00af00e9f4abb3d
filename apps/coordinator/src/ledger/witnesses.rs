//! The ledger's witnesses: every signer is offered the newest checkpoint and cosigns it if it continues the last one
//! that it cosigned.
//!
//! At most once a second, and only to signers that are there, in the lane of ceremonies and from a thread of low
//! priority: a signature never waits for it. A signer that was away gets its proof from where it stands. Whatever a
//! signer says is checked before it counts; a cosignature is durable soon after it came, and asked for again if it
//! was lost. An alarm is shown, and never argued with.

use super::{Ledger, LedgerReader, key::LedgerKey};
use crate::mailbox::Lane;
use crate::post::Outbox;
use crate::store::StoreError;
use crate::trusted::{InForce, Trusted};
use crate::world::now_ms;
use perennial_ledger::proof::{self, ConsistencyProof};
use perennial_ledger::{
    Checkpoint, Cosignature, Error, MemoryNodes, NodeHash, SignNote, Tree, TreeHead, WitnessKey,
    prove_consistency,
};
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Bytes, Digest};
use perennial_model::identity::IdentityKey;
use perennial_model::mail::Request;
use perennial_model::witness::{Answer, Offer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often a checkpoint is offered at most.
const OFFER_EVERY: Duration = Duration::from_secs(1);
/// When a signer that did not answer is offered the same checkpoint again.
const OFFER_AGAIN: Duration = Duration::from_secs(5);
/// When a signer that has halted is offered a checkpoint again, to learn whether its operator has cleared that.
const OFFER_HALTED_AGAIN: Duration = Duration::from_secs(15);
/// A signer that gave no sign of life for so long is offered nothing, and is not waited for.
const THERE_WITHIN: Duration = Duration::from_secs(5);
/// The most answers that wait to be looked at. Whoever's is dropped is asked again.
const ANSWERS_MAX: usize = 1024;
/// The most checkpoints that are kept until all have cosigned them.
const KEPT_MAX: usize = 64;

/// Where answers of witnesses go, and what is known of their cosignatures. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Witnesses {
    answers: mpsc::Sender<(SignerId, Answer)>,
    known: Arc<Mutex<Known>>,
    outbox: Outbox,
}

/// What one witness is known to have said.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Who.
    pub witness: SignerId,
    /// The size of the newest checkpoint that it cosigned; none if there is none.
    pub size: Option<u64>,
    /// What it accuses the ledger of; none if it does not.
    pub alarm: Option<&'static str>,
}

/// Why a signer has halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt {
    /// How the ledger broke its word.
    pub breach: &'static str,
    /// The digest of its alarm, which an order to readmit it names.
    pub digest: Digest,
}

#[derive(Debug, Default)]
struct Known {
    witnesses: BTreeMap<SignerId, Witness>,
    /// By size: a checkpoint with every cosignature that came, and whose they are.
    kept: BTreeMap<u64, (Checkpoint, BTreeSet<SignerId>)>,
}

#[derive(Debug)]
struct Witness {
    key: WitnessKey,
    held: Option<TreeHead>,
    asked: Option<(u64, Instant)>,
    alarm: Option<Halt>,
    /// Whether it has answered since this process began. It may have halted after its last cosignature.
    heard: bool,
}

/// The task that offers checkpoints and takes in answers.
struct Task {
    known: Arc<Mutex<Known>>,
    answers: mpsc::Receiver<(SignerId, Answer)>,
    ledger: Ledger,
    reader: LedgerReader,
    key: Arc<LedgerKey>,
    outbox: Outbox,
    in_force: InForce,
    /// The digest of the governance whose signers are the witnesses.
    governance: Digest,
    /// Of two checkpoints the one that is sent later says so, whatever the clock does.
    sent_ms: u64,
}

impl Witnesses {
    /// Takes up what was cosigned before. The returned future offers checkpoints for ever.
    ///
    /// # Errors
    /// [`StoreError`] if that cannot be read.
    pub async fn open(
        ledger: Ledger,
        reader: LedgerReader,
        key: Arc<LedgerKey>,
        outbox: Outbox,
        in_force: InForce,
    ) -> Result<(Self, impl Future<Output = ()> + Send), StoreError> {
        let trusted = in_force.get();
        let mut known = Known::of(&trusted, &key);
        for (witness, note) in reader.cosigned().await? {
            known.take_up(&witness, &note, &key);
        }
        let (answers, heard) = mpsc::channel(ANSWERS_MAX);
        let known = Arc::new(Mutex::new(known));
        let witnesses = Self { answers, known: Arc::clone(&known), outbox: outbox.clone() };
        let governance = trusted.digest();
        let task =
            Task { known, answers: heard, ledger, reader, key, outbox, in_force, governance, sent_ms: 0 };
        Ok((witnesses, task.offer_for_ever()))
    }

    /// Takes in what a witness says.
    pub fn take(&self, from: SignerId, answer: Answer) {
        if self.answers.try_send((from, answer)).is_err() {
            tracing::debug!("there is no room for a witness's answer");
        }
    }

    /// The newest checkpoint that every witness which is there has cosigned; if there is none, the newest that
    /// anybody has.
    pub fn newest(&self) -> Option<Checkpoint> {
        let known = locked(&self.known);
        let there: Vec<&SignerId> = known
            .witnesses
            .iter()
            .filter(|(signer, known)| {
                known.held.is_some() && known.alarm.is_none() && is_there(&self.outbox, signer)
            })
            .map(|(signer, _)| signer)
            .collect();
        let cosigned = || known.kept.values().rev().filter(|(_, by)| !by.is_empty());
        let by_all = cosigned().find(|(_, by)| there.iter().all(|signer| by.contains(*signer)));
        by_all.or_else(|| cosigned().next()).map(|(checkpoint, _)| checkpoint.clone())
    }

    /// Why a signer has halted; none if it is not known to have.
    pub fn alarm_of(&self, signer: &SignerId) -> Option<Halt> {
        locked(&self.known).witnesses.get(signer)?.alarm
    }

    /// What is known of each witness.
    pub fn standing(&self) -> Vec<Standing> {
        let known = locked(&self.known);
        let of = |(signer, known): (&SignerId, &Witness)| Standing {
            witness: signer.clone(),
            size: known.held.map(|head| head.size),
            alarm: known.alarm.map(|halt| halt.breach),
        };
        known.witnesses.iter().map(of).collect()
    }
}

impl Known {
    fn of(trusted: &Trusted, key: &LedgerKey) -> Self {
        let witnesses = trusted.governance().signers.iter().filter_map(|known| {
            // Only a governance for simulations has keys of another kind.
            #[allow(irrefutable_let_patterns)]
            let IdentityKey::Ed25519(public) = &known.key else { return None };
            match WitnessKey::of_member(key.key().name(), known.signer.as_str(), public) {
                Ok(key) => Some((
                    known.signer.clone(),
                    Witness { key, held: None, asked: None, alarm: None, heard: false },
                )),
                Err(error) => {
                    tracing::warn!(signer = %known.signer, "it is no witness of the ledger: {error}");
                    None
                }
            }
        });
        Self { witnesses: witnesses.collect(), kept: BTreeMap::new() }
    }

    fn take_up(&mut self, witness: &str, note: &[u8], key: &LedgerKey) {
        let found = self.witnesses.iter_mut().find(|(signer, _)| signer.as_str() == witness);
        let Some((signer, known)) = found else { return };
        let opened = Checkpoint::open(note, key.key())
            .and_then(|checkpoint| Ok((checkpoint.cosigned_by(&known.key)?, checkpoint)));
        match opened {
            Ok((cosignature, checkpoint)) => {
                let signer = signer.clone();
                known.held = Some(*checkpoint.head());
                self.count(signer, checkpoint, &cosignature);
            }
            Err(error) => tracing::warn!(witness, "what it cosigned before cannot be used: {error}"),
        }
    }

    /// Puts a verified cosignature under the checkpoint of that size.
    fn count(&mut self, signer: SignerId, checkpoint: Checkpoint, cosignature: &Cosignature) {
        let size = checkpoint.head().size;
        if !self.kept.contains_key(&size) {
            self.keep(size, checkpoint);
        }
        if let Some((kept, by)) = self.kept.get_mut(&size)
            && let Ok(cosigned) = kept.clone().with(cosignature)
        {
            *kept = cosigned;
            by.insert(signer);
        }
    }

    fn keep(&mut self, size: u64, checkpoint: Checkpoint) {
        self.kept.insert(size, (checkpoint, BTreeSet::new()));
        while self.kept.len() > KEPT_MAX {
            self.kept.pop_first();
        }
    }
}

impl Task {
    async fn offer_for_ever(mut self) {
        let mut every = tokio::time::interval(OFFER_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = self.answers.recv() => match heard {
                    Some((from, answer)) => self.hear(&from, answer),
                    None => return,
                },
                _ = every.tick() => {
                    if let Err(error) = self.offer().await {
                        tracing::warn!("no checkpoint is offered: {error}");
                    }
                }
            }
        }
    }

    /// Offers the present head to every witness that is there and has not cosigned it, or not been heard yet.
    async fn offer(&mut self) -> Result<(), StoreError> {
        self.follow_governance();
        let head = self.ledger.head();
        let due = self.due(&head);
        if due.is_empty() {
            return Ok(());
        }
        let Some(note) = self.checkpoint(head) else { return Ok(()) };
        self.sent_ms = now_ms().max(self.sent_ms + 1);
        for (signer, held) in due {
            let Some(proof) = self.proof(&signer, held, head).await? else { continue };
            let offer = Offer {
                key: self.key.key().to_string(),
                note: Bytes(note.clone()),
                proof: Bytes(proof.to_bytes()),
                sent_ms: self.sent_ms,
            };
            let request = encoding::encode(&Request::Checkpoint(Box::new(offer)));
            self.outbox.send(std::slice::from_ref(&signer), Lane::Ceremony, &request);
            if let Some(known) = locked(&self.known).witnesses.get_mut(&signer) {
                known.asked = Some((head.size, Instant::now()));
            }
        }
        Ok(())
    }

    /// The witnesses are the signers of the governance in force. Whoever stays keeps what it has cosigned.
    fn follow_governance(&mut self) {
        let trusted = self.in_force.get();
        if trusted.digest() == self.governance {
            return;
        }
        self.governance = trusted.digest();
        let mut witnesses = Known::of(&trusted, &self.key).witnesses;
        let mut known = locked(&self.known);
        for (signer, before) in std::mem::take(&mut known.witnesses) {
            // A name stands for one key for ever.
            if let Some(now) = witnesses.get_mut(&signer) {
                *now = before;
            }
        }
        known.witnesses = witnesses;
    }

    fn due(&self, head: &TreeHead) -> Vec<(SignerId, Option<TreeHead>)> {
        let known = locked(&self.known);
        let is_due = |(signer, known): &(&SignerId, &Witness)| {
            let asked = known.asked.is_some_and(|(size, at)| match known.alarm {
                None => size == head.size && at.elapsed() < OFFER_AGAIN,
                Some(_) => at.elapsed() < OFFER_HALTED_AGAIN,
            });
            let is_behind = known.held != Some(*head) || known.alarm.is_some() || !known.heard;
            is_behind && !asked && is_there(&self.outbox, signer)
        };
        let due = known.witnesses.iter().filter(is_due);
        due.map(|(signer, known)| (signer.clone(), known.held)).collect()
    }

    /// The head as a signed note, kept for the cosignatures to come.
    fn checkpoint(&self, head: TreeHead) -> Option<Vec<u8>> {
        let mut known = locked(&self.known);
        if let Some((checkpoint, _)) = known.kept.get(&head.size)
            && *checkpoint.head() == head
        {
            return Some(checkpoint.to_bytes());
        }
        match Checkpoint::sign(head, &*self.key) {
            Ok(checkpoint) => {
                let note = checkpoint.to_bytes();
                known.keep(head.size, checkpoint);
                Some(note)
            }
            Err(error) => {
                tracing::error!("no checkpoint is made: {error}");
                None
            }
        }
    }

    /// What this ledger has to show for continuing what a witness holds. Where it does not continue it, that is said
    /// here, and the witness sees it for itself.
    async fn proof(
        &self,
        signer: &SignerId,
        held: Option<TreeHead>,
        head: TreeHead,
    ) -> Result<Option<ConsistencyProof>, StoreError> {
        let held = held.unwrap_or(TreeHead { size: 0, root: NodeHash::of_nothing() });
        if held.size > head.size {
            let (cosigned, size) = (held.size, head.size);
            tracing::error!(%signer, cosigned, size, "this ledger is shorter than what was cosigned: it went back");
            let hashes = Vec::new();
            return Ok(Some(ConsistencyProof { old_size: size, new_size: size, hashes }));
        }
        let proved = self.prove(held.size, &head).await?;
        match proved {
            Ok((before, proof)) => {
                if before != held {
                    let size = held.size;
                    tracing::error!(%signer, size, "this ledger does not continue what was cosigned");
                }
                Ok(Some(proof))
            }
            Err(error) => {
                tracing::error!(%signer, "no proof from size {}: {error}", held.size);
                Ok(None)
            }
        }
    }

    /// The head that this ledger had at a size, and the proof from there.
    async fn prove(
        &self,
        size: u64,
        head: &TreeHead,
    ) -> Result<Result<(TreeHead, ConsistencyProof), Error>, StoreError> {
        let needs = Tree::open_needs(size).and_then(|mut needs| {
            needs.extend(proof::consistency_needs(size, head.size)?);
            Ok(needs)
        });
        let needs = match needs {
            Ok(needs) => needs,
            Err(error) => return Ok(Err(error)),
        };
        let nodes: MemoryNodes = self.reader.nodes(&needs).await?;
        let before = Tree::open(size, &nodes).map(|tree| tree.head());
        Ok(before.and_then(|before| Ok((before, prove_consistency(&before, head, &nodes)?))))
    }

    fn hear(&self, from: &SignerId, answer: Answer) {
        let heard = match answer {
            Answer::Cosigned { size, line } => self.hear_cosignature(from, size, &line),
            Answer::Holds(note) => self.hear_held(from, note.as_ref()),
            Answer::Alarm(alarm) => match alarm.check(self.in_force.get().governance()) {
                Ok(said) if said.signer == *from => {
                    self.hear_alarm(from, Halt { breach: said.body.breach.name(), digest: said.digest });
                    Ok(())
                }
                Ok(said) => Err(format!("an alarm of {}", said.signer)),
                Err(error) => Err(error.to_string()),
            },
        };
        if let Err(error) = heard {
            tracing::warn!(signer = %from, "its word on a checkpoint does not count: {error}");
        }
    }

    fn hear_cosignature(&self, from: &SignerId, size: u64, line: &str) -> Result<(), String> {
        let mut known = locked(&self.known);
        let cosignature = Cosignature::parse(line).map_err(|error| error.to_string())?;
        let kept = known.kept.get(&size).map(|(checkpoint, _)| checkpoint.clone());
        let checkpoint = kept.ok_or_else(|| format!("no checkpoint of size {size} is kept"))?;
        let witness = known.witnesses.get_mut(from).ok_or("it is no witness")?;
        cosignature.verify(&checkpoint, &witness.key).map_err(|error| error.to_string())?;
        witness.held = Some(*checkpoint.head());
        (witness.asked, witness.alarm, witness.heard) = (None, None, true);
        let note = checkpoint.clone().with(&cosignature).map_err(|error| error.to_string())?;
        self.ledger.keep_cosigned(from.clone(), size, note.to_bytes());
        known.count(from.clone(), checkpoint, &cosignature);
        Ok(())
    }

    fn hear_held(&self, from: &SignerId, note: Option<&Bytes>) -> Result<(), String> {
        let held = note.map(|note| Checkpoint::open(&note.0, self.key.key()).map(|opened| *opened.head()));
        let held = held.transpose().map_err(|error| error.to_string())?;
        if let Some(known) = locked(&self.known).witnesses.get_mut(from) {
            known.held = held;
            (known.asked, known.alarm, known.heard) = (None, None, true);
        }
        Ok(())
    }

    fn hear_alarm(&self, from: &SignerId, halt: Halt) {
        let mut known = locked(&self.known);
        let Some(known) = known.witnesses.get_mut(from) else { return };
        known.heard = true;
        if known.alarm.replace(halt).is_none() {
            let breach = halt.breach;
            tracing::error!(signer = %from, "it has halted: this ledger was {breach}; restore the true one");
        }
    }
}

fn is_there(outbox: &Outbox, signer: &SignerId) -> bool {
    outbox.last_seen(signer).is_some_and(|instant| instant.elapsed() <= THERE_WITHIN)
}

/// What the lock protects is complete between any two statements, so a panic elsewhere does not spoil it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
