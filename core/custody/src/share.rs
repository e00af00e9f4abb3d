//! A secret share: one scalar that, with `t - 1` others of its epoch, is the key.
//!
//! It refuses to be copied, printed, written down or compared in time that depends on it. Whoever needs the
//! bytes asks for them by a name that says what they are.

use perennial_model::group::{Group, SCALAR_BYTES, Scalar};
use perennial_model::wallet::Scheme;
use perennial_model::with_group;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The secret share of one seat in one epoch: a nonzero scalar in the canonical bytes of its group, raw (never
/// negated, tweaked or derived), zeroed when it is dropped.
///
/// A share is never copied:
///
/// ```compile_fail
/// fn twice(share: perennial_custody::share::Share) -> [perennial_custody::share::Share; 2] {
///     [share.clone(), share]
/// }
/// ```
///
/// It is moved:
///
/// ```
/// fn once(share: perennial_custody::share::Share) -> [perennial_custody::share::Share; 1] {
///     [share]
/// }
/// ```
///
/// It is never compared by `==`, whose time depends on the bytes:
///
/// ```compile_fail
/// fn equal(a: &perennial_custody::share::Share, b: &perennial_custody::share::Share) -> bool {
///     a == b
/// }
/// ```
///
/// It is compared in constant time:
///
/// ```
/// fn equal(a: &perennial_custody::share::Share, b: &perennial_custody::share::Share) -> bool {
///     a.is_same_secret(b)
/// }
/// ```
///
/// It has no written form of its own:
///
/// ```compile_fail
/// fn write(share: &perennial_custody::share::Share) -> Vec<u8> {
///     minicbor::to_vec(share).expect("memory")
/// }
/// ```
///
/// Public values have one:
///
/// ```
/// fn write(point: &perennial_model::group::Point) -> Vec<u8> {
///     minicbor::to_vec(point).expect("memory")
/// }
/// ```
pub struct Share(Zeroizing<[u8; SCALAR_BYTES]>);

impl Share {
    /// Takes over the canonical bytes of a share in the group of `scheme`; none if they are zero or not
    /// canonical.
    pub fn from_secret_bytes(scheme: Scheme, bytes: Zeroizing<[u8; SCALAR_BYTES]>) -> Option<Self> {
        let zero = bool::from(bytes.ct_eq(&[0; SCALAR_BYTES]));
        let canonical = with_group!(scheme, G => <<G as Group>::Scalar as Scalar>::decode(&bytes).is_some());
        (canonical && !zero).then_some(Self(bytes))
    }

    /// Whether two shares are the same secret, in constant time.
    pub fn is_same_secret(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }

    /// The bytes of the secret. They may go into a zeroized buffer, a ciphertext or an engine, and nowhere
    /// else.
    pub(crate) fn danger_secret_bytes(&self) -> &Zeroizing<[u8; SCALAR_BYTES]> {
        &self.0
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_never_shows_in_debug_output() {
        let share = Share::from_secret_bytes(Scheme::Ed25519, Zeroizing::new([7; 32])).expect("canonical");
        let shown = format!("{share:?} {:#?}", Some(&share));
        for leak in ["07", "7, 7", "7,\n"] {
            assert!(!shown.contains(leak), "{shown}");
        }
    }

    #[test]
    fn zero_and_scalars_above_the_order_are_no_shares() {
        for scheme in [Scheme::Ecdsa, Scheme::Taproot, Scheme::Ed25519] {
            assert!(Share::from_secret_bytes(scheme, Zeroizing::new([0; 32])).is_none());
            assert!(Share::from_secret_bytes(scheme, Zeroizing::new([0xff; 32])).is_none());
        }
    }

    #[test]
    fn the_same_secret_is_recognised_and_another_is_not() {
        let share =
            |byte| Share::from_secret_bytes(Scheme::Ecdsa, Zeroizing::new([byte; 32])).expect("small");
        assert!(share(1).is_same_secret(&share(1)));
        assert!(!share(1).is_same_secret(&share(2)));
    }
}
