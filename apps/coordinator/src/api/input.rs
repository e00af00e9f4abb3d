//! What comes in with a request: JSON bodies, queries and names in paths; each refused with a problem that says
//! what was expected.

use super::problem::{MALFORMED, MEDIA_TYPE, Problem, TOO_LARGE, TOO_SLOW};
use axum::body::{Body as AxumBody, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// A body must be complete within this time. The largest ones have 24 MB.
const BODY_PATIENCE: Duration = Duration::from_secs(120);

/// A JSON body of at most so many bytes.
#[derive(Debug)]
pub struct Body<T, const BYTES_MAX: usize>(pub T);

impl<T: DeserializeOwned, S: Sync, const BYTES_MAX: usize> FromRequest<S> for Body<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
            let came = kind.unwrap_or("no content type");
            let detail = format!("expected application/json, got {came}");
            return Err(Problem::of_caller(MEDIA_TYPE, detail, "send JSON and say so in Content-Type"));
        }
        let bytes = whole(request.into_body(), BYTES_MAX, BODY_PATIENCE).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            let action = "compare the body with the schema in /v1/openapi.json";
            Problem::of_caller(MALFORMED, format!("the body is not as expected: {error}"), action)
        })?;
        Ok(Self(value))
    }
}

/// Reads a body to its end, but no more than the limit and not for longer than that.
async fn whole(body: AxumBody, bytes_max: usize, patience: Duration) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(patience, to_bytes(body, bytes_max)).await.map_err(|_| {
        let detail = format!("the body was not complete after {} s", patience.as_secs());
        Problem::of_caller(TOO_SLOW, detail, "send it at once, or over a faster line")
    })?;
    read.map_err(|error| {
        let mut cause: Option<&dyn Error> = Some(&error);
        while let Some(reason) = cause {
            if reason.is::<http_body_util::LengthLimitError>() {
                let detail = format!("the body is larger than {bytes_max} bytes");
                return Problem::of_caller(TOO_LARGE, detail, "send less at once");
            }
            cause = reason.source();
        }
        Problem::of_caller(MALFORMED, format!("the body was cut short: {error}"), "send the whole body")
    })
}

/// The parameters of a query.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(value)| Self(value)).map_err(|rejection| {
            let action = "compare the parameters with /v1/openapi.json";
            Problem::of_caller(MALFORMED, rejection.body_text(), action)
        })
    }
}

/// The one name in a path: of a wallet, of a ceremony.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<T, S> FromRequestParts<S> for Named<T>
where
    T: FromStr,
    T::Err: Display,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refuse = |reason: String| {
            let action = "wallets are named by their names, ceremonies by 64 hexadecimal digits";
            Problem::of_caller(MALFORMED, reason, action)
        };
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| refuse(rejection.body_text()))?;
        let named = text.parse().map(Self);
        named.map_err(|error: T::Err| refuse(format!("the name in the path cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::{Body as HttpBody, Frame};
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A body of which nothing ever comes.
    struct Silent;

    impl HttpBody for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
        let read = whole(AxumBody::new(Silent), 16, Duration::from_millis(10));
        let read = tokio::time::timeout(Duration::from_secs(10), read).await.expect("given up in time");
        let problem = read.expect_err("no body");
        assert_eq!((problem.status, problem.name(), problem.blame.as_str()), (408, "too-slow", "caller"));
    }
}
