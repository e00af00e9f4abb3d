//! Attacks on the quorum: too few, the wrong people, one person for two.

use crate::scene::*;
use crate::table::Case;
use perennial_model::encoding::Digest;
use perennial_model::plan::{Action, Plan, PlannedWallet};
use perennial_model::wallet::{Tier, Wallet};

/// All of them.
pub fn cases() -> Vec<Case> {
    [usual(), people(), highest_tier(), matters()].concat()
}

/// A case in which one plan comes with these approvals, and in its twin with those.
fn by(name: &str, refusal: &str, says: &str, why: &str, plan: &Plan, people: [&[Person]; 2]) -> Case {
    let [attack, twin] = people.map(|people| vec![submit(approved(plan.clone(), people))]);
    case(name, refusal, says, why, attack, twin)
}

fn missing(name: &str, says: &str, why: &str, plan: &Plan, people: [&[Person]; 2]) -> Case {
    by(name, "quorum-missing", says, why, plan, people)
}

fn usual() -> Vec<Case> {
    let few = "has 1 of the 2 approvals of role operator";
    let plan = plan();
    vec![
        missing(
            "nobody",
            "has 0 of the 2 approvals of role operator",
            "A plan comes without any approval.",
            &plan,
            [&[], &[ANN, BOB]],
        ),
        missing("one-of-two", few, "One operator where it takes two.", &plan, [&[ANN], &[ANN, BOB]]),
        missing(
            "one-person-twice",
            few,
            "The same approval stands there twice.",
            &plan,
            [&[ANN, ANN], &[ANN, BOB]],
        ),
        missing(
            "one-person-with-two-keys",
            few,
            "One person signs with an SSH key and with a passkey.",
            &plan,
            [&[ANN, ANN_PASSKEY], &[ANN, BOB_PASSKEY]],
        ),
        missing(
            "another-role",
            few,
            "Compliance signs where it takes a second operator.",
            &plan,
            [&[ANN, DAN], &[ANN, CAT]],
        ),
        missing(
            "two-of-another-role",
            few,
            "Three good signatures, of which only one is an operator's.",
            &plan,
            [&[DAN, EVE, ANN], &[DAN, BOB, ANN]],
        ),
        by(
            "more-than-are-read",
            "too-many",
            "65 approvals; at most 64 are read",
            "One approval more than is looked at, all of them good.",
            &plan,
            [&[[ANN; 64].as_slice(), &[BOB]].concat(), &[[ANN; 63].as_slice(), &[BOB]].concat()],
        ),
    ]
}

fn people() -> Vec<Case> {
    let plan = plan();
    let of = |initiator: &str, tenant: &str| {
        let wallet = PlannedWallet::New(Wallet { tenant: name(tenant), ..wallet() });
        let (initiator, tenant) = (name(initiator), name(tenant));
        Plan { initiator, tenant, wallets: vec![wallet], ..plan.clone() }
    };
    let submitted = |plan: Plan, people: &[Person]| vec![submit(approved(plan, people))];
    vec![
        case(
            "initiator",
            "initiator",
            "gus started this and cannot approve it",
            "Whoever asks for the plan is one of the two operators who approve it.",
            submitted(of("gus", "acme"), &[ANN, GUS]),
            submitted(of("ira", "acme"), &[ANN, GUS]),
        ),
        case(
            "initiator-with-a-passkey",
            "initiator",
            "bob started this and cannot approve it",
            "The same with another key of theirs, beside a quorum without them.",
            submitted(of("bob", "acme"), &[ANN, CAT, BOB_PASSKEY]),
            submitted(of("ira", "acme"), &[ANN, CAT, BOB_PASSKEY]),
        ),
        by(
            "stranger",
            "unknown-person",
            "hal is no approver in this governance",
            "Somebody signs whom governance does not name.",
            &plan,
            [&[ANN, HAL], &[ANN, GUS]],
        ),
        by(
            "stranger-under-a-good-name",
            "other-key",
            "cat's approval is signed with a key that governance does not give them",
            "A stranger signs with their own key under the name of an operator.",
            &plan,
            [&[ANN, ("cat", HAL.1)], &[ANN, CAT]],
        ),
        by(
            "colleague-under-another-name",
            "other-key",
            "bob's approval is signed with a key that governance does not give them",
            "One operator signs for two: the second time under a colleague's name.",
            &plan,
            [&[ANN, ("bob", ANN.1)], &[ANN, BOB]],
        ),
        case(
            "approver-of-another-tenant",
            "other-tenant",
            "fay approves nothing of tenant acme",
            "An operator who approves for globex alone approves a plan of acme.",
            submitted(of("ira", "acme"), &[ANN, FAY]),
            submitted(of("ira", "globex"), &[ANN, FAY]),
        ),
        case(
            "unknown-tenant",
            "unknown-tenant",
            "governance knows no tenant initech",
            "The plan is of a tenant that is not in governance.",
            submitted(of("ira", "initech"), &[ANN, BOB]),
            submitted(of("ira", "acme"), &[ANN, BOB]),
        ),
    ]
}

fn highest_tier() -> Vec<Case> {
    let plan = high();
    vec![
        missing(
            "high-without-compliance",
            "has 0 of the 1 approvals of role compliance",
            "Two operators decide about a wallet of the highest tier, for which it takes compliance as well.",
            &plan,
            [&[ANN, BOB], &[ANN, BOB, EVE]],
        ),
        missing(
            "high-by-operators-alone",
            "has 0 of the 1 approvals of role compliance",
            "A third operator stands in for compliance.",
            &plan,
            [&[ANN, BOB, CAT], &[ANN, BOB, DAN]],
        ),
        missing(
            "high-by-one-operator",
            "has 1 of the 2 approvals of role operator",
            "Both people of compliance and one operator: three approvals, and one operator too few.",
            &plan,
            [&[ANN, DAN, EVE], &[ANN, DAN, CAT]],
        ),
    ]
}

fn matters() -> Vec<Case> {
    let of = |tier| {
        let wallets = vec![PlannedWallet::Held(name("treasury"), Digest([5; 32]))];
        let plan = Plan { action: Action::Refresh, tier, wallets, rank: 2, ..plan() };
        vec![submit(approved(plan, &[ANN, BOB]))]
    };
    vec![case(
        "matter-without-a-rule",
        "no-rule",
        "governance lets nobody refresh for wallets of tier low",
        "There is no rule to refresh wallets of the lowest tier, and two operators do it.",
        of(Tier::Low),
        of(Tier::Standard),
    )]
}
