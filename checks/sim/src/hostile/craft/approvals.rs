//! Plans and versions of governance without the people that they take.

use super::{Blow, Blows, ask};
use crate::hostile::people::{COMPLIANCE, LIMITED, OPERATORS, quorum};
use crate::hostile::stage::Stage;
use perennial_model::approval::{Approval, ApprovedPlan};
use perennial_model::epoch::Epoch;
use perennial_model::governance::Governance;
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::mail::Request;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::wallet::Tier;
use std::sync::Arc;

/// One approval fewer than it takes.
pub fn fewer(stage: &mut Stage) -> Blows {
    with_plan(stage, |stage, plan| {
        let mut approvals = quorum(&stage.cast, plan, &mut stage.rng);
        let at = stage.below(approvals.len());
        approvals.remove(at);
        approvals
    })
}

/// One person's approval as often as it takes approvals.
pub fn repeated(stage: &mut Stage) -> Blows {
    with_plan(stage, |stage, plan| {
        let digest = plan.digest();
        let person = stage.below(OPERATORS.len());
        let mut approvals = vec![stage.cast.approve_as(person, &digest); 2];
        if plan.tier == Tier::High {
            approvals.push(stage.cast.approve_as(COMPLIANCE, &digest));
        }
        approvals
    })
}

/// What people have signed on other occasions.
pub fn of_something_else(stage: &mut Stage) -> Blows {
    with_plan(stage, |stage, plan| {
        let mut approvals = quorum(&stage.cast, plan, &mut stage.rng);
        let known = &stage.archive.approvals;
        let other = known.len().checked_sub(1).map(|last| {
            let at = stage.rng_below(last + 1);
            stage.archive.approvals[at].1.clone()
        });
        if let Some(other) = other {
            let at = stage.below(approvals.len());
            let same = approvals.iter().position(|approval| approval.person == other.person);
            let at = same.unwrap_or(at);
            approvals[at] = other;
        }
        approvals
    })
}

/// The approval of the person who asks.
pub fn own(stage: &mut Stage) -> Blows {
    let mut plan = some_plan(stage);
    let approvers = stage.cast.history.newest().approvers.clone();
    plan.initiator = approvers[OPERATORS[0]].person.clone();
    let digest = plan.digest();
    let people = [OPERATORS[0], OPERATORS[1], COMPLIANCE];
    let approvals = people.iter().map(|person| stage.cast.approve_as(*person, &digest)).collect();
    handed_in(stage, ApprovedPlan::by_people(plan, approvals))
}

/// Enough people, and not those whom it takes.
pub fn of_others(stage: &mut Stage) -> Blows {
    with_plan(stage, |stage, plan| {
        let digest = plan.digest();
        let people: Vec<usize> = match plan.tier {
            Tier::High => OPERATORS.to_vec(),
            _ => vec![OPERATORS[stage.below(3)], LIMITED, COMPLIANCE],
        };
        people.iter().map(|person| stage.cast.approve_as(*person, &digest)).collect()
    })
}

/// An approved plan in which something is changed.
pub fn altered(stage: &mut Stage) -> Blows {
    let by_people = stage.archive.plans.iter().rev().filter(|(_, plan)| plan.mandate.is_none());
    let plans: Vec<ApprovedPlan> = by_people.take(8).map(|(_, plan)| plan.clone()).collect();
    let Some(mut approved) = stage.one_of(&plans) else { return Vec::new() };
    let plan = &mut approved.plan;
    match stage.rng_below(8) {
        0 => plan.rank = plan.rank.wrapping_add(1),
        1 => plan.attempts += 1,
        2 => plan.expiry_ms = plan.activation_deadline_ms,
        3 => drop(plan.wallets.pop()),
        4 => plan.activation_deadline_ms += 600_000,
        5 => plan.nonce.0[0] ^= 1,
        6 => plan.governance.0[0] ^= 1,
        _ => plan.tier = Tier::Low,
    }
    if stage.archive.plan(&approved.plan.digest()).is_some() {
        return Vec::new();
    }
    handed_in(stage, approved)
}

/// A version of governance without its quorum, or in which something is changed.
pub fn governance(stage: &mut Stage) -> Blows {
    let number = stage.anybody();
    let next = match stage.below(5) {
        0 => stage.cast.govern_as(&[stage_operator(stage)]),
        1 => {
            let mut next = stage.cast.govern_as(&[stage_operator(stage)]);
            next.approvals.push(next.approvals[0].clone());
            next
        }
        2 => stage.cast.govern_as(&[LIMITED, OPERATORS[0]]),
        3 => {
            let mut next = stage.cast.govern_as(&[OPERATORS[0], OPERATORS[1]]);
            next.governance.rules.iter_mut().for_each(|rule| rule.demands.truncate(1));
            next.governance.tenants.truncate(1);
            next
        }
        _ => {
            let newest = stage.cast.history.newest();
            let governance = Governance { version: newest.version + 1, ..newest.clone() };
            let digest = governance.digest();
            let approvals = [0, 1].map(|person| stage.cast.approve_as(person, &digest)).into();
            ApprovedGovernance { governance, approvals }
        }
    };
    vec![ask(number, Request::Governance(Box::new(next)))]
}

/// A version of governance that has been replaced, again.
pub fn governance_of_old(stage: &mut Stage) -> Blows {
    let old = stage.archive.governances.clone();
    let number = stage.anybody();
    stage.one_of(&old).map(|old| ask(number, Request::Governance(Box::new(old)))).into_iter().collect()
}

fn stage_operator(stage: &Stage) -> usize {
    OPERATORS[(stage.now_ms % 3) as usize]
}

/// A plan that is as sound as any, and that nobody has seen.
pub fn some_plan(stage: &mut Stage) -> Plan {
    let group = stage.below(stage.people.groups.len());
    let tenant = stage.people.groups[group].tenant.clone();
    let mut wallets: Vec<PlannedWallet> = Vec::new();
    for (digest, set) in stage.archive.sets.iter().rev() {
        let new = wallets.iter().all(|known| *known.id() != set.wallet.id);
        if set.wallet.tenant == tenant && new {
            wallets.push(PlannedWallet::Held(set.wallet.id.clone(), *digest));
        }
    }
    if wallets.is_empty() {
        return stage.people.create(&stage.cast, group, stage.now_ms, &mut stage.rng);
    }
    stage.people.plan(&stage.cast, group, Action::Refresh, wallets, stage.now_ms, &mut stage.rng)
}

fn with_plan(stage: &mut Stage, approvals: impl FnOnce(&mut Stage, &Plan) -> Vec<Approval>) -> Blows {
    let plan = some_plan(stage);
    let approvals = approvals(stage, &plan);
    let digest = plan.digest();
    stage.archive.approvals.extend(approvals.iter().map(|approval| (digest, approval.clone())));
    stage.archive.approvals.truncate(400);
    handed_in(stage, ApprovedPlan::by_people(plan, approvals))
}

/// The plan to a signer, and at once its first attempt.
pub fn handed_in(stage: &mut Stage, approved: ApprovedPlan) -> Blows {
    let number = stage.any_member();
    let chunk = Chunk {
        plan: approved.plan.digest(),
        epoch: Epoch::new(approved.plan.rank, 1),
        first: 0,
        count: approved.plan.wallets.len().min(2) as u32,
    };
    let plan: Blow = ask(number, Request::Plan(Box::new(approved)));
    if stage.one_in(4) {
        return vec![plan, ask(number, Request::Open { chunk, parents: Vec::new() })];
    }
    vec![plan]
}

impl Stage {
    /// A number below `end`, by chance; for use while something else is borrowed.
    pub fn rng_below(&mut self, end: usize) -> usize {
        self.below(end)
    }

    /// Counts a plan as approved by people, who were told something that is not so.
    pub fn persuade(&mut self, plan: Plan) -> ApprovedPlan {
        let approved = crate::hostile::people::approved(&self.cast, plan, &mut self.rng);
        self.history.planned(&approved.plan);
        self.archive.plans.push((approved.plan.digest(), approved.clone()));
        approved
    }

    /// The requests of one move, for one signer.
    pub fn to(number: usize, requests: Vec<Request>) -> Blows {
        requests.into_iter().map(|request| ask(number, request)).collect()
    }

    /// An approved plan, as it is sent.
    pub fn send_plan(approved: &ApprovedPlan) -> Arc<Request> {
        Arc::new(Request::Plan(Box::new(approved.clone())))
    }
}
