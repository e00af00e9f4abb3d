//! The API as a caller uses it: plain HTTP, JSON in and out.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;
use ureq::http::request::Builder;

/// After so long an answer is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// A caller of one coordinator.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    pub address: SocketAddr,
    token: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    /// In how many seconds to ask again; empty if it is not said.
    pub retry_after: String,
    /// Whether this was answered before, for the same idempotency key.
    pub replayed: bool,
    pub text: String,
    /// Null if it is no JSON.
    pub body: Value,
}

/// A request that is more than a path.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    pub media_type: Option<&'a str>,
    pub key: Option<&'a str>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The last part of a problem's type; empty if this is no problem.
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:perennial:problem:").unwrap_or_default()
    }
}

impl Api {
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(ANSWER_WITHIN))
            .timeout_connect(Some(Duration::from_secs(2)))
            .build()
            .new_agent();
        Self { agent, address, token }
    }

    /// The same, with connections of its own.
    pub fn another(&self) -> Self {
        Self::new(self.address, self.token.clone())
    }

    /// The same coordinator as another client sees it.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self::new(self.address, token.map(str::to_owned))
    }

    /// What it shows of itself.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Asks for a resource. An error means that nobody answered.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        let request = self.authorized(Request::get(self.url(path)));
        self.read(self.agent.run(request.body(()).expect("a request")))
    }

    /// Sends a document.
    pub fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Answer, String> {
        let body = body.to_string().into_bytes();
        self.send(path, &Ask { media_type: Some("application/json"), key, body })
    }

    /// Sends whatever it is given.
    pub fn send(&self, path: &str, ask: &Ask<'_>) -> Result<Answer, String> {
        let mut request = self.authorized(Request::post(self.url(path)));
        if let Some(media_type) = ask.media_type {
            request = request.header("Content-Type", media_type);
        }
        if let Some(key) = ask.key {
            request = request.header("Idempotency-Key", key);
        }
        self.read(self.agent.run(request.body(ask.body.clone()).expect("a request")))
    }

    fn authorized(&self, request: Builder) -> Builder {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
        let mut answer = answer.map_err(|error| error.to_string())?;
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (status, media_type) = (answer.status().as_u16(), header("content-type"));
        let retry_after = header("retry-after");
        let replayed = header("idempotency-replayed") == "true";
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, media_type, retry_after, replayed, text, body })
    }
}
