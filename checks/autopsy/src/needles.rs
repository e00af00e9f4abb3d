//! The search for secrets: which bytes must not be found (needles, taken from a copy), and where they are found.
//!
//! A needle is looked for as it is, backwards, in hexadecimal digits of either case, and in base64 of either
//! alphabet at each of the three places where it can begin. Where a file holds one, its name, the place and the
//! form are told, and never the bytes.

use crate::body::Body;
use crate::shares::open_all;
use crate::{Error, disk, unreadable};
use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use perennial_custody::keyslots::{SlotBytes, SlotIndex};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The fewest bytes of a needle: shorter ones would be found by chance.
const NEEDLE_BYTES_MIN: usize = 16;
/// How many bytes of each form are looked up at once.
const PREFIX: usize = 8;

/// Bytes that must not be found.
pub struct Needle {
    /// What it is, such as `a treasury 1.1 share`.
    pub label: String,
    bytes: Zeroizing<Vec<u8>>,
}

/// A needle that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub label: String,
    /// In which form it stands there.
    pub form: &'static str,
    /// In which file.
    pub path: PathBuf,
    /// At which byte.
    pub at: usize,
}

impl Needle {
    /// A needle with a name that may be shown.
    ///
    /// # Errors
    /// [`Error::Question`] for fewer than 16 bytes.
    pub fn new(label: impl Into<String>, bytes: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let label = label.into();
        if bytes.len() < NEEDLE_BYTES_MIN {
            let found = format!("{label}: {} bytes are too few to search for", bytes.len());
            return Err(Error::Question(found));
        }
        Ok(Self { label, bytes })
    }

    /// All that is secret in a copied directory: each full slot as it is wrapped and the key in it, and each share
    /// that opens.
    ///
    /// # Errors
    /// None in practice: all of them are long enough.
    pub fn all_of(body: &Body) -> Result<Vec<Self>, Error> {
        let mut needles = Vec::new();
        for (at, slot) in (0..).zip(&body.slots).filter(|(_, slot)| **slot != SlotBytes::EMPTY) {
            let label = |what: &str| format!("{} slot {at} {what}", body.signer);
            needles.push(Self::new(label("wrapped"), Zeroizing::new(slot.0.to_vec()))?);
            if let Some(key) = body.wrapping.open(SlotIndex(at), slot) {
                needles.push(Self::new(label("key"), Zeroizing::new(key.to_vec()))?);
            }
        }
        for found in open_all(body, body) {
            if let Some(secret) = found.secret {
                let set = &found.share_set;
                let label = format!("{} {} {} share", body.signer, set.wallet.id, set.epoch);
                needles.push(Self::new(label, Zeroizing::new(secret.to_vec()))?);
            }
        }
        Ok(needles)
    }
}

/// Writes needles to a new file that only its owner may read: a line each, the bytes in hexadecimal digits, a
/// space and the label. The file is as secret as what it was taken from.
///
/// # Errors
/// [`Error::Disk`] when the file exists or the disk refuses.
pub fn write_danger_secret(needles: &[Needle], path: &Path) -> Result<(), Error> {
    let mut text = Zeroizing::new(String::new());
    for needle in needles {
        text.push_str(&Zeroizing::new(hex::encode(&*needle.bytes)));
        text.push_str(&format!(" {}\n", needle.label));
    }
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(disk("write", path))
}

/// Reads needles back.
///
/// # Errors
/// [`Error`] when the file cannot be read or a line is no needle.
pub fn read(path: &Path) -> Result<Vec<Needle>, Error> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(disk("read", path))?);
    let needle = |(number, line): (usize, &str)| {
        let (digits, label) = line.split_once(' ').unwrap_or((line, "needle"));
        let bytes = hex::decode(digits);
        let bytes = bytes.map_err(|e| unreadable(path, format!("line {}: {e}", number + 1)))?;
        Needle::new(label, Zeroizing::new(bytes))
    };
    text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(needle).collect()
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// How many files were read.
    pub files: usize,
    /// How many bytes they had.
    pub bytes: u64,
    /// What was found.
    pub hits: Vec<Hit>,
}

/// Searches every file under a directory.
///
/// # Errors
/// [`Error::Disk`] when a file cannot be read.
pub fn scan(directory: &Path, needles: &[Needle]) -> Result<Search, Error> {
    let forms = Forms::of(needles);
    let mut search = Search::default();
    let mut open = vec![directory.to_owned()];
    while let Some(place) = open.pop() {
        for entry in std::fs::read_dir(&place).map_err(disk("list", &place))? {
            let entry = entry.map_err(disk("list", &place))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(disk("inspect", &path))?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let content = Zeroizing::new(std::fs::read(&path).map_err(disk("read", &path))?);
                search.files += 1;
                search.bytes += content.len() as u64;
                forms.find(&content, &path, needles, &mut search.hits);
            }
        }
    }
    Ok(search)
}

/// Every form of every needle, by its first bytes.
struct Forms {
    /// Whether any form begins with these two bytes: most places of a file need no second look.
    begins: Vec<bool>,
    by_prefix: HashMap<[u8; PREFIX], Vec<usize>>,
    forms: Vec<(usize, &'static str, Zeroizing<Vec<u8>>)>,
}

impl Forms {
    fn of(needles: &[Needle]) -> Self {
        let mut forms = Vec::new();
        for (index, needle) in needles.iter().enumerate() {
            for (form, bytes) in forms_of(&needle.bytes) {
                forms.push((index, form, Zeroizing::new(bytes)));
            }
        }
        let mut begins = vec![false; 1 << 16];
        let mut by_prefix: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, (_, _, bytes)) in forms.iter().enumerate() {
            let prefix =
                *bytes.first_chunk::<PREFIX>().expect("a needle has 16 bytes, and no form is shorter");
            begins[usize::from(u16::from_be_bytes([prefix[0], prefix[1]]))] = true;
            by_prefix.entry(prefix).or_default().push(at);
        }
        Self { begins, by_prefix, forms }
    }

    fn find(&self, content: &[u8], path: &Path, needles: &[Needle], hits: &mut Vec<Hit>) {
        for (at, window) in content.windows(PREFIX).enumerate() {
            if !self.begins[usize::from(u16::from_be_bytes([window[0], window[1]]))] {
                continue;
            }
            let prefix: &[u8; PREFIX] = window.try_into().expect("a window of that length");
            for form in self.by_prefix.get(prefix).into_iter().flatten() {
                let (needle, form, bytes) = &self.forms[*form];
                if content[at..].starts_with(bytes) {
                    let label = needles[*needle].label.clone();
                    hits.push(Hit { label, form, path: path.to_owned(), at });
                }
            }
        }
    }
}

/// The forms in which bytes may stand somewhere.
fn forms_of(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let digits = hex::encode(bytes);
    let mut forms = vec![
        ("raw", bytes.to_vec()),
        ("raw backwards", bytes.iter().rev().copied().collect()),
        ("hexadecimal", digits.clone().into_bytes()),
        ("hexadecimal in capitals", digits.to_uppercase().into_bytes()),
    ];
    for before in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
        // Only the characters that follow from the needle alone: whole groups of six bits within it.
        let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for text in [Base64Unpadded::encode_string(&padded), Base64UrlUnpadded::encode_string(&padded)] {
            forms.push(("base64", text.as_bytes()[first..last].to_vec()));
        }
    }
    forms.dedup_by(|one, other| one.1 == other.1);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle() -> Needle {
        let bytes: Vec<u8> = (0..32u8).map(|n| n.wrapping_mul(151) ^ 0xfb).collect();
        Needle::new("the secret", Zeroizing::new(bytes)).expect("long enough")
    }

    fn found(content: &[u8]) -> Vec<&'static str> {
        let place = tempfile::tempdir().expect("a directory");
        let inner = place.path().join("inner");
        std::fs::create_dir(&inner).expect("made");
        std::fs::write(inner.join("file"), content).expect("written");
        let search = scan(place.path(), &[needle()]).expect("searched");
        assert_eq!((search.files, search.bytes), (1, content.len() as u64));
        search.hits.into_iter().map(|hit| hit.form).collect()
    }

    #[test]
    fn a_secret_is_found_in_whichever_form_it_leaked() {
        let bytes = needle().bytes;
        assert_eq!(found(&[b"xyz", bytes.as_slice(), b"zyx"].concat()), ["raw"]);
        let backwards: Vec<u8> = bytes.iter().rev().copied().collect();
        assert_eq!(found(&backwards), ["raw backwards"]);
        assert_eq!(found(format!("key={}", hex::encode(&*bytes)).as_bytes()), ["hexadecimal"]);
        assert_eq!(found(hex::encode_upper(&*bytes).as_bytes()), ["hexadecimal in capitals"]);
        for before in 0..6 {
            let text = [vec![9; before], bytes.to_vec(), vec![9; 5]].concat();
            assert_eq!(found(Base64Unpadded::encode_string(&text).as_bytes()), ["base64"], "{before}");
            assert_eq!(found(Base64UrlUnpadded::encode_string(&text).as_bytes()), ["base64"], "{before}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found_and_needles_are_read_as_they_were_written() {
        let bytes = needle().bytes;
        assert!(found(&bytes[..31]).is_empty());
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("needles");
        write_danger_secret(&[needle()], &path).expect("written");
        let back = read(&path).expect("read");
        assert_eq!((back.len(), back[0].label.as_str()), (1, "the secret"));
        assert_eq!(*back[0].bytes, *bytes);
        assert!(write_danger_secret(&[needle()], &path).is_err(), "an existing file is left as it is");
        assert!(Needle::new("short", Zeroizing::new(vec![1; 15])).is_err());
    }
}
