//! Notes of other implementations are read, and whatever is no note or not signed as expected is refused.

use super::*;

/// The example of the Go package golang.org/x/mod/sumdb/note, which the specification was written after.
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn refused(note: &str) -> Error {
    let key = NoteKey::parse(GO_KEY).expect("the published key");
    let read = Note::parse(note.as_bytes()).and_then(|note| note.text_signed_by(&key).map(String::from));
    read.expect_err(note)
}

#[test]
fn a_note_signed_by_another_implementation_verifies() -> Result<(), Error> {
    let key = NoteKey::parse(GO_KEY)?;
    assert_eq!((key.to_string().as_str(), key.id()), (GO_KEY, 0xc74f_20a3));
    let note = Note::parse(GO_NOTE.as_bytes())?;
    assert_eq!(note.text_signed_by(&key)?.lines().count(), 2);
    assert_eq!(note.to_bytes(), GO_NOTE.as_bytes());
    Ok(())
}

#[test]
fn unknown_signatures_are_kept_and_ignored() -> Result<(), Error> {
    let key = NoteKey::parse(GO_KEY)?;
    let mut other_lines = String::new();
    for number in 1..SIGNATURES_MAX {
        other_lines += &format!("— witness/{number} {}\n", Base64::encode_string(&[number as u8; 76]));
    }
    let same_name_other_id = "— PeterNeumann AAAAAAE=\n";
    for more in [other_lines.as_str(), same_name_other_id] {
        let cosigned = format!("{GO_NOTE}{more}");
        let note = Note::parse(cosigned.as_bytes())?;
        note.text_signed_by(&key)?;
        assert_eq!(note.to_bytes(), cosigned.as_bytes());
    }
    let too_many = format!("{GO_NOTE}{other_lines}— one/more AAAAAAE=\n");
    assert!(matches!(refused(&too_many), Error::Malformed { .. }));
    Ok(())
}

#[test]
fn what_is_no_note_is_refused() {
    let (text, signature) = GO_NOTE.split_once("\n\n").expect("text and signature");
    let malformed = [
        String::new(),
        "\n\n".into(),
        format!("{text}\n"),
        format!("{text}\n\n"),
        format!("{text}\n{signature}"),
        format!("{text}\n\n{signature}\n"),
        format!("{text}\n\n{}", signature.trim_end()),
        format!("{GO_NOTE}garbage\n"),
        format!("{GO_NOTE} "),
        GO_NOTE.replace("— ", "- "),
        GO_NOTE.replace("— ", "—\u{a0}"),
        GO_NOTE.replace("then", "then\t"),
        GO_NOTE.replace('\n', "\r\n"),
        GO_NOTE.replace("PeterNeumann ", "PeterNeumann  "),
        GO_NOTE.replace("PeterNeumann", ""),
        GO_NOTE.replace("PeterNeumann", "Peter+Neumann"),
        GO_NOTE.replace("PeterNeumann", "Peter\u{2003}Neumann"),
        GO_NOTE.replace("nAM=", "nAN="),
        GO_NOTE.replace("nAM=", "nAM"),
        GO_NOTE.replace("nAM=", "nAM=="),
        GO_NOTE.replace("x08go/", "x08go_"),
        format!("{text}\n\n— PeterNeumann x08gow==\n"),
    ];
    for note in malformed {
        assert!(matches!(refused(&note), Error::Malformed { .. }), "{note:?}");
    }
    assert!(matches!(Note::parse(b"\xff\n\n\xff\n"), Err(Error::Malformed { .. })));
    assert!(matches!(Note::parse(&vec![b'\n'; NOTE_BYTES_MAX + 1]), Err(Error::Malformed { .. })));
}

#[test]
fn a_changed_text_or_signature_is_refused() {
    let key = || GO_KEY[..GO_KEY.rfind('+').expect("three parts")].to_string();
    let changed = [
        GO_NOTE.replace("think", "thinK"),
        GO_NOTE.replace("is.\n\n", "is.\n\n\n"),
        GO_NOTE.replace("x08go/", "x08go0"),
        GO_NOTE.replace("ZJkuBS9UG/Sf", ""),
    ];
    for note in changed {
        assert_eq!(refused(&note), Error::BadSignature { key: key() }, "{note:?}");
    }
    let renamed = GO_NOTE.replace("PeterNeumann", "peterneumann");
    assert_eq!(refused(&renamed), Error::NotSigned { key: key(), found: 0 });
    let signature = GO_NOTE.split_once("\n\n").expect("text and signature").1;
    assert_eq!(refused(&format!("{GO_NOTE}{signature}")), Error::NotSigned { key: key(), found: 2 });
}

#[test]
fn a_key_line_with_any_fault_is_refused() {
    for line in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "peterneumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAA==",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        assert!(matches!(NoteKey::parse(line), Err(Error::Malformed { .. })), "{line:?}");
    }
}

#[test]
fn a_key_under_which_anybody_can_sign_is_refused() -> Result<(), Error> {
    let of_order_four = [0; 32];
    let no_point = {
        let mut two = [0; 32];
        two[0] = 2;
        two
    };
    for public in [of_order_four, no_point] {
        assert!(matches!(NoteKey::new(KeyName::new("a")?, &public), Err(Error::Unfit { .. })));
    }
    Ok(())
}

#[test]
fn unfit_key_names_are_refused() {
    for unfit in ["", "a b", "a+b", "a\nb", "a\u{2003}b", &"x".repeat(KEY_NAME_BYTES_MAX + 1)] {
        assert!(matches!(KeyName::new(unfit), Err(Error::Unfit { .. })), "{unfit:?}");
    }
}
