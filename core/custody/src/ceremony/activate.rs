//! Activation, Keep, Retirement: when a candidate is signed under, when it is promised, and when everything
//! lower is erased. Only erasing is irreversible; so there is no abort and no rollback.

use crate::inbox::About;
use crate::keeper::{Keeper, decline};
use crate::keyslots::SlotIndex;
use crate::pinned::CLOCK_SKEW_MS;
use crate::record::{ChunkRecord, ChunkState, WalletRecord, chunk_key, delete, put};
use crate::serving::{Attempt, unlock_share};
use crate::store::{Table, Write};
use crate::turn::{Draft, Effect};
use perennial_model::approval::Approved;
use perennial_model::certificate::{Confirmed, check_probes};
use perennial_model::committee::{Committee, Seat, SignerId};
use perennial_model::dealing::SchnorrProof;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::group::Group;
use perennial_model::identity::Signed;
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use perennial_model::planted;
use perennial_model::possession::hold_together;
use perennial_model::receipt::{ErasedShare, ErasureLevel, Receipt};
use perennial_model::transcript::{Leaf, Transcript};
use perennial_model::vote::{Possession, Vote, VoteKind, check_possession};
use perennial_model::wallet::WalletId;
use perennial_model::with_group;
use rand_core::CryptoRng;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Keeper {
    /// Begins to serve a chunk, or says again since when it does. With no overlap to wait for, Keep follows at
    /// once.
    pub(crate) fn activate(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        confirmed: Confirmed,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let certificate = confirmed.certificate;
        let chunk = certificate.inputs.chunk;
        let state = self.chunks.get(&chunk).map(|record| record.state);
        if let Some(ChunkState::Active(since) | ChunkState::Kept(since) | ChunkState::Retired(since)) = state
        {
            draft.mail.push(Reply::Activated(chunk, since));
            self.keep_or_decline(now_ms, &chunk, draft);
            return Ok(());
        }
        if state != Some(ChunkState::Prepared) {
            return self.note_seen(&chunk, draft);
        }
        let approved = self.plan_in_time(now_ms, &chunk)?;
        let transcript = self.transcripts.get(&chunk).cloned();
        let transcript = transcript.ok_or_else(|| self.incomplete(&chunk))?;
        let same = transcript.root == certificate.root && transcript.inputs == certificate.inputs;
        if !same && !planted!(CountVotesWithoutTranscript) {
            return Err(Error::stale(format!(
                "{chunk}: this signer prepared another transcript under this number"
            )));
        }
        self.check_complete(&chunk)?;
        self.check_one_key_each(&chunk)?;
        let wallets = approved.plan().wallets_of(&chunk)?;
        let parents: Vec<_> = wallets.iter().filter_map(|w| self.held(w.id(), &chunk)).collect();
        let scheme = parents.first().map(|held| held.share_set.scheme());
        let scheme = scheme.ok_or_else(|| self.incomplete(&chunk))?;
        if !planted!(ServeUnprobed) {
            check_probes(scheme, &transcript, &approved, &certificate.probes, rng)?;
        }
        if same {
            let committee = &approved.plan().committee;
            with_group!(scheme, G => check_holders::<G>(&transcript, committee, &confirmed.possessions, rng))?;
        }
        let record =
            self.chunks.get_mut(&chunk).ok_or_else(|| Error::Bug("a prepared chunk is gone".into()))?;
        record.state = ChunkState::Active(now_ms);
        record.activation = Some(certificate);
        let ids = record.wallets.clone();
        if !planted!(DecisionNotPersisted) {
            draft.effects.push(Effect::Commit(vec![
                put(Table::Chunk, chunk_key(&chunk), record),
                delete(Table::Dealing, chunk_key(&chunk)),
            ]));
        }
        self.dealings.remove(&chunk);
        self.transcripts.remove(&chunk);
        draft.changes.extend(ids.iter().map(|wallet| self.published(wallet)));
        draft.mail.push(Reply::Activated(chunk, now_ms));
        if planted!(DestroyEarly) {
            self.erase_below(now_ms, &chunk, draft);
        }
        self.keep_or_decline(now_ms, &chunk, draft);
        Ok(())
    }

    /// What stands in the way of Keep stands in the way of nothing else.
    fn keep_or_decline(&mut self, now_ms: u64, chunk: &Chunk, draft: &mut Draft) {
        if let Err(error) = self.keep_if_due(now_ms, chunk, draft) {
            draft.mail.push(decline(About::of(chunk), &error));
        }
    }

    /// An Activation of a number that this signer does not hold raises its floor.
    fn note_seen(&mut self, chunk: &Chunk, draft: &mut Draft) -> Result<(), Error> {
        let plan = self.known_plan(&chunk.plan)?;
        self.check_part(&plan, chunk)?;
        self.check_concerns(&plan, chunk)?;
        let ids: Vec<WalletId> = plan.plan().wallets_of(chunk)?.iter().map(|w| w.id().clone()).collect();
        let writes = self.raise_floor(&ids, chunk.epoch);
        if !writes.is_empty() {
            draft.effects.push(Effect::Commit(writes));
        }
        let reason = format!("{chunk}: this signer has not prepared it; the next refresh may name it");
        draft.mail.push(decline(About::of(chunk), &Error::stale(reason)));
        Ok(())
    }

    pub(crate) fn raise_floor(&mut self, wallets: &[WalletId], epoch: Epoch) -> Vec<Write> {
        let mut raised = Vec::new();
        for wallet in wallets {
            // A floor is needed even for a wallet that this signer has never held anything of.
            let record =
                self.wallets.entry(wallet.clone()).or_insert_with(|| WalletRecord::new(Epoch::new(0, 0)));
            if record.floor < epoch {
                record.floor = epoch;
                raised.push(wallet.clone());
            }
        }
        raised.iter().map(|wallet| self.wallet_write(wallet)).collect()
    }

    /// Votes Keep when the overlap is over at this signer, or sends the vote again.
    pub(crate) fn keep(&mut self, now_ms: u64, chunk: &Chunk, draft: &mut Draft) -> Result<(), Error> {
        let record = self.chunks.get(chunk);
        match record.map(|record| record.state) {
            Some(ChunkState::Active(since)) => {
                let over_at_ms = since.saturating_add(self.known_plan(&chunk.plan)?.plan().overlap_ms());
                if now_ms < over_at_ms {
                    let left_ms = over_at_ms - now_ms;
                    return Err(Error::stale(format!(
                        "{chunk}: the overlap lasts {left_ms} ms more at this signer"
                    )));
                }
                self.keep_if_due(now_ms, chunk, draft)
            }
            Some(ChunkState::Kept(_) | ChunkState::Retired(_)) => self.keep_if_due(now_ms, chunk, draft),
            _ => Err(Error::stale(format!("{chunk}: it is not active at this signer"))),
        }
    }

    /// Votes Keep wherever the overlap is over, without being asked.
    pub(crate) fn keep_all_due(&mut self, now_ms: u64, draft: &mut Draft) {
        let active: Vec<Chunk> = self
            .chunks
            .iter()
            .filter(|(_, record)| matches!(record.state, ChunkState::Active(_)))
            .map(|(chunk, _)| *chunk)
            .collect();
        if planted!(KeepBeforeActivation) {
            let prepared =
                |record: &ChunkRecord| record.state == ChunkState::Prepared && record.keep.is_none();
            let early = self.chunks.iter().filter(|(_, record)| prepared(record));
            let early: Vec<Chunk> = early.map(|(chunk, _)| *chunk).collect();
            early.iter().for_each(|chunk| self.vote_keep(now_ms, chunk, draft));
        }
        for chunk in active {
            // Whoever asks is told what stands in the way; nobody is at every tick.
            let _ = self.keep_if_due(now_ms, &chunk, draft);
        }
    }

    fn keep_if_due(&mut self, now_ms: u64, chunk: &Chunk, draft: &mut Draft) -> Result<(), Error> {
        let record = self.chunks.get(chunk);
        if let Some(vote) = record.and_then(|record| record.keep.as_ref()) {
            draft.mail.push(Reply::Voted(vote.clone()));
            return Ok(());
        }
        let Some(ChunkState::Active(since)) = record.map(|record| record.state) else { return Ok(()) };
        // The only backup rule today is "the committee is the backup": it is met by the votes themselves.
        if now_ms >= since.saturating_add(self.known_plan(&chunk.plan)?.plan().overlap_ms()) {
            self.check_complete(chunk)?;
            self.check_needed(chunk)?;
            self.check_promise(chunk)?;
            self.vote_keep(since, chunk, draft);
        }
        Ok(())
    }

    /// Where no holder can be spared, a share that was damaged since it was prepared is not promised: with the last
    /// Keep the others erase what is below. Elsewhere such a signer counts as a lost disk, and the next refresh heals it.
    fn check_needed(&self, chunk: &Chunk) -> Result<(), Error> {
        let Some(record) = self.chunks.get(chunk) else { return Ok(()) };
        let holders = record.inputs.as_ref().map_or(0, |inputs| inputs.holders.len());
        for held in self.held_from(chunk) {
            if holders > usize::from(held.share_set.committee.threshold()) {
                return Ok(());
            }
            let key = self.cabinet.get(held.locked.slot)?;
            unlock_share(&key, &held.locked.ciphertext, &held.share_set, self.own.pinned.me())?;
        }
        Ok(())
    }

    fn vote_keep(&mut self, since: u64, chunk: &Chunk, draft: &mut Draft) {
        let Some(governance) = self.plans.get(&chunk.plan).map(|plan| plan.plan().governance) else { return };
        let identity = self.own.identity.clone();
        let Some(record) = self.chunks.get_mut(chunk) else { return };
        let (Some(inputs), Some(root)) = (&record.inputs, record.root) else { return };
        let inputs = inputs.digest();
        let vote = Vote { kind: VoteKind::Keep, governance, chunk: *chunk, inputs, root, possession: None };
        let vote = Signed::new(&*identity, &vote);
        record.state = ChunkState::Kept(since);
        record.keep = Some(vote.clone());
        let mut writes = vec![put(Table::Chunk, chunk_key(chunk), record)];
        writes.extend(self.fix_keys(chunk));
        if !planted!(DecisionNotPersisted) {
            draft.effects.push(Effect::Commit(writes));
        }
        draft.mail.push(Reply::Voted(vote));
    }

    /// Erases everything below a retired chunk, or sends the receipt again.
    pub(crate) fn retire(
        &mut self,
        now_ms: u64,
        confirmed: Confirmed,
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let certificate = confirmed.certificate;
        let chunk = certificate.inputs.chunk;
        if let Some(receipt) = self.chunks.get(&chunk).and_then(|record| record.receipt.as_ref()) {
            draft.mail.push(Reply::Erased(receipt.clone()));
            return Ok(());
        }
        let holds = self.chunks.get(&chunk).is_some_and(|record| record.prepared.is_some());
        if let Some(record) = self.chunks.get(&chunk)
            && holds
            && record.root != Some(certificate.root)
            && !planted!(CountVotesWithoutTranscript)
        {
            return Err(Error::stale(format!(
                "{chunk}: this signer prepared another transcript under this number"
            )));
        }
        let approved = self.known_plan(&chunk.plan)?;
        self.check_part(&approved, &chunk)?;
        self.check_concerns(&approved, &chunk)?;
        self.check_one_key_each(&chunk)?;
        self.check_gap(now_ms, &approved, &chunk)?;
        let wallets: Vec<WalletId> =
            approved.plan().wallets_of(&chunk)?.iter().map(|w| w.id().clone()).collect();
        let mut record = match self.chunks.remove(&chunk) {
            Some(record) => record,
            None => ChunkRecord::new(ChunkState::Dealt, wallets.clone(), Vec::new()),
        };
        let since = match record.state {
            ChunkState::Active(since) | ChunkState::Kept(since) => since,
            _ => now_ms,
        };
        let seed = match record.state {
            ChunkState::Opened(slot) => Some(slot),
            _ => None,
        };
        record.state = ChunkState::Retired(since);
        record.retirement = Some(certificate);
        let mut writes = vec![put(Table::Chunk, chunk_key(&chunk), &record)];
        self.insert_chunk(chunk, record);
        writes.extend(self.raise_floor(&wallets, chunk.epoch));
        writes.extend(self.anchor(&chunk));
        draft.effects.push(Effect::Commit(writes));
        if let Some(seed) = seed {
            self.cabinet.forget(seed);
            draft.effects.push(Effect::Erase(vec![seed]));
        }
        self.erase_below(now_ms, &chunk, draft);
        Ok(())
    }

    /// Erases every epoch and attempt of a chunk's wallets below it, and writes the receipt.
    pub(crate) fn erase_below(&mut self, now_ms: u64, chunk: &Chunk, draft: &mut Draft) {
        let Some(wallets) = self.chunks.get(chunk).map(|record| record.wallets.clone()) else { return };
        let on_bases = self.standing_on_bases(chunk, &wallets);
        let mut shares = Vec::new();
        let mut slots: Vec<SlotIndex> = Vec::new();
        let mut touched: BTreeSet<Chunk> = BTreeSet::new();
        for wallet in &wallets {
            let below = |lower: &Chunk| lower.epoch < chunk.epoch;
            touched.extend(self.chunks_of.get(wallet).into_iter().flatten().filter(|lower| below(lower)));
            let Some(record) = self.wallets.get_mut(wallet) else { continue };
            for held in record.held.iter().filter(|held| held.share_set.epoch < chunk.epoch) {
                shares.push(ErasedShare {
                    wallet: wallet.clone(),
                    epoch: held.share_set.epoch,
                    transcript: held.share_set.transcript,
                });
                slots.push(held.locked.slot);
            }
            record.held.retain(|held| held.share_set.epoch >= chunk.epoch);
        }
        let mut writes: Vec<Write> = wallets.iter().map(|wallet| self.wallet_write(wallet)).collect();
        let attempts = self.forget_chunks(&touched, &mut slots, &mut writes);
        writes.push(delete(Table::Dealing, chunk_key(chunk)));
        self.dealings.remove(chunk);
        let bases = self.retire_bases(chunk, &on_bases, &attempts, &mut slots, &mut writes, draft);

        let receipt = Receipt {
            chunk: *chunk,
            shares,
            attempts,
            bases,
            level: ErasureLevel::Software,
            erased_at_ms: now_ms,
        };
        let gone = receipt.shares.iter().map(|share| (share.wallet.clone(), share.epoch)).collect();
        let receipt = Signed::new(&*self.own.identity, &receipt);
        if let Some(record) = self.chunks.get_mut(chunk) {
            record.receipt = Some(receipt.clone());
            writes.push(put(Table::Chunk, chunk_key(chunk), record));
        }
        slots.iter().for_each(|slot| self.cabinet.forget(*slot));
        if !planted!(OverlapNeverClosed) {
            draft.changes.extend(wallets.iter().map(|wallet| self.published(wallet)));
            draft.effects.push(Effect::Withdraw(gone));
        }
        draft.effects.push(Effect::Erase(slots));
        draft.effects.push(Effect::Commit(writes));
        draft.mail.push(Reply::Erased(receipt));
    }

    /// Forgets lower chunks that nothing is held of any more; an attempt that is only opened is dead as soon as
    /// one of its wallets has moved on. A Retirement is remembered until all of its wallets have a higher one: it is
    /// why their lower shares are gone.
    fn forget_chunks(
        &mut self,
        touched: &BTreeSet<Chunk>,
        slots: &mut Vec<SlotIndex>,
        writes: &mut Vec<Write>,
    ) -> Vec<Chunk> {
        let mut attempts = Vec::new();
        for lower in touched {
            let Some(record) = self.chunks.get(lower) else { continue };
            let is_retired = matches!(record.state, ChunkState::Retired(_));
            let is_needed = |wallet: &WalletId| {
                self.held(wallet, lower).is_some()
                    || (is_retired && !self.is_retired_above(wallet, lower.epoch))
            };
            if record.wallets.iter().any(is_needed) {
                continue;
            }
            let named = record.wallets.clone();
            slots.extend(self.remove_chunk(lower));
            writes.extend(self.raise_floor(&named, lower.epoch));
            writes.push(delete(Table::Chunk, chunk_key(lower)));
            writes.push(delete(Table::Dealing, chunk_key(lower)));
            attempts.push(*lower);
        }
        attempts
    }

    fn is_retired_above(&self, wallet: &WalletId, epoch: Epoch) -> bool {
        let chunks = self.chunks_of.get(wallet).into_iter().flatten().filter(|chunk| chunk.epoch > epoch);
        let mut records = chunks.filter_map(|chunk| self.chunks.get(chunk));
        records.any(|record| matches!(record.state, ChunkState::Retired(_)))
    }

    /// Drops candidates that were not activated by their date, or whose plan is called off, alone and for good.
    pub(crate) fn drop_candidates(&mut self, now_ms: u64, draft: &mut Draft) {
        let is_over = |plan: &Arc<Approved>| {
            now_ms > plan.plan().activation_deadline_ms.saturating_add(CLOCK_SKEW_MS)
                || self.check_not_cancelled(plan).is_err()
        };
        let overdue = |chunk: &Chunk| self.plans.get(&chunk.plan).is_none_or(is_over);
        let dropped: Vec<Chunk> = self
            .chunks
            .iter()
            .filter(|(_, record)| {
                matches!(
                    record.state,
                    ChunkState::Opened(_) | ChunkState::Prepared | ChunkState::Left | ChunkState::Dealt
                )
            })
            .filter(|(chunk, _)| overdue(chunk))
            .map(|(chunk, _)| *chunk)
            .collect();
        let attempts: BTreeSet<Attempt> = dropped.iter().map(Attempt::from).collect();
        for chunk in dropped {
            let mut slots = Vec::new();
            let mut writes =
                vec![delete(Table::Chunk, chunk_key(&chunk)), delete(Table::Dealing, chunk_key(&chunk))];
            // The number stays used up: nothing at or below it is opened again.
            let wallets = self.chunks.get(&chunk).map(|record| record.wallets.clone()).unwrap_or_default();
            self.raise_floor(&wallets, chunk.epoch);
            for wallet in &wallets {
                if let Some(record) = self.wallets.get_mut(wallet) {
                    slots.extend(record.held.iter().filter(|h| h.chunk == chunk).map(|h| h.locked.slot));
                    record.held.retain(|held| held.chunk != chunk);
                    writes.push(self.wallet_write(wallet));
                }
            }
            slots.extend(self.remove_chunk(&chunk));
            slots.iter().for_each(|slot| self.cabinet.forget(*slot));
            draft.effects.push(Effect::Commit(writes));
            draft.effects.push(Effect::Erase(slots));
        }
        self.drop_bases(&attempts, draft);
    }
}

/// Checks every holder's proof that it has its shares: all proofs together, one by one only if that fails.
///
/// The verification shares in the leaves were computed by this signer, from `t` coefficients each, or come from its
/// own records of that: they lie on polynomials of degree `t-1`, as the check of all together asks.
fn check_holders<G: Group>(
    transcript: &Transcript,
    committee: &Committee,
    possessions: &[(SignerId, SchnorrProof)],
    rng: &mut dyn CryptoRng,
) -> Result<(), Error> {
    let inputs: Digest = transcript.inputs.digest();
    let proofs: Vec<_> = possessions.iter().map(|(signer, proof)| (signer, proof)).collect();
    let in_order = transcript.leaves.iter().all(|leaf| leaf.committee == *committee);
    let wallets = transcript.leaves.iter().map(|leaf| leaf.verification_shares.as_slice());
    let names = (&inputs, &transcript.root);
    if in_order && hold_together::<G>(names, committee, wallets, &proofs, rng) == Some(true) {
        return Ok(());
    }
    let mut checked: Vec<Possession<'_, G>> = Vec::with_capacity(possessions.len());
    for (signer, proof) in possessions {
        let share = |leaf: &Leaf| {
            let seat: Seat = leaf.committee.seat_of(signer)?;
            let at = leaf.committee.seats().position(|other| other == seat)?;
            leaf.verification_shares.get(at).and_then(G::decode_own)
        };
        let shares: Option<Vec<G::Element>> = transcript.leaves.iter().map(share).collect();
        let shares = shares.ok_or_else(|| Error::Bug(format!("{signer} has no seat in what it prepared")))?;
        checked.push(Possession { signer, proof, shares });
    }
    check_possession::<G>(&inputs, &transcript.root, &checked, rng)
        .map_err(|signer| Error::misbehaved(signer, "voted Prepared without proof that it holds its shares"))
}
