//! Interpolation: do these shares, of whichever epochs, make the key?

use crate::body::Body;
use crate::shares::{FoundShare, open_all};
use perennial_model::committee::SignerId;
use perennial_model::epoch::Epoch;
use perennial_model::group::{Group, SCALAR_BYTES, Scalar, lagrange_at_zero};
use perennial_model::wallet::{Scheme, WalletId, WalletKey};
use perennial_model::with_group;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What came of combining the shares of one wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combined {
    /// The wallet.
    pub wallet: WalletId,
    /// Whose shares of which epochs.
    pub shares: Vec<(SignerId, Epoch)>,
    /// How many shares it takes.
    pub threshold: u8,
    /// Whether what they interpolate to, times `G`, is the wallet's public key.
    pub is_key: bool,
}

struct Part {
    signer: SignerId,
    epoch: Epoch,
    seat: u8,
    secret: Zeroizing<[u8; SCALAR_BYTES]>,
}

struct Parts {
    scheme: Scheme,
    key: WalletKey,
    threshold: u8,
    parts: Vec<Part>,
}

/// Combines, wallet by wallet, the newest share that opens in each directory. Wallets of which some directory
/// holds no share that opens are left out.
pub fn combine(bodies: &[Body]) -> Vec<Combined> {
    let mut wallets: BTreeMap<WalletId, Parts> = BTreeMap::new();
    for body in bodies {
        for found in newest(open_all(body, body)) {
            let (Some(seat), Some(secret)) = (found.seat, found.secret) else { continue };
            let set = &found.share_set;
            let wallet = wallets.entry(set.wallet.id.clone()).or_insert_with(|| Parts {
                scheme: set.scheme(),
                key: set.key.clone(),
                threshold: set.committee.threshold(),
                parts: Vec::new(),
            });
            let (signer, epoch) = (body.signer.clone(), set.epoch);
            wallet.parts.push(Part { signer, epoch, seat: seat.get(), secret });
        }
    }
    wallets.retain(|_, wallet| wallet.parts.len() == bodies.len());
    let combined = wallets.into_iter().map(|(wallet, parts)| Combined {
        wallet,
        shares: parts.parts.iter().map(|part| (part.signer.clone(), part.epoch)).collect(),
        threshold: parts.threshold,
        is_key: is_key(&parts),
    });
    combined.collect()
}

/// Of each wallet the share of the highest epoch that opens.
fn newest(found: Vec<FoundShare>) -> Vec<FoundShare> {
    let mut newest: BTreeMap<WalletId, FoundShare> = BTreeMap::new();
    for share in found.into_iter().filter(|share| share.secret.is_some()) {
        let id = share.share_set.wallet.id.clone();
        let known = newest.get(&id).map(|known| known.share_set.epoch);
        if known.is_none_or(|known| known < share.share_set.epoch) {
            newest.insert(id, share);
        }
    }
    newest.into_values().collect()
}

/// Whether `(Σ λ_i · x_i) · G` is the key, over the seats that are there.
fn is_key(wallet: &Parts) -> bool {
    let seats: Vec<u8> = wallet.parts.iter().map(|part| part.seat).collect();
    with_group!(wallet.scheme, G => {
        type Number = <G as Group>::Scalar;
        let sum = wallet.parts.iter().try_fold(Number::ZERO, |sum, part| {
            let weight = lagrange_at_zero::<Number>(part.seat, &seats)?;
            Some(sum + weight * Number::decode(&part.secret)?)
        });
        sum.is_some_and(|sum| G::encode(&G::generate(&sum)) == wallet.key.public_key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::encoding::Digest;
    use perennial_model::group::{Edwards25519, Secp256k1};

    /// A key with a polynomial of degree one through it.
    fn parts<G: Group>(scheme: Scheme, slopes: &[(u8, u64)]) -> Parts {
        let key = G::Scalar::reduce(&[0x5a; 64]);
        let share =
            |seat: u8, slope: u64| key + G::Scalar::from_u64(slope) * G::Scalar::from_u64(seat.into());
        let part = |&(seat, slope): &(u8, u64)| Part {
            signer: "a".parse().expect("a name"),
            epoch: Epoch::new(1, 1),
            seat,
            secret: Zeroizing::new(share(seat, slope).encode()),
        };
        Parts {
            scheme,
            key: WalletKey { public_key: G::encode(&G::generate(&key)), chain_code: Digest([0; 32]) },
            threshold: 2,
            parts: slopes.iter().map(part).collect(),
        }
    }

    #[test]
    fn shares_of_one_polynomial_make_the_key_and_a_mixture_does_not() {
        for (one, two) in [(7, 7), (7, 8)] {
            let slopes = [(1, one), (3, two)];
            assert_eq!(is_key(&parts::<Secp256k1>(Scheme::Ecdsa, &slopes)), one == two);
            assert_eq!(is_key(&parts::<Edwards25519>(Scheme::Ed25519, &slopes)), one == two);
        }
        assert!(!is_key(&parts::<Secp256k1>(Scheme::Ecdsa, &[(2, 7)])), "one share is not enough");
        assert!(!is_key(&parts::<Secp256k1>(Scheme::Ecdsa, &[(2, 7), (2, 7)])), "nor is one share twice");
        assert!(is_key(&parts::<Secp256k1>(Scheme::Ecdsa, &[(2, 7), (5, 7), (9, 7)])));
    }
}
