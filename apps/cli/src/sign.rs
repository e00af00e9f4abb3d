//! `perennial sign`: has a transaction signed, from a file or as a simple transfer.

use crate::api::{Signed, Wallet};
use crate::arguments::{Sign, Transfer as Wanted};
use crate::client::understood;
use crate::failure::{Failure, Kind};
use crate::operator::Operator;
use crate::transfer::{Transfer, bitcoin, ethereum, solana};
use perennial_chain::{Effect, EffectKind};
use perennial_model::wallet::Chain;
use std::io::Read;
use std::path::Path;

/// The largest transaction file that is read, in bytes: the digits of the largest transaction.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Carries out the command.
pub fn run(operator: &Operator, arguments: &Sign) -> Result<(), Failure> {
    let transaction = match (&arguments.transaction, &arguments.transfer.to) {
        (Some(file), _) => read(file)?,
        (None, Some(to)) if arguments.path.is_none() => {
            let wallet = operator.client.wallet(arguments.wallet.as_str())?;
            let chain = chain(&wallet)?;
            let transfer = build(&wallet, chain, to, &arguments.transfer)?;
            operator.remark(&said(chain, &transfer)?);
            transfer.written(chain)
        }
        (None, Some(_)) => {
            return Err(Failure::usage(
                "a simple transfer is made from the wallet's own address",
                "leave --path out, or build the transaction yourself and pass it with --transaction",
            ));
        }
        (None, None) => {
            return Err(Failure::usage(
                "there is nothing to sign",
                "add --to ADDRESS --amount UNITS, or --transaction FILE",
            ));
        }
    };
    let key = match &arguments.idempotency_key {
        Some(key) => key.clone(),
        None => fresh_key()?,
    };
    let path = arguments.path.as_deref();
    let answer = operator.client.sign(arguments.wallet.as_str(), &transaction, path, &key)?;
    let signed: Signed = understood(answer.clone())?;
    operator.answer(&shown(&signed), &answer);
    Ok(())
}

/// A text that no other request has.
pub fn fresh_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| Failure::local(format!("no randomness: {e}"), "look at the operating system"))?;
    Ok(hex::encode(bytes))
}

/// A wallet's chain.
pub fn chain(wallet: &Wallet) -> Result<Chain, Failure> {
    wallet.chain.parse().map_err(|e: String| Failure::local(e, "use programs of one release"))
}

fn build(wallet: &Wallet, chain: Chain, to: &str, wanted: &Wanted) -> Result<Transfer, Failure> {
    let from = wallet.address.as_deref().ok_or_else(|| {
        let todo = "look at the coordinator's log";
        Failure::new(Kind::Broken, format!("{} has no address", wallet.id), "the coordinator's records", todo)
    })?;
    let amount = wanted.amount.unwrap_or_default();
    let small = |most: &str| {
        u64::try_from(amount).map_err(|_| Failure::usage(format!("{amount} is more than there is"), most))
    };
    match chain {
        Chain::Ethereum => ethereum::build(&ethereum::Payment {
            chain_id: wanted.chain_id,
            nonce: needed(
                wanted.nonce,
                "an Ethereum transfer needs --nonce",
                "count what the wallet has sent",
            )?,
            tip: wanted.tip,
            max_fee: wanted.max_fee,
            to,
            amount,
        }),
        Chain::Solana => solana::build(&solana::Payment {
            from,
            to,
            amount: small("give lamports")?,
            blockhash: needed(
                wanted.blockhash.as_deref(),
                "a Solana transfer needs --blockhash",
                "ask a node for a recent one",
            )?,
        }),
        _ => bitcoin::build(&bitcoin::Payment {
            chain,
            from,
            spend: needed(
                wanted.spend.as_deref(),
                "a Bitcoin transfer needs --spend TXID:INDEX:SATOSHI",
                "name an output that pays to the wallet's address",
            )?,
            to,
            amount: small("give satoshi")?,
            fee: wanted.fee,
        }),
    }
}

fn needed<T>(given: Option<T>, what: &str, todo: &str) -> Result<T, Failure> {
    given.ok_or_else(|| Failure::usage(what, todo))
}

/// What the transaction does, read from its bytes as the signers will read it.
fn said(chain: Chain, transfer: &Transfer) -> Result<String, Failure> {
    let parsed = perennial_chain::parse(chain, &transfer.bytes)
        .map_err(|e| Failure::local(format!("the transfer came out wrong: {e}"), "report this command"))?;
    let summary = parsed.summary();
    let line = |effect: &Effect| {
        let verb = match effect.kind {
            EffectKind::Spend => "takes",
            EffectKind::Payment => "pays",
            EffectKind::Call => "calls",
            EffectKind::Creation => "makes",
        };
        let amount = effect.amount.map(|amount| amount.to_string()).unwrap_or_default();
        match (&effect.from, &effect.to) {
            (_, Some(to)) => format!("  {verb:<5} {amount} to {to}\n"),
            (Some(from), None) => format!("  {verb:<5} {amount} from {from}\n"),
            (None, None) => format!("  {verb:<5} {amount}\n"),
        }
    };
    let lines: String = summary.effects.iter().map(line).collect();
    Ok(format!("{lines}  fee   {} at most\n", summary.fee_at_most))
}

fn shown(signed: &Signed) -> String {
    let id = signed.transaction_id.as_deref().unwrap_or("(signatures of others are missing)");
    format!(
        "signed by {} under epoch {}, ledger entry {}\ntransaction {id}\n{}\n",
        signed.signers.join(" and "),
        signed.epoch,
        signed.ledger_index,
        signed.signed_transaction
    )
}

fn read(path: &Path) -> Result<String, Failure> {
    let file = std::fs::File::open(path).map_err(|e| Failure::file("open", path, &e))?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|e| Failure::file("read", path, &e))?;
    Ok(text.split_whitespace().collect())
}
