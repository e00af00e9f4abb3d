//! The Merkle tree: hashing as in RFC 6962 and RFC 9162 (section 2.1), growing it, and reading stored nodes.
//!
//! - the root of no entries is `SHA-256("")`;
//! - a leaf is `SHA-256(0x00 || entry)`;
//! - a node above others is `SHA-256(0x01 || left || right)`, where the left side holds the largest power of
//!   two of entries that is smaller than the whole.
//!
//! Only **complete** nodes are stored, those with `2^level` entries below them: they never change once they
//! exist, so the store is written and never updated, and it answers for every past size as well. `n` entries
//! make fewer than `2n` nodes. A store that has the entries as well need not keep all of them: those below level
//! [`KEPT_FROM`] are made again from a few entries ([`StoredNode::made_again`]), and `n / 32` are left. C2SP
//! tlog-tiles leave out most levels for the same reason.
//!
//! This module refuses to store anything. [`Tree::append`] hands back what has to be stored, and the grown
//! tree beside it: make the nodes durable, then use that tree. If storing fails, the old tree is still right.
//!
//! A store that answers only asynchronously asks first which nodes are needed ([`Tree::open_needs`],
//! [`crate::proof::inclusion_needs`], [`crate::proof::consistency_needs`]), loads them in one query, and
//! hands them over as [`MemoryNodes`].

use crate::Error;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// The most entries of a log: what a signed 64-bit integer of a database can count.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// The lowest level of which a store beside the entries keeps the nodes. A proof then reads one node in each level
/// from here up, and below at most `1 << KEPT_FROM` entries for each end of what it proves, whatever the size.
pub const KEPT_FROM: u8 = 6;

/// The hash of a node of the tree, a leaf or the root.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHash(pub [u8; 32]);

impl NodeHash {
    /// The hash of an entry.
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
    }

    /// The hash of the node over two others.
    pub fn of_pair(left: &Self, right: &Self) -> Self {
        Self(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// The root of the log without entries.
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }
}

impl fmt::Display for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a complete node is, written `level/index`. It covers `1 << level` entries, of which the first is
/// `index << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePosition {
    /// The height above the leaves, which are at level 0. Below 63.
    pub level: u8,
    /// The number of the node in its level, from 0 at the left.
    pub index: u64,
}

impl NodePosition {
    /// Whether a store beside the entries keeps the node here, rather than making it again from them.
    pub fn is_kept(&self) -> bool {
        self.level >= KEPT_FROM
    }

    /// The places of the entries below.
    pub fn entries(&self) -> Range<u64> {
        self.index << self.level..(self.index + 1) << self.level
    }
}

impl fmt::Display for NodePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

/// A complete node, to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredNode {
    /// Where it is.
    pub position: NodePosition,
    /// What it is.
    pub hash: NodeHash,
}

impl StoredNode {
    /// The node over these entries, which are all of those below it.
    ///
    /// # Errors
    /// [`Error::NodeMissing`] if there are more or fewer: then it cannot be made.
    pub fn made_again<E: AsRef<[u8]>>(position: NodePosition, entries: &[E]) -> Result<Self, Error> {
        let wanted = position.entries();
        if entries.len() as u64 != wanted.end - wanted.start {
            return Err(Error::NodeMissing { position });
        }
        // A node that covers a power of two of entries is hashed as the root of a log of these entries alone.
        let hash = Tree::empty().append(entries)?.tree.head().root;
        Ok(Self { position, hash })
    }
}

/// The size of a log and its root: all that there is to trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of entries.
    pub size: u64,
    /// The root hash over exactly these entries.
    pub root: NodeHash,
}

/// Reads the complete nodes of a tree from where they are stored.
pub trait ReadNodes {
    /// The hashes at `positions`, in that order. The store is asked only for nodes that
    /// [`Tree::append`] has handed out for storing.
    ///
    /// # Errors
    /// [`Error::NodeMissing`] if one is not there, [`Error::NodesUnreadable`] if the store does not answer.
    fn read_nodes(&self, positions: &[NodePosition]) -> Result<Vec<NodeHash>, Error>;
}

/// Nodes in memory, for verifiers, for tests, and for what was loaded from an asynchronous store.
#[derive(Debug, Clone, Default)]
pub struct MemoryNodes(HashMap<NodePosition, NodeHash>);

impl MemoryNodes {
    /// Keeps more nodes.
    pub fn store(&mut self, nodes: &[StoredNode]) {
        self.0.extend(nodes.iter().map(|node| (node.position, node.hash)));
    }
}

impl FromIterator<StoredNode> for MemoryNodes {
    fn from_iter<I: IntoIterator<Item = StoredNode>>(nodes: I) -> Self {
        Self(nodes.into_iter().map(|node| (node.position, node.hash)).collect())
    }
}

impl ReadNodes for MemoryNodes {
    fn read_nodes(&self, positions: &[NodePosition]) -> Result<Vec<NodeHash>, Error> {
        let read = |position: &NodePosition| {
            self.0.get(position).copied().ok_or(Error::NodeMissing { position: *position })
        };
        positions.iter().map(read).collect()
    }
}

/// A tree that can grow: its size and its right edge. It takes at most 63 hashes, whatever the size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// The complete nodes that together cover all entries, the largest first: one for each bit of `size`.
    edge: Vec<NodeHash>,
}

/// What [`Tree::append`] did: the grown tree, and what must be durable before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The tree with the new entries.
    pub tree: Tree,
    /// The nodes that became complete, children before parents.
    pub nodes: Vec<StoredNode>,
}

impl Tree {
    /// The tree without entries.
    pub fn empty() -> Self {
        Self { size: 0, edge: Vec::new() }
    }

    /// The tree of the first `size` entries, from stored nodes. Any size that the log once had can be opened.
    /// It reads one node for each bit set in `size`.
    ///
    /// # Errors
    /// What [`ReadNodes`] reports; [`Error::OutOfRange`] for a size above [`SIZE_MAX`].
    pub fn open(size: u64, nodes: &dyn ReadNodes) -> Result<Self, Error> {
        let edge = read(nodes, &Self::open_needs(size)?)?;
        Ok(Self { size, edge })
    }

    /// The nodes that [`Tree::open`] reads.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a size above [`SIZE_MAX`].
    pub fn open_needs(size: u64) -> Result<Vec<NodePosition>, Error> {
        check_size(size)?;
        Ok(Span { start: 0, end: size }.pieces())
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The size and the root.
    pub fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: join(&self.edge).unwrap_or_else(NodeHash::of_nothing) }
    }

    /// Adds entries at the end; the first gets the index [`Tree::size`]. For `k` entries it makes at most
    /// `2k + 63` hashes and reads nothing.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the log would grow above [`SIZE_MAX`].
    pub fn append<E: AsRef<[u8]>>(&self, entries: &[E]) -> Result<Growth, Error> {
        check_size(self.size.saturating_add(entries.len() as u64))?;
        let mut tree = self.clone();
        let mut nodes = Vec::with_capacity(2 * entries.len());
        for entry in entries {
            tree.push(NodeHash::of_leaf(entry.as_ref()), &mut nodes);
        }
        Ok(Growth { tree, nodes })
    }

    fn push(&mut self, leaf: NodeHash, nodes: &mut Vec<StoredNode>) {
        let mut position = NodePosition { level: 0, index: self.size };
        let mut hash = leaf;
        nodes.push(StoredNode { position, hash });
        while position.index % 2 == 1 {
            let left = self.edge.pop().expect("a right child has its left sibling at the end of the edge");
            hash = NodeHash::of_pair(&left, &hash);
            position = NodePosition { level: position.level + 1, index: position.index / 2 };
            nodes.push(StoredNode { position, hash });
        }
        self.edge.push(hash);
        self.size += 1;
    }
}

/// The entries from `start` to just before `end`, where `start` is a multiple of the smallest power of two
/// that is not less than the length. Every subtree that occurs in a proof is of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn length(self) -> u64 {
        self.end - self.start
    }

    /// Both sides of the node over this span, which has at least two entries.
    pub(crate) fn split(self) -> (Self, Self) {
        let left_length = 1 << (self.length() - 1).ilog2();
        let middle = self.start + left_length;
        (Self { start: self.start, end: middle }, Self { start: middle, end: self.end })
    }

    /// The complete nodes that cover the span, the largest first.
    fn pieces(self) -> Vec<NodePosition> {
        let mut start = self.start;
        let mut positions = Vec::new();
        while start < self.end {
            let level = (self.end - start).ilog2() as u8;
            positions.push(NodePosition { level, index: start >> level });
            start += 1 << level;
        }
        positions
    }
}

/// The stored nodes from which the hashes of `spans` are made, in order.
pub(crate) fn span_needs(spans: &[Span]) -> Vec<NodePosition> {
    spans.iter().flat_map(|span| span.pieces()).collect()
}

/// The hashes of `spans`, none of which is empty, read in one go.
pub(crate) fn read_spans(spans: &[Span], nodes: &dyn ReadNodes) -> Result<Vec<NodeHash>, Error> {
    let hashes = read(nodes, &span_needs(spans))?;
    let mut rest = hashes.as_slice();
    let mut roots = Vec::with_capacity(spans.len());
    for span in spans {
        let (pieces, after) = rest.split_at(span.length().count_ones() as usize);
        roots.extend(join(pieces));
        rest = after;
    }
    Ok(roots)
}

pub(crate) fn check_size(size: u64) -> Result<(), Error> {
    if size > SIZE_MAX {
        return Err(Error::OutOfRange { what: "log size", asked: size, limit: SIZE_MAX });
    }
    Ok(())
}

/// The node over complete nodes, the largest first. `None` over nothing.
fn join(pieces: &[NodeHash]) -> Option<NodeHash> {
    pieces.iter().rev().copied().reduce(|right, left| NodeHash::of_pair(&left, &right))
}

fn read(nodes: &dyn ReadNodes, positions: &[NodePosition]) -> Result<Vec<NodeHash>, Error> {
    let hashes = nodes.read_nodes(positions)?;
    if hashes.len() != positions.len() {
        let reason = format!("asked for {} nodes, got {}", positions.len(), hashes.len());
        return Err(Error::NodesUnreadable { reason });
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries that the implementers of Certificate Transparency have always tested with.
    const CLASSIC: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    const CLASSIC_ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_rfc_6962() {
        let mut tree = Tree::empty();
        for (size, root) in CLASSIC_ROOTS.iter().enumerate() {
            assert_eq!(tree.head().root.to_string(), *root, "size {size}");
            assert_eq!(tree.size(), size as u64);
            if let Some(entry) = CLASSIC.get(size) {
                let bytes = hex::decode(entry).expect("the table is hexadecimal");
                tree = tree.append(&[bytes]).expect("eight entries fit").tree;
            }
        }
    }

    #[test]
    fn a_log_reopens_at_every_past_size_from_its_edge_alone() -> Result<(), Error> {
        let mut stored = MemoryNodes::default();
        let mut trees = vec![Tree::empty()];
        for number in 0..130_u64 {
            let growth = trees[number as usize].append(&[number.to_be_bytes()])?;
            stored.store(&growth.nodes);
            trees.push(growth.tree);
        }
        for (size, tree) in trees.iter().enumerate() {
            assert_eq!(&Tree::open(size as u64, &stored)?, tree);
            assert_eq!(Tree::open_needs(size as u64)?.len(), size.count_ones() as usize);
        }
        assert_eq!(stored.0.len(), 2 * 130 - 130_u64.count_ones() as usize);
        Ok(())
    }

    #[test]
    fn what_is_not_kept_is_made_again_from_the_entries_and_from_nothing_less() -> Result<(), Error> {
        let entries: Vec<[u8; 8]> = (0..200_u64).map(u64::to_be_bytes).collect();
        let nodes = Tree::empty().append(&entries)?.nodes;
        for node in &nodes {
            let below = node.position.entries();
            let below = &entries[below.start as usize..below.end as usize];
            assert_eq!(StoredNode::made_again(node.position, below), Ok(*node));
            let missing = Err(Error::NodeMissing { position: node.position });
            assert_eq!(StoredNode::made_again(node.position, &below[1..]), missing);
            assert_eq!(StoredNode::made_again(node.position, &entries), missing);
        }
        let kept: Vec<String> = nodes
            .iter()
            .filter(|node| node.position.is_kept())
            .map(|node| node.position.to_string())
            .collect();
        assert_eq!(kept, ["6/0", "6/1", "7/0", "6/2"]);
        Ok(())
    }

    #[test]
    fn a_missing_node_or_a_store_that_answers_short_is_named() -> Result<(), Error> {
        struct Short;
        impl ReadNodes for Short {
            fn read_nodes(&self, _: &[NodePosition]) -> Result<Vec<NodeHash>, Error> {
                Ok(vec![NodeHash([0; 32])])
            }
        }
        let position = NodePosition { level: 1, index: 0 };
        assert_eq!(Tree::open(3, &MemoryNodes::default()), Err(Error::NodeMissing { position }));
        assert!(matches!(Tree::open(3, &Short), Err(Error::NodesUnreadable { .. })));
        Ok(())
    }

    #[test]
    fn the_log_ends_where_a_database_can_no_longer_count() {
        struct Zeroes;
        impl ReadNodes for Zeroes {
            fn read_nodes(&self, positions: &[NodePosition]) -> Result<Vec<NodeHash>, Error> {
                Ok(vec![NodeHash([0; 32]); positions.len()])
            }
        }
        let nearly_full = Tree::open(SIZE_MAX - 1, &Zeroes).expect("one less than the limit");
        let full = nearly_full.append(&["last"]).expect("exactly the limit").tree;
        assert_eq!(full.size(), SIZE_MAX);
        assert!(matches!(full.append(&["beyond"]), Err(Error::OutOfRange { .. })));
        assert!(matches!(Tree::open(SIZE_MAX + 1, &Zeroes), Err(Error::OutOfRange { .. })));
    }
}
