//! The proof that the receiver of multiplications knows the logarithm of its key: that of `DLogProof`, a Schnorr
//! proof made extractable without rewinding (Fischlin 2005; Kondi, shelat 2022). The proof is a search for pairs of
//! responses whose hashes begin alike, some eight thousand hashes over the same two kilobytes: here these are hashed
//! once, and only the end is hashed anew. The check of the proof is here as well.

use super::choices::random;
use dkls23_core::utilities::hashes::point_to_bytes;
use dkls23_core::utilities::oracle_tags::TAG_DLOG_PROOF_FISCHLIN;
use dkls23_core::utilities::proofs::{
    DLogProof, InteractiveDLogProof, L as MATCHING_BITS, R as PROOFS, T as CHALLENGE_BITS,
};
use k256::elliptic_curve::BatchNormalize;
use k256::elliptic_curve::ops::Reduce;
use k256::{AffinePoint, ProjectivePoint, Scalar as Number, Secp256k1};
use perennial_model::dealing::small_random;
use perennial_model::group::{Group as _, Scalar as _, Secp256k1 as Curve};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

type Proof = InteractiveDLogProof<Secp256k1>;

/// The bytes of two hashes that have to be equal, as the library counts them.
const MATCHING: usize = MATCHING_BITS as usize / 4;

/// Proves knowledge of `secret`.
pub(super) fn prove(
    secret: &Number,
    session: &[u8; 32],
    rng: &mut dyn rand_core::CryptoRng,
) -> DLogProof<Secp256k1> {
    let nonces: Zeroizing<Vec<Number>> = Zeroizing::new((0..PROOFS).map(|_| random(rng)).collect());
    let mut elements: Vec<ProjectivePoint> = nonces.iter().map(ProjectivePoint::mul_by_generator).collect();
    elements.push(ProjectivePoint::mul_by_generator(secret));
    let mut rand_commitments = ProjectivePoint::batch_normalize(elements.as_slice());
    let point = rand_commitments.pop().expect("the key's own point was pushed last");
    let search = Search { secret, begun: begun(session, &rand_commitments) };
    let half = PROOFS / 2;
    let (mut proofs, mut last) = (Vec::with_capacity(PROOFS.into()), Vec::with_capacity(half.into()));
    for at in 0..half {
        let (first, wanted) = search.attempt(at, &nonces[usize::from(at)], rng);
        proofs.push(first);
        // Each attempt fits with a chance of 2^-8, whatever came before.
        last.push(loop {
            let (second, found) = search.attempt(at + half, &nonces[usize::from(at + half)], rng);
            if found == wanted {
                break second;
            }
        });
    }
    proofs.append(&mut last);
    DLogProof { point, rand_commitments, proofs }
}

/// Whether a proof holds: what `DLogProof::verify` asks, its Schnorr equations as one. Each is weighted with 128
/// random bits that are drawn here, when the proof is fixed, so that a wrong one slips through with 2^-128.
pub(super) fn holds(
    proof: &DLogProof<Secp256k1>,
    session: &[u8; 32],
    rng: &mut dyn rand_core::CryptoRng,
) -> bool {
    let count = usize::from(PROOFS);
    let commitments = &proof.rand_commitments;
    let written: BTreeSet<Vec<u8>> = commitments.iter().map(point_to_bytes::<Secp256k1>).collect();
    let sized = |proof: &Proof| proof.challenge.len() == CHALLENGE_BITS as usize / 8;
    if written.len() != count || commitments.len() != count || proof.proofs.len() != count {
        return false;
    }
    let begun = begun(session, commitments);
    let hashes: Vec<_> = (0..).zip(&proof.proofs).map(|(at, proof)| matching(&begun, at, proof)).collect();
    let (first, last) = hashes.split_at(count / 2);
    if first != last || !proof.proofs.iter().all(sized) {
        return false;
    }
    let mut weights = small_random::<Number>(count, rng);
    let mut of_generator = Number::ZERO;
    let mut of_key = Number::ZERO;
    for (weight, proof) in weights.iter().zip(&proof.proofs) {
        let mut challenge = [0; 32];
        challenge[32 - proof.challenge.len()..].copy_from_slice(&proof.challenge);
        of_generator += *weight * proof.challenge_response;
        of_key += *weight * <Number as Reduce<k256::FieldBytes>>::reduce(&challenge.into());
    }
    let mut elements: Vec<ProjectivePoint> =
        commitments.iter().map(|point| -ProjectivePoint::from(*point)).collect();
    weights.push(of_key);
    elements.push(ProjectivePoint::from(proof.point));
    let sum = Curve::sum_public(&weights, &elements) + ProjectivePoint::mul_by_generator(&of_generator);
    sum == ProjectivePoint::IDENTITY
}

/// The beginning of the hash of one answer.
fn matching(begun: &Sha256, at: u16, proof: &Proof) -> [u8; MATCHING] {
    let hashed = begun.clone().chain_update(at.to_be_bytes()).chain_update(&proof.challenge);
    let hashed: [u8; 32] = hashed.chain_update(proof.challenge_response.encode()).finalize().into();
    std::array::from_fn(|at| hashed[at])
}

struct Search<'a> {
    secret: &'a Number,
    /// The hash of all that is the same in every attempt.
    begun: Sha256,
}

impl Search<'_> {
    /// Answers a random challenge; with the beginning of the hash of the answer.
    fn attempt(
        &self,
        at: u16,
        nonce: &Number,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> (Proof, [u8; MATCHING]) {
        let mut challenge = [0; CHALLENGE_BITS as usize / 8];
        rng.fill_bytes(&mut challenge);
        let proof = Proof::prove_step2(self.secret, nonce, &challenge);
        let found = matching(&self.begun, at, &proof);
        (proof, found)
    }
}

/// The library's tagged hash, up to the generator and all commitments.
fn begun(session: &[u8; 32], commitments: &[AffinePoint]) -> Sha256 {
    let mut same = point_to_bytes::<Secp256k1>(&AffinePoint::GENERATOR);
    same.extend(commitments.iter().flat_map(point_to_bytes::<Secp256k1>));
    let rest = size_of::<u16>() + CHALLENGE_BITS as usize / 8 + size_of::<[u8; 32]>();
    let length = |bytes: usize| (bytes as u64).to_be_bytes();
    Sha256::new()
        .chain_update(length(TAG_DLOG_PROOF_FISCHLIN.len()))
        .chain_update(TAG_DLOG_PROOF_FISCHLIN)
        .chain_update(length(session.len()))
        .chain_update(session)
        .chain_update(length(same.len() + rest))
        .chain_update(same)
}

#[cfg(test)]
mod tests {
    use super::super::tests::rng;
    use super::*;

    const SESSION: [u8; 32] = [7; 32];

    #[test]
    fn the_library_believes_whoever_knows_the_logarithm_and_nobody_else() {
        let rng = &mut rng();
        let secret = random(rng);
        let proof = prove(&secret, &SESSION, rng);
        assert_eq!(proof.point, ProjectivePoint::mul_by_generator(&secret).to_affine());
        let mut agree = |proof: &DLogProof<Secp256k1>, session: &[u8; 32]| {
            let holds = holds(proof, session, rng);
            assert_eq!(DLogProof::verify(proof, session), holds);
            holds
        };
        assert!(agree(&proof, &SESSION));
        assert!(!agree(&proof, &[8; 32]), "another session");
        let mut other = proof.clone();
        other.point = ProjectivePoint::mul_by_generator(&(secret + Number::ONE)).to_affine();
        assert!(!agree(&other, &SESSION), "another key");
        let mut altered = proof.clone();
        altered.proofs[40].challenge_response += Number::ONE;
        assert!(!agree(&altered, &SESSION), "another response");
        let mut longer = proof.clone();
        longer.proofs[40].challenge.push(0);
        assert!(!agree(&longer, &SESSION), "a challenge of another length");
        let mut turned = proof.clone();
        turned.rand_commitments.swap(3, 4);
        assert!(!agree(&turned, &SESSION), "commitments in another order");
        let mut repeated = proof.clone();
        repeated.rand_commitments[5] = repeated.rand_commitments[6];
        assert!(!agree(&repeated, &SESSION), "a commitment twice");
        let mut short = proof;
        short.proofs.truncate(62);
        short.rand_commitments.truncate(62);
        assert!(!agree(&short, &SESSION), "fewer proofs");
    }

    /// Hashes that fit are found without a witness; the equations are what is left to stop that.
    #[test]
    fn a_proof_whose_hashes_fit_and_whose_equations_do_not_is_refused() {
        let rng = &mut rng();
        let (secret, other) = (random(rng), random(rng));
        let mut forged = prove(&secret, &SESSION, rng);
        forged.point = ProjectivePoint::mul_by_generator(&other).to_affine();
        let begun = begun(&SESSION, &forged.rand_commitments);
        let hash = |at: u16, proof: &Proof| matching(&begun, at, proof);
        assert!((0..32).all(|at| hash(at, &forged.proofs[usize::from(at)])
            == hash(at + 32, &forged.proofs[usize::from(at) + 32])));
        assert!(!holds(&forged, &SESSION, rng) && !DLogProof::verify(&forged, &SESSION));
    }

    #[test]
    fn no_nonce_serves_twice() {
        let rng = &mut rng();
        let secret = random(rng);
        let of = |proof: DLogProof<Secp256k1>| -> std::collections::BTreeSet<Vec<u8>> {
            proof.rand_commitments.iter().map(point_to_bytes::<Secp256k1>).collect()
        };
        let (first, second) = (of(prove(&secret, &SESSION, rng)), of(prove(&secret, &SESSION, rng)));
        assert_eq!((first.len(), second.len()), (usize::from(PROOFS), usize::from(PROOFS)));
        assert!(first.is_disjoint(&second));
    }
}
