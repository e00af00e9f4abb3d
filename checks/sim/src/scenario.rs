//! What a seed decides: who takes part, which wallets, how plans look, and the weather.

use crate::cast::Crypto;
use crate::faults::Weather;
use perennial_model::wallet::Chain;
use perennial_workflow::driver::Tuning;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// How many signers there are, each as often as it stands here: a refresh by seven costs as much as ten by two.
const SIZES: [u64; 10] = [2, 2, 3, 3, 4, 4, 5, 5, 6, 7];

/// Which kind of run a seed is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The transparent group: everything is opened and checked.
    Transparent,
    /// Real identities and sealing; Ed25519 and Taproot wallets.
    Real,
    /// The same with ECDSA wallets, whose pairs cost half a second each, and one Ed25519 wallet.
    Ecdsa,
}

impl Kind {
    /// The word for it, as `--kind` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transparent => "transparent",
            Self::Real => "real",
            Self::Ecdsa => "ecdsa",
        }
    }
}

/// One run's circumstances.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// The kind of run.
    pub kind: Kind,
    /// What is signed and sealed with.
    pub crypto: Crypto,
    /// How many signers there are; all are in the committee.
    pub signers: usize,
    /// How many of them sign.
    pub threshold: u8,
    /// The wallets' chains, in the order of the plan.
    pub wallets: Vec<Chain>,
    /// How the driver is set.
    pub tuning: Tuning,
    /// How many refresh plans are made.
    pub plans: u32,
    /// What goes wrong.
    pub weather: Weather,
    /// The time between two signing requests, in milliseconds.
    pub order_every_ms: u64,
    /// Whether people change governance now and then.
    pub governance_changes: bool,
    /// Whether people have given a mandate, under which wallets are refreshed unattended.
    pub mandates: bool,
    /// Whether people call off plans now and then.
    pub cancels: bool,
    /// How long wallets are left to a weekly mandate alone, in milliseconds, in place of plans and weather. Everybody
    /// looks at the clock so much less often.
    pub unattended_ms: Option<u64>,
}

impl Scenario {
    /// What a seed decides.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5ce7_a110);
        let mut pick = |from: u64, to: u64| from + rng.next_u64() % (to - from + 1);
        let signers = match (kind, pick(0, 39)) {
            (Kind::Transparent, 0) => pick(8, 16),
            (Kind::Transparent, _) => SIZES[pick(0, SIZES.len() as u64 - 1) as usize],
            (Kind::Real, _) => pick(2, 5),
            (Kind::Ecdsa, _) => pick(2, 3),
        } as usize;
        let threshold = match pick(0, 2) {
            0 => 2,
            1 => (signers as u64).div_ceil(2).max(2),
            _ => pick(2, signers as u64),
        } as u8;
        // The few wallets on pair bases are in several chunks as often as in one: those wait for each other.
        let chunk_wallets = pick(1, if kind == Kind::Ecdsa { 2 } else { 8 }) as u32;
        let chunks = pick(1, 3);
        let count = match kind {
            Kind::Transparent => (u64::from(chunk_wallets) * chunks).min(16),
            Kind::Real => pick(2, 4),
            Kind::Ecdsa => pick(1, 3),
        };
        let wallets = match kind {
            Kind::Transparent => vec![Chain::Nowhere; count as usize],
            Kind::Real => {
                let half = (count / 2) as usize;
                [vec![Chain::Solana; half.max(1)], vec![Chain::BitcoinTest; half.max(1)]].concat()
            }
            // One without pair bases stands beside them in every plan.
            Kind::Ecdsa => [vec![Chain::Ethereum; count as usize], vec![Chain::Solana]].concat(),
        };
        let crypto = if kind == Kind::Transparent { Crypto::Transparent } else { Crypto::Real };
        let plans = match kind {
            // Each refresh of a large committee costs as much as thirty of a small one.
            Kind::Transparent if signers > 7 => pick(4, 8),
            Kind::Transparent => pick(30, 60),
            Kind::Real => pick(8, 14),
            Kind::Ecdsa => pick(2, 3),
        } as u32;
        let storm = pick(0, 9);
        let weather = weather(storm, signers, &mut pick);
        Self {
            seed,
            kind,
            crypto,
            signers,
            threshold,
            wallets,
            tuning: Tuning {
                chunk_wallets,
                session_ms: 1_500,
                opening_patience_ms: 1_200,
                patience_ms: pick(4_000, 9_000),
                busy_patience_ms: 15_000,
                ask_again_ms: pick(120, 400),
                ask_again_max_ms: 2_000,
                schedule_ms: 1_000,
                ..Tuning::default()
            },
            plans,
            weather,
            order_every_ms: pick(100, 800),
            governance_changes: pick(0, 3) == 0,
            mandates: pick(0, 9) == 0,
            cancels: pick(0, 7) == 0,
            unattended_ms: None,
        }
    }
}

impl Scenario {
    /// The same, left alone for so long, in milliseconds.
    pub fn unattended(self, unattended_ms: u64) -> Self {
        Self {
            weather: Weather::CALM,
            governance_changes: false,
            mandates: false,
            cancels: false,
            unattended_ms: Some(unattended_ms),
            ..self
        }
    }
}

fn weather(storm: u64, signers: usize, pick: &mut impl FnMut(u64, u64) -> u64) -> Weather {
    let mut upto = |most: u64| pick(most / 4, most) as u32;
    match storm {
        0 => Weather::CALM,
        // A bad network and reliable machines.
        1 | 2 => Weather {
            lost: upto(30_000),
            doubled: upto(350_000),
            delayed: upto(60_000),
            held: upto(250_000),
            ..Weather::CALM
        },
        // Dying machines on a good network.
        3 | 4 => Weather {
            signer_stop: upto(6_000),
            signer_cut: upto(10_000),
            coordinator_stop: upto(2_000),
            append_cut: upto(2_000),
            power_loss: upto(500),
            ..Weather::CALM
        },
        // Everything at once, and so much of it that few ceremonies go through; of a large committee none would.
        9 => Weather {
            lost: upto(if signers > 4 { 25_000 } else { 80_000 }),
            doubled: upto(400_000),
            delayed: upto(if signers > 4 { 80_000 } else { 250_000 }),
            held: upto(300_000),
            signer_stop: upto(6_000),
            signer_cut: upto(10_000),
            coordinator_stop: upto(1_500),
            append_cut: upto(1_500),
            power_loss: upto(300),
            signing_lost: upto(20_000),
            amnesia: 0,
            lies: 0,
        },
        // A little of everything, and now and then a dealer that lies.
        _ => Weather {
            lost: upto(8_000),
            doubled: upto(350_000),
            delayed: upto(30_000),
            held: upto(250_000),
            signer_stop: upto(3_000),
            signer_cut: upto(5_000),
            coordinator_stop: upto(1_500),
            append_cut: upto(1_500),
            power_loss: upto(300),
            signing_lost: 0,
            amnesia: if storm == 7 { upto(300_000) } else { 0 },
            lies: if storm == 8 { upto(40_000) } else { 0 },
        },
    }
}
