//! The three recursive definitions of RFC 6962, section 2.1, word for word.

use sha2::{Digest as _, Sha256};

fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

pub fn root(entries: &[Vec<u8>]) -> [u8; 32] {
    match entries {
        [] => Sha256::digest([]).into(),
        [only] => Sha256::digest([&[0x00][..], only].concat()).into(),
        _ => {
            let (left, right) = entries.split_at(split(entries.len()));
            Sha256::digest([&[0x01][..], &root(left), &root(right)].concat()).into()
        }
    }
}

pub fn path(index: usize, entries: &[Vec<u8>]) -> Vec<[u8; 32]> {
    if entries.len() == 1 {
        return Vec::new();
    }
    let (left, right) = entries.split_at(split(entries.len()));
    if index < left.len() {
        [path(index, left), vec![root(right)]].concat()
    } else {
        [path(index - left.len(), right), vec![root(left)]].concat()
    }
}

pub fn proof(old_size: usize, entries: &[Vec<u8>], from_the_start: Start) -> Vec<[u8; 32]> {
    if old_size == entries.len() {
        return match from_the_start {
            Start::Known => Vec::new(),
            Start::Unknown => vec![root(entries)],
        };
    }
    let (left, right) = entries.split_at(split(entries.len()));
    if old_size <= left.len() {
        [proof(old_size, left, from_the_start), vec![root(right)]].concat()
    } else {
        [proof(old_size - left.len(), right, Start::Unknown), vec![root(left)]].concat()
    }
}

/// Whether the verifier knows the hash of the subtree at hand: it does on the left edge.
pub enum Start {
    Known,
    Unknown,
}
