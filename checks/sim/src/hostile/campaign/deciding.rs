//! What people decide beyond plans in the course of a siege, and how the attacker takes over.

use super::{SORTS, Siege};
use crate::coordinator::{Came, Decree};
use crate::hostile::craft::unattended;
use crate::hostile::stage::Stage;
use crate::violation::Violation;
use perennial_model::order::{ApprovedOrder, Deed};
use perennial_model::wallet::Wallet;

/// How often people, on average, look at their mandates when nothing else is to be done.
const DECIDE_ONE_IN: usize = 12;
/// How often they leave wallets to their mandates for a while.
const WAIT_ONE_IN: usize = 100;
/// How often nothing has to be done before they take it that nothing is due.
const IDLE_BEFORE_WAITING: u32 = 10;
/// How long they wait at a time, in milliseconds: every gap is over by then.
const WAIT_MS: u64 = 72_000;

impl Stage {
    /// Whether some wallets stand at what was retired last, so that a mandate's next number is above all that is held.
    fn can_be_taken_over(&self) -> bool {
        let members = 0..self.members();
        let stands = |wallet: &Wallet| {
            members.clone().all(|number| {
                let floor = self.history.mirrors[number].wallets.get(&wallet.id).map(|record| record.floor);
                let retired = self.history.renewed.get(&(number, wallet.id.clone()));
                floor.is_some() && floor == retired.map(|(epoch, _)| *epoch)
            })
        };
        self.people.groups.iter().any(|group| group.wallets.iter().all(stands))
    }
}

impl Siege {
    /// People give mandates, have them rest and go on, call off what they no longer want, and now and then leave their
    /// wallets to the mandates for a while.
    pub(super) fn decide(&mut self) -> Result<(), Violation> {
        self.idle += 1;
        if self.waits == 0 && self.stage.one_in(WAIT_ONE_IN) {
            self.waits = 2 + self.stage.below(3);
            self.idle = 0;
        }
        let waits = self.waits > 0;
        if !self.stage.one_in(if waits { DECIDE_ONE_IN / 4 } else { DECIDE_ONE_IN }) {
            return Ok(());
        }
        let group = self.stage.below(self.stage.people.groups.len());
        let tenant = self.stage.people.groups[group].tenant.clone();
        let Some(given) = self.stage.standing_mandate(&tenant) else {
            let mandate = self.stage.mandate(group);
            let given = self.stage.give(mandate);
            return self.decree(Decree::Mandate(given));
        };
        let (mandate, tier) = (given.mandate.digest(), given.mandate.tier);
        let rests = self.stage.decrees.rests(&mandate);
        let deed = match self.stage.below(if waits { 24 } else { 12 }) {
            _ if rests && self.stage.one_in(2) => Deed::Resume(mandate),
            0 if !waits => Deed::Cancel(mandate),
            1 => Deed::Pause(mandate),
            2 | 3 => Deed::Resume(mandate),
            4 => match self.stage.one_of(&self.watched.clone()) {
                Some(plan) => Deed::Cancel(plan),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let order = self.stage.order(deed, Some(tenant), tier);
        let given = self.stage.order_given(order);
        self.tell(given)
    }

    /// Whether people have left their wallets to the mandates.
    pub(super) fn is_waiting(&self) -> bool {
        self.waits > 0 || self.stage.takes_over
    }

    /// Time passes when nothing is under way and nothing has become due.
    pub(super) fn wait(&mut self) -> Result<(), Violation> {
        let is_quiet = self.watched.is_empty() && self.idle > IDLE_BEFORE_WAITING;
        if self.waits > 0 && is_quiet {
            self.waits -= 1;
            self.idle = 0;
            self.stage.now_ms += WAIT_MS;
            // What a signer does by the clock alone is not done on the attacker's next message.
            return self.look_at_clocks();
        }
        Ok(())
    }

    /// What people decide about a signer that has halted: readmit it, or leave that to its operator.
    pub(super) fn look_at_halt(&mut self, number: usize) -> Result<(), Violation> {
        let Some(halt) = self.stage.history.mirrors[number].halt else { return Ok(()) };
        if self.stage.decrees.halts.contains(&(number, halt)) {
            return Ok(());
        }
        self.stage.decrees.halts.push((number, halt));
        if self.stage.one_in(2) {
            return Ok(());
        }
        let given = self.stage.readmit(number, halt);
        self.tell(given)
    }

    /// From some move on the attacker runs refreshes by itself, more than anything else.
    pub(super) fn take_over(&mut self) -> Result<(), Violation> {
        if self.tally.moves < self.takes_over_at {
            return Ok(());
        }
        if !self.stage.takes_over {
            if self.waits == 0 && self.stage.one_in(WAIT_ONE_IN) {
                self.waits = 1;
            }
            self.stage.takes_over = self.watched.is_empty() && self.stage.can_be_taken_over();
            return Ok(());
        }
        let Some(name) = unattended::next(&mut self.stage) else {
            // What people gave before may rest.
            let group = self.stage.below(self.stage.people.groups.len());
            let mandate = self.stage.mandate(group);
            self.stage.give(mandate);
            self.stage.now_ms += WAIT_MS / 2 + self.stage.below(WAIT_MS as usize / 2) as u64;
            return self.look_at_clocks();
        };
        let sort = SORTS.iter().position(|sort| sort.name == name);
        self.strike(sort)
    }

    fn tell(&mut self, given: ApprovedOrder) -> Result<(), Violation> {
        self.decree(Decree::Order(given))
    }

    /// The honest driver is told. What it does not know, or no longer has, it refuses.
    fn decree(&mut self, decree: Decree) -> Result<(), Violation> {
        match self.stage.coordinator.decree(self.stage.now_ms, decree) {
            Ok(_) => self.stage.turn(Came::Nothing),
            Err(_) => Ok(()),
        }
    }
}
