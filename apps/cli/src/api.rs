//! What the coordinator's API says, as far as this program reads it. What it prints with `--json` is the answer
//! itself.

use crate::client::{Client, understood};
use crate::failure::{Failure, Kind};
use crate::rendering::ReadPlan;
use base64ct::{Base64, Encoding};
use perennial_model::encoding::Digest;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many wallets are asked for at once.
const PAGE_WALLETS: usize = 1000;
/// How many ceremonies are looked through for the beginning of a digest.
const CEREMONIES_MAX: usize = 1000;
/// How long one answer about a ceremony may be held back.
pub const EVENT_WAIT: Duration = Duration::from_secs(20);

/// Whether the coordinator can work.
#[derive(Clone, Debug, Deserialize)]
pub struct Health {
    /// Signers that are there.
    pub signers_connected: usize,
    /// Signers that governance names.
    pub signers: usize,
}

/// A wallet.
#[derive(Clone, Debug, Deserialize)]
pub struct Wallet {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// Where it receives.
    pub chain: String,
    /// How it signs.
    pub scheme: String,
    /// Where it receives first.
    pub address: Option<String>,
    /// The epoch that signs.
    pub epoch: String,
    /// How many signers sign.
    pub threshold: u8,
    /// Who holds shares.
    pub signers: Vec<Seat>,
    /// The epoch that signs and its parent.
    pub epochs: Vec<Epoch>,
    /// Where copies of its shares may be; empty in a list.
    #[serde(default)]
    pub exposure: Vec<Exposure>,
    /// Since when the oldest number that is not dead has a newer epoch above it, in milliseconds since 1970.
    pub undead_since_ms: Option<u64>,
    /// Reports that copies of its shares are stolen.
    #[serde(default)]
    pub thefts: Vec<Theft>,
}

/// A report that copies of shares are stolen, or that another does not hold.
#[derive(Clone, Debug, Deserialize)]
pub struct Theft {
    /// Its digest.
    pub report: String,
    /// The client that reported it.
    pub by: String,
    /// When it was recorded, in milliseconds since 1970.
    pub reported_ms: u64,
    /// Whose wallets; none for those of all tenants.
    pub tenant: Option<String>,
    /// What is known of it.
    pub text: String,
    /// Who held them; none for a report that withdraws another, and so below.
    pub signer: Option<String>,
    /// The wallets that it names.
    pub wallets: Vec<String>,
    /// From when, in milliseconds since 1970.
    pub from_ms: Option<u64>,
    /// Up to when, in milliseconds since 1970.
    pub to_ms: Option<u64>,
    /// How sure it is.
    pub certainty: Option<String>,
    /// The report that it withdraws.
    pub withdraws: Option<String>,
    /// The report that withdraws it.
    pub withdrawn_by: Option<String>,
}

/// The copies of one number of a wallet.
#[derive(Clone, Debug, Deserialize)]
pub struct Exposure {
    /// The epoch or attempt, or what is below one.
    pub number: String,
    /// What they are worth, in words.
    pub words: String,
    /// The state of the key in the words of NIST SP 800-57.
    pub key_state: String,
    /// Where a copy may be, without a receipt.
    pub outstanding: Vec<String>,
    /// Whose copy is reported as stolen.
    pub stolen: Vec<String>,
}

/// A signer's place in a wallet.
#[derive(Clone, Debug, Deserialize)]
pub struct Seat {
    /// The signer.
    pub signer: String,
}

/// One epoch of a wallet.
#[derive(Clone, Debug, Deserialize)]
pub struct Epoch {
    /// Its number.
    pub epoch: String,
    /// `active`, `retired` or `parent`.
    pub state: String,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Count {
    /// How many are there.
    pub have: u32,
    /// How many it takes.
    pub of: u32,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.have, self.of)
    }
}

/// What has come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// Prepared votes.
    pub prepared: Count,
    /// Probes that verify.
    pub probes: Count,
    /// Holders that serve the epoch.
    pub activated: Count,
    /// Keep votes.
    pub kept: Count,
    /// Receipts.
    pub erased: Count,
}

/// A ceremony.
#[derive(Clone, Debug, Deserialize)]
pub struct Ceremony {
    /// The plan's digest.
    pub ceremony: String,
    /// `create` or `refresh`.
    pub action: String,
    /// The rank of its epochs.
    pub rank: u32,
    /// Where it is.
    pub stage: String,
    /// Approvals.
    pub approvals: Count,
    /// How many wallets the plan names.
    pub wallets: u32,
    /// Wallets whose new epoch all holders keep.
    pub wallets_retired: u32,
    /// Wallets that no further attempt will be made for.
    pub wallets_given_up: u32,
    /// When the plan was submitted, in milliseconds since 1970.
    pub submitted_ms: u64,
    /// From the last approval to the end, in milliseconds.
    pub total_ms: Option<u64>,
    /// How long each phase took, in milliseconds.
    pub phases_ms: BTreeMap<String, u64>,
    /// What has come in.
    pub counts: Counts,
    /// How many attempts are in each phase.
    pub attempts_in: BTreeMap<String, u32>,
    /// Every attempt at every chunk.
    pub attempts: Vec<Attempt>,
}

/// One attempt at one chunk.
#[derive(Clone, Debug, Deserialize)]
pub struct Attempt {
    /// Its number.
    pub epoch: String,
    /// How many wallets.
    pub count: u32,
    /// How they sign.
    pub scheme: String,
    /// Where it is.
    pub phase: String,
    /// What has come in.
    pub counts: Counts,
    /// Why it was left.
    pub left: Option<String>,
    /// What signers last declined.
    pub declined: Vec<Declined>,
}

/// A signer's no.
#[derive(Clone, Debug, Deserialize)]
pub struct Declined {
    /// The signer.
    pub signer: String,
    /// Why, in its words.
    pub reason: String,
}

/// A ceremony after a change.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Rises with every change.
    pub number: u64,
    /// Where it is now.
    pub ceremony: Ceremony,
}

/// A signer.
#[derive(Clone, Debug, Deserialize)]
pub struct Signer {
    /// Its name.
    pub signer: String,
    /// Whether it is there.
    pub connected: bool,
    /// When it last gave a sign of life, in milliseconds since 1970.
    pub last_seen_ms: Option<u64>,
    /// How the ledger broke its word, if the signer has halted for it.
    pub halted: Option<String>,
}

/// A signed transaction.
#[derive(Clone, Debug, Deserialize)]
pub struct Signed {
    /// Under which epoch.
    pub epoch: String,
    /// Who took part.
    pub signers: Vec<String>,
    /// The transaction as the network takes it.
    pub signed_transaction: String,
    /// By what name the network will know it.
    pub transaction_id: Option<String>,
    /// Sessions under the parent epoch after a failure under the new one.
    pub fallbacks: u64,
    /// The place of its entry in the ledger.
    pub ledger_index: u64,
}

/// What the coordinator trusts.
#[derive(Clone, Debug, Deserialize)]
pub struct Governance {
    /// Every version with its approvals, the bytes of a `governance.cbor` in base64.
    pub history: String,
}

/// A plan that waits for approval.
#[derive(Clone, Debug, Deserialize)]
pub struct Submitted {
    /// Its digest.
    pub ceremony: String,
}

#[derive(Deserialize)]
struct Planned {
    plan: String,
}

impl Client {
    /// Whether the coordinator can work.
    pub fn health(&self) -> Result<Health, Failure> {
        understood(self.get("/v1/health")?)
    }

    /// All wallets, page by page, as they are answered.
    pub fn wallets(&self) -> Result<Vec<Value>, Failure> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("/v1/wallets?limit={PAGE_WALLETS}&after={after}"))?;
            if let Some(wallets) = page["wallets"].as_array_mut() {
                all.append(wallets);
            }
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return Ok(all),
            }
        }
    }

    /// A wallet.
    pub fn wallet(&self, id: &str) -> Result<Wallet, Failure> {
        understood(self.get(&format!("/v1/wallets/{id}"))?)
    }

    /// Makes a plan. Nothing is kept of it.
    pub fn draft(&self, draft: &Value) -> Result<ReadPlan, Failure> {
        let drafted: Planned = understood(self.post("/v1/plans/draft", draft, None)?)?;
        read_plan(&drafted.plan)
    }

    /// Submits a plan.
    pub fn submit(&self, plan: &ReadPlan) -> Result<Submitted, Failure> {
        understood(self.post("/v1/plans", &json!({"plan": Base64::encode_string(&plan.bytes)}), None)?)
    }

    /// The plan of a ceremony, read from its bytes. Its digest is the ceremony's name, or it is another plan.
    pub fn plan(&self, ceremony: &str) -> Result<ReadPlan, Failure> {
        let planned: Planned = understood(self.get(&format!("/v1/ceremonies/{ceremony}/plan"))?)?;
        let read = read_plan(&planned.plan)?;
        if read.digest.to_string() != ceremony {
            return Err(Failure::new(
                Kind::Denied,
                format!("the plan that came has the digest {}, not {ceremony}", read.digest),
                "the coordinator: it passes one plan off as another",
                "approve nothing, and find out who runs it",
            ));
        }
        Ok(read)
    }

    /// Hands in a person's approval.
    pub fn approve(&self, ceremony: &str, person: &str, signature: &str) -> Result<Value, Failure> {
        let body = json!({"person": person, "signature": signature});
        self.post(&format!("/v1/ceremonies/{ceremony}/approvals"), &body, None)
    }

    /// The whole digest of the ceremony whose digest begins with these digits.
    pub fn find_ceremony(&self, beginning: &str) -> Result<String, Failure> {
        let digits: String = beginning.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.parse::<Digest>().is_ok() {
            return Ok(digits);
        }
        let list = self.get(&format!("/v1/ceremonies?limit={CEREMONIES_MAX}"))?;
        let known = list["ceremonies"].as_array().into_iter().flatten();
        let known = known.filter_map(|ceremony| ceremony["ceremony"].as_str());
        let matching: Vec<&str> = known.filter(|digest| digest.starts_with(&digits)).collect();
        match matching.as_slice() {
            [one] if digits.len() >= 4 => Ok((*one).to_owned()),
            [] => Err(Failure::new(
                Kind::Refused,
                format!("no ceremony's digest begins with {beginning:?}"),
                "caller",
                "`perennial ceremony list` shows those that there are",
            )),
            _ => Err(Failure::usage(
                format!("{beginning:?} could be {} ceremonies", matching.len()),
                "give more digits, four at least",
            )),
        }
    }

    /// A ceremony once it has changed after the event `since`, or as it is after a while.
    pub fn event(&self, ceremony: &str, since: u64) -> Result<Event, Failure> {
        let wait_ms = EVENT_WAIT.as_millis();
        let path = format!("/v1/ceremonies/{ceremony}/events?since={since}&wait_ms={wait_ms}");
        understood(self.get_waiting(&path, EVENT_WAIT)?)
    }

    /// The signers.
    pub fn signers(&self) -> Result<Vec<Signer>, Failure> {
        understood(self.get("/v1/signers")?["signers"].take())
    }

    /// Has a transaction signed.
    pub fn sign(
        &self,
        wallet: &str,
        transaction: &str,
        path: Option<&str>,
        key: &str,
    ) -> Result<Value, Failure> {
        let mut body = json!({"transaction": transaction});
        if let Some(path) = path {
            body["path"] = path.into();
        }
        self.post(&format!("/v1/wallets/{wallet}/sign"), &body, Some(key))
    }
}

fn read_plan(text: &str) -> Result<ReadPlan, Failure> {
    let refused = |reason: String| {
        Failure::new(
            Kind::Broken,
            format!("what came is no plan: {reason}"),
            "the coordinator, or the versions differ",
            "approve nothing, and use programs of one release",
        )
    };
    let bytes = Base64::decode_vec(text).map_err(|e| refused(e.to_string()))?;
    ReadPlan::from_bytes(bytes).map_err(|e| refused(e.to_string()))
}
