//! Three shipped keepers and the shipped driver in one thread: bytes in, bytes out, every step on the clock.

use super::cast::{Cast, name};
use super::founding::{FOUNDED_MS, Founded};
use super::memory::{Disk, Log};
use crate::cpu;
use anyhow::{Context as _, bail};
use perennial_custody::inbox;
use perennial_custody::keeper::{Keeper, Own, decline};
use perennial_custody::signing::Desk;
use perennial_model::committee::SignerId;
use perennial_model::encoding;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::{Action, BackupRule, LiarTolerance, Plan, PlannedWallet, ProbeRate, Profile};
use perennial_model::wallet::Tier;
use perennial_workflow::ceremony::status::Stage;
use perennial_workflow::driver::{Driver, Tuning, World};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use std::collections::BTreeMap;
use std::time::Duration;

/// A part of a refresh, as its cost is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Plan taken, one-time keys made.
    Open,
    /// Dealings made and published.
    Deal,
    /// Pair bases made.
    Pair,
    /// Dealings verified, shares stored, votes cast.
    Verify,
    /// Probes signed.
    Probe,
    /// Certificates checked, epochs served, Keep voted.
    Activate,
    /// Everything lower erased.
    Retire,
    /// The coordinator's share of it all.
    Coordinate,
}

impl Part {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Deal => "deal",
            Self::Pair => "pair",
            Self::Verify => "verify",
            Self::Probe => "probe",
            Self::Activate => "activate, keep",
            Self::Retire => "retire",
            Self::Coordinate => "coordinator",
        }
    }

    fn of(request: &Request) -> Self {
        match request {
            Request::Plan(_) | Request::Open { .. } => Self::Open,
            Request::Commit { .. } | Request::Deal { .. } => Self::Deal,
            Request::PairingMail(_) => Self::Pair,
            Request::Verify { .. } => Self::Verify,
            Request::Session(_) | Request::SessionMail(_) => Self::Probe,
            Request::Activate(_) | Request::Keep(_) => Self::Activate,
            Request::Retire(_) => Self::Retire,
            Request::Governance(_) | Request::Order(_) | Request::Checkpoint(_) => Self::Coordinate,
        }
    }
}

/// Processor time by part, all signers together.
pub type Costs = BTreeMap<Part, Duration>;

/// What the driver sees of the world: bytes for signers, made on the coordinator's time.
struct Outside {
    now_ms: u64,
    rng: ChaCha20Rng,
    outbox: Vec<(Part, Vec<SignerId>, Vec<u8>)>,
}

impl World for Outside {
    fn now_ms(&self) -> u64 {
        self.now_ms
    }

    fn rng(&mut self) -> &mut dyn CryptoRng {
        &mut self.rng
    }

    fn ask(&mut self, signers: &[SignerId], request: &Request) {
        self.outbox.push((Part::of(request), signers.to_vec(), encoding::encode(request)));
    }
}

struct Signer {
    own: Own,
    disk: Disk,
    desk: Desk,
    keeper: Option<Keeper>,
    rng: ChaCha20Rng,
}

/// A fleet with its signers and its coordinator.
pub struct Fleet {
    cast: Cast,
    signers: Vec<Signer>,
    driver: Driver<Log, Outside>,
    rank: u32,
}

impl Signer {
    fn start(own: &Own, mut disk: Disk, seed: u8) -> anyhow::Result<Self> {
        let mut desk = Desk::load(own.clone(), &mut disk)?;
        let saved = Keeper::load(own.clone(), FOUNDED_MS, &mut disk)?.save(&mut disk, &mut desk)?;
        let rng = ChaCha20Rng::from_seed([seed; 32]);
        Ok(Self { own: own.clone(), disk, desk, keeper: Some(saved.keeper), rng })
    }

    /// One request of the ceremonies' lane, from its bytes to the bytes of the answers.
    fn take(&mut self, now_ms: u64, bytes: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        let keeper = self.keeper.take().context("a signer that failed takes no mail")?;
        let mail = match inbox::open(bytes, &self.own.pinned, &keeper) {
            Ok(checked) => {
                let turn = keeper.handle(now_ms, &mut self.rng, checked);
                let mut saved = turn.save(&mut self.disk, &mut self.desk)?;
                let mut mail = saved.mail;
                while saved.keeper.can_go_on() {
                    let turn = saved.keeper.go_on(now_ms, &mut self.rng);
                    saved = turn.save(&mut self.disk, &mut self.desk)?;
                    mail.append(&mut saved.mail);
                }
                self.keeper = Some(saved.keeper);
                mail
            }
            Err(rejected) => {
                self.keeper = Some(keeper);
                vec![decline(rejected.about, &rejected.error)]
            }
        };
        Ok(mail.iter().map(encoding::encode).collect())
    }
}

impl Fleet {
    /// Starts everybody from what founding left.
    pub fn start(cast: Cast, founded: Founded) -> anyhow::Result<Self> {
        let signers = cast
            .owns
            .iter()
            .zip(founded.disks)
            .zip(1..)
            .map(|((own, disk), seed)| Signer::start(own, disk, seed))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let rng = ChaCha20Rng::from_seed([9; 32]);
        let outside = Outside { now_ms: FOUNDED_MS, rng, outbox: Vec::new() };
        let driver = Driver::boot(cast.history.clone(), Tuning::default(), founded.log, outside)?;
        Ok(Self { cast, signers, driver, rank: 1 })
    }

    /// Refreshes all wallets in one ceremony, one wallet per chunk probed, overlap zero.
    pub fn refresh(&mut self) -> anyhow::Result<Costs> {
        self.rank += 1;
        let plan = self.plan();
        let mut costs = Costs::new();
        let (outcome, spent) = cpu::spent(|| {
            let ceremony = self.driver.submit(plan)?;
            self.driver.approve(&ceremony, self.cast.approve(&ceremony)?)?;
            self.driver.settle()?;
            anyhow::Ok(ceremony)
        });
        let ceremony = outcome?;
        add(&mut costs, Part::Coordinate, spent);
        loop {
            let status = self.driver.status(&ceremony).context("the ceremony is known")?;
            if status.stage == Stage::Done {
                if status.wallets_retired != status.wallets {
                    bail!("{} of {} wallets were refreshed", status.wallets_retired, status.wallets);
                }
                return Ok(costs);
            }
            self.step(&mut costs)?;
        }
    }

    /// Delivers everything that is under way, there and back.
    fn step(&mut self, costs: &mut Costs) -> anyhow::Result<()> {
        let now_ms = self.driver.world().now_ms + 1;
        self.driver.world_mut().now_ms = now_ms;
        let outbox = std::mem::take(&mut self.driver.world_mut().outbox);
        if outbox.is_empty() {
            bail!("the ceremony waits for nothing and is not over");
        }
        let mut replies = Vec::new();
        for (part, to, bytes) in outbox {
            for signer in to {
                let number = self.cast.committee.signers().position(|known| *known == signer);
                let number = number.context("mail goes to members")?;
                let (answers, spent) = cpu::spent(|| self.signers[number].take(now_ms, &bytes));
                add(costs, part, spent);
                replies.extend(answers?.into_iter().map(|answer| (signer.clone(), answer)));
            }
        }
        let (outcome, spent) = cpu::spent(|| {
            for (from, bytes) in &replies {
                let reply: Reply = encoding::decode(bytes)?;
                if let Reply::Declined { reason, .. } = &reply {
                    bail!("{from} declined: {reason}");
                }
                self.driver.receive(from, reply);
            }
            let settled = self.driver.settle()?;
            match settled.objections.first() {
                Some((signer, error)) => bail!("{signer} was not believed: {error}"),
                None => Ok(()),
            }
        });
        add(costs, Part::Coordinate, spent);
        outcome
    }

    fn plan(&self) -> Plan {
        let heads = self.driver.heads().iter();
        let wallets =
            heads.map(|head| PlannedWallet::Held(head.wallet().id.clone(), head.present.digest)).collect();
        let now_ms = self.driver.world().now_ms;
        Plan {
            action: Action::Refresh,
            tenant: name("acme"),
            tier: Tier::Standard,
            wallets,
            rank: self.rank,
            attempts: 1,
            committee: self.cast.committee.clone(),
            liar_tolerance: LiarTolerance::Required,
            profile: Profile::Planned { overlap_ms: 0 },
            not_before_ms: now_ms,
            expiry_ms: now_ms + 3_600_000,
            activation_deadline_ms: now_ms + 7_200_000,
            probe_rate: ProbeRate::OnePerChunk,
            backup_rule: BackupRule::CommitteeOnly,
            policy: None,
            governance: encoding::digest(&*self.cast.governance),
            initiator: name("otto"),
            nonce: perennial_model::encoding::Digest::of(&self.rank.to_be_bytes()),
            mandate: None,
        }
    }
}

fn add(costs: &mut Costs, part: Part, spent: Duration) {
    *costs.entry(part).or_default() += spent;
}
