//! One signer's process around the shipped keeper and desk: requests in, replies out, everything saved between.
//! It does what the daemon's loop does, and no more.

use crate::disk::{Damage, Disk};
use crate::network::Lane;
use perennial_custody::inbox::{self, Checked};
use perennial_custody::keeper::{Keeper, LoadFailed, Own, decline};
use perennial_custody::signing::{Desk, DeskTurn};
use perennial_custody::store::StoreFailed;
use perennial_custody::turn::Turn;
use perennial_model::certificate::Certificate;
use perennial_model::mail::Reply;
use perennial_model::wallet::WalletId;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Mail that may leave.
#[derive(Debug, Default)]
pub struct Mail {
    /// On the ceremonies' lane.
    pub ceremony: Vec<Reply>,
    /// On the signing lane.
    pub signing: Vec<Reply>,
}

/// How a process dies when its power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// The process alone: what it wrote is in the machine's cache.
    Process,
    /// The machine: what was not synced is at risk.
    Power,
}

struct Process {
    keeper: Option<Keeper>,
    desk: Desk,
    rng: ChaCha8Rng,
}

/// One signer.
pub struct Signer {
    /// Its identity, wrapping key and what it trusts.
    pub own: Own,
    /// Its disk.
    pub disk: Disk,
    /// How many times it was started.
    pub starts: u32,
    /// By how much its clock is ahead of the world's, in milliseconds.
    pub clock_ahead_ms: u64,
    process: Option<Process>,
    seeds: ChaCha8Rng,
}

impl Signer {
    /// A signer with an empty disk that has not been started.
    pub fn new(own: Own, seed: u64, clock_ahead_ms: u64) -> Self {
        let seeds = ChaCha8Rng::seed_from_u64(seed);
        Self { own, disk: Disk::new(seed ^ 0xd15c), starts: 0, clock_ahead_ms, process: None, seeds }
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// What its desk serves of a wallet, newest first.
    pub fn served(
        &self,
        wallet: &WalletId,
    ) -> Vec<(perennial_model::epoch::Epoch, perennial_model::encoding::Digest)> {
        self.process.as_ref().map(|process| process.desk.served(wallet).collect()).unwrap_or_default()
    }

    /// Its keeper, while it runs.
    pub fn keeper(&self) -> Option<&Keeper> {
        self.process.as_ref()?.keeper.as_ref()
    }

    /// Its time.
    pub fn clock_ms(&self, now_ms: u64) -> u64 {
        now_ms + self.clock_ahead_ms
    }

    /// Starts the process from what is on disk.
    ///
    /// # Errors
    /// [`LoadFailed`]: a disk that gave out again, or records that the signer cannot use, which is a bug.
    pub fn start(&mut self, now_ms: u64) -> Result<Mail, LoadFailed> {
        self.starts += 1;
        let now_ms = self.clock_ms(now_ms);
        let mut desk = Desk::load(self.own.clone(), &mut self.disk)?;
        let turn = Keeper::load(self.own.clone(), now_ms, &mut self.disk)?;
        let saved = turn.save(&mut self.disk, &mut desk)?;
        let rng = ChaCha8Rng::seed_from_u64(self.seeds.next_u64());
        self.process = Some(Process { keeper: Some(saved.keeper), desk, rng });
        Ok(Mail { ceremony: saved.mail, signing: Vec::new() })
    }

    /// Takes one request.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process is dead.
    pub fn take(&mut self, now_ms: u64, lane: Lane, bytes: &[u8]) -> Result<Mail, StoreFailed> {
        let now_ms = self.clock_ms(now_ms);
        let Some(process) = self.process.as_mut() else { return Ok(Mail::default()) };
        let Some(keeper) = process.keeper.as_ref() else { return Ok(Mail::default()) };
        let mut mail = Mail::default();
        let result = match inbox::open(bytes, &keeper.own().pinned, keeper) {
            Err(rejected) => {
                let replies = match lane {
                    Lane::Ceremony => &mut mail.ceremony,
                    Lane::Signing => &mut mail.signing,
                };
                replies.push(decline(rejected.about, &rejected.error));
                Ok(())
            }
            Ok(checked) => match lane {
                Lane::Ceremony => process.keep(&mut self.disk, now_ms, checked, &mut mail),
                Lane::Signing => process.sign(&mut self.disk, now_ms, checked, &mut mail),
            },
        };
        self.alive_after(result, mail)
    }

    /// Looks at the clock.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process is dead.
    pub fn tick(&mut self, now_ms: u64) -> Result<Mail, StoreFailed> {
        let now_ms = self.clock_ms(now_ms);
        let Some(process) = self.process.as_mut() else { return Ok(Mail::default()) };
        let mut mail = Mail::default();
        let result = match process.keeper.take() {
            Some(keeper) => process.save(&mut self.disk, keeper.tick(now_ms), &mut mail),
            None => Ok(()),
        };
        let result = result.and_then(|()| process.tick_desk(&mut self.disk, now_ms, &mut mail));
        self.alive_after(result, mail)
    }

    /// Whether a chunk waits for a turn of its own.
    pub fn can_go_on(&self) -> bool {
        self.keeper().is_some_and(Keeper::can_go_on)
    }

    /// Takes up one chunk that waits for a turn of its own, if any does.
    ///
    /// # Errors
    /// [`StoreFailed`]: the process is dead.
    pub fn go_on(&mut self, now_ms: u64) -> Result<Mail, StoreFailed> {
        let now_ms = self.clock_ms(now_ms);
        let Some(process) = self.process.as_mut() else { return Ok(Mail::default()) };
        let Some(keeper) = process.keeper.take() else { return Ok(Mail::default()) };
        let mut mail = Mail::default();
        let turn = keeper.go_on(now_ms, &mut process.rng);
        let result = process.save(&mut self.disk, turn, &mut mail);
        self.alive_after(result, mail)
    }

    /// The process dies.
    pub fn die(&mut self, death: Death) -> Damage {
        self.process = None;
        match death {
            Death::Process => {
                self.disk.abandon();
                Damage::default()
            }
            Death::Power => self.disk.cut(),
        }
    }

    fn alive_after(&mut self, result: Result<(), StoreFailed>, mail: Mail) -> Result<Mail, StoreFailed> {
        match result {
            Ok(()) => Ok(mail),
            Err(failed) => {
                self.process = None;
                Err(failed)
            }
        }
    }
}

impl Process {
    fn keep(
        &mut self,
        disk: &mut Disk,
        now_ms: u64,
        checked: Checked,
        mail: &mut Mail,
    ) -> Result<(), StoreFailed> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        let turn = keeper.handle(now_ms, &mut self.rng, checked);
        self.save(disk, turn, mail)?;
        self.tick_desk(disk, now_ms, mail)
    }

    fn sign(
        &mut self,
        disk: &mut Disk,
        now_ms: u64,
        checked: Checked,
        mail: &mut Mail,
    ) -> Result<(), StoreFailed> {
        let turn = self.desk.handle(now_ms, &mut self.rng, checked);
        for certificate in self.save_desk(disk, turn, mail)? {
            if let Some(keeper) = self.keeper.take() {
                let turn = keeper.learn(now_ms, &mut self.rng, certificate);
                self.save(disk, turn, mail)?;
            }
        }
        self.tick_desk(disk, now_ms, mail)
    }

    fn save(&mut self, disk: &mut Disk, turn: Turn, mail: &mut Mail) -> Result<(), StoreFailed> {
        let saved = turn.save(disk, &mut self.desk)?;
        mail.ceremony.extend(saved.mail);
        self.keeper = Some(saved.keeper);
        Ok(())
    }

    fn tick_desk(&mut self, disk: &mut Disk, now_ms: u64, mail: &mut Mail) -> Result<(), StoreFailed> {
        let turn = self.desk.tick(now_ms, &mut self.rng);
        self.save_desk(disk, turn, mail).map(drop)
    }

    fn save_desk(
        &mut self,
        disk: &mut Disk,
        turn: DeskTurn,
        mail: &mut Mail,
    ) -> Result<Vec<Certificate>, StoreFailed> {
        let saved = turn.save(disk)?;
        mail.signing.extend(saved.mail);
        for counterparty in saved.bans {
            if let Some(keeper) = self.keeper.take() {
                self.save(disk, keeper.exclude(&counterparty), mail)?;
            }
        }
        Ok(saved.activations)
    }
}
