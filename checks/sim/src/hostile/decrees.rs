//! What the people of a besieged deployment decide beyond plans: mandates, and orders about them, about plans and about
//! signers that have halted. They are honest; whom they reach is for the attacker to choose.

use super::people::quorum_for;
use super::stage::Stage;
use crate::cast::name;
use crate::signer::Signer;
use perennial_model::encoding::Digest;
use perennial_model::mandate::{ApprovedMandate, Cadence, LEAST_GAP_MS, Mandate, Selector, Window};
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::{Action, Plan};
use perennial_model::wallet::{TenantId, Tier};

const MINUTE_MS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;
/// How long before now a plan of the honest driver under a mandate begins, since clocks differ.
const BEGUN_MS: u64 = 30_000;

/// What was given so far.
#[derive(Default)]
pub struct Decrees {
    /// Mandates, the newest last.
    pub mandates: Vec<ApprovedMandate>,
    /// Orders, the newest last.
    pub orders: Vec<ApprovedOrder>,
    /// Orders that no honest driver is told of: the attacker chooses who is.
    pub withheld: Vec<ApprovedOrder>,
    /// What signers have halted for.
    pub halts: Vec<(usize, Digest)>,
    number: u64,
}

impl Decrees {
    /// Whether people's last word about a mandate is that it rests.
    pub fn rests(&self, mandate: &Digest) -> bool {
        let about = |given: &&ApprovedOrder| match &given.order.deed {
            Deed::Pause(what) | Deed::Resume(what) => what == mandate,
            Deed::Cancel(_) | Deed::Readmit { .. } => false,
        };
        let last = self.orders.iter().filter(about).max_by_key(|given| given.order.number);
        last.is_some_and(|given| matches!(given.order.deed, Deed::Pause(_)))
    }
}

impl Stage {
    /// A mandate for a group of wallets that nobody has given yet.
    pub fn mandate(&mut self, group: usize) -> Mandate {
        let now_ms = self.now_ms;
        let like = self.people.plan(&self.cast, group, Action::Refresh, Vec::new(), now_ms, &mut self.rng);
        let theirs = self.people.groups[group].wallets.iter().map(|wallet| wallet.id.clone()).collect();
        let least_gap_ms = LEAST_GAP_MS + self.below(10_000) as u64;
        let minute = now_ms / MINUTE_MS % DAY_MINUTES;
        let from_minute = ((minute + DAY_MINUTES - 60) % DAY_MINUTES) as u16;
        Mandate {
            tenant: like.tenant,
            tier: like.tier,
            wallets: if self.one_in(3) { Selector::Named(theirs) } else { Selector::All },
            committee: like.committee,
            liar_tolerance: like.liar_tolerance,
            profile: like.profile,
            probe_rate: like.probe_rate,
            backup_rule: like.backup_rule,
            policy: like.policy,
            not_before_ms: now_ms - 2 * BEGUN_MS,
            until_ms: now_ms + 24 * 3_600_000,
            least_gap_ms,
            attempts: 3 + self.below(8) as u32,
            windows: match self.one_in(2) {
                true => vec![Window { days: 0b111_1111, from_minute, minutes: 12 * 60 }],
                false => Vec::new(),
            },
            run_ms: BEGUN_MS + 5_000 + self.below(6_000) as u64,
            cadence: vec![Cadence { from_tier: Tier::Low, every_ms: least_gap_ms }],
            failures: 1_000,
            governance: like.governance,
            initiator: like.initiator,
            nonce: like.nonce,
        }
    }

    /// People give a mandate.
    pub fn give(&mut self, mandate: Mandate) -> ApprovedMandate {
        let given = self.signed_mandate(mandate);
        self.history.mandated(&given.mandate);
        self.decrees.mandates.push(given.clone());
        given
    }

    /// A mandate with enough people's approvals, whether it is sound or not.
    pub fn signed_mandate(&mut self, mandate: Mandate) -> ApprovedMandate {
        let digest = mandate.digest();
        let approvals = quorum_for(&self.cast, &mandate.question(), &digest, &mut self.rng);
        ApprovedMandate { mandate, approvals }
    }

    /// An order that nobody has given yet.
    pub fn order(&mut self, deed: Deed, tenant: Option<TenantId>, tier: Tier) -> Order {
        self.decrees.number += 1;
        Order {
            deed,
            tenant,
            tier,
            number: self.decrees.number,
            expiry_ms: self.now_ms + 5_000 + self.below(120_000) as u64,
            governance: self.cast.history.newest_digest(),
            initiator: self.cast.initiator.clone(),
            nonce: Digest::of(&self.decrees.number.to_be_bytes()),
        }
    }

    /// An order with enough people's approvals, whether it is sound or not.
    pub fn signed_order(&mut self, order: Order) -> ApprovedOrder {
        let approvals = quorum_for(&self.cast, &order.question(), &order.digest(), &mut self.rng);
        ApprovedOrder { order, approvals }
    }

    /// People give an order.
    pub fn order_given(&mut self, order: Order) -> ApprovedOrder {
        let given = self.signed_order(order);
        self.history.ordered(&given.order);
        self.decrees.orders.push(given.clone());
        given
    }

    /// People call off a plan, or have its mandate rest.
    pub fn call_off(&mut self, plan: &Plan) -> ApprovedOrder {
        let deed = Deed::Cancel(plan.digest());
        let order = self.order(deed, Some(plan.tenant.clone()), plan.tier);
        self.order_given(order)
    }

    /// People readmit a signer from a halt.
    pub fn readmit(&mut self, number: usize, halt: Digest) -> ApprovedOrder {
        let deed = Deed::Readmit { signer: self.cast.ids[number].clone(), halt };
        let order = self.order(deed, None, Tier::High);
        self.order_given(order)
    }

    /// The newest mandate of a tenant that may still be in force; not one that rests or is called off by an order that
    /// everybody was told of.
    pub fn standing_mandate(&self, tenant: &TenantId) -> Option<&ApprovedMandate> {
        let in_force = self.cast.history.newest_digest();
        let orders = &self.decrees.orders;
        let cancelled = |digest: &Digest| orders.iter().any(|one| one.order.deed == Deed::Cancel(*digest));
        self.decrees.mandates.iter().rev().take(6).find(|given| {
            given.mandate.governance == in_force
                && given.mandate.tenant == *tenant
                && given.mandate.until_ms > self.now_ms
                && !cancelled(&given.mandate.digest())
        })
    }

    /// The signers that have halted, with what each has halted for.
    pub fn halted(&self) -> Vec<(usize, Digest)> {
        let halts = self.history.mirrors.iter().enumerate();
        halts.filter_map(|(number, mirror)| Some((number, mirror.halt?))).collect()
    }

    /// Whether a signer works.
    pub fn works(&self, number: usize) -> bool {
        self.signers[number].keeper().is_some_and(|keeper| keeper.halted().is_none())
    }

    /// The tenant that is not this one.
    pub fn other_tenant(tenant: &TenantId) -> TenantId {
        name(if tenant.as_str() == "acme" { "beta" } else { "acme" })
    }

    /// A signer's clock.
    pub fn clock_of(&self, number: usize) -> u64 {
        Signer::clock_ms(&self.signers[number], self.now_ms)
    }
}
