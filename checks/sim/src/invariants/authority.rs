//! I3, authority: a signer signs under what it has Activated and not erased, the newest first, as its own durable
//! record says; once mail flows, all agree on one epoch.

use crate::history::{History, Mirror};
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::record::HeldEpoch;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use perennial_workflow::wallets::Heads;

/// The desk serves exactly what the durable records allow.
pub fn i3_authority<'a>(
    history: &History,
    signer: &Signer,
    number: usize,
    wallets: impl Iterator<Item = &'a WalletId>,
) -> Result<(), Violation> {
    if !signer.is_up() {
        return Ok(());
    }
    for wallet in wallets {
        let allowed = served(&history.mirrors[number], wallet);
        let serves = signer.served(wallet);
        if serves != allowed {
            let who = signer.own.pinned.me();
            let what =
                format!("{who} serves {} of {wallet}, its records allow {}", words(&serves), words(&allowed));
            return Err(broken(what));
        }
    }
    Ok(())
}

/// A message of a signing session leaves only while the durable record says Active or Kept of its epoch. A session
/// that began when its epoch was the newest may go on when it no longer is; none may begin.
pub fn i3_signs_only_what_it_serves(
    history: &History,
    number: usize,
    session: &Digest,
) -> Result<(), Violation> {
    let Some(under) = history.sessions.under(number, session) else {
        return Err(broken(format!("s{:02} signs in a session that nobody began", number + 1)));
    };
    let mirror = &history.mirrors[number];
    let held = mirror.wallets.get(&under.wallet).into_iter().flat_map(|record| &record.held);
    let named = |held: &&HeldEpoch| {
        held.share_set.epoch == under.epoch && held.share_set.transcript == under.transcript
    };
    let held = held.into_iter().find(named);
    if held.is_some_and(|held| mirror.chunks.get(&held.chunk).is_some_and(|chunk| chunk.state.is_served())) {
        return Ok(());
    }
    let (number, wallet, epoch) = (number + 1, &under.wallet, under.epoch);
    Err(broken(format!("s{number:02} signs for {wallet} under {epoch}, which its records do not allow")))
}

/// When everything has settled, every signer serves one epoch of each wallet: the newest.
pub fn i3_all_agree(signers: &[Signer], heads: &Heads) -> Result<(), Violation> {
    for head in heads.iter() {
        let present = (head.present.share_set.epoch, head.present.share_set.transcript);
        let wallet = &head.wallet().id;
        for signer in signers {
            let holds = head.present.standing.generation.inputs.holders.contains(signer.own.pinned.me());
            let serves = signer.served(wallet);
            let expected = if holds { vec![present] } else { Vec::new() };
            if serves != expected {
                let who = signer.own.pinned.me();
                let (serves, expected) = (words(&serves), words(&expected));
                return Err(broken(format!("in the end {who} serves {serves} of {wallet}, not {expected}")));
            }
        }
    }
    Ok(())
}

/// What the durable records of a signer allow it to sign under, newest first.
fn served(mirror: &Mirror, wallet: &WalletId) -> Vec<(Epoch, Digest)> {
    let Some(record) = mirror.wallets.get(wallet) else { return Vec::new() };
    let active =
        |held: &&HeldEpoch| mirror.chunks.get(&held.chunk).is_some_and(|chunk| chunk.state.is_served());
    let name = |held: &HeldEpoch| (held.share_set.epoch, held.share_set.transcript);
    let mut served: Vec<_> = record.held.iter().filter(active).map(name).collect();
    served.sort_unstable_by(|one, other| other.cmp(one));
    served
}

fn words(epochs: &[(Epoch, Digest)]) -> String {
    let words: Vec<String> = epochs.iter().map(|(epoch, _)| epoch.to_string()).collect();
    if words.is_empty() { "nothing".into() } else { words.join(" and ") }
}

fn broken(what: String) -> Violation {
    Violation::new(Invariant::I3Authority, what)
}
