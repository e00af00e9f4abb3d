//! Signing sessions: what a fixed group of signers is asked to sign, and what they tell one another.
//!
//! A session names `(wallet, epoch, T)` and carries the whole content, never a digest: each signer parses it
//! and makes the digest itself. Session mail is never saved and never repeated; a retry is a new session.

use crate::certificate::Certificate;
use crate::committee::SignerId;
use crate::derivation::Path;
use crate::encoding::{Bytes, Digest, Document};
use crate::epoch::Epoch;
use crate::plan::Chunk;
use crate::probe::ProbeTask;
use crate::signature::RawSignature;
use crate::wallet::WalletId;
use minicbor::{Decode, Encode};

/// The longest that a session lives at a signer, in milliseconds.
pub const SESSION_MS_MAX: u64 = 10_000;

/// How far a session's time may lie from a signer's clock, in milliseconds.
pub const SESSION_SKEW_MS_MAX: u64 = 60_000;

/// The largest transaction, in bytes.
pub const TRANSACTION_BYTES_MAX: usize = 128 << 10;

/// What is to be signed.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Purpose {
    /// A transaction of one wallet, under a derived key.
    #[n(0)]
    Transaction {
        /// The wallet.
        #[n(0)]
        wallet: WalletId,
        /// The epoch.
        #[n(1)]
        epoch: Epoch,
        /// Its transcript digest `T`.
        #[n(2)]
        transcript: Digest,
        /// The unsigned transaction in the form of its chain.
        #[n(3)]
        transaction: Bytes,
        /// Which derived key signs.
        #[n(4)]
        path: Path,
        /// The Activation of the epoch, so that signers that learn of it seconds apart agree.
        #[n(5)]
        activation: Option<Box<Certificate>>,
    },
    /// Probes of one chunk, all by the same group, under the raw root keys.
    #[n(1)]
    Probes {
        /// The chunk.
        #[n(0)]
        chunk: Chunk,
        /// Its root.
        #[n(1)]
        root: Digest,
        /// The probes.
        #[n(2)]
        tasks: Vec<ProbeTask>,
    },
}

/// A session as the coordinator asks for it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SessionRequest {
    /// Its random name, new for every session.
    #[n(0)]
    pub session: Digest,
    /// When it was asked for, in milliseconds since 1970. A signer begins no session that is older or newer
    /// than [`SESSION_SKEW_MS_MAX`], so it need not remember for ever which it has begun.
    #[n(1)]
    pub asked_at_ms: u64,
    /// The signers by rising seat, exactly `t` for a transaction; a FROST wallet's probe may have more. The first combines
    /// and posts the result.
    #[n(2)]
    pub signers: Vec<SignerId>,
    /// What is signed.
    #[n(3)]
    pub purpose: Purpose,
}

impl SessionRequest {
    /// What the engines of all signers bind: the whole request but for the Activation that rides along.
    pub fn binding(&self) -> Digest {
        let mut bound = self.clone();
        if let Purpose::Transaction { activation, .. } = &mut bound.purpose {
            *activation = None;
        }
        let bytes = minicbor::to_vec(&bound).expect("writing to memory does not fail");
        Digest::of_parts("perennial/session/v1", &[&bytes])
    }

    /// Who combines the signature shares and posts the result.
    pub fn combiner(&self) -> Option<&SignerId> {
        self.signers.first()
    }
}

/// What one signer tells another in one round.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SessionMessage {
    /// The session.
    #[n(0)]
    pub session: Digest,
    /// The round, from 1.
    #[n(1)]
    pub round: u8,
    /// For whom.
    #[n(2)]
    pub to: SignerId,
    /// One message of the engine for each item of the session.
    #[n(3)]
    pub items: Vec<Bytes>,
}

impl Document for SessionMessage {
    const KIND: &'static str = "session-message";
    /// Those of ECDSA probes have 52 KB for each wallet.
    const IS_SIGNED_BY_DIGEST: bool = true;
}

/// Who is to blame when something was not done.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Blame {
    /// Out of date or interrupted: try again.
    #[n(0)]
    Stale,
    /// Against approval or policy: do not try again as it is.
    #[n(1)]
    Denied,
    /// A signer misbehaved.
    #[n(2)]
    Signer(#[n(0)] SignerId),
    /// What was asked cannot be read.
    #[n(3)]
    Asker,
    /// A bug at the signer that reports.
    #[n(4)]
    Bug,
}

/// How a session ended at one signer.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum SessionOutcome {
    /// The combiner's: one signature per item.
    #[n(0)]
    Signed(#[n(0)] Vec<RawSignature>),
    /// Any signer's: it will not go on.
    #[n(1)]
    Failed {
        /// Who is to blame.
        #[n(0)]
        blame: Blame,
        /// What was expected and what came.
        #[n(1)]
        reason: String,
    },
}

/// The end of a session.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SessionReport {
    /// The session.
    #[n(0)]
    pub session: Digest,
    /// How it ended.
    #[n(1)]
    pub outcome: SessionOutcome,
}
