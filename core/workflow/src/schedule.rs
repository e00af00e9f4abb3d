//! When wallets are renewed under a mandate, and which of them together. A calendar computed from mandates and from
//! what is known of wallets; nothing in it is durable, and nothing in it gives a right: signers hold every plan against
//! the mandate and against their own clocks.
//!
//! Wallets of low tiers go first, and higher ones wait until no refresh of the mandate is under way. A wallet is due
//! when its epoch is as old as the mandate's cadence says, or at once if something of an attempt that was left may lie
//! about; never sooner than the mandate allows. What is nearly due goes along with what is due, so that a fleet made on
//! one day is renewed on one day. ECDSA wallets that stand on the same pair bases go together or not at all.

mod calendar;

pub use calendar::{Occasion, Warning, calendar, warnings};

use crate::wallets::{Head, Heads};
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::mandate::{Mandate, UnderMandate};
use perennial_model::plan::{Action, PLAN_WALLETS_MAX, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::wallet::{Scheme, Tier, WalletId};
use std::collections::BTreeMap;

/// How far a plan's not-before lies in the past, in milliseconds: clocks differ.
const BEGUN_MS: u64 = 30_000;
/// The most numbers that one refresh may use up: a signer that is away must not use up all that a mandate has.
const ATTEMPTS_AT_ONCE: u32 = 3;
/// What is due within this part of its cadence goes along.
const GOES_ALONG: u64 = 10;

/// Why a wallet that a mandate is about is not renewed under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Its newest epoch is not retired: a ceremony is under way, or stuck.
    Unsettled,
    /// So many numbers were used up without a Retirement that signers open no further one.
    UsedUp,
    /// It stands on the same pair bases as this wallet, which the mandate is not about, or which is unfit itself.
    Companion(WalletId),
}

/// Wallets that are renewed together: one, or all that stand on the same pair bases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// Each with the digest of its share set.
    pub wallets: Vec<(WalletId, Digest)>,
    /// The highest tier among them.
    pub tier: Tier,
    /// The number that they stand at; of several the lowest count.
    pub retired: Epoch,
    /// The highest number that was ever tried for one of them.
    pub highest: u32,
    /// When the least recently renewed one was, in milliseconds since 1970.
    pub renewed_ms: u64,
    /// When they may be renewed at the earliest.
    pub allowed_ms: u64,
    /// When they are to be renewed; none if the mandate does not say how often.
    pub due_ms: Option<u64>,
    /// Why they cannot be.
    pub unfit: Option<Unfit>,
}

/// The units that a mandate is about, the lowest tier first, and in a tier what is due first.
pub fn units(mandate: &Mandate, heads: &Heads) -> Vec<Unit> {
    let named = mandate.named();
    let is_meant = |head: &Head<'_>| {
        let wallet = head.wallet();
        wallet.tenant == mandate.tenant
            && wallet.tier <= mandate.tier
            && named.as_ref().is_none_or(|named| named.contains(&wallet.id))
            && head.present.share_set.committee == mandate.committee
    };
    let mut units: Vec<Unit> = Vec::new();
    let mut on_bases: BTreeMap<Digest, Vec<Unit>> = BTreeMap::new();
    for head in heads.iter() {
        let is_ecdsa = head.present.share_set.scheme() == Scheme::Ecdsa;
        let plan = head.present.standing.generation.inputs.chunk.plan;
        if is_meant(&head) {
            let unit = Unit::of(mandate, heads, &head);
            match is_ecdsa {
                true => on_bases.entry(plan).or_default().push(unit),
                false => units.push(unit),
            }
        }
    }
    for head in heads.iter().filter(|head| head.present.share_set.scheme() == Scheme::Ecdsa) {
        let plan = head.present.standing.generation.inputs.chunk.plan;
        if let Some(group) = on_bases.get_mut(&plan)
            && !is_meant(&head)
            && let Some(unit) = group.first_mut()
        {
            unit.unfit.get_or_insert(Unfit::Companion(head.wallet().id.clone()));
        }
    }
    units.extend(on_bases.into_values().filter_map(|group| group.into_iter().reduce(Unit::together)));
    units.sort_by(|a, b| {
        (a.tier, a.due_ms.unwrap_or(u64::MAX), &a.wallets).cmp(&(
            b.tier,
            b.due_ms.unwrap_or(u64::MAX),
            &b.wallets,
        ))
    });
    units
}

impl Unit {
    fn of(mandate: &Mandate, heads: &Heads, head: &Head<'_>) -> Self {
        let present = &head.present;
        let (wallet, retired) = (head.wallet(), present.share_set.epoch);
        let renewed_ms = present.standing.retired_ms.unwrap_or(present.standing.activated_ms);
        let hurries = planted!(MandateWithoutClock);
        let least_gap_ms = if hurries { 0 } else { mandate.least_gap_ms };
        let allowed_ms = renewed_ms.saturating_add(least_gap_ms);
        let is_exposed = hurries || heads.highest_left(&wallet.id).is_some_and(|left| left > retired);
        let due_ms = match mandate.every_ms(wallet.tier) {
            _ if is_exposed => Some(allowed_ms),
            Some(every_ms) => Some(renewed_ms.saturating_add(every_ms)),
            None => None,
        };
        let highest = heads.highest_left(&wallet.id).filter(|left| left.rank == retired.rank);
        let highest = highest.map_or(0, |left| left.count).max(retired.count);
        let used_up = highest >= retired.count.saturating_add(mandate.attempts);
        let unfit = match present.standing.retired_ms {
            None => Some(Unfit::Unsettled),
            Some(_) if used_up => Some(Unfit::UsedUp),
            Some(_) => None,
        };
        let wallets = vec![(wallet.id.clone(), present.digest)];
        Self { wallets, tier: wallet.tier, retired, highest, renewed_ms, allowed_ms, due_ms, unfit }
    }

    fn together(mut self, other: Self) -> Self {
        let unfit = other.unfit.map(|why| match (why, other.wallets.first()) {
            (Unfit::Companion(wallet), _) => Unfit::Companion(wallet),
            (_, Some((wallet, _))) => Unfit::Companion(wallet.clone()),
            (why, None) => why,
        });
        self.unfit = self.unfit.or(unfit);
        if self.retired.rank != other.retired.rank {
            self.unfit.get_or_insert(Unfit::Unsettled);
        }
        self.wallets.extend(other.wallets);
        self.tier = self.tier.max(other.tier);
        self.retired = self.retired.min(other.retired);
        self.highest = self.highest.max(other.highest);
        self.renewed_ms = self.renewed_ms.min(other.renewed_ms);
        self.allowed_ms = self.allowed_ms.max(other.allowed_ms);
        self.due_ms = [self.due_ms, other.due_ms].into_iter().flatten().min();
        self
    }

    /// When a refresh of it is to begin: when it is due, allowed, and a window is open. None if never.
    pub fn begins_ms(&self, mandate: &Mandate) -> Option<u64> {
        let at_ms = self.due_ms?.max(self.allowed_ms).max(mandate.not_before_ms);
        let begins_ms = opening(mandate, at_ms).map(|(begins_ms, _)| begins_ms.max(at_ms))?;
        (self.unfit.is_none() && begins_ms < mandate.until_ms).then_some(begins_ms)
    }

    /// Whether it is due, or so nearly that it goes along with what is.
    fn goes_along(&self, mandate: &Mandate, now_ms: u64) -> bool {
        let margin_ms = mandate.every_ms(self.tier).unwrap_or(0) / GOES_ALONG;
        self.unfit.is_none()
            && self.allowed_ms <= now_ms
            && self.due_ms.is_some_and(|due_ms| due_ms <= now_ms.saturating_add(margin_ms))
    }
}

/// The refresh that is to begin now under a mandate, if there is one: the lowest tier of which something is due.
pub fn due(mandate: &Mandate, heads: &Heads, nonce: Digest, now_ms: u64) -> Option<Plan> {
    let units = units(mandate, heads);
    let begins = |unit: &&Unit| unit.begins_ms(mandate).is_some_and(|begins_ms| begins_ms <= now_ms);
    let first = units.iter().find(begins)?;
    let rank = first.retired.rank;
    let (mut last, mut highest) = (u32::MAX, 0);
    let mut wallets: Vec<(Scheme, WalletId, Digest)> = Vec::new();
    let along = units.iter().filter(|unit| unit.tier == first.tier && unit.retired.rank == rank);
    for unit in std::iter::once(first).chain(along.filter(|unit| *unit != first)) {
        let (wanted, limit) = (highest.max(unit.highest), last.min(unit.retired.count + mandate.attempts));
        let fits = wanted < limit && wallets.len() + unit.wallets.len() <= PLAN_WALLETS_MAX;
        if fits && unit.goes_along(mandate, now_ms) {
            (highest, last) = (wanted, limit);
            let scheme = |id: &WalletId| heads.get(id).map(|head| head.present.share_set.scheme());
            wallets.extend(unit.wallets.iter().filter_map(|(id, set)| Some((scheme(id)?, id.clone(), *set))));
        }
    }
    // Those of one scheme stand together, since a chunk has one scheme.
    wallets.sort();
    let (opens_ms, closes_ms) = opening(mandate, now_ms)?;
    let not_before_ms = now_ms.saturating_sub(BEGUN_MS).max(opens_ms).max(mandate.not_before_ms);
    let ends_ms = not_before_ms.saturating_add(mandate.run_ms).min(mandate.until_ms);
    let expiry_ms = ends_ms.min(closes_ms);
    let is_time = not_before_ms < expiry_ms && now_ms < expiry_ms;
    (is_time && !wallets.is_empty()).then(|| Plan {
        action: Action::Refresh,
        tenant: mandate.tenant.clone(),
        tier: first.tier,
        wallets: wallets.into_iter().map(|(_, id, set)| PlannedWallet::Held(id, set)).collect(),
        rank,
        attempts: (last - highest).min(ATTEMPTS_AT_ONCE),
        committee: mandate.committee.clone(),
        liar_tolerance: mandate.liar_tolerance,
        profile: mandate.profile,
        not_before_ms,
        expiry_ms,
        activation_deadline_ms: ends_ms,
        probe_rate: mandate.probe_rate,
        backup_rule: mandate.backup_rule,
        policy: mandate.policy,
        governance: mandate.governance,
        initiator: mandate.initiator.clone(),
        nonce,
        mandate: Some(UnderMandate { mandate: mandate.digest(), counts_from: highest + 1 }),
    })
}

/// The opening of a mandate's windows that holds a time or is the next after it: from when to when, in milliseconds
/// since 1970. Without windows it is always open.
pub fn opening(mandate: &Mandate, at_ms: u64) -> Option<(u64, u64)> {
    match mandate.windows.is_empty() {
        true => Some((0, u64::MAX)),
        false => mandate.windows.iter().filter_map(|window| window.next(at_ms)).min(),
    }
}
