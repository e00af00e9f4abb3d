//! The people: they have wallets made, and refreshed again and again, and plan anew when a plan came to nothing.

use crate::cast::{Cast, name};
use crate::scenario::Scenario;
use perennial_model::committee::Committee;
use perennial_model::encoding::Digest;
use perennial_model::mandate::{ApprovedMandate, Cadence, LEAST_GAP_MS, Mandate, Selector, Window};
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::{Action, BackupRule, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use perennial_model::wallet::{Scheme, Tier, Wallet, WalletId};
use perennial_workflow::wallets::{Head, Heads};
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// After this time a plan that is not done no longer keeps people from making the next, in milliseconds.
pub const STUCK_MS: u64 = 45_000;

const DAY_MS: u64 = 24 * 3_600_000;

/// A plan that was handed in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Its digest.
    pub plan: Digest,
    /// What it does.
    pub action: Action,
    /// When it was handed in, in virtual milliseconds.
    pub since_ms: u64,
    /// When it can no longer be activated.
    pub deadline_ms: u64,
}

/// The people's notes.
pub struct Operator {
    /// The plans that are not over.
    pub watched: Vec<Watched>,
    /// How many refresh plans were made.
    pub made: u32,
    /// The mandates that were given and not called off, with the governance under which they were.
    pub mandates: Vec<(Digest, Digest)>,
    orders: u64,
    rank: u32,
    creates: u32,
    committee: Committee,
    rng: ChaCha8Rng,
}

/// How a plan is dated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dates {
    /// As people do it.
    Any,
    /// With all the time that a quiet network needs.
    Generous,
}

impl Operator {
    /// Nothing is planned yet.
    pub fn new(scenario: &Scenario, cast: &Cast, rng: ChaCha8Rng) -> Self {
        let committee = Committee::first(scenario.threshold, &cast.ids);
        Self {
            watched: Vec::new(),
            made: 0,
            mandates: Vec::new(),
            orders: 0,
            rank: 0,
            creates: 0,
            committee: committee.expect("scenarios have 2 ≤ t ≤ n ≤ 16"),
            rng,
        }
    }

    /// A plan that makes all wallets.
    pub fn create(&mut self, scenario: &Scenario, cast: &Cast, now_ms: u64) -> Plan {
        self.creates += 1;
        let attempt = self.creates;
        let wallets = scenario.wallets.iter().enumerate().map(|(number, chain)| {
            PlannedWallet::New(Wallet {
                id: name(&format!("w{number:02}-{attempt}")),
                tenant: name("acme"),
                tier: Tier::Standard,
                chain: *chain,
            })
        });
        let wallets = wallets.collect();
        self.plan(cast, Action::Create, wallets, now_ms, Dates::Generous)
    }

    /// A plan that refreshes some wallets.
    pub fn refresh(&mut self, cast: &Cast, heads: &Heads, now_ms: u64) -> Option<Plan> {
        let all: Vec<Head<'_>> = heads.iter().collect();
        let some = self.one_in(3);
        // ECDSA wallets stand together.
        let is_ecdsa = |head: &Head<'_>| head.wallet().chain.scheme() == Scheme::Ecdsa;
        let without_ecdsa = some && all.iter().any(is_ecdsa) && self.one_in(2);
        let mut is_chosen = |head: &Head<'_>| match is_ecdsa(head) {
            true => !without_ecdsa,
            false => !some || !self.one_in(2),
        };
        let mut chosen: Vec<&Head<'_>> = all.iter().filter(|head| is_chosen(head)).collect();
        if chosen.is_empty() {
            // The last has no pair bases.
            chosen.extend(all.last());
        }
        let from_other = self.one_in(4);
        let wallets: Vec<PlannedWallet> = chosen.iter().map(|head| planned(head, from_other)).collect();
        if wallets.is_empty() {
            return None;
        }
        self.made += 1;
        Some(self.plan(cast, Action::Refresh, wallets, now_ms, Dates::Any))
    }

    /// A plan that refreshes every wallet from a share set that enough signers are known to hold.
    pub fn last(&mut self, cast: &Cast, heads: &Heads, now_ms: u64) -> Option<Plan> {
        let ground = |head: Head<'_>| PlannedWallet::Held(head.wallet().id.clone(), head.ground().digest);
        let wallets: Vec<PlannedWallet> = heads.iter().map(ground).collect();
        (!wallets.is_empty()).then(|| self.plan(cast, Action::Refresh, wallets, now_ms, Dates::Generous))
    }

    /// A mandate for all wallets, at the pace of this world: a wallet is renewed after a minute or two.
    pub fn mandate(&mut self, cast: &Cast, now_ms: u64) -> ApprovedMandate {
        let gap_ms = LEAST_GAP_MS + self.rng.next_u64() % 30_000;
        let every_ms = gap_ms + self.rng.next_u64() % 60_000;
        self.give(cast, now_ms, |mandate| {
            mandate.until_ms = now_ms + 3_600_000;
            mandate.least_gap_ms = gap_ms;
            mandate.run_ms = 30_000;
            mandate.cadence = vec![Cadence { from_tier: Tier::Low, every_ms }];
        })
    }

    /// A mandate to renew all wallets each week, in the night from Saturday to Sunday, for so long.
    pub fn weekly(&mut self, cast: &Cast, now_ms: u64, for_ms: u64) -> ApprovedMandate {
        self.give(cast, now_ms, |mandate| {
            mandate.until_ms = now_ms + for_ms;
            mandate.least_gap_ms = 6 * DAY_MS;
            mandate.run_ms = 6 * 3_600_000;
            mandate.windows = vec![Window { days: 1 << 5, from_minute: 20 * 60, minutes: 8 * 60 }];
            mandate.cadence = vec![Cadence { from_tier: Tier::Low, every_ms: 7 * DAY_MS - DAY_MS / 2 }];
        })
    }

    fn give(&mut self, cast: &Cast, now_ms: u64, change: impl FnOnce(&mut Mandate)) -> ApprovedMandate {
        let like = self.plan(cast, Action::Refresh, Vec::new(), now_ms, Dates::Any);
        let mut mandate = Mandate { not_before_ms: now_ms, attempts: 40, ..mandate_like(like) };
        change(&mut mandate);
        let digest = mandate.digest();
        self.mandates.push((digest, mandate.governance));
        ApprovedMandate { mandate, approvals: vec![cast.approve(&digest)] }
    }

    /// An order.
    pub fn order(&mut self, cast: &Cast, deed: Deed, now_ms: u64) -> ApprovedOrder {
        self.orders += 1;
        let order = Order {
            deed,
            tenant: Some(name("acme")),
            tier: Tier::High,
            number: self.orders,
            expiry_ms: now_ms + 600_000,
            governance: cast.history.newest_digest(),
            initiator: cast.initiator.clone(),
            nonce: Digest::of(&self.orders.to_be_bytes()),
        };
        let approvals = vec![cast.approve(&order.digest())];
        ApprovedOrder { order, approvals }
    }

    /// Whether people wait for a plan before they make the next.
    pub fn is_busy(&mut self, now_ms: u64, at_once: usize) -> bool {
        self.watched.iter().filter(|watched| now_ms < watched.since_ms + STUCK_MS).count() >= at_once
    }

    /// Whether wallets are being made.
    pub fn is_creating(&self, now_ms: u64) -> bool {
        self.watched
            .iter()
            .any(|watched| watched.action == Action::Create && now_ms < watched.since_ms + STUCK_MS)
    }

    /// A throw of a die with this many sides, from 0.
    pub fn one_of(&mut self, sides: u64) -> u64 {
        self.rng.next_u64() % sides
    }

    /// A throw of a coin with this many sides.
    pub fn one_in(&mut self, sides: u64) -> bool {
        self.rng.next_u64().is_multiple_of(sides)
    }

    fn plan(
        &mut self,
        cast: &Cast,
        action: Action,
        wallets: Vec<PlannedWallet>,
        now_ms: u64,
        dates: Dates,
    ) -> Plan {
        let mut pick = |from: u64, to: u64| from + self.rng.next_u64() % (to - from + 1);
        let (attempts, overlap_ms, open_ms, activate_ms) = match dates {
            // A chunk of eight may have to be cut three times until its wallets have enough holders in common.
            Dates::Generous => (6, pick(0, 300), 70_000, 25_000),
            Dates::Any => (
                pick(1, 4) as u32,
                [0, 0, pick(1, 400), pick(400, 3_000)][pick(0, 3) as usize],
                pick(1_500, 15_000),
                pick(500, 15_000),
            ),
        };
        let small = self.committee.members().len() < self.committee.safe_activation_size();
        let liar_tolerance = match small || (dates == Dates::Any && pick(0, 3) == 0) {
            true => LiarTolerance::WaivedUnsafe,
            false => LiarTolerance::Required,
        };
        let probe_rate = if pick(0, 3) == 0 { ProbeRate::Every } else { ProbeRate::OnePerChunk };
        self.rank += 1;
        Plan {
            action,
            tenant: name("acme"),
            tier: Tier::Standard,
            wallets,
            rank: self.rank,
            attempts,
            committee: self.committee.clone(),
            liar_tolerance,
            profile: Profile::Planned { overlap_ms },
            not_before_ms: now_ms,
            expiry_ms: now_ms + open_ms,
            activation_deadline_ms: now_ms + open_ms + activate_ms,
            probe_rate,
            backup_rule: BackupRule::CommitteeOnly,
            policy: None,
            governance: cast.history.newest_digest(),
            initiator: cast.initiator.clone(),
            nonce: Digest::of(&self.rank.to_be_bytes()),
            mandate: None,
        }
    }
}

/// A wallet with the share set that a plan takes as its parent: what the product would take, or the last that is
/// served of it.
fn planned(head: &Head<'_>, from_other: bool) -> PlannedWallet {
    let id: WalletId = head.wallet().id.clone();
    let other = head.served().last().filter(|_| from_other);
    PlannedWallet::Held(id, other.unwrap_or(head.ground()).digest)
}

/// A mandate for all wallets of whom a plan is, with its terms; dates, gap, attempts and cadence are left to be said.
pub fn mandate_like(plan: Plan) -> Mandate {
    Mandate {
        tenant: plan.tenant,
        tier: plan.tier,
        wallets: Selector::All,
        committee: plan.committee,
        liar_tolerance: plan.liar_tolerance,
        profile: plan.profile,
        probe_rate: plan.probe_rate,
        backup_rule: plan.backup_rule,
        policy: plan.policy,
        not_before_ms: 0,
        until_ms: 0,
        least_gap_ms: 0,
        attempts: 0,
        windows: Vec::new(),
        run_ms: 0,
        cadence: Vec::new(),
        failures: 1_000,
        governance: plan.governance,
        initiator: plan.initiator,
        nonce: plan.nonce,
    }
}
