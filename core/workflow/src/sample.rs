//! Signers and an approver for tests: what they say is well-formed and well-signed, and their polynomials are known
//! to everybody. They keep no state that decides anything; the shipped keeper is tested elsewhere.

mod signing;

use crate::ceremony::generation::{Generation, transcribe};
use crate::ceremony::heard::Heard;
use crate::ceremony::states::Terms;
use perennial_model::approval::{
    Approval, ApprovalSignature, Approved, ApprovedPlan, NAMESPACE, signed_line,
};
use perennial_model::committee::{Committee, SignerId};
use perennial_model::dealing::{
    Commitment, Contribution, Dealing, Inputs, OneTimeKey, Opening, SchnorrProof, Sealed, SealedSubShares,
    WalletDealing, contribution_challenge, hash_to_scalar,
};
use perennial_model::encoding::{self, Bytes, Digest};
use perennial_model::governance::history::{ApprovedGovernance, History};
use perennial_model::governance::{ApproverKey, Governance, SignerIdentity};
use perennial_model::group::{Group, Scalar, lagrange_at_zero};
use perennial_model::identity::{IdentityKey, IdentitySignature, Sign, Signed};
use perennial_model::mail::{Reply, Request};
use perennial_model::mandate::{ApprovedMandate, Cadence, Mandate, Selector};
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::plan::{
    Action, BackupRule, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::probe::probe_digest;
use perennial_model::receipt::{ErasureLevel, Receipt};
use perennial_model::session::{Purpose, SessionOutcome, SessionReport};
use perennial_model::share_set::ShareSet;
use perennial_model::signature::RawSignature;
use perennial_model::vote::{Vote, VoteKind, possession_challenge};
use perennial_model::wallet::{Chain, Scheme, Tier, Wallet, WalletId};
use perennial_model::with_group;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use signing::Ed25519;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Signers `a`, `b`, `c` … and the approver `dana`.
pub struct Cast {
    pub governance: Arc<Governance>,
    pub history: Arc<History>,
    pub signers: Vec<SignerId>,
    pub threshold: u8,
    dana: Ed25519,
    plans: BTreeMap<Digest, Arc<Approved>>,
    share_sets: BTreeMap<Digest, ShareSet>,
    shares: BTreeMap<(Digest, SignerId), [u8; 32]>,
    generations: BTreeMap<Chunk, Generation>,
}

pub fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().expect("a good name")
}

pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(7)
}

/// A day in milliseconds.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

struct Identity(SignerId, Ed25519);

impl Sign for Identity {
    fn signer(&self) -> &SignerId {
        &self.0
    }
    fn sign(&self, message: &[u8]) -> IdentitySignature {
        IdentitySignature(self.1.sign(message))
    }
}

fn identity(signer: &SignerId) -> Identity {
    Identity(signer.clone(), Ed25519::named(signer.as_str()))
}

/// Signs a document as a signer of the cast.
pub fn sign<D: encoding::Document>(signer: &SignerId, body: &D) -> Signed<D> {
    Signed::new(&identity(signer), body)
}

/// Dana's approval of what has this digest.
fn approval_by(dana: &Ed25519, digest: &Digest) -> Approval {
    let signature = dana.ssh_signature(NAMESPACE, signed_line(digest).as_bytes());
    Approval { person: name("dana"), signature: ApprovalSignature::Ssh(signature) }
}

impl Cast {
    pub fn new(threshold: u8, count: usize) -> Self {
        let signers: Vec<SignerId> =
            "abcdefghijklmnop".chars().take(count).map(|c| name(&c.to_string())).collect();
        let dana = Ed25519::named("dana");
        let known = |signer: &SignerId| SignerIdentity {
            signer: signer.clone(),
            key: IdentityKey::Ed25519(identity(signer).1.public),
            transport_pin: Digest::default(),
        };
        let people = vec![(name("dana"), ApproverKey::Ssh(dana.ssh_line()))];
        let signers_known = signers.iter().map(known).collect();
        let tenants = vec![name("acme"), name("globex")];
        let governance =
            Governance::of_one_role(name("iris"), name("operator"), 1, people, tenants, signers_known);
        let approvals = vec![approval_by(&dana, &governance.digest())];
        let history = History::begin(ApprovedGovernance { governance, approvals });
        let history = Arc::new(history.expect("a sound governance"));
        Self {
            governance: Arc::new(history.newest().clone()),
            history,
            signers,
            threshold,
            dana,
            plans: BTreeMap::new(),
            share_sets: BTreeMap::new(),
            shares: BTreeMap::new(),
            generations: BTreeMap::new(),
        }
    }

    /// The next version of governance, which everybody of the cast goes by from here on. It differs in its number.
    pub fn govern(&mut self) -> ApprovedGovernance {
        let present = self.history.newest();
        let governance = Governance {
            version: present.version + 1,
            predecessor: Some(self.history.newest_digest()),
            ..present.clone()
        };
        let approvals = vec![approval_by(&self.dana, &governance.digest())];
        let next = ApprovedGovernance { governance, approvals };
        let mut history = History::clone(&self.history);
        history.extend(next.clone()).expect("the next version");
        self.history = Arc::new(history);
        self.governance = Arc::new(self.history.newest().clone());
        next
    }

    fn plan(&self, action: Action, wallets: Vec<PlannedWallet>, rank: u32) -> Plan {
        let small = self.signers.len() < 2 * usize::from(self.threshold) - 1;
        Plan {
            action,
            tenant: name("acme"),
            tier: Tier::Standard,
            wallets,
            rank,
            attempts: 3,
            committee: Committee::first(self.threshold, &self.signers).expect("a committee"),
            liar_tolerance: if small { LiarTolerance::WaivedUnsafe } else { LiarTolerance::Required },
            profile: Profile::Planned { overlap_ms: 0 },
            not_before_ms: 0,
            expiry_ms: 1_000_000,
            activation_deadline_ms: 2_000_000,
            probe_rate: ProbeRate::OnePerChunk,
            backup_rule: BackupRule::CommitteeOnly,
            policy: None,
            governance: encoding::digest(&*self.governance),
            initiator: name("iris"),
            nonce: Digest::default(),
            mandate: None,
        }
    }

    /// A plan that makes these wallets.
    pub fn create(&self, chains: &[Chain]) -> Plan {
        let wallet = |(at, chain): (usize, &Chain)| Wallet {
            id: name(&format!("w{at}")),
            tenant: name("acme"),
            tier: Tier::Standard,
            chain: *chain,
        };
        let wallets = chains.iter().enumerate().map(wallet).map(PlannedWallet::New).collect();
        self.plan(Action::Create, wallets, 1)
    }

    /// A plan that refreshes what a generation made.
    pub fn refresh(&self, parents: &[(WalletId, Digest)], rank: u32) -> Plan {
        let wallets = parents.iter().map(|(id, digest)| PlannedWallet::Held(id.clone(), *digest)).collect();
        self.plan(Action::Refresh, wallets, rank)
    }

    pub fn approval(&self, plan: &Plan) -> Approval {
        approval_by(&self.dana, &plan.digest())
    }

    /// A mandate to refresh all wallets each week, with Dana's approval; `change` has the last word on what it says.
    pub fn mandate(&self, change: impl FnOnce(&mut Mandate)) -> ApprovedMandate {
        let plan = self.plan(Action::Refresh, Vec::new(), 1);
        let mut mandate = Mandate {
            tenant: plan.tenant,
            tier: plan.tier,
            wallets: Selector::All,
            committee: plan.committee,
            liar_tolerance: plan.liar_tolerance,
            profile: plan.profile,
            probe_rate: plan.probe_rate,
            backup_rule: plan.backup_rule,
            policy: plan.policy,
            not_before_ms: 0,
            until_ms: 3 * 365 * DAY_MS,
            least_gap_ms: 6 * DAY_MS,
            attempts: 6,
            windows: Vec::new(),
            run_ms: 2 * 60 * 60 * 1000,
            cadence: vec![Cadence { from_tier: Tier::Low, every_ms: 7 * DAY_MS }],
            failures: 3,
            governance: plan.governance,
            initiator: plan.initiator,
            nonce: plan.nonce,
        };
        change(&mut mandate);
        let approvals = vec![approval_by(&self.dana, &mandate.digest())];
        ApprovedMandate { mandate, approvals }
    }

    /// An order with Dana's approval.
    pub fn order(&self, deed: Deed, number: u64) -> ApprovedOrder {
        self.order_of("acme", deed, number)
    }

    /// The same of this tenant's people.
    pub fn order_of(&self, tenant: &str, deed: Deed, number: u64) -> ApprovedOrder {
        let order = Order {
            deed,
            tenant: Some(name(tenant)),
            tier: Tier::High,
            number,
            expiry_ms: u64::MAX,
            governance: encoding::digest(&*self.governance),
            initiator: name("iris"),
            nonce: Digest::default(),
        };
        let approvals = vec![approval_by(&self.dana, &order.digest())];
        ApprovedOrder { order, approvals }
    }

    pub fn approved(&mut self, plan: &Plan) -> Arc<Approved> {
        let approved = ApprovedPlan::by_people(plan.clone(), vec![self.approval(plan)]);
        let approved = Arc::new(approved.check(&self.governance).expect("a sound plan with its quorum"));
        self.plans.insert(approved.digest(), approved.clone());
        approved
    }

    /// The terms of an attempt at wallets `first..first + count`.
    pub fn terms(&mut self, plan: &Plan, attempt: u32, first: u32, count: u32) -> Terms {
        let epoch = perennial_model::epoch::Epoch::new(plan.rank, attempt);
        let chunk = Chunk { plan: plan.digest(), epoch, first, count };
        let approved = self.approved(plan);
        self.terms_of(&chunk, approved)
    }

    fn terms_of(&self, chunk: &Chunk, plan: Arc<Approved>) -> Terms {
        let planned = &plan.plan().wallets_of(chunk).expect("a chunk of the plan")[0];
        let parent = planned.parent().map(|digest| &self.share_sets[&digest]);
        let scheme = match planned {
            PlannedWallet::New(wallet) => wallet.chain.scheme(),
            PlannedWallet::Held(..) => parent.expect("a known parent").scheme(),
        };
        Terms { chunk: *chunk, scheme, parent: parent.map(|set| set.committee.clone()), plan }
    }

    /// What an honest signer replies.
    pub fn answer(&mut self, me: &SignerId, request: &Request) -> Vec<Reply> {
        match request {
            Request::Plan(plan) => {
                let named = self.history.find(&plan.plan.governance).expect("a known governance");
                let approved = Arc::new((**plan).clone().check(named).expect("approved"));
                let digest = approved.digest();
                self.plans.insert(digest, approved);
                vec![Reply::Planned(digest)]
            }
            Request::Open { chunk, .. } => vec![Reply::Opened(self.opening(me, chunk))],
            Request::Commit { inputs, .. } => {
                let dealing = encoding::digest(&self.dealing(me, inputs));
                let body = Commitment { chunk: inputs.chunk, inputs: inputs.digest(), dealing };
                vec![Reply::Committed(sign(me, &body))]
            }
            Request::Deal { inputs, .. } => vec![Reply::Dealt(sign(me, &self.dealing(me, inputs)))],
            Request::Verify { inputs, dealings, .. } => {
                self.learn(inputs, dealings);
                vec![Reply::Voted(self.vote(me, &inputs.chunk, VoteKind::Prepared))]
            }
            Request::Activate(certificate) => {
                let chunk = certificate.inputs.chunk;
                vec![Reply::Activated(chunk, 1), Reply::Voted(self.vote(me, &chunk, VoteKind::Keep))]
            }
            Request::Keep(chunk) => vec![Reply::Voted(self.vote(me, chunk, VoteKind::Keep))],
            Request::Retire(certificate) => vec![Reply::Erased(self.receipt(me, &certificate.inputs.chunk))],
            Request::Session(request) => match &request.purpose {
                Purpose::Probes { chunk, tasks, .. } if request.signers.first() == Some(me) => {
                    let signatures = tasks
                        .iter()
                        .map(|task| self.probe(chunk, task.wallet as usize, task.counter))
                        .collect();
                    let outcome = SessionOutcome::Signed(signatures);
                    vec![Reply::Session(SessionReport { session: request.session, outcome })]
                }
                _ => Vec::new(),
            },
            Request::Governance(next) => {
                let (version, digest) = (next.governance.version, next.governance.digest());
                vec![Reply::Governed { version, digest }]
            }
            Request::Order(order) => vec![Reply::Ordered(order.order.digest())],
            Request::SessionMail(_) | Request::PairingMail(_) | Request::Checkpoint(_) => Vec::new(),
        }
    }

    pub fn opening(&self, me: &SignerId, chunk: &Chunk) -> Signed<Opening> {
        let key = |signer: &SignerId| OneTimeKey { counterparty: signer.clone(), public: [9; 32] };
        sign(me, &Opening { chunk: *chunk, keys: self.signers.iter().map(key).collect() })
    }

    pub fn receipt(&self, me: &SignerId, chunk: &Chunk) -> Signed<Receipt> {
        let receipt = Receipt {
            chunk: *chunk,
            shares: Vec::new(),
            attempts: Vec::new(),
            bases: Vec::new(),
            level: ErasureLevel::Software,
            erased_at_ms: 1,
        };
        sign(me, &receipt)
    }

    /// The generation of a chunk that was verified.
    pub fn generation(&self, chunk: &Chunk) -> &Generation {
        &self.generations[chunk]
    }

    fn scheme(&self, chunk: &Chunk) -> Scheme {
        self.terms_of(chunk, self.plans[&chunk.plan].clone()).scheme
    }

    pub fn dealing(&self, me: &SignerId, inputs: &Inputs) -> Dealing {
        with_group!(self.scheme(&inputs.chunk), G => self.deal::<G>(me, inputs))
    }

    fn polynomial<G: Group>(&self, dealer: &SignerId, inputs: &Inputs, at: usize) -> Vec<G::Scalar> {
        let chunk = inputs.chunk;
        let plan = self.plans[&chunk.plan].clone();
        let number = minicbor::to_vec(chunk).expect("bytes");
        let random = |power: u8| {
            hash_to_scalar::<G>("sample", &[&number, dealer.as_str().as_bytes(), &at.to_be_bytes(), &[power]])
        };
        let mut coefficients: Vec<G::Scalar> = (0..plan.plan().committee.threshold()).map(random).collect();
        let planned = &plan.plan().wallets_of(&chunk).expect("a chunk of the plan")[at];
        if let Some(parent) = planned.parent() {
            let committee = &self.share_sets[&parent].committee;
            let seat = |signer: &SignerId| committee.seat_of(signer).expect("a holder").get();
            let seats: Vec<u8> = inputs.dealers.iter().map(&seat).collect();
            let share = G::Scalar::decode(&self.shares[&(parent, dealer.clone())]).expect("a share");
            coefficients[0] = lagrange_at_zero::<G::Scalar>(seat(dealer), &seats).expect("a dealer") * share;
        }
        coefficients
    }

    fn deal<G: Group>(&self, me: &SignerId, inputs: &Inputs) -> Dealing {
        let chunk = inputs.chunk;
        let plan = self.plans[&chunk.plan].clone();
        let planned = plan.plan().wallets_of(&chunk).expect("a chunk of the plan");
        let wallets = planned.iter().enumerate().map(|(at, wallet)| {
            let polynomial = self.polynomial::<G>(me, inputs, at);
            let known = usize::from(wallet.parent().is_some());
            let coefficients = G::commit_all(&polynomial[known..]);
            let contribution = wallet.parent().is_none().then(|| {
                let nonce = hash_to_scalar::<G>("nonce", &[&at.to_be_bytes()]);
                let commitment = G::encode(&G::generate(&nonce));
                let id = wallet.id().as_str();
                let challenge = contribution_challenge::<G>(&chunk, id, me, &coefficients[0], &commitment);
                let response = (nonce + challenge * polynomial[0]).encode();
                Contribution { proof: SchnorrProof { commitment, response }, entropy: [at as u8; 32] }
            });
            WalletDealing { coefficients, contribution }
        });
        let sealed = |holder: &SignerId| SealedSubShares {
            receiver: holder.clone(),
            sealed: Sealed { encapsulated: [1; 32], ciphertext: Bytes(vec![2; 32 * planned.len()]) },
        };
        Dealing {
            chunk,
            inputs: inputs.digest(),
            wallets: wallets.collect(),
            sub_shares: inputs.holders.iter().map(sealed).collect(),
        }
    }

    /// Computes what the dealings come to and every holder's shares.
    fn learn(&mut self, inputs: &Inputs, dealings: &[Signed<Dealing>]) {
        let chunk = inputs.chunk;
        if self.generations.contains_key(&chunk) {
            return;
        }
        let terms = self.terms_of(&chunk, self.plans[&chunk.plan].clone());
        let heard: Vec<Heard<Dealing>> = dealings
            .iter()
            .map(|signed| Heard::check(signed.clone(), &signed.signer, &*self.governance).expect("signed"))
            .collect();
        let planned = terms.plan().wallets_of(&chunk).expect("a chunk of the plan");
        let parents: Vec<&ShareSet> = planned
            .iter()
            .filter_map(|wallet| wallet.parent())
            .map(|digest| &self.share_sets[&digest])
            .collect();
        let heard: Vec<_> = heard.iter().collect();
        let generation = transcribe(&terms, inputs, &heard, &parents).expect("sound dealings");
        let mut shares = Vec::new();
        with_group!(terms.scheme, G => {
            for (at, digest) in generation.digests.iter().enumerate() {
                let polynomials: Vec<_> =
                    inputs.dealers.iter().map(|dealer| self.polynomial::<G>(dealer, inputs, at)).collect();
                for member in terms.plan().committee.members() {
                    let seat = <G as Group>::Scalar::from_u64(member.seat.get().into());
                    let zero = <G as Group>::Scalar::ZERO;
                    let value = polynomials.iter().fold(zero, |sum, polynomial| {
                        sum + polynomial.iter().rev().fold(zero, |value, c| value * seat + *c)
                    });
                    shares.push(((*digest, member.signer.clone()), value.encode()));
                }
            }
        });
        self.shares.extend(shares);
        self.share_sets.extend(generation.digests.iter().copied().zip(generation.share_sets.iter().cloned()));
        self.generations.insert(chunk, generation);
    }

    /// A vote on a chunk that was verified.
    pub fn vote(&self, me: &SignerId, chunk: &Chunk, kind: VoteKind) -> Signed<Vote> {
        let generation = &self.generations[chunk];
        let inputs = generation.inputs.digest();
        let possession = (kind == VoteKind::Prepared)
            .then(|| with_group!(self.scheme(chunk), G => self.possession::<G>(me, chunk)));
        let governance = self.plans.get(&chunk.plan).expect("a known plan").plan().governance;
        sign(me, &Vote { kind, governance, chunk: *chunk, inputs, root: generation.root, possession })
    }

    fn possession<G: Group>(&self, me: &SignerId, chunk: &Chunk) -> SchnorrProof {
        let generation = &self.generations[chunk];
        let nonce = hash_to_scalar::<G>("nonce", &[me.as_str().as_bytes()]);
        let commitment = G::encode(&G::generate(&nonce));
        let challenge =
            possession_challenge::<G>(&generation.inputs.digest(), &generation.root, me, &commitment);
        let mut power = G::Scalar::ONE;
        let mut response = nonce;
        for digest in &generation.digests {
            power = power * challenge;
            let share = G::Scalar::decode(&self.shares[&(*digest, me.clone())]).expect("a share");
            response = response + power * share;
        }
        SchnorrProof { commitment, response: response.encode() }
    }

    /// A probe made with the whole key.
    pub fn probe(&self, chunk: &Chunk, at: usize, counter: u32) -> RawSignature {
        let generation = &self.generations[chunk];
        let set = &generation.share_sets[at];
        let message = probe_digest(&set.wallet.id, chunk.epoch, &set.transcript, counter);
        let secret = with_group!(set.scheme(), G => self.secret::<G>(&generation.digests[at]));
        match set.scheme() {
            Scheme::Ecdsa => signing::ecdsa(&secret, &message.0),
            Scheme::Taproot => signing::schnorr(&secret, &message.0),
            other => panic!("the sample signs no {}", other.name()),
        }
    }

    fn secret<G: Group>(&self, digest: &Digest) -> [u8; 32] {
        let committee = &self.share_sets[digest].committee;
        let members = &committee.members()[..usize::from(committee.threshold())];
        let seats: Vec<u8> = members.iter().map(|member| member.seat.get()).collect();
        let sum = members.iter().fold(G::Scalar::ZERO, |sum, member| {
            let share = G::Scalar::decode(&self.shares[&(*digest, member.signer.clone())]).expect("a share");
            sum + lagrange_at_zero::<G::Scalar>(member.seat.get(), &seats).expect("a member") * share
        });
        sum.encode()
    }
}
