//! Bitcoin: every input of the serialised transaction must be a spend by taproot key path whose signature commits
//! to the whole transaction and holds (BIP-340, BIP-341), and one at least must spend from the wallet's address.

use crate::{Prevout, Question};
use ::bitcoin::address::NetworkUnchecked;
use ::bitcoin::secp256k1::{Message, Secp256k1};
use ::bitcoin::sighash::{Prevouts, SighashCache};
use ::bitcoin::{
    Address, Amount, Network, TapSighashType, Transaction, TxIn, TxOut, XOnlyPublicKey, consensus, taproot,
};

pub(crate) fn judge(question: &Question) -> Result<String, String> {
    let bytes = hex::decode(&question.signed_transaction)
        .map_err(|error| format!("the transaction is not hexadecimal: {error}"))?;
    let transaction: Transaction = consensus::deserialize(&bytes)
        .map_err(|error| format!("it is no serialised transaction: {error}"))?;
    if consensus::serialize(&transaction) != bytes {
        return Err("it is not in its one form".to_owned());
    }
    let script = address(question)?.script_pubkey();
    let spent = question.prevouts.iter().map(spent).collect::<Result<Vec<_>, _>>()?;
    if spent.is_empty() || spent.len() != transaction.input.len() {
        return Err(format!("{} inputs and {} prevouts", transaction.input.len(), spent.len()));
    }
    let (into, out) = (total(&spent)?, total(&transaction.output)?);
    if into < out {
        return Err(format!("it spends {into} and pays out {out}"));
    }
    let mut cache = SighashCache::new(&transaction);
    for (index, input) in transaction.input.iter().enumerate() {
        holds(&mut cache, index, input, &spent).map_err(|why| format!("input {index}: {why}"))?;
    }
    match spent.iter().filter(|output| output.script_pubkey == script).count() {
        0 => Err(format!("no input spends from {}", question.address)),
        own => Ok(format!(
            "{own} of {} inputs signed by {}, transaction {}",
            spent.len(),
            question.address,
            transaction.compute_txid()
        )),
    }
}

fn address(question: &Question) -> Result<Address, String> {
    let network = match question.chain.as_str() {
        "bitcoin" => Network::Bitcoin,
        "bitcoin-regtest" => Network::Regtest,
        _ => Network::Testnet,
    };
    let address: Address<NetworkUnchecked> =
        question.address.parse().map_err(|error| format!("the address cannot be read: {error}"))?;
    let address =
        address.require_network(network).map_err(|error| format!("the address is wrong: {error}"))?;
    if address.script_pubkey().is_p2tr() && address.to_string() == question.address {
        Ok(address)
    } else {
        Err("the address is not P2TR in its one form".to_owned())
    }
}

fn spent(prevout: &Prevout) -> Result<TxOut, String> {
    let script = hex::decode(&prevout.script_pubkey)
        .map_err(|error| format!("a prevout's script is not hexadecimal: {error}"))?;
    Ok(TxOut { value: Amount::from_sat(prevout.amount), script_pubkey: script.into() })
}

fn total(outputs: &[TxOut]) -> Result<Amount, String> {
    let sum = outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
    sum.filter(|sum| *sum <= Amount::MAX_MONEY).ok_or_else(|| "more than there is bitcoin".to_owned())
}

fn holds(
    cache: &mut SighashCache<&Transaction>,
    index: usize,
    input: &TxIn,
    spent: &[TxOut],
) -> Result<(), String> {
    let script = &spent[index].script_pubkey;
    if !script.is_p2tr() {
        return Err("spends something other than P2TR".to_owned());
    }
    if !input.script_sig.is_empty() || input.witness.len() != 1 {
        return Err(format!("no spend by key: {} witness elements", input.witness.len()));
    }
    let witness = &input.witness[0];
    let signature =
        taproot::Signature::from_slice(witness).map_err(|error| format!("no signature: {error}"))?;
    let commits = match (signature.sighash_type, witness.len()) {
        (TapSighashType::Default, 64) | (TapSighashType::All, 65) => signature.sighash_type,
        (kind, length) => return Err(format!("{kind} in {length} bytes does not commit to everything")),
    };
    let key = XOnlyPublicKey::from_slice(&script.as_bytes()[2..]).map_err(|_| "its script pays to no key")?;
    let hash = cache
        .taproot_key_spend_signature_hash(index, &Prevouts::All(spent), commits)
        .map_err(|error| format!("no signature hash: {error}"))?;
    Secp256k1::verification_only()
        .verify_schnorr(&signature.signature, &Message::from(hash), &key)
        .map_err(|_| "its signature does not hold".to_owned())
}
