//! The steps of a ceremony at one signer, in their order: a plan comes, [`open`], [`deal`], [`verify`] and
//! prepare, probe, [`activate`], keep and erase. Each is a few methods of the keeper.

mod activate;
mod deal;
mod mandated;
mod one_key;
mod open;
pub(crate) mod pairs;
mod verify;
