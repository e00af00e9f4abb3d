//! A coordinator without a database: the shipped mailbox and driver, a journal in memory, and signers as processes
//! in directories that the program itself has made.

use crate::cluster::{Coordinator, PATIENCE, Places, any_port};
use crate::governance::{Dana, identity, name};
use perennial_coordinator::mailbox::{Incoming, Lane, Mailbox};
use perennial_model::approval::ApprovedPlan;
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::history::History;
use perennial_model::governance::{Governance, SignerIdentity};
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::Plan;
use perennial_model::session::SessionReport;
use perennial_workflow::ceremony::status::{Phase, Stage};
use perennial_workflow::driver::relay;
use perennial_workflow::journal::{Batch, Journal, Loaded};
use perennial_workflow::{Driver, Tuning, World};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_signer_under_test");

/// How often the driver looks at everything.
const TICK: Duration = Duration::from_millis(100);

/// A whole deployment.
pub struct Office {
    pub places: Places,
    pub governance: Arc<Governance>,
    history: Arc<History>,
    pub dana: Dana,
    pub driver: Driver<Memory, Street>,
    pub signers: BTreeMap<SignerId, Child>,
    /// What arrived that is neither the driver's nor for another signer.
    pub reports: Vec<(SignerId, SessionReport)>,
    pub declined: Vec<(SignerId, Reply)>,
    /// How long each log was when the signer was started last.
    log_lengths: BTreeMap<SignerId, usize>,
    coordinator: Coordinator,
    incoming: mpsc::Receiver<Incoming>,
    runtime: Runtime,
    next_tick: Instant,
}

/// Nothing is ever loaded from it: the office does not restart.
#[derive(Debug, Default)]
pub struct Memory;

impl Journal for Memory {
    type Error = Infallible;
    fn append(&mut self, _: &Batch) -> Result<(), Infallible> {
        Ok(())
    }
    fn load(&mut self) -> Result<Vec<Loaded>, Infallible> {
        Ok(Vec::new())
    }
}

/// The way to the signers.
pub struct Street {
    mailbox: Mailbox,
    rng: ChaCha20Rng,
    /// What somebody on the way makes of a request; nobody touches what it gives nothing for.
    pub meddler: Option<Meddler>,
}

/// Gives what reaches a signer in place of a request.
pub type Meddler = Box<dyn FnMut(&Request) -> Option<Vec<Request>>>;

impl Street {
    fn carry(&mut self, signer: &SignerId, lane: Lane, request: &Request) {
        let changed = self.meddler.as_mut().and_then(|meddler| meddler(request));
        for item in changed.as_deref().unwrap_or(std::slice::from_ref(request)) {
            self.mailbox.post(signer.as_str(), lane, encoding::encode(item)).expect("small enough");
        }
    }
}

impl World for Street {
    fn now_ms(&self) -> u64 {
        now_ms()
    }
    fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut self.rng
    }
    fn ask(&mut self, signers: &[SignerId], request: &Request) {
        signers.iter().for_each(|signer| self.carry(signer, Lane::Ceremony, request));
    }
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

impl Office {
    /// Signers of these names, made but not started.
    pub fn new(names: &[&str]) -> Self {
        Self::waiting(names, 30_000)
    }

    /// The same, with a coordinator that waits so long for an opening that it could do without.
    pub fn waiting(names: &[&str], opening_patience_ms: u64) -> Self {
        let places = Places::new();
        let dana = Dana::new([5; 32]);
        let known = names.iter().map(|name| init(&places.directory(name), name)).collect();
        let history = Arc::new(dana.governance(known));
        let (coordinator, incoming) = Coordinator::start(&places, names, any_port(), 1);
        for name in names {
            let directory = places.directory(name);
            let pin = places.coordinator_pin();
            let settings =
                format!("coordinator = \"{}\"\ncoordinator_pin = \"{pin}\"\n", coordinator.address);
            std::fs::write(directory.join("signer.toml"), settings).expect("written");
            let document = encoding::encode(history.versions());
            std::fs::write(directory.join("governance.cbor"), document).expect("written");
        }
        let rng = ChaCha20Rng::from_seed([7; 32]);
        let street = Street { mailbox: coordinator.mailbox.clone(), rng, meddler: None };
        let tuning = Tuning {
            ask_again_ms: 100,
            ask_again_max_ms: 400,
            session_ms: 1_000,
            opening_patience_ms,
            ..Tuning::default()
        };
        let driver = Driver::boot(history.clone(), tuning, Memory, street).expect("an empty journal");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            places,
            governance: Arc::new(history.newest().clone()),
            history,
            dana,
            driver,
            signers: BTreeMap::new(),
            reports: Vec::new(),
            declined: Vec::new(),
            log_lengths: BTreeMap::new(),
            coordinator,
            incoming,
            runtime: runtime.expect("a runtime"),
            next_tick: Instant::now(),
        }
    }

    /// The coordinator has lost everything that it knew.
    pub fn begin_anew(&mut self, tuning: Tuning) {
        let street = Street {
            mailbox: self.coordinator.mailbox.clone(),
            rng: ChaCha20Rng::from_seed([8; 32]),
            meddler: None,
        };
        let history = self.history.clone();
        self.driver = Driver::boot(history, tuning, Memory, street).expect("an empty journal");
    }

    /// The same, all started.
    pub fn running(names: &[&str]) -> Self {
        let mut office = Self::new(names);
        names.iter().for_each(|name| office.start(name));
        office
    }

    pub fn log_of(&self, name: &str) -> PathBuf {
        self.places.directory(&format!("{name}.log"))
    }

    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_of(name)).expect("a log")
    }

    /// Whether the present process has said so.
    fn is_ready(&self, signer: &str) -> bool {
        let before = self.log_lengths.get(&name::<SignerId>(signer)).copied().unwrap_or_default();
        self.log(signer)[before..].contains("INFO  ready")
    }

    pub fn start(&mut self, name: &str) {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--dir"]).arg(self.places.directory(name));
        self.start_as(name, command);
    }

    pub fn start_as(&mut self, signer: &str, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.log_of(signer)).expect("a log");
        self.log_lengths.insert(name(signer), self.log(signer).len());
        let child = command.stderr(log).stdout(Stdio::null()).spawn().expect("started");
        if let Some(before) = self.signers.insert(name(signer), child) {
            end(before);
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self, signer: &SignerId) {
        end(self.signers.remove(signer).expect("it runs"));
    }

    /// SIGTERM once the signer is ready, and the exit status.
    pub fn stop(&mut self, signer: &str) -> Option<i32> {
        self.until("the signer is ready", |office| office.is_ready(signer).then_some(()));
        let mut child = self.signers.remove(&name(signer)).expect("it runs");
        let sent = Command::new("kill").arg(child.id().to_string()).status();
        assert!(sent.expect("run").success());
        child.wait().expect("ended").code()
    }

    /// What a stopped signer holds.
    pub fn show(&self, signer: &str) -> serde_json::Value {
        let directory = self.places.directory(signer);
        let output = Command::new(PROGRAM).args(["show", "--json", "--dir"]).arg(directory).output();
        let output = output.expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    pub fn post(&self, signer: &SignerId, lane: Lane, item: Vec<u8>) {
        self.coordinator.mailbox.post(signer.as_str(), lane, item).expect("small enough");
    }

    pub fn approved(&self, plan: &Plan) -> ApprovedPlan {
        ApprovedPlan::by_people(plan.clone(), vec![self.dana.approves(plan)])
    }

    /// Submits and approves a plan.
    pub fn begin(&mut self, plan: &Plan) -> Digest {
        let ceremony = self.driver.submit(plan.clone()).expect("a sound plan");
        self.driver.approve(&ceremony, self.dana.approves(plan)).expect("a good approval");
        ceremony
    }

    /// Carries a plan out, however many signers die on the way, and names its ceremony.
    pub fn complete(&mut self, plan: &Plan) -> Digest {
        let begun = Instant::now();
        let ceremony = self.begin(plan);
        while self.stage(&ceremony) != Stage::Done {
            assert!(begun.elapsed() < 30 * PATIENCE, "no end: {:?}", self.driver.status(&ceremony));
            self.turn();
        }
        ceremony
    }

    pub fn stage(&self, ceremony: &Digest) -> Stage {
        self.driver.status(ceremony).expect("a known ceremony").stage
    }

    /// Goes on until there is something to be seen, and gives it.
    pub fn until<T>(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(seen) = seen(self) {
                return seen;
            }
            let logs = || -> String { self.signers.keys().map(|signer| self.log(signer.as_str())).collect() };
            assert!(begun.elapsed() < PATIENCE, "it does not come to it that {what}: {}", logs());
            self.turn();
        }
    }

    /// Goes on until an attempt at a ceremony has come so far.
    pub fn reach(&mut self, ceremony: &Digest, phase: Phase) {
        self.until(&format!("{ceremony} is {phase}"), |office| {
            let status = office.driver.status(ceremony).expect("a known ceremony");
            status.attempts.iter().any(|attempt| attempt.phase == phase).then_some(())
        });
    }

    /// From here on, these requests reach nobody. They take the place of what was held back before.
    pub fn hold_back(&mut self, mut held_back: impl FnMut(&Request) -> bool + 'static) {
        let meddler: Meddler = Box::new(move |request| held_back(request).then(Vec::new));
        self.driver.world_mut().meddler = Some(meddler);
    }

    /// Nobody meddles any more.
    pub fn let_through(&mut self) {
        self.driver.world_mut().meddler = None;
    }

    /// Takes what has arrived, for at most one tick, and lets the driver act. Says how much it was.
    pub fn turn(&mut self) -> usize {
        let wait = self.next_tick.saturating_duration_since(Instant::now());
        let incoming = &mut self.incoming;
        let first = self
            .runtime
            .block_on(async { tokio::time::timeout(wait, incoming.recv()).await })
            .map(|item| item.expect("the mailbox runs"));
        let mut taken = 0;
        let mut next = first.ok();
        while let Some(item) = next {
            self.take(item);
            taken += 1;
            next = self.incoming.try_recv().ok();
        }
        if Instant::now() >= self.next_tick {
            self.signers.keys().for_each(|signer| self.driver.seen(signer, now_ms()));
            self.driver.tick();
            self.next_tick = Instant::now() + TICK;
        }
        self.driver.settle().expect("memory does not fail");
        taken
    }

    fn take(&mut self, item: Incoming) {
        let from: SignerId = name(&item.from);
        let reply: Reply = encoding::decode(&item.body).expect("signers send replies");
        if let Some((to, request)) = relay(&from, &reply).expect("signers send their own mail") {
            self.driver.world_mut().carry(&to, item.lane, &request);
            return;
        }
        if let Reply::Session(report) = &reply
            && item.lane == Lane::Signing
        {
            self.reports.push((from, report.clone()));
            return;
        }
        if let Reply::Declined { .. } = &reply {
            self.declined.push((from.clone(), reply.clone()));
        }
        self.driver.receive(&from, reply);
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        std::mem::take(&mut self.signers).into_values().for_each(end);
    }
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("dead");
}

/// Makes a signer's directory, and reads what it prints for governance.
fn init(directory: &std::path::Path, signer: &str) -> SignerIdentity {
    let output =
        Command::new(PROGRAM).args(["init", "--name", signer, "--dir"]).arg(directory).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    identity(&serde_json::from_slice(&output.stdout).expect("one line of JSON"))
}
