//! The secret half of redistribution: one primitive for key generation and for every way that shares move.
//!
//! A dealer's polynomial exists inside [`deal`] alone; its result is commitments and ciphertext. A holder's
//! sub-shares exist in [`Received`] until their sums have been found right. All wallets of a chunk go through
//! together, and a chunk of one takes the same path.

use crate::seal::{OneTimeSeed, seal};
use crate::share::Share;
use perennial_model::committee::{Seat, SignerId};
use perennial_model::dealing::{
    CheckedDealing, Contribution, Dealing, Inputs, Opening, SchnorrProof, SealedSubShares, WalletDealing,
    contribution_challenge, small_random,
};
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::group::{Group, Point, SCALAR_BYTES, Scalar};
use perennial_model::identity::Said;
use perennial_model::plan::PlannedWallet;
use perennial_model::refusal::Fault;
use perennial_model::share_set::evaluate_in_exponent;
use perennial_model::vote::possession_challenge;
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// What a dealer's constant coefficients are.
pub enum Constants<'a, G: Group> {
    /// `λ_i · x_i` for each wallet: the weights are public, the shares are not.
    Redealt(&'a [(G::Scalar, Share)]),
    /// Random ones: a key is being made.
    Fresh,
}

/// Who deals what to whom.
pub struct DealTerms<'a> {
    /// What all dealers agree on.
    pub inputs: &'a Inputs,
    /// The wallets of the chunk.
    pub wallets: &'a [PlannedWallet],
    /// The new threshold.
    pub threshold: u8,
    /// The holders' openings with their seats, in the order of the inputs.
    pub holders: Vec<(Seat, &'a Said<Opening>)>,
    /// The dealer.
    pub dealer: &'a SignerId,
}

/// What a sub-share is sealed under.
fn sub_share_context(inputs: &Inputs, dealer: &SignerId, receiver: &SignerId) -> Digest {
    Digest::of_parts(
        "perennial/sub-shares/v1",
        &[&inputs.digest().0, dealer.as_str().as_bytes(), receiver.as_str().as_bytes()],
    )
}

/// Makes one dealing of a whole chunk. The polynomials are gone when it returns.
///
/// # Errors
/// `Bug` when a share is no scalar of the group; `Misbehaved` names a holder whose one-time key is no key.
pub fn deal<G: Group>(
    terms: &DealTerms<'_>,
    constants: &Constants<'_, G>,
    rng: &mut dyn CryptoRng,
) -> Result<Dealing, Error> {
    let threshold = usize::from(terms.threshold);
    // What a re-dealt share commits to is known to all.
    let known = usize::from(matches!(constants, Constants::Redealt(_)));
    let of_each = threshold - known;
    let mut committed_to = Zeroizing::new(Vec::with_capacity(terms.wallets.len() * of_each));
    let mut plaintexts: Vec<Zeroizing<Vec<u8>>> = terms
        .holders
        .iter()
        .map(|_| Zeroizing::new(Vec::with_capacity(terms.wallets.len() * SCALAR_BYTES)))
        .collect();
    for at in 0..terms.wallets.len() {
        let polynomial = polynomial::<G>(at, threshold, constants, rng)?;
        committed_to.extend_from_slice(&polynomial[known..]);
        for ((seat, _), plaintext) in terms.holders.iter().zip(&mut plaintexts) {
            let mut value = evaluate(&polynomial, *seat);
            if perennial_model::lying!()
                && at == 0
                && terms.holders.last().is_some_and(|last| last.0 == *seat)
            {
                value = value + G::Scalar::ONE;
            }
            let mut bytes = value.encode();
            plaintext.extend_from_slice(&bytes);
            bytes.zeroize();
            value.zeroize();
        }
    }
    let points = G::commit_all(&committed_to);
    let mut wallets = Vec::with_capacity(terms.wallets.len());
    for (at, points) in points.chunks(of_each).enumerate() {
        let contribution = match constants {
            Constants::Fresh => {
                Some(contribute::<G>(terms, at, &committed_to[at * of_each], &points[0], rng))
            }
            Constants::Redealt(_) => None,
        };
        wallets.push(WalletDealing { coefficients: points.to_vec(), contribution });
    }
    let sub_shares = seal_all(terms, &plaintexts, rng)?;
    Ok(Dealing { chunk: terms.inputs.chunk, inputs: terms.inputs.digest(), wallets, sub_shares })
}

fn polynomial<G: Group>(
    at: usize,
    threshold: usize,
    constants: &Constants<'_, G>,
    rng: &mut dyn CryptoRng,
) -> Result<Zeroizing<Vec<G::Scalar>>, Error> {
    let mut polynomial = Zeroizing::new(Vec::with_capacity(threshold));
    if let Constants::Redealt(shares) = constants {
        let (weight, share) = &shares[at];
        let mut value = G::Scalar::decode(share.danger_secret_bytes())
            .ok_or_else(|| Error::Bug("a stored share is no scalar of its group".into()))?;
        polynomial.push(*weight * value);
        value.zeroize();
    }
    while polynomial.len() < threshold {
        polynomial.push(random_scalar::<G>(rng));
    }
    Ok(polynomial)
}

fn random_scalar<G: Group>(rng: &mut dyn CryptoRng) -> G::Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    rng.fill_bytes(&mut *wide);
    G::Scalar::reduce(&wide)
}

fn evaluate<S: Scalar>(polynomial: &[S], seat: Seat) -> S {
    let at = S::from_u64(seat.get().into());
    polynomial.iter().rev().fold(S::ZERO, |sum, coefficient| sum * at + *coefficient)
}

fn contribute<G: Group>(
    terms: &DealTerms<'_>,
    at: usize,
    secret: &G::Scalar,
    constant: &Point,
    rng: &mut dyn CryptoRng,
) -> Contribution {
    let mut nonce = random_scalar::<G>(rng);
    let commitment = G::encode(&G::generate(&nonce));
    let wallet = terms.wallets[at].id().as_str();
    let challenge =
        contribution_challenge::<G>(&terms.inputs.chunk, wallet, terms.dealer, constant, &commitment);
    let response = (nonce + challenge * *secret).encode();
    nonce.zeroize();
    let mut entropy = [0; 32];
    rng.fill_bytes(&mut entropy);
    Contribution { proof: SchnorrProof { commitment, response }, entropy }
}

fn seal_all(
    terms: &DealTerms<'_>,
    plaintexts: &[Zeroizing<Vec<u8>>],
    rng: &mut dyn CryptoRng,
) -> Result<Vec<SealedSubShares>, Error> {
    let mut sub_shares = Vec::with_capacity(plaintexts.len());
    for ((_, opening), plaintext) in terms.holders.iter().zip(plaintexts) {
        let receiver = &opening.signer;
        let context = sub_share_context(terms.inputs, terms.dealer, receiver);
        let sealed = opening
            .body
            .key_for(terms.dealer)
            .and_then(|key| seal(key, &context.0, plaintext, rng))
            .ok_or_else(|| Error::misbehaved(receiver, "published a one-time key that is no key"))?;
        sub_shares.push(SealedSubShares { receiver: receiver.clone(), sealed });
    }
    Ok(sub_shares)
}

/// Why a holder does not get its shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The dealer whose sub-shares are bad.
    pub dealer: SignerId,
    /// What is wrong with them.
    pub fault: Fault,
}

/// The sub-shares that one holder was dealt.
pub struct Received<G: Group> {
    /// Those of each dealer in turn, in the order of the chunk.
    of_each: Vec<Zeroizing<Vec<G::Scalar>>>,
    /// Their sums: the new shares, if they fit.
    pub shares: Zeroizing<Vec<G::Scalar>>,
}

/// Opens the sub-shares of all dealers and adds them up. Whether they are what was dealt is not asked here.
///
/// # Errors
/// [`Refused`] names the first dealer whose sub-shares do not open.
pub fn receive<G: Group>(
    inputs: &Inputs,
    me: &SignerId,
    seed: &OneTimeSeed,
    dealings: &[(&Said<Dealing>, CheckedDealing<G>)],
) -> Result<Received<G>, Refused> {
    let mut of_each = Vec::with_capacity(dealings.len());
    let mut shares: Zeroizing<Vec<G::Scalar>> = Zeroizing::new(Vec::new());
    for (said, checked) in dealings {
        let refused = |fault| Refused { dealer: checked.dealer.clone(), fault };
        let context = sub_share_context(inputs, &checked.dealer, me);
        let plaintext = said
            .body
            .sub_shares
            .iter()
            .find(|sealed| &sealed.receiver == me)
            .and_then(|sealed| seed.open(&checked.dealer, &context.0, &sealed.sealed))
            .ok_or_else(|| refused(Fault::DoesNotOpen))?;
        let values =
            scalars::<G>(&plaintext, checked.coefficients.len()).ok_or_else(|| refused(Fault::NotScalars))?;
        if shares.is_empty() {
            shares.extend_from_slice(&values);
        } else {
            shares.iter_mut().zip(values.iter()).for_each(|(sum, value)| *sum = *sum + *value);
        }
        of_each.push(values);
    }
    Ok(Received { of_each, shares })
}

impl<G: Group> Received<G> {
    /// Finds the first dealer of whom a sub-share does not lie on its polynomial at `seat`, asked one by one: a refusal
    /// is signed and names a signer. `constants` gives the commitment `λ_i · X_i` of a dealer for each wallet; nothing,
    /// where it is published.
    ///
    /// # Errors
    /// Those of `constants`.
    pub fn blame(
        &self,
        seat: Seat,
        dealings: &[(&Said<Dealing>, CheckedDealing<G>)],
        constants: impl Fn(&SignerId) -> Result<Vec<G::Element>, Error>,
    ) -> Result<Option<Refused>, Error> {
        for (values, (_, checked)) in self.of_each.iter().zip(dealings) {
            let dealer = &checked.dealer;
            let constants = constants(dealer)?;
            let lies_on = |(at, value): (usize, &G::Scalar)| {
                let constant = constants.get(at).copied();
                let polynomial: Vec<_> =
                    constant.into_iter().chain(checked.coefficients[at].clone()).collect();
                G::generate(value) == evaluate_in_exponent::<G>(&polynomial, seat)
            };
            if !values.iter().enumerate().all(lies_on) {
                return Ok(Some(Refused { dealer: dealer.clone(), fault: Fault::OffPolynomial }));
            }
        }
        Ok(None)
    }
}

fn scalars<G: Group>(plaintext: &[u8], count: usize) -> Option<Zeroizing<Vec<G::Scalar>>> {
    if plaintext.len() != count * SCALAR_BYTES {
        return None;
    }
    let mut values = Zeroizing::new(Vec::with_capacity(count));
    for bytes in plaintext.chunks_exact(SCALAR_BYTES) {
        values.push(G::Scalar::decode(bytes.try_into().ok()?)?);
    }
    Some(values)
}

/// Whether `shares_w · G = X_w` for every wallet, as one equation with random factors. For new shares this is the check
/// of all dealings: `X_w` is the sum of all polynomials at the holder's seat. Sub-shares that are wrong by amounts that
/// cancel out make the share that honest ones would have made.
pub fn shares_fit<G: Group>(
    shares: &[G::Scalar],
    verification: &[G::Element],
    rng: &mut dyn CryptoRng,
) -> bool {
    let random = small_random::<G::Scalar>(shares.len(), rng);
    let mut left = random.iter().zip(shares).fold(G::Scalar::ZERO, |sum, (r, share)| sum + *r * *share);
    let fits =
        shares.len() == verification.len() && G::generate(&left) == G::sum_public(&random, verification);
    left.zeroize();
    fits
}

/// Proves possession of all shares of a chunk at once (Gennaro et al. 2004): `s = r + Σ c^k · x_k`.
pub fn prove_possession<G: Group>(
    inputs: &Digest,
    root: &Digest,
    me: &SignerId,
    shares: &[G::Scalar],
    rng: &mut dyn CryptoRng,
) -> SchnorrProof {
    let mut response = random_scalar::<G>(rng);
    let commitment = G::encode(&G::generate(&response));
    let challenge = possession_challenge::<G>(inputs, root, me, &commitment);
    let mut power = G::Scalar::ONE;
    for share in shares {
        power = power * challenge;
        response = response + power * *share;
    }
    let proof = SchnorrProof { commitment, response: response.encode() };
    response.zeroize();
    proof
}

#[cfg(test)]
mod tests;
