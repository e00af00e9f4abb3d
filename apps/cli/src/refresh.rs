//! `perennial refresh`: replaces the shares of wallets. Their keys and addresses stay.

use crate::arguments::Refresh;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::plans::{propose, with_terms};
use crate::rendering::{counted, seconds};
use serde_json::{Value, json};

/// The longest overlap that can be asked for, in seconds: thirty days.
pub const OVERLAP_SECONDS_MAX: f64 = 30.0 * 24.0 * 3600.0;

/// Carries out the command.
pub fn run(operator: &Operator, arguments: &Refresh) -> Result<(), Failure> {
    let names: Vec<&str> = match arguments.all {
        true => vec!["*"],
        false => arguments.wallets.iter().map(|wallet| wallet.as_str()).collect(),
    };
    let overlap_ms = milliseconds("--overlap", arguments.overlap, OVERLAP_SECONDS_MAX)?;
    let draft = json!({"action": "refresh", "wallets": names, "overlap_ms": overlap_ms});
    let terms = &arguments.terms;
    if let Some(done) = propose(operator, &with_terms(operator, draft, terms), terms)? {
        let took = done.total_ms.map(seconds).unwrap_or_default();
        let text = format!(
            "done in {took}: the shares of {} are new, the old ones are erased\n",
            counted(done.wallets_retired as usize, "wallet")
        );
        let value: Value = json!({
            "ceremony": done.ceremony,
            "wallets": done.wallets,
            "total_ms": done.total_ms,
            "phases_ms": done.phases_ms,
        });
        operator.answer(&text, &value);
    }
    Ok(())
}

/// Seconds as they were given, in whole milliseconds.
pub fn milliseconds(option: &str, given: f64, most: f64) -> Result<u64, Failure> {
    if given.is_finite() && (0.0..=most).contains(&given) {
        Ok((given * 1000.0).round() as u64)
    } else {
        Err(Failure::usage(
            format!("{option} {given} is out of range"),
            format!("give seconds from 0 to {most}"),
        ))
    }
}
