//! Approvals under attack, decided by one signer alone.
//!
//! The files `approvals/*.case` hold what a signer is told, byte for byte: each attack beside a twin that differs from it
//! in what is attacked alone. A signer with a disk in memory hears both. The attack has to be refused for the reason that
//! stands there, and leave nothing on the disk; the twin has to be carried out.

#[path = "approvals/changes.rs"]
mod changes;
#[path = "approvals/destroyers.rs"]
mod destroyers;
#[path = "approvals/generate.rs"]
mod generate;
#[path = "approvals/mandated.rs"]
mod mandated;
#[path = "approvals/passkeys.rs"]
mod passkeys;
#[path = "../../model/tests/shared/person.rs"]
mod person;
#[path = "approvals/plans.rs"]
mod plans;
#[path = "approvals/quorums.rs"]
mod quorums;
#[path = "approvals/scene.rs"]
mod scene;
#[path = "approvals/signatures.rs"]
mod signatures;
#[path = "approvals/signer.rs"]
mod signer;
#[path = "approvals/table.rs"]
mod table;
#[path = "approvals/unattended.rs"]
mod unattended;

use perennial_model::approval::{Unapproved, check_quorum};
use perennial_model::encoding::{decode, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::{self, ApprovedGovernance, History, Versions};
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::Chunk;
use signer::{Memory, Signer};
use std::collections::BTreeSet;
use table::{Case, File, Step};

const FILES: [(&str, &str); 5] = [
    ("quorums", include_str!("approvals/quorums.case")),
    ("signatures", include_str!("approvals/signatures.case")),
    ("passkeys", include_str!("approvals/passkeys.case")),
    ("plans", include_str!("approvals/plans.case")),
    ("changes", include_str!("approvals/changes.case")),
];

fn files() -> impl Iterator<Item = File> {
    FILES.iter().map(|(_, text)| table::read(text))
}

/// A signer as a case begins.
fn begin(file: &File, case: &Case) -> Signer {
    let read = |bytes: &Vec<u8>| decode::<ApprovedGovernance>(bytes).expect("a version");
    let versions = file.versions.iter().take(case.pinned).map(read).collect();
    let history = History::check(Versions(versions)).expect("sound versions");
    Signer::start(1, history, Memory::holding(&case.records, &case.slots), scene::NOW)
}

fn take(signer: Signer, step: &Step) -> (Signer, Vec<Reply>) {
    match step {
        Step::Request(at, bytes) => signer.hear(*at, bytes),
        Step::Tick(at) => (signer.tick(*at), Vec::new()),
        Step::Restart(at) => (signer.restart(*at), Vec::new()),
    }
}

/// Takes all steps but the last, none of which is refused.
fn prepare<'a>(mut signer: Signer, name: &str, steps: &'a [Step]) -> (Signer, u64, &'a [u8]) {
    let (last, before) = steps.split_last().expect("at least one step");
    for step in before {
        let (next, replies) = take(signer, step);
        assert_eq!(refusal(&replies), None, "{name}: refused before its last step");
        signer = next;
    }
    let Step::Request(at, bytes) = last else { panic!("{name}: its last step is no request") };
    (signer, *at, bytes)
}

fn refusal(replies: &[Reply]) -> Option<&str> {
    replies.iter().find_map(|reply| match reply {
        Reply::Declined { reason, .. } => Some(reason.as_str()),
        _ => None,
    })
}

/// What the signer says to an attack. Asked for a version while one in between is missing, it names the one that it has.
fn answer(name: &str, asked: Option<&Request>, replies: &[Reply]) -> String {
    match (replies, asked) {
        ([Reply::Declined { reason, .. }], _) => reason.clone(),
        ([Reply::Governed { version, digest }], Some(Request::Governance(next)))
            if *digest != next.governance.digest() =>
        {
            format!("governance version {version} is here")
        }
        _ => panic!("{name}: not refused: {replies:?}"),
    }
}

/// The refusal of the one function that counts approvals, asked once more about the same document.
fn unapproved(signer: &Signer, request: &Request) -> Option<Unapproved> {
    let pinned = &signer.keeper().own().pinned;
    match request {
        Request::Plan(approved) => {
            let plan = &approved.plan;
            let Some(governance) = pinned.history().version_of(&plan.governance) else {
                let newest = pinned.governance().version;
                return Some(Unapproved::UnknownGovernance { named: plan.governance, newest });
            };
            check_quorum(&plan.question(), &plan.digest(), &approved.approvals, governance).err()
        }
        Request::Governance(next) => {
            let question = history::question(&next.governance);
            let present = pinned.governance();
            check_quorum(&question, &next.governance.digest(), &next.approvals, present).err()
        }
        _ => None,
    }
}

/// Refusals that stand for a code of [`Unapproved`] about the document itself.
const CODES: [&str; 14] = [
    "unknown-governance",
    "no-rule",
    "unknown-tenant",
    "too-many",
    "initiator",
    "unknown-person",
    "other-tenant",
    "unreadable",
    "other-key",
    "other-purpose",
    "other-challenge",
    "not-verified",
    "bad-signature",
    "quorum-missing",
];

fn refuse(file: &File, case: &Case) {
    let name = &case.name;
    let (signer, at, bytes) = prepare(begin(file, case), name, &case.attack);
    let (disk, opened) = (signer.disk.clone(), signer.keeper().chunks().count());
    let governance = signer.keeper().own().pinned.governance_digest();
    let asked = decode::<Request>(bytes).ok();
    let code = asked.as_ref().and_then(|request| unapproved(&signer, request));
    let (signer, replies) = signer.hear(at, bytes);
    let said = answer(name, asked.as_ref(), &replies);
    assert!(said.contains(&case.says), "{name}: {said:?} does not say {:?}", case.says);
    if CODES.contains(&case.refusal.as_str()) {
        let code = code.unwrap_or_else(|| panic!("{name}: its approvals count"));
        assert_eq!(code.code(), case.refusal, "{name}: {code}");
        assert!(said.contains(&code.to_string()), "{name}: {said:?} for {code}");
    }
    assert_eq!(signer.disk, disk, "{name}: left something on the disk");
    assert_eq!(signer.keeper().chunks().count(), opened, "{name}: left something open");
    assert_eq!(signer.keeper().own().pinned.governance_digest(), governance, "{name}: changed governance");
    if let Some(Request::Plan(approved)) = asked {
        let plan = approved.plan;
        let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, 1), first: 0, count: 1 };
        let opening = encode(&Request::Open { chunk, parents: Vec::new() });
        let (_, replies) = signer.hear(at, &opening);
        let said = answer(name, None, &replies);
        assert!(said.contains("unknown plan"), "{name}: the plan is kept: {said}");
    }
}

fn accept(file: &File, case: &Case) {
    let name = format!("the twin of {}", case.name);
    let (signer, at, bytes) = prepare(begin(file, case), &name, &case.twin);
    let (signer, replies) = signer.hear(at, bytes);
    match (decode::<Request>(bytes).expect("a request"), replies.as_slice()) {
        (Request::Plan(approved), [Reply::Planned(digest)]) => {
            assert_eq!(*digest, approved.plan.digest(), "{name}");
        }
        (Request::Open { chunk, .. }, [Reply::Opened(opening)]) => {
            let said = opening.check(signer.keeper().own().pinned.governance()).expect("its own words");
            assert_eq!(said.body.chunk, chunk, "{name}");
        }
        (Request::Governance(next), [Reply::Governed { version, digest }]) => {
            assert_eq!((*version, *digest), (next.governance.version, next.governance.digest()), "{name}");
        }
        (_, replies) => panic!("{name}: {replies:?}"),
    }
}

#[test]
fn no_attack_on_approvals_is_carried_out() {
    files().for_each(|file| file.cases.iter().for_each(|case| refuse(&file, case)));
}

#[test]
fn what_differs_from_an_attack_in_the_attack_alone_is_carried_out() {
    files().for_each(|file| file.cases.iter().for_each(|case| accept(&file, case)));
}

#[test]
fn the_table_of_attacks_has_not_shrunk() {
    let cases: Vec<Case> = files().flat_map(|file| file.cases).collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let refusals: BTreeSet<&str> = cases.iter().map(|case| case.refusal.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "a name stands for two attacks");
    assert!(cases.len() >= 50, "{} attacks", cases.len());
    assert!(refusals.len() >= 12, "{} refusals: {refusals:?}", refusals.len());
    for code in CODES.iter().chain(&["old-governance"]) {
        assert!(refusals.contains(code), "no attack is refused as {code}");
    }
    for case in &cases {
        assert!(!case.why.is_empty() && !case.says.is_empty(), "{} says nothing", case.name);
        assert_ne!(case.attack, case.twin, "{} is its own twin", case.name);
    }
}

#[test]
fn the_files_of_attacks_can_be_made_again() {
    let made = generate::files();
    assert_eq!(made.len(), FILES.len());
    for ((name, text), (made_name, made)) in FILES.iter().zip(made) {
        assert_eq!(*name, made_name);
        let hint = "cargo run --release -p perennial-custody --example approval_attacks";
        assert!(*text == made, "{name}.case is not what is made now: {hint}");
    }
}

#[test]
fn a_clock_that_is_ten_minutes_ahead_leaves_no_step_half_done() {
    let (_, _, heard) = scene::ceremony(scene::plan());
    let history = History::check(Versions(scene::versions())).expect("sound versions");
    let mut signer = Signer::start(1, history, Memory::default(), scene::NOW);
    let past = "the date that gates Activation is past";
    let late = [None, Some("the plan has expired"), Some(past), None, Some(past)];
    assert_eq!(heard.len(), late.len());
    for (at, (bytes, late)) in heard.iter().zip(late).enumerate() {
        if let Some(late) = late {
            let disk = signer.disk.clone();
            let (after, replies) = signer.hear(scene::DEADLINE + 600_000, bytes);
            let said = refusal(&replies).unwrap_or_else(|| panic!("step {at}: {replies:?}"));
            assert!(said.starts_with("denied: ") && said.contains(late), "step {at}: {said}");
            assert_eq!(after.disk, disk, "step {at}");
            signer = after;
        }
        let (after, replies) = signer.hear(scene::NOW, bytes);
        assert_eq!((refusal(&replies), replies.len()), (None, 1), "step {at}: {replies:?}");
        signer = after;
    }
    assert_eq!(
        signer.keeper().wallets().count(),
        1,
        "the clock is right again, and the wallet has its share"
    );
}
