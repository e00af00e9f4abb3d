//! What a holder says of a dealer whose sub-shares are bad. No secret leaves with it.

use crate::committee::SignerId;
use crate::encoding::{Digest, Document};
use crate::plan::Chunk;
use minicbor::{Decode, Encode};

/// What was wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
#[cbor(index_only)]
pub enum Fault {
    /// The ciphertext does not open with the one-time key and the context of this attempt.
    #[n(0)]
    DoesNotOpen,
    /// A sub-share is no scalar, or there are too few or too many.
    #[n(1)]
    NotScalars,
    /// A sub-share does not lie on the committed polynomial.
    #[n(2)]
    OffPolynomial,
}

/// A signed refusal of one dealer in one attempt. The refused pair holds a faulty party: which one, others
/// cannot tell.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Refusal {
    /// The chunk.
    #[n(0)]
    pub chunk: Chunk,
    /// The digest of the attempt's inputs.
    #[n(1)]
    pub inputs: Digest,
    /// The dealer refused.
    #[n(2)]
    pub dealer: SignerId,
    /// Why.
    #[n(3)]
    pub fault: Fault,
}

impl Document for Refusal {
    const KIND: &'static str = "refusal";
}
