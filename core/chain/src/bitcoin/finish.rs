//! Signatures into a transaction: the network's form when nothing is missing, else the PSBT to pass on.

use super::account::{holds, parsed};
use super::{Account, Unsigned};
use crate::{Assembled, Error, Signature};
use ::bitcoin::key::TweakedPublicKey;
use ::bitcoin::sighash::SighashCache;
use ::bitcoin::{ScriptBuf, Witness, XOnlyPublicKey, consensus, taproot};

impl Unsigned {
    /// The signed transaction. The account's signatures have been verified; those of others that the PSBT carries
    /// for a spend by key are checked here before they are used.
    pub(crate) fn assemble(&self, account: &Account, signatures: &[Signature]) -> Result<Assembled, Error> {
        let mut psbt = self.psbt.clone();
        for ((index, sighash_type), signature) in self.own_inputs(account)?.into_iter().zip(signatures) {
            let signature = parsed(signature.as_bytes());
            psbt.inputs[index].tap_key_sig = Some(taproot::Signature { signature, sighash_type });
        }
        let mut signed = psbt.unsigned_tx.clone();
        let mut missing = Vec::new();
        for (index, input) in psbt.inputs.iter().enumerate() {
            let (script, witness) = match (&input.final_script_sig, &input.final_script_witness) {
                (None, None) => match self.checked_key_spend(index, input.tap_key_sig)? {
                    Some(witness) => (ScriptBuf::new(), witness),
                    None => {
                        missing.push(format!("input {index}"));
                        continue;
                    }
                },
                (script, witness) => {
                    (script.clone().unwrap_or_default(), witness.clone().unwrap_or_default())
                }
            };
            signed.input[index].script_sig = script;
            signed.input[index].witness = witness;
        }
        if missing.is_empty() {
            let id = signed.compute_txid().to_string();
            Ok(Assembled::Complete { bytes: consensus::serialize(&signed), id })
        } else {
            Ok(Assembled::Partial { bytes: psbt.serialize(), missing })
        }
    }

    /// The witness of a spend by key path, none if the input has no such signature.
    fn checked_key_spend(
        &self,
        index: usize,
        signature: Option<taproot::Signature>,
    ) -> Result<Option<Witness>, Error> {
        let Some(signature) = signature else { return Ok(None) };
        let script = &self.spent[index].script_pubkey;
        let key = script.is_p2tr().then(|| XOnlyPublicKey::from_slice(&script.as_bytes()[2..]));
        let Some(Ok(key)) = key else {
            let what = format!("input {index} has a taproot signature and spends none");
            return Err(Error::malformed(self.chain, what));
        };
        let mut cache = SighashCache::new(&self.psbt.unsigned_tx);
        let hash = self.key_spend_hash(&mut cache, index, signature.sighash_type)?;
        if holds(&TweakedPublicKey::dangerous_assume_tweaked(key), hash, &signature.signature) {
            Ok(Some(Witness::p2tr_key_spend(&signature)))
        } else {
            let what = format!("the signature that input {index} came with does not hold");
            Err(Error::malformed(self.chain, what))
        }
    }
}
