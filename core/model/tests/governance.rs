//! What makes a governance unsound, and how its versions follow each other.

#[path = "shared/person.rs"]
#[allow(dead_code, reason = "signatures are made wrong in other tests")]
mod person;

use perennial_model::committee::SignerId;
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::error::Error;
use perennial_model::governance::history::{ApprovedGovernance, History, Versions};
use perennial_model::governance::{
    APPROVERS_MAX, Approver, ApproverKey, Demand, Governance, Matter, Passkey, PasskeyKey, Rule,
    SignerIdentity, Unsound,
};
use perennial_model::identity::{FindIdentity, IdentityKey};
use perennial_model::wallet::{TenantId, Tier};
use person::{Key, string};
use std::fmt::Debug;

const ANN: (&str, Key) = ("ann", Key::Ssh(1));
const BOB: (&str, Key) = ("bob", Key::Es256(2));
const CAT: (&str, Key) = ("cat", Key::Ed25519(3));

fn name<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a good name")
}

fn signer(number: u8) -> SignerIdentity {
    SignerIdentity {
        signer: name(&format!("s{number}")),
        key: IdentityKey::Ed25519([number; 32]),
        transport_pin: Digest([number; 32]),
    }
}

/// Two of three people decide everything.
fn first() -> Governance {
    let people = [ANN, BOB, CAT].map(|(person, key)| (name(person), key.public()));
    let signers = (1..=3).map(signer).collect();
    let (initiator, role) = (name("ira"), name("operator"));
    let governance = Governance::of_one_role(initiator, role, 2, people.into(), vec![name("acme")], signers);
    Governance { relying_party: Some(person::relying_party()), ..governance }
}

fn next(present: &Governance) -> Governance {
    let (version, predecessor) = (present.version + 1, Some(present.digest()));
    Governance { version, predecessor, written_off: Vec::new(), ..present.clone() }
}

fn approved_by(governance: Governance, people: &[(&str, Key)]) -> ApprovedGovernance {
    let digest = governance.digest();
    let approvals = people.iter().map(|(person, key)| key.approve(person, &digest)).collect();
    ApprovedGovernance { governance, approvals }
}

fn approved(governance: Governance) -> ApprovedGovernance {
    approved_by(governance, &[ANN, BOB])
}

/// What is wrong with the first version after this change.
fn unsound(change: impl FnOnce(&mut Governance)) -> Unsound {
    let mut governance = first();
    assert_eq!(governance.check(), Ok(()));
    change(&mut governance);
    governance.check().err().unwrap_or_else(|| panic!("still sound: {governance:?}"))
}

#[test]
fn a_version_without_its_place_is_unsound() {
    let predecessor = Some(Digest([1; 32]));
    assert_eq!(unsound(|g| g.version = 0), Unsound::Version);
    assert_eq!(unsound(|g| g.version = 2), Unsound::Version);
    assert_eq!(unsound(|g| g.predecessor = predecessor), Unsound::Version);
    assert_eq!(unsound(|g| (g.version, g.predecessor) = (0, predecessor)), Unsound::Version);
}

#[test]
fn what_is_listed_twice_is_unsound() {
    let twice = |change: fn(&mut Governance)| match unsound(change) {
        Unsound::Twice { what, name } => format!("{what} {name}"),
        other => panic!("{other}"),
    };
    type Change = fn(&mut Governance);
    let again: [(Change, &str); 8] = [
        (|g| g.approvers[2].person = name("ann"), "approver ann"),
        (|g| g.signers[2].signer = name("s1"), "signer s1"),
        (|g| g.signers[2].key = signer(1).key, "an identity key"),
        (|g| g.tenants.push(name("acme")), "tenant acme"),
        (|g| g.written_off = vec![name("s8"), name("s8")], "signer written off s8"),
        (|g| g.written_off = vec![name("s1")], "signer, once as written off, s1"),
        (|g| g.rules.push(g.rules[2].clone()), "the rule to govern from tier low"),
        (|g| g.rules[0].demands = vec![g.rules[0].demands[0].clone(); 2], "in one rule, role operator"),
    ];
    for (change, expected) in again {
        assert_eq!(twice(change), expected);
    }
}

#[test]
fn one_key_never_stands_for_two_approvals() {
    let shared = |change: &dyn Fn(&mut Governance)| match unsound(change) {
        Unsound::SharedKey { first, second } => [first.to_string(), second.to_string()],
        other => panic!("{other}"),
    };
    let comment = |g: &mut Governance| match ANN.1.public() {
        ApproverKey::Ssh(line) => g.approvers[2].keys = vec![ApproverKey::Ssh(format!("{line} cat@desk"))],
        ApproverKey::Passkey(_) => panic!("ann has an SSH key"),
    };
    assert_eq!(shared(&comment), ["ann", "cat"]);
    let renamed = |g: &mut Governance| match BOB.1.public() {
        ApproverKey::Passkey(passkey) => {
            let credential = Bytes(vec![9; 16]);
            g.approvers[2].keys.push(ApproverKey::Passkey(Passkey { credential, ..passkey }));
        }
        ApproverKey::Ssh(_) => panic!("bob has a passkey"),
    };
    assert_eq!(shared(&renamed), ["bob", "cat"]);
    assert_eq!(shared(&|g| g.approvers[0].keys.push(ANN.1.public())), ["ann", "ann"]);
}

#[test]
fn a_key_that_cannot_be_used_is_unsound() {
    use base64ct::{Base64, Encoding};
    let line = |kind: &str, parts: &[&[u8]]| {
        let blob: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
        ApproverKey::Ssh(format!("{kind} {}", Base64::encode_string(&blob)))
    };
    let passkey = |key| ApproverKey::Passkey(Passkey { credential: Bytes(vec![1; 16]), key });
    let nist = person::es256(7);
    let point = nist.verifying_key().to_sec1_point(false);
    let modulus = [[0].as_slice(), &[0xc5; 256]].concat();
    let bad = [
        line("ecdsa-sha2-nistp256", &[b"ecdsa-sha2-nistp256", b"nistp256", point.as_bytes()]),
        line("ssh-rsa", &[b"ssh-rsa", &[1, 0, 1], &modulus]),
        line("sk-ssh-ed25519@openssh.com", &[b"sk-ssh-ed25519@openssh.com", &[5; 32], b"ssh:"]),
        line("ssh-ed25519", &[b"ssh-ed25519", &[5; 31]]),
        line("ssh-rsa", &[b"ssh-ed25519", &[5; 32]]),
        line("ssh-ed25519", &[b"ssh-ed25519", &[0; 32]]),
        line("ssh-ed25519", &[b"ssh-ed25519", &[0xff; 32]]),
        ApproverKey::Ssh(String::new()),
        ApproverKey::Ssh("ssh-ed25519 AAAA dana".into()),
        passkey(PasskeyKey::Es256(Bytes(point.as_bytes().to_vec()))),
        passkey(PasskeyKey::Es256(Bytes(vec![2; 32]))),
        passkey(PasskeyKey::Es256(Bytes(vec![0xff; 33]))),
        passkey(PasskeyKey::Ed25519([0; 32])),
        passkey(PasskeyKey::Ed25519([0xff; 32])),
    ];
    for key in bad {
        let found = unsound(|g| g.approvers[0].keys.push(key.clone()));
        assert!(
            matches!(&found, Unsound::BadKey { person, .. } if person.as_str() == "ann"),
            "{key:?}: {found}"
        );
    }
    let none = unsound(|g| g.approvers[1].keys.clear());
    assert_eq!(none, Unsound::BadKey { person: name("bob"), reason: "none is listed".into() });
}

#[test]
fn passkeys_that_nobody_could_use_are_unsound() {
    let found = Unsound::NoRelyingParty(name("bob"));
    assert_eq!(unsound(|g| g.relying_party = None), found);
    assert_eq!(unsound(|g| g.relying_party.as_mut().expect("one").origins.clear()), found);
}

#[test]
fn a_quorum_that_nobody_can_reach_is_unsound() {
    let demand = |role: &str, approvals| Demand { role: name(role), approvals };
    let govern = Matter::Govern;
    let (auditor, operator) = (name("auditor"), name("operator"));
    assert_eq!(
        unsound(|g| g.rules[2].demands.push(demand("auditor", 1))),
        Unsound::UnknownRole { matter: govern, role: auditor }
    );
    assert_eq!(
        unsound(|g| g.rules[2].demands = vec![demand("operator", 4)]),
        Unsound::ImpossibleQuorum { matter: govern, role: operator, approvals: 4, people: 3 }
    );
    assert_eq!(unsound(|g| g.rules[0].demands.clear()), Unsound::EmptyRule(Matter::Create));
    assert_eq!(
        unsound(|g| g.rules[1].demands = vec![demand("operator", 0)]),
        Unsound::EmptyRule(Matter::Refresh)
    );
    assert_eq!(unsound(|g| g.rules.retain(|rule| rule.matter != govern)), Unsound::NoWayOut);
    assert_eq!(unsound(|g| g.rules.clear()), Unsound::NoWayOut);
}

#[test]
fn names_that_are_not_known_and_lists_without_end_are_unsound() {
    let found = unsound(|g| g.approvers[0].tenants = vec![name("acme"), name("globex")]);
    assert_eq!(found, Unsound::Unknown { what: "tenant", name: "globex".into() });
    let count = |what, count, most| Unsound::Count { what, count, most };
    assert_eq!(unsound(|g| g.approvers.clear()), count("approvers", 0, APPROVERS_MAX));
    assert_eq!(unsound(|g| g.tenants.clear()), count("tenants", 0, 10_000));
    let many = |g: &mut Governance| {
        g.approvers = (0..=APPROVERS_MAX)
            .map(|at| Approver { person: name(&format!("p{at}")), ..g.approvers[0].clone() })
            .collect();
    };
    assert_eq!(unsound(many), count("approvers", APPROVERS_MAX + 1, APPROVERS_MAX));
    let tenants =
        |g: &mut Governance| g.tenants = (0..=10_000).map(|at| name::<TenantId>(&format!("t{at}"))).collect();
    assert_eq!(unsound(tenants), count("tenants", 10_001, 10_000));
}

#[test]
fn the_rule_of_the_highest_tier_below_the_wallets_applies() {
    let mut governance = first();
    let rule = |from_tier, approvals| Rule {
        matter: Matter::Refresh,
        from_tier,
        demands: vec![Demand { role: name("operator"), approvals }],
    };
    governance.rules.retain(|rule| rule.matter != Matter::Refresh);
    governance.rules.extend([rule(Tier::High, 3), rule(Tier::Standard, 1)]);
    assert_eq!(governance.check(), Ok(()));
    let takes = Tier::ALL.map(|tier| governance.approvals_for(Matter::Refresh, tier));
    assert_eq!(takes, [None, Some(1), Some(3)]);
    let people: Vec<_> = governance.approvers.iter().map(|approver| &approver.person).collect();
    assert_eq!(governance.counted(Matter::Refresh, Tier::Standard, &people), 1);
    assert_eq!(governance.counted(Matter::Refresh, Tier::High, &people), 3);
    assert_eq!(governance.counted(Matter::Refresh, Tier::Low, &people), 0);
}

fn denied(outcome: Result<impl Debug, Error>) -> String {
    match outcome {
        Err(Error::Denied(reason)) => reason,
        other => panic!("not denied: {other:?}"),
    }
}

fn stale(outcome: Result<impl Debug, Error>) -> String {
    match outcome {
        Err(Error::Stale(reason)) => reason,
        other => panic!("not stale: {other:?}"),
    }
}

#[test]
fn a_history_that_is_whole_gives_its_newest_version() -> Result<(), Error> {
    let (one, two) = (first(), next(&first()));
    let versions = Versions(vec![approved(one.clone()), approved(two.clone())]);
    let history = History::check(versions.clone())?;
    assert_eq!((history.newest(), history.newest_digest()), (&two, two.digest()));
    assert_eq!(history.first_digest(), one.digest());
    assert_eq!(history.version_of(&one.digest()), Some(&one));
    assert_eq!(history.find(&two.digest())?, &two);
    assert_eq!(history.versions(), &versions);
    assert_eq!(history.identity_of(&name("s2")), Some(signer(2).key));
    assert!(denied(history.find(&Digest([1; 32]))).contains("the newest is version 2"));
    Ok(())
}

#[test]
fn a_history_with_a_gap_or_without_a_beginning_is_refused() {
    let (one, two) = (first(), next(&first()));
    let three = next(&two);
    let check = |versions: &[&Governance]| {
        History::check(Versions(versions.iter().map(|version| approved((*version).clone())).collect()))
    };
    assert!(check(&[&one, &two, &three]).is_ok());
    assert!(denied(check(&[])).contains("without any version"));
    assert!(stale(check(&[&two, &three])).contains("version 2, and the next one is 1"));
    assert!(stale(check(&[&one, &three])).contains("version 3, and the next one is 2"));
    assert!(stale(check(&[&one, &two, &two])).contains("version 2, and the next one is 3"));
    let stray = Governance { predecessor: Some(Digest([4; 32])), ..two.clone() };
    assert!(denied(check(&[&one, &stray])).contains("does not follow the version 1"));
    let few = Versions(vec![approved(one.clone()), approved_by(two.clone(), &[CAT])]);
    assert!(denied(History::check(few)).contains("has 1 of the 2 approvals"));
    assert!(denied(History::begin(approved_by(one, &[ANN, ANN]))).contains("has 1 of the 2 approvals"));
}

#[test]
fn what_cannot_follow_leaves_a_history_as_it_was() -> Result<(), Error> {
    let mut history = History::begin(approved(first()))?;
    let mut without = next(&first());
    without.signers.pop();
    history.extend(approved(without.clone()))?;
    let before = history.clone();
    let mut back = next(&without);
    back.signers.push(signer(3));
    assert!(denied(history.extend(approved(back))).contains("names are never given again"));
    let stranger = Governance { written_off: vec![name("s9")], ..next(&without) };
    assert!(denied(history.extend(approved(stranger))).contains("was never a signer"));
    let mut rekeyed = next(&without);
    rekeyed.signers[0].key = signer(9).key;
    assert!(denied(history.extend(approved(rekeyed))).contains("has another identity key"));
    assert!(denied(history.extend(approved_by(next(&without), &[ANN]))).contains("has 1 of the 2 approvals"));
    assert!(stale(history.extend(approved(without.clone()))).contains("the next one is 3"));
    assert_eq!(history, before);
    let mut replaced = next(&without);
    replaced.signers.push(SignerIdentity { signer: name("s4"), ..signer(3) });
    history.extend(approved(replaced.clone()))?;
    assert_eq!(history.newest().version, 3);
    // Who was removed may be written off later, and is still known by its key.
    assert!(!history.is_written_off(&name("s3")));
    history.extend(approved(Governance { written_off: vec![name("s3")], ..next(&replaced) }))?;
    assert!(history.is_written_off(&name("s3")) && history.identity_of(&name("s3")).is_some());
    let removed: Vec<&SignerId> =
        without.removed(before.version_of(&first().digest()).expect("the first")).collect();
    assert_eq!(removed, [&name::<SignerId>("s3")]);
    Ok(())
}

#[test]
fn of_two_histories_the_longer_counts_and_none_if_they_contradict() -> Result<(), Error> {
    let short = History::begin(approved(first()))?;
    let mut long = short.clone();
    long.extend(approved(next(&first())))?;
    assert_eq!(short.clone().newer(long.clone())?, long);
    assert_eq!(long.clone().newer(short.clone())?, long);
    assert_eq!(long.clone().newer(long.clone())?, long);
    let mut other = next(&first());
    other.tenants.push(name("globex"));
    let mut rival = short;
    rival.extend(approved(other))?;
    assert!(denied(long.clone().newer(rival.clone())).contains("contradict each other: version 2"));
    rival.extend(approved(next(rival.newest())))?;
    assert!(denied(rival.newer(long)).contains("contradict each other: version 2"));
    Ok(())
}

#[test]
fn approvals_may_be_too_few_so_far_and_never_bad() -> Result<(), Error> {
    let present = first();
    for people in [[].as_slice(), &[ANN], &[ANN, CAT]] {
        approved_by(next(&present), people).check_so_far(Some(&present))?;
    }
    approved_by(first(), &[ANN]).check_so_far(None)?;
    let stranger = approved_by(next(&present), &[ANN, ("hal", Key::Ssh(9))]);
    assert!(denied(stranger.check_so_far(Some(&present))).contains("hal is no approver"));
    let mut moved = approved_by(next(&present), &[ANN]);
    moved.governance.tenants.push(name("globex"));
    assert!(denied(moved.check_so_far(Some(&present))).contains("ann's signature is not over"));
    Ok(())
}
