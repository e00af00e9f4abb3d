//! A fleet as a finished creation leaves it. Creating 10,000 ECDSA wallets probes every wallet, which
//! takes minutes; what is measured are refreshes, and from the first on all state is the shipped code's own.

use super::cast::{Cast, name};
use super::memory::{Disk, Log};
use perennial_custody::keyslots::{Cabinet, lock};
use perennial_custody::record::{ChunkRecord, ChunkState, HeldEpoch, WalletRecord};
use perennial_custody::serving::{LockedShare, share_context};
use perennial_custody::store::{Store, Table, Write};
use perennial_model::committee::SignerId;
use perennial_model::dealing::Inputs;
use perennial_model::encoding::{self, Bytes, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::group::{Group, Point, Scalar};
use perennial_model::plan::{Action, CHUNK_WALLETS_MAX, Chunk};
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{Chain, Tier, Wallet, WalletId, WalletKey};
use perennial_model::with_group;
use perennial_workflow::ceremony::generation::Generation;
use perennial_workflow::ceremony::status::{CeremonyStatus, Count, Stage};
use perennial_workflow::journal::{Settlement, Summary};
use rand_core::CryptoRng;
use std::sync::Arc;

/// The time at which the fleet was founded, in milliseconds since 1970.
pub const FOUNDED_MS: u64 = 1_700_000_000_000;

/// Disks and journal of a fleet whose wallets all hold epoch 1.1.
pub struct Founded {
    /// One per signer.
    pub disks: Vec<Disk>,
    /// The coordinator's.
    pub log: Log,
}

/// Founds `count` wallets of one chain.
pub fn found(cast: &Cast, chain: Chain, count: u32, rng: &mut dyn CryptoRng) -> anyhow::Result<Founded> {
    let plan = Digest::of(b"the plan that made the fleet");
    let mut disks = Vec::new();
    let mut cabinets = Vec::new();
    for own in &cast.owns {
        disks.push(Disk::default());
        cabinets.push(Cabinet::new(own.wrapping.clone(), Vec::new()));
    }
    let mut generations = Vec::new();
    for first in (0..count).step_by(CHUNK_WALLETS_MAX as usize) {
        let size = CHUNK_WALLETS_MAX.min(count - first);
        let chunk = Chunk { plan, epoch: Epoch::new(1, 1), first, count: size };
        let made = with_group!(chain.scheme(), G => wallets::<G>(cast, chain, &chunk, rng));
        let ids: Vec<WalletId> = made.iter().map(|(set, _)| set.wallet.id.clone()).collect();
        for (number, own) in cast.owns.iter().enumerate() {
            let mut slots = Vec::new();
            let mut writes = Vec::new();
            for (set, shares) in &made {
                let mut key = [0; 32];
                rng.fill_bytes(&mut key);
                let (slot, wrapped) = cabinets[number].put(&key, rng);
                slots.push((slot, wrapped));
                let context = share_context(set, own.pinned.me());
                let ciphertext = Bytes(lock(&key, &context.0, &shares[number]));
                let held =
                    HeldEpoch { share_set: set.clone(), chunk, locked: LockedShare { ciphertext, slot } };
                let record = WalletRecord { held: vec![held], ..WalletRecord::new(chunk.epoch) };
                let key = set.wallet.id.as_str().as_bytes().to_vec();
                writes.push(Write { table: Table::Wallet, key, value: Some(encoding::encode(&record)) });
            }
            let record = ChunkRecord::new(ChunkState::Kept(FOUNDED_MS), ids.clone(), Vec::new());
            let key = minicbor::to_vec(chunk)?;
            writes.push(Write { table: Table::Chunk, key, value: Some(encoding::encode(&record)) });
            disks[number].write_slots(&slots)?;
            disks[number].commit(&writes)?;
        }
        let signers: Vec<SignerId> = cast.committee.signers().cloned().collect();
        let inputs = Inputs::new(chunk, signers, &[]);
        let sets = made.iter().map(|(set, _)| (**set).clone()).collect();
        let generation = Generation::new(inputs, Digest::of(b"root"), sets);
        generations.push(Settlement { generation, activated_ms: FOUNDED_MS, retired_ms: FOUNDED_MS });
    }
    let summary = Summary { status: status(plan, count), generations, abandoned: Vec::new(), tenures: None };
    Ok(Founded { disks, log: Log { summaries: vec![encoding::encode(&summary)], bytes: 0 } })
}

/// Share sets with the three shares of each.
fn wallets<G: Group>(
    cast: &Cast,
    chain: Chain,
    chunk: &Chunk,
    rng: &mut dyn CryptoRng,
) -> Vec<(Arc<ShareSet>, Vec<[u8; 32]>)> {
    let mut random = || {
        let mut wide = [0; 64];
        rng.fill_bytes(&mut wide);
        G::Scalar::reduce(&wide)
    };
    let one = |at: u32| {
        let (secret, slope) = (random(), random());
        let value = |seat: u8| secret + slope * G::Scalar::from_u64(seat.into());
        let seats: Vec<u8> = cast.committee.seats().map(|seat| seat.get()).collect();
        let point = |scalar: &G::Scalar| -> Point { G::encode(&G::generate(scalar)) };
        let id: WalletId = name(&format!("wallet-{:05}", chunk.first + at));
        let set = ShareSet {
            key: WalletKey { public_key: point(&secret), chain_code: Digest::of(id.as_str().as_bytes()) },
            wallet: Wallet { id, tenant: name("acme"), tier: Tier::Standard, chain },
            epoch: chunk.epoch,
            committee: cast.committee.clone(),
            verification_shares: seats.iter().map(|seat| point(&value(*seat))).collect(),
            transcript: Digest::of(&at.to_be_bytes()),
            parent: None,
            highest_seat: cast.committee.members()[2].seat,
        };
        (Arc::new(set), seats.iter().map(|seat| value(*seat).encode()).collect())
    };
    (0..chunk.count).map(one).collect()
}

fn status(plan: Digest, count: u32) -> CeremonyStatus {
    CeremonyStatus {
        ceremony: plan,
        action: Action::Create,
        wallets: count,
        rank: 1,
        stage: Stage::Done,
        approvals: Count { have: 1, of: 1 },
        submitted_ms: FOUNDED_MS,
        approved_ms: Some(FOUNDED_MS),
        finished_ms: Some(FOUNDED_MS),
        attempts: Vec::new(),
        wallets_retired: count,
        wallets_given_up: 0,
        wallets_waiting: 0,
        mandate: None,
    }
}
