//! What people do: draft a plan, approve it, and see to it that it is carried out.

use crate::api::Api;
use crate::governance::{Dana, body};
use base64ct::{Base64, Encoding};
use perennial_model::encoding;
use perennial_model::plan::Plan;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// After so long something that has to come is given up. Nothing is asserted about how long it takes.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(20);

/// A draft for a wallet of each of these names and chains.
pub fn creation(wallets: &[(&str, &str)]) -> Value {
    let wallets: Vec<Value> = wallets.iter().map(|(id, chain)| json!({"id": id, "chain": chain})).collect();
    json!({"action": "create", "tenant": "acme", "wallets": wallets, "threshold": 2, "attempts": 100})
}

/// A draft that replaces the shares of all wallets.
pub fn renewal(overlap_ms: u64) -> Value {
    json!({"action": "refresh", "wallets": ["*"], "overlap_ms": overlap_ms, "attempts": 1000})
}

impl Api {
    /// The plan of a draft.
    pub fn draft(&self, draft: &Value) -> Plan {
        let drafted = self.insist("/v1/plans/draft", draft);
        let bytes = Base64::decode_vec(drafted["plan"].as_str().expect("text")).expect("base64");
        encoding::decode(&bytes).expect("a plan")
    }

    /// Submits a plan. Gives the ceremony's name.
    pub fn submit(&self, plan: &Plan) -> String {
        let bytes = Base64::encode_string(&encoding::encode(plan));
        let submitted = self.insist("/v1/plans", &json!({"plan": bytes}));
        let ceremony = submitted["ceremony"].as_str().expect("text").to_owned();
        assert_eq!(ceremony, plan.digest().to_string());
        ceremony
    }

    /// Submits a plan and has it approved. Gives the ceremony's name.
    pub fn begin(&self, draft: &Value, dana: &Dana) -> String {
        self.begin_plan(&self.draft(draft), dana)
    }

    /// The same with a plan.
    pub fn begin_plan(&self, plan: &Plan, dana: &Dana) -> String {
        let ceremony = self.submit(plan);
        let approval = dana.approves(plan);
        let body = body(approval.person.as_str(), &approval);
        self.insist(&format!("/v1/ceremonies/{ceremony}/approvals"), &body);
        ceremony
    }

    /// Waits until a ceremony is over and all of its wallets have what it promised.
    pub fn finish(&self, ceremony: &str) -> Value {
        let begun = Instant::now();
        loop {
            let last = self.get(&format!("/v1/ceremonies/{ceremony}"));
            if let Ok(answer) = &last
                && answer.body["stage"] == "done"
            {
                assert_eq!(answer.body["wallets_given_up"], 0, "{}", answer.text);
                return answer.body.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "the ceremony does not end: {last:?}");
            std::thread::sleep(LOOK);
        }
    }

    pub fn complete(&self, draft: &Value, dana: &Dana) -> Value {
        self.finish(&self.begin(draft, dana))
    }

    /// All wallets by name.
    pub fn wallets(&self) -> BTreeMap<String, Value> {
        let listed = self.look("/v1/wallets");
        let wallets = listed["wallets"].as_array().expect("a list");
        wallets
            .iter()
            .map(|wallet| (wallet["id"].as_str().expect("text").to_owned(), wallet.clone()))
            .collect()
    }

    /// What is there, once somebody answers.
    pub fn look(&self, path: &str) -> Value {
        let begun = Instant::now();
        loop {
            match self.get(path) {
                Ok(answer) if answer.status == 200 => return answer.body,
                other => assert!(begun.elapsed() < PATIENCE, "{path}: {other:?}"),
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Sends a document until it is taken. Only what may pass is tried again.
    fn insist(&self, path: &str, body: &Value) -> Value {
        let begun = Instant::now();
        loop {
            match self.post(path, body, None) {
                Ok(answer) if answer.status == 200 => return answer.body,
                Ok(answer) if answer.status < 500 => panic!("{path}: {}", answer.text),
                other => assert!(begun.elapsed() < PATIENCE, "{path}: {other:?}"),
            }
            std::thread::sleep(LOOK);
        }
    }
}
