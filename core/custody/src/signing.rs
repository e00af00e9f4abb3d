//! The signing desk: transactions, under epochs that the keeper has published as served.
//!
//! It parses every transaction itself and makes what is signed itself; a digest that somebody else computed is
//! never signed. That a session began is durable before its first message; nothing else of it is ever saved.
//! It shares no lock with the keeper: changes come to it as messages.

use crate::begun::Begun;
use crate::engine::KeyUse;
use crate::gate::Gate;
use crate::inbox::{About, Checked};
use crate::keeper::{Own, decline};
use crate::pairing::Base;
use crate::pinned::Pinned;
use crate::probe::{pair_use, terms};
use crate::serving::{Attempt, Change, Serve, ServedEpoch};
use crate::sessions::{Item, Sessions, Stepped};
use crate::store::{Store, StoreFailed, Table, Write};
use perennial_chain::Error as ChainError;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::derivation::Path;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::Reply;
use perennial_model::planted;
use perennial_model::session::{
    Purpose, SESSION_MS_MAX, SessionMessage, SessionRequest, TRANSACTION_BYTES_MAX,
};
use perennial_model::wallet::{Scheme, WalletId};
use rand_core::CryptoRng;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How many requests may wait for an Activation that they brought along.
const PARKED_MAX: usize = 256;

/// One signer's side of all transaction sessions.
pub struct Desk {
    own: Own,
    gate: Gate,
    serving: HashMap<WalletId, Vec<Arc<ServedEpoch>>>,
    bases: HashMap<(SignerId, Attempt), Arc<Base>>,
    banned: BTreeSet<SignerId>,
    /// Why nothing is signed; none while this signer works.
    halted: Option<Arc<str>>,
    sessions: Sessions,
    begun: Begun,
    parked: BTreeMap<Digest, (u64, SessionRequest)>,
    /// Parked requests whose Activation makes this signer serve nothing new: they need not wait.
    in_vain: BTreeSet<Digest>,
    unsent: Vec<Reply>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({}, {} wallets served)", self.own.pinned.me(), self.serving.len())
    }
}

/// What the desk wants done: records first, then mail.
#[derive(Debug, Default)]
#[must_use = "what is not saved and sent did not happen"]
pub struct DeskTurn {
    writes: Vec<Write>,
    mail: Vec<Reply>,
    /// An Activation that a request brought along and this signer has not seen: for the keeper.
    activations: Vec<Certificate>,
    /// Counterparties banned in this turn: for the keeper, which erases the bases with them.
    bans: Vec<SignerId>,
}

/// A saved desk turn.
#[derive(Debug)]
pub struct DeskSaved {
    /// What may leave now.
    pub mail: Vec<Reply>,
    /// Activations for the keeper.
    pub activations: Vec<Certificate>,
    /// Bans for the keeper: see [`Keeper::exclude`](crate::keeper::Keeper::exclude).
    pub bans: Vec<SignerId>,
}

impl DeskTurn {
    /// Makes the records durable; then, and only then, gives out the mail.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end.
    pub fn save(self, store: &mut dyn Store) -> Result<DeskSaved, StoreFailed> {
        if !self.writes.is_empty() {
            store.commit(&self.writes)?;
        }
        Ok(DeskSaved { mail: self.mail, activations: self.activations, bans: self.bans })
    }
}

impl Desk {
    /// A desk that serves nothing yet; the keeper's first turn publishes what is served.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process has to end.
    pub fn load(own: Own, store: &mut dyn Store) -> Result<Self, StoreFailed> {
        let bans = store.all(Table::Ban)?;
        let banned =
            bans.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok()?.parse().ok()).collect();
        Ok(Self {
            own,
            gate: Gate::default(),
            serving: HashMap::new(),
            bases: HashMap::new(),
            banned,
            halted: None,
            sessions: Sessions::default(),
            begun: Begun::read(store)?,
            parked: BTreeMap::new(),
            in_vain: BTreeSet::new(),
            unsent: Vec::new(),
        })
    }

    /// Takes one checked request of the signing lane.
    pub fn handle(&mut self, now_ms: u64, rng: &mut dyn CryptoRng, checked: Checked) -> DeskTurn {
        match checked {
            Checked::Session(request) => self.request(now_ms, rng, *request),
            Checked::SessionMail(said) => self.mail(now_ms, rng, said),
            _ => DeskTurn::default(),
        }
    }

    /// Reports sessions that lasted too long or lost their epoch, and takes up requests whose Activation came.
    pub fn tick(&mut self, now_ms: u64, rng: &mut dyn CryptoRng) -> DeskTurn {
        let mut turn = DeskTurn { mail: std::mem::take(&mut self.unsent), ..DeskTurn::default() };
        turn.mail.extend(self.sessions.expire(now_ms).into_iter().map(Reply::Session));
        let parked = std::mem::take(&mut self.parked);
        let in_vain = std::mem::take(&mut self.in_vain);
        for (session, (since, request)) in parked {
            let answered = self.serves(&request) || in_vain.contains(&session);
            if answered || now_ms.saturating_sub(since) > SESSION_MS_MAX {
                let taken = self.request_without_parking(now_ms, rng, request);
                turn.writes.extend(taken.writes);
                turn.mail.extend(taken.mail);
                turn.bans.extend(taken.bans);
            } else {
                self.parked.insert(session, (since, request));
            }
        }
        turn
    }

    /// The newest epoch that is served of a wallet, and whatever is served beside it.
    pub fn served(&self, wallet: &WalletId) -> impl Iterator<Item = (Epoch, Digest)> + '_ {
        let served = self.serving.get(wallet).into_iter().flatten();
        served.map(|epoch| (epoch.share_set.epoch, epoch.share_set.transcript))
    }

    /// The counterparties that nothing is signed with.
    pub fn banned(&self) -> impl Iterator<Item = &SignerId> {
        self.banned.iter()
    }

    /// What this signer trusts.
    pub fn pinned(&self) -> Arc<Pinned> {
        self.own.pinned.clone()
    }

    /// How many sessions run.
    pub fn running(&self) -> usize {
        self.sessions.len()
    }

    fn serves(&self, request: &SessionRequest) -> bool {
        self.find(request).is_some()
    }

    fn find(&self, request: &SessionRequest) -> Option<Arc<ServedEpoch>> {
        let Purpose::Transaction { wallet, epoch, transcript, .. } = &request.purpose else { return None };
        let served = self.serving.get(wallet)?;
        served
            .iter()
            .find(|served| {
                (served.share_set.epoch == *epoch && served.share_set.transcript == *transcript)
                    || planted!(ServeAnyTranscript)
            })
            .cloned()
    }

    fn request(&mut self, now_ms: u64, rng: &mut dyn CryptoRng, request: SessionRequest) -> DeskTurn {
        if self.halted.is_none()
            && let Purpose::Transaction { activation: Some(certificate), .. } = &request.purpose
            && !self.serves(&request)
            && self.parked.len() < PARKED_MAX
        {
            let certificate = (**certificate).clone();
            self.parked.insert(request.session, (now_ms, request));
            return DeskTurn { activations: vec![certificate], ..DeskTurn::default() };
        }
        self.request_without_parking(now_ms, rng, request)
    }

    fn request_without_parking(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        request: SessionRequest,
    ) -> DeskTurn {
        let session = request.session;
        match self.begin(now_ms, rng, request) {
            Ok(turn) => turn,
            Err(error) => {
                let about = About { session: Some(session), ..About::default() };
                DeskTurn { mail: vec![decline(about, &error)], ..DeskTurn::default() }
            }
        }
    }

    fn begin(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        request: SessionRequest,
    ) -> Result<DeskTurn, Error> {
        let Purpose::Transaction { wallet, epoch, transaction, path, .. } = &request.purpose else {
            return Err(Error::denied("probes are signed on the ceremony's side"));
        };
        self.own.pinned.check_named()?;
        if let Some(reason) = &self.halted {
            return Err(Error::denied(&**reason));
        }
        if !request.signers.contains(self.own.pinned.me()) {
            return Err(Error::denied("a session without this signer"));
        }
        if let Some(banned) = request.signers.iter().find(|signer| self.banned.contains(signer)) {
            return Err(Error::denied(format!("the pair with {banned} is banned; choose other signers")));
        }
        let served = self.find(&request).ok_or_else(|| {
            Error::stale(format!(
                "{wallet}: epoch {epoch} with this transcript is not served at {}",
                self.own.pinned.me()
            ))
        })?;
        let items = self.items(&served, &request, &transaction.0, path)?;
        let writes = self.begun.admit(now_ms, &request)?;
        let epochs = vec![(wallet.clone(), *epoch)];
        let me = self.own.pinned.me().clone();
        let stepped = self.sessions.begin(now_ms, rng, request, &me, items, epochs);
        let mut turn = self.send(stepped);
        turn.writes.splice(0..0, writes);
        Ok(turn)
    }

    /// Parses the transaction and makes one item for each message that the wallet has to sign in it.
    fn items(
        &self,
        served: &ServedEpoch,
        request: &SessionRequest,
        transaction: &[u8],
        path: &Path,
    ) -> Result<Vec<Item>, Error> {
        let set = &served.share_set;
        if transaction.len() > TRANSACTION_BYTES_MAX {
            return Err(Error::denied(format!("a transaction has at most {TRANSACTION_BYTES_MAX} bytes")));
        }
        let parsed = perennial_chain::parse(set.wallet.chain, transaction).map_err(refused)?;
        self.gate.pass(&set.wallet, &parsed.summary())?;
        let messages = parsed.messages(&set.wallet, &set.key, path).map_err(refused)?;
        let me = self.own.pinned.me();
        let mut items = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter().enumerate() {
            let key_use = KeyUse::Path(path.clone());
            let terms = terms(set, me, request, at, key_use, message.as_bytes().to_vec())?;
            let mut pairs = BTreeMap::new();
            if set.scheme() == Scheme::Ecdsa {
                for other in request.signers.iter().filter(|other| *other != me) {
                    let base = self.bases.get(&(other.clone(), served.base));
                    let base = base
                        .ok_or_else(|| Error::stale(format!("no pair base with {other} for this epoch")))?;
                    let state = base.derive(&pair_use(set)).map_err(|e| Error::Bug(e.to_string()))?;
                    let seat = set.committee.seat_of(other);
                    pairs.insert(seat.ok_or_else(|| Error::denied(format!("{other} has no seat")))?, state);
                }
            }
            items.push(Item { terms, share: served.open(&self.own.wrapping, me)?, pairs });
        }
        Ok(items)
    }

    fn mail(&mut self, now_ms: u64, rng: &mut dyn CryptoRng, said: Said<SessionMessage>) -> DeskTurn {
        if self.halted.is_some() {
            return DeskTurn::default();
        }
        let stepped = self.sessions.mail(now_ms, rng, said);
        self.send(stepped)
    }

    fn send(&mut self, stepped: Stepped) -> DeskTurn {
        let mut turn = DeskTurn::default();
        if let Some(culprit) = stepped.ban {
            let reason = "a consistency check of a signing session failed".to_owned();
            let record = crate::ceremony::pairs::BanRecord { counterparty: culprit.clone(), reason };
            turn.writes.push(crate::record::put(Table::Ban, culprit.as_str().as_bytes().to_vec(), &record));
            turn.mail.extend(self.sessions.banish(&culprit).into_iter().map(Reply::Session));
            self.banned.insert(culprit.clone());
            turn.bans.push(culprit);
        }
        let signed =
            stepped.mail.iter().map(|message| Reply::SessionMail(Signed::new(&*self.own.identity, message)));
        turn.mail.extend(signed);
        turn.mail.extend(stepped.report.map(Reply::Session));
        turn
    }
}

impl Serve for Desk {
    fn publish(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Epochs(wallet, served) if served.is_empty() => drop(self.serving.remove(&wallet)),
                Change::Epochs(wallet, served) => drop(self.serving.insert(wallet, served)),
                Change::Base(counterparty, attempt, base) => {
                    self.bases.insert((counterparty, attempt), base);
                }
                Change::NoBase(counterparty, attempt) => drop(self.bases.remove(&(counterparty, attempt))),
                Change::Banned(counterparty) => {
                    let ended = self.sessions.banish(&counterparty);
                    self.unsent.extend(ended.into_iter().map(Reply::Session));
                    self.banned.insert(counterparty);
                }
                Change::Governed(pinned) => self.own.pinned = pinned,
                Change::Halted(reason) => {
                    let ended = self.sessions.halt(&reason);
                    self.unsent.extend(ended.into_iter().map(Reply::Session));
                    self.halted = Some(reason);
                }
                Change::Readmitted => self.halted = None,
                Change::NotServed(chunk) => {
                    let brought = |request: &SessionRequest| match &request.purpose {
                        Purpose::Transaction { activation: Some(certificate), .. } => {
                            certificate.inputs.chunk == chunk
                        }
                        _ => false,
                    };
                    let parked = self.parked.iter().filter(|(_, (_, request))| brought(request));
                    self.in_vain.extend(parked.map(|(session, _)| *session));
                }
            }
        }
    }

    fn withdraw(&mut self, epochs: &[(WalletId, Epoch)]) {
        for (wallet, epoch) in epochs {
            if let Some(served) = self.serving.get_mut(wallet) {
                served.retain(|served| served.share_set.epoch != *epoch);
            }
        }
        let ended = self.sessions.withdraw(epochs);
        self.unsent.extend(ended.into_iter().map(Reply::Session));
    }
}

/// A transaction that is not signed: the one who asked is to blame, not a signer.
fn refused(error: ChainError) -> Error {
    Error::denied(error.to_string())
}
