//! A plan in words, for people to read before they approve.
//!
//! It is a courtesy: whoever approves has their own tool decode the bytes, write this down itself, and compute the
//! digest, because nobody has to believe a coordinator.

use super::wallets::tier_name;
use perennial_model::plan::{Action, BackupRule, Plan, PlannedWallet, ProbeRate, Profile};
use std::fmt::Write;

/// The most wallets that are written out.
const WALLETS_WRITTEN: usize = 20;

/// The plan, one line for each thing that it says.
pub fn render(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:<12} {value}");
    };
    let committee = &plan.committee;
    let members = committee.members().iter();
    let members: Vec<String> = members.map(|m| format!("{} (seat {})", m.signer, m.seat)).collect();
    line("action", format!("{} {} wallets", plan.action, plan.wallets.len()));
    line("tenant", format!("{}, tier {}", plan.tenant, tier_name(plan.tier)));
    for wallet in plan.wallets.iter().take(WALLETS_WRITTEN) {
        line("wallet", written(wallet));
    }
    if plan.wallets.len() > WALLETS_WRITTEN {
        line("", format!("and {} more", plan.wallets.len() - WALLETS_WRITTEN));
    }
    line("epochs", format!("{}.1 to {}.{}", plan.rank, plan.rank, plan.attempts));
    line("committee", format!("any {} of {}", committee.threshold(), members.join(", ")));
    let least = plan.activation_size();
    match least >= committee.safe_activation_size() {
        true => line("activation", format!("by at least {least} of them")),
        false => {
            line("activation", format!("UNSAFE: {least} will do, and one liar among them can lose the epoch"))
        }
    }
    let Profile::Planned { overlap_ms } = plan.profile;
    line("profile", format!("planned; old and new are both served for at least {overlap_ms} ms"));
    line("probes", probes(plan));
    let BackupRule::CommitteeOnly = plan.backup_rule;
    line("backups", "none: the committee itself is the redundancy".into());
    line("not before", format!("{} (ms since 1970)", plan.not_before_ms));
    line("opens until", format!("{} (ms since 1970)", plan.expiry_ms));
    line("activates by", format!("{} (ms since 1970)", plan.activation_deadline_ms));
    line("policy", plan.policy.map_or_else(|| "none".into(), |digest| digest.to_string()));
    line("governance", plan.governance.to_string());
    line("asked by", plan.initiator.to_string());
    line("digest", plan.digest().to_string());
    text
}

fn written(wallet: &PlannedWallet) -> String {
    match wallet {
        PlannedWallet::New(wallet) => format!("{} on {}", wallet.id, wallet.chain),
        PlannedWallet::Held(id, parent) => format!("{id} from share set {parent}"),
    }
}

fn probes(plan: &Plan) -> String {
    match (plan.action, plan.probe_rate) {
        (Action::Create, _) => "every wallet (as always when keys are made)".into(),
        (Action::Refresh, ProbeRate::Every) => "every wallet".into(),
        (Action::Refresh, ProbeRate::OnePerChunk) => "one wallet per chunk, chosen by its root".into(),
    }
}
