//! I8, acknowledgement implies durability: one check for each kind of statement, made before it leaves.

use crate::history::Mirror;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_custody::record::{ChunkRecord, ChunkState};
use perennial_custody::simulation::{danger_open_share, one_time_key};
use perennial_model::dealing::Opening;
use perennial_model::encoding::Document;
use perennial_model::identity::Signed;
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Scheme, WalletId};

/// What a signer says is on its platter.
pub fn i8_acknowledgement_implies_durability(
    mirror: &Mirror,
    signer: &Signer,
    reply: &Reply,
) -> Result<(), Violation> {
    let durable = match reply {
        Reply::Planned(plan) => mirror.plans.contains_key(plan),
        Reply::Opened(said) => opening_is_durable(mirror, signer, said),
        Reply::Committed(said) => {
            let body = read(said)?;
            let record = mirror.chunks.get(&body.chunk);
            let promised = record.and_then(|record| record.commitment.as_ref());
            let same = promised.map(Signed::body_digest) == Some(said.body_digest());
            // The dealing itself is done with once the chunk is served.
            let served = record.is_some_and(|record| record.state.is_served());
            same && (served || mirror.dealings.get(&body.chunk) == Some(&body.dealing))
        }
        Reply::Dealt(said) => mirror.dealings.get(&read(said)?.chunk) == Some(&said.body_digest()),
        Reply::Refused(said) => {
            let record = mirror.chunks.get(&read(said)?.chunk);
            record.and_then(|record| record.refusal.as_ref()).map(Signed::body_digest)
                == Some(said.body_digest())
        }
        Reply::Voted(said) => vote_is_durable(mirror, signer, said, &read(said)?),
        Reply::Activated(chunk, since) => mirror.chunks.get(chunk).is_some_and(|record| {
            let (ChunkState::Active(at) | ChunkState::Kept(at) | ChunkState::Retired(at)) = record.state
            else {
                return false;
            };
            at == *since
        }),
        Reply::Erased(said) => {
            let record = mirror.chunks.get(&read(said)?.chunk);
            record.and_then(|record| record.receipt.as_ref()).map(Signed::body_digest)
                == Some(said.body_digest())
        }
        Reply::Governed { version, digest } => mirror.governance.get(version) == Some(digest),
        Reply::Ordered(digest) => mirror.orders.contains(digest),
        Reply::SessionMail(said) => mirror.sessions.contains(&read(said)?.session),
        Reply::PairingMail(_) | Reply::Session(_) | Reply::Declined { .. } | Reply::Checkpoint(_) => true,
    };
    if durable {
        return Ok(());
    }
    let who = signer.own.pinned.me();
    Err(Violation::new(
        Invariant::I8DurableFirst,
        format!("{who} says {} before it is durable", words(reply)),
    ))
}

/// What a process has in mind of its wallets and chunks is what its disk says: nothing that it decided is unsaved, and
/// nothing that it refused has left a trace.
pub fn i8_memory_is_what_is_durable(mirror: &Mirror, signer: &Signer) -> Result<(), Violation> {
    let Some(keeper) = signer.keeper() else { return Ok(()) };
    let wallets = keeper.wallets().count() == mirror.wallets.len()
        && keeper.wallets().all(|(id, record)| mirror.wallets.get(id) == Some(record));
    let chunks = keeper.chunks().count() == mirror.chunks.len()
        && keeper.chunks().all(|(chunk, record)| mirror.chunks.get(chunk) == Some(record));
    let newest = keeper.own().pinned.governance_digest();
    let governance = mirror.governance.values().last() == Some(&newest);
    if wallets && chunks && governance {
        return Ok(());
    }
    let what = match (wallets, chunks) {
        (false, _) => "wallets",
        (_, false) => "chunks",
        _ => "governance",
    };
    let who = signer.own.pinned.me();
    Err(Violation::new(
        Invariant::I8DurableFirst,
        format!("{who} thinks of its {what} what is not on its disk"),
    ))
}

fn opening_is_durable(mirror: &Mirror, signer: &Signer, said: &Signed<Opening>) -> bool {
    let Ok(body) = said.read_unchecked() else { return false };
    let Some(record) = mirror.chunks.get(&body.chunk) else { return false };
    if record.opening.as_ref().map(Signed::body_digest) != Some(said.body_digest()) {
        return false;
    }
    let ChunkState::Opened(at) = record.state else { return true };
    let slot = signer.disk.durable_slot(at);
    let Some(key) = body.keys.first() else { return true };
    [Scheme::Ed25519, Scheme::Transparent]
        .into_iter()
        .any(|scheme| one_time_key(&signer.own, at, &slot, scheme, &key.counterparty) == Some(key.public))
}

fn vote_is_durable(mirror: &Mirror, signer: &Signer, said: &Signed<Vote>, vote: &Vote) -> bool {
    let Some(record) = mirror.chunks.get(&vote.chunk) else { return false };
    let stored = match vote.kind {
        VoteKind::Prepared => &record.prepared,
        VoteKind::Keep => &record.keep,
    };
    let kept = matches!(record.state, ChunkState::Kept(_) | ChunkState::Retired(_));
    stored.as_ref().map(Signed::body_digest) == Some(said.body_digest())
        && (vote.kind == VoteKind::Prepared || kept)
        && shares_are_durable(mirror, signer, &vote.chunk, record)
}

fn shares_are_durable(mirror: &Mirror, signer: &Signer, chunk: &Chunk, record: &ChunkRecord) -> bool {
    let retired_above = |wallet: &WalletId| {
        let above = mirror.chunks.iter().filter(|(other, _)| other.epoch > chunk.epoch);
        above
            .filter(|(_, other)| matches!(other.state, ChunkState::Retired(_)))
            .any(|(_, other)| other.wallets.contains(wallet))
    };
    record.wallets.iter().filter(|wallet| !retired_above(wallet)).all(|wallet| {
        let held = mirror.wallets.get(wallet).into_iter().flat_map(|record| &record.held);
        held.into_iter().find(|held| held.chunk == *chunk).is_some_and(|held| {
            danger_open_share(&signer.own, held, &signer.disk.durable_slot(held.locked.slot)).is_some()
        })
    })
}

fn read<D: Document>(said: &Signed<D>) -> Result<D, Violation> {
    said.read_unchecked()
        .map_err(|e| Violation::new(Invariant::Sound, format!("a signer says what cannot be read: {e}")))
}

fn words(reply: &Reply) -> String {
    let about = |chunk: Option<Chunk>| chunk.map(|chunk| format!(" {chunk}")).unwrap_or_default();
    match reply {
        Reply::Planned(plan) => format!("that it keeps plan {}", plan.short()),
        Reply::Opened(said) => format!("its opening of{}", about(chunk(said, |body| body.chunk))),
        Reply::Committed(said) => format!("its promise of{}", about(chunk(said, |body| body.chunk))),
        Reply::Dealt(said) => format!("its dealing of{}", about(chunk(said, |body| body.chunk))),
        Reply::Refused(said) => format!("its refusal of{}", about(chunk(said, |body| body.chunk))),
        Reply::Voted(said) => {
            let kind = said.read_unchecked().map(|body| body.kind.to_string()).unwrap_or_default();
            format!("{kind} of{}", about(chunk(said, |body| body.chunk)))
        }
        Reply::Activated(chunk, _) => format!("that it serves {chunk}"),
        Reply::Erased(said) => format!("its receipt for{}", about(chunk(said, |body| body.chunk))),
        Reply::Governed { version, .. } => format!("that it has governance version {version}"),
        Reply::Ordered(digest) => format!("that it obeys order {}", digest.short()),
        Reply::SessionMail(_) => "something in a session that it has not written down".into(),
        Reply::PairingMail(_) | Reply::Session(_) | Reply::Declined { .. } | Reply::Checkpoint(_) => {
            "something".into()
        }
    }
}

fn chunk<D: Document>(said: &Signed<D>, of: impl FnOnce(D) -> Chunk) -> Option<Chunk> {
    said.read_unchecked().ok().map(of)
}
