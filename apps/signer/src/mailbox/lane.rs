//! One lane at work: it dials, fetches and sends over one HTTP/2 connection until that breaks, and begins again.
//! It logs a change of its state once, however many attempts there are, and it never gives up, except when
//! nobody takes its mail any more.

use super::outbox::{Batch, Outbox};
use super::tls::{DialError, Dialer};
use super::{Lane, Received, State, Trouble};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use perennial_daemon::framing::{
    BODY_BYTES_MAX, Delivery, NotADelivery, Pieces, read_delivery, write_parcel,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// One frame for a usual item, and still short enough to read without a pause.
const FRAME_BYTES_MAX: u32 = 64 << 10;
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long the coordinator holds a poll that has nothing to bring.
const WAIT_MS: u64 = 25_000;
/// How long an answer may take beyond the time that the coordinator was asked to wait.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// While the receiving channel is full, it is tried again after this time.
const FULL_PAUSE: Duration = Duration::from_millis(2);
/// Only the beginning of a refusal's text is read.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// Why a connection ended, or did not begin.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the connection to the coordinator broke: {0}")]
    Lost(String),
    #[error("the coordinator does not answer")]
    Silent,
    #[error("the coordinator refuses to hand out mail ({status}): {text}")]
    Refused { status: StatusCode, text: String },
    #[error("the coordinator's answer is malformed: {0}")]
    Malformed(#[from] NotADelivery),
    #[error("nobody takes this lane's mail any more")]
    NobodyTakesMail,
}

impl Failure {
    fn trouble(&self) -> Trouble {
        match self {
            Self::Dial(DialError::Unreachable { .. }) => Trouble::Unreachable,
            Self::Dial(DialError::WrongCoordinator(_)) => Trouble::WrongCoordinator,
            Self::Dial(DialError::Refused { .. }) => Trouble::NotRegistered,
            Self::Dial(DialError::TooSlow { .. } | DialError::Tls { .. }) | Self::Lost(_) | Self::Silent => {
                Trouble::Broken
            }
            Self::Refused { .. } | Self::Malformed(_) => Trouble::Misunderstood,
            Self::NobodyTakesMail => Trouble::NobodyTakesMail,
        }
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        Self::Lost(text)
    }
}

/// How far this lane's mail was fetched: the number of the last item, and the incarnation of the coordinator in
/// which it counts.
#[derive(Debug, Default)]
struct Position {
    incarnation: Option<[u8; 16]>,
    after: u64,
}

impl Position {
    /// Takes up the numbers of a delivery that begins with `first`. Mail that was there before this process's first
    /// delivery was fetched by an earlier process of this signer, or the coordinator's log says that it was dropped.
    /// In an incarnation that began later, nobody else has fetched any.
    fn meet(&mut self, incarnation: [u8; 16], first: u64) {
        if self.incarnation != Some(incarnation) {
            self.after = if self.incarnation.is_none() { first - 1 } else { 0 };
            self.incarnation = Some(incarnation);
        }
    }

    /// How many items before this one were never seen; none for an item that came before.
    fn missing_before(&self, number: u64) -> Option<u64> {
        number.checked_sub(self.after)?.checked_sub(1)
    }
}

/// The pause between attempts: it doubles from [`PAUSE_MIN`] to [`PAUSE_MAX`].
struct Backoff(Duration);

impl Backoff {
    fn new() -> Self {
        Self(PAUSE_MIN)
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = PAUSE_MAX.min(self.0 * 2);
    }
}

/// Everything that a lane needs.
pub(super) struct LaneWork<E> {
    lane: Lane,
    dialer: Arc<Dialer>,
    outbox: Arc<Outbox>,
    received: SyncSender<E>,
    state: watch::Sender<State>,
}

impl<E: From<Received>> LaneWork<E> {
    pub fn new(
        lane: Lane,
        dialer: Arc<Dialer>,
        outbox: Arc<Outbox>,
        received: SyncSender<E>,
        state: watch::Sender<State>,
    ) -> Self {
        Self { lane, dialer, outbox, received, state }
    }

    /// Keeps the lane connected for ever.
    pub async fn run(self) {
        let mut position = Position::default();
        let mut backoff = Backoff::new();
        loop {
            let failure = self.hold_one_connection(&mut position).await;
            if *self.state.borrow() == State::Connected {
                backoff = Backoff::new();
            }
            self.report_down(&failure);
            if matches!(failure, Failure::NobodyTakesMail) {
                return;
            }
            backoff.pause().await;
        }
    }

    fn report_connected(&self) {
        let is_new = self.state.send_if_modified(|state| {
            *state != State::Connected && {
                *state = State::Connected;
                true
            }
        });
        if is_new {
            tracing::info!(lane = self.lane.name(), "mail flows");
        }
    }

    /// The state always has the words of the last attempt. Whether they are news is decided by the trouble alone,
    /// because the words for one cause vary (a closed connection is an end of file, or a reset).
    fn report_down(&self, failure: &Failure) {
        let reason = failure.to_string();
        let trouble = failure.trouble();
        let is_new = self.state.send_if_modified(|state| {
            let is_new = !matches!(state, State::Down { trouble: before, .. } if *before == trouble);
            *state = State::Down { trouble, reason: reason.clone() };
            is_new
        });
        if is_new {
            tracing::warn!(lane = self.lane.name(), "no mail: {reason}");
        }
    }

    async fn hold_one_connection(&self, position: &mut Position) -> Failure {
        let stream = match self.dialer.dial(self.lane).await {
            Ok(stream) => stream,
            Err(failure) => return failure.into(),
        };
        let opened = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .handshake(TokioIo::new(stream))
            .await;
        let (requests, connection) = match opened {
            Ok(opened) => opened,
            Err(error) => return error.into(),
        };
        tokio::select! {
            ended = connection => match ended {
                Ok(()) => Failure::Lost("it was closed".into()),
                Err(error) => error.into(),
            },
            Err(failure) = self.fetch(requests.clone(), position) => failure,
            Err(failure) = self.send(requests) => failure,
        }
    }

    /// Polls without a pause. The first poll does not wait, so its answer shows at once that mail flows.
    async fn fetch(
        &self,
        mut requests: SendRequest<Pieces>,
        position: &mut Position,
    ) -> Result<Infallible, Failure> {
        let mut wait_ms = 0;
        loop {
            let asked = Instant::now();
            let delivery = self.poll(&mut requests, position, wait_ms).await?;
            position.meet(delivery.incarnation, delivery.first);
            self.report_connected();
            let is_empty = delivery.items.is_empty();
            let arrived = Instant::now();
            for (number, body) in (delivery.first..).zip(delivery.items) {
                let Some(missing) = position.missing_before(number) else { continue };
                if missing > 0 {
                    tracing::warn!(
                        lane = self.lane.name(),
                        missing,
                        "mail was dropped before it was fetched"
                    );
                }
                self.deliver(Received { lane: self.lane, body, arrived }).await?;
                position.after = number;
            }
            if is_empty && wait_ms > 0 && asked.elapsed() < PAUSE_MIN {
                // A coordinator that does not wait must not keep this thread busy.
                tokio::time::sleep(PAUSE_MIN).await;
            }
            wait_ms = WAIT_MS;
        }
    }

    async fn poll(
        &self,
        requests: &mut SendRequest<Pieces>,
        position: &Position,
        wait_ms: u64,
    ) -> Result<Delivery, Failure> {
        let mut query = format!("?wait_ms={wait_ms}");
        if let Some(incarnation) = position.incarnation {
            query += &format!("&after={}&incarnation={}", position.after, hex::encode(incarnation));
        }
        let patience = ANSWER_PATIENCE + Duration::from_millis(wait_ms);
        let answer = self.request(requests, Method::GET, &query, Pieces::default(), patience).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(Failure::Refused { status, text: text_of(answer).await });
        }
        Ok(read_delivery(whole(answer.into_body(), BODY_BYTES_MAX).await?)?)
    }

    async fn deliver(&self, received: Received) -> Result<(), Failure> {
        let mut item = E::from(received);
        loop {
            item = match self.received.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Failure::NobodyTakesMail),
                Err(TrySendError::Full(item)) => item,
            };
            tokio::time::sleep(FULL_PAUSE).await;
        }
    }

    /// Sends one batch after the other; the next only when the former was taken, which keeps the order.
    async fn send(&self, mut requests: SendRequest<Pieces>) -> Result<Infallible, Failure> {
        loop {
            let batch = self.outbox.batch().await;
            self.post(&mut requests, &batch).await?;
            self.outbox.sent(batch);
        }
    }

    /// Posts until the coordinator has taken the batch or has refused it for good.
    async fn post(&self, requests: &mut SendRequest<Pieces>, batch: &Batch) -> Result<(), Failure> {
        let lane = self.lane.name();
        let mut backoff = Backoff::new();
        loop {
            let parcel = write_parcel(&batch.items);
            let answer = self.request(requests, Method::POST, "", parcel, ANSWER_PATIENCE).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(());
            }
            let text = text_of(answer).await;
            if status.is_client_error() {
                let items = batch.items.len();
                tracing::error!(lane, items, "dropping mail that the coordinator refuses ({status}): {text}");
                return Ok(());
            }
            tracing::debug!(lane, "the coordinator does not take mail now ({status}): {text}");
            backoff.pause().await;
        }
    }

    async fn request(
        &self,
        requests: &mut SendRequest<Pieces>,
        method: Method,
        query: &str,
        body: Pieces,
        patience: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        // HTTP/2 wants an authority; which one is of no meaning here, where pins say who is who.
        let address = format!("https://coordinator/mail/{}{query}", self.lane.name());
        let request = Request::builder().method(method).uri(address).body(body);
        let request = request.expect("the address is made of plain names and digits");
        let answer = tokio::time::timeout(patience, requests.send_request(request));
        Ok(answer.await.map_err(|_| Failure::Silent)??)
    }
}

async fn text_of(answer: Response<Incoming>) -> String {
    match whole(answer.into_body(), REFUSAL_BYTES_MAX).await {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => "no explanation".into(),
    }
}

/// Reads a body to its end, but never more than the limit.
async fn whole(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let announced = usize::try_from(body.size_hint().exact().unwrap_or(0)).unwrap_or(usize::MAX);
    let mut whole = Vec::with_capacity(announced.min(bytes_max));
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if whole.len() + data.len() > bytes_max {
                return Err(Failure::Lost(format!("an answer had more than {bytes_max} bytes")));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mail_that_this_process_should_have_seen_is_missing() {
        let mut position = Position::default();
        position.meet([1; 16], 43);
        assert_eq!(position.missing_before(43), Some(0), "an earlier process had the 42 before it");
        position.after = 43;
        position.meet([1; 16], 47);
        assert_eq!(position.missing_before(47), Some(3));
        assert_eq!((position.missing_before(44), position.missing_before(43)), (Some(0), None));
        position.meet([2; 16], 3);
        assert_eq!(position.missing_before(3), Some(2), "nobody else fetched the first two");
    }
}
