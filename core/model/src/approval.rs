//! Approvals: what people signed, and whether that is the quorum which governance asks for.
//!
//! Every document that people decide on has a digest; that is what they sign, with an SSH key ([`ssh`]) or with a
//! passkey ([`passkey`]). One function, [`check_quorum`], says whether it counts, whatever the document is.

pub mod passkey;
pub mod ssh;

pub use ssh::{NAMESPACE, signed_line};

use crate::encoding::{Digest, Document};
use crate::error::Error;
use crate::governance::{Approver, ApproverKey, Governance, Matter, PersonId, RoleId};
use crate::mandate::{ApprovedMandate, Mandate};
use crate::plan::Plan;
use crate::planted;
use crate::wallet::{TenantId, Tier};
use minicbor::{Decode, Encode};
use passkey::Assertion;

/// The most approvals that are looked at.
pub const APPROVALS_MAX: usize = 64;

/// One person's approval of one document.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Approval {
    /// Who approves.
    #[n(0)]
    pub person: PersonId,
    /// With what they signed its digest.
    #[n(1)]
    pub signature: ApprovalSignature,
}

/// What a person signed with.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum ApprovalSignature {
    /// The armoured SSH signature, as `ssh-keygen -Y sign` writes it.
    #[n(0)]
    Ssh(#[n(0)] String),
    /// A WebAuthn assertion whose challenge is the digest.
    #[n(1)]
    Passkey(#[n(0)] Box<Assertion>),
}

/// What is asked of people: everything on which the quorum depends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question<'a> {
    /// What is decided.
    pub matter: Matter,
    /// The highest tier that it concerns.
    pub tier: Tier,
    /// Whose wallets it concerns, if it concerns any.
    pub tenant: Option<&'a TenantId>,
    /// Who asks.
    pub initiator: &'a PersonId,
}

/// Why something does not count as approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unapproved {
    /// It names a governance that is not known.
    #[error("it names governance {}, which is not known here; the newest is version {newest}", named.short())]
    UnknownGovernance {
        /// The digest that it names.
        named: Digest,
        /// The newest version here.
        newest: u64,
    },
    /// It was made under a version that has been replaced.
    #[error(
        "it was approved under governance version {version}, and version {newest} is in force: make a new plan"
    )]
    OldGovernance {
        /// The version that it names.
        version: u64,
        /// The newest.
        newest: u64,
    },
    /// Governance has no rule for it.
    #[error("governance lets nobody {matter} for wallets of tier {tier}")]
    NoRule {
        /// What is decided.
        matter: Matter,
        /// About wallets of which tier.
        tier: Tier,
    },
    /// There is no such tenant.
    #[error("governance knows no tenant {0}")]
    UnknownTenant(TenantId),
    /// There are too many approvals to look at.
    #[error("{0} approvals; at most {APPROVALS_MAX} are read")]
    TooMany(usize),
    /// Whoever asks does not decide.
    #[error("{0} started this and cannot approve it")]
    Initiator(PersonId),
    /// Nobody of that name may approve.
    #[error("{0} is no approver in this governance")]
    UnknownPerson(PersonId),
    /// This person approves for others.
    #[error("{person} approves nothing of tenant {tenant}")]
    OtherTenant {
        /// Who approves.
        person: PersonId,
        /// Whose wallets they are.
        tenant: TenantId,
    },
    /// This person approves for some tenants, and this concerns all.
    #[error("{0} approves for some tenants alone, and this concerns all of them")]
    LimitedPerson(PersonId),
    /// The signature is none.
    #[error("{person}'s approval cannot be read: {reason}")]
    Unreadable {
        /// Who is said to have signed.
        person: PersonId,
        /// What is wrong with it.
        reason: String,
    },
    /// Signed with a key that is not theirs.
    #[error("{0}'s approval is signed with a key that governance does not give them")]
    OtherKey(PersonId),
    /// Signed for another purpose.
    #[error("{person}'s approval was signed for {found:?}, not for {expected:?}")]
    OtherPurpose {
        /// Who signed.
        person: PersonId,
        /// What for: a namespace, an origin or a ceremony of WebAuthn.
        found: String,
        /// What it should have been for.
        expected: String,
    },
    /// A passkey's assertion about something else.
    #[error("{0}'s passkey answered another challenge than this digest")]
    OtherChallenge(PersonId),
    /// Nobody touched the authenticator, or it did not ask who did.
    #[error("{0}'s passkey did not verify that it was them: user presence and verification are required")]
    NotVerified(PersonId),
    /// The signature does not verify.
    #[error("{person}'s signature is not over {}", digest.short())]
    BadSignature {
        /// Who is said to have signed.
        person: PersonId,
        /// What they should have signed.
        digest: Digest,
    },
    /// Not enough people of a role.
    #[error("{} has {have} of the {needed} approvals of role {role} that it takes to {matter}", digest.short())]
    QuorumMissing {
        /// What was to be approved.
        digest: Digest,
        /// What is decided.
        matter: Matter,
        /// The role that lacks approvals.
        role: RoleId,
        /// How many there are.
        have: usize,
        /// How many it takes.
        needed: u8,
    },
}

impl Unapproved {
    /// A short name of the reason that never changes, for tables and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownGovernance { .. } => "unknown-governance",
            Self::OldGovernance { .. } => "old-governance",
            Self::NoRule { .. } => "no-rule",
            Self::UnknownTenant(_) => "unknown-tenant",
            Self::TooMany(_) => "too-many",
            Self::Initiator(_) => "initiator",
            Self::UnknownPerson(_) => "unknown-person",
            Self::OtherTenant { .. } => "other-tenant",
            Self::LimitedPerson(_) => "limited-person",
            Self::Unreadable { .. } => "unreadable",
            Self::OtherKey(_) => "other-key",
            Self::OtherPurpose { .. } => "other-purpose",
            Self::OtherChallenge(_) => "other-challenge",
            Self::NotVerified(_) => "not-verified",
            Self::BadSignature { .. } => "bad-signature",
            Self::QuorumMissing { .. } => "quorum-missing",
        }
    }
}

impl From<Unapproved> for Error {
    fn from(unapproved: Unapproved) -> Self {
        Self::Denied(unapproved.to_string())
    }
}

/// Checks that distinct people, the initiator not among them, signed exactly this digest, and that they are the quorum
/// which governance asks for. A person counts once, with the role that governance gives them, however often they sign.
///
/// # Errors
/// [`Unapproved`] with the first thing that is wrong or missing.
pub fn check_quorum(
    question: &Question<'_>,
    digest: &Digest,
    approvals: &[Approval],
    governance: &Governance,
) -> Result<(), Unapproved> {
    let Question { matter, tier, .. } = *question;
    let demands = governance.demands(matter, tier).ok_or(Unapproved::NoRule { matter, tier })?;
    if approvals.len() > APPROVALS_MAX {
        return Err(Unapproved::TooMany(approvals.len()));
    }
    let mut counted: Vec<&Approver> = Vec::new();
    for approval in approvals {
        let approver = check_approval(question, digest, approval, governance)?;
        if !counted.contains(&approver) || planted!(CountOnePersonTwice) {
            counted.push(approver);
        }
    }
    for demand in demands {
        let have =
            counted.iter().filter(|approver| approver.role == demand.role || planted!(CountAnyRole)).count();
        if have < usize::from(demand.approvals) {
            let (role, needed) = (demand.role.clone(), demand.approvals);
            return Err(Unapproved::QuorumMissing { digest: *digest, matter, role, have, needed });
        }
    }
    Ok(())
}

/// Checks one approval: that its person may answer this question and signed exactly this digest.
///
/// # Errors
/// [`Unapproved`] with what is wrong with it.
pub fn check_approval<'g>(
    question: &Question<'_>,
    digest: &Digest,
    approval: &Approval,
    governance: &'g Governance,
) -> Result<&'g Approver, Unapproved> {
    let person = &approval.person;
    if let Some(tenant) = question.tenant
        && !governance.tenants.contains(tenant)
    {
        return Err(Unapproved::UnknownTenant(tenant.clone()));
    }
    if person == question.initiator && !planted!(CountTheInitiator) {
        return Err(Unapproved::Initiator(person.clone()));
    }
    let approver = governance.approver(person).ok_or_else(|| Unapproved::UnknownPerson(person.clone()))?;
    match question.tenant {
        None if !approver.tenants.is_empty() => return Err(Unapproved::LimitedPerson(person.clone())),
        Some(tenant) if !approver.tenants.is_empty() && !approver.tenants.contains(tenant) => {
            return Err(Unapproved::OtherTenant { person: person.clone(), tenant: tenant.clone() });
        }
        _ => {}
    }
    match &approval.signature {
        ApprovalSignature::Ssh(armoured) => ssh::check(approver, digest, armoured)?,
        ApprovalSignature::Passkey(assertion) => {
            passkey::check(approver, digest, assertion, governance.relying_party.as_ref())?;
        }
    }
    Ok(approver)
}

/// Whether these bytes are the one form of a point under which not everybody can sign.
fn is_ed25519_key(bytes: &[u8; 32]) -> bool {
    let point = curve25519_dalek::edwards::CompressedEdwardsY(*bytes).decompress();
    point.is_some_and(|point| point.compress().0 == *bytes && !point.is_small_order())
}

/// What a key is, apart from how it is written: two keys are one if this is equal.
pub(crate) fn key_material(key: &ApproverKey) -> Result<Vec<u8>, String> {
    match key {
        ApproverKey::Ssh(line) => ssh::key_material(line),
        ApproverKey::Passkey(passkey) => passkey::key_material(passkey),
    }
}

/// A plan with the approvals given to it, not yet checked.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ApprovedPlan {
    /// The plan.
    #[n(0)]
    pub plan: Plan,
    /// The approvals.
    #[n(1)]
    pub approvals: Vec<Approval>,
    /// The mandate that stands for approvals, where the plan names one.
    #[n(2)]
    pub mandate: Option<Box<ApprovedMandate>>,
}

impl Document for ApprovedPlan {
    const KIND: &'static str = "approved-plan";
    const VERSION: u16 = 2;
}

/// A plan whose quorum was checked. It exists only if the check passed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Approved {
    plan: Plan,
    digest: Digest,
    mandate: Option<Box<Mandate>>,
}

impl Approved {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The mandate under which it was made, if people approved that and not the plan itself.
    pub fn mandate(&self) -> Option<&Mandate> {
        self.mandate.as_deref()
    }
}

impl ApprovedPlan {
    /// A plan that nobody has approved yet.
    pub fn new(plan: Plan) -> Self {
        Self { plan, approvals: Vec::new(), mandate: None }
    }

    /// A plan with what people have signed.
    pub fn by_people(plan: Plan, approvals: Vec<Approval>) -> Self {
        Self { approvals, ..Self::new(plan) }
    }

    /// Checks the plan's own rules and that a quorum approved exactly its digest, or a mandate that covers it.
    /// `governance` is the version that the plan names.
    ///
    /// # Errors
    /// `Denied` with what is wrong or missing.
    pub fn check(self, governance: &Governance) -> Result<Approved, Error> {
        let Self { plan, approvals, mandate } = self;
        plan.check(governance)?;
        let digest = plan.digest();
        let mandate = match (&plan.mandate, mandate) {
            (None, None) => {
                check_quorum(&plan.question(), &digest, &approvals, governance)?;
                None
            }
            (Some(_), Some(approved)) if approvals.is_empty() => {
                if !planted!(MandateUnapproved) {
                    approved.check(governance)?;
                }
                if !planted!(MandateCoversAnything) {
                    approved.mandate.check_plan(&plan)?;
                }
                Some(Box::new(approved.mandate))
            }
            _ => {
                return Err(Error::denied(
                    "a plan has its own approvals or a mandate that it names, not both",
                ));
            }
        };
        Ok(Approved { plan, digest, mandate })
    }
}
