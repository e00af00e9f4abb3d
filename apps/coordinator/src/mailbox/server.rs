//! The listening side. It listens on loopback addresses only, and goes on until it is told to stop, whatever
//! becomes of a connection.

use super::connection::{Arrival, Door, HANDSHAKES_MAX};
use super::routes::Desk;
use super::tls::ServerTls;
use super::{ITEMS_MAX, Incoming, Mailbox};
use perennial_daemon::priority::lower_this_thread;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// After a failed accept (usually: no more file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the mailbox cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address can be reached from other machines.
    #[error(
        "refusing to listen on {0}: the coordinator listens on loopback addresses only (127.0.0.1 or ::1); for \
         signers on other machines, put a forwarder that you trust in front of it"
    )]
    NotLoopback(SocketAddr),
    /// The operating system refused.
    #[error("cannot listen on {address}: {source}")]
    System {
        /// Where.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
}

/// A listening socket that only this machine can reach.
#[derive(Debug)]
pub struct LoopbackListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl LoopbackListener {
    /// Listens on this address; port 0 takes any free port.
    ///
    /// # Errors
    /// [`ListenError`] for an address that is not a loopback address, and whatever the system refuses.
    pub fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        if !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback(address));
        }
        let system = |source| ListenError::System { address, source };
        let listener = TcpListener::bind(address).map_err(system)?;
        listener.set_nonblocking(true).map_err(system)?;
        let address = listener.local_addr().map_err(system)?;
        Ok(Self { listener, address })
    }

    /// Where it listens, with the true port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Why the mailbox cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A full parcel would never fit into the channel.
    #[error("the channel for incoming mail holds {0} items; it must hold at least {ITEMS_MAX}")]
    ChannelTooSmall(usize),
    /// The operating system refused.
    #[error("cannot wait for connections: {0}")]
    System(#[from] io::Error),
}

/// Serves the mailbox until `shutdown` completes; then answers waiting polls and ends its connections.
///
/// Signing connections are served by the runtime that runs this, all others by a thread of their own at low
/// priority. For the least latency give it a runtime of its own, and take `incoming` in a task of the same
/// runtime: what that task posts then reaches the waiting poll without another thread being woken.
///
/// # Errors
/// [`ServeError`], only before the first connection.
pub async fn serve(
    listener: LoopbackListener,
    tls: ServerTls,
    mailbox: Mailbox,
    incoming: mpsc::Sender<Incoming>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    if incoming.max_capacity() < ITEMS_MAX {
        return Err(ServeError::ChannelTooSmall(incoming.max_capacity()));
    }
    let listener = tokio::net::TcpListener::from_std(listener.listener)?;
    let (close, closing) = watch::channel(false);
    let door = Door::new(tls, Desk { mailbox, incoming, closing });
    let (elsewhere, ceremony_ended) = start_ceremony_thread(door.clone())?;
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(door.clone().greet(stream, elsewhere.clone()));
                }
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    close.send_replace(true);
    while connections.join_next().await.is_some() {}
    drop(elsewhere);
    // The thread drops its end without a word.
    let _ = ceremony_ended.await;
    Ok(())
}

/// Starts the thread for the connections of the ceremony lane. It ends when nothing can arrive any more and its
/// connections have ended; then the returned receiver completes.
fn start_ceremony_thread(door: Door) -> io::Result<(mpsc::Sender<Arrival>, oneshot::Receiver<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (elsewhere, mut arriving) = mpsc::channel(HANDSHAKES_MAX);
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name("mail-ceremony".into()).spawn(move || {
        let _end = end;
        lower_this_thread();
        runtime.block_on(async {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    arrival = arriving.recv() => match arrival {
                        Some(arrival) => {
                            connections.spawn(door.clone().welcome(arrival));
                        }
                        None => break,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
            while connections.join_next().await.is_some() {}
        });
    })?;
    Ok((elsewhere, ended))
}
