//! The ledger in the attacker's hands: it has the ledger's key, so whatever it says is well signed, forks included.

use ed25519_dalek::{Signer as _, SigningKey};
use perennial_ledger::{
    Checkpoint, ConsistencyProof, KeyName, MemoryNodes, NoteKey, SignNote, Tree, TreeHead, prove_consistency,
};
use perennial_model::encoding::Bytes;
use perennial_model::witness::Offer;
use std::collections::BTreeMap;

/// One history of entries.
#[derive(Clone)]
struct Branch {
    tree: Tree,
    nodes: MemoryNodes,
    heads: Vec<TreeHead>,
    sort: u64,
}

struct LedgerKey(NoteKey, SigningKey);

impl SignNote for LedgerKey {
    fn key(&self) -> &NoteKey {
        &self.0
    }

    fn sign_note(&self, text: &str) -> Result<[u8; 64], perennial_ledger::Error> {
        Ok(self.1.sign(text.as_bytes()).to_bytes())
    }
}

/// A ledger and what its owner made of it.
pub struct Ledger {
    key: LedgerKey,
    other: LedgerKey,
    main: Branch,
    forks: Vec<Branch>,
    /// What each signer cosigned last.
    pub cosigned: BTreeMap<usize, TreeHead>,
}

/// What is shown to a signer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// The ledger as it is.
    Growth,
    /// Another head of a size that the signer has cosigned.
    Fork,
    /// Fewer entries than it has cosigned.
    Truncated,
    /// More entries, and other ones.
    Rewritten,
    /// A proof between other sizes.
    Unproved,
    /// A head that the ledger's key did not sign.
    Forged,
    /// The same under another key.
    OtherKey,
}

impl Branch {
    fn grow(&mut self) {
        let entry = format!("entry {} of {}", self.tree.size(), self.sort);
        let growth = self.tree.append(&[entry]).expect("far from full");
        self.nodes.store(&growth.nodes);
        self.tree = growth.tree;
        self.heads.push(self.tree.head());
    }

    fn has(&self, head: &TreeHead) -> bool {
        self.heads.get(head.size as usize) == Some(head)
    }
}

impl Ledger {
    /// A ledger with an entry.
    pub fn new() -> Self {
        let tree = Tree::empty();
        let mut main = Branch { heads: vec![tree.head()], tree, nodes: MemoryNodes::default(), sort: 0 };
        main.grow();
        let key = |seed: u8| {
            let secret = SigningKey::from_bytes(&[seed; 32]);
            let name = KeyName::new("perennial/ledger/siege").expect("a name");
            let public = NoteKey::new(name, secret.verifying_key().as_bytes()).expect("a key");
            LedgerKey(public, secret)
        };
        Self { key: key(7), other: key(8), main, forks: Vec::new(), cosigned: BTreeMap::new() }
    }

    /// The ledger's key.
    pub fn key(&self) -> &NoteKey {
        &self.key.0
    }

    /// Whether one head continues the other in any history that there is.
    pub fn continues(&self, older: &TreeHead, newer: &TreeHead) -> bool {
        let both = |branch: &Branch| branch.has(older) && branch.has(newer);
        older.size <= newer.size && std::iter::once(&self.main).chain(&self.forks).any(both)
    }

    /// What is shown to a signer; none if it has cosigned nothing that could be contradicted.
    pub fn offer(&mut self, number: usize, show: Show, chance: u64, sent_ms: u64) -> Option<Offer> {
        let held = self.cosigned.get(&number).copied();
        let from = held.unwrap_or(self.main.heads[0]);
        match show {
            Show::Growth | Show::Unproved | Show::OtherKey | Show::Forged => self.main.grow(),
            Show::Truncated => {}
            Show::Fork | Show::Rewritten => self.fork(chance, from.size.saturating_sub(1)),
        }
        let branch = match show {
            Show::Fork | Show::Rewritten => self.forks.last()?,
            _ => std::iter::once(&self.main).chain(&self.forks).find(|branch| branch.has(&from))?,
        };
        let newest = *branch.heads.last()?;
        let (from, to) = match show {
            Show::Truncated => (from, *branch.heads.get(chance as usize % from.size.max(1) as usize)?),
            Show::Fork => (from, *branch.heads.get(from.size as usize)?),
            Show::Unproved => (branch.heads[0], newest),
            _ => (from, newest),
        };
        if show != Show::Growth && held.is_none() {
            return None;
        }
        if show == Show::Unproved && held.is_some_and(|held| held == to || held == from) {
            // A head shown again needs no proof; and from the head of an empty ledger, which an old offer may have had
            // a signer cosign that began anew, the proof does begin where it has to.
            return None;
        }
        let proof = prove_consistency(&from, &to, &branch.nodes).ok();
        // Where there is no proof, the best lie is a proof of the right sizes.
        let lie = || {
            let before = branch.heads.get(from.size as usize)?;
            prove_consistency(before, &to, &branch.nodes).ok()
        };
        let proof = proof.or_else(lie).unwrap_or_else(|| ConsistencyProof {
            old_size: to.size,
            new_size: to.size,
            hashes: Vec::new(),
        });
        let key = if show == Show::OtherKey { &self.other } else { &self.key };
        let mut note = Checkpoint::sign(to, key).ok()?.to_bytes();
        if show == Show::Forged {
            let text = note.windows(2).position(|two| two == b"\n\n")?;
            // The root is the last line of the text; one letter of it becomes another.
            let letter = note.get_mut(text - 4)?;
            *letter = if *letter == b'A' { b'B' } else { b'A' };
        }
        Some(Offer { key: key.0.to_string(), note: Bytes(note), proof: Bytes(proof.to_bytes()), sent_ms })
    }

    /// Makes a history that differs from entry `at` on, and is a little longer than the first.
    fn fork(&mut self, chance: u64, at: u64) {
        let sort = 1 + self.forks.len() as u64;
        let tree = Tree::open(at, &self.main.nodes).unwrap_or_else(|_| Tree::empty());
        let heads = self.main.heads[..=tree.size() as usize].to_vec();
        let mut fork = Branch { tree, nodes: self.main.nodes.clone(), heads, sort };
        let length = self.main.tree.size() + 1 + chance % 3;
        while fork.tree.size() < length {
            fork.grow();
        }
        if self.forks.len() == 8 {
            self.forks.remove(0);
        }
        self.forks.push(fork);
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}
