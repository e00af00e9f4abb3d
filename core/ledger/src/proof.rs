//! Proofs about the log: that an entry is in it (inclusion), and that one state of it continues another
//! (consistency). RFC 6962 section 2.1 says what they hold, RFC 9162 sections 2.1.3 and 2.1.4 how to check.
//!
//! A proof is believed only against a [`TreeHead`] that is trusted for another reason, such as a signed
//! [`crate::Checkpoint`]. This module refuses to hand out a proof that does not hold itself: damage in the
//! store is reported here, not by whoever receives the proof.
//!
//! # Written form
//!
//! Deterministic CBOR, one array of six:
//!
//! | element | type | meaning |
//! |---|---|---|
//! | 0 | text | `"perennial/ledger-proof"` |
//! | 1 | uint | format version, 1 |
//! | 2 | text | `"inclusion"` or `"consistency"` |
//! | 3 | uint | inclusion: index of the entry, from 0; consistency: the older size |
//! | 4 | uint | inclusion: size of the log; consistency: the newer size |
//! | 5 | array of 32-byte strings | the hashes in the order of RFC 9162, at most 64 |

use crate::Error;
use crate::encoding::{self, Document, Written};
use crate::tree::{self, NodeHash, NodePosition, ReadNodes, Span, TreeHead};
use minicbor::{Decoder, Encoder, decode};

/// The most hashes in a proof: a tree has fewer than 64 levels.
pub const PROOF_HASHES_MAX: usize = 64;

/// A claim that an entry is at an index of a log of some size. It means nothing until it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Which entry it is about, counted from 0.
    pub index: u64,
    /// The size of the log that it is about.
    pub size: u64,
    /// The siblings on the way from the leaf up to the root.
    pub hashes: Vec<NodeHash>,
}

/// A claim that a log begins with all entries of a smaller one, in their order. It means nothing until it is
/// verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The size of the older log.
    pub old_size: u64,
    /// The size of the newer log.
    pub new_size: u64,
    /// What RFC 6962, section 2.1.2, calls the proof.
    pub hashes: Vec<NodeHash>,
}

/// Proves that the log with `head` holds entry `index`, counted from 0. Reads at most `2 * log2(size)` nodes
/// (one for a log of one entry).
///
/// # Errors
/// [`Error::OutOfRange`] if there is no such entry; [`Error::NodesDamaged`] if the stored nodes do not give
/// the root in `head`; what [`ReadNodes`] reports.
pub fn prove_inclusion(index: u64, head: &TreeHead, nodes: &dyn ReadNodes) -> Result<InclusionProof, Error> {
    let mut hashes = tree::read_spans(&inclusion_spans(index, head.size)?, nodes)?;
    let leaf = hashes.remove(0);
    let proof = InclusionProof { index, size: head.size, hashes };
    proof.verify_leaf(leaf, head).map_err(damaged)?;
    Ok(proof)
}

/// The nodes that [`prove_inclusion`] reads, for a store that has to load them beforehand.
///
/// # Errors
/// [`Error::OutOfRange`] if a log of `size` entries has no entry `index`.
pub fn inclusion_needs(index: u64, size: u64) -> Result<Vec<NodePosition>, Error> {
    Ok(tree::span_needs(&inclusion_spans(index, size)?))
}

/// Proves that the log with head `newer` begins with the one with head `older`. Reads at most
/// `2 * log2(newer.size)` nodes.
///
/// # Errors
/// [`Error::OutOfRange`] if `older` is the larger one; [`Error::NodesDamaged`] if the stored nodes do not
/// lead from one root to the other, so also if one of the heads was never a head of this log; what
/// [`ReadNodes`] reports.
pub fn prove_consistency(
    older: &TreeHead,
    newer: &TreeHead,
    nodes: &dyn ReadNodes,
) -> Result<ConsistencyProof, Error> {
    let hashes = tree::read_spans(&consistency_spans(older.size, newer.size)?, nodes)?;
    let proof = ConsistencyProof { old_size: older.size, new_size: newer.size, hashes };
    proof.verify(older, newer).map_err(damaged)?;
    Ok(proof)
}

/// The nodes that [`prove_consistency`] reads, for a store that has to load them beforehand.
///
/// # Errors
/// [`Error::OutOfRange`] if `old_size` is the larger one.
pub fn consistency_needs(old_size: u64, new_size: u64) -> Result<Vec<NodePosition>, Error> {
    Ok(tree::span_needs(&consistency_spans(old_size, new_size)?))
}

impl InclusionProof {
    /// Checks that exactly these bytes are the entry at [`InclusionProof::index`] of the log with this head.
    ///
    /// # Errors
    /// [`Error::WrongSize`] for a head of another size, else [`Error::Malformed`] or [`Error::NotIncluded`].
    pub fn verify(&self, entry: &[u8], head: &TreeHead) -> Result<(), Error> {
        self.verify_leaf(NodeHash::of_leaf(entry), head)
    }

    /// The written form, see the module.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::to_bytes(self)
    }

    /// Reads the written form. What is read is not yet verified.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::UnknownFormat`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        encoding::from_bytes(bytes)
    }

    fn verify_leaf(&self, leaf: NodeHash, head: &TreeHead) -> Result<(), Error> {
        check_sizes(self.size, head.size)?;
        let found = self.root_over(leaf)?;
        if found != head.root {
            let (index, size) = (self.index, self.size);
            return Err(Error::NotIncluded { index, size, expected: head.root, found });
        }
        Ok(())
    }

    /// RFC 9162, section 2.1.3.2: climbs from the leaf; `node` is the number of the node reached in its level
    /// and `last` the number of the rightmost one.
    fn root_over(&self, leaf: NodeHash) -> Result<NodeHash, Error> {
        if self.index >= self.size {
            return Err(malformed("inclusion proof", "its index is beyond its size"));
        }
        let (mut node, mut last) = (self.index, self.size - 1);
        let mut root = leaf;
        for hash in &self.hashes {
            if last == 0 {
                return Err(malformed("inclusion proof", "more hashes than its size allows"));
            }
            if is_odd(node) || node == last {
                root = NodeHash::of_pair(hash, &root);
                skip_lone_levels(&mut node, &mut last);
            } else {
                root = NodeHash::of_pair(&root, hash);
            }
            (node, last) = (node / 2, last / 2);
        }
        if last != 0 {
            return Err(malformed("inclusion proof", "fewer hashes than its size needs"));
        }
        Ok(root)
    }
}

impl ConsistencyProof {
    /// Checks that the log with head `newer` begins with the one with head `older`.
    ///
    /// # Errors
    /// [`Error::WrongSize`] for heads of other sizes, else [`Error::Malformed`] or [`Error::Inconsistent`].
    pub fn verify(&self, older: &TreeHead, newer: &TreeHead) -> Result<(), Error> {
        check_sizes(self.old_size, older.size)?;
        check_sizes(self.new_size, newer.size)?;
        let (old_root, new_root) = self.roots(older, newer)?;
        let wrong = [(older.root, old_root), (newer.root, new_root)].into_iter().find(|(a, b)| a != b);
        if let Some((expected, found)) = wrong {
            let (old_size, new_size) = (self.old_size, self.new_size);
            return Err(Error::Inconsistent { old_size, new_size, expected, found });
        }
        Ok(())
    }

    /// The written form, see the module.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::to_bytes(self)
    }

    /// Reads the written form. What is read is not yet verified.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::UnknownFormat`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        encoding::from_bytes(bytes)
    }

    /// The roots that the older and the newer log must have. Between equal sizes, and from nothing, there is
    /// no path to climb: the roots alone decide.
    fn roots(&self, older: &TreeHead, newer: &TreeHead) -> Result<(NodeHash, NodeHash), Error> {
        if self.old_size > self.new_size {
            return Err(malformed("consistency proof", "the older size is the larger one"));
        }
        if self.old_size != 0 && self.old_size != self.new_size {
            return self.climb(older.root);
        }
        if !self.hashes.is_empty() {
            return Err(malformed("consistency proof", "hashes where none are needed"));
        }
        let old_root = if self.old_size == 0 { NodeHash::of_nothing() } else { older.root };
        let new_root = if self.old_size == self.new_size { old_root } else { newer.root };
        Ok((old_root, new_root))
    }

    /// RFC 9162, section 2.1.4.2, for sizes with `0 < old < new`.
    fn climb(&self, older: NodeHash) -> Result<(NodeHash, NodeHash), Error> {
        let too_short = || malformed("consistency proof", "fewer hashes than its sizes need");
        let (mut node, mut last) = (self.old_size - 1, self.new_size - 1);
        while is_odd(node) {
            (node, last) = (node / 2, last / 2);
        }
        // The older log is one complete node exactly if nothing is left: then its root is where to start.
        let (start, path) = if node == 0 {
            (&older, self.hashes.as_slice())
        } else {
            self.hashes.split_first().ok_or_else(too_short)?
        };
        let (mut old_root, mut new_root) = (*start, *start);
        for hash in path {
            if last == 0 {
                return Err(malformed("consistency proof", "more hashes than its sizes allow"));
            }
            if is_odd(node) || node == last {
                old_root = NodeHash::of_pair(hash, &old_root);
                new_root = NodeHash::of_pair(hash, &new_root);
                skip_lone_levels(&mut node, &mut last);
            } else {
                new_root = NodeHash::of_pair(&new_root, hash);
            }
            (node, last) = (node / 2, last / 2);
        }
        if last != 0 {
            return Err(too_short());
        }
        Ok((old_root, new_root))
    }
}

impl Document for InclusionProof {
    const LABEL: &'static str = LABEL;
    const FORMAT: u64 = 1;
    const WHAT: &'static str = "inclusion proof";
    const BYTES_MAX: usize = PROOF_BYTES_MAX;
    const FIELDS: u64 = 4;

    fn write(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
        write_proof(encoder, INCLUSION, self.index, self.size, &self.hashes)
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let (index, size, hashes) = read_proof(decoder, INCLUSION)?;
        Ok(Self { index, size, hashes })
    }
}

impl Document for ConsistencyProof {
    const LABEL: &'static str = LABEL;
    const FORMAT: u64 = 1;
    const WHAT: &'static str = "consistency proof";
    const BYTES_MAX: usize = PROOF_BYTES_MAX;
    const FIELDS: u64 = 4;

    fn write(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
        write_proof(encoder, CONSISTENCY, self.old_size, self.new_size, &self.hashes)
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        let (old_size, new_size, hashes) = read_proof(decoder, CONSISTENCY)?;
        Ok(Self { old_size, new_size, hashes })
    }
}

const LABEL: &str = "perennial/ledger-proof";
const INCLUSION: &str = "inclusion";
const CONSISTENCY: &str = "consistency";
/// 64 hashes of 34 bytes, and label, kind and numbers.
const PROOF_BYTES_MAX: usize = PROOF_HASHES_MAX * 34 + 96;

/// The leaf first, then from the bottom up the spans whose hashes the path needs (RFC 6962, section 2.1.1).
fn inclusion_spans(index: u64, size: u64) -> Result<Vec<Span>, Error> {
    tree::check_size(size)?;
    if index >= size {
        let limit = size.saturating_sub(1);
        return Err(Error::OutOfRange { what: "entry index", asked: index, limit });
    }
    let mut whole = Span { start: 0, end: size };
    let mut spans = Vec::new();
    while whole.length() > 1 {
        let (left, right) = whole.split();
        if index < right.start {
            spans.push(right);
            whole = left;
        } else {
            spans.push(left);
            whole = right;
        }
    }
    spans.push(whole);
    spans.reverse();
    Ok(spans)
}

/// From the bottom up the spans whose hashes the proof needs (RFC 6962, section 2.1.2).
fn consistency_spans(old_size: u64, new_size: u64) -> Result<Vec<Span>, Error> {
    tree::check_size(new_size)?;
    if old_size > new_size {
        return Err(Error::OutOfRange { what: "older log size", asked: old_size, limit: new_size });
    }
    let mut spans = Vec::new();
    if old_size == 0 {
        return Ok(spans);
    }
    let mut whole = Span { start: 0, end: new_size };
    while whole.end != old_size {
        let (left, right) = whole.split();
        if old_size <= right.start {
            spans.push(right);
            whole = left;
        } else {
            spans.push(left);
            whole = right;
        }
    }
    // The verifier knows the older root; what begins further right it has to be told.
    if whole.start != 0 {
        spans.push(whole);
    }
    spans.reverse();
    Ok(spans)
}

/// A rightmost node without a sibling stands for its parents up to the first one that is a right child.
fn skip_lone_levels(node: &mut u64, last: &mut u64) {
    while !is_odd(*node) && *node != 0 {
        *node /= 2;
        *last /= 2;
    }
}

fn is_odd(number: u64) -> bool {
    number % 2 == 1
}

fn check_sizes(proof_size: u64, head_size: u64) -> Result<(), Error> {
    if proof_size == head_size {
        Ok(())
    } else {
        Err(Error::WrongSize { expected: head_size, found: proof_size })
    }
}

fn malformed(what: &'static str, reason: &str) -> Error {
    Error::Malformed { what, reason: reason.into() }
}

fn damaged(error: Error) -> Error {
    Error::NodesDamaged { reason: error.to_string() }
}

fn write_proof(
    encoder: &mut Encoder<&mut Vec<u8>>,
    kind: &str,
    first: u64,
    second: u64,
    hashes: &[NodeHash],
) -> Written {
    encoder.str(kind)?.u64(first)?.u64(second)?.array(hashes.len() as u64)?;
    hashes.iter().try_for_each(|hash| encoder.bytes(&hash.0)?.ok())
}

fn read_proof(decoder: &mut Decoder<'_>, kind: &str) -> Result<(u64, u64, Vec<NodeHash>), decode::Error> {
    let found = decoder.str()?;
    if found != kind {
        return Err(decode::Error::message(format!("expected kind {kind:?}, got {found:?}")));
    }
    let (first, second) = (decoder.u64()?, decoder.u64()?);
    let length = decoder.array()?;
    let count = length.filter(|&count| count <= PROOF_HASHES_MAX as u64).ok_or_else(|| {
        decode::Error::message(format!("expected at most {PROOF_HASHES_MAX} hashes, got {length:?}"))
    })?;
    let hashes = (0..count).map(|_| encoding::read_hash(decoder).map(NodeHash)).collect::<Result<_, _>>()?;
    Ok((first, second, hashes))
}
