//! `perennial signer`: the signers as the coordinator sees them, and what was stolen of them.

use crate::arguments::Signer;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::rendering::date;
use crate::table::{Side, Table};
use crate::theft;

/// Carries out the command.
pub fn run(operator: &Operator, command: &Signer) -> Result<(), Failure> {
    match command {
        Signer::List => list(operator),
        Signer::ReportTheft(arguments) => theft::report(operator, arguments),
        Signer::WithdrawTheft { report, text } => theft::withdraw(operator, report, text),
        Signer::Thefts => theft::list(operator),
    }
}

fn list(operator: &Operator) -> Result<(), Failure> {
    let answer = operator.client.get("/v1/signers")?;
    let mut table = Table::new([("signer", Side::Left), ("standing", Side::Left), ("last seen", Side::Left)]);
    for signer in operator.client.signers()? {
        let standing = match (&signer.halted, signer.connected) {
            (Some(breach), _) => format!("HALTED: the ledger was {breach}"),
            (None, true) => "connected".to_owned(),
            (None, false) => "away".to_owned(),
        };
        let seen = signer.last_seen_ms.map_or("not since the coordinator was started".to_owned(), date);
        table.row([signer.signer, standing, seen]);
    }
    operator.answer(&table.text(0), &answer);
    Ok(())
}
