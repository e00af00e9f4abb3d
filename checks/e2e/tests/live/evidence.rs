//! Evidence of a live cluster: made while it signs, checked when it is gone.

use crate::cluster::{Cluster, OPERATOR, TOKEN_FILE};
use crate::governance::Dana;
use crate::load::Load;
use crate::people::{creation, renewal};
use perennial_model::encoding;
use perennial_model::governance::history::Versions;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const SIGNERS: [&str; 3] = ["a", "b", "c"];

/// Runs the operator's tool: exit status, standard output, standard error.
fn operator(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(OPERATOR).args(words).stdin(Stdio::null()).output().expect("run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Makes a bundle, and says whether it was complete.
pub fn make(cluster: &Cluster, about: &str, file: &Path, more: &[&str]) -> Value {
    let (api, file) = (cluster.api.address.to_string(), file.display().to_string());
    let empty = cluster.place().join("empty").display().to_string();
    let token = cluster.place().join(TOKEN_FILE).display().to_string();
    let who = ["--dir", &empty, "--api", &api, "--token-file", &token];
    let words = [&["evidence", about, "-o", &file, "--json"], &who[..]].concat();
    let (status, said, why) = operator(&[&words[..], more].concat());
    assert_eq!(status, Some(0), "{why}");
    serde_json::from_str(&said).expect("JSON")
}

/// Exports the ledger.
fn export(cluster: &Cluster, file: &Path) {
    let (api, file) = (cluster.api.address.to_string(), file.display().to_string());
    let [empty, token] = ["empty", TOKEN_FILE].map(|name| cluster.place().join(name).display().to_string());
    let words = ["ledger", "export", "-o", &file, "--dir", &empty, "--api", &api, "--token-file", &token];
    let (status, _, why) = operator(&words);
    assert_eq!(status, Some(0), "{why}");
}

/// Verifies a bundle with nothing but a governance.
pub fn verify(file: &Path, governance: &str, more: &[&str]) -> (Option<i32>, Value, String) {
    let file = file.display().to_string();
    let words = ["verify", &file, "--governance", governance, "--json", "--api", "127.0.0.1:9"];
    let (status, said, why) = operator(&[&words[..], more].concat());
    (status, serde_json::from_str(&said).expect("JSON"), why)
}

pub fn governance(cluster: &Cluster) -> String {
    cluster.directory("a").join("governance.cbor").display().to_string()
}

/// Runs the commands of `docs/operator/verify-by-hand.md` as they stand there, and what they say if they fail.
fn by_hand(place: &Path, bundle: &[u8]) -> Result<(), String> {
    let page = include_str!("../../../../docs/operator/verify-by-hand.md");
    let blocks = page.split("```sh\n").skip(1).map(|block| block.split("```").next().expect("an end"));
    let commands: String = std::iter::once("set -euo pipefail\n").chain(blocks).collect();
    assert!(commands.matches("openssl pkeyutl -verify").count() == 3, "{commands}");
    std::fs::write(place.join("ceremony.zip"), bundle).expect("written");
    let _ = std::fs::remove_dir_all(place.join("evidence"));
    let output = Command::new("bash").args(["-c", &commands]).current_dir(place).output().expect("bash");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Runs the verifier that was written from `docs/formats.md` alone, or what damages bundles before it.
pub fn in_python(words: &[&str], bundle: &Path) -> Result<(), String> {
    let has_library = |python: &&str| {
        let asked =
            Command::new(python).args(["-c", "import cbor2, ecdsa, nacl"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_library);
    let python =
        python.expect("Python 3.11 with python3-cbor2, python3-ecdsa and python3-nacl: ./check installs it");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new(python).args(words).arg(bundle).current_dir(root).output().expect("run");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
    }
}

/// What people look at by hand is noticed by hand: a plan, a receipt, a checkpoint and governance, changed.
fn assert_by_hand_notices(place: &Path, bundle: &[u8]) {
    let changed = |from: &[u8], to: &[u8]| {
        let at = bundle.windows(from.len()).position(|window| window == from).expect("it is there");
        let mut changed = bundle.to_vec();
        changed[at..at + to.len()].copy_from_slice(to);
        changed
    };
    for (from, to) in [(&b"evault"[..], &b"evaulu"[..]), (b"iperennialgreceipt", b"iperenniblgreceipt")] {
        assert!(by_hand(place, &changed(from, to)).is_err(), "{}", String::from_utf8_lossy(from));
    }
    let governance = std::fs::read(place.join("governance.cbor")).expect("read");
    let mut other = governance.clone();
    let key = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI";
    let at = other.windows(key.len()).position(|window| window == key).expect("a key") + key.len();
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(place.join("governance.cbor"), other).expect("written");
    assert!(by_hand(place, bundle).is_err(), "another key approved it");
    std::fs::write(place.join("governance.cbor"), governance).expect("written");
}

/// A sound governance of the same signers and the same names, with another key of dana's.
fn of_another_cluster(governance: &Path) -> Vec<u8> {
    let versions: Versions = encoding::decode(&std::fs::read(governance).expect("read")).expect("governance");
    let signers = versions.0[0].governance.signers.clone();
    encoding::encode(Dana::new([7; 32]).governance(signers).versions())
}

/// Only what concerns the time that was asked for is in a bundle, with the epochs that may have signed in it.
fn assert_windows(cluster: &Cluster, last: &Value, trusted: &Path, place: &Path) {
    let moment = last["submitted_ms"].as_u64().expect("a number");
    for (end, name) in [("--from", "from"), ("--to", "to")] {
        let file = place.join(name);
        make(cluster, "treasury", &file, &[end, &moment.to_string()]);
        let (status, shown, why) = verify(&file, &trusted.display().to_string(), &[]);
        assert_eq!((status, shown["complete"].as_bool()), (Some(0), Some(true)), "{shown} {why}");
        let times = shown["signatures"].as_array().expect("a list").iter();
        let times: Vec<u64> = times.map(|signed| signed["time_ms"].as_u64().expect("a number")).collect();
        assert!(
            !times.is_empty() && times.iter().all(|at| (*at >= moment) == (end == "--from")),
            "{times:?}"
        );
        let epochs = shown["epochs"].as_array().map(Vec::len);
        assert_eq!(epochs, Some(if end == "--from" { 3 } else { 2 }), "{shown}");
    }
}

/// A ceremony that waits for people has a bundle that says so, and is not false.
fn assert_incomplete(cluster: &Cluster, trusted: &Path, place: &Path) {
    let waiting = cluster.api.submit(&cluster.api.draft(&renewal(0)));
    let file = place.join("waiting");
    let made = make(cluster, &waiting, &file, &[]);
    assert_eq!(made["complete"], false, "{made}");
    let (status, shown, why) = verify(&file, &trusted.display().to_string(), &[]);
    assert_eq!((status, shown["valid"].as_bool()), (Some(0), Some(true)), "{why}");
    assert!(shown["gaps"].to_string().contains("no quorum has approved it"), "{shown}");
}

/// Both verifiers take an export for what it is, and the second one refuses every damage to it.
fn assert_export_is_checked(ledger: &Path, governance: &Path) {
    let (file, trusted) = (ledger.display().to_string(), governance.display().to_string());
    let words = ["ledger", "verify", &file, "--governance", &trusted, "--cosigned", "3"];
    let (status, _, why) = operator(&words);
    assert_eq!(status, Some(0), "{why}");
    let second = ["checks/verifier/verify.py", "--witnesses", "3", "--governance", &trusted];
    assert_eq!(in_python(&second, ledger), Ok(()));
    let damaged = ["checks/verifier/tamper.py", "--count", "2000", "--governance", &trusted];
    assert_eq!(in_python(&damaged, ledger), Ok(()));
    assert_short_one_notices(ledger, &trusted);
}

/// Both verifiers in Python take a bundle for what it is, under no other root, and refuse every damage to it.
fn assert_bundle_is_checked(bundle: &Path, digest: &str) {
    for verifier in ["checks/verifier/verify.py", "checks/verifier/short.py"] {
        assert!(in_python(&[verifier, "--governance", &"7".repeat(64)], bundle).is_err());
    }
    let second = ["checks/verifier/verify.py", "--governance", digest];
    let damaged = ["checks/verifier/tamper.py", "--count", "400", "--governance", digest];
    for words in [&second[..], &damaged] {
        assert_eq!(in_python(words, bundle), Ok(()), "{} {}", words[0], bundle.display());
    }
    assert_short_one_notices(bundle, digest);
}

/// The short verifier takes a bundle or an export for what it is, and refuses whatever is damaged in it.
fn assert_short_one_notices(file: &Path, trusted: &str) {
    let short = ["checks/verifier/short.py", "--governance", trusted];
    let damaged = ["checks/verifier/tamper.py", "--short", "--count", "500", "--governance", trusted];
    for words in [&short[..], &damaged] {
        assert_eq!(in_python(words, file), Ok(()), "{} {}", words[0], file.display());
    }
}

/// Both verifiers count the probes of both Ethereum wallets: the first was probed by three pairs, the other by two.
fn assert_creation_is_checked(bundle: &Path, digest: &str) {
    let second = ["checks/verifier/verify.py", "--governance", digest];
    assert_eq!(in_python(&second, bundle), Ok(()));
    let (status, shown, why) = verify(bundle, digest, &[]);
    assert_eq!(status, Some(0), "{why}");
    let attempts = shown["ceremonies"][0]["attempts"].as_array().expect("a list");
    assert!(attempts.iter().all(|attempt| attempt["possession_checked"] == true), "{shown}");
}

#[test]
fn what_a_cluster_did_is_shown_by_its_bundles_when_it_is_gone() {
    let cluster = Cluster::running(&SIGNERS);
    let wallets =
        [("treasury", "ethereum"), ("vault", "bitcoin"), ("payroll", "solana"), ("spare", "ethereum")];
    let first = cluster.api.complete(&creation(&wallets), &cluster.dana);
    let load = Load::begin(&cluster.api, cluster.api.wallets().into_values());
    cluster.api.complete(&renewal(500), &cluster.dana);
    let last = cluster.api.complete(&renewal(500), &cluster.dana);
    let tally = load.end();
    assert!(tally.complaints.is_empty(), "{:?}", tally.complaints);
    std::fs::create_dir(cluster.place().join("empty")).expect("made");
    let kept = tempfile::tempdir().expect("a directory");
    let [wallet, again, ceremony, founding] =
        ["wallet", "again", "ceremony", "founding"].map(|name| kept.path().join(name));
    let made = make(&cluster, "treasury", &wallet, &[]);
    assert_eq!((&made["complete"], &made["gaps"]), (&Value::Bool(true), &Value::Array(vec![])), "{made}");
    make(&cluster, "treasury", &again, &[]);
    assert_eq!(std::fs::read(&wallet).expect("made"), std::fs::read(&again).expect("made"));
    let made = make(&cluster, last["ceremony"].as_str().expect("text"), &ceremony, &[]);
    assert_eq!(made["complete"], true, "{made}");
    make(&cluster, first["ceremony"].as_str().expect("text"), &founding, &[]);
    let trusted = kept.path().join("governance.cbor");
    std::fs::copy(governance(&cluster), &trusted).expect("copied");
    let signed = cluster.api.look("/v1/ledger/entries?limit=1000");
    let signed = signed["entries"].as_array().expect("a list").iter();
    let signed = signed.filter(|entry| entry["signature"]["wallet"] == "treasury").count();
    assert_windows(&cluster, &last, &trusted, kept.path());
    assert_incomplete(&cluster, &trusted, kept.path());
    let ledger = kept.path().join("ledger");
    export(&cluster, &ledger);
    drop(cluster);

    assert_export_is_checked(&ledger, &trusted);
    let digest = made["genesis"].as_str().expect("text").to_owned();
    let (status, shown, why) = verify(&wallet, &trusted.display().to_string(), &["--witnesses", "3"]);
    assert_eq!(status, Some(0), "{why}");
    let epochs: Vec<&Value> = shown["epochs"].as_array().expect("a list").iter().collect();
    assert_eq!(epochs.len(), 3, "{shown}");
    assert!(epochs.iter().all(|epoch| epoch["public_key"] == epochs[0]["public_key"]), "{shown}");
    for (epoch, next) in epochs.iter().zip(&epochs[1..]) {
        assert_eq!(epoch["ended_by"], next["epoch"], "{shown}");
        assert_eq!(epoch["erased_by"].as_array().map(Vec::len), Some(3), "{shown}");
    }
    let entered = shown["signatures"].as_array().expect("a list");
    assert!(entered.len() == signed && signed > 0, "{} of {signed}", entered.len());
    let (status, shown, why) = verify(&ceremony, &digest, &[]);
    assert_eq!((status, shown["complete"].as_bool()), (Some(0), Some(true)), "{why}");
    let attempts = shown["ceremonies"][0]["attempts"].as_array().expect("a list");
    assert!(attempts.iter().all(|attempt| attempt["possession_checked"] == true), "{shown}");
    assert_eq!(shown["epochs"].as_array().map(Vec::len), Some(8), "{shown}");
    let bundle = std::fs::read(&ceremony).expect("made");
    assert_eq!(by_hand(kept.path(), &bundle), Ok(()));
    assert_by_hand_notices(kept.path(), &bundle);
    let (status, _, why) = verify(&ceremony, &digest, &["--witnesses", "4"]);
    assert!(status == Some(1) && why.contains("3 of 3 signers have cosigned, 4 are wanted"), "{why}");
    assert_creation_is_checked(&founding, &digest);
    for bundle in [&wallet, &ceremony] {
        assert_bundle_is_checked(bundle, &digest);
    }
    let stranger = kept.path().join("stranger.cbor");
    std::fs::write(&stranger, of_another_cluster(&trusted)).expect("written");
    for other in [stranger.display().to_string(), "7".repeat(64)] {
        let (status, _, why) = verify(&ceremony, &other, &[]);
        assert!(status == Some(1) && why.contains("another cluster's"), "{why}");
    }
}
