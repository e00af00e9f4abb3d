//! What comes in with a request: JSON bodies, queries and names in paths; each refused with a problem that says
//! what was expected.

use super::problem::{MALFORMED, MEDIA_TYPE, Problem, TOO_LARGE};
use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;

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
        let bytes = to_bytes(request.into_body(), BYTES_MAX).await.map_err(|error| {
            let mut cause: Option<&dyn Error> = Some(&error);
            while let Some(reason) = cause {
                if reason.is::<http_body_util::LengthLimitError>() {
                    let detail = format!("the body is larger than {BYTES_MAX} bytes");
                    return Problem::of_caller(TOO_LARGE, detail, "send less at once");
                }
                cause = reason.source();
            }
            let detail = format!("the body was cut short: {error}");
            Problem::of_caller(MALFORMED, detail, "send the whole body")
        })?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            let action = "compare the body with the schema in /v1/openapi.json";
            Problem::of_caller(MALFORMED, format!("the body is not as expected: {error}"), action)
        })?;
        Ok(Self(value))
    }
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
