//! One base of oblivious transfers per pair of signers and attempt: made before Prepared, erased with the
//! epochs that it served.
//!
//! The signer whose name is the greater invites; all further messages are sealed to one-time keys of this run
//! and never saved. A run cut short starts anew under a new name. The inviting side keeps its half only when the other
//! says that it has stored its own: who has a half that the other lacks is always the one that cannot invite, and
//! its half is replaced. A base never serves two epochs of one wallet: every attempt makes its own, and it is erased
//! with the first of the epochs that it served. So a plan names all ECDSA wallets that were last renewed together,
//! or none of them.

mod retire;

use crate::inbox::ToVerify;
use crate::keeper::{Keeper, LoadFailed, Own};
use crate::keyslots::{Cabinet, SlotBytes, SlotIndex, lock, unlock};
use crate::pairing::{Base, PairingError, Setup, SetupProgress, SetupTerms, Side};
use crate::record::{BaseRecord, put};
use crate::seal::{OneTimeSeed, seal};
use crate::serving::{Attempt, Change, base_context};
use crate::store::{Store, Table};
use crate::turn::{Draft, Effect, Turn};
use minicbor::{Decode, Encode};
use perennial_model::committee::SignerId;
use perennial_model::dealing::{Inputs, Sealed};
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::{PairingMessage, Reply};
use perennial_model::plan::Chunk;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A first run in which nothing has come for so long is given up, in milliseconds.
const IDLE_MS: u64 = 15_000;

/// The last step of either side.
const LAST_STEP: u8 = 3;

/// How often that time doubles, once for each run before.
const DOUBLINGS_MAX: u32 = 4;

/// How many runs one attempt and counterparty may take before people have to look.
const RUNS_MAX: u32 = 64;

/// A base with the slot of its key.
struct Stored {
    base: Arc<Base>,
    slot: SlotIndex,
}

/// One run of the set-up. Never saved.
struct Run {
    name: Digest,
    /// Which run of its attempt and counterparty it is, from 1.
    count: u32,
    /// When it began, or the last message of the peer came.
    moved_at_ms: u64,
    seed: OneTimeSeed,
    peer_key: Option<Digest>,
    setup: Option<Setup>,
    sent: u8,
    expected: u8,
    /// What came and is not yet taken; the first message of the inviting side and the last of the other carry nothing
    /// sealed.
    early: BTreeMap<u8, Option<Sealed>>,
    /// The inviting side's half, until the other has stored its own.
    made: Option<Base>,
}

/// The bases of this signer's pairs, and the runs that make new ones.
#[derive(Default)]
pub(crate) struct Pairs {
    bases: BTreeMap<(SignerId, Attempt), Stored>,
    banned: BTreeSet<SignerId>,
    runs: BTreeMap<(SignerId, Attempt), Run>,
    run_counts: BTreeMap<(SignerId, Attempt), u32>,
    /// What waits for bases that are not there yet.
    waiting: BTreeMap<Chunk, ToVerify>,
    /// What waited when the last base came: looked at once more, a chunk in a turn.
    again: BTreeMap<Chunk, ToVerify>,
    /// Records of bases that do not open, to be deleted; an erasure that was cut short leaves some.
    unreadable: Vec<Vec<u8>>,
    damaged: Vec<(SignerId, Epoch)>,
}

/// A counterparty that is banned, and why.
#[derive(Encode, Decode)]
pub(crate) struct BanRecord {
    #[n(0)]
    pub(crate) counterparty: SignerId,
    #[n(1)]
    pub(crate) reason: String,
}

impl Document for BanRecord {
    const KIND: &'static str = "ban-record";
}

impl Pairs {
    /// Takes up what is on disk.
    pub(crate) fn read(
        &mut self,
        store: &mut dyn Store,
        own: &Own,
        cabinet: &Cabinet,
    ) -> Result<(), LoadFailed> {
        let damaged = |e: encoding::Malformed| LoadFailed::Records(e.into());
        for (place, bytes) in store.all(Table::Base)? {
            let record: BaseRecord = encoding::decode(&bytes).map_err(damaged)?;
            let name = (record.counterparty.clone(), record.attempt);
            let key = cabinet.get(record.slot);
            let context = base_context(own.pinned.me(), &record.counterparty, &record.attempt);
            let opened = key.ok().and_then(|key| unlock(&key, &context.0, &record.ciphertext.0));
            let Some(base) = opened.and_then(|bytes| Base::from_secret_bytes(&bytes).ok()) else {
                if cabinet.wrapped(record.slot) != SlotBytes::EMPTY {
                    self.damaged.push((record.counterparty, record.attempt.epoch));
                }
                self.unreadable.push(place);
                continue;
            };
            self.bases.insert(name, Stored { base: Arc::new(base), slot: record.slot });
        }
        for (_, bytes) in store.all(Table::Ban)? {
            let record: BanRecord = encoding::decode(&bytes).map_err(damaged)?;
            self.banned.insert(record.counterparty);
        }
        Ok(())
    }

    /// The pairs whose base does not open, with its epoch's number.
    pub(crate) fn damaged(&self) -> &[(SignerId, Epoch)] {
        &self.damaged
    }

    /// The slots that bases refer to.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotIndex> + '_ {
        self.bases.values().map(|stored| stored.slot)
    }

    /// All bases and bans, for the desk.
    pub(crate) fn published(&self) -> Vec<Change> {
        let bases = self.bases.iter().map(|((counterparty, attempt), stored)| {
            Change::Base(counterparty.clone(), *attempt, stored.base.clone())
        });
        bases.chain(self.banned.iter().cloned().map(Change::Banned)).collect()
    }

    /// Whether nothing is done with this counterparty any more.
    pub(crate) fn is_banned(&self, counterparty: &SignerId) -> bool {
        self.banned.contains(counterparty)
    }

    /// Whether there is no base and nothing under way.
    fn is_empty(&self) -> bool {
        let waits = !self.waiting.is_empty() || !self.again.is_empty();
        self.bases.is_empty() && self.runs.is_empty() && self.run_counts.is_empty() && !waits
    }

    /// Forgets everything under way for attempts that are over.
    fn forget_runs(&mut self, attempts: &BTreeSet<Attempt>) {
        self.runs.retain(|(_, attempt), _| !attempts.contains(attempt));
        self.run_counts.retain(|(_, attempt), _| !attempts.contains(attempt));
        self.waiting.retain(|chunk, _| !attempts.contains(&Attempt::from(chunk)));
        self.again.retain(|chunk, _| !attempts.contains(&Attempt::from(chunk)));
    }

    /// Keeps what has to wait for a base.
    pub(crate) fn wait(&mut self, dealings: ToVerify) {
        self.waiting.insert(dealings.inputs.chunk, dealings);
    }

    /// A base of this attempt is made: what waited is looked at again.
    fn look_again(&mut self, attempt: &Attempt) {
        self.again.extend(self.waiting.extract_if(.., |chunk, _| Attempt::from(chunk) == *attempt));
    }

    /// The base of a pair for an attempt.
    pub(crate) fn base(&self, counterparty: &SignerId, attempt: &Attempt) -> Option<&Arc<Base>> {
        self.bases.get(&(counterparty.clone(), *attempt)).map(|stored| &stored.base)
    }
}

/// How long a run waits for the next message. What a peer lost is begun anew soon; one that only has much to do, being at
/// work on the runs of others, is given more time with each run, for a run that is given up is work done in vain.
fn idle_ms_max(count: u32) -> u64 {
    IDLE_MS << count.saturating_sub(1).min(DOUBLINGS_MAX)
}

fn base_key(counterparty: &SignerId, attempt: &Attempt) -> Vec<u8> {
    let mut key = vec![b'b'];
    key.extend(minicbor::to_vec((counterparty, attempt)).expect("writing to memory does not fail"));
    key
}

/// What both sides of a run bind.
fn run_context(pair: [&SignerId; 2], attempt: &Attempt, run: &Digest) -> Digest {
    let attempt = minicbor::to_vec(attempt).expect("writing to memory does not fail");
    let [first, second] = if pair[0] < pair[1] { pair } else { [pair[1], pair[0]] };
    Digest::of_parts(
        "perennial/pair-run/v1",
        &[first.as_str().as_bytes(), second.as_str().as_bytes(), &attempt, &run.0],
    )
}

fn message_context(run: &Digest, from: &SignerId, step: u8) -> Digest {
    Digest::of_parts("perennial/pair-message/v1", &[&run.0, from.as_str().as_bytes(), &[step]])
}

impl Keeper {
    /// Whether a chunk that waited for pair bases is to be looked at once more: call [`Self::go_on`].
    pub fn can_go_on(&self) -> bool {
        !self.pairs.again.is_empty()
    }

    /// Takes up one chunk that waited for pair bases, in a turn of its own: its vote is on its way while the next is
    /// verified. Does nothing where none waits.
    pub fn go_on(mut self, now_ms: u64, rng: &mut dyn CryptoRng) -> Turn {
        let mut draft = Draft::default();
        if let Some((chunk, dealings)) = self.pairs.again.pop_first() {
            let outcome = self.witness.check().and_then(|()| self.verify(now_ms, rng, dealings, &mut draft));
            if let Err(error) = outcome {
                let mail = vec![crate::keeper::decline(crate::inbox::About::of(&chunk), &error)];
                draft = Draft { mail, ..Draft::default() };
            }
        }
        Turn::new(self, draft)
    }

    /// Whether this signer has a base with every other holder of an attempt. If not, invitations go out.
    pub(crate) fn pairs_ready(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        inputs: &Inputs,
        draft: &mut Draft,
    ) -> Result<bool, Error> {
        let attempt = Attempt::from(&inputs.chunk);
        let me = self.own.pinned.me().clone();
        let others = || inputs.holders.iter().filter(|holder| **holder != me);
        if let Some(banned) = others().find(|other| self.pairs.banned.contains(*other)) {
            return Err(Error::denied(format!("the pair with {banned} is banned; people have to decide")));
        }
        let mut ready = true;
        for other in others() {
            if self.pairs.base(other, &attempt).is_some() {
                continue;
            }
            ready = false;
            let name = (other.clone(), attempt);
            let running = |run: &Run| now_ms.saturating_sub(run.moved_at_ms) < idle_ms_max(run.count);
            if me > *other && !self.pairs.runs.get(&name).is_some_and(running) {
                let mut run = [0; 32];
                rng.fill_bytes(&mut run);
                self.begin_run(now_ms, rng, &name, Digest(run))?;
                self.say(&name, None, rng, draft)?;
            }
        }
        Ok(ready)
    }

    fn begin_run(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        name: &(SignerId, Attempt),
        run: Digest,
    ) -> Result<(), Error> {
        let count = self.pairs.run_counts.entry(name.clone()).or_default();
        if *count >= RUNS_MAX {
            return Err(Error::denied(format!("{} asked for a pair base too often in this attempt", name.0)));
        }
        *count += 1;
        let run = Run {
            name: run,
            count: *count,
            moved_at_ms: now_ms,
            seed: OneTimeSeed::random(rng),
            peer_key: None,
            setup: None,
            sent: 0,
            expected: 0,
            early: BTreeMap::new(),
            made: None,
        };
        self.pairs.runs.insert(name.clone(), run);
        Ok(())
    }

    /// Sends the next message of a run: the first carries this side's one-time key, and none is sealed before
    /// the peer's is known. The last of the invited side carries nothing: its half is stored.
    fn say(
        &mut self,
        name: &(SignerId, Attempt),
        message: Option<Vec<u8>>,
        rng: &mut dyn CryptoRng,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let me = self.own.pinned.me().clone();
        let Some(run) = self.pairs.runs.get_mut(name) else { return Ok(()) };
        let (to, attempt) = name;
        let step = run.sent;
        run.sent += 1;
        let sealed = match (message, run.peer_key) {
            (Some(message), Some(key)) => {
                let context = message_context(&run.name, &me, step);
                let sealed = seal(&key.0, &context.0, &message, rng);
                Some(sealed.ok_or_else(|| Error::misbehaved(to, "sent a one-time key that is no key"))?)
            }
            _ => None,
        };
        let one_time_key = (step == 0).then(|| Digest(run.seed.public_key(to)));
        let body = PairingMessage {
            plan: attempt.plan,
            epoch: attempt.epoch,
            to: to.clone(),
            run: run.name,
            step,
            one_time_key,
            sealed,
        };
        draft.mail.push(Reply::PairingMail(Signed::new(&*self.own.identity, &body)));
        Ok(())
    }

    /// Takes the peer's next message of a run.
    pub(crate) fn pairing_mail(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        said: Said<PairingMessage>,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let peer = said.signer;
        let message = said.body;
        let attempt = Attempt { plan: message.plan, epoch: message.epoch };
        self.check_pair(&peer, &attempt)?;
        let invites = peer > *self.own.pinned.me();
        let carries_nothing = if invites { 0 } else { LAST_STEP };
        if message.step > LAST_STEP || message.sealed.is_none() != (message.step == carries_nothing) {
            return Err(Error::misbehaved(&peer, "sent what is no message of the set-up of a pair"));
        }
        let name = (peer.clone(), attempt);
        let known = self.pairs.runs.get(&name).is_some_and(|run| run.name == message.run);
        if !known {
            if message.step > 0 || !invites {
                return Ok(());
            }
            self.begin_run(now_ms, rng, &name, message.run)?;
        }
        if let Some(run) = self.pairs.runs.get_mut(&name) {
            if let (0, Some(key), None) = (message.step, message.one_time_key, run.peer_key) {
                run.peer_key = Some(key);
            }
            if message.step >= run.expected && !run.early.contains_key(&message.step) {
                run.moved_at_ms = now_ms;
                run.early.insert(message.step, message.sealed);
            }
        }
        let outcome = self.advance_run(rng, &name, draft);
        if outcome.is_err() {
            self.pairs.runs.remove(&name);
        }
        outcome
    }

    /// Only members of an attempt that this signer has itself opened may ask for its pair base.
    fn check_pair(&self, peer: &SignerId, attempt: &Attempt) -> Result<(), Error> {
        if self.pairs.banned.contains(peer) {
            return Err(Error::denied(format!("the pair with {peer} is banned; people have to decide")));
        }
        let plan = self.known_plan(&attempt.plan)?;
        self.check_in_force(&plan)?;
        let open = self.chunks.iter().any(|(chunk, record)| {
            Attempt::from(chunk) == *attempt && !record.state.is_served() && record.opening.is_some()
        });
        // A chunk without ECDSA wallets may be all that is left of it: nothing would stand on a base.
        let open = open && self.attempts_in_use().contains(attempt);
        if !open || plan.plan().committee.seat_of(peer).is_none() {
            return Err(Error::stale(format!("no open attempt {} with {peer}", attempt.epoch)));
        }
        Ok(())
    }

    fn advance_run(
        &mut self,
        rng: &mut dyn CryptoRng,
        name: &(SignerId, Attempt),
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let me = self.own.pinned.me().clone();
        let (peer, attempt) = name;
        let Some(run) = self.pairs.runs.get_mut(name) else { return Ok(()) };
        if run.peer_key.is_none() {
            return Ok(());
        }
        if run.setup.is_none() && run.made.is_none() {
            let terms = SetupTerms {
                context: run_context([&me, peer], attempt, &run.name),
                generation: (u64::from(attempt.epoch.rank) << 32) | u64::from(attempt.epoch.count),
                side: if me < *peer { Side::First } else { Side::Second },
            };
            let (setup, opening) = Setup::begin(terms, rng);
            run.setup = Some(setup);
            self.say(name, Some(opening), rng, draft)?;
        }
        loop {
            let Some(run) = self.pairs.runs.get_mut(name) else { return Ok(()) };
            let Some(arrived) = run.early.remove(&run.expected) else { return Ok(()) };
            let context = message_context(&run.name, peer, run.expected);
            run.expected += 1;
            let Some(sealed) = arrived else {
                let Some(base) = run.made.take() else { continue };
                self.store_base(rng, name, base, draft);
                self.pairs.runs.remove(name);
                return Ok(());
            };
            let Some(setup) = run.setup.take() else { return Ok(()) };
            // Not the peer's fault: an invitation that comes once more makes a new one-time key here.
            let opened = run.seed.open(peer, &context.0, &sealed);
            let another = || Error::stale(format!("a pairing message of {peer} is sealed to another key"));
            let message = opened.ok_or_else(another)?;
            match setup.advance(&message, rng) {
                Ok(SetupProgress::Continue { setup, outgoing }) => {
                    run.setup = Some(setup);
                    self.say(name, Some(outgoing), rng, draft)?;
                }
                Ok(SetupProgress::Done(base)) if me > *peer => run.made = Some(base),
                Ok(SetupProgress::Done(base)) => {
                    self.store_base(rng, name, base, draft);
                    self.say(name, None, rng, draft)?;
                    self.pairs.runs.remove(name);
                    return Ok(());
                }
                Err(PairingError::Stale(reason)) => return Err(Error::stale(reason)),
                Err(PairingError::Misbehaved(what)) => return Err(Error::misbehaved(peer, what)),
                Err(PairingError::Damaged(reason) | PairingError::Bug(reason)) => {
                    return Err(Error::Bug(reason));
                }
            }
        }
    }

    fn store_base(
        &mut self,
        rng: &mut dyn CryptoRng,
        name: &(SignerId, Attempt),
        base: Base,
        draft: &mut Draft,
    ) {
        let (counterparty, attempt) = name;
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *key);
        let (slot, wrapped) = self.cabinet.put(&key, rng);
        let context = base_context(self.own.pinned.me(), counterparty, attempt);
        let ciphertext = Bytes(lock(&key, &context.0, &base.to_secret_bytes()));
        let record = BaseRecord { counterparty: counterparty.clone(), attempt: *attempt, slot, ciphertext };
        let write = put(Table::Base, base_key(counterparty, attempt), &record);
        let written = write.value.as_deref().map(Digest::of).unwrap_or_default();
        let records = vec![(Table::Base, write.key.clone(), written)];
        draft.effects.push(Effect::Slots(vec![(slot, wrapped)]));
        draft.effects.push(Effect::Commit(vec![write]));
        draft.effects.push(Effect::ReadBack { records, slots: vec![(slot, wrapped)] });
        let base = Arc::new(base);
        draft.changes.push(Change::Base(counterparty.clone(), *attempt, base.clone()));
        self.pairs.look_again(attempt);
        if let Some(replaced) = self.pairs.bases.insert(name.clone(), Stored { base, slot }) {
            self.cabinet.forget(replaced.slot);
            draft.effects.push(Effect::Erase(vec![replaced.slot]));
        }
    }
}

#[cfg(test)]
mod tests;
