//! Signatures: under which epoch each transaction was signed, by which plan.

use super::CLOCKS_DIFFER_MS;
use super::ledger::Line;
use super::story::Story;
use super::wallets::Wallets;
use crate::evidence::bundle::{About, entry_member};
use crate::evidence::facts::SignatureFact;
use crate::evidence::flaw::{Check, Flaw};
use perennial_ledger::entry::Signature;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use serde::Deserialize;

/// The entry of a signature, with what was answered.
#[derive(Debug)]
pub struct SignedEntry {
    wallet: WalletId,
    transcript: Digest,
    plan: Digest,
    /// What people see of it.
    pub fact: SignatureFact,
}

/// The part of the answer that is compared and shown.
#[derive(Deserialize)]
struct Answer {
    wallet: String,
    epoch: String,
    transcript: String,
    signers: Vec<String>,
    // What is written so has to be there, even if it is null.
    #[serde(deserialize_with = "Option::deserialize")]
    transaction_id: Option<String>,
}

/// Reads an entry and its answer, and compares the two.
pub fn read(line: &Line, entry: &Signature, body: &[u8], about: &About) -> Result<SignedEntry, Flaw> {
    let refused = |reason: String| line.flaw(Check::Signature, reason);
    let wallet: WalletId =
        entry.wallet.as_str().parse().map_err(|error| refused(format!("it names no wallet: {error}")))?;
    let (from_ms, to_ms) = match about {
        About::Wallet { wallet: wanted, from_ms, to_ms } if *wanted == wallet => {
            (from_ms.unwrap_or(0), to_ms.unwrap_or(u64::MAX))
        }
        _ => return Err(refused("the bundle is not about this wallet".into())),
    };
    if line.entry.subject != entry.wallet || !(from_ms..=to_ms).contains(&line.at.time_ms) {
        return Err(refused("its subject is another wallet, or its time is outside of the window".into()));
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| refused(format!("its answer cannot be read: {error}")))?;
    let epoch = Epoch::new(entry.epoch.rank, entry.epoch.count);
    let (transcript, plan) = (Digest(entry.transcript.0), Digest(entry.plan.0));
    let same = answer.wallet == wallet.as_str()
        && answer.epoch == epoch.to_string()
        && answer.transcript == transcript.to_string();
    if !same {
        return Err(refused("the answer names another wallet, epoch or transcript".into()));
    }
    let fact = SignatureFact {
        at: line.at,
        epoch,
        transcript,
        plan,
        signers: answer.signers,
        transaction_id: answer.transaction_id,
    };
    Ok(SignedEntry { wallet, transcript, plan, fact })
}

/// Checks that every signature was made under an epoch in the bundle, while that was served.
pub fn check(story: &Story<'_>, wallets: &Wallets) -> Result<(), Flaw> {
    for signed in &story.signatures {
        let (at, epoch) = (signed.fact.at, signed.fact.epoch);
        let refused = |check: Check, reason: String| Flaw::new(check, entry_member(at.place), reason);
        let known = wallets.find(&signed.wallet, epoch);
        let made = known.and_then(|known| Some((known, known.made?)));
        let Some((known, chunk)) = made.filter(|(known, _)| known.set.transcript == signed.transcript) else {
            let reason = format!("it was signed under epoch {epoch}, of which nothing is in the bundle");
            return Err(refused(Check::Signature, reason));
        };
        if chunk.plan != signed.plan {
            let reason =
                format!("it names the plan {}, and epoch {epoch} was made by {}", signed.plan, chunk.plan);
            return Err(refused(Check::Signature, reason));
        }
        if let Some(stranger) = signed
            .fact
            .signers
            .iter()
            .find(|name| known.set.committee.signers().all(|held| held.as_str() != **name))
        {
            return Err(refused(Check::Signature, format!("{stranger} holds no share of epoch {epoch}")));
        }
        let activated = story.ceremonies.get(&chunk.plan).and_then(|known| known.attempts.get(&chunk));
        let activated = activated.and_then(|attempt| attempt.activated.as_ref()).map(|(at, _)| at.time_ms);
        if activated.is_some_and(|activated| at.time_ms.saturating_add(CLOCKS_DIFFER_MS) < activated) {
            return Err(refused(Check::Times, format!("it was signed before epoch {epoch} was activated")));
        }
        let ended = wallets.ended(story, &signed.wallet, epoch).map(|(at, _)| at.time_ms);
        if ended.is_some_and(|ended| at.time_ms > ended.saturating_add(CLOCKS_DIFFER_MS)) {
            return Err(refused(Check::Times, format!("it was signed after epoch {epoch} was ended")));
        }
    }
    Ok(())
}
