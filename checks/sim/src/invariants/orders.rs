//! I11 for orders: a signer obeys what a quorum ordered in time, and nothing else; and what it obeys binds it.

use crate::history::{Changed, History, Mirror};
use crate::violation::{Invariant, Violation};
use perennial_model::encoding::Digest;
use perennial_model::order::{Deed, Order};
use perennial_model::plan::Plan;
use perennial_model::wallet::{TenantId, Tier};

/// Every order that a signer has taken was given by people under the newest governance that it has, and before its end.
pub fn i11_only_orders_that_people_gave(
    history: &History,
    number: usize,
    changed: &Changed,
    clock_ms: u64,
) -> Result<(), Violation> {
    for digest in &changed.orders {
        let broken = |what: &str| {
            let what = format!("s{:02} obeys order {}, {what}", number + 1, digest.short());
            Err(Violation::new(Invariant::I11ApprovalsBind, what))
        };
        let Some(order) = history.orders.get(digest) else { return broken("which nobody gave") };
        if history.mirrors[number].governance.values().last() != Some(&order.governance) {
            return broken("which was given under another governance than the newest that it has");
        }
        if clock_ms > order.expiry_ms {
            return broken("which has expired");
        }
    }
    Ok(())
}

/// The order on a signer's disk by which a plan, or its mandate, is called off.
pub fn cancelled_by(history: &History, mirror: &Mirror, digest: &Digest, plan: &Plan) -> Option<Digest> {
    let mandate = plan.mandate.as_ref().map(|under| under.mandate);
    let calls_off = |order: &Order| match &order.deed {
        Deed::Cancel(what) => {
            (what == digest || Some(*what) == mandate) && speaks_for(order, &plan.tenant, plan.tier)
        }
        _ => false,
    };
    obeyed(history, mirror).find(|order| calls_off(order)).map(Order::digest)
}

/// The order on a signer's disk by which a mandate rests: the last word of those who may say so, and of two words at
/// once the careful one.
pub fn paused_by(
    history: &History,
    mirror: &Mirror,
    mandate: &Digest,
    (tenant, tier): (&TenantId, Tier),
) -> Option<Digest> {
    let mut last: Option<&Order> = None;
    for order in obeyed(history, mirror).filter(|order| speaks_for(order, tenant, tier)) {
        let is_later = |known: &Order| order.number > known.number;
        let is_pause = matches!(order.deed, Deed::Pause(_));
        let counts = last.is_none_or(|known| is_later(known) || (is_pause && order.number == known.number));
        match &order.deed {
            Deed::Pause(what) | Deed::Resume(what) if what == mandate && counts => last = Some(order),
            _ => {}
        }
    }
    last.filter(|order| matches!(order.deed, Deed::Pause(_))).map(Order::digest)
}

/// The order on a signer's disk by which it works again after a halt.
pub fn readmits(history: &History, mirror: &Mirror, me: &str, halt: &Digest) -> bool {
    obeyed(history, mirror).any(|order| match &order.deed {
        Deed::Readmit { signer, halt: named } => signer.as_str() == me && named == halt,
        _ => false,
    })
}

fn obeyed<'a>(history: &'a History, mirror: &'a Mirror) -> impl Iterator<Item = &'a Order> {
    mirror.orders.iter().filter_map(|order| history.orders.get(order))
}

/// Whether those who gave an order decide about what belongs to this tenant and is of this tier.
fn speaks_for(order: &Order, tenant: &TenantId, tier: Tier) -> bool {
    order.tenant.as_ref().is_none_or(|own| own == tenant) && order.tier >= tier
}
