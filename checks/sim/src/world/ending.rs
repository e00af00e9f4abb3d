//! What people do, and how a run ends: the network heals, everything open comes to an end, one more plan goes
//! through at once, every wallet signs.

use super::{Act, World};
use crate::coordinator::{Came, Decree};
use crate::faults::Weather;
use crate::network::{About, Event};
use crate::operator::Watched;
use crate::trace::What;
use crate::violation::{Invariant, Violation};
use perennial_custody::pinned::CLOCK_SKEW_MS;
use perennial_model::encoding::Digest;
use perennial_model::order::Deed;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::wallet::{Scheme, WalletId};
use perennial_workflow::ceremony::status::{Phase, Stage};
use perennial_workflow::ceremony::{Attempt, Step};

/// A run that is not done by then heals, in virtual milliseconds.
const STORM_MS_MAX: u64 = 1_800_000;
/// How often people look, on average, between two plans that they call off.
const CANCEL_ONE_IN: u64 = 20;
/// The same for one in which wallets are mostly refreshed under a mandate.
const MANDATED_MS_MAX: u64 = 900_000;
/// How often people look, on average, between two plans of their own beside a mandate.
const PLAN_BESIDE_ONE_IN: u64 = 1_500;
/// How often people look, on average, between two changes of governance.
const GOVERN_ONE_IN: u64 = 60;
/// How often people look, on average, between two decisions about mandates and orders.
const DECREE_ONE_IN: u64 = 100;
/// In this time after healing, or after its last date, an attempt must be over, in milliseconds.
const SETTLE_MS: u64 = 60_000;
/// In this time a plan goes through on a healed network, in milliseconds: six attempts at the longest patience.
const LAST_MS: u64 = 90_000;
/// In this time a request is answered on a healed network, in milliseconds.
const FAREWELL_MS: u64 = 30_000;

impl World {
    /// People look after their plans.
    pub(super) fn operate(&mut self) -> Result<(), Violation> {
        if !self.coordinator.is_up() {
            return Ok(());
        }
        self.close_plans();
        match self.act {
            Act::Storm => self.make_plans(),
            Act::Healed { since_ms } => self.wait_for_the_open(since_ms),
            Act::Last { plan, since_ms } => self.wait_for_the_last(plan, since_ms),
            Act::Farewell => self.say_farewell(),
            Act::Over => Ok(()),
        }
    }

    fn make_plans(&mut self) -> Result<(), Violation> {
        if let Some(unattended_ms) = self.scenario.unattended_ms {
            return self.leave_alone(unattended_ms);
        }
        let over = self.operator.made >= self.scenario.plans && !self.operator.is_busy(self.now_ms, 1);
        let longest_ms = if self.scenario.mandates { MANDATED_MS_MAX } else { STORM_MS_MAX };
        if over || self.now_ms > super::BEGIN_MS + longest_ms {
            return self.heal();
        }
        if self.scenario.governance_changes && self.operator.one_in(GOVERN_ONE_IN) {
            self.change_governance()?;
        }
        if self.coordinator.heads.is_empty() {
            return self.have_wallets_made();
        }
        if self.scenario.mandates && self.operator.one_in(DECREE_ONE_IN) {
            self.decree()?;
        }
        if self.scenario.cancels && self.operator.one_in(CANCEL_ONE_IN) {
            self.call_off()?;
        }
        // Whoever has given a mandate seldom plans as well, or nothing would ever be due.
        if self.scenario.mandates && self.operator.made > 0 && !self.operator.one_in(PLAN_BESIDE_ONE_IN) {
            return Ok(());
        }
        let at_once = if self.operator.one_in(6) { 2 } else { 1 };
        if self.operator.made < self.scenario.plans && !self.operator.is_busy(self.now_ms, at_once) {
            let plan = self.operator.refresh(&self.cast, &self.coordinator.heads, self.now_ms);
            return plan.map_or(Ok(()), |plan| self.hand_in(plan).map(drop));
        }
        Ok(())
    }

    /// One mandate for so long, and nobody is asked for anything else.
    fn leave_alone(&mut self, unattended_ms: u64) -> Result<(), Violation> {
        if self.coordinator.heads.is_empty() {
            return self.have_wallets_made();
        }
        if self.operator.mandates.is_empty() {
            let mandate = self.operator.weekly(&self.cast, self.now_ms, unattended_ms);
            return self.take_decree(Decree::Mandate(mandate));
        }
        match self.now_ms > super::BEGIN_MS + unattended_ms {
            true => {
                // The next request may be hours away.
                self.network.at(self.now_ms + 1, Event::Order);
                self.heal()
            }
            false => Ok(()),
        }
    }

    /// Every plan before it is void for whatever is not Activated yet.
    fn change_governance(&mut self) -> Result<(), Violation> {
        let next = self.cast.govern();
        self.history.governed(next.governance.digest());
        let history = self.coordinator.govern(self.now_ms, next);
        let refused = |e| Violation::new(Invariant::Sound, format!("a sound governance is refused: {e}"));
        self.cast.history = history.map_err(refused)?;
        let version = self.cast.history.newest().version;
        self.trace.add(self.now_ms, What::Said(format!("governance version {version}")));
        self.turn_coordinator(Came::Nothing, About::default(), false)
    }

    fn have_wallets_made(&mut self) -> Result<(), Violation> {
        if self.operator.is_creating(self.now_ms) {
            return Ok(());
        }
        let plan = self.operator.create(&self.scenario, &self.cast, self.now_ms);
        self.hand_in(plan).map(drop)
    }

    /// Nothing goes wrong from here on, and nothing new begins by itself.
    fn heal(&mut self) -> Result<(), Violation> {
        self.weather = Weather::CALM;
        self.act = Act::Healed { since_ms: self.now_ms };
        self.trace.add(self.now_ms, What::Said("the network heals".into()));
        for (mandate, governance) in std::mem::take(&mut self.operator.mandates) {
            if governance == self.cast.history.newest_digest() {
                self.give_order(Deed::Cancel(mandate))?;
            }
        }
        Ok(())
    }

    /// People give a mandate; once there is one they have it rest or go on, call it off, or call off a plan.
    fn decree(&mut self) -> Result<(), Violation> {
        let in_force = self.cast.history.newest_digest();
        self.operator.mandates.retain(|(_, governance)| *governance == in_force);
        let Some((mandate, _)) = self.operator.mandates.first().copied() else {
            let mandate = self.operator.mandate(&self.cast, self.now_ms);
            return self.take_decree(Decree::Mandate(mandate));
        };
        match self.operator.one_of(8) {
            0 => {
                self.operator.mandates.clear();
                self.give_order(Deed::Cancel(mandate))
            }
            1 => self.give_order(Deed::Pause(mandate)),
            2..=4 => self.give_order(Deed::Resume(mandate)),
            _ => self.call_off(),
        }
    }

    /// The newest plan that is open is called off.
    fn call_off(&mut self) -> Result<(), Violation> {
        let open = self.operator.watched.iter().map(|watched| watched.plan);
        let open = open.rev().find(|plan| self.coordinator.is_open(plan));
        open.map_or(Ok(()), |plan| self.give_order(Deed::Cancel(plan)))
    }

    fn give_order(&mut self, deed: Deed) -> Result<(), Violation> {
        let order = self.operator.order(&self.cast, deed, self.now_ms);
        self.history.ordered(&order.order);
        self.take_decree(Decree::Order(order))
    }

    fn take_decree(&mut self, decree: Decree) -> Result<(), Violation> {
        self.trace.add(self.now_ms, What::Said(format!("{decree:?}").chars().take(80).collect()));
        if let Decree::Mandate(given) = &decree {
            self.history.mandated(&given.mandate);
        }
        let taken = self.coordinator.decree(self.now_ms, decree);
        taken.map_err(|e| Violation::new(Invariant::Sound, format!("a sound decision is refused: {e}")))?;
        self.turn_coordinator(Came::Nothing, About::default(), false)
    }

    /// Plans that the loop has made itself under a mandate are watched like those of people.
    pub(super) fn watch_what_began(&mut self) {
        let Some(driver) = self.coordinator.driver() else { return };
        for digest in driver.ceremonies() {
            let Some(plan) = driver.ceremony(&digest).map(|open| open.plan()) else { continue };
            if plan.mandate.is_none() || self.operator.watched.iter().any(|known| known.plan == digest) {
                continue;
            }
            let deadline_ms = plan.activation_deadline_ms;
            let action = plan.action;
            self.operator.watched.push(Watched { plan: digest, action, since_ms: self.now_ms, deadline_ms });
            self.history.planned(plan);
        }
    }

    /// L1: what is open ends by itself, or stays activated beside its parent because a holder dropped it by date, or
    /// because it stands on the same pair bases as one that does so or was given up.
    fn wait_for_the_open(&mut self, since_ms: u64) -> Result<(), Violation> {
        if self.coordinator.heads.is_empty() {
            return self.have_wallets_made();
        }
        let attempts = self.coordinator.attempts();
        let stays = |(chunk, phase): &(Chunk, Phase)| {
            self.may_stay(chunk, *phase) || self.waits_for_its_pair_bases(chunk, *phase, &attempts)
        };
        let waiting: Vec<_> = attempts.iter().filter(|attempt| !stays(attempt)).collect();
        if waiting.is_empty() && self.signers.iter().all(crate::signer::Signer::is_up) {
            let plan = self.operator.last(&self.cast, &self.coordinator.heads, self.now_ms);
            let plan = plan.ok_or_else(|| Violation::stuck("there is no wallet to refresh"))?;
            let plan = self.hand_in(plan)?;
            self.act = Act::Last { plan, since_ms: self.now_ms };
            return Ok(());
        }
        let last_date_ms =
            self.operator.watched.iter().map(|watched| watched.deadline_ms).max().unwrap_or(0).max(since_ms);
        if self.now_ms > last_date_ms + CLOCK_SKEW_MS + SETTLE_MS {
            let open: Vec<String> =
                waiting.iter().map(|(chunk, phase)| format!("{chunk} is {phase}")).collect();
            return Err(Violation::stuck(format!("long after healing: {}", open.join("; "))));
        }
        Ok(())
    }

    /// Whether an attempt stays where it is for good: activated, and some holder no longer has it. Or until the next
    /// Retirement: governance has changed, and who had no part in it believes nothing that is said under the old one.
    fn may_stay(&self, chunk: &Chunk, phase: Phase) -> bool {
        let governance = self.history.plans.get(&chunk.plan).map(|plan| plan.governance);
        if phase == Phase::Retiring && governance != Some(self.cast.history.newest_digest()) {
            return true;
        }
        matches!(phase, Phase::Activating | Phase::Keeping) && self.history.was_dropped(&self.cast, chunk)
    }

    /// Whether an attempt waits for another one that stands on the same pair bases, and may stay where it is.
    fn waits_for_its_pair_bases(&self, chunk: &Chunk, phase: Phase, attempts: &[(Chunk, Phase)]) -> bool {
        let ceremony = self.coordinator.driver().and_then(|driver| driver.ceremony(&chunk.plan));
        let is_ecdsa = |chunk: &Chunk| {
            let attempt = ceremony.and_then(|ceremony| ceremony.attempts.get(chunk));
            attempt.is_some_and(|attempt| attempt.terms.scheme == Scheme::Ecdsa)
        };
        let beside = |(other, at): &(Chunk, Phase)| {
            other.plan == chunk.plan && other != chunk && is_ecdsa(other) && self.may_stay(other, *at)
        };
        phase == Phase::Keeping
            && is_ecdsa(chunk)
            && (attempts.iter().any(beside) || self.is_beside_one_given_up(chunk))
    }

    /// Whether a refresh has all votes of an attempt, and may not retire it since the number of other wallets on its
    /// pair bases was left and no other goes on.
    fn is_beside_one_given_up(&self, chunk: &Chunk) -> bool {
        let ceremony = self.coordinator.driver().and_then(|driver| driver.ceremony(&chunk.plan));
        let Some(ceremony) = ceremony.filter(|one| one.plan().action == Action::Refresh) else {
            return false;
        };
        let has_its_votes = |attempt: &Attempt| matches!(attempt.next(), Step::Retire);
        if !ceremony.attempts.get(chunk).is_some_and(has_its_votes) || ceremony.may_retire(chunk) {
            return false;
        }
        let waiting = ceremony.waiting_wallets();
        let is_given_up = |one: &PlannedWallet| {
            let attempts = ceremony.attempts.values().filter(|attempt| {
                let wallets = ceremony.plan().wallets_of(&attempt.terms.chunk).unwrap_or_default();
                attempt.terms.scheme == Scheme::Ecdsa && wallets.contains(one)
            });
            let phases: Vec<Phase> = attempts.map(Attempt::phase).collect();
            !waiting.contains(one.id()) && !phases.is_empty() && phases.iter().all(|at| *at == Phase::Left)
        };
        ceremony.plan().wallets.iter().any(is_given_up)
    }

    /// Whether an attempt at making wallets stays where it is: nobody was ever shown them.
    fn is_nobodys(&self, chunk: &Chunk, phase: Phase) -> bool {
        let wallets = self.history.plans.get(&chunk.plan).and_then(|plan| plan.wallets_of(chunk).ok());
        let is_shown = |wallet: &PlannedWallet| self.coordinator.heads.get(wallet.id()).is_some();
        self.may_stay(chunk, phase) && wallets.is_some_and(|wallets| !wallets.iter().any(is_shown))
    }

    /// L1: the next attempt can start at once, and goes through.
    fn wait_for_the_last(&mut self, plan: Digest, since_ms: u64) -> Result<(), Violation> {
        let status = self.coordinator.driver().and_then(|driver| driver.status(&plan));
        let done = status
            .as_ref()
            .is_some_and(|status| status.stage == Stage::Done && status.wallets_retired == status.wallets);
        let attempts = self.coordinator.attempts();
        if done && attempts.iter().all(|(chunk, phase)| self.is_nobodys(chunk, *phase)) {
            self.act = Act::Farewell;
            self.history.forget_signatures();
            return Ok(());
        }
        if self.now_ms > since_ms + LAST_MS {
            let open: Vec<String> = self
                .coordinator
                .attempts()
                .iter()
                .map(|(chunk, phase)| format!("{chunk} is {phase}"))
                .collect();
            let status = status.map(|status| format!("{:?}", status.attempts)).unwrap_or_default();
            let what =
                format!("a plan does not go through on a healed network: {} {status}", open.join("; "));
            return Err(Violation::stuck(what));
        }
        Ok(())
    }

    /// Every wallet signs under its one epoch, and every signer serves that alone.
    fn say_farewell(&mut self) -> Result<(), Violation> {
        let wallets: Vec<WalletId> =
            self.coordinator.heads.iter().map(|head| head.wallet().id.clone()).collect();
        if wallets.iter().all(|wallet| self.history.has_signed(wallet)) {
            self.history.look_at_everything(&self.signers)?;
            self.history.all_agree(&self.signers, &self.coordinator.heads)?;
            self.act = Act::Over;
            return Ok(());
        }
        let Act::Farewell = self.act else { return Ok(()) };
        self.history.farewell_since_ms.get_or_insert(self.now_ms);
        if self.history.farewell_since_ms.is_some_and(|since_ms| self.now_ms > since_ms + FAREWELL_MS) {
            let silent: Vec<&str> = wallets
                .iter()
                .filter(|wallet| !self.history.has_signed(wallet))
                .map(WalletId::as_str)
                .collect();
            let what = format!("after all is done, no signature from {}", silent.join(", "));
            return Err(Violation::new(Invariant::L2SignsOn, what));
        }
        Ok(())
    }

    fn hand_in(&mut self, plan: Plan) -> Result<Digest, Violation> {
        let watched = Watched {
            plan: plan.digest(),
            action: plan.action,
            since_ms: self.now_ms,
            deadline_ms: plan.activation_deadline_ms,
        };
        self.trace.add(self.now_ms, What::Planned(watched.plan, plan.rank));
        let approvals = vec![self.cast.approve(&plan.digest())];
        match self.coordinator.submit(self.now_ms, plan.clone(), approvals) {
            Ok(digest) => {
                self.history.planned(&plan);
                self.operator.watched.push(watched);
                self.turn_coordinator(Came::Nothing, About::default(), false)?;
                Ok(digest)
            }
            Err(error) => Err(Violation::new(Invariant::Sound, format!("a sound plan is refused: {error}"))),
        }
    }

    /// Takes plans that are over off the list.
    fn close_plans(&mut self) {
        let Some(driver) = self.coordinator.driver() else { return };
        let tally = &mut self.tally;
        self.operator.watched.retain(|watched| {
            let Some(status) = driver.status(&watched.plan) else { return false };
            if !matches!(status.stage, Stage::Done | Stage::Expired | Stage::Outdated | Stage::Cancelled) {
                return true;
            }
            let retired =
                |chunk: &&perennial_workflow::ceremony::status::ChunkStatus| chunk.phase == Phase::Retired;
            tally.attempts_left +=
                status.attempts.iter().filter(|attempt| attempt.phase == Phase::Left).count() as u64;
            if watched.action == Action::Refresh {
                tally.wallets += u64::from(status.wallets_retired);
                tally.chunks += status.attempts.iter().filter(retired).count() as u64;
                let through = u64::from(status.wallets_retired == status.wallets);
                tally.refreshes += through;
                tally.mandated += if status.mandate.is_some() { through } else { 0 };
            }
            false
        });
    }
}
