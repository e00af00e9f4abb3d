//! The taproot output of a wallet at a path, and the check of signatures under its key.

use crate::address::{damaged, secp256k1_key};
use crate::{Error, Signature, SigningMessage};
use ::bitcoin::key::{TapTweak, TweakedPublicKey};
use ::bitcoin::secp256k1::{Message, Secp256k1, schnorr};
use ::bitcoin::{Address, ScriptBuf, XOnlyPublicKey};
use perennial_model::derivation::Path;
use perennial_model::wallet::{Wallet, WalletKey};

/// Where a wallet receives at one path.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The derived key, before the tweak.
    pub(crate) internal_key: XOnlyPublicKey,
    /// The key that signatures hold under.
    output_key: TweakedPublicKey,
    /// The script that pays to it.
    pub(crate) script: ScriptBuf,
    /// The same as people write it.
    pub(crate) address: String,
}

impl Account {
    pub(crate) fn new(wallet: &Wallet, key: &WalletKey, path: &Path) -> Result<Self, Error> {
        let derived = secp256k1_key(wallet, key, path)?;
        let compressed = derived.to_sec1_point(true);
        let internal_key =
            XOnlyPublicKey::from_slice(&compressed.as_bytes()[1..]).map_err(|_| damaged(wallet))?;
        let (output_key, _) = internal_key.tap_tweak(&Secp256k1::verification_only(), None);
        Ok(Self {
            internal_key,
            output_key,
            script: ScriptBuf::new_p2tr_tweaked(output_key),
            address: Address::p2tr_tweaked(output_key, super::prefix(wallet.chain)).to_string(),
        })
    }

    /// Checks one signature (BIP-340) under the output key.
    pub(crate) fn verify(
        &self,
        index: usize,
        message: &SigningMessage,
        signature: &Signature,
    ) -> Result<(), Error> {
        let bad = |what: String| Error::bad_signature(index, &self.address, what);
        let Signature::Taproot(bytes) = signature else {
            return Err(bad(format!("a BIP-340 signature was expected, {} came", signature.kind())));
        };
        let hash =
            message.as_bytes().try_into().map_err(|_| bad("its message is no signature hash".into()))?;
        if holds(&self.output_key, hash, &parsed(bytes)) {
            Ok(())
        } else {
            Err(bad("it does not hold under the tweaked key".to_owned()))
        }
    }
}

/// The signature as the library writes it; its form alone says nothing.
pub(super) fn parsed(bytes: &[u8; 64]) -> schnorr::Signature {
    schnorr::Signature::from_slice(bytes).expect("the length is the only condition, and it is 64")
}

/// Whether a signature holds (BIP-340).
pub(super) fn holds(key: &TweakedPublicKey, hash: [u8; 32], signature: &schnorr::Signature) -> bool {
    Secp256k1::verification_only()
        .verify_schnorr(signature, &Message::from_digest(hash), key.as_x_only_public_key())
        .is_ok()
}
