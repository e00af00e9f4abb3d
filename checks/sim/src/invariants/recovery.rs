//! I6, recoverable: with every unsynced write lost everywhere at once, every member of the activation set of the
//! highest retired epoch still has its share, and the pair bases without which a share of an ECDSA key signs nothing.
//! That is more than the `t` that are needed, by just as many as may lie or lose their disks; nobody does either here.

use crate::history::History;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::serving::Attempt;
use perennial_model::committee::SignerId;
use perennial_model::plan::Chunk;
use perennial_model::wallet::{Scheme, WalletId};

/// A signer has, on its platter, its share of the highest retired epoch of each of these wallets.
pub fn i6_recoverable<'a>(
    history: &mut History,
    signers: &[Signer],
    number: usize,
    wallets: impl Iterator<Item = &'a WalletId>,
) -> Result<(), Violation> {
    for wallet in wallets {
        has_its_share(history, signers, number, wallet)?;
    }
    Ok(())
}

/// The moment that a chunk can be shown to be retired, all of its activation set have their shares; and the key is
/// fixed for good.
pub fn i6_all_keep_what_is_retired(
    history: &mut History,
    signers: &[Signer],
    chunk: &Chunk,
) -> Result<(), Violation> {
    let kept: Vec<SignerId> =
        history.spoken.kept.get(chunk).into_iter().flat_map(|votes| votes.keys()).cloned().collect();
    for (number, signer) in signers.iter().enumerate() {
        if !kept.contains(signer.own.pinned.me()) {
            continue;
        }
        let record = history.mirrors[number].chunks.get(chunk);
        let wallets = record.map(|record| record.wallets.clone()).unwrap_or_default();
        for wallet in wallets {
            has_its_share(history, signers, number, &wallet)?;
            let held = history.mirrors[number].wallets.get(&wallet).map(|record| record.held.clone());
            for held in held.into_iter().flatten().filter(|held| held.chunk == *chunk) {
                history.keys.fix(&held.share_set)?;
            }
        }
    }
    Ok(())
}

fn has_its_share(
    history: &mut History,
    signers: &[Signer],
    number: usize,
    wallet: &WalletId,
) -> Result<(), Violation> {
    let Some(retired) = history.spoken.retired.get(wallet) else { return Ok(()) };
    let who = signers[number].own.pinned.me();
    if !retired.holders.contains(who) || history.spoken.corrupt.contains(who) {
        return Ok(());
    }
    let record = history.mirrors[number].wallets.get(wallet);
    let held = record.and_then(|record| {
        record.held.iter().find(|held| {
            held.share_set.epoch == retired.epoch && held.share_set.transcript == retired.transcript
        })
    });
    let broken = |what: String| {
        let what = format!("{who} has lost {what} of {wallet} {}, which is retired", retired.epoch);
        Err(Violation::new(Invariant::I6Recoverable, what))
    };
    let Some(held) = held.filter(|held| history.keys.opens(&signers[number], number, held)) else {
        return broken("its share".to_owned());
    };
    if held.share_set.scheme() != Scheme::Ecdsa {
        return Ok(());
    }
    let attempt = Attempt::from(&held.chunk);
    let has_base_with = |other: &SignerId| {
        let mut bases = history.mirrors[number].bases.values();
        bases.any(|base| base.attempt == attempt && base.counterparty == *other)
    };
    match retired.holders.iter().find(|other| *other != who && !has_base_with(other)) {
        Some(other) => broken(format!("its pair base with {other}")),
        None => Ok(()),
    }
}
