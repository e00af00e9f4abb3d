//! Solana: messages of the legacy form and of version 0, the bytes that are signed.
//!
//! The wire format is small (a header, keys, a blockhash, instructions, lookups; every count in one to three
//! bytes), so it is read here, in full and without a dependency: the network's own crates bring some thirty
//! packages with code generators and leave out what a wallet needs (bytes left over, sizes, repeated keys). The
//! tests hold this parser against those crates.

mod fee;
mod message;
#[cfg(test)]
mod tests;

pub(crate) use message::Message;

use crate::{Amount, Assembled, Effect, EffectKind, Error, Signature, SigningMessage, Summary, Unit};
use ed25519_dalek::VerifyingKey;
use message::{Instruction, Key};
use perennial_model::wallet::Chain;

/// The largest transaction in bytes, signatures included: what fits a packet of the network.
pub const TRANSACTION_BYTES_MAX: usize = 1232;

/// The most accounts that a transaction may name, looked up ones included.
pub const ACCOUNTS_MAX: usize = 128;

const CHAIN: Chain = Chain::Solana;

const SIGNATURE_BYTES: usize = 64;

/// The program that owns ordinary accounts and moves lamports between them.
const SYSTEM_PROGRAM: Key = [0; 32];

/// The first bytes of data that are shown as the name of a function.
const SELECTOR_BYTES: usize = 8;

/// Bytes as Solana writes them.
pub(crate) fn base58(bytes: &[u8]) -> String {
    base58ck::encode(bytes)
}

impl Message {
    /// The place of a key among the required signers.
    pub(crate) fn position_of(&self, key: &VerifyingKey) -> Result<usize, Error> {
        self.signers().iter().position(|signer| signer == key.as_bytes()).ok_or_else(|| {
            let signers: Vec<String> = self.signers().iter().map(|signer| base58(signer)).collect();
            let what = format!("its required signers are {}", signers.join(", "));
            Error::not_ours(&base58(key.as_bytes()), what)
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        Summary {
            chain: CHAIN,
            chain_id: None,
            effects: self.instructions().iter().map(|instruction| self.effect(instruction)).collect(),
            fee_at_most: Amount::from_units(fee::at_most(self), Unit::Lamport),
            fee_payer: self.signers().first().map(|payer| base58(payer)),
        }
    }

    fn effect(&self, instruction: &Instruction) -> Effect {
        let account = |index: usize| instruction.accounts.get(index).map(|&place| self.written(place));
        let number = instruction.data.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        let lamports = instruction.data.get(4..12).and_then(<[u8]>::first_chunk::<8>);
        let start: Vec<u8> = instruction.data.iter().take(SELECTOR_BYTES).copied().collect();
        let kind = match (self.program(instruction) == &SYSTEM_PROGRAM, number) {
            (true, Some(0)) => EffectKind::Creation,
            (true, Some(2)) => EffectKind::Payment,
            _ => EffectKind::Call,
        };
        match (kind, account(0), account(1), lamports) {
            (EffectKind::Creation | EffectKind::Payment, Some(from), Some(to), Some(lamports)) => {
                let lamports = u64::from_le_bytes(*lamports);
                let amount = Some(Amount::from_units(lamports.into(), Unit::Lamport));
                Effect { kind, from: Some(from), to: Some(to), amount, selector: None }
            }
            _ => Effect {
                kind: EffectKind::Call,
                from: None,
                to: Some(base58(self.program(instruction))),
                amount: None,
                selector: (!start.is_empty()).then_some(start),
            },
        }
    }

    /// The network's form. The signature has been verified.
    pub(crate) fn assemble(&self, key: &VerifyingKey, signatures: &[Signature]) -> Result<Assembled, Error> {
        let own = self.position_of(key)?;
        let mut places = vec![[0; SIGNATURE_BYTES]; self.signers().len()];
        for signature in signatures {
            places[own] = *signature.as_bytes();
        }
        let count = u8::try_from(places.len()).expect("a message names fewer than 128 signers");
        let mut bytes = vec![count];
        bytes.extend(places.iter().flatten());
        bytes.extend_from_slice(self.bytes());
        let others = self.signers().iter().enumerate().filter(|(place, _)| *place != own);
        let missing: Vec<String> = others.map(|(_, signer)| base58(signer)).collect();
        if missing.is_empty() {
            Ok(Assembled::Complete { bytes, id: base58(&places[0]) })
        } else {
            Ok(Assembled::Partial { bytes, missing })
        }
    }
}

/// Checks one signature, strictly: canonical, no points of small order, without the cofactor.
pub(crate) fn verify(
    key: &VerifyingKey,
    index: usize,
    message: &SigningMessage,
    signature: &Signature,
) -> Result<(), Error> {
    let bad = |what: String| Error::bad_signature(index, &base58(key.as_bytes()), what);
    let Signature::Ed25519(bytes) = signature else {
        return Err(bad(format!("an Ed25519 signature was expected, {} came", signature.kind())));
    };
    key.verify_strict(message.as_bytes(), &ed25519_dalek::Signature::from_bytes(bytes))
        .map_err(|_| bad("it does not hold".to_owned()))
}
