//! The thread that runs ceremonies: orders in, one commit, mail out; and again.
//!
//! Whatever arrived together is settled together. Nothing is released, shown or answered before the commit of what
//! it follows from; while nothing waits for a commit it is put off for a moment, so that the replies of several
//! signers share one sync. When the journal cannot be written, everything that was not committed is forgotten:
//! the loop boots anew from the journal as soon as it can be written again, and orders are refused until then.
//!
//! The thread has the lowest priority, because redistribution gives way to signing.

mod settling;

use crate::directory::{Directory, DirectoryError};
use crate::journal::{FactLog, OpenError, SharedFactLog};
use crate::ledger::Ledger;
use crate::mailbox::{ServerTls, SharedPin, SignersByPin};
use crate::post::{Outbox, TakeReplies};
use crate::store::{StoreError, StoreFile};
use crate::trusted::InForce;
use crate::view::{Decrees, Running, View};
use crate::world::World;
use perennial_daemon::priority::lower_this_thread;
use perennial_model::Error;
use perennial_model::approval::Approval;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::mail::Reply;
use perennial_model::mandate::ApprovedMandate;
use perennial_model::order::ApprovedOrder;
use perennial_model::plan::Plan;
use perennial_model::theft::TheftReport;
use perennial_workflow::ceremony::status::Count;
use perennial_workflow::driver::BootError;
use perennial_workflow::wallets::HeadChange;
use perennial_workflow::{Driver, Heads, Tuning};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The most orders that wait for the loop.
const ORDERS_MAX: usize = 4 << 10;
/// The most orders that are settled together.
const TOGETHER_MAX: usize = 256;
/// For how long a commit for which nothing waits is put off.
const COMMIT_WITHIN: Duration = Duration::from_millis(20);
/// The loop looks at everything at least so often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The least time between two looks at everything.
const LOOK_NOT_BEFORE: Duration = Duration::from_millis(1);
/// How long a journal that could not be written is left alone.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The plan or the approval.
    #[error(transparent)]
    Rule(#[from] Error),
    /// The journal cannot be written.
    #[error("ceremonies stand still: {0}")]
    StandingStill(String),
    /// Too much is waiting already.
    #[error("the coordinator is busy: try again in a moment")]
    Busy,
}

/// What the thread is told.
enum Order {
    Heard(SignerId, Reply),
    Submit(Box<Plan>, oneshot::Sender<Result<Digest, Refusal>>),
    Approve(Digest, Approval, oneshot::Sender<Result<Count, Refusal>>),
    Govern(Box<ApprovedGovernance>, oneshot::Sender<Result<(), Refusal>>),
    Mandate(Box<ApprovedMandate>, oneshot::Sender<Result<Digest, Refusal>>),
    Obey(Box<ApprovedOrder>, oneshot::Sender<Result<Digest, Refusal>>),
    ReportTheft(Box<TheftReport>, oneshot::Sender<Result<Digest, Refusal>>),
    Stop,
}

/// What becomes known of wallets, for whoever answers signing requests.
#[derive(Debug)]
pub enum HeadNews {
    /// Everything that is known.
    All(Box<Heads>),
    /// What has changed.
    Changes(Vec<HeadChange>),
}

/// What the thread works with.
pub struct Parts {
    /// Where facts are kept.
    pub file: StoreFile,
    /// Who approves, and who the signers are.
    pub in_force: InForce,
    /// Where the governance lies.
    pub directory: Directory,
    /// Whom the mailbox lets in.
    pub tls: ServerTls,
    /// How ceremonies are run.
    pub tuning: Tuning,
    /// Where requests to signers go.
    pub outbox: Outbox,
    /// What the API shows.
    pub view: Arc<View>,
    /// What signing requests go by.
    pub news: tokio::sync::mpsc::UnboundedSender<HeadNews>,
    /// Where notes go.
    pub ledger: Ledger,
}

/// Gives orders to the thread. Clones give orders to the same one.
#[derive(Debug, Clone)]
pub struct Ceremonies {
    orders: SyncSender<Order>,
}

/// Why the thread could not start, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum CeremoniesError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal cannot be replayed.
    #[error(transparent)]
    Boot(#[from] BootError<StoreError>),
    /// The governance cannot be read any more.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Two signers of it have one pin.
    #[error("governance.cbor: {0}")]
    Pins(#[from] SharedPin),
    /// The journal failed for good.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no thread.
    #[error("cannot start the thread for ceremonies: {0}")]
    System(#[from] std::io::Error),
}

impl Ceremonies {
    /// Starts the thread, which opens and replays the journal, and returns when it has.
    ///
    /// # Errors
    /// [`CeremoniesError`].
    pub fn start(parts: Parts) -> Result<(Self, CeremoniesThread), CeremoniesError> {
        let (orders, waiting) = sync_channel(ORDERS_MAX);
        let (ready, is_ready) = sync_channel(1);
        let (alive, ended) = oneshot::channel();
        // Everything is made in that thread, so that the database's thread inherits its priority.
        let run = move || {
            let _alive = alive;
            lower_this_thread();
            let booted = boot(&parts)?;
            // Nobody waits any more if the start was broken off.
            let _ = ready.send(());
            run(&parts, booted, &waiting)
        };
        let handle = std::thread::Builder::new().name("ceremonies".into()).spawn(run)?;
        let thread = CeremoniesThread { handle, ended };
        match is_ready.recv() {
            Ok(()) => Ok((Self { orders }, thread)),
            Err(_) => Err(thread.reason()),
        }
    }

    /// Takes in a plan. Returns its digest once it is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn submit(&self, plan: Plan) -> Result<Digest, Refusal> {
        self.order(|answer| Order::Submit(Box::new(plan), answer)).await
    }

    /// Takes in a person's approval. Returns how many there are of how many, once it is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn approve(&self, ceremony: Digest, approval: Approval) -> Result<Count, Refusal> {
        self.order(|answer| Order::Approve(ceremony, approval, answer)).await
    }

    /// Takes in the next version of governance. Returns once it is durable and in force.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn govern(&self, next: ApprovedGovernance) -> Result<(), Refusal> {
        self.order(|answer| Order::Govern(Box::new(next), answer)).await
    }

    /// Takes in a mandate that people have given. Returns its digest once it is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn mandate(&self, approved: ApprovedMandate) -> Result<Digest, Refusal> {
        self.order(|answer| Order::Mandate(Box::new(approved), answer)).await
    }

    /// Takes in an order that people have given. Returns its digest once it is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn obey(&self, approved: ApprovedOrder) -> Result<Digest, Refusal> {
        self.order(|answer| Order::Obey(Box::new(approved), answer)).await
    }

    /// Takes in a report of a theft. Returns its digest once it is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn report_theft(&self, report: TheftReport) -> Result<Digest, Refusal> {
        self.order(|answer| Order::ReportTheft(Box::new(report), answer)).await
    }

    /// Has the thread commit what it has and end.
    pub fn stop(&self) {
        // A thread that is gone has stopped.
        let _ = self.orders.send(Order::Stop);
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Order,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        match self.orders.try_send(order(answer)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Refusal::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(ended()),
        }
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl TakeReplies for Ceremonies {
    fn take_reply(&self, from: SignerId, reply: Reply) {
        // A thread that is gone needs no replies.
        let _ = self.orders.send(Order::Heard(from, reply));
    }
}

fn ended() -> Refusal {
    Refusal::StandingStill("the thread that runs them has ended".into())
}

/// The thread that runs ceremonies.
#[derive(Debug)]
pub struct CeremoniesThread {
    handle: JoinHandle<Result<(), CeremoniesError>>,
    ended: oneshot::Receiver<Never>,
}

/// Nothing is ever said; the end of the thread is what is waited for.
#[derive(Debug)]
enum Never {}

impl CeremoniesThread {
    /// Completes when the thread has ended.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`CeremoniesError`] for which it ended.
    pub fn join(self) -> Result<(), CeremoniesError> {
        let panicked = |_| CeremoniesError::System(std::io::Error::other("it panicked; see the lines above"));
        self.handle.join().map_err(panicked)?
    }

    /// Why it has ended although nobody told it to.
    pub fn reason(self) -> CeremoniesError {
        match self.join() {
            Err(error) => error,
            Ok(()) => CeremoniesError::System(std::io::Error::other("it ended without a reason")),
        }
    }
}

type Loop = Driver<SharedFactLog, World>;

/// A loop, and the log that it appends to.
struct Booted {
    driver: Loop,
    log: SharedFactLog,
}

/// Opens the journal and replays it; the ledger gets the notes that it has not taken over yet.
fn boot(parts: &Parts) -> Result<Booted, CeremoniesError> {
    let begun = Instant::now();
    let history = parts.in_force.get().history.clone();
    let mut log = FactLog::open(parts.file.clone(), &history)?;
    parts.ledger.take_notes(log.notes_after(parts.ledger.notes_taken())?);
    let log = SharedFactLog::new(log);
    let driver = Driver::boot(history, parts.tuning.clone(), log.clone(), World::new())?;
    let (wallets, ceremonies) = (driver.heads().len(), driver.ceremonies().len());
    let took_ms = begun.elapsed().as_millis() as u64;
    tracing::info!(wallets, ceremonies, took_ms, "ceremonies were read from the journal");
    parts.view.replace_heads(driver.heads().clone());
    // Whoever answers signing requests ends after this thread.
    let _ = parts.news.send(HeadNews::All(Box::new(driver.heads().clone())));
    for digest in driver.ceremonies() {
        if let Some(status) = driver.status(&digest) {
            parts.view.show(status, driver.ceremony(&digest).map(|open| &open.submitted));
        }
    }
    parts.view.set_decrees(Decrees::of(&driver));
    parts.view.set_thefts(driver.thefts());
    parts.view.set_running(Running::Yes);
    Ok(Booted { driver, log })
}

/// Runs until it is told to stop, over as many boots as the disk demands.
fn run(parts: &Parts, mut booted: Booted, orders: &Receiver<Order>) -> Result<(), CeremoniesError> {
    loop {
        let error = match settling::settle_until_stopped(parts, &mut booted, orders) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_final() => return Err(error.into()),
            Err(error) => error,
        };
        drop(booted);
        tracing::error!("ceremonies stand still: {error}");
        parts.view.set_running(Running::No(error.to_string()));
        booted = match boot_again(parts, orders, &error.to_string())? {
            Some(booted) => booted,
            None => return Ok(()),
        };
        tracing::info!("ceremonies go on");
    }
}

/// Waits until the journal can be written. None when it is told to stop.
fn boot_again(parts: &Parts, orders: &Receiver<Order>, why: &str) -> Result<Option<Booted>, CeremoniesError> {
    loop {
        let until = Instant::now() + TRY_AGAIN_AFTER;
        loop {
            match orders.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Ok(order) => order.refuse(&Refusal::StandingStill(why.to_owned())),
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        // The version at which the journal gave out may be on disk, and not in force yet.
        let trusted = parts.directory.trusted()?;
        parts.tls.expect(SignersByPin::new(&trusted.pins())?);
        parts.in_force.set(trusted);
        let writable = FactLog::open(parts.file.clone(), &parts.in_force.get().history)
            .and_then(|mut log| Ok(log.check_writable()?));
        match writable.map_err(CeremoniesError::from).and_then(|()| boot(parts)) {
            Ok(booted) => return Ok(Some(booted)),
            Err(error) if error.may_pass() => tracing::debug!("still not: {error}"),
            Err(error) => return Err(error),
        }
    }
}

impl CeremoniesError {
    /// Whether it may be over in a moment.
    fn may_pass(&self) -> bool {
        let store = match self {
            Self::Open(OpenError::Store(error))
            | Self::Boot(BootError::Journal(error))
            | Self::Store(error) => error,
            Self::Open(OpenError::System(_)) => return true,
            _ => return false,
        };
        matches!(store, StoreError::Unwritable { .. })
    }
}

impl Order {
    fn refuse(self, refusal: &Refusal) {
        // Whoever asked may have gone meanwhile.
        match self {
            Self::Submit(_, answer)
            | Self::Mandate(_, answer)
            | Self::Obey(_, answer)
            | Self::ReportTheft(_, answer) => {
                drop(answer.send(Err(refusal.clone())));
            }
            Self::Approve(_, _, answer) => drop(answer.send(Err(refusal.clone()))),
            Self::Govern(_, answer) => drop(answer.send(Err(refusal.clone()))),
            Self::Heard(..) | Self::Stop => {}
        }
    }
}
