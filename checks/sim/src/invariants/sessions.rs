//! I4: no unvalidated signature, no session that mixes epochs or transcripts, no nonce twice.
//!
//! Signatures themselves are checked where they are released, from the transaction.

use crate::history::{Changed, History};
use crate::network::Lane;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::engine::transparent::nonce_in;
use perennial_custody::probe::PROBE_SESSIONS_MAX;
use perennial_custody::record::{ChunkRecord, ChunkState, WalletRecord};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::group::Point;
use perennial_model::plan::{Chunk, Plan, ProbeRate};
use perennial_model::probe::{ProbeGroups, ProbeTask};
use perennial_model::session::{
    Blame, Purpose, SessionMessage, SessionOutcome, SessionReport, SessionRequest,
};
use perennial_model::wallet::{Scheme, WalletId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How many probe sessions of one chunk a signer takes part in.
const PROBE_SESSIONS: usize = PROBE_SESSIONS_MAX as usize;

/// Under which epoch a session runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Under {
    /// The wallet.
    pub wallet: WalletId,
    /// The epoch.
    pub epoch: Epoch,
    /// Its transcript digest.
    pub transcript: Digest,
}

/// The sessions seen so far.
#[derive(Default)]
pub struct Sessions {
    asked: HashMap<(usize, Digest), SessionRequest>,
    agreements: HashMap<(Digest, usize, usize), Digest>,
    nonces: HashMap<Point, (Digest, usize, usize, u32)>,
    said: HashSet<(usize, Lane, Digest, u8, SignerId)>,
    probing: BTreeMap<Chunk, BTreeMap<(usize, Digest), Probing>>,
    signed: HashSet<Digest>,
}

/// What a signer was asked to probe when it said its first word in a session.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Probing {
    /// Of the whole request: signers that were asked for different things have not probed together.
    binding: Digest,
    signers: Vec<SignerId>,
    places: BTreeSet<u32>,
}

impl Sessions {
    /// A signer is asked to begin a session. Until it has begun one of that name, the last that it was asked counts.
    pub fn begins(&mut self, number: usize, request: &SessionRequest) {
        self.asked.insert((number, request.session), request.clone());
    }

    /// A combiner is about to give out what a session made.
    pub fn ends(&mut self, report: &SessionReport) {
        if matches!(report.outcome, SessionOutcome::Signed(_)) {
            self.signed.insert(report.session);
        }
    }

    /// What a signer was asked to do in a session.
    pub fn asked(&self, number: usize, session: &Digest) -> Option<&SessionRequest> {
        self.asked.get(&(number, *session))
    }

    /// Under which epoch a signer was asked to sign a transaction in a session.
    pub fn under(&self, number: usize, session: &Digest) -> Option<Under> {
        match &self.asked(number, session)?.purpose {
            Purpose::Transaction { wallet, epoch, transcript, .. } => {
                Some(Under { wallet: wallet.clone(), epoch: *epoch, transcript: *transcript })
            }
            Purpose::Probes { .. } => None,
        }
    }
}

/// A signer says one thing in each round of a session.
pub fn i4_each_round_once(
    history: &mut History,
    number: usize,
    lane: Lane,
    said: &SessionMessage,
) -> Result<(), Violation> {
    let name = (number, lane, said.session, said.round, said.to.clone());
    match history.sessions.said.insert(name) {
        true => Ok(()),
        false => {
            let (number, session) = (number + 1, said.session.short());
            Err(broken(format!("s{number:02} answers round {} of session {session} twice", said.round)))
        }
    }
}

/// Before it serves a chunk a signer signs the probes that follow from its root, with the signers that they follow
/// for, and no more sessions of them than the bound.
pub fn i3_signs_only_due_probes(
    history: &mut History,
    number: usize,
    said: &SessionMessage,
) -> Result<(), Violation> {
    let who = number + 1;
    let wrong =
        |what: String| Err(Violation::new(Invariant::I3Authority, format!("s{who:02} signs probes {what}")));
    if said.round > 1 {
        return Ok(());
    }
    let Some(asked) = history.sessions.asked.get(&(number, said.session)) else {
        return wrong("in a session that nobody began".into());
    };
    let Purpose::Probes { chunk, tasks, .. } = &asked.purpose else {
        return wrong("where a transaction was to be signed".into());
    };
    let record = history.mirrors[number].chunks.get(chunk);
    let prepared = record.filter(|record| record.prepared.is_some() && record.activation.is_none());
    let Some((root, inputs)) = prepared.and_then(|record| Some((record.root?, record.inputs.as_ref()?)))
    else {
        return wrong(format!("of {chunk}, which it has not prepared, or serves"));
    };
    let Some(plan) = history.plans.get(&chunk.plan) else {
        return wrong(format!("of {chunk}, which nobody approved"));
    };
    let Some(scheme) = scheme_of(history, number, chunk) else {
        return wrong(format!("of {chunk}, of which it holds nothing"));
    };
    let groups = ProbeGroups::due(scheme, plan, &root, inputs);
    let follows = |task: &ProbeTask| groups.signers(task) == Some(&asked.signers[..]);
    if !tasks.iter().all(follows) {
        return wrong(format!("of {chunk} that do not follow from its root"));
    }
    let (chunk, binding, signers) = (*chunk, asked.binding(), asked.signers.clone());
    let places = tasks.iter().map(|task| task.wallet).collect();
    let probing = history.sessions.probing.entry(chunk).or_default();
    probing.entry((number, said.session)).or_insert(Probing { binding, signers, places });
    match probing.keys().filter(|(who, _)| *who == number).count() > PROBE_SESSIONS {
        true => wrong(format!("of {chunk} in more than {PROBE_SESSIONS} sessions")),
        false => Ok(()),
    }
}

/// What a signer newly serves was probed: each wallet that is due by every holder, and for ECDSA one of them by every
/// pair. Counted from who took part in which session that ended with signatures, whatever the certificate says; that
/// they verify is the shipped check's word.
pub fn i3_serves_what_was_probed(
    history: &History,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    let served = |record: &&ChunkRecord| record.state.is_served();
    for change in changed.chunks.iter().filter(|change| change.old.as_ref().filter(served).is_none()) {
        let Some(new) = change.new.as_ref().filter(served) else { continue };
        if new.prepared.is_none() && matches!(new.state, ChunkState::Retired(_)) {
            // It has seen that others have retired what it never had.
            continue;
        }
        let wrong = |what: &str| {
            let what = format!("s{:02} serves {}, {what}", number + 1, change.chunk);
            Err(Violation::new(Invariant::I3Authority, what))
        };
        let plan = history.plans.get(&change.chunk.plan);
        let (Some(root), Some(inputs), Some(plan)) = (new.root, &new.inputs, plan) else {
            return wrong("which nobody approved, or without a transcript");
        };
        let Some(scheme) = scheme_of(history, number, &change.chunk) else {
            return wrong("of which it holds nothing");
        };
        let due = places_due(plan, &change.chunk, &root);
        let probed = Probed::of(&history.sessions, &change.chunk);
        if let Some(what) = probed.misses_a_holder(&due, &inputs.holders) {
            return wrong(&what);
        }
        if scheme == Scheme::Ecdsa && !due.iter().any(|place| probed.has_every_pair(*place, &inputs.holders))
        {
            return wrong("and no wallet was probed by every pair");
        }
    }
    Ok(())
}

/// All wallets of a chunk, or the one that its root points at.
fn places_due(plan: &Plan, chunk: &Chunk, root: &Digest) -> Vec<u32> {
    match plan.effective_probe_rate() {
        ProbeRate::Every => (0..chunk.count).collect(),
        ProbeRate::OnePerChunk => {
            let lot = root.0[..8].iter().fold(0, |lot, byte| (lot << 8) | u64::from(*byte));
            vec![(lot % u64::from(chunk.count)) as u32]
        }
    }
}

/// The sessions that probed a chunk: all of their signers took part, asked for the same, and signatures came of it.
struct Probed<'a>(Vec<&'a Probing>);

impl<'a> Probed<'a> {
    fn of(sessions: &'a Sessions, chunk: &Chunk) -> Self {
        let mut said: BTreeMap<(&Digest, &Probing), usize> = BTreeMap::new();
        for ((_, session), probing) in sessions.probing.get(chunk).into_iter().flatten() {
            *said.entry((session, probing)).or_default() += 1;
        }
        said.retain(|(session, probing), said| {
            probing.signers.len() == *said && sessions.signed.contains(*session)
        });
        Self(said.into_keys().map(|(_, probing)| probing).collect())
    }

    fn groups(&self, place: u32) -> impl Iterator<Item = &[SignerId]> {
        let probed = self.0.iter().filter(move |probing| probing.places.contains(&place));
        probed.map(|probing| &probing.signers[..])
    }

    fn misses_a_holder(&self, due: &[u32], holders: &[SignerId]) -> Option<String> {
        due.iter().find_map(|place| {
            let missing =
                holders.iter().find(|holder| !self.groups(*place).any(|group| group.contains(holder)));
            missing.map(|holder| format!("and {holder} has not probed wallet {place}"))
        })
    }

    fn has_every_pair(&self, place: u32, holders: &[SignerId]) -> bool {
        let met = |one, other| self.groups(place).any(|group| group.contains(one) && group.contains(other));
        let others = |at: usize, one| holders[at + 1..].iter().all(|other| met(one, other));
        holders.iter().enumerate().all(|(at, one)| others(at, one))
    }
}

fn scheme_of(history: &History, number: usize, chunk: &Chunk) -> Option<Scheme> {
    let scheme = |record: &WalletRecord| {
        record.held.iter().find(|held| held.chunk == *chunk).map(|held| held.share_set.scheme())
    };
    history.mirrors[number].wallets.values().find_map(scheme)
}

/// A signature that a combiner gives out is one of what it was asked to sign.
pub fn i4_signature_is_of_what_was_asked(
    history: &History,
    number: usize,
    report: &SessionReport,
) -> Result<(), Violation> {
    let SessionOutcome::Signed(signatures) = &report.outcome else { return Ok(()) };
    let session = report.session.short();
    let wrong = |what: &str| Err(broken(format!("s{:02}, session {session}: {what}", number + 1)));
    let Some(asked) = history.sessions.asked(number, &report.session) else {
        return wrong("a signature of a session that nobody began");
    };
    let mirror = &history.mirrors[number];
    match &asked.purpose {
        Purpose::Transaction { wallet, transaction, path, transcript, .. } => {
            let held = mirror.wallets.get(wallet).map(|record| record.held.as_slice()).unwrap_or_default();
            let sets = || held.iter().map(|held| &held.share_set);
            // What was erased since has the key of what is held. Only attempts to make a wallet differ.
            let Some(set) = sets().find(|set| set.transcript == *transcript).or_else(|| sets().next_back())
            else {
                return wrong("a signature of a wallet of which nothing is held");
            };
            let Ok(read) = perennial_chain::parse(set.wallet.chain, &transaction.0) else {
                return wrong("a signature of what is no transaction");
            };
            let signatures: Vec<_> =
                signatures.iter().map(|raw| perennial_chain::Signature::Transparent(raw.bytes)).collect();
            match perennial_chain::verify(&set.wallet, &set.key, path, &read, &signatures) {
                Ok(()) => Ok(()),
                Err(error) => {
                    wrong(&format!("the signature is not of the transaction that was asked for: {error}"))
                }
            }
        }
        Purpose::Probes { tasks, .. } if signatures.len() != tasks.len() => {
            wrong("not one signature for each probe")
        }
        Purpose::Probes { .. } => Ok(()),
    }
}

/// All messages of one item of a session name the same terms, and no nonce is in two of them or in two lives of a
/// process.
pub fn i4_no_mixed_session_no_nonce_twice(
    history: &mut History,
    number: usize,
    signers: &[Signer],
    said: &SessionMessage,
) -> Result<(), Violation> {
    let sessions = &mut history.sessions;
    for (item, message) in said.items.iter().enumerate() {
        if let Some(agreement) = agreement_in(&message.0) {
            let own = sessions.agreements.entry((said.session, item, number)).or_insert(agreement);
            let same = *own == agreement;
            let honest = |signer: &&SignerId| !history.spoken.corrupt.contains(signer);
            let others = sessions.asked.get(&(number, said.session)).map(|asked| asked.signers.as_slice());
            let others =
                others.unwrap_or_default().iter().filter(honest).filter_map(|id| number_of(signers, id));
            // What a signer says after the first round rests on what the others said, which were then in the same
            // session, under the same terms.
            let agrees = |other: usize| {
                sessions.agreements.get(&(said.session, item, other)).is_some_and(|known| *known == agreement)
            };
            if !same || (said.round > 1 && !others.into_iter().all(agrees)) {
                let session = said.session.short();
                return Err(broken(format!("session {session} is signed under different terms")));
            }
        }
        if let Some(nonce) = nonce_in(&message.0) {
            let here = (said.session, item, number, signers[number].starts);
            let known = sessions.nonces.entry(nonce).or_insert(here);
            if *known != here {
                return Err(broken(format!("s{:02} uses a nonce for the second time", number + 1)));
            }
        }
    }
    Ok(())
}

/// No session ends with a bug, and no honest signer is accused by another where all that take part are honest. One that
/// is not, and says different things to two others, makes the words of the one look wrong to the other.
pub fn i4_no_bug(history: &History, number: usize, report: &SessionReport) -> Result<(), Violation> {
    let asked = history.sessions.asked(number, &report.session).map(|asked| asked.signers.as_slice());
    let all_honest = !asked.unwrap_or_default().iter().any(|signer| history.spoken.corrupt.contains(signer));
    match &report.outcome {
        SessionOutcome::Failed { blame: Blame::Bug, reason } => {
            Err(Violation::new(Invariant::Sound, format!("s{:02} reports a bug: {reason}", number + 1)))
        }
        SessionOutcome::Failed { blame: Blame::Signer(culprit), reason } if all_honest => {
            Err(broken(format!("s{:02} blames {culprit} in a session: {reason}", number + 1)))
        }
        _ => Ok(()),
    }
}

/// The digest of the terms in a signing message: the first field of its envelope.
fn agreement_in(message: &[u8]) -> Option<Digest> {
    let mut decoder = minicbor::Decoder::new(message);
    decoder.array().ok()?;
    let _domain = decoder.str().ok()?;
    (decoder.str().ok()? == "signing-message").then_some(())?;
    let _version = decoder.u16().ok()?;
    decoder.array().ok()?;
    Some(Digest(decoder.bytes().ok()?.try_into().ok()?))
}

fn number_of(signers: &[Signer], id: &SignerId) -> Option<usize> {
    signers.iter().position(|signer| signer.own.pinned.me() == id)
}

fn broken(what: String) -> Violation {
    Violation::new(Invariant::I4ValidSignatures, what)
}
