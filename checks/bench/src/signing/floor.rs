//! What a signature and a refresh cannot do without on this machine, measured in the same run.

use crate::cpu;
use crate::fleet_core::rival::failed;
use crate::live::machine;
use anyhow::anyhow;
use dkls23_core::protocols::re_key::re_key;
use dkls23_core::protocols::signing::SignData;
use dkls23_core::protocols::{Parameters, PartyIndex};
use k256::{Scalar, Secp256k1};
use perennial_model::wallet::Scheme;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// What disk and loopback take here, in milliseconds.
#[derive(Clone, Copy)]
pub struct Hardware {
    /// 4 KiB made durable, with nothing else at the disk.
    pub sync_ms: f64,
    /// 4 KiB there and back.
    pub round_trip_ms: f64,
}

impl Hardware {
    /// Measures them, on the disk of this directory.
    pub fn measure(place: &Path) -> anyhow::Result<Self> {
        Ok(Self { sync_ms: machine::sync_ms(place)?, round_trip_ms: machine::round_trip_ms()? })
    }
}

/// The least that a signature takes at the API, in milliseconds.
///
/// Nothing that keeps the rules can be faster on this disk and with these engines. Two things have to be durable
/// one after the other: that the session began, before a signer's first message (both signers at once), and the
/// ledger's entry, before the signature is released. Signers listen on no port, so a message between them is two
/// hops over the coordinator; with the request, its way to the signers, the report and the answer, two rounds
/// (FROST) make eight hops, three rounds (ECDSA) ten: four and five round trips. For ECDSA the library's own phases
/// are added, at best half of what both parties take, since there are two processors; FROST's few multiplications,
/// TLS, HTTP, signatures of identities and the check of the result are left out.
pub fn signature_ms(scheme: Scheme, hardware: Hardware, library: Duration) -> f64 {
    let Hardware { sync_ms, round_trip_ms } = hardware;
    match scheme {
        Scheme::Ecdsa => 2.0 * sync_ms + 5.0 * round_trip_ms + library.as_secs_f64() * 1e3 / 2.0,
        _ => 2.0 * sync_ms + 4.0 * round_trip_ms,
    }
}

/// The least that the refresh of one wallet takes from its approval to its last receipt, in milliseconds.
///
/// Each of these has to be durable before the next begins: the approval; the one-time keys; the dealings; the new
/// shares, before Prepared is voted; the decision to activate; Activation at the signers; their Keep votes; the
/// decision to retire; the erasure. That is nine syncs. Seven of them lie at the signers, and dealings are published
/// only when all are promised, and a probe takes two rounds over the coordinator: opening, promising, dealing,
/// verifying, four hops of a probe with its request and its report (three round trips), activating, keeping,
/// retiring: ten round trips. Signers work at once; the curve operations of one wallet are left out.
pub fn refresh_ms(hardware: Hardware) -> f64 {
    9.0 * hardware.sync_ms + 10.0 * hardware.round_trip_ms
}

/// Threads that keep every processor busy at the lowest policy there is (SCHED_IDLE, see sched(7)).
///
/// No work beside signing that keeps the processors busy can disturb it less: whoever else wants a processor takes it
/// from these threads at once, and they touch neither disk nor memory. What signing takes longer beside them is the
/// price of a processor that does not sleep and of caches, and no priority of a ceremony's threads can mend it.
pub struct Idlers {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Idlers {
    /// Starts one thread for each processor; dropping this ends them.
    pub fn start() -> anyhow::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let idle = |over: Arc<AtomicBool>| {
            move || {
                machine::lower_this_thread_to_idle()?;
                while !over.load(Relaxed) {
                    std::hint::spin_loop();
                }
                Ok(())
            }
        };
        let count = std::thread::available_parallelism()?.get();
        let threads = (0..count).map(|_| std::thread::spawn(idle(over.clone()))).collect();
        Ok(Self { over, threads })
    }
}

impl Drop for Idlers {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            if let Ok(Err(error)) = thread.join() {
                eprintln!("work at idle priority was not at idle priority: {error:#}");
            }
        }
    }
}

/// Processor time of the library's four phases for both of two signers, on state that is at hand.
pub fn library_signs() -> anyhow::Result<Duration> {
    let parameters = Parameters::new(2, 3).map_err(|e| anyhow!("{e:?}"))?;
    let (parties, _) =
        re_key::<Secp256k1>(&parameters, b"bench", &Scalar::from(7_u64), None, |_| String::new());
    let data = |other: u8| {
        let counterparties = vec![PartyIndex::new(other).map_err(|e| anyhow!("{e:?}"))?];
        anyhow::Ok(SignData { sign_id: b"session".to_vec(), counterparties, message_hash: [9; 32] })
    };
    let (one, two, for_one, for_two) = (&parties[0], &parties[2], data(3)?, data(1)?);
    let sign = || {
        let (unique, kept, to_two) = one.sign_phase1(&for_one).map_err(failed)?;
        let (other_unique, other_kept, to_one) = two.sign_phase1(&for_two).map_err(failed)?;
        let first = one.sign_phase2(&for_one, unique, kept, &to_one).map_err(failed)?;
        let second = two.sign_phase2(&for_two, other_unique, other_kept, &to_two).map_err(failed)?;
        let (x, part) = one.sign_phase3(&for_one, first.0, first.1, &second.2).map_err(failed)?;
        let (_, other) = two.sign_phase3(&for_two, second.0, second.1, &first.2).map_err(failed)?;
        one.sign_phase4(&for_one, &x, &[part, other], true).map_err(failed)
    };
    cpu::try_least(20, sign)
}
