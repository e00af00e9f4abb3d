//! `perennial mandate`: standing approvals, under which wallets are refreshed without asking each time.

use crate::arguments::{self, ProposeMandate};
use crate::client::understood;
use crate::failure::{Failure, Kind};
use crate::operator::Operator;
use crate::proposal::{self, Proposal, refused};
use crate::refresh::{OVERLAP_SECONDS_MAX, milliseconds};
use crate::rendering::{committee, counted, date, grouped, seconds};
use crate::table::{Side, Table};
use crate::times::{length, window, window_text, written};
use base64ct::{Base64, Encoding};
use perennial_model::approval::{Approval, Question};
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::Governance;
use perennial_model::mandate::{ApprovedMandate, Cadence, Mandate, Selector};
use perennial_model::plan::{LiarTolerance, Plan, ProbeRate};
use perennial_model::wallet::Tier;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// How many wallets are named one by one.
const NAMED_MAX: usize = 20;

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Mandate) -> Result<(), Failure> {
    match command {
        arguments::Mandate::Propose(arguments) => propose(operator, arguments),
        arguments::Mandate::List => list(operator),
        arguments::Mandate::Show { mandate } => show(operator, mandate),
        arguments::Mandate::Approve(arguments) => proposal::approve::<ApprovedMandate>(operator, arguments),
        arguments::Mandate::Submit { file } => proposal::submit::<ApprovedMandate>(operator, file),
    }
}

impl Proposal for ApprovedMandate {
    const COMMAND: &'static str = "mandate";
    const PATH: &'static str = "/v1/mandates";

    fn digest(&self) -> Digest {
        self.mandate.digest()
    }

    fn question(&self) -> Question<'_> {
        self.mandate.question()
    }

    fn approvals(&mut self) -> &mut Vec<Approval> {
        &mut self.approvals
    }

    fn check(&self, governance: &Governance) -> Result<(), perennial_model::Error> {
        ApprovedMandate::check(self, governance)
    }

    fn text(&self) -> String {
        text(&self.mandate)
    }
}

/// A mandate as the API shows it.
#[derive(Deserialize)]
struct Shown {
    mandate: String,
    state: String,
    document: String,
}

fn propose(operator: &Operator, arguments: &ProposeMandate) -> Result<(), Failure> {
    let names: Vec<&str> = match arguments.all {
        true => vec!["*"],
        false => arguments.wallets.iter().map(|wallet| wallet.as_str()).collect(),
    };
    let overlap_ms = milliseconds("--overlap", arguments.overlap, OVERLAP_SECONDS_MAX)?;
    // A draft of a refresh says whose the wallets are, who holds them, and who asks.
    let mut draft = json!({"action": "refresh", "wallets": names, "overlap_ms": overlap_ms});
    draft["unsafe_ok"] = arguments.unsafe_against_liars.into();
    if let Some(settings) = &operator.cluster.settings {
        draft["initiator"] = settings.initiator.as_str().into();
    }
    let plan = operator.client.draft(&draft)?.plan;
    let mandate = from_plan(arguments, plan)?;
    let governance = crate::governance::present(operator)?.0.newest().clone();
    mandate.check(&governance).map_err(refused)?;
    proposal::write(operator, &ApprovedMandate { mandate, approvals: Vec::new() }, &arguments.out)
}

fn from_plan(arguments: &ProposeMandate, plan: Plan) -> Result<Mandate, Failure> {
    let cadence: Vec<Cadence> = arguments.every.iter().map(|text| cadence(text)).collect::<Result<_, _>>()?;
    let shortest_ms = cadence.iter().map(|cadence| cadence.every_ms).min().unwrap_or(0);
    let least_gap_ms = match &arguments.at_most_every {
        Some(text) => length(text)?,
        None => shortest_ms / 10 * 9,
    };
    let wallets = match arguments.all {
        true => Selector::All,
        false => Selector::Named(arguments.wallets.clone()),
    };
    let windows = arguments.window.iter().map(|text| window(text)).collect::<Result<_, _>>()?;
    Ok(Mandate {
        tenant: plan.tenant,
        tier: plan.tier,
        wallets,
        committee: plan.committee,
        liar_tolerance: plan.liar_tolerance,
        profile: plan.profile,
        probe_rate: plan.probe_rate,
        backup_rule: plan.backup_rule,
        policy: plan.policy,
        not_before_ms: plan.not_before_ms,
        until_ms: plan.not_before_ms.saturating_add(length(&arguments.lasts)?),
        least_gap_ms,
        attempts: arguments.attempts,
        windows,
        run_ms: length(&arguments.takes)?.min(least_gap_ms),
        cadence,
        failures: arguments.failures,
        governance: plan.governance,
        initiator: plan.initiator,
        nonce: plan.nonce,
    })
}

/// `7d` for all tiers, or `high=30d`.
fn cadence(text: &str) -> Result<Cadence, Failure> {
    let (tier, every) = text.split_once('=').unwrap_or(("low", text));
    let from_tier = Tier::ALL.into_iter().find(|known| known.to_string() == tier);
    let from_tier = from_tier
        .ok_or_else(|| Failure::usage(format!("{tier:?} is no tier"), "write low=, standard= or high="))?;
    Ok(Cadence { from_tier, every_ms: length(every)? })
}

fn list(operator: &Operator) -> Result<(), Failure> {
    let answer = operator.client.get("/v1/mandates")?;
    let mut table = Table::new([
        ("mandate", Side::Left),
        ("state", Side::Left),
        ("tenant", Side::Left),
        ("wallets", Side::Left),
        ("every", Side::Left),
        ("until", Side::Left),
    ]);
    for shown in all(operator)? {
        let mandate = read(&shown)?;
        let every: Vec<String> = mandate.cadence.iter().map(|c| written(c.every_ms)).collect();
        let wallets = match &mandate.wallets {
            Selector::All => format!("all up to {}", mandate.tier),
            Selector::Named(named) => named.len().to_string(),
        };
        let short = shown.mandate.chars().take(8).collect();
        let until = date(mandate.until_ms);
        table.row([short, shown.state, mandate.tenant.to_string(), wallets, every.join(", "), until]);
    }
    operator.answer(&table.text(0), &answer);
    Ok(())
}

fn show(operator: &Operator, named: &str) -> Result<(), Failure> {
    if Path::new(named).is_file() {
        let proposal: ApprovedMandate = proposal::read(Path::new(named))?;
        let people: Vec<&str> = proposal.approvals.iter().map(|approval| approval.person.as_str()).collect();
        let value = json!({"mandate": proposal.mandate.digest().to_string(), "approved_by": people});
        operator
            .answer(&format!("{}  approved by  {}\n", text(&proposal.mandate), people.join(", ")), &value);
        return Ok(());
    }
    let (digest, state, mandate) = find(operator, named)?;
    let value = json!({"mandate": digest.to_string(), "state": state});
    operator.answer(&format!("{}  state       {state}\n", text(&mandate)), &value);
    Ok(())
}

/// The mandate whose digest begins with these digits, and where it stands.
pub fn find(operator: &Operator, beginning: &str) -> Result<(Digest, String, Mandate), Failure> {
    let digits: String = beginning.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = Vec::new();
    for shown in all(operator)?.into_iter().filter(|shown| shown.mandate.starts_with(&digits)) {
        let mandate = read(&shown)?;
        found.push((mandate.digest(), shown.state, mandate));
    }
    match found.pop() {
        Some(one) if found.is_empty() && digits.len() >= 4 => Ok(one),
        Some(_) => Err(Failure::usage(
            format!("{beginning:?} could be several mandates"),
            "give more digits, four at least",
        )),
        None => Err(Failure::new(
            Kind::Refused,
            format!("no mandate's digest begins with {beginning:?}"),
            "caller",
            "`perennial mandate list` shows those that there are",
        )),
    }
}

fn all(operator: &Operator) -> Result<Vec<Shown>, Failure> {
    understood(operator.client.get("/v1/mandates")?["mandates"].take())
}

/// Reads what the coordinator shows, whose digest is the mandate's name, or it is another mandate.
fn read(shown: &Shown) -> Result<Mandate, Failure> {
    let bytes = Base64::decode_vec(&shown.document).ok();
    let mandate = bytes.and_then(|bytes| encoding::decode::<Mandate>(&bytes).ok());
    let mandate = mandate.filter(|mandate| mandate.digest().to_string() == shown.mandate);
    mandate.ok_or_else(|| {
        Failure::new(
            Kind::Denied,
            format!("what came is not the mandate {}", shown.mandate),
            "the coordinator: it passes one mandate off as another, or the versions differ",
            "approve nothing, and find out who runs it",
        )
    })
}

/// What a mandate says, from the bytes that are signed.
pub fn text(mandate: &Mandate) -> String {
    let mut lines: Vec<(&str, String)> = vec![("mandate", grouped(&mandate.digest()))];
    let wallets = match &mandate.wallets {
        Selector::All => format!("all of tier {} or lower, also those made later", mandate.tier),
        Selector::Named(named) => {
            let names: Vec<&str> = named.iter().take(NAMED_MAX).map(|wallet| wallet.as_str()).collect();
            let more = named.len() - names.len();
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}: {}{rest}", counted(named.len(), "wallet"), names.join(", "))
        }
    };
    lines.push(("what", "refresh these wallets again and again, without asking each time".into()));
    lines.push(("wallets", wallets));
    lines.push(("tenant", mandate.tenant.to_string()));
    lines.push(("holders", committee(&mandate.committee)));
    if mandate.liar_tolerance == LiarTolerance::WaivedUnsafe {
        lines.push((
            "liars",
            "UNSAFE AGAINST LIARS: one signer that lies can lose the wallets for good".into(),
        ));
    }
    for cadence in &mandate.cadence {
        lines.push(("every", format!("{} from tier {}", written(cadence.every_ms), cadence.from_tier)));
    }
    let gap = written(mandate.least_gap_ms);
    lines.push(("at most", format!("one renewal of a wallet in {gap}, by each signer's own clock")));
    match mandate.windows.is_empty() {
        true => lines.push(("begins", "at any time".into())),
        false => lines.extend(mandate.windows.iter().map(|window| ("begins", window_text(window)))),
    }
    lines.push(("takes", format!("at most {}", written(mandate.run_ms))));
    let perennial_model::plan::Profile::Planned { overlap_ms } = mandate.profile;
    lines.push(("overlap", format!("old and new epoch both sign for at least {}", seconds(overlap_ms))));
    let probes = match mandate.probe_rate {
        ProbeRate::Every => "every wallet signs a test message before its shares are used",
        ProbeRate::OnePerChunk => "one wallet of each chunk, chosen by lot, signs a test message first",
    };
    lines.push(("probes", probes.into()));
    let attempts = counted(mandate.attempts as usize, "attempt");
    let failures = counted(mandate.failures as usize, "refresh");
    let failures = failures.replace("refreshs", "refreshes");
    lines.push((
        "fails",
        format!("{attempts} between two renewals; it stops after {failures} in a row that fail"),
    ));
    lines.push(("from", date(mandate.not_before_ms)));
    lines.push(("until", date(mandate.until_ms)));
    lines.push(("asked by", format!("{}, whose own approval does not count", mandate.initiator)));
    lines.push(("governance", grouped(&mandate.governance)));
    lines.into_iter().map(|(word, content)| format!("  {word:<10}  {content}\n")).collect()
}
