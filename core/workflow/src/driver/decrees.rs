//! What people decide beyond single plans: mandates, under which the loop makes plans itself when they are due, and
//! orders, which every signer is told until it says that it obeys.

use super::asking::Reminder;
use super::{Driver, World};
use crate::ceremony::batch::{CeremonyFact, Unfit};
use crate::journal::{Journal, Note};
use crate::schedule;
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::mail::Request;
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::{ApprovedOrder, Deed, Orders};
use perennial_model::plan::{Plan, PlannedWallet};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

/// What is known of mandates and orders. Facts rebuild all of it but who was told.
#[derive(Debug, Default)]
pub(super) struct Decrees {
    mandates: BTreeMap<Digest, Mandated>,
    orders: BTreeMap<Digest, Arc<ApprovedOrder>>,
    counting: Orders,
    obeyed: BTreeSet<(Digest, SignerId)>,
    reminders: BTreeMap<(Digest, SignerId), Reminder>,
    looked_ms: u64,
    pub(super) is_due: bool,
}

#[derive(Debug)]
struct Mandated {
    approved: Arc<ApprovedMandate>,
    /// When it was given, or when it was last told to go on: failures count from there.
    since_ms: u64,
}

/// Where a mandate stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MandateState {
    /// Its first date has not come.
    Waiting,
    /// Refreshes begin under it when they are due.
    Active,
    /// It rests by order.
    Paused,
    /// It was called off.
    Cancelled,
    /// So many refreshes in a row gave up wallets that it rests until people have it go on.
    Stopped,
    /// Its last date has passed.
    Expired,
    /// Governance has changed since it was given.
    Outdated,
}

impl MandateState {
    /// The word, as shown and as written in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Expired => "expired",
            Self::Outdated => "outdated",
        }
    }
}

impl fmt::Display for MandateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<J: Journal, W: World> Driver<J, W> {
    /// Takes in a mandate that people have given. The same again changes nothing.
    ///
    /// # Errors
    /// `Denied` when it is not sound, not approved, or over.
    pub fn mandate(&mut self, approved: ApprovedMandate) -> Result<Digest, Error> {
        let digest = approved.mandate.digest();
        if self.decrees.mandates.contains_key(&digest) {
            return Ok(digest);
        }
        self.now_ms = self.world.now_ms();
        self.history.check_in_force(&approved.mandate.governance)?;
        approved.check(self.history.newest())?;
        if approved.mandate.until_ms < self.now_ms {
            return Err(Error::denied(format!("mandate {} is over", digest.short())));
        }
        self.record(digest, CeremonyFact::Mandated(Box::new(approved)));
        Ok(digest)
    }

    /// Takes in an order that people have given. The same again changes nothing.
    ///
    /// # Errors
    /// `Denied` when it is not approved, has expired, or is about something that is not known here.
    pub fn order(&mut self, approved: ApprovedOrder) -> Result<Digest, Error> {
        let digest = approved.order.digest();
        if self.decrees.orders.contains_key(&digest) {
            return Ok(digest);
        }
        self.now_ms = self.world.now_ms();
        self.history.check_in_force(&approved.order.governance)?;
        approved.check(self.history.newest())?;
        if approved.order.expiry_ms < self.now_ms {
            return Err(Error::denied(format!("order {} has expired", digest.short())));
        }
        self.check_subject(&approved)?;
        self.record(digest, CeremonyFact::Ordered(Box::new(approved)));
        Ok(digest)
    }
}

impl<J, W: World> Driver<J, W> {
    /// Whether an order is about something that is here and that it may concern.
    fn check_subject(&self, approved: &ApprovedOrder) -> Result<(), Error> {
        let order = &approved.order;
        let target = order.deed.target();
        let mandate = self.decrees.mandates.get(&target).map(|known| &known.approved.mandate);
        let concerns = match (&order.deed, mandate, self.open.get(&target)) {
            (Deed::Readmit { signer, .. }, _, _) => {
                let known = self.history.newest().signers.iter().any(|known| &known.signer == signer);
                return known.then_some(()).ok_or_else(|| Error::denied(format!("no signer {signer}")));
            }
            // What is another tenant's is there for nobody else.
            (_, Some(mandate), _) if order.is_for(&mandate.tenant) => mandate.tier <= order.tier,
            (Deed::Cancel(_), None, Some(open)) if order.is_for(&open.plan().tenant) => {
                open.plan().tier <= order.tier
            }
            _ => {
                return Err(Error::denied(format!(
                    "there is no mandate and no open ceremony {} to {}",
                    target.short(),
                    order.deed.matter()
                )));
            }
        };
        // What is called off is so whatever its number, and of two of one number the one to pause counts: whoever has a
        // mandate go on under the highest number that there is keeps nobody from stopping it.
        let highest = self.decrees.counting.highest_number(&target);
        let is_overtaken = match order.deed {
            Deed::Pause(_) => order.number < highest,
            Deed::Resume(_) => order.number <= highest,
            Deed::Cancel(_) | Deed::Readmit { .. } => false,
        };
        match concerns {
            true if is_overtaken => Err(Error::stale(format!(
                "there is an order of number {highest} about {} already: take a higher one",
                target.short()
            ))),
            true => Ok(()),
            false => Err(Error::denied(format!("{} is of a higher tier than the order", target.short()))),
        }
    }

    /// The mandates that people have given, each with where it stands.
    pub fn mandates(&self) -> impl Iterator<Item = (&Digest, &Arc<ApprovedMandate>, MandateState)> {
        self.decrees
            .mandates
            .iter()
            .map(|(digest, known)| (digest, &known.approved, self.state_of(digest, known)))
    }

    /// The orders that people have given, and how many signers have said that they obey each.
    pub fn orders(&self) -> impl Iterator<Item = (&Digest, &Arc<ApprovedOrder>, usize)> {
        let obeyed =
            |digest: &Digest| self.decrees.obeyed.iter().filter(|(known, _)| known == digest).count();
        self.decrees.orders.iter().map(move |(digest, order)| (digest, order, obeyed(digest)))
    }

    fn state_of(&self, digest: &Digest, known: &Mandated) -> MandateState {
        let mandate = &known.approved.mandate;
        let orders = &self.decrees.counting;
        if orders.cancels(digest, &mandate.tenant, mandate.tier) {
            MandateState::Cancelled
        } else if self.now_ms > mandate.until_ms {
            MandateState::Expired
        } else if !self.is_in_force(&mandate.governance) {
            MandateState::Outdated
        } else if orders.rests(digest, mandate) {
            MandateState::Paused
        } else if self.failures(digest, known.since_ms) >= mandate.failures {
            MandateState::Stopped
        } else if self.now_ms < mandate.not_before_ms {
            MandateState::Waiting
        } else {
            MandateState::Active
        }
    }

    /// How many of the last refreshes under a mandate, in a row, gave up a wallet.
    fn failures(&self, digest: &Digest, since_ms: u64) -> u32 {
        let statuses = self.closed.values().map(|closed| &closed.status);
        let under =
            statuses.filter(|status| status.mandate == Some(*digest) && status.submitted_ms >= since_ms);
        let mut ends: Vec<(u64, bool)> = under
            .map(|status| (status.finished_ms.unwrap_or(status.submitted_ms), status.wallets_given_up > 0))
            .collect();
        ends.sort_unstable();
        ends.iter().rev().take_while(|(_, gave_up)| *gave_up).count() as u32
    }

    /// Whether people have called a plan off, or the mandate under which it was made.
    pub(super) fn is_cancelled(&self, digest: &Digest, plan: &Plan) -> bool {
        self.decrees.counting.is_cancelled(digest, plan)
    }

    /// Begins what is due under mandates: one refresh of each at a time, and after one that failed not before the time
    /// that it might have taken.
    pub(super) fn begin_what_is_due(&mut self) {
        let wait_ms = self.tuning.schedule_ms;
        if !self.decrees.is_due && self.now_ms < self.decrees.looked_ms.saturating_add(wait_ms) {
            return;
        }
        self.decrees.is_due = false;
        self.decrees.looked_ms = self.now_ms;
        let under = |status: &Option<Digest>, digest: &Digest| *status == Some(*digest);
        let mut free: Vec<Arc<ApprovedMandate>> = Vec::new();
        for (digest, approved, state) in self.mandates() {
            let named =
                |open: &crate::ceremony::batch::Ceremony| open.plan().mandate.map(|under| under.mandate);
            let is_open = self.open.values().any(|open| under(&named(open), digest));
            let run_ms = approved.mandate.run_ms;
            let mut closed = self.closed.values().map(|closed| &closed.status);
            let failed_lately = closed.any(|status| {
                under(&status.mandate, digest)
                    && status.wallets_given_up > 0
                    && self.now_ms < status.submitted_ms.saturating_add(run_ms)
            });
            if state == MandateState::Active && !is_open && !failed_lately {
                free.push(approved.clone());
            }
        }
        for approved in free {
            let mut nonce = Digest::default();
            self.world.rng().fill_bytes(&mut nonce.0);
            let Some(plan) = schedule::due(&approved.mandate, &self.heads, nonce, self.now_ms) else {
                continue;
            };
            // Another ceremony renews some of its wallets just now: it is looked at again when that is over.
            let busy: HashSet<_> =
                self.open.values().flat_map(|open| &open.plan().wallets).map(PlannedWallet::id).collect();
            if plan.wallets.iter().any(|wallet| busy.contains(wallet.id()))
                || self.check_wallets(&plan).is_err()
            {
                continue;
            }
            let digest = plan.digest();
            self.record(digest, CeremonyFact::Submitted(Box::new(plan)));
            self.record(digest, CeremonyFact::UnderMandate(Box::new(ApprovedMandate::clone(&approved))));
        }
    }

    /// A signer says that it obeys an order.
    pub(super) fn hear_ordered(&mut self, from: &SignerId, order: Digest) {
        if self.decrees.orders.contains_key(&order) {
            self.decrees.reminders.remove(&(order, from.clone()));
            self.decrees.obeyed.insert((order, from.clone()));
        }
    }

    /// Tells every signer what people have ordered, as long as the order may be taken.
    pub(super) fn ask_orders(&mut self) {
        let Self { decrees, history, world, tuning, now_ms, .. } = self;
        for (digest, approved) in &decrees.orders {
            let order = &approved.order;
            if *now_ms > order.expiry_ms || order.governance != history.newest_digest() {
                continue;
            }
            let mut due: Vec<SignerId> = Vec::new();
            for signer in history.newest().signers.iter().map(|known| &known.signer) {
                let key = (*digest, signer.clone());
                let reminder = decrees.reminders.get(&key);
                let is_time = reminder.is_none_or(|known| known.due_ms(0, tuning) <= *now_ms);
                if is_time && !decrees.obeyed.contains(&key) {
                    let reminder = Reminder::again(reminder, *now_ms);
                    decrees.reminders.insert(key, reminder);
                    due.push(signer.clone());
                }
            }
            if !due.is_empty() {
                world.ask(&due, &Request::Order(Box::new(ApprovedOrder::clone(approved))));
            }
        }
    }
}

impl<J, W> Driver<J, W> {
    /// Takes in what people have decided, at boot as well. What it concerns is looked at.
    pub(super) fn take_decree(
        &mut self,
        digest: Digest,
        at_ms: u64,
        fact: CeremonyFact,
    ) -> Result<(), Unfit> {
        let decrees = &mut self.decrees;
        decrees.is_due = true;
        match fact {
            CeremonyFact::Mandated(approved) if approved.mandate.digest() == digest => {
                let approved = Arc::new(*approved);
                self.batch.notes.push(Note::Mandated { mandate: digest, approved: approved.clone() });
                decrees.mandates.insert(digest, Mandated { approved, since_ms: at_ms });
            }
            CeremonyFact::Ordered(approved) if approved.order.digest() == digest => {
                let approved = Arc::new(*approved);
                self.batch.notes.push(Note::Ordered { order: digest, approved: approved.clone() });
                if let Deed::Resume(mandate) = &approved.order.deed
                    && let Some(known) = decrees.mandates.get_mut(mandate)
                {
                    known.since_ms = at_ms;
                }
                decrees.counting.insert(approved.order.clone());
                decrees.orders.insert(digest, approved);
                self.look_at_everything();
            }
            _ => return Err(Unfit("a decision under another digest".into())),
        }
        Ok(())
    }
}
