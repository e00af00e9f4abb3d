//! The key with which a person approves: an Ed25519 key in an OpenSSH private key file, as `ssh-keygen` makes
//! them, so that either tool can use the other's.
//!
//! It refuses a file that others may read, and to replace one that is there.

use crate::failure::{Failure, Kind};
use perennial_model::approval::{NAMESPACE, signed_line};
use perennial_model::encoding::Digest;
use perennial_model::governance::{self, Governance, PersonId};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// The largest key file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Somebody's key.
pub struct ApproverKey(PrivateKey);

impl ApproverKey {
    /// Makes a key and writes it to `path`, mode 0600, and its public half beside it with `.pub` added.
    ///
    /// # Errors
    /// When there is a file already, or the disk refuses.
    pub fn create(path: &Path, person: &str) -> Result<Self, Failure> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)
            .map_err(|e| Failure::local(format!("no randomness: {e}"), "look at the operating system"))?;
        let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        let key = PrivateKey::new(pair, person).map_err(|e| unusable(path, e))?;
        let text = key.to_openssh(LineEnding::LF).map_err(|e| unusable(path, e))?;
        write_new(path, text.as_bytes(), 0o600)?;
        let key = Self(key);
        write_new(&path.with_added_extension("pub"), format!("{}\n", key.public_line()?).as_bytes(), 0o644)?;
        Ok(key)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// When the file is not there, is open to others, or holds no usable key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let wide = "chmod 600 the file; if somebody may have read it, have governance name a new key";
        let text = read_private(path, FILE_BYTES_MAX, wide)?;
        let key = PrivateKey::from_openssh(text.as_bytes()).map_err(|e| unusable(path, e))?;
        if key.is_encrypted() {
            return Err(Failure::local(
                format!("{} is locked with a passphrase, which is not asked for here", path.display()),
                "sign with ssh-keygen as shown, then pass the file with --signature",
            ));
        }
        Ok(Self(key))
    }

    /// The public half as one line of an OpenSSH public key file.
    pub fn public_line(&self) -> Result<String, Failure> {
        self.0.public_key().to_openssh().map_err(|e| Failure::local(e, "use an Ed25519 key"))
    }

    /// The fingerprint, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The person whose key this is in that governance, if it is the one that was named.
    ///
    /// # Errors
    /// When it is nobody's, or another person's.
    pub fn owner_named(
        &self,
        governance: &Governance,
        named: Option<&PersonId>,
    ) -> Result<PersonId, Failure> {
        let owner = self.owner(governance).ok_or_else(|| {
            Failure::usage(
                format!("the key {} is no approver's", self.fingerprint()),
                "use a key that `perennial governance show` lists",
            )
        })?;
        match named {
            Some(named) if *named != owner => Err(Failure::usage(
                format!("the key is {owner}'s, not {named}'s"),
                "use that person's own key",
            )),
            _ => Ok(owner),
        }
    }

    /// Whose key this is in that governance.
    fn owner(&self, governance: &Governance) -> Option<PersonId> {
        let is_this = |key: &governance::ApproverKey| match key {
            governance::ApproverKey::Ssh(line) => ssh_key::PublicKey::from_openssh(line)
                .is_ok_and(|public| public.key_data() == self.0.public_key().key_data()),
            governance::ApproverKey::Passkey(_) => false,
        };
        let owner = governance.approvers.iter().find(|approver| approver.keys.iter().any(is_this));
        owner.map(|owner| owner.person.clone())
    }

    /// Approves a document: the armoured signature over its digest.
    pub fn approve(&self, digest: &Digest) -> Result<String, Failure> {
        let failed =
            |e: ssh_key::Error| Failure::local(format!("the key cannot sign: {e}"), "use an Ed25519 key");
        let signature =
            self.0.sign(NAMESPACE, HashAlg::Sha512, signed_line(digest).as_bytes()).map_err(failed)?;
        signature.to_pem(LineEnding::LF).map_err(failed)
    }
}

/// Reads a secret from a file that nobody else may read; `wide` is what to do if somebody may.
pub fn read_private(path: &Path, bytes_max: u64, wide: &str) -> Result<Zeroizing<String>, Failure> {
    let file = File::open(path).map_err(|e| Failure::file("open", path, &e))?;
    let mode = file.metadata().map_err(|e| Failure::file("inspect", path, &e))?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = format!("{} is open to others (mode {:04o})", path.display(), mode & 0o7777);
        return Err(Failure::local(what, wide));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(bytes_max).read_to_string(&mut text).map_err(|e| Failure::file("read", path, &e))?;
    Ok(text)
}

/// Writes a file that must not be there yet.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    opened
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|e| Failure::file("write", path, &e))
}

fn unusable(path: &Path, reason: ssh_key::Error) -> Failure {
    Failure::new(
        Kind::Broken,
        format!("{} holds no usable SSH key: {reason}", path.display()),
        "the file",
        "pass an OpenSSH private key file of type ssh-ed25519",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::approval::{Approval, ApprovalSignature, check_approval};

    use perennial_model::governance::history::question;

    #[test]
    fn what_the_key_approves_every_signer_accepts_and_nothing_else() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("dana.key");
        let made = ApproverKey::create(&path, "dana").expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = ApproverKey::read(&path).expect("read");
        let [dana, erin]: [PersonId; 2] = ["dana", "erin"].map(|name| name.parse().expect("a name"));
        let people = vec![(dana.clone(), governance::ApproverKey::Ssh(read.public_line().expect("a line")))];
        let role = "operator".parse().expect("a name");
        let governance = Governance::of_one_role(erin, role, 1, people, Vec::new(), Vec::new());
        assert_eq!(made.owner(&governance), Some(dana.clone()));
        let digest = Digest::of(b"a plan");
        let signature = read.approve(&digest).expect("signed");
        let approval = Approval { person: dana, signature: ApprovalSignature::Ssh(signature) };
        let question = question(&governance);
        assert!(check_approval(&question, &digest, &approval, &governance).is_ok());
        assert!(check_approval(&question, &Digest::of(b"another"), &approval, &governance).is_err());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_and_none_is_replaced() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("dana.key");
        ApproverKey::create(&path, "dana").expect("made");
        assert!(ApproverKey::create(&path, "dana").is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("widened");
        let refusal = ApproverKey::read(&path).err().expect("refused").to_string();
        assert!(refusal.contains("chmod 600"), "{refusal}");
    }
}
