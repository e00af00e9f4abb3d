//! Attacks on governance itself: the version that follows decides who decides.

use crate::person::Key;
use crate::scene::*;
use crate::table::{Case, Step};
use perennial_model::encoding::Digest;
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::governance::{Approver, ApproverKey, Governance, Matter, SignerIdentity};

/// All of them.
pub fn cases() -> Vec<Case> {
    [quorums(), places(), signers(), unsound()].concat()
}

const QUORUM: [Person; 3] = [ANN, BOB, DAN];

fn next() -> Governance {
    following(&second())
}

fn changed(names: [&str; 3], why: &str, attack: ApprovedGovernance, twin: ApprovedGovernance) -> Case {
    case(names[0], names[1], names[2], why, vec![govern(attack)], vec![govern(twin)])
}

fn quorums() -> Vec<Case> {
    let by = |names: [&str; 3], why: &str, attack: &[Person], twin: &[Person]| {
        changed(names, why, governed(next(), attack), governed(next(), twin))
    };
    let missing = "quorum-missing";
    let mut taken = next();
    let dan = taken.approvers.iter_mut().find(|approver| approver.person.as_str() == DAN.0);
    dan.expect("dan is in it").keys = vec![HAL.1.public()];
    let asked = |person: &str| Governance { initiator: name(person), ..next() };
    let mut other = next();
    other.tenants.push(name("initech"));
    let approvals = governed(other, &QUORUM).approvals;
    vec![
        by(
            [
                "change-by-one-operator",
                missing,
                "has 1 of the 2 approvals of role operator that it takes to govern",
            ],
            "One operator too few.",
            &[ANN, DAN],
            &QUORUM,
        ),
        by(
            ["change-without-compliance", missing, "has 0 of the 1 approvals of role compliance"],
            "Operators alone.",
            &[ANN, BOB, CAT],
            &[ANN, BOB, CAT, EVE],
        ),
        by(
            ["change-by-one-person-twice", missing, "has 1 of the 2 approvals of role operator"],
            "One operator with both keys.",
            &[ANN, ANN_PASSKEY, DAN],
            &[ANN, BOB_PASSKEY, DAN],
        ),
        by(
            ["change-by-nobody", missing, "has 0 of the 2 approvals of role operator"],
            "No approval at all.",
            &[],
            &QUORUM,
        ),
        by(
            ["change-by-a-stranger", "unknown-person", "hal is no approver in this governance"],
            "A stranger.",
            &[ANN, BOB, HAL],
            &[ANN, BOB, EVE],
        ),
        changed(
            ["change-by-its-initiator", "initiator", "dan started this and cannot approve it"],
            "Whoever asks for the change approves it.",
            governed(asked("dan"), &QUORUM),
            governed(asked("eve"), &QUORUM),
        ),
        changed(
            ["change-by-keys-that-it-brings", "other-key", "dan's approval is signed with a key"],
            "A key approves the version that makes it count.",
            governed(taken.clone(), &[ANN, BOB, ("dan", HAL.1)]),
            governed(taken, &QUORUM),
        ),
        changed(
            ["change-with-approvals-of-another", "bad-signature", "ann's signature is not over"],
            "Approvals of another third version.",
            ApprovedGovernance { governance: next(), approvals },
            governed(next(), &QUORUM),
        ),
    ]
}

fn places() -> Vec<Case> {
    let fourth = following(&next());
    let skipping = governed(fourth.clone(), &QUORUM);
    let rootless = Governance { predecessor: Some(first().digest()), ..next() };
    let mut rival = second();
    rival.tenants.push(name("initech"));
    vec![
        case(
            "change-that-skips-a-version",
            "skipped",
            "governance version 2 is here",
            "Version 4 comes and version 3 never did. It is not taken; the signer says which one it has.",
            vec![govern(skipping.clone())],
            vec![govern(governed(next(), &QUORUM)), govern(skipping)],
        ),
        changed(
            [
                "change-of-another-predecessor",
                "predecessor",
                "does not follow the version 2 that is known here",
            ],
            "The third version names the first as the one before it.",
            governed(rootless, &QUORUM),
            governed(next(), &QUORUM),
        ),
        changed(
            [
                "change-of-a-made-up-predecessor",
                "predecessor",
                "does not follow the version 2 that is known here",
            ],
            "The third version names one before it that nobody knows.",
            governed(Governance { predecessor: Some(Digest([3; 32])), ..next() }, &QUORUM),
            governed(next(), &QUORUM),
        ),
        changed(
            ["change-of-the-past", "not-next", "governance version 2 is here"],
            "Another second version, as well approved as the one that is in force.",
            governed(rival, &QUORUM),
            versions().remove(1),
        ),
        changed(
            ["change-that-begins-anew", "not-next", "governance version 2 is here"],
            "Another first version, approved by its own people.",
            governed(Governance { initiator: name("hal"), ..first() }, &QUORUM),
            versions().remove(0),
        ),
    ]
}

fn without(governance: &Governance, signer: &str) -> Governance {
    let mut governance = governance.clone();
    governance.signers.retain(|known| known.signer.as_str() != signer);
    governance
}

fn signers() -> Vec<Case> {
    let mut other_key = next();
    let rekeyed = other_key.signers.iter_mut().find(|known| known.signer.as_str() == "s3");
    rekeyed.expect("a signer of it").key = signer_identity(9).key;
    let removal = governed(without(&next(), "s4"), &QUORUM);
    let returned = |number: u8, signer: &str| {
        let mut governance = following(&removal.governance);
        let identity = signer_identity(number);
        governance.signers.push(SignerIdentity { signer: name(signer), ..identity });
        vec![govern(removal.clone()), govern(governed(governance, &QUORUM))]
    };
    let mine = governed(without(&next(), "s1"), &QUORUM);
    let opened = |next: Vec<Step>| {
        let sent = vec![submit(approved(plan(), &[ANN, BOB]))];
        [sent, next, vec![open(NOW, &plan(), (1, 1), &[])]].concat()
    };
    vec![
        changed(
            ["another-key-under-a-name", "name-again", "s3 has another identity key in the version before"],
            "A signer's name is given to another key, as if it were the same signer.",
            governed(other_key, &QUORUM),
            governed(next(), &QUORUM),
        ),
        case(
            "name-given-again",
            "name-again",
            "s4 is the name of a signer that was removed",
            "The name of a removed signer is given to another. In the twin it gets a name of its own.",
            returned(9, "s4"),
            returned(9, "s5"),
        ),
        case(
            "name-given-back",
            "name-again",
            "s4 is the name of a signer that was removed",
            "A removed signer comes back under its name and key.",
            returned(4, "s4"),
            returned(4, "s5"),
        ),
        changed(
            ["writing-off-a-stranger", "written-off", "s9 is written off and was never a signer"],
            "A signer is written off that never was one.",
            governed(Governance { written_off: vec![name("s9")], ..without(&next(), "s4") }, &QUORUM),
            governed(Governance { written_off: vec![name("s4")], ..without(&next(), "s4") }, &QUORUM),
        ),
        case(
            "opening-by-a-removed-signer",
            "removed",
            "s1 was removed by governance version 3: it only erases",
            "A signer that was removed is to open a chunk.",
            opened(vec![govern(mine)]),
            opened(Vec::new()),
        ),
    ]
}

fn unsound() -> Vec<Case> {
    let broken = |name: &str, says: &str, why: &str, change: &dyn Fn(&mut Governance)| {
        let mut attack = next();
        change(&mut attack);
        changed([name, "unsound", says], why, governed(attack, &QUORUM), governed(next(), &QUORUM))
    };
    vec![
        broken(
            "change-to-no-way-out",
            "nobody could ever change it",
            "Nobody could change it again.",
            &|next| {
                next.rules.retain(|rule| rule.matter != Matter::Govern);
            },
        ),
        broken(
            "change-to-an-impossible-quorum",
            "to govern takes 3 of role compliance, and 2 have it",
            "Three of compliance are asked, and there are two.",
            &|next| next.rules[4].demands[1].approvals = 3,
        ),
        broken(
            "change-to-a-shared-key",
            "gus and hal share one key",
            "A second person gets the key of the first, and one of them could approve for both.",
            &|next| {
                let gus = next.approvers.iter().find(|approver| approver.person.as_str() == GUS.0);
                let twin = gus.expect("gus is in it").clone();
                next.approvers.push(Approver { person: name("hal"), ..twin });
            },
        ),
        broken(
            "change-to-a-key-of-everybody",
            "gus has no usable key",
            "Somebody gets an SSH key under which anybody can sign: a point of small order.",
            &|next| {
                let gus = next.approvers.iter_mut().find(|approver| approver.person.as_str() == GUS.0);
                let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
                gus.expect("gus is in it").keys = vec![ApproverKey::Ssh(line.into())];
            },
        ),
        broken(
            "change-to-a-key-of-type-rsa",
            "its SSH key is not of type ssh-ed25519",
            "Somebody gets an SSH key of a type that does not count.",
            &|next| {
                let gus = next.approvers.iter_mut().find(|approver| approver.person.as_str() == GUS.0);
                let line = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAEQDFxcXFxcXFxcXFxcXFxcXF";
                gus.expect("gus is in it").keys = vec![ApproverKey::Ssh(line.into())];
            },
        ),
        broken(
            "change-to-one-passkey-under-two-names",
            "eve and hal share one key",
            "The same passkey under another credential's name.",
            &|next| {
                let eve = next.approvers.iter().find(|approver| approver.person.as_str() == EVE.0);
                let mut twin = eve.expect("eve is in it").clone();
                twin.person = name("hal");
                let ApproverKey::Passkey(passkey) = &mut twin.keys[0] else { panic!("eve has a passkey") };
                passkey.credential = Key::Es256(12).credential();
                next.approvers.push(twin);
            },
        ),
    ]
}
