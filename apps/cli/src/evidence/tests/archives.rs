//! Archives that no honest program writes: what they claim costs no more than what they are.

use super::scene::Scene;
use super::twist::Twist;
use crate::evidence::bundle::{
    BUNDLE_BYTES_MAX, Bundle, ENTRIES, MEMBERS_MAX, SUMMARY_MD, check_size, document_member, entry_member,
};
use crate::evidence::flaw::Check;
use perennial_model::encoding::Digest;

/// An archive of one member's bytes that so many names lie over.
fn overlapping(content: &[u8], names: &[String]) -> Vec<u8> {
    let sum = crc(content).to_le_bytes();
    let length = (content.len() as u32).to_le_bytes();
    let record =
        |name: &str| [&sum[..], &length, &length, &(name.len() as u16).to_le_bytes(), &[0, 0]].concat();
    let stored = [10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    let first = &names[0];
    let mut bytes = [b"PK\x03\x04", &stored[..], &record(first), first.as_bytes(), content].concat();
    let begins = bytes.len() as u32;
    for name in names {
        bytes.extend([b"PK\x01\x02\x0a\x03", &stored[..], &record(name)].concat());
        bytes.extend([0; 6]);
        bytes.extend(0x81a4_0000_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(name.as_bytes());
    }
    let size = bytes.len() as u32 - begins;
    let count = (names.len() as u16).to_le_bytes();
    bytes.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count].concat());
    bytes.extend([size.to_le_bytes(), begins.to_le_bytes()].concat());
    bytes.extend([0; 2]);
    bytes
}

/// The checksum of a member, bit by bit (PKWARE APPNOTE 4.4.7).
fn crc(content: &[u8]) -> u32 {
    !content.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[test]
fn many_members_over_one_another_are_refused_before_they_are_all_read() {
    let content = vec![7; 100_000];
    let names: Vec<String> =
        (0..1_000).map(|number: u32| document_member(&Digest::of(&number.to_be_bytes()))).collect();
    let flaw = Bundle::from_bytes(&overlapping(&content, &names)).expect_err("a bomb");
    assert_eq!((flaw.check, flaw.member.as_str()), (Check::Archive, names[2].as_str()), "{flaw}");
    assert!(flaw.reason.contains("lies over another member"), "{flaw}");
    // The archive is one as far as its form goes.
    let flaw = Bundle::from_bytes(&overlapping(&content, &names[..1])).expect_err("no bundle");
    assert_eq!(flaw.check, Check::Manifest, "{flaw}");
}

#[test]
fn an_entry_has_twelve_digits_in_its_name() {
    let mut bundle = Scene::of(Twist::Nothing).wallet();
    let entry = bundle.members.iter().find(|(name, _)| name.starts_with(ENTRIES)).expect("one").1.clone();
    let name = entry_member(1_000_000_000_000);
    bundle.members.insert(name.clone(), entry);
    let flaw = Bundle::from_bytes(&bundle.to_bytes().expect("it fits")).expect_err("thirteen");
    assert_eq!((flaw.check, flaw.member), (Check::Archive, name));
}

#[test]
fn no_more_is_read_than_is_written() {
    assert!(check_size(MEMBERS_MAX, BUNDLE_BYTES_MAX).is_ok());
    for (members, bytes) in [(MEMBERS_MAX + 1, 1), (1, BUNDLE_BYTES_MAX + 1)] {
        assert_eq!(check_size(members, bytes).expect_err("too much").check, Check::Archive);
    }
    let bundle = Scene::of(Twist::Nothing).wallet();
    assert!(bundle.members.contains_key(SUMMARY_MD));
}
