//! A holder verifies all dealings, stores its new shares, reads them back, and only then votes Prepared.

use super::deal::{dealer_weights, scheme_of};
use crate::inbox::ToVerify;
use crate::keeper::Keeper;
use crate::keyslots::{Cabinet, SlotBytes, SlotIndex};
use crate::record::{ChunkRecord, ChunkState, HeldEpoch, WalletRecord, chunk_key, put};
use crate::redistribution::{Received, Refused, prove_possession, receive, shares_fit};
use crate::seal::OneTimeSeed;
use crate::serving::{Attempt, LockedShare, lock_share, unlock_share};
use crate::share::Share;
use crate::store::Table;
use crate::turn::{Draft, Effect};
use perennial_model::committee::{Seat, SignerId};
use perennial_model::dealing::{CheckedDealing, Dealing, Inputs, SchnorrProof, check_dealing};
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::group::{Group, SCALAR_BYTES, Scalar};
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::Reply;
use perennial_model::plan::{Chunk, Plan, PlannedWallet};
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

impl Verified {
    /// The shares in the form in which they are stored, if they fit the transcript, with the proof that they are there.
    fn of<G: Group>(
        transcript: Transcript,
        received: &Received<G>,
        (me, seat): (&SignerId, Seat),
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let Transcript { root, inputs, leaves, .. } = &transcript;
        let share_sets: Vec<_> = (0..leaves.len()).map(|at| Arc::new(transcript.share_set(at))).collect();
        let shares = into_shares::<G>(&received.shares, share_sets.first().map(|set| set.scheme()))?;
        let due = |set: &Arc<ShareSet>| set.verification_share(seat).and_then(G::decode_own);
        let due: Option<Vec<_>> = share_sets.iter().map(due).collect();
        let unreadable = || Error::Bug("what was computed of the dealings cannot be read".into());
        let due = due.ok_or_else(unreadable)?;
        let mut scalars = Zeroizing::new(Vec::with_capacity(shares.len()));
        for share in &shares {
            scalars.push(G::Scalar::decode(share.danger_secret_bytes()).ok_or_else(unreadable)?);
        }
        if !planted!(SkipVerification) && !shares_fit::<G>(&scalars, &due, rng) {
            return Err(Error::Bug(format!("{}: the parents do not open to their keys", inputs.chunk)));
        }
        let possession = prove_possession::<G>(&inputs.digest(), root, me, &scalars, rng);
        Ok(Self { transcript, share_sets, shares, possession })
    }
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
            checked.push((dealing, check_dealing::<G>(dealing, inputs, plan, rng)?));
        }
        let received = receive::<G>(inputs, me, seed, &checked).map_err(Failed::Refused)?;
        let before: Vec<Before<'_>> = wallets
            .iter()
            .zip(parents)
            .map(|(planned, parent)| Before { planned, parent: parent.as_deref() })
            .collect();
        let computed = Transcript::of_dealings(inputs.clone(), &plan.committee, &before, &checked)
            .and_then(|transcript| Verified::of::<G>(transcript, &received, (me, seat), rng));
        // Whatever does not come out right: if a dealer is to blame, it is named.
        computed.map_err(|error| {
            let constants = |dealer: &SignerId| constants::<G>(inputs, parents, dealer);
            match received.blame(seat, &checked, constants) {
                Ok(Some(refused)) => Failed::Refused(refused),
                Ok(None) => Failed::Error(error),
                Err(other) => Failed::Error(other),
            }
        })
    }

    /// Locks the new shares away, checks that what will be stored opens to them, and votes.
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
        let me = self.own.pinned.me();
        let opens = |(held, share): (&HeldEpoch, &Share)| check_locked(&self.cabinet, held, share, me);
        if let Err(error) = held.iter().zip(&verified.shares).try_for_each(opens) {
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

/// What a dealer's constants commit to, `λ_i · X_i` for each wallet; nothing where a key is made.
fn constants<G: Group>(
    inputs: &Inputs,
    parents: &[Option<Arc<ShareSet>>],
    dealer: &SignerId,
) -> Result<Vec<G::Element>, Error> {
    let constant = |weighted: Result<(&Arc<ShareSet>, G::Scalar), Error>| {
        let (parent, weight) = weighted?;
        let seat = parent.committee.seat_of(dealer);
        let share = seat.and_then(|seat| parent.verification_share(seat)).and_then(G::decode_own);
        let damaged = || Error::Bug(format!("the parent of {} is damaged", parent.wallet.id));
        Ok(G::multiply_public(&weight, &share.ok_or_else(damaged)?))
    };
    dealer_weights::<G>(inputs, parents, dealer).map(constant).collect()
}

/// Opens a share again from slot and ciphertext: it has to be the one that fits.
fn check_locked(cabinet: &Cabinet, held: &HeldEpoch, share: &Share, me: &SignerId) -> Result<(), Error> {
    let key = cabinet.get(held.locked.slot)?;
    let opened = unlock_share(&key, &held.locked.ciphertext, &held.share_set, me)?;
    if opened.is_same_secret(share) {
        return Ok(());
    }
    let epoch = held.share_set.epoch;
    Err(Error::Bug(format!(
        "what was locked away for {} is not its share of {epoch}",
        held.share_set.wallet.id
    )))
}

fn into_shares<G: Group>(scalars: &[G::Scalar], scheme: Option<Scheme>) -> Result<Vec<Share>, Error> {
    let scheme = scheme.ok_or_else(|| Error::Bug("a chunk without wallets".into()))?;
    let share = |scalar: &G::Scalar| {
        let bytes: Zeroizing<[u8; SCALAR_BYTES]> = Zeroizing::new(scalar.encode());
        Share::from_secret_bytes(scheme, bytes).ok_or_else(|| Error::stale("a new share came out as zero"))
    };
    scalars.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::tests::share_set;
    use crate::keyslots::WrappingKey;
    use perennial_model::epoch::Epoch;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn what_is_locked_away_has_to_open_to_the_share_that_fits() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut cabinet =
            Cabinet::new(Arc::new(WrappingKey::from_secret_bytes(Zeroizing::new([2; 32]))), Vec::new());
        let share =
            |byte| Share::from_secret_bytes(Scheme::Ecdsa, Zeroizing::new([byte; 32])).expect("small");
        let chunk = Chunk { plan: Digest([1; 32]), epoch: Epoch::new(2, 1), first: 0, count: 1 };
        let share_set = Arc::new(share_set("w", chunk.epoch));
        let me = share_set.committee.signers().next().expect("a member").clone();
        let key = [3; 32];
        let (slot, _) = cabinet.put(&key, &mut rng);
        let ciphertext = lock_share(&key, &share(4), &share_set, &me);
        let held = HeldEpoch { share_set, chunk, locked: LockedShare { ciphertext, slot } };
        assert_eq!(check_locked(&cabinet, &held, &share(4), &me), Ok(()));
        let other = check_locked(&cabinet, &held, &share(5), &me);
        assert!(matches!(&other, Err(Error::Bug(what)) if what.contains("its share of 2.1")), "{other:?}");
    }
}
