//! What the threshold engines are given to sign, and what they give back.

use minicbor::{Decode, Encode};
use std::fmt;

/// One thing that the threshold engine signs under the wallet's key at the path of the request.
///
/// Only [`Transaction::messages`](crate::Transaction::messages) makes one, from a transaction that was parsed:
/// there is no way to have a bare digest signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningMessage {
    kind: Kind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Ecdsa,
    Taproot {
        input: usize,
    },
    Ed25519,
    #[cfg(feature = "simulation")]
    Transparent,
}

impl SigningMessage {
    /// The bytes that the engine takes: a 32-byte Keccak-256 digest for ECDSA, a 32-byte BIP-341 signature hash
    /// for Taproot (signed under the key tweaked without a script tree), the whole message for Ed25519.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The input of the Bitcoin transaction that the signature will spend, none on other chains.
    pub fn input(&self) -> Option<usize> {
        match self.kind {
            Kind::Taproot { input } => Some(input),
            _ => None,
        }
    }

    pub(crate) fn ecdsa(digest: [u8; 32]) -> Self {
        Self { kind: Kind::Ecdsa, bytes: digest.to_vec() }
    }

    pub(crate) fn taproot(input: usize, signature_hash: [u8; 32]) -> Self {
        Self { kind: Kind::Taproot { input }, bytes: signature_hash.to_vec() }
    }

    pub(crate) fn ed25519(message: Vec<u8>) -> Self {
        Self { kind: Kind::Ed25519, bytes: message }
    }

    #[cfg(feature = "simulation")]
    pub(crate) fn transparent(message: Vec<u8>) -> Self {
        Self { kind: Kind::Transparent, bytes: message }
    }
}

impl fmt::Debug for SigningMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, hex::encode(&self.bytes))
    }
}

/// A signature in the fixed form of its scheme. It is public and says nothing about whether it verifies.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Signature {
    /// ECDSA over secp256k1.
    #[n(0)]
    Ecdsa {
        /// `r ‖ s`, 32 bytes each, big-endian.
        #[cbor(n(0), with = "minicbor::bytes")]
        r_and_s: [u8; 64],
        /// Bit 0: the nonce point's y is odd. Bit 1: its x was reduced modulo the order of the group.
        #[n(1)]
        recovery_id: u8,
    },
    /// BIP-340 Schnorr: the nonce point's x, then `s`.
    #[n(1)]
    Taproot(#[cbor(n(0), with = "minicbor::bytes")] [u8; 64]),
    /// Ed25519 (RFC 8032).
    #[n(2)]
    Ed25519(#[cbor(n(0), with = "minicbor::bytes")] [u8; 64]),
    /// The transparent group's, for the simulator alone: nonce element, then `s`.
    #[cfg(feature = "simulation")]
    #[n(255)]
    Transparent(#[cbor(n(0), with = "minicbor::bytes")] [u8; 64]),
}

impl Signature {
    /// The 64 bytes, without the recovery id.
    pub fn as_bytes(&self) -> &[u8; 64] {
        match self {
            Self::Ecdsa { r_and_s: bytes, .. } | Self::Taproot(bytes) | Self::Ed25519(bytes) => bytes,
            #[cfg(feature = "simulation")]
            Self::Transparent(bytes) => bytes,
        }
    }

    /// The scheme's name, for messages about a signature of the wrong kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Ecdsa { .. } => "an ECDSA signature",
            Self::Taproot(_) => "a BIP-340 signature",
            Self::Ed25519(_) => "an Ed25519 signature",
            #[cfg(feature = "simulation")]
            Self::Transparent(_) => "a signature of the transparent group",
        }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), hex::encode(self.as_bytes()))?;
        match self {
            Self::Ecdsa { recovery_id, .. } => write!(f, " recovery id {recovery_id}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_of_a_signature_never_changes() {
        let written = |signature: Signature| hex::encode(minicbor::to_vec(signature).expect("memory"));
        let bytes = [7; 64];
        let (prefix, body) = ("5840", "07".repeat(64));
        assert_eq!(
            written(Signature::Ecdsa { r_and_s: bytes, recovery_id: 1 }),
            format!("820082{prefix}{body}01")
        );
        assert_eq!(written(Signature::Taproot(bytes)), format!("820181{prefix}{body}"));
        assert_eq!(written(Signature::Ed25519(bytes)), format!("820281{prefix}{body}"));
        let again = minicbor::to_vec(Signature::Taproot(bytes)).expect("memory");
        assert_eq!(minicbor::decode::<Signature>(&again).expect("a signature"), Signature::Taproot(bytes));
    }
}
