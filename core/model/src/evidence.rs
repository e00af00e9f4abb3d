//! What the ledger's entries about ceremonies are written with, and how an entry travels in an evidence bundle. The
//! other documents of a bundle are those that people and signers made.

use crate::encoding::{Bytes, Digest, Document};
use crate::epoch::Epoch;
use crate::plan::Chunk;
use crate::wallet::WalletId;
use minicbor::{Decode, Encode};

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

/// The subject of an entry about a chunk: plan, epoch, and places in the plan as `first..end`. It has at most
/// 64 + 21 + 14 characters and two spaces.
pub fn subject_of(chunk: &Chunk) -> String {
    let end = u64::from(chunk.first) + u64::from(chunk.count);
    format!("{} {} {}..{end}", chunk.plan, chunk.epoch, chunk.first)
}

/// The chunk of a subject, none if it is not written in this one form.
pub fn read_subject(subject: &str) -> Option<Chunk> {
    let mut words = subject.split(' ');
    let (plan, epoch, places) = (words.next()?, words.next()?, words.next()?);
    let (rank, count) = epoch.split_once('.')?;
    let (first, end) = places.split_once("..")?;
    let (first, end): (u32, u32) = (first.parse().ok()?, end.parse().ok()?);
    let epoch = Epoch::new(rank.parse().ok()?, count.parse().ok()?);
    let chunk = Chunk { plan: plan.parse().ok()?, epoch, first, count: end.checked_sub(first)? };
    (subject_of(&chunk) == subject).then_some(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_form() {
        let chunk = Chunk { plan: Digest([0xab; 32]), epoch: Epoch::new(3, 1), first: 256, count: 44 };
        let subject = subject_of(&chunk);
        assert_eq!(read_subject(&subject), Some(chunk));
        for bad in [
            subject.to_uppercase(),
            subject.replace("3.1", "3.01"),
            subject.replace("256..300", "300..256"),
            subject.replace("256..300", "+256..300"),
            format!("{subject} "),
            subject.replace(' ', "  "),
            String::new(),
        ] {
            assert_eq!(read_subject(&bad), None, "{bad:?}");
        }
    }
}
