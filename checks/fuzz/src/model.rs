//! Feeds the canonical decoder with documents of every kind that crosses a wire.

use crate::Verdict;
use perennial_model::encoding::{Document, decode, digest, encode};
use perennial_model::wallet::{Chain, Tier, Wallet};
use std::fmt::Debug;

/// A document of whichever kind its label names: what is accepted is written back byte for byte, and by one kind.
pub fn document(bytes: &[u8]) -> Verdict {
    let accepted =
        [read::<Wallet>(bytes)].into_iter().filter(|verdict| *verdict == Verdict::Accepted).count();
    assert!(accepted <= 1, "bytes were accepted as two kinds of document");
    if accepted == 1 { Verdict::Accepted } else { Verdict::Refused }
}

/// One document of each kind.
pub fn samples() -> Vec<Vec<u8>> {
    vec![encode(&wallet())]
}

fn wallet() -> Wallet {
    Wallet {
        id: "treasury".parse().expect("the sample is a name"),
        tenant: "acme".parse().expect("the sample is a name"),
        tier: Tier::Standard,
        chain: Chain::Ethereum,
    }
}

fn read<D: Document + Debug>(bytes: &[u8]) -> Verdict {
    let decoded = decode::<D>(bytes);
    match &decoded {
        Ok(document) => {
            assert_eq!(encode(document), bytes, "a {} has two written forms", D::KIND);
            assert_eq!(
                digest(document),
                perennial_model::encoding::Digest::of(bytes),
                "a digest is not of the bytes"
            );
            assert!(!format!("{document:?}").is_empty(), "a {} cannot be shown", D::KIND);
        }
        Err(malformed) => assert!(!malformed.to_string().is_empty(), "a refusal without a reason"),
    }
    Verdict::of(&decoded)
}
