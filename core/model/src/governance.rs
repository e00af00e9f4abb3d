//! The document that names the people, the quorum per matter, the signers and the tenants.
//!
//! Every signer pins it. Each version names the digest of the one before it and is approved by a quorum of that one;
//! the first is approved by its own ([`history`]). Who may approve is written here, who has approved stands beside it.

pub mod history;
mod matter;

pub use matter::Matter;

use crate::committee::SignerId;
use crate::encoding::{self, Bytes, Digest, Document};
use crate::error::Error;
use crate::identity::{FindIdentity, IdentityKey};
use crate::wallet::{TenantId, Tier, name_type};
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

name_type! {
    /// A person who starts or approves plans.
    PersonId
}
name_type! {
    /// What a person answers for, such as `operator` or `compliance`.
    RoleId
}

/// The most people in one governance.
pub const APPROVERS_MAX: usize = 64;

/// A key with which a person approves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum ApproverKey {
    /// One line of an OpenSSH public key file (RFC 4253, 6.6; type `ssh-ed25519`).
    #[n(0)]
    Ssh(#[n(0)] String),
    /// A WebAuthn credential.
    #[n(1)]
    Passkey(#[n(0)] Passkey),
}

/// A WebAuthn credential (W3C Web Authentication, level 3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Passkey {
    /// The credential's id, as the authenticator gave it at registration.
    #[n(0)]
    pub credential: Bytes,
    /// Its public key.
    #[n(1)]
    pub key: PasskeyKey,
}

/// The public key of a passkey.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum PasskeyKey {
    /// ECDSA over P-256 with SHA-256 (COSE -7): the compressed point of SEC 1, 33 bytes.
    #[n(0)]
    Es256(#[n(0)] Bytes),
    /// Ed25519 (COSE -8), 32 bytes.
    #[n(1)]
    Ed25519(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
}

/// Where passkeys are used: what an authenticator and a browser put into every assertion.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct RelyingParty {
    /// The domain to which credentials are bound, such as `console.example.com`.
    #[n(0)]
    pub id: String,
    /// The origins that may ask, such as `https://console.example.com`.
    #[n(1)]
    pub origins: Vec<String>,
}

/// Somebody whose approval counts, once, in one role.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Approver {
    /// Who.
    #[n(0)]
    pub person: PersonId,
    /// What they answer for.
    #[n(1)]
    pub role: RoleId,
    /// Their keys. Each is as good as the others, and all of them count as one person.
    #[n(2)]
    pub keys: Vec<ApproverKey>,
    /// The tenants for whom they approve; empty: all.
    #[n(3)]
    pub tenants: Vec<TenantId>,
}

/// How many approvals of one role.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Demand {
    /// The role.
    #[n(0)]
    pub role: RoleId,
    /// How many distinct persons in it have to approve.
    #[n(1)]
    pub approvals: u8,
}

/// The quorum for a matter: every demand has to be met.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Rule {
    /// What is decided.
    #[n(0)]
    pub matter: Matter,
    /// The least tier for which this rule holds. Of several rules the one with the highest tier applies that is not above
    /// the wallets'. What concerns no wallet is of the highest tier.
    #[n(1)]
    pub from_tier: Tier,
    /// What it takes.
    #[n(2)]
    pub demands: Vec<Demand>,
}

/// A signer as governance knows it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SignerIdentity {
    /// Its name.
    #[n(0)]
    pub signer: SignerId,
    /// The key of its statements.
    #[n(1)]
    pub key: IdentityKey,
    /// SHA-256 of the public key (SubjectPublicKeyInfo) that it shows in TLS.
    #[n(2)]
    pub transport_pin: Digest,
}

/// One version of governance.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Governance {
    /// From 1, one more with each change.
    #[n(0)]
    pub version: u64,
    /// The digest of the version before this one; none for the first.
    #[n(1)]
    pub predecessor: Option<Digest>,
    /// Who asks for this version. An initiator's own approval does not count.
    #[n(2)]
    pub initiator: PersonId,
    /// Whose approval counts.
    #[n(3)]
    pub approvers: Vec<Approver>,
    /// The quorum per matter. A matter without a rule cannot be approved.
    #[n(4)]
    pub rules: Vec<Rule>,
    /// Whose wallets there may be.
    #[n(5)]
    pub tenants: Vec<TenantId>,
    /// The signers.
    #[n(6)]
    pub signers: Vec<SignerIdentity>,
    /// Signers of the version before that are gone for good with whatever shares they hold: no receipt is awaited.
    #[n(7)]
    pub written_off: Vec<SignerId>,
    /// Where passkeys are used, if anybody has one.
    #[n(8)]
    pub relying_party: Option<RelyingParty>,
    /// The ledger's key, as a C2SP signed-note verifier key (`name+id+key`), once it is known.
    #[n(9)]
    pub ledger_key: Option<String>,
}

impl Document for Governance {
    const KIND: &'static str = "governance";
    const VERSION: u16 = 2;
}

/// Why a governance cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// Its number and its predecessor contradict each other.
    #[error("versions count from 1 and all but the first name their predecessor")]
    Version,
    /// Something is named twice.
    #[error("{what} {name} is listed twice")]
    Twice {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Two people, or one person twice, have one key.
    #[error("{first} and {second} share one key: each needs a key of their own")]
    SharedKey {
        /// Who has it.
        first: PersonId,
        /// Who else.
        second: PersonId,
    },
    /// A person without a key, or with one that cannot be read.
    #[error("{person} has no usable key: {reason}")]
    BadKey {
        /// Whose it is.
        person: PersonId,
        /// What is wrong with it.
        reason: String,
    },
    /// There are passkeys, and nothing says where they are used.
    #[error("{0} has a passkey, and no relying party with an origin is named")]
    NoRelyingParty(PersonId),
    /// A rule demands a role that nobody has.
    #[error("to {matter} takes {role}, a role that nobody has")]
    UnknownRole {
        /// The matter.
        matter: Matter,
        /// The role.
        role: RoleId,
    },
    /// A quorum that nobody can reach.
    #[error("to {matter} takes {approvals} of role {role}, and {people} have it")]
    ImpossibleQuorum {
        /// The matter.
        matter: Matter,
        /// The role.
        role: RoleId,
        /// How many are demanded.
        approvals: u8,
        /// How many there are.
        people: usize,
    },
    /// A rule without any demand.
    #[error("to {0} takes nobody's approval: every rule has at least one demand of at least one approval")]
    EmptyRule(Matter),
    /// A rule for higher tiers that asks less.
    #[error(
        "to {matter} takes less from tier {from_tier} on than below it: a higher tier adds to what a lower one demands"
    )]
    WeakerAbove {
        /// The matter.
        matter: Matter,
        /// The tier of the weaker rule.
        from_tier: Tier,
    },
    /// Nobody could ever change it.
    #[error("it has no rule for changing governance, so nobody could ever change it")]
    NoWayOut,
    /// A name that is meant to be known is not.
    #[error("{what} {name} is not known in it")]
    Unknown {
        /// What it should be.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Too many of something.
    #[error("it lists {count} {what}; at most {most} are allowed, and at least one")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

impl From<Unsound> for Error {
    fn from(unsound: Unsound) -> Self {
        Self::Denied(format!("the governance is not sound: {unsound}"))
    }
}

impl Governance {
    /// A first version in which `approvals` of these people, all of one role, decide every matter.
    pub fn of_one_role(
        initiator: PersonId,
        role: RoleId,
        approvals: u8,
        people: Vec<(PersonId, ApproverKey)>,
        tenants: Vec<TenantId>,
        signers: Vec<SignerIdentity>,
    ) -> Self {
        let approver =
            |(person, key)| Approver { person, role: role.clone(), keys: vec![key], tenants: Vec::new() };
        let rule = |matter| {
            let demand = Demand { role: role.clone(), approvals };
            Rule { matter, from_tier: Tier::Low, demands: vec![demand] }
        };
        Self {
            version: 1,
            predecessor: None,
            initiator,
            approvers: people.into_iter().map(approver).collect(),
            rules: Matter::ALL.map(rule).into(),
            tenants,
            signers,
            written_off: Vec::new(),
            relying_party: None,
            ledger_key: None,
        }
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    /// Checks what must hold inside one version: names once each, keys of one person each, quorums that can be met, a
    /// way to change it, a predecessor for all versions but the first.
    ///
    /// # Errors
    /// [`Unsound`] with the rule that is broken.
    pub fn check(&self) -> Result<(), Unsound> {
        if (self.version == 1) != self.predecessor.is_none() || self.version == 0 {
            return Err(Unsound::Version);
        }
        let count = |what, count, most| match (1..=most).contains(&count) {
            true => Ok(()),
            false => Err(Unsound::Count { what, count, most }),
        };
        count("approvers", self.approvers.len(), APPROVERS_MAX)?;
        count("tenants", self.tenants.len(), 10_000)?;
        once("approver", self.approvers.iter().map(|approver| approver.person.as_str()))?;
        once("signer", self.signers.iter().map(|signer| signer.signer.as_str()))?;
        once("tenant", self.tenants.iter().map(TenantId::as_str))?;
        once("signer written off", self.written_off.iter().map(SignerId::as_str))?;
        if let Some(back) = self.written_off.iter().find(|gone| self.identity_of(gone).is_some()) {
            return Err(Unsound::Twice { what: "signer, once as written off,", name: back.to_string() });
        }
        let identities: BTreeSet<Vec<u8>> = self.signers.iter().map(|s| to_cbor(&s.key)).collect();
        if identities.len() != self.signers.len() {
            return Err(Unsound::Twice { what: "an identity", name: "key".into() });
        }
        self.check_people()?;
        self.check_rules()
    }

    fn check_people(&self) -> Result<(), Unsound> {
        let mut owners: Vec<(&PersonId, Vec<u8>)> = Vec::new();
        let mut credentials: Vec<String> = Vec::new();
        for approver in &self.approvers {
            let person = &approver.person;
            let bad = |reason: String| Unsound::BadKey { person: person.clone(), reason };
            if approver.keys.is_empty() {
                return Err(bad("none is listed".into()));
            }
            for key in &approver.keys {
                let meaning = crate::approval::key_material(key).map_err(bad)?;
                if let Some((owner, _)) = owners.iter().find(|(_, other)| *other == meaning) {
                    return Err(Unsound::SharedKey { first: (*owner).clone(), second: person.clone() });
                }
                owners.push((person, meaning));
                if let ApproverKey::Passkey(passkey) = key {
                    credentials.push(hex::encode(&passkey.credential.0));
                }
                let party = self.relying_party.as_ref().filter(|party| !party.origins.is_empty());
                if matches!(key, ApproverKey::Passkey(_)) && party.is_none() {
                    return Err(Unsound::NoRelyingParty(person.clone()));
                }
            }
            let stranger = approver.tenants.iter().find(|tenant| !self.tenants.contains(tenant));
            if let Some(tenant) = stranger {
                return Err(Unsound::Unknown { what: "tenant", name: tenant.to_string() });
            }
        }
        once("the passkey with credential", credentials.iter().map(String::as_str))
    }

    fn check_rules(&self) -> Result<(), Unsound> {
        once(
            "the rule to",
            self.rules.iter().map(|rule| format!("{} from tier {}", rule.matter, rule.from_tier)),
        )?;
        for rule in &self.rules {
            let matter = rule.matter;
            if rule.demands.is_empty() || rule.demands.iter().any(|demand| demand.approvals == 0) {
                return Err(Unsound::EmptyRule(matter));
            }
            once("in one rule, role", rule.demands.iter().map(|demand| demand.role.as_str()))?;
            for Demand { role, approvals } in &rule.demands {
                // Who approves for some tenants alone does not decide about all.
                let may = |approver: &&Approver| matter != Matter::Govern || approver.tenants.is_empty();
                let people = self.approvers.iter().filter(may).filter(|known| &known.role == role).count();
                if people == 0 {
                    return Err(Unsound::UnknownRole { matter, role: role.clone() });
                }
                if people < usize::from(*approvals) {
                    let (role, approvals) = (role.clone(), *approvals);
                    return Err(Unsound::ImpossibleQuorum { matter, role, approvals, people });
                }
            }
        }
        for rule in &self.rules {
            let below =
                self.rules.iter().filter(|low| low.matter == rule.matter && low.from_tier < rule.from_tier);
            let has = |demand: &Demand| {
                rule.demands.iter().any(|own| own.role == demand.role && own.approvals >= demand.approvals)
            };
            if below.flat_map(|low| &low.demands).any(|demand| !has(demand)) {
                return Err(Unsound::WeakerAbove { matter: rule.matter, from_tier: rule.from_tier });
            }
        }
        match self.demands(Matter::Govern, Tier::High) {
            Some(_) => Ok(()),
            None => Err(Unsound::NoWayOut),
        }
    }

    /// What it takes to decide a matter about wallets of this tier, none if it cannot be decided.
    pub fn demands(&self, matter: Matter, tier: Tier) -> Option<&[Demand]> {
        let rules = self.rules.iter().filter(|rule| rule.matter == matter && rule.from_tier <= tier);
        rules.max_by_key(|rule| rule.from_tier).map(|rule| rule.demands.as_slice())
    }

    /// How many approvals that is, over all roles.
    pub fn approvals_for(&self, matter: Matter, tier: Tier) -> Option<u32> {
        let demands = self.demands(matter, tier)?;
        Some(demands.iter().map(|demand| u32::from(demand.approvals)).sum())
    }

    /// How many of them these people make up: a person beyond what their role takes does not count.
    pub fn counted(&self, matter: Matter, tier: Tier, people: &[&PersonId]) -> u32 {
        let of_role = |role: &RoleId| {
            let has_role =
                |person: &&&PersonId| self.approver(person).is_some_and(|known| &known.role == role);
            people.iter().filter(has_role).count() as u32
        };
        let demands = self.demands(matter, tier).unwrap_or_default();
        demands.iter().map(|demand| of_role(&demand.role).min(u32::from(demand.approvals))).sum()
    }

    /// The person of this name.
    pub fn approver(&self, person: &PersonId) -> Option<&Approver> {
        self.approvers.iter().find(|known| &known.person == person)
    }

    /// The signers of `present` that are not in this version.
    pub fn removed<'a>(&'a self, present: &'a Self) -> impl Iterator<Item = &'a SignerId> {
        present.signers.iter().map(|known| &known.signer).filter(|name| self.identity_of(name).is_none())
    }
}

impl FindIdentity for Governance {
    fn identity_of(&self, signer: &SignerId) -> Option<IdentityKey> {
        self.signers.iter().find(|known| &known.signer == signer).map(|known| known.key)
    }
}

fn once<N: AsRef<str> + Ord>(what: &'static str, names: impl Iterator<Item = N>) -> Result<(), Unsound> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(Unsound::Twice { what, name: name.as_ref().to_owned() });
        }
        seen.insert(name);
    }
    Ok(())
}

fn to_cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory does not fail")
}
