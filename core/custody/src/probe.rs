//! Probe sessions at the keeper: the only thing that is signed under a prepared epoch.
//!
//! The message follows from wallet, epoch, `T` and the probe's number; the probes and their groups follow from
//! the chunk root. Probes use the raw root key. Their number is bounded and counted durably.

use crate::engine::{self, KeyUse, Terms};
use crate::keeper::Keeper;
use crate::pairing::PairUse;
use crate::record::{ChunkState, HeldEpoch, chunk_key, put};
use crate::serving::{Attempt, unlock_share};
use crate::sessions::{Item, Stepped};
use crate::store::Table;
use crate::turn::{Draft, Effect};
use perennial_model::committee::{Seat, SignerId};
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use perennial_model::planted;
use perennial_model::probe::{ProbeGroups, ProbeTask, probe_digest};
use perennial_model::session::{Purpose, SessionMessage, SessionRequest};
use perennial_model::transcript::Transcript;
use perennial_model::wallet::Scheme;
use rand_core::CryptoRng;
use std::collections::BTreeMap;

/// How many probe sessions one chunk may take before its attempt has to be left.
pub const PROBE_SESSIONS_MAX: u32 = 256;

impl Keeper {
    /// Begins a probe session.
    pub(crate) fn probe(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        request: SessionRequest,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let Purpose::Probes { chunk, root, tasks } = &request.purpose else {
            return Err(Error::denied("only probes are signed on the ceremony's side"));
        };
        let chunk = *chunk;
        let record =
            self.chunks.get(&chunk).ok_or_else(|| Error::stale(format!("{chunk} is not held here")))?;
        if record.state != ChunkState::Prepared || record.root != Some(*root) {
            return Err(Error::stale(format!("{chunk} is not prepared here under this root")));
        }
        if record.probe_sessions >= PROBE_SESSIONS_MAX && !planted!(ProbesWithoutEnd) {
            return Err(Error::denied(format!("{chunk}: {PROBE_SESSIONS_MAX} probe sessions are enough")));
        }
        let transcript = self.transcripts.get(&chunk).cloned();
        let transcript = transcript.ok_or_else(|| self.incomplete(&chunk))?;
        self.check_tasks(&chunk, &transcript, &request.signers, tasks)?;
        let mut items = Vec::with_capacity(tasks.len());
        let mut epochs = Vec::with_capacity(tasks.len());
        for (at, task) in tasks.iter().enumerate() {
            let wallet = &transcript.leaves[task.wallet as usize].wallet.id;
            let held = self.held(wallet, &chunk).ok_or_else(|| self.incomplete(&chunk))?;
            items.push(self.probe_item(held, &transcript, &request, task, at)?);
            epochs.push((wallet.clone(), chunk.epoch));
        }
        let begun = self.begun.admit(now_ms, &request)?;
        if let Some(record) = self.chunks.get_mut(&chunk) {
            record.probe_sessions += 1;
            let mut writes = vec![put(Table::Chunk, chunk_key(&chunk), record)];
            writes.extend(begun);
            draft.effects.push(Effect::Commit(writes));
        }
        let me = self.own.pinned.me().clone();
        let stepped = self.probes.begin(now_ms, rng, request, &me, items, epochs);
        self.send(stepped, draft);
        Ok(())
    }

    fn check_tasks(
        &self,
        chunk: &Chunk,
        transcript: &Transcript,
        signers: &[SignerId],
        tasks: &[ProbeTask],
    ) -> Result<(), Error> {
        let approved = self.known_plan(&chunk.plan)?;
        self.check_in_force(&approved)?;
        let first = transcript.leaves.first().and_then(|leaf| self.held(&leaf.wallet.id, chunk));
        let scheme = first.map(|held| held.share_set.scheme());
        let scheme = scheme.ok_or_else(|| self.incomplete(chunk))?;
        let groups = ProbeGroups::due(scheme, approved.plan(), &transcript.root, &transcript.inputs);
        let rising = tasks.windows(2).all(|pair| pair[0] < pair[1]);
        let unbound = |task: &ProbeTask| planted!(ProbesUnbound) && task.wallet < chunk.count;
        let due = |task: &ProbeTask| groups.signers(task) == Some(signers) || unbound(task);
        if tasks.is_empty() || !rising || !tasks.iter().all(due) || !signers.contains(self.own.pinned.me()) {
            return Err(Error::denied(format!("{chunk}: these probes do not follow from its root")));
        }
        Ok(())
    }

    fn probe_item(
        &self,
        held: &HeldEpoch,
        transcript: &Transcript,
        request: &SessionRequest,
        task: &ProbeTask,
        at: usize,
    ) -> Result<Item, Error> {
        let me = self.own.pinned.me();
        let set = &held.share_set;
        let message = probe_digest(
            &set.wallet.id,
            set.epoch,
            &transcript.of_wallet(task.wallet as usize),
            task.counter,
        );
        let terms = terms(set, me, request, at, KeyUse::Root, message.0.to_vec())?;
        let key = self.cabinet.get(held.locked.slot)?;
        let share = unlock_share(&key, &held.locked.ciphertext, set, me)?;
        let mut pairs = BTreeMap::new();
        if set.scheme() == Scheme::Ecdsa {
            let attempt = Attempt::from(&held.chunk);
            let pair_use = pair_use(set);
            for other in request.signers.iter().filter(|other| *other != me) {
                let base = self.pairs.base(other, &attempt);
                let base =
                    base.ok_or_else(|| Error::stale(format!("no pair base with {other} for this epoch")))?;
                let state = base.derive(&pair_use).map_err(|e| Error::Bug(e.to_string()))?;
                let seat = set.committee.seat_of(other);
                pairs.insert(seat.ok_or_else(|| Error::denied(format!("{other} has no seat")))?, state);
            }
        }
        Ok(Item { terms, share, pairs })
    }

    /// Takes another signer's word in a probe session.
    pub(crate) fn probe_mail(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        said: Said<SessionMessage>,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let stepped = self.probes.mail(now_ms, rng, said);
        self.send(stepped, draft);
        Ok(())
    }

    fn send(&mut self, stepped: Stepped, draft: &mut Draft) {
        if let Some(culprit) = &stepped.ban {
            let reason = "a consistency check of a probe failed";
            self.ban(culprit, reason, draft);
            draft.mail.extend(self.probes.banish(culprit).into_iter().map(Reply::Session));
        }
        let signed =
            stepped.mail.iter().map(|message| Reply::SessionMail(Signed::new(&*self.own.identity, message)));
        draft.mail.extend(signed);
        draft.mail.extend(stepped.report.map(Reply::Session));
    }
}

/// What a pair base is used for under a share set.
pub(crate) fn pair_use(set: &perennial_model::share_set::ShareSet) -> PairUse {
    PairUse { wallet: set.wallet.id.clone(), epoch: set.epoch, transcript: set.transcript }
}

/// The engine's terms for one item of a session under a share set.
pub(crate) fn terms(
    set: &perennial_model::share_set::ShareSet,
    me: &SignerId,
    request: &SessionRequest,
    at: usize,
    key_use: KeyUse,
    message: Vec<u8>,
) -> Result<Terms, Error> {
    let seat = |signer: &SignerId| {
        set.committee.seat_of(signer).ok_or_else(|| {
            Error::denied(format!("{signer} holds no share of {} epoch {}", set.wallet.id, set.epoch))
        })
    };
    let mut signers = BTreeMap::new();
    for signer in &request.signers {
        let seat: Seat = seat(signer)?;
        let share = set.verification_share(seat).copied();
        signers.insert(seat, share.ok_or_else(|| Error::Bug("a seat without verification share".into()))?);
    }
    let seats_rise = request.signers.iter().map(&seat).collect::<Result<Vec<_>, _>>()?.is_sorted();
    if signers.len() != request.signers.len() || !seats_rise {
        return Err(Error::denied("the signers of a session are listed by rising seat, each once"));
    }
    // Whoever asks chooses the signers, so a wrong number of them is no bug of this signer's.
    let (count, needed) = (signers.len(), usize::from(set.committee.threshold()));
    let fits = match key_use {
        KeyUse::Root => engine::takes(set.scheme(), needed, count),
        KeyUse::Path(_) => count == needed,
    };
    if !fits {
        return Err(Error::denied(format!("a session of {count} signers, where {needed} sign")));
    }
    let combiner = request.combiner().ok_or_else(|| Error::denied("a session needs signers"))?;
    let binding = request.binding();
    Ok(Terms {
        scheme: set.scheme(),
        key: set.key.clone(),
        key_use,
        threshold: set.committee.threshold(),
        own_seat: seat(me)?,
        signers,
        highest_seat: set.highest_seat,
        combiner: seat(combiner)?,
        session_id: Digest::of_parts(
            "perennial/engine-session/v1",
            &[&binding.0, &set.transcript.0, &(at as u64).to_be_bytes()],
        ),
        message,
    })
}
