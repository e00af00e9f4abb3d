//! What an evidence bundle is made of: entries by what they are about, with their bodies, and the share sets of a
//! ceremony with what opens their chunk root. It decides nothing and is believed by nobody: whoever asks checks it.

pub mod index;

use crate::ledger::{LedgerReader, ReadEntry};
use crate::plan_reader::PlanReader;
use crate::store::{StoreError, StoreFile};
use index::{About, Index, Mention, Span};
use perennial_ledger::tree::Tree;
use perennial_ledger::{Entry, InclusionProof, NodePosition, TreeHead, proof, prove_inclusion};
use perennial_model::dealing::Dealing;
use perennial_model::encoding::{self, Digest};
use perennial_model::plan::Chunk;
use perennial_model::share_set::ShareSet;
use perennial_model::transcript::{ChunkRoot, Leaf, leaf_list};
use perennial_model::wallet::WalletId;
use perennial_workflow::ceremony::Fact;
use perennial_workflow::ceremony::batch::CeremonyFact;
use perennial_workflow::ceremony::generation::Generation;
use perennial_workflow::ceremony::heard::Heard;
use std::collections::{BTreeMap, BTreeSet};

/// A page ends with the body that makes it longer than this, in bytes.
const PAGE_BYTES: usize = 8 << 20;

/// An entry with all that it takes to check it.
#[derive(Debug, Clone)]
pub struct Evident {
    /// The entry and its place.
    pub entry: ReadEntry,
    /// That it is in the ledger.
    pub proof: InclusionProof,
    /// What its digest is of; none if it is not there.
    pub body: Option<Vec<u8>>,
}

/// Some entries, and from where to go on.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the order of their places.
    pub entries: Vec<Evident>,
    /// The place after which more may follow; none if none does.
    pub next: Option<u64>,
}

/// What one attempt at a chunk made.
#[derive(Debug, Clone)]
pub struct MadeChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// What its root is the digest of.
    pub root: ChunkRoot,
    /// What the leaves' digest in it is the digest of.
    pub leaves: Vec<u8>,
    /// The share sets, in the order of the chunk; of one wallet, if only that was asked for.
    pub share_sets: Vec<ShareSet>,
}

/// Reads what is durable in the three files.
#[derive(Debug)]
pub struct Evidence {
    index: Index,
    ledger: LedgerReader,
    plans: PlanReader,
}

impl Evidence {
    /// Reads the ledger and the journal, and keeps an index of its own.
    ///
    /// # Errors
    /// [`StoreError`] if the index cannot be made.
    pub async fn open(
        index: StoreFile,
        ledger: StoreFile,
        ceremonies: StoreFile,
    ) -> Result<Self, StoreError> {
        let reader = || LedgerReader::new(ledger.clone());
        let index = Index::open(index, reader(), PlanReader::new(ceremonies.clone())).await?;
        Ok(Self { index, ledger: reader(), plans: PlanReader::new(ceremonies) })
    }

    /// The index, to be kept up with the ledger.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Entries about something, proved to be among the first `size`, after a place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self, about: &About, span: Span, limit: u32) -> Result<Page, StoreError> {
        let mentions = self.index.mentioned(about, span, limit).await?;
        let mut page = Page::default();
        let mut bytes = 0;
        for mention in &mentions {
            let (entry, body) = self.read(mention).await?;
            bytes += body.as_ref().map_or(0, Vec::len);
            page.entries.push(Evident { proof: unproved(&entry, span.size), entry, body });
            if bytes > PAGE_BYTES {
                break;
            }
        }
        let is_last = page.entries.len() == mentions.len() && mentions.len() < limit as usize;
        page.next = page.entries.last().filter(|_| !is_last).map(|last| last.entry.place);
        self.prove(&mut page.entries, span.size).await?;
        Ok(page)
    }

    /// Every chunk of a ceremony whose dealings came to something, after one, at most so many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chunks(
        &self,
        ceremony: &Digest,
        wallet: Option<&WalletId>,
        after: Option<Chunk>,
        limit: usize,
    ) -> Result<Vec<MadeChunk>, StoreError> {
        let mut dealings: BTreeMap<Chunk, Vec<Heard<Dealing>>> = BTreeMap::new();
        let mut made: BTreeMap<Chunk, MadeChunk> = BTreeMap::new();
        let wanted = |chunk: &Chunk| after.is_none_or(|after| *chunk > after);
        let mut facts = self.plans.facts(ceremony);
        while let Some(fact) = facts.next().await? {
            let CeremonyFact::Chunk(chunk, fact) = fact else { continue };
            match *fact {
                Fact::Dealt(dealing) if wanted(&chunk) => dealings.entry(chunk).or_default().push(dealing),
                Fact::Transcribed(generation) if wanted(&chunk) => {
                    let heard = dealings.remove(&chunk).unwrap_or_default();
                    made.extend(made_chunk(chunk, *generation, &heard, wallet));
                    while made.len() > limit {
                        made.pop_last();
                    }
                }
                _ => {}
            }
        }
        Ok(made.into_values().collect())
    }

    /// An entry and its body.
    async fn read(&self, mention: &Mention) -> Result<(ReadEntry, Option<Vec<u8>>), StoreError> {
        let (entry, answer) = self.ledger.entry_with_answer(mention.place).await?;
        let read = Entry::from_bytes(&entry).map_err(|error| self.index.damaged(error.to_string()))?;
        let body = match (mention.note, read.kind()) {
            (0, _) => answer,
            (_, "plan-submitted" | "plan-approval") => {
                let plan = self.plans.plan(&Digest(read.body.0)).await?;
                plan.map(|approved| encoding::encode(&approved.plan))
            }
            (note, _) => {
                let (noted, body) = self.plans.note(note).await?;
                if noted != entry {
                    let place = mention.place;
                    return Err(self.index.damaged(format!("entry {place} is not the one of note {note}")));
                }
                body
            }
        };
        Ok((ReadEntry { place: mention.place, entry }, body))
    }

    /// Puts proofs to entries. What several need is read once.
    async fn prove(&self, entries: &mut [Evident], size: u64) -> Result<(), StoreError> {
        let damaged = |error: perennial_ledger::Error| self.index.damaged(error.to_string());
        let mut needs: BTreeSet<NodePosition> =
            Tree::open_needs(size).map_err(damaged)?.into_iter().collect();
        for evident in entries.iter() {
            needs.extend(proof::inclusion_needs(evident.entry.place, size).map_err(damaged)?);
        }
        let nodes = self.ledger.nodes(&needs.into_iter().collect::<Vec<_>>()).await?;
        let head: TreeHead = Tree::open(size, &nodes).map_err(damaged)?.head();
        for evident in entries {
            evident.proof = prove_inclusion(evident.entry.place, &head, &nodes).map_err(damaged)?;
        }
        Ok(())
    }
}

/// A proof of nothing yet.
fn unproved(entry: &ReadEntry, size: u64) -> InclusionProof {
    InclusionProof { index: entry.place, size, hashes: Vec::new() }
}

/// What is to be shown of an attempt; none if it has nothing of the wallet that was asked for.
fn made_chunk(
    chunk: Chunk,
    generation: Generation,
    heard: &[Heard<Dealing>],
    wallet: Option<&WalletId>,
) -> Option<(Chunk, MadeChunk)> {
    let Generation { inputs, share_sets, .. } = generation;
    let of_dealer = |dealer| heard.iter().find(|dealing| dealing.signer() == dealer).map(Heard::digest);
    let dealings: Vec<Digest> = inputs.dealers.iter().filter_map(of_dealer).collect();
    let leaves: Vec<Digest> = share_sets.iter().map(|set| encoding::digest(&Leaf::of(set))).collect();
    let root = ChunkRoot::new(&inputs, &dealings, &leaves);
    let wanted = |set: &ShareSet| wallet.is_none_or(|wallet| &set.wallet.id == wallet);
    let share_sets: Vec<ShareSet> = share_sets.into_iter().filter(wanted).collect();
    if share_sets.is_empty() {
        return None;
    }
    Some((chunk, MadeChunk { chunk, root, leaves: leaf_list(&leaves), share_sets }))
}

#[cfg(test)]
mod tests;
