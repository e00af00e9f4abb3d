//! Attacks on what an SSH signature is over, and with what it was made.

use crate::person::{
    NAMESPACE, armoured, es256, line, ssh_blob, ssh_public, ssh_raw, ssh_signed, sshsig, string,
};
use crate::scene::*;
use crate::table::Case;
use p256::ecdsa::signature::Signer as _;
use perennial_model::approval::{Approval, ApprovalSignature, ApprovedPlan};
use perennial_model::committee::Committee;
use perennial_model::encoding::Digest;
use perennial_model::plan::{LiarTolerance, Plan, PlannedWallet, Profile};
use perennial_model::wallet::Wallet;
use sha2::Digest as _;

/// All of them.
pub fn cases() -> Vec<Case> {
    [moved(), texts(), armours(), spellings(), kinds()].concat()
}

/// The number of ann's SSH key.
const ANNS: u8 = 1;

/// A plan is approved, and another one comes with its approvals.
fn moved() -> Vec<Case> {
    let moved = |what: &str, why: &str, change: &dyn Fn(&mut Plan)| {
        let twin = approved(plan(), &[ANN, BOB]);
        let mut attack = twin.clone();
        change(&mut attack.plan);
        let name = format!("approvals-moved-to-another-{what}");
        case(
            &name,
            "bad-signature",
            "ann's signature is not over",
            why,
            vec![submit(attack)],
            vec![submit(twin)],
        )
    };
    let two_of = |signers: [&str; 3]| {
        let signers = signers.map(name);
        Committee::first(2, &signers).expect("two of three")
    };
    vec![
        moved("plan", "Approvals of a plan stand beside one with another nonce.", &|plan| {
            plan.nonce = Digest([8; 32]);
        }),
        moved("wallet", "One letter of the wallet's name is another.", &|plan| {
            plan.wallets = vec![PlannedWallet::New(Wallet { id: name("treasurz"), ..wallet() })];
        }),
        moved("rank", "The rank is higher by one.", &|plan| plan.rank += 1),
        moved("number-of-attempts", "More attempts than people approved.", &|plan| plan.attempts = 200),
        moved("committee", "One member of the committee is another.", &|plan| {
            plan.committee = two_of(["s1", "s2", "s4"]);
        }),
        moved("seating", "The same members at other seats.", &|plan| {
            plan.committee = two_of(["s2", "s1", "s3"]);
        }),
        moved("expiry", "The plan is good for longer.", &|plan| plan.expiry_ms += 1),
        moved("beginning", "The plan begins earlier.", &|plan| plan.not_before_ms -= 1),
        moved("initiator", "Somebody else has asked for it.", &|plan| plan.initiator = name("gus")),
        moved("overlap", "The older epoch is served for a shorter time.", &|plan| {
            plan.profile = Profile::Planned { overlap_ms: 0 };
        }),
        moved("tolerance", "Nobody approved that liars may go unnoticed.", &|plan| {
            plan.liar_tolerance = LiarTolerance::WaivedUnsafe;
        }),
        moved("policy", "A policy applies of which nobody was told.", &|plan| {
            plan.policy = Some(Digest([9; 32]));
        }),
    ]
}

/// A case in which ann's armour is this, beside bob's good one; in its twin it is that.
fn armour(names: [&str; 3], why: &str, attack: &str, twin: &str) -> Case {
    let [name, refusal, says] = names;
    let with = |armour: &str| {
        let signature = ApprovalSignature::Ssh(armour.to_owned());
        let mut approvals = approvals(&plan().digest(), &[BOB]);
        approvals.push(Approval { person: crate::scene::name("ann"), signature });
        vec![submit(ApprovedPlan::by_people(plan(), approvals))]
    };
    case(name, refusal, says, why, with(attack), with(twin))
}

fn texts() -> Vec<Case> {
    let digest = plan().digest();
    let good = sshsig(ANNS, NAMESPACE, &line(&digest));
    let over = |name: &str, why: &str, text: String| {
        let names = [name, "bad-signature", "ann's signature is not over"];
        armour(names, why, &sshsig(ANNS, NAMESPACE, &text), &good)
    };
    let elsewhere = |name: &str, namespace: &str, why: &str| {
        let names = [name, "other-purpose", "not for \"perennial\""];
        armour(names, why, &sshsig(ANNS, namespace, &line(&digest)), &good)
    };
    let version = second().digest();
    vec![
        over("digest-without-a-line-end", "The digest is signed, and is no line.", digest.to_string()),
        over("digest-in-capitals", "The digest is signed in another spelling.", line(&digest).to_uppercase()),
        over(
            "digest-of-the-governance",
            "What is signed is the governance that the plan names.",
            line(&version),
        ),
        over("nothing", "An empty text is signed.", String::new()),
        elsewhere("namespace-of-files", "file", "The signature was made for a file."),
        elsewhere("namespace-of-git", "git", "The signature was made for a commit."),
        elsewhere("namespace-in-capitals", "Perennial", "The namespace is spelled otherwise."),
        elsewhere("namespace-continued", "perennial/test", "The namespace begins as ours does."),
    ]
}

fn armours() -> Vec<Case> {
    let good = sshsig(ANNS, NAMESPACE, &line(&plan().digest()));
    let unread = |name: &str, why: &str, attack: &str| {
        armour([name, "unreadable", "ann's approval cannot be read"], why, attack, &good)
    };
    let (first_half, _) = good.split_at(good.len() / 2);
    vec![
        unread("no-armour", "The signature is empty.", ""),
        unread("garbage", "The signature is no signature.", "approved, ann"),
        unread("armour-cut-short", "The second half of the armour is missing.", first_half),
        unread(
            "armour-without-its-last-line",
            "The armour does not end.",
            good.trim_end().trim_end_matches("-----END SSH SIGNATURE-----"),
        ),
        unread(
            "armour-of-another-kind",
            "The armour says that it holds a key.",
            &good.replace("SSH SIGNATURE", "OPENSSH PRIVATE KEY"),
        ),
        unread(
            "armour-around-garbage",
            "The armour is whole and what is in it is not.",
            &armoured(&[0x5a; 120]),
        ),
    ]
}

/// A good signature in another spelling: what stands around it is not signed, so there is one form alone.
fn spellings() -> Vec<Case> {
    let text = line(&plan().digest());
    let good = sshsig(ANNS, NAMESPACE, &text);
    let raw = ssh_raw(ANNS, NAMESPACE, "sha512", &text);
    let blob = ssh_blob(&ssh_public(ANNS), NAMESPACE, "sha512", "ssh-ed25519", &raw);
    let (mut older, mut reserved) = (blob.clone(), blob);
    older[9] = 0;
    let namespace_end = older.windows(9).position(|part| part == NAMESPACE.as_bytes()).map(|at| at + 9);
    let at = namespace_end.expect("a namespace");
    reserved.splice(at..at + 4, string(b"more"));
    let spelled = |name: &str, why: &str, attack: &str, twin: &str| {
        armour([name, "unreadable", "its armour is not as ssh-keygen writes it"], why, attack, twin)
    };
    vec![
        spelled("ssh-format-of-version-0", "The format's version is another.", &armoured(&older), &good),
        spelled(
            "ssh-reserved-field-filled",
            "Something stands in the reserved field.",
            &armoured(&reserved),
            &good,
        ),
        spelled(
            "armour-with-old-line-ends",
            "The lines end with carriage returns alone; in the twin with both characters, as on some systems.",
            &good.replace('\n', "\r"),
            &good.replace('\n', "\r\n"),
        ),
        armour(
            ["armour-with-more-behind-it", "unreadable", "ann's approval cannot be read"],
            "Empty lines follow the armour; in the twin its last line does not end.",
            &format!("{good}\n\n"),
            good.trim_end(),
        ),
    ]
}

fn kinds() -> Vec<Case> {
    let text = line(&plan().digest());
    let good = sshsig(ANNS, NAMESPACE, &text);
    let public = ssh_public(ANNS);
    let raw = ssh_raw(ANNS, NAMESPACE, "sha512", &text);
    let with = |names: [&str; 2], why: &str, blob: Vec<u8>| {
        let says = match names[1] {
            "bad-signature" => "ann's signature is not over",
            "other-key" => "ann's approval is signed with a key that governance does not give them",
            _ => "ann's approval cannot be read",
        };
        armour([names[0], names[1], says], why, &armoured(&blob), &good)
    };
    let mut flipped = raw.clone();
    flipped[10] ^= 1;
    let strange = with(
        ["ssh-signature-of-another-key", "bad-signature"],
        "Her key stands in it, and a stranger's has signed.",
        ssh_blob(&public, NAMESPACE, "sha512", "ssh-ed25519", &ssh_raw(11, NAMESPACE, "sha512", &text)),
    );
    let nist = es256(ANNS);
    let point = nist.verifying_key().to_sec1_point(false);
    let nist_public =
        [string(b"ecdsa-sha2-nistp256"), string(b"nistp256"), string(point.as_bytes())].concat();
    let signed = ssh_signed(NAMESPACE, "sha512", &sha2::Sha512::digest(&text));
    let signature: p256::ecdsa::Signature = nist.sign(&signed);
    let (r, s) = signature.split_bytes();
    let number = |bytes: &[u8]| match bytes[0] {
        0x80.. => string(&[[0].as_slice(), bytes].concat()),
        _ => string(bytes),
    };
    let nist_signature = [number(&r), number(&s)].concat();
    let rsa_public = [string(b"ssh-rsa"), string(&[1, 0, 1]), number(&[0xc5; 256])].concat();
    vec![
        with(
            ["ssh-signature-flipped", "bad-signature"],
            "One bit of the signature is another.",
            ssh_blob(&public, NAMESPACE, "sha512", "ssh-ed25519", &flipped),
        ),
        strange,
        with(
            ["ssh-hash-renamed", "bad-signature"],
            "It is said that the text was hashed with another function than it was.",
            ssh_blob(&public, NAMESPACE, "sha256", "ssh-ed25519", &raw),
        ),
        with(
            ["ssh-namespace-renamed", "bad-signature"],
            "A signature for a file, on which the namespace was changed.",
            ssh_blob(&public, NAMESPACE, "sha512", "ssh-ed25519", &ssh_raw(ANNS, "file", "sha512", &text)),
        ),
        with(
            ["ssh-key-of-type-ecdsa", "other-key"],
            "A good signature of an ECDSA key.",
            ssh_blob(&nist_public, NAMESPACE, "sha512", "ecdsa-sha2-nistp256", &nist_signature),
        ),
        with(
            ["ssh-key-of-type-rsa", "other-key"],
            "A signature of an RSA key.",
            ssh_blob(&rsa_public, NAMESPACE, "sha512", "rsa-sha2-512", &[0x11; 256]),
        ),
    ]
}
