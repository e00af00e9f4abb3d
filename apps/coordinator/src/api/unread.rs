//! What a caller sends with a request that is refused without a look at it. HTTP/1 sends the next request after it on
//! the same connection, so it is read and forgotten if there is little of it; else the answer says that the connection
//! ends (RFC 9112, section 9.6). Without either the caller's next request would be lost, and nobody would know whether
//! it was done.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Version};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// So much of a body is read in vain. More is ended with its connection, so that nobody is kept busy by it.
const BYTES_MAX: usize = 1 << 18;
/// For so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body that goes back where it came from, if whoever has it does not want all of it.
pub struct Lent<B: Body> {
    /// None if it has been read to its end.
    body: Option<B>,
    back: Option<oneshot::Sender<B>>,
}

/// What comes back of a body.
struct Rest<B>(oneshot::Receiver<B>);

/// Answers a request, and leaves nothing of it on the connection.
pub async fn answer<B, E>(
    request: Request<B>,
    answer: impl AsyncFnOnce(Request<Lent<B>>) -> Result<Response, E>,
) -> Result<Response, E>
where
    B: Body<Data = Bytes> + Unpin,
{
    // Streams of HTTP/2 end each on its own.
    let is_serial = request.version() <= Version::HTTP_11;
    let waits = request.headers().contains_key(EXPECT);
    let (request, rest) = lend(request);
    let mut response = answer(request).await?;
    if is_serial && !rest.read_out(waits).await {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn lend<B: Body>(request: Request<B>) -> (Request<Lent<B>>, Rest<B>) {
    let (back, rest) = oneshot::channel();
    (request.map(|body| Lent { body: Some(body), back: Some(back) }), Rest(rest))
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B> {
    /// Reads what is left, and whether that was all. Who `waits` to be asked for a body has not sent it.
    async fn read_out(mut self, waits: bool) -> bool {
        let mut body = match self.0.try_recv() {
            Ok(body) => body,
            // Read to its end.
            Err(oneshot::error::TryRecvError::Closed) => return true,
            // Somebody still has it.
            Err(oneshot::error::TryRecvError::Empty) => return false,
        };
        if waits {
            return false;
        }
        let mut left = BYTES_MAX;
        let read = async {
            loop {
                let Some(frame) = body.frame().await else { return true };
                let bytes = frame.ok().map(|frame| frame.into_data().map_or(0, |data| data.len()));
                match bytes.and_then(|bytes| left.checked_sub(bytes)) {
                    Some(less) => left = less,
                    None => return false,
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or(false)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Lent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body> Drop for Lent<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Who answered may be gone already, with the connection.
            let _ = back.send(body);
        }
    }
}
