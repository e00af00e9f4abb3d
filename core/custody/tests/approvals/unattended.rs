//! Whoever runs ceremonies has a mandate and uses it to the last: what nobody approved wallet by wallet gives no more than
//! people meant by it.

use crate::mandated::*;
use crate::scene::*;
use crate::signer::{Memory, Signer, signing};
use perennial_custody::record::{ChunkRecord, ChunkState};
use perennial_custody::store::Table;
use perennial_custody::witness::HaltRecord;
use perennial_model::certificate::Certificate;
use perennial_model::dealing::{Inputs, Opening};
use perennial_model::encoding::{Bytes, Digest, decode, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::{History, Versions};
use perennial_model::identity::Signed;
use perennial_model::mail::{Reply, Request};
use perennial_model::mandate::{Mandate, Selector, UnderMandate};
use perennial_model::order::{ApprovedOrder, Deed};
use perennial_model::plan::{Chunk, Plan};
use perennial_model::share_set::ShareSet;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::witness::{Alarm, Breach};

fn history() -> History {
    History::check(Versions(versions())).expect("sound versions")
}

/// What a signer says to the first chunk of a plan that it was sent, with these papers.
fn opened_with(
    signer: Signer,
    sent: &Request,
    chunk: Chunk,
    papers: &[ShareSet],
) -> (Signer, Result<(), String>) {
    let (signer, said) = signer.hear(THEN, &encode(sent));
    assert!(matches!(said.as_slice(), [Reply::Planned(_)]), "{said:?}");
    let (signer, said) = signer.hear(THEN, &encode(&Request::Open { chunk, parents: papers.to_vec() }));
    let said = match said.as_slice() {
        [Reply::Opened(_)] => Ok(()),
        [Reply::Declined { reason, .. }] => Err(reason.clone()),
        other => panic!("neither opened nor declined: {other:?}"),
    };
    (signer, said)
}

#[test]
fn made_up_papers_use_up_no_numbers_of_a_wallet_that_a_signer_does_not_hold() {
    let (_, real) = holding();
    let mandate = Mandate { wallets: Selector::All, ..mandate() };
    let parent = ShareSet { epoch: Epoch::new(1_000_000, 1), ..real.clone() };
    let counts_from = UnderMandate { mandate: mandate.digest(), counts_from: 2 };
    let plan = Plan { rank: 1_000_000, mandate: Some(counts_from), ..due(&mandate, &parent) };
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(1_000_000, 2), first: 0, count: 1 };
    // It was away when the wallet was made.
    let signer = Signer::start(3, history(), Memory::default(), NOW);
    let (signer, said) = opened_with(signer, &under(&plan, &mandate, &QUORUM), chunk, &[parent]);
    refused(said, "no epoch of treasury was retired here");
    let signer = signer.tick(plan.activation_deadline_ms + 60_000);
    assert_eq!(signer.keeper().wallets().count(), 0, "nothing is left of it");
    // People's own plan takes it in, under a rank that follows what there is.
    let own = Plan { expiry_ms: THEN + 1, ..refresh(&real) };
    let chunk = Chunk { plan: own.digest(), epoch: Epoch::new(2, 1), first: 0, count: 1 };
    let sent = Request::Plan(Box::new(approved(own, &[ANN, BOB])));
    opened_with(signer, &sent, chunk, &[real]).1.expect("people's own plan");
}

#[test]
fn a_withheld_retirement_gives_a_mandate_no_free_start() {
    let (_, parent) = holding();
    let (mut disk, _) = prepared(plan());
    for ((table, _), value) in &mut disk.records {
        if *table == Table::Chunk {
            let mut record: ChunkRecord = decode(value).expect("a record");
            record.state = ChunkState::Kept(NOW);
            *value = encode(&record);
        }
    }
    let signer = Signer::start(1, history(), disk, NOW);
    let plan = due(&mandate(), &parent);
    let (_, said) = opened(signer, THEN, &under(&plan, &mandate(), &QUORUM), &plan, 3);
    refused(said, "no epoch of treasury was retired here");
}

/// What all three holders sign when they keep a number.
fn kept(plan: &Plan, count: u32) -> Request {
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, count), first: 0, count: 1 };
    let openings =
        [1, 2, 3].map(|number| Signed::new(&signing(number), &Opening { chunk, keys: Vec::new() }));
    let said: Vec<_> = openings.iter().map(|opening| opening.check(&second()).expect("signed")).collect();
    let inputs = Inputs::new(chunk, Vec::new(), &said);
    let (kind, root) = (VoteKind::Keep, Digest([6; 32]));
    let (governance, digest) = (plan.governance, inputs.digest());
    let vote = Vote { kind, governance, chunk, inputs: digest, root, possession: None };
    let votes = [1, 2, 3].map(|number| Signed::new(&signing(number), &vote)).into();
    Request::Retire(Box::new(Certificate { kind, inputs, root, votes, probes: Vec::new() }))
}

#[test]
fn of_several_numbers_that_were_kept_each_gap_retires_one() {
    let (signer, parent) = holding();
    let plan = due(&mandate(), &parent);
    let (mut signer, _) = signer.hear(THEN, &encode(&under(&plan, &mandate(), &QUORUM)));
    let mut said;
    for (at_ms, count, erases) in [
        (NOW + 1, 3, false),
        (THEN, 3, true),
        (THEN + 1, 4, false),
        (THEN + 1, 3, true),
        (THEN + GAP_MS, 4, true),
    ] {
        (signer, said) = signer.hear(at_ms, &encode(&kept(&plan, count)));
        match said.as_slice() {
            [Reply::Erased(_)] => assert!(erases, "number {count} at {at_ms}"),
            [Reply::Declined { reason, .. }] if !erases => {
                assert!(reason.contains("treasury may be retired again in"), "{reason}");
            }
            other => panic!("number {count} at {at_ms}: {other:?}"),
        }
    }
}

fn rows(signer: &Signer, table: Table) -> usize {
    signer.disk.records.keys().filter(|(of, _)| *of == table).count()
}

#[test]
fn plans_that_nobody_was_asked_about_fill_no_disk() {
    let (mut signer, parent) = holding();
    let before = rows(&signer, Table::Plan);
    let (mandate, mut plan) = (mandate(), due(&mandate(), &parent));
    for n in 0..100 {
        plan.nonce = Digest([n; 32]);
        let (after, said) = signer.hear(NOW, &encode(&under(&plan, &mandate, &QUORUM)));
        assert_eq!(said, [Reply::Planned(plan.digest())]);
        signer = after;
    }
    assert_eq!(rows(&signer, Table::Plan), before + 16);
    signer = signer.restart(NOW);
    let (signer, said) = opened(signer, THEN, &under(&plan, &mandate, &QUORUM), &plan, 3);
    said.expect("the last one is there");
    // What something was opened under stays.
    let later = Plan { nonce: Digest([200; 32]), ..plan.clone() };
    let (signer, _) = signer.hear(THEN, &encode(&under(&later, &mandate, &QUORUM)));
    let (_, said) = opened(signer, THEN, &under(&plan, &mandate, &QUORUM), &plan, 4);
    said.expect("the attempt after it");
}

#[test]
fn plans_that_all_their_wallets_have_left_behind_are_forgotten_but_for_a_few_and_open_nothing() {
    let (signer, parent) = holding();
    let first = Chunk { plan: plan().digest(), epoch: parent.epoch, first: 0, count: 1 };
    let (second, third) = (refresh(&parent), Plan { rank: 3, ..refresh(&parent) });
    let send = |plan: &Plan| encode(&Request::Plan(Box::new(approved(plan.clone(), &[ANN, BOB]))));
    let (signer, _) = signer.hear(NOW, &send(&second));
    assert_eq!(rows(&signer, Table::Plan), 2, "what is held is under the first");
    let (signer, said) = signer.hear(NOW, &encode(&kept(&second, 1)));
    assert!(matches!(said.as_slice(), [Reply::Erased(_)]), "{said:?}");
    let (signer, _) = signer.hear(NOW, &send(&third));
    let left = [second.digest(), third.digest()];
    let is_left = |digest: &Digest| signer.disk.records.contains_key(&(Table::Plan, digest.0.to_vec()));
    assert!(left.iter().all(is_left), "the second has numbers above 2.1");
    // Of two whose certificates are asked for neither pushes the other out.
    let over = |number: u8| Plan { nonce: Digest([number; 32]), ..plan() };
    let (signer, _) = signer.hear(NOW, &send(&over(1)));
    let (signer, _) = signer.hear(NOW, &send(&over(2)));
    let is_left = |digest: &Digest| signer.disk.records.contains_key(&(Table::Plan, digest.0.to_vec()));
    assert!([over(1), over(2)].iter().all(|plan| is_left(&plan.digest())), "it takes turns");
    let signer = (3..20).fold(signer, |signer, number| signer.hear(NOW, &send(&over(number))).0);
    assert_eq!(rows(&signer, Table::Plan), left.len() + 4, "the four that came last");
    let turns = [100, 101, 100, 101].map(over);
    let signer = turns.iter().fold(signer, |signer, plan| signer.hear(NOW, &send(plan)).0);
    assert_eq!(rows(&signer, Table::Plan), left.len() + 4, "the four that came last");
    let is_left = |digest: &Digest| signer.disk.records.contains_key(&(Table::Plan, digest.0.to_vec()));
    assert!(turns.iter().all(|plan| is_left(&plan.digest())), "it takes turns");
    assert!(
        !is_left(&first.plan) && left.iter().all(is_left),
        "what may still be opened stays, and nothing else"
    );
    let (signer, said) = signer.restart(NOW).hear(NOW, &send(&plan()));
    assert_eq!(said, [Reply::Planned(first.plan)]);
    let (_, said) = signer.hear(NOW, &encode(&Request::Open { chunk: first, parents: Vec::new() }));
    assert!(matches!(said.as_slice(), [Reply::Declined { .. }]), "{said:?}");
}

#[test]
fn plans_that_were_left_give_way_like_those_that_were_never_begun() {
    let (mut signer, parent) = holding();
    let before = rows(&signer, Table::Plan);
    let (mandate, mut plan) = (mandate(), due(&mandate(), &parent));
    for n in 0..15 {
        plan.nonce = Digest([n; 32]);
        (signer, _) = signer.hear(THEN, &encode(&under(&plan, &mandate, &QUORUM)));
    }
    let begun = Plan { nonce: Digest([100; 32]), ..plan.clone() };
    let mut said;
    (signer, said) = opened(signer, THEN, &under(&begun, &mandate, &QUORUM), &begun, 3);
    said.expect("it is time");
    for n in 15..17 {
        plan.nonce = Digest([n; 32]);
        (signer, _) = signer.hear(THEN, &encode(&under(&plan, &mandate, &QUORUM)));
    }
    assert_eq!(rows(&signer, Table::Plan), before + 17, "sixteen, and the one that is open");
    (signer, said) = told(signer, THEN, &order(Deed::Cancel(begun.digest()), 1, &[GUS]));
    said.expect("called off");
    plan.nonce = Digest([17; 32]);
    (signer, _) = signer.hear(THEN, &encode(&under(&plan, &mandate, &QUORUM)));
    assert_eq!(rows(&signer, Table::Plan), before + 16);
}

#[test]
fn orders_fill_no_disk_and_leave_room_for_those_of_another_kind() {
    let (mut signer, _) = holding();
    let mandate = mandate().digest();
    let resume = |number: u64| -> ApprovedOrder {
        let mut order = order(Deed::Resume(mandate), number, &[]);
        order.order.nonce.0[..8].copy_from_slice(&number.to_be_bytes());
        order.approvals = approvals(&order.order.digest(), &[GUS]);
        order
    };
    let mut said;
    for number in 0..1_000 {
        (signer, said) = told(signer, NOW, &resume(number));
        said.expect("room for it");
    }
    (signer, said) = told(signer, NOW, &resume(1_000));
    refused(said, "1000 orders to pause are kept here");
    (signer, said) = told(signer, NOW, &resume(7));
    said.expect("it is known");
    (signer, said) = told(signer, NOW, &order(Deed::Cancel(mandate), 1, &[GUS]));
    said.expect("another kind");
    assert_eq!(rows(&signer, Table::Order), 1_001);
    let next = following(&second());
    (signer, _) =
        signer.hear(NOW, &encode(&Request::Governance(Box::new(governed(next.clone(), &[ANN, BOB, DAN])))));
    let mut first = resume(1);
    first.order.governance = next.digest();
    first.approvals = approvals(&first.order.digest(), &[GUS]);
    (signer, said) = told(signer, NOW, &first);
    said.expect("room again");
    assert_eq!(rows(&signer, Table::Order), 1);
    (_, said) = told(signer, NOW, &resume(2));
    refused(said, "approved under governance version 2");
}

/// Signer 1 with a candidate, halted; and what it halted for.
fn halted() -> (Signer, Digest) {
    let (mut disk, _) = prepared(plan());
    let alarm = Alarm {
        breach: Breach::Forked,
        key: "a ledger".into(),
        held: Bytes(vec![1]),
        offered: Bytes(vec![2]),
        proof: Bytes(Vec::new()),
        at_ms: NOW,
    };
    let alarm = Signed::new(&signing(1), &alarm);
    let halt = alarm.body_digest();
    let record = HaltRecord { reason: "forked".into(), alarm };
    disk.records.insert((Table::Ledger, b"halt".to_vec()), encode(&record));
    (Signer::start(1, history(), disk, NOW), halt)
}

#[test]
fn a_signer_that_has_halted_erases_nothing_when_a_plan_is_called_off_until_it_is_readmitted() {
    let (signer, halt) = halted();
    let held =
        |signer: &Signer| signer.keeper().wallets().map(|(_, record)| record.held.len()).sum::<usize>();
    let (signer, said) = told(signer, NOW, &order(Deed::Cancel(plan().digest()), 1, &[GUS]));
    said.expect("an order is taken");
    assert_eq!(held(&signer), 1, "it erases nothing");
    let signer = signer.tick(NOW).restart(NOW);
    assert_eq!(held(&signer), 1, "nor when it starts again");
    let (signer, said) = told(signer, NOW, &readmit(halt, &second()));
    said.expect("readmitted");
    assert_eq!(held(&signer.tick(NOW)), 0);
}

fn readmit(halt: Digest, governance: &perennial_model::governance::Governance) -> ApprovedOrder {
    let mut readmit = order(Deed::Readmit { signer: name("s1"), halt }, 1, &[]);
    (readmit.order.tenant, readmit.order.tier) = (None, perennial_model::wallet::Tier::High);
    readmit.order.governance = governance.digest();
    readmit.approvals = approvals(&readmit.order.digest(), &QUORUM);
    readmit
}

#[test]
fn people_who_changed_governance_can_still_readmit_who_had_halted_before() {
    let (signer, halt) = halted();
    let next = following(&second());
    let (signer, said) = told(signer, NOW, &readmit(halt, &next));
    refused(said, "is not known here");
    let sent = Request::Governance(Box::new(governed(next.clone(), &QUORUM)));
    let (signer, said) = signer.hear(NOW, &encode(&sent));
    assert_eq!(said, [Reply::Governed { version: 3, digest: next.digest() }]);
    assert!(signer.keeper().halted().is_some());
    let (signer, said) = told(signer, NOW, &readmit(halt, &next));
    said.expect("readmitted");
    assert!(signer.keeper().halted().is_none());
}
