//! What people do, and how a run ends: the network heals, everything open comes to an end, one more plan goes
//! through at once, every wallet signs.

use super::{Act, World};
use crate::coordinator::Came;
use crate::faults::Weather;
use crate::network::About;
use crate::operator::Watched;
use crate::trace::What;
use crate::violation::{Invariant, Violation};
use perennial_custody::pinned::CLOCK_SKEW_MS;
use perennial_model::encoding::Digest;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::wallet::WalletId;
use perennial_workflow::ceremony::status::{Phase, Stage};

/// A run that is not done by then heals, in virtual milliseconds.
const STORM_MS_MAX: u64 = 1_800_000;
/// How often people look, on average, between two changes of governance.
const GOVERN_ONE_IN: u64 = 60;
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
        let over = self.operator.made >= self.scenario.plans && !self.operator.is_busy(self.now_ms, 1);
        if over || self.now_ms > super::BEGIN_MS + STORM_MS_MAX {
            self.heal();
            return Ok(());
        }
        if self.scenario.governance_changes && self.operator.one_in(GOVERN_ONE_IN) {
            self.change_governance()?;
        }
        if self.coordinator.heads.is_empty() {
            return self.have_wallets_made();
        }
        let at_once = if self.operator.one_in(6) { 2 } else { 1 };
        if self.operator.made < self.scenario.plans && !self.operator.is_busy(self.now_ms, at_once) {
            let plan = self.operator.refresh(&self.cast, &self.coordinator.heads, self.now_ms);
            return plan.map_or(Ok(()), |plan| self.hand_in(plan).map(drop));
        }
        Ok(())
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

    /// Nothing goes wrong from here on.
    fn heal(&mut self) {
        self.weather = Weather::CALM;
        self.act = Act::Healed { since_ms: self.now_ms };
        self.trace.add(self.now_ms, What::Said("the network heals".into()));
    }

    /// L1: what is open ends by itself, or stays activated beside its parent because a holder dropped it by date.
    fn wait_for_the_open(&mut self, since_ms: u64) -> Result<(), Violation> {
        if self.coordinator.heads.is_empty() {
            return self.have_wallets_made();
        }
        let waiting: Vec<_> = self
            .coordinator
            .attempts()
            .into_iter()
            .filter(|(chunk, phase)| !self.may_stay(chunk, *phase))
            .collect();
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
            if !matches!(status.stage, Stage::Done | Stage::Expired | Stage::Outdated) {
                return true;
            }
            let retired =
                |chunk: &&perennial_workflow::ceremony::status::ChunkStatus| chunk.phase == Phase::Retired;
            tally.attempts_left +=
                status.attempts.iter().filter(|attempt| attempt.phase == Phase::Left).count() as u64;
            if watched.action == Action::Refresh {
                tally.wallets += u64::from(status.wallets_retired);
                tally.chunks += status.attempts.iter().filter(retired).count() as u64;
                tally.refreshes += u64::from(status.wallets_retired == status.wallets);
            }
            false
        });
    }
}
