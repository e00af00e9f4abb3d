//! The documents of a bundle, each under its digest, and the entries of its ledger as they are written.

use super::bundle::{Bundle, DOCUMENTS, document_member};
use super::flaw::{Check, Flaw};
use minicbor::{Decode, Encode};
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use perennial_model::wallet::WalletId;
use std::collections::{BTreeMap, BTreeSet};

/// An entry of the ledger with the proof that it is in it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct ProvedEntry {
    /// Its place, counted from 0.
    #[n(0)]
    pub place: u64,
    /// Its canonical bytes.
    #[n(1)]
    pub entry: Bytes,
    /// The hashes of the inclusion proof (RFC 9162) for the size of the checkpoint.
    #[n(2)]
    pub proof: Vec<Digest>,
}

impl Document for ProvedEntry {
    const KIND: &'static str = "proved-entry";
}

/// The body of a `wallets-created` entry.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CreatedWallets {
    /// The chunk that made them.
    #[n(0)]
    pub chunk: Chunk,
    /// Each wallet's name, and the digest of its first share set.
    #[n(1)]
    pub wallets: Vec<(WalletId, Digest)>,
}

impl Document for CreatedWallets {
    const KIND: &'static str = "created-wallets";
}

/// What is in the folder of documents, and which of it something spoke of.
#[derive(Debug)]
pub struct Documents<'b> {
    by_digest: BTreeMap<Digest, &'b [u8]>,
    named: BTreeSet<Digest>,
}

impl<'b> Documents<'b> {
    /// The documents of a bundle; each has to have the digest that it is named by.
    pub fn of(bundle: &'b Bundle) -> Result<Self, Flaw> {
        let mut by_digest = BTreeMap::new();
        for (name, content) in &bundle.members {
            let Some(digest) = name.strip_prefix(DOCUMENTS) else { continue };
            let found = Digest::of(content);
            if found.to_string() != digest {
                return Err(Flaw::new(Check::Document, name, format!("its SHA-256 is {found}")));
            }
            by_digest.insert(found, content.as_slice());
        }
        Ok(Self { by_digest, named: BTreeSet::new() })
    }

    /// The document of a digest that something names.
    pub fn named(&mut self, digest: &Digest) -> Option<&'b [u8]> {
        let found = self.by_digest.get(digest).copied();
        if found.is_some() {
            self.named.insert(*digest);
        }
        found
    }

    /// Those that nothing has named so far.
    pub fn unnamed(&self) -> Vec<(Digest, &'b [u8])> {
        let unnamed = self.by_digest.iter().filter(|(digest, _)| !self.named.contains(*digest));
        unnamed.map(|(digest, bytes)| (*digest, *bytes)).collect()
    }

    /// Refuses what nothing has named.
    pub fn check_all_named(&self) -> Result<(), Flaw> {
        match self.unnamed().first() {
            Some((digest, _)) => {
                Err(Flaw::new(Check::Document, document_member(digest), "nothing in the bundle speaks of it"))
            }
            None => Ok(()),
        }
    }
}

/// Reads a document that stands in a member.
pub fn read<D: Document>(check: Check, member: &str, bytes: &[u8]) -> Result<D, Flaw> {
    encoding::decode(bytes).map_err(|error| Flaw::new(check, member, error))
}

/// A chunk as the subject of an entry: plan, epoch, and places in the plan as `first..end`.
pub fn read_chunk(subject: &str) -> Option<Chunk> {
    let mut words = subject.split(' ');
    let (plan, epoch, places) = (words.next()?, words.next()?, words.next()?);
    let (rank, count) = epoch.split_once('.')?;
    let (first, end) = places.split_once("..")?;
    let (first, end): (u32, u32) = (first.parse().ok()?, end.parse().ok()?);
    let epoch = Epoch::new(rank.parse().ok()?, count.parse().ok()?);
    let chunk = Chunk { plan: plan.parse().ok()?, epoch, first, count: end.checked_sub(first)? };
    (subject_of(&chunk) == subject).then_some(chunk)
}

/// The subject of an entry about a chunk.
pub fn subject_of(chunk: &Chunk) -> String {
    let end = u64::from(chunk.first) + u64::from(chunk.count);
    format!("{} {} {}..{end}", chunk.plan, chunk.epoch, chunk.first)
}
