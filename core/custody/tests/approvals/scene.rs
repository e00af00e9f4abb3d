//! Who takes part in the attacks: people with their keys, the governance that names them, and what they decide on.
//!
//! | person | role | for | keys |
//! |---|---|---|---|
//! | ann | operator | all | an SSH key, an ES256 passkey |
//! | bob | operator | all | an SSH key, an Ed25519 passkey |
//! | cat | operator | all | an SSH key, replaced in version 2 |
//! | fay | operator | globex | an SSH key |
//! | gus | operator | all | an SSH key |
//! | dan | compliance | all | an SSH key |
//! | eve | compliance | all | an ES256 passkey |
//! | hal | none | – | an SSH key |

use crate::person::{Key, relying_party};
use crate::signer::{Memory, Signer, identity_key};
use crate::table::{Case, Step};
use perennial_model::approval::{Approval, ApprovedPlan};
use perennial_model::committee::Committee;
use perennial_model::dealing::Inputs;
use perennial_model::encoding::{Digest, encode};
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::{ApprovedGovernance, History, Versions};
use perennial_model::governance::{Approver, Demand, Governance, Matter, Rule, SignerIdentity};
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::{
    Action, BackupRule, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Chain, Tier, Wallet};

pub const ANN: (&str, Key) = ("ann", Key::Ssh(1));
pub const ANN_PASSKEY: (&str, Key) = ("ann", Key::Es256(2));
pub const BOB: (&str, Key) = ("bob", Key::Ssh(3));
pub const BOB_PASSKEY: (&str, Key) = ("bob", Key::Ed25519(4));
pub const CAT_BEFORE: (&str, Key) = ("cat", Key::Ssh(5));
pub const CAT: (&str, Key) = ("cat", Key::Ssh(6));
pub const FAY: (&str, Key) = ("fay", Key::Ssh(7));
pub const GUS: (&str, Key) = ("gus", Key::Ssh(8));
pub const DAN: (&str, Key) = ("dan", Key::Ssh(9));
pub const EVE: (&str, Key) = ("eve", Key::Es256(10));
pub const HAL: (&str, Key) = ("hal", Key::Ssh(11));

/// Nothing is opened before this.
pub const BEGIN: u64 = 1_000_000;
/// A time at which the plans are good.
pub const NOW: u64 = 1_500_000;
/// Nothing is opened after this.
pub const EXPIRY: u64 = 2_000_000;
/// Nothing is activated after this.
pub const DEADLINE: u64 = 3_000_000;

pub type Person = (&'static str, Key);

pub fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a good name")
}

/// The first version.
pub fn first() -> Governance {
    let approver = |person: &str, role: &str, keys: &[Person], tenants: &[&str]| Approver {
        person: name(person),
        role: name(role),
        keys: keys.iter().map(|(_, key)| key.public()).collect(),
        tenants: tenants.iter().map(|tenant| name(tenant)).collect(),
    };
    let rule = |matter, from_tier, demands: &[(&str, u8)]| {
        let demand = |(role, approvals): &(&str, u8)| Demand { role: name(role), approvals: *approvals };
        Rule { matter, from_tier, demands: demands.iter().map(demand).collect() }
    };
    let both = [("operator", 2), ("compliance", 1)];
    Governance {
        version: 1,
        predecessor: None,
        initiator: name("ira"),
        approvers: vec![
            approver("ann", "operator", &[ANN, ANN_PASSKEY], &[]),
            approver("bob", "operator", &[BOB, BOB_PASSKEY], &[]),
            approver("cat", "operator", &[CAT_BEFORE], &[]),
            approver("fay", "operator", &[FAY], &["globex"]),
            approver("gus", "operator", &[GUS], &[]),
            approver("dan", "compliance", &[DAN], &[]),
            approver("eve", "compliance", &[EVE], &[]),
        ],
        rules: vec![
            rule(Matter::Create, Tier::Low, &[("operator", 2)]),
            rule(Matter::Create, Tier::High, &both),
            rule(Matter::Refresh, Tier::Standard, &[("operator", 2)]),
            rule(Matter::Refresh, Tier::High, &both),
            rule(Matter::Govern, Tier::Low, &both),
            rule(Matter::Mandate, Tier::Low, &both),
            rule(Matter::Cancel, Tier::Low, &[("operator", 1)]),
            rule(Matter::Pause, Tier::Low, &[("operator", 1)]),
            rule(Matter::Readmit, Tier::Low, &both),
        ],
        tenants: vec![name("acme"), name("globex")],
        signers: (1..=4).map(signer_identity).collect(),
        written_off: Vec::new(),
        relying_party: Some(relying_party()),
        ledger_key: None,
    }
}

pub fn signer_identity(number: u8) -> SignerIdentity {
    SignerIdentity {
        signer: name(&format!("s{number}")),
        key: identity_key(number),
        transport_pin: Digest([number; 32]),
    }
}

/// A version that follows another and differs in nothing else yet.
pub fn following(present: &Governance) -> Governance {
    Governance {
        version: present.version + 1,
        predecessor: Some(present.digest()),
        written_off: Vec::new(),
        ..present.clone()
    }
}

/// The second version: cat has another key.
pub fn second() -> Governance {
    let mut governance = following(&first());
    let cat = governance.approvers.iter_mut().find(|approver| approver.person.as_str() == CAT.0);
    cat.expect("cat is in it").keys = vec![CAT.1.public()];
    governance
}

pub fn approvals(digest: &Digest, people: &[Person]) -> Vec<Approval> {
    people.iter().map(|(person, key)| key.approve(person, digest)).collect()
}

pub fn governed(governance: Governance, people: &[Person]) -> ApprovedGovernance {
    let approvals = approvals(&governance.digest(), people);
    ApprovedGovernance { governance, approvals }
}

/// Both versions with their approvals.
pub fn versions() -> Vec<ApprovedGovernance> {
    let quorum = [ANN, BOB, DAN];
    vec![governed(first(), &quorum), governed(second(), &quorum)]
}

/// The committee of two of the first three signers.
pub fn committee() -> Committee {
    Committee::first(2, &[name("s1"), name("s2"), name("s3")]).expect("two of three")
}

pub fn wallet() -> Wallet {
    Wallet { id: name("treasury"), tenant: name("acme"), tier: Tier::Standard, chain: Chain::Solana }
}

/// A plan to make one wallet of the usual tier.
pub fn plan() -> Plan {
    Plan {
        action: Action::Create,
        tenant: name("acme"),
        tier: Tier::Standard,
        wallets: vec![PlannedWallet::New(wallet())],
        rank: 1,
        attempts: 2,
        committee: committee(),
        liar_tolerance: LiarTolerance::Required,
        profile: Profile::Planned { overlap_ms: 1000 },
        not_before_ms: BEGIN,
        expiry_ms: EXPIRY,
        activation_deadline_ms: DEADLINE,
        probe_rate: ProbeRate::Every,
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: second().digest(),
        initiator: name("ira"),
        nonce: Digest([7; 32]),
        mandate: None,
    }
}

/// The same for a wallet of the highest tier.
pub fn high() -> Plan {
    let wallet = Wallet { tier: Tier::High, ..wallet() };
    Plan { tier: Tier::High, wallets: vec![PlannedWallet::New(wallet)], ..plan() }
}

/// A plan to refresh a wallet whose share set this is.
pub fn refresh(parent: &ShareSet) -> Plan {
    let held = PlannedWallet::Held(parent.wallet.id.clone(), perennial_model::encoding::digest(parent));
    Plan { action: Action::Refresh, wallets: vec![held], rank: 2, ..plan() }
}

pub fn approved(plan: Plan, people: &[Person]) -> ApprovedPlan {
    let approvals = approvals(&plan.digest(), people);
    ApprovedPlan::by_people(plan, approvals)
}

/// A step in which a plan comes.
pub fn submit(approved: ApprovedPlan) -> Step {
    Step::Request(NOW, encode(&Request::Plan(Box::new(approved))))
}

/// A step in which a version of governance comes.
pub fn govern(next: ApprovedGovernance) -> Step {
    Step::Request(NOW, encode(&Request::Governance(Box::new(next))))
}

/// A step in which the only chunk of a plan is to be opened.
pub fn open(at: u64, plan: &Plan, epoch: (u32, u32), parents: &[&ShareSet]) -> Step {
    open_chunk(
        at,
        Chunk { plan: plan.digest(), epoch: Epoch::new(epoch.0, epoch.1), first: 0, count: 1 },
        parents,
    )
}

/// A step in which a chunk is to be opened.
pub fn open_chunk(at: u64, chunk: Chunk, parents: &[&ShareSet]) -> Step {
    let parents = parents.iter().copied().cloned().collect();
    Step::Request(at, encode(&Request::Open { chunk, parents }))
}

/// A case about signers that are pinned to both versions and have nothing on their disks.
pub fn case(name: &str, refusal: &str, says: &str, why: &str, attack: Vec<Step>, twin: Vec<Step>) -> Case {
    let text = |text: &str| text.to_owned();
    let (name, refusal, says, why) = (text(name), text(refusal), text(says), vec![text(why)]);
    Case { name, why, refusal, says, pinned: 2, attack, twin, ..Case::default() }
}

/// The disk of the first signer after the wallet of this plan was made as far as its votes, at number 1.2; and the share
/// set that came of it.
pub fn prepared(plan: Plan) -> (Memory, ShareSet) {
    let (disk, share_set, _) = ceremony(plan);
    (disk, share_set)
}

/// The same, and what the signers were told on the way.
pub fn ceremony(plan: Plan) -> (Memory, ShareSet, Vec<Vec<u8>>) {
    let mut heard = Vec::new();
    let history = History::check(Versions(versions())).expect("sound versions");
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(1, 2), first: 0, count: 1 };
    let wallet = plan.wallets[0].id().clone();
    let start = |number| Signer::start(number, history.clone(), Memory::default(), NOW);
    let mut signers: Vec<Signer> = (1..=3).map(start).collect();
    let mut ask = |request: Request| -> Vec<Reply> {
        let bytes = encode(&request);
        let (after, replies): (Vec<_>, Vec<_>) =
            signers.drain(..).map(|signer| signer.hear(NOW, &bytes)).unzip();
        signers = after;
        heard.push(bytes);
        replies.into_iter().flatten().collect()
    };
    ask(Request::Plan(Box::new(approved(plan, &[ANN, BOB, DAN]))));
    let openings = ask(Request::Open { chunk, parents: Vec::new() }).into_iter().map(|reply| match reply {
        Reply::Opened(opening) => opening,
        other => panic!("no opening: {other:?}"),
    });
    let openings: Vec<_> = openings.collect();
    let said: Vec<_> =
        openings.iter().map(|opening| opening.check(&history).expect("their own words")).collect();
    let dealers = said.iter().map(|said| said.signer.clone()).collect();
    let inputs = Inputs::new(chunk, dealers, &said);
    let committed = ask(Request::Commit { inputs: inputs.clone(), openings: openings.clone() });
    let committed = committed.into_iter().map(|reply| match reply {
        Reply::Committed(commitment) => commitment,
        other => panic!("no promise: {other:?}"),
    });
    let commitments: Vec<_> = committed.collect();
    let dealt = ask(Request::Deal { inputs: inputs.clone(), commitments: commitments.clone() });
    let dealt = dealt.into_iter().map(|reply| match reply {
        Reply::Dealt(dealing) => dealing,
        other => panic!("no dealing: {other:?}"),
    });
    let dealings = dealt.collect();
    let votes = ask(Request::Verify { inputs, openings, commitments, dealings });
    assert!(votes.iter().all(|reply| matches!(reply, Reply::Voted(_))), "no vote: {votes:?}");
    let signer = &signers[0];
    let record = signer.keeper().wallets().find(|(id, _)| **id == wallet).expect("a wallet").1;
    (signer.disk.clone(), (*record.held[0].share_set).clone(), heard)
}
