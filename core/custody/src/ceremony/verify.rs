//! A holder verifies all dealings, stores its new shares, reads them back, and only then votes Prepared.

use super::deal::{dealer_weights, scheme_of};
use crate::inbox::ToVerify;
use crate::keeper::Keeper;
use crate::keyslots::{SlotBytes, SlotIndex};
use crate::record::{ChunkRecord, ChunkState, HeldEpoch, WalletRecord, chunk_key, put};
use crate::redistribution::{Refused, prove_possession, receive, shares_fit};
use crate::seal::OneTimeSeed;
use crate::serving::{Attempt, LockedShare, lock_share, unlock_share};
use crate::share::Share;
use crate::store::Table;
use crate::turn::{Draft, Effect};
use perennial_model::dealing::{CheckedDealing, Dealing, Expected, Inputs, SchnorrProof, check_dealing};
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::group::{Group, SCALAR_BYTES, Scalar};
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::Reply;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::refusal::Refusal;
use perennial_model::share_set::ShareSet;
use perennial_model::transcript::{Before, Transcript};
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::Scheme;
use perennial_model::with_group;
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use std::sync::Arc;
use zeroize::Zeroizing;

/// New shares, verified, not yet stored.
struct Verified {
    transcript: Transcript,
    share_sets: Vec<Arc<ShareSet>>,
    shares: Vec<Share>,
    possession: SchnorrProof,
}

/// Why there are no new shares.
enum Failed {
    Refused(Refused),
    Error(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Keeper {
    /// Verifies, stores and votes; or refuses a dealer; or sends the vote or refusal again.
    pub(crate) fn verify(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        dealings: ToVerify,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let chunk = dealings.inputs.chunk;
        let stale = |reason: &str| Error::stale(format!("{chunk}: {reason}"));
        let record = self.chunks.get(&chunk).ok_or_else(|| stale("this signer has not opened it"))?;
        if let Some(refusal) = &record.refusal {
            draft.mail.push(Reply::Refused(refusal.clone()));
            return Ok(());
        }
        if let Some(vote) = &record.prepared {
            if record.inputs.as_ref() != Some(&dealings.inputs) {
                return Err(stale("this signer prepared another transcript under this number"));
            }
            draft.mail.push(Reply::Voted(vote.clone()));
            return Ok(());
        }
        let ChunkState::Opened(seed_slot) = record.state else { return Err(stale("it was left")) };
        if record.commitment.is_some() && record.inputs.as_ref() != Some(&dealings.inputs) {
            return Err(stale("this signer dealt for other inputs"));
        }
        let approved = self.plan_in_time(now_ms, &chunk)?;
        let plan = approved.plan();
        let wallets = plan.wallets_of(&chunk)?;
        let parents = self.parents(&chunk, wallets, &record.parents)?;
        let parent_committee =
            parents.first().and_then(|parent| parent.as_ref()).map(|parent| &parent.committee);
        dealings.inputs.check(plan, parent_committee)?;
        dealings.inputs.check_openings(&dealings.openings)?;
        self.check_own_opening(record, &dealings)?;
        self.check_promises(&chunk, &dealings.promises)?;
        for wallet in wallets {
            self.check_floor(wallet.id(), chunk.epoch)?;
        }
        let scheme = scheme_of(wallets, &parents)?;
        if scheme == Scheme::Ecdsa && !self.pairs_ready(now_ms, rng, &dealings.inputs, draft)? {
            self.pairs.wait(dealings);
            return Ok(());
        }
        let seed = OneTimeSeed::from_secret_bytes(self.cabinet.get(seed_slot)?);
        let inputs = &dealings.inputs;
        let verified = with_group!(scheme, G => {
            self.check_all::<G>(rng, inputs, plan, wallets, &parents, &dealings.dealings, &seed)
        });
        match verified {
            Ok(verified) => self.prepare(rng, inputs, seed_slot, verified, draft),
            Err(Failed::Refused(refused)) => {
                self.refuse(inputs, seed_slot, refused, draft);
                Ok(())
            }
            Err(Failed::Error(error)) => Err(error),
        }
    }

    fn check_own_opening(&self, record: &ChunkRecord, dealings: &ToVerify) -> Result<(), Error> {
        let me = self.own.pinned.me();
        let shown = dealings.openings.iter().find(|opening| &opening.signer == me);
        let own = record.opening.as_ref().map(Signed::body_digest);
        if (shown.map(|opening| opening.digest) == own && own.is_some()) || planted!(OpeningsUnchecked) {
            return Ok(());
        }
        Err(Error::stale(format!("{}: this signer's opening is not among the inputs", dealings.inputs.chunk)))
    }

    #[allow(clippy::too_many_arguments)]
    fn check_all<G: Group>(
        &self,
        rng: &mut dyn CryptoRng,
        inputs: &Inputs,
        plan: &Plan,
        wallets: &[PlannedWallet],
        parents: &[Option<Arc<ShareSet>>],
        dealings: &[Said<Dealing>],
        seed: &OneTimeSeed,
    ) -> Result<Verified, Failed> {
        let me = self.own.pinned.me();
        let seat = plan.committee.seat_of(me);
        let seat = seat.ok_or_else(|| Error::denied("this signer is not in the new committee"))?;
        let mut checked: Vec<(&Said<Dealing>, CheckedDealing<G>)> = Vec::with_capacity(dealings.len());
        for dealing in dealings {
            let public = check_public::<G>(rng, dealing, inputs, plan, parents)?;
            checked.push((dealing, public));
        }
        let scalars = receive::<G>(inputs, me, seat, seed, &checked, rng).map_err(Failed::Refused)?;
        let before: Vec<Before<'_>> = wallets
            .iter()
            .zip(parents)
            .map(|(planned, parent)| Before { planned, parent: parent.as_deref() })
            .collect();
        let transcript = Transcript::of_dealings(inputs.clone(), &plan.committee, &before, &checked)?;
        let share_sets: Vec<Arc<ShareSet>> =
            (0..wallets.len()).map(|at| Arc::new(transcript.share_set(at))).collect();
        let root = transcript.root;
        let possession = prove_possession::<G>(&inputs.digest(), &root, me, &scalars, rng);
        let shares = into_shares::<G>(&scalars, share_sets.first().map(|set| set.scheme()))?;
        Ok(Verified { transcript, share_sets, shares, possession })
    }

    /// Locks the new shares away, checks that what will be stored opens to `X'_j`, and votes.
    fn prepare(
        &mut self,
        rng: &mut dyn CryptoRng,
        inputs: &Inputs,
        seed_slot: SlotIndex,
        verified: Verified,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let chunk = inputs.chunk;
        let (held, slots) = self.lock_all(rng, &chunk, &verified);
        if let Err(error) = self.check_locked(rng, &held) {
            held.iter().for_each(|held| self.cabinet.forget(held.locked.slot));
            return Err(error);
        }
        let lower =
            if planted!(SinglePendingSlot) { self.forget_candidates(&held, &chunk) } else { Vec::new() };
        let vote = Vote {
            kind: VoteKind::Prepared,
            governance: self.own.pinned.governance_digest(),
            chunk,
            inputs: inputs.digest(),
            root: verified.transcript.root,
            possession: Some(verified.possession),
        };
        let vote = Signed::new(&*self.own.identity, &vote);
        let mut writes = Vec::with_capacity(held.len() + 1);
        for held in held {
            let wallet = held.share_set.wallet.id.clone();
            let record = self.wallets.entry(wallet.clone()).or_insert_with(|| WalletRecord::new(chunk.epoch));
            record.floor = record.floor.max(chunk.epoch);
            record.held.push(held);
            record.held.sort_by_key(|held| held.share_set.epoch);
            writes.push(self.wallet_write(&wallet));
        }
        if let Some(record) = self.chunks.get_mut(&chunk) {
            record.state = ChunkState::Prepared;
            record.inputs = Some(inputs.clone());
            record.root = Some(verified.transcript.root);
            record.prepared = Some(vote.clone());
            record.parents.clear();
            writes.push(put(Table::Chunk, chunk_key(&chunk), record));
        }
        let records = writes
            .iter()
            .filter_map(|write| Some((write.table, write.key.clone(), Digest::of(write.value.as_deref()?))))
            .collect();
        self.cabinet.forget(seed_slot);
        self.transcripts.insert(chunk, Arc::new(verified.transcript));
        draft.effects.push(Effect::Slots(slots.clone()));
        draft.effects.push(Effect::Commit(writes));
        draft.effects.push(Effect::ReadBack { records, slots });
        draft.effects.push(Effect::Erase([vec![seed_slot], lower].concat()));
        draft.mail.push(Reply::Voted(vote));
        // The chunks that a base was made for may have been left while this one, which needs none, was under way.
        self.drop_bases(&BTreeSet::from([Attempt::from(&chunk)]), draft);
        Ok(())
    }

    fn lock_all(
        &mut self,
        rng: &mut dyn CryptoRng,
        chunk: &Chunk,
        verified: &Verified,
    ) -> (Vec<HeldEpoch>, Vec<(SlotIndex, SlotBytes)>) {
        let mut held = Vec::with_capacity(verified.shares.len());
        let mut slots = Vec::with_capacity(verified.shares.len());
        for (share, share_set) in verified.shares.iter().zip(&verified.share_sets) {
            let mut key = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut *key);
            let (slot, wrapped) = self.cabinet.put(&key, rng);
            let ciphertext = lock_share(&key, share, share_set, self.own.pinned.me());
            let locked = LockedShare { ciphertext, slot };
            held.push(HeldEpoch { share_set: share_set.clone(), chunk: *chunk, locked });
            slots.push((slot, wrapped));
        }
        (held, slots)
    }

    /// Opens everything again from slot and ciphertext and checks `x'_j · G = X'_j`.
    fn check_locked(&self, rng: &mut dyn CryptoRng, held: &[HeldEpoch]) -> Result<(), Error> {
        let Some(first) = held.first() else { return Ok(()) };
        let me = self.own.pinned.me();
        with_group!(first.share_set.scheme(), G => {
            let mut shares: Zeroizing<Vec<<G as Group>::Scalar>> = Zeroizing::new(Vec::with_capacity(held.len()));
            let mut points = Vec::with_capacity(held.len());
            for held in held {
                let key = self.cabinet.get(held.locked.slot)?;
                let share = unlock_share(&key, &held.locked.ciphertext, &held.share_set, me)?;
                let seat = held.share_set.committee.seat_of(me);
                let point = seat.and_then(|seat| held.share_set.verification_share(seat)).and_then(G::decode_own);
                let scalar = <<G as Group>::Scalar as Scalar>::decode(share.danger_secret_bytes());
                if let (Some(point), Some(scalar)) = (point, scalar) {
                    points.push(point);
                    shares.push(scalar);
                }
            }
            if points.len() == held.len() && (shares_fit::<G>(&shares, &points, rng) || planted!(SkipVerification)) {
                Ok(())
            } else {
                Err(Error::Bug("new shares do not fit their verification shares".into()))
            }
        })
    }

    fn refuse(&mut self, inputs: &Inputs, seed_slot: SlotIndex, refused: Refused, draft: &mut Draft) {
        let chunk = inputs.chunk;
        let refusal =
            Refusal { chunk, inputs: inputs.digest(), dealer: refused.dealer, fault: refused.fault };
        let refusal = Signed::new(&*self.own.identity, &refusal);
        if let Some(record) = self.chunks.get_mut(&chunk) {
            record.state = ChunkState::Left;
            record.refusal = Some(refusal.clone());
            draft.effects.push(Effect::Commit(vec![put(Table::Chunk, chunk_key(&chunk), record)]));
        }
        self.cabinet.forget(seed_slot);
        draft.effects.push(Effect::Erase(vec![seed_slot]));
        draft.mail.push(Reply::Refused(refusal));
    }

    /// A planted fault: one pending candidate, the newer in place of the older.
    fn forget_candidates(&mut self, newer: &[HeldEpoch], chunk: &Chunk) -> Vec<SlotIndex> {
        let mut slots = Vec::new();
        for held in newer {
            let prepared = |other: &HeldEpoch| {
                other.chunk != *chunk
                    && self.chunks.get(&other.chunk).is_some_and(|c| c.state == ChunkState::Prepared)
            };
            if let Some(record) = self.wallets.get_mut(&held.share_set.wallet.id) {
                let gone: Vec<_> =
                    record.held.iter().filter(|held| prepared(held)).map(|h| h.locked.slot).collect();
                record.held.retain(|held| !gone.contains(&held.locked.slot));
                slots.extend(gone);
            }
        }
        slots.iter().for_each(|slot| self.cabinet.forget(*slot));
        slots
    }
}

/// Checks the public part of one dealing against the parents.
fn check_public<G: Group>(
    rng: &mut dyn CryptoRng,
    dealing: &Said<Dealing>,
    inputs: &Inputs,
    plan: &Plan,
    parents: &[Option<Arc<ShareSet>>],
) -> Result<CheckedDealing<G>, Error> {
    if plan.action == Action::Create {
        return check_dealing::<G>(dealing, inputs, plan, &Expected::Fresh, rng);
    }
    let mut weights = Vec::with_capacity(parents.len());
    let mut shares = Vec::with_capacity(parents.len());
    for weighted in dealer_weights::<G>(inputs, parents, &dealing.signer) {
        let (parent, weight) = weighted?;
        let seat = parent.committee.seat_of(&dealing.signer);
        let share = seat.and_then(|seat| parent.verification_share(seat)).and_then(G::decode_own);
        shares
            .push(share.ok_or_else(|| Error::Bug(format!("the parent of {} is damaged", parent.wallet.id)))?);
        weights.push(weight);
    }
    check_dealing::<G>(dealing, inputs, plan, &Expected::Redealt { weights: &weights, shares: &shares }, rng)
}

fn into_shares<G: Group>(scalars: &[G::Scalar], scheme: Option<Scheme>) -> Result<Vec<Share>, Error> {
    let scheme = scheme.ok_or_else(|| Error::Bug("a chunk without wallets".into()))?;
    let share = |scalar: &G::Scalar| {
        let bytes: Zeroizing<[u8; SCALAR_BYTES]> = Zeroizing::new(scalar.encode());
        Share::from_secret_bytes(scheme, bytes).ok_or_else(|| Error::stale("a new share came out as zero"))
    };
    scalars.iter().map(share).collect()
}
