//! Who takes part: signers with their identities, and a person who approves. All follows from the seed.

use perennial_custody::keeper::Own;
use perennial_custody::keyslots::WrappingKey;
use perennial_custody::pinned::Pinned;
use perennial_model::approval::{Approval, ApprovalSignature, NAMESPACE, signed_line};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{ApproverKey, Governance, PersonId, SignerIdentity};
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign, transparent_signature};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the run signs and seals with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crypto {
    /// The transparent group, transparent sealing and identities: everything can be opened, and is cheap.
    Transparent,
    /// Ed25519 identities, HPKE, and wallets of the real schemes.
    Real,
}

/// The people and signers of one run.
pub struct Cast {
    /// The governance that everybody is pinned to at first, and whatever people make of it later.
    pub history: Arc<History>,
    /// The signers' names; a signer's place here is its number everywhere in the run.
    pub ids: Vec<SignerId>,
    /// What each signer has of its own.
    pub owns: Vec<Own>,
    /// Who asks for plans.
    pub initiator: PersonId,
    people: Vec<(PersonId, PrivateKey)>,
}

struct TransparentIdentity(SignerId, [u8; 32]);

impl Sign for TransparentIdentity {
    fn signer(&self) -> &SignerId {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        transparent_signature(&self.1, message)
    }
}

struct Ed25519Identity(SignerId, ed25519_dalek::SigningKey);

impl Sign for Ed25519Identity {
    fn signer(&self) -> &SignerId {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        use ed25519_dalek::Signer as _;
        IdentitySignature(self.1.sign(message).to_bytes())
    }
}

impl Cast {
    /// A cast of `count` signers and one person, who decides everything.
    pub fn new(seed: u64, count: usize, crypto: Crypto) -> Self {
        Self::governed(seed, count, crypto, &["dana"], 1, |people, signers| {
            Governance::of_one_role(name("otto"), name("operator"), 1, people, vec![name("acme")], signers)
        })
    }

    /// A cast of `count` signers and these people, under a governance that the first `deciding` of them approve.
    pub fn governed(
        seed: u64,
        count: usize,
        crypto: Crypto,
        people: &[&str],
        deciding: usize,
        governance: impl FnOnce(Vec<(PersonId, ApproverKey)>, Vec<SignerIdentity>) -> Governance,
    ) -> Self {
        let secret = |what: &str, number: usize| {
            Digest::of_parts(what, &[&seed.to_be_bytes(), &(number as u64).to_be_bytes()]).0
        };
        let ids: Vec<SignerId> = (1..=count).map(|number| name(&format!("s{number:02}"))).collect();
        let identities: Vec<(Arc<dyn Sign + Send + Sync>, IdentityKey)> = ids
            .iter()
            .enumerate()
            .map(|(number, id)| identity(crypto, id, secret("identity", number)))
            .collect();
        let keyed = |(number, person): (usize, &&str)| {
            (name(person), PrivateKey::from(Ed25519Keypair::from_seed(&secret("approver", number))))
        };
        let people: Vec<(PersonId, PrivateKey)> = people.iter().enumerate().map(keyed).collect();
        let public = |(person, key): &(PersonId, PrivateKey)| {
            let line = key.public_key().to_openssh().expect("an Ed25519 key has a line");
            (person.clone(), ApproverKey::Ssh(line))
        };
        let signers = ids.iter().zip(&identities).map(|(id, (_, key))| SignerIdentity {
            signer: id.clone(),
            key: *key,
            transport_pin: Digest::of(id.as_str().as_bytes()),
        });
        let governance = governance(people.iter().map(public).collect(), signers.collect());
        let digest = governance.digest();
        let initiator = governance.initiator.clone();
        let approvals =
            people[..deciding].iter().map(|(person, key)| approval(key, person, &digest)).collect();
        let history = History::begin(ApprovedGovernance { governance, approvals });
        let history = Arc::new(history.expect("a sound governance"));
        let own = |number: usize, identity: Arc<dyn Sign + Send + Sync>| Own {
            identity,
            wrapping: Arc::new(WrappingKey::from_secret_bytes(Zeroizing::new(secret("wrapping", number)))),
            pinned: Arc::new(
                Pinned::new(ids[number].clone(), History::clone(&history)).expect("the governance names all"),
            ),
        };
        let owns =
            identities.into_iter().enumerate().map(|(number, (identity, _))| own(number, identity)).collect();
        Self { history, owns, ids, initiator, people }
    }

    /// The first person's approval of what has this digest.
    pub fn approve(&self, digest: &Digest) -> Approval {
        self.approve_as(0, digest)
    }

    /// A person's approval of what has this digest.
    pub fn approve_as(&self, person: usize, digest: &Digest) -> Approval {
        let (name, key) = &self.people[person];
        approval(key, name, digest)
    }

    /// The next version of governance, which differs in nothing but its number, and makes every older plan void. One
    /// person's approval is enough only where one decides.
    pub fn govern(&self) -> ApprovedGovernance {
        self.govern_as(&[0])
    }

    /// The same, approved by these people.
    pub fn govern_as(&self, people: &[usize]) -> ApprovedGovernance {
        let present = self.history.newest();
        let governance = Governance {
            version: present.version + 1,
            predecessor: Some(self.history.newest_digest()),
            ..present.clone()
        };
        let digest = governance.digest();
        let approvals = people.iter().map(|person| self.approve_as(*person, &digest)).collect();
        ApprovedGovernance { governance, approvals }
    }

    /// The number of a signer.
    pub fn number(&self, signer: &SignerId) -> Option<usize> {
        self.ids.binary_search(signer).ok()
    }
}

/// The approval by a person with a key of what has this digest.
fn approval(key: &PrivateKey, person: &PersonId, digest: &Digest) -> Approval {
    let signature = key.sign(NAMESPACE, HashAlg::Sha512, signed_line(digest).as_bytes());
    let signature = signature.expect("an Ed25519 key signs").to_pem(LineEnding::LF);
    let signature = ApprovalSignature::Ssh(signature.expect("a signature has a text"));
    Approval { person: person.clone(), signature }
}

fn identity(crypto: Crypto, id: &SignerId, secret: [u8; 32]) -> (Arc<dyn Sign + Send + Sync>, IdentityKey) {
    match crypto {
        Crypto::Transparent => {
            (Arc::new(TransparentIdentity(id.clone(), secret)), IdentityKey::Transparent(secret))
        }
        Crypto::Real => {
            let key = ed25519_dalek::SigningKey::from_bytes(&secret);
            let public = IdentityKey::Ed25519(key.verifying_key().to_bytes());
            (Arc::new(Ed25519Identity(id.clone(), key)), public)
        }
    }
}

/// A name that is known to be one.
pub fn name<N: std::str::FromStr>(text: &str) -> N
where
    N::Err: std::fmt::Debug,
{
    text.parse().expect("names here are made of small letters and digits")
}
