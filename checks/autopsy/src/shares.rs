//! Opening shares as a signer would: the slot's key under the wrapping key, the share's ciphertext under that.

use crate::body::Body;
use perennial_custody::keyslots::unlock;
use perennial_custody::serving::share_context;
use perennial_model::committee::Seat;
use perennial_model::group::{Group, SCALAR_BYTES, Scalar};
use perennial_model::share_set::ShareSet;
use perennial_model::with_group;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A share that records name, and what came of opening it.
pub struct FoundShare {
    /// The public face of its epoch.
    pub share_set: Arc<ShareSet>,
    /// Its seat; none if the signer is in no seat of its own record.
    pub seat: Option<Seat>,
    /// The scalar's canonical bytes, if it opened and is the share that its epoch published a point for.
    pub secret: Option<Zeroizing<[u8; SCALAR_BYTES]>>,
}

/// Tries every share that `records` names with the slots and the wrapping key of `keys`. They may be the same
/// directory, or an old copy and what is there today.
pub fn open_all(records: &Body, keys: &Body) -> Vec<FoundShare> {
    let held = records.wallets.iter().flat_map(|(_, record)| &record.held);
    held.map(|held| {
        let share_set = held.share_set.clone();
        let seat = share_set.committee.seat_of(&records.signer);
        let slot = keys.slot(held.locked.slot);
        let secret = keys.wrapping.open(held.locked.slot, &slot).and_then(|key| {
            unlock(&key, &share_context(&share_set, &records.signer).0, &held.locked.ciphertext.0)
        });
        let secret = secret.and_then(|bytes| {
            let mut scalar = Zeroizing::new([0; SCALAR_BYTES]);
            (bytes.len() == SCALAR_BYTES).then(|| scalar.copy_from_slice(&bytes))?;
            is_published(&share_set, seat?, &scalar).then_some(scalar)
        });
        FoundShare { share_set, seat, secret }
    })
    .collect()
}

/// Whether `scalar · G` is the point that the epoch published for the seat.
fn is_published(share_set: &ShareSet, seat: Seat, scalar: &[u8; SCALAR_BYTES]) -> bool {
    let Some(published) = share_set.verification_share(seat) else { return false };
    with_group!(share_set.scheme(), G => {
        <<G as Group>::Scalar as Scalar>::decode(scalar)
            .is_some_and(|scalar| G::encode(&G::generate(&scalar)) == *published)
    })
}
