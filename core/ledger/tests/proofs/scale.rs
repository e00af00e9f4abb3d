//! What ten million entries cost, in hashes and in nodes read.

use perennial_ledger::{Error, NodeHash, NodePosition, ReadNodes, Tree, prove_consistency, prove_inclusion};
use std::cell::Cell;

const TEN_MILLION: u64 = 10_000_000;

/// The stored nodes of a log whose entries are all alike: one hash for each level. It counts what is read,
/// and has no node that a log of this size would not have stored.
struct AlikeEntries {
    size: u64,
    levels: Vec<NodeHash>,
    reads: Cell<usize>,
}

impl AlikeEntries {
    fn new(size: u64) -> Self {
        let leaf = NodeHash::of_leaf(b"alike");
        let levels = std::iter::successors(Some(leaf), |below| Some(NodeHash::of_pair(below, below)));
        Self { size, levels: levels.take(63).collect(), reads: Cell::new(0) }
    }
}

impl ReadNodes for AlikeEntries {
    fn read_nodes(&self, positions: &[NodePosition]) -> Result<Vec<NodeHash>, Error> {
        self.reads.set(self.reads.get() + positions.len());
        let read = |&position: &NodePosition| {
            let stored = (position.index + 1) << position.level <= self.size;
            if stored {
                Ok(self.levels[position.level as usize])
            } else {
                Err(Error::NodeMissing { position })
            }
        };
        positions.iter().map(read).collect()
    }
}

#[test]
fn a_proof_among_ten_million_entries_reads_a_few_dozen_nodes() -> Result<(), Error> {
    let nodes = AlikeEntries::new(TEN_MILLION);
    let tree = Tree::open(TEN_MILLION, &nodes)?;
    let head = tree.head();
    assert_eq!(nodes.reads.take(), TEN_MILLION.count_ones() as usize, "starting up reads the edge alone");

    let limit = 2.0 * (TEN_MILLION as f64).log2();
    let mut most = (0, 0);
    let ends = [0, 1, 2, TEN_MILLION / 2, TEN_MILLION - 2, TEN_MILLION - 1];
    for number in (0..TEN_MILLION).step_by(9_973).chain(ends).chain((0..24).map(|bit| (1 << bit) - 1)) {
        let proof = prove_inclusion(number, &head, &nodes)?;
        let inclusion_reads = nodes.reads.take();
        assert!((inclusion_reads as f64) <= limit, "entry {number}: {inclusion_reads} reads");
        proof.verify(b"alike", &head)?;

        let older = Tree::open(number, &nodes)?.head();
        nodes.reads.take();
        let proof = prove_consistency(&older, &head, &nodes)?;
        let consistency_reads = nodes.reads.take();
        assert!((consistency_reads as f64) <= limit, "size {number}: {consistency_reads} reads");
        proof.verify(&older, &head)?;
        most = (most.0.max(inclusion_reads), most.1.max(consistency_reads));
    }
    println!("10,000,000 entries: at most {} reads for inclusion, {} for consistency", most.0, most.1);
    Ok(())
}

#[test]
fn a_batch_costs_two_hashes_an_entry_and_no_reads() -> Result<(), Error> {
    let nodes = AlikeEntries::new(TEN_MILLION);
    let tree = Tree::open(TEN_MILLION, &nodes)?;
    nodes.reads.take();
    for count in [0, 1, 2, 3, 1_000, 4_096] {
        let growth = tree.append(&vec!["alike"; count])?;
        // Each handed-out node is one hash.
        assert!(growth.nodes.len() <= 2 * count + 63, "{count} entries: {} hashes", growth.nodes.len());
        assert_eq!(
            growth.tree.head(),
            Tree::open(TEN_MILLION + count as u64, &AlikeEntries::new(u64::MAX))?.head()
        );
    }
    assert_eq!(nodes.reads.take(), 0);
    Ok(())
}
