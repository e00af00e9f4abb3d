//! Every error of the API: problem+json (RFC 9457) that says what is wrong, who is to blame, and what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use perennial_model::committee::SignerId;
use serde::Serialize;
use utoipa::ToSchema;

/// How every type begins.
const TYPES: &str = "urn:perennial:problem:";

/// One kind of error: what never changes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The last part of its type.
    pub name: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Its status.
    pub status: StatusCode,
}

const fn kind(name: &'static str, status: StatusCode, title: &'static str) -> Kind {
    Kind { name, title, status }
}

/// The request is not written as the API document says.
pub const MALFORMED: Kind = kind("malformed-request", StatusCode::BAD_REQUEST, "The request is malformed");
/// There is nothing at that path.
pub const NO_SUCH_PATH: Kind = kind("no-such-path", StatusCode::NOT_FOUND, "There is nothing here");
/// The path exists, but not with that method.
pub const METHOD: Kind =
    kind("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "This method is not understood here");
/// The body is no JSON.
pub const MEDIA_TYPE: Kind =
    kind("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be application/json");
/// The body is too large.
pub const TOO_LARGE: Kind = kind("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large");
/// The body does not come.
pub const TOO_SLOW: Kind = kind("too-slow", StatusCode::REQUEST_TIMEOUT, "The body did not come in time");
/// No wallet of this name.
pub const UNKNOWN_WALLET: Kind = kind("unknown-wallet", StatusCode::NOT_FOUND, "There is no such wallet");
/// A wallet of this name is being made.
pub const WALLET_NOT_READY: Kind =
    kind("wallet-not-ready", StatusCode::CONFLICT, "The wallet is not kept by all of its signers yet");
/// No ceremony of this digest.
pub const UNKNOWN_CEREMONY: Kind =
    kind("unknown-ceremony", StatusCode::NOT_FOUND, "There is no such ceremony");
/// The transaction cannot be read.
pub const BAD_TRANSACTION: Kind = kind(
    "unreadable-transaction",
    StatusCode::UNPROCESSABLE_ENTITY,
    "The transaction cannot be read in the form of its chain",
);
/// The transaction is of a kind that is never signed.
pub const UNSUPPORTED_TRANSACTION: Kind = kind(
    "unsupported-transaction",
    StatusCode::UNPROCESSABLE_ENTITY,
    "Transactions of this kind are not signed",
);
/// The transaction is somebody else's to sign.
pub const NOT_OURS: Kind = kind(
    "nothing-to-sign",
    StatusCode::UNPROCESSABLE_ENTITY,
    "This wallet has nothing to sign in this transaction",
);
/// The derivation path cannot be followed.
pub const BAD_PATH: Kind =
    kind("bad-path", StatusCode::UNPROCESSABLE_ENTITY, "The derivation path cannot be followed");
/// The idempotency key was used for something else.
pub const KEY_REUSED: Kind = kind(
    "idempotency-key-reused",
    StatusCode::UNPROCESSABLE_ENTITY,
    "The idempotency key was used for another request",
);
/// The next version of governance breaks a rule, or lacks approvals.
pub const BAD_GOVERNANCE: Kind =
    kind("bad-governance", StatusCode::UNPROCESSABLE_ENTITY, "This is not the next governance");
/// The plan breaks a rule.
pub const BAD_PLAN: Kind = kind("bad-plan", StatusCode::UNPROCESSABLE_ENTITY, "The plan breaks a rule");
/// The mandate or the order breaks a rule, or lacks approvals.
pub const BAD_DECISION: Kind =
    kind("bad-decision", StatusCode::UNPROCESSABLE_ENTITY, "This is no mandate or order that counts");
/// The report of a theft speaks of what is not known, or says it in a way that is not sound.
pub const BAD_REPORT: Kind =
    kind("bad-theft-report", StatusCode::UNPROCESSABLE_ENTITY, "This is no report of a theft that counts");
/// Something has changed meanwhile.
pub const STALE: Kind = kind("stale", StatusCode::CONFLICT, "Something has changed meanwhile");
/// The approval does not count.
pub const BAD_APPROVAL: Kind = kind("approval-refused", StatusCode::FORBIDDEN, "The approval does not count");
/// Nobody knows who asks.
pub const UNAUTHENTICATED: Kind =
    kind("unauthenticated", StatusCode::UNAUTHORIZED, "The caller is not known here");
/// The caller may not do this.
pub const NOT_ALLOWED: Kind = kind("not-allowed", StatusCode::FORBIDDEN, "The caller may not do this");
/// The caller asks too often.
pub const TOO_OFTEN: Kind = kind("too-often", StatusCode::TOO_MANY_REQUESTS, "The caller asks too often");
/// Policy or approval forbids it.
pub const DENIED: Kind = kind("denied", StatusCode::FORBIDDEN, "Policy does not allow this");
/// Signers could not do it.
pub const SIGNERS_FAILED: Kind =
    kind("signers-failed", StatusCode::BAD_GATEWAY, "The signers could not do it");
/// Signers were too slow.
pub const OUT_OF_TIME: Kind =
    kind("out-of-time", StatusCode::GATEWAY_TIMEOUT, "The signers did not do it in time");
/// Too many requests at a time.
pub const BUSY: Kind = kind("busy", StatusCode::SERVICE_UNAVAILABLE, "Too many requests at a time");
/// The coordinator cannot write.
pub const CANNOT_WRITE: Kind =
    kind("cannot-write", StatusCode::SERVICE_UNAVAILABLE, "The coordinator cannot write its disk");
/// Our own fault.
pub const BUG: Kind = kind("bug", StatusCode::INTERNAL_SERVER_ERROR, "The coordinator made a mistake");

/// Who is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// Whoever sent the request.
    Caller,
    /// Nobody: a rule that people made.
    Policy,
    /// These signers, or one of them.
    Signers(Vec<SignerId>),
    /// This daemon or its machine.
    Coordinator,
}

/// What is answered in place of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of error it is: `urn:perennial:problem:` and a name.
    #[serde(rename = "type")]
    #[schema(example = "urn:perennial:problem:unknown-wallet")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What was expected and what came.
    pub detail: String,
    /// Who is to blame: `caller`, `policy`, `signer NAME` (several names with commas), or `coordinator`.
    #[schema(example = "caller")]
    pub blame: String,
    /// What to do.
    pub action: String,
}

impl Problem {
    /// An error of a kind.
    pub fn new(kind: Kind, blame: Blame, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            kind: format!("{TYPES}{}", kind.name),
            title: kind.title.into(),
            status: kind.status.as_u16(),
            detail: detail.into(),
            blame: blame.to_string(),
            action: action.into(),
        }
    }

    /// An error of the caller.
    pub fn of_caller(kind: Kind, detail: impl Into<String>, action: impl Into<String>) -> Self {
        Self::new(kind, Blame::Caller, detail, action)
    }

    /// A rule of our own code that does not hold.
    pub fn bug(detail: impl Into<String>) -> Self {
        let action = "report this with the lines of the log around it; nothing was released";
        Self::new(BUG, Blame::Coordinator, detail, action)
    }
}

impl std::fmt::Display for Blame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Caller => f.write_str("caller"),
            Self::Policy => f.write_str("policy"),
            Self::Coordinator => f.write_str("coordinator"),
            Self::Signers(signers) => {
                let names: Vec<&str> = signers.iter().map(SignerId::as_str).collect();
                write!(f, "signer {}", names.join(", "))
            }
        }
    }
}

impl Problem {
    /// The name of its kind.
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(TYPES).unwrap_or(&self.kind)
    }

    /// The response, without a line in the log.
    pub fn into_unlogged_response(self) -> Response {
        let kind = HeaderValue::from_static("application/problem+json");
        (self.status_code(), [(header::CONTENT_TYPE, kind)], Json(self)).into_response()
    }

    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status_code();
        if status.is_server_error() {
            tracing::warn!(status = self.status, blame = self.blame, "{}: {}", self.title, self.detail);
        } else {
            tracing::info!(status = self.status, blame = self.blame, "{}: {}", self.title, self.detail);
        }
        self.into_unlogged_response()
    }
}
