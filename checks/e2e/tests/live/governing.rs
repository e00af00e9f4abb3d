//! Governance that changes while everything runs: from one approver to two roles, with wallets that sign on, a plan that
//! becomes void, daemons that start again, and a coordinator that is handed an old copy.

use crate::cluster::{Cluster, THE_COORDINATOR};
use crate::governance::{Dana, Person, body, name};
use crate::load::{Load, Tally, sign};
use crate::people::{LOOK, PATIENCE, creation, renewal};
use base64ct::{Base64, Encoding};
use perennial_model::encoding;
use perennial_model::governance::history::{ApprovedGovernance, History, Versions};
use perennial_model::governance::{Approver, ApproverKey, Demand, Governance, Matter, Rule};
use perennial_model::wallet::Tier;
use serde_json::{Value, json};
use std::time::Instant;

/// What lies beside a daemon.
fn history(cluster: &Cluster, who: &str) -> History {
    let bytes = std::fs::read(cluster.directory(who).join("governance.cbor")).expect("there");
    History::check(encoding::decode::<Versions>(&bytes).expect("a history")).expect("sound")
}

/// Two roles: it takes Dana and Carol to refresh, and all three to govern.
fn second(present: &History, erik: &Person, carol: &Person) -> Governance {
    let approver = |who: &Person, role: &str| Approver {
        person: who.name.clone(),
        role: name(role),
        keys: vec![ApproverKey::Ssh(who.public_line())],
        tenants: Vec::new(),
    };
    let rule = |matter, operators: u8| Rule {
        matter,
        from_tier: Tier::Low,
        demands: [("operator", operators), ("compliance", 1)]
            .map(|(role, approvals)| Demand { role: name(role), approvals })
            .into(),
    };
    let mut next = Governance {
        version: 2,
        predecessor: Some(present.newest_digest()),
        rules: vec![rule(Matter::Create, 1), rule(Matter::Refresh, 1), rule(Matter::Govern, 2)],
        ..present.newest().clone()
    };
    next.approvers.extend([approver(erik, "operator"), approver(carol, "compliance")]);
    next
}

fn hand_in(cluster: &Cluster, next: &ApprovedGovernance) -> (u16, String) {
    let body = json!({"approved": Base64::encode_string(&encoding::encode(next))});
    let answer = cluster.api.post("/v1/governance", &body, None).expect("an answer");
    (answer.status, answer.text)
}

fn wait_for(cluster: &Cluster, what: &str, done: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    while !done(&cluster.api.look("/v1/governance")) {
        assert!(begun.elapsed() < PATIENCE, "{what}: {}", cluster.api.look("/v1/governance"));
        std::thread::sleep(LOOK);
    }
}

#[test]
fn governance_changes_under_load_and_makes_every_older_plan_void() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    let (erik, carol) = (Person::new("erik", [2; 32]), Person::new("carol", [3; 32]));
    let made = creation(&[("payroll", "solana"), ("treasury", "ethereum")]);
    cluster.api.complete(&made, &cluster.dana);
    let load = Load::begin(&cluster.api, cluster.api.wallets().into_values());
    let waiting = cluster.api.submit(&cluster.api.draft(&renewal(0)));

    let first = history(&cluster, "a");
    let governance = second(&first, &erik, &carol);
    let digest = governance.digest();
    let unapproved = ApprovedGovernance { governance, approvals: Vec::new() };
    let (status, text) = hand_in(&cluster, &unapproved);
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("0 of the 1 approvals of role operator"), "{text}");
    let next = ApprovedGovernance { approvals: vec![cluster.dana.approves_digest(&digest)], ..unapproved };
    for _ in 0..2 {
        let (status, text) = hand_in(&cluster, &next);
        assert_eq!(status, 200, "{text}");
    }
    wait_for(&cluster, "every signer has it", |said| {
        said["signers"].as_array().is_some_and(|signers| signers.iter().all(|signer| signer["version"] == 2))
    });
    assert_eq!(cluster.api.look(&format!("/v1/ceremonies/{waiting}"))["stage"], "outdated");

    // Dana alone decides nothing any more.
    let plan = cluster.api.draft(&renewal(500));
    let ceremony = cluster.api.begin_plan(&plan, &cluster.dana);
    let path = format!("/v1/ceremonies/{ceremony}/approvals");
    let said =
        cluster.api.post(&path, &body("erik", &erik.approves_digest(&plan.digest())), None).expect("said");
    assert_eq!(
        (said.status, &said.body["have"], &said.body["of"]),
        (200, &json!(1), &json!(2)),
        "{}",
        said.text
    );
    assert_eq!(cluster.api.look(&format!("/v1/ceremonies/{ceremony}"))["stage"], "awaiting approval");
    let said =
        cluster.api.post(&path, &body("carol", &carol.approves_digest(&plan.digest())), None).expect("said");
    assert_eq!((said.status, &said.body["have"]), (200, &json!(2)), "{}", said.text);
    cluster.api.finish(&ceremony);
    let tally = load.end();
    assert!(tally.asked > 0 && tally.asked == tally.answered && tally.complaints.is_empty(), "{tally:?}");

    // What is on disk counts, whatever lies in the directory.
    for who in ["a", THE_COORDINATOR] {
        assert_eq!(cluster.stop(who), Some(0), "{}", cluster.log(who));
    }
    assert_eq!(history(&cluster, THE_COORDINATOR).newest().version, 2);
    assert_eq!(history(&cluster, "a").newest().version, 1, "the signer has it on its records");
    cluster.start("a");
    cluster.start(THE_COORDINATOR);
    cluster.wait_until_ready();
    assert!(cluster.log("a").contains("governance=2"), "{}", cluster.log("a"));
    let wallet = cluster.api.wallets().remove("payroll").expect("made");
    sign(&cluster.api, &wallet, 1_000, &mut Tally::default()).expect("signed");

    // An old copy is refused by the coordinator itself, which has worked under a newer one.
    assert_eq!(cluster.stop(THE_COORDINATOR), Some(0));
    let old = encoding::encode(first.versions());
    std::fs::write(cluster.directory(THE_COORDINATOR).join("governance.cbor"), old).expect("written");
    cluster.start(THE_COORDINATOR);
    assert_eq!(cluster.wait_for_end(THE_COORDINATOR), Some(3), "{}", cluster.log(THE_COORDINATOR));
    assert!(cluster.log(THE_COORDINATOR).contains("put the pinned governance back"));
}

/// The one approver of a first governance stands for herself as well.
#[test]
fn a_signer_takes_no_governance_that_its_own_does_not_approve() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    let mallory = Dana::new([9; 32]);
    let first = history(&cluster, "a");
    let governance = second(&first, &Person::new("erik", [2; 32]), &Person::new("carol", [3; 32]));
    let stolen = mallory.approves_digest(&governance.digest());
    // Whoever runs the coordinator writes what he likes into his own directory.
    let mut versions = first.versions().clone();
    versions.0.push(ApprovedGovernance { governance, approvals: vec![stolen] });
    for who in [THE_COORDINATOR, "a"] {
        cluster.stop(who);
        let path = cluster.directory(who).join("governance.cbor");
        std::fs::write(path, encoding::encode(&versions)).expect("written");
        cluster.start(who);
        let status = cluster.wait_for_end(who);
        assert!(status.is_some_and(|status| status != 0), "{}", cluster.log(who));
        assert!(cluster.log(who).contains("a key that governance does not give"), "{}", cluster.log(who));
    }
}
