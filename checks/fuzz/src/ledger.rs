//! Feeds the ledger's parsers: entries, proofs and checkpoints as an auditor gets them from a stranger.

use crate::Verdict;
use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};
use perennial_ledger::audit::{ExportReader, export_head, export_line};
use perennial_ledger::entry::{Content, Epoch, Kind, ShortText, Signature};
use perennial_ledger::{
    Checkpoint, ConsistencyProof, Cosignature, Digest, Entry, Error, InclusionProof, KeyName, MemoryNodes,
    NoteKey, SignNote, Tree, TreeHead, WitnessKey, prove_consistency, prove_inclusion,
};

/// The log that proofs are checked against.
const LINES: [&str; 7] = ["zero", "one", "two", "three", "four", "five", "six"];

/// The name of the log whose checkpoints are read.
const LOG: &str = "example.com/ledger";

/// An entry: what is accepted is written back byte for byte.
pub fn entry(bytes: &[u8]) -> Verdict {
    let parsed = Entry::from_bytes(bytes);
    if let Ok(entry) = &parsed {
        assert_eq!(entry.to_bytes(), bytes, "an entry has two written forms");
        assert!(!entry.kind().is_empty(), "an entry without a kind was accepted");
    }
    Verdict::of(&parsed)
}

/// A proof of either kind: what is accepted is written back byte for byte, and proves nothing false.
pub fn proof(bytes: &[u8]) -> Verdict {
    let (_, tree) = log(LINES.len());
    let (_, earlier) = log(LINES.len() - 2);
    let inclusion = InclusionProof::from_bytes(bytes);
    if let Ok(proof) = &inclusion {
        assert_eq!(proof.to_bytes(), bytes, "an inclusion proof has two written forms");
        let proved = |line: &str| proof.verify(line.as_bytes(), &tree).is_ok();
        assert!(!proved("never entered"), "an entry was proved that is not in the log");
        for (index, line) in LINES.iter().enumerate().filter(|(_, line)| proved(line)) {
            assert_eq!(proof.index, index as u64, "{line} was proved at a place where it is not");
        }
    }
    let consistency = ConsistencyProof::from_bytes(bytes);
    if let Ok(proof) = &consistency {
        assert_eq!(proof.to_bytes(), bytes, "a consistency proof has two written forms");
        let rewritten = rewritten();
        assert!(proof.verify(&rewritten, &tree).is_err(), "a rewritten log was proved to be continued");
        // Whatever it says of the true log is no crash.
        let _ = proof.verify(&earlier, &tree);
    }
    Verdict::of(&inclusion.map(drop).or(consistency.map(drop)))
}

/// The text of a checkpoint, once as a note that the log never signed and once as one that it did.
///
/// Signing the input is what leads the fuzzer behind the signature check.
pub fn checkpoint(bytes: &[u8]) -> Verdict {
    let signer = LogKey::new();
    assert!(Checkpoint::open(bytes, &signer.public).is_err(), "a checkpoint was read that nobody signed");
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let note = signed(text, &signer);
    let opened = Checkpoint::open(note.as_bytes(), &signer.public);
    if let Ok(checkpoint) = &opened {
        assert_eq!(checkpoint.to_bytes(), note.as_bytes(), "a checkpoint is not kept as it was signed");
        let again = Checkpoint::sign(*checkpoint.head(), &signer);
        let again = again.map(|checkpoint| checkpoint.to_bytes());
        assert_eq!(again.as_deref(), Ok(note.as_bytes()), "a head has two checkpoints");
    }
    Verdict::of(&opened)
}

/// A witness's line: what is accepted is written back byte for byte, and is nobody's word on another checkpoint.
pub fn cosignature(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let read = Cosignature::parse(text);
    if let Ok(cosignature) = &read {
        assert_eq!(cosignature.to_line(), text, "a cosignature has two written forms");
        let signer = LogKey::new();
        let checkpoint = Checkpoint::sign(rewritten(), &signer).expect("the key signs");
        let verified = cosignature.verify(&checkpoint, &witness().0);
        assert!(verified.is_err(), "a cosignature was accepted that nobody made");
        let cosigned = checkpoint.with(cosignature).expect("there is room");
        let opened = Checkpoint::open(&cosigned.to_bytes(), &signer.public);
        assert_eq!(opened.as_ref(), Ok(&cosigned), "a cosignature spoils the note that it is put under");
    }
    Verdict::of(&read)
}

/// An export of a ledger: what is accepted has exactly the entries that its checkpoint is over.
pub fn export(bytes: &[u8]) -> Verdict {
    let mut reader = ExportReader::default();
    let mut entries = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match reader.take(line) {
            Ok(entry) => entries.extend(entry.map(|entry| entry.to_bytes())),
            Err(_) => return Verdict::Refused,
        }
    }
    let read = reader.finish();
    if let Ok((_, checkpoint)) = &read {
        let growth = Tree::empty().append(&entries).expect("they were appended before");
        assert_eq!(growth.tree.head(), *checkpoint.head(), "entries were accepted that nobody signed");
    }
    Verdict::of(&read)
}

/// A cosignature of the witness of this file.
pub fn cosignature_samples() -> Vec<Vec<u8>> {
    let checkpoint = Checkpoint::sign(log(LINES.len()).1, &LogKey::new()).expect("the key signs");
    vec![cosign(&checkpoint).to_line().into_bytes()]
}

/// An export with two entries and a cosignature.
pub fn export_samples() -> Vec<Vec<u8>> {
    let signer = LogKey::new();
    let entries = entry_samples();
    let head = Tree::empty().append(&entries).expect("two entries").tree.head();
    let checkpoint = Checkpoint::sign(head, &signer).expect("the key signs");
    let cosignature = cosign(&checkpoint);
    let checkpoint = checkpoint.with(&cosignature).expect("there is room");
    let lines = (0..).zip(&entries).map(|(place, entry)| export_line(place, entry));
    vec![(export_head(&signer.public, &checkpoint) + &lines.collect::<String>()).into_bytes()]
}

/// A plain entry and one of a signature.
pub fn entry_samples() -> Vec<Vec<u8>> {
    let text = |text: &str| ShortText::new(text).expect("the sample is short and printable");
    let signature = Signature {
        wallet: text("treasury"),
        epoch: Epoch { rank: 3, count: 1 },
        transcript: Digest([1; 32]),
        plan: Digest([2; 32]),
        policy: Some(Digest([3; 32])),
        decision: Some(text("allow")),
        custody_state: None,
    };
    let kind = Kind::new("retirement").expect("the sample is a kind");
    [Content::Other(kind), Content::Signature(signature)]
        .map(|content| {
            let body = Digest([9; 32]);
            Entry { time_ms: 1_700_000_000_000, subject: text("treasury"), body, content }.to_bytes()
        })
        .to_vec()
}

/// A proof of each kind over the log of this file.
pub fn proof_samples() -> Vec<Vec<u8>> {
    let (nodes, head) = log(LINES.len());
    let (_, earlier) = log(LINES.len() - 2);
    let inclusion = prove_inclusion(4, &head, &nodes).expect("the entry is in the log");
    let consistency = prove_consistency(&earlier, &head, &nodes).expect("the log only grew");
    vec![inclusion.to_bytes(), consistency.to_bytes()]
}

/// The text of a checkpoint over the log of this file.
pub fn checkpoint_samples() -> Vec<Vec<u8>> {
    let (_, head) = log(LINES.len());
    vec![format!("{LOG}\n{}\n{}\n", head.size, Base64::encode_string(&head.root.0)).into_bytes()]
}

/// The witness's word on a checkpoint.
fn cosign(checkpoint: &Checkpoint) -> Cosignature {
    let (key, secret) = witness();
    let made = Cosignature::make(checkpoint, &key, 9, |message| secret.sign(message).to_bytes());
    made.expect("the witness signs")
}

fn witness() -> (WitnessKey, SigningKey) {
    let secret = SigningKey::from_bytes(&[8; 32]);
    let name = KeyName::new(LOG).expect("the sample is a name");
    let key = WitnessKey::of_member(&name, "a", secret.verifying_key().as_bytes());
    (key.expect("the key is sound"), secret)
}

/// The first `size` lines as a log.
fn log(size: usize) -> (MemoryNodes, TreeHead) {
    grown(&LINES[..size])
}

/// The head of a log of the earlier size with another first line.
fn rewritten() -> TreeHead {
    let mut lines = LINES;
    lines[0] = "rewritten";
    grown(&lines[..LINES.len() - 2]).1
}

fn grown(lines: &[&str]) -> (MemoryNodes, TreeHead) {
    let growth = Tree::empty().append(lines).expect("a few lines fit into a log");
    let mut nodes = MemoryNodes::default();
    nodes.store(&growth.nodes);
    let head = growth.tree.head();
    (nodes, head)
}

/// A note over `text` as the log would sign it, whatever the text is.
fn signed(text: &str, signer: &LogKey) -> String {
    let signature = signer.secret.sign(text.as_bytes()).to_bytes();
    let bytes = [signer.public.id().to_be_bytes().as_slice(), &signature].concat();
    format!("{text}\n\u{2014} {} {}\n", signer.public.name(), Base64::encode_string(&bytes))
}

/// A key made up for the samples.
struct LogKey {
    secret: SigningKey,
    public: NoteKey,
}

impl LogKey {
    fn new() -> Self {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let name = KeyName::new(LOG).expect("the sample is a name");
        let public = NoteKey::new(name, secret.verifying_key().as_bytes()).expect("the key is sound");
        Self { secret, public }
    }
}

impl SignNote for LogKey {
    fn key(&self) -> &NoteKey {
        &self.public
    }

    fn sign_note(&self, text: &str) -> Result<[u8; 64], Error> {
        Ok(self.secret.sign(text.as_bytes()).to_bytes())
    }
}
