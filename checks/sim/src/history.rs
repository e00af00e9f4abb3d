//! What has been seen so far.

use crate::cast::Cast;
use crate::network::Lane;
use crate::signer::Signer;
use crate::violation::Violation;
use perennial_model::mail::Reply;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::session::SessionRequest;
use perennial_model::wallet::WalletId;
use perennial_workflow::driver::Settled;
use perennial_workflow::wallets::Heads;
use std::collections::BTreeSet;

/// What has been seen so far.
pub struct History {
    /// How many checks were made.
    pub checks: u64,
    /// When the last signatures were asked for.
    pub farewell_since_ms: Option<u64>,
    signed: BTreeSet<WalletId>,
}

#[allow(missing_docs, clippy::unused_self, clippy::needless_pass_by_ref_mut)]
impl History {
    pub fn new(_cast: &Cast) -> Self {
        Self { checks: 0, farewell_since_ms: None, signed: BTreeSet::new() }
    }
    pub fn look(&mut self, _: usize, _: &mut [Signer], _: u64) -> Result<(), Violation> {
        Ok(())
    }
    pub fn look_at_everything(&mut self, _: &mut [Signer], _: u64) -> Result<(), Violation> {
        Ok(())
    }
    pub fn hear(&mut self, n: usize, _: Lane, reply: &Reply, _: &[Signer]) -> Result<(), Violation> {
        if std::env::var("SIM_TRACE").is_ok() { eprintln!("s{n} {}", short(reply)); }
        Ok(())
    }
    pub fn settled(&mut self, _: &Settled) -> Result<(), Violation> {
        Ok(())
    }
    pub fn session_begins(&mut self, _: &SessionRequest) {}
    pub fn planned(&mut self, _: &Plan) {}
    pub fn started(&mut self, _: usize) {}
    pub fn signed(&mut self, wallet: &WalletId) {
        self.signed.insert(wallet.clone());
    }
    pub fn forget_signatures(&mut self) {
        self.signed.clear();
    }
    pub fn has_signed(&self, wallet: &WalletId) -> bool {
        self.signed.contains(wallet)
    }
    pub fn was_dropped(&self, _: &Chunk) -> bool {
        false
    }
    pub fn all_agree(&mut self, _: &[Signer], _: &Heads) -> Result<(), Violation> {
        Ok(())
    }
    pub fn now_and_then(&mut self, _: &[Signer], _: &Heads) -> Result<(), Violation> {
        Ok(())
    }
}
fn short(reply: &Reply) -> String {
    let text = format!("{reply:?}");
    text.chars().take(180).collect()
}
