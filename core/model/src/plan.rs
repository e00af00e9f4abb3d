//! What people approve: which wallets, which committee, by when, under which conditions.

use crate::approval::Question;
use crate::committee::{Committee, SignerId};
use crate::encoding::{self, Digest, Document};
use crate::epoch::Epoch;
use crate::error::Error;
use crate::governance::{Governance, PersonId};
use crate::mandate::UnderMandate;
use crate::planted;
use crate::wallet::{TenantId, Tier, Wallet, WalletId};
use minicbor::{Decode, Encode};
use std::fmt;
use std::ops::RangeInclusive;

/// The most wallets in one chunk.
pub const CHUNK_WALLETS_MAX: u32 = 256;

/// The most wallets in one plan.
pub const PLAN_WALLETS_MAX: usize = 100_000;

/// What a plan does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Action {
    /// Makes new wallets.
    #[n(0)]
    Create,
    /// Replaces the shares of wallets: same holders, same threshold.
    #[n(1)]
    Refresh,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Refresh => "refresh",
        })
    }
}

/// A wallet in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum PlannedWallet {
    /// To be made.
    #[n(0)]
    New(#[n(0)] Wallet),
    /// Existing, with the digest of the share set that is to be redistributed.
    #[n(1)]
    Held(#[n(0)] WalletId, #[n(1)] Digest),
}

impl PlannedWallet {
    /// The wallet's name.
    pub fn id(&self) -> &WalletId {
        match self {
            Self::New(wallet) => &wallet.id,
            Self::Held(id, _) => id,
        }
    }

    /// The digest of the parent share set, none for a new wallet.
    pub fn parent(&self) -> Option<Digest> {
        match self {
            Self::New(_) => None,
            Self::Held(_, parent) => Some(*parent),
        }
    }
}

/// Whether a committee too small to outvote liars was approved as such.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum LiarTolerance {
    /// At least `2t - 1` holders must prepare.
    #[n(0)]
    Required,
    /// Fewer will do: a liar or a lost disk among them can lose the epoch. People said yes to that.
    #[n(1)]
    WaivedUnsafe,
}

/// How the new epoch takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Profile {
    /// Prepare in the background, probe, serve both for a while, then retire the old.
    #[n(0)]
    Planned {
        /// The least time for which both epochs are served, counted by each signer from its own Activation.
        #[n(0)]
        overlap_ms: u64,
    },
}

/// How many wallets of a chunk are probed before Activation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum ProbeRate {
    /// One wallet per chunk, chosen by the chunk root.
    #[n(0)]
    OnePerChunk,
    /// All of them. Key generation always probes all.
    #[n(1)]
    Every,
}

/// What must be true of backups before a signer votes Keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum BackupRule {
    /// No backups: the committee itself is the redundancy.
    #[n(0)]
    CommitteeOnly,
}

/// A canonical document; its digest is what people approve and what every message names.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Plan {
    /// What is done.
    #[n(0)]
    pub action: Action,
    /// Whose wallets these are.
    #[n(1)]
    pub tenant: TenantId,
    /// The highest tier among them.
    #[n(2)]
    pub tier: Tier,
    /// The wallets. Those of one scheme stand together, since a chunk has one scheme.
    #[n(3)]
    pub wallets: Vec<PlannedWallet>,
    /// The rank of every attempt.
    #[n(4)]
    pub rank: u32,
    /// How many attempts are approved: so many counts, the first of which is 1 or the one that goes on under a mandate.
    #[n(5)]
    pub attempts: u32,
    /// The new holders and their threshold.
    #[n(6)]
    pub committee: Committee,
    /// Whether fewer than `2t - 1` holders may activate.
    #[n(7)]
    pub liar_tolerance: LiarTolerance,
    /// How the new epoch takes over.
    #[n(8)]
    pub profile: Profile,
    /// Nothing is opened before this time, in milliseconds since 1970.
    #[n(9)]
    pub not_before_ms: u64,
    /// Nothing is opened after this time.
    #[n(10)]
    pub expiry_ms: u64,
    /// Nothing is activated after this time; a candidate not activated by then is dropped.
    #[n(11)]
    pub activation_deadline_ms: u64,
    /// How many wallets are probed.
    #[n(12)]
    pub probe_rate: ProbeRate,
    /// The backup rule.
    #[n(13)]
    pub backup_rule: BackupRule,
    /// The digest of the policy that applies, where there is one.
    #[n(14)]
    pub policy: Option<Digest>,
    /// The governance under which it is approved.
    #[n(15)]
    pub governance: Digest,
    /// Who asks for it. An initiator's own approval does not count.
    #[n(16)]
    pub initiator: PersonId,
    /// Makes two otherwise equal plans two.
    #[n(17)]
    pub nonce: Digest,
    /// The mandate under which it is made, in place of approvals of its own. Its counts go on from there.
    #[n(18)]
    pub mandate: Option<UnderMandate>,
}

impl Document for Plan {
    const KIND: &'static str = "plan";
}

/// A run of wallets of a plan that share one fate under one epoch number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct Chunk {
    /// The plan's digest.
    #[n(0)]
    pub plan: Digest,
    /// The number of the attempt.
    #[n(1)]
    pub epoch: Epoch,
    /// The place of its first wallet in the plan.
    #[n(2)]
    pub first: u32,
    /// How many wallets, from 1 to [`CHUNK_WALLETS_MAX`].
    #[n(3)]
    pub count: u32,
}

impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = u64::from(self.first) + u64::from(self.count);
        write!(f, "plan {} epoch {} wallets {}..{last}", self.plan.short(), self.epoch, self.first)
    }
}

impl Plan {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    /// What is asked of the people who are to approve it.
    pub fn question(&self) -> Question<'_> {
        let Self { action, tier, tenant, initiator, .. } = self;
        Question { matter: (*action).into(), tier: *tier, tenant: Some(tenant), initiator }
    }

    /// Checks the rules inside one plan. Time and quorum are others' to check.
    ///
    /// # Errors
    /// `Denied` with the rule that is broken.
    pub fn check(&self, governance: &Governance) -> Result<(), Error> {
        let denied = |reason: &str| Err(Error::denied(format!("the plan is not sound: {reason}")));
        if self.wallets.is_empty() || self.wallets.len() > PLAN_WALLETS_MAX {
            return denied("it names no wallet or more than 100000");
        }
        if self.rank == 0 || self.attempts == 0 {
            return denied("rank and attempts count from 1");
        }
        if self.not_before_ms >= self.expiry_ms || self.expiry_ms > self.activation_deadline_ms {
            return denied("not-before, expiry and the date that gates Activation must follow each other");
        }
        if !governance.tenants.contains(&self.tenant) {
            return Err(Error::denied(format!(
                "the plan is not sound: governance knows no tenant {}",
                self.tenant
            )));
        }
        let create = self.action == Action::Create;
        if self.wallets.iter().any(|wallet| wallet.parent().is_none() != create) {
            return denied("create makes new wallets only, refresh takes existing ones only");
        }
        let mut names: Vec<&WalletId> = self.wallets.iter().map(PlannedWallet::id).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return denied("a wallet is named twice");
        }
        for wallet in &self.wallets {
            if let PlannedWallet::New(wallet) = wallet
                && (wallet.tenant != self.tenant || wallet.tier > self.tier)
            {
                return denied("a wallet of another tenant or of a higher tier than the plan's");
            }
        }
        let known = |signer: &SignerId| governance.signers.iter().any(|known| &known.signer == signer);
        if !self.committee.signers().all(known) {
            return denied("a member of the committee is no signer of this governance");
        }
        let small = self.committee.members().len() < self.committee.safe_activation_size();
        if small && self.liar_tolerance == LiarTolerance::Required {
            return denied("fewer than 2t-1 members, and nobody approved that as unsafe against liars");
        }
        if self.governance != encoding::digest(governance) {
            return denied("it names another governance");
        }
        Ok(())
    }

    /// The counts of its attempts.
    pub fn counts(&self) -> RangeInclusive<u32> {
        let first = self.mandate.as_ref().map_or(1, |under| under.counts_from);
        first..=first.saturating_add(self.attempts.saturating_sub(1))
    }

    /// How many holders have to prepare. A mandate leaves nobody out. Nor does a plan that makes wallets: each of its
    /// attempts comes to another key, and whoever has promised to keep one has no part in another.
    pub fn activation_size(&self) -> usize {
        let makes = self.action == Action::Create && !planted!(MakeWithoutAll);
        match self.liar_tolerance {
            _ if makes || self.mandate.is_some() && !planted!(MandateLeavesOut) => {
                self.committee.members().len()
            }
            LiarTolerance::Required => self.committee.safe_activation_size(),
            LiarTolerance::WaivedUnsafe => usize::from(self.committee.threshold()),
        }
    }

    /// The wallets of a chunk.
    ///
    /// # Errors
    /// `Denied` when the chunk is of another plan, outside it, or has a number that was not approved.
    pub fn wallets_of(&self, chunk: &Chunk) -> Result<&[PlannedWallet], Error> {
        let end = u64::from(chunk.first) + u64::from(chunk.count);
        let inside = chunk.count >= 1 && chunk.count <= CHUNK_WALLETS_MAX && end <= self.wallets.len() as u64;
        let numbered = (chunk.epoch.rank == self.rank && self.counts().contains(&chunk.epoch.count))
            || planted!(NumberOutsidePlan);
        if !inside || !numbered {
            return Err(Error::denied(format!("{chunk} was not approved with this plan")));
        }
        Ok(&self.wallets[chunk.first as usize..end as usize])
    }

    /// The least time for which both epochs are served.
    pub fn overlap_ms(&self) -> u64 {
        let Profile::Planned { overlap_ms } = self.profile;
        overlap_ms
    }

    /// The rate that applies: new wallets are always probed.
    pub fn effective_probe_rate(&self) -> ProbeRate {
        match self.action {
            Action::Create => ProbeRate::Every,
            Action::Refresh => self.probe_rate,
        }
    }
}
