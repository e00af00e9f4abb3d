//! A standing approval: these wallets may be refreshed again and again, within bounds that every signer holds by its
//! own clock and its own count, without people being asked each time.
//!
//! A plan under a mandate names it ([`UnderMandate`]), carries it with its approvals, and is held against it word for
//! word by [`Mandate::check_plan`]; there is nothing in it that whoever runs ceremonies could choose freely, but when
//! it begins and for which of the wallets. It keeps the rank of what it renews and goes on counting, so that whatever
//! people approve later stands above it. What takes a memory, that is how long ago a wallet was renewed and how many
//! numbers were opened since, is each signer's to check.
//!
//! A mandate is void as soon as governance changes: those who gave it may not be those who decide now.

mod window;

pub use window::Window;

use crate::approval::{Approval, Question, check_quorum};
use crate::committee::{Committee, SignerId};
use crate::encoding::{self, Digest, Document};
use crate::error::Error;
use crate::governance::{Governance, Matter, PersonId};
use crate::plan::{Action, BackupRule, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use crate::wallet::{TenantId, Tier, WalletId};
use minicbor::{Decode, Encode};
use std::collections::HashSet;

/// The most windows of one mandate.
pub const WINDOWS_MAX: usize = 64;
/// The most wallets that a mandate names one by one.
pub const NAMED_WALLETS_MAX: usize = 10_000;
/// The most numbers that may be opened for a wallet between two Retirements.
pub const ATTEMPTS_MAX: u32 = 100;
/// The shortest time between two Retirements of a wallet that can be approved, in milliseconds: one minute.
pub const LEAST_GAP_MS: u64 = 60_000;

/// Which wallets a mandate is about.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Selector {
    /// All wallets of the tenant that its committee holds, up to the mandate's tier, also those that are made later.
    #[n(0)]
    All,
    /// These, by name.
    #[n(1)]
    Named(#[n(0)] Vec<WalletId>),
}

/// How old a wallet's epoch is to get before it is renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Cadence {
    /// The least tier for which it holds. Of several the one with the highest tier applies that is not above the wallet's.
    #[n(0)]
    pub from_tier: Tier,
    /// The age, in milliseconds.
    #[n(1)]
    pub every_ms: u64,
}

/// A standing approval for repeated refresh.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Mandate {
    /// Whose wallets these are.
    #[n(0)]
    pub tenant: TenantId,
    /// The highest tier among them.
    #[n(1)]
    pub tier: Tier,
    /// Which wallets.
    #[n(2)]
    pub wallets: Selector,
    /// Who holds them: a mandate leaves nobody out and lets nobody in.
    #[n(3)]
    pub committee: Committee,
    /// Whether fewer than `2t - 1` holders may activate.
    #[n(4)]
    pub liar_tolerance: LiarTolerance,
    /// How a new epoch takes over.
    #[n(5)]
    pub profile: Profile,
    /// How many wallets are probed.
    #[n(6)]
    pub probe_rate: ProbeRate,
    /// The backup rule.
    #[n(7)]
    pub backup_rule: BackupRule,
    /// The digest of the policy that applies, where there is one.
    #[n(8)]
    pub policy: Option<Digest>,
    /// Nothing begins before this time, in milliseconds since 1970.
    #[n(9)]
    pub not_before_ms: u64,
    /// Nothing is activated after this time.
    #[n(10)]
    pub until_ms: u64,
    /// A wallet has at most one Retirement in this time, in milliseconds, by each signer's own clock.
    #[n(11)]
    pub least_gap_ms: u64,
    /// How many numbers may be opened for a wallet between two Retirements. A signer opens no more until people's own
    /// plan has renewed it.
    #[n(12)]
    pub attempts: u32,
    /// When refreshes may begin; empty: at any time.
    #[n(13)]
    pub windows: Vec<Window>,
    /// How long one refresh may take from its not-before to the date that gates Activation, in milliseconds.
    #[n(14)]
    pub run_ms: u64,
    /// How often wallets are to be renewed. Whoever runs ceremonies goes by it; the bound is `least_gap_ms`.
    #[n(15)]
    pub cadence: Vec<Cadence>,
    /// After how many refreshes in a row that gave up a wallet no further one is begun.
    #[n(16)]
    pub failures: u32,
    /// The governance under which it is approved.
    #[n(17)]
    pub governance: Digest,
    /// Who asks for it. An initiator's own approval does not count.
    #[n(18)]
    pub initiator: PersonId,
    /// Makes two otherwise equal mandates two.
    #[n(19)]
    pub nonce: Digest,
}

impl Document for Mandate {
    const KIND: &'static str = "mandate";
}

/// A plan's reference to the mandate that stands for its approvals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct UnderMandate {
    /// The mandate's digest.
    #[n(0)]
    pub mandate: Digest,
    /// The count of the plan's first attempt: numbers go on under the rank that people approved.
    #[n(1)]
    pub counts_from: u32,
}

/// A mandate with the approvals given to it, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ApprovedMandate {
    /// The mandate.
    #[n(0)]
    pub mandate: Mandate,
    /// The approvals.
    #[n(1)]
    pub approvals: Vec<Approval>,
}

impl Document for ApprovedMandate {
    const KIND: &'static str = "approved-mandate";
}

impl ApprovedMandate {
    /// Checks the mandate's own rules and that a quorum approved exactly its digest. `governance` is the version that
    /// it names.
    ///
    /// # Errors
    /// `Denied` with what is wrong or missing.
    pub fn check(&self, governance: &Governance) -> Result<(), Error> {
        self.mandate.check(governance)?;
        check_quorum(&self.mandate.question(), &self.mandate.digest(), &self.approvals, governance)?;
        Ok(())
    }
}

impl Mandate {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    /// What is asked of the people who are to approve it.
    pub fn question(&self) -> Question<'_> {
        let Self { tier, tenant, initiator, .. } = self;
        Question { matter: Matter::Mandate, tier: *tier, tenant: Some(tenant), initiator }
    }

    /// How old an epoch of a wallet of this tier is to get, in milliseconds, if that is said.
    pub fn every_ms(&self, tier: Tier) -> Option<u64> {
        let fitting = self.cadence.iter().filter(|cadence| cadence.from_tier <= tier);
        fitting.max_by_key(|cadence| cadence.from_tier).map(|cadence| cadence.every_ms)
    }

    /// The wallets that it names, to look names up in; none if it is about all. A mandate may name many, and a plan
    /// under it as many: whoever asks one by one is kept busy by whoever sends plans.
    pub fn named(&self) -> Option<HashSet<&WalletId>> {
        match &self.wallets {
            Selector::All => None,
            Selector::Named(named) => Some(named.iter().collect()),
        }
    }

    /// Checks the rules inside one mandate.
    ///
    /// # Errors
    /// `Denied` with the rule that is broken.
    pub fn check(&self, governance: &Governance) -> Result<(), Error> {
        let denied = |reason: &str| Err(Error::denied(format!("the mandate is not sound: {reason}")));
        if self.governance != governance.digest() {
            return denied("it names another governance");
        }
        if !governance.tenants.contains(&self.tenant) {
            return denied("governance does not know its tenant");
        }
        let known = |signer: &SignerId| governance.signers.iter().any(|known| &known.signer == signer);
        if !self.committee.signers().all(known) {
            return denied("a member of the committee is no signer of this governance");
        }
        let small = self.committee.members().len() < self.committee.safe_activation_size();
        if small && self.liar_tolerance == LiarTolerance::Required {
            return denied("fewer than 2t-1 members, and nobody approved that as unsafe against liars");
        }
        if self.not_before_ms >= self.until_ms {
            return denied("it ends before it begins");
        }
        if self.least_gap_ms < LEAST_GAP_MS {
            return denied("at least a minute lies between two Retirements of a wallet");
        }
        if self.run_ms == 0 || self.run_ms > self.least_gap_ms {
            return denied("a refresh may take some time, and no more than lies between two of them");
        }
        if self.attempts == 0 || self.attempts > ATTEMPTS_MAX {
            return denied("1 to 100 attempts between two Retirements");
        }
        if self.failures == 0 {
            return denied("it has to end after some number of failures, at least one");
        }
        self.check_wallets()?;
        self.check_times()
    }

    fn check_wallets(&self) -> Result<(), Error> {
        let Selector::Named(named) = &self.wallets else { return Ok(()) };
        let mut sorted: Vec<&WalletId> = named.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        match sorted.len() == named.len() && (1..=NAMED_WALLETS_MAX).contains(&named.len()) {
            true => Ok(()),
            false => {
                Err(Error::denied("the mandate is not sound: it names 1 to 10000 wallets, each of them once"))
            }
        }
    }

    fn check_times(&self) -> Result<(), Error> {
        let denied = |reason: &str| Err(Error::denied(format!("the mandate is not sound: {reason}")));
        if self.windows.len() > WINDOWS_MAX || !self.windows.iter().all(Window::is_sound) {
            return denied(
                "at most 64 windows, each on some day, from some minute of it, for at most a week",
            );
        }
        let mut tiers: Vec<Tier> = self.cadence.iter().map(|cadence| cadence.from_tier).collect();
        tiers.sort_unstable();
        tiers.dedup();
        if tiers.len() != self.cadence.len() {
            return denied("it says twice how often wallets of one tier are renewed");
        }
        if self.cadence.iter().any(|cadence| cadence.every_ms < self.least_gap_ms) {
            return denied("wallets are to be renewed more often than it allows");
        }
        Ok(())
    }

    /// Checks that a plan does what this mandate lets it do, and nothing else. What a signer remembers of its wallets
    /// is for the signer to hold against it.
    ///
    /// # Errors
    /// `Denied` with what goes beyond the mandate.
    pub fn check_plan(&self, plan: &Plan) -> Result<(), Error> {
        let denied = |reason: &str| Err(Error::denied(format!("the plan goes beyond its mandate: {reason}")));
        let under = plan.mandate.as_ref();
        if under.is_none_or(|under| under.mandate != self.digest() || under.counts_from == 0) {
            return denied("it names another one");
        }
        if plan.action != Action::Refresh {
            return denied("a mandate is for refresh alone");
        }
        if plan.tenant != self.tenant || plan.tier > self.tier {
            return denied("another tenant or a higher tier");
        }
        let named = self.named();
        let is_other =
            |wallet: &&PlannedWallet| named.as_ref().is_some_and(|named| !named.contains(wallet.id()));
        if let Some(other) = plan.wallets.iter().find(is_other) {
            return denied(&format!("it does not name {}", other.id()));
        }
        let same = plan.committee == self.committee
            && plan.liar_tolerance == self.liar_tolerance
            && plan.profile == self.profile
            && plan.probe_rate == self.probe_rate
            && plan.backup_rule == self.backup_rule
            && plan.policy == self.policy
            && plan.governance == self.governance
            && plan.initiator == self.initiator;
        if !same {
            return denied("another committee, profile, rule, governance or initiator");
        }
        if plan.attempts > self.attempts {
            return denied(&format!("more than {} attempts", self.attempts));
        }
        if plan.not_before_ms < self.not_before_ms || plan.activation_deadline_ms > self.until_ms {
            return denied("it is outside of the mandate's dates");
        }
        if plan.activation_deadline_ms - plan.not_before_ms > self.run_ms {
            return denied("it takes longer than a refresh may take");
        }
        let fits = |window: &Window| window.covers(plan.not_before_ms, plan.expiry_ms);
        if !self.windows.is_empty() && !self.windows.iter().any(fits) {
            return denied("it begins outside of the mandate's windows");
        }
        Ok(())
    }
}
