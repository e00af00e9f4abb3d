//! Sessions that run at this signer: their engines, round by round. Nothing here is ever saved.
//!
//! A session holds one engine per item (a probe session has many); all take their steps together. Mail of a
//! later round, or of a session that this signer was not yet asked to begin, waits a moment within limits.
//! Each round is answered once: a step consumes the engines.
//!
//! ECDSA's messages are for one pair of eyes: they are locked under a key of the pair, request, round and
//! direction that follows from the pair's base, so they stay closed when the base is erased. The other engines'
//! messages are public (RFC 9591, section 5).

use crate::engine::{self, EngineError, Outgoing, Progress, Terms};
use crate::keyslots::{lock, unlock};
use crate::pairing::PairState;
use crate::share::Share;
use hkdf::Hkdf;
use perennial_model::committee::{Seat, SignerId};
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::identity::Said;
use perennial_model::planted;
use perennial_model::session::{
    Blame, SESSION_MS_MAX, SessionMessage, SessionOutcome, SessionReport, SessionRequest,
};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::WalletId;
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// How many sessions may run at once.
pub const SESSIONS_MAX: usize = 4096;

/// How many sessions may have mail waiting before they begin.
const EARLY_MAX: usize = 1024;

/// The last round that any engine has.
const ROUND_MAX: u8 = 8;

/// One message to sign, with what signs it.
pub struct Item {
    /// The terms.
    pub terms: Terms,
    /// This signer's share, opened for this use.
    pub share: Share,
    /// ECDSA's pair states by seat.
    pub pairs: BTreeMap<Seat, PairState>,
}

/// What a step gives: mail for others, or the end of the session.
#[derive(Debug, Default)]
pub struct Stepped {
    /// Messages to be signed and sent.
    pub mail: Vec<SessionMessage>,
    /// The end, if this was the last step.
    pub report: Option<SessionReport>,
    /// A counterparty that must be banned, durably, before anything of this is visible.
    pub ban: Option<SignerId>,
}

/// For each item, one message of each other signer.
type Inputs = Vec<BTreeMap<Seat, Vec<u8>>>;

type Waiting = BTreeMap<(u8, SignerId), Vec<Bytes>>;

struct Running {
    request: SessionRequest,
    /// What the engines bind of the request.
    binding: Digest,
    began_at_ms: u64,
    seats: BTreeMap<Seat, SignerId>,
    me: SignerId,
    epochs: Vec<(WalletId, Epoch)>,
    engines: Vec<engine::Session>,
    round: u8,
    waiting: Waiting,
    mail_secrets: BTreeMap<Seat, Zeroizing<[u8; 32]>>,
}

/// The sessions that run, by name.
#[derive(Default)]
pub struct Sessions {
    running: BTreeMap<Digest, Running>,
    early: BTreeMap<Digest, (u64, Waiting)>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions({} running)", self.running.len())
    }
}

impl Sessions {
    /// Begins a session that the caller has checked and entered in its records.
    pub fn begin(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        request: SessionRequest,
        me: &SignerId,
        items: Vec<Item>,
        epochs: Vec<(WalletId, Epoch)>,
    ) -> Stepped {
        let session = request.session;
        if self.running.len() >= SESSIONS_MAX {
            return failed(session, Blame::Stale, "too many sessions run here; try again".into());
        }
        let seats: BTreeMap<Seat, SignerId> = items
            .first()
            .map(|item| item.terms.signers.keys().copied().zip(request.signers.iter().cloned()).collect())
            .unwrap_or_default();
        let mail_secrets: BTreeMap<Seat, Zeroizing<[u8; 32]>> = items
            .first()
            .map(|item| item.pairs.iter().map(|(seat, pair)| (*seat, pair.mail_secret.clone())).collect())
            .unwrap_or_default();
        let mut engines = Vec::with_capacity(items.len());
        let mut outgoing = Vec::with_capacity(items.len());
        #[cfg(feature = "simulation")]
        let mut saved = crate::simulation::SavedRandomness::default();
        #[cfg(feature = "simulation")]
        let rng: &mut dyn CryptoRng = if perennial_model::planted!(NonceReused) { &mut saved } else { rng };
        for item in items {
            match engine::begin(item.terms, &item.share, item.pairs, rng) {
                Ok((engine, messages)) => {
                    engines.push(engine);
                    outgoing.push(messages);
                }
                Err(error) => return blamed(session, &seats, error),
            }
        }
        let waiting = self.early.remove(&session).map(|(_, waiting)| waiting).unwrap_or_default();
        let running = Running {
            binding: request.binding(),
            request,
            began_at_ms: now_ms,
            seats,
            me: me.clone(),
            epochs,
            engines,
            round: 1,
            waiting,
            mail_secrets,
        };
        let mut stepped = Stepped { mail: running.address(1, outgoing), ..Stepped::default() };
        self.running.insert(session, running);
        stepped.append(self.advance(session, rng));
        stepped
    }

    /// Takes another signer's message and steps as far as possible.
    pub fn mail(&mut self, now_ms: u64, rng: &mut dyn CryptoRng, said: Said<SessionMessage>) -> Stepped {
        let SessionMessage { session, round, items, .. } = said.body;
        if round == 0 || round > ROUND_MAX {
            return Stepped::default();
        }
        let Some(running) = self.running.get_mut(&session) else {
            if self.early.len() < EARLY_MAX || self.early.contains_key(&session) {
                let (_, waiting) = self.early.entry(session).or_insert((now_ms, Waiting::new()));
                waiting.entry((round, said.signer)).or_insert(items);
            }
            return Stepped::default();
        };
        if round < running.round || !running.request.signers.contains(&said.signer) {
            return Stepped::default();
        }
        running.waiting.entry((round, said.signer)).or_insert(items);
        self.advance(session, rng)
    }

    /// Ends sessions that have lasted too long, and reports them.
    pub fn expire(&mut self, now_ms: u64) -> Vec<SessionReport> {
        let old = |since: u64| now_ms.saturating_sub(since) > SESSION_MS_MAX;
        self.early.retain(|_, (since, _)| !old(*since));
        let ended: Vec<Digest> =
            self.running.iter().filter(|(_, running)| old(running.began_at_ms)).map(|(id, _)| *id).collect();
        ended.into_iter().filter_map(|session| self.end(session, "it lasted too long")).collect()
    }

    /// Ends every session under these epochs, and reports them.
    pub fn withdraw(&mut self, epochs: &[(WalletId, Epoch)]) -> Vec<SessionReport> {
        let touched = |running: &Running| running.epochs.iter().any(|epoch| epochs.contains(epoch));
        let ended: Vec<Digest> =
            self.running.iter().filter(|(_, running)| touched(running)).map(|(id, _)| *id).collect();
        ended.into_iter().filter_map(|session| self.end(session, "its epoch is no longer served")).collect()
    }

    /// Ends every session with a banned counterparty, and reports them.
    pub fn banish(&mut self, signer: &SignerId) -> Vec<SessionReport> {
        let touched = |running: &Running| running.request.signers.contains(signer);
        let ended: Vec<Digest> =
            self.running.iter().filter(|(_, running)| touched(running)).map(|(id, _)| *id).collect();
        ended.into_iter().filter_map(|session| self.end(session, "a signer in it is banned")).collect()
    }

    /// Ends every session, and reports them.
    pub fn halt(&mut self, why: &str) -> Vec<SessionReport> {
        self.early.clear();
        let ended: Vec<Digest> = self.running.keys().copied().collect();
        ended.into_iter().filter_map(|session| self.end(session, why)).collect()
    }

    /// How many sessions run.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    fn end(&mut self, session: Digest, why: &str) -> Option<SessionReport> {
        let running = self.running.remove(&session)?;
        let reason = format!("session ended at {}: {why}", running.me);
        Some(SessionReport { session, outcome: SessionOutcome::Failed { blame: Blame::Stale, reason } })
    }

    fn advance(&mut self, session: Digest, rng: &mut dyn CryptoRng) -> Stepped {
        let mut stepped = Stepped::default();
        while let Some(mut running) = self.running.remove(&session) {
            let Some(inputs) = running.take_round() else {
                self.running.insert(session, running);
                break;
            };
            let inputs = match inputs {
                Ok(inputs) => inputs,
                Err(Unusable::Count(culprit)) => {
                    let reason = format!("{culprit} sent another number of messages than there are items");
                    stepped.append(failed(session, Blame::Signer(culprit), reason));
                    break;
                }
                Err(Unusable::Terms(other)) => {
                    let reason =
                        format!("{other} was asked for another number of items; retry in a new session");
                    stepped.append(failed(session, Blame::Stale, reason));
                    break;
                }
                Err(Unusable::Locked(other)) => {
                    let reason = format!(
                        "{other} uses another pair base, or was asked for something else; retry in a new session"
                    );
                    stepped.append(failed(session, Blame::Stale, reason));
                    break;
                }
            };
            match running.step(inputs, rng) {
                Ok(Step::Next(next, outgoing)) => {
                    stepped.mail.extend(next.address(next.round, outgoing));
                    self.running.insert(session, *next);
                }
                Ok(Step::Finished(mail)) => stepped.mail.extend(mail),
                Ok(Step::Signed(signatures)) => {
                    stepped.report =
                        Some(SessionReport { session, outcome: SessionOutcome::Signed(signatures) });
                }
                Err((seats, error)) => stepped.append(blamed(session, &seats, error)),
            }
        }
        stepped
    }
}

/// Why a round's messages cannot be used.
enum Unusable {
    /// This signer sent too few or too many, under the terms that were agreed on.
    Count(SignerId),
    /// This signer was told something else: whoever asks can do that, so it is not to blame.
    Terms(SignerId),
    /// This signer's message does not open with the key of the pair.
    Locked(SignerId),
}

enum Step {
    Next(Box<Running>, Vec<Outgoing>),
    Finished(Vec<SessionMessage>),
    Signed(Vec<RawSignature>),
}

impl Running {
    /// The messages of the present round, one per item, once all others have sent theirs.
    fn take_round(&mut self) -> Option<Result<Inputs, Unusable>> {
        let others: Vec<(Seat, SignerId)> = self
            .seats
            .iter()
            .filter(|(_, id)| **id != self.me)
            .map(|(seat, id)| (*seat, id.clone()))
            .collect();
        if !others.iter().all(|(_, id)| self.waiting.contains_key(&(self.round, id.clone()))) {
            return None;
        }
        let mut inputs = vec![BTreeMap::new(); self.engines.len()];
        for (seat, signer) in others {
            let items = self.waiting.remove(&(self.round, signer.clone()))?;
            let key = self.mail_key(seat, &signer, self.round);
            if items.len() != inputs.len() {
                return Some(Err(self.miscounted(key.as_deref(), signer, items)));
            }
            for (at, (input, item)) in inputs.iter_mut().zip(items).enumerate() {
                match unlocked(key.as_deref(), at, item) {
                    Some(message) => input.insert(seat, message),
                    None => return Some(Err(Unusable::Locked(signer))),
                };
            }
        }
        Some(Ok(inputs))
    }

    /// Who is to blame for a wrong number of messages. Nobody sends none; and whoever signs under the same terms knows
    /// how many there are.
    fn miscounted(&self, key: Option<&[u8; 32]>, signer: SignerId, items: Vec<Bytes>) -> Unusable {
        let Some(first) = items.into_iter().next() else { return Unusable::Count(signer) };
        let agrees = |message: &Vec<u8>| {
            planted!(BlameForOtherTerms) || self.engines.first().is_some_and(|engine| engine.agrees(message))
        };
        match unlocked(key, 0, first) {
            Some(message) if agrees(&message) => Unusable::Count(signer),
            Some(_) => Unusable::Terms(signer),
            None => Unusable::Locked(signer),
        }
    }

    fn step(
        mut self,
        inputs: Inputs,
        rng: &mut dyn CryptoRng,
    ) -> Result<Step, (BTreeMap<Seat, SignerId>, EngineError)> {
        let mut next = Vec::with_capacity(self.engines.len());
        let mut outgoing = Vec::with_capacity(self.engines.len());
        let mut signatures = Vec::new();
        for (engine, input) in std::mem::take(&mut self.engines).into_iter().zip(inputs) {
            match engine.advance(input, rng) {
                Ok(Progress::Continue { session, outgoing: messages }) => {
                    next.push(session);
                    outgoing.push(messages);
                }
                Ok(Progress::Finished { outgoing: messages }) => outgoing.push(messages),
                Ok(Progress::Signed(signature)) => signatures.push(signature),
                Err(error) => return Err((self.seats, error)),
            }
        }
        self.round += 1;
        if !signatures.is_empty() {
            return Ok(Step::Signed(signatures));
        }
        if next.is_empty() {
            return Ok(Step::Finished(self.address(self.round, outgoing)));
        }
        self.engines = next;
        Ok(Step::Next(Box::new(self), outgoing))
    }

    /// The key of this session's messages with a counterparty in one round and direction; none where messages
    /// are public. It is of the whole request, not of the session's name alone: who asks chooses the name, and may
    /// choose one again for something else.
    fn mail_key(&self, counterparty: Seat, author: &SignerId, round: u8) -> Option<Zeroizing<[u8; 32]>> {
        let secret = self.mail_secrets.get(&counterparty)?;
        let mut key = Zeroizing::new([0; 32]);
        let parts: [&[u8]; 3] = [&self.binding.0, &[round], author.as_str().as_bytes()];
        Hkdf::<sha2::Sha256>::new(Some(b"perennial/session-mail/v2"), &**secret)
            .expand_multi_info(&parts, &mut *key)
            .expect("one block is within the limit of HKDF");
        Some(key)
    }

    /// Puts the messages of all items for one receiver into one message.
    fn address(&self, round: u8, outgoing: Vec<Outgoing>) -> Vec<SessionMessage> {
        let mut by_seat: BTreeMap<Seat, Vec<Bytes>> = BTreeMap::new();
        for messages in outgoing {
            for (seat, message) in messages {
                let items = by_seat.entry(seat).or_default();
                let key = self.mail_key(seat, &self.me, round);
                items.push(locked(key.as_deref(), items.len(), message));
            }
        }
        let session = self.request.session;
        by_seat
            .into_iter()
            .filter_map(|(seat, items)| {
                let to = self.seats.get(&seat)?.clone();
                Some(SessionMessage { session, round, to, items })
            })
            .collect()
    }
}

impl Stepped {
    fn append(&mut self, other: Self) {
        self.mail.extend(other.mail);
        self.report = self.report.take().or(other.report);
        self.ban = self.ban.take().or(other.ban);
    }
}

/// Locks one item's message. A request is begun once, so each key meets each item once, and the item's place keeps the
/// texts apart.
fn locked(key: Option<&[u8; 32]>, at: usize, message: Vec<u8>) -> Bytes {
    match key {
        Some(key) => Bytes(lock(&item_key(key, at), &[], &message)),
        None => Bytes(message),
    }
}

fn unlocked(key: Option<&[u8; 32]>, at: usize, message: Bytes) -> Option<Vec<u8>> {
    match key {
        Some(key) => unlock(&item_key(key, at), &[], &message.0).map(|message| message.to_vec()),
        None => Some(message.0),
    }
}

fn item_key(key: &[u8; 32], at: usize) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(Digest::of_parts("perennial/session-item/v1", &[key, &(at as u64).to_be_bytes()]).0)
}

fn failed(session: Digest, blame: Blame, reason: String) -> Stepped {
    let report = SessionReport { session, outcome: SessionOutcome::Failed { blame, reason } };
    Stepped { report: Some(report), ..Stepped::default() }
}

fn blamed(session: Digest, seats: &BTreeMap<Seat, SignerId>, error: EngineError) -> Stepped {
    let reason = error.to_string();
    match error {
        EngineError::Stale(_) => failed(session, Blame::Stale, reason),
        EngineError::Bug(_) => failed(session, Blame::Bug, reason),
        EngineError::Misbehaved { culprit, .. } => match seats.get(&culprit) {
            Some(signer) => failed(session, Blame::Signer(signer.clone()), reason),
            None => failed(session, Blame::Bug, reason),
        },
        EngineError::Ban { culprit, .. } => match seats.get(&culprit) {
            Some(signer) => Stepped {
                ban: Some(signer.clone()),
                ..failed(session, Blame::Signer(signer.clone()), reason)
            },
            None => failed(session, Blame::Bug, reason),
        },
    }
}
