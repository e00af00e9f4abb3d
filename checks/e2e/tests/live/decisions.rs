//! Mandates and orders on a live cluster: wallets are refreshed with nobody asked, until people stop it.

use crate::cluster::Cluster;
use crate::evidence::{governance, in_python, make, verify};
use crate::governance::{Dana, name};
use crate::load::Load;
use crate::people::{LOOK, PATIENCE, creation, renewal};
use base64ct::{Base64, Encoding};
use perennial_model::encoding::{self, Digest};
use perennial_model::mandate::{ApprovedMandate, Cadence, LEAST_GAP_MS, Mandate, Selector};
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::Plan;
use perennial_model::wallet::Tier;
use serde_json::{Value, json};
use std::time::Instant;

/// What a refresh of all wallets says, each minute again.
fn each_minute(plan: Plan) -> Mandate {
    Mandate {
        tenant: plan.tenant,
        tier: Tier::High,
        wallets: Selector::All,
        committee: plan.committee,
        liar_tolerance: plan.liar_tolerance,
        profile: plan.profile,
        probe_rate: plan.probe_rate,
        backup_rule: plan.backup_rule,
        policy: plan.policy,
        not_before_ms: plan.not_before_ms,
        until_ms: plan.not_before_ms + 86_400_000,
        least_gap_ms: LEAST_GAP_MS,
        attempts: 50,
        windows: Vec::new(),
        run_ms: LEAST_GAP_MS,
        cadence: vec![Cadence { from_tier: Tier::Low, every_ms: LEAST_GAP_MS }],
        failures: 50,
        governance: plan.governance,
        initiator: plan.initiator,
        nonce: plan.nonce,
    }
}

/// An order of all tenants', with Dana's approval.
pub fn order(dana: &Dana, deed: Deed, number: u64, like: &Plan) -> ApprovedOrder {
    let whose = !matches!(deed, Deed::Readmit { .. });
    let order = Order {
        deed,
        tenant: whose.then(|| like.tenant.clone()),
        tier: Tier::High,
        number,
        expiry_ms: like.expiry_ms,
        governance: like.governance,
        initiator: name("operator"),
        nonce: Digest::of(&number.to_be_bytes()),
    };
    let approvals = vec![dana.approves_digest(&order.digest())];
    ApprovedOrder { order, approvals }
}

/// Hands an order in, and waits until so many signers obey it.
pub fn give(cluster: &Cluster, order: &ApprovedOrder, signers: u64) {
    let body = json!({"approved": Base64::encode_string(&encoding::encode(order))});
    let said = cluster.api.post("/v1/orders", &body, None).expect("an answer");
    assert_eq!(said.status, 200, "{}", said.text);
    let digest = order.order.digest().to_string();
    wait_for(cluster, "/v1/orders", |said| {
        let orders = said["orders"].as_array().into_iter().flatten();
        let mut this = orders.filter(|known| known["order"] == digest.as_str());
        this.any(|known| known["obeyed_by"].as_u64() >= Some(signers))
    });
}

/// What was refreshed with nobody asked has evidence like what people have approved.
fn shown_to_an_auditor(cluster: &Cluster) {
    let kept = tempfile::tempdir().expect("a directory");
    let (bundle, trusted) = (kept.path().join("payroll"), governance(cluster));
    std::fs::create_dir(cluster.place().join("empty")).expect("made");
    let made = make(cluster, "payroll", &bundle, &[]);
    assert_eq!(made["complete"], true, "{made}");
    let (status, shown, why) = verify(&bundle, &trusted, &[]);
    assert_eq!(status, Some(0), "{why}");
    assert!(shown["epochs"].as_array().is_some_and(|epochs| epochs.len() > 1), "{shown}");
    assert_eq!(in_python(&["checks/verifier/verify.py", "--governance", &trusted], &bundle), Ok(()));
}

fn wait_for(cluster: &Cluster, path: &str, done: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    while !done(&cluster.api.look(path)) {
        assert!(begun.elapsed() < PATIENCE, "{path}: {}", cluster.api.look(path));
        std::thread::sleep(LOOK);
    }
}

fn epochs(cluster: &Cluster) -> Vec<String> {
    let wallets = cluster.api.wallets();
    wallets.values().map(|wallet| wallet["epoch"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn wallets_are_refreshed_under_a_mandate_with_nobody_asked_until_people_stop_it() {
    let cluster = Cluster::running(&["a", "b", "c"]);
    let made = creation(&[("payroll", "solana"), ("treasury", "ethereum"), ("vault", "bitcoin")]);
    cluster.api.complete(&made, &cluster.dana);
    let load = Load::begin(&cluster.api, cluster.api.wallets().into_values());
    let before = epochs(&cluster);

    let mandate = each_minute(cluster.api.draft(&renewal(0)));
    let digest = mandate.digest();
    let unapproved = ApprovedMandate { mandate, approvals: Vec::new() };
    let hand_in = |approved: &ApprovedMandate| {
        let body = json!({"approved": Base64::encode_string(&encoding::encode(approved))});
        cluster.api.post("/v1/mandates", &body, None).expect("an answer")
    };
    let said = hand_in(&unapproved);
    assert_eq!(said.status, 422, "{}", said.text);
    assert!(
        said.text.contains("0 of the 1 approvals of role operator that it takes to mandate"),
        "{}",
        said.text
    );
    let approvals = vec![cluster.dana.approves_digest(&digest)];
    let said = hand_in(&ApprovedMandate { approvals, ..unapproved });
    assert_eq!(
        (said.status, said.body["digest"].as_str()),
        (200, Some(&*digest.to_string())),
        "{}",
        said.text
    );
    let schedule = cluster.api.look("/v1/schedule?days=1");
    assert!(schedule["occasions"].as_array().is_some_and(|occasions| occasions.len() > 100), "{schedule}");
    assert!(schedule["warnings"][0]["code"] == "too-frequent", "{schedule}");

    wait_for(&cluster, "/v1/wallets", |_| {
        epochs(&cluster).iter().zip(&before).all(|(now, then)| now != then && now.starts_with("1."))
    });
    let plan = cluster.api.draft(&renewal(0));
    give(&cluster, &order(&cluster.dana, Deed::Pause(digest), 1, &plan), 3);
    let state = || cluster.api.look("/v1/mandates")["mandates"][0]["state"].clone();
    wait_for(&cluster, "/v1/mandates", |_| state() == "paused");
    give(&cluster, &order(&cluster.dana, Deed::Cancel(digest), 2, &plan), 3);
    wait_for(&cluster, "/v1/mandates", |_| state() == "cancelled");

    // What is active goes on to its end.
    wait_for(&cluster, "/v1/ceremonies", |said| {
        said["ceremonies"].as_array().is_some_and(|all| all.iter().all(|one| one["stage"] != "running"))
    });
    let plan = cluster.api.draft(&renewal(0));

    // A plan of people's own is called off before anybody has approved it; what comes then is too late.
    let waiting = cluster.api.submit(&plan);
    let cancel = order(&cluster.dana, Deed::Cancel(plan.digest()), 1, &plan);
    give(&cluster, &cancel, 3);
    assert_eq!(cluster.api.look(&format!("/v1/ceremonies/{waiting}"))["stage"], "cancelled");
    shown_to_an_auditor(&cluster);
    let tally = load.end();
    assert!(tally.asked > 0 && tally.asked == tally.answered && tally.complaints.is_empty(), "{tally:?}");
}
