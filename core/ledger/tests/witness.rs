//! A witness against ten thousand of each: edits, truncations, forks, rewritten logs, and proofs that prove nothing.

#[path = "shared/key.rs"]
mod key;

use key::{Key, key};
use perennial_ledger::witness::{Refusal, judge};
use perennial_ledger::{
    Checkpoint, ConsistencyProof, Error, MemoryNodes, NodeHash, Tree, TreeHead, prove_consistency,
};
use proptest::prelude::*;
use std::sync::LazyLock;

const SIZE: u64 = 150;

/// A log and every head that it had.
struct Log {
    nodes: MemoryNodes,
    heads: Vec<TreeHead>,
}

/// The true log, and one that has another entry at each place.
static LOG: LazyLock<Log> = LazyLock::new(|| Log::differing_at(u64::MAX));
static OTHERS: LazyLock<Vec<Log>> = LazyLock::new(|| (0..SIZE).map(Log::differing_at).collect());
static KEY: LazyLock<Key> = LazyLock::new(|| key("example.com/log", 7));

impl Log {
    fn differing_at(place: u64) -> Self {
        let mut tree = Tree::empty();
        let mut log = Self { nodes: MemoryNodes::default(), heads: vec![tree.head()] };
        for number in 0..SIZE {
            let entry = if number == place { "another".to_owned() } else { format!("entry {number}") };
            let growth = tree.append(&[entry]).expect("a small log");
            log.nodes.store(&growth.nodes);
            tree = growth.tree;
            log.heads.push(tree.head());
        }
        log
    }

    fn head(&self, size: u64) -> TreeHead {
        self.heads[size as usize]
    }

    fn note(&self, size: u64) -> Vec<u8> {
        Checkpoint::sign(self.head(size), &*KEY).expect("signed").to_bytes()
    }

    fn proof(&self, from: u64, to: u64) -> ConsistencyProof {
        prove_consistency(&self.head(from), &self.head(to), &self.nodes).expect("a log that only grew")
    }
}

fn offer(held: u64, note: &[u8], proof: &ConsistencyProof) -> Result<Checkpoint, Refusal> {
    judge(&KEY.public, Some(&LOG.head(held)), note, proof)
}

/// Two sizes, the second at least as large.
fn sizes() -> impl Strategy<Value = (u64, u64)> {
    (0..=SIZE, 0..=SIZE).prop_map(|(one, other)| (one.min(other), one.max(other)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn what_continues_is_cosigned((held, offered) in sizes()) {
        let accepted = offer(held, &LOG.note(offered), &LOG.proof(held, offered));
        prop_assert_eq!(accepted.map(|checkpoint| *checkpoint.head()), Ok(LOG.head(offered)));
    }

    #[test]
    fn an_edited_checkpoint_is_refused((held, offered) in sizes(), at in any::<usize>(), byte in any::<u8>()) {
        let mut note = LOG.note(offered);
        let at = at % note.len();
        prop_assume!(note[at] != byte);
        note[at] = byte;
        let refused = offer(held, &note, &LOG.proof(held, offered));
        prop_assert!(matches!(refused, Err(Refusal::NotOfThisLog(_))), "{:?}", refused);
    }

    #[test]
    fn a_checkpoint_cut_short_is_refused((held, offered) in sizes(), at in any::<usize>()) {
        let note = LOG.note(offered);
        let refused = offer(held, &note[..at % note.len()], &LOG.proof(held, offered));
        prop_assert!(matches!(refused, Err(Refusal::NotOfThisLog(_))), "{:?}", refused);
    }

    #[test]
    fn a_fork_at_the_same_size_is_named(size in 1..=SIZE, place in any::<u64>()) {
        let other = &OTHERS[(place % size) as usize];
        let refused = offer(size, &other.note(size), &other.proof(size, size));
        let (held, offered) = (LOG.head(size).root, other.head(size).root);
        prop_assert_eq!(refused.map(drop), Err(Refusal::Forked { size, held, offered }));
    }

    #[test]
    fn a_truncated_log_is_named((offered, held) in sizes(), from in any::<u64>()) {
        prop_assume!(offered < held);
        let proof = LOG.proof(from % (offered + 1), offered);
        let refused = offer(held, &LOG.note(offered), &proof);
        prop_assert_eq!(refused.map(drop), Err(Refusal::Truncated { held, offered }));
    }

    #[test]
    fn a_rewritten_log_is_named((held, offered) in sizes(), place in any::<u64>(), whose in any::<bool>()) {
        prop_assume!(0 < held && held < offered);
        let other = &OTHERS[(place % held) as usize];
        // The forger's own proof, or the true one.
        let proof = if whose { other.proof(held, offered) } else { LOG.proof(held, offered) };
        let refused = offer(held, &other.note(offered), &proof);
        prop_assert_eq!(refused.map(drop), Err(Refusal::Rewritten { held, offered }));
    }

    #[test]
    fn a_proof_with_another_hash_proves_nothing((held, offered) in sizes(), at in any::<usize>(), bit in 0..256_usize) {
        let mut proof = LOG.proof(held, offered);
        prop_assume!(!proof.hashes.is_empty());
        let at = at % proof.hashes.len();
        proof.hashes[at].0[bit / 8] ^= 1 << (bit % 8);
        let refused = offer(held, &LOG.note(offered), &proof);
        prop_assert_eq!(refused.map(drop), Err(Refusal::Rewritten { held, offered }));
    }

    #[test]
    fn a_proof_of_another_length_or_size_is_not_held_against_the_log(
        (held, offered) in sizes(), more in any::<bool>(), size in 0..=SIZE,
    ) {
        let mut proof = LOG.proof(held, offered);
        if more { proof.hashes.push(NodeHash([1; 32])) } else { prop_assume!(proof.hashes.pop().is_some()) }
        let mut others = vec![proof];
        if size != held {
            others.push(ConsistencyProof { old_size: size, ..LOG.proof(held, offered) });
        }
        if size != offered {
            others.push(ConsistencyProof { new_size: size, ..LOG.proof(held, offered) });
        }
        for proof in others {
            let refused = offer(held, &LOG.note(offered), &proof);
            prop_assert!(matches!(refused, Err(Refusal::Unproved { .. })), "{:?}", refused);
            prop_assert!(refused.is_err_and(|refusal| !refusal.breaks_the_log()));
        }
    }
}

#[test]
fn the_first_checkpoint_is_taken_from_nothing_and_another_logs_never() {
    let nothing = LOG.proof(0, 0);
    for size in [0, 1, SIZE] {
        let proof = LOG.proof(0, size);
        let accepted = judge(&KEY.public, None, &LOG.note(size), &proof).map(|taken| *taken.head());
        assert_eq!(accepted, Ok(LOG.head(size)));
    }
    let refused = judge(&KEY.public, None, &LOG.note(3), &nothing);
    assert!(matches!(refused, Err(Refusal::Unproved { held: 0, offered: 3, .. })), "{refused:?}");
    for stranger in [key("example.com/log", 8), key("example.com/other", 7)] {
        let note = Checkpoint::sign(LOG.head(3), &stranger).expect("signed").to_bytes();
        let refused = judge(&KEY.public, None, &note, &LOG.proof(0, 3));
        assert!(matches!(refused, Err(Refusal::NotOfThisLog(Error::NotSigned { .. }))), "{refused:?}");
    }
    // An empty log has one root.
    let odd = TreeHead { size: 0, root: NodeHash([9; 32]) };
    let note = Checkpoint::sign(odd, &*KEY).expect("signed").to_bytes();
    assert!(matches!(judge(&KEY.public, None, &note, &nothing), Err(Refusal::Forked { size: 0, .. })));
}
