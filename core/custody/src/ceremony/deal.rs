//! A dealer makes its dealing once, promises it, and publishes it when all promises are in.

use crate::inbox::promises_digest;
use crate::keeper::Keeper;
use crate::record::{ChunkRecord, ChunkState, DealingRecord, chunk_key, put};
use crate::redistribution::{Constants, DealTerms, deal};
use crate::serving::unlock_share;
use crate::store::Table;
use crate::turn::{Draft, Effect};
use perennial_model::committee::{Committee, Seat, SignerId};
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening};
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::group::{Group, lagrange_at_zero};
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::Reply;
use perennial_model::plan::{Action, Chunk, Plan, PlannedWallet};
use perennial_model::planted;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::WalletId;
use perennial_model::with_group;
use rand_core::CryptoRng;
use std::sync::Arc;

impl Keeper {
    /// Makes this dealer's dealing of a chunk and promises it, or sends the promise again.
    pub(crate) fn commit(
        &mut self,
        now_ms: u64,
        rng: &mut dyn CryptoRng,
        inputs: &Inputs,
        openings: &[Said<Opening>],
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let chunk = inputs.chunk;
        if let Some(record) = self.chunks.get(&chunk)
            && let Some(promised) = &record.commitment
            && !(planted!(DealForEveryInputs) && record.inputs.as_ref() != Some(inputs))
        {
            if record.inputs.as_ref() != Some(inputs) {
                return Err(Error::stale(format!(
                    "{chunk}: this signer dealt for other inputs; open the next number"
                )));
            }
            draft.mail.push(Reply::Committed(promised.clone()));
            return Ok(());
        }
        let approved = self.plan_in_time(now_ms, &chunk)?;
        let plan = approved.plan();
        let wallets = plan.wallets_of(&chunk)?;
        let begun = self.chunks.get(&chunk);
        let parents = self.parents(&chunk, wallets, begun.map_or(&[], |record| &record.parents))?;
        // Whoever does not have it open deals under the same conditions, so under no number that it left for a higher one
        // or after a refusal: the promise may have been made under that before, and a second one would be proof against
        // an honest dealer.
        if !begun.is_some_and(is_open) && !planted!(DealUnopened) {
            self.check_plan_begins(now_ms, &approved, &chunk)?;
            self.check_chunk_begins(now_ms, &approved, &chunk, &parents)?;
        }
        inputs.check(plan, parents.first().and_then(|p| p.as_ref()).map(|parent| &parent.committee))?;
        inputs.check_openings(openings)?;
        self.check_retired_once(plan, inputs)?;
        if !inputs.dealers.contains(self.own.pinned.me()) {
            return Err(Error::denied(format!("{chunk}: this signer is not among the dealers")));
        }
        for wallet in wallets {
            self.check_floor(wallet.id(), chunk.epoch)?;
        }
        let scheme = scheme_of(wallets, &parents)?;
        let dealing =
            with_group!(scheme, G => self.make_dealing::<G>(rng, inputs, plan, wallets, &parents, openings))?;
        let dealing = Signed::new(&*self.own.identity, &dealing);
        let body = Commitment { chunk, inputs: inputs.digest(), dealing: dealing.body_digest() };
        let commitment = Signed::new(&*self.own.identity, &body);

        let ids = || wallets.iter().map(|wallet| wallet.id().clone()).collect();
        let mut record = match self.chunks.remove(&chunk) {
            Some(record) => record,
            None => ChunkRecord::new(ChunkState::Dealt, ids(), Vec::new()),
        };
        record.inputs = Some(inputs.clone());
        record.commitment = Some(commitment.clone());
        if !planted!(DealAgainAfterCrash) {
            draft.effects.push(Effect::Commit(vec![
                put(Table::Chunk, chunk_key(&chunk), &record),
                put(Table::Dealing, chunk_key(&chunk), &DealingRecord { dealing: dealing.clone() }),
            ]));
        }
        draft.mail.push(Reply::Committed(commitment));
        self.insert_chunk(chunk, record);
        self.dealings.insert(chunk, dealing);
        Ok(())
    }

    fn make_dealing<G: Group>(
        &self,
        rng: &mut dyn CryptoRng,
        inputs: &Inputs,
        plan: &Plan,
        wallets: &[PlannedWallet],
        parents: &[Option<Arc<ShareSet>>],
        openings: &[Said<Opening>],
    ) -> Result<Dealing, Error> {
        let me = self.own.pinned.me();
        let mut holders = Vec::with_capacity(openings.len());
        for opening in openings {
            let seat = plan.committee.seat_of(&opening.signer);
            let seat =
                seat.ok_or_else(|| Error::denied(format!("{} has no seat in the plan", opening.signer)))?;
            holders.push((seat, opening));
        }
        let terms = DealTerms { inputs, wallets, threshold: plan.committee.threshold(), holders, dealer: me };
        if plan.action == Action::Create {
            return deal::<G>(&terms, &Constants::Fresh, rng);
        }
        let mut shares = Vec::with_capacity(wallets.len());
        for weighted in dealer_weights::<G>(inputs, parents, me) {
            let (parent, weight) = weighted?;
            let held = self.wallets.get(&parent.wallet.id).into_iter().flat_map(|record| &record.held);
            let held = held
                .into_iter()
                .find(|held| Arc::ptr_eq(&held.share_set, parent) || held.share_set == *parent)
                .ok_or_else(|| {
                    Error::stale(format!("{}: this signer does not hold the parent share", parent.wallet.id))
                })?;
            let key = self.cabinet.get(held.locked.slot)?;
            shares.push((weight, unlock_share(&key, &held.locked.ciphertext, parent, me)?));
        }
        deal::<G>(&terms, &Constants::Redealt(&shares), rng)
    }

    /// Publishes the dealing, now that every dealer has promised one.
    pub(crate) fn deal(
        &mut self,
        now_ms: u64,
        inputs: &Inputs,
        commitments: &[Said<Commitment>],
        draft: &mut Draft,
    ) -> Result<(), Error> {
        let chunk = inputs.chunk;
        let stale = |reason: &str| Error::stale(format!("{chunk}: {reason}"));
        let record = self.chunks.get(&chunk).ok_or_else(|| stale("this signer has promised no dealing"))?;
        // A dealing that went out gives its holders full power: its plan has to be in force to the last.
        let approved = self.plan_in_time(now_ms, &chunk)?;
        self.check_not_passed(&chunk, &record.wallets)?;
        if record.inputs.as_ref() != Some(inputs) {
            return Err(stale("this signer promised a dealing for other inputs"));
        }
        let dealing = self.dealings.get(&chunk).ok_or_else(|| stale("the dealing is done with"))?;
        let me = self.own.pinned.me();
        let promised = commitments.iter().find(|commitment| &commitment.signer == me);
        if promised.is_none_or(|promised| promised.body.dealing != dealing.body_digest()) {
            return Err(stale("the promise shown is not this signer's"));
        }
        let dealing = dealing.clone();
        if approved.plan().action == Action::Create {
            self.remember_promises(&chunk, promises_digest(commitments), draft)?;
        }
        draft.mail.push(Reply::Dealt(dealing));
        Ok(())
    }

    /// Refuses a number above which one of its wallets has gone here.
    fn check_not_passed(&self, chunk: &Chunk, wallets: &[WalletId]) -> Result<(), Error> {
        let floor = |wallet: &WalletId| self.wallets.get(wallet).map(|record| record.floor);
        let passed = |wallet: &&WalletId| floor(wallet).is_some_and(|floor| floor > chunk.epoch);
        match wallets.iter().find(passed) {
            Some(wallet) if !planted!(DealPassed) => {
                Err(Error::stale(format!("{chunk}: {wallet} has gone on to a higher number here")))
            }
            _ => Ok(()),
        }
    }

    /// Key and chain code of a new wallet follow from all dealings together. Whoever shows its own does so on promises
    /// of all the others, and goes on with these alone: else a dealer could see what is shown and promise once more.
    fn remember_promises(&mut self, chunk: &Chunk, promises: Digest, draft: &mut Draft) -> Result<(), Error> {
        self.check_promises(chunk, &promises)?;
        if let Some(record) = self.chunks.get_mut(chunk)
            && record.promises.is_none()
        {
            record.promises = Some(promises);
            draft.effects.push(Effect::Commit(vec![put(Table::Chunk, chunk_key(chunk), record)]));
        }
        Ok(())
    }

    /// Refuses other promises than those on which this signer published its dealing.
    pub(super) fn check_promises(&self, chunk: &Chunk, promises: &Digest) -> Result<(), Error> {
        let known = self.chunks.get(chunk).and_then(|record| record.promises.as_ref());
        match known.is_some_and(|known| known != promises) && !planted!(PromisesForgotten) {
            true => Err(Error::denied(format!("{chunk}: a dealer has promised something else since"))),
            false => Ok(()),
        }
    }
}

/// Whether an attempt that was begun is still open here.
fn is_open(record: &ChunkRecord) -> bool {
    match record.state {
        ChunkState::Opened(_) => true,
        _ => planted!(DealAfterRefusal) && record.opening.is_some(),
    }
}

/// The parents, each with the Lagrange coefficient of a dealer among the dealers, at their seats in it.
pub(super) fn dealer_weights<'a, G: Group>(
    inputs: &'a Inputs,
    parents: &'a [Option<Arc<ShareSet>>],
    dealer: &'a SignerId,
) -> impl Iterator<Item = Result<(&'a Arc<ShareSet>, G::Scalar), Error>> {
    // Those of one committee have the same, and it takes an inversion.
    let mut last: Option<(&Committee, G::Scalar)> = None;
    parents.iter().flatten().map(move |parent| {
        let committee = &parent.committee;
        let weight = match last {
            Some((before, weight)) if before == committee => weight,
            _ => {
                let seat = |signer| committee.seat_of(signer).map(Seat::get);
                let seats: Option<Vec<u8>> = inputs.dealers.iter().map(seat).collect();
                let weight = seat(dealer).zip(seats).and_then(|(own, seats)| lagrange_at_zero(own, &seats));
                weight.ok_or_else(|| {
                    Error::denied(format!("the dealers do not all hold {}", parent.wallet.id))
                })?
            }
        };
        last = Some((committee, weight));
        Ok((parent, weight))
    })
}

/// The scheme of a chunk's wallets.
pub(super) fn scheme_of(
    wallets: &[PlannedWallet],
    parents: &[Option<Arc<ShareSet>>],
) -> Result<perennial_model::wallet::Scheme, Error> {
    match (wallets.first(), parents.first()) {
        (Some(PlannedWallet::New(wallet)), _) => Ok(wallet.chain.scheme()),
        (_, Some(Some(parent))) => Ok(parent.scheme()),
        _ => Err(Error::Bug("a chunk without wallets".into())),
    }
}
