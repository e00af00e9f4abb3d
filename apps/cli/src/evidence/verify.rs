//! `perennial verify`: a bundle against governance, offline.

use super::bundle::{ARCHIVE_BYTES_MAX, Bundle};
use super::check::{Trust, check};
use super::facts::{At, Facts, TheftFact};
use super::flaw::Flaw;
use super::summary::not_shown;
use crate::arguments;
use crate::cluster::Cluster;
use crate::failure::{Failure, Kind};
use crate::operator::{Form, print};
use crate::rendering::{date, grouped};
use getrandom::SysRng;
use perennial_ledger::NoteKey;
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::Governance;
use perennial_model::governance::history::{ApprovedGovernance, History, Versions};
use perennial_model::theft::{Finding, TheftReport};
use rand_core::UnwrapErr;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Carries out the command. It asks nobody.
pub fn run(global: &arguments::Global, arguments: &arguments::Verify) -> Result<(), Failure> {
    let trust = trust(global, arguments)?;
    let path = &arguments.file;
    let mut bytes = Vec::new();
    let file = File::open(path).map(|file| file.take(ARCHIVE_BYTES_MAX as u64 + 1));
    let read = file.and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| Failure::file("read", path, &error))?;
    let facts = Bundle::from_bytes(&bytes).and_then(|bundle| check(&bundle, &trust, &mut UnwrapErr(SysRng)));
    let facts = facts.map_err(|flaw| refused(&flaw))?;
    match Form::of(global) {
        Form::Text => print(&text(&facts, newer(&facts, &trust))),
        Form::Json => print(&format!("{}\n", value(&facts, newer(&facts, &trust)))),
    }
    Ok(())
}

/// A bundle that does not verify.
pub fn refused(flaw: &Flaw) -> Failure {
    Failure::new(
        Kind::Broken,
        flaw,
        "whoever made the bundle, or had it since",
        "believe none of it, keep it, and have another one made",
    )
}

fn trust(global: &arguments::Global, arguments: &arguments::Verify) -> Result<Trust, Failure> {
    let key = arguments.key.as_deref().map(NoteKey::parse).transpose();
    let key = key.map_err(|error| Failure::usage(error, "give the key as `name+id+base64`"))?;
    let (genesis, known) = match &arguments.governance {
        Some(given) => read_governance(given)?,
        None => {
            let cluster = Cluster::open(global.dir.as_deref().unwrap_or(Path::new(".")))?;
            let history = cluster.history()?.ok_or_else(|| {
                Failure::usage(
                    "nobody says which governance is to be trusted",
                    "give --governance with a governance.cbor, or the digest of its first version",
                )
            })?;
            (history.first_digest(), Some(history))
        }
    };
    Ok(Trust { genesis: Some(genesis), known, witnesses: arguments.witnesses, key })
}

/// The digest of a first version, or a file with it: alone, with its approvals, or with all that followed.
fn read_governance(given: &str) -> Result<(Digest, Option<History>), Failure> {
    if let Ok(digest) = given.split_whitespace().collect::<String>().parse() {
        return Ok((digest, None));
    }
    let path = Path::new(given);
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let unsound = |reason: String| {
        Failure::usage(format!("{given} is no governance: {reason}"), "get it from those who approved it")
    };
    if let Ok(governance) = encoding::decode::<Governance>(&bytes) {
        return first_alone(&governance).map_err(unsound);
    }
    let versions = match encoding::decode::<ApprovedGovernance>(&bytes) {
        Ok(first) => Versions(vec![first]),
        Err(_) => encoding::decode(&bytes).map_err(|error| unsound(error.to_string()))?,
    };
    let history = History::check(versions).map_err(|error| unsound(error.to_string()))?;
    Ok((history.first_digest(), Some(history)))
}

fn first_alone(governance: &Governance) -> Result<(Digest, Option<History>), String> {
    match governance.version {
        1 => Ok((governance.digest(), None)),
        version => Err(format!("it is version {version}, and trust begins with the first")),
    }
}

/// The number of the version that the reader knows, where the bundle's newest is an older one. Signers that were removed
/// since may have lost their keys, and with enough of them a bundle of before can be made at any time.
fn newer(facts: &Facts, trust: &Trust) -> Option<u64> {
    let known = trust.known.as_ref()?.newest().version;
    facts.governance.last().is_some_and(|newest| newest.version < known).then_some(known)
}

/// What is printed.
pub(super) fn text(facts: &Facts, newer: Option<u64>) -> String {
    let ledger = &facts.ledger;
    let mut text = format!("every check passes\ngenesis     {}\n", grouped(&facts.genesis));
    let newest = facts.governance.last().map_or(0, |version| version.version);
    text.push_str(&format!("governance  version {newest}\n"));
    if let Some(known) = newer {
        text.push_str(&format!(
            "            YOU KNOW VERSION {known}: signers that were removed since could have made this; ask for a newer one\n"
        ));
    }
    let by: Vec<String> = ledger
        .cosigned
        .iter()
        .map(|(name, time_s)| format!("{name} at {}", date(time_s.saturating_mul(1000))))
        .collect();
    let all = ledger.cosigned.len() + ledger.not_cosigned.len();
    text.push_str(&format!("ledger      {} entries, root {}\n", ledger.size, ledger.root));
    text.push_str(&format!("cosigned    by {} of {all}: {}\n", by.len(), by.join(", ")));
    text.push_str(&format!("evidence    {}", facts.in_short()));
    text.push_str("\nwhat is not shown:\n");
    not_shown(facts).iter().for_each(|limit| text.push_str(&format!("  - {limit}\n")));
    text
}

fn value(facts: &Facts, newer: Option<u64>) -> Value {
    let names = |signers: &[perennial_model::committee::SignerId]| {
        signers.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    json!({
        "valid": true,
        "complete": facts.gaps.is_empty(),
        "gaps": facts.gaps,
        "about": facts.about,
        "genesis": facts.genesis.to_string(),
        "governance_version": facts.governance.last().map(|version| version.version),
        "newer_governance_known": newer,
        "ledger": {
            "key": facts.ledger.key, "key_named_by_governance": facts.ledger.is_named, "size": facts.ledger.size,
            "root": facts.ledger.root, "not_cosigned_by": facts.ledger.not_cosigned,
            "cosigned_by": facts.ledger.cosigned.iter()
                .map(|(signer, time_s)| json!({"signer": signer, "time_s": time_s})).collect::<Vec<_>>(),
        },
        "ceremonies": facts.ceremonies.iter().map(|ceremony| json!({
            "plan": ceremony.plan.to_string(),
            "action": ceremony.approved_plan.as_ref().map(|plan| plan.action.to_string()),
            "wallets": ceremony.approved_plan.as_ref().map(|plan| plan.wallets.len()),
            "governance_version": ceremony.governance_version,
            "mandate": ceremony.approved_plan.as_ref()
                .and_then(|plan| Some(plan.mandate.as_ref()?.mandate.to_string())),
            "approved_by": ceremony.approved_by.iter()
                .map(|(person, role)| json!({"person": person.to_string(), "role": role})).collect::<Vec<_>>(),
            "submitted": at(ceremony.submitted), "approved": at(ceremony.approved), "ended": at(ceremony.ended),
            "attempts": ceremony.attempts.iter().map(|attempt| json!({
                "epoch": attempt.chunk.epoch.to_string(), "first": attempt.chunk.first,
                "count": attempt.chunk.count, "holders": names(&attempt.holders),
                "activated": at(attempt.activated), "retired": at(attempt.retired), "left": at(attempt.left),
                "possession_checked": attempt.is_possessed,
                "receipts": attempt.receipts.iter().map(|(entry, signer, erased_at_ms, level)| json!({
                    "entry": entry.place, "signer": signer.to_string(), "erased_at_ms": erased_at_ms, "level": level,
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "epochs": facts.epochs.iter().map(|epoch| json!({
            "wallet": epoch.wallet.id.to_string(), "chain": epoch.wallet.chain.name(), "address": epoch.address,
            "public_key": epoch.public_key, "epoch": epoch.epoch.to_string(),
            "plan": epoch.plan.map(|plan| plan.to_string()), "transcript": epoch.transcript.to_string(),
            "threshold": epoch.threshold, "holders": names(&epoch.holders),
            "activated": at(epoch.activated), "kept": at(epoch.kept),
            "ended": at(epoch.ended.map(|(at, _)| at)),
            "ended_by": epoch.ended.map(|(_, by)| by.to_string()),
            "erased_by": names(&epoch.erased_by), "not_erased_by": names(&epoch.not_erased_by),
            "written_off": names(&epoch.written_off),
        })).collect::<Vec<_>>(),
        "thefts": facts.thefts.iter().map(theft).collect::<Vec<_>>(),
        "signatures": facts.signatures.iter().map(|signed| json!({
            "entry": signed.at.place, "time_ms": signed.at.time_ms, "epoch": signed.epoch.to_string(),
            "transcript": signed.transcript.to_string(), "plan": signed.plan.to_string(),
            "signers": signed.signers, "transaction_id": signed.transaction_id,
        })).collect::<Vec<_>>(),
        "not_shown": not_shown(facts),
    })
}

fn theft(theft: &TheftFact) -> Value {
    let TheftReport { finding, tenant, by, text } = &theft.report;
    let said = json!({
        "report": theft.digest.to_string(), "entry": theft.at.place, "time_ms": theft.at.time_ms,
        "by": by.to_string(), "tenant": tenant.as_ref().map(ToString::to_string), "text": text,
        "withdrawn": at(theft.withdrawn),
    });
    let more = match finding {
        Finding::Withdrawn(report) => json!({"withdraws": report.to_string()}),
        Finding::Stolen { signer, wallets, from_ms, to_ms, certainty } => json!({
            "signer": signer.to_string(), "certainty": certainty.name(), "from_ms": from_ms, "to_ms": to_ms,
            "wallets": wallets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
    };
    [said, more].into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect()
}

fn at(at: Option<At>) -> Value {
    at.map_or(Value::Null, |at| json!({"entry": at.place, "time_ms": at.time_ms}))
}
