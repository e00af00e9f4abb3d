//! The coordinator's API as an operator uses it: plans are drafted, submitted, approved with the approver's SSH
//! key and followed to their end; transactions are signed.

use anyhow::{Context as _, bail};
use perennial_model::approval::{NAMESPACE, signed_line};
use perennial_model::encoding::Digest;
use serde_json::{Value, json};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use ureq::Agent;

/// The approver's key, as `perennial init` makes it.
const KEY_FILE: &str = "dana.key";
/// The token for the API, as `perennial init` makes it.
const TOKEN_FILE: &str = "operator.token";
/// How long a step of a ceremony may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the coordinator holds a question back that has no news, in milliseconds.
const WAIT_MS: u64 = 30_000;
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How many wallets of a plan sign a probe before they are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// One of each chunk.
    OnePerChunk,
    /// All.
    Every,
}

/// A ceremony that is over.
pub struct Done {
    /// From the moment at which the approval was posted until the end was seen.
    pub took: Duration,
    /// How the coordinator tells it.
    pub told: Value,
}

/// A client with connections of its own. Clones share them.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    address: SocketAddr,
    key: Arc<PrivateKey>,
    authorization: Arc<str>,
}

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Self::OnePerChunk => "one-per-chunk",
            Self::Every => "every",
        }
    }
}

impl Api {
    /// The API of the cluster in this directory.
    pub fn new(address: SocketAddr, cluster: &Path) -> anyhow::Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64);
        let key = PrivateKey::read_openssh_file(&cluster.join(KEY_FILE))?;
        let token = std::fs::read_to_string(cluster.join(TOKEN_FILE))?;
        let authorization = format!("Bearer {}", token.trim()).into();
        Ok(Self { agent: config.build().new_agent(), address, key: Arc::new(key), authorization })
    }

    /// Asks for a resource.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        read(self.agent.get(self.url(path)).header("Authorization", &*self.authorization).call()?)
    }

    /// Sends a document.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.agent.post(self.url(path)).header("Authorization", &*self.authorization);
        let request = request.content_type("application/json");
        read(request.send(body.to_string())?)
    }

    /// Has a transaction signed. Gives how many sessions that took.
    pub fn sign(&self, wallet: &str, transaction: &str, key: &str) -> anyhow::Result<u64> {
        let request = self.agent.post(self.url(&format!("/v1/wallets/{wallet}/sign")));
        let request = request.header("Authorization", &*self.authorization).header("Idempotency-Key", key);
        let request = request.content_type("application/json");
        let answer = read(request.send(json!({ "transaction": transaction }).to_string())?)?;
        answer["tries"].as_u64().context("an answer that does not say how often it was tried")
    }

    /// Makes wallets.
    pub fn create(&self, wallets: &[(String, &str)]) -> anyhow::Result<Done> {
        let wallets: Vec<Value> =
            wallets.iter().map(|(id, chain)| json!({ "id": id, "chain": chain })).collect();
        self.carry_out(&json!({
            "action": "create", "tenant": "local", "wallets": wallets, "threshold": 2, "initiator": "operator",
        }))
    }

    /// Replaces the shares of wallets (`*` for all). Old and new are both served for `overlap_ms`.
    pub fn refresh(&self, wallets: &[&str], probe: Probe, overlap_ms: u64) -> anyhow::Result<Done> {
        self.carry_out(&json!({
            "action": "refresh", "wallets": wallets, "overlap_ms": overlap_ms, "probe": probe.name(),
            "initiator": "operator",
        }))
    }

    /// From a draft to the end of its ceremony. The clock begins with the approval.
    fn carry_out(&self, draft: &Value) -> anyhow::Result<Done> {
        let drafted = self.post("/v1/plans/draft", draft)?;
        let submitted = self.post("/v1/plans", &json!({ "plan": drafted["plan"] }))?;
        let name = submitted["ceremony"].as_str().context("a ceremony has a name")?.to_owned();
        let digest: Digest = name.parse().map_err(|_| anyhow::anyhow!("{name} is no digest"))?;
        let signature = self.key.sign(NAMESPACE, HashAlg::Sha512, signed_line(&digest).as_bytes())?;
        let approval = json!({ "person": "dana", "signature": signature.to_pem(LineEnding::LF)? });
        let begun = Instant::now();
        self.post(&format!("/v1/ceremonies/{name}/approvals"), &approval)?;
        let mut since = 0;
        loop {
            let path = format!("/v1/ceremonies/{name}/events?since={since}&wait_ms={WAIT_MS}");
            let event = self.get(&path)?;
            let took = begun.elapsed();
            since = event["number"].as_u64().context("an event has a number")?;
            let told = &event["ceremony"];
            match told["stage"].as_str() {
                Some("done") if told["wallets_retired"] == told["wallets"] => {
                    return Ok(Done { took, told: told.clone() });
                }
                Some("done" | "expired") => bail!("a ceremony left wallets behind: {told}"),
                _ => {}
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> anyhow::Result<Value> {
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
    if !answer.status().is_success() {
        bail!("{}: {}", answer.status(), String::from_utf8_lossy(&text));
    }
    Ok(serde_json::from_slice(&text)?)
}
