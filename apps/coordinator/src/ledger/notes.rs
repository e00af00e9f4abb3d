//! From what happened in a ceremony to the ledger's entry for it, and the body that the entry's digest is of.
//!
//! | kind | subject | body |
//! |---|---|---|
//! | `governance-pinned` | version | the governance with its approvals |
//! | `plan-submitted` | plan | the plan; kept with the facts |
//! | `plan-approval` | plan and person | the plan that is approved; the signature follows with `plan-approved` |
//! | `plan-approved` | plan | the plan with its approvals, or with its mandate and the mandate's |
//! | `mandate-given` | mandate | the mandate with its approvals |
//! | `order-given` | order | the order with its approvals |
//! | `theft-reported` | report | the report |
//! | `activation`, `retirement` | chunk | the certificate |
//! | `wallets-created` | chunk | the names of the wallets and the digests of their share sets |
//! | `receipt` | chunk | a signer's signed receipt |
//! | `attempt-left` | chunk | why |
//! | `given-up` | plan | the names of the wallets |
//! | `ceremony-finished` | plan | how it ended |
//!
//! Plans, mandates, orders and reports are written as their digests, a chunk as plan, epoch and range of places. The entry
//! of a signature is made in the gateway.

use minicbor::{Decode, Encode};
use perennial_ledger::entry::{Content, Kind, ShortText};
use perennial_ledger::{Digest as BodyDigest, Entry};
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::evidence::{CreatedWallets, subject_of};
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::plan::Chunk;
use perennial_model::wallet::WalletId;
use perennial_workflow::ceremony::generation::Generation;
use perennial_workflow::journal::Note;

/// An entry in its canonical bytes, and its body where no fact holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteEntry {
    /// What goes into the ledger.
    pub entry: Vec<u8>,
    /// What the entry's digest is of.
    pub body: Option<Vec<u8>>,
}

/// The body of `given-up`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GivenUpWallets {
    /// The wallets that no further attempt will be made for.
    #[n(0)]
    pub wallets: Vec<WalletId>,
}

impl Document for GivenUpWallets {
    const KIND: &'static str = "given-up-wallets";
}

/// The entry for a governance document that is pinned from now on.
pub fn governance_pinned(approved: &ApprovedGovernance, at_ms: u64) -> NoteEntry {
    let subject = format!("version {}", approved.governance.version);
    with_body(at_ms, "governance-pinned", subject, encoding::encode(approved))
}

/// The entry for what happened in a ceremony.
pub fn note_entry(note: &Note, at_ms: u64) -> NoteEntry {
    let with_body = |kind, subject: String, body| with_body(at_ms, kind, subject, body);
    match note {
        Note::Submitted { ceremony } => of_plan(at_ms, "plan-submitted", ceremony.to_string(), ceremony),
        Note::Approved { ceremony, person } => {
            of_plan(at_ms, "plan-approval", format!("{ceremony} {person}"), ceremony)
        }
        Note::Authorised { plan, ceremony } => {
            with_body("plan-approved", ceremony.to_string(), encoding::encode(&**plan))
        }
        Note::Mandated { mandate, approved } => {
            with_body("mandate-given", mandate.to_string(), encoding::encode(&**approved))
        }
        Note::Ordered { order, approved } => {
            with_body("order-given", order.to_string(), encoding::encode(&**approved))
        }
        Note::TheftReported { theft, report } => {
            with_body("theft-reported", theft.to_string(), encoding::encode(&**report))
        }
        Note::Activated { chunk, certificate } => {
            with_body("activation", subject_of(chunk), encoding::encode(&**certificate))
        }
        Note::Retired { chunk, certificate } => {
            with_body("retirement", subject_of(chunk), encoding::encode(&**certificate))
        }
        Note::Created { chunk, generation } => {
            with_body("wallets-created", subject_of(chunk), encoding::encode(&created(chunk, generation)))
        }
        Note::Erased { chunk, receipt } => with_body("receipt", subject_of(chunk), to_cbor(receipt)),
        Note::Left { chunk, reason } => with_body("attempt-left", subject_of(chunk), to_cbor(reason)),
        Note::GivenUp { ceremony, wallets } => {
            let body = GivenUpWallets { wallets: wallets.clone() };
            with_body("given-up", ceremony.to_string(), encoding::encode(&body))
        }
        Note::Finished { status } => {
            with_body("ceremony-finished", status.ceremony.to_string(), encoding::encode(&**status))
        }
    }
}

fn created(chunk: &Chunk, generation: &Generation) -> CreatedWallets {
    let names = generation.share_sets.iter().map(|share_set| share_set.wallet.id.clone());
    CreatedWallets { chunk: *chunk, wallets: names.zip(generation.digests.iter().copied()).collect() }
}

fn to_cbor<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory does not fail")
}

fn of_plan(at_ms: u64, kind: &str, subject: String, plan: &Digest) -> NoteEntry {
    NoteEntry { entry: entry(at_ms, kind, &subject, BodyDigest(plan.0)), body: None }
}

fn with_body(at_ms: u64, kind: &str, subject: String, body: Vec<u8>) -> NoteEntry {
    NoteEntry { entry: entry(at_ms, kind, &subject, BodyDigest::of(&body)), body: Some(body) }
}

fn entry(time_ms: u64, kind: &str, subject: &str, body: BodyDigest) -> Vec<u8> {
    let kind = Kind::new(kind).expect("the kinds of the table above are well formed");
    let subject = ShortText::new(subject).expect("digests, names and chunks are short and plain");
    Entry { time_ms, subject, body, content: Content::Other(kind) }.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::epoch::Epoch;

    #[test]
    fn the_longest_subject_fits() {
        let epoch = Epoch::new(u32::MAX, u32::MAX);
        let chunk = Chunk { plan: Digest([255; 32]), epoch, first: 99_999, count: 256 };
        let reason = perennial_workflow::ceremony::Reason::TooLate;
        let note = note_entry(&Note::Left { chunk, reason }, u64::MAX);
        let entry = Entry::from_bytes(&note.entry).expect("canonical");
        assert_eq!(entry.kind(), "attempt-left");
        assert_eq!(entry.body, BodyDigest::of(&note.body.expect("a reason")));
        let person = "x".repeat(40).parse().expect("a name");
        let note = note_entry(&Note::Approved { ceremony: Digest([255; 32]), person }, 0);
        assert!(Entry::from_bytes(&note.entry).is_ok());
    }
}
