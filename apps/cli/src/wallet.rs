//! `perennial wallet`: asks for new wallets, and shows those that there are.

use crate::api::Wallet;
use crate::arguments::{self, Terms};
use crate::client::understood;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::plans::{propose, with_terms};
use crate::rendering::seconds;
use crate::table::{Side, Table};
use crate::theft;
use perennial_model::committee::SignerId;
use perennial_model::wallet::{Chain, WalletId};
use serde_json::{Value, json};

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Wallet) -> Result<(), Failure> {
    match command {
        arguments::Wallet::Create { names, chain, threshold, signers, terms } => {
            create(operator, names, *chain, (*threshold, signers), terms)
        }
        arguments::Wallet::List => {
            let wallets = operator.client.wallets()?;
            let text = if wallets.is_empty() { "no wallet yet\n".to_owned() } else { listed(&wallets)? };
            operator.answer(&text, &json!({"wallets": wallets}));
            Ok(())
        }
        arguments::Wallet::Show { name } => {
            let answer = operator.client.get(&format!("/v1/wallets/{name}"))?;
            operator.answer(&shown(&understood(answer.clone())?, now_ms()), &answer);
            Ok(())
        }
    }
}

fn create(
    operator: &Operator,
    names: &[WalletId],
    chain: Chain,
    (threshold, signers): (Option<u8>, &[SignerId]),
    terms: &Terms,
) -> Result<(), Failure> {
    let settings = operator.cluster.settings()?;
    let wallets: Vec<Value> =
        names.iter().map(|name| json!({"id": name.as_str(), "chain": chain.name()})).collect();
    let mut draft = json!({
        "action": "create",
        "tenant": settings.tenant,
        "wallets": wallets,
        "threshold": threshold.unwrap_or(settings.threshold),
    });
    if !signers.is_empty() {
        draft["signers"] = signers.iter().map(SignerId::as_str).collect();
    }
    if propose(operator, &with_terms(operator, draft, terms), terms)?.is_some() {
        let made = names
            .iter()
            .map(|name| operator.client.get(&format!("/v1/wallets/{name}")))
            .collect::<Result<Vec<_>, _>>()?;
        operator.answer(&listed(&made)?, &json!({"wallets": made}));
    }
    Ok(())
}

fn listed(wallets: &[Value]) -> Result<String, Failure> {
    let mut table = Table::new([
        ("wallet", Side::Left),
        ("chain", Side::Left),
        ("address", Side::Left),
        ("epoch", Side::Left),
        ("signers", Side::Left),
    ]);
    for wallet in wallets {
        let wallet: Wallet = understood(wallet.clone())?;
        table.row([
            wallet.id.clone(),
            wallet.chain.clone(),
            wallet.address.clone().unwrap_or_else(|| "(its key is damaged)".to_owned()),
            wallet.epoch.clone(),
            format!("{} of {}", wallet.threshold, names(&wallet)),
        ]);
    }
    Ok(table.text(0))
}

fn names(wallet: &Wallet) -> String {
    wallet.signers.iter().map(|seat| seat.signer.as_str()).collect::<Vec<_>>().join(" ")
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Where copies may be, and for how long the oldest that should be gone is not.
fn exposed(wallet: &Wallet, now_ms: u64) -> String {
    let mut table = Table::new([
        ("copies of", Side::Left),
        ("exposure", Side::Left),
        ("key state", Side::Left),
        ("without receipt", Side::Left),
        ("stolen", Side::Left),
    ]);
    let listed = |signers: &[String]| if signers.is_empty() { "-".to_owned() } else { signers.join(" ") };
    for row in &wallet.exposure {
        let (left, stolen) = (listed(&row.outstanding), listed(&row.stolen));
        table.row([row.number.clone(), row.words.clone(), row.key_state.clone(), left, stolen]);
    }
    let age = match wallet.undead_since_ms {
        None => "nothing older is left, by the receipts of all who had it".to_owned(),
        Some(since_ms) => {
            format!("the oldest that is left is out of date for {}", seconds(now_ms.saturating_sub(since_ms)))
        }
    };
    let is_lost = wallet.exposure.iter().any(|row| row.key_state == "compromised");
    let lost = if is_lost { "LOST: as many copies as make the key are stolen; move the funds\n" } else { "" };
    let thefts: String = wallet.thefts.iter().map(|theft| format!("{}\n", theft::sentence(theft))).collect();
    format!("\n{}{age}\n{lost}{thefts}", table.text(0))
}

fn shown(wallet: &Wallet, now_ms: u64) -> String {
    let standing = |state: &str| match state {
        "active" => "in use, not yet kept by all its signers".to_owned(),
        "retired" => "in use, kept by all its signers".to_owned(),
        "parent" => "still held, to fall back on".to_owned(),
        other => other.to_owned(),
    };
    let epochs = wallet.epochs.iter().map(|epoch| format!("{} {}", epoch.epoch, standing(&epoch.state)));
    let address = wallet.address.as_deref().unwrap_or("(its key is damaged)");
    format!(
        "wallet   {}\nchain    {}, signs with {}\naddress  {address}\nepoch    {}\nsigners  any {} of {}\n{}",
        wallet.id,
        wallet.chain,
        wallet.scheme,
        epochs.collect::<Vec<_>>().join("\n         "),
        wallet.threshold,
        names(wallet),
        exposed(wallet, now_ms)
    )
}
