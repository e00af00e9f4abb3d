//! What people have ordered: plans and mandates that are called off or rest, and that a halted signer works again.
//!
//! An order counts from the moment at which it is on disk. It may come before what it is about, so each is held
//! against tenant and tier when that comes.

use crate::keeper::Keeper;
use crate::record::{delete, put};
use crate::serving::Change;
use crate::store::{Store, StoreFailed, Table};
use crate::turn::{Draft, Effect};
use perennial_model::approval::Approved;
use perennial_model::encoding;
use perennial_model::error::Error;
use perennial_model::mail::Reply;
use perennial_model::order::{ApprovedOrder, Deed, Order, Orders};
use perennial_model::planted;

/// How many orders about one kind of thing are taken from the people of one tenant under one version of governance.
const ORDERS_MAX: usize = 1_000;

/// Takes up the orders on disk.
pub(crate) fn read(store: &mut dyn Store) -> Result<Orders, StoreFailed> {
    let mut orders = Orders::default();
    for (_, bytes) in store.all(Table::Order)? {
        let failed = |e: encoding::Malformed| StoreFailed { doing: "read an order", reason: e.to_string() };
        orders.insert(encoding::decode::<ApprovedOrder>(&bytes).map_err(failed)?.order);
    }
    Ok(orders)
}

impl Keeper {
    /// Obeys an order, or says again that it has.
    pub(crate) fn take_order(
        &mut self,
        now_ms: u64,
        approved: ApprovedOrder,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let order = &approved.order;
        let digest = order.digest();
        if !self.orders.contains(order) {
            let history = self.own.pinned.history();
            if !planted!(OrdersUnapproved) {
                history.check_in_force(&order.governance)?;
                approved.check(history.newest())?;
            }
            if now_ms > order.expiry_ms && !planted!(OrdersNeverExpire) {
                return Err(Error::denied(format!("order {} has expired", digest.short())));
            }
            let alike = |known: &Order| {
                known.governance == order.governance
                    && known.tenant == order.tenant
                    && known.deed.matter() == order.deed.matter()
            };
            if self.orders.iter().filter(|known| alike(known)).count() >= ORDERS_MAX {
                let matter = order.deed.matter();
                return Err(Error::denied(format!(
                    "{ORDERS_MAX} orders to {matter} are kept here: the next version of governance makes room"
                )));
            }
            // What was ordered under a replaced version counts for nothing: what it is about is void as well.
            let outdated = self.orders.retain(|known| known.governance == order.governance);
            let mut writes = vec![put(Table::Order, digest.0.to_vec(), &approved)];
            writes.extend(outdated.iter().map(|old| delete(Table::Order, old.0.to_vec())));
            if let Deed::Readmit { signer, halt } = &order.deed
                && signer == self.own.pinned.me()
                && let Some(write) = self.witness.readmit(halt)
            {
                writes.push(write);
                draft.changes.push(Change::Readmitted);
            }
            draft.effects.push(Effect::Commit(writes));
            self.orders.insert(approved.order);
            // Who has halted erases nothing; the tick after it is readmitted does.
            if self.witness.halted().is_none() || planted!(EraseWhileHalted) {
                self.drop_candidates(now_ms, draft);
            }
        }
        draft.mail.push(Reply::Ordered(digest));
        Ok(())
    }

    /// Refuses a plan that is called off, or whose mandate is.
    pub(crate) fn check_not_cancelled(&self, approved: &Approved) -> Result<(), Error> {
        match self.orders.is_cancelled(&approved.digest(), approved.plan()) && !planted!(DeafToOrders) {
            true => Err(Error::denied(format!("plan {} is called off by order", approved.digest().short()))),
            false => Ok(()),
        }
    }
}
