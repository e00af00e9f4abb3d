//! L1, every ceremony comes to an end, and L2, signing goes on.
//!
//! **L1.** On a healed network every attempt is retired or left by its last date; or it stays activated beside its
//! parent, because a holder dropped its candidate by date before the Activation reached it, or because an attempt that
//! stands on the same pair bases does so or was given up (ADR 0006). And a further plan for every wallet goes through at
//! once.
//!
//! **L2.** A request is answered. A session of it may fail for three reasons: a fault of the world hit it (a signer
//! of it was down or died in it, or a message of it was lost); its epoch stopped being served while it ran; a signer
//! of it does not hold the epoch that others activated. The last two are the ceremony's doing. Each happens at most
//! once in a row, and each is said by a report, not by silence: after the first the wallet's newer epoch is there,
//! after the second its parent, and the route takes it. So two sessions in a row may fail by a ceremony's doing, never
//! a third, and none of them by running out of time; the next one is lost to a fault or signs. A request fails only if
//! so many of its sessions were lost to faults that no more than two in a row are left to a ceremony: at least two of
//! six, each of which would have signed. A request that no fault hit is answered within
//! [`ANSWER_MS`]: three sessions of at most seven hops of 10 ms each way, with room for links that wait their turn.

use crate::load::{Ended, Wanted};
use crate::violation::{Invariant, Violation};

/// A request that no fault hit is answered within this time, in milliseconds.
pub const ANSWER_MS: u64 = 600;

/// How many sessions of one request in a row may fail by a ceremony's doing.
pub const BY_CEREMONY_MAX: u32 = 2;

/// A request that is over lost no more sessions than faults and one ceremony can explain, and none of its time.
pub fn l2_signing_goes_on(number: u64, wanted: &Wanted, ended: &Ended, now_ms: u64) -> Result<(), Violation> {
    let wallet = &wanted.wallet.id;
    let broken = |what: String| Err(Violation::new(Invariant::L2SignsOn, what));
    let lost = &wanted.unexplained_most;
    if lost.len() > BY_CEREMONY_MAX as usize {
        return broken(format!(
            "request {number} for {wallet} lost {} sessions in a row that no fault hit, at most {BY_CEREMONY_MAX} \
             may be: {}",
            lost.len(),
            lost.join("; ")
        ));
    }
    match ended {
        Ended::Signed { .. } => {
            let took_ms = now_ms - wanted.since_ms;
            if wanted.interrupted == 0 && wanted.hits == 0 && took_ms > ANSWER_MS {
                return broken(format!(
                    "request {number} for {wallet} took {took_ms} ms although no fault hit it"
                ));
            }
            Ok(())
        }
        Ended::GivenUp(given_up)
            if wanted.hits == 0 || (wanted.hits + 1) * BY_CEREMONY_MAX + wanted.hits < given_up.tries =>
        {
            broken(format!(
                "request {number} for {wallet} failed, with {} of its sessions hit by faults: {given_up}",
                wanted.hits
            ))
        }
        Ended::GivenUp(_) => Ok(()),
    }
}

/// A session that no fault hit does not end by silence.
pub fn l2_nobody_waits(number: u64, wanted: Option<&Wanted>) -> Violation {
    let wallet = wanted.map(|wanted| wanted.wallet.id.to_string()).unwrap_or_default();
    let what = format!("a session of request {number} for {wallet} ran out of time, and no fault hit it");
    Violation::new(Invariant::L2SignsOn, what)
}
