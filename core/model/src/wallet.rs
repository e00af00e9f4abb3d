//! A wallet: one key, its scheme, whose it is, and where it receives.

use crate::encoding::{Digest, Document};
use crate::group::Point;
use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;

/// The most characters in a name.
pub const NAME_CHARACTERS_MAX: usize = 40;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name: use 1 to {NAME_CHARACTERS_MAX} of a-z, 0-9 and '-', beginning with a letter or digit"
)]
pub struct BadName(pub String);

/// Checks the one rule that all our names follow.
pub(crate) fn check_name(text: &str) -> Result<Box<str>, BadName> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !text.is_empty()
        && text.len() <= NAME_CHARACTERS_MAX
        && !text.starts_with('-')
        && text.chars().all(allowed);
    if good { Ok(text.into()) } else { Err(BadName(text.chars().take(80).collect())) }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::wallet::BadName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::wallet::check_name(text).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                encoder: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                encoder.str(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                decoder.str()?.parse().map_err(|e: $crate::wallet::BadName| {
                    minicbor::decode::Error::message(e.to_string())
                })
            }
        }
    };
}
pub(crate) use name_type;

name_type! {
    /// The name of a wallet, unique in a deployment and never reused.
    WalletId
}
name_type! {
    /// Whose wallets these are.
    TenantId
}

/// How much a wallet matters; cadence and rollout order follow from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Tier {
    /// Low value: goes first.
    #[n(0)]
    Low,
    /// The usual.
    #[n(1)]
    Standard,
    /// High value: goes last.
    #[n(2)]
    High,
}

impl Tier {
    /// All of them, rising.
    pub const ALL: [Self; 3] = [Self::Low, Self::Standard, Self::High];
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Standard => "standard",
            Self::High => "high",
        })
    }
}

/// How a wallet signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Scheme {
    /// ECDSA over secp256k1, by DKLs23 (2023/765).
    #[n(0)]
    Ecdsa,
    /// BIP-340 Schnorr over secp256k1 with the BIP-341 key tweak, by FROST (RFC 9591).
    #[n(1)]
    Taproot,
    /// Ed25519 (RFC 8032), by FROST (RFC 9591).
    #[n(2)]
    Ed25519,
    /// A group in which the logarithm is no secret, for the simulator alone.
    #[cfg(feature = "simulation")]
    #[n(255)]
    Transparent,
}

impl Scheme {
    /// The name of the scheme, as shown and as written in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ecdsa-secp256k1",
            Self::Taproot => "taproot-secp256k1",
            Self::Ed25519 => "ed25519",
            #[cfg(feature = "simulation")]
            Self::Transparent => "transparent",
        }
    }
}

/// Where a wallet receives. It decides the form of its address and of what it signs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Chain {
    /// Ethereum and every chain with its addresses; the chain's number is in each transaction.
    #[n(0)]
    Ethereum,
    /// Bitcoin, main network.
    #[n(1)]
    Bitcoin,
    /// Bitcoin, test networks (testnet and signet share their address form).
    #[n(2)]
    BitcoinTest,
    /// Bitcoin, regression-test network.
    #[n(3)]
    BitcoinRegtest,
    /// Solana.
    #[n(4)]
    Solana,
    /// No chain at all: the simulator's.
    #[cfg(feature = "simulation")]
    #[n(255)]
    Nowhere,
}

impl Chain {
    /// The scheme in which this chain's wallets sign.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Ethereum => Scheme::Ecdsa,
            Self::Bitcoin | Self::BitcoinTest | Self::BitcoinRegtest => Scheme::Taproot,
            Self::Solana => Scheme::Ed25519,
            #[cfg(feature = "simulation")]
            Self::Nowhere => Scheme::Transparent,
        }
    }

    /// The name of the chain, as shown and as written in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ethereum => "ethereum",
            Self::Bitcoin => "bitcoin",
            Self::BitcoinTest => "bitcoin-test",
            Self::BitcoinRegtest => "bitcoin-regtest",
            Self::Solana => "solana",
            #[cfg(feature = "simulation")]
            Self::Nowhere => "nowhere",
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Ethereum, Self::Bitcoin, Self::BitcoinTest, Self::BitcoinRegtest, Self::Solana]
            .into_iter()
            .find(|chain| chain.name() == text)
            .ok_or_else(|| {
                format!(
                    "{text:?} is no chain: use ethereum, bitcoin, bitcoin-test, bitcoin-regtest or solana"
                )
            })
    }
}

/// What people ask for when they ask for a wallet. It never changes.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Wallet {
    /// Its name.
    #[n(0)]
    pub id: WalletId,
    /// Whose it is.
    #[n(1)]
    pub tenant: TenantId,
    /// How much it matters.
    #[n(2)]
    pub tier: Tier,
    /// Where it receives; the scheme follows from it.
    #[n(3)]
    pub chain: Chain,
}

impl Document for Wallet {
    const KIND: &'static str = "wallet";
}

/// The public key of a wallet and what its addresses are derived from. It never changes.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct WalletKey {
    /// The root public key `X`, raw: never negated, tweaked or derived.
    #[n(0)]
    pub public_key: Point,
    /// The BIP-32 chain code, public like an extended public key's.
    #[n(1)]
    pub chain_code: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_mistaken_for_another_is_refused() {
        for bad in ["", "-a", "A", "a b", "a/b", "é", &"x".repeat(41)] {
            assert!(bad.parse::<WalletId>().is_err(), "{bad:?}");
        }
        for good in ["treasury", "w-00001", "0", &"x".repeat(40)] {
            assert!(good.parse::<WalletId>().is_ok(), "{good:?}");
        }
    }
}
