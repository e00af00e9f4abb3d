//! The demo as a newcomer runs it: the script at the root, with small options, and what its last line says.
//!
//! The script builds the programs that it starts, so nothing has to be built before. Nothing here is timed.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One demo at a time: each keeps the processors busy. Where tests are processes, `.config/nextest.toml` sees to it.
static STAGE: Mutex<()> = Mutex::new(());

fn stage() -> MutexGuard<'static, ()> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs the script without what cargo tells tests: its own cargo is to decide as in a shell.
fn run(options: &[&str]) -> Output {
    let mut command = Command::new(root().join("demo"));
    for (name, _) in std::env::vars_os() {
        let told_by_cargo = name.to_str().is_some_and(|name| name.starts_with("CARGO_"));
        if told_by_cargo && name != "CARGO_HOME" && name != "CARGO_NET_OFFLINE" {
            command.env_remove(name);
        }
    }
    command.args(options).output().expect("the script starts")
}

/// Runs the demo and gives the object on its last line, if everything came out as it should.
fn performed(options: &[&str]) -> Value {
    let output = run(&[options, &["--json"]].concat());
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    let last = said.lines().last().expect("a last line");
    serde_json::from_str(last).unwrap_or_else(|error| panic!("the last line is no JSON: {error}\n{said}"))
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// What holds of every demo with three wallets, whatever else it shows.
fn check(shown: &Value, signers: u64, refreshes: u64) {
    let wanted = ["wallets", "signing", "refreshes", "erasures", "old_shares_dead", "proof"];
    assert_eq!(keys(shown), BTreeSet::from(wanted));
    let wallets = shown["wallets"].as_array().expect("wallets");
    assert_eq!(wallets.len(), 3);
    for wallet in wallets {
        let of_a_wallet =
            ["id", "scheme", "chain", "address_before", "address_after", "epoch_before", "epoch_after"];
        assert_eq!(keys(wallet), BTreeSet::from(of_a_wallet));
        assert!(wallet["address_before"].as_str().is_some_and(|address| address.len() > 30), "{wallet}");
        assert_eq!(wallet["address_before"], wallet["address_after"]);
        assert_eq!(wallet["epoch_before"], serde_json::json!([1, 1]));
        assert_eq!(number(&wallet["epoch_after"][0]), 1 + refreshes, "{wallet}");
    }
    let chains: BTreeSet<&str> = wallets.iter().filter_map(|wallet| wallet["chain"].as_str()).collect();
    assert_eq!(chains, BTreeSet::from(["ethereum", "bitcoin", "solana"]));
    let signing = &shown["signing"];
    assert_eq!(keys(signing), BTreeSet::from(["attempted", "failed", "fallbacks", "steady", "during"]));
    let (steady, during) = (number(&signing["steady"]["count"]), number(&signing["during"]["count"]));
    assert!(steady > 0 && during > 0, "{signing}");
    assert_eq!(number(&signing["attempted"]), steady + during);
    assert_eq!(number(&signing["failed"]), 0);
    let done = shown["refreshes"].as_array().expect("refreshes");
    assert_eq!(done.len() as u64, refreshes);
    for refresh in done {
        assert_eq!(keys(refresh), BTreeSet::from(["ceremony", "wallets", "total_ms", "phases_ms"]));
        assert_eq!(refresh["ceremony"].as_str().map(str::len), Some(64));
        assert_eq!(number(&refresh["wallets"]), 3);
        assert!(number(&refresh["total_ms"]) > 0);
        assert!(keys(&refresh["phases_ms"]).is_superset(&BTreeSet::from(["opening", "keeping", "retiring"])));
    }
    // Wallets of three schemes are three chunks; every signer sends a receipt for each.
    assert_eq!(number(&shown["erasures"]["expected"]), 3 * signers * refreshes);
    assert_eq!(shown["erasures"]["receipts"], shown["erasures"]["expected"]);
    assert_eq!(shown["old_shares_dead"], true);
    let proof = &shown["proof"];
    assert_eq!((number(&proof["mixed_keys"]), number(&proof["old_keys"])), (0, 3), "{proof}");
    assert_eq!(number(&proof["copied_shares"]), 3 * signers * refreshes, "{proof}");
    assert_eq!(number(&proof["present_opened"]), 3 * signers, "every share of today opens: {proof}");
}

#[test]
fn two_of_three_lose_no_signature_and_keep_no_old_share() {
    let _stage = stage();
    let shown = performed(&["--seconds", "1", "--refreshes", "2", "--rate", "10", "--overlap", "1"]);
    check(&shown, 3, 2);
    assert_eq!(number(&shown["signing"]["fallbacks"]), 0);
}

#[test]
fn three_of_five_lose_no_signature_and_keep_no_old_share() {
    let _stage = stage();
    let committee = ["--signers", "5", "--threshold", "3", "--refreshes", "2"];
    let shown = performed(&[&committee[..], &["--seconds", "1", "--rate", "10", "--overlap", "1"]].concat());
    check(&shown, 5, 2);
}

#[test]
fn a_share_that_is_damaged_in_use_costs_no_signature_and_the_next_refresh_replaces_it() {
    let _stage = stage();
    let options =
        ["--break-new-epoch", "--refreshes", "2", "--seconds", "1", "--rate", "20", "--overlap", "5"];
    let shown = performed(&options);
    check(&shown, 3, 2);
    assert!(number(&shown["signing"]["fallbacks"]) > 0, "{shown}");
    assert_eq!(number(&shown["proof"]["damaged"]), 1);
    assert_eq!(number(&shown["proof"]["opened_then"]), 17, "all copied shares but the damaged one");
}

#[test]
fn an_option_that_makes_no_sense_is_one_line_and_status_2() {
    for options in [
        &["--signers", "1"][..],
        &["--threshold", "4"],
        &["--rate", "-3"],
        &["--refreshes", "many"],
        &["--brake-new-epoch"],
        &["--break-new-epoch", "--overlap", "0"],
        &["--break-new-epoch", "--signers", "2"],
        &["--api", "127.0.0.1:1"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perennial"));
        let output = command.args(["demo", "--json"]).args(options).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        let complained = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = complained.lines().collect();
        assert!(matches!(lines[..], [line] if line.contains("what to do: ")), "{options:?}: {complained}");
        let said: Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert_eq!(number(&said["error"]["status"]), 2);
    }
}
