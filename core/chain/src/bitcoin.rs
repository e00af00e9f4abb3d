//! Bitcoin: partially signed transactions of version 0 (BIP-174), of which the wallet's inputs are signed by the
//! key path of pay-to-taproot (BIP-341) under the derived key tweaked without a script tree (BIP-86).
//!
//! A signature commits to the whole transaction and to amount and script of every output that it spends, so each
//! input must come with the output it spends, and whoever lies about one gets a signature that is worth nothing.
//! Refused for the wallet's inputs: script paths, and every signature hash type but DEFAULT and ALL. Inputs of
//! others are left alone, whatever they spend.

mod account;
mod finish;

pub(crate) use account::Account;

use crate::{Amount, Effect, EffectKind, Error, SigningMessage, Summary, Unit};
use ::bitcoin::hashes::Hash;
use ::bitcoin::psbt::{Input, Psbt};
use ::bitcoin::sighash::{Prevouts, SighashCache};
use ::bitcoin::{Address, KnownHrp, OutPoint, Script, TapSighashType, TxOut};
use perennial_model::wallet::Chain;
use std::collections::BTreeSet;

/// The largest PSBT, in bytes.
pub const PSBT_BYTES_MAX: usize = 256 << 10;

/// The most inputs of one transaction that the wallet signs; each is a run of the threshold engine.
pub const SIGNED_INPUTS_MAX: usize = 64;

/// A transaction whose outputs to be spent are all known.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned {
    chain: Chain,
    psbt: Psbt,
    /// The output that each input spends.
    spent: Vec<TxOut>,
    fee: u64,
}

impl Unsigned {
    pub(crate) fn parse(chain: Chain, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > PSBT_BYTES_MAX {
            return Err(Error::TooLarge { chain, bytes: bytes.len(), most: PSBT_BYTES_MAX });
        }
        let mut rest = bytes;
        let psbt = Psbt::deserialize_from_reader(&mut rest)
            .map_err(|error| Error::malformed(chain, format!("it is no PSBT of version 0: {error}")))?;
        if !rest.is_empty() {
            return Err(Error::malformed(chain, format!("{} bytes after its end", rest.len())));
        }
        if psbt.inputs.is_empty() || psbt.outputs.is_empty() {
            return Err(Error::malformed(chain, "it has no inputs or no outputs"));
        }
        let points: BTreeSet<_> = psbt.unsigned_tx.input.iter().map(|input| input.previous_output).collect();
        if points.len() != psbt.inputs.len() || points.contains(&OutPoint::null()) {
            return Err(Error::malformed(chain, "it spends one output twice, or an output that is none"));
        }
        let spent = (0..psbt.inputs.len())
            .map(|index| spent_output(&psbt, index).map_err(|what| Error::malformed(chain, what)))
            .collect::<Result<Vec<_>, _>>()?;
        let fee = fee(&spent, &psbt.unsigned_tx.output).map_err(|what| Error::malformed(chain, what))?;
        Ok(Self { chain, psbt, spent, fee })
    }

    pub(crate) fn summary(&self) -> Summary {
        let amount = |output: &TxOut| Some(satoshi(output.value.to_sat()));
        let account = |output: &TxOut| Some(written(&output.script_pubkey, self.chain));
        let effect = |kind, from, to, amount| Effect { kind, from, to, amount, selector: None };
        let spends =
            self.spent.iter().map(|spent| effect(EffectKind::Spend, account(spent), None, amount(spent)));
        let payments = self
            .psbt
            .unsigned_tx
            .output
            .iter()
            .map(|output| effect(EffectKind::Payment, None, account(output), amount(output)));
        Summary {
            chain: self.chain,
            chain_id: None,
            effects: spends.chain(payments).collect(),
            fee_at_most: satoshi(self.fee),
            fee_payer: None,
        }
    }

    /// One signature hash for each input that spends from the account.
    pub(crate) fn messages(&self, account: &Account) -> Result<Vec<SigningMessage>, Error> {
        let own = self.own_inputs(account)?;
        let mut cache = SighashCache::new(&self.psbt.unsigned_tx);
        own.into_iter()
            .map(|(index, kind)| {
                let hash = self.key_spend_hash(&mut cache, index, kind)?;
                Ok(SigningMessage::taproot(index, hash))
            })
            .collect()
    }

    /// The inputs that spend from the account, and what their signatures commit to. Never empty.
    fn own_inputs(&self, account: &Account) -> Result<Vec<(usize, TapSighashType)>, Error> {
        let own: Vec<usize> = (0..self.spent.len())
            .filter(|&index| self.spent[index].script_pubkey == account.script)
            .collect();
        if own.is_empty() {
            let kinds = self.spent.iter().enumerate().take(8);
            let kinds: Vec<String> = kinds
                .map(|(index, spent)| format!("input {index} spends {}", kind(&spent.script_pubkey)))
                .collect();
            let what = format!("none of its inputs spends P2TR of this address ({})", kinds.join(", "));
            return Err(Error::not_ours(&account.address, what));
        }
        if own.len() > SIGNED_INPUTS_MAX {
            let what = format!("{} inputs to sign, at most {SIGNED_INPUTS_MAX} are: split it", own.len());
            return Err(Error::unsupported(self.chain, what));
        }
        own.into_iter()
            .map(|index| {
                let kind = hash_type(&self.psbt.inputs[index], account)
                    .map_err(|what| Error::unsupported(self.chain, format!("input {index} {what}")))?;
                Ok((index, kind))
            })
            .collect()
    }

    /// The BIP-341 signature hash of a spend by key path.
    fn key_spend_hash(
        &self,
        cache: &mut SighashCache<&::bitcoin::Transaction>,
        index: usize,
        kind: TapSighashType,
    ) -> Result<[u8; 32], Error> {
        cache
            .taproot_key_spend_signature_hash(index, &Prevouts::All(&self.spent), kind)
            .map(|hash| hash.to_byte_array())
            .map_err(|error| Error::malformed(self.chain, format!("input {index}: {error}")))
    }
}

/// The output that an input spends, as the PSBT states it.
fn spent_output(psbt: &Psbt, index: usize) -> Result<TxOut, String> {
    let (input, point) = (&psbt.inputs[index], psbt.unsigned_tx.input[index].previous_output);
    let whole = match &input.non_witness_utxo {
        None => None,
        Some(transaction) if transaction.compute_txid() == point.txid => {
            let output = transaction.output.get(point.vout as usize);
            Some(output.ok_or_else(|| format!("input {index} spends an output that its transaction lacks"))?)
        }
        Some(_) => return Err(format!("input {index} comes with another transaction than it spends")),
    };
    match (&input.witness_utxo, whole) {
        (Some(stated), None) => Ok(stated.clone()),
        (Some(stated), Some(whole)) if stated == whole => Ok(stated.clone()),
        (Some(_), Some(_)) => Err(format!("input {index} states two different outputs to spend")),
        // Outputs from before segregated witness come with their whole transaction.
        (None, Some(whole)) if !whole.script_pubkey.is_witness_program() => Ok(whole.clone()),
        (None, _) => Err(format!("input {index} has no witness UTXO: add the output that it spends")),
    }
}

fn fee(spent: &[TxOut], outputs: &[TxOut]) -> Result<u64, String> {
    let total = |outputs: &[TxOut]| {
        let each = outputs.iter().map(|output| output.value);
        let sum = each.clone().try_fold(::bitcoin::Amount::ZERO, ::bitcoin::Amount::checked_add);
        sum.filter(|sum| *sum <= ::bitcoin::Amount::MAX_MONEY)
            .ok_or_else(|| "its amounts are more than there is bitcoin".to_owned())
    };
    let (into, out) = (total(spent)?, total(outputs)?);
    let fee = into.checked_sub(out);
    fee.map(::bitcoin::Amount::to_sat).ok_or_else(|| format!("it spends {into} and pays out {out}"))
}

/// What the signature of the account's input commits to, if the input asks for nothing but a spend by key.
fn hash_type(input: &Input, account: &Account) -> Result<TapSighashType, String> {
    if input.final_script_sig.is_some() || input.final_script_witness.is_some() || input.tap_key_sig.is_some()
    {
        return Err("is already signed".to_owned());
    }
    let scripts = !input.tap_scripts.is_empty() || !input.tap_script_sigs.is_empty();
    if scripts || input.tap_merkle_root.is_some() {
        return Err("asks for a script path; only the key path is signed".to_owned());
    }
    if input.redeem_script.is_some() || input.witness_script.is_some() {
        return Err("has a redeem or witness script, which a spend by key has not".to_owned());
    }
    if input.tap_internal_key.is_some_and(|key| key != account.internal_key) {
        return Err(format!("names another internal key than {}", account.internal_key));
    }
    match input.taproot_hash_ty() {
        Ok(kind @ (TapSighashType::Default | TapSighashType::All)) => Ok(kind),
        Ok(kind) => Err(format!("asks for {kind}; only DEFAULT and ALL commit to the whole transaction")),
        Err(error) => Err(format!("asks for an unknown signature hash type: {error}")),
    }
}

fn satoshi(units: u64) -> Amount {
    Amount::from_units(units.into(), Unit::Satoshi)
}

fn prefix(chain: Chain) -> KnownHrp {
    match chain {
        Chain::Bitcoin => KnownHrp::Mainnet,
        Chain::BitcoinRegtest => KnownHrp::Regtest,
        _ => KnownHrp::Testnets,
    }
}

/// The address of a script, or the script itself where it has none.
fn written(script: &Script, chain: Chain) -> String {
    let network = match chain {
        Chain::Bitcoin => ::bitcoin::Network::Bitcoin,
        Chain::BitcoinRegtest => ::bitcoin::Network::Regtest,
        _ => ::bitcoin::Network::Testnet,
    };
    match Address::from_script(script, network) {
        Ok(address) => address.to_string(),
        Err(_) => format!("script {}", hex::encode(script.as_bytes())),
    }
}

fn kind(script: &Script) -> &'static str {
    match script {
        script if script.is_p2tr() => "P2TR of another address",
        script if script.is_p2wpkh() => "P2WPKH",
        script if script.is_p2wsh() => "P2WSH",
        script if script.is_p2sh() => "P2SH",
        script if script.is_p2pkh() => "P2PKH",
        _ => "another script",
    }
}

#[cfg(test)]
mod tests;
