//! Ethereum and the chains with its transactions: EIP-1559, and no other kind.
//!
//! Legacy, access-list (EIP-2930), blob (EIP-4844) and delegating (EIP-7702) transactions are refused by name. The
//! list is read field by field with `alloy-rlp`, which insists on the canonical form of every length and number;
//! the larger crates of that family would bring some sixty packages into the signer for the same nine fields.

use crate::{Amount, Assembled, Effect, EffectKind, Error, Signature, SigningMessage, Summary, Unit};
use alloy_rlp::{Decodable, Encodable, Header};
use k256::ecdsa::{RecoveryId, VerifyingKey};
use perennial_model::wallet::Chain;
use sha3::{Digest, Keccak256};

/// The largest transaction, in bytes: what nodes pass on.
pub const TRANSACTION_BYTES_MAX: usize = 128 << 10;

/// The largest code of a contract to be made, in bytes (EIP-3860).
pub const INIT_CODE_BYTES_MAX: usize = 49_152;

/// The first byte of an EIP-1559 transaction.
const TYPE: u8 = 2;

const CHAIN: Chain = Chain::Ethereum;

/// An EIP-1559 transaction before it is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unsigned {
    chain_id: u64,
    fee_at_most: Amount,
    to: Option<[u8; 20]>,
    value: Amount,
    selector: Option<Vec<u8>>,
    /// The nine fields as they came, without the list's header.
    fields: Vec<u8>,
}

impl Unsigned {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > TRANSACTION_BYTES_MAX {
            return Err(Error::TooLarge { chain: CHAIN, bytes: bytes.len(), most: TRANSACTION_BYTES_MAX });
        }
        let mut rest = after_type(bytes)?;
        let fields = Header::decode_bytes(&mut rest, true)
            .map_err(|error| Error::malformed(CHAIN, format!("after the type byte: {error}")))?;
        if !rest.is_empty() {
            return Err(Error::malformed(CHAIN, format!("{} bytes after its end", rest.len())));
        }
        Self::from_fields(fields)
    }

    fn from_fields(fields: &[u8]) -> Result<Self, Error> {
        let mut rest = fields;
        let chain_id: u64 = field(&mut rest, "chain id")?;
        let _nonce: u64 = field(&mut rest, "nonce")?;
        let tip: u128 = field(&mut rest, "priority fee")?;
        let price: u128 = field(&mut rest, "highest fee")?;
        let gas: u64 = field(&mut rest, "gas limit")?;
        let to = match bytes(&mut rest, "recipient")? {
            [] => None,
            address => Some(address.try_into().map_err(|_| wrong_length("recipient", "20", address.len()))?),
        };
        let value = big_number(&mut rest, "value")?;
        let data = bytes(&mut rest, "call data")?;
        access_list(&mut rest)?;
        if !rest.is_empty() {
            let what = "more than nine fields; a transaction that is already signed is not signed again";
            return Err(Error::malformed(CHAIN, what));
        }
        if chain_id == 0 {
            return Err(Error::unsupported(CHAIN, "chain id 0 would hold on every chain: name one"));
        }
        if tip > price {
            let what = format!("its priority fee {tip} is above its highest fee {price}");
            return Err(Error::malformed(CHAIN, what));
        }
        if to.is_none() && data.len() > INIT_CODE_BYTES_MAX {
            let what = format!("{} bytes of code; at most {INIT_CODE_BYTES_MAX} make a contract", data.len());
            return Err(Error::unsupported(CHAIN, what));
        }
        Ok(Self {
            chain_id,
            fee_at_most: Amount::product(gas, price, Unit::Wei),
            to,
            value,
            selector: (!data.is_empty()).then(|| data[..data.len().min(4)].to_vec()),
            fields: fields.to_vec(),
        })
    }

    /// What is signed: Keccak-256 of the type and the list of nine.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Keccak256::digest(typed_list(&self.fields)).into()
    }

    pub(crate) fn summary(&self) -> Summary {
        let kind = match (&self.to, &self.selector) {
            (None, _) => EffectKind::Creation,
            (Some(_), None) => EffectKind::Payment,
            (Some(_), Some(_)) => EffectKind::Call,
        };
        let selector = if kind == EffectKind::Call { self.selector.clone() } else { None };
        let to = self.to.as_ref().map(with_checksum);
        let effect = Effect { kind, from: None, to, amount: Some(self.value), selector };
        Summary {
            chain: CHAIN,
            chain_id: Some(self.chain_id),
            effects: vec![effect],
            fee_at_most: self.fee_at_most,
            fee_payer: None,
        }
    }

    /// The network's form. The signatures have been verified.
    pub(crate) fn assemble(&self, signatures: &[Signature]) -> Assembled {
        let mut fields = self.fields.clone();
        for signature in signatures {
            let (r, s) = signature.as_bytes().split_at(32);
            let odd = matches!(signature, Signature::Ecdsa { recovery_id: 1, .. });
            u8::from(odd).encode(&mut fields);
            number(r).encode(&mut fields);
            number(s).encode(&mut fields);
        }
        let bytes = typed_list(&fields);
        let id = format!("0x{}", hex::encode(Keccak256::digest(&bytes)));
        Assembled::Complete { bytes, id }
    }
}

/// The address of a key: the last 20 bytes of the Keccak-256 of its uncompressed form, with checksum.
pub(crate) fn address(key: &VerifyingKey) -> String {
    let point = key.to_sec1_point(false);
    let hash: [u8; 32] = Keccak256::digest(&point.as_bytes()[1..]).into();
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    with_checksum(&address)
}

/// Checks one signature: in the lower half, with a parity of 0 or 1, and recovering the wallet's own key.
pub(crate) fn verify(
    key: &VerifyingKey,
    index: usize,
    message: &SigningMessage,
    signature: &Signature,
) -> Result<(), Error> {
    let bad = |what: String| Error::bad_signature(index, &address(key), what);
    let Signature::Ecdsa { r_and_s, recovery_id } = signature else {
        return Err(bad(format!("an ECDSA signature was expected, {} came", signature.kind())));
    };
    let parsed = k256::ecdsa::Signature::from_slice(r_and_s)
        .map_err(|_| bad("r or s is zero or not below the order of the group".to_owned()))?;
    if parsed.normalize_s() != parsed {
        return Err(bad("s is in the upper half, which the network refuses (EIP-2)".to_owned()));
    }
    if *recovery_id > 1 {
        return Err(bad(format!("a recovery id of 0 or 1 was expected, {recovery_id} came: sign again")));
    }
    let recovery_id = RecoveryId::new(*recovery_id == 1, false);
    match VerifyingKey::recover_from_prehash(message.as_bytes(), &parsed, recovery_id) {
        Ok(recovered) if recovered == *key => Ok(()),
        Ok(recovered) => Err(bad(format!("it recovers to {}", address(&recovered)))),
        Err(_) => Err(bad("it recovers to no key".to_owned())),
    }
}

/// EIP-55: letters are capitals where the hash of the small form has a high bit.
fn with_checksum(address: &[u8; 20]) -> String {
    let small = hex::encode(address);
    let hash = hex::encode(Keccak256::digest(small.as_bytes()));
    let letters = small.chars().zip(hash.chars());
    let mixed = letters.map(|(letter, bits)| if bits >= '8' { letter.to_ascii_uppercase() } else { letter });
    format!("0x{}", mixed.collect::<String>())
}

fn after_type(bytes: &[u8]) -> Result<&[u8], Error> {
    let kind = match bytes.split_first() {
        None => return Err(Error::malformed(CHAIN, "it is empty")),
        Some((&TYPE, rest)) => return Ok(rest),
        Some((1, _)) => "type 1 (EIP-2930)".to_owned(),
        Some((3, _)) => "type 3 (EIP-4844, with blobs)".to_owned(),
        Some((4, _)) => "type 4 (EIP-7702, which hands the account to a contract)".to_owned(),
        Some((0xc0.., _)) => "a legacy transaction (before EIP-2718)".to_owned(),
        Some((other, _)) => format!("type {other:#04x}"),
    };
    Err(Error::unsupported(CHAIN, format!("{kind}; use type 2 (EIP-1559)")))
}

fn typed_list(fields: &[u8]) -> Vec<u8> {
    let header = Header { list: true, payload_length: fields.len() };
    let mut bytes = Vec::with_capacity(1 + header.length() + fields.len());
    bytes.push(TYPE);
    header.encode(&mut bytes);
    bytes.extend_from_slice(fields);
    bytes
}

fn field<T: Decodable>(rest: &mut &[u8], name: &str) -> Result<T, Error> {
    T::decode(rest).map_err(|error| broken(name, error))
}

fn bytes<'a>(rest: &mut &'a [u8], name: &str) -> Result<&'a [u8], Error> {
    Header::decode_bytes(rest, false).map_err(|error| broken(name, error))
}

fn list<'a>(rest: &mut &'a [u8], name: &str) -> Result<&'a [u8], Error> {
    Header::decode_bytes(rest, true).map_err(|error| broken(name, error))
}

fn big_number(rest: &mut &[u8], name: &str) -> Result<Amount, Error> {
    let digits = bytes(rest, name)?;
    if digits.len() > 32 {
        return Err(wrong_length(name, "at most 32", digits.len()));
    }
    if digits.first() == Some(&0) {
        return Err(broken(name, alloy_rlp::Error::LeadingZero));
    }
    let mut padded = [0; 32];
    padded[32 - digits.len()..].copy_from_slice(digits);
    Ok(Amount::from_be_bytes(padded, Unit::Wei))
}

/// Reads the access list (EIP-2930), which changes what a call costs and nothing of what it does.
fn access_list(rest: &mut &[u8]) -> Result<(), Error> {
    const NAME: &str = "access list";
    let mut items = list(rest, NAME)?;
    while !items.is_empty() {
        let mut item = list(&mut items, NAME)?;
        let _address: [u8; 20] = field(&mut item, NAME)?;
        let mut slots = list(&mut item, NAME)?;
        while !slots.is_empty() {
            let _slot: [u8; 32] = field(&mut slots, NAME)?;
        }
        if !item.is_empty() {
            return Err(Error::malformed(CHAIN, format!("{NAME}: an item of more than two fields")));
        }
    }
    Ok(())
}

/// Without leading zeros, as RLP writes numbers.
fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn broken(name: &str, error: alloy_rlp::Error) -> Error {
    Error::malformed(CHAIN, format!("{name}: {error}"))
}

fn wrong_length(name: &str, expected: &str, got: usize) -> Error {
    Error::malformed(CHAIN, format!("{name}: {expected} bytes were expected, {got} came"))
}

#[cfg(test)]
mod tests;
