//! What this coordinator trusts, and how it comes to trust something else.

use super::approval::ApprovalBody;
use super::input::Body;
use super::plans::refused;
use super::problem::{BAD_GOVERNANCE, MALFORMED, Problem};
use super::{Answered, AtDesk};
use axum::Json;
use axum::extract::State;
use base64ct::{Base64, Encoding};
use perennial_ledger::SignNote;
use perennial_model::encoding;
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::governance::{ApproverKey, Governance};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The largest governance that is read from a request, in bytes of JSON.
const BODY_BYTES_MAX: usize = 2 << 20;

/// What this coordinator trusts, and by what others know it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GovernanceBody {
    /// The digest of the version in force.
    pub digest: String,
    /// Its number.
    pub version: u64,
    /// Its canonical bytes in base64.
    pub document: String,
    /// The digest of the first version, from which all others can be checked.
    pub genesis: String,
    /// Every version with its approvals, in base64: the bytes of a `governance.cbor`.
    pub history: String,
    /// The approvals of the version in force.
    pub approvals: Vec<ApprovalBody>,
    /// Whose approval counts.
    pub approvers: Vec<ApproverBody>,
    /// What it takes to decide.
    pub rules: Vec<RuleBody>,
    /// Whose wallets there may be.
    pub tenants: Vec<String>,
    /// The signers.
    pub signers: Vec<SignerIdentityBody>,
    /// The pin of the coordinator's transport key, which every signer's configuration names.
    pub coordinator_pin: String,
    /// The public key of the ledger's checkpoints, `name+id+base64`.
    pub ledger_key: String,
}

/// Somebody whose approval counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApproverBody {
    /// Who.
    pub person: String,
    /// In which role.
    pub role: String,
    /// Their SSH keys, each as one line of an OpenSSH public key file.
    pub ssh_keys: Vec<String>,
    /// How many passkeys they have.
    pub passkeys: usize,
    /// The tenants for whom they approve; empty: all.
    pub tenants: Vec<String>,
}

/// What it takes to decide a matter.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleBody {
    /// `create`, `refresh`, `govern`, `mandate`, `cancel`, `pause` or `readmit`.
    pub matter: String,
    /// From which tier on this rule holds.
    pub from_tier: String,
    /// Every one of these.
    pub demands: Vec<DemandBody>,
}

/// Some persons of one role.
#[derive(Debug, Serialize, ToSchema)]
pub struct DemandBody {
    /// The role.
    pub role: String,
    /// How many distinct persons.
    pub approvals: u8,
}

/// A signer as governance knows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignerIdentityBody {
    /// Its name.
    pub signer: String,
    /// SHA-256 of the public key that it shows in TLS.
    pub transport_pin: String,
    /// The newest version that it has said to have, since the coordinator was started.
    pub version: Option<u64>,
}

/// Shows the governance in force here. Compare the digest of its first version with what the signers pin.
#[utoipa::path(
    get,
    path = "/v1/governance",
    tag = "standing",
    responses((status = 200, description = "The governance and what it says", body = GovernanceBody))
)]
pub async fn show(State(desk): AtDesk) -> Json<GovernanceBody> {
    let trusted = desk.in_force.get();
    let governance = trusted.governance();
    let versions = trusted.history.versions();
    let approvals = versions.0.last().map(|newest| newest.approvals.clone()).unwrap_or_default();
    let has = desk.view.governed();
    Json(GovernanceBody {
        digest: trusted.digest().to_string(),
        version: governance.version,
        document: Base64::encode_string(&trusted.document()),
        genesis: trusted.history.first_digest().to_string(),
        history: Base64::encode_string(&encoding::encode(versions)),
        approvals: approvals.into_iter().map(ApprovalBody::from).collect(),
        approvers: approvers(governance),
        rules: rules(governance),
        tenants: governance.tenants.iter().map(ToString::to_string).collect(),
        signers: governance
            .signers
            .iter()
            .map(|known| SignerIdentityBody {
                signer: known.signer.to_string(),
                transport_pin: known.transport_pin.to_string(),
                version: has.get(&known.signer).copied(),
            })
            .collect(),
        coordinator_pin: desk.pin.to_string(),
        ledger_key: desk.ledger_key.key().to_string(),
    })
}

fn approvers(governance: &Governance) -> Vec<ApproverBody> {
    let shown = governance.approvers.iter().map(|known| {
        let ssh_keys = known.keys.iter().filter_map(|key| match key {
            ApproverKey::Ssh(line) => Some(line.clone()),
            ApproverKey::Passkey(_) => None,
        });
        let ssh_keys: Vec<String> = ssh_keys.collect();
        ApproverBody {
            person: known.person.to_string(),
            role: known.role.to_string(),
            passkeys: known.keys.len() - ssh_keys.len(),
            ssh_keys,
            tenants: known.tenants.iter().map(ToString::to_string).collect(),
        }
    });
    shown.collect()
}

fn rules(governance: &Governance) -> Vec<RuleBody> {
    let shown = governance.rules.iter().map(|rule| RuleBody {
        matter: rule.matter.to_string(),
        from_tier: rule.from_tier.to_string(),
        demands: rule
            .demands
            .iter()
            .map(|demand| DemandBody { role: demand.role.to_string(), approvals: demand.approvals })
            .collect(),
    });
    shown.collect()
}

/// The next version of governance.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NextGovernance {
    /// The canonical bytes of the version with its approvals, in base64: a file of `perennial governance approve`.
    pub approved: String,
}

/// What is in force after this.
#[derive(Debug, Serialize, ToSchema)]
pub struct Governed {
    /// The digest of the version in force.
    pub digest: String,
    /// Its number.
    pub version: u64,
}

/// Takes in the next version of governance, approved by a quorum of the present one, and hands it to every signer, who
/// checks it again. Plans under the present one that are not Activated end. The same version again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/governance",
    tag = "standing",
    request_body = NextGovernance,
    responses(
        (status = 200, description = "It is in force", body = Governed),
        (status = "4XX", description = "It breaks a rule, or lacks approvals", body = Problem,
         content_type = "application/problem+json"),
        (status = "5XX", description = "The coordinator's", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub async fn extend(
    State(desk): AtDesk,
    Body(body): Body<NextGovernance, BODY_BYTES_MAX>,
) -> Answered<Governed> {
    let action = "send the file that `perennial governance approve` wrote";
    let bytes = Base64::decode_vec(&body.approved)
        .map_err(|error| Problem::of_caller(MALFORMED, format!("this is no base64: {error}"), action))?;
    let next: ApprovedGovernance = encoding::decode(&bytes).map_err(|error| {
        Problem::of_caller(BAD_GOVERNANCE, format!("this is no governance: {error}"), action)
    })?;
    let (version, digest) = (next.governance.version, next.governance.digest());
    if desk.in_force.get().history.version_of(&digest).is_none() {
        desk.ceremonies.govern(next).await.map_err(|refusal| refused(refusal, BAD_GOVERNANCE))?;
    }
    Ok(Json(Governed { digest: digest.to_string(), version }))
}
