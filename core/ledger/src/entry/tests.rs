//! Entries keep their bytes, have one spelling, and unfit ones are refused.

use super::*;
use proptest::prelude::*;

fn text(text: &str) -> ShortText {
    ShortText::new(text).expect("short and plain")
}

fn receipt() -> Entry {
    Entry {
        time_ms: 1_790_000_000_000,
        subject: text("wallet treasury"),
        body: Digest::of(b"body"),
        content: Content::Other(Kind::new("receipt").expect("a kind")),
    }
}

fn signature() -> Signature {
    Signature {
        wallet: text("treasury"),
        epoch: Epoch { rank: 3, count: 1 },
        transcript: Digest([0x11; 32]),
        plan: Digest([0x22; 32]),
        policy: None,
        decision: None,
        custody_state: None,
    }
}

fn signed(time_ms: u64, signature: Signature) -> Entry {
    let (subject, body) = (text("treasury"), Digest::of(b"body"));
    Entry { time_ms, subject, body, content: Content::Signature(signature) }
}

/// The bytes were made by an independent encoder.
#[test]
fn the_bytes_of_an_entry_never_change() {
    let start = "8776706572656e6e69616c2f6c65646765722d656e74727901";
    let body = "5820230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5";
    let (ones, twos, threes) = ("11".repeat(32), "22".repeat(32), "33".repeat(32));
    let time = "1b000001a0c4506c00";
    let golden = [
        (receipt(), format!("{start}6772656365697074{time}6f77616c6c6574207472656173757279{body}f6")),
        (
            signed(1_790_000_000_000, signature()),
            format!(
                "{start}697369676e6174757265{time}687472656173757279{body}87687472656173757279820301\
                 5820{ones}5820{twos}f6f6f6"
            ),
        ),
        (
            signed(
                0,
                Signature {
                    epoch: Epoch { rank: u32::MAX, count: 24 },
                    policy: Some(Digest([0x33; 32])),
                    decision: Some(text("allow")),
                    custody_state: Some(text("normal")),
                    ..signature()
                },
            ),
            format!(
                "{start}697369676e617475726500687472656173757279{body}87687472656173757279821affffffff1818\
                 5820{ones}5820{twos}5820{threes}65616c6c6f77666e6f726d616c"
            ),
        ),
    ];
    for (entry, bytes) in golden {
        assert_eq!(hex::encode(entry.to_bytes()), bytes);
        assert_eq!(Entry::from_bytes(&entry.to_bytes()), Ok(entry));
    }
}

/// Replaces the one place where `from` occurs.
fn respelled(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let spelled = hex::encode(bytes);
    assert_eq!(spelled.matches(from).count(), 1, "{from} in {spelled}");
    hex::decode(spelled.replace(from, to)).expect("still hexadecimal")
}

#[test]
fn a_second_spelling_of_the_same_entry_is_refused() {
    let bytes = signed(0, signature()).to_bytes();
    let spellings = [
        ("an indefinite array", respelled(&bytes, "8776", "9f76")),
        ("a long array length", respelled(&bytes, "8776", "980776")),
        ("a long integer", respelled(&bytes, "820301", "82180301")),
        ("a long text length", respelled(&bytes, "697369676e6174757265", "78097369676e6174757265")),
        ("a text in chunks", respelled(&bytes, "00687472656173757279", "007f687472656173757279ff")),
        ("undefined for null", respelled(&bytes, "f6f6f6", "f6f6f7")),
        ("an absent field left out", respelled(&bytes, "8768", "8668")[..bytes.len() - 1].to_vec()),
        ("a trailing byte", [&bytes[..], &[0xf6]].concat()),
    ];
    for (what, spelling) in spellings {
        let refused = Entry::from_bytes(&spelling);
        assert!(matches!(refused, Err(Error::Malformed { .. })), "{what}: {refused:?}");
    }
    for cut in 0..bytes.len() {
        assert!(Entry::from_bytes(&bytes[..cut]).is_err());
    }
}

#[test]
fn content_that_does_not_fit_the_kind_is_refused() {
    let receipt = receipt().to_bytes();
    let signature = signed(0, signature()).to_bytes();
    let as_signature = respelled(&receipt, "6772656365697074", "697369676e6174757265");
    let as_receipt = respelled(&signature, "697369676e6174757265", "6772656365697074");
    let as_upper_case = respelled(&receipt, "6772656365697074", "6752656365697074");
    for bytes in [as_signature, as_receipt, as_upper_case] {
        assert!(matches!(Entry::from_bytes(&bytes), Err(Error::Malformed { .. })));
    }
}

#[test]
fn another_label_or_format_is_told_apart_from_damage() {
    let bytes = receipt().to_bytes();
    let label = respelled(&bytes, "2d656e747279", "2d656e747278");
    assert!(matches!(Entry::from_bytes(&label), Err(Error::Malformed { .. })));
    let format = respelled(&bytes, "2d656e74727901", "2d656e74727902");
    let expected = Error::UnknownFormat { what: "ledger entry", found: 2, known: 1 };
    assert_eq!(Entry::from_bytes(&format), Err(expected));
}

#[test]
fn unfit_texts_and_kinds_are_refused() {
    for unfit in ["", "two\nlines", "bell\u{7}", &"x".repeat(SHORT_TEXT_BYTES_MAX + 1)] {
        assert!(matches!(ShortText::new(unfit), Err(Error::Unfit { .. })), "{unfit:?}");
    }
    for unfit in ["", "signature", "Plan", "1st", "-a", "a b", &"x".repeat(KIND_CHARACTERS_MAX + 1)] {
        assert!(matches!(Kind::new(unfit), Err(Error::Unfit { .. })), "{unfit:?}");
    }
}

#[test]
fn the_largest_entry_fits_and_a_larger_one_is_not_looked_at() {
    let long = text(&"x".repeat(SHORT_TEXT_BYTES_MAX));
    let largest = Entry {
        time_ms: u64::MAX,
        subject: long.clone(),
        body: Digest([0xff; 32]),
        content: Content::Signature(Signature {
            wallet: long.clone(),
            epoch: Epoch { rank: u32::MAX, count: u32::MAX },
            transcript: Digest([0xff; 32]),
            plan: Digest([0xff; 32]),
            policy: Some(Digest([0xff; 32])),
            decision: Some(long.clone()),
            custody_state: Some(long),
        }),
    };
    assert_eq!(Entry::from_bytes(&largest.to_bytes()), Ok(largest));
    assert!(matches!(Entry::from_bytes(&[0x87; ENTRY_BYTES_MAX + 1]), Err(Error::Malformed { .. })));
}

proptest! {
    #[test]
    fn bytes_and_entry_determine_each_other(
        time_ms: u64, rank: u32, count: u32, digests: [[u8; 32]; 3], policy: Option<[u8; 32]>,
        subject in "\\PC{1,32}", wallet in "\\PC{1,32}", decision in proptest::option::of("[a-z]{1,9}"),
        flipped_bit: proptest::sample::Index,
    ) {
        let [body, transcript, plan] = digests.map(Digest);
        let entry = Entry {
            time_ms,
            subject: ShortText::new(&subject)?,
            body,
            content: Content::Signature(Signature {
                wallet: ShortText::new(&wallet)?,
                epoch: Epoch { rank, count },
                transcript,
                plan,
                policy: policy.map(Digest),
                decision: decision.map(|decision| ShortText::new(&decision)).transpose()?,
                custody_state: None,
            }),
        };
        let mut bytes = entry.to_bytes();
        prop_assert_eq!(Entry::from_bytes(&bytes)?, entry.clone());

        let bit = flipped_bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Entry::from_bytes(&bytes) {
            prop_assert_ne!(&other, &entry);
            prop_assert_eq!(other.to_bytes(), bytes);
        }
    }
}
