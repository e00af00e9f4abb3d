//! What a fleet's refresh takes of the processors whatever carries its messages: the ceiling of its rate.

use crate::cpu;
use crate::fleet_core::floor;
use crate::live::api::Probe;
use crate::signing::floor::library_signs;
use anyhow::bail;
use perennial_custody::pairing::{Setup, SetupProgress, SetupTerms, Side};
use perennial_model::encoding::Digest;
use perennial_model::plan::CHUNK_WALLETS_MAX;
use perennial_model::wallet::Scheme;
use perennial_model::with_group;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::time::Duration;

/// How many pairs three signers make.
const PAIRS: f64 = 3.0;
/// How many pairs probe each wallet of three holders, if all are probed.
const GROUPS: f64 = 2.0;

/// Processor time, in seconds.
pub struct Needs {
    /// The curve operations of a wallet's shares.
    curve: f64,
    ecdsa: Option<Ecdsa>,
}

struct Ecdsa {
    /// Both sides of one pair base.
    base: f64,
    /// Both signers' phases of one signature, in the library.
    signature: f64,
}

impl Needs {
    /// Measures them.
    pub fn measure(scheme: Scheme) -> anyhow::Result<Self> {
        let rng = &mut ChaCha20Rng::from_seed([3; 32]);
        let curve = with_group!(scheme, G => floor::per_wallet::<G>(rng)).as_secs_f64();
        let ecdsa = match scheme {
            Scheme::Ecdsa => {
                let base = pair_base(rng)?.as_secs_f64();
                Some(Ecdsa { base, signature: library_signs()?.as_secs_f64() })
            }
            _ => None,
        };
        Ok(Self { curve, ecdsa })
    }

    /// What the refresh of so many wallets takes for each. Nothing that keeps the rules can take less with this engine
    /// and with pair bases that are made as they are made here: every pair of signers makes a fresh one for the ceremony;
    /// of each chunk every pair probes one wallet, and if every wallet is probed, each takes as many signatures as it
    /// takes for every holder to sign.
    pub fn per_wallet(&self, count: u32, probe: Probe) -> f64 {
        let Some(Ecdsa { base, signature }) = &self.ecdsa else { return self.curve };
        let (count, chunks) = (f64::from(count), f64::from(count.div_ceil(CHUNK_WALLETS_MAX)));
        let signatures = match probe {
            Probe::OnePerChunk => PAIRS * chunks,
            Probe::Every => PAIRS * chunks + GROUPS * (count - chunks),
        };
        self.curve + (PAIRS * base + signatures * signature) / count
    }

    /// What is counted.
    pub fn what(&self) -> &'static str {
        match self.ecdsa {
            Some(_) => "all processors: curve operations, pair bases, the library signing",
            None => "all processors: curve operations",
        }
    }
}

/// Processor time of both sides of a pair base, as signers make it.
fn pair_base(rng: &mut ChaCha20Rng) -> anyhow::Result<Duration> {
    let terms = |side| SetupTerms { context: Digest::default(), generation: 1, side };
    let make = || {
        let (mut one, mut to_two) = Setup::begin(terms(Side::First), rng);
        let (mut two, mut to_one) = Setup::begin(terms(Side::Second), rng);
        loop {
            match (one.advance(&to_one, rng)?, two.advance(&to_two, rng)?) {
                (
                    SetupProgress::Continue { setup: first, outgoing: from_one },
                    SetupProgress::Continue { setup: second, outgoing: from_two },
                ) => (one, two, to_two, to_one) = (first, second, from_one, from_two),
                (SetupProgress::Done(_), SetupProgress::Done(_)) => return Ok(()),
                _ => bail!("one side of a pair base was done before the other"),
            }
        }
    };
    cpu::try_least(3, make)
}
