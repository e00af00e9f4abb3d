//! Attacks with plans that were well approved: at another time, for other numbers, under another governance, again.

use crate::person::Key;
use crate::scene::*;
use crate::table::{Case, Step};
use perennial_model::committee::Committee;
use perennial_model::encoding::{Digest, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::Governance;
use perennial_model::mail::Request;
use perennial_model::plan::{Chunk, LiarTolerance, Plan, PlannedWallet};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Tier, Wallet};

/// All of them.
pub fn cases() -> Vec<Case> {
    [dates(), numbers(), unsound(), governances(), bytes(), parents(), again()].concat()
}

/// By how much a clock is wrong.
const TEN_MINUTES: u64 = 600_000;

fn sent(plan: &Plan, people: &[Person]) -> Step {
    submit(approved(plan.clone(), people))
}

fn dates() -> Vec<Case> {
    let plan = plan();
    let at = |time| vec![sent(&plan, &[ANN, BOB]), open(time, &plan, (1, 1), &[])];
    let restarted = |time| {
        let opened = open(time, &plan, (1, 1), &[]);
        vec![sent(&plan, &[ANN, BOB]), Step::Restart(time), Step::Tick(time), opened]
    };
    let late = "the plan has expired";
    let early = "the plan begins later, at 1000000 ms";
    vec![
        case(
            "expired",
            "expired",
            late,
            "A chunk is opened a millisecond too late.",
            at(EXPIRY + 1),
            at(EXPIRY),
        ),
        case(
            "expired-long-ago",
            "expired",
            late,
            "A clock that is an hour ahead.",
            at(EXPIRY + 3_600_000),
            at(NOW),
        ),
        case(
            "clock-ten-minutes-ahead",
            "expired",
            late,
            "The plan is good for another eight minutes, and the clock of this signer is ten minutes ahead.",
            at(EXPIRY - 480_000 + TEN_MINUTES),
            at(EXPIRY - 480_000),
        ),
        case(
            "clock-ten-minutes-behind",
            "too-early",
            early,
            "The plan began nine minutes ago, and the clock of this signer is ten minutes behind.",
            at(BEGIN + 540_000 - TEN_MINUTES),
            at(BEGIN + 540_000),
        ),
        case(
            "clock-ten-minutes-behind-after-a-restart",
            "too-early",
            early,
            "The same with a signer that was started again meanwhile.",
            restarted(BEGIN - TEN_MINUTES),
            restarted(BEGIN),
        ),
        case(
            "not-begun",
            "too-early",
            early,
            "It is opened a millisecond too early.",
            at(BEGIN - 1),
            at(BEGIN),
        ),
        case("not-begun-at-all", "too-early", early, "A clock that stands at zero.", at(0), at(NOW)),
    ]
}

fn numbers() -> Vec<Case> {
    let plan = plan();
    let opened = |step: Step| vec![sent(&plan, &[ANN, BOB]), step];
    let number = |name: &str, why: &str, attack: (u32, u32), twin: (u32, u32)| {
        let says = "was not approved with this plan";
        let [attack, twin] = [attack, twin].map(|number| opened(open(NOW, &plan, number, &[])));
        case(name, "outside", says, why, attack, twin)
    };
    let cut = |name: &str, why: &str, first: u32, count: u32| {
        let chunk = |first, count| Chunk { plan: plan.digest(), epoch: Epoch::new(1, 1), first, count };
        let [attack, twin] =
            [chunk(first, count), chunk(0, 1)].map(|chunk| opened(open_chunk(NOW, chunk, &[])));
        case(name, "outside", "was not approved with this plan", why, attack, twin)
    };
    vec![
        number("attempt-above", "A third attempt, where two were approved.", (1, 3), (1, 2)),
        number("attempt-zero", "Attempts count from 1.", (1, 0), (1, 1)),
        number("rank-above", "Another rank than the plan's.", (2, 1), (1, 1)),
        number("rank-zero", "A rank below every plan's.", (0, 1), (1, 1)),
        cut("chunk-behind-the-end", "The second wallet of a plan with one.", 1, 1),
        cut("chunk-too-long", "Two wallets of a plan with one.", 0, 2),
        cut("chunk-of-nothing", "A chunk without any wallet.", 0, 0),
        cut(
            "chunk-at-the-end-of-all",
            "The place and the length together are more than 32 bits.",
            u32::MAX,
            1,
        ),
        case(
            "plan-never-sent",
            "unknown-plan",
            "send it with its approvals first",
            "A chunk is opened of a plan that never came with its approvals.",
            vec![open(NOW, &plan, (1, 1), &[])],
            opened(open(NOW, &plan, (1, 1), &[])),
        ),
    ]
}

fn unsound() -> Vec<Case> {
    let case_of = |names: [&str; 2], why: &str, attack: Plan, twin: Plan| {
        let [attack, twin] = [attack, twin].map(|plan| vec![sent(&plan, &[ANN, BOB])]);
        case(names[0], "unsound", names[1], why, attack, twin)
    };
    let of = |threshold, signers: &[&str]| {
        let signers: Vec<_> = signers.iter().map(|signer| name(signer)).collect();
        let committee = Committee::first(threshold, &signers).expect("a committee");
        Plan { committee, ..plan() }
    };
    let wallets = |wallets: &[Wallet]| {
        let wallets = wallets.iter().cloned().map(PlannedWallet::New).collect();
        Plan { wallets, ..plan() }
    };
    let second = Wallet { id: name("cold"), ..wallet() };
    let mut out = vec![
        case_of(
            ["wallet-of-a-higher-tier", "of a higher tier than the plan's"],
            "A plan of the usual tier, for which compliance is not asked, makes a wallet of the highest.",
            wallets(&[Wallet { tier: Tier::High, ..wallet() }]),
            wallets(&[wallet()]),
        ),
        case_of(
            ["wallet-of-another-tenant", "a wallet of another tenant"],
            "A plan of acme makes a wallet of globex.",
            wallets(&[Wallet { tenant: name("globex"), ..wallet() }]),
            wallets(&[wallet()]),
        ),
        case_of(
            ["wallet-twice", "a wallet is named twice"],
            "A plan names one wallet twice.",
            wallets(&[wallet(), wallet()]),
            wallets(&[wallet(), second]),
        ),
        case_of(
            ["member-that-is-no-signer", "a member of the committee is no signer of this governance"],
            "A committee with a signer that governance does not name.",
            of(2, &["s1", "s2", "s9"]),
            of(2, &["s1", "s2", "s4"]),
        ),
        case_of(
            ["committee-too-small-for-liars", "fewer than 2t-1 members"],
            "Two of two, and nobody approved that a liar can lose the epoch.",
            of(2, &["s1", "s2"]),
            Plan { liar_tolerance: LiarTolerance::WaivedUnsafe, ..of(2, &["s1", "s2"]) },
        ),
        case_of(
            ["dates-out-of-order", "must follow each other"],
            "A plan that is activated before it expires.",
            Plan { activation_deadline_ms: EXPIRY - 1, ..plan() },
            Plan { activation_deadline_ms: EXPIRY, ..plan() },
        ),
    ];
    let [others, ours] = [of(2, &["s2", "s3", "s4"]), of(2, &["s1", "s3", "s4"])]
        .map(|plan| vec![sent(&plan, &[ANN, BOB]), open(NOW, &plan, (1, 1), &[])]);
    out.push(case(
        "not-a-member",
        "no-member",
        "this signer is not in the new committee",
        "A signer is to open a chunk of a committee to which it does not belong.",
        others,
        ours,
    ));
    out
}

fn governances() -> Vec<Case> {
    let people = [ANN, BOB, DAN];
    let third = following(&second());
    let under = |governance: &Governance, people: &[Person]| {
        let plan = Plan { governance: governance.digest(), ..plan() };
        (plan.clone(), sent(&plan, people))
    };
    let (plan_old, sent_old) = under(&first(), &[ANN, CAT_BEFORE]);
    let (plan_new, sent_new) = under(&second(), &[ANN, BOB]);
    let (_, sent_next) = under(&third, &[ANN, BOB]);
    let (plan_by_cat, sent_by_cat) = under(&second(), &[ANN, CAT]);
    let mut revoked = following(&second());
    let cat = revoked.approvers.iter_mut().find(|approver| approver.person.as_str() == CAT.0);
    cat.expect("cat is in it").keys = vec![Key::Ssh(13).public()];
    let opened = |plan: &Plan| open(NOW, plan, (1, 1), &[]);
    let in_force = "was approved under governance version";
    vec![
        case(
            "governance-not-known",
            "unknown-governance",
            "which is not known here; the newest is version 2",
            "A plan names a version of governance that this signer has not seen. In the twin it comes first.",
            vec![sent_next.clone()],
            vec![govern(governed(third.clone(), &people)), sent_next],
        ),
        Case {
            pinned: 1,
            ..case(
                "governance-replaced",
                "old-governance",
                in_force,
                "A plan is approved under version 1, and a chunk is opened when version 2 is in force.",
                vec![sent_old.clone(), govern(versions().remove(1)), opened(&plan_old)],
                vec![sent_old, opened(&plan_old)],
            )
        },
        case(
            "key-revoked-before",
            "other-key",
            "cat's approval is signed with a key that governance does not give them",
            "Somebody signs with the key that version 2 took from them.",
            vec![sent(&plan_new, &[ANN, CAT_BEFORE])],
            vec![sent(&plan_new, &[ANN, CAT])],
        ),
        case(
            "key-revoked-meanwhile",
            "old-governance",
            in_force,
            "The key of an approver is revoked after the plan came and before its chunk is opened.",
            vec![sent_by_cat.clone(), govern(governed(revoked, &people)), opened(&plan_by_cat)],
            vec![sent_by_cat, opened(&plan_by_cat)],
        ),
        case(
            "governance-replaced-across-a-restart",
            "old-governance",
            in_force,
            "The newer version counts after a restart too, though the signer is pinned to the older one.",
            vec![sent_new.clone(), govern(governed(third, &people)), Step::Restart(NOW), opened(&plan_new)],
            vec![sent_new, Step::Restart(NOW), opened(&plan_new)],
        ),
    ]
}

fn bytes() -> Vec<Case> {
    let good = encode(&Request::Plan(Box::new(approved(plan(), &[ANN, BOB]))));
    let changed = |names: [&str; 2], why: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut attack = good.clone();
        change(&mut attack);
        let [attack, twin] = [attack, good.clone()].map(|bytes| vec![Step::Request(NOW, bytes)]);
        case(names[0], "not-canonical", names[1], why, attack, twin)
    };
    let canonical = "not in canonical form";
    let label = b"\x84\x69perennial\x67request";
    vec![
        changed(["bytes-behind-the-end", canonical], "A byte follows the request.", &|bytes| bytes.push(0)),
        changed(["long-number", canonical], "The format's version is written in two bytes.", &|bytes| {
            bytes.splice(label.len()..=label.len(), [0x18, 1]);
        }),
        changed(["bytes-cut-short", "not a readable request"], "The last byte is missing.", &|bytes| {
            bytes.pop();
        }),
        changed(["another-format", "expected a request document"], "A format that is not known.", &|bytes| {
            bytes[label.len()] = 9;
        }),
        changed(
            ["another-kind", "expected a request document"],
            "A reply where a request is due.",
            &|bytes| {
                bytes.splice(11..19, *b"\x65reply");
            },
        ),
    ]
}

/// Plans about wallets that exist; the share set comes along.
fn parents() -> Vec<Case> {
    let (_, usual) = prepared(plan());
    let (_, highest) = prepared(high());
    let with = |plan: &Plan, people: &[Person], parent: &ShareSet| {
        vec![sent(plan, people), open(NOW, plan, (2, 1), &[parent])]
    };
    let refused = |names: [&str; 3], why: &str, attack: Vec<Step>, twin: Vec<Step>| {
        case(names[0], names[1], names[2], why, attack, twin)
    };
    let raised = Plan { tier: Tier::High, ..refresh(&highest) };
    let elsewhere = Plan {
        committee: Committee::first(2, &[name("s1"), name("s2"), name("s4")]).expect("two of three"),
        ..refresh(&usual)
    };
    let quorum = [ANN, BOB, DAN];
    let globex = Plan { tenant: name("globex"), ..refresh(&usual) };
    let good = with(&refresh(&usual), &quorum, &usual);
    let forged = ShareSet { transcript: Digest([9; 32]), ..usual.clone() };
    let mut keyless = usual.clone();
    keyless.key.public_key = usual.verification_shares[0];
    vec![
        refused(
            ["tier-lower-than-the-wallets", "tier", "of a higher tier than the plan"],
            "A plan of the usual tier refreshes a wallet of the highest, so that compliance is not asked.",
            with(&refresh(&highest), &quorum, &highest),
            with(&raised, &quorum, &highest),
        ),
        refused(
            ["wallet-of-others", "tier", "is another tenant's"],
            "A plan of globex refreshes a wallet of acme.",
            with(&globex, &quorum, &usual),
            good.clone(),
        ),
        refused(
            ["another-committee", "other-committee", "a refresh keeps committee and threshold"],
            "A refresh gives the wallet to another committee.",
            with(&elsewhere, &quorum, &usual),
            good.clone(),
        ),
        refused(
            ["another-parent", "other-parent", "send the share set that the plan names"],
            "Another share set comes than the one that the plan names.",
            with(&refresh(&usual), &quorum, &forged),
            good.clone(),
        ),
        refused(
            ["parent-of-another-key", "other-parent", "does not open to its key"],
            "The plan names a share set whose shares are of another key than it says.",
            with(&refresh(&keyless), &quorum, &keyless),
            good,
        ),
    ]
}

/// Plans and numbers that were used before.
fn again() -> Vec<Case> {
    let (disk, _) = prepared(plan());
    let starting = |case: Case| Case { records: disk.rows(), slots: disk.slots.clone(), ..case };
    let later = |rank| Plan { rank, nonce: Digest([rank as u8; 32]), ..plan() };
    let (first, above) = (plan(), later(2));
    let used = |between: Vec<Step>| {
        let before = vec![sent(&first, &[ANN, BOB]), open(NOW, &first, (1, 1), &[])];
        let after = vec![Step::Restart(NOW), open(NOW, &first, (1, 2), &[])];
        [before, between, after].concat()
    };
    let other = Plan { nonce: Digest([1; 32]), ..plan() };
    let fresh = |plan: &Plan, number| vec![sent(plan, &[ANN, BOB]), open(NOW, plan, number, &[])];
    vec![
        case(
            "used-after-a-higher-one",
            "used",
            "is not above 2.1, which was opened here",
            "A plan with a higher rank was opened meanwhile, the signer was started again, and the older plan comes back.",
            used(fresh(&above, (2, 1))),
            used(Vec::new()),
        ),
        starting(case(
            "number-below-the-floor",
            "floor",
            "epoch 1.1 is not above 1.2, the highest seen here",
            "A number below one under which this signer has shares.",
            fresh(&other, (1, 1)),
            fresh(&above, (2, 1)),
        )),
        starting(case(
            "number-of-another-plan",
            "floor",
            "epoch 1.2 is not above 1.2, the highest seen here",
            "The number under which this signer has shares, for another plan.",
            fresh(&other, (1, 2)),
            fresh(&above, (2, 2)),
        )),
        starting(case(
            "used-after-its-time",
            "floor",
            "epoch 1.2 is not above 1.2, the highest seen here",
            "The date that gates Activation passes, the candidate is dropped, and with the clock turned back the plan \
             comes again.",
            vec![Step::Tick(DEADLINE + 60_000), Step::Restart(NOW), open(NOW, &first, (1, 2), &[])],
            vec![Step::Tick(NOW), Step::Restart(NOW), open(NOW, &first, (1, 2), &[])],
        )),
    ]
}
