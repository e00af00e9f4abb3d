//! The bytes of every document of the model, pinned: a change here is a change of format and needs a new version.

use perennial_model::approval::passkey::Assertion;
use perennial_model::approval::{Approval, ApprovalSignature, ApprovedPlan};
use perennial_model::certificate::Certificate;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{
    Commitment, Contribution, Dealing, Inputs, OneTimeKey, Opening, SchnorrProof, Sealed, SealedSubShares,
    WalletDealing,
};
use perennial_model::derivation::Path;
use perennial_model::encoding::{Bytes, Digest, Document, decode, encode};
use perennial_model::epoch::Epoch;
use perennial_model::evidence::{CreatedWallets, ProvedEntry};
use perennial_model::governance::history::{ApprovedGovernance, Versions};
use perennial_model::governance::{
    Approver, ApproverKey, Demand, Governance, Matter, Passkey, PasskeyKey, RelyingParty, Rule,
    SignerIdentity,
};
use perennial_model::group::Point;
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign, Signed};
use perennial_model::mail::{PairingMessage, Reply, Request};
use perennial_model::mandate::{ApprovedMandate, Cadence, Mandate, Selector, UnderMandate, Window};
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::{
    Action, BackupRule, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::probe::{ProbeSignature, ProbeTask};
use perennial_model::receipt::{ErasedShare, ErasureLevel, Receipt};
use perennial_model::refusal::{Fault, Refusal};
use perennial_model::session::{Purpose, SessionMessage, SessionRequest};
use perennial_model::share_set::ShareSet;
use perennial_model::signature::RawSignature;
use perennial_model::theft::{Certainty, Finding, TheftReport};
use perennial_model::transcript::{ChunkRoot, Leaf};
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Chain, Tier, Wallet, WalletKey};
use perennial_model::witness::{Alarm, Answer, Breach, Offer};
use std::fmt::Debug;

fn name<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a good name")
}

struct Constant(SignerId);
impl Sign for Constant {
    fn signer(&self) -> &SignerId {
        &self.0
    }
    fn sign(&self, _: &[u8]) -> IdentitySignature {
        IdentitySignature([0x5a; 64])
    }
}

fn signed<D: Document>(document: &D) -> Signed<D> {
    Signed::new(&Constant(name("a")), document)
}

fn point() -> Point {
    Point::from_bytes(&[2; 33]).expect("33 bytes")
}

fn committee() -> Committee {
    Committee::first(2, &[name("a"), name("b"), name("c")]).expect("two of three")
}

fn wallet() -> Wallet {
    Wallet { id: name("treasury"), tenant: name("acme"), tier: Tier::High, chain: Chain::Ethereum }
}

fn chunk() -> Chunk {
    Chunk { plan: Digest([1; 32]), epoch: Epoch::new(2, 1), first: 0, count: 1 }
}

fn share_set() -> ShareSet {
    ShareSet {
        wallet: wallet(),
        key: WalletKey { public_key: point(), chain_code: Digest([3; 32]) },
        epoch: Epoch::new(1, 1),
        committee: committee(),
        verification_shares: vec![point(); 3],
        transcript: Digest([4; 32]),
        parent: None,
        highest_seat: committee().seats().last().expect("three seats"),
    }
}

fn plan() -> Plan {
    Plan {
        action: Action::Refresh,
        tenant: name("acme"),
        tier: Tier::High,
        wallets: vec![PlannedWallet::Held(name("treasury"), Digest([5; 32]))],
        rank: 2,
        attempts: 3,
        committee: committee(),
        liar_tolerance: LiarTolerance::Required,
        profile: Profile::Planned { overlap_ms: 3000 },
        not_before_ms: 1,
        expiry_ms: 2,
        activation_deadline_ms: 3,
        probe_rate: ProbeRate::OnePerChunk,
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: Digest([6; 32]),
        initiator: name("ira"),
        nonce: Digest([7; 32]),
        mandate: None,
    }
}

fn inputs() -> Inputs {
    Inputs {
        chunk: chunk(),
        dealers: vec![name("a"), name("b")],
        holders: vec![name("a"), name("b"), name("c")],
        openings: Digest([8; 32]),
    }
}

fn opening() -> Opening {
    Opening { chunk: chunk(), keys: vec![OneTimeKey { counterparty: name("a"), public: [9; 32] }] }
}

fn proof() -> SchnorrProof {
    SchnorrProof { commitment: point(), response: [10; 32] }
}

fn sealed() -> Sealed {
    Sealed { encapsulated: [11; 32], ciphertext: Bytes(vec![12; 48]) }
}

fn commitment() -> Commitment {
    Commitment { chunk: chunk(), inputs: Digest([13; 32]), dealing: Digest([14; 32]) }
}

fn dealing() -> Dealing {
    Dealing {
        chunk: chunk(),
        inputs: Digest([13; 32]),
        wallets: vec![WalletDealing {
            coefficients: vec![point(); 2],
            contribution: Some(Contribution { proof: proof(), entropy: [15; 32] }),
        }],
        sub_shares: vec![SealedSubShares { receiver: name("a"), sealed: sealed() }],
    }
}

fn vote() -> Vote {
    Vote {
        kind: VoteKind::Prepared,
        governance: Digest([6; 32]),
        chunk: chunk(),
        inputs: Digest([13; 32]),
        root: Digest([16; 32]),
        possession: Some(proof()),
    }
}

fn certificate() -> Certificate {
    Certificate {
        kind: VoteKind::Prepared,
        inputs: inputs(),
        root: Digest([16; 32]),
        votes: vec![signed(&vote())],
        probes: vec![ProbeSignature {
            task: ProbeTask { wallet: 0, counter: 1 },
            signature: RawSignature { bytes: [17; 64], recovery_id: Some(1) },
        }],
    }
}

fn session_request() -> SessionRequest {
    SessionRequest {
        session: Digest([18; 32]),
        asked_at_ms: 19,
        signers: vec![name("a"), name("c")],
        purpose: Purpose::Transaction {
            wallet: name("treasury"),
            epoch: Epoch::new(2, 1),
            transcript: Digest([20; 32]),
            transaction: Bytes(vec![2, 0xc0]),
            path: Path::primary(Chain::Ethereum),
            activation: Some(Box::new(certificate())),
        },
    }
}

fn session_message() -> SessionMessage {
    SessionMessage { session: Digest([18; 32]), round: 1, to: name("c"), items: vec![Bytes(vec![21; 5])] }
}

fn pairing_message() -> PairingMessage {
    PairingMessage {
        plan: Digest([1; 32]),
        epoch: Epoch::new(2, 1),
        to: name("b"),
        run: Digest([22; 32]),
        step: 0,
        one_time_key: Some(Digest([23; 32])),
        sealed: Some(sealed()),
    }
}

fn governance() -> Governance {
    Governance {
        version: 1,
        predecessor: None,
        initiator: name("erin"),
        approvers: vec![Approver {
            person: name("dana"),
            role: name("operator"),
            keys: vec![
                ApproverKey::Ssh("ssh-ed25519 AAAA dana".into()),
                ApproverKey::Passkey(Passkey {
                    credential: Bytes(vec![28; 16]),
                    key: PasskeyKey::Es256(Bytes(vec![2; 33])),
                }),
                ApproverKey::Passkey(Passkey {
                    credential: Bytes(vec![29; 16]),
                    key: PasskeyKey::Ed25519([30; 32]),
                }),
            ],
            tenants: vec![name("acme")],
        }],
        rules: vec![Rule {
            matter: Matter::Refresh,
            from_tier: Tier::Standard,
            demands: vec![Demand { role: name("operator"), approvals: 1 }],
        }],
        tenants: vec![name("acme")],
        written_off: vec![name("z")],
        relying_party: Some(RelyingParty {
            id: "example.com".into(),
            origins: vec!["https://example.com".into()],
        }),
        ledger_key: Some("example.com/ledger+60db519f+AAAA".into()),
        signers: vec![SignerIdentity {
            signer: name("a"),
            key: IdentityKey::Ed25519([24; 32]),
            transport_pin: Digest([25; 32]),
        }],
    }
}

fn receipt() -> Receipt {
    Receipt {
        chunk: chunk(),
        shares: vec![ErasedShare {
            wallet: name("treasury"),
            epoch: Epoch::new(1, 1),
            transcript: Digest([4; 32]),
        }],
        attempts: vec![chunk()],
        bases: vec![Digest([26; 32])],
        level: ErasureLevel::Software,
        erased_at_ms: 27,
    }
}

fn leaf() -> Leaf {
    Leaf::of(&share_set())
}

fn refusal() -> Refusal {
    Refusal { chunk: chunk(), inputs: Digest([13; 32]), dealer: name("b"), fault: Fault::OffPolynomial }
}

fn approved() -> ApprovedPlan {
    ApprovedPlan::by_people(plan(), approvals())
}

fn mandate() -> Mandate {
    let plan = plan();
    Mandate {
        tenant: plan.tenant,
        tier: plan.tier,
        wallets: Selector::Named(vec![name("cold")]),
        committee: plan.committee,
        liar_tolerance: plan.liar_tolerance,
        profile: plan.profile,
        probe_rate: plan.probe_rate,
        backup_rule: plan.backup_rule,
        policy: None,
        not_before_ms: 37,
        until_ms: 38,
        least_gap_ms: 39,
        attempts: 40,
        windows: vec![Window { days: 96, from_minute: 1320, minutes: 360 }],
        run_ms: 41,
        cadence: vec![Cadence { from_tier: Tier::Low, every_ms: 42 }],
        failures: 3,
        governance: plan.governance,
        initiator: plan.initiator,
        nonce: plan.nonce,
    }
}

fn plan_under_mandate() -> Plan {
    Plan { mandate: Some(UnderMandate { mandate: mandate().digest(), counts_from: 3 }), ..plan() }
}

fn order() -> Order {
    Order {
        deed: Deed::Readmit { signer: name("a"), halt: Digest([43; 32]) },
        tenant: None,
        tier: Tier::High,
        number: 44,
        expiry_ms: 45,
        governance: Digest([46; 32]),
        initiator: name("iris"),
        nonce: Digest([47; 32]),
    }
}

fn approvals() -> Vec<Approval> {
    let ssh = ApprovalSignature::Ssh("-----BEGIN SSH SIGNATURE-----".into());
    let assertion = Assertion {
        credential: Bytes(vec![28; 16]),
        authenticator_data: Bytes(vec![31; 37]),
        client_data: Bytes(b"{}".to_vec()),
        signature: Bytes(vec![32; 70]),
    };
    let passkey = ApprovalSignature::Passkey(Box::new(assertion));
    vec![
        Approval { person: name("dana"), signature: ssh },
        Approval { person: name("dana"), signature: passkey },
    ]
}

fn approved_governance() -> ApprovedGovernance {
    ApprovedGovernance { governance: governance(), approvals: approvals() }
}

fn offer() -> Offer {
    Offer { key: "log+01020304+AQ==".into(), note: Bytes(vec![28]), proof: Bytes(vec![29]), sent_ms: 30 }
}

fn alarm() -> Alarm {
    Alarm {
        breach: Breach::Rewritten,
        key: "log+01020304+AQ==".into(),
        held: Bytes(vec![31]),
        offered: Bytes(vec![32]),
        proof: Bytes(vec![33]),
        at_ms: 34,
    }
}

fn theft(finding: Finding) -> TheftReport {
    TheftReport { finding, tenant: Some(name("acme")), by: name("security"), text: "a disk is gone".into() }
}

/// Encodes, reads back, and gives the name, size and digest of what was written.
fn line<D: Document + PartialEq + Debug>(document: &D) -> String {
    let bytes = encode(document);
    assert_eq!(&decode::<D>(&bytes).expect("our own bytes"), document);
    format!("{} v{} {} bytes {}", D::KIND, D::VERSION, bytes.len(), Digest::of(&bytes))
}

#[test]
fn no_document_changes_its_bytes_without_a_new_version() {
    let open = Request::Open { chunk: chunk(), parents: vec![share_set()] };
    let verify = Request::Verify {
        inputs: inputs(),
        openings: vec![signed(&opening())],
        commitments: vec![signed(&commitment())],
        dealings: vec![signed(&dealing())],
    };
    let session = Request::Session(Box::new(session_request()));
    let lines = [
        line(&wallet()),
        line(&governance()),
        line(&plan()),
        line(&approved()),
        line(&plan_under_mandate()),
        line(&ApprovedPlan {
            mandate: Some(Box::new(ApprovedMandate { mandate: mandate(), approvals: approvals() })),
            ..ApprovedPlan::new(plan_under_mandate())
        }),
        line(&mandate()),
        line(&ApprovedMandate { mandate: mandate(), approvals: approvals() }),
        line(&order()),
        line(&ApprovedOrder { order: order(), approvals: approvals() }),
        line(&Request::Order(Box::new(ApprovedOrder { order: order(), approvals: approvals() }))),
        line(&Reply::Ordered(Digest([48; 32]))),
        line(&approved_governance()),
        line(&Versions(vec![approved_governance()])),
        line(&Request::Governance(Box::new(approved_governance()))),
        line(&Reply::Governed { version: 2, digest: Digest([33; 32]) }),
        line(&opening()),
        line(&inputs()),
        line(&commitment()),
        line(&dealing()),
        line(&leaf()),
        line(&share_set()),
        line(&refusal()),
        line(&vote()),
        line(&certificate()),
        line(&receipt()),
        line(&session_message()),
        line(&pairing_message()),
        line(&open),
        line(&verify),
        line(&session),
        line(&Reply::Voted(signed(&vote()))),
        line(&Reply::Erased(signed(&receipt()))),
        line(&alarm()),
        line(&Request::Checkpoint(Box::new(offer()))),
        line(&Reply::Checkpoint(Answer::Cosigned { size: 35, line: "a line".into() })),
        line(&Reply::Checkpoint(Answer::Holds(Some(Bytes(vec![36]))))),
        line(&Reply::Checkpoint(Answer::Alarm(signed(&alarm())))),
        line(&ChunkRoot::new(&inputs(), &[Digest([37; 32])], &[Digest([38; 32])])),
        line(&CreatedWallets { chunk: chunk(), wallets: vec![(name("treasury"), Digest([39; 32]))] }),
        line(&theft(Finding::Stolen {
            signer: name("a"),
            wallets: vec![name("treasury")],
            from_ms: 49,
            to_ms: 50,
            certainty: Certainty::Known,
        })),
        line(&theft(Finding::Withdrawn(Digest([51; 32])))),
        line(&ProvedEntry { place: 40, entry: Bytes(vec![41]), proof: vec![Digest([42; 32])] }),
    ];
    let expected = include_str!("golden.txt");
    assert_eq!(lines.join("\n"), expected.trim_end(), "\n{}\n", lines.join("\n"));
    assert_eq!(
        session_request().binding().to_string(),
        "2036a92a10479aee5292ea853a466e2a8380daeca91a37838b6812ad2bc648a5",
    );
}
