//! The checkpoint, who stands under it, and that every entry is below it.

use super::{Trust, missing};
use crate::evidence::bundle::{Bundle, CHECKPOINT, ENTRIES, MANIFEST, entry_member};
use crate::evidence::documents::{Documents, read};
use crate::evidence::facts::{At, LedgerFact};
use crate::evidence::flaw::{Check, Flaw};
use perennial_ledger::{Checkpoint, Entry, Error, InclusionProof, NodeHash, NoteKey, TreeHead, WitnessKey};
use perennial_model::encoding::Digest;
use perennial_model::evidence::ProvedEntry;
use perennial_model::governance::Governance;
use perennial_model::governance::history::History;
use perennial_model::identity::IdentityKey;

/// An entry that is in the ledger.
#[derive(Debug)]
pub struct Line {
    /// Its place, and its time by the coordinator's clock.
    pub at: At,
    /// What it says.
    pub entry: Entry,
    member: String,
}

/// What the ledger says.
#[derive(Debug)]
pub struct Proved {
    /// The entries in the order of their places.
    pub lines: Vec<Line>,
    /// The checkpoint.
    pub fact: LedgerFact,
}

impl Line {
    /// Something is wrong with this entry, or with what it speaks of.
    pub fn flaw(&self, check: Check, reason: impl std::fmt::Display) -> Flaw {
        let (kind, subject) = (self.entry.kind(), self.entry.subject.as_str());
        Flaw::new(check, &self.member, format!("{kind} of {subject}: {reason}"))
    }

    /// The digest of its body.
    pub fn digest(&self) -> Digest {
        Digest(self.entry.body.0)
    }

    /// Its body.
    pub fn body<'b>(&self, documents: &mut Documents<'b>) -> Result<&'b [u8], Flaw> {
        let digest = self.digest();
        documents
            .named(&digest)
            .ok_or_else(|| self.flaw(Check::Entry, format!("its body documents/{digest} is not here")))
    }
}

/// Checks the checkpoint and every entry against it.
pub fn check(bundle: &Bundle, trust: &Trust, history: &History) -> Result<Proved, Flaw> {
    let note = bundle.members.get(CHECKPOINT).ok_or_else(|| missing(Check::Checkpoint, CHECKPOINT))?;
    let key = key(bundle, trust, history)?;
    let refused = |error: Error| Flaw::new(Check::Checkpoint, CHECKPOINT, error);
    let checkpoint = Checkpoint::open(note, &key).map_err(refused)?;
    if checkpoint.to_bytes() != *note {
        return Err(Flaw::new(Check::Checkpoint, CHECKPOINT, "it is not written in its one form"));
    }
    let (cosigned, not_cosigned) = witnesses(&checkpoint, history.newest())?;
    let all = cosigned.len() + not_cosigned.len();
    let wanted = trust.witnesses.unwrap_or(all / 2 + 1);
    if cosigned.len() < wanted {
        let (have, missing) = (cosigned.len(), not_cosigned.join(", "));
        let reason = format!("{have} of {all} signers have cosigned, {wanted} are wanted; not by {missing}");
        return Err(Flaw::new(Check::Witnesses, CHECKPOINT, reason));
    }
    let head = *checkpoint.head();
    let mut lines = Vec::new();
    for (name, content) in bundle.members.iter().filter(|(name, _)| name.starts_with(ENTRIES)) {
        lines.push(line(name, content, &head)?);
    }
    let is_named = history.newest().ledger_key.is_some();
    let fact = LedgerFact {
        key: key.to_string(),
        is_named,
        size: head.size,
        root: head.root.to_string(),
        cosigned,
        not_cosigned,
    };
    Ok(Proved { lines, fact })
}

/// The ledger's key: the one in the bundle, which has to be the one that governance names or the auditor has pinned.
fn key(bundle: &Bundle, trust: &Trust, history: &History) -> Result<NoteKey, Flaw> {
    let refused = |reason: String| Flaw::new(Check::Checkpoint, MANIFEST, reason);
    let key = NoteKey::parse(&bundle.ledger_key).map_err(|error| refused(error.to_string()))?;
    if key.to_string() != bundle.ledger_key {
        return Err(refused("the ledger's key is not written in its one form".into()));
    }
    let named = history.newest().ledger_key.as_ref();
    if let Some(named) = named.filter(|named| **named != bundle.ledger_key) {
        return Err(refused(format!("the ledger's key is {key}, and governance names {named}")));
    }
    if let Some(pinned) = trust.key.as_ref().filter(|pinned| **pinned != key) {
        return Err(refused(format!("the ledger's key is {key}, not {pinned}")));
    }
    Ok(key)
}

/// Who has cosigned, with the time that each put there in seconds since 1970; and who has not.
type Witnessed = (Vec<(String, u64)>, Vec<String>);

fn witnesses(checkpoint: &Checkpoint, governance: &Governance) -> Result<Witnessed, Flaw> {
    let (mut cosigned, mut missing) = (Vec::new(), Vec::new());
    for known in &governance.signers {
        let name = known.signer.to_string();
        let refused = |error: Error| {
            Flaw::new(Check::Witnesses, CHECKPOINT, format!("{}'s cosignature: {error}", known.signer))
        };
        let public = match &known.key {
            IdentityKey::Ed25519(public) => public,
            // The model has one kind more when its simulation is on and this crate's is not.
            #[allow(unreachable_patterns)]
            _ => continue,
        };
        let witness = WitnessKey::of_member(checkpoint.origin(), &name, public).map_err(refused)?;
        match checkpoint.cosigned_by(&witness) {
            Ok(cosignature) => cosigned.push((name, cosignature.time_s())),
            Err(Error::NotSigned { found: 0, .. }) => missing.push(name),
            Err(error) => return Err(refused(error)),
        }
    }
    Ok((cosigned, missing))
}

fn line(name: &str, content: &[u8], head: &TreeHead) -> Result<Line, Flaw> {
    let refused = |reason: String| Flaw::new(Check::Entry, name, reason);
    let proved: ProvedEntry = read(Check::Entry, name, content)?;
    if entry_member(proved.place) != name {
        return Err(refused(format!("it holds the entry of place {}", proved.place)));
    }
    let entry = Entry::from_bytes(&proved.entry.0).map_err(|error| refused(error.to_string()))?;
    let hashes = proved.proof.iter().map(|hash| NodeHash(hash.0)).collect();
    let proof = InclusionProof { index: proved.place, size: head.size, hashes };
    proof.verify(&proved.entry.0, head).map_err(|error| refused(error.to_string()))?;
    let at = At { place: proved.place, time_ms: entry.time_ms };
    Ok(Line { at, entry, member: name.to_owned() })
}
