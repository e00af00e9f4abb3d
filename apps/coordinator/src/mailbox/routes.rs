//! What the two requests of the mailbox mean: one HTTP request of one known signer in, one answer out. Whatever
//! cannot be understood is answered with a status and a sentence, and changes nothing.

use super::{BODY_BYTES_MAX, Incoming, Lane, Mailbox, SignerMail};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use perennial_daemon::framing::{NotAParcel, Pieces, read_parcel, write_delivery};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// The longest time that a poll may wait, in milliseconds.
const WAIT_MS_MAX: u64 = 60_000;
/// A body must be complete within this time.
const BODY_PATIENCE: Duration = Duration::from_secs(60);

/// What every request needs.
#[derive(Clone)]
pub(super) struct Desk {
    pub mailbox: Mailbox,
    pub incoming: mpsc::Sender<Incoming>,
    /// Becomes true when the server shuts down; waiting polls are answered then.
    pub closing: watch::Receiver<bool>,
}

/// A request that was not fulfilled.
struct Problem {
    status: StatusCode,
    text: String,
}

impl Desk {
    /// Answers one request of the signer whose pinned name is `peer`.
    pub async fn answer<B>(&self, peer: &str, request: Request<B>) -> Response<Pieces>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let mail = self.mailbox.mail_of(peer);
        mail.seen();
        let answer = match (lane_of(request.uri().path()), request.method()) {
            (None, _) => Err(Problem {
                status: StatusCode::NOT_FOUND,
                text: "there are only /mail/signing and /mail/ceremony here".into(),
            }),
            (Some(lane), &Method::GET) => self.poll(&mail, lane, request.uri().query()).await,
            (Some(lane), &Method::POST) => self.accept(peer, lane, request.into_body()).await,
            (Some(_), other) => Err(Problem {
                status: StatusCode::METHOD_NOT_ALLOWED,
                text: format!("{other} is not understood here; fetch mail with GET, send it with POST"),
            }),
        };
        answer.unwrap_or_else(|problem| problem.answer(peer))
    }

    /// Completes when the server shuts down.
    pub async fn closed(&self) {
        // A sender that is gone means the same as one that says so.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }

    async fn poll(
        &self,
        mail: &SignerMail,
        lane: Lane,
        query: Option<&str>,
    ) -> Result<Response<Pieces>, Problem> {
        let position = Position::read(query.unwrap_or_default()).map_err(Problem::bad_request)?;
        let after = position.after_in(self.mailbox.incarnation());
        let lane = mail.lane(lane);
        lane.acknowledge(after);
        let _present = mail.waiting();
        let end = tokio::time::sleep(Duration::from_millis(position.wait_ms));
        tokio::pin!(end);
        let batch = loop {
            // Made before looking, so that an item posted in between is not missed.
            let posted = lane.posted.notified();
            let batch = lane.batch_after(after);
            if !batch.items.is_empty() || position.wait_ms == 0 {
                break batch;
            }
            tokio::select! {
                () = posted => {}
                () = &mut end => break batch,
                () = self.closed() => break batch,
            }
        };
        let mut answer = Response::new(write_delivery(self.mailbox.incarnation(), batch.first, &batch.items));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/cbor"));
        Ok(answer)
    }

    async fn accept<B>(&self, peer: &str, lane: Lane, body: B) -> Result<Response<Pieces>, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let body = tokio::time::timeout(BODY_PATIENCE, whole(body)).await.map_err(|_| {
            Problem::bad_request(format!("the body was not complete after {} s", BODY_PATIENCE.as_secs()))
        })??;
        let arrived = Instant::now();
        let items = read_parcel(body).map_err(|reason| Problem {
            status: match reason {
                NotAParcel::ItemTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            },
            text: reason.to_string(),
        })?;
        let room = self.incoming.try_reserve_many(items.len()).map_err(|_| Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            text: "the coordinator is busy or shutting down; send the same again later".into(),
        })?;
        for (place, body) in room.zip(items) {
            place.send(Incoming { from: peer.to_owned(), lane, body, arrived });
        }
        let mut answer = Response::new(Pieces::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        Ok(answer)
    }
}

impl Problem {
    fn bad_request(text: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text }
    }

    fn answer(self, peer: &str) -> Response<Pieces> {
        tracing::warn!(signer = peer, status = self.status.as_u16(), "mail request refused: {}", self.text);
        let mut answer = Response::new(Pieces::of(self.text));
        *answer.status_mut() = self.status;
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }
}

fn lane_of(path: &str) -> Option<Lane> {
    let name = path.strip_prefix("/mail/")?;
    [Lane::Signing, Lane::Ceremony].into_iter().find(|lane| lane.name() == name)
}

/// Where a poll stands and how patient it is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Position {
    after: u64,
    incarnation: Option<[u8; 16]>,
    wait_ms: u64,
}

impl Position {
    fn read(query: &str) -> Result<Self, String> {
        let (mut after, mut incarnation, mut wait_ms) = (None, None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_repeated = match name {
                "after" => after.replace(number(name, value)?).is_some(),
                "wait_ms" => wait_ms.replace(number(name, value)?).is_some(),
                "incarnation" => {
                    let mut bytes = [0; 16];
                    hex::decode_to_slice(value, &mut bytes)
                        .map_err(|_| format!("incarnation={value:?}: expected 32 hexadecimal digits"))?;
                    incarnation.replace(bytes).is_some()
                }
                _ => {
                    return Err(format!(
                        "{name:?} is no parameter here; there are after, incarnation, wait_ms"
                    ));
                }
            };
            if is_repeated {
                return Err(format!("{name} is given twice"));
            }
        }
        let position = Self { after: after.unwrap_or(0), incarnation, wait_ms: wait_ms.unwrap_or(0) };
        if position.wait_ms > WAIT_MS_MAX {
            return Err(format!("wait_ms={}: at most {WAIT_MS_MAX}", position.wait_ms));
        }
        if position.after > 0 && position.incarnation.is_none() {
            return Err(format!(
                "after={} says nothing without the incarnation it counts in",
                position.after
            ));
        }
        Ok(position)
    }

    /// The position in this incarnation; a number of another one stands for the beginning.
    fn after_in(&self, incarnation: &[u8; 16]) -> u64 {
        if self.incarnation.as_ref() == Some(incarnation) { self.after } else { 0 }
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    let is_plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if is_plain => Ok(number),
        _ => Err(format!("{name}={value:?}: expected a whole number")),
    }
}

/// Reads a body to its end, but never more than the limit.
async fn whole<B>(body: B) -> Result<Vec<u8>, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let too_large = || Problem {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        text: format!("the body is larger than {BODY_BYTES_MAX} bytes: send fewer items at once"),
    };
    let announced = body.size_hint().exact().unwrap_or(0);
    let capacity = usize::try_from(announced).ok().filter(|&n| n <= BODY_BYTES_MAX).ok_or_else(too_large)?;
    let mut whole = Vec::with_capacity(capacity);
    let mut body = std::pin::pin!(body);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Problem::bad_request(format!("the body was cut short: {e}")))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > BODY_BYTES_MAX {
                return Err(too_large());
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
    fn a_number_from_another_incarnation_stands_for_the_beginning() {
        let query = format!("after=57&incarnation={}&wait_ms=20", "0a".repeat(16));
        let position = Position::read(&query).expect("read");
        assert_eq!(position, Position { after: 57, incarnation: Some([10; 16]), wait_ms: 20 });
        assert_eq!(position.after_in(&[10; 16]), 57);
        assert_eq!(position.after_in(&[11; 16]), 0);
        assert_eq!(Position::read(""), Ok(Position::default()));
    }

    #[test]
    fn a_query_that_is_not_understood_is_refused() {
        for query in [
            "after=1",
            "after=-1",
            "after=+1",
            "after=",
            "after",
            "after=99999999999999999999",
            "wait_ms=60001",
            "wait_ms=1&wait_ms=1",
            "incarnation=0a",
            "since=3",
        ] {
            assert!(Position::read(query).is_err(), "{query}");
        }
    }
}
