//! A coordinator's mailbox and signers' clients in one process, over real sockets.

use perennial_coordinator::mailbox::{
    self as server, Incoming, Limits, LoopbackListener, Mailbox, ServerTls,
};
use perennial_daemon::identity::{Identity, Pin};
use perennial_signer::mailbox::{Client, Lane, Received, State, Trouble};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

/// Longer than anything here takes, and the time after which a test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The directories of all identities of a test.
pub struct Places(TempDir);

impl Places {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn signer(&self, name: &str) -> Identity {
        Identity::load_or_create(&self.directory(name)).expect("an identity")
    }

    pub fn coordinator(&self) -> Identity {
        Identity::load_or_create(&self.directory("coordinator")).expect("an identity")
    }

    /// The coordinator's pin as a signer reads it from its configuration.
    pub fn coordinator_pin(&self) -> Pin {
        self.coordinator().pin().to_string().parse().expect("a pin")
    }
}

/// A running mailbox.
pub struct Coordinator {
    pub address: SocketAddr,
    pub mailbox: Mailbox,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Port 0: any free port.
pub fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

impl Coordinator {
    /// Starts a mailbox for these signers whose incoming mail goes to the returned channel.
    pub fn start(
        places: &Places,
        signers: &[&str],
        address: SocketAddr,
        incarnation: u8,
    ) -> (Self, mpsc::Receiver<Incoming>) {
        let (sender, receiver) = mpsc::channel(server::ITEMS_MAX);
        let mailbox = Mailbox::new([incarnation; 16], Limits::default());
        (Self::start_with(places, signers, address, mailbox, sender, async {}), receiver)
    }

    /// Starts a mailbox, and a task beside it on the same runtime.
    pub fn start_with(
        places: &Places,
        signers: &[&str],
        address: SocketAddr,
        mailbox: Mailbox,
        incoming: mpsc::Sender<Incoming>,
        beside: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let pins: BTreeMap<String, Pin> = signers
            .iter()
            .map(|name| (name.to_string(), places.signer(name).pin().to_string().parse().expect("a pin")))
            .collect();
        let tls = ServerTls::new(&places.coordinator(), &pins).expect("distinct pins");
        let listener = LoopbackListener::bind(address).expect("a free port");
        let address = listener.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let handle = mailbox.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::spawn(beside);
                let shutdown = async {
                    let _ = stopped.await;
                };
                server::serve(listener, tls, handle, incoming, shutdown).await.expect("served");
            });
        });
        Self { address, mailbox, stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it; panics if it did not run to its end.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the mailbox server panicked");
        }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.end();
    }
}

/// A signer's client and what arrives at it.
pub struct Signer {
    pub client: Client,
    pub signing: Receiver<Received>,
    pub ceremony: Receiver<Received>,
}

impl Signer {
    pub fn connect(places: &Places, name: &str, address: SocketAddr) -> Self {
        Self::connect_with(&places.signer(name), address, places.coordinator_pin())
    }

    pub fn connect_with(identity: &Identity, address: SocketAddr, coordinator: Pin) -> Self {
        let (signing_sender, signing) = sync_channel(64);
        let (ceremony_sender, ceremony) = sync_channel(64);
        let client = Client::connect(address, identity, coordinator, signing_sender, ceremony_sender);
        Self { client: client.expect("threads"), signing, ceremony }
    }

    pub fn receive(&self, lane: Lane) -> Vec<u8> {
        let channel = match lane {
            Lane::Signing => &self.signing,
            Lane::Ceremony => &self.ceremony,
        };
        let received = channel.recv_timeout(PATIENCE).expect("mail in time");
        assert_eq!(received.lane, lane);
        received.body
    }

    pub fn send(&self, lane: Lane, item: &[u8]) {
        assert_eq!(self.client.send(lane, vec![item.to_vec()]).expect("queued").dropped, 0);
    }

    /// Waits until the lane's state is one for which `wanted` holds.
    pub fn wait_for(&self, lane: Lane, wanted: impl FnMut(&State) -> bool) -> State {
        let mut states = self.client.state(lane);
        block_on(async { states.wait_for(wanted).await.expect("the lane lives").clone() })
    }

    /// Waits until the lane is down and returns the reason.
    pub fn wait_until_down(&self, lane: Lane) -> (Trouble, String) {
        match self.wait_for(lane, |state| matches!(state, State::Down { .. })) {
            State::Down { trouble, reason } => (trouble, reason),
            other => panic!("{other:?} is not down"),
        }
    }
}

/// Runs a future to its end on this thread, within [`PATIENCE`].
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("done in time") })
}

/// The next item that a signer sent.
pub fn take(incoming: &mut mpsc::Receiver<Incoming>) -> Incoming {
    block_on(incoming.recv()).expect("the server runs")
}
