//! Approvals as people make them: with OpenSSH's own program both ways, and none of them survives a changed byte.

#[path = "shared/person.rs"]
#[allow(dead_code, reason = "signatures are made wrong in other tests")]
mod person;

use perennial_model::approval::{
    Approval, ApprovalSignature, NAMESPACE, Unapproved, check_quorum, signed_line,
};
use perennial_model::encoding::{Digest, decode, encode};
use perennial_model::governance::history::{ApprovedGovernance, question};
use perennial_model::governance::{ApproverKey, Governance};
use person::Key;
use proptest::prelude::*;
use ssh_key::LineEnding;
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A governance that one person decides on, with their approval.
fn alone(key: Key) -> ApprovedGovernance {
    let name = |text: &str| text.parse().expect("a good name");
    let people = vec![(name("ann"), key.public())];
    let [initiator, role, tenant] = ["ira", "operator", "acme"];
    let [role, tenant] = [role, tenant].map(str::to_owned);
    let governance = Governance::of_one_role(
        initiator.parse().expect("a good name"),
        role.parse().expect("a good name"),
        1,
        people,
        vec![tenant.parse().expect("a good name")],
        Vec::new(),
    );
    let governance = Governance { relying_party: Some(person::relying_party()), ..governance };
    let approvals = vec![key.approve("ann", &governance.digest())];
    ApprovedGovernance { governance, approvals }
}

fn check(approved: &ApprovedGovernance) -> Result<(), Unapproved> {
    let governance = &approved.governance;
    check_quorum(&question(governance), &governance.digest(), &approved.approvals, governance)
}

/// Whether these bytes are still an approval of what was approved.
fn accepted(bytes: &[u8]) -> bool {
    decode::<ApprovedGovernance>(bytes).is_ok_and(|approved| approved.check(None).is_ok())
}

const KEYS: [Key; 3] = [Key::Ssh(1), Key::Es256(2), Key::Ed25519(3)];

#[test]
fn no_bit_of_an_approved_governance_can_be_another() {
    for key in KEYS {
        let bytes = encode(&alone(key));
        assert!(accepted(&bytes), "the approval itself");
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(!accepted(&flipped), "byte {at}, bit {bit} of {}", bytes.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_byte_of_an_approval_can_be_another(key in 0..3_usize, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let bytes = encode(&alone(KEYS[key]));
        let mut changed = bytes.clone();
        let at = at.index(bytes.len());
        changed[at] = to;
        prop_assert_eq!(accepted(&changed), changed == bytes, "byte {} of {}", at, bytes.len());
    }

    #[test]
    fn a_document_that_nobody_approved_is_never_approved(digest in any::<[u8; 32]>(), key in 0..3_usize) {
        let approved = alone(KEYS[key]);
        let governance = &approved.governance;
        let found = check_quorum(&question(governance), &Digest(digest), &approved.approvals, governance);
        let code = found.expect_err("another digest").code();
        prop_assert!(["bad-signature", "other-challenge"].contains(&code), "{}", code);
    }
}

/// A new folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs `ssh-keygen -Y`; nothing if it is not installed.
fn ssh_keygen(folder: &Path, arguments: &[&str], input: &str) -> Option<bool> {
    let mut command = Command::new("ssh-keygen");
    command.arg("-Y").args(arguments).current_dir(folder);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = match piped {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: ssh-keygen does not start here: {error}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads what it is given");
    drop(stdin);
    Some(child.wait().expect("it ends").success())
}

fn private_key(number: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
}

#[test]
fn what_ssh_keygen_signs_is_an_approval() {
    let folder = folder("signed");
    let private = private_key(1).to_openssh(LineEnding::LF).expect("a key has a text");
    let mut approved = alone(Key::Ssh(1));
    let line = signed_line(&approved.governance.digest());
    std::fs::write(folder.join("digest"), &line).expect("a file");
    std::fs::write(folder.join("key"), private.as_bytes()).expect("a file");
    restrict(&folder.join("key"));
    let Some(signed) = ssh_keygen(&folder, &["sign", "-n", NAMESPACE, "-f", "key", "digest"], "") else {
        return;
    };
    assert!(signed, "ssh-keygen does not sign");
    let armour = std::fs::read_to_string(folder.join("digest.sig")).expect("a signature");
    assert_eq!(armour, person::sshsig(1, NAMESPACE, &line), "an Ed25519 signature has one form");
    let signature = ApprovalSignature::Ssh(armour);
    approved.approvals = vec![Approval { person: "ann".parse().expect("a good name"), signature }];
    assert_eq!(check(&approved), Ok(()));
    approved.governance.version = 2;
    assert_eq!(check(&approved).expect_err("another document").code(), "bad-signature");
    std::fs::remove_dir_all(&folder).expect("our own folder");
}

#[test]
fn an_approval_verifies_with_ssh_keygen() {
    let folder = folder("verified");
    let approved = alone(Key::Ssh(1));
    let ApproverKey::Ssh(public) = Key::Ssh(1).public() else { panic!("an SSH key") };
    let ApprovalSignature::Ssh(armour) = &approved.approvals[0].signature else { panic!("an SSH signature") };
    std::fs::write(folder.join("allowed"), format!("ann {public}\n")).expect("a file");
    std::fs::write(folder.join("signature"), armour).expect("a file");
    let line = signed_line(&approved.governance.digest());
    let arguments = |namespace| ["verify", "-f", "allowed", "-I", "ann", "-n", namespace, "-s", "signature"];
    let Some(verified) = ssh_keygen(&folder, &arguments(NAMESPACE), &line) else { return };
    assert!(verified, "ssh-keygen does not take it");
    let [other_text, other_namespace] = [(NAMESPACE, "other\n"), ("file", line.as_str())]
        .map(|(n, text)| ssh_keygen(&folder, &arguments(n), text));
    assert_eq!((other_text, other_namespace), (Some(false), Some(false)));
    std::fs::remove_dir_all(&folder).expect("our own folder");
}

/// The program reads no private key that others can read.
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
}
