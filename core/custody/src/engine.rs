//! The engines: from a verified share to a signature of one message, under one epoch.
//!
//! A [`Session`] is one signer's side of one signature. In every round it waits for one message from each
//! other signer ([`Session::awaits`]) and answers each of them; in the last round the answer goes to the
//! combiner alone, which gives out the signature after it has verified it. Session and nonces are moved on
//! use, are never copied or saved, and die with the process.
//!
//! An engine decides nothing: whether this message may be signed, under which epoch, and whether a session id
//! is fresh is the caller's business. It has no epoch and no network; it binds what it was given
//! ([`Terms::agreement`]), so that signers who were given different things part as [`EngineError::Stale`]
//! before one can seem to cheat the other.

mod bip340;
mod ecdsa;
mod envelope;
mod frost;
mod key;
#[cfg(feature = "simulation")]
pub mod transparent;

use crate::pairing::PairState;
use crate::share::Share;
use frost_ed25519::Ed25519Sha512;
use frost_secp256k1_tr::Secp256K1Sha256TR;
use key::WorkingKey;
use minicbor::{Decode, Encode};
use perennial_model::committee::Seat;
use perennial_model::derivation::Path;
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::group::{Group, Point, lagrange_at_zero};
use perennial_model::signature::{RawSignature, verifies};
use perennial_model::wallet::{Scheme, WalletKey};
use perennial_model::with_group;
use std::collections::BTreeMap;
use std::fmt;

/// Messages and whom they are for. Their secrecy and their signature are the caller's business.
pub type Outgoing = Vec<(Seat, Vec<u8>)>;

/// Which key of the wallet signs.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum KeyUse {
    /// The raw root key, neither derived nor tweaked: for probes.
    #[n(0)]
    Root,
    /// The key at a path: derived by BIP-32 on secp256k1 and, for Taproot, tweaked by BIP-341 without a
    /// script tree. Ed25519 keys have the path `m` alone.
    #[n(1)]
    Path(#[n(0)] Path),
}

/// Whether the engine of a scheme signs with `count` signers under a threshold: ECDSA with exactly the threshold, FROST
/// with any number from there on (RFC 9591, section 5).
pub fn takes(scheme: Scheme, threshold: usize, count: usize) -> bool {
    count == threshold || (count > threshold && scheme != Scheme::Ecdsa)
}

/// What a session signs, with whom, under which shares. All of it is public.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The scheme of the wallet.
    pub scheme: Scheme,
    /// The raw root key of the wallet.
    pub key: WalletKey,
    /// Which key of the wallet signs.
    pub key_use: KeyUse,
    /// How many have to sign: the `t` of the share set.
    pub threshold: u8,
    /// The seat of this signer.
    pub own_seat: Seat,
    /// The signers, this one among them, each with its raw verification share `X_j`; how many there may be, [`takes`]
    /// says.
    pub signers: BTreeMap<Seat, Point>,
    /// The highest seat that the wallet has ever used.
    pub highest_seat: Seat,
    /// The signer that gives out the signature.
    pub combiner: Seat,
    /// Equal for all signers of the session and never used again. The caller makes it of wallet, epoch, plan,
    /// `X`, `t`, committee, `T` and the session.
    pub session_id: Digest,
    /// A digest of 32 bytes for ECDSA and Taproot; the whole message for Ed25519.
    pub message: Vec<u8>,
}

/// What all signers of a session must agree on.
#[derive(Encode, Decode)]
struct Agreement {
    #[n(0)]
    scheme: Scheme,
    #[n(1)]
    key: WalletKey,
    #[n(2)]
    key_use: KeyUse,
    #[n(3)]
    signers: Vec<(Seat, Point)>,
    #[n(4)]
    highest_seat: Seat,
    #[n(5)]
    combiner: Seat,
    #[n(6)]
    session_id: Digest,
    #[n(7)]
    message: Bytes,
}

impl Document for Agreement {
    const KIND: &'static str = "signing-agreement";
}

impl Terms {
    /// The digest of everything here that all signers must agree on: all but the own seat, and the threshold, which
    /// `T` binds in the name of the session. It is in every message and in whatever the engine hashes.
    pub fn agreement(&self) -> Digest {
        encoding::digest(&Agreement {
            scheme: self.scheme,
            key: self.key.clone(),
            key_use: self.key_use.clone(),
            signers: self.signers.iter().map(|(seat, point)| (*seat, *point)).collect(),
            highest_seat: self.highest_seat,
            combiner: self.combiner,
            session_id: self.session_id,
            message: Bytes(self.message.clone()),
        })
    }

    /// The public key that the signature will verify under: derived and tweaked as [`KeyUse`] says.
    ///
    /// # Errors
    /// [`EngineError::Bug`] when the path leads to no key or the record of the key is damaged.
    pub fn signing_key(&self) -> Result<Point, EngineError> {
        Ok(WorkingKey::of(self)?.public_key)
    }

    /// The other signers, rising.
    pub fn others(&self) -> impl Iterator<Item = Seat> + '_ {
        self.signers.keys().copied().filter(|seat| *seat != self.own_seat)
    }

    fn check(&self) -> Result<(), EngineError> {
        let bug = |what: String| Err(EngineError::Bug(what));
        let (count, threshold) = (self.signers.len(), usize::from(self.threshold));
        if threshold < 2 || !takes(self.scheme, threshold, count) {
            return bug(format!("{count} signers for a threshold of {threshold}"));
        }
        for (role, seat) in [("this signer", self.own_seat), ("the combiner", self.combiner)] {
            if !self.signers.contains_key(&seat) {
                return bug(format!("{role} has seat {seat}, which does not sign"));
            }
        }
        if self.signers.keys().any(|seat| *seat > self.highest_seat) {
            return bug(format!("a signer sits above the highest seat {}", self.highest_seat));
        }
        let digest_only = matches!(self.scheme, Scheme::Ecdsa | Scheme::Taproot);
        if digest_only && self.message.len() != 32 {
            return bug(format!("{} signs 32 bytes, got {}", self.scheme.name(), self.message.len()));
        }
        Ok(())
    }

    /// Checks the own records before anybody is blamed on their ground: `Σ λ_j·X_j = X`.
    fn check_own_records(&self) -> Result<(), EngineError> {
        with_group!(self.scheme, G => self.check_records_in::<G>())
    }

    fn check_records_in<G: Group>(&self) -> Result<(), EngineError> {
        let seats: Vec<u8> = self.signers.keys().map(|seat| seat.get()).collect();
        let coefficients: Option<Vec<_>> =
            seats.iter().map(|seat| lagrange_at_zero::<G::Scalar>(*seat, &seats)).collect();
        let elements: Option<Vec<_>> = self.signers.values().map(G::decode).collect();
        let fits = match (coefficients, elements) {
            (Some(coefficients), Some(elements)) => {
                G::decode(&self.key.public_key) == Some(G::sum_public(&coefficients, &elements))
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(EngineError::Bug(
            "the own record of verification shares does not open to the wallet's key".into(),
        ))
    }
}

/// Why a session ended without a signature, sorted by who is to blame. Every error ends the session; a retry
/// is a new one with a new id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The signers were not in the same session, under the same terms, epoch or pair base, or nobody can be
    /// named. Nobody is banned: retry in a new session.
    #[error("stale: {0}; retry in a new session")]
    Stale(String),
    /// A signer sent what an honest one never sends.
    #[error("seat {culprit} misbehaved: {what}")]
    Misbehaved {
        /// Who sent it.
        culprit: Seat,
        /// What was expected and what came.
        what: String,
    },
    /// A consistency check of the oblivious transfers failed: the pair's base leaks with every further use. It
    /// must be stored, for every wallet of the pair, before any outcome of this session is visible.
    #[error("seat {culprit} must be banned: {what}")]
    Ban {
        /// The other signer of the pair.
        culprit: Seat,
        /// Which check failed.
        what: String,
    },
    /// The caller or the own records are wrong. Stop and report.
    #[error("bug: {0}")]
    Bug(String),
}

impl EngineError {
    fn misbehaved(culprit: Seat, what: impl Into<String>) -> Self {
        Self::Misbehaved { culprit, what: what.into() }
    }
}

/// What a step of a session leads to.
#[derive(Debug)]
pub enum Progress {
    /// Send `outgoing`, then advance `session` when all that it awaits is there.
    Continue {
        /// The session after the step.
        session: Session,
        /// What to send; empty where this signer only listens.
        outgoing: Outgoing,
    },
    /// This signer is the combiner, and this is the signature, verified under the session's key.
    Signed(RawSignature),
    /// Send `outgoing`; this signer's part is done.
    Finished {
        /// The last message, to the combiner.
        outgoing: Outgoing,
    },
}

/// One signer's side of one signature, between two rounds.
///
/// Its secrets can be used once, because a step consumes it:
///
/// ```compile_fail
/// # use perennial_custody::engine::{EngineError, Progress, Session};
/// # use std::collections::BTreeMap;
/// fn twice(session: Session, rng: &mut dyn rand_core::CryptoRng) -> Result<[Progress; 2], EngineError> {
///     Ok([session.advance(BTreeMap::new(), rng)?, session.advance(BTreeMap::new(), rng)?])
/// }
/// ```
///
/// ```
/// # use perennial_custody::engine::{EngineError, Progress, Session};
/// # use std::collections::BTreeMap;
/// fn once(session: Session, rng: &mut dyn rand_core::CryptoRng) -> Result<[Progress; 1], EngineError> {
///     Ok([session.advance(BTreeMap::new(), rng)?])
/// }
/// ```
///
/// And it cannot be copied:
///
/// ```compile_fail
/// fn copy(session: &perennial_custody::engine::Session) -> perennial_custody::engine::Session {
///     session.clone()
/// }
/// ```
///
/// Terms are public and can:
///
/// ```
/// fn copy(terms: &perennial_custody::engine::Terms) -> perennial_custody::engine::Terms {
///     terms.clone()
/// }
/// ```
pub struct Session {
    common: Box<Common>,
    round: u8,
    engine: Engine,
}

/// What every engine needs to know of its session.
struct Common {
    terms: Terms,
    agreement: Digest,
    key: WorkingKey,
}

enum Engine {
    Ecdsa(Box<ecdsa::Ecdsa>),
    Taproot(Box<frost::Frost<Secp256K1Sha256TR>>),
    Ed25519(Box<frost::Frost<Ed25519Sha512>>),
    #[cfg(feature = "simulation")]
    Transparent(transparent::Engine),
}

impl Common {
    /// The combiner's own look at a finished signature, with other code than the engine that made it: passes it on if
    /// it verifies under the session's key.
    fn verified(&self, signature: RawSignature) -> Result<RawSignature, EngineError> {
        let key = &self.key.public_key;
        match verifies(self.terms.scheme, key, &self.terms.message, &signature) {
            true => Ok(signature),
            false => Err(EngineError::Bug(format!("the finished signature does not verify under {key}"))),
        }
    }
}

/// What a step of an engine leads to.
enum Step<E> {
    Continue(E, Outgoing),
    Signed(RawSignature),
    Finished(Outgoing),
}

impl<E> Step<E> {
    fn into_progress(self, common: Box<Common>, round: u8, engine: impl FnOnce(E) -> Engine) -> Progress {
        match self {
            Self::Continue(state, outgoing) => {
                let session = Session { common, round: round + 1, engine: engine(state) };
                Progress::Continue { session, outgoing }
            }
            Self::Signed(signature) => Progress::Signed(signature),
            Self::Finished(outgoing) => Progress::Finished { outgoing },
        }
    }
}

/// Begins a session: checks the terms and makes the messages of the first round, one for each other signer.
///
/// `pairs` holds, for ECDSA, the state derived for this wallet and epoch from the pair base with each other
/// signer; other schemes need none. ECDSA draws its randomness from the thread's generator, as its library
/// does; all others from `rng`.
///
/// # Errors
/// [`EngineError::Bug`] when the terms contradict themselves, or the share or a pair state does not fit them.
pub fn begin(
    terms: Terms,
    share: &Share,
    pairs: BTreeMap<Seat, PairState>,
    rng: &mut dyn rand_core::CryptoRng,
) -> Result<(Session, Outgoing), EngineError> {
    terms.check()?;
    let key = WorkingKey::of(&terms)?;
    let common = Box::new(Common { agreement: terms.agreement(), key, terms });
    let (engine, outgoing) = match common.terms.scheme {
        Scheme::Ecdsa => {
            let (engine, outgoing) = ecdsa::Ecdsa::begin(&common, share, pairs)?;
            (Engine::Ecdsa(Box::new(engine)), outgoing)
        }
        Scheme::Taproot => {
            let (engine, outgoing) = frost::Frost::begin(&common, share, rng)?;
            (Engine::Taproot(Box::new(engine)), outgoing)
        }
        Scheme::Ed25519 => {
            let (engine, outgoing) = frost::Frost::begin(&common, share, rng)?;
            (Engine::Ed25519(Box::new(engine)), outgoing)
        }
        #[cfg(feature = "simulation")]
        Scheme::Transparent => {
            let (engine, outgoing) = transparent::Engine::begin(&common, share, rng)?;
            (Engine::Transparent(engine), outgoing)
        }
    };
    Ok((Session { common, round: 1, engine }, outgoing))
}

impl Session {
    /// The round whose messages it waits for, from 1.
    pub fn round(&self) -> u8 {
        self.round
    }

    /// The seats that it waits for a message from: all other signers.
    pub fn awaits(&self) -> impl Iterator<Item = Seat> + '_ {
        self.common.terms.others()
    }

    /// Whether a message was made under the terms of this session.
    pub fn agrees(&self, message: &[u8]) -> bool {
        envelope::names(&self.common.agreement, message)
    }

    /// What it signs, and with whom.
    pub fn terms(&self) -> &Terms {
        &self.common.terms
    }

    /// Takes one step: reads one message of the present round from each other signer, keyed by the seat that
    /// the caller has authenticated as its sender, and answers. The engines of today draw all their randomness
    /// when a session begins; the generator is there for one that does not.
    ///
    /// # Errors
    /// [`EngineError`] says who is to blame; in every case the session is over.
    pub fn advance(
        self,
        messages: BTreeMap<Seat, Vec<u8>>,
        _rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<Progress, EngineError> {
        let Self { common, round, engine } = self;
        if !messages.keys().copied().eq(common.terms.others()) {
            let got: Vec<Seat> = messages.into_keys().collect();
            return Err(EngineError::Bug(format!(
                "a step takes one message of each other signer, got {got:?}"
            )));
        }
        Ok(match engine {
            Engine::Ecdsa(engine) => {
                engine
                    .advance(&common, round, &messages)?
                    .into_progress(common, round, |engine| Engine::Ecdsa(Box::new(engine)))
            }
            Engine::Taproot(engine) => {
                engine
                    .advance(&common, round, &messages)?
                    .into_progress(common, round, |engine| Engine::Taproot(Box::new(engine)))
            }
            Engine::Ed25519(engine) => {
                engine
                    .advance(&common, round, &messages)?
                    .into_progress(common, round, |engine| Engine::Ed25519(Box::new(engine)))
            }
            #[cfg(feature = "simulation")]
            Engine::Transparent(engine) => {
                engine.advance(&common, round, &messages)?.into_progress(common, round, Engine::Transparent)
            }
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("agreement", &self.common.agreement)
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
