//! The pair base.

/// The state of one pair of signers for one wallet and epoch.
#[derive(Debug)]
pub struct PairState {
    _private: (),
}
