//! What an attempt comes to: one share set per wallet, and the root over all of them.
//!
//! The coordinator computes what every holder computes for itself.

use crate::ceremony::heard::Heard;
use crate::ceremony::states::Terms;
use minicbor::{Decode, Encode};
use perennial_model::Error;
use perennial_model::dealing::{CheckedDealing, Dealing, Inputs, published_coefficients};
use perennial_model::encoding::{self, Digest};
use perennial_model::group::Group;
use perennial_model::plan::{Action, PlannedWallet};
use perennial_model::share_set::ShareSet;
use perennial_model::transcript::{Before, Transcript};
use perennial_model::wallet::Wallet;
use perennial_model::with_group;

/// The share sets that one attempt at one chunk makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// The chunk, the dealers and the holders.
    pub inputs: Inputs,
    /// What the votes name.
    pub root: Digest,
    /// One share set per wallet, in the order of the chunk.
    pub share_sets: Vec<ShareSet>,
    /// Their digests, which the next plan names.
    pub digests: Vec<Digest>,
}

#[derive(Encode, Decode)]
struct Written<S> {
    #[n(0)]
    inputs: Inputs,
    #[n(1)]
    root: Digest,
    #[n(2)]
    share_sets: S,
}

impl Generation {
    /// Puts it together; the digests follow from the share sets.
    pub fn new(inputs: Inputs, root: Digest, share_sets: Vec<ShareSet>) -> Self {
        let digests = share_sets.iter().map(encoding::digest).collect();
        Self { inputs, root, share_sets, digests }
    }
}

impl<C> Encode<C> for Generation {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let written = Written { inputs: self.inputs.clone(), root: self.root, share_sets: &self.share_sets };
        written.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Generation {
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let written = Written::<Vec<ShareSet>>::decode(decoder, context)?;
        Ok(Self::new(written.inputs, written.root, written.share_sets))
    }
}

/// Computes the generation that these dealings, one per dealer and in their order, come to. `parents` are the
/// share sets that the plan names for the chunk; empty where keys are made.
///
/// # Errors
/// `Misbehaved` names the dealer whose dealing is wrong for all to see; `Stale` when the dealings cancel out or a
/// parent is unknown: the next attempt deals anew; `Bug` when a parent has no key.
pub fn transcribe(
    terms: &Terms,
    inputs: &Inputs,
    dealings: &[&Heard<Dealing>],
    parents: &[&ShareSet],
) -> Result<Generation, Error> {
    let planned = terms.plan().wallets_of(&terms.chunk)?;
    if terms.plan().action == Action::Refresh && parents.len() != planned.len() {
        return Err(Error::stale(format!("{}: a parent share set is not known", terms.chunk)));
    }
    for dealing in dealings {
        check_shape(terms, inputs, dealing)?;
    }
    let transcript = with_group!(terms.scheme, G => compute::<G>(terms, inputs, dealings, planned, parents))?;
    let share_sets = (0..planned.len()).map(|at| transcript.share_set(at)).collect();
    Ok(Generation::new(transcript.inputs, transcript.root, share_sets))
}

/// The wallet of a planned one, where the plan makes it.
pub fn new_wallet(planned: &PlannedWallet) -> Option<&Wallet> {
    match planned {
        PlannedWallet::New(wallet) => Some(wallet),
        PlannedWallet::Held(..) => None,
    }
}

fn compute<G: Group>(
    terms: &Terms,
    inputs: &Inputs,
    dealings: &[&Heard<Dealing>],
    planned: &[PlannedWallet],
    parents: &[&ShareSet],
) -> Result<Transcript, Error> {
    let dealings = dealings
        .iter()
        .map(|dealing| Ok((dealing.said(), decode::<G>(terms, dealing)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let before: Vec<Before<'_>> = planned
        .iter()
        .enumerate()
        .map(|(at, planned)| Before { planned, parent: parents.get(at).copied() })
        .collect();
    Transcript::of_dealings(inputs.clone(), &terms.plan().committee, &before, &dealings)
}

/// Reads the points of a dealing. The holders check them in full.
fn decode<G: Group>(terms: &Terms, dealing: &Heard<Dealing>) -> Result<CheckedDealing<G>, Error> {
    let wallets = dealing.body().wallets.iter();
    let coefficients = wallets
        .map(|wallet| wallet.coefficients.iter().map(G::read_commitment).collect::<Option<Vec<_>>>())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| {
            let what = format!("{}: a commitment that is no element of the group", terms.chunk);
            Error::misbehaved(dealing.signer(), what)
        })?;
    Ok(CheckedDealing { dealer: dealing.signer().clone(), coefficients })
}

fn check_shape(terms: &Terms, inputs: &Inputs, dealing: &Heard<Dealing>) -> Result<(), Error> {
    let body = dealing.body();
    let published = published_coefficients(terms.plan());
    let create = terms.plan().action == Action::Create;
    let shaped = body.chunk == terms.chunk
        && body.inputs == inputs.digest()
        && body.wallets.len() == terms.chunk.count as usize
        && body.sub_shares.iter().map(|sealed| &sealed.receiver).eq(&inputs.holders)
        && body
            .wallets
            .iter()
            .all(|wallet| wallet.coefficients.len() == published && wallet.contribution.is_some() == create);
    if shaped {
        return Ok(());
    }
    let what = format!("{}: a dealing of another number of wallets, holders or coefficients", terms.chunk);
    Err(Error::misbehaved(dealing.signer(), what))
}
