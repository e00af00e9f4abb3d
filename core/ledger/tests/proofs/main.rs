//! Proofs against the recursive definitions of RFC 6962, against forgers, and at ten million entries.

mod definition;
mod scale;

use perennial_ledger::proof::{consistency_needs, inclusion_needs};
use perennial_ledger::tree::StoredNode;
use perennial_ledger::{
    ConsistencyProof, Error, InclusionProof, MemoryNodes, NodeHash, NodePosition, ReadNodes, Tree, TreeHead,
    prove_consistency, prove_inclusion,
};
use proptest::prelude::*;

/// A log of `entry(0)`, `entry(1)`, … with its head at every size.
struct Log {
    nodes: MemoryNodes,
    heads: Vec<TreeHead>,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut tree = Tree::empty();
        let mut log = Self { nodes: MemoryNodes::default(), heads: vec![tree.head()] };
        for number in 0..size {
            let growth = tree.append(&[entry(number)]).expect("a small log");
            log.nodes.store(&growth.nodes);
            tree = growth.tree;
            log.heads.push(tree.head());
        }
        log
    }

    fn head(&self, size: u64) -> &TreeHead {
        &self.heads[size as usize]
    }

    fn inclusion(&self, index: u64, size: u64) -> InclusionProof {
        prove_inclusion(index, self.head(size), &self.nodes).expect("an entry of the log")
    }

    fn consistency(&self, old_size: u64, new_size: u64) -> ConsistencyProof {
        prove_consistency(self.head(old_size), self.head(new_size), &self.nodes).expect("an older head")
    }
}

fn entry(number: u64) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

fn flip(hash: &mut NodeHash, bit: usize) {
    hash.0[bit / 8 % 32] ^= 1 << (bit % 8);
}

#[test]
fn roots_and_proofs_are_those_of_the_definitions() {
    let entries: Vec<Vec<u8>> = (0..66).map(entry).collect();
    let log = Log::of(66);
    for size in 0..=entries.len() {
        let now = &entries[..size];
        assert_eq!(log.heads[size].root.0, definition::root(now));
        for index in 0..size {
            let expected: Vec<_> = definition::path(index, now).into_iter().map(NodeHash).collect();
            assert_eq!(log.inclusion(index as u64, size as u64).hashes, expected, "{index} in {size}");
        }
        for old_size in 1..=size {
            let expected = definition::proof(old_size, now, definition::Start::Known);
            let expected: Vec<_> = expected.into_iter().map(NodeHash).collect();
            assert_eq!(
                log.consistency(old_size as u64, size as u64).hashes,
                expected,
                "{old_size} to {size}"
            );
        }
    }
}

#[test]
fn every_entry_is_proved_in_every_log_and_any_changed_bit_is_refused() {
    let log = Log::of(200);
    for size in 1..=200 {
        let head = log.head(size);
        for index in 0..size {
            let proof = log.inclusion(index, size);
            assert_eq!(proof.verify(&entry(index), head), Ok(()), "{index} in {size}");
            assert!(proof.verify(&entry(index + 1), head).is_err());

            let mut other_root = *head;
            flip(&mut other_root.root, (index * 7 + size) as usize);
            assert!(matches!(proof.verify(&entry(index), &other_root), Err(Error::NotIncluded { .. })));

            for position in 0..proof.hashes.len() {
                let mut forged = proof.clone();
                flip(&mut forged.hashes[position], (index * 31 + size * 3) as usize + position);
                assert!(matches!(forged.verify(&entry(index), head), Err(Error::NotIncluded { .. })));
            }
        }
    }
}

#[test]
fn an_entry_is_proved_at_no_other_index_and_in_no_other_size() {
    let log = Log::of(70);
    for (size, index) in (1..=70).flat_map(|size| (0..size).map(move |index| (size, index))) {
        let proof = log.inclusion(index, size);
        for other in (0..size + 2).chain([u64::MAX]).filter(|&other| other != index) {
            let moved = InclusionProof { index: other, ..proof.clone() };
            assert!(moved.verify(&entry(index), log.head(size)).is_err(), "{index} as {other} of {size}");
        }
        for other in (0..=70).filter(|&other| other != size) {
            let expected = Error::WrongSize { expected: other, found: size };
            assert_eq!(proof.verify(&entry(index), log.head(other)), Err(expected));
            let resized = InclusionProof { size: other, ..proof.clone() };
            assert!(resized.verify(&entry(index), log.head(size)).is_err());
            assert!(resized.verify(&entry(index), log.head(other)).is_err());
        }
    }
}

#[test]
fn every_bit_of_small_proofs_counts() {
    let log = Log::of(9);
    for (size, index) in (1..=9).flat_map(|size| (0..size).map(move |index| (size, index))) {
        let proof = log.inclusion(index, size);
        for bit in 0..proof.hashes.len() * 256 {
            let mut forged = proof.clone();
            flip(&mut forged.hashes[bit / 256], bit % 256);
            assert!(forged.verify(&entry(index), log.head(size)).is_err());
        }
        for bit in 0..256 {
            let mut head = *log.head(size);
            flip(&mut head.root, bit);
            assert!(proof.verify(&entry(index), &head).is_err());
        }
        let original = entry(index);
        for bit in 0..original.len() * 8 {
            let mut changed = original.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(proof.verify(&changed, log.head(size)).is_err());
        }
    }
}

#[test]
fn proofs_of_another_length_are_refused() {
    let log = Log::of(33);
    for size in 1..=33 {
        for index in 0..size {
            let proof = log.inclusion(index, size);
            for hashes in other_lengths(&proof.hashes) {
                let forged = InclusionProof { hashes, ..proof.clone() };
                let refused = forged.verify(&entry(index), log.head(size));
                assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
            }
        }
        for old_size in 0..=size {
            let proof = log.consistency(old_size, size);
            for hashes in other_lengths(&proof.hashes) {
                let forged = ConsistencyProof { hashes, ..proof.clone() };
                let refused = forged.verify(log.head(old_size), log.head(size));
                assert!(matches!(refused, Err(Error::Malformed { .. })), "{refused:?}");
            }
        }
    }
}

fn other_lengths(hashes: &[NodeHash]) -> Vec<Vec<NodeHash>> {
    let longer = [hashes, &[NodeHash([1; 32])]].concat();
    let doubled = [hashes, &[NodeHash([1; 32])], hashes].concat();
    let shorter = (0..hashes.len()).map(|count| hashes[..count].to_vec());
    shorter.chain([longer, doubled]).collect()
}

#[test]
fn every_log_is_proved_to_continue_every_earlier_one_and_any_changed_bit_is_refused() {
    let log = Log::of(100);
    for (new_size, old_size) in (0..=100).flat_map(|new| (0..=new).map(move |old| (new, old))) {
        let proof = log.consistency(old_size, new_size);
        let (older, newer) = (log.head(old_size), log.head(new_size));
        assert_eq!(proof.verify(older, newer), Ok(()), "{old_size} to {new_size}");
        let bit = (old_size * 31 + new_size * 7) as usize;

        let mut other = *older;
        flip(&mut other.root, bit);
        assert!(matches!(proof.verify(&other, newer), Err(Error::Inconsistent { .. })));
        // From nothing every log is a continuation; only then the newer root does not matter.
        if old_size != 0 {
            let mut other = *newer;
            flip(&mut other.root, bit);
            assert!(matches!(proof.verify(older, &other), Err(Error::Inconsistent { .. })));
        }
        for position in 0..proof.hashes.len() {
            let mut forged = proof.clone();
            flip(&mut forged.hashes[position], bit + position);
            assert!(matches!(forged.verify(older, newer), Err(Error::Inconsistent { .. })));
        }
        for wrong in [old_size + 1, old_size.wrapping_sub(1), new_size + 1] {
            let resized = ConsistencyProof { old_size: wrong, ..proof.clone() };
            assert!(matches!(resized.verify(older, newer), Err(Error::WrongSize { .. })));
        }
    }
}

#[test]
fn a_head_of_no_entries_has_one_root_and_a_size_has_one_head() {
    let log = Log::of(3);
    let false_start = TreeHead { size: 0, root: NodeHash([0; 32]) };
    let proof = log.consistency(0, 3);
    assert!(matches!(proof.verify(&false_start, log.head(3)), Err(Error::Inconsistent { .. })));
    let split_view = TreeHead { size: 3, root: NodeHash([0; 32]) };
    let proof = log.consistency(3, 3);
    assert!(matches!(proof.verify(log.head(3), &split_view), Err(Error::Inconsistent { .. })));
    let backwards = ConsistencyProof { old_size: 3, new_size: 2, hashes: Vec::new() };
    assert!(matches!(backwards.verify(log.head(3), log.head(2)), Err(Error::Malformed { .. })));
}

#[test]
fn what_is_not_in_the_log_is_not_proved() {
    let log = Log::of(5);
    let beyond = prove_inclusion(5, log.head(5), &log.nodes);
    assert_eq!(beyond, Err(Error::OutOfRange { what: "entry index", asked: 5, limit: 4 }));
    assert!(matches!(prove_inclusion(0, log.head(0), &log.nodes), Err(Error::OutOfRange { .. })));
    let backwards = prove_consistency(log.head(5), log.head(4), &log.nodes);
    assert_eq!(backwards, Err(Error::OutOfRange { what: "older log size", asked: 5, limit: 4 }));
    let unborn = TreeHead { size: 9, root: NodeHash([0; 32]) };
    assert!(matches!(prove_inclusion(0, &unborn, &log.nodes), Err(Error::NodeMissing { .. })));
}

#[test]
fn a_damaged_store_is_noticed_before_a_proof_leaves() {
    let log = Log::of(21);
    let positions: Vec<NodePosition> =
        (0..21).flat_map(|i| inclusion_needs(i, 21).expect("in the log")).collect();
    for position in positions {
        let mut damaged = log.nodes.clone();
        let mut hash = damaged.read_nodes(&[position]).expect("stored")[0];
        flip(&mut hash, 3);
        damaged.store(&[StoredNode { position, hash }]);
        for index in 0..21 {
            let uses_it = inclusion_needs(index, 21).expect("in the log").contains(&position);
            let proof = prove_inclusion(index, log.head(21), &damaged);
            assert_eq!(matches!(proof, Err(Error::NodesDamaged { .. })), uses_it, "{proof:?}");
        }
    }
}

#[test]
fn the_needed_nodes_are_enough_for_a_store_that_loads_beforehand() {
    let log = Log::of(90);
    let load = |needs: Vec<NodePosition>| -> MemoryNodes {
        let hashes = log.nodes.read_nodes(&needs).expect("stored");
        needs.iter().zip(hashes).map(|(&position, hash)| StoredNode { position, hash }).collect()
    };
    for size in 1..=90 {
        for number in 0..size {
            let loaded = load(inclusion_needs(number, size).expect("in the log"));
            assert_eq!(prove_inclusion(number, log.head(size), &loaded), Ok(log.inclusion(number, size)));
            let loaded = load(consistency_needs(number, size).expect("an earlier size"));
            let proof = prove_consistency(log.head(number), log.head(size), &loaded);
            assert_eq!(proof, Ok(log.consistency(number, size)));
        }
    }
}

/// The bytes were made by an independent encoder, from the entries that Certificate Transparency is tested
/// with.
#[test]
fn the_bytes_of_a_proof_never_change() -> Result<(), Error> {
    let entries: [&[u8]; 8] =
        [b"", b"\0", b"\x10", b"\x20\x21", b"\x30\x31", b"@ABC", b"PQRSTUVW", b"`abcdefghijklmno"];
    let growth = Tree::empty().append(&entries)?;
    let nodes: MemoryNodes = growth.nodes.iter().copied().collect();
    let (older, newer) = (Tree::open(6, &nodes)?.head(), growth.tree.head());
    let two_hashes = "5820ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0\
        5820d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";

    let inclusion = prove_inclusion(5, &newer, &nodes)?;
    let golden = "8676706572656e6e69616c2f6c65646765722d70726f6f660169696e636c7573696f6e050883\
        5820bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    assert_eq!(hex::encode(inclusion.to_bytes()), format!("{golden}{two_hashes}"));
    assert_eq!(InclusionProof::from_bytes(&inclusion.to_bytes())?, inclusion);

    let consistency = prove_consistency(&older, &newer, &nodes)?;
    let golden = "8676706572656e6e69616c2f6c65646765722d70726f6f66016b636f6e73697374656e6379060883\
        58200ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    assert_eq!(hex::encode(consistency.to_bytes()), format!("{golden}{two_hashes}"));
    assert_eq!(ConsistencyProof::from_bytes(&consistency.to_bytes())?, consistency);

    let bytes = consistency.to_bytes();
    assert!(matches!(InclusionProof::from_bytes(&bytes), Err(Error::Malformed { .. })));
    assert!(matches!(ConsistencyProof::from_bytes(&bytes[..bytes.len() - 1]), Err(Error::Malformed { .. })));
    let trailing = [&bytes[..], &[0]].concat();
    assert!(matches!(ConsistencyProof::from_bytes(&trailing), Err(Error::Malformed { .. })));
    let too_long = InclusionProof { index: 0, size: 1, hashes: vec![NodeHash([0; 32]); 65] };
    assert!(matches!(InclusionProof::from_bytes(&too_long.to_bytes()), Err(Error::Malformed { .. })));
    Ok(())
}

proptest! {
    #[test]
    fn batches_and_single_entries_make_the_same_log(batches in proptest::collection::vec(0_u64..40, 0..12)) {
        let (mut tree, mut stored) = (Tree::empty(), Vec::new());
        for count in &batches {
            let entries: Vec<_> = (tree.size()..tree.size() + count).map(entry).collect();
            let growth = tree.append(&entries)?;
            stored.extend(growth.nodes);
            tree = growth.tree;
        }
        let (mut single, mut stored_singly) = (Tree::empty(), Vec::new());
        for number in 0..tree.size() {
            let growth = single.append(&[entry(number)])?;
            stored_singly.extend(growth.nodes);
            single = growth.tree;
        }
        prop_assert_eq!(tree, single);
        prop_assert_eq!(stored, stored_singly);
    }

    #[test]
    fn a_rewritten_log_never_continues_the_true_one(
        new_size in 2_u64..400, old: proptest::sample::Index, rewritten: proptest::sample::Index,
    ) {
        let old_size = 1 + old.index(new_size as usize) as u64;
        let rewritten = rewritten.index(old_size as usize) as u64;
        let mut entries: Vec<_> = (0..new_size).map(entry).collect();
        let honest = Tree::empty().append(&entries[..old_size as usize])?.tree.head();
        entries[rewritten as usize].push(b'!');
        let forged = Tree::empty().append(&entries)?;
        let nodes: MemoryNodes = forged.nodes.into_iter().collect();

        let proof = prove_consistency(&honest, &forged.tree.head(), &nodes);
        let is_noticed = matches!(proof, Err(Error::NodesDamaged { .. }));
        prop_assert!(is_noticed);
        let false_start = Tree::open(old_size, &nodes)?.head();
        let proof = prove_consistency(&false_start, &forged.tree.head(), &nodes)?;
        let refused = proof.verify(&honest, &forged.tree.head());
        let is_inconsistent = matches!(refused, Err(Error::Inconsistent { .. }));
        prop_assert!(is_inconsistent);
    }

    #[test]
    fn any_flipped_bit_of_a_written_proof_is_refused(
        size in 1_u64..300, index: proptest::sample::Index, flipped: proptest::sample::Index,
    ) {
        let index = index.index(size as usize) as u64;
        let entries: Vec<_> = (0..size).map(entry).collect();
        let growth = Tree::empty().append(&entries)?;
        let nodes: MemoryNodes = growth.nodes.into_iter().collect();
        let head = growth.tree.head();
        let mut bytes = prove_inclusion(index, &head, &nodes)?.to_bytes();
        prop_assert_eq!(InclusionProof::from_bytes(&bytes)?.verify(&entry(index), &head), Ok(()));

        let bit = flipped.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verified = InclusionProof::from_bytes(&bytes).and_then(|proof| proof.verify(&entry(index), &head));
        prop_assert!(verified.is_err());
    }
}
