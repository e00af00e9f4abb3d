//! What is published while shares move: openings, the inputs that all dealers agree on, commitments to
//! dealings, and the dealings; with the checks that anyone can make.
//!
//! Verifiable redistribution with Feldman commitments (Feldman 1987; Herzberg et al. 1995; Desmedt, Jajodia
//! 1997; Wong, Wang, Wing 2002). A dealer re-deals `λ_i · x_i`, whose commitment `λ_i · X_i` everybody knows, so it is
//! not sent. The constants of all dealers add up to the key, so a new share that fits the dealings is one of that key.

use crate::committee::{Committee, SignerId};
use crate::encoding::{self, Bytes, Digest, Document};
use crate::error::Error;
use crate::group::{Group, Point, Scalar};
use crate::identity::Said;
use crate::plan::{Action, Chunk, Plan, PlannedWallet};
use crate::planted;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

/// A one-time X25519 key for what one counterparty sends in one attempt.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct OneTimeKey {
    /// Who may seal to it.
    #[n(0)]
    pub counterparty: SignerId,
    /// Its public half.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub public: [u8; 32],
}

/// A new holder's one-time keys for one chunk of one attempt.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Opening {
    /// The chunk.
    #[n(0)]
    pub chunk: Chunk,
    /// One key per possible dealer, itself included.
    #[n(1)]
    pub keys: Vec<OneTimeKey>,
}

impl Document for Opening {
    const KIND: &'static str = "opening";
}

/// What every dealer of an attempt has to agree on before it deals. The parents are named by the plan.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Inputs {
    /// The chunk, and with it plan and epoch.
    #[n(0)]
    pub chunk: Chunk,
    /// The dealers `D` in the order of the parent's seats.
    #[n(1)]
    pub dealers: Vec<SignerId>,
    /// The activation set `A`: the holders whose openings are in, in the order of the new seats.
    #[n(2)]
    pub holders: Vec<SignerId>,
    /// The digest of their openings, in the same order.
    #[n(3)]
    pub openings: Digest,
}

impl Document for Inputs {
    const KIND: &'static str = "inputs";
}

impl Inputs {
    /// The inputs that these openings give.
    pub fn new(chunk: Chunk, dealers: Vec<SignerId>, openings: &[Said<Opening>]) -> Self {
        let holders = openings.iter().map(|opening| opening.signer.clone()).collect();
        Self {
            chunk,
            dealers,
            holders,
            openings: digest_of_all("openings", openings.iter().map(|o| &o.digest)),
        }
    }

    /// The digest that commitments, dealings and votes name.
    pub fn digest(&self) -> Digest {
        encoding::digest(self)
    }

    /// Checks dealers and holders against plan and parent: exactly `t` of the parent's holders deal (all new
    /// holders, where a key is made), and enough new holders take part.
    ///
    /// # Errors
    /// `Denied` when the coordinator put the attempt together wrongly.
    pub fn check(&self, plan: &Plan, parent: Option<&Committee>) -> Result<(), Error> {
        plan.wallets_of(&self.chunk)?;
        let denied = |reason: &str| Err(Error::denied(format!("{}: {reason}", self.chunk)));
        if !is_subsequence(&self.holders, &plan.committee) {
            return denied(
                "the holders are not members of the approved committee in the order of their seats",
            );
        }
        if self.holders.len() < plan.activation_size() && !planted!(SmallActivationSet) {
            return denied("fewer holders than the plan demands for an activation");
        }
        match (plan.action, parent) {
            (Action::Create, _) if self.dealers == self.holders => Ok(()),
            (Action::Create, _) => denied("when a key is made, every holder deals"),
            (Action::Refresh, Some(parent)) => {
                if self.dealers.len() != usize::from(parent.threshold())
                    || !is_subsequence(&self.dealers, parent)
                {
                    return denied(
                        "the dealers are not exactly t of the parent's holders in the order of their seats",
                    );
                }
                Ok(())
            }
            (Action::Refresh, None) => denied("a refresh needs a parent share set"),
        }
    }

    /// Checks that these are the openings that the inputs name, for this chunk, in order.
    ///
    /// # Errors
    /// `Denied` when they are others, `Misbehaved` when a holder opened without a key for each dealer.
    pub fn check_openings(&self, openings: &[Said<Opening>]) -> Result<(), Error> {
        let rebuilt = Self::new(self.chunk, self.dealers.clone(), openings);
        if rebuilt != *self && !planted!(OpeningsUnchecked) {
            return Err(Error::denied(format!(
                "{}: these are not the openings that the inputs name",
                self.chunk
            )));
        }
        for opening in openings {
            let complete = self.dealers.iter().all(|dealer| opening.body.key_for(dealer).is_some());
            if (opening.body.chunk != self.chunk || !complete) && !planted!(OpeningsUnchecked) {
                return Err(Error::misbehaved(
                    &opening.signer,
                    "an opening of another chunk or without a key for each dealer",
                ));
            }
        }
        Ok(())
    }
}

impl Opening {
    /// The key that a counterparty seals to.
    pub fn key_for(&self, counterparty: &SignerId) -> Option<&[u8; 32]> {
        self.keys.iter().find(|key| &key.counterparty == counterparty).map(|key| &key.public)
    }
}

/// A dealer's promise of one dealing, made before it sees any other.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Commitment {
    /// The chunk.
    #[n(0)]
    pub chunk: Chunk,
    /// The digest of the [`Inputs`].
    #[n(1)]
    pub inputs: Digest,
    /// The digest of the dealing.
    #[n(2)]
    pub dealing: Digest,
}

impl Document for Commitment {
    const KIND: &'static str = "commitment";
}

/// A Schnorr proof: `response · G = commitment + challenge-weighted public values`.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SchnorrProof {
    /// `R`.
    #[n(0)]
    pub commitment: Point,
    /// `s`, canonical scalar bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub response: [u8; 32],
}

/// What a dealer adds when a key is made.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Contribution {
    /// Proof of knowledge of `a_i0`, bound to plan, epoch, wallet and dealer.
    #[n(0)]
    pub proof: SchnorrProof,
    /// Its part of the chain code.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub entropy: [u8; 32],
}

/// The public part of a dealing for one wallet.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct WalletDealing {
    /// The commitments to the coefficients, as [`Group::commit_all`] writes them and [`Group::read_commitment`] reads
    /// them: `A_i0 … A_i(t'-1)` where a key is made, `A_i1 … A_i(t'-1)` where shares move.
    #[cbor(n(0), decode_with = "crate::group::decode_commitments")]
    pub coefficients: Vec<Point>,
    /// Present when a key is made.
    #[n(1)]
    pub contribution: Option<Contribution>,
}

/// Sub-shares of a whole chunk, sealed for one receiver (HPKE, RFC 9180, base mode).
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SealedSubShares {
    /// Who can open it.
    #[n(0)]
    pub receiver: SignerId,
    /// The encapsulated key and the ciphertext.
    #[n(1)]
    pub sealed: Sealed,
}

/// An HPKE message.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Sealed {
    /// The encapsulated key, 32 bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub encapsulated: [u8; 32],
    /// The ciphertext with its tag.
    #[n(1)]
    pub ciphertext: Bytes,
}

/// One dealer's dealing of one chunk: ciphertext and commitments, nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Dealing {
    /// The chunk.
    #[n(0)]
    pub chunk: Chunk,
    /// The digest of the [`Inputs`].
    #[n(1)]
    pub inputs: Digest,
    /// One entry per wallet, in the order of the chunk.
    #[n(2)]
    pub wallets: Vec<WalletDealing>,
    /// One ciphertext per holder, in the order of the inputs.
    #[n(3)]
    pub sub_shares: Vec<SealedSubShares>,
}

impl Document for Dealing {
    const KIND: &'static str = "dealing";
}

/// A dealing whose public part was checked.
#[derive(Debug, Clone)]
pub struct CheckedDealing<G: Group> {
    /// The dealer.
    pub dealer: SignerId,
    /// The published coefficients of each wallet, in the exponent.
    pub coefficients: Vec<Vec<G::Element>>,
}

/// Checks what everybody can check of a dealing: shape, degree, canonical points, and proofs of knowledge where a key
/// is made.
///
/// # Errors
/// `Misbehaved` names the dealer: it signed the dealing.
pub fn check_dealing<G: Group>(
    dealing: &Said<Dealing>,
    inputs: &Inputs,
    plan: &Plan,
    rng: &mut dyn CryptoRng,
) -> Result<CheckedDealing<G>, Error> {
    let dealer = &dealing.signer;
    let fault = |what: &str| Error::misbehaved(dealer, format!("{}: {what}", inputs.chunk));
    let wallets = plan.wallets_of(&inputs.chunk)?;
    let body = &dealing.body;
    if body.chunk != inputs.chunk || body.inputs != inputs.digest() {
        return Err(fault("dealt for other inputs than it was asked to"));
    }
    if body.wallets.len() != wallets.len() {
        return Err(fault("dealt for another number of wallets"));
    }
    if !body.sub_shares.iter().map(|sealed| &sealed.receiver).eq(&inputs.holders) {
        return Err(fault("sealed sub-shares for others than the holders"));
    }
    let published = published_coefficients(plan);
    let mut coefficients = Vec::with_capacity(wallets.len());
    for wallet in &body.wallets {
        if wallet.coefficients.len() != published {
            return Err(fault("a polynomial of another degree than t-1"));
        }
        let decoded = wallet.coefficients.iter().map(G::read_commitment).collect::<Option<Vec<_>>>();
        coefficients.push(decoded.ok_or_else(|| fault("a commitment that is no element of the group"))?);
    }
    match plan.action {
        Action::Create => {
            let constants: Vec<_> = coefficients.iter().map(|wallet| wallet[0]).collect();
            check_contributions::<G>(dealing, wallets, &constants, rng)
                .map_err(|at| fault(&format!("no proof that it knows its part of {}", wallets[at].id())))?;
        }
        Action::Refresh if body.wallets.iter().any(|wallet| wallet.contribution.is_some()) => {
            return Err(fault("added to a key that exists"));
        }
        Action::Refresh => {}
    }
    Ok(CheckedDealing { dealer: dealer.clone(), coefficients })
}

/// How many commitments a dealing under this plan has for each wallet.
pub fn published_coefficients(plan: &Plan) -> usize {
    let threshold = usize::from(plan.committee.threshold());
    match plan.action {
        Action::Create => threshold,
        Action::Refresh => threshold - 1,
    }
}

/// Checks the proofs of knowledge together, one by one only if that fails; the error is the first bad one.
fn check_contributions<G: Group>(
    dealing: &Said<Dealing>,
    wallets: &[PlannedWallet],
    constants: &[G::Element],
    rng: &mut dyn CryptoRng,
) -> Result<(), usize> {
    let random = small_random::<G::Scalar>(constants.len(), rng);
    let mut scalars = Vec::with_capacity(2 * constants.len());
    let mut elements = Vec::with_capacity(2 * constants.len());
    let mut response_sum = G::Scalar::ZERO;
    for (at, wallet) in dealing.body.wallets.iter().enumerate() {
        let proof = &wallet.contribution.as_ref().ok_or(at)?.proof;
        let response = G::Scalar::decode(&proof.response).ok_or(at)?;
        let commitment = G::decode(&proof.commitment).ok_or(at)?;
        let challenge = contribution_challenge::<G>(
            &dealing.body.chunk,
            wallets[at].id().as_str(),
            &dealing.signer,
            &wallet.coefficients[0],
            &proof.commitment,
        );
        response_sum = response_sum + random[at] * response;
        scalars.extend([random[at], random[at] * challenge]);
        elements.extend([commitment, constants[at]]);
    }
    if G::generate(&response_sum) == G::sum_public(&scalars, &elements) {
        return Ok(());
    }
    let holds = |at: usize| {
        let challenge = scalars[2 * at + 1] * random[at].invert().unwrap_or(G::Scalar::ZERO);
        dealing.body.wallets[at].contribution.as_ref().is_some_and(|contribution| {
            G::Scalar::decode(&contribution.proof.response).is_some_and(|response| {
                G::generate(&response) == elements[2 * at] + G::multiply_public(&challenge, &constants[at])
            })
        })
    };
    Err((0..constants.len()).find(|at| !holds(*at)).unwrap_or(0))
}

/// The challenge of a dealer's proof that it knows `a_i0`.
pub fn contribution_challenge<G: Group>(
    chunk: &Chunk,
    wallet: &str,
    dealer: &SignerId,
    constant: &Point,
    commitment: &Point,
) -> G::Scalar {
    let number = minicbor::to_vec(chunk).expect("writing to memory does not fail");
    hash_to_scalar::<G>(
        "perennial/contribution/v1",
        &[&number, wallet.as_bytes(), dealer.as_str().as_bytes(), constant.as_bytes(), commitment.as_bytes()],
    )
}

/// A scalar from labelled parts (SHA-256 in two blocks, reduced from 64 bytes).
pub fn hash_to_scalar<G: Group>(label: &str, parts: &[&[u8]]) -> G::Scalar {
    let seed = Digest::of_parts(label, parts);
    let mut wide = [0; 64];
    wide[..32].copy_from_slice(&Digest::of_parts("wide-0", &[&seed.0]).0);
    wide[32..].copy_from_slice(&Digest::of_parts("wide-1", &[&seed.0]).0);
    G::Scalar::reduce(&wide)
}

/// Random 128-bit coefficients for checking many equations as one; a wrong one slips through with 2^-128.
pub fn small_random<S: Scalar>(count: usize, rng: &mut dyn CryptoRng) -> Vec<S> {
    let two_to_64 = S::from_u64(1 << 32) * S::from_u64(1 << 32);
    (0..count).map(|_| S::from_u64(rng.next_u64()) * two_to_64 + S::from_u64(rng.next_u64())).collect()
}

/// One digest of many, in order, under a label.
pub fn digest_of_all<'a>(label: &str, digests: impl Iterator<Item = &'a Digest>) -> Digest {
    let parts: Vec<&[u8]> = digests.map(|digest| digest.0.as_slice()).collect();
    Digest::of_parts(label, &parts)
}

fn is_subsequence(signers: &[SignerId], committee: &Committee) -> bool {
    let mut members = committee.signers();
    signers.iter().all(|signer| members.any(|member| member == signer))
}
