//! From a TCP connection to the API's routes, with TLS or without: who is at the other end goes with each request.
//!
//! It decides nothing about who may do what. It refuses more connections than are allowed at a time, and gives up those
//! that do not say in time what they want; a connection that fails harms no other.

use super::greeting::Greeted;
use super::tls::pin_of;
use super::unread;
use crate::config;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use perennial_daemon::identity::Pin;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// After a failed accept (usually: no more file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a TLS handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may be without the head of a request, the first one among them. Clients keep theirs for less.
const IDLE_PATIENCE: Duration = Duration::from_secs(90);
/// The most requests at a time on one connection (HTTP/2).
const STREAMS_MAX: u32 = 64;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// From where.
    pub address: SocketAddr,
    /// The pin of the certificate whose key it has proved to hold.
    pub pin: Option<Pin>,
}

/// Lets connections in.
#[derive(Clone)]
pub struct Door {
    router: Router,
    tls: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
    /// See [`IDLE_PATIENCE`].
    patience: Duration,
}

impl Door {
    /// A door to these routes.
    pub fn new(router: Router, tls: Option<ServerConfig>, limits: &config::Access) -> Self {
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let room = Arc::new(Semaphore::new(limits.connections));
        Self { router, tls, room, patience: IDLE_PATIENCE }
    }

    /// Serves until `closing` changes, and then until every request that has begun is answered.
    pub async fn serve<C>(self, listener: TcpListener, closing: watch::Receiver<C>)
    where
        C: Send + Sync + 'static,
    {
        let mut connections = JoinSet::new();
        let mut closed = closing.clone();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                // A sender that is gone means the same as one that says so.
                _ = closed.changed() => break,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, address)) => {
                    connections.spawn(self.clone().welcome(stream, address, closing.clone()));
                }
                Err(error) => {
                    tracing::debug!("a connection of the API could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }

    async fn welcome<C>(self, stream: TcpStream, address: SocketAddr, closing: watch::Receiver<C>) {
        let Ok(_room) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::debug!(%address, "the API has too many connections");
            return;
        };
        // Without it a small answer may wait 40 ms for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("a connection of the API goes without TCP_NODELAY: {error}");
        }
        let Some(tls) = &self.tls else {
            return self.speak(stream, Peer { address, pin: None }, closing).await;
        };
        match tokio::time::timeout(HANDSHAKE_PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let pin = pin_of(stream.get_ref().1);
                self.speak(stream, Peer { address, pin }, closing).await;
            }
            Ok(Err(error)) => tracing::debug!(%address, "a TLS handshake at the API failed: {error}"),
            Err(_) => tracing::debug!(%address, "no TLS handshake came to the API in time"),
        }
    }

    async fn speak<S, C>(&self, stream: S, peer: Peer, mut closing: watch::Receiver<C>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let routes = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let routes = routes.clone();
            unread::answer(request, async move |request| routes.call(request).await)
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.patience);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .keep_alive_interval(self.patience)
            .keep_alive_timeout(self.patience);
        let stream = Greeted::within(self.patience, stream);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(address = %peer.address, "a connection of the API broke: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// So long that who is not given up by then is not given up.
    const LONG_ENOUGH: Duration = Duration::from_secs(10);

    fn door() -> Door {
        let hello = Router::new().route("/", axum::routing::get(async || "hello"));
        let door = Door::new(hello, None, &config::Access::default());
        Door { patience: Duration::from_millis(100), ..door }
    }

    /// A connection to it, kept for as long as what is with it.
    fn connected() -> (DuplexStream, watch::Sender<()>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let (open, closing) = watch::channel(());
        let peer = Peer { address: ([127, 0, 0, 1], 1).into(), pin: None };
        tokio::spawn(async move { door().speak(far, peer, closing).await });
        (near, open)
    }

    /// What a connection gets that says this and then nothing, if it is ended in time.
    async fn answered(said: &[u8]) -> Option<Vec<u8>> {
        let (mut near, _open) = connected();
        near.write_all(said).await.expect("room");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(LONG_ENOUGH, near.read_to_end(&mut answer)).await;
        ended.ok().map(|read| read.map_or(Vec::new(), |_| answer))
    }

    #[tokio::test]
    async fn who_does_not_say_what_they_want_keeps_no_connection() {
        for said in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", "PUT", "GET / HTTP/1.1\r\nhost: here\r\n"] {
            let answer = answered(said.as_bytes()).await;
            let answer = answer.unwrap_or_else(|| panic!("{said:?} has its connection still"));
            assert!(!answer.starts_with(b"HTTP/1.1 200"), "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_request_is_answered_however_its_first_bytes_are_like_those_of_another_version() {
        let answer = answered(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.expect("ended when it was idle");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        let settings = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
        let answer = answered(&settings).await.expect("ended when it was idle");
        assert_eq!(answer.get(3), Some(&4), "its own settings come first: {answer:?}");
    }

    /// What is answered to a request whose body nobody reads, and to what comes after its head.
    async fn answered_in_turn(header: &str, rest: &str) -> String {
        let (mut near, _open) = connected();
        let head = format!("POST / HTTP/1.1\r\nhost: here\r\n{header}\r\n\r\n");
        near.write_all(head.as_bytes()).await.expect("room");
        // The answer is ready before the body is here.
        tokio::time::sleep(Duration::from_millis(20)).await;
        // A connection that was ended takes no more.
        let _ = near.write_all(rest.as_bytes()).await;
        let mut answers = Vec::new();
        let ended = tokio::time::timeout(LONG_ENOUGH, near.read_to_end(&mut answers)).await;
        ended.expect("ended").expect("read");
        String::from_utf8(answers).expect("text")
    }

    #[tokio::test]
    async fn what_nobody_reads_of_a_request_is_not_in_the_way_of_the_next_one() {
        let bodies =
            [("content-length: 5", "hello"), ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")];
        for (header, body) in bodies {
            let answers =
                answered_in_turn(header, &format!("{body}GET / HTTP/1.1\r\nhost: here\r\n\r\n")).await;
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{header}: {answers}");
            assert!(answers.contains(" 405 ") && answers.ends_with("hello"), "{header}: {answers}");
            assert!(!answers.contains("connection: close"), "{header}: {answers}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_ended_for_what_nobody_reads_says_so() {
        let long = "x".repeat(600_000);
        let waiting = "expect: 100-continue\r\ncontent-length: 9";
        for (header, body) in [("content-length: 600000", &*long), ("content-length: 9", "x"), (waiting, "")]
        {
            let answers = answered_in_turn(header, body).await;
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{header}: {answers}");
            assert!(
                answers.contains(" 405 ") && answers.contains("connection: close"),
                "{header}: {answers}"
            );
        }
    }
}
