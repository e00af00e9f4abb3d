//! What people order beyond plans: that one is called off, that a mandate rests, that a signer works again.
//!
//! An order needs the same authentication and a quorum like what it stops or lets go on, and is entered in the ledger
//! like it. A signer obeys each once: what is called off stays so, of two orders about one mandate the one with the
//! higher number counts, and a signer is readmitted from exactly the stop that the order names.

use crate::approval::{Approval, Question, check_quorum};
use crate::committee::SignerId;
use crate::encoding::{self, Digest, Document};
use crate::error::Error;
use crate::governance::{Governance, Matter, PersonId};
use crate::mandate::Mandate;
use crate::plan::Plan;
use crate::planted;
use crate::wallet::{TenantId, Tier};
use minicbor::{Decode, Encode};
use std::collections::HashMap;
use std::fmt;

/// What is ordered.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Deed {
    /// A plan or a mandate is called off: nothing is opened, dealt, prepared or activated under it any more. What is
    /// active already goes on to its Retirement.
    #[n(0)]
    Cancel(#[n(0)] Digest),
    /// A mandate rests: nothing is opened under it.
    #[n(1)]
    Pause(#[n(0)] Digest),
    /// A mandate that rests goes on.
    #[n(2)]
    Resume(#[n(0)] Digest),
    /// A signer that has stopped for what it saw of the ledger works again.
    #[n(3)]
    Readmit {
        /// Which.
        #[n(0)]
        signer: SignerId,
        /// The digest of what it stopped for, as it shows it.
        #[n(1)]
        halt: Digest,
    },
}

impl Deed {
    /// What is decided.
    pub fn matter(&self) -> Matter {
        match self {
            Self::Cancel(_) => Matter::Cancel,
            Self::Pause(_) | Self::Resume(_) => Matter::Pause,
            Self::Readmit { .. } => Matter::Readmit,
        }
    }

    /// The digest of what it is about.
    pub fn target(&self) -> Digest {
        match self {
            Self::Cancel(digest) | Self::Pause(digest) | Self::Resume(digest) => *digest,
            Self::Readmit { halt, .. } => *halt,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancel(what) => write!(f, "cancel {what}"),
            Self::Pause(mandate) => write!(f, "pause mandate {mandate}"),
            Self::Resume(mandate) => write!(f, "resume mandate {mandate}"),
            Self::Readmit { signer, halt } => write!(f, "readmit {signer} from {halt}"),
        }
    }
}

/// A canonical document; its digest is what people approve.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Order {
    /// What is ordered.
    #[n(0)]
    pub deed: Deed,
    /// Whose plan or mandate it is; none for what concerns all tenants.
    #[n(1)]
    pub tenant: Option<TenantId>,
    /// The highest tier that it concerns.
    #[n(2)]
    pub tier: Tier,
    /// Of several orders about one mandate the highest number counts.
    #[n(3)]
    pub number: u64,
    /// It is not taken after this time, in milliseconds since 1970.
    #[n(4)]
    pub expiry_ms: u64,
    /// The governance under which it is approved.
    #[n(5)]
    pub governance: Digest,
    /// Who asks for it. An initiator's own approval does not count.
    #[n(6)]
    pub initiator: PersonId,
    /// Makes two otherwise equal orders two.
    #[n(7)]
    pub nonce: Digest,
}

impl Document for Order {
    const KIND: &'static str = "order";
}

impl Order {
    /// Its digest.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    /// What is asked of the people who are to approve it.
    pub fn question(&self) -> Question<'_> {
        let Self { deed, tier, tenant, initiator, .. } = self;
        Question { matter: deed.matter(), tier: *tier, tenant: tenant.as_ref(), initiator }
    }

    /// Whether it is about what belongs to this tenant. One for all tenants is about each.
    pub fn is_for(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|own| own == tenant)
    }

    /// Whether it concerns what belongs to this tenant and is of this tier.
    pub fn concerns(&self, tenant: &TenantId, tier: Tier) -> bool {
        (self.is_for(tenant) && tier <= self.tier) || planted!(OrdersOfAnyTenant)
    }
}

/// An order with the approvals given to it, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ApprovedOrder {
    /// The order.
    #[n(0)]
    pub order: Order,
    /// The approvals.
    #[n(1)]
    pub approvals: Vec<Approval>,
}

impl Document for ApprovedOrder {
    const KIND: &'static str = "approved-order";
}

impl ApprovedOrder {
    /// Checks that a quorum approved exactly this order. `governance` is the version that it names.
    ///
    /// # Errors
    /// `Denied` with what is wrong or missing.
    pub fn check(&self, governance: &Governance) -> Result<(), Error> {
        let Self { order, approvals } = self;
        if order.governance != governance.digest() {
            return Err(Error::denied("the order names another governance"));
        }
        if matches!(order.deed, Deed::Readmit { .. }) && order.tenant.is_some() {
            return Err(Error::denied("a signer is readmitted for all tenants or not at all"));
        }
        if order.tenant.is_none() && order.tier != Tier::High {
            return Err(Error::denied("what concerns all tenants is of the highest tier"));
        }
        check_quorum(&order.question(), &order.digest(), approvals, governance)?;
        Ok(())
    }
}

/// Orders that count, by what they are about. Each was checked before it was put here.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    about: HashMap<Digest, Vec<Order>>,
}

impl Orders {
    /// Adds one.
    pub fn insert(&mut self, order: Order) {
        if !self.contains(&order) {
            self.about.entry(order.deed.target()).or_default().push(order);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.about.values().flatten()
    }

    /// Forgets those that this does not hold for; gives their digests.
    pub fn retain(&mut self, holds: impl Fn(&Order) -> bool) -> Vec<Digest> {
        let gone = self.iter().filter(|order| !holds(order)).map(Order::digest).collect();
        self.about.retain(|_, orders| {
            orders.retain(&holds);
            !orders.is_empty()
        });
        gone
    }

    /// Whether this one is known.
    pub fn contains(&self, order: &Order) -> bool {
        self.of(&order.deed.target()).any(|known| known == order)
    }

    /// The highest number of an order about this; 0 if there is none.
    pub fn highest_number(&self, target: &Digest) -> u64 {
        self.of(target).map(|order| order.number).max().unwrap_or(0)
    }

    /// Whether a mandate rests: of the orders to pause and to resume it the one with the highest number counts, and of
    /// two of one number the one to pause.
    pub fn rests(&self, digest: &Digest, mandate: &Mandate) -> bool {
        let fitting = self.of(digest).filter(|order| order.concerns(&mandate.tenant, mandate.tier));
        let last = fitting.filter_map(|order| match order.deed {
            Deed::Pause(_) => Some((order.number, true)),
            Deed::Resume(_) => Some((order.number, false)),
            Deed::Cancel(_) | Deed::Readmit { .. } => None,
        });
        let said = if planted!(LastOrderCounts) { last.last() } else { last.max() };
        said.is_some_and(|(_, rests)| rests)
    }

    /// Whether the plan of this digest, or the mandate that it names, is called off.
    pub fn is_cancelled(&self, digest: &Digest, plan: &Plan) -> bool {
        let named = plan.mandate.as_ref().map(|under| under.mandate);
        !self.about.is_empty()
            && named.into_iter().chain([*digest]).any(|what| self.cancels(&what, &plan.tenant, plan.tier))
    }

    /// Whether what has this digest, belongs to this tenant and is of this tier is called off.
    pub fn cancels(&self, what: &Digest, tenant: &TenantId, tier: Tier) -> bool {
        let cancels = |order: &Order| matches!(order.deed, Deed::Cancel(_)) && order.concerns(tenant, tier);
        self.of(what).any(cancels)
    }

    fn of(&self, target: &Digest) -> impl Iterator<Item = &Order> {
        self.about.get(target).into_iter().flatten()
    }
}
