//! Certificates with good signatures that would erase a wallet, or take its numbers, without anybody whom it concerns
//! having been asked: a signer that serves the wallet does nothing of it.

use crate::scene::*;
use crate::signer::{Memory, Signer, signing};
use perennial_custody::record::{ChunkRecord, ChunkState};
use perennial_custody::store::Table;
use perennial_model::certificate::Certificate;
use perennial_model::committee::Committee;
use perennial_model::dealing::{Inputs, Opening, SchnorrProof};
use perennial_model::encoding::{Digest, decode, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::Governance;
use perennial_model::governance::history::{History, Versions};
use perennial_model::identity::Signed;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::{Action, Chunk, LiarTolerance, Plan, PlannedWallet};
use perennial_model::share_set::ShareSet;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Tier, Wallet};

/// Signer 1, which serves the wallet, and the wallet's share set.
fn serving() -> (Signer, ShareSet) {
    let (mut disk, share_set): (Memory, ShareSet) = prepared(plan());
    for ((table, _), value) in &mut disk.records {
        if *table == Table::Chunk {
            let mut record: ChunkRecord = decode(value).expect("a record");
            record.state = ChunkState::Active(NOW);
            *value = encode(&record);
        }
    }
    let history = History::check(Versions(versions())).expect("sound versions");
    (Signer::start(1, history, disk, NOW), share_set)
}

/// A plan that two signers alone can carry out, and about whose wallet nobody has to hold anything.
fn of_two(plan: Plan) -> Plan {
    let committee = Committee::first(2, &[name("s2"), name("s3")]).expect("two of two");
    Plan { committee, liar_tolerance: LiarTolerance::WaivedUnsafe, rank: 5, ..plan }
}

/// What signers 2 and 3 can always sign.
fn certificate(plan: &Plan, kind: VoteKind) -> Certificate {
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, 1), first: 0, count: 1 };
    let openings: Vec<_> =
        [2, 3].map(|number| Signed::new(&signing(number), &Opening { chunk, keys: Vec::new() })).into();
    let governance: Governance = second();
    let said: Vec<_> = openings.iter().map(|opening| opening.check(&governance).expect("signed")).collect();
    let inputs = Inputs::new(chunk, Vec::new(), &said);
    let possession = (kind == VoteKind::Prepared)
        .then(|| SchnorrProof { commitment: share_set_point(), response: [1; 32] });
    let root = Digest([6; 32]);
    let vote = Vote { kind, governance: plan.governance, chunk, inputs: inputs.digest(), root, possession };
    let votes = [2, 3].map(|number| Signed::new(&signing(number), &vote)).into();
    Certificate { kind, inputs, root, votes, probes: Vec::new() }
}

fn share_set_point() -> perennial_model::group::Point {
    prepared(plan()).1.verification_shares[0]
}

/// Tells the signer all of it: the last is declined for this reason, and nothing has changed but the plans it knows.
fn declined(signer: Signer, requests: &[Request], says: &str) {
    let held = |signer: &Signer| -> Vec<_> {
        signer.keeper().wallets().map(|(id, record)| (id.clone(), record.clone())).collect()
    };
    let before = held(&signer);
    let mut signer = signer;
    let mut last = Vec::new();
    for request in requests {
        (signer, last) = signer.hear(NOW, &encode(request));
    }
    let [Reply::Declined { reason, .. }] = last.as_slice() else { panic!("not declined: {last:?}") };
    assert!(reason.contains(says), "{reason}");
    assert_eq!(held(&signer), before, "{reason}");
    assert!(!before.is_empty(), "it has to hold something");
}

fn sent(plan: &Plan, people: &[Person]) -> Request {
    Request::Plan(Box::new(approved(plan.clone(), people)))
}

fn attacks(plan: &Plan, people: &[Person], says: &str) {
    for kind in [VoteKind::Keep, VoteKind::Prepared] {
        let certificate = Box::new(certificate(plan, kind));
        let request = match kind {
            VoteKind::Keep => Request::Retire(certificate),
            VoteKind::Prepared => Request::Activate(certificate),
        };
        declined(serving().0, &[sent(plan, people), request], says);
    }
}

#[test]
fn a_quorum_of_one_tenant_destroys_no_wallet_of_another() {
    let theirs = Wallet { tenant: name("globex"), tier: Tier::Low, ..wallet() };
    let made = Plan {
        action: Action::Create,
        tenant: name("globex"),
        tier: Tier::Low,
        wallets: vec![PlannedWallet::New(theirs)],
        ..plan()
    };
    attacks(&of_two(made), &[ANN, FAY], "treasury is another tenant's");
    let (_, parent) = serving();
    let renewed = Plan { tenant: name("globex"), ..refresh(&parent) };
    attacks(&of_two(renewed), &[ANN, FAY], "treasury is another tenant's");
}

#[test]
fn two_signers_with_a_quorum_of_the_right_tenant_destroy_no_wallet_of_three() {
    let (_, parent) = serving();
    attacks(&of_two(refresh(&parent)), &[ANN, BOB], "treasury has another committee");
}

#[test]
fn keys_that_governance_has_replaced_destroy_nothing() {
    let (_, parent) = serving();
    let of_then = Plan {
        governance: first().digest(),
        liar_tolerance: LiarTolerance::WaivedUnsafe,
        rank: 5,
        ..refresh(&parent)
    };
    attacks(&of_then, &[ANN, CAT_BEFORE], "this signer has no part in it");
}

#[test]
fn forged_parents_and_leaps_in_rank_open_nothing() {
    let (_, parent) = serving();
    let opened = |plan: &Plan, people: &[Person], parent: &ShareSet| {
        let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, 1), first: 0, count: 1 };
        [sent(plan, people), Request::Open { chunk, parents: vec![parent.clone()] }]
    };
    // Sound in itself: the same name, another key.
    let (_, forged) = prepared(Plan { nonce: Digest([8; 32]), ..plan() });
    let says = "the parent of treasury is another wallet's";
    declined(serving().0, &opened(&refresh(&forged), &[ANN, BOB], &forged), says);
    let leap = Plan { rank: 2_000_000, ..refresh(&parent) };
    let says = "rank 2000000 is more than 1000000 above 1";
    declined(serving().0, &opened(&leap, &[ANN, BOB], &parent), says);

    let good = refresh(&parent);
    let (mut signer, mut last) = (serving().0, Vec::new());
    for request in opened(&good, &[ANN, BOB], &parent) {
        (signer, last) = signer.hear(NOW, &encode(&request));
    }
    assert!(matches!(last.as_slice(), [Reply::Opened(_)]), "{last:?}");
}
