//! Signers as witnesses of the ledger: they cosign what the coordinator shows, and stop it when its ledger goes back.

use crate::cluster::{Cluster, OPERATOR, SIGNER, THE_COORDINATOR, TOKEN_FILE, said};
use crate::decisions::{give, order};
use crate::governance::name;
use crate::load::{Tally, sign};
use crate::people::{LOOK, PATIENCE, creation, renewal};
use crate::transactions::payment;
use perennial_ledger::{Checkpoint, NoteKey, WitnessKey};
use perennial_model::encoding;
use perennial_model::governance::history::{History, Versions};
use perennial_model::identity::IdentityKey;
use perennial_model::order::Deed;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const SIGNERS: [&str; 3] = ["a", "b", "c"];

/// Waits for a served checkpoint under which exactly these have their lines, each checked against governance.
fn wait_until_cosigned(cluster: &Cluster, by: &[&str], size: u64) -> Checkpoint {
    let governance = std::fs::read(cluster.directory(THE_COORDINATOR).join("governance.cbor"));
    let versions: Versions = encoding::decode(&governance.expect("a file")).expect("governance");
    let history = History::check(versions).expect("a sound governance");
    let governance = history.newest();
    let begun = Instant::now();
    loop {
        let shown = cluster.api.look("/v1/ledger/checkpoint");
        let key = NoteKey::parse(shown["key"].as_str().expect("text")).expect("a key");
        let note = shown["checkpoint"].as_str().expect("text");
        let checkpoint = Checkpoint::open(note.as_bytes(), &key).expect("the ledger's");
        let cosigned = |known: &&perennial_model::governance::SignerIdentity| {
            let IdentityKey::Ed25519(public) = known.key;
            let witness = WitnessKey::of_member(checkpoint.origin(), known.signer.as_str(), &public);
            checkpoint.cosigned_by(&witness.expect("a witness")).is_ok()
        };
        let names: Vec<&str> =
            governance.signers.iter().filter(cosigned).map(|known| known.signer.as_str()).collect();
        if names == by && checkpoint.head().size >= size {
            assert_eq!(note.lines().count(), 5 + by.len(), "{note}");
            assert_eq!(shown["size"], checkpoint.head().size);
            return checkpoint;
        }
        assert!(begun.elapsed() < PATIENCE, "{names:?} of {by:?}, {size}: {shown}");
        std::thread::sleep(LOOK);
    }
}

fn ledger_size(cluster: &Cluster) -> u64 {
    cluster.api.look("/v1/ledger/entries?limit=1")["size"].as_u64().expect("a number")
}

fn wait_until_up(cluster: &Cluster) {
    let begun = Instant::now();
    while cluster.api.get("/v1/health").is_err() {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.log(THE_COORDINATOR));
        std::thread::sleep(LOOK);
    }
}

/// An entry that needs no signer.
fn enter_a_plan(cluster: &Cluster) {
    let before = ledger_size(cluster);
    cluster.api.submit(&cluster.api.draft(&renewal(0)));
    let begun = Instant::now();
    while ledger_size(cluster) == before {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.log(THE_COORDINATOR));
        std::thread::sleep(LOOK);
    }
}

/// Copies the ledger of a coordinator that does not run.
fn copy_ledger(from: &Path, to: &Path) {
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let (from, to) = (from.join(name), to.join(name));
        match from.try_exists().expect("looked") {
            true => drop(std::fs::copy(from, to).expect("copied")),
            // What is left of a later time does not belong to the copy.
            false => drop(std::fs::remove_file(to)),
        }
    }
}

/// Waits until each of them has told the coordinator that it has halted.
fn wait_for_alarms(cluster: &Cluster, by: &[&str]) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let shown = cluster.api.look("/v1/ledger/checkpoint");
        let witnesses = shown["witnesses"].as_array().expect("a list").clone();
        let alarmed: Vec<&Value> = witnesses.iter().filter(|known| !known["alarm"].is_null()).collect();
        if alarmed.len() == by.len() {
            assert!(alarmed.iter().zip(by).all(|(known, by)| known["signer"] == *by), "{shown}");
            return alarmed.iter().map(|known| known["alarm"].clone()).collect();
        }
        assert!(begun.elapsed() < PATIENCE, "no alarm: {shown}");
        std::thread::sleep(LOOK);
    }
}

/// Nothing is signed, and whoever asks is told why.
fn assert_refused(cluster: &Cluster, wallet: &Value, number: u32) {
    let body = json!({"transaction": payment(wallet, number).text});
    let answer = cluster.api.post("/v1/wallets/payroll/sign", &body, None).expect("it is up");
    assert_eq!(answer.problem(), "denied", "{}", answer.text);
    assert!(answer.text.contains("this signer has halted: the log was"), "{}", answer.text);
}

/// The signer has ended as it was told, its log says that it halted, and its records hold both checkpoints.
fn assert_halted(cluster: &mut Cluster, signer: &str, breach: &str) {
    assert_eq!(cluster.stop(signer), Some(0), "{}", cluster.log(signer));
    let log = cluster.log(signer);
    assert!(log.contains(&format!("HALTED: the ledger was {breach}")), "{log}");
    let halted = &cluster.show(signer)["halted"];
    assert_eq!(halted["breach"], breach, "{halted}");
    let key = NoteKey::parse(halted["key"].as_str().expect("text")).expect("a key");
    let heads = ["cosigned", "offered"].map(|which| {
        let note = halted[which].as_str().expect("text");
        *Checkpoint::open(note.as_bytes(), &key).expect("evidence").head()
    });
    assert_ne!(heads[0], heads[1]);
}

fn clear(cluster: &Cluster, signer: &str) {
    let directory = cluster.directory(signer);
    let printed = said(SIGNER, &["clear-halt".as_ref(), "--dir".as_ref(), directory.as_os_str()]);
    assert!(printed.contains("HALTED") && printed.contains("cleared"), "{printed}");
}

/// A cluster with a wallet that has signed, and its wallet.
fn working() -> (Cluster, Value) {
    let cluster = Cluster::running(&SIGNERS);
    cluster.api.complete(&creation(&[("payroll", "solana")]), &cluster.dana);
    let wallet = cluster.api.wallets().remove("payroll").expect("made");
    sign(&cluster.api, &wallet, 1, &mut Tally::default()).expect("signed");
    (cluster, wallet)
}

#[test]
fn every_signer_that_is_there_cosigns_the_ledger_and_one_that_was_away_catches_up() {
    let (mut cluster, wallet) = working();
    let first = wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));

    cluster.kill("c");
    for number in 2..20 {
        sign(&cluster.api, &wallet, number, &mut Tally::default()).expect("signed");
    }
    wait_until_cosigned(&cluster, &["a", "b"], ledger_size(&cluster));
    cluster.start("c");
    let caught_up = wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));
    assert!(caught_up.head().size >= first.head().size + 18);

    // What was cosigned outlives the coordinator; it is kept with whatever is entered next.
    SIGNERS.iter().for_each(|signer| cluster.kill(signer));
    enter_a_plan(&cluster);
    cluster.kill(THE_COORDINATOR);
    cluster.start(THE_COORDINATOR);
    wait_until_up(&cluster);
    let kept = cluster.api.look("/v1/ledger/checkpoint");
    assert!(kept["checkpoint"].as_str().is_some_and(|note| note.lines().count() > 5), "{kept}");
    assert!(kept["size"].as_u64().is_some_and(|size| size >= caught_up.head().size), "{kept}");
    SIGNERS.iter().for_each(|signer| cluster.start(signer));
    cluster.wait_until_ready();
    sign(&cluster.api, &wallet, 20, &mut Tally::default()).expect("signed");
    wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));
}

/// Runs the operator's tool: exit status, standard output, standard error.
fn operator(words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(OPERATOR).args(words).stdin(Stdio::null()).output().expect("run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_operator_reads_exports_and_audits_the_ledger_and_an_auditor_needs_nothing_but_governance() {
    let (cluster, _) = working();
    let checkpoint = wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));
    let path = |name: &str| cluster.place().join(name).display().to_string();
    let (export, forged, empty) = (path("ledger.export"), path("forged.export"), path("empty"));
    std::fs::create_dir(&empty).expect("made");
    let (api, governance) = (cluster.api.address.to_string(), path("coordinator/governance.cbor"));
    let token = path(TOKEN_FILE);
    let live = ["--dir", &empty, "--api", &api, "--token-file", &token];

    let (status, shown, _) = operator(&[&["ledger", "tail", "--from", "0"], &live[..]].concat());
    assert_eq!(status, Some(0));
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() as u64 >= checkpoint.head().size, "{shown}");
    assert!(lines[0].contains("governance-pinned") && shown.contains("signature"), "{shown}");
    let (status, shown, _) = operator(&[&["ledger", "tail", "--json"], &live[..]].concat());
    let last: Value = serde_json::from_str(shown.lines().last().expect("a line")).expect("JSON");
    assert_eq!((status, last["index"].as_u64()), (Some(0), Some(lines.len() as u64 - 1)));

    let (status, _, said) = operator(&[&["ledger", "export", "-o", &export], &live[..]].concat());
    assert_eq!(status, Some(0), "{said}");
    let trust = ["--governance", &governance, "--cosigned", "3", "--json"];
    let offline = ["--dir", &empty, "--api", "127.0.0.1:9"];
    for from in [&[&export[..]][..], &[]] {
        let to = if from.is_empty() { &live[..] } else { &offline };
        let words = [&["ledger", "verify"], from, &trust[..], to].concat();
        let (status, shown, said) = operator(&words);
        assert_eq!(status, Some(0), "{said}");
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(shown["cosigned_by"].as_array().map(Vec::len), Some(3), "{shown}");
        assert!(shown["size"].as_u64().is_some_and(|size| size >= checkpoint.head().size), "{shown}");
    }

    let text = std::fs::read_to_string(&export).expect("an export");
    let mut swapped: Vec<&str> = text.lines().collect();
    swapped.swap(5, 6);
    let swapped = swapped.join("\n") + "\n";
    let cut = text.lines().take(8).map(|line| format!("{line}\n")).collect();
    for (tampered, words) in [
        (swapped, "entry 2 is missing: entry 3 stands in its place"),
        (cut, "entry 5 is missing, and all after it"),
        (text.replacen("\n4 ", "\n4 0", 1), "entry 4 is damaged"),
    ] {
        std::fs::write(&forged, tampered).expect("written");
        let (status, _, said) =
            operator(&[&["ledger", "verify", &forged], &trust[..], &offline[..]].concat());
        assert!(status == Some(1) && said.contains(words), "{status:?}: {said}");
    }
    let too_many = ["ledger", "verify", &export, "--governance", &governance, "--cosigned", "4"];
    let (status, _, said) = operator(&[&too_many, &offline[..]].concat());
    assert!(status == Some(1) && said.contains("3 signers have cosigned, 4 are wanted"), "{said}");
}

#[test]
fn a_ledger_that_went_back_is_noticed_by_every_signer_and_nothing_is_signed_until_it_is_put_right() {
    let (mut cluster, wallet) = working();
    wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));
    let (live, old, new) =
        (cluster.directory(THE_COORDINATOR), cluster.place().join("old"), cluster.place().join("new"));
    [&old, &new].iter().for_each(|path| std::fs::create_dir(path).expect("made"));
    cluster.kill(THE_COORDINATOR);
    copy_ledger(&live, &old);
    cluster.start(THE_COORDINATOR);
    cluster.wait_until_ready();
    for number in 2..6 {
        sign(&cluster.api, &wallet, number, &mut Tally::default()).expect("signed");
    }
    wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));
    cluster.kill(THE_COORDINATOR);
    copy_ledger(&live, &new);
    copy_ledger(&old, &live);
    cluster.start(THE_COORDINATOR);

    assert_eq!(wait_for_alarms(&cluster, &SIGNERS), ["truncated"; 3]);
    assert_refused(&cluster, &wallet, 6);
    let log = cluster.log(THE_COORDINATOR);
    assert!(log.contains("it has halted: this ledger was truncated"), "{log}");
    let listed = cluster.api.look("/v1/signers");
    let listed = listed["signers"].as_array().expect("a list").iter();
    assert!(listed.map(|known| &known["halted"]).eq(["truncated"; 3].iter()), "{log}");
    SIGNERS.iter().for_each(|signer| assert_halted(&mut cluster, signer, "truncated"));

    // A restart changes nothing, and neither does the true ledger without an operator.
    SIGNERS.iter().for_each(|signer| cluster.start(signer));
    cluster.wait_until_ready();
    assert_refused(&cluster, &wallet, 6);
    cluster.kill(THE_COORDINATOR);
    copy_ledger(&new, &live);
    cluster.start(THE_COORDINATOR);
    cluster.wait_until_ready();
    assert_refused(&cluster, &wallet, 6);
    for signer in ["a", "b"] {
        cluster.stop(signer);
        clear(&cluster, signer);
        cluster.start(signer);
    }
    cluster.wait_until_ready();
    readmit(&cluster, "c");
    sign(&cluster.api, &wallet, 6, &mut Tally::default()).expect("signed");
    wait_until_cosigned(&cluster, &SIGNERS, ledger_size(&cluster));
    cluster.api.complete(&renewal(0), &cluster.dana);
}

/// By order, without anybody going to its machine.
fn readmit(cluster: &Cluster, signer: &str) {
    wait_for_alarms(cluster, &[signer]);
    let listed = cluster.api.look("/v1/signers");
    let mut listed = listed["signers"].as_array().expect("a list").iter();
    let halted = listed.find(|known| known["signer"] == signer).expect("known");
    let halt = halted["halt"].as_str().and_then(|digest| digest.parse().ok()).expect("a digest");
    let deed = Deed::Readmit { signer: name(signer), halt };
    give(cluster, &order(&cluster.dana, deed, 1, &cluster.api.draft(&renewal(0))), 3);
}

#[test]
fn a_ledger_that_went_back_and_grew_differently_is_noticed() {
    let (mut cluster, wallet) = working();
    let live = cluster.directory(THE_COORDINATOR);
    let old = cluster.place().join("old");
    std::fs::create_dir(&old).expect("made");
    cluster.kill(THE_COORDINATOR);
    copy_ledger(&live, &old);
    cluster.start(THE_COORDINATOR);
    cluster.wait_until_ready();
    sign(&cluster.api, &wallet, 2, &mut Tally::default()).expect("signed");
    let size = ledger_size(&cluster);
    wait_until_cosigned(&cluster, &SIGNERS, size);

    SIGNERS.iter().for_each(|signer| cluster.kill(signer));
    cluster.kill(THE_COORDINATOR);
    copy_ledger(&old, &live);
    cluster.start(THE_COORDINATOR);
    wait_until_up(&cluster);
    (0..4).for_each(|_| enter_a_plan(&cluster));
    assert!(ledger_size(&cluster) > size);
    SIGNERS.iter().for_each(|signer| cluster.start(signer));
    assert_eq!(wait_for_alarms(&cluster, &SIGNERS), ["rewritten"; 3]);
    assert_refused(&cluster, &wallet, 3);
    SIGNERS.iter().for_each(|signer| assert_halted(&mut cluster, signer, "rewritten"));
}
