//! Mandates and orders before one signer that serves the wallet: what goes beyond a mandate is not opened, whoever asks
//! for it, and what is called off stays so.

use crate::scene::*;
use crate::signer::{Memory, Signer};
use perennial_custody::record::{ChunkRecord, ChunkState};
use perennial_custody::store::Table;
use perennial_model::approval::ApprovedPlan;
use perennial_model::committee::Committee;
use perennial_model::encoding::{Digest, decode, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::{History, Versions};
use perennial_model::mail::{Reply, Request};
use perennial_model::mandate::{ApprovedMandate, Cadence, Mandate, Selector, UnderMandate, Window};
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::{Chunk, LiarTolerance, Plan, PlannedWallet, Profile};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::Tier;

/// No sooner than this after the last Retirement, which was at `NOW`.
pub const GAP_MS: u64 = 600_000;
/// When the mandate lets the wallet be renewed again.
pub const THEN: u64 = NOW + GAP_MS;
/// Two operators and compliance, as the rule for mandates has it.
pub const QUORUM: [Person; 3] = [ANN, BOB, DAN];

/// Signer 1, where the wallet's epoch 1.2 was retired at `NOW`, and its share set.
pub fn holding() -> (Signer, ShareSet) {
    let (mut disk, share_set): (Memory, ShareSet) = prepared(plan());
    for ((table, _), value) in &mut disk.records {
        if *table == Table::Chunk {
            let mut record: ChunkRecord = decode(value).expect("a record");
            record.state = ChunkState::Retired(NOW);
            *value = encode(&record);
        }
    }
    let history = History::check(Versions(versions())).expect("sound versions");
    (Signer::start(1, history, disk, NOW), share_set)
}

pub fn mandate() -> Mandate {
    Mandate {
        tenant: name("acme"),
        tier: Tier::Standard,
        wallets: Selector::Named(vec![wallet().id]),
        committee: committee(),
        liar_tolerance: LiarTolerance::Required,
        profile: plan().profile,
        probe_rate: plan().probe_rate,
        backup_rule: plan().backup_rule,
        policy: None,
        not_before_ms: BEGIN,
        until_ms: THEN + 100 * GAP_MS,
        least_gap_ms: GAP_MS,
        attempts: 4,
        windows: Vec::new(),
        run_ms: GAP_MS,
        cadence: vec![Cadence { from_tier: Tier::Low, every_ms: 2 * GAP_MS }],
        failures: 3,
        governance: second().digest(),
        initiator: name("ira"),
        nonce: Digest([5; 32]),
    }
}

/// What the coordinator may make of it when it is time.
pub fn due(mandate: &Mandate, parent: &ShareSet) -> Plan {
    Plan {
        rank: 1,
        attempts: 2,
        not_before_ms: THEN - 1_000,
        expiry_ms: THEN + 60_000,
        activation_deadline_ms: THEN + 120_000,
        mandate: Some(UnderMandate { mandate: mandate.digest(), counts_from: 3 }),
        ..refresh(parent)
    }
}

pub fn under(plan: &Plan, mandate: &Mandate, people: &[Person]) -> Request {
    let approvals = approvals(&mandate.digest(), people);
    let mandate = Some(Box::new(ApprovedMandate { mandate: mandate.clone(), approvals }));
    Request::Plan(Box::new(ApprovedPlan { mandate, ..ApprovedPlan::new(plan.clone()) }))
}

/// What the signer says to the plan and to its opening under this number.
pub fn opened(
    signer: Signer,
    at_ms: u64,
    sent: &Request,
    plan: &Plan,
    count: u32,
) -> (Signer, Result<(), String>) {
    let (signer, said) = signer.hear(at_ms, &encode(sent));
    if let [Reply::Declined { reason, .. }] = said.as_slice() {
        return (signer, Err(reason.clone()));
    }
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, count), first: 0, count: 1 };
    let (signer, said) = signer.hear(at_ms, &encode(&Request::Open { chunk, parents: Vec::new() }));
    let said = match said.as_slice() {
        [Reply::Opened(_)] => Ok(()),
        [Reply::Declined { reason, .. }] => Err(reason.clone()),
        other => panic!("neither opened nor declined: {other:?}"),
    };
    (signer, said)
}

pub fn refused(said: Result<(), String>, words: &str) {
    let reason = said.expect_err(words);
    assert!(reason.contains(words), "`{words}` is not in: {reason}");
}

#[test]
fn what_a_mandate_allows_is_opened_with_nobody_asked() {
    let (signer, parent) = holding();
    let plan = due(&mandate(), &parent);
    let (signer, said) = opened(signer, THEN, &under(&plan, &mandate(), &QUORUM), &plan, 3);
    said.expect("the next number");
    let (_, said) = opened(signer, THEN, &under(&plan, &mandate(), &QUORUM), &plan, 4);
    said.expect("the attempt after it");
}

#[test]
fn a_plan_that_says_anything_else_than_its_mandate_is_refused() {
    let mandate = mandate();
    let of_two = || Committee::first(2, &[name("s1"), name("s2")]).expect("two of two");
    let night = Window { days: 0b111_1111, from_minute: 720, minutes: 1 };
    type Change = fn(&mut Plan);
    let changes: [(&str, Change); 12] = [
        ("another tenant or a higher tier", |plan| plan.tier = Tier::High),
        ("governance knows no tenant", |plan| plan.tenant = name("initech")),
        ("another tenant or a higher tier", |plan| plan.tenant = name("globex")),
        ("it does not name cold", |plan| {
            plan.wallets[0] = PlannedWallet::Held(name("cold"), Digest([1; 32]))
        }),
        ("another committee, profile", |plan| plan.profile = Profile::Planned { overlap_ms: 0 }),
        ("another committee, profile", |plan| plan.liar_tolerance = LiarTolerance::WaivedUnsafe),
        ("another committee, profile", |plan| plan.initiator = name("ann")),
        ("more than 4 attempts", |plan| plan.attempts = 5),
        ("outside of the mandate's dates", |plan| plan.not_before_ms = BEGIN - 1),
        ("longer than a refresh may take", |plan| plan.activation_deadline_ms += GAP_MS),
        ("it names another one", |plan| {
            plan.mandate = plan.mandate.map(|u| UnderMandate { counts_from: 0, ..u })
        }),
        ("it names another one", |plan| {
            plan.mandate = Some(UnderMandate { mandate: Digest([9; 32]), counts_from: 3 });
        }),
    ];
    for (words, change) in changes {
        let (signer, parent) = holding();
        let mut plan = due(&mandate, &parent);
        change(&mut plan);
        refused(opened(signer, THEN, &under(&plan, &mandate, &QUORUM), &plan, 3).1, words);
    }
    let (signer, parent) = holding();
    let plan =
        Plan { committee: of_two(), liar_tolerance: LiarTolerance::WaivedUnsafe, ..due(&mandate, &parent) };
    refused(opened(signer, THEN, &under(&plan, &mandate, &QUORUM), &plan, 3).1, "another committee");
    let (signer, parent) = holding();
    let windowed = Mandate { windows: vec![night], ..mandate };
    let plan = due(&windowed, &parent);
    refused(
        opened(signer, THEN, &under(&plan, &windowed, &QUORUM), &plan, 3).1,
        "outside of the mandate's windows",
    );
}

#[test]
fn a_mandate_without_its_quorum_is_none_and_approvals_of_the_plan_do_not_replace_it() {
    let mandate = mandate();
    for (people, words) in [
        (&[ANN, BOB][..], "0 of the 1 approvals of role compliance"),
        (&[ANN, ANN_PASSKEY, DAN], "1 of the 2 approvals of role operator"),
        (&[ANN, BOB, GUS], "0 of the 1 approvals of role compliance"),
        (&[FAY, BOB, DAN], "fay approves nothing of tenant acme"),
    ] {
        let (signer, parent) = holding();
        let plan = due(&mandate, &parent);
        refused(opened(signer, THEN, &under(&plan, &mandate, people), &plan, 3).1, words);
    }
    let (signer, parent) = holding();
    let plan = due(&mandate, &parent);
    let sent = Request::Plan(Box::new(approved(plan.clone(), &QUORUM)));
    refused(opened(signer, THEN, &sent, &plan, 3).1, "its own approvals or a mandate");
    let (signer, parent) = holding();
    let plan = Plan { mandate: None, ..due(&mandate, &parent) };
    refused(
        opened(signer, THEN, &under(&plan, &mandate, &QUORUM), &plan, 1).1,
        "its own approvals or a mandate",
    );
}

#[test]
fn a_signer_goes_by_its_own_clock_and_its_own_count() {
    let mandate = mandate();
    let skew = 30_000;
    let (signer, parent) = holding();
    let early = Plan {
        not_before_ms: BEGIN,
        activation_deadline_ms: BEGIN + GAP_MS,
        expiry_ms: BEGIN + GAP_MS - 1,
        ..due(&mandate, &parent)
    };
    let (signer, said) = opened(signer, NOW + 1, &under(&early, &mandate, &QUORUM), &early, 3);
    refused(said, "may be renewed again in");
    let plan = due(&mandate, &parent);
    let earlier = Plan { not_before_ms: THEN - 40_000, ..plan.clone() };
    let (signer, said) = opened(signer, THEN - skew - 1, &under(&earlier, &mandate, &QUORUM), &earlier, 3);
    refused(said, "may be renewed again in 1 ms");
    // A clock that was set back says nothing about how long it was.
    let back = Plan {
        not_before_ms: BEGIN,
        expiry_ms: BEGIN + 2,
        activation_deadline_ms: BEGIN + 3,
        ..plan.clone()
    };
    let (signer, said) = opened(signer, BEGIN, &under(&back, &mandate, &QUORUM), &back, 3);
    refused(said, if NOW > BEGIN + skew { "clock went back" } else { "may be renewed again in" });
    for (counts_from, count, words) in
        [(2, 2, "so its numbers go to 1.6"), (6, 7, "so its numbers go to 1.6")]
    {
        let plan =
            Plan { mandate: plan.mandate.map(|under| UnderMandate { counts_from, ..under }), ..plan.clone() };
        let (signer, parent) = holding();
        assert_eq!(parent.epoch, Epoch::new(1, 2));
        refused(opened(signer, THEN, &under(&plan, &mandate, &QUORUM), &plan, count).1, words);
    }
    let above =
        Plan { rank: 2, mandate: plan.mandate.map(|under| UnderMandate { counts_from: 1, ..under }), ..plan };
    refused(opened(signer, THEN, &under(&above, &mandate, &QUORUM), &above, 1).1, "it keeps the rank of 1.2");
}

pub fn order(deed: Deed, number: u64, people: &[Person]) -> ApprovedOrder {
    let order = Order {
        deed,
        tenant: Some(name("acme")),
        tier: Tier::Standard,
        number,
        expiry_ms: THEN + GAP_MS,
        governance: second().digest(),
        initiator: name("ira"),
        nonce: Digest([number as u8; 32]),
    };
    let approvals = approvals(&order.digest(), people);
    ApprovedOrder { order, approvals }
}

/// What the signer says to an order.
pub fn told(signer: Signer, at_ms: u64, order: &ApprovedOrder) -> (Signer, Result<(), String>) {
    let (signer, said) = signer.hear(at_ms, &encode(&Request::Order(Box::new(order.clone()))));
    let said = match said.as_slice() {
        [Reply::Ordered(digest)] if *digest == order.order.digest() => Ok(()),
        [Reply::Declined { reason, .. }] => Err(reason.clone()),
        other => panic!("neither obeyed nor declined: {other:?}"),
    };
    (signer, said)
}

#[test]
fn a_mandate_rests_and_goes_on_by_the_order_with_the_highest_number() {
    let (mut signer, parent) = holding();
    let (mandate, plan) = (mandate(), due(&mandate(), &parent));
    let digest = mandate.digest();
    let sent = under(&plan, &mandate, &QUORUM);
    let [pause, resume, again] =
        [(Deed::Pause(digest), 1), (Deed::Resume(digest), 2), (Deed::Pause(digest), 1)]
            .map(|(deed, number)| order(deed, number, &[GUS]));
    let mut said;
    (signer, said) = told(signer, NOW, &pause);
    said.expect("an operator is enough");
    signer = signer.restart(NOW);
    (signer, said) = opened(signer, THEN, &sent, &plan, 3);
    refused(said, "rests by order");
    (signer, said) = told(signer, NOW, &resume);
    said.expect("a higher number");
    // Whoever relays an older order again changes nothing.
    (signer, said) = told(signer, NOW, &again);
    said.expect("it is known");
    let (_, said) = opened(signer, THEN, &sent, &plan, 3);
    said.expect("it goes on");
}

#[test]
fn what_is_called_off_stays_so_and_only_for_whom_it_concerns() {
    let (_, parent) = holding();
    let (mandate, plan) = (mandate(), due(&mandate(), &parent));
    let sent = under(&plan, &mandate, &QUORUM);
    for deed in [Deed::Cancel(plan.digest()), Deed::Cancel(mandate.digest())] {
        // Before the plan, or after it was opened: its one-time keys are gone, and it is not opened again.
        let (signer, said) = told(holding().0, NOW, &order(deed.clone(), 1, &[GUS]));
        said.expect("an operator is enough");
        refused(opened(signer.restart(NOW), THEN, &sent, &plan, 3).1, "called off by order");
        let (signer, said) = opened(holding().0, THEN, &sent, &plan, 3);
        said.expect("not called off yet");
        let (signer, said) = told(signer, THEN, &order(deed.clone(), 1, &[GUS]));
        said.expect("an operator is enough");
        assert!(signer.keeper().chunks().all(|(chunk, _)| chunk.plan != plan.digest()));
        refused(opened(signer, THEN, &sent, &plan, 3).1, "called off by order");

        for (people, change, words) in [
            (&[DAN][..], None, "0 of the 1 approvals of role operator"),
            (&[FAY], None, "fay approves nothing of tenant acme"),
            (&[GUS], Some("expired"), "has expired"),
            (&[GUS], Some("governance"), "approved under governance version 1"),
        ] {
            let mut refused_order = order(deed.clone(), 1, people);
            let mut at_ms = NOW;
            match change {
                Some("expired") => at_ms = THEN + GAP_MS + 1,
                Some(_) => refused_order.order.governance = first().digest(),
                None => {}
            }
            let (signer, said) = told(holding().0, at_ms, &refused_order);
            refused(said, words);
            let (_, said) = opened(signer, THEN, &sent, &plan, 3);
            said.expect("nothing was called off");
        }
        // Another tenant's order, and one for lower tiers, are taken and concern nothing here.
        let mut theirs = order(deed.clone(), 1, &[]);
        theirs.order.tenant = Some(name("globex"));
        theirs.approvals = approvals(&theirs.order.digest(), &[FAY]);
        let mut low = order(deed, 1, &[]);
        low.order.tier = Tier::Low;
        low.approvals = approvals(&low.order.digest(), &[GUS]);
        for beside in [theirs, low] {
            let (signer, said) = told(holding().0, NOW, &beside);
            said.expect("a sound order");
            let (_, said) = opened(signer, THEN, &sent, &plan, 3);
            said.expect("not this plan");
        }
    }
}
