//! Every process is killed in every phase of a ceremony, again and again, while the wallets sign and their shares
//! are replaced.
//!
//! The killer looks at the ceremony over the API and prefers the phases in which a process of a kind was killed
//! least often. What counts is where the attempt that it looked at really was when the signal left, by the times in
//! the coordinator's own journal.

use crate::cluster::{Cluster, THE_COORDINATOR};
use crate::load::{Load, Tally, sign};
use crate::people::{PATIENCE, creation, renewal};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The phases of an attempt, in order.
const PHASES: [&str; 8] =
    ["opening", "committing", "dealing", "preparing", "probing", "activating", "keeping", "retiring"];
const SIGNERS: [&str; 3] = ["a", "b", "c"];
const REFRESHES: u32 = 20;
/// More refreshes are made for a cell that is empty, but not more than so many.
const REFRESHES_MAX: u32 = 40;
/// How many kills a refresh has to bear.
const KILLS_EACH: usize = 4;
/// The longest time for which a killed process stays away, in milliseconds. Whatever waits for it holds the others
/// in their phase.
const AWAY_MS_MAX: u32 = 250;
/// Both epochs are served for so long at least, in milliseconds.
const OVERLAP_MS: u64 = 150;

/// The coordinator or any signer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Coordinator,
    Signer,
}

/// A kill that is not yet entered in the table.
struct Kill {
    who: String,
    /// Which attempt was looked at: its number and its first wallet.
    attempt: (String, u64),
    at_ms: u64,
}

struct Killer {
    cluster: Cluster,
    chance: ChaCha20Rng,
    counts: BTreeMap<(Kind, &'static str), u32>,
    by_process: BTreeMap<(String, &'static str), u32>,
    /// Who is away, and until when.
    away: BTreeMap<String, Instant>,
}

#[test]
fn processes_killed_in_every_phase_of_twenty_refreshes_lose_no_wallet_and_change_no_address() {
    let seed = now_ms();
    println!("seed {seed}");
    let cluster = Cluster::running(&SIGNERS);
    let wallets = [("treasury", "ethereum"), ("vault", "bitcoin"), ("payroll", "solana")];
    cluster.api.complete(&creation(&wallets), &cluster.dana);
    let before = cluster.api.wallets();
    let load = Load::begin(&cluster.api, before.values().cloned());
    let cells =
        [Kind::Coordinator, Kind::Signer].into_iter().flat_map(|kind| PHASES.map(|phase| (kind, phase)));
    let mut killer = Killer {
        cluster,
        chance: ChaCha20Rng::seed_from_u64(seed),
        counts: cells.map(|cell| (cell, 0)).collect(),
        by_process: BTreeMap::new(),
        away: BTreeMap::new(),
    };
    let mut refreshes = 0;
    while refreshes < REFRESHES || (refreshes < REFRESHES_MAX && killer.least() == 0) {
        killer.refresh();
        refreshes += 1;
        for (id, wallet) in killer.cluster.api.wallets() {
            assert_eq!(wallet["address"], before[&id]["address"], "a refresh changed an address");
        }
    }
    let tally = load.end();
    println!("{}", killer.table(refreshes));
    println!(
        "{} payments asked for, {} signed ({} of them answered before and not heard, {} under the parent); asked \
         again {} times",
        tally.asked, tally.answered, tally.replayed, tally.fallbacks, tally.repeated
    );
    assert_eq!(tally.complaints, [""; 0]);
    assert_eq!(tally.asked, tally.answered);
    assert!(killer.least() > 0, "a cell is empty:\n{}", killer.table(refreshes));
    killer.assert_whole(&before);
}

impl Killer {
    /// Replaces all shares once, and kills meanwhile.
    fn refresh(&mut self) {
        let ceremony = self.cluster.api.begin(&renewal(OVERLAP_MS), &self.cluster.dana);
        let begun = Instant::now();
        let (mut since, mut kills, mut shown) = (0, Vec::new(), Value::Null);
        loop {
            assert!(begun.elapsed() < PATIENCE, "the ceremony does not end: {shown}");
            self.start_who_is_due();
            let path = format!("/v1/ceremonies/{ceremony}/events?since={since}&wait_ms=20");
            let Ok(answer) = self.cluster.api.get(&path) else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            since = answer.body["number"].as_u64().unwrap_or(since);
            shown.clone_from(&answer.body["ceremony"]);
            if answer.body["ceremony"]["stage"] == "done" {
                break;
            }
            if kills.len() < KILLS_EACH
                && let Some((who, attempt)) = self.victim(&answer.body["ceremony"])
            {
                let at_ms = now_ms();
                self.cluster.kill(&who);
                let away_ms = u64::from(self.chance.next_u32() % AWAY_MS_MAX);
                self.away.insert(who.clone(), Instant::now() + Duration::from_millis(away_ms));
                kills.push(Kill { who, attempt, at_ms });
            }
        }
        while !self.away.is_empty() {
            self.start_who_is_due();
        }
        let done = self.cluster.api.finish(&ceremony);
        kills.iter().for_each(|kill| self.enter(kill, &done));
    }

    fn start_who_is_due(&mut self) {
        let now = Instant::now();
        let due: Vec<String> =
            self.away.iter().filter(|(_, until)| **until <= now).map(|(who, _)| who.clone()).collect();
        for who in due {
            self.away.remove(&who);
            self.cluster.start(&who);
        }
    }

    /// Whom to kill now, and which attempt is the reason: only cells with the fewest kills are reasons.
    fn victim(&mut self, ceremony: &Value) -> Option<(String, (String, u64))> {
        let least = self.least();
        let mut reasons = Vec::new();
        for attempt in ceremony["attempts"].as_array()? {
            let Some(phase) = PHASES.into_iter().find(|phase| attempt["phase"] == *phase) else { continue };
            for kind in [Kind::Coordinator, Kind::Signer] {
                if self.counts[&(kind, phase)] == least {
                    reasons.push((kind, named(attempt)));
                }
            }
        }
        let (kind, attempt) = self.one_of(reasons)?;
        let names = match kind {
            Kind::Coordinator => vec![THE_COORDINATOR],
            Kind::Signer => SIGNERS.to_vec(),
        };
        let there = names.into_iter().filter(|name| !self.away.contains_key(*name)).collect();
        self.one_of(there).map(|who| (who.to_owned(), attempt))
    }

    fn one_of<T>(&mut self, mut choices: Vec<T>) -> Option<T> {
        let at = self.chance.next_u32() as usize % choices.len().max(1);
        (!choices.is_empty()).then(|| choices.swap_remove(at))
    }

    /// Enters a kill under the phase that the attempt was in.
    fn enter(&mut self, kill: &Kill, done: &Value) {
        let attempts = done["attempts"].as_array().expect("a list");
        let attempt = attempts.iter().find(|attempt| named(attempt) == kill.attempt);
        let entered = attempt.expect("what was shown is in the journal")["entered"].as_array();
        let mut latest_first = entered.expect("a list").iter().rev();
        let last = latest_first.find(|entry| entry["at_ms"].as_u64() <= Some(kill.at_ms));
        let Some(phase) = last.and_then(|entry| PHASES.into_iter().find(|phase| entry["phase"] == *phase))
        else {
            // It was over in the millisecond in which it was shown: this kill counts for nothing.
            return;
        };
        let kind = if kill.who == THE_COORDINATOR { Kind::Coordinator } else { Kind::Signer };
        *self.counts.entry((kind, phase)).or_default() += 1;
        *self.by_process.entry((kill.who.clone(), phase)).or_default() += 1;
    }

    fn least(&self) -> u32 {
        self.counts.values().copied().min().unwrap_or_default()
    }

    fn table(&self, refreshes: u32) -> String {
        let total: u32 = self.counts.values().sum();
        let mut text = format!("{total} kills (SIGKILL) in {refreshes} refreshes\n{:<14}", "");
        PHASES.iter().for_each(|phase| text.push_str(&format!("{phase:>11}")));
        let mut row = |name: &str, count: &dyn Fn(&'static str) -> u32| {
            text.push_str(&format!("\n{name:<14}"));
            PHASES.into_iter().for_each(|phase| text.push_str(&format!("{:>11}", count(phase))));
        };
        row("coordinator", &|phase| self.counts[&(Kind::Coordinator, phase)]);
        row("any signer", &|phase| self.counts[&(Kind::Signer, phase)]);
        for signer in SIGNERS {
            let of = |phase| self.by_process.get(&(signer.to_owned(), phase)).copied().unwrap_or_default();
            row(&format!("  signer {signer}"), &of);
        }
        text
    }

    /// Every wallet signs under its one epoch, every signer holds that and nothing else, and nobody complained.
    fn assert_whole(mut self, before: &BTreeMap<String, Value>) {
        self.cluster.wait_until_ready();
        let after = self.cluster.api.wallets();
        assert_eq!(after.keys().collect::<BTreeSet<_>>(), before.keys().collect());
        for (id, wallet) in &after {
            assert_eq!(wallet["epochs"].as_array().map(Vec::len), Some(1), "{wallet}");
            assert_eq!(wallet["epochs"][0]["state"], "retired", "{wallet}");
            let signed = sign(&self.cluster.api, wallet, 1_000_000, &mut Tally::default());
            assert_eq!(signed.expect("signed")["epoch"], wallet["epoch"], "{id}");
        }
        for signer in SIGNERS {
            assert_eq!(self.cluster.stop(signer), Some(0), "{}", self.cluster.log(signer));
            let shown = self.cluster.show(signer);
            for wallet in shown["wallets"].as_array().expect("a list") {
                let held = wallet["held"].as_array().expect("a list");
                assert_eq!(held.len(), 1, "{signer} holds old shares: {shown}");
                let epoch = format!("{}.{}", held[0]["epoch"][0], held[0]["epoch"][1]);
                assert_eq!(after[wallet["id"].as_str().expect("text")]["epoch"], epoch.as_str());
            }
            // A share of each wallet, and one pair base with each of the two others.
            assert_eq!(shown["slots"]["used"], 5, "{signer}: {shown}");
            assert_eq!(shown["banned"], serde_json::json!([]));
            let log = self.cluster.log(signer);
            assert!(!log.contains("perennial-signer: ") && !log.contains("ERROR"), "{log}");
        }
        assert_eq!(self.cluster.stop(THE_COORDINATOR), Some(0));
        let log = self.cluster.log(THE_COORDINATOR);
        assert!(!log.contains(" ERROR ") && !log.contains("panicked"), "{log}");
    }
}

fn named(attempt: &Value) -> (String, u64) {
    let epoch = attempt["epoch"].as_str().unwrap_or_default().to_owned();
    (epoch, attempt["first"].as_u64().unwrap_or_default())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}
