//! What one signer still holds below the newest epoch that it signs under, by its own records alone.
//!
//! A coordinator can keep an old epoch alive by withholding a Retirement. That cannot be prevented, so each signer counts
//! for how long, and says so by its own channel.

use crate::record::{ChunkRecord, ChunkState, WalletRecord};
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use perennial_model::wallet::WalletId;

/// Something that a signer holds and would erase if it were allowed to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undead {
    /// The wallet.
    pub wallet: WalletId,
    /// The epoch.
    pub epoch: Epoch,
    /// Since when this signer signs under a newer one, in milliseconds since 1970 by its own clock.
    pub since_ms: u64,
}

/// The oldest of all wallets: that whose successor has been in use for longest.
pub fn oldest<'a>(
    wallets: impl IntoIterator<Item = &'a WalletRecord>,
    chunk: impl Fn(&Chunk) -> Option<&'a ChunkRecord>,
) -> Option<Undead> {
    let all = wallets.into_iter().filter_map(|record| of_wallet(record, &chunk));
    all.min_by(|one, other| (one.since_ms, &one.wallet).cmp(&(other.since_ms, &other.wallet)))
}

/// The lowest epoch below the newest that is signed under. Held epochs rise.
fn of_wallet<'a>(
    record: &WalletRecord,
    chunk: &impl Fn(&Chunk) -> Option<&'a ChunkRecord>,
) -> Option<Undead> {
    let (first, later) = record.held.split_first()?;
    let since = later.iter().filter_map(|held| match chunk(&held.chunk)?.state {
        ChunkState::Active(since_ms) | ChunkState::Kept(since_ms) | ChunkState::Retired(since_ms) => {
            Some(since_ms)
        }
        ChunkState::Opened(_) | ChunkState::Prepared | ChunkState::Dealt | ChunkState::Left => None,
    });
    let share_set = &first.share_set;
    Some(Undead { wallet: share_set.wallet.id.clone(), epoch: share_set.epoch, since_ms: since.min()? })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::keyslots::SlotIndex;
    use crate::record::HeldEpoch;
    use crate::serving::LockedShare;
    use perennial_model::committee::Committee;
    use perennial_model::encoding::{Bytes, Digest};
    use perennial_model::group::Point;
    use perennial_model::share_set::ShareSet;
    use perennial_model::wallet::{Chain, Tier, Wallet, WalletKey};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const OPENED: ChunkState = ChunkState::Opened(SlotIndex(0));

    /// The records of wallets, each by its name and the states of what is held of it, rising from epoch 1.1.
    fn oldest_of(wallets: &[(&str, &[ChunkState])]) -> Option<(String, u32, u64)> {
        let (mut chunks, mut records) = (BTreeMap::new(), Vec::new());
        for (at, (id, states)) in (0u32..).zip(wallets) {
            let mut held = Vec::new();
            for (rank, state) in (1u32..).zip(*states) {
                let chunk = Chunk { plan: Digest([1; 32]), epoch: Epoch::new(rank, 1), first: at, count: 1 };
                chunks.insert(chunk, ChunkRecord::new(*state, Vec::new(), Vec::new()));
                let locked = LockedShare { ciphertext: Bytes(Vec::new()), slot: SlotIndex(rank) };
                held.push(HeldEpoch { share_set: Arc::new(share_set(id, chunk.epoch)), chunk, locked });
            }
            records.push(WalletRecord { held, ..WalletRecord::new(Epoch::new(1, 1)) });
        }
        let oldest = oldest(&records, |chunk| chunks.get(chunk))?;
        Some((oldest.wallet.to_string(), oldest.epoch.rank, oldest.since_ms))
    }

    pub(crate) fn share_set(id: &str, epoch: Epoch) -> ShareSet {
        let names = ["a", "b"].map(|name| name.parse().expect("a name"));
        let committee = Committee::first(2, &names).expect("two of two");
        let point = Point::from_bytes(&[2; 33]).expect("33 bytes");
        ShareSet {
            wallet: Wallet {
                id: id.parse().expect("a name"),
                tenant: "acme".parse().expect("a name"),
                tier: Tier::Low,
                chain: Chain::Ethereum,
            },
            key: WalletKey { public_key: point, chain_code: Digest([3; 32]) },
            epoch,
            highest_seat: committee.seats().last().expect("two seats"),
            committee,
            verification_shares: vec![point; 2],
            transcript: Digest([4; 32]),
            parent: None,
        }
    }

    #[test]
    fn what_is_alone_or_has_no_newer_epoch_in_use_is_not_old() {
        use ChunkState::{Active, Kept, Left, Prepared, Retired};
        assert_eq!(oldest_of(&[]), None);
        let alone: [&[ChunkState]; 4] = [&[], &[Active(1)], &[Kept(1)], &[Retired(1)]];
        for states in alone {
            assert_eq!(oldest_of(&[("w", states)]), None, "{states:?}");
        }
        for above in [Prepared, Left, OPENED, ChunkState::Dealt] {
            assert_eq!(oldest_of(&[("w", &[Retired(1), above])]), None, "{above:?}");
        }
    }

    #[test]
    fn the_age_counts_from_the_first_newer_epoch_in_use_and_of_all_wallets_the_oldest_is_told() {
        use ChunkState::{Active, Kept, Prepared, Retired};
        let told = |rank, since_ms| Some(("w".to_owned(), rank, since_ms));
        for above in [Active(5), Kept(5), Retired(5)] {
            assert_eq!(oldest_of(&[("w", &[Kept(1), above])]), told(1, 5));
        }
        assert_eq!(oldest_of(&[("w", &[Kept(1), Active(5), Active(9)])]), told(1, 5));
        assert_eq!(oldest_of(&[("w", &[Kept(1), Prepared, Active(9)])]), told(1, 9));
        // A candidate that stayed below what is in use is a copy like any other.
        assert_eq!(oldest_of(&[("w", &[Prepared, Active(9)])]), told(1, 9));
        let newer: &[ChunkState] = &[Kept(1), Active(7)];
        assert_eq!(
            oldest_of(&[("x", newer), ("w", &[Kept(2), Active(5)]), ("v", &[Retired(1)])]),
            told(1, 5)
        );
    }
}
