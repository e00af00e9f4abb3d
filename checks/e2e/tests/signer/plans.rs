//! The plans that the approver of these tests approves.

use crate::governance::name;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::Governance;
use perennial_model::plan::{Action, BackupRule, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use perennial_model::wallet::{Chain, Tier, Wallet, WalletId};

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
        mandate: None,
    }
}
