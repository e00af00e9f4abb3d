//! The people of a besieged deployment: two operators out of three decide, a compliance officer as well where much is at
//! stake, and one operator answers for one tenant alone. They are honest; what they sign, the attacker has.

use crate::cast::{Cast, Crypto, name};
use perennial_model::approval::{Approval, ApprovedPlan, Question};
use perennial_model::committee::Committee;
use perennial_model::encoding::Digest;
use perennial_model::governance::SignerIdentity;
use perennial_model::governance::{Approver, ApproverKey, Demand, Governance, Matter, PersonId, Rule};
use perennial_model::plan::{Action, BackupRule, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use perennial_model::wallet::{Chain, TenantId, Tier, Wallet};
use perennial_workflow::wallets::Heads;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

/// The operators who answer for every tenant, by their places in the cast.
pub const OPERATORS: [usize; 3] = [0, 1, 2];
/// Who answers for compliance.
pub const COMPLIANCE: usize = 3;
/// The operator who answers for the second tenant alone.
pub const LIMITED: usize = 4;

/// The most wallets that are planned while the attack goes on.
const LATE_WALLETS_MAX: u32 = 12;
const NAMES: [&str; 5] = ["ana", "ben", "cem", "dov", "eli"];

/// Wallets that are planned for together: one tenant's, of one tier.
#[derive(Clone, Debug)]
pub struct Group {
    /// Whose they are.
    pub tenant: TenantId,
    /// How much they matter.
    pub tier: Tier,
    /// The wallets.
    pub wallets: Vec<Wallet>,
}

/// What people have decided on so far, and what they decide about.
pub struct People {
    /// The groups of wallets.
    pub groups: Vec<Group>,
    /// The committee of every plan.
    pub committee: Committee,
    rank: u32,
    /// How many wallets were planned after the first ones.
    late: u32,
}

/// A cast of `count` signers under these people's governance.
pub fn cast(seed: u64, count: usize) -> Cast {
    Cast::governed(seed, count, Crypto::Transparent, &NAMES, 2, governance)
}

fn governance(people: Vec<(PersonId, ApproverKey)>, signers: Vec<SignerIdentity>) -> Governance {
    let approver = |(at, (person, key)): (usize, (PersonId, ApproverKey))| Approver {
        person,
        role: name(if at == COMPLIANCE { "compliance" } else { "operator" }),
        keys: vec![key],
        tenants: if at == LIMITED { vec![name("beta")] } else { Vec::new() },
    };
    let operators = Demand { role: name("operator"), approvals: 2 };
    let compliance = Demand { role: name("compliance"), approvals: 1 };
    let low = |matter| Rule { matter, from_tier: Tier::Low, demands: vec![operators.clone()] };
    let high =
        |matter| Rule { matter, from_tier: Tier::High, demands: vec![operators.clone(), compliance.clone()] };
    Governance {
        version: 1,
        predecessor: None,
        initiator: name("otto"),
        approvers: people.into_iter().enumerate().map(approver).collect(),
        rules: Matter::ALL
            .map(low)
            .into_iter()
            .chain([high(Matter::Create), high(Matter::Refresh), high(Matter::Mandate)])
            .collect(),
        tenants: vec![name("acme"), name("beta")],
        signers,
        written_off: Vec::new(),
        relying_party: None,
        ledger_key: None,
    }
}

impl People {
    /// People with wallets to be made: some of one tenant, some of the other, of a higher tier.
    pub fn new(committee: Committee, rng: &mut ChaCha8Rng) -> Self {
        let mut group = |tenant: &str, tier| {
            let count = 1 + rng.next_u32() % 3;
            let wallet = |number| Wallet {
                id: name(&format!("{tenant}-{number}")),
                tenant: name(tenant),
                tier,
                chain: Chain::Nowhere,
            };
            Group { tenant: name(tenant), tier, wallets: (0..count).map(wallet).collect() }
        };
        let groups = vec![group("acme", Tier::Standard), group("beta", Tier::High)];
        Self { groups, committee, rank: 0, late: 0 }
    }

    /// A plan that makes one or two more wallets for a tenant, while the attack goes on. None if it has enough.
    pub fn create_more(
        &mut self,
        cast: &Cast,
        group: usize,
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Option<Plan> {
        if self.late >= LATE_WALLETS_MAX {
            return None;
        }
        let Group { tenant, tier, .. } = &self.groups[group];
        let first = self.late;
        self.late += 1 + rng.next_u32() % 2;
        let late = |number| Wallet {
            id: name(&format!("{tenant}-late-{number}")),
            tenant: tenant.clone(),
            tier: *tier,
            chain: Chain::Nowhere,
        };
        let wallets = (first..self.late).map(|number| PlannedWallet::New(late(number))).collect();
        let mut plan = self.plan(cast, group, Action::Create, wallets, now_ms, rng);
        plan.attempts = 6;
        Some(plan)
    }

    /// A plan that makes the wallets of a group.
    pub fn create(&mut self, cast: &Cast, group: usize, now_ms: u64, rng: &mut ChaCha8Rng) -> Plan {
        let wallets = self.groups[group].wallets.iter().cloned().map(PlannedWallet::New).collect();
        let mut plan = self.plan(cast, group, Action::Create, wallets, now_ms, rng);
        plan.expiry_ms = now_ms + 60_000;
        plan.activation_deadline_ms = now_ms + 90_000;
        plan.attempts = 6;
        plan
    }

    /// A plan that refreshes the wallets of a group, none while there are none.
    pub fn refresh(
        &mut self,
        cast: &Cast,
        heads: &Heads,
        group: usize,
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Option<Plan> {
        let tenant = self.groups[group].tenant.clone();
        let theirs = heads.iter().filter(|head| head.wallet().tenant == tenant);
        let wallets: Vec<PlannedWallet> =
            theirs.map(|head| PlannedWallet::Held(head.wallet().id.clone(), head.ground().digest)).collect();
        (!wallets.is_empty()).then(|| self.plan(cast, group, Action::Refresh, wallets, now_ms, rng))
    }

    /// A plan that nobody has seen yet.
    pub fn plan(
        &mut self,
        cast: &Cast,
        group: usize,
        action: Action,
        wallets: Vec<PlannedWallet>,
        now_ms: u64,
        rng: &mut ChaCha8Rng,
    ) -> Plan {
        let mut pick = |from: u64, to: u64| from + rng.next_u64() % (to - from + 1);
        self.rank += 1;
        let small = self.committee.members().len() < self.committee.safe_activation_size();
        let expiry_ms = now_ms + pick(1_500, 6_000);
        Plan {
            action,
            tenant: self.groups[group].tenant.clone(),
            tier: self.groups[group].tier,
            wallets,
            rank: self.rank,
            attempts: pick(1, 4) as u32,
            committee: self.committee.clone(),
            liar_tolerance: if small { LiarTolerance::WaivedUnsafe } else { LiarTolerance::Required },
            profile: Profile::Planned {
                overlap_ms: [0, pick(1, 300), pick(300, 2_000)][pick(0, 2) as usize],
            },
            not_before_ms: now_ms,
            expiry_ms,
            activation_deadline_ms: expiry_ms + pick(500, 3_000),
            probe_rate: if pick(0, 1) == 0 { ProbeRate::Every } else { ProbeRate::OnePerChunk },
            backup_rule: BackupRule::CommitteeOnly,
            policy: None,
            governance: cast.history.newest_digest(),
            initiator: cast.initiator.clone(),
            nonce: Digest::of(&self.rank.to_be_bytes()),
            mandate: None,
        }
    }
}

/// Enough people's approvals of a plan.
pub fn quorum(cast: &Cast, plan: &Plan, rng: &mut ChaCha8Rng) -> Vec<Approval> {
    quorum_for(cast, &plan.question(), &plan.digest(), rng)
}

/// Enough people's approvals of what has this digest.
pub fn quorum_for(
    cast: &Cast,
    question: &Question<'_>,
    digest: &Digest,
    rng: &mut ChaCha8Rng,
) -> Vec<Approval> {
    let absent = rng.next_u32() as usize % OPERATORS.len();
    let operators = OPERATORS.into_iter().filter(|person| *person != absent);
    let demands = cast.history.newest().demands(question.matter, question.tier).unwrap_or_default();
    let compliance = demands.iter().any(|demand| demand.role.as_str() == "compliance").then_some(COMPLIANCE);
    operators.chain(compliance).map(|person| cast.approve_as(person, digest)).collect()
}

/// A plan with approvals of all that is needed.
pub fn approved(cast: &Cast, plan: Plan, rng: &mut ChaCha8Rng) -> ApprovedPlan {
    let approvals = quorum(cast, &plan, rng);
    ApprovedPlan::by_people(plan, approvals)
}
