//! Probe sessions: which are under way, and what comes of them. A session is never resumed; after a failure, or a
//! crash, the probes that are still missing get new ones.

use super::hearing::shortened;
use super::{Driver, World};
use crate::ceremony::batch::CeremonyFact;
use crate::ceremony::generation::Generation;
use crate::ceremony::{Fact, Reason, State};
use crate::route::new_session_name;
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::mail::Request;
use perennial_model::plan::Chunk;
use perennial_model::probe::{ProbeSignature, ProbeTask, Probed, probe_digest, verify_all};
use perennial_model::session::{Blame, Purpose, SessionOutcome, SessionReport, SessionRequest};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::Scheme;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet};

/// The most probes in one session: one round of an ECDSA probe takes about 80 KB of mail.
const ECDSA_PROBES_MAX: usize = 32;
/// The same for the other schemes, whose messages are short.
const PROBES_MAX: usize = 256;
/// After a failed session the next begins so much later, in milliseconds; it doubles from there.
const RETRY_MS: u64 = 50;
/// The longest such time, in milliseconds.
const RETRY_MS_MAX: u64 = 5_000;
/// A session that has timed out is known for so much longer, in milliseconds: signers end it a moment later than the
/// coordinator, and their reports say who was there.
const LINGER_MS: u64 = 2_000;

/// The sessions under way.
#[derive(Debug, Default)]
pub(super) struct Bench {
    sessions: BTreeMap<Digest, ProbeSession>,
    waiting: BTreeMap<Chunk, Trouble>,
}

#[derive(Debug)]
struct ProbeSession {
    chunk: Chunk,
    signers: Vec<SignerId>,
    tasks: Vec<ProbeTask>,
    until_ms: u64,
    hope: Hope,
}

/// Whether a session is waited for. One that some signer gave up may still succeed: requests come twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hope {
    Waited,
    GivenUp,
}

/// How the probes of a chunk go since the last that came.
#[derive(Debug, Default)]
struct Trouble {
    begun_ms: Option<u64>,
    retry_at_ms: u64,
    failures: u32,
    last: Option<Vec<SignerId>>,
    /// Who has reported a failure, and so is not silent.
    reported: BTreeSet<SignerId>,
}

impl Trouble {
    fn failed(&mut self, signers: Vec<SignerId>, now_ms: u64) {
        let wait_ms = RETRY_MS.saturating_mul(1 << self.failures.min(16)).min(RETRY_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        self.retry_at_ms = now_ms.saturating_add(wait_ms);
        self.last = Some(signers);
    }

    /// The signers of the last session that have reported nothing; all of them if everybody has.
    fn silent(&self) -> Option<Vec<SignerId>> {
        let last = self.last.clone()?;
        let silent: Vec<SignerId> =
            last.iter().filter(|signer| !self.reported.contains(*signer)).cloned().collect();
        Some(if silent.is_empty() { last } else { silent })
    }
}

impl Bench {
    fn under_way(&self) -> usize {
        self.sessions.values().filter(|session| session.hope == Hope::Waited).count()
    }

    pub fn wake_at_ms(&self, now_ms: u64) -> Option<u64> {
        let timeouts = self.sessions.values().map(|session| session.until_ms);
        // A retry that is due already waits for the end of some other session.
        let retries = self.waiting.values().map(|trouble| trouble.retry_at_ms);
        timeouts.chain(retries.filter(|retry_at_ms| *retry_at_ms > now_ms)).min()
    }
}

impl<J, W: World> Driver<J, W> {
    /// Keeps the list of chunks with probes to make.
    pub(super) fn bench_wants(&mut self, chunk: &Chunk) {
        let probing = self.attempt(chunk).is_some_and(|attempt| matches!(attempt.state, State::Probing(_)));
        if probing {
            self.bench.waiting.entry(*chunk).or_default();
        } else if self.bench.waiting.remove(chunk).is_some() {
            self.bench.sessions.retain(|_, session| session.chunk != *chunk);
        }
    }

    /// Why probes will not come: nothing but failures for longer than patience lasts.
    pub(super) fn bench_gives_up(&self, chunk: &Chunk) -> Option<Reason> {
        let trouble = self.bench.waiting.get(chunk)?;
        let begun_ms = trouble.begun_ms?;
        let over = self.now_ms > begun_ms.saturating_add(self.tuning.patience_ms);
        trouble.silent().filter(|_| over).map(Reason::Silent)
    }

    /// Ends sessions whose time is over.
    pub(super) fn bench_time_out(&mut self) {
        let over: Vec<Digest> = self
            .bench
            .sessions
            .iter()
            .filter(|(_, session)| session.until_ms <= self.now_ms)
            .map(|(name, _)| *name)
            .collect();
        for name in over {
            match self.bench.sessions.get_mut(&name) {
                Some(session) if session.hope == Hope::Waited => {
                    session.until_ms = self.now_ms.saturating_add(LINGER_MS);
                    self.session_failed(&name);
                }
                _ => drop(self.bench.sessions.remove(&name)),
            }
        }
    }

    fn session_failed(&mut self, name: &Digest) {
        let Some(session) = self.bench.sessions.get_mut(name) else { return };
        if session.hope == Hope::GivenUp {
            return;
        }
        session.hope = Hope::GivenUp;
        self.chunks_to_see.insert(session.chunk);
        if let Some(trouble) = self.bench.waiting.get_mut(&session.chunk) {
            trouble.failed(session.signers.clone(), self.now_ms);
        }
    }

    /// The end of a session at one signer. Reports of sessions that are not ours to know are somebody else's.
    pub(super) fn hear_session(&mut self, from: &SignerId, report: SessionReport) -> Result<(), Error> {
        let Some(session) = self.bench.sessions.get(&report.session) else { return Ok(()) };
        if !session.signers.contains(from) {
            return Err(Error::denied(format!("{from} reports on a session in which it has no part")));
        }
        if matches!(report.outcome, SessionOutcome::Signed(_)) && session.signers.first() != Some(from) {
            return Err(Error::denied(format!("{from} posts a result but does not combine")));
        }
        let chunk = session.chunk;
        match report.outcome {
            SessionOutcome::Signed(signatures) => match self.bench.sessions.remove(&report.session) {
                Some(session) => self.hear_probes(from, session, signatures),
                None => Ok(()),
            },
            SessionOutcome::Failed { blame: Blame::Signer(culprit), reason } => {
                let what = shortened(reason);
                self.leave(chunk, Reason::Accused { by: from.clone(), culprit, what });
                Ok(())
            }
            SessionOutcome::Failed { blame: Blame::Denied | Blame::Asker, reason } => {
                self.leave(chunk, Reason::Declined { by: from.clone(), what: shortened(reason) });
                Ok(())
            }
            SessionOutcome::Failed { blame: Blame::Stale | Blame::Bug, .. } => {
                if let Some(trouble) = self.bench.waiting.get_mut(&chunk) {
                    trouble.reported.insert(from.clone());
                }
                self.session_failed(&report.session);
                Ok(())
            }
        }
    }

    fn hear_probes(
        &mut self,
        combiner: &SignerId,
        session: ProbeSession,
        signatures: Vec<RawSignature>,
    ) -> Result<(), Error> {
        let chunk = session.chunk;
        let Some(attempt) = self.attempt(&chunk) else { return Ok(()) };
        let State::Probing(state) = &attempt.state else { return Ok(()) };
        let scheme = attempt.terms.scheme;
        let complete = signatures.len() == session.tasks.len();
        let probes: Vec<ProbeSignature> = session
            .tasks
            .into_iter()
            .zip(signatures)
            .map(|(task, signature)| ProbeSignature { task, signature })
            .filter(|probe| state.missing.contains(&probe.task))
            .collect();
        let generation = state.generation.clone();
        if !complete || !probes_hold(scheme, &generation, &probes, self.world.rng()) {
            let what = format!("{chunk}: posted probe signatures that do not verify");
            self.leave(chunk, Reason::Misbehaved { culprit: combiner.clone(), what: what.clone() });
            return Err(Error::misbehaved(combiner, what));
        }
        for signer in &session.signers {
            self.desk.heard(signer, self.now_ms);
        }
        self.bench.waiting.insert(chunk, Trouble::default());
        self.record(chunk.plan, CeremonyFact::Chunk(chunk, Box::new(Fact::Probed(probes))));
        Ok(())
    }

    /// Begins as many sessions as may be under way.
    pub(super) fn begin_probes(&mut self) {
        let chunks: Vec<Chunk> = self
            .bench
            .waiting
            .iter()
            .filter(|(_, trouble)| trouble.retry_at_ms <= self.now_ms)
            .map(|(chunk, _)| *chunk)
            .collect();
        for chunk in chunks {
            while self.bench.under_way() < self.tuning.sessions_in_flight {
                if !self.begin_session(chunk) {
                    break;
                }
            }
        }
    }

    /// Begins one more session of a chunk, if probes are left that no session is making.
    fn begin_session(&mut self, chunk: Chunk) -> bool {
        let Some(attempt) = self.open.get(&chunk.plan).and_then(|open| open.attempts.get(&chunk)) else {
            return false;
        };
        let State::Probing(state) = &attempt.state else { return false };
        let under_way: BTreeSet<&ProbeTask> = self
            .bench
            .sessions
            .values()
            .filter(|session| session.chunk == chunk && session.hope == Hope::Waited)
            .flat_map(|session| &session.tasks)
            .collect();
        let left = state.missing.iter().filter(|task| !under_way.contains(task));
        let Some(signers) = left.clone().next().and_then(|task| state.groups.signers(task)) else {
            return false;
        };
        let most = if attempt.terms.scheme == Scheme::Ecdsa { ECDSA_PROBES_MAX } else { PROBES_MAX };
        let theirs = left.filter(|task| state.groups.signers(task) == Some(signers));
        let tasks: Vec<ProbeTask> = theirs.take(most).cloned().collect();
        let signers = signers.to_vec();
        let root = state.generation.root;
        let session = new_session_name(self.world.rng());
        let purpose = Purpose::Probes { chunk, root, tasks: tasks.clone() };
        let request = SessionRequest { session, asked_at_ms: self.now_ms, signers: signers.clone(), purpose };
        self.world.ask(&signers, &Request::Session(Box::new(request)));
        let until_ms = self.now_ms.saturating_add(self.tuning.session_ms);
        self.bench
            .sessions
            .insert(session, ProbeSession { chunk, signers, tasks, until_ms, hope: Hope::Waited });
        self.bench.waiting.entry(chunk).or_default().begun_ms.get_or_insert(self.now_ms);
        true
    }
}

/// Whether all probes verify under their wallets' raw keys, over the digests that are made here.
fn probes_hold(
    scheme: Scheme,
    generation: &Generation,
    probes: &[ProbeSignature],
    rng: &mut dyn CryptoRng,
) -> bool {
    let epoch = generation.inputs.chunk.epoch;
    let mut probed = Vec::with_capacity(probes.len());
    for ProbeSignature { task, signature } in probes {
        let Some(set) = generation.share_sets.get(task.wallet as usize) else { return false };
        let message = probe_digest(&set.wallet.id, epoch, &set.transcript, task.counter);
        probed.push(Probed { key: set.key.public_key, message, signature });
    }
    verify_all(scheme, &probed, rng).is_ok()
}
