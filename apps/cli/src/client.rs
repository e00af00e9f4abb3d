//! The coordinator's API as its client: plain HTTP on this machine, one connection kept open for each thread.
//!
//! It refuses addresses that other machines have, since whoever listens on the way would have the token, and turns every
//! problem document (RFC 9457) into a [`Failure`] that says who is to blame.

use crate::failure::{Failure, Kind};
use crate::token::Token;
use serde::Deserialize;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder};

/// The largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How long an answer may take, beyond what the request itself asks to wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to one coordinator.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    address: SocketAddr,
    token: Option<Token>,
}

/// What an API says when it does not do what it was asked (RFC 9457).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
    blame: String,
    action: String,
}

impl Client {
    /// A client of the coordinator at this address, with or without a token.
    ///
    /// # Errors
    /// When the address is not of this machine.
    pub fn new(address: SocketAddr, token: Option<Token>) -> Result<Self, Failure> {
        if !address.ip().is_loopback() {
            return Err(Failure::usage(
                format!("{address} is an address of another machine, and this speaks plain HTTP"),
                "give a loopback address such as 127.0.0.1:7700, the near end of a tunnel if need be",
            ));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("perennial/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(5)))
            .build();
        Ok(Self { agent: config.new_agent(), address, token })
    }

    /// Another client of the same coordinator, with connections of its own.
    pub fn another(&self) -> Result<Self, Failure> {
        Self::new(self.address, self.token.clone())
    }

    /// Asks for a resource: `path` begins with `/v1/`.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.get_waiting(path, Duration::ZERO)
    }

    /// Asks for a resource whose answer may be held back for `wait`.
    pub fn get_waiting(&self, path: &str, wait: Duration) -> Result<Value, Failure> {
        let request = self.agent.get(self.url(path)).config().timeout_global(Some(wait + PATIENCE)).build();
        self.read(self.show_token(request).call())
    }

    /// Sends a document; `key` makes a repetition harmless (the header `Idempotency-Key`).
    pub fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Value, Failure> {
        let request = self.agent.post(self.url(path)).config().timeout_global(Some(PATIENCE)).build();
        let mut request = self.show_token(request);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.read(request.content_type("application/json").send(body.to_string()))
    }

    fn show_token<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", token.header().as_str()),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, Failure> {
        let mut answer = answer.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let text = text.map_err(|error| self.unreachable(&error))?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&text).map_err(|error| {
                not_understood(&format!("the answer of {} is no JSON: {error}", self.address))
            });
        }
        Err(refusal(status, &text))
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::new(
            Kind::Unreachable,
            format!("no answer from a coordinator at {}: {error}", self.address),
            "whoever runs the coordinator, or the address",
            "start `perennial-coordinator run`, or name its address with --api",
        )
    }
}

/// Reads a part of an answer into the type that this program expects.
pub fn understood<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| not_understood(&format!("unexpected answer: {error}")))
}

fn not_understood(what: &str) -> Failure {
    Failure::new(
        Kind::Broken,
        what,
        "the coordinator or this program: their versions differ",
        "use the perennial and the perennial-coordinator of one release",
    )
}

/// The failure that an answer outside of 200 to 299 stands for.
fn refusal(status: u16, text: &[u8]) -> Failure {
    let problem: Problem = serde_json::from_slice(text).unwrap_or_default();
    let kind = match (problem.blame.as_str(), status) {
        ("policy", _) => Kind::Denied,
        (blame, _) if blame.starts_with("signer") => Kind::Denied,
        (_, 400..500) => Kind::Refused,
        _ => Kind::Unreachable,
    };
    let or = |text: String, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text };
    let title = or(problem.title, &format!("the coordinator answered with status {status}"));
    let what = if problem.detail.is_empty() { title } else { format!("{title}: {}", problem.detail) };
    let blame = or(problem.blame, if kind == Kind::Refused { "caller" } else { "coordinator" });
    Failure::new(kind, what, blame, or(problem.action, "look at the coordinator's log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_refused() {
        assert!(Client::new("192.0.2.1:80".parse().expect("an address"), None).is_err());
        assert!(Client::new("[::1]:80".parse().expect("an address"), None).is_ok());
    }

    #[test]
    fn a_problem_document_says_who_is_to_blame_and_anything_else_is_still_one_line() {
        let text =
            br#"{"type":"x","title":"no such wallet","status":404,"blame":"caller","action":"list them"}"#;
        let failure = refusal(404, text);
        assert_eq!((failure.kind, failure.blame.as_str()), (Kind::Refused, "caller"));
        assert_eq!(failure.action, "list them");
        let failure = refusal(502, br#"{"title":"no","blame":"signer a, b"}"#);
        assert_eq!((failure.kind, failure.blame.as_str()), (Kind::Denied, "signer a, b"));
        let failure = refusal(503, b"<html>");
        assert_eq!(failure.kind, Kind::Unreachable);
        assert!(failure.what.contains("503"));
    }

    #[test]
    fn nobody_at_the_address_is_a_failure_of_its_own() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let failure = Client::new(address, None).expect("loopback").get("/v1/health").expect_err("nobody");
        assert_eq!(failure.kind, Kind::Unreachable);
    }
}
