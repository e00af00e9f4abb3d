//! A plan in plain words: what people read before they approve.
//!
//! It is written from the plan decoded out of the very bytes whose digest is signed, and takes nobody's word for
//! what they say.

use perennial_model::committee::{Committee, Member};
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::plan::{Action, BackupRule, Plan, PlannedWallet, ProbeRate};
use perennial_model::wallet::{Chain, Tier};
use std::collections::BTreeMap;

/// The most wallets that are named; of the rest the number is shown.
const NAMED_MAX: usize = 12;
/// The longest line of text, so that eighty columns hold it after the word in front.
const TEXT_COLUMNS: usize = 66;

/// The plan that canonical bytes stand for, with their digest.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    /// The plan.
    pub plan: Plan,
    /// The digest of the bytes, computed here.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl ReadPlan {
    /// Reads a plan and computes its digest from the same bytes.
    ///
    /// # Errors
    /// When the bytes are not the one form of a plan.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, encoding::Malformed> {
        Ok(Self { plan: encoding::decode(&bytes)?, digest: Digest::of(&bytes), bytes })
    }

    /// What the plan says, a word and a text each.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let plan = &self.plan;
        let mut lines = vec![
            ("plan", grouped(&self.digest)),
            ("action", action(plan)),
            ("tenant", format!("{}, highest tier {}", plan.tenant, tier(plan.tier))),
            ("wallets", wallets(plan)),
        ];
        lines.extend(chains(plan).map(|chains| ("chains", chains)));
        lines.push(("committee", committee(&plan.committee)));
        lines.push(("rank", rank(plan)));
        lines.push(("liars", liars(plan)));
        lines.push(("opens", format!("from {} until {}", date(plan.not_before_ms), date(plan.expiry_ms))));
        lines.push(("activates", activation(plan)));
        lines.push(("overlap", overlap(plan)));
        lines.push(("probes", probes(plan).to_owned()));
        lines.push(("backups", backups(plan).to_owned()));
        lines.push(("policy", plan.policy.map_or("none".to_owned(), |digest| grouped(&digest))));
        lines.push(("governance", grouped(&plan.governance)));
        lines.push(("initiator", format!("{}, whose own approval does not count", plan.initiator)));
        lines
    }

    /// The same as text for a terminal of eighty columns.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (word, content) in self.lines() {
            for (at, line) in wrapped(&content).into_iter().enumerate() {
                let word = if at == 0 { word } else { "" };
                text.push_str(&format!("  {word:<10}  {line}\n"));
            }
        }
        text
    }
}

/// All digits of a digest in groups of four, for people who compare.
pub fn grouped(digest: &Digest) -> String {
    let digits = digest.to_string();
    let groups: Vec<&str> = (0..digits.len()).step_by(4).map(|at| &digits[at..at + 4]).collect();
    groups.join(" ")
}

/// A date in UTC, such as `2026-11-20 20:45:00 UTC`.
pub fn date(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Seconds with one place, such as `3.0 s`.
pub fn seconds(duration_ms: u64) -> String {
    format!("{}.{} s", duration_ms / 1000, duration_ms % 1000 / 100)
}

/// Year, month and day of a day counted from 1970-01-01 in the Gregorian calendar.
fn civil(day: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // Whole cycles of 400 years first: each has 146,097 days.
    let (mut year, mut rest) = (1970 + day / 146_097 * 400, day % 146_097);
    while rest >= if leap(year) { 366 } else { 365 } {
        rest -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < days {
            break;
        }
        rest -= days;
        month += 1;
    }
    (year, month, rest + 1)
}

fn action(plan: &Plan) -> String {
    let count = counted(plan.wallets.len(), "wallet");
    match plan.action {
        Action::Create => format!("create: make {count} with new keys"),
        Action::Refresh => {
            format!("refresh: replace the shares of {count}; keys and addresses stay as they are")
        }
    }
}

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "low",
        Tier::Standard => "standard",
        Tier::High => "high",
    }
}

fn wallets(plan: &Plan) -> String {
    let named = plan.wallets.iter().take(NAMED_MAX).map(|wallet| wallet.id().as_str());
    let names: Vec<&str> = named.collect();
    let more = plan.wallets.len() - names.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: {}{rest}", plan.wallets.len(), names.join(", "))
}

/// How many new wallets on each chain; existing wallets do not say where they live.
fn chains(plan: &Plan) -> Option<String> {
    let mut counts: BTreeMap<Chain, usize> = BTreeMap::new();
    for wallet in &plan.wallets {
        if let PlannedWallet::New(wallet) = wallet {
            *counts.entry(wallet.chain).or_default() += 1;
        }
    }
    let parts: Vec<String> = counts.iter().map(|(chain, count)| format!("{count} on {chain}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Who holds shares, and how many of them sign.
pub fn committee(committee: &Committee) -> String {
    let seat = |member: &Member| format!("{} (seat {})", member.signer, member.seat);
    let members: Vec<String> = committee.members().iter().map(seat).collect();
    format!("any {} of {}: {}", committee.threshold(), members.len(), members.join(", "))
}

fn rank(plan: &Plan) -> String {
    let (first, last) = plan.counts().into_inner();
    let epoch = |count| Epoch::new(plan.rank, count);
    match plan.attempts {
        1 => format!("{}, one attempt: epoch {}", plan.rank, epoch(first)),
        attempts => {
            format!("{}, up to {attempts} attempts: epochs {} to {}", plan.rank, epoch(first), epoch(last))
        }
    }
}

fn liars(plan: &Plan) -> String {
    let (members, safe) = (plan.committee.members().len(), plan.committee.safe_activation_size());
    let least = plan.activation_size();
    match least >= safe {
        true => format!(
            "{least} of {members} have to hold their new share before it is used; up to {} of them may lie or \
             lose their disk",
            least - usize::from(plan.committee.threshold())
        ),
        false => format!(
            "UNSAFE AGAINST LIARS: {least} of {members} are enough to go over to the new shares, where {safe} \
             would be safe. One signer that lies or loses its disk can lose the wallets for good"
        ),
    }
}

fn activation(plan: &Plan) -> String {
    format!("not after {}; what is not active by then is dropped", date(plan.activation_deadline_ms))
}

fn overlap(plan: &Plan) -> String {
    match (plan.action, plan.overlap_ms()) {
        (Action::Create, _) => "does not apply: there is no older epoch".to_owned(),
        (Action::Refresh, 0) => {
            "none asked for: the old epoch goes as soon as all keep the new one".to_owned()
        }
        (Action::Refresh, overlap_ms) => {
            format!("old and new epoch both sign for at least {}", seconds(overlap_ms))
        }
    }
}

fn probes(plan: &Plan) -> &'static str {
    match plan.effective_probe_rate() {
        ProbeRate::Every => "every wallet signs a test message before its shares are used",
        ProbeRate::OnePerChunk => "one wallet of each chunk, chosen by lot, signs a test message first",
    }
}

fn backups(plan: &Plan) -> &'static str {
    match plan.backup_rule {
        BackupRule::CommitteeOnly => "none: the committee itself is the redundancy",
    }
}

/// `1 wallet`, `2 wallets`.
pub fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= TEXT_COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::committee::{Committee, SignerId};
    use perennial_model::plan::LiarTolerance;
    use perennial_model::plan::Profile;

    fn plan() -> Plan {
        let name = |text: &str| text.parse::<SignerId>().expect("a name");
        Plan {
            action: Action::Refresh,
            tenant: "local".parse().expect("a name"),
            tier: Tier::Standard,
            wallets: (0..14)
                .map(|n| PlannedWallet::Held(format!("w-{n}").parse().expect("a name"), Digest([1; 32])))
                .collect(),
            rank: 2,
            attempts: 3,
            committee: Committee::first(2, &[name("a"), name("b"), name("c")]).expect("three"),
            liar_tolerance: LiarTolerance::Required,
            profile: Profile::Planned { overlap_ms: 3000 },
            not_before_ms: 1_795_207_500_000,
            expiry_ms: 1_795_211_100_000,
            activation_deadline_ms: 1_795_214_700_000,
            probe_rate: ProbeRate::Every,
            backup_rule: BackupRule::CommitteeOnly,
            policy: None,
            governance: Digest([2; 32]),
            initiator: "operator".parse().expect("a name"),
            nonce: Digest([3; 32]),
            mandate: None,
        }
    }

    #[test]
    fn nothing_that_an_approver_decides_on_is_left_out_or_too_wide() {
        let read = ReadPlan::from_bytes(encoding::encode(&plan())).expect("a plan");
        assert_eq!(read.digest, plan().digest());
        let text = read.text();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "replace the shares of 14 wallets",
            "w-11 and 2 more",
            "any 2 of 3: a (seat 1), b (seat 2), c (seat 3)",
            "up to 3 attempts: epochs 2.1 to 2.3",
            "at least 3.0 s",
            "2026-11-20 20:45:00 UTC until 2026-11-20 21:45:00 UTC",
            "3 of 3 have to hold",
            "operator, whose own approval does not count",
            &grouped(&read.digest),
        ] {
            assert!(flat.contains(part), "{part} in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!flat.contains("UNSAFE"));
    }

    #[test]
    fn a_waiver_is_shouted() {
        let waived = Plan { liar_tolerance: LiarTolerance::WaivedUnsafe, ..plan() };
        let read = ReadPlan::from_bytes(encoding::encode(&waived)).expect("a plan");
        assert!(read.text().contains("UNSAFE AGAINST LIARS"));
        let makes = Plan { action: Action::Create, ..waived };
        let read = ReadPlan::from_bytes(encoding::encode(&makes)).expect("a plan");
        assert!(read.text().contains("3 of 3 have to hold"), "a wallet is made by its whole committee");
        assert!(ReadPlan::from_bytes(b"no plan".to_vec()).is_err());
    }

    #[test]
    fn dates_hold_over_leap_years_and_centuries() {
        for (at_ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (4_107_542_399_000, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
            (12_622_780_800_000, "2370-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(at_ms), text);
        }
    }
}
