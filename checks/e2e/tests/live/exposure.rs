//! Where copies of shares are left during a refresh and after it: as the API and the operator's tool tell it, and as a
//! signer tells it of itself; and what is reported as stolen.

use crate::cluster::{Cluster, OPERATOR, THE_COORDINATOR, said};
use crate::evidence::{governance, in_python, make, verify};
use crate::people::{LOOK, PATIENCE, creation, renewal};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Long enough to look around in it.
const OVERLAP_MS: u64 = 6_000;

/// Number, exposure, key state and places without receipt of each row.
fn register(wallet: &Value) -> Vec<Value> {
    let rows = wallet["exposure"].as_array().expect("a register").iter();
    rows.map(|row| json!([row["number"], row["exposure"], row["key_state"], row["outstanding"]])).collect()
}

#[test]
fn an_old_epoch_is_told_as_not_dead_until_every_signer_has_given_its_receipt() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("payroll", "solana")]), &cluster.dana);
    let live = |number: &str| json!([number, "live", "active", ["a", "b", "c"]]);
    let wallet = |cluster: &Cluster| cluster.api.look("/v1/wallets/payroll");
    let first = wallet(&cluster);
    assert_eq!((register(&first), &first["undead_since_ms"]), (vec![live("1.1")], &Value::Null));

    let ceremony = cluster.api.begin(&renewal(OVERLAP_MS), &cluster.dana);
    let begun = Instant::now();
    let overlapping = loop {
        let shown = wallet(&cluster);
        let serving = shown["epochs"][0]["served_by"].as_array().map_or(0, Vec::len);
        if shown["epoch"] == "2.1" && serving == 3 {
            break shown;
        }
        assert!(begun.elapsed() < PATIENCE, "{shown}");
        std::thread::sleep(LOOK);
    };
    // As long as the overlap lasts, a signer that is gone keeps both.
    cluster.kill("c");
    assert_eq!(register(&overlapping), [live("2.1"), live("1.1")]);
    let since_ms = overlapping["undead_since_ms"].as_u64().expect("a time");
    let held = &cluster.show("c")["oldest_undead"];
    assert_eq!((&held["wallet"], &held["epoch"]), (&json!("payroll"), &json!([1, 1])));
    assert!(held["since_ms"].as_u64().is_some_and(|own_ms| own_ms.abs_diff(since_ms) < 60_000), "{held}");

    cluster.start("c");
    cluster.api.finish(&ceremony);
    let done = wallet(&cluster);
    assert_eq!(register(&done), [live("2.1"), json!(["below 2.1", "dead", "destroyed", []])]);
    assert_eq!(done["undead_since_ms"], Value::Null);
    let api = cluster.api.address.to_string();
    let words = ["wallet", "show", "payroll", "--api", &api, "--dir"].map(AsRef::as_ref);
    let words: Vec<&OsStr> = words.into_iter().chain([cluster.place().as_os_str()]).collect();
    let shown = said(OPERATOR, &words);
    assert!(shown.contains("below 2.1") && shown.contains("destroyed"), "{shown}");
    assert!(shown.contains("nothing older is left"), "{shown}");
    let figures = cluster.api.get("/metrics").expect("it is up").text;
    assert!(figures.contains("perennial_receipts_awaited_seconds 0"), "{figures}");
    cluster.stop("c");
    let shown = cluster.show("c");
    assert_eq!(shown["oldest_undead"], Value::Null);
    let own = &shown["wallets"][0]["address"];
    assert!(own.is_string() && *own == done["address"], "{shown}");
}

/// Runs the operator's tool in the cluster's directory.
fn operator(cluster: &Cluster, words: &[&str]) -> String {
    let api = cluster.api.address.to_string();
    let who = ["--api", &api, "--dir"].map(AsRef::as_ref);
    let words: Vec<&OsStr> = words.iter().map(AsRef::as_ref).chain(who).collect();
    said(OPERATOR, &[&words[..], &[cluster.place().as_os_str()]].concat())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("later").as_millis() as u64
}

#[test]
fn what_is_reported_as_stolen_is_told_by_register_ledger_and_evidence_and_no_restart_forgets_it() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("payroll", "solana"), ("spare", "solana")]), &cluster.dana);
    let made_ms = now_ms();
    cluster.api.complete(&renewal(0), &cluster.dana);
    let report = |cluster: &Cluster, signer: &str, to_ms: u64| -> Value {
        let span = ["--from", "0", "--to", &to_ms.to_string()];
        let words =
            ["signer", "report-theft", signer, "--wallet", "payroll", "--json", "--text", "a disk is gone"];
        serde_json::from_str(&operator(cluster, &[&words[..], &span].concat())).expect("JSON")
    };
    let worth = |cluster: &Cluster, wallet: &str| -> Vec<Value> {
        let shown = cluster.api.look(&format!("/v1/wallets/{wallet}"));
        let rows = shown["exposure"].as_array().expect("a register").iter();
        rows.map(|row| json!([row["number"], row["exposure"], row["key_state"], row["stolen"]])).collect()
    };
    let first = report(&cluster, "a", made_ms);
    assert_eq!(report(&cluster, "a", made_ms), first, "the same again is the same");
    let fresh = [json!(["2.1", "live", "active", []]), json!(["below 2.1", "dead", "destroyed", []])];
    let old = |exposure: &str, state: &str, stolen: &[&str]| json!(["1.1", exposure, state, stolen]);
    let one = old("dead against liars", "deactivated", &["a"]);
    assert_eq!(worth(&cluster, "payroll"), [&fresh[..], &[one]].concat());
    let second = report(&cluster, "b", made_ms);
    let lost = [&fresh[..], &[old("lost", "compromised", &["a", "b"])]].concat();
    assert_eq!(worth(&cluster, "payroll"), lost);
    cluster.kill(THE_COORDINATOR);
    cluster.start(THE_COORDINATOR);
    cluster.wait_until_ready();
    assert_eq!((worth(&cluster, "payroll"), worth(&cluster, "spare")), (lost, fresh.to_vec()));
    let shown = operator(&cluster, &["wallet", "show", "payroll"]);
    assert!(shown.contains("LOST") && shown.contains("suspected to be stolen at b from"), "{shown}");

    let digest = second["digest"].as_str().expect("text");
    operator(&cluster, &["signer", "withdraw-theft", &digest[..12], "--text", "it was another disk"]);
    let listed = operator(&cluster, &["signer", "thefts"]);
    assert!(listed.contains("withdrawn by report") && listed.lines().count() == 3, "{listed}");
    assert!(!operator(&cluster, &["wallet", "show", "payroll"]).contains("LOST"));
    assert_refused(&cluster);

    std::fs::create_dir(cluster.place().join("empty")).expect("made");
    let (bundle, trusted) = (cluster.place().join("payroll.zip"), governance(&cluster));
    make(&cluster, "payroll", &bundle, &[]);
    let (status, shown, why) = verify(&bundle, &trusted, &[]);
    assert_eq!((status, shown["thefts"].as_array().map(Vec::len)), (Some(0), Some(3)), "{shown} {why}");
    assert_eq!((&shown["thefts"][0]["signer"], &shown["thefts"][1]["report"]), (&json!("a"), &json!(digest)));
    assert!(shown["thefts"][1]["withdrawn"]["entry"].is_u64(), "{shown}");
    let second = ["checks/verifier/verify.py", "--governance", &trusted];
    assert_eq!(in_python(&second, &bundle), Ok(()));
    let damaged = ["checks/verifier/tamper.py", "--count", "200", "--governance", &trusted];
    assert_eq!(in_python(&damaged, &bundle), Ok(()));
    let spare = cluster.place().join("spare.zip");
    make(&cluster, "spare", &spare, &[]);
    assert_eq!(verify(&spare, &trusted, &[]).1["thefts"], json!([]));
}

/// Reports that count for nothing, and how that is said.
fn assert_refused(cluster: &Cluster) {
    let stolen = |change: fn(&mut Value)| {
        let mut stolen =
            json!({"signer": "a", "wallets": ["payroll"], "from_ms": 1, "to_ms": 2, "certainty": "known"});
        change(&mut stolen);
        json!({"stolen": stolen, "text": "a disk is gone"})
    };
    for (body, problem) in [
        (stolen(|stolen| stolen["signer"] = "mallory".into()), "bad-theft-report"),
        (stolen(|stolen| stolen["from_ms"] = 3.into()), "bad-theft-report"),
        (stolen(|stolen| stolen["to_ms"] = u64::MAX.into()), "bad-theft-report"),
        (stolen(|stolen| stolen["wallets"] = json!(["nobody"])), "unknown-wallet"),
        (stolen(|stolen| stolen["certainty"] = "likely".into()), "malformed-request"),
        (json!({"text": "nothing"}), "malformed-request"),
        (json!({"withdraws": "0".repeat(64), "text": "nothing"}), "bad-theft-report"),
    ] {
        let answer = cluster.api.post("/v1/thefts", &body, None).expect("it is up");
        assert_eq!(answer.problem(), problem, "{body}: {}", answer.text);
    }
}
