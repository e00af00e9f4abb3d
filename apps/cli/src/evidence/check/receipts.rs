//! Receipts: that each names shares of wallets that its chunk retired, and which shares are said to be erased.

use super::story::Story;
use super::wallets::Wallets;
use crate::evidence::flaw::{Check, Flaw};
use perennial_model::committee::SignerId;
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// Who gave a receipt for its share of an epoch.
pub type Erased = BTreeMap<(WalletId, Epoch), BTreeSet<SignerId>>;

/// Checks what every receipt names.
pub fn check(story: &Story<'_>, wallets: &Wallets) -> Result<Erased, Flaw> {
    let mut erased = Erased::new();
    for (chunk, attempt) in story.attempts() {
        let planned =
            story.plan_of(chunk).and_then(|plan| plan.plan().wallets_of(chunk).ok()).unwrap_or_default();
        let retired: BTreeSet<&WalletId> = planned.iter().map(|planned| planned.id()).collect();
        for (at, signer, receipt) in &attempt.receipts {
            let member = crate::evidence::bundle::entry_member(at.place);
            let refused = |share: &perennial_model::receipt::ErasedShare, reason: &str| {
                let reason =
                    format!("{signer}'s receipt names {} epoch {}: {reason}", share.wallet, share.epoch);
                Flaw::new(Check::Receipt, &member, reason)
            };
            for share in &receipt.shares {
                if !retired.contains(&share.wallet) || share.epoch >= chunk.epoch {
                    return Err(refused(share, &format!("{chunk} did not retire that")));
                }
                let known = wallets.find(&share.wallet, share.epoch);
                if known.is_some_and(|known| known.set.transcript != share.transcript) {
                    return Err(refused(share, "that epoch has another transcript"));
                }
                let place = (share.wallet.clone(), share.epoch);
                erased.entry(place).or_default().insert(signer.clone());
            }
        }
    }
    Ok(erased)
}
