//! I1, key continuity: every share set of a wallet opens to the same `X`, and each address is byte-identical.
//!
//! Shares are opened from the disk. In the transparent group they are interpolated; in the others `x_j·G = X_j` is
//! checked for each, and the share set is opened in the exponent.

use crate::history::{Changed, History, Mirror};
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::keyslots::SlotBytes;
use perennial_custody::record::{ChunkRecord, ChunkState, HeldEpoch};
use perennial_custody::simulation::danger_open_share;
use perennial_model::derivation::Path;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::group::{Group, SCALAR_BYTES, Scalar, Transparent, lagrange_at_zero};
use perennial_model::plan::{Action, Chunk};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Scheme, WalletId, WalletKey};
use perennial_model::with_group;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Names one generation of a wallet's shares.
type Generation = (WalletId, Epoch, Digest);

/// What is known of keys and shares.
#[derive(Default)]
pub struct Keys {
    /// The first retired epoch of each wallet, with its key and first address. Lower attempts at making the wallet
    /// may have come to another key; nobody ever sees that.
    fixed: BTreeMap<WalletId, (Epoch, WalletKey, String)>,
    /// The key of each wallet that a signer has promised to keep first.
    kept: BTreeMap<(usize, WalletId), WalletKey>,
    /// The wallets of which a signer has seen a Retirement, after it had promised their key.
    retired: BTreeSet<(usize, WalletId)>,
    /// Share sets that were opened in the exponent.
    sound: BTreeSet<Generation>,
    /// Shares of the transparent group, by seat.
    shares: BTreeMap<Generation, BTreeMap<u8, [u8; SCALAR_BYTES]>>,
    /// What a slot's content opened to, so that it is opened once.
    openings: HashMap<(usize, Generation), (SlotBytes, bool)>,
}

impl Keys {
    /// From here on every share is opened anew.
    pub fn forget_openings(&mut self) {
        self.openings.clear();
    }

    /// Forgets what a signer no longer holds.
    pub fn forget(&mut self, number: usize, held: &HeldEpoch) {
        self.openings.remove(&(number, generation(&held.share_set)));
    }

    /// Whether a share opens from the platter as it is now, and is the share that its share set says.
    pub fn opens(&mut self, signer: &Signer, number: usize, held: &HeldEpoch) -> bool {
        let slot = signer.disk.durable_slot(held.locked.slot);
        let name = (number, generation(&held.share_set));
        if let Some((seen, opens)) = self.openings.get(&name)
            && *seen == slot
        {
            return *opens;
        }
        let opens = fits(signer, held, &slot).is_some();
        self.openings.insert(name, (slot, opens));
        opens
    }

    /// Fixes the key of a wallet when its first epoch is retired.
    pub fn fix(&mut self, set: &ShareSet) -> Result<(), Violation> {
        let address = perennial_chain::address(&set.wallet, &set.key, &Path::primary(set.wallet.chain));
        let address = address.map_err(|e| broken(format!("{} has no address: {e}", set.wallet.id)))?;
        let first = || (set.epoch, set.key.clone(), address.clone());
        let (_, key, known) = self.fixed.entry(set.wallet.id.clone()).or_insert_with(first);
        if *key == set.key && *known == address {
            return Ok(());
        }
        Err(broken(format!("the address of {} was {known} and is {address}", set.wallet.id)))
    }
}

/// Every share set that a signer newly holds opens to the wallet's key, and its share is one of it.
pub fn i1_key_continuity(
    history: &mut History,
    signer: &Signer,
    number: usize,
    changed: &Changed,
) -> Result<(), Violation> {
    let mirror = &history.mirrors[number];
    for change in &changed.wallets {
        let had = |held: &HeldEpoch| change.old.iter().any(|old| old.held.contains(held));
        let new = change.new.iter().flat_map(|record| &record.held);
        for held in new.filter(|held| !had(held)) {
            check_key(&history.keys, signer, &held.share_set)?;
            check(&mut history.keys, mirror, signer, number, held)?;
        }
        let old = change.old.iter().flat_map(|record| &record.held);
        let has = |held: &HeldEpoch| change.new.iter().any(|new| new.held.contains(held));
        for held in old.filter(|held| !has(held)) {
            history.keys.forget(number, held);
        }
    }
    for change in &changed.chunks {
        let Some(new) = change.new.as_ref().filter(|new| new.state.is_served()) else { continue };
        let kept = change.old.as_ref().is_some_and(|old| old.keep.is_some());
        if new.keep.is_some() && !kept {
            keeps_one_key(&mut history.keys, mirror, number, &change.chunk, new)?;
        }
        if matches!(new.state, ChunkState::Retired(_)) {
            let theirs = |wallet: &&WalletId| {
                new.keep.is_some() || erases_kept(mirror, changed, wallet, &change.chunk)
            };
            let retired = new.wallets.iter().filter(theirs).map(|wallet| (number, wallet.clone()));
            history.keys.retired.extend(retired);
        }
        let records = new.wallets.iter().filter_map(|wallet| mirror.wallets.get(wallet));
        for held in records.flat_map(|record| &record.held).filter(|held| held.chunk == change.chunk) {
            check_key(&history.keys, signer, &held.share_set)?;
        }
    }
    Ok(())
}

/// Whether a signer has kept an epoch of a wallet that goes with the Retirement of this chunk.
fn erases_kept(mirror: &Mirror, changed: &Changed, wallet: &WalletId, retired: &Chunk) -> bool {
    let before = changed.wallets.iter().filter(|change| change.id == *wallet).flat_map(|change| &change.old);
    let held = mirror.wallets.get(wallet).into_iter().chain(before).flat_map(|record| &record.held);
    let was_kept = |chunk: &Chunk| {
        let before =
            changed.chunks.iter().filter(|change| change.chunk == *chunk).flat_map(|change| &change.old);
        mirror.chunks.get(chunk).into_iter().chain(before).any(|record| record.keep.is_some())
    };
    held.into_iter().any(|held| held.share_set.epoch < retired.epoch && was_kept(&held.chunk))
}

/// When a signer promises to keep a chunk it holds every wallet of it; and it keeps one key of a wallet and never another,
/// whatever it has erased since.
fn keeps_one_key(
    keys: &mut Keys,
    mirror: &Mirror,
    number: usize,
    chunk: &Chunk,
    record: &ChunkRecord,
) -> Result<(), Violation> {
    let who = number + 1;
    for wallet in &record.wallets {
        let mut held = mirror.wallets.get(wallet).into_iter().flat_map(|record| &record.held);
        let Some(held) = held.find(|held| held.chunk == *chunk) else {
            return Err(broken(format!("s{who:02} keeps {chunk}, and holds nothing of {wallet} in it")));
        };
        let key = &held.share_set.key;
        if keys.kept.entry((number, wallet.clone())).or_insert_with(|| key.clone()) != key {
            return Err(broken(format!("s{who:02} keeps two keys of {wallet}, the second in {chunk}")));
        }
    }
    Ok(())
}

/// Before a Retirement of a wallet was seen here its shares are dealt to all members or not at all: then the first one is
/// promised by all, and with it the key.
pub fn i1_deals_to_all_until_one_is_retired(
    history: &History,
    number: usize,
    chunk: &Chunk,
) -> Result<(), Violation> {
    let mirror = &history.mirrors[number];
    let (Some(plan), Some(record)) = (history.plans.get(&chunk.plan), mirror.chunks.get(chunk)) else {
        return Ok(());
    };
    let holders = record.inputs.as_ref().map_or(0, |inputs| inputs.holders.len());
    if plan.action == Action::Create || holders == plan.committee.members().len() {
        return Ok(());
    }
    let seen = |wallet: &&WalletId| history.keys.retired.contains(&(number, (*wallet).clone()));
    match record.wallets.iter().find(|wallet| !seen(wallet)) {
        Some(wallet) => {
            let who = number + 1;
            Err(broken(format!("s{who:02} deals {wallet} to some in {chunk}, and nothing of it was retired")))
        }
        None => Ok(()),
    }
}

/// The same for everything that a signer holds.
pub fn i1_all_shares_of(history: &mut History, signer: &Signer, number: usize) -> Result<(), Violation> {
    let mirror = &history.mirrors[number];
    for held in mirror.wallets.values().flat_map(|record| &record.held) {
        if mirror.chunks.get(&held.chunk).is_some_and(|record| record.state.is_served()) {
            check_key(&history.keys, signer, &held.share_set)?;
        }
        check(&mut history.keys, mirror, signer, number, held)?;
    }
    Ok(())
}

/// From when on a key is fixed, no share of another one is taken any more or served. A candidate from before waits for
/// its date.
fn check_key(keys: &Keys, signer: &Signer, set: &ShareSet) -> Result<(), Violation> {
    match keys.fixed.get(&set.wallet.id) {
        Some((first, key, _)) if set.epoch >= *first && *key != set.key => {
            let who = signer.own.pinned.me();
            Err(broken(format!("{who} holds {} {} under another key", set.wallet.id, set.epoch)))
        }
        _ => Ok(()),
    }
}

fn check(
    keys: &mut Keys,
    mirror: &Mirror,
    signer: &Signer,
    number: usize,
    held: &HeldEpoch,
) -> Result<(), Violation> {
    let set = &held.share_set;
    let name = generation(set);
    let who = signer.own.pinned.me();
    if !keys.sound.contains(&name) {
        if set.opens_to() != Some(set.key.public_key) {
            return Err(broken(format!("{} {} does not open to its key", set.wallet.id, set.epoch)));
        }
        keys.sound.insert(name.clone());
    }
    let slot = signer.disk.durable_slot(held.locked.slot);
    let share = fits(signer, held, &slot);
    keys.openings.insert((number, name.clone()), (slot, share.is_some()));
    let Some(share) = share else {
        // An erasure that was cut short goes on when the signer starts again.
        if is_being_erased(mirror, held) {
            return Ok(());
        }
        return Err(broken(format!(
            "{who} holds a share of {} {} that does not open to its verification share",
            set.wallet.id, set.epoch
        )));
    };
    if set.scheme() == Scheme::Transparent {
        let seat = set.committee.seat_of(who).map_or(0, perennial_model::committee::Seat::get);
        let shares = keys.shares.entry(name).or_default();
        shares.insert(seat, share);
        interpolates(set, shares)?;
    }
    Ok(())
}

/// Whether a Retirement above has been taken, and its receipt is still to come.
fn is_being_erased(mirror: &Mirror, held: &HeldEpoch) -> bool {
    mirror.chunks.iter().any(|(chunk, record)| {
        matches!(record.state, ChunkState::Retired(_))
            && record.receipt.is_none()
            && chunk.epoch > held.share_set.epoch
            && record.wallets.contains(&held.share_set.wallet.id)
    })
}

/// The share, if what the slot holds opens it and `x_j·G = X_j`.
fn fits(signer: &Signer, held: &HeldEpoch, slot: &SlotBytes) -> Option<[u8; SCALAR_BYTES]> {
    let share = danger_open_share(&signer.own, held, slot)?;
    let seat = held.share_set.committee.seat_of(signer.own.pinned.me())?;
    let point = held.share_set.verification_share(seat)?;
    with_group!(held.share_set.scheme(), G => {
        let scalar = <<G as Group>::Scalar as Scalar>::decode(&share)?;
        (G::encode(&G::generate(&scalar)) == *point).then_some(*share)
    })
}

/// Any `t` of the shares seen so far make the key; each further one lies on the same polynomial.
fn interpolates(set: &ShareSet, shares: &BTreeMap<u8, [u8; SCALAR_BYTES]>) -> Result<(), Violation> {
    type Number = <Transparent as Group>::Scalar;
    let count = usize::from(set.committee.threshold());
    let known: Vec<(u8, Number)> =
        shares.iter().filter_map(|(seat, bytes)| Some((*seat, Number::decode(bytes)?))).collect();
    for group in known.windows(count) {
        let seats: Vec<u8> = group.iter().map(|(seat, _)| *seat).collect();
        let secret = group.iter().fold(Number::ZERO, |sum, (seat, share)| {
            let weight = lagrange_at_zero::<Number>(*seat, &seats).unwrap_or(Number::ZERO);
            sum + weight * *share
        });
        if Transparent::encode(&Transparent::generate(&secret)) != set.key.public_key {
            return Err(broken(format!(
                "the shares of {} {} at seats {seats:?} do not interpolate to the key",
                set.wallet.id, set.epoch
            )));
        }
    }
    Ok(())
}

fn generation(set: &ShareSet) -> Generation {
    (set.wallet.id.clone(), set.epoch, set.transcript)
}

fn broken(what: String) -> Violation {
    Violation::new(Invariant::I1KeyContinuity, what)
}
