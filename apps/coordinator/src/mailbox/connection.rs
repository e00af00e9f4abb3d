//! From a fresh TCP connection to answered requests: who is there, in which lane, and then HTTP/2 until one side
//! ends it. A connection that fails is closed with its reason in the log, and harms no other.

use super::Lane;
use super::routes::Desk;
use super::tls::ServerTls;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::{Accepted, Acceptor};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

/// Connections whose owner is not known yet.
pub(super) const HANDSHAKES_MAX: usize = 64;
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// A client has one poll and one post under way in each lane; this is the double.
const STREAMS_PER_CONNECTION_MAX: u32 = 4;
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// One frame for a usual item, and still short enough to read without a pause.
const FRAME_BYTES_MAX: u32 = 64 << 10;
const HEADER_BYTES_MAX: u32 = 4 << 10;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a connection may take to end when the server stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// The same refusal is logged once in this time.
const REFUSAL_REPEATED_AFTER: Duration = Duration::from_secs(60);

/// Lets connections in. Clones share their limits.
#[derive(Clone)]
pub(super) struct Door {
    tls: ServerTls,
    desk: Desk,
    handshakes: Arc<Semaphore>,
    last_refusal: Arc<Mutex<Option<(String, Instant)>>>,
}

/// A connection whose first TLS message was read and names its lane. It can go to another thread.
pub(super) struct Arrival {
    hello: Accepted,
    stream: std::net::TcpStream,
    deadline: tokio::time::Instant,
    handshake: OwnedSemaphorePermit,
}

impl Door {
    pub fn new(tls: ServerTls, desk: Desk) -> Self {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        Self { tls, desk, handshakes, last_refusal: Arc::default() }
    }

    /// Reads the beginning of a connection. Signing connections are served here, all others go to `elsewhere`.
    ///
    /// The lane is the server name that the client asks for (RFC 6066, section 3). It says nothing about who the
    /// client is; it only decides which thread works for it, so a false one harms nobody but its sender.
    pub async fn greet(self, stream: TcpStream, elsewhere: mpsc::Sender<Arrival>) {
        let Ok(handshake) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            return self.refuse(format!("more than {HANDSHAKES_MAX} unknown connections at once"));
        };
        let deadline = tokio::time::Instant::now() + HANDSHAKE_PATIENCE;
        let hello = async {
            stream.set_nodelay(true)?;
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let lane = hello.client_hello().server_name().map(str::to_owned);
            let stream = hello.io.into_std()?;
            Ok((lane, Arrival { hello: hello.accepted, stream, deadline, handshake }))
        };
        let Some((lane, arrival)) = self.in_time(deadline, hello).await else {
            return;
        };
        if lane.is_some_and(|lane| lane == Lane::Signing.name()) {
            self.welcome(arrival).await;
        } else if elsewhere.try_send(arrival).is_err() {
            self.refuse("the ceremony lane has too many new connections at once".into());
        }
    }

    /// Finishes the handshake and serves the connection to its end.
    pub async fn welcome(self, arrival: Arrival) {
        let Arrival { hello, stream, deadline, handshake } = arrival;
        let identified = async {
            let stream = TcpStream::from_std(stream)?;
            let stream = StartHandshake::from_parts(hello, stream).into_stream(self.tls.config()).await?;
            let peer = self.tls.peer(stream.get_ref().1).map_err(io::Error::other)?;
            Ok((stream, peer))
        };
        let Some((stream, peer)) = self.in_time(deadline, identified).await else {
            return;
        };
        drop(handshake);
        let Some(_connected) = self.desk.mailbox.mail_of(&peer).connected() else {
            return self.refuse(format!("signer `{peer}` has too many connections already"));
        };
        tracing::debug!(signer = &*peer, "connected");
        self.speak(stream, &peer).await;
        tracing::debug!(signer = &*peer, "connection ended");
    }

    /// The outcome of a step of the handshake; `None` when it was refused or the server shuts down.
    async fn in_time<T>(
        &self,
        deadline: tokio::time::Instant,
        step: impl Future<Output = io::Result<T>>,
    ) -> Option<T> {
        let outcome = tokio::select! {
            outcome = tokio::time::timeout_at(deadline, step) => outcome,
            () = self.desk.closed() => return None,
        };
        match outcome {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => self.refuse(self.tls.explain(&error)),
            Err(_) => self.refuse("no TLS handshake came in time".into()),
        }
        None
    }

    async fn speak(&self, stream: TlsStream<TcpStream>, peer: &Arc<str>) {
        let desk = self.desk.clone();
        let name = Arc::clone(peer);
        let service = service_fn(move |request| {
            let (desk, name) = (desk.clone(), Arc::clone(&name));
            async move { Ok::<_, Infallible>(desk.answer(&name, request).await) }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.desk.closed() => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(signer = &**peer, "connection broke: {error}");
        }
    }

    fn refuse(&self, reason: String) {
        let mut last = super::locked(&self.last_refusal);
        let is_repeated =
            last.as_ref().is_some_and(|(text, at)| *text == reason && at.elapsed() < REFUSAL_REPEATED_AFTER);
        if is_repeated {
            tracing::debug!("connection refused again: {reason}");
        } else {
            tracing::warn!("connection refused: {reason}");
            *last = Some((reason, Instant::now()));
        }
    }
}
