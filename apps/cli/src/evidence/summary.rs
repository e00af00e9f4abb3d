//! The facts as pages for people who decide, not for people who program.

use super::bundle::About;
use super::facts::{At, AttemptFact, CeremonyFact, EpochFact, Facts};
use super::pages::Page;
use crate::rendering::date;
use perennial_model::committee::SignerId;
use std::fmt::Display;

/// The longest text of somebody else that is shown.
const TEXT_CHARACTERS_MAX: usize = 100;

/// As Markdown.
pub fn markdown(facts: &Facts) -> String {
    page(facts).markdown()
}

/// As HTML.
pub fn html(facts: &Facts) -> String {
    page(facts).html()
}

fn page(facts: &Facts) -> Page {
    let title = match &facts.about {
        About::Wallet { wallet, .. } => format!("Evidence: wallet {wallet}"),
        About::Ceremony { plan } => format!("Evidence: ceremony {}", plan.short()),
    };
    let mut page = Page::new(title);
    page.text(
        "This page is for reading and proves nothing by itself: perennial verify makes it again from the documents \
         beside it and refuses the bundle if one byte differs. Times are UTC, by the coordinator's clock.",
    );
    if let About::Wallet { from_ms, to_ms, .. } = &facts.about
        && (from_ms.is_some() || to_ms.is_some())
    {
        let from = from_ms.map_or("its creation".to_owned(), date);
        let to = to_ms.map_or("the checkpoint".to_owned(), date);
        page.text(format!("It covers the time from {from} to {to}, and nothing outside of that."));
        if !facts.thefts.is_empty() {
            page.text("Reports of stolen copies are here whenever they were made.");
        }
    }
    in_brief(&mut page, facts);
    wallets(&mut page, facts);
    epochs(&mut page, facts);
    facts.ceremonies.iter().for_each(|ceremony| describe(&mut page, ceremony));
    signatures(&mut page, facts);
    governance(&mut page, facts);
    ledger(&mut page, facts);
    timeline(&mut page, facts);
    page.heading("What is not shown");
    page.list(not_shown(facts));
    page
}

/// What nobody can conclude from a bundle, however well it verifies.
pub fn not_shown(facts: &Facts) -> Vec<String> {
    let mut limits = vec![
        "That shares were erased. A receipt is a signer's own statement. With fewer than t liars among the holders of \
         an epoch nobody has t of its shares; with more, receipts prove nothing."
            .to_owned(),
        "Exact times. They are by the coordinator's clock; the cosignatures bound them from above by the signers' \
         clocks, and the order of entries is that of the ledger."
            .to_owned(),
        "That nothing was left out. What is here is in the ledger; only the whole ledger (perennial ledger export) \
         shows that it holds no other signature."
            .to_owned(),
        "That a transaction is valid on its chain. The chain says that; here it is shown under which epoch and plan \
         it was entered. Which signers took part is the coordinator's word."
            .to_owned(),
        "How a ceremony ended and why attempts were left: the bodies of those entries are bound by their digests and \
         are the coordinator's word."
            .to_owned(),
    ];
    let unchecked = facts.ceremonies.iter().flat_map(|ceremony| &ceremony.attempts);
    let unchecked = unchecked.filter(|attempt| attempt.activated.is_some() && !attempt.is_possessed).count();
    if unchecked > 0 {
        limits.push(format!(
            "Probes and proofs of possession of {unchecked} chunks: they speak of all wallets of a chunk, and others \
             than this wallet are not here. A bundle of the ceremony has them."
        ));
    }
    if !facts.thefts.is_empty() {
        limits.push(
            "That copies were stolen, or were not, or that anybody said so: a report is the coordinator's word for that of \
             a client. That the coordinator entered it is shown."
                .to_owned(),
        );
    }
    if facts.ceremonies.iter().any(|ceremony| ceremony.approved.is_none()) {
        limits.push(
            "Who has approved a plan without a quorum: until that is complete, a plan-approval in the timeline is the \
             coordinator's word."
                .to_owned(),
        );
    }
    if !facts.ledger.is_named {
        limits.push(
            "That the ledger's own key is the right one: governance does not name it. The cosignatures of the signers \
             that governance names are what counts."
                .to_owned(),
        );
    }
    limits
}

fn in_brief(page: &mut Page, facts: &Facts) {
    let mut items: Vec<String> = facts.in_short().lines().take(1).map(str::to_owned).collect();
    let cosigned: Vec<&str> = facts.ledger.cosigned.iter().map(|(name, _)| name.as_str()).collect();
    items.extend(facts.thefts.iter().map(|theft| {
        format!(
            "Copies of shares: {}; in the words of that client: {}",
            theft.sentence(),
            clipped(&theft.report.text)
        )
    }));
    items.push(format!(
        "Cosigned by {} of {}",
        listed(&cosigned),
        cosigned.len() + facts.ledger.not_cosigned.len()
    ));
    page.heading("In brief");
    page.list(items);
    if !facts.gaps.is_empty() {
        page.text("Incomplete: what follows is not there yet. That makes nothing else false.");
        page.list(facts.gaps.clone());
    }
}

fn wallets(page: &mut Page, facts: &Facts) {
    let mut rows: Vec<[String; 5]> = Vec::new();
    for epoch in &facts.epochs {
        let id = epoch.wallet.id.to_string();
        if rows.last().is_none_or(|last| last[0] != id) {
            let address = epoch.address.clone().unwrap_or_else(|| "none before all holders keep it".into());
            let tenant = epoch.wallet.tenant.to_string();
            rows.push([id, tenant, epoch.wallet.chain.to_string(), address, epoch.public_key.clone()]);
        }
    }
    page.heading("Wallets");
    page.text("The key of a wallet, and with it every address, is the same in all epochs below.");
    page.table(["wallet", "tenant", "chain", "first address", "public key"], rows);
}

fn epochs(page: &mut Page, facts: &Facts) {
    let row = |epoch: &EpochFact| {
        let erased = match (&epoch.ended, epoch.not_erased_by.is_empty()) {
            (None, _) => "in use".to_owned(),
            (Some(_), true) => format!("all: {}{}", names(&epoch.erased_by), written_off(epoch)),
            (Some(_), false) => format!(
                "{}{}; none of {}",
                names(&epoch.erased_by),
                written_off(epoch),
                names(&epoch.not_erased_by)
            ),
        };
        [
            epoch.wallet.id.to_string(),
            epoch.epoch.to_string(),
            moment(epoch.activated),
            moment(epoch.kept),
            epoch.ended.map_or("-".to_owned(), |(at, by)| format!("{} by {by}", exact(at))),
            format!("{} of {}", epoch.threshold, names(&epoch.holders)),
            erased,
            epoch.plan.map_or("not here".to_owned(), |plan| plan.short()),
        ]
    };
    page.heading("Epochs");
    page.text(
        "An epoch is one generation of shares. It signs from its activation; once all holders have said that they \
         keep it, everything older is ended, and holders erase their older shares and say so in receipts.",
    );
    let head = ["wallet", "epoch", "activated", "kept by all", "ended", "signers", "receipts", "plan"];
    page.table(head, facts.epochs.iter().map(row).collect());
}

fn describe(page: &mut Page, ceremony: &CeremonyFact) {
    page.heading(format!("Ceremony {}", ceremony.plan.short()));
    let mut items = vec![format!("Plan {}", ceremony.plan)];
    if let Some(plan) = &ceremony.approved_plan {
        let (count, rank) = (plan.wallets.len(), plan.rank);
        items.push(format!("{} of {count} wallets of tenant {}, rank {rank}", plan.action, plan.tenant));
        items.push(format!("Asked for by {}, who cannot approve it", plan.initiator));
        let by = ceremony.approved_by.iter().map(|(person, role)| format!("{person} ({role})"));
        let by = by.collect::<Vec<_>>().join(", ");
        let version = ceremony.governance_version.map_or(String::new(), |version| version.to_string());
        let complete = moment(ceremony.approved);
        items.push(match &plan.mandate {
            None => format!("Approved by {by} under governance version {version}, complete {complete}"),
            Some(under) => format!(
                "Made under mandate {}, which {by} approved under governance version {version}; entered {complete}",
                under.mandate
            ),
        });
    }
    items.push(format!("Submitted {}", moment(ceremony.submitted)));
    items.push(format!("Over {}", moment(ceremony.ended)));
    page.list(items);
    let row = |attempt: &AttemptFact| {
        let end = u64::from(attempt.chunk.first) + u64::from(attempt.chunk.count);
        [
            attempt.chunk.epoch.to_string(),
            format!("{}..{end}", attempt.chunk.first),
            match (attempt.activated, attempt.left) {
                (Some(at), Some(left)) => format!("{}, left {}", exact(at), exact(left)),
                (None, Some(left)) => format!("left {}", exact(left)),
                (activated, None) => moment(activated),
            },
            moment(attempt.retired),
            names(&attempt.holders),
            receipts(attempt),
        ]
    };
    let head = ["epoch", "places in the plan", "activated", "older shares ended", "voted", "receipts"];
    page.table(head, ceremony.attempts.iter().map(row).collect());
}

fn receipts(attempt: &AttemptFact) -> String {
    let each = attempt.receipts.iter().map(|(_, signer, erased_at_ms, level)| {
        format!("{signer} {} ({level}, by its own clock)", date(*erased_at_ms))
    });
    listed(&each.collect::<Vec<_>>())
}

fn signatures(page: &mut Page, facts: &Facts) {
    if facts.signatures.is_empty() {
        return;
    }
    let rows = facts.signatures.iter().map(|signed| {
        [
            exact(signed.at),
            signed.epoch.to_string(),
            signed.transcript.short(),
            signed.plan.short(),
            signed.transaction_id.as_deref().map_or("-".to_owned(), clipped),
            clipped(&signed.signers.join(", ")),
        ]
    });
    page.heading("Signatures");
    page.text("Under which epoch each transaction was signed, and by which plan that epoch was made.");
    let head = ["entered", "epoch", "transcript", "plan", "transaction", "signers"];
    page.table(head, rows.collect());
}

fn governance(page: &mut Page, facts: &Facts) {
    page.heading("Governance");
    page.text(format!(
        "Everything is trusted because of the first version, whose digest is {}. Compare it with the one that you were \
         given on another way. Each later version was approved by a quorum of the one before it.",
        facts.genesis
    ));
    let rows = facts.governance.iter().map(|version| {
        let by: Vec<String> = version.approved_by.iter().map(ToString::to_string).collect();
        [
            version.version.to_string(),
            version.digest.to_string(),
            version.initiator.to_string(),
            by.join(", "),
            moment(version.pinned),
        ]
    });
    page.table(["version", "digest", "asked for by", "approved by", "in force from"], rows.collect());
}

fn ledger(page: &mut Page, facts: &Facts) {
    let ledger = &facts.ledger;
    page.heading("Ledger");
    page.text(format!(
        "Every entry here is among the first {} of the ledger with root {}, signed by {}.",
        ledger.size, ledger.root, ledger.key
    ));
    let seen = ledger.cosigned.iter().map(|(name, time_s)| [name.clone(), date(time_s.saturating_mul(1000))]);
    let unseen = ledger.not_cosigned.iter().map(|name| [name.clone(), "not".to_owned()]);
    page.table(["signer", "has cosigned, by its own clock"], seen.chain(unseen).collect());
}

fn timeline(page: &mut Page, facts: &Facts) {
    let rows = facts.timeline.iter().map(|moment| {
        [
            moment.at.place.to_string(),
            with_milliseconds(moment.at.time_ms),
            moment.kind.clone(),
            clipped(&moment.subject),
        ]
    });
    page.heading("Timeline");
    page.table(["entry", "time", "what", "of"], rows.collect());
}

fn written_off(epoch: &EpochFact) -> String {
    match epoch.written_off.is_empty() {
        true => String::new(),
        false => format!("; written off {}", names(&epoch.written_off)),
    }
}

fn names(signers: &[SignerId]) -> String {
    listed(signers)
}

fn listed<T: Display>(items: &[T]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn moment(at: Option<At>) -> String {
    at.map_or("not yet".to_owned(), exact)
}

fn exact(at: At) -> String {
    format!("{} (entry {})", with_milliseconds(at.time_ms), at.place)
}

/// A date with milliseconds, such as `2026-11-20 20:45:00.250 UTC`.
fn with_milliseconds(at_ms: u64) -> String {
    date(at_ms).replace(" UTC", &format!(".{:03} UTC", at_ms % 1000))
}

fn clipped(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARACTERS_MAX) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
