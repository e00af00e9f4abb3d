//! What the API shows of wallets and ceremonies: a copy that the loop keeps up to date, so that a look never
//! waits for the loop, nor the loop for a look. Only what is durable gets in here.

use perennial_chain::address;
use perennial_model::approval::ApprovedPlan;
use perennial_model::committee::SignerId;
use perennial_model::derivation::Path;
use perennial_model::encoding::Digest;
use perennial_model::exposure::Copies;
use perennial_model::governance::PersonId;
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::{Action, Plan, PlannedWallet};
use perennial_model::wallet::{TenantId, WalletId};
use perennial_workflow::ceremony::status::{CeremonyStatus, Phase, Stage};
use perennial_workflow::driver::MandateState;
use perennial_workflow::thefts::Filed;
use perennial_workflow::wallets::HeadChange;
use perennial_workflow::{Driver, Heads, World, exposure};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The most addresses that are remembered. They follow from the keys, and take a millisecond in three.
const ADDRESSES_MAX: usize = 100_000;

/// For how long changes of a ceremony are gathered before they are told, for each of its attempts.
const GATHERED_FOR_EACH: Duration = Duration::from_millis(1);
/// For how long at most.
const GATHERED_FOR: Duration = Duration::from_millis(100);

/// A ceremony as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCeremony {
    /// Rises with every change of it, and over restarts. It counts no change of another: that would tell one tenant how
    /// much others do.
    pub number: u64,
    /// Where it is.
    pub status: CeremonyStatus,
    /// The plan, as long as the ceremony is not over; then the journal has it.
    pub plan: Option<Arc<Plan>>,
    /// Who has approved it, as long as it is not over.
    pub approved_by: Vec<PersonId>,
}

/// Whether ceremonies go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Running {
    /// They do.
    Yes,
    /// They stand still, for this reason.
    No(String),
}

/// The copy.
#[derive(Debug)]
pub struct View {
    heads: RwLock<Heads>,
    ceremonies: RwLock<BTreeMap<Digest, Arc<ShownCeremony>>>,
    /// The number that a ceremony begins with.
    begun: u64,
    changed: watch::Sender<()>,
    running: watch::Sender<Running>,
    addresses: Mutex<HashMap<WalletId, String>>,
    governed: RwLock<BTreeMap<SignerId, u64>>,
    decrees: RwLock<Arc<Decrees>>,
    thefts: RwLock<Arc<Vec<Filed>>>,
}

/// What people have decided beyond single plans.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decrees {
    /// Mandates, by digest.
    pub mandates: Vec<(Digest, Arc<ApprovedMandate>, MandateState)>,
    /// Orders by digest, and how many signers obey each.
    pub orders: Vec<(Digest, Arc<ApprovedOrder>, usize)>,
}

impl Decrees {
    /// As the loop knows them.
    pub fn of<J, W: World>(driver: &Driver<J, W>) -> Self {
        let mandates = driver.mandates().map(|(digest, approved, state)| (*digest, approved.clone(), state));
        let orders = driver.orders().map(|(digest, approved, obeyed)| (*digest, approved.clone(), obeyed));
        Self { mandates: mandates.collect(), orders: orders.collect() }
    }
}

impl View {
    /// A view of nothing. Numbers begin at the time, so that they rise over restarts.
    pub fn new(now_ms: u64) -> Self {
        Self {
            heads: RwLock::default(),
            ceremonies: RwLock::default(),
            begun: now_ms,
            changed: watch::channel(()).0,
            running: watch::channel(Running::No("they are being read from the journal".into())).0,
            addresses: Mutex::default(),
            governed: RwLock::default(),
            decrees: RwLock::default(),
            thefts: RwLock::default(),
        }
    }

    /// Mandates and orders.
    pub fn decrees(&self) -> Arc<Decrees> {
        self.decrees.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over mandates and orders.
    pub fn set_decrees(&self, decrees: Decrees) {
        if *self.decrees() != decrees {
            *self.decrees.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(decrees);
        }
    }

    /// Reports of thefts, in the order in which they came.
    pub fn thefts(&self) -> Arc<Vec<Filed>> {
        self.thefts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over reports of thefts.
    pub fn set_thefts(&self, thefts: &Arc<Vec<Filed>>) {
        if !Arc::ptr_eq(&self.thefts(), thefts) {
            *self.thefts.write().unwrap_or_else(PoisonError::into_inner) = thefts.clone();
        }
    }

    /// Which version of governance each signer has said to have.
    pub fn governed(&self) -> BTreeMap<SignerId, u64> {
        self.governed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what signers have said about governance.
    pub fn set_governed(&self, versions: &BTreeMap<SignerId, u64>) {
        if *self.governed.read().unwrap_or_else(PoisonError::into_inner) != *versions {
            *self.governed.write().unwrap_or_else(PoisonError::into_inner) = versions.clone();
        }
    }

    /// The wallets. The loop waits while this is held.
    pub fn heads(&self) -> RwLockReadGuard<'_, Heads> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ceremony.
    pub fn ceremony(&self, ceremony: &Digest) -> Option<Arc<ShownCeremony>> {
        self.ceremonies_now().get(ceremony).cloned()
    }

    /// All ceremonies, the newest first.
    pub fn ceremonies(&self) -> Vec<Arc<ShownCeremony>> {
        let mut all: Vec<_> = self.ceremonies_now().values().cloned().collect();
        all.sort_by_key(|shown| std::cmp::Reverse((shown.status.submitted_ms, shown.status.ceremony)));
        all
    }

    /// A ceremony once its number is above `since`; as it is when `deadline` passes first. A ceremony with many
    /// attempts changes hundreds of times a second, so its changes are gathered for a moment.
    pub async fn ceremony_after(
        &self,
        ceremony: &Digest,
        since: u64,
        deadline: Instant,
    ) -> Option<Arc<ShownCeremony>> {
        let mut changed = self.changed.subscribe();
        let mut gathered_at: Option<Instant> = None;
        loop {
            let shown = self.ceremony(ceremony)?;
            let mut until = deadline;
            if shown.number > since {
                let moment = GATHERED_FOR_EACH * (shown.status.attempts.len() as u32);
                let gathered = *gathered_at.get_or_insert_with(|| Instant::now() + moment.min(GATHERED_FOR));
                if shown.status.finished_ms.is_some() || since == 0 || gathered <= Instant::now() {
                    return Some(shown);
                }
                until = until.min(gathered);
            }
            if tokio::time::timeout_at(until, changed.changed()).await.is_err() && until == deadline {
                return Some(shown);
            }
        }
    }

    /// Where copies of a wallet's shares may be, the newest number first.
    pub fn copies(&self, wallet: &WalletId) -> Vec<Copies> {
        let open = self.ceremonies_now();
        let open = open.values().filter_map(|shown| Some((shown.plan.as_deref()?, &shown.status)));
        exposure::copies(&self.heads(), open, &self.thefts(), wallet)
    }

    /// Whether ceremonies go on.
    pub fn running(&self) -> Running {
        self.running.borrow().clone()
    }

    /// For whom a ceremony that is not over will make a wallet of this name; none if there is none.
    pub fn is_being_made_for(&self, wallet: &WalletId) -> Option<TenantId> {
        if let Some(tenant) = self.heads().tenant(wallet) {
            return Some(tenant.clone());
        }
        let mut plans = self.open_plans();
        let making = plans.find(|plan| plan.action == Action::Create && names(plan, wallet));
        making.map(|plan| plan.tenant.clone())
    }

    /// A rank above every rank that is known to have been approved for one of these wallets: by the epochs that they
    /// have, and by ceremonies that are not over. What [`Self::unclean`] gives may have been higher.
    pub fn rank_above(&self, wallets: &[WalletId]) -> u32 {
        let heads = self.heads();
        let of_heads = wallets.iter().filter_map(|id| heads.get(id)).map(|head| head.present.share_set.epoch);
        let highest = of_heads.map(|epoch| epoch.rank).max().unwrap_or(0);
        drop(heads);
        let ceremonies = self.ceremonies_now();
        let wanted: HashSet<&WalletId> = wallets.iter().collect();
        let open = ceremonies.values().filter_map(|shown| Some((shown.plan.as_ref()?, shown.status.rank)));
        let open = open.filter(|(plan, _)| plan.wallets.iter().any(|planned| wanted.contains(planned.id())));
        open.map(|(_, rank)| rank).max().unwrap_or(0).max(highest).saturating_add(1)
    }

    /// Ceremonies that are over and whose epochs do not tell every number that signers have seen, since an attempt of
    /// them failed: those of this rank or a higher one, the highest first.
    pub fn unclean(&self, rank: u32) -> Vec<(Digest, u32)> {
        let ceremonies = self.ceremonies_now();
        let over = ceremonies.values().filter(|shown| shown.plan.is_none()).map(|shown| &shown.status);
        let unclean = over.filter(|status| status.rank >= rank && is_unclean(status));
        let mut unclean: Vec<(Digest, u32)> = unclean.map(|status| (status.ceremony, status.rank)).collect();
        unclean.sort_by_key(|(_, rank)| std::cmp::Reverse(*rank));
        unclean
    }

    /// The address that a wallet shows first; none for a wallet that may not be shown, and for a damaged key.
    pub fn address(&self, wallet: &WalletId) -> Option<String> {
        let lock = || self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(wallet) {
            return Some(known.clone());
        }
        let (wallet, key) =
            self.heads().get(wallet).map(|head| (head.wallet().clone(), head.key().clone()))?;
        let made = address(&wallet, &key, &Path::primary(wallet.chain)).ok()?;
        let mut addresses = lock();
        if addresses.len() < ADDRESSES_MAX {
            addresses.insert(wallet.id, made.clone());
        }
        Some(made)
    }

    /// Puts other wallets in the place of all that are known.
    pub fn replace_heads(&self, heads: Heads) {
        *self.heads_to_change() = heads;
    }

    /// Takes in changes of wallets, one at a time so that nobody waits long.
    pub fn apply(&self, changes: &[HeadChange]) {
        for change in changes {
            self.heads_to_change().apply(change);
        }
    }

    /// Shows where a ceremony is now.
    pub fn show(&self, status: CeremonyStatus, submitted: Option<&ApprovedPlan>) {
        let mut ceremonies = self.ceremonies.write().unwrap_or_else(PoisonError::into_inner);
        let known = ceremonies.get(&status.ceremony);
        if known.is_some_and(|known| known.status == status && known.plan.is_some() == submitted.is_some()) {
            return;
        }
        let plan = submitted.map(|submitted| match known.and_then(|known| known.plan.clone()) {
            Some(plan) => plan,
            None => Arc::new(submitted.plan.clone()),
        });
        let approvals = submitted.into_iter().flat_map(|submitted| &submitted.approvals);
        let approved_by = approvals.map(|approval| approval.person.clone()).collect();
        let number = known.map_or(self.begun, |known| known.number.saturating_add(1));
        let shown = ShownCeremony { number, status, plan, approved_by };
        ceremonies.insert(shown.status.ceremony, Arc::new(shown));
        drop(ceremonies);
        self.changed.send_replace(());
    }

    /// Says whether ceremonies go on.
    pub fn set_running(&self, running: Running) {
        self.running.send_replace(running);
    }

    fn open_plans(&self) -> impl Iterator<Item = Arc<Plan>> {
        let plans: Vec<_> = self.ceremonies_now().values().filter_map(|shown| shown.plan.clone()).collect();
        plans.into_iter()
    }

    fn ceremonies_now(&self) -> RwLockReadGuard<'_, BTreeMap<Digest, Arc<ShownCeremony>>> {
        self.ceremonies.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn heads_to_change(&self) -> RwLockWriteGuard<'_, Heads> {
        self.heads.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(plan: &Plan, wallet: &WalletId) -> bool {
    plan.wallets.iter().map(PlannedWallet::id).any(|id| id == wallet)
}

fn is_unclean(status: &CeremonyStatus) -> bool {
    status.stage == Stage::Done
        && (status.wallets_given_up > 0 || status.attempts.iter().any(|attempt| attempt.phase == Phase::Left))
}
