//! Plans that nobody was asked about, under mandates that do not cover them, and mandates that nobody gave.

use super::{Blows, ask};
use crate::hostile::people::{COMPLIANCE, LIMITED, OPERATORS};
use crate::hostile::stage::Stage;
use perennial_custody::pinned::CLOCK_SKEW_MS;
use perennial_model::approval::{Approval, ApprovedPlan};
use perennial_model::committee::Committee;
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::mail::Request;
use perennial_model::mandate::{ApprovedMandate, Selector, UnderMandate, Window};
use perennial_model::plan::{Action, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Tier, Wallet};

/// How many plans a flood has.
const FLOOD: usize = 20;

/// A plan under a mandate that people gave, as a signer would take it if it were time.
pub struct Bid {
    /// The mandate.
    pub given: ApprovedMandate,
    /// The plan.
    pub plan: Plan,
    /// The signer whose records it follows.
    pub number: usize,
    /// What was retired last of its wallets there.
    retired: Epoch,
    /// When the last of them was renewed there.
    renewed_ms: u64,
}

impl Bid {
    /// A bid for wallets of one group.
    pub fn new(stage: &mut Stage) -> Option<Self> {
        let group = stage.below(stage.people.groups.len());
        let tenant = stage.people.groups[group].tenant.clone();
        let given = stage.standing_mandate(&tenant)?.clone();
        let number = stage.any_member();
        Self::under(stage, given, number)
    }

    /// A bid under a mandate that follows the records of one signer.
    fn under(stage: &mut Stage, given: ApprovedMandate, number: usize) -> Option<Self> {
        let mandate = &given.mandate;
        let groups = stage.people.groups.iter().filter(|group| group.tenant == mandate.tenant);
        let wallets: Vec<Wallet> = groups.flat_map(|group| group.wallets.clone()).collect();
        let mut held: Vec<(Epoch, u64, PlannedWallet)> = Vec::new();
        let mirror = &stage.history.mirrors[number];
        for wallet in wallets {
            let renewed = stage.history.renewed.get(&(number, wallet.id.clone()));
            let Some((retired, renewed_ms)) = renewed else { continue };
            let known = mirror.wallets.get(&wallet.id).into_iter().flat_map(|record| &record.held);
            let mut sets = known.map(|held| &held.share_set).filter(|set| set.epoch == *retired);
            if let Some(set) = sets.next() {
                let digest = encoding::digest(&**set);
                held.push((*retired, *renewed_ms, PlannedWallet::Held(wallet.id, digest)));
            }
        }
        let (retired, ..) = *held.first()?;
        held.retain(|(epoch, ..)| *epoch == retired);
        let some = 1 + stage.below(held.len());
        held.truncate(some);
        let renewed_ms = held.iter().map(|(_, renewed_ms, _)| *renewed_ms).max()?;
        let wallets: Vec<PlannedWallet> = held.into_iter().map(|(.., wallet)| wallet).collect();
        let members = &stage.history.mirrors[..stage.members()];
        let chunks = members.iter().flat_map(|mirror| mirror.chunks.keys().map(|chunk| chunk.epoch));
        let floors = members.iter().flat_map(|mirror| mirror.wallets.values().map(|record| record.floor));
        let of_rank = chunks.chain(floors).filter(|epoch| epoch.rank == retired.rank);
        let opened = of_rank.map(|epoch| epoch.count).max().unwrap_or(0).max(retired.count);
        let counts_from = match opened < retired.count + mandate.attempts {
            true => opened + 1,
            false => retired.count + 1,
        };
        let begun_ms = 1_000 + stage.below(24_000) as u64;
        let not_before_ms = stage.now_ms.saturating_sub(begun_ms).max(mandate.not_before_ms);
        let ends_ms = (not_before_ms + mandate.run_ms).min(mandate.until_ms);
        let nonce = super::sessions::fresh(stage);
        let plan = Plan {
            action: Action::Refresh,
            tenant: mandate.tenant.clone(),
            tier: mandate.tier,
            wallets,
            rank: retired.rank,
            attempts: 1 + stage.below(3.min(mandate.attempts as usize)) as u32,
            committee: mandate.committee.clone(),
            liar_tolerance: mandate.liar_tolerance,
            profile: mandate.profile,
            not_before_ms,
            expiry_ms: ends_ms - stage.below(3_000) as u64,
            activation_deadline_ms: ends_ms,
            probe_rate: mandate.probe_rate,
            backup_rule: mandate.backup_rule,
            policy: mandate.policy,
            governance: mandate.governance,
            initiator: mandate.initiator.clone(),
            nonce,
            mandate: Some(UnderMandate { mandate: mandate.digest(), counts_from }),
        };
        Some(Self { given, plan, number, retired, renewed_ms })
    }

    /// Whether the signer has to wait until it opens anything of this.
    fn is_too_early(&self, stage: &Stage) -> bool {
        let gap_ms = self.given.mandate.least_gap_ms;
        stage.clock_of(self.number) + CLOCK_SKEW_MS < self.renewed_ms + gap_ms
    }

    /// Counts from another number.
    fn from(mut self, counts_from: u32) -> Self {
        if let Some(under) = &mut self.plan.mandate {
            under.counts_from = counts_from;
        }
        self
    }

    /// The first number, and all wallets.
    pub fn chunk(&self) -> Chunk {
        let epoch = Epoch::new(self.plan.rank, *self.plan.counts().start());
        Chunk { plan: self.plan.digest(), epoch, first: 0, count: self.plan.wallets.len() as u32 }
    }

    /// The plan as it is sent; known from then on.
    pub fn send(&self, stage: &mut Stage) -> Request {
        let approved = ApprovedPlan {
            mandate: Some(Box::new(self.given.clone())),
            ..ApprovedPlan::new(self.plan.clone())
        };
        stage.archive.unattended(&approved);
        Request::Plan(Box::new(approved))
    }

    /// The plan and its first number to the signer whose records it follows.
    fn alone(self, stage: &mut Stage, parents: Vec<ShareSet>) -> Blows {
        let (chunk, number) = (self.chunk(), self.number);
        vec![ask(number, self.send(stage)), ask(number, Request::Open { chunk, parents })]
    }

    /// The plan alone, which is not to be kept by anybody.
    fn offered(self, stage: &mut Stage) -> Blows {
        let number = stage.any_member();
        let approved = ApprovedPlan { mandate: Some(Box::new(self.given)), ..ApprovedPlan::new(self.plan) };
        vec![ask(number, Request::Plan(Box::new(approved)))]
    }
}

/// Before the mandate's gap is over at the signer.
pub fn too_early(stage: &mut Stage) -> Blows {
    match Bid::new(stage) {
        Some(bid) if bid.is_too_early(stage) => bid.alone(stage, Vec::new()),
        _ => Vec::new(),
    }
}

/// Under another rank than what was retired last.
pub fn of_other_rank(stage: &mut Stage) -> Blows {
    let Some(mut bid) = Bid::new(stage) else { return Vec::new() };
    match stage.below(3) {
        0 => bid.plan.rank += 1,
        1 => bid.plan.rank += 1 + stage.below(100) as u32,
        _ if bid.plan.rank > 1 => bid.plan.rank -= 1,
        _ => return Vec::new(),
    }
    bid.alone(stage, Vec::new())
}

/// Under numbers above those that the mandate lets, or below what was retired.
pub fn of_other_numbers(stage: &mut Stage) -> Blows {
    let Some(bid) = Bid::new(stage) else { return Vec::new() };
    let (retired, attempts) = (bid.retired.count, bid.given.mandate.attempts);
    let from = match stage.below(4) {
        0 => retired.saturating_sub(1).max(1),
        1 => u32::MAX,
        _ => retired + attempts + 1 + stage.below(3) as u32,
    };
    bid.from(from).alone(stage, Vec::new())
}

/// From a share set that was not the last to be retired: one that is active beside it, one of old, or one made up.
pub fn from_elsewhere(stage: &mut Stage) -> Blows {
    let Some(mut bid) = Bid::new(stage) else { return Vec::new() };
    bid.plan.wallets.truncate(1);
    let id = bid.plan.wallets[0].id().clone();
    let retired = bid.retired;
    let other = |set: &&ShareSet| set.wallet.id == id && set.epoch != retired;
    let held = stage.history.mirrors[bid.number].wallets.get(&id).into_iter().flat_map(|record| &record.held);
    let beside: Vec<ShareSet> = held.map(|held| &*held.share_set).filter(other).cloned().collect();
    let old = stage.archive.sets.iter().rev().map(|(_, set)| set).filter(other).take(3).cloned();
    let old: Vec<ShareSet> = old.collect();
    let all: Vec<ShareSet> = beside.iter().chain(&old).cloned().collect();
    let set = match stage.below(3) {
        0 => stage.one_of(&beside).or_else(|| old.first().cloned()),
        1 => stage.one_of(&all).map(|mut set| {
            set.epoch.rank += 1 + stage.below(3) as u32;
            set
        }),
        _ => stage.one_of(&old),
    };
    let Some(set) = set else { return Vec::new() };
    bid.plan.wallets = vec![PlannedWallet::Held(id, encoding::digest(&set))];
    bid.alone(stage, vec![set])
}

/// Of a wallet of which the signer has nothing but papers that came with the plan.
pub fn on_papers(stage: &mut Stage) -> Blows {
    let Some(mut bid) = Bid::new(stage) else { return Vec::new() };
    if bid.given.mandate.wallets != Selector::All {
        return Vec::new();
    }
    let Some(known) = stage.archive.set(&bid.plan.wallets[0].parent().unwrap_or_default()).cloned() else {
        return Vec::new();
    };
    let mut set = known;
    set.wallet.id = crate::cast::name(&format!("ghost-{}", stage.below(1_000)));
    bid.plan.wallets = vec![PlannedWallet::Held(set.wallet.id.clone(), encoding::digest(&set))];
    bid.alone(stage, vec![set])
}

/// Wallets that others have to be asked about, where the mandate names none.
pub fn of_foreign_wallets(stage: &mut Stage) -> Blows {
    let Some(mut bid) = Bid::new(stage) else { return Vec::new() };
    let sets = stage.archive.sets.iter().rev();
    let foreign = sets.map(|(_, set)| set).find(|set| set.wallet.tenant != bid.plan.tenant).cloned();
    let Some(set) = foreign.filter(|_| bid.given.mandate.wallets == Selector::All) else { return Vec::new() };
    bid.plan.wallets.push(PlannedWallet::Held(set.wallet.id.clone(), encoding::digest(&set)));
    bid.alone(stage, vec![set])
}

/// A plan that does something else than its mandate says.
pub fn exceeded(stage: &mut Stage) -> Blows {
    let Some(mut bid) = Bid::new(stage) else { return Vec::new() };
    let fewer = stage.cast.ids[1..=stage.members()].to_vec();
    let newest = stage.archive.governances.len();
    let older = stage.archive.governances.get(newest.saturating_sub(2)).map(|old| old.governance.digest());
    let group = stage.people.groups.iter().find(|group| group.tenant == bid.plan.tenant).cloned();
    let foreign = stage.people.groups.iter().find(|group| group.tenant != bid.plan.tenant).cloned();
    let (Some(group), Some(foreign)) = (group, foreign) else { return Vec::new() };
    let (plan, mandate) = (&mut bid.plan, &bid.given.mandate);
    match stage.rng_below(17) {
        0 => {
            let Ok(committee) = Committee::first(2, &fewer) else { return Vec::new() };
            (plan.committee, plan.liar_tolerance) = (committee, LiarTolerance::WaivedUnsafe);
        }
        1 => plan.profile = Profile::Planned { overlap_ms: plan.overlap_ms() + 1 },
        2 | 3 if mandate.tier < Tier::High => plan.tier = Tier::High,
        2 | 3 => plan.tenant = foreign.tenant,
        4 | 5 if mandate.wallets != Selector::All => {
            plan.wallets.push(PlannedWallet::Held(foreign.wallets[0].id.clone(), Digest([5; 32])));
        }
        4 | 5 => plan.initiator = crate::cast::name("ana"),
        6 => plan.attempts += mandate.attempts,
        7 => plan.not_before_ms = mandate.not_before_ms - 1,
        8 => {
            plan.not_before_ms = mandate.until_ms - 1_000;
            (plan.expiry_ms, plan.activation_deadline_ms) = (mandate.until_ms, mandate.until_ms + 1);
        }
        9 => plan.activation_deadline_ms = plan.not_before_ms + mandate.run_ms + 1,
        10 | 11 if !mandate.windows.is_empty() => {
            let later_ms = 12 * 3_600_000;
            plan.not_before_ms += later_ms;
            plan.expiry_ms += later_ms;
            plan.activation_deadline_ms += later_ms;
        }
        10 | 11 => plan.policy = Some(Digest([4; 32])),
        12 => plan.governance = older.filter(|old| *old != plan.governance).unwrap_or(Digest([3; 32])),
        13 => {
            let new = group.wallets[0].clone();
            plan.action = Action::Create;
            plan.wallets = vec![PlannedWallet::New(Wallet { tier: plan.tier, ..new })];
        }
        14 => plan.mandate = plan.mandate.map(|under| UnderMandate { mandate: Digest([2; 32]), ..under }),
        15 => plan.mandate = None,
        _ => {
            plan.probe_rate = match plan.probe_rate {
                ProbeRate::Every => ProbeRate::OnePerChunk,
                ProbeRate::OnePerChunk => ProbeRate::Every,
            }
        }
    }
    bid.offered(stage)
}

/// A mandate with fewer people than it takes, one of them twice, who asks among them, or others.
pub fn unapproved(stage: &mut Stage) -> Blows {
    let group = stage.below(stage.people.groups.len());
    let mut mandate = stage.mandate(group);
    let which = stage.below(4);
    if which == 2 {
        mandate.initiator = stage.cast.history.newest().approvers[OPERATORS[0]].person.clone();
    }
    let people: Vec<usize> = match which {
        0 => vec![OPERATORS[stage.below(3)], COMPLIANCE],
        1 => vec![OPERATORS[1], OPERATORS[1], COMPLIANCE],
        2 => vec![OPERATORS[0], OPERATORS[1], COMPLIANCE],
        _ if mandate.tier == Tier::High => OPERATORS.to_vec(),
        _ => vec![OPERATORS[0], LIMITED, COMPLIANCE],
    };
    let digest = mandate.digest();
    let approvals = people.iter().map(|person| stage.cast.approve_as(*person, &digest)).collect();
    under_it(stage, ApprovedMandate { mandate, approvals })
}

/// A mandate with what people signed for something else, or one that was changed after they signed.
pub fn altered(stage: &mut Stage) -> Blows {
    let given: Vec<ApprovedMandate> = stage.decrees.mandates.iter().rev().take(6).cloned().collect();
    let Some(mut given) = stage.one_of(&given) else { return Vec::new() };
    let mandate = &mut given.mandate;
    match stage.rng_below(8) {
        0 => mandate.until_ms += 3_600_000,
        1 => (mandate.least_gap_ms, mandate.run_ms) = (60_000, 30_000),
        2 => mandate.attempts += 1,
        3 => mandate.windows = vec![Window { days: 0b111_1111, from_minute: 0, minutes: 7 * 24 * 60 }],
        4 => mandate.governance = stage.cast.history.newest_digest(),
        5 => mandate.tenant = Stage::other_tenant(&mandate.tenant),
        6 => mandate.nonce.0[0] ^= 1,
        _ => {
            let known = &stage.archive.approvals;
            let others: Vec<Approval> = known.iter().rev().take(3).map(|(_, one)| one.clone()).collect();
            given.approvals = others;
        }
    }
    if stage.decrees.mandates.contains(&given) {
        return Vec::new();
    }
    under_it(stage, given)
}

/// A mandate that people signed although it breaks a rule of its own.
pub fn unsound(stage: &mut Stage) -> Blows {
    let group = stage.below(stage.people.groups.len());
    let mut mandate = stage.mandate(group);
    match stage.below(9) {
        0 => mandate.least_gap_ms = 59_999,
        1 => mandate.attempts = 101,
        2 => mandate.until_ms = mandate.not_before_ms,
        3 => mandate.run_ms = mandate.least_gap_ms + 1,
        4 => mandate.failures = 0,
        5 => mandate.wallets = Selector::Named(Vec::new()),
        6 => mandate.windows = vec![Window { days: 0, from_minute: 0, minutes: 1 }],
        7 => mandate.cadence.push(mandate.cadence[0]),
        _ => mandate.cadence[0].every_ms = 1,
    }
    let signed = stage.signed_mandate(mandate);
    under_it(stage, signed)
}

/// Under a mandate of a version of governance that has been replaced.
pub fn of_old_governance(stage: &mut Stage) -> Blows {
    let newest = stage.cast.history.newest_digest();
    let old: Vec<ApprovedMandate> = stage
        .decrees
        .mandates
        .iter()
        .rev()
        .filter(|given| given.mandate.governance != newest)
        .take(3)
        .cloned()
        .collect();
    let Some(given) = stage.one_of(&old) else { return Vec::new() };
    let number = stage.any_member();
    Bid::under(stage, given, number).map(|bid| bid.alone(stage, Vec::new())).unwrap_or_default()
}

/// One plan after the other under one mandate, of which few are ever begun.
pub fn flood(stage: &mut Stage) -> Blows {
    let Some(mut bid) = Bid::new(stage) else { return Vec::new() };
    let mut blows = Vec::new();
    for at in 0..FLOOD {
        bid.plan.nonce = super::sessions::fresh(stage);
        let request = bid.send(stage);
        blows.push(ask(bid.number, request));
        if at % 8 == 0 {
            blows.push(ask(bid.number, Request::Open { chunk: bid.chunk(), parents: Vec::new() }));
        }
    }
    blows
}

/// Any plan under this mandate, to somebody.
fn under_it(stage: &mut Stage, given: ApprovedMandate) -> Blows {
    let number = stage.any_member();
    Bid::under(stage, given, number).map(|bid| bid.offered(stage)).unwrap_or_default()
}
