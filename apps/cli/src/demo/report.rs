//! What the demo came to: for people as tables, for programs as one JSON object on the last line.

use super::figures::Figures;
use super::thief::Proof;
use crate::api::{Ceremony, Wallet};
use crate::rendering::counted;
use crate::table::{Side, Table};
use serde_json::{Value, json};

/// The most wallets that are shown.
const SHOWN_MAX: usize = 12;

/// Everything that was found.
pub struct Report {
    /// The wallets before the first refresh.
    pub before: Vec<Wallet>,
    /// The same wallets after the last.
    pub after: Vec<Wallet>,
    /// For each wallet how many requests were signed and how many failed.
    pub of_wallets: Vec<(usize, usize)>,
    /// Before the first refresh.
    pub steady: Figures,
    /// From the first refresh to the end of the last.
    pub during: Figures,
    /// Why requests failed, each reason once.
    pub failures: Vec<String>,
    /// The refreshes.
    pub refreshes: Vec<Ceremony>,
    /// How many signers there are.
    pub signers: usize,
    /// What a thief's copies are worth, where any were taken.
    pub proof: Option<Proof>,
    /// Whether a share was damaged, and so requests should have fallen back.
    pub broken: Option<String>,
}

impl Report {
    /// How many requests failed.
    pub fn failed(&self) -> usize {
        self.steady.failed + self.during.failed
    }

    /// How many were sent.
    fn attempted(&self) -> usize {
        self.steady.count + self.during.count
    }

    /// How many sessions were begun under the parent epoch after a failure under the new one.
    fn fallbacks(&self) -> u64 {
        self.steady.fallbacks + self.during.fallbacks
    }

    /// How many wallets have the address that they had.
    fn unchanged(&self) -> usize {
        let same = |(before, after): &(&Wallet, &Wallet)| {
            before.id == after.id && before.address.is_some() && before.address == after.address
        };
        self.before.iter().zip(&self.after).filter(same).count()
    }

    /// A receipt of every signer for every chunk of every refresh, and how many came.
    fn receipts(&self) -> (usize, usize) {
        let chunks = self.refreshes.iter().flat_map(|ceremony| &ceremony.attempts);
        let chunks = chunks.filter(|attempt| attempt.left.is_none());
        let (mut expected, mut came) = (0, 0);
        for chunk in chunks {
            expected += self.signers;
            came += chunk.counts.erased.have as usize;
        }
        (expected, came)
    }

    /// What is not as it should be, in words.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.attempted() == 0 {
            complaints.push("nothing was signed".to_owned());
        }
        if self.failed() > 0 {
            complaints.push(format!("{} requests failed", self.failed()));
            complaints.extend(self.failures.iter().map(|why| format!("one of them: {why}")));
        }
        if self.unchanged() < self.before.len() {
            complaints.push(format!("{} addresses changed", self.before.len() - self.unchanged()));
        }
        let (expected, came) = self.receipts();
        if came < expected {
            complaints.push(format!("{} receipts are missing", expected - came));
        }
        if self.proof.as_ref().is_some_and(|proof| !proof.holds()) {
            complaints.push("the proof does not hold".to_owned());
        }
        if self.broken.is_some() && self.fallbacks() == 0 {
            complaints.push("a share was damaged, and no request fell back to the parent epoch".to_owned());
        }
        complaints
    }

    /// The tables.
    pub fn text(&self) -> String {
        let mut text = self.wallets_text();
        text.push_str(&self.signing_text());
        let (expected, came) = self.receipts();
        if expected > 0 {
            text.push_str(&format!("  erasure receipts {came} of {expected} (software level)\n"));
        }
        if let Some(proof) = &self.proof {
            text.push_str(&proof_text(proof));
        }
        for complaint in self.complaints() {
            text.push_str(&format!("[wrong]  {complaint}\n"));
        }
        let fallbacks = match self.fallbacks() {
            0 => String::new(),
            some => format!(" ({some} fallbacks to the parent epoch)"),
        };
        text.push_str(&format!(
            "RESULT   {}, {}, {} failed{fallbacks}, {} of {} addresses unchanged\n",
            counted(self.refreshes.len(), "refresh").replace("refreshs", "refreshes"),
            counted(self.attempted() - self.failed(), "signature"),
            self.failed(),
            self.unchanged(),
            self.before.len()
        ));
        text
    }

    fn wallets_text(&self) -> String {
        let mut table = Table::new([
            ("wallet", Side::Left),
            ("chain", Side::Left),
            ("address before → after", Side::Left),
            ("same", Side::Left),
            ("epoch", Side::Left),
            ("signatures", Side::Right),
            ("failed", Side::Right),
        ]);
        let rows = self.before.iter().zip(&self.after).zip(&self.of_wallets);
        for ((before, after), (signed, failed)) in rows.take(SHOWN_MAX) {
            table.row([
                before.id.clone(),
                before.chain.clone(),
                format!("{} → {}", short(before), short(after)),
                if before.address == after.address { "yes" } else { "NO" }.to_owned(),
                format!("{} → {}", before.epoch, after.epoch),
                signed.to_string(),
                failed.to_string(),
            ]);
        }
        let mut text = table.text(2);
        if self.before.len() > SHOWN_MAX {
            text.push_str(&format!("  and {} more\n", self.before.len() - SHOWN_MAX));
        }
        text
    }

    fn signing_text(&self) -> String {
        let mut table = Table::new([
            ("signing", Side::Left),
            ("n", Side::Right),
            ("p50", Side::Right),
            ("p99", Side::Right),
            ("failed", Side::Right),
        ]);
        for (name, figures) in [("steady", self.steady), ("during", self.during)] {
            if figures.count > 0 {
                table.row([
                    name.to_owned(),
                    figures.count.to_string(),
                    format!("{:.1} ms", figures.p50_ms),
                    format!("{:.1} ms", figures.p99_ms),
                    figures.failed.to_string(),
                ]);
            }
        }
        table.text(2)
    }

    /// The one object.
    pub fn to_json(&self) -> Value {
        let wallet = |(before, after): (&Wallet, &Wallet)| {
            json!({
                "id": before.id,
                "scheme": before.scheme,
                "chain": before.chain,
                "address_before": before.address,
                "address_after": after.address,
                "epoch_before": pair(&before.epoch),
                "epoch_after": pair(&after.epoch),
            })
        };
        let refresh = |ceremony: &Ceremony| {
            json!({
                "ceremony": ceremony.ceremony,
                "wallets": ceremony.wallets,
                "total_ms": ceremony.total_ms,
                "phases_ms": ceremony.phases_ms,
            })
        };
        let (expected, receipts) = self.receipts();
        json!({
            "wallets": self.before.iter().zip(&self.after).map(wallet).collect::<Vec<_>>(),
            "signing": {
                "attempted": self.attempted(),
                "failed": self.failed(),
                "fallbacks": self.fallbacks(),
                "steady": self.steady.to_json(),
                "during": self.during.to_json(),
            },
            "refreshes": self.refreshes.iter().map(refresh).collect::<Vec<_>>(),
            "erasures": {"expected": expected, "receipts": receipts},
            "old_shares_dead": self.proof.as_ref().map(Proof::old_shares_dead),
            "proof": self.proof,
        })
    }
}

/// `[2, 1]` for `2.1`.
fn pair(epoch: &str) -> Vec<u32> {
    epoch.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// The beginning and the end of an address.
pub fn short(wallet: &Wallet) -> String {
    let Some(address) = &wallet.address else { return "(none)".to_owned() };
    let characters: Vec<char> = address.chars().collect();
    match characters.len() {
        0..=14 => address.clone(),
        long => {
            let (first, last) = (&characters[..6], &characters[long - 4..]);
            first.iter().chain(['…'].iter()).chain(last).collect()
        }
    }
}

fn proof_text(proof: &Proof) -> String {
    let damaged = |shares: usize| match shares {
        0 => String::new(),
        some => format!(" (another {some} was damaged)"),
    };
    let is = |keys: usize, all: usize| match keys {
        0 => "is not the key".to_owned(),
        some if some == all => "IS the key".to_owned(),
        some => format!("is {some} of {all} keys"),
    };
    format!(
        "[proof]  from copies of the signers' disks, taken before each refresh, by interpolating scalars\n  \
         {} {} │ {} {}: why old shares are erased\n  today {} of {} old shares open{} │ {} of {} present ones do{} │ \
         {} of {} copied secrets stand in any file\n",
        proof.mixed,
        is(proof.mixed_keys, proof.wallets),
        proof.old,
        is(proof.old_keys, proof.wallets),
        proof.opened_today,
        proof.opened_then,
        damaged(proof.damaged),
        proof.present_opened,
        proof.present_shares,
        damaged(proof.present_damaged),
        proof.needles_found,
        proof.needles
    )
}
