//! Puts the daemon together and runs it until it is told to stop.
//!
//! | thread | what it does | priority |
//! |---|---|---|
//! | this one | the signing lane, the API's connections, signing requests, the ledger's writer | usual |
//! | `mail-ceremony` | the connections of the ceremony lane | lowest |
//! | `ceremony-post` | reads the mail of the ceremony lane | lowest |
//! | `ceremonies` | the loop that runs ceremonies, with its journal | lowest |
//! | `elsewhere` | the API but for signing, and the moving of write-ahead logs | low |
//!
//! Nothing on the way of a signature waits for a thread of low priority or for a lock that one holds.

use crate::access::Access;
use crate::access::file::FileError;
use crate::api::door::Door;
use crate::api::tls::{TlsError, server_config};
use crate::api::{self, Desk};
use crate::ceremonies::{Ceremonies, CeremoniesError, CeremoniesThread, Parts};
use crate::config::Config;
use crate::directory::{Directory, DirectoryError};
use crate::evidence::Evidence;
use crate::gateway::Gateway;
use crate::ledger::witnesses::Witnesses;
use crate::ledger::{Ledger, LedgerReader};
use crate::mailbox::{
    ITEMS_MAX, Limits, ListenError, LoopbackListener, Mailbox, ServeError, ServerTls, SharedPin, serve,
};
use crate::plan_reader::PlanReader;
use crate::post::{self, Outbox, TakeReplies};
use crate::store::{StoreError, StoreFile};
use crate::trusted::{InForce, Trusted};
use crate::view::View;
use crate::world::now_ms;
use perennial_daemon::identity::Pin;
use perennial_daemon::priority::{lower_this_thread, run_as_soon_as_woken};
use perennial_model::committee::SignerId;
use perennial_model::mail::Reply;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The most items of mail, of both lanes, that wait to be taken apart.
const INCOMING_MAX: usize = 16 * ITEMS_MAX;
/// How long connections may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why the daemon did not start, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something in the directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Two signers of the governance document have one pin.
    #[error("governance.cbor: {0}")]
    SharedPin(#[from] SharedPin),
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The mailbox.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of clients.
    #[error(transparent)]
    Clients(#[from] FileError),
    /// The API's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Ceremonies.
    #[error(transparent)]
    Ceremonies(#[from] CeremoniesError),
    /// The operating system refused.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Runs until a signal (SIGINT, SIGTERM) ends it.
///
/// # Errors
/// [`RunError`].
pub fn run(directory: &Directory, config: &Config) -> Result<(), RunError> {
    let _lock = directory.lock()?;
    run_as_soon_as_woken();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_here(directory, config))
}

async fn run_here(directory: &Directory, config: &Config) -> Result<(), RunError> {
    let started_ms = now_ms();
    let trusted = directory.trusted()?;
    let identity = directory.identity()?;
    let pin = identity.pin();
    let ledger_key = Arc::new(directory.ledger_key()?);
    let tls = ServerTls::new(&identity, &trusted.pins())?;
    let mail_listener = LoopbackListener::bind(config.mail_address)?;
    let (access, api_tls, api_listener) = open_api(directory, config, started_ms)?;
    let (api_address, mail_address) = (api_listener.local_addr()?, mail_listener.address());
    tell_trusted(&trusted, &pin);
    let elsewhere = start_elsewhere()?;
    let ledger_file = StoreFile::new(directory.ledger_file());
    let ceremonies_file = StoreFile::new(directory.ceremonies_file());
    let (ledger, ledger_writer) = Ledger::open(ledger_file.clone()).await?;
    let ledger_writer = tokio::spawn(ledger_writer);
    let mailbox = Mailbox::new(incarnation()?, Limits::default());
    let in_force = InForce::new(trusted);
    let outbox = Outbox::new(Arc::new(mailbox.clone()), in_force.clone());
    let view = Arc::new(View::new(started_ms));
    let (news, heard_news) = mpsc::unbounded_channel();
    let (ceremonies, ceremonies_thread) = Ceremonies::start(Parts {
        file: ceremonies_file.clone(),
        in_force: in_force.clone(),
        directory: directory.clone(),
        tls: tls.clone(),
        tuning: config.tuning(),
        outbox: outbox.clone(),
        view: Arc::clone(&view),
        news,
        ledger: ledger.clone(),
    })?;
    let reader = || LedgerReader::new(ledger_file.clone());
    let (key, mail) = (Arc::clone(&ledger_key), outbox.clone());
    let (witnesses, offering) =
        Witnesses::open(ledger.clone(), reader(), key, mail, in_force.clone()).await?;
    elsewhere.spawn(offering);
    let gateway = Gateway::new(config.signing.clone(), outbox.clone(), ledger.clone(), reader());
    tokio::spawn(gateway.clone().follow(heard_news));
    elsewhere.spawn(ledger_file.clone().keep_log_short());
    elsewhere.spawn(ceremonies_file.clone().keep_log_short());
    let (stop, stopping) = watch::channel(Stop::No);
    let (incoming, waiting) = mpsc::channel(INCOMING_MAX);
    let mail = tokio::spawn(serve(mail_listener, tls, mailbox, incoming, stopped(stopping.clone())));
    let replies = Replies { ceremonies: ceremonies.clone(), witnesses: witnesses.clone() };
    tokio::spawn(post::start(outbox.clone(), waiting, replies, gateway.clone())?);
    let desk = Desk {
        evidence: keep_evidence(directory, &ledger, &elsewhere).await?,
        view,
        ceremonies: ceremonies.clone(),
        gateway,
        ledger,
        entries: Arc::new(reader()),
        plans: Arc::new(PlanReader::new(ceremonies_file)),
        tenants: Arc::default(),
        access,
        figures: Arc::default(),
        witnesses,
        ledger_key,
        in_force,
        pin,
        outbox,
        started_ms,
    };
    let router = api::router(desk, elsewhere, config.access.metrics);
    let api = tokio::spawn(Door::new(router, api_tls, &config.access).serve(api_listener, stopping));
    directory.write_listening(api_address, mail_address)?;
    tell_ready(config, api_address, mail_address, started_ms);
    until_stopped(Running { stop, mail, api, ledger_writer, ceremonies, ceremonies_thread }).await
}

/// Opens the index of the ledger, and has it follow.
async fn keep_evidence(
    directory: &Directory,
    ledger: &Ledger,
    elsewhere: &Handle,
) -> Result<Arc<Evidence>, StoreError> {
    let [index, ledger_file, ceremonies] =
        [directory.index_file(), directory.ledger_file(), directory.ceremonies_file()].map(StoreFile::new);
    let evidence = Arc::new(Evidence::open(index.clone(), ledger_file, ceremonies).await?);
    elsewhere.spawn(index.keep_log_short());
    let (follower, ledger) = (Arc::clone(&evidence), ledger.clone());
    elsewhere.spawn(async move { follower.index().follow(&ledger).await });
    Ok(evidence)
}

fn tell_trusted(trusted: &Trusted, pin: &Pin) {
    let (version, signers) = (trusted.governance().version, trusted.governance().signers.len());
    tracing::info!(governance = %trusted.digest(), version, signers, %pin, "this is trusted, and the pin is ours");
}

fn tell_ready(config: &Config, api: SocketAddr, mail: SocketAddr, started_ms: u64) {
    let took_ms = now_ms().saturating_sub(started_ms);
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    tracing::info!("ready after {took_ms} ms: API at {scheme}://{api}, mail at {mail}");
}

/// Hands replies to those whom they concern.
struct Replies {
    ceremonies: Ceremonies,
    witnesses: Witnesses,
}

impl TakeReplies for Replies {
    fn take_reply(&self, from: SignerId, reply: Reply) {
        match reply {
            Reply::Checkpoint(answer) => self.witnesses.take(from, answer),
            reply => self.ceremonies.take_reply(from, reply),
        }
    }
}

/// Whether everything is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Yes,
    No,
}

/// What has to end before the process does.
struct Running {
    stop: watch::Sender<Stop>,
    mail: JoinHandle<Result<(), ServeError>>,
    api: JoinHandle<()>,
    ledger_writer: JoinHandle<Result<(), StoreError>>,
    ceremonies: Ceremonies,
    ceremonies_thread: CeremoniesThread,
}

/// Waits for a signal, or for something without which nothing is worth going on; then ends everything.
async fn until_stopped(running: Running) -> Result<(), RunError> {
    let Running { stop, mut mail, mut api, mut ledger_writer, ceremonies, mut ceremonies_thread } = running;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("interrupted"),
        _ = terminate.recv() => tracing::info!("told to end"),
        ended = &mut mail => return Err(early(ended)),
        ended = &mut api => return Err(early(ended.map(Ok::<_, RunError>))),
        ended = &mut ledger_writer => return Err(early(ended)),
        () = ceremonies_thread.ended() => return Err(ceremonies_thread.reason().into()),
    }
    stop.send_replace(Stop::Yes);
    // The loop has a commit at most to finish; it may be as slow as the disk.
    tokio::task::spawn_blocking(move || {
        ceremonies.stop();
        ceremonies_thread.join()
    })
    .await
    .map_err(std::io::Error::other)??;
    let farewell = async { tokio::join!(mail, api) };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    tracing::info!("ended");
    Ok(())
}

/// The reason of something that should have gone on for ever.
fn early<E: Into<RunError>>(ended: Result<Result<(), E>, tokio::task::JoinError>) -> RunError {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) => std::io::Error::other("a part of the daemon ended without a reason").into(),
        Err(error) => std::io::Error::other(error).into(),
    }
}

async fn stopped(mut stopping: watch::Receiver<Stop>) {
    // A sender that is gone means the same as one that says so.
    let _ = stopping.wait_for(|stop| *stop == Stop::Yes).await;
}

/// What the API listens with. Whether others may reach the address is decided by [`Config::check`].
fn open_api(
    directory: &Directory,
    config: &Config,
    now_ms: u64,
) -> Result<(Access, Option<ServerConfig>, TcpListener), RunError> {
    let access = Access::open(directory.clients_file(), &config.access, now_ms)?;
    let tls = config.tls.as_ref().map(|tls| server_config(tls, directory.path())).transpose()?;
    Ok((access, tls, listen(config.api_address)?))
}

fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let system = |source| ListenError::System { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(system)?;
    listener.set_nonblocking(true).map_err(system)?;
    TcpListener::from_std(listener).map_err(system)
}

/// A thread for everything that can wait, and the way to give it something to do. It ends with the process.
fn start_elsewhere() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("elsewhere".into()).spawn(move || {
        lower_this_thread();
        runtime.block_on(std::future::pending::<()>());
    })?;
    Ok(handle)
}

/// Signers begin their numbers anew when they see another one.
fn incarnation() -> std::io::Result<[u8; 16]> {
    let mut incarnation = [0; 16];
    getrandom::fill(&mut incarnation).map_err(std::io::Error::other)?;
    Ok(incarnation)
}
