//! Full disks. A limit on the size of files stands for a disk without room: the process learns of it by the same
//! failed write, and no rights are needed to set it.

use crate::cluster::{Cluster, THE_COORDINATOR};
use crate::load::{Tally, sign};
use crate::people::{LOOK, PATIENCE, creation, renewal};
use crate::transactions::payment;
use base64ct::Encoding;
use serde_json::{Value, json};
use std::time::Instant;

/// What the signer's exit status says when its disk failed.
const DISK_FAILED: Option<i32> = Some(4);
const OVERLAP_MS: u64 = 500;

/// The signer has ended by itself, loudly, for the time of this number; there is room again, and it is started.
fn assert_stopped_loudly(cluster: &mut Cluster, signer: &str, times: usize) {
    assert_eq!(cluster.wait_for_end(signer), DISK_FAILED, "{}", cluster.log(signer));
    let log = cluster.log(signer);
    let last: Vec<&str> = log.lines().filter(|line| line.starts_with("perennial-signer: ")).collect();
    assert_eq!(last.len(), times, "{log}");
    assert_eq!(log.lines().last(), last.last().copied(), "it went on: {log}");
    assert!(last[times - 1].contains("disk failed while it"), "{log}");
    assert!(last[times - 1].contains("free or repair the disk, then start it again"), "{log}");
    cluster.start(signer);
    cluster.wait_until_ready();
}

/// Waits until an attempt of the ceremony has reached this phase.
fn wait_for_phase(cluster: &Cluster, ceremony: &str, phase: &str) {
    let begun = Instant::now();
    loop {
        let shown = cluster.api.look(&format!("/v1/ceremonies/{ceremony}"));
        let attempts = shown["attempts"].as_array().expect("a list");
        let entered = attempts.iter().flat_map(|attempt| attempt["entered"].as_array().expect("a list"));
        if entered.into_iter().any(|entry| entry["phase"] == phase) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{phase} never comes: {shown}");
    }
}

#[test]
fn a_signer_whose_disk_is_full_stops_loudly_in_any_phase_and_comes_back_whole() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    let names = [("treasury", "ethereum"), ("payroll", "solana")];
    cluster.api.complete(&creation(&names), &cluster.dana);
    let wallets = cluster.api.wallets();

    // In the middle of a signature: the others make it.
    cluster.limit_files("a", Some(0));
    let mut number = 0;
    while !cluster.has_ended("a") {
        number += 1;
        sign(&cluster.api, &wallets["payroll"], number, &mut Tally::default()).expect("signed by the others");
    }
    assert_stopped_loudly(&mut cluster, "a", 1);

    for (times, phase) in [(2, "opening"), (3, "preparing"), (4, "keeping")] {
        let ceremony = cluster.api.begin(&renewal(OVERLAP_MS), &cluster.dana);
        wait_for_phase(&cluster, &ceremony, phase);
        cluster.limit_files("a", Some(0));
        assert_stopped_loudly(&mut cluster, "a", times);
        cluster.api.finish(&ceremony);
    }
    assert_keeps(&mut cluster, &wallets["treasury"]);
    assert_keeps(&mut cluster, &wallets["payroll"]);
    assert_eq!(cluster.stop("a"), Some(0), "{}", cluster.log("a"));
    let shown = cluster.show("a");
    // A share of each wallet, and one pair base with each of the two others.
    assert_eq!(shown["slots"]["used"], 4, "{shown}");
}

/// The wallet has its address, and signs with `a` among the signers: one of the two others is away.
fn assert_keeps(cluster: &mut Cluster, before: &Value) {
    let id = before["id"].as_str().expect("text").to_owned();
    let after = cluster.api.wallets().remove(&id).expect("there");
    assert_eq!(after["address"], before["address"]);
    cluster.kill("c");
    let signed = sign(&cluster.api, &after, 1_000_000, &mut Tally::default()).expect("signed");
    assert!(signed["signers"].as_array().is_some_and(|signers| signers.contains(&json!("a"))), "{signed}");
    assert_eq!(signed["epoch"], after["epoch"]);
    cluster.start("c");
    cluster.wait_until_ready();
}

#[test]
fn a_coordinator_whose_disk_is_full_says_so_stays_up_and_goes_on_when_there_is_room() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("payroll", "solana")]), &cluster.dana);
    let wallet = cluster.api.wallets().remove("payroll").expect("made");
    sign(&cluster.api, &wallet, 1, &mut Tally::default()).expect("signed");
    let plan = cluster.api.draft(&renewal(0));
    let plan = base64ct::Base64::encode_string(&perennial_model::encoding::encode(&plan));

    cluster.limit_files(THE_COORDINATOR, Some(0));
    let payment = json!({"transaction": payment(&wallet, 2).text});
    for (path, body, key) in
        [("/v1/wallets/payroll/sign", payment, Some("payroll-2")), ("/v1/plans", json!({"plan": plan}), None)]
    {
        let answer = cluster.api.post(path, &body, key).expect("it is up");
        assert_eq!((answer.status, answer.problem()), (503, "cannot-write"), "{path}: {}", answer.text);
        assert_eq!(answer.body["blame"], "coordinator", "{}", answer.text);
        assert!(answer.body["action"].as_str().is_some_and(|todo| todo.contains("disk")), "{}", answer.text);
        assert!(
            answer.body["detail"].as_str().is_some_and(|what| what.contains("make room")),
            "{}",
            answer.text
        );
    }
    let health = cluster.api.get("/v1/health").expect("it is up");
    assert_eq!((health.status, health.problem()), (503, "cannot-write"), "{}", health.text);
    assert_eq!(cluster.api.wallets()["payroll"], wallet, "what is known is still shown");

    assert!(!cluster.has_ended(THE_COORDINATOR));
    cluster.limit_files(THE_COORDINATOR, None);
    let mut tally = Tally::default();
    sign(&cluster.api, &wallet, 2, &mut tally).expect("signed");
    assert_eq!(tally.replayed, 0, "a signature was withheld and released all the same");
    sign(&cluster.api, &wallet, 1, &mut tally).expect("answered again");
    assert_eq!(tally.replayed, 1, "what was released before is lost");
    cluster.api.complete(&renewal(0), &cluster.dana);
    wait_until_healthy(&cluster);
    let after = cluster.api.wallets().remove("payroll").expect("there");
    assert_eq!(after["address"], wallet["address"]);
    assert_ne!(after["epoch"], wallet["epoch"]);
    let log = cluster.log(THE_COORDINATOR);
    assert!(log.contains("ceremonies stand still") && log.contains("ceremonies go on"), "{log}");

    cluster.kill(THE_COORDINATOR);
    cluster.start(THE_COORDINATOR);
    cluster.wait_until_ready();
    assert_eq!(cluster.api.wallets()["payroll"], after);
}

fn wait_until_healthy(cluster: &Cluster) {
    let begun = Instant::now();
    while !cluster.api.get("/v1/health").is_ok_and(|health| health.status == 200) {
        assert!(begun.elapsed() < PATIENCE, "{}", cluster.log(THE_COORDINATOR));
        std::thread::sleep(LOOK);
    }
}
