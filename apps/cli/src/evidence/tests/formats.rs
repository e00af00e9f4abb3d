//! `docs/formats.md` against the code: every example is made again, and every table has as many rows as its document
//! has fields.

use perennial_ledger::entry::{Content, Kind, ShortText};
use perennial_ledger::{Entry, KeyName, NodeHash, NoteKey};
use perennial_model::approval::{Approval, ApprovalSignature, ApprovedPlan};
use perennial_model::certificate::Certificate;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{Inputs, SchnorrProof};
use perennial_model::encoding::{self, Bytes, Digest, Document, encode};
use perennial_model::epoch::Epoch;
use perennial_model::evidence::{CreatedWallets, ProvedEntry, subject_of};
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::governance::{Governance, RelyingParty};
use perennial_model::group::Point;
use perennial_model::identity::{IdentitySignature, Sign, Signed};
use perennial_model::mandate::{ApprovedMandate, Mandate, Selector, UnderMandate};
use perennial_model::plan::{
    Action, BackupRule, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::receipt::{ErasureLevel, Receipt};
use perennial_model::share_set::ShareSet;
use perennial_model::theft::{Finding, TheftReport};
use perennial_model::transcript::{ChunkRoot, Leaf, leaf_list, transcript_digest};
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Chain, Tier, Wallet, WalletKey};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

const PAGE: &str = include_str!("../../../../../docs/formats.md");

fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("a good name")
}

/// Keeps what it is handed to sign.
struct Listener(SignerId, RefCell<Vec<u8>>);

impl Sign for Listener {
    fn signer(&self) -> &SignerId {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> IdentitySignature {
        self.1.replace(message.to_vec());
        IdentitySignature([0; 64])
    }
}

fn wallet() -> Wallet {
    Wallet { id: name("treasury"), tenant: name("acme"), tier: Tier::High, chain: Chain::Ethereum }
}

fn committee() -> Committee {
    Committee::first(2, &[name("a"), name("b"), name("c")]).expect("two of three")
}

fn plan() -> Plan {
    Plan {
        action: Action::Refresh,
        tenant: name("acme"),
        tier: Tier::High,
        wallets: vec![PlannedWallet::Held(name("treasury"), Digest([0x44; 32]))],
        rank: 2,
        attempts: 1000,
        committee: committee(),
        liar_tolerance: LiarTolerance::Required,
        profile: Profile::Planned { overlap_ms: 10_000 },
        not_before_ms: 1_795_254_491_758,
        expiry_ms: 1_795_258_151_758,
        activation_deadline_ms: 1_795_340_951_758,
        probe_rate: ProbeRate::OnePerChunk,
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: Digest([0x55; 32]),
        initiator: name("erin"),
        nonce: Digest([0x66; 32]),
        mandate: None,
    }
}

fn mandate() -> Mandate {
    let plan = plan();
    Mandate {
        tenant: plan.tenant,
        tier: plan.tier,
        wallets: Selector::All,
        committee: plan.committee,
        liar_tolerance: plan.liar_tolerance,
        profile: plan.profile,
        probe_rate: plan.probe_rate,
        backup_rule: plan.backup_rule,
        policy: None,
        not_before_ms: 1,
        until_ms: 2,
        least_gap_ms: 3,
        attempts: 4,
        windows: vec![],
        run_ms: 5,
        cadence: vec![],
        failures: 6,
        governance: plan.governance,
        initiator: plan.initiator,
        nonce: plan.nonce,
    }
}

fn under_mandate() -> ApprovedPlan {
    let under = UnderMandate { mandate: mandate().digest(), counts_from: 2 };
    let plan = Plan { mandate: Some(under), ..plan() };
    let approved = ApprovedMandate { mandate: mandate(), approvals: vec![] };
    ApprovedPlan { mandate: Some(Box::new(approved)), ..ApprovedPlan::new(plan) }
}

/// The examples of the page: hexadecimal digits under their names, and their digests.
fn written() -> BTreeMap<&'static str, (String, String)> {
    let blocks = PAGE.split("```example ").skip(1);
    let read = |block: &'static str| {
        let (name, rest) = block.split_once('\n').expect("a name");
        let (body, _) = rest.split_once("```").expect("an end");
        let mut words = body.split_whitespace().map(str::to_owned);
        let digest = words.next_back().unwrap_or_default();
        (name, (words.filter(|word| word != "sha256" && word != "leaf").collect(), digest))
    };
    blocks.map(read).collect()
}

fn made() -> BTreeMap<&'static str, (String, String)> {
    let listener = Listener(name("a"), RefCell::default());
    let _ = Signed::new(&listener, &wallet());
    let plan_digest: Digest = name("69b4bec5802f8fc64918d34be7eb0efe49c387e701c87e83b409cc79543c86e2");
    let entry = Entry {
        time_ms: 1_795_254_551_762,
        subject: ShortText::new(&plan_digest.to_string()).expect("short"),
        body: perennial_ledger::Digest(plan_digest.0),
        content: Content::Other(Kind::new("plan-submitted").expect("a kind")),
    };
    let seed = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let mut public = [0; 32];
    hex::decode_to_slice(seed, &mut public).expect("digits");
    let key = NoteKey::new(KeyName::new("example.com/ledger").expect("a name"), &public).expect("a key");
    let [one, two, three] = [0x11, 0x22, 0x33].map(|byte| Digest([byte; 32]));
    let probe = encoding::parts(
        "perennial/probe/v1",
        &[b"treasury", &2_u32.to_be_bytes(), &1_u32.to_be_bytes(), &three.0, &1_u32.to_be_bytes()],
    );
    let epoch = Epoch::new(2, 1);
    assert_eq!(Digest::of(&probe), perennial_model::probe::probe_digest(&name("treasury"), epoch, &three, 1));
    let transcript = encoding::parts("perennial/transcript/v1", &[&one.0, &two.0]);
    assert_eq!(Digest::of(&transcript), transcript_digest(&one, &two));
    let entry = entry.to_bytes();
    let leaf = NodeHash::of_leaf(&entry).to_string();
    let hashed = |bytes: Vec<u8>| (hex::encode(&bytes), Digest::of(&bytes).to_string());
    BTreeMap::from([
        ("wallet", hashed(encode(&wallet()))),
        ("statement", hashed(listener.1.into_inner())),
        ("plan", hashed(encode(&plan()))),
        ("parts", hashed(leaf_list(&[one, two]))),
        ("transcript", hashed(transcript)),
        ("probe", hashed(probe)),
        ("entry", (hex::encode(entry), leaf)),
        ("key", (seed.to_owned(), key.to_string())),
    ])
}

#[test]
fn every_example_of_the_page_is_what_the_code_writes() {
    let (written, made) = (written(), made());
    for (name, (bytes, digest)) in &made {
        assert_eq!(written.get(name), Some(&(bytes.clone(), digest.clone())), "example {name}");
    }
    assert_eq!(written.len(), made.len());
}

/// The number of rows of the table under each heading `### kind, version N`.
fn tables() -> BTreeMap<(String, u64), u64> {
    let mut tables = BTreeMap::new();
    for section in PAGE.split("\n### ").skip(1) {
        let (heading, rest) = section.split_once('\n').expect("a heading");
        let (kind, version) = heading.split_once(", version ").expect("a kind and a version");
        let table = rest.lines().skip_while(|line| !line.starts_with('|'));
        let rows = table.take_while(|line| line.starts_with('|')).skip(2).count();
        tables.insert((kind.to_owned(), version.parse().expect("a number")), rows as u64);
    }
    tables
}

/// The kind, the version and the number of fields of a document whose last field is there.
fn fields<D: Document>(document: &D) -> ((String, u64), u64) {
    let bytes = encode(document);
    let mut decoder = minicbor::Decoder::new(&bytes);
    assert_eq!(decoder.array().expect("a document"), Some(4));
    assert_eq!(decoder.str().expect("a domain"), encoding::DOMAIN);
    let label = (decoder.str().expect("a kind").to_owned(), decoder.u64().expect("a version"));
    (label, decoder.array().expect("a body").expect("definite"))
}

fn receipt(chunk: Chunk) -> Receipt {
    let level = ErasureLevel::Software;
    Receipt { chunk, shares: vec![], attempts: vec![], bases: vec![], level, erased_at_ms: 1 }
}

fn withdrawal(report: Digest) -> TheftReport {
    let finding = Finding::Withdrawn(report);
    TheftReport { finding, tenant: None, by: name("security"), text: String::new() }
}

#[test]
fn every_table_of_the_page_has_a_row_for_each_field() {
    let point = Point::from_bytes(&[2; 33]).expect("33 bytes");
    let chunk = Chunk { plan: plan().digest(), epoch: Epoch::new(2, 1), first: 0, count: 1 };
    let signers = vec![name("a"), name("b")];
    let inputs = Inputs::new(chunk, signers.clone(), &[]);
    let proof = SchnorrProof { commitment: point, response: [7; 32] };
    let digest = Digest([1; 32]);
    let vote = Vote {
        kind: VoteKind::Prepared,
        governance: digest,
        chunk,
        inputs: digest,
        root: digest,
        possession: Some(proof),
    };
    let mut governance =
        Governance::of_one_role(name("erin"), name("operator"), 1, vec![], vec![name("acme")], vec![]);
    governance.relying_party = Some(RelyingParty { id: "a".into(), origins: vec![] });
    governance.ledger_key = Some("key".into());
    let approval = Approval { person: name("dana"), signature: ApprovalSignature::Ssh(String::new()) };
    let set = ShareSet {
        wallet: wallet(),
        key: WalletKey { public_key: point, chain_code: digest },
        epoch: Epoch::new(2, 1),
        committee: committee(),
        verification_shares: vec![point; 3],
        transcript: digest,
        parent: Some(digest),
        highest_seat: committee().seats().last().expect("three"),
    };
    let certificate = Certificate {
        kind: VoteKind::Keep,
        inputs: inputs.clone(),
        root: digest,
        votes: vec![],
        probes: vec![],
    };
    let all = BTreeMap::from([
        fields(&wallet()),
        fields(&under_mandate().plan),
        fields(&under_mandate()),
        fields(&mandate()),
        fields(&ApprovedMandate { mandate: mandate(), approvals: vec![] }),
        fields(&governance.clone()),
        fields(&ApprovedGovernance { governance, approvals: vec![approval] }),
        fields(&inputs),
        fields(&vote),
        fields(&certificate),
        fields(&receipt(chunk)),
        fields(&set),
        fields(&Leaf::of(&set)),
        fields(&ChunkRoot::new(&inputs, &[], &[])),
        fields(&CreatedWallets { chunk, wallets: vec![] }),
        fields(&withdrawal(digest)),
        fields(&ProvedEntry { place: 0, entry: Bytes(vec![]), proof: vec![] }),
    ]);
    let mut tables = tables();
    // Its body is a list, and has no fields.
    tables.remove(&("governance-history".to_owned(), 1));
    assert_eq!(tables.remove(&("given-up-wallets".to_owned(), 1)), Some(1));
    assert_eq!(tables, all);
    assert_eq!(subject_of(&Chunk { first: 1, count: 2, ..chunk }), format!("{} 2.1 1..3", plan().digest()));
}
