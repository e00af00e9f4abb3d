//! Cutting a plan into portions: wallets that go through together.

use minicbor::{Decode, Encode};
use perennial_model::Error;
use perennial_model::committee::{Committee, SignerId};
use perennial_model::plan::{CHUNK_WALLETS_MAX, Plan};
use perennial_model::wallet::Scheme;

/// Wallets that stand together in a plan and can share a chunk.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Portion {
    /// The place of its first wallet in the plan.
    #[n(0)]
    pub first: u32,
    /// How many wallets.
    #[n(1)]
    pub count: u32,
    /// How they sign.
    #[n(2)]
    pub scheme: Scheme,
    /// Who holds their parent share sets; none where keys are made.
    #[n(3)]
    pub parent: Option<Committee>,
}

/// What has to be known of a wallet to cut a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ground {
    /// How it signs.
    pub scheme: Scheme,
    /// Who should hold its parent share set; none where keys are made.
    pub parent: Option<Committee>,
    /// Who is known to hold it.
    pub holders: Vec<SignerId>,
}

/// Cuts a plan: neighbours of one scheme under one parent committee share a portion of at most `limit` wallets, as long
/// as enough of those known to hold one hold all of them, so that they can be its dealers. `known` tells of the wallet
/// at a place.
///
/// # Errors
/// What `known` says of the first wallet that cannot take part.
pub fn cut(
    plan: &Plan,
    limit: u32,
    known: &dyn Fn(usize) -> Result<Ground, Error>,
) -> Result<Vec<Portion>, Error> {
    let limit = limit.clamp(1, CHUNK_WALLETS_MAX);
    let mut portions: Vec<Portion> = Vec::new();
    let mut in_common: Vec<SignerId> = Vec::new();
    for at in 0..plan.wallets.len() {
        let Ground { scheme, parent, mut holders } = known(at)?;
        let dealers = parent.as_ref().map_or(0, |parent| usize::from(parent.threshold()));
        if holders.len() < dealers {
            // Too little is known of it: whoever should hold it may.
            holders = parent.iter().flat_map(Committee::signers).cloned().collect();
        }
        let both: Vec<SignerId> = in_common.iter().filter(|one| holders.contains(one)).cloned().collect();
        match portions.last_mut() {
            Some(last)
                if last.count < limit
                    && last.scheme == scheme
                    && last.parent == parent
                    && both.len() >= dealers =>
            {
                last.count += 1;
                in_common = both;
            }
            _ => {
                portions.push(Portion { first: at as u32, count: 1, scheme, parent });
                in_common = holders;
            }
        }
    }
    Ok(portions)
}
