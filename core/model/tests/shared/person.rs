//! The keys of people, in software: SSH keys that sign as `ssh-keygen -Y sign` does, and authenticators with passkeys.
//!
//! Everything is written by hand from the formats (OpenSSH's PROTOCOL.sshsig; W3C Web Authentication, level 3), so that
//! the code that verifies is not judged by itself, and every part of a signature can be made wrong. The keys follow from
//! a number, and the signatures from key and text.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use ed25519_dalek::Signer as _;
use perennial_model::approval::passkey::Assertion;
use perennial_model::approval::{Approval, ApprovalSignature};
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::governance::{ApproverKey, Passkey, PasskeyKey, RelyingParty};
use sha2::Digest as _;

/// The namespace of SSH signatures on approvals.
pub const NAMESPACE: &str = "perennial";
/// The domain of the passkeys.
pub const DOMAIN: &str = "console.example.com";
/// The page that asks for them.
pub const ORIGIN: &str = "https://console.example.com";
/// Flags of an authenticator that was touched and knows by whom: UP and UV.
pub const PRESENT_AND_VERIFIED: u8 = 0b101;

/// Where the passkeys are used.
pub fn relying_party() -> RelyingParty {
    RelyingParty { id: DOMAIN.into(), origins: vec![ORIGIN.into()] }
}

/// One key of a person. The number makes it another one.
#[derive(Clone, Copy)]
pub enum Key {
    /// An SSH key of type `ssh-ed25519`.
    Ssh(u8),
    /// A passkey that signs with ECDSA over P-256.
    Es256(u8),
    /// A passkey that signs with Ed25519.
    Ed25519(u8),
}

/// What a browser and an authenticator put into an assertion.
#[derive(Clone)]
pub struct Gesture {
    /// `webauthn.get`, unless something else is meant.
    pub kind: String,
    /// The challenge as it is written.
    pub challenge: String,
    /// The page that asks.
    pub origin: String,
    /// What follows in the client data.
    pub rest: String,
    /// The domain that the authenticator was told.
    pub domain: String,
    /// Its flags.
    pub flags: u8,
    /// Its counter.
    pub counter: u32,
}

impl Gesture {
    /// What a person does who approves this.
    pub fn over(digest: &Digest) -> Self {
        Self {
            kind: "webauthn.get".into(),
            challenge: Base64UrlUnpadded::encode_string(&digest.0),
            origin: ORIGIN.into(),
            rest: ",\"crossOrigin\":false}".into(),
            domain: DOMAIN.into(),
            flags: PRESENT_AND_VERIFIED,
            counter: 7,
        }
    }

    fn client_data(&self) -> Vec<u8> {
        let Self { kind, challenge, origin, rest, .. } = self;
        format!("{{\"type\":\"{kind}\",\"challenge\":\"{challenge}\",\"origin\":\"{origin}\"{rest}")
            .into_bytes()
    }

    fn authenticator_data(&self) -> Vec<u8> {
        let mut data = Digest::of(self.domain.as_bytes()).0.to_vec();
        data.push(self.flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }
}

impl Key {
    /// As governance lists it.
    pub fn public(self) -> ApproverKey {
        let passkey = |key| ApproverKey::Passkey(Passkey { credential: self.credential(), key });
        match self {
            Self::Ssh(number) => {
                ApproverKey::Ssh(format!("ssh-ed25519 {}", Base64::encode_string(&ssh_public(number))))
            }
            Self::Es256(number) => {
                let point = es256(number).verifying_key().to_sec1_point(true);
                passkey(PasskeyKey::Es256(Bytes(point.as_bytes().to_vec())))
            }
            Self::Ed25519(number) => passkey(PasskeyKey::Ed25519(ed25519(number).verifying_key().to_bytes())),
        }
    }

    /// The credential's id, if it is a passkey.
    pub fn credential(self) -> Bytes {
        let (Self::Ssh(number) | Self::Es256(number) | Self::Ed25519(number)) = self;
        Bytes(vec![number; 16])
    }

    /// The signature of somebody who approves what has this digest.
    pub fn sign(self, digest: &Digest) -> ApprovalSignature {
        match self {
            Self::Ssh(number) => ApprovalSignature::Ssh(sshsig(number, NAMESPACE, &line(digest))),
            _ => ApprovalSignature::Passkey(Box::new(self.assertion(&Gesture::over(digest)))),
        }
    }

    /// The assertion of a passkey.
    pub fn assertion(self, gesture: &Gesture) -> Assertion {
        let (client_data, authenticator_data) = (gesture.client_data(), gesture.authenticator_data());
        self.assertion_over(authenticator_data, client_data)
    }

    /// The assertion of a passkey with these very bytes.
    pub fn assertion_over(self, authenticator_data: Vec<u8>, client_data: Vec<u8>) -> Assertion {
        let signed = [authenticator_data.as_slice(), &Digest::of(&client_data).0].concat();
        let signature = match self {
            Self::Es256(number) => {
                let signature: p256::ecdsa::DerSignature = es256(number).sign(&signed);
                signature.as_bytes().to_vec()
            }
            Self::Ssh(number) | Self::Ed25519(number) => ed25519(number).sign(&signed).to_bytes().to_vec(),
        };
        Assertion {
            credential: self.credential(),
            authenticator_data: Bytes(authenticator_data),
            client_data: Bytes(client_data),
            signature: Bytes(signature),
        }
    }

    /// A person's approval with this key.
    pub fn approve(self, person: &str, digest: &Digest) -> Approval {
        Approval { person: person.parse().expect("a good name"), signature: self.sign(digest) }
    }
}

/// What is signed with an SSH key: the digest as a line.
pub fn line(digest: &Digest) -> String {
    format!("{digest}\n")
}

/// An SSH signature in its armour.
pub fn sshsig(number: u8, namespace: &str, text: &str) -> String {
    let signature = ssh_raw(number, namespace, "sha512", text);
    armoured(&ssh_blob(&ssh_public(number), namespace, "sha512", "ssh-ed25519", &signature))
}

/// The 64 bytes of an SSH signature over a text that is hashed with SHA-512 and claims to be hashed with `hash`.
pub fn ssh_raw(number: u8, namespace: &str, hash: &str, text: &str) -> Vec<u8> {
    ed25519(number).sign(&ssh_signed(namespace, hash, &sha2::Sha512::digest(text))).to_bytes().to_vec()
}

/// What an SSH key really signs.
pub fn ssh_signed(namespace: &str, hash: &str, hashed: &[u8]) -> Vec<u8> {
    [b"SSHSIG".to_vec(), string(namespace.as_bytes()), string(b""), string(hash.as_bytes()), string(hashed)]
        .concat()
}

/// A signature with all that belongs to it, before it is armoured.
pub fn ssh_blob(public: &[u8], namespace: &str, hash: &str, algorithm: &str, signature: &[u8]) -> Vec<u8> {
    let signature = [string(algorithm.as_bytes()), string(signature)].concat();
    let parts = [
        string(public),
        string(namespace.as_bytes()),
        string(b""),
        string(hash.as_bytes()),
        string(&signature),
    ];
    [b"SSHSIG\0\0\0\x01".to_vec(), parts.concat()].concat()
}

/// The armour around a signature, in lines of 70 characters.
pub fn armoured(blob: &[u8]) -> String {
    let text = Base64::encode_string(blob);
    let mut armour = String::from("-----BEGIN SSH SIGNATURE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(70));
        armour.push_str(line);
        armour.push('\n');
        rest = next;
    }
    armour.push_str("-----END SSH SIGNATURE-----\n");
    armour
}

/// The public half of an SSH key as the wire has it.
pub fn ssh_public(number: u8) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(&ed25519(number).verifying_key().to_bytes())].concat()
}

/// A string of the SSH wire: its length, then its bytes (RFC 4251, 5).
pub fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short strings");
    [length.to_be_bytes().as_slice(), bytes].concat()
}

/// The secret half of a P-256 key.
pub fn es256(number: u8) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&[number; 32]).expect("a scalar below the order")
}

fn ed25519(number: u8) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[number; 32])
}
