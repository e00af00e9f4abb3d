//! A whole history in memory, made with every key at hand: two wallets are made, refreshed and signed with, and all of
//! it is entered in a ledger that three signers cosign. A twist breaks one rule, everything else stays as it should be.

use super::cast::{
    G, Key, Log, S, SIGNERS, WALLETS, approved_by, committee, ed25519, governance, mandate_for, name, scalar,
    wallet,
};
use super::twist::Twist;
use crate::evidence::bundle::{
    About, Bundle, CHECKPOINT, GOVERNANCE, SUMMARY_HTML, SUMMARY_MD, entry_member,
};
use crate::evidence::check::{Trust, facts_of};
use crate::evidence::summary;
use ed25519_dalek::{Signer as _, SigningKey};
use getrandom::SysRng;
use perennial_ledger::entry::{Content, Kind, ShortText, Signature};
use perennial_ledger::{Checkpoint, Cosignature, Entry, MemoryNodes, Tree, WitnessKey, prove_inclusion};
use perennial_model::approval::ApprovedPlan;
use perennial_model::certificate::Certificate;
use perennial_model::dealing::{Inputs, SchnorrProof};
use perennial_model::encoding::{self, Bytes, Digest, encode};
use perennial_model::epoch::Epoch;
use perennial_model::evidence::{CreatedWallets, ProvedEntry, subject_of};
use perennial_model::governance::history::{ApprovedGovernance, Versions};
use perennial_model::group::{Group, Point, Scalar};
use perennial_model::identity::Signed;
use perennial_model::mandate::{ApprovedMandate, UnderMandate};
use perennial_model::plan::{
    Action, BackupRule, Chunk, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile,
};
use perennial_model::probe::{ProbeSignature, ProbeTask, probe_digest};
use perennial_model::receipt::{ErasedShare, ErasureLevel, Receipt};
use perennial_model::share_set::ShareSet;
use perennial_model::transcript::{ChunkRoot, Leaf, Transcript, leaf_list};
use perennial_model::vote::{Vote, VoteKind, possession_challenge};
use perennial_model::wallet::{Tier, WalletKey};
use rand_core::UnwrapErr;
use serde_json::json;
use std::collections::BTreeMap;

/// When it begins, in milliseconds since 1970.
const BEGUN_MS: u64 = 1_795_254_500_000;

/// One epoch of all wallets: share sets and shares.
pub(super) struct Epochs {
    chunk: Chunk,
    transcript: Transcript,
    dealings: [Digest; 2],
    pub(super) sets: Vec<ShareSet>,
    /// The secret of each wallet, and its shares by seat.
    secrets: Vec<(S, Vec<S>)>,
}

/// What is in the making.
pub struct Scene {
    twist: Twist,
    entries: Vec<(Entry, Vec<u8>)>,
    pub(super) documents: Vec<Vec<u8>>,
    versions: Versions,
    plan: Digest,
}

impl Scene {
    /// Everything, with one thing wrong.
    pub fn of(twist: Twist) -> Self {
        let versions = governance();
        let mut scene =
            Self { twist, entries: Vec::new(), documents: Vec::new(), versions, plan: Digest([0; 32]) };
        for version in scene.versions.0.clone() {
            let subject = format!("version {}", version.governance.version);
            scene.enter("governance-pinned", &subject, encode(&version));
        }
        if let Some(version) = scene.versions.0.last().cloned() {
            scene.pin_wrongly(version);
        }
        let mut made = scene.ceremony(Action::Create, None);
        scene.created(&made);
        if twist == Twist::CreatedTwice {
            made.sets.reverse();
            scene.created(&made);
            made.sets.reverse();
        }
        if twist == Twist::ParentIsLater {
            scene.documents.retain(|document| encoding::decode::<ShareSet>(document).is_err());
            for set in &mut made.sets {
                (set.epoch, set.parent) = (Epoch::new(9, 9), Some(Digest([8; 32])));
                scene.documents.push(encode(set));
            }
        }
        let refreshed = scene.ceremony(Action::Refresh, Some(&made));
        scene.sign(&made, 4);
        scene.sign(&refreshed, 4);
        for (subject, report) in twist.reported(BEGUN_MS) {
            scene.enter("theft-reported", &subject, encode(&report));
        }
        if twist == Twist::SignedAfterTheEnd {
            scene.sign(&made, 400_000);
        }
        if twist == Twist::PlanOfOthers {
            let mut plan = scene.plan(Action::Create, None);
            plan.wallets.remove(0);
            scene.enter("plan-submitted", &plan.digest().to_string(), encode(&plan));
        }
        scene.plan_from_forged_parent(&made);
        if twist == Twist::Fork {
            scene.enter("given-up", &Digest([9; 32]).to_string(), vec![1]);
        }
        scene
    }

    pub(super) fn is(&self, twist: Twist) -> bool {
        self.twist == twist
    }

    fn now_ms(&self) -> u64 {
        BEGUN_MS + 1000 * self.entries.len() as u64
    }

    pub(super) fn enter(&mut self, kind: &str, subject: &str, body: Vec<u8>) {
        let content = Content::Other(Kind::new(kind).expect("a kind"));
        self.enter_at(self.now_ms(), subject, body, content);
    }

    fn enter_at(&mut self, time_ms: u64, subject: &str, body: Vec<u8>, content: Content) {
        let subject = ShortText::new(subject).expect("short");
        let entry = Entry { time_ms, subject, body: perennial_ledger::Digest::of(&body), content };
        self.entries.push((entry, body));
    }

    /// Enters a version of governance that is none, or not as it was approved.
    fn pin_wrongly(&mut self, mut version: ApprovedGovernance) {
        let number = match self.twist {
            Twist::PinnedVersionZero => 0,
            Twist::PinnedWithOtherApprovals => {
                self.entries.pop();
                version.approvals.extend(version.approvals.clone());
                version.governance.version
            }
            _ => return,
        };
        version.governance.version = number;
        self.enter("governance-pinned", &format!("version {number}"), encode(&version));
    }

    pub(super) fn plan(&self, action: Action, before: Option<&Epochs>) -> Plan {
        let wallet = |at: usize| match before {
            None => PlannedWallet::New(wallet(at)),
            Some(before) => PlannedWallet::Held(name(WALLETS[at]), encoding::digest(&before.sets[at])),
        };
        let version = if self.is(Twist::ApprovedUnderReplacedGovernance) { 0 } else { 1 };
        let deadline = if self.is(Twist::ActivatedTooLate) { 2 } else { 1_000_000 };
        let plan = Plan {
            action,
            tenant: name("acme"),
            tier: Tier::High,
            wallets: (0..WALLETS.len()).map(wallet).collect(),
            rank: if before.is_none() { 1 } else { 2 },
            attempts: 3,
            committee: committee(),
            liar_tolerance: LiarTolerance::Required,
            profile: Profile::Planned { overlap_ms: 0 },
            not_before_ms: BEGUN_MS - 500_000,
            expiry_ms: BEGUN_MS - 499_999 + deadline / 2,
            activation_deadline_ms: BEGUN_MS - 499_999 + deadline,
            probe_rate: ProbeRate::OnePerChunk,
            backup_rule: BackupRule::CommitteeOnly,
            policy: None,
            governance: self.versions.0[version].governance.digest(),
            initiator: name("erin"),
            nonce: Digest([action as u8; 32]),
            mandate: None,
        };
        match self.is(Twist::UnderMandate) && before.is_some() {
            true => {
                let under = UnderMandate { mandate: mandate_for(&plan).digest(), counts_from: 1 };
                Plan { mandate: Some(under), ..plan }
            }
            false => plan,
        }
    }

    /// A plan with what people have decided.
    pub(super) fn approved(&self, plan: &Plan) -> ApprovedPlan {
        let person = if self.is(Twist::InitiatorApproves) { "erin" } else { "dana" };
        if plan.mandate.is_some() {
            let mandate = mandate_for(plan);
            let approvals = vec![approved_by(person, &mandate.digest())];
            let mandate = Some(Box::new(ApprovedMandate { mandate, approvals }));
            return ApprovedPlan { mandate, ..ApprovedPlan::new(plan.clone()) };
        }
        let mut approvals = vec![approved_by(person, &plan.digest())];
        if self.is(Twist::NobodyApproves) {
            approvals.clear();
        }
        ApprovedPlan::by_people(plan.clone(), approvals)
    }

    fn ceremony(&mut self, action: Action, before: Option<&Epochs>) -> Epochs {
        let plan = self.plan(action, before);
        self.plan = plan.digest();
        let subject = self.plan.to_string();
        if !self.is(Twist::NotSubmitted) {
            self.enter("plan-submitted", &subject, encode(&plan));
        }
        if plan.mandate.is_none() {
            let person = if self.is(Twist::ApprovalOfNobody) { "mallory" } else { "dana" };
            self.enter("plan-approval", &format!("{subject} {person}"), encode(&plan));
        }
        let approved = encode(&self.approved(&plan));
        let epochs = self.epochs(&plan, before);
        let early = self.is(Twist::ActivatedBeforeApproved);
        if !early {
            let more = if self.is(Twist::MoreWordsInSubject) { " unanimously" } else { "" };
            self.enter("plan-approved", &format!("{subject}{more}"), approved.clone());
        }
        let activation = self.certificate(&plan, &epochs, VoteKind::Prepared);
        self.enter("activation", &subject_of(&epochs.chunk), activation);
        if early || self.is(Twist::ApprovedTwice) {
            self.enter("plan-approved", &subject, approved);
        }
        if self.is(Twist::LeftAfterActivation) || self.is(Twist::AttemptOfNoPlan) {
            let rank = if self.is(Twist::AttemptOfNoPlan) { 9 } else { plan.rank };
            let chunk = Chunk { epoch: Epoch::new(rank, 1), ..epochs.chunk };
            self.enter("attempt-left", &subject_of(&chunk), vec![9, self.entries.len() as u8]);
        }
        let retirement = self.certificate(&plan, &epochs, VoteKind::Keep);
        if self.is(Twist::RetiredTwice) {
            self.enter("retirement", &subject_of(&epochs.chunk), retirement.clone());
        }
        self.enter("retirement", &subject_of(&epochs.chunk), retirement);
        if let Some(before) = before {
            (0..3).for_each(|at| self.receipt(at, &epochs, before));
        }
        self.enter("ceremony-finished", &subject, vec![self.entries.len() as u8]);
        self.document(&epochs);
        epochs
    }

    fn epochs(&self, plan: &Plan, before: Option<&Epochs>) -> Epochs {
        let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, 1), first: 0, count: 2 };
        let rank = u64::from(plan.rank);
        let inputs = Inputs {
            chunk,
            dealers: SIGNERS.map(name).into(),
            holders: match self.is(Twist::HoldersOutOfOrder) {
                true => SIGNERS.iter().rev().copied().map(name).collect(),
                false => SIGNERS.map(name).into(),
            },
            openings: Digest([rank as u8; 32]),
        };
        let mut secrets = Vec::new();
        let mut leaves = Vec::new();
        for at in 0..WALLETS.len() {
            let changes = self.is(Twist::KeyChanges) && before.is_some();
            let secret = scalar("secret", &[at as u64, u64::from(changes)]);
            let slope = scalar("slope", &[at as u64, rank]);
            let mut shares: Vec<S> = (1..=3).map(|seat| secret + slope * S::from_u64(seat)).collect();
            if self.is(Twist::ShareOffThePolynomial) {
                shares[0] += S::ONE;
            }
            let mut verification_shares: Vec<Point> =
                shares.iter().map(|share| G::encode(&G::generate(share))).collect();
            if self.is(Twist::ShareOutsideGroup) {
                verification_shares[2] = Point::from_bytes(&[0xff; 32]).expect("short enough");
            }
            let wrong = self.is(Twist::ParentChanges).then_some(Digest([8; 32]));
            leaves.push(Leaf {
                wallet: wallet(at),
                parent: before.map(|before| wrong.unwrap_or(encoding::digest(&before.sets[at]))),
                key: WalletKey {
                    public_key: G::encode(&G::generate(&secret)),
                    chain_code: Digest([at as u8; 32]),
                },
                committee: committee(),
                verification_shares,
                highest_seat: committee().seats().last().expect("three"),
            });
            secrets.push((secret, shares));
        }
        let dealings = [Digest([1; 32]), Digest([2; 32])];
        let transcript = Transcript::new(inputs, &dealings, leaves);
        let mut sets: Vec<ShareSet> = (0..WALLETS.len()).map(|at| transcript.share_set(at)).collect();
        if self.is(Twist::ChainCodeOfNobody) {
            sets.iter_mut().for_each(|set| set.key.chain_code = Digest([9; 32]));
        }
        Epochs { chunk, transcript, dealings, sets, secrets }
    }

    fn certificate(&self, plan: &Plan, epochs: &Epochs, kind: VoteKind) -> Vec<u8> {
        let mut inputs = epochs.transcript.inputs.clone();
        if self.is(Twist::RootOfOtherInputs) {
            inputs.openings = Digest([7; 32]);
        }
        let other = (self.is(Twist::KeepOfOtherRoot) && kind == VoteKind::Keep)
            || (self.is(Twist::ActivationOfOtherRoot) && kind == VoteKind::Prepared);
        let root = if other { Digest([6; 32]) } else { epochs.transcript.root };
        let vote = |at: usize| {
            let key = Key::of(at);
            let wrong = self.is(Twist::VoteForOtherRoot) && at == 1;
            let proof = (kind == VoteKind::Prepared).then(|| self.possession(&key, at, epochs));
            let vote = Vote {
                kind,
                governance: plan.governance,
                chunk: epochs.chunk,
                inputs: inputs.digest(),
                root: if wrong { Digest([5; 32]) } else { root },
                possession: proof,
            };
            Signed::new(&key, &vote)
        };
        let voters = if self.is(Twist::VoteMissing) { 2 } else { 3 };
        let probes = if kind == VoteKind::Prepared { self.probes(plan, epochs) } else { Vec::new() };
        let votes = (0..voters).map(vote).collect();
        encode(&Certificate { kind, inputs: inputs.clone(), root, votes, probes })
    }

    fn possession(&self, key: &Key, at: usize, epochs: &Epochs) -> SchnorrProof {
        let nonce = scalar("possession", &[at as u64, u64::from(epochs.chunk.epoch.rank)]);
        let commitment = G::encode(&G::generate(&nonce));
        let inputs = epochs.transcript.inputs.digest();
        let challenge = possession_challenge::<G>(&inputs, &epochs.transcript.root, &key.name, &commitment);
        let (mut response, mut power) = (nonce, S::ONE);
        for (_, shares) in &epochs.secrets {
            power *= challenge;
            response += power * shares[at];
        }
        if self.is(Twist::PossessionIsWrong) {
            response += S::ONE;
        }
        SchnorrProof { commitment, response: response.encode() }
    }

    fn probes(&self, plan: &Plan, epochs: &Epochs) -> Vec<ProbeSignature> {
        let places = perennial_model::probe::sampled(&epochs.transcript.root, 2, plan.effective_probe_rate());
        let probe = |wallet: u32, counter: u32| {
            let set = &epochs.sets[wallet as usize];
            let counter_signed = counter + u32::from(self.is(Twist::ProbeIsWrong));
            let message = probe_digest(&set.wallet.id, set.epoch, &set.transcript, counter_signed);
            let (secret, _) = &epochs.secrets[wallet as usize];
            let signature = ed25519(secret, &set.key.public_key, &message.0);
            ProbeSignature { task: ProbeTask { wallet, counter }, signature }
        };
        places.into_iter().flat_map(|wallet| (0..2).map(move |counter| probe(wallet, counter))).collect()
    }

    fn receipt(&mut self, at: usize, epochs: &Epochs, before: &Epochs) {
        let erased = |set: &ShareSet| ErasedShare {
            wallet: match self.is(Twist::ReceiptOfOtherWallet) {
                true => name("other"),
                false => set.wallet.id.clone(),
            },
            epoch: set.epoch,
            transcript: match self.is(Twist::ReceiptOfOtherTranscript) {
                true => Digest([4; 32]),
                false => set.transcript,
            },
        };
        let early_ms = if self.is(Twist::ErasedTooEarly) { 1_000_000 } else { 0 };
        let receipt = Receipt {
            chunk: epochs.chunk,
            shares: before.sets.iter().map(erased).collect(),
            attempts: Vec::new(),
            bases: Vec::new(),
            level: ErasureLevel::Software,
            erased_at_ms: self.now_ms() - early_ms,
        };
        let mut key = Key::of(at);
        if self.is(Twist::ReceiptByStranger) {
            key.secret = SigningKey::from_bytes(&[99; 32]);
        }
        let signed = minicbor::to_vec(Signed::new(&key, &receipt)).expect("memory");
        self.enter("receipt", &subject_of(&epochs.chunk), signed);
    }

    fn created(&mut self, made: &Epochs) {
        let wallets = made.sets.iter().map(|set| (set.wallet.id.clone(), encoding::digest(set))).collect();
        let body = encode(&CreatedWallets { chunk: made.chunk, wallets });
        self.enter("wallets-created", &subject_of(&made.chunk), body);
    }

    fn document(&mut self, epochs: &Epochs) {
        let mut leaves: Vec<Digest> = epochs.transcript.leaves.iter().map(encoding::digest).collect();
        let root = ChunkRoot::new(&epochs.transcript.inputs, &epochs.dealings, &leaves);
        if self.is(Twist::LeafMissing) {
            leaves.pop();
        }
        self.documents.extend([encode(&root), leaf_list(&leaves)]);
        self.documents.extend(epochs.sets.iter().map(encode));
    }

    fn sign(&mut self, epochs: &Epochs, after_s: u64) {
        let set = &epochs.sets[0];
        let signers = if self.is(Twist::SignedByStranger) { ["a", "z"] } else { ["a", "b"] };
        let answer = json!({
            "wallet": WALLETS[0], "epoch": set.epoch.to_string(), "transcript": set.transcript.to_string(),
            "signers": signers, "transaction_id": format!("<b>{}|", self.entries.len()),
        });
        let plan = if self.is(Twist::SignedUnderOtherPlan) { Digest([3; 32]) } else { epochs.chunk.plan };
        let wallet = ShortText::new(WALLETS[0]).expect("short");
        let signature = Signature {
            wallet: wallet.clone(),
            epoch: perennial_ledger::entry::Epoch { rank: set.epoch.rank, count: set.epoch.count },
            transcript: perennial_ledger::Digest(set.transcript.0),
            plan: perennial_ledger::Digest(plan.0),
            policy: None,
            decision: None,
            custody_state: None,
        };
        let time_ms = self.now_ms() + after_s;
        let answer = self.twist.written(answer.to_string());
        self.enter_at(time_ms, WALLETS[0], answer, Content::Signature(signature));
    }

    fn checkpoint(&self) -> (Tree, MemoryNodes, Checkpoint) {
        let bytes: Vec<Vec<u8>> = self.entries.iter().map(|(entry, _)| entry.to_bytes()).collect();
        let growth = Tree::empty().append(&bytes).expect("few entries");
        let mut nodes = MemoryNodes::default();
        nodes.store(&growth.nodes);
        let mut checkpoint = Checkpoint::sign(growth.tree.head(), &Log::new()).expect("signed");
        let early_s = if self.is(Twist::DatedAfterItsCosignatures) { 10_000 } else { 0 };
        let last_ms = self.entries.iter().map(|(entry, _)| entry.time_ms).max().unwrap_or(0);
        for key in (0..3).map(Key::of).filter(|_| !self.is(Twist::Fork)) {
            let witness = WitnessKey::of_member(checkpoint.origin(), key.name.as_str(), &key.public());
            let sign = |message: &[u8]| key.secret.sign(message).to_bytes();
            let made =
                Cosignature::make(&checkpoint, &witness.expect("a key"), last_ms / 1000 - early_s, sign);
            checkpoint = checkpoint.with(&made.expect("signed")).expect("room");
        }
        (growth.tree, nodes, checkpoint)
    }

    /// The digest of the first version of governance.
    pub fn genesis(&self) -> Digest {
        self.versions.0[0].governance.digest()
    }

    /// The bundle about the first wallet, with its summary if it verifies without one.
    pub fn wallet(&self) -> Bundle {
        let wallet = name(WALLETS[0]);
        let about = About::Wallet { wallet, from_ms: None, to_ms: None };
        self.bundle(about, |_| true, |set| set.wallet.id.as_str() == WALLETS[0])
    }

    /// The bundle about the refresh.
    pub fn ceremony_of_refresh(&self) -> Bundle {
        let plan = self.plan;
        let concerns = |entry: &Entry| {
            let subject = entry.subject.as_str();
            subject.starts_with("version") || subject.starts_with(&plan.to_string())
        };
        self.bundle(About::Ceremony { plan }, concerns, |_| true)
    }

    fn bundle(
        &self,
        about: About,
        concerns: impl Fn(&Entry) -> bool,
        wanted: impl Fn(&ShareSet) -> bool,
    ) -> Bundle {
        let (tree, nodes, checkpoint) = self.checkpoint();
        let members = BTreeMap::from([
            (CHECKPOINT.to_owned(), checkpoint.to_bytes()),
            (GOVERNANCE.to_owned(), encode(&self.versions)),
        ]);
        let mut bundle = Bundle { about, ledger_key: Log::new().0.to_string(), members };
        for (place, (entry, body)) in
            self.entries.iter().enumerate().filter(|(_, (entry, _))| concerns(entry))
        {
            let proof = prove_inclusion(place as u64, &tree.head(), &nodes).expect("it is there");
            let proof = proof.hashes.iter().map(|hash| Digest(hash.0)).collect();
            let proved = ProvedEntry { place: place as u64, entry: Bytes(entry.to_bytes()), proof };
            bundle.members.insert(entry_member(place as u64), encode(&proved));
            bundle.add_document(body.clone());
        }
        let ceremony = matches!(bundle.about, About::Ceremony { .. });
        let documents = self.documents.iter().enumerate().filter(|(at, document)| {
            match encoding::decode::<ShareSet>(document) {
                Ok(set) => wanted(&set),
                // Of the first epoch a ceremony's bundle has the parents alone.
                Err(_) => !ceremony || *at >= self.documents.len() / 2,
            }
        });
        documents.for_each(|(_, document)| _ = bundle.add_document(document.clone()));
        if let Ok(facts) = facts_of(&bundle, &Trust::default(), &mut UnwrapErr(SysRng)) {
            bundle.members.insert(SUMMARY_MD.into(), summary::markdown(&facts).into_bytes());
            bundle.members.insert(SUMMARY_HTML.into(), summary::html(&facts).into_bytes());
        }
        bundle
    }
}
