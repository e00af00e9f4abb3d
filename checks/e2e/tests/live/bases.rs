//! A pair base that was copied before a refresh: with it and the copied share of one wallet a thief who breaks into
//! the other signer later would be a party to old sessions. After the refresh its key is gone.

use crate::cluster::Cluster;
use crate::load::{Tally, sign};
use crate::people::{creation, renewal};
use perennial_autopsy::bases::open_bases;
use perennial_autopsy::body::{Body, copy};
use std::collections::BTreeSet;

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

fn taken(cluster: &Cluster, when: &str, signer: &str) -> Body {
    let to = cluster.place().join(format!("{when}-{signer}"));
    copy(&cluster.directory(signer), &to).expect("a whole copy")
}
