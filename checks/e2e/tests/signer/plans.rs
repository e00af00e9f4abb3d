//! The approver of these tests, and the plans that she approves.

use perennial_model::approval::{Approval, NAMESPACE, signed_line};
use perennial_model::committee::{Committee, SignerId};
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::{Approver, Governance, Quorum, SignerIdentity};
use perennial_model::plan::{Action, BackupRule, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use perennial_model::wallet::{Chain, Tier, Wallet, WalletId};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// A name from text that is one.
pub fn name<N: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> N {
    text.parse().expect("a good name")
}

/// Dana's key.
pub struct Dana(PrivateKey);

impl Dana {
    pub fn new() -> Self {
        let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&[5; 32])), "dana");
        Self(key.expect("a key"))
    }

    pub fn approves(&self, plan: &Plan) -> Approval {
        let line = signed_line(&plan.digest());
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, line.as_bytes()).expect("a signature");
        Approval { person: name("dana"), signature: signature.to_pem(LineEnding::LF).expect("text") }
    }

    pub fn governance(&self, signers: Vec<SignerIdentity>) -> Governance {
        let quorum = |action| Quorum { action, approvals: 1 };
        Governance {
            version: 1,
            predecessor: None,
            approvers: vec![Approver {
                person: name("dana"),
                ssh_key: self.0.public_key().to_openssh().expect("a key"),
            }],
            quorums: vec![quorum(Action::Create), quorum(Action::Refresh)],
            signers,
        }
    }
}

/// A plan that makes a wallet of each chain, or as many as there are names.
pub fn create(governance: &Governance, threshold: u8, wallets: &[(WalletId, Chain)], now_ms: u64) -> Plan {
    let wallet = |(id, chain): &(WalletId, Chain)| {
        PlannedWallet::New(Wallet {
            id: id.clone(),
            tenant: name("acme"),
            tier: Tier::Standard,
            chain: *chain,
        })
    };
    plan(governance, threshold, Action::Create, wallets.iter().map(wallet).collect(), 1, now_ms)
}

/// A plan that refreshes wallets.
pub fn refresh(
    governance: &Governance,
    threshold: u8,
    wallets: &[(WalletId, Digest)],
    rank: u32,
    now_ms: u64,
) -> Plan {
    let wallets = wallets.iter().map(|(id, parent)| PlannedWallet::Held(id.clone(), *parent)).collect();
    plan(governance, threshold, Action::Refresh, wallets, rank, now_ms)
}

fn plan(
    governance: &Governance,
    threshold: u8,
    action: Action,
    wallets: Vec<PlannedWallet>,
    rank: u32,
    now_ms: u64,
) -> Plan {
    let signers: Vec<SignerId> = governance.signers.iter().map(|signer| signer.signer.clone()).collect();
    let small = signers.len() < 2 * usize::from(threshold) - 1;
    let hour_ms = 3_600_000;
    Plan {
        action,
        tenant: name("acme"),
        tier: Tier::Standard,
        wallets,
        rank,
        attempts: 1_000,
        committee: Committee::first(threshold, &signers).expect("a committee"),
        liar_tolerance: if small { LiarTolerance::WaivedUnsafe } else { LiarTolerance::Required },
        profile: Profile::Planned { overlap_ms: 0 },
        not_before_ms: now_ms - 1_000,
        expiry_ms: now_ms + hour_ms,
        activation_deadline_ms: now_ms + 2 * hour_ms,
        probe_rate: ProbeRate::OnePerChunk,
        backup_rule: BackupRule::CommitteeOnly,
        policy: None,
        governance: encoding::digest(governance),
        initiator: name("iris"),
        nonce: Digest([rank as u8; 32]),
    }
}
