//! A payment on Bitcoin: one output of the wallet is spent by key path; what is not paid and not the fee goes back
//! to the wallet.

use super::{Prevout, Transfer, bad};
use crate::failure::Failure;
use ::bitcoin::absolute::LockTime;
use ::bitcoin::address::NetworkUnchecked;
use ::bitcoin::psbt::Psbt;
use ::bitcoin::transaction::Version;
use ::bitcoin::{Address, Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use perennial_model::wallet::Chain;

/// Below this amount in satoshi, change is left to the fee: spending it would cost more than it is worth.
const DUST: u64 = 330;

/// What a payment needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment<'a> {
    /// Which network.
    pub chain: Chain,
    /// The wallet's own address: the owner of the output that is spent, and of the change.
    pub from: &'a str,
    /// The output that is spent, `TXID:INDEX:SATOSHI`.
    pub spend: &'a str,
    /// The receiver.
    pub to: &'a str,
    /// The amount in satoshi.
    pub amount: u64,
    /// The fee in satoshi.
    pub fee: u64,
}

/// The unsigned transaction in a PSBT of version 0 (BIP-174), with the output that it spends.
pub fn build(payment: &Payment<'_>) -> Result<Transfer, Failure> {
    let own = script(payment.chain, payment.from)?;
    let (previous_output, value) = spent(payment.spend)?;
    let left = value.checked_sub(payment.amount).and_then(|left| left.checked_sub(payment.fee));
    let change = left.ok_or_else(|| {
        Failure::usage(
            format!("{value} satoshi do not pay {} and a fee of {}", payment.amount, payment.fee),
            "spend a larger output, or send less",
        )
    })?;
    let pay = |script_pubkey, value| TxOut { value: Amount::from_sat(value), script_pubkey };
    let mut output = vec![pay(script(payment.chain, payment.to)?, payment.amount)];
    if change >= DUST {
        output.push(pay(own.clone(), change));
    }
    let input = vec![TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    }];
    let unsigned = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output };
    let mut psbt = Psbt::from_unsigned_tx(unsigned).map_err(|e| Failure::usage(e, "report this command"))?;
    let prevouts = vec![Prevout { script_pubkey: hex::encode(own.as_bytes()), amount: value }];
    psbt.inputs[0].witness_utxo = Some(pay(own, value));
    Ok(Transfer { bytes: psbt.serialize(), prevouts })
}

fn script(chain: Chain, text: &str) -> Result<ScriptBuf, Failure> {
    let network = match chain {
        Chain::BitcoinTest => Network::Testnet,
        Chain::BitcoinRegtest => Network::Regtest,
        _ => Network::Bitcoin,
    };
    let refused = || bad("Bitcoin address of this network", text, &format!("an address on {chain}"));
    let address: Address<NetworkUnchecked> = text.parse().map_err(|_| refused())?;
    Ok(address.require_network(network).map_err(|_| refused())?.script_pubkey())
}

fn spent(text: &str) -> Result<(OutPoint, u64), Failure> {
    let refused = || bad("output to spend", text, "TXID:INDEX:SATOSHI");
    let (point, value) = text.rsplit_once(':').ok_or_else(refused)?;
    Ok((point.parse().map_err(|_| refused())?, value.parse().map_err(|_| refused())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The first receiving address of the test vectors of BIP-86, and the first change address.
    const FROM: &str = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr";
    const TO: &str = "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7";

    fn payment(spend: &str) -> Payment<'_> {
        Payment { chain: Chain::Bitcoin, from: FROM, spend, to: TO, amount: 60_000, fee: 500 }
    }

    #[test]
    fn a_payment_says_what_was_asked_for_to_the_parser_that_signers_use() {
        let spend = format!("{}:3:100000", "ab".repeat(32));
        let transfer = build(&payment(&spend)).expect("built");
        assert_eq!(transfer.prevouts[0].amount, 100_000);
        let parsed = perennial_chain::parse(Chain::Bitcoin, &transfer.bytes).expect("a transaction");
        let said = format!("{:?}", parsed.summary());
        for part in [FROM, TO, "60000 satoshi", "39500 satoshi", "500 satoshi"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn what_cannot_be_paid_and_what_cannot_be_read_is_refused() {
        let poor = format!("{}:0:60100", "ab".repeat(32));
        assert!(build(&payment(&poor)).is_err());
        for spend in ["", "ab:0:1", "x", &"ab".repeat(32)] {
            assert!(build(&payment(spend)).is_err(), "{spend}");
        }
        let spend = format!("{}:3:100000", "ab".repeat(32));
        assert!(build(&Payment { chain: Chain::BitcoinTest, ..payment(&spend) }).is_err());
    }
}
