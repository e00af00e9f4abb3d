//! What the loop that runs ceremonies has of the world: the time, chance, and mail that waits for the commit.
//!
//! It sends nothing itself. What the loop asks for is kept until the facts behind it are durable, and then
//! taken by [`World::take`]; if they never become durable, it is forgotten with the loop.

use getrandom::SysRng;
use perennial_model::committee::SignerId;
use perennial_model::encoding;
use perennial_model::mail::Request;
use rand_core::{CryptoRng, UnwrapErr};
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's clock, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The system's randomness. It panics if the system has none to give, as no key or name can be made then.
pub fn system_rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// One request on its way to several signers.
#[derive(Debug)]
pub struct Mail {
    /// To whom.
    pub signers: Vec<SignerId>,
    /// The canonical bytes of the request.
    pub bytes: Vec<u8>,
}

/// Clock, randomness and mail of the loop.
#[derive(Debug)]
pub struct World {
    rng: UnwrapErr<SysRng>,
    waiting: Vec<Mail>,
}

impl World {
    /// A world in which no mail waits.
    pub fn new() -> Self {
        Self { rng: system_rng(), waiting: Vec::new() }
    }

    /// Whether mail waits.
    pub fn has_mail(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The mail that waits. Only for whoever has made everything durable that it depends on.
    pub fn take(&mut self) -> Vec<Mail> {
        std::mem::take(&mut self.waiting)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl perennial_workflow::World for World {
    fn now_ms(&self) -> u64 {
        now_ms()
    }

    fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut self.rng
    }

    fn ask(&mut self, signers: &[SignerId], request: &Request) {
        // Mail between signers was handed on when it came; the loop hears of it as a sign of life.
        if matches!(request, Request::SessionMail(_) | Request::PairingMail(_)) {
            return;
        }
        self.waiting.push(Mail { signers: signers.to_vec(), bytes: encoding::encode(request) });
    }
}
