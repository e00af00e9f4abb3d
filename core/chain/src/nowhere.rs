//! The simulator's chain: transactions that say nothing, signed in the transparent group. Never in a shipped binary.
//!
//! A transaction is [`PREFIX`] and at most [`NOTE_BYTES_MAX`] bytes, and is signed as it is. A signature is the
//! nonce element and the response, 32 bytes each as scalars are written, with `s·G = R + c·X`.

use crate::address::{damaged, root_only};
use crate::{Amount, Assembled, Effect, EffectKind, Error, Signature, SigningMessage, Summary, Unit};
use perennial_model::derivation::Path;
use perennial_model::encoding::Digest;
use perennial_model::group::{Group, SCALAR_BYTES, Scalar, Transparent};
use perennial_model::signature::transparent_challenge;
use perennial_model::wallet::{Chain, Wallet, WalletKey};

/// What every transaction begins with.
pub const PREFIX: &[u8] = b"nowhere:";

/// The most bytes after the prefix.
pub const NOTE_BYTES_MAX: usize = 1024;

const CHAIN: Chain = Chain::Nowhere;

type Number = <Transparent as Group>::Scalar;

#[derive(Clone, Debug)]
pub(crate) struct Unsigned(Vec<u8>);

impl Unsigned {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let most = PREFIX.len() + NOTE_BYTES_MAX;
        if bytes.len() > most {
            return Err(Error::TooLarge { chain: CHAIN, bytes: bytes.len(), most });
        }
        if !bytes.starts_with(PREFIX) {
            return Err(Error::malformed(CHAIN, "it does not begin with `nowhere:`"));
        }
        Ok(Self(bytes.to_vec()))
    }

    pub(crate) fn summary(&self) -> Summary {
        let nothing = Amount::from_units(0, Unit::Wei);
        let selector = Some(self.0[PREFIX.len()..].to_vec());
        let effect = Effect { kind: EffectKind::Call, from: None, to: None, amount: None, selector };
        Summary { chain: CHAIN, chain_id: None, effects: vec![effect], fee_at_most: nothing, fee_payer: None }
    }

    pub(crate) fn messages(
        &self,
        wallet: &Wallet,
        key: &WalletKey,
        path: &Path,
    ) -> Result<Vec<SigningMessage>, Error> {
        address(wallet, key, path)?;
        Ok(vec![SigningMessage::transparent(self.0.clone())])
    }

    pub(crate) fn assemble(&self, signatures: &[Signature]) -> Assembled {
        let mut bytes = self.0.clone();
        bytes.extend(signatures.iter().flat_map(|signature| signature.as_bytes()));
        let id = Digest::of(&bytes).to_string();
        Assembled::Complete { bytes, id }
    }
}

pub(crate) fn address(wallet: &Wallet, key: &WalletKey, path: &Path) -> Result<String, Error> {
    root_only(wallet, path)?;
    Transparent::decode(&key.public_key).ok_or_else(|| damaged(wallet))?;
    Ok(format!("nowhere-{}", key.public_key))
}

pub(crate) fn verify(
    wallet: &Wallet,
    key: &WalletKey,
    index: usize,
    message: &SigningMessage,
    signature: &Signature,
) -> Result<(), Error> {
    let bad = |what: &str| Error::bad_signature(index, &format!("nowhere-{}", key.public_key), what);
    let Signature::Transparent(bytes) = signature else {
        return Err(bad("a signature of the transparent group was expected"));
    };
    let (nonce, response) =
        bytes.split_first_chunk::<SCALAR_BYTES>().ok_or_else(|| bad("it is cut short"))?;
    let number =
        |bytes: &[u8]| bytes.try_into().ok().and_then(Number::decode).ok_or_else(|| bad("no number"));
    let element = Transparent::decode(&key.public_key).ok_or_else(|| damaged(wallet))?;
    let challenge = transparent_challenge(&key.public_key, nonce, message.as_bytes());
    let expected = number(nonce)? + Transparent::multiply_public(&challenge, &element);
    if Transparent::generate(&number(response)?) == expected { Ok(()) } else { Err(bad("it does not hold")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assemble, parse, verify};

    #[test]
    fn the_simulators_wallet_signs_and_a_changed_note_does_not_verify() {
        let secret = Number::from_u64(77);
        let wallet = Wallet {
            id: "w".parse().expect("a name"),
            tenant: "t".parse().expect("a name"),
            tier: perennial_model::wallet::Tier::Low,
            chain: CHAIN,
        };
        let public_key = Transparent::encode(&Transparent::generate(&secret));
        let key = WalletKey { public_key, chain_code: Digest([1; 32]) };
        let (path, nonce) = (Path::default(), Number::from_u64(12_345));
        let transaction = parse(CHAIN, b"nowhere:1").expect("a transaction");
        let messages = transaction.messages(&wallet, &key, &path).expect("a message");
        let c = transparent_challenge(&public_key, &nonce.encode(), messages[0].as_bytes());
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&nonce.encode());
        bytes[32..].copy_from_slice(&(nonce + c * secret).encode());
        let signatures = [Signature::Transparent(bytes)];
        assert!(matches!(
            assemble(&wallet, &key, &path, &transaction, &signatures),
            Ok(Assembled::Complete { .. })
        ));
        let other = parse(CHAIN, b"nowhere:2").expect("a transaction");
        assert!(matches!(
            verify(&wallet, &key, &path, &other, &signatures),
            Err(Error::BadSignature { index: 0, .. })
        ));
        assert!(parse(CHAIN, b"elsewhere").is_err());
    }
}
