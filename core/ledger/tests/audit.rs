//! An export against whoever tampers with it, ten thousand times each way: it is noticed, and the message says where.

#[path = "shared/key.rs"]
mod key;

use ed25519_dalek::{Signer, SigningKey};
use key::{Key, key};
use perennial_ledger::audit::{ExportReader, Flaw, export_head, export_line};
use perennial_ledger::entry::{Content, Kind, ShortText};
use perennial_ledger::{Checkpoint, Cosignature, Digest, Entry, Tree, WitnessKey};
use proptest::prelude::*;
use std::sync::LazyLock;

const SIZE: u64 = 60;
const WITNESSES: u8 = 3;

static KEY: LazyLock<Key> = LazyLock::new(|| key("example.com/log", 7));
static TRUE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| (0..SIZE).map(|place| entry(place, 0)).collect());
static EXPORT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let checkpoint = (0..WITNESSES).fold(signed(&TRUE), cosign);
    export(&checkpoint, &TRUE)
});

fn entry(place: u64, sort: u8) -> Vec<u8> {
    let subject = ShortText::new(&format!("thing {place}")).expect("short");
    let content = Content::Other(Kind::new("test").expect("a kind"));
    Entry { time_ms: 1_700_000_000_000 + place, subject, body: Digest([sort; 32]), content }.to_bytes()
}

fn signed(entries: &[Vec<u8>]) -> Checkpoint {
    Checkpoint::sign(Tree::empty().append(entries).expect("small").tree.head(), &*KEY).expect("signed")
}

fn witness(number: u8) -> (WitnessKey, SigningKey) {
    let secret = SigningKey::from_bytes(&[20 + number; 32]);
    let public = secret.verifying_key().to_bytes();
    let key = WitnessKey::of_member(KEY.public.name(), &format!("signer-{number}"), &public);
    (key.expect("a key"), secret)
}

fn cosign(checkpoint: Checkpoint, number: u8) -> Checkpoint {
    let (key, secret) = witness(number);
    let made = Cosignature::make(&checkpoint, &key, 9, |message| secret.sign(message).to_bytes());
    checkpoint.with(&made.expect("made")).expect("room")
}

fn export(checkpoint: &Checkpoint, entries: &[Vec<u8>]) -> Vec<u8> {
    let lines = (0..).zip(entries).map(|(place, entry)| export_line(place, entry));
    (export_head(&KEY.public, checkpoint) + &lines.collect::<String>()).into_bytes()
}

/// What an auditor does who knows all witnesses and wants all of them: gives what is wrong, in words.
fn audit(bytes: &[u8]) -> Result<(), String> {
    let mut reader = ExportReader::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        reader.take(line).map_err(|flaw| flaw.to_string())?;
    }
    let (key, checkpoint) = reader.finish().map_err(|flaw| flaw.to_string())?;
    if key != KEY.public {
        return Err(format!("the log's key is {key}"));
    }
    for number in 0..WITNESSES {
        checkpoint.cosigned_by(&witness(number).0).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The message, which has to say where: a line, an entry, a size, the checkpoint or a key.
fn noticed(bytes: &[u8]) -> Result<String, TestCaseError> {
    let said = audit(bytes).err().ok_or_else(|| TestCaseError::fail("nothing was noticed"))?;
    let places = ["line ", "entry ", " entries ", "the checkpoint", "example.com/log", "the log's key"];
    prop_assert!(places.iter().any(|place| said.contains(place)), "{}", said);
    Ok(said)
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn an_export_that_nobody_touched_is_good() {
    assert_eq!(audit(&EXPORT), Ok(()));
    assert_eq!(EXPORT.iter().filter(|byte| **byte == b'\n').count() as u64, SIZE + 3);
    assert_eq!(audit(b""), Err("line 1: it is missing".into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn an_edited_byte_is_noticed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = EXPORT.clone();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let said = noticed(&bytes)?;
        // Beyond the place with which the line of an entry begins, the message says which one it was.
        let line = EXPORT[..at].iter().filter(|byte| **byte == b'\n').count();
        let before: usize = lines(&EXPORT)[..line].iter().map(Vec::len).sum();
        if line >= 3 && at - before > 2 {
            let (entry, number) = (format!("entry {} ", line - 3), format!("line {}:", line + 1));
            prop_assert!(said.contains(&entry) || said.contains(&number), "line {}: {}", line + 1, said);
        }
    }

    #[test]
    fn a_deleted_line_is_noticed(at in 0..SIZE + 3) {
        let mut all = lines(&EXPORT);
        all.remove(at as usize);
        let said = noticed(&all.concat())?;
        if at >= 3 {
            prop_assert!(said.starts_with(&format!("entry {} is missing", at - 3)), "{}", said);
        }
    }

    #[test]
    fn a_truncated_export_is_noticed(at in any::<prop::sample::Index>()) {
        let said = noticed(&EXPORT[..at.index(EXPORT.len())])?;
        prop_assert!(said.contains("missing") || said.contains("cut short"), "{}", said);
    }

    #[test]
    fn swapped_lines_are_noticed(one in 0..SIZE + 3, other in 0..SIZE + 3) {
        prop_assume!(one != other);
        let mut all = lines(&EXPORT);
        all.swap(one as usize, other as usize);
        let said = noticed(&all.concat())?;
        let first = one.min(other);
        if first >= 3 {
            let expected = format!("entry {} is missing: entry {}", first - 3, one.max(other) - 3);
            prop_assert!(said.starts_with(&expected), "{}", said);
        }
    }

    #[test]
    fn a_repeated_or_foreign_line_is_noticed(at in 3..SIZE + 4, what in 3..SIZE + 3, sort in 0..3_u8) {
        let mut all = lines(&EXPORT);
        let added = match sort {
            0 => all[what as usize].clone(),
            1 => export_line(at - 3, &entry(at, 9)).into_bytes(),
            _ => b"\n".to_vec(),
        };
        all.insert(at as usize, added);
        noticed(&all.concat())?;
    }

    #[test]
    fn an_entry_replaced_by_a_good_one_is_noticed(at in 0..SIZE, sort in 1..=255_u8) {
        let mut all = lines(&EXPORT);
        all[at as usize + 3] = export_line(at, &entry(at, sort)).into_bytes();
        let said = noticed(&all.concat())?;
        prop_assert!(said.starts_with("the 60 entries are not those that the log signed"), "{}", said);
    }

    /// The log itself forges: it signs other entries, or fewer, and keeps the lines of its witnesses.
    #[test]
    fn a_fork_that_the_log_signed_is_noticed_by_its_cosignatures(
        at in 0..SIZE, sort in 1..=255_u8, kept in 0..=SIZE, missing in 0..WITNESSES,
    ) {
        let mut entries = TRUE.clone();
        entries[at as usize] = entry(at, sort);
        entries.truncate(kept as usize);
        prop_assume!(entries != *TRUE);
        let mut forged = signed(&entries);
        for number in (0..WITNESSES).filter(|number| *number != missing) {
            forged = cosign(forged, number);
        }
        let (key, _) = witness(missing);
        let said = noticed(&export(&forged, &entries))?;
        prop_assert!(said.contains(key.name().as_str()), "{}", said);
        let stolen = lines(&EXPORT)[2].clone();
        let mut all = lines(&export(&forged, &entries));
        all[2] = stolen;
        noticed(&all.concat())?;
    }
}

#[test]
fn a_log_that_was_cut_or_goes_on_is_told_apart_from_a_forged_one() {
    let checkpoint = signed(&TRUE);
    let flaw = |entries: &[Vec<u8>]| {
        let mut reader = ExportReader::default();
        let bytes = export(&checkpoint, entries);
        let taken: Result<Vec<_>, Flaw> =
            bytes.split_inclusive(|byte| *byte == b'\n').map(|line| reader.take(line)).collect();
        taken.and_then(|_| reader.finish()).expect_err("a flaw")
    };
    assert_eq!(flaw(&TRUE[..59]), Flaw::Short { missing: 59, size: 60 });
    let longer = [&TRUE[..], &[entry(60, 0)]].concat();
    assert_eq!(flaw(&longer), Flaw::Long { place: 60, size: 60 });
    let mut forged = TRUE.clone();
    forged[3] = entry(3, 1);
    assert!(matches!(flaw(&forged), Flaw::OtherRoot { size: 60, .. }));
}
