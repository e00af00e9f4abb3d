//! Schnorr signatures by FROST (RFC 9591), one code for both of its ciphersuites: Ed25519, and secp256k1 with
//! BIP-340 ("TR").
//!
//! Two rounds: commitments to nonces, each to each; then a signature share from each to the combiner. Keys
//! arrive here derived and tweaked; the ciphersuite negates for even y where BIP-340 asks for it. A share that does not
//! fit what the combiner was told is found out by it and its seat is named. That is a wrong share, or the right one of a
//! signer to whom a third one has told other commitments: the messages are signed, and show which.

use super::{Common, EngineError, Outgoing, Step, bip340, envelope};
use crate::share::Share;
use frost_core::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use frost_core::round1::{NonceCommitment, SigningCommitments, SigningNonces};
use frost_core::round2::SignatureShare;
use frost_core::{CheaterDetection, Ciphersuite, Identifier, SigningPackage, VerifyingKey};
use minicbor::{Decode, Encode};
use perennial_model::committee::Seat;
use perennial_model::encoding::Document;
use perennial_model::group::Point;
use perennial_model::signature::RawSignature;
use perennial_model::wallet::Scheme;
use std::collections::BTreeMap;

/// Round 1: the commitments to a signer's two nonces.
#[derive(PartialEq, Eq, Encode, Decode)]
pub(super) struct Commitments {
    /// `D_i`.
    #[n(0)]
    pub hiding: Point,
    /// `E_i`.
    #[n(1)]
    pub binding: Point,
}

impl Document for Commitments {
    const KIND: &'static str = "frost-commitments";
}

/// Round 2: a signer's share of the signature.
#[derive(Encode, Decode)]
struct Response {
    #[cbor(n(0), with = "minicbor::bytes")]
    scalar: [u8; 32],
}

impl Document for Response {
    const KIND: &'static str = "frost-response";
}

/// A signer between two rounds.
pub(super) enum Frost<C: Ciphersuite> {
    /// Waits for the commitments of the others.
    Committed { key: KeyPackage<C>, nonces: SigningNonces<C>, written: Commitments },
    /// The combiner, which waits for the others' shares of the signature.
    Combining(Combining<C>),
}

/// What the combiner knows when it has signed itself.
pub(super) struct Combining<C: Ciphersuite> {
    package: SigningPackage<C>,
    /// The commitments in the package, as they are written.
    commitments: BTreeMap<Seat, Commitments>,
    own: SignatureShare<C>,
    public_key: VerifyingKey<C>,
}

impl<C: Ciphersuite> Frost<C> {
    /// Makes the nonces and the message to all others.
    pub(super) fn begin(
        common: &Common,
        share: &Share,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<(Self, Outgoing), EngineError> {
        let key = key_package::<C>(common, share)?;
        let (nonces, commitments) = frost_core::round1::commit(key.signing_share(), &mut Generator(rng));
        let written = write_commitments(&commitments)?;
        let message = envelope::seal(&common.agreement, 1, &written);
        let outgoing = common.terms.others().map(|seat| (seat, message.clone())).collect();
        Ok((Self::Committed { key, nonces, written }, outgoing))
    }

    /// Answers one round.
    pub(super) fn advance(
        self,
        common: &Common,
        round: u8,
        messages: &BTreeMap<Seat, Vec<u8>>,
    ) -> Result<Step<Self>, EngineError> {
        match self {
            Self::Committed { key, nonces, written } => {
                let mut bodies = envelope::open_all(&common.agreement, round, messages)?;
                bodies.insert(common.terms.own_seat, written);
                respond(common, round, &key, &nonces, bodies)
            }
            Self::Combining(combining) => {
                let bodies = envelope::open_all(&common.agreement, round, messages)?;
                combine(common, combining, &bodies).map(Step::Signed)
            }
        }
    }
}

fn respond<C: Ciphersuite>(
    common: &Common,
    round: u8,
    key: &KeyPackage<C>,
    nonces: &SigningNonces<C>,
    written: BTreeMap<Seat, Commitments>,
) -> Result<Step<Frost<C>>, EngineError> {
    let mut commitments = BTreeMap::from([(*key.identifier(), *nonces.commitments())]);
    for (seat, body) in written.iter().filter(|(seat, _)| **seat != common.terms.own_seat) {
        let read = read_commitments(body).map_err(|e| EngineError::misbehaved(*seat, e.to_string()))?;
        if !in_one_form(common.terms.scheme, body, &read)? {
            return Err(EngineError::misbehaved(*seat, "its nonce commitments are not in their one form"));
        }
        commitments.insert(identifier(*seat)?, read);
    }
    let package = SigningPackage::new(commitments, &common.terms.message);
    let own = frost_core::round2::sign(&package, nonces, key).map_err(bug)?;
    if common.terms.own_seat == common.terms.combiner {
        let public_key = *key.verifying_key();
        let combining = Combining { package, commitments: written, own, public_key };
        return Ok(Step::Continue(Frost::Combining(combining), Vec::new()));
    }
    let body = Response { scalar: fixed(&own.serialize())? };
    let message = envelope::seal(&common.agreement, round + 1, &body);
    Ok(Step::Finished(vec![(common.terms.combiner, message)]))
}

fn combine<C: Ciphersuite>(
    common: &Common,
    combining: Combining<C>,
    bodies: &BTreeMap<Seat, Response>,
) -> Result<RawSignature, EngineError> {
    let Combining { package, commitments, own, public_key } = combining;
    let mut shares = BTreeMap::from([(identifier(common.terms.own_seat)?, own)]);
    for (seat, body) in bodies {
        let share = SignatureShare::deserialize(&body.scalar)
            .map_err(|e| EngineError::misbehaved(*seat, e.to_string()))?;
        shares.insert(identifier(*seat)?, share);
    }
    if common.terms.scheme == Scheme::Taproot {
        let written =
            shares.values().map(|share| fixed(&share.serialize())).collect::<Result<Vec<_>, _>>()?;
        let signature = bip340::aggregate(common, &commitments, written.into_iter())?;
        // It is verified once, by other code than made the shares; the library sees it only to name a culprit.
        let good = signature.and_then(|signature| common.verified(signature).ok());
        return good.ok_or_else(|| name_culprit(common, &package, &shares, public_key));
    }
    // The verification shares are needed only to name a culprit; reading them costs as much as signing.
    let nobody_named =
        PublicKeyPackage::new(BTreeMap::new(), public_key, Some(common.terms.threshold.into()));
    let signature =
        frost_core::aggregate_custom(&package, &shares, &nobody_named, CheaterDetection::Disabled)
            .map_err(|_| name_culprit(common, &package, &shares, public_key))?;
    let signature = RawSignature { bytes: fixed(&signature.serialize().map_err(bug)?)?, recovery_id: None };
    common.verified(signature)
}

/// Finds the seat whose share spoiled the signature, after a look at the own records.
fn name_culprit<C: Ciphersuite>(
    common: &Common,
    package: &SigningPackage<C>,
    shares: &BTreeMap<Identifier<C>, SignatureShare<C>>,
    public_key: VerifyingKey<C>,
) -> EngineError {
    let found = || -> Result<EngineError, EngineError> {
        common.terms.check_own_records()?;
        let mut seats = BTreeMap::new();
        let mut verification_shares = BTreeMap::new();
        for (seat, raw) in &common.terms.signers {
            let point = common.key.verification_share(raw)?;
            let read = VerifyingShare::deserialize(point.as_bytes()).map_err(bug)?;
            verification_shares.insert(identifier(*seat)?, read);
            seats.insert(identifier::<C>(*seat)?, *seat);
        }
        let names =
            PublicKeyPackage::new(verification_shares, public_key, Some(common.terms.threshold.into()));
        let error = frost_core::aggregate_custom(package, shares, &names, CheaterDetection::AllCheaters)
            .err()
            .ok_or_else(|| EngineError::Bug("a signature is wrong and right".into()))?;
        let culprits: Vec<Seat> = error.culprits().iter().filter_map(|id| seats.get(id).copied()).collect();
        Ok(match culprits.first() {
            _ if culprits.contains(&common.terms.own_seat) => {
                EngineError::Bug("the own share does not fit its verification share".into())
            }
            Some(seat) => EngineError::misbehaved(
                *seat,
                "its share of the signature does not fit its verification share",
            ),
            None => bug(error),
        })
    };
    found().unwrap_or_else(|error| error)
}

fn key_package<C: Ciphersuite>(common: &Common, share: &Share) -> Result<KeyPackage<C>, EngineError> {
    let terms = &common.terms;
    let secret = common.key.share(share)?;
    let own_point = common.key.verification_share(&terms.signers[&terms.own_seat])?;
    Ok(KeyPackage::new(
        identifier(terms.own_seat)?,
        SigningShare::deserialize(&*secret).map_err(bug)?,
        VerifyingShare::deserialize(own_point.as_bytes()).map_err(bug)?,
        VerifyingKey::deserialize(common.key.public_key.as_bytes()).map_err(bug)?,
        terms.threshold.into(),
    ))
}

pub(super) fn identifier<C: Ciphersuite>(seat: Seat) -> Result<Identifier<C>, EngineError> {
    Identifier::try_from(u16::from(seat.get())).map_err(bug)
}

fn write_commitments<C: Ciphersuite>(
    commitments: &SigningCommitments<C>,
) -> Result<Commitments, EngineError> {
    let write = |commitment: &NonceCommitment<C>| {
        let bytes = commitment.serialize().map_err(bug)?;
        Point::from_bytes(&bytes).ok_or_else(|| EngineError::Bug("a point of more than 33 bytes".into()))
    };
    Ok(Commitments { hiding: write(commitments.hiding())?, binding: write(commitments.binding())? })
}

fn read_commitments<C: Ciphersuite>(
    body: &Commitments,
) -> Result<SigningCommitments<C>, frost_core::Error<C>> {
    let hiding = NonceCommitment::deserialize(body.hiding.as_bytes())?;
    let binding = NonceCommitment::deserialize(body.binding.as_bytes())?;
    Ok(SigningCommitments::new(hiding, binding))
}

/// Whether commitments are written as the library writes them. It reads more spellings of a point than it writes, and
/// everybody has to go by the same bytes.
fn in_one_form<C: Ciphersuite>(
    scheme: Scheme,
    body: &Commitments,
    read: &SigningCommitments<C>,
) -> Result<bool, EngineError> {
    if scheme == Scheme::Taproot {
        // SEC 1, section 2.3.4: what begins with 02 or 03 has an x below the field's order and one parity. Writing the
        // points again would take an inversion each.
        return Ok([body.hiding, body.binding].iter().all(|point| matches!(point.as_bytes(), [2 | 3, ..])));
    }
    Ok(write_commitments(read)? == *body)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], EngineError> {
    bytes.try_into().map_err(|_| EngineError::Bug(format!("expected {N} bytes, got {}", bytes.len())))
}

fn bug<C: Ciphersuite>(error: frost_core::Error<C>) -> EngineError {
    EngineError::Bug(format!("FROST: {error}"))
}

/// Our generator for a library that stands on `rand_core` 0.6.
struct Generator<'a>(&'a mut dyn rand_core::CryptoRng);

impl frost_ed25519::rand_core::RngCore for Generator<'_> {
    fn next_u32(&mut self) -> u32 {
        rand_core::Rng::next_u32(&mut self.0)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::Rng::next_u64(&mut self.0)
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        rand_core::Rng::fill_bytes(&mut self.0, destination);
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), frost_ed25519::rand_core::Error> {
        rand_core::Rng::fill_bytes(&mut self.0, destination);
        Ok(())
    }
}

impl frost_ed25519::rand_core::CryptoRng for Generator<'_> {}
