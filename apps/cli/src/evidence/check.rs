//! Every rule that a bundle has to keep, in the order of `docs/formats.md`. What comes out are facts: each is either
//! proved by what is in the bundle, or listed as missing.

mod chunks;
mod ledger;
mod possession;
mod receipts;
mod signatures;
mod story;
mod thefts;
mod times;
mod wallets;

use super::bundle::{About, Bundle, GOVERNANCE, SUMMARY_HTML, SUMMARY_MD};
use super::documents::{Documents, read};
use super::facts::{Facts, GovernanceFact};
use super::flaw::{Check, Flaw};
use super::summary;
use perennial_ledger::NoteKey;
use perennial_model::encoding::Digest;
use perennial_model::governance::history::{History, Versions};
use perennial_model::wallet::WalletId;
use rand_core::CryptoRng;
use story::Story;

pub use thefts::concerns;

/// How far two clocks may differ, in milliseconds: signers refuse to work with a coordinator that is further off.
pub const CLOCKS_DIFFER_MS: u64 = 300_000;

/// What an auditor brings along.
#[derive(Clone, Default, Debug)]
pub struct Trust {
    /// The digest of the first version of governance; none only where the bundle is being made.
    pub genesis: Option<Digest>,
    /// Versions of governance that are known already.
    pub known: Option<History>,
    /// How many signers must have cosigned; none for more than half.
    pub witnesses: Option<usize>,
    /// The ledger's key, where it is pinned.
    pub key: Option<NoteKey>,
}

/// Checks a whole bundle.
///
/// # Errors
/// The first [`Flaw`], in the order of the checks.
pub fn check(bundle: &Bundle, trust: &Trust, rng: &mut dyn CryptoRng) -> Result<Facts, Flaw> {
    let facts = facts_of(bundle, trust, rng)?;
    for (member, text) in [(SUMMARY_MD, summary::markdown(&facts)), (SUMMARY_HTML, summary::html(&facts))] {
        let came = bundle.members.get(member).ok_or_else(|| missing(Check::Summary, member))?;
        if text.as_bytes() != came.as_slice() {
            let at = text.bytes().zip(came).position(|(a, b)| a != *b).unwrap_or(text.len().min(came.len()));
            let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            let reason = format!("line {line} is not what follows from the documents");
            return Err(Flaw::new(Check::Summary, member, reason));
        }
    }
    Ok(facts)
}

/// What follows from the documents of a bundle, without its summary.
///
/// # Errors
/// As [`check`].
pub fn facts_of(bundle: &Bundle, trust: &Trust, rng: &mut dyn CryptoRng) -> Result<Facts, Flaw> {
    let mut documents = Documents::of(bundle)?;
    let history = governance(bundle, trust)?;
    let proved = ledger::check(bundle, trust, &history)?;
    let mut story = Story::new(&bundle.about, &history);
    for line in &proved.lines {
        story.take(line, &mut documents)?;
    }
    let roots = chunks::check_roots(&story, &mut documents)?;
    let wallets = wallets::Wallets::read(&story, &roots, &mut documents)?;
    documents.check_all_named()?;
    let possessed = possession::check(&story, &roots, &wallets, rng)?;
    let erased = receipts::check(&story, &wallets)?;
    signatures::check(&story, &wallets)?;
    times::check(&story, &proved)?;
    let mut facts = Facts {
        about: bundle.about.clone(),
        genesis: history.first_digest(),
        governance: versions(&history, &story),
        ledger: proved.fact,
        ceremonies: story.ceremony_facts(&history, &possessed),
        epochs: wallets.facts(&story, &erased, &history),
        thefts: thefts::facts(&story, &wallets)?,
        signatures: story.signatures.iter().map(|signed| signed.fact.clone()).collect(),
        timeline: std::mem::take(&mut story.timeline),
        gaps: Vec::new(),
    };
    let orphans: Vec<_> = wallets.orphans().map(|known| (&known.set.wallet.id, known.set.epoch)).collect();
    facts.gaps = facts.find_gaps(&orphans);
    Ok(facts)
}

/// The wallet that a bundle is about, if it is about one.
fn only_wallet(about: &About) -> Option<&WalletId> {
    match about {
        About::Wallet { wallet, .. } => Some(wallet),
        About::Ceremony { .. } => None,
    }
}

fn governance(bundle: &Bundle, trust: &Trust) -> Result<History, Flaw> {
    let refused = |reason: String| Flaw::new(Check::Governance, GOVERNANCE, reason);
    let bytes = bundle.members.get(GOVERNANCE).ok_or_else(|| missing(Check::Governance, GOVERNANCE))?;
    let versions: Versions = read(Check::Governance, GOVERNANCE, bytes)?;
    let history = History::check(versions).map_err(|error| refused(error.to_string()))?;
    let (first, trusted) = (history.first_digest(), trust.genesis.unwrap_or(history.first_digest()));
    if first != trusted {
        return Err(refused(format!(
            "its first version is {first}, and {trusted} is trusted: it is another cluster's, or forged"
        )));
    }
    if let Some(known) = &trust.known {
        known.clone().newer(history.clone()).map_err(|error| refused(error.to_string()))?;
    }
    Ok(history)
}

fn versions(history: &History, story: &Story<'_>) -> Vec<GovernanceFact> {
    let fact = |version: &perennial_model::governance::history::ApprovedGovernance| GovernanceFact {
        version: version.governance.version,
        digest: version.governance.digest(),
        initiator: version.governance.initiator.clone(),
        approved_by: version.approvals.iter().map(|approval| approval.person.clone()).collect(),
        pinned: story.pinned.get(&version.governance.version).copied(),
    };
    history.versions().0.iter().map(fact).collect()
}

fn missing(check: Check, member: &str) -> Flaw {
    Flaw::new(check, member, "it is missing")
}
