//! What a bundle proves: the one thing from which summaries, JSON and messages are made.

use super::bundle::About;
use crate::rendering::{counted, date};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::governance::PersonId;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::theft::{Finding, TheftReport};
use perennial_model::wallet::{Wallet, WalletId};
use std::collections::{BTreeMap, BTreeSet};

/// Where something stands in the ledger, and when it was by the coordinator's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct At {
    /// The place of its entry, counted from 0.
    pub place: u64,
    /// The entry's time, in milliseconds since 1970.
    pub time_ms: u64,
}

/// Everything that follows from a bundle.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What it is about.
    pub about: About,
    /// The digest of the first version of governance.
    pub genesis: Digest,
    /// Every version.
    pub governance: Vec<GovernanceFact>,
    /// The checkpoint.
    pub ledger: LedgerFact,
    /// The ceremonies, in the order of the ledger.
    pub ceremonies: Vec<CeremonyFact>,
    /// Every epoch, by wallet and number.
    pub epochs: Vec<EpochFact>,
    /// Reports of thefts, in the order of the ledger.
    pub thefts: Vec<TheftFact>,
    /// What was signed, in the order of the ledger.
    pub signatures: Vec<SignatureFact>,
    /// What happened, in the order of the ledger, but for signatures.
    pub timeline: Vec<Moment>,
    /// What is not there yet. A bundle with gaps is not false.
    pub gaps: Vec<String>,
}

/// A version of governance.
#[derive(Clone, Debug)]
pub struct GovernanceFact {
    /// Its number.
    pub version: u64,
    /// Its digest.
    pub digest: Digest,
    /// Who asked for it.
    pub initiator: PersonId,
    /// Who approved it.
    pub approved_by: Vec<PersonId>,
    /// When it was pinned; none if its entry is not in the bundle.
    pub pinned: Option<At>,
}

/// The checkpoint that everything is under.
#[derive(Clone, Debug)]
pub struct LedgerFact {
    /// The ledger's key.
    pub key: String,
    /// Whether governance names it.
    pub is_named: bool,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: String,
    /// Who has cosigned, and when by their clock, in seconds since 1970.
    pub cosigned: Vec<(String, u64)>,
    /// Who has not.
    pub not_cosigned: Vec<String>,
}

/// A plan and what came of it.
#[derive(Clone, Debug)]
pub struct CeremonyFact {
    /// Its digest.
    pub plan: Digest,
    /// The plan, once its quorum was complete.
    pub approved_plan: Option<Plan>,
    /// The version of governance that it was approved under.
    pub governance_version: Option<u64>,
    /// Who approved it, or the mandate that it names, and in which role.
    pub approved_by: Vec<(PersonId, String)>,
    /// When it was submitted.
    pub submitted: Option<At>,
    /// When its quorum was complete.
    pub approved: Option<At>,
    /// Its attempts, by number and place.
    pub attempts: Vec<AttemptFact>,
    /// When it was over.
    pub ended: Option<At>,
}

/// One attempt at one chunk.
#[derive(Clone, Debug)]
pub struct AttemptFact {
    /// The chunk.
    pub chunk: Chunk,
    /// Everybody who prepared.
    pub holders: Vec<SignerId>,
    /// When its epoch began.
    pub activated: Option<At>,
    /// When everything lower was ended.
    pub retired: Option<At>,
    /// Who says to have erased, when by their clock in milliseconds since 1970, and how far that reaches.
    pub receipts: Vec<(At, SignerId, u64, &'static str)>,
    /// When it was left.
    pub left: Option<At>,
    /// Whether probes and proofs of possession were checked: that takes all wallets of the chunk.
    pub is_possessed: bool,
}

/// One epoch of one wallet.
#[derive(Clone, Debug)]
pub struct EpochFact {
    /// The wallet.
    pub wallet: Wallet,
    /// Its key, the same in every epoch.
    pub public_key: String,
    /// Where it receives first; none before an epoch that is here is kept by all holders.
    pub address: Option<String>,
    /// The number.
    pub epoch: Epoch,
    /// The plan that made it; none if that is not in the bundle.
    pub plan: Option<Digest>,
    /// `T`.
    pub transcript: Digest,
    /// How many sign.
    pub threshold: u8,
    /// Who holds shares.
    pub holders: Vec<SignerId>,
    /// When it began.
    pub activated: Option<At>,
    /// When all holders had said that they keep it.
    pub kept: Option<At>,
    /// When it was ended, and by which epoch.
    pub ended: Option<(At, Epoch)>,
    /// Whose receipts name it.
    pub erased_by: Vec<SignerId>,
    /// Holders whose receipts do not.
    pub not_erased_by: Vec<SignerId>,
    /// Holders that were written off: nothing is awaited of them.
    pub written_off: Vec<SignerId>,
}

/// A report of a theft, as the coordinator's client made it.
#[derive(Clone, Debug)]
pub struct TheftFact {
    /// Its entry.
    pub at: At,
    /// Its digest.
    pub digest: Digest,
    /// What it says.
    pub report: TheftReport,
    /// When it was withdrawn.
    pub withdrawn: Option<At>,
}

impl TheftFact {
    /// In a line: on what day what was reported as stolen where. It leaves out the text, which is somebody else's.
    pub fn sentence(&self) -> String {
        let (on, by) = (date(self.at.time_ms), &self.report.by);
        let end = self.withdrawn.map_or(String::new(), |at| format!("; withdrawn on {}", date(at.time_ms)));
        match &self.report.finding {
            Finding::Stolen { signer, from_ms, to_ms, certainty, .. } => format!(
                "reported on {on} as stolen at {signer} ({}, from {} to {}, by client {by}){end}",
                certainty.name(),
                date(*from_ms),
                date(*to_ms)
            ),
            Finding::Withdrawn(other) => {
                format!("withdrawn on {on}: the report {} (by client {by})", other.short())
            }
        }
    }
}

/// One signature.
#[derive(Clone, Debug)]
pub struct SignatureFact {
    /// Its entry.
    pub at: At,
    /// Under which epoch.
    pub epoch: Epoch,
    /// `T` of that epoch.
    pub transcript: Digest,
    /// The plan that made that epoch.
    pub plan: Digest,
    /// Who took part, as the coordinator says.
    pub signers: Vec<String>,
    /// The name of the transaction on its chain, as the coordinator says.
    pub transaction_id: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Its entry.
    pub at: At,
    /// What.
    pub kind: String,
    /// To what.
    pub subject: String,
}

impl Facts {
    /// The names of the wallets.
    pub fn wallets(&self) -> BTreeSet<&WalletId> {
        self.epochs.iter().map(|epoch| &epoch.wallet.id).collect()
    }

    /// A few lines for a terminal.
    pub fn in_short(&self) -> String {
        let epochs = self.epochs.iter().filter(|epoch| epoch.activated.is_some()).count();
        let mut text = format!(
            "{}, {}, {}, {}\n",
            counted(self.ceremonies.len(), "plan"),
            counted(self.wallets().len(), "wallet"),
            counted(epochs, "epoch"),
            counted(self.signatures.len(), "signature")
        );
        for theft in &self.thefts {
            text.push_str(&format!("{}\n", theft.sentence()));
        }
        for gap in &self.gaps {
            text.push_str(&format!("incomplete: {gap}\n"));
        }
        text
    }

    /// What is missing. `orphans` are epochs whose parent is not here, as only a window of time may have them.
    pub fn find_gaps(&self, orphans: &[(&WalletId, Epoch)]) -> Vec<String> {
        let mut gaps = Vec::new();
        for ceremony in &self.ceremonies {
            let plan = ceremony.plan.short();
            let Some(approved) = &ceremony.approved_plan else {
                gaps.push(format!("plan {plan}: no quorum has approved it"));
                continue;
            };
            if let About::Ceremony { .. } = self.about {
                let active = |epoch: &&EpochFact| epoch.plan == Some(ceremony.plan);
                let made: BTreeSet<&WalletId> =
                    self.epochs.iter().filter(active).map(|epoch| &epoch.wallet.id).collect();
                let (have, of) = (made.len(), approved.wallets.len());
                if have < of {
                    gaps.push(format!("plan {plan}: {} of {of} wallets have no new epoch", of - have));
                }
            }
            let waiting =
                ceremony.attempts.iter().filter(|known| known.activated.is_some() && known.retired.is_none());
            for attempt in waiting {
                gaps.push(format!("{}: not all holders have said that they keep it", attempt.chunk));
            }
        }
        self.add_missing_receipts(&mut gaps);
        self.add_missing_epochs(orphans, &mut gaps);
        gaps
    }

    fn add_missing_receipts(&self, gaps: &mut Vec<String>) {
        let mut missing: BTreeMap<(&SignerId, Epoch), usize> = BTreeMap::new();
        for epoch in self.epochs.iter().filter(|epoch| epoch.ended.is_some()) {
            for signer in &epoch.not_erased_by {
                *missing.entry((signer, epoch.epoch)).or_default() += 1;
            }
        }
        for ((signer, epoch), wallets) in missing {
            gaps.push(format!(
                "no receipt of {signer} for its shares of epoch {epoch} of {}",
                counted(wallets, "wallet")
            ));
        }
    }

    fn add_missing_epochs(&self, orphans: &[(&WalletId, Epoch)], gaps: &mut Vec<String>) {
        if let About::Wallet { wallet, .. } = &self.about
            && self.epochs.iter().all(|epoch| epoch.activated.is_none())
        {
            gaps.push(format!("wallet {wallet} has no epoch here"));
        }
        let wallets: BTreeMap<&WalletId, Vec<Epoch>> =
            orphans.iter().fold(BTreeMap::new(), |mut all, (id, epoch)| {
                all.entry(*id).or_insert_with(Vec::new).push(*epoch);
                all
            });
        for (wallet, epochs) in wallets {
            // The epoch before the first one is meant to be missing.
            for epoch in epochs.iter().skip(1) {
                gaps.push(format!("wallet {wallet}: the share set that epoch {epoch} came of is not here"));
            }
        }
    }
}
