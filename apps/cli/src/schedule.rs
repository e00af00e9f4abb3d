//! `perennial schedule`: what will be refreshed when, as a calendar, and what people should look at.

use crate::arguments;
use crate::client::understood;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::rendering::{counted, date};
use crate::table::{Side, Table};
use serde::Deserialize;

/// How many wallets with one warning are named.
const NAMED_MAX: usize = 5;

#[derive(Deserialize)]
struct Schedule {
    occasions: Vec<Occasion>,
    warnings: Vec<Warning>,
}

#[derive(Deserialize)]
struct Occasion {
    at_ms: u64,
    mandate: String,
    tenant: String,
    tier: String,
    wallets: usize,
}

#[derive(Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Warning {
    code: String,
    what: String,
    wallet: String,
}

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Schedule) -> Result<(), Failure> {
    let arguments::Schedule::Show { days } = command;
    let answer = operator.client.get(&format!("/v1/schedule?days={days}"))?;
    let schedule: Schedule = understood(answer.clone())?;
    operator.answer(&text(&schedule, *days), &answer);
    Ok(())
}

fn text(schedule: &Schedule, days: u64) -> String {
    let mut table = Table::new([
        ("begins", Side::Left),
        ("tenant", Side::Left),
        ("tier", Side::Left),
        ("wallets", Side::Right),
        ("mandate", Side::Left),
    ]);
    for Occasion { at_ms, mandate, tenant, tier, wallets } in &schedule.occasions {
        let short = mandate.chars().take(8).collect();
        table.row([date(*at_ms), tenant.clone(), tier.clone(), wallets.to_string(), short]);
    }
    let mut text = match schedule.occasions.is_empty() {
        true => format!("nothing begins within {}\n", counted(days as usize, "day")),
        false => table.text(0),
    };
    let mut warnings = schedule.warnings.clone();
    warnings.sort();
    for same in warnings.chunk_by(|a, b| (&a.code, &a.what) == (&b.code, &b.what)) {
        let names: Vec<&str> = same.iter().take(NAMED_MAX).map(|warning| warning.wallet.as_str()).collect();
        let more = same.len() - names.len();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!("WARNING  {}{rest}: {}\n", names.join(", "), same[0].what));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wallets_with_one_warning_share_a_line() {
        let warning = |wallet: &str| Warning {
            code: "uncovered".into(),
            what: "no mandate says how often to renew".into(),
            wallet: wallet.into(),
        };
        let warnings = ["a", "b", "c", "d", "e", "f", "g"].map(warning).to_vec();
        let text = text(&Schedule { occasions: Vec::new(), warnings }, 90);
        assert_eq!(
            text,
            "nothing begins within 90 days\nWARNING  a, b, c, d, e and 2 more: no mandate says how often to renew\n"
        );
    }
}
