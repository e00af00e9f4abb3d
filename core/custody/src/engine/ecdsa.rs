//! Threshold ECDSA.

use super::{Common, EngineError, Outgoing, Step};
use crate::pairing::PairState;
use crate::share::Share;
use perennial_model::committee::Seat;
use std::collections::BTreeMap;

pub(super) struct Ecdsa;

impl Ecdsa {
    pub(super) fn begin(
        _: &Common,
        _: &Share,
        _: BTreeMap<Seat, PairState>,
    ) -> Result<(Self, Outgoing), EngineError> {
        Err(EngineError::Bug("ECDSA is not built".into()))
    }

    pub(super) fn advance(
        self,
        _: &Common,
        _: u8,
        _: &BTreeMap<Seat, Vec<u8>>,
    ) -> Result<Step<Self>, EngineError> {
        Err(EngineError::Bug("ECDSA is not built".into()))
    }
}
