//! A small ceremony, made the same way every time: three signers, two wallets to be created, everything signed.
//!
//! Its documents are the samples that the fuzzer starts from, and its governance and plan are what hostile documents
//! are checked against. The keys are fixed and known to everybody.

use ed25519_dalek::{Signer as _, SigningKey};
use perennial_model::approval::{
    Approval, ApprovalSignature, Approved, ApprovedPlan, NAMESPACE, signed_line,
};
use perennial_model::certificate::Certificate;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{
    Contribution, Dealing, Inputs, OneTimeKey, Opening, SchnorrProof, Sealed, SealedSubShares, WalletDealing,
    contribution_challenge, digest_of_all,
};
use perennial_model::encoding::{Bytes, Digest, digest};
use perennial_model::epoch::Epoch;
use perennial_model::governance::{ApproverKey, Governance, SignerIdentity};
use perennial_model::group::{Edwards25519, Group, Scalar};
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign, Signed};
use perennial_model::plan::{
    Action, BackupRule, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::probe::{ProbeSignature, ProbeTask};
use perennial_model::signature::RawSignature;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Chain, Tier, Wallet};
use ssh_key::private::{Ed25519Keypair, PrivateKey};
use ssh_key::{HashAlg, LineEnding};

/// The group of the scene's wallets.
pub type Curve = Edwards25519;

/// A signer with its key.
pub struct Identity {
    name: SignerId,
    key: SigningKey,
}

impl Sign for Identity {
    fn signer(&self) -> &SignerId {
        &self.name
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        IdentitySignature(self.key.sign(message).to_bytes())
    }
}

/// The ceremony.
pub struct Scene {
    /// Signers `a`, `b` and `c`.
    pub identities: Vec<Identity>,
    /// The governance that names them.
    pub governance: Governance,
    /// The plan with its one approval.
    pub approved_plan: ApprovedPlan,
    /// The same, checked.
    pub approved: Approved,
    /// The one chunk of the plan.
    pub chunk: Chunk,
    /// What the dealers agree on.
    pub inputs: Inputs,
    /// What the holders open.
    pub openings: Vec<Opening>,
}

impl Scene {
    /// Makes the ceremony.
    pub fn new() -> Self {
        let identities: Vec<Identity> = ["a", "b", "c"]
            .iter()
            .zip(1..)
            .map(|(name, seed)| Identity { name: named(name), key: SigningKey::from_bytes(&[seed; 32]) })
            .collect();
        let approver = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32]));
        let governance = governance(&identities, &approver);
        let approved_plan = approved_plan(&governance, &approver);
        let approved = approved_plan.clone().check(&governance).expect("the sample plan is approved");
        let epoch = Epoch { rank: 1, count: 1 };
        let chunk = Chunk { plan: approved.digest(), epoch, first: 0, count: 2 };
        let signers: Vec<SignerId> = identities.iter().map(|identity| identity.name.clone()).collect();
        let key =
            |counterparty: &SignerId| OneTimeKey { counterparty: counterparty.clone(), public: [5; 32] };
        let openings = vec![Opening { chunk, keys: signers.iter().map(key).collect() }; 3];
        let digests: Vec<Digest> = openings.iter().map(digest).collect();
        let inputs = Inputs {
            chunk,
            dealers: signers.clone(),
            holders: signers,
            openings: digest_of_all("openings", digests.iter()),
        };
        Self { identities, governance, approved_plan, approved, chunk, inputs, openings }
    }

    /// What the dealer at place `at` deals: honest commitments and proofs, sealed nonsense.
    pub fn dealing(&self, at: usize) -> Dealing {
        let dealer = &self.identities[at].name;
        let wallets = self.approved.plan().wallets_of(&self.chunk).expect("the chunk is of the plan");
        let sealed = Sealed { encapsulated: [6; 32], ciphertext: Bytes(vec![8; 48]) };
        let for_holder =
            |holder: &SignerId| SealedSubShares { receiver: holder.clone(), sealed: sealed.clone() };
        Dealing {
            chunk: self.chunk,
            inputs: self.inputs.digest(),
            wallets: wallets.iter().map(|wallet| wallet_dealing(&self.chunk, wallet, dealer)).collect(),
            sub_shares: self.inputs.holders.iter().map(for_holder).collect(),
        }
    }

    /// The vote of the signer at place `at`.
    pub fn vote(&self, kind: VoteKind) -> Vote {
        let point = Curve::encode(&Curve::generate(&<Curve as Group>::Scalar::from_u64(11)));
        let proof = SchnorrProof { commitment: point, response: [1; 32] };
        Vote {
            kind,
            governance: digest(&self.governance),
            chunk: self.chunk,
            inputs: self.inputs.digest(),
            root: Digest([4; 32]),
            possession: (kind == VoteKind::Prepared).then_some(proof),
        }
    }

    /// The votes of all signers as a certificate.
    pub fn certificate(&self, kind: VoteKind) -> Certificate {
        let vote = self.vote(kind);
        let task = ProbeTask { wallet: 0, counter: 0 };
        let signature = RawSignature { bytes: [3; 64], recovery_id: None };
        Certificate {
            kind,
            inputs: self.inputs.clone(),
            root: vote.root,
            votes: self.identities.iter().map(|identity| Signed::new(identity, &vote)).collect(),
            probes: vec![ProbeSignature { task, signature }],
        }
    }
}

/// A name of any kind; the samples use good ones only.
pub fn named<N: std::str::FromStr>(text: &str) -> N {
    text.parse().ok().expect("the sample is a good name")
}

/// A wallet of the scene.
pub fn wallet(name: &str) -> Wallet {
    Wallet { id: named(name), tenant: named("acme"), tier: Tier::Standard, chain: Chain::Solana }
}

fn governance(identities: &[Identity], approver: &PrivateKey) -> Governance {
    let line = approver.public_key().to_openssh().expect("an Ed25519 key has a line");
    let of = |identity: &Identity| SignerIdentity {
        signer: identity.name.clone(),
        key: IdentityKey::Ed25519(identity.key.verifying_key().to_bytes()),
        transport_pin: Digest([2; 32]),
    };
    let people = vec![(named("dana"), ApproverKey::Ssh(line))];
    let signers = identities.iter().map(of).collect();
    Governance::of_one_role(named("erin"), named("operator"), 1, people, vec![named("acme")], signers)
}

fn approved_plan(governance: &Governance, approver: &PrivateKey) -> ApprovedPlan {
    let signers: Vec<SignerId> = governance.signers.iter().map(|known| known.signer.clone()).collect();
    let plan = Plan {
        action: Action::Create,
        tenant: named("acme"),
        tier: Tier::Standard,
        wallets: ["treasury", "payroll"].map(|name| PlannedWallet::New(wallet(name))).to_vec(),
        rank: 1,
        attempts: 3,
        committee: Committee::first(2, &signers).expect("2 of 3 is a committee"),
        liar_tolerance: LiarTolerance::Required,
        profile: Profile::Planned { overlap_ms: 3000 },
        not_before_ms: 1_700_000_000_000,
        expiry_ms: 1_700_000_600_000,
        activation_deadline_ms: 1_700_003_600_000,
        probe_rate: ProbeRate::Every,
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: digest(governance),
        initiator: named("erin"),
        nonce: Digest([7; 32]),
        mandate: None,
    };
    let line = signed_line(&plan.digest());
    let signature = approver.sign(NAMESPACE, HashAlg::Sha512, line.as_bytes()).expect("an Ed25519 key signs");
    let signature = signature.to_pem(LineEnding::LF).expect("a signature can be written");
    let approval = Approval { person: named("dana"), signature: ApprovalSignature::Ssh(signature) };
    ApprovedPlan::by_people(plan, vec![approval])
}

fn wallet_dealing(chunk: &Chunk, wallet: &PlannedWallet, dealer: &SignerId) -> WalletDealing {
    type Number = <Curve as Group>::Scalar;
    let (free, slope, nonce) = (Number::from_u64(17), Number::from_u64(23), Number::from_u64(29));
    let coefficients = Curve::commit_all(&[free, slope]);
    let commitment = Curve::encode(&Curve::generate(&nonce));
    let name = wallet.id().as_str();
    let challenge = contribution_challenge::<Curve>(chunk, name, dealer, &coefficients[0], &commitment);
    let proof = SchnorrProof { commitment, response: (nonce + challenge * free).encode() };
    WalletDealing { coefficients, contribution: Some(Contribution { proof, entropy: [1; 32] }) }
}
