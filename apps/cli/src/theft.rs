//! `perennial signer report-theft`: what becomes known of stolen copies, told to the coordinator's register.

use crate::api::Theft;
use crate::arguments::ReportTheft;
use crate::client::understood;
use crate::evidence::read_time;
use crate::failure::{Failure, Kind};
use crate::operator::Operator;
use crate::rendering::date;
use serde_json::{Value, json};

/// How many digits of a report's digest are shown.
const SHORT: usize = 16;

/// Reports a theft.
pub fn report(operator: &Operator, arguments: &ReportTheft) -> Result<(), Failure> {
    let time = |text: &str| {
        read_time(text).map_err(|error| Failure::usage(error, "give both ends of the span in UTC"))
    };
    let wallets: Vec<&str> = arguments.wallets.iter().map(|wallet| wallet.as_str()).collect();
    let stolen = json!({
        "signer": arguments.name.as_str(),
        "wallets": wallets,
        "tenant": arguments.tenant.as_ref().map(|tenant| tenant.as_str()),
        "from_ms": time(&arguments.from)?,
        "to_ms": time(&arguments.to)?,
        "certainty": if arguments.known { "known" } else { "suspected" },
    });
    file(operator, &json!({"stolen": stolen, "text": arguments.text}))
}

/// Withdraws a report.
pub fn withdraw(operator: &Operator, named: &str, text: &str) -> Result<(), Failure> {
    let mut all = thefts(operator)?;
    all.retain(|theft| theft.report.starts_with(named));
    match all.as_slice() {
        [one] => file(operator, &json!({"withdraws": one.report, "text": text})),
        _ => Err(Failure::new(
            Kind::Refused,
            format!("{} reports have a digest that begins with {named:?}", all.len()),
            "caller",
            "`perennial signer thefts` shows those that there are",
        )),
    }
}

/// Shows all reports.
pub fn list(operator: &Operator) -> Result<(), Failure> {
    let answer = operator.client.get("/v1/thefts")?;
    let all: Vec<Theft> = understood(answer["thefts"].clone())?;
    let text: String = all.iter().map(|theft| format!("{}\n", sentence(theft))).collect();
    operator.answer(if text.is_empty() { "no theft was reported\n" } else { &text }, &answer);
    Ok(())
}

/// A report in a line.
pub fn sentence(theft: &Theft) -> String {
    let short = |digest: &str| digest.get(..SHORT).unwrap_or(digest).to_owned();
    let (report, by, text) = (short(&theft.report), &theft.by, &theft.text);
    let on = date(theft.reported_ms);
    let (Some(signer), Some(from_ms), Some(to_ms)) = (&theft.signer, theft.from_ms, theft.to_ms) else {
        let other = theft.withdraws.as_deref().map_or(String::new(), short);
        return format!("report {report} of {by}, {on}: report {other} does not hold: {text:?}");
    };
    let whose = match (theft.wallets.as_slice(), &theft.tenant) {
        ([], None) => "all wallets".to_owned(),
        ([], Some(tenant)) => format!("all wallets of {tenant}"),
        (named, _) => named.join(", "),
    };
    let certainty = theft.certainty.as_deref().unwrap_or_default();
    let withdrawn = theft
        .withdrawn_by
        .as_deref()
        .map_or(String::new(), |other| format!("; withdrawn by report {}", short(other)));
    format!(
        "report {report} of {by}, {on}: {certainty} to be stolen at {signer} from {} to {}, {whose}: {text:?}{withdrawn}",
        date(from_ms),
        date(to_ms)
    )
}

fn thefts(operator: &Operator) -> Result<Vec<Theft>, Failure> {
    understood(operator.client.get("/v1/thefts")?["thefts"].take())
}

fn file(operator: &Operator, report: &Value) -> Result<(), Failure> {
    let answer = operator.client.post("/v1/thefts", report, None)?;
    let digest = answer["digest"].as_str().unwrap_or_default();
    operator.answer(&format!("on record as report {digest}\n"), &answer);
    Ok(())
}
