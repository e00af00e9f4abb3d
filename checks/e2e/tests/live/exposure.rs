//! Where copies of shares are left during a refresh and after it: as the API and the operator's tool tell it, and as a
//! signer tells it of itself.

use crate::cluster::{Cluster, OPERATOR, said};
use crate::people::{LOOK, PATIENCE, creation, renewal};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::time::Instant;

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
    assert_eq!(cluster.show("c")["oldest_undead"], Value::Null);
}
