//! A pair base that was copied before a refresh: with it and the copied share of one wallet a thief who breaks into
//! the other signer later would be a party to old sessions. After the refresh its key is gone.

use crate::cluster::Cluster;
use crate::load::{Tally, sign};
use crate::people::{creation, renewal};
use perennial_autopsy::bases::open_bases;
use perennial_autopsy::body::{Body, copy};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long a refusal may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_pair_base_that_was_copied_before_a_refresh_opens_with_nothing_afterwards() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("treasury", "ethereum")]), &cluster.dana);
    let wallet = cluster.api.wallets().remove("treasury").expect("made");
    sign(&cluster.api, &wallet, 1, &mut Tally::default()).expect("signed");
    let stolen: Vec<Body> = cluster.signers.iter().map(|signer| taken(&cluster, "before", signer)).collect();
    for body in &stolen {
        let bases = open_bases(body, body);
        let counterparties: BTreeSet<&str> = bases.iter().map(|base| base.counterparty.as_str()).collect();
        assert_eq!(counterparties.len(), 2, "{body:?}: one base with each of the two others");
        assert!(bases.iter().all(|base| base.opens), "{body:?}: they have to open where they were taken");
    }
    cluster.api.complete(&renewal(0), &cluster.dana);
    sign(&cluster.api, &wallet, 2, &mut Tally::default()).expect("signed");
    for (before, signer) in stolen.iter().zip(cluster.signers.clone()) {
        assert_eq!(cluster.stop(&signer), Some(0), "{}", cluster.log(&signer));
        let today = taken(&cluster, "today", &signer);
        let old = open_bases(before, &today);
        assert_eq!(old.len(), 2);
        assert!(old.iter().all(|base| !base.opens), "{signer}: a base from before opens with today's keys");
        let new = open_bases(&today, &today);
        assert_eq!(new.len(), 2, "{signer}");
        assert!(new.iter().all(|base| base.opens), "{signer}: today's bases have to open");
        let attempts = |bases: &[perennial_autopsy::bases::FoundBase]| -> BTreeSet<_> {
            bases.iter().map(|base| base.attempt).collect()
        };
        assert!(attempts(&old).is_disjoint(&attempts(&new)), "{signer}: a base served two epochs");
    }
}

#[test]
fn wallets_that_stand_on_the_same_bases_are_renewed_together_or_not_at_all() {
    let cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("one", "ethereum"), ("two", "ethereum")]), &cluster.dana);
    let mut half = renewal(0);
    half["attempts"] = json!(1);
    let mut plan = cluster.api.draft(&half);
    half["wallets"] = json!(["one"]);
    let answer = cluster.api.post("/v1/plans/draft", &half, None).expect("an answer");
    assert_eq!((answer.status, answer.problem()), (422, "bad-plan"), "{}", answer.text);
    assert!(answer.text.contains("leaves out two"), "{}", answer.text);
    // A plan that somebody made by hand and that people approved all the same.
    plan.wallets.retain(|planned| planned.id().as_str() == "one");
    let ceremony = format!("/v1/ceremonies/{}", cluster.api.begin_plan(&plan, &cluster.dana));
    let begun = Instant::now();
    while !cluster.api.look(&ceremony).to_string().contains("leaves out two") {
        assert!(begun.elapsed() < PATIENCE, "no signer refuses: {}", cluster.api.look(&ceremony));
        std::thread::sleep(Duration::from_millis(50));
    }
    for number in 1..=2 {
        cluster.api.complete(&renewal(0), &cluster.dana);
        for wallet in cluster.api.wallets().values() {
            sign(&cluster.api, wallet, number, &mut Tally::default()).expect("signed");
        }
    }
}

#[test]
fn wallets_without_bases_are_renewed_beside_those_with_and_take_nothing_from_them() {
    let cluster = Cluster::running(&["a", "b", "c"]);
    let made = [("treasury", "ethereum"), ("vault", "bitcoin")];
    cluster.api.complete(&creation(&made), &cluster.dana);
    // Each alone, then both: the one without bases is done a second before the other.
    for (number, wallets) in (1..).zip([json!(["vault"]), json!(["treasury"]), json!(["*"])]) {
        let mut draft = renewal(0);
        draft["wallets"] = wallets;
        let ceremony = cluster.api.begin(&draft, &cluster.dana);
        for step in 0..3 {
            for wallet in cluster.api.wallets().values() {
                sign(&cluster.api, wallet, 10 * number + step, &mut Tally::default()).expect("signed");
            }
        }
        cluster.api.finish(&ceremony);
        for wallet in cluster.api.wallets().values() {
            sign(&cluster.api, wallet, 10 * number + 9, &mut Tally::default()).expect("signed");
        }
    }
}

fn taken(cluster: &Cluster, when: &str, signer: &str) -> Body {
    let to = cluster.place().join(format!("{when}-{signer}"));
    copy(&cluster.directory(signer), &to).expect("a whole copy")
}
