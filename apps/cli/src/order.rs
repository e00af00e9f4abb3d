//! `perennial order`: people call off a plan or a mandate, have a mandate rest, or let a halted signer work again.

use crate::arguments::{self, ProposeOrder};
use crate::failure::{Failure, Kind};
use crate::governance::present;
use crate::mandate;
use crate::operator::Operator;
use crate::proposal::{self, Proposal};
use crate::rendering::{date, grouped};
use crate::table::{Side, Table};
use crate::times::length;
use perennial_model::approval::{Approval, Question};
use perennial_model::encoding::Digest;
use perennial_model::governance::Governance;
use perennial_model::order::{ApprovedOrder, Deed, Order};
use perennial_model::wallet::{TenantId, Tier};
use std::time::{SystemTime, UNIX_EPOCH};

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Order) -> Result<(), Failure> {
    match command {
        arguments::Order::Cancel(arguments) => propose(operator, arguments, What::Cancel),
        arguments::Order::Pause(arguments) => propose(operator, arguments, What::Pause),
        arguments::Order::Resume(arguments) => propose(operator, arguments, What::Resume),
        arguments::Order::Readmit(arguments) => propose(operator, arguments, What::Readmit),
        arguments::Order::List => list(operator),
        arguments::Order::Approve(arguments) => proposal::approve::<ApprovedOrder>(operator, arguments),
        arguments::Order::Submit { file } => proposal::submit::<ApprovedOrder>(operator, file),
    }
}

/// Which order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Cancel,
    Pause,
    Resume,
    Readmit,
}

impl Proposal for ApprovedOrder {
    const COMMAND: &'static str = "order";
    const PATH: &'static str = "/v1/orders";

    fn digest(&self) -> Digest {
        self.order.digest()
    }

    fn question(&self) -> Question<'_> {
        self.order.question()
    }

    fn approvals(&mut self) -> &mut Vec<Approval> {
        &mut self.approvals
    }

    fn check(&self, governance: &Governance) -> Result<(), perennial_model::Error> {
        ApprovedOrder::check(self, governance)
    }

    fn text(&self) -> String {
        let order = &self.order;
        let whose = order.tenant.as_ref().map_or("all tenants".to_owned(), ToString::to_string);
        let lines = [
            ("order", grouped(&order.digest())),
            ("what", order.deed.to_string()),
            ("tenant", whose),
            ("tier", format!("{} or lower", order.tier)),
            ("number", order.number.to_string()),
            ("until", format!("{}; it is not taken later", date(order.expiry_ms))),
            ("asked by", format!("{}, whose own approval does not count", order.initiator)),
            ("governance", grouped(&order.governance)),
        ];
        lines.into_iter().map(|(word, content)| format!("  {word:<10}  {content}\n")).collect()
    }
}

fn propose(operator: &Operator, arguments: &ProposeOrder, what: What) -> Result<(), Failure> {
    let (deed, tenant, tier) = subject(operator, &arguments.what, what)?;
    let governance = present(operator)?.0;
    let mut nonce = Digest::default();
    getrandom::fill(&mut nonce.0).map_err(|error| Failure::local(error, "see to this machine"))?;
    let initiator = operator.cluster.settings.as_ref().map_or("operator", |known| known.initiator.as_str());
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let number = next_number(operator, &deed)?;
    let order = Order {
        deed,
        tenant,
        tier,
        number,
        expiry_ms: now_ms.saturating_add(length(&arguments.expires)?),
        governance: governance.newest_digest(),
        initiator: initiator.parse().map_err(|error| Failure::usage(error, "mend the cluster's settings"))?,
        nonce,
    };
    proposal::write(operator, &ApprovedOrder { order, approvals: Vec::new() }, &arguments.out)
}

/// What the order is about, whose it is, and of which tier.
fn subject(operator: &Operator, named: &str, what: What) -> Result<(Deed, Option<TenantId>, Tier), Failure> {
    if what == What::Readmit {
        let signers = operator.client.get("/v1/signers")?;
        let found =
            signers["signers"].as_array().into_iter().flatten().find(|known| known["signer"] == named);
        let halt = found.and_then(|known| known["halt"].as_str()).and_then(|digest| digest.parse().ok());
        let halt = halt.ok_or_else(|| {
            Failure::new(
                Kind::Refused,
                format!("no signer {named} has halted, as far as the coordinator knows"),
                "caller",
                "`perennial signer list` shows how they are",
            )
        })?;
        let signer = named.parse().map_err(|error| Failure::usage(error, "name a signer"))?;
        return Ok((Deed::Readmit { signer, halt }, None, Tier::High));
    }
    let deed = |digest| match what {
        What::Pause => Deed::Pause(digest),
        What::Resume => Deed::Resume(digest),
        What::Cancel | What::Readmit => Deed::Cancel(digest),
    };
    match mandate::find(operator, named) {
        Ok((digest, _, mandate)) => Ok((deed(digest), Some(mandate.tenant), mandate.tier)),
        Err(_) if what == What::Cancel => {
            let name = operator.client.find_ceremony(named)?;
            let plan = operator.client.plan(&name)?;
            Ok((deed(plan.digest), Some(plan.plan.tenant), plan.plan.tier))
        }
        Err(error) => Err(error),
    }
}

/// A number above those of all orders about the same.
fn next_number(operator: &Operator, deed: &Deed) -> Result<u64, Failure> {
    let orders = operator.client.get("/v1/orders")?;
    let target = deed.target().to_string();
    let about = orders["orders"].as_array().into_iter().flatten();
    let about = about.filter(|order| order["deed"].as_str().is_some_and(|deed| deed.contains(&target)));
    Ok(about.filter_map(|order| order["number"].as_u64()).max().unwrap_or(0).saturating_add(1))
}

fn list(operator: &Operator) -> Result<(), Failure> {
    let answer = operator.client.get("/v1/orders")?;
    let mut table = Table::new([
        ("order", Side::Left),
        ("number", Side::Right),
        ("obeyed by", Side::Right),
        ("what", Side::Left),
    ]);
    for order in answer["orders"].as_array().into_iter().flatten() {
        let text = |key: &str| order[key].as_str().unwrap_or_default().to_owned();
        let short = text("order").chars().take(8).collect();
        table.row([short, order["number"].to_string(), order["obeyed_by"].to_string(), text("deed")]);
    }
    operator.answer(&table.text(0), &answer);
    Ok(())
}
