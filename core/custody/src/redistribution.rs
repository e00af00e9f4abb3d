//! The secret half of redistribution: one primitive for key generation and for every way that shares move.
//!
//! A dealer's polynomial exists inside [`deal`] alone; its result is commitments and ciphertext. A holder's
//! sub-shares exist inside [`receive`] alone; its result is the new shares. All wallets of a chunk go through
//! together, and a chunk of one takes the same path.

use crate::seal::{OneTimeSeed, seal};
use crate::share::Share;
use perennial_model::committee::{Seat, SignerId};
use perennial_model::dealing::{
    CheckedDealing, Contribution, Dealing, Inputs, Opening, SchnorrProof, SealedSubShares, WalletDealing,
    Weighed, contribution_challenge, small_random,
};
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::group::{Group, Point, SCALAR_BYTES, Scalar};
use perennial_model::identity::Said;
use perennial_model::plan::PlannedWallet;
use perennial_model::refusal::Fault;
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
    let mut coefficients = Zeroizing::new(Vec::with_capacity(terms.wallets.len() * threshold));
    let mut plaintexts: Vec<Zeroizing<Vec<u8>>> = terms
        .holders
        .iter()
        .map(|_| Zeroizing::new(Vec::with_capacity(terms.wallets.len() * SCALAR_BYTES)))
        .collect();
    for at in 0..terms.wallets.len() {
        let polynomial = polynomial::<G>(at, threshold, constants, rng)?;
        coefficients.extend_from_slice(&polynomial);
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
    let points = G::commit_all(&coefficients);
    let mut wallets = Vec::with_capacity(terms.wallets.len());
    for (at, points) in points.chunks(threshold).enumerate() {
        let contribution = match constants {
            Constants::Fresh => {
                Some(contribute::<G>(terms, at, &coefficients[at * threshold], &points[0], rng))
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

/// Opens, checks and adds up the sub-shares of all dealers: the new shares, in the order of the chunk.
///
/// # Errors
/// [`Refused`] names the first dealer whose sub-shares do not open or do not lie on its polynomial.
pub fn receive<G: Group>(
    inputs: &Inputs,
    me: &SignerId,
    seat: Seat,
    seed: &OneTimeSeed,
    dealings: &[(&Said<Dealing>, CheckedDealing<G>)],
    rng: &mut dyn CryptoRng,
) -> Result<Zeroizing<Vec<G::Scalar>>, Refused> {
    let mut sums: Zeroizing<Vec<G::Scalar>> = Zeroizing::new(Vec::new());
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
        // A refusal is signed and names a signer, so it follows from equations that were asked one by one.
        let mut on_all =
            || on_polynomials::<G>(&values, checked, seat, rng) || on_each::<G>(&values, checked, seat);
        if !perennial_model::planted!(SkipVerification) && !on_all() {
            return Err(refused(Fault::OffPolynomial));
        }
        if sums.is_empty() {
            sums.extend_from_slice(&values);
        } else {
            sums.iter_mut().zip(values.iter()).for_each(|(sum, value)| *sum = *sum + *value);
        }
    }
    Ok(sums)
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

/// Whether `values_w · G = Σ A_wk · seat^k` for every wallet, as one equation with random coefficients: those that the
/// dealing was checked with, where it was, since their sum of the constants is half of the work.
fn on_polynomials<G: Group>(
    values: &[G::Scalar],
    checked: &CheckedDealing<G>,
    seat: Seat,
    rng: &mut dyn CryptoRng,
) -> bool {
    let coefficients = &checked.coefficients;
    let degree = coefficients.first().map_or(0, Vec::len);
    let column = |k: usize| coefficients.iter().map(|wallet| wallet[k]).collect::<Vec<G::Element>>();
    let weighed = checked.weighed.clone().unwrap_or_else(|| {
        let weights = small_random::<G::Scalar>(coefficients.len(), rng);
        let constants = G::sum_public(&weights, &column(0));
        Weighed { weights, constants }
    });
    let weights = &weighed.weights;
    let mut left = weights.iter().zip(values).fold(G::Scalar::ZERO, |sum, (r, value)| sum + *r * *value);
    let mut combined = vec![weighed.constants];
    combined.extend((1..degree).map(|k| G::sum_public(weights, &column(k))));
    let right = perennial_model::share_set::evaluate_in_exponent::<G>(&combined, seat);
    let same = weights.len() == values.len() && G::generate(&left) == right;
    left.zeroize();
    same
}

/// The same, one by one and without anything that was computed before.
fn on_each<G: Group>(values: &[G::Scalar], checked: &CheckedDealing<G>, seat: Seat) -> bool {
    let on = |(value, coefficients): (&G::Scalar, &Vec<G::Element>)| {
        G::generate(value) == perennial_model::share_set::evaluate_in_exponent::<G>(coefficients, seat)
    };
    values.len() == checked.coefficients.len() && values.iter().zip(&checked.coefficients).all(on)
}

/// Whether `shares_w · G = X_w` for every wallet, as one equation with random coefficients.
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
