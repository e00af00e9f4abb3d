//! What a signer alone can hold against a mandate: its own clock and its own count.
//!
//! Both are in its records already: the last Retirement of a wallet says when, and the number of what was retired says
//! how far numbers may go. Nobody else's word about either is asked.

use crate::keeper::Keeper;
use crate::pinned::CLOCK_SKEW_MS;
use crate::record::ChunkState;
use perennial_model::approval::Approved;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::error::Error;
use perennial_model::mandate::Mandate;
use perennial_model::plan::Chunk;
use perennial_model::planted;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{TenantId, WalletId};
use std::sync::Arc;

impl Keeper {
    /// Refuses what goes beyond the mandate under which a plan is made, as far as this signer's own records tell. A
    /// plan that people approved themselves has none.
    pub(crate) fn check_mandate(
        &self,
        now_ms: u64,
        approved: &Approved,
        chunk: &Chunk,
        parents: &[Option<Arc<ShareSet>>],
    ) -> Result<(), Error> {
        let Some(mandate) = approved.mandate() else { return Ok(()) };
        let digest = mandate.digest();
        if self.orders.rests(&digest, mandate) && !planted!(MandateNeverRests) {
            return Err(Error::denied(format!("{chunk}: mandate {} rests by order", digest.short())));
        }
        for parent in parents.iter().flatten() {
            self.check_renewal(now_ms, mandate, &digest, chunk, parent)?;
        }
        Ok(())
    }

    fn check_renewal(
        &self,
        now_ms: u64,
        mandate: &Mandate,
        digest: &Digest,
        chunk: &Chunk,
        parent: &ShareSet,
    ) -> Result<(), Error> {
        let wallet = &parent.wallet.id;
        let denied = |reason: String| Err(Error::denied(format!("mandate {}: {reason}", digest.short())));
        // Papers about a wallet count for nothing here: nobody approved them, and a number that was taken stays taken.
        let on_papers = planted!(MandateOnPapers).then_some((parent.epoch, 0));
        let Some((retired, renewed_ms)) = self.last_retired(wallet, &mandate.tenant).or(on_papers) else {
            return denied(format!("no epoch of {wallet} was retired here: it takes a plan of people's own"));
        };
        if parent.epoch != retired && !planted!(MandateFromAnyEpoch) {
            return denied(format!(
                "{wallet} was last retired at {retired}, and this begins at {}",
                parent.epoch
            ));
        }
        if chunk.epoch.rank != retired.rank && !planted!(MandateOfAnyRank) {
            return denied(format!("it keeps the rank of {retired}, and this is {}", chunk.epoch));
        }
        let highest = retired.count.saturating_add(mandate.attempts);
        let is_within =
            (retired.count < chunk.epoch.count && chunk.epoch.count <= highest) || planted!(MandateOfAnyRank);
        if !is_within && !planted!(MandateNumbersUnbounded) {
            return denied(format!(
                "{wallet} stands at {retired}, so its numbers go to {}.{highest} until a plan of people's own renews \
                 it; this is {}",
                retired.rank, chunk.epoch
            ));
        }
        if now_ms.saturating_add(CLOCK_SKEW_MS) < renewed_ms && !planted!(MandateWithoutClock) {
            return denied(format!("this signer's clock went back behind {wallet}'s last Retirement"));
        }
        match left_ms(now_ms, renewed_ms, mandate) {
            0 => Ok(()),
            left_ms => denied(format!("{wallet} may be renewed again in {left_ms} ms")),
        }
    }

    /// Puts off a Retirement that comes too soon after the last one of a wallet. Several numbers may be opened, and then
    /// kept, before the first of them is retired; each gap lets one of them erase.
    pub(crate) fn check_gap(&self, now_ms: u64, approved: &Approved, chunk: &Chunk) -> Result<(), Error> {
        let Some(mandate) = approved.mandate().filter(|_| !planted!(RetireWithoutGap)) else { return Ok(()) };
        for wallet in approved.plan().wallets_of(chunk)? {
            let last =
                self.last_retired(wallet.id(), &mandate.tenant).filter(|(retired, _)| *retired < chunk.epoch);
            let left_ms = last.map_or(0, |(_, renewed_ms)| left_ms(now_ms, renewed_ms, mandate));
            if left_ms > 0 {
                let wallet = wallet.id();
                return Err(Error::stale(format!(
                    "{chunk}: under its mandate {wallet} may be retired again in {left_ms} ms"
                )));
            }
        }
        Ok(())
    }

    /// The highest epoch of a tenant's wallet that was retired here, and when this signer erased what was below it.
    fn last_retired(&self, wallet: &WalletId, tenant: &TenantId) -> Option<(Epoch, u64)> {
        let is_theirs =
            |chunk: &&Chunk| self.plans.get(&chunk.plan).is_some_and(|plan| plan.plan().tenant == *tenant);
        let chunks = self.chunks_of.get(wallet)?.iter().filter(is_theirs);
        let retired = chunks.filter_map(|chunk| {
            let record = self.chunks.get(chunk)?;
            let ChunkState::Retired(since_ms) = record.state else { return None };
            let receipt = record.receipt.as_ref().and_then(|receipt| receipt.read_unchecked().ok());
            Some((chunk.epoch, receipt.map_or(since_ms, |receipt| receipt.erased_at_ms)))
        });
        retired.max()
    }
}

/// How long a wallet renewed then has to wait. A clock that went back behind that says nothing of the time since.
fn left_ms(now_ms: u64, renewed_ms: u64, mandate: &Mandate) -> u64 {
    if planted!(MandateWithoutClock) {
        return 0;
    }
    let since_ms = now_ms.saturating_add(CLOCK_SKEW_MS).checked_sub(renewed_ms);
    since_ms.map_or(0, |since_ms| mandate.least_gap_ms.saturating_sub(since_ms))
}
