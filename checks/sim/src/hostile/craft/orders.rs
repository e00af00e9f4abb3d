//! Orders that nobody gave, that are about others' things, that come too late, again, or to some alone.

use super::ceremony::step;
use super::{Blows, ask};
use crate::hostile::people::{COMPLIANCE, LIMITED, OPERATORS};
use crate::hostile::stage::Stage;
use perennial_custody::record::ChunkState;
use perennial_model::encoding::Digest;
use perennial_model::mail::Request;
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::{Chunk, Plan};
use perennial_model::wallet::Tier;

/// An order with fewer people than it takes, one of them twice, who asks among them, or others.
pub fn unapproved(stage: &mut Stage) -> Blows {
    let Some(mut order) = an_order(stage) else { return Vec::new() };
    let which = stage.below(4);
    if which == 2 {
        order.initiator = stage.cast.history.newest().approvers[OPERATORS[0]].person.clone();
    }
    let person = OPERATORS[stage.below(3)];
    let people: &[usize] = match which {
        0 => &[person],
        1 => &[person, person],
        2 => &[OPERATORS[0], OPERATORS[1]],
        _ => &[person, LIMITED, COMPLIANCE],
    };
    // Who answers for one tenant is as good as the others there.
    if which == 3 && order.tenant.as_ref().is_some_and(|tenant| tenant.as_str() == "beta") {
        return Vec::new();
    }
    let digest = order.digest();
    let approvals = people.iter().map(|person| stage.cast.approve_as(*person, &digest)).collect();
    told(stage, &ApprovedOrder { order, approvals })
}

/// An order with what people signed for something else, or one that was changed after they signed.
pub fn forged(stage: &mut Stage) -> Blows {
    let given: Vec<ApprovedOrder> = stage.decrees.orders.iter().rev().take(6).cloned().collect();
    let Some(mut forged) = stage.one_of(&given) else { return Vec::new() };
    let other = an_order(stage);
    let order = &mut forged.order;
    match (stage.rng_below(5), other) {
        (0, _) => order.number += 1,
        (1, _) => order.expiry_ms += 600_000,
        (2, _) => order.governance = stage.cast.history.newest_digest(),
        (3, Some(other)) => order.deed = other.deed,
        (_, Some(other)) => *order = other,
        _ => order.nonce.0[0] ^= 1,
    }
    match stage.history.orders.contains_key(&forged.order.digest()) {
        true => Vec::new(),
        false => told(stage, &forged),
    }
}

/// People's order about what is another tenant's, or of a higher tier than they decide about.
pub fn of_another_tenant(stage: &mut Stage) -> Blows {
    let Some(mut order) = an_order(stage) else { return Vec::new() };
    let Some(tenant) = order.tenant.clone() else { return Vec::new() };
    match stage.one_in(3) && order.tier > Tier::Low {
        true => order.tier = Tier::Low,
        false => order.tenant = Some(Stage::other_tenant(&tenant)),
    }
    let given = stage.order_given(order);
    told(stage, &given)
}

/// People's order that is none: for all tenants and not of the highest tier, or readmitting for one tenant.
pub fn unsound(stage: &mut Stage) -> Blows {
    let Some(mut order) = an_order(stage) else { return Vec::new() };
    let number = stage.anybody();
    match stage.one_in(2) {
        true => (order.tenant, order.tier) = (None, Tier::Standard),
        false => {
            order.deed = Deed::Readmit { signer: stage.cast.ids[number].clone(), halt: Digest([1; 32]) };
            order.tenant = Some(stage.people.groups[0].tenant.clone());
        }
    }
    let signed = stage.signed_order(order);
    vec![ask(number, Request::Order(Box::new(signed)))]
}

/// An order that was withheld from a signer until it had expired.
pub fn expired(stage: &mut Stage) -> Blows {
    let number = stage.anybody();
    let clock_ms = stage.clock_of(number);
    let newest = stage.cast.history.newest_digest();
    let taken = &stage.history.mirrors[number].orders;
    let late = |given: &&ApprovedOrder| {
        let order = &given.order;
        order.governance == newest && order.expiry_ms < clock_ms && !taken.contains(&order.digest())
    };
    let late: Vec<_> = stage.decrees.orders.iter().rev().filter(late).take(6).cloned().collect();
    stage.one_of(&late).map(|given| ask(number, Request::Order(Box::new(given)))).into_iter().collect()
}

/// An order of a version of governance that has been replaced.
pub fn of_old_governance(stage: &mut Stage) -> Blows {
    let number = stage.anybody();
    let newest = stage.cast.history.newest_digest();
    let old = stage.decrees.orders.iter().rev().filter(|given| given.order.governance != newest);
    let old: Vec<_> = old.take(6).cloned().collect();
    stage.one_of(&old).map(|given| ask(number, Request::Order(Box::new(given)))).into_iter().collect()
}

/// Any order that people gave, again, or later than those that came after it.
pub fn again(stage: &mut Stage) -> Blows {
    let given: Vec<ApprovedOrder> = stage.decrees.orders.iter().rev().take(10).cloned().collect();
    stage.one_of(&given).map(|given| told(stage, &given)).unwrap_or_default()
}

/// People have a mandate rest or go on, and the attacker tells some signers alone, in another order than people did.
pub fn told_to_some(stage: &mut Stage) -> Blows {
    let group = stage.below(stage.people.groups.len());
    let tenant = stage.people.groups[group].tenant.clone();
    let Some(given) = stage.standing_mandate(&tenant) else { return Vec::new() };
    let (mandate, tier) = (given.mandate.digest(), given.mandate.tier);
    let deeds = match stage.one_in(2) {
        true => [Deed::Pause(mandate), Deed::Resume(mandate)],
        false => [Deed::Resume(mandate), Deed::Pause(mandate)],
    };
    let mut blows = Vec::new();
    let mut orders: Vec<ApprovedOrder> = Vec::new();
    for deed in deeds {
        let order = stage.order(deed, Some(tenant.clone()), tier);
        orders.push(stage.order_given(order));
    }
    if stage.one_in(2) {
        orders.reverse();
    }
    let number = stage.any_member();
    blows.extend(orders.into_iter().map(|given| ask(number, Request::Order(Box::new(given)))));
    blows
}

/// A plan is called off in the midst of dealing, some signers are told, and all are pressed to go on.
pub fn called_off(stage: &mut Stage) -> Blows {
    let newest = stage.cast.history.newest_digest();
    let now_ms = stage.now_ms;
    let in_force: Vec<(Chunk, Plan)> = stage
        .archive
        .newest()
        .filter(|(_, attempt)| !attempt.inputs.is_empty() && attempt.activation.is_none())
        .filter_map(|(chunk, _)| Some((*chunk, stage.archive.plan(&chunk.plan)?.plan.clone())))
        .filter(|(_, plan)| plan.governance == newest && plan.activation_deadline_ms > now_ms)
        .take(3)
        .collect();
    let Some((chunk, plan)) = stage.one_of(&in_force) else { return Vec::new() };
    let Some(attempt) = stage.archive.attempts.get(&chunk).cloned() else { return Vec::new() };
    let given = stage.call_off(&plan);
    let first = stage.any_member();
    let also = |number: usize| number == first || (number + first).is_multiple_of(2);
    let told = (0..stage.members()).filter(|number| also(*number));
    let mut blows: Blows = told.map(|number| ask(number, Request::Order(Box::new(given.clone())))).collect();
    for _ in 0..2 {
        let Some(request) = step(stage, &attempt) else { continue };
        blows.extend((0..stage.members()).map(|number| ask(number, request.clone())));
    }
    blows.push(ask(first, Request::Open { chunk: next(&chunk), parents: Vec::new() }));
    blows
}

/// A signer that has halted is told that a plan of which it holds something is called off.
pub fn to_the_halted(stage: &mut Stage) -> Blows {
    let halted = stage.halted();
    let Some((number, _)) = stage.one_of(&halted) else { return Vec::new() };
    let newest = stage.cast.history.newest_digest();
    let chunks = stage.history.mirrors[number].chunks.iter();
    let begun =
        chunks.filter(|(_, record)| matches!(record.state, ChunkState::Opened(_) | ChunkState::Prepared));
    let plans: Vec<Plan> = begun
        .filter_map(|(chunk, _)| stage.history.plans.get(&chunk.plan))
        .filter(|plan| plan.governance == newest)
        .cloned()
        .collect();
    let Some(plan) = stage.one_of(&plans) else { return Vec::new() };
    let given = stage.call_off(&plan);
    vec![ask(number, Request::Order(Box::new(given)))]
}

/// A signer is readmitted from another halt than its own, or somebody else is.
pub fn readmitted_from_another_halt(stage: &mut Stage) -> Blows {
    let halted = stage.halted();
    let Some((number, halt)) = stage.one_of(&halted) else { return Vec::new() };
    let others: Vec<Digest> =
        stage.decrees.halts.iter().rev().map(|(_, known)| *known).filter(|known| *known != halt).collect();
    let other = stage.one_of(&others).unwrap_or(Digest([7; 32]));
    let given = match stage.one_in(3) {
        true => {
            let somebody = (number + 1) % stage.signers.len();
            stage.readmit(somebody, halt)
        }
        false => stage.readmit(number, other),
    };
    vec![ask(number, Request::Order(Box::new(given)))]
}

/// A sound order about something that is there, which nobody has given yet.
fn an_order(stage: &mut Stage) -> Option<Order> {
    let group = stage.below(stage.people.groups.len());
    let tenant = stage.people.groups[group].tenant.clone();
    let standing = stage.standing_mandate(&tenant).map(|given| given.mandate.digest());
    let theirs = stage.archive.plans.iter().rev().filter(|(_, plan)| plan.plan.tenant == tenant);
    let plan = theirs.map(|(digest, _)| *digest).next();
    let deed = match (stage.below(4), standing, plan) {
        (0, Some(mandate), _) => Deed::Pause(mandate),
        (1, Some(mandate), _) => Deed::Resume(mandate),
        (2, Some(mandate), _) => Deed::Cancel(mandate),
        (_, _, Some(plan)) => Deed::Cancel(plan),
        _ => return None,
    };
    let tier = stage.people.groups[group].tier;
    Some(stage.order(deed, Some(tenant), tier))
}

fn told(stage: &mut Stage, given: &ApprovedOrder) -> Blows {
    let number = match stage.halted().first() {
        Some((number, _)) if stage.one_in(3) => *number,
        _ => stage.any_member(),
    };
    vec![ask(number, Request::Order(Box::new(given.clone())))]
}

fn next(chunk: &Chunk) -> Chunk {
    let mut next = *chunk;
    next.epoch.count = chunk.epoch.count.saturating_add(1);
    next
}
