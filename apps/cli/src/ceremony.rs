//! `perennial ceremony`: what was asked of the signers, and how far it is.

use crate::api::{Attempt, Ceremony, Count};
use crate::arguments;
use crate::client::{Client, understood};
use crate::failure::{Failure, Kind};
use crate::operator::{Form, Operator, print};
use crate::rendering::{ReadPlan, counted, date, seconds};
use crate::table::{Side, Table};
use perennial_model::plan::{Action, Plan};
use serde_json::{Value, json};

/// Carries out the command.
pub fn run(operator: &Operator, command: &arguments::Ceremony) -> Result<(), Failure> {
    match command {
        arguments::Ceremony::List => list(operator),
        arguments::Ceremony::Show { ceremony } => show(operator, ceremony),
        arguments::Ceremony::Watch { ceremony } => watch(operator, ceremony),
    }
}

/// Follows a ceremony to its end: `tell` gets each state of it and what is new about it in words.
///
/// # Errors
/// When it ends without all of its wallets, or `tell` wants no more.
pub fn follow(
    client: &Client,
    plan: &ReadPlan,
    mut tell: impl FnMut(&Ceremony, &str) -> Result<(), Failure>,
) -> Result<Ceremony, Failure> {
    let ceremony = plan.digest.to_string();
    let mut progress = Progress::of(&plan.plan);
    let mut since = 0;
    loop {
        let event = client.event(&ceremony, since)?;
        since = event.number;
        let news = progress.news(&event.ceremony);
        tell(&event.ceremony, &news)?;
        match event.ceremony.stage.as_str() {
            "done" if event.ceremony.wallets_given_up == 0 => return Ok(event.ceremony),
            "done" | "expired" => return Err(ended(&event.ceremony)),
            _ => {}
        }
    }
}

/// What has been told of a ceremony.
struct Progress {
    told: usize,
    left: usize,
    overlap_ms: u64,
}

/// The phases of an attempt in their order, as the API calls them.
const PHASES: [&str; 9] = [
    "opening",
    "committing",
    "dealing",
    "preparing",
    "probing",
    "activating",
    "keeping",
    "retiring",
    "retired",
];

impl Progress {
    /// Nothing has been told of the ceremony of this plan.
    fn of(plan: &Plan) -> Self {
        let overlap_ms = if plan.action == Action::Refresh { plan.overlap_ms() } else { 0 };
        Self { told: 0, left: 0, overlap_ms }
    }

    /// What is new, as words to be put after the ones before.
    fn news(&mut self, ceremony: &Ceremony) -> String {
        let mut news = String::new();
        for attempt in ceremony
            .attempts
            .iter()
            .filter_map(|attempt| Some((attempt, attempt.left.as_ref()?)))
            .skip(self.left)
        {
            self.left += 1;
            news.push_str(&format!("\n  attempt {} was left: {}\n  ", attempt.0.epoch, attempt.1));
        }
        let reached = reached(ceremony);
        while self.told < reached {
            news.push_str(&word(self.told, ceremony));
            if PHASES[self.told] == "activating" && self.overlap_ms > 0 {
                news.push_str(&format!("overlap {} ", seconds(self.overlap_ms)));
            }
            self.told += 1;
        }
        news
    }
}

/// How many phases all attempts that count have behind them.
fn reached(ceremony: &Ceremony) -> usize {
    let counts = ceremony.attempts.iter().filter(|attempt| attempt.left.is_none());
    let wallets: u32 = counts.clone().map(|attempt| attempt.count).sum();
    if wallets < ceremony.wallets {
        return 0;
    }
    let place = |attempt: &Attempt| PHASES.iter().position(|phase| *phase == attempt.phase).unwrap_or(0);
    counts.map(place).min().unwrap_or(0)
}

/// Whether all wallets of a ceremony sign under their new epoch.
pub fn is_active(ceremony: &Ceremony) -> bool {
    reached(ceremony) > PHASES.iter().position(|phase| *phase == "activating").unwrap_or(PHASES.len())
}

fn word(phase: usize, ceremony: &Ceremony) -> String {
    let counts = &ceremony.counts;
    let holders = |of: fn(&Attempt) -> Count| votes(ceremony, of);
    match PHASES[phase] {
        "opening" => "open ✓ ".to_owned(),
        "committing" => "commit ✓ ".to_owned(),
        "dealing" => "deal ✓ ".to_owned(),
        "preparing" => format!("prepared {} ", holders(|attempt| attempt.counts.prepared)),
        "probing" => format!("probe {} ", counts.probes),
        "activating" => format!("ACTIVE {} ", epochs(ceremony)),
        "keeping" => format!("keep {} retired ", holders(|attempt| attempt.counts.kept)),
        _ => format!("erased {} ", holders(|attempt| attempt.counts.erased)),
    }
}

/// The votes of the attempt that has fewest: so many signers have voted on all chunks.
fn votes(ceremony: &Ceremony, of: fn(&Attempt) -> Count) -> Count {
    let counts = ceremony.attempts.iter().filter(|attempt| attempt.left.is_none()).map(of);
    counts.min_by_key(|count| count.have).unwrap_or_default()
}

/// The numbers of the epochs that a ceremony made.
pub fn epochs(ceremony: &Ceremony) -> String {
    let mut epochs: Vec<&str> = Vec::new();
    for attempt in ceremony.attempts.iter().filter(|attempt| attempt.left.is_none()) {
        if !epochs.contains(&attempt.epoch.as_str()) {
            epochs.push(&attempt.epoch);
        }
    }
    epochs.join(", ")
}

fn ended(ceremony: &Ceremony) -> Failure {
    let name = &ceremony.ceremony[..8.min(ceremony.ceremony.len())];
    if ceremony.stage == "expired" {
        return Failure::new(
            Kind::Denied,
            format!("ceremony {name} was not approved before its plan expired"),
            "the approvers",
            "make a new plan",
        );
    }
    let why = ceremony.attempts.iter().filter_map(|attempt| attempt.left.as_deref()).next_back();
    Failure::new(
        Kind::Denied,
        format!(
            "ceremony {name} has given up {} of {}: {}",
            ceremony.wallets_given_up,
            counted(ceremony.wallets as usize, "wallet"),
            why.unwrap_or("no attempt is left")
        ),
        "the signers named, or their machines",
        "see that all signers run (`perennial signer list`), then make a new plan",
    )
}

fn list(operator: &Operator) -> Result<(), Failure> {
    let answer = operator.client.get("/v1/ceremonies?limit=1000")?;
    let ceremonies: Vec<Ceremony> = understood(answer["ceremonies"].clone())?;
    let mut table = Table::new([
        ("ceremony", Side::Left),
        ("action", Side::Left),
        ("wallets", Side::Right),
        ("rank", Side::Right),
        ("stage", Side::Left),
        ("approvals", Side::Left),
        ("submitted", Side::Left),
        ("took", Side::Right),
    ]);
    for ceremony in &ceremonies {
        table.row([
            ceremony.ceremony.chars().take(8).collect(),
            ceremony.action.clone(),
            ceremony.wallets.to_string(),
            ceremony.rank.to_string(),
            ceremony.stage.clone(),
            ceremony.approvals.to_string(),
            date(ceremony.submitted_ms),
            ceremony.total_ms.map(seconds).unwrap_or_default(),
        ]);
    }
    let text = if ceremonies.is_empty() { "no ceremony yet\n".to_owned() } else { table.text(0) };
    operator.answer(&text, &answer);
    Ok(())
}

fn show(operator: &Operator, beginning: &str) -> Result<(), Failure> {
    let name = operator.client.find_ceremony(beginning)?;
    let mut answer = operator.client.get(&format!("/v1/ceremonies/{name}"))?;
    let ceremony: Ceremony = understood(answer.clone())?;
    let plan = operator.client.plan(&name)?;
    let mut text = plan.text();
    text.push_str(&format!("\n  {}, {} approvals\n\n", ceremony.stage, ceremony.approvals));
    let mut table = Table::new([
        ("epoch", Side::Left),
        ("scheme", Side::Left),
        ("wallets", Side::Right),
        ("phase", Side::Left),
        ("prepared", Side::Right),
        ("probes", Side::Right),
        ("active", Side::Right),
        ("kept", Side::Right),
        ("erased", Side::Right),
    ]);
    for attempt in &ceremony.attempts {
        let counts = &attempt.counts;
        table.row([
            attempt.epoch.clone(),
            attempt.scheme.clone(),
            attempt.count.to_string(),
            attempt.phase.clone(),
            counts.prepared.to_string(),
            counts.probes.to_string(),
            counts.activated.to_string(),
            counts.kept.to_string(),
            counts.erased.to_string(),
        ]);
    }
    if !ceremony.attempts.is_empty() {
        text.push_str(&table.text(2));
    }
    for attempt in &ceremony.attempts {
        if let Some(reason) = &attempt.left {
            text.push_str(&format!("  {} was left: {reason}\n", attempt.epoch));
        }
        for no in &attempt.declined {
            text.push_str(&format!("  {} says: {}\n", no.signer, no.reason));
        }
    }
    answer["plan_digest_recomputed"] = plan.digest.to_string().into();
    operator.answer(&text, &answer);
    Ok(())
}

fn watch(operator: &Operator, beginning: &str) -> Result<(), Failure> {
    let name = operator.client.find_ceremony(beginning)?;
    let form = operator.form;
    let plan = operator.client.plan(&name)?;
    let done = follow(&operator.client, &plan, |ceremony, news| {
        match form {
            Form::Text if ceremony.stage == "awaiting approval" => {
                print(&format!("awaiting approval, {}\n", ceremony.approvals));
            }
            Form::Text => print(news),
            Form::Json => print(&format!("{}\n", shown(ceremony))),
        }
        Ok(())
    })?;
    let took = done.total_ms.map(seconds).unwrap_or_default();
    operator.remark(&format!(
        "\ndone in {took}: the shares of {} are in use, older ones are erased\n",
        counted(done.wallets_retired as usize, "wallet")
    ));
    Ok(())
}

fn shown(ceremony: &Ceremony) -> Value {
    json!({
        "ceremony": ceremony.ceremony,
        "stage": ceremony.stage,
        "attempts_in": ceremony.attempts_in,
        "wallets": ceremony.wallets,
        "wallets_retired": ceremony.wallets_retired,
        "wallets_given_up": ceremony.wallets_given_up,
        "phases_ms": ceremony.phases_ms,
        "total_ms": ceremony.total_ms,
    })
}
