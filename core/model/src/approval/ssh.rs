//! Approval with an SSH key: the SSHSIG format of OpenSSH's PROTOCOL.sshsig over a document's digest.
//!
//! What is signed is one line, the digest in hexadecimal with a newline, in the namespace [`NAMESPACE`]; so
//! `ssh-keygen -Y sign -n perennial` and `-Y verify` work on it as they are.

use super::Unapproved;
use crate::encoding::Digest;
use crate::governance::{Approver, ApproverKey};
use crate::planted;
use ssh_key::{LineEnding, PublicKey, SshSig};

/// The SSHSIG namespace of approvals. What kind of document is approved is part of the digest.
pub const NAMESPACE: &str = "perennial";

/// The line that an approver signs.
pub fn signed_line(digest: &Digest) -> String {
    format!("{digest}\n")
}

/// Checks an armoured signature against the keys that governance gives to a person.
pub(super) fn check(approver: &Approver, digest: &Digest, armoured: &str) -> Result<(), Unapproved> {
    let person = &approver.person;
    let unreadable = |reason: String| Unapproved::Unreadable { person: person.clone(), reason };
    let signature =
        SshSig::from_pem(armoured).map_err(|e| unreadable(format!("it is no SSH signature: {e}")))?;
    if !is_canonical(&signature, armoured) {
        return Err(unreadable("its armour is not as ssh-keygen writes it".into()));
    }
    if signature.namespace() != NAMESPACE {
        return Err(Unapproved::OtherPurpose {
            person: person.clone(),
            found: signature.namespace().to_owned(),
            expected: NAMESPACE.to_owned(),
        });
    }
    let keys = approver.keys.iter().filter_map(|key| match key {
        ApproverKey::Ssh(line) => PublicKey::from_openssh(line).ok(),
        ApproverKey::Passkey(_) => None,
    });
    let mut theirs = keys.filter(|key| key.key_data() == signature.public_key());
    let key = theirs.next().ok_or_else(|| Unapproved::OtherKey(person.clone()))?;
    if planted!(CountOtherApprovals) || holds(&key, digest, armoured, &signature) {
        return Ok(());
    }
    Err(Unapproved::BadSignature { person: person.clone(), digest: *digest })
}

/// Whether the key made this signature, here with its armour, over the line of this document.
#[cfg(not(feature = "simulation"))]
fn holds(key: &PublicKey, digest: &Digest, _: &str, signature: &SshSig) -> bool {
    key.verify(NAMESPACE, signed_line(digest).as_bytes(), signature).is_ok()
}

/// The same, asked once for each signature: a simulated signer sees one again with every message that comes twice and
/// after every crash, which was a twelfth of all that the simulator does.
#[cfg(feature = "simulation")]
fn holds(key: &PublicKey, digest: &Digest, armoured: &str, signature: &SshSig) -> bool {
    use std::{cell::RefCell, collections::HashMap};
    const REMEMBERED_MAX: usize = 4096;
    thread_local! {
        static REMEMBERED: RefCell<HashMap<Digest, bool>> = RefCell::default();
    }
    // The signature names its key, which was compared.
    let name = Digest::of_parts("an approval", &[&digest.0, armoured.as_bytes()]);
    REMEMBERED.with_borrow_mut(|remembered| {
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        *remembered
            .entry(name)
            .or_insert_with(|| key.verify(NAMESPACE, signed_line(digest).as_bytes(), signature).is_ok())
    })
}

/// Whether a signature is written in its one form, with either kind of line ends. Version, reserved field and armour are
/// not signed, so they would be free to change otherwise.
fn is_canonical(signature: &SshSig, armoured: &str) -> bool {
    let (key, namespace) = (signature.public_key().clone(), signature.namespace());
    let plain = SshSig::new(key, namespace, signature.hash_alg(), signature.signature().clone());
    let written = plain.and_then(|plain| plain.to_pem(LineEnding::LF));
    let armoured = armoured.replace("\r\n", "\n");
    written.is_ok_and(|written| armoured == written || armoured == written.trim_end())
}

/// The key in an OpenSSH public key line, without its comment.
pub(super) fn key_material(line: &str) -> Result<Vec<u8>, String> {
    let key =
        PublicKey::from_openssh(line).map_err(|e| format!("no line of an OpenSSH public key file: {e}"))?;
    let key = key.key_data().ed25519().ok_or("its SSH key is not of type ssh-ed25519")?;
    if !super::is_ed25519_key(&key.0) {
        return Err("its SSH key is no Ed25519 key".into());
    }
    Ok([b"ed25519 ".as_slice(), key.as_ref()].concat())
}
