//! The documents of a bundle, each under its digest.

use super::bundle::{Bundle, DOCUMENTS, document_member};
use super::flaw::{Check, Flaw};
use perennial_model::encoding::{self, Digest, Document};
use std::collections::{BTreeMap, BTreeSet};

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
