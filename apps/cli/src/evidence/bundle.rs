//! The archive: members in one order and one form, and a manifest that lists them with their digests.
//!
//! Members are stored without compression, so the archive has exactly one form for its members, and whoever reads it
//! writes it again and compares. It refuses members that no bundle has.

use super::flaw::{Check, Flaw};
use perennial_model::encoding::Digest;
use perennial_model::wallet::WalletId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io::{Cursor, Read, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// What a manifest begins with.
pub const FORMAT: &str = "perennial evidence bundle 1";
/// The manifest, always the first member.
pub const MANIFEST: &str = "manifest.json";
/// Every version of governance.
pub const GOVERNANCE: &str = "governance.cbor";
/// The ledger's checkpoint with its cosignatures.
pub const CHECKPOINT: &str = "checkpoint.txt";
/// What it says, for people.
pub const SUMMARY_MD: &str = "summary.md";
/// The same to be shown by a browser.
pub const SUMMARY_HTML: &str = "summary.html";
/// The folder of ledger entries.
pub const ENTRIES: &str = "entries/";
/// The folder of documents.
pub const DOCUMENTS: &str = "documents/";

/// The largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 1 << 30;
/// The largest archive that is looked at, in bytes: content and headers.
pub const ARCHIVE_BYTES_MAX: usize = 2 * BUNDLE_BYTES_MAX;
/// The most members. The old form of the archive counts them in 16 bits.
pub const MEMBERS_MAX: usize = 65_000;

/// Places have twelve digits.
const PLACES_MAX: u64 = 1_000_000_000_000;

/// What a bundle is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum About {
    /// One wallet, from its creation or in a window of time.
    Wallet {
        /// Its name.
        #[serde(with = "as_text")]
        wallet: WalletId,
        /// Only what concerns the time from here on, in milliseconds since 1970.
        from_ms: Option<u64>,
        /// Only what concerns the time up to here.
        to_ms: Option<u64>,
    },
    /// One ceremony, with all of its wallets.
    Ceremony {
        /// The plan's digest.
        #[serde(with = "as_text")]
        plan: Digest,
    },
}

/// A bundle: what it is about, which ledger, and its members but for the manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    /// What it is about.
    pub about: About,
    /// The ledger's key, `name+id+base64`.
    pub ledger_key: String,
    /// The content of each member by its name.
    pub members: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    about: About,
    ledger_key: String,
    members: Vec<Listed>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    bytes: u64,
    sha256: String,
}

/// The member of an entry.
pub fn entry_member(place: u64) -> String {
    format!("{ENTRIES}{place:012}")
}

/// The member of a document.
pub fn document_member(digest: &Digest) -> String {
    format!("{DOCUMENTS}{digest}")
}

impl Bundle {
    /// Adds a document under its digest.
    pub fn add_document(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.members.insert(document_member(&digest), bytes);
        digest
    }

    /// The archive.
    ///
    /// # Errors
    /// [`Flaw`] if it would be too large.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Flaw> {
        check_size(self.members.len(), self.members.values().map(Vec::len).sum())?;
        archive_of(&self.manifest(), &self.members)
    }

    /// Reads an archive: its form, its manifest, and the digest of every member.
    ///
    /// # Errors
    /// [`Flaw`], with the member.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut members = read_members(bytes)?;
        let text =
            members.remove(MANIFEST).ok_or_else(|| Flaw::new(Check::Manifest, MANIFEST, "it is missing"))?;
        let refused = |reason: String| Flaw::new(Check::Manifest, MANIFEST, reason);
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| refused(format!("it cannot be read: {error}")))?;
        if manifest.format != FORMAT {
            return Err(refused(format!("expected {FORMAT:?}, got {:?}", manifest.format)));
        }
        check_size(members.len(), members.values().map(Vec::len).sum())?;
        let Manifest { about, ledger_key, members: listed, .. } = manifest;
        compare(&listed, &members)?;
        let bundle = Self { about, ledger_key, members };
        if bundle.manifest().as_bytes() != text {
            return Err(refused("it is not written in its one form".into()));
        }
        let again = archive_of(&bundle.manifest(), &bundle.members)?;
        if again != bytes {
            let member = member_at_difference(&bundle, text.len(), &again, bytes);
            return Err(Flaw::new(Check::Archive, member, "its headers are not in their one form"));
        }
        Ok(bundle)
    }

    /// The manifest.
    pub(super) fn manifest(&self) -> String {
        let manifest = Manifest {
            format: FORMAT.into(),
            about: self.about.clone(),
            ledger_key: self.ledger_key.clone(),
            members: self.members.iter().map(|(name, content)| listed(name, content)).collect(),
        };
        let text = serde_json::to_string_pretty(&manifest).expect("texts and numbers can be written");
        text + "\n"
    }
}

/// Refuses more than a bundle holds, without its manifest.
pub(super) fn check_size(members: usize, bytes: usize) -> Result<(), Flaw> {
    if members <= MEMBERS_MAX && bytes <= BUNDLE_BYTES_MAX {
        return Ok(());
    }
    let reason = format!(
        "{members} members of {bytes} bytes; at most {MEMBERS_MAX} and {BUNDLE_BYTES_MAX} fit: take a window"
    );
    Err(Flaw::new(Check::Archive, "the archive", reason))
}

fn listed(name: &str, content: &[u8]) -> Listed {
    Listed { name: name.into(), bytes: content.len() as u64, sha256: Digest::of(content).to_string() }
}

/// Every member is listed, every listed one is there, and each has its digest.
fn compare(listed_members: &[Listed], members: &BTreeMap<String, Vec<u8>>) -> Result<(), Flaw> {
    let wrong = |name: &str, reason: String| Err(Flaw::new(Check::Manifest, name, reason));
    for entry in listed_members {
        let Some(content) = members.get(&entry.name) else {
            return wrong(&entry.name, "the manifest lists it, and it is missing".into());
        };
        let found = listed(&entry.name, content);
        if found != *entry {
            return wrong(
                &entry.name,
                format!(
                    "the manifest lists {} bytes with SHA-256 {}, and it has {} with {}",
                    entry.bytes, entry.sha256, found.bytes, found.sha256
                ),
            );
        }
    }
    let names: HashSet<&str> = listed_members.iter().map(|entry| entry.name.as_str()).collect();
    let unlisted = members.keys().find(|name| !names.contains(name.as_str()));
    match unlisted {
        Some(name) if listed_members.len() != members.len() => {
            wrong(name, "the manifest does not list it".into())
        }
        _ => Ok(()),
    }
}

fn read_members(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Flaw> {
    let unreadable = |member: &str, reason: String| Flaw::new(Check::Archive, member, reason);
    let whole =
        |error: zip::result::ZipError| unreadable("the archive", format!("it cannot be read: {error}"));
    if bytes.len() > ARCHIVE_BYTES_MAX {
        return Err(unreadable("the archive", format!("more than {ARCHIVE_BYTES_MAX} bytes are too many")));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(whole)?;
    if archive.len() > MEMBERS_MAX + 1 {
        return Err(unreadable("the archive", format!("{} members are too many", archive.len())));
    }
    let (mut members, mut total) = (BTreeMap::new(), 0);
    for at in 0..archive.len() {
        let name = archive.name_for_index(at).and_then(Result::ok).unwrap_or_default().into_owned();
        if !is_known(&name) {
            return Err(unreadable(&name, "no bundle has a member of this name".into()));
        }
        let mut file = archive.by_index(at).map_err(|error| unreadable(&name, error.to_string()))?;
        if file.compression() != CompressionMethod::Stored || file.size() > bytes.len() as u64 {
            return Err(unreadable(&name, "it is compressed, or longer than the archive".into()));
        }
        let mut content = Vec::with_capacity(file.size() as usize);
        file.read_to_end(&mut content).map_err(|error| unreadable(&name, error.to_string()))?;
        drop(file);
        // Each is as long as the archive at most; only members that lie over one another are longer together.
        total += content.len();
        if total > bytes.len() {
            return Err(unreadable(&name, "it lies over another member".into()));
        }
        if members.insert(name.clone(), content).is_some() {
            return Err(unreadable(&name, "it is there twice".into()));
        }
    }
    Ok(members)
}

fn is_known(name: &str) -> bool {
    let single = [MANIFEST, GOVERNANCE, CHECKPOINT, SUMMARY_MD, SUMMARY_HTML];
    let is_entry =
        |rest: &str| rest.parse().is_ok_and(|place| place < PLACES_MAX && entry_member(place) == name);
    let is_document = |rest: &str| rest.parse().is_ok_and(|digest| document_member(&digest) == name);
    single.contains(&name)
        || name.strip_prefix(ENTRIES).is_some_and(is_entry)
        || name.strip_prefix(DOCUMENTS).is_some_and(is_document)
}

/// The one form of an archive with this manifest and these members.
pub(super) fn archive_of(manifest: &str, members: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Flaw> {
    let members = members.iter().map(|(name, content)| (name.as_str(), content.as_slice()));
    archive(std::iter::once((MANIFEST, manifest.as_bytes())).chain(members))
        .map_err(|error| Flaw::new(Check::Archive, "the archive", error))
}

fn archive<'a>(members: impl Iterator<Item = (&'a str, &'a [u8])>) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(name, options)?;
        writer.write_all(content)?;
    }
    Ok(writer.finish()?.into_inner())
}

/// The member in whose bytes, its header among them, two archives first differ.
fn member_at_difference(bundle: &Bundle, manifest_bytes: usize, expected: &[u8], came: &[u8]) -> String {
    const HEADER_BYTES: usize = 30;
    let differs = expected.iter().zip(came).position(|(a, b)| a != b);
    let at = differs.unwrap_or(expected.len().min(came.len()));
    let lengths = bundle.members.iter().map(|(name, content)| (name.as_str(), content.len()));
    let mut end = 0;
    for (name, length) in std::iter::once((MANIFEST, manifest_bytes)).chain(lengths) {
        end += HEADER_BYTES + name.len() + length;
        if at < end {
            return name.to_owned();
        }
    }
    "the archive's directory".into()
}

/// Names and digests as the text that they are written as.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
