//! The address of a wallet at a path. It follows from the wallet's root key alone, so no refresh changes it.

use crate::Error;
use crate::transaction::Family;
use perennial_model::derivation::{BadPath, Path, derive};
use perennial_model::group::{Edwards25519, Group};
use perennial_model::wallet::{Wallet, WalletKey};

/// The address of a wallet at a path: with the checksum of EIP-55 on Ethereum; on Bitcoin the bech32m form
/// (BIP-350) of pay-to-taproot under the derived key tweaked without a script tree (BIP-341, BIP-86); on Solana
/// the key in base58.
///
/// # Errors
/// [`Error::Path`] if the path leads to no key or the chain has no derivation, [`Error::DamagedKey`] if the wallet
/// key is no key of its scheme.
pub fn address(wallet: &Wallet, key: &WalletKey, path: &Path) -> Result<String, Error> {
    match Family::of(wallet.chain)? {
        Family::Ethereum => Ok(crate::evm::address(&secp256k1_key(wallet, key, path)?)),
        Family::Bitcoin => Ok(crate::bitcoin::Account::new(wallet, key, path)?.address),
        Family::Solana => Ok(crate::solana::base58(ed25519_key(wallet, key, path)?.as_bytes())),
        #[cfg(feature = "simulation")]
        Family::Nowhere => crate::nowhere::address(wallet, key, path),
    }
}

/// The secp256k1 key of a wallet at a path.
pub(crate) fn secp256k1_key(
    wallet: &Wallet,
    key: &WalletKey,
    path: &Path,
) -> Result<k256::ecdsa::VerifyingKey, Error> {
    let derived = derive(key, path).map_err(|error| match error {
        BadPath::BadKey => damaged(wallet),
        other => Error::Path(other),
    })?;
    k256::ecdsa::VerifyingKey::from_sec1_bytes(derived.key.public_key.as_bytes()).map_err(|_| damaged(wallet))
}

/// The Ed25519 key of a wallet, whose only path is the root.
pub(crate) fn ed25519_key(
    wallet: &Wallet,
    key: &WalletKey,
    path: &Path,
) -> Result<ed25519_dalek::VerifyingKey, Error> {
    root_only(wallet, path)?;
    let element = Edwards25519::decode(&key.public_key).ok_or_else(|| damaged(wallet))?;
    Ok(ed25519_dalek::VerifyingKey::from(element))
}

/// Refuses every path but the root.
pub(crate) fn root_only(wallet: &Wallet, path: &Path) -> Result<(), Error> {
    if *path == Path::default() { Ok(()) } else { Err(BadPath::NoDerivation(wallet.chain).into()) }
}

/// The error for a wallet key that is no key of its scheme.
pub(crate) fn damaged(wallet: &Wallet) -> Error {
    Error::DamagedKey { wallet: wallet.id.to_string(), chain: wallet.chain }
}
