//! Somebody who copies signers' directories before each refresh, and what those copies are worth afterwards.
//!
//! Everything is computed from the scalars by `perennial-autopsy`, a program of its own. A signer that refuses to
//! sign is no proof and is not asked.

use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::process::run;
use perennial_model::committee::SignerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Whoever keeps the copies.
pub struct Thief {
    place: PathBuf,
    cluster: Cluster,
    signers: Vec<SignerId>,
    copies: u32,
    threshold: usize,
}

/// Where the share is that was damaged on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// None was.
    None,
    /// In one of the copies; it has been replaced since.
    Copied,
    /// In its signer's directory today.
    Present,
}

/// What the copies are worth.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// Which shares were mixed, such as `a(old)+b(new)`.
    pub mixed: String,
    /// How many wallets' keys the mixture makes. It should be none.
    pub mixed_keys: usize,
    /// Which shares of one epoch were combined, such as `a(old)+b(old)`.
    pub old: String,
    /// How many wallets' keys they make. It should be all: that is why the old ones have to be erased.
    pub old_keys: usize,
    /// How many wallets were looked at in both.
    pub wallets: usize,
    /// Shares in all copies.
    pub copied_shares: usize,
    /// How many of them opened where they were copied, with the slots copied with them.
    pub opened_then: usize,
    /// How many of them were damaged on purpose before they were copied.
    pub damaged: usize,
    /// Shares in the signers' directories today.
    pub present_shares: usize,
    /// How many of them open.
    pub present_opened: usize,
    /// How many of them were damaged on purpose and not yet replaced.
    pub present_damaged: usize,
    /// How many of them open with what is in the signers' directories today.
    pub opened_today: usize,
    /// How many shares of replaced epochs are in the signers' records today.
    pub old_epochs_held_today: usize,
    /// Secrets in the copies that were searched for in all that the cluster's directory holds today.
    pub needles: usize,
    /// How many of those were found in any file of the cluster, in whichever form.
    pub needles_found: usize,
}

impl Proof {
    /// Whether everything is as it should be.
    pub fn holds(&self) -> bool {
        self.wallets > 0
            && self.mixed_keys == 0
            && self.old_keys == self.wallets
            && self.opened_then + self.damaged == self.copied_shares
            && self.present_shares > 0
            && self.present_opened + self.present_damaged == self.present_shares
            && self.old_shares_dead()
    }

    /// Whether nothing of the replaced epochs can be opened today.
    pub fn old_shares_dead(&self) -> bool {
        self.opened_then > 0
            && self.opened_today == 0
            && self.old_epochs_held_today == 0
            && self.needles > 0
            && self.needles_found == 0
    }
}

#[derive(Deserialize)]
struct Opened {
    held: usize,
    opened: usize,
    shares: Vec<Share>,
}

#[derive(Deserialize)]
struct Share {
    wallet: String,
    epoch: [u32; 2],
}

#[derive(Deserialize)]
struct Combined {
    keys: usize,
    wallets: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Needles {
    needles: usize,
}

#[derive(Deserialize)]
struct Scanned {
    hits: Vec<serde_json::Value>,
}

impl Thief {
    /// A thief with an empty place for copies, which nobody else may enter.
    pub fn new(place: PathBuf, cluster: &Cluster, signers: &[SignerId], threshold: u8) -> Self {
        Self {
            place,
            cluster: cluster.clone(),
            signers: signers.to_vec(),
            copies: 0,
            threshold: threshold.into(),
        }
    }

    /// Copies every signer's directory while the signer works.
    ///
    /// # Errors
    /// When a copy does not come out whole.
    pub fn copy(&mut self) -> Result<(), Failure> {
        self.copy_all(&self.place.join(format!("before-{}", self.copies + 1)))?;
        self.copies += 1;
        Ok(())
    }

    /// What the copies are worth today, knowing where a share was damaged.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn prove(&self, damage: Damage) -> Result<Proof, Failure> {
        let today = self.place.join("today");
        self.copy_all(&today)?;
        let some = &self.signers[..self.threshold];
        let old: Vec<PathBuf> = some.iter().map(|signer| self.copied(1, signer)).collect();
        let mut mixed = old.clone();
        if let (Some(last), Some(signer)) = (mixed.last_mut(), some.last()) {
            *last = today.join(signer.as_str());
        }
        let (old_combined, mixed_combined) = (combine(&old)?, combine(&mixed)?);
        let mut proof = Proof {
            mixed: shown(some, Last::New),
            mixed_keys: mixed_combined.keys,
            old: shown(some, Last::Old),
            old_keys: old_combined.keys,
            wallets: old_combined.wallets.len().min(mixed_combined.wallets.len()),
            copied_shares: 0,
            opened_then: 0,
            damaged: usize::from(damage == Damage::Copied),
            present_shares: 0,
            present_opened: 0,
            present_damaged: usize::from(damage == Damage::Present),
            opened_today: 0,
            old_epochs_held_today: 0,
            needles: 0,
            needles_found: 0,
        };
        let mut needles = Vec::new();
        for signer in &self.signers {
            needles.extend(self.examine(signer, &today.join(signer.as_str()), &mut proof)?);
        }
        let mut arguments: Vec<&OsStr> =
            vec!["scan".as_ref(), "--dir".as_ref(), self.cluster.directory.as_ref(), "--needles".as_ref()];
        arguments.extend(needles.iter().map(|path| path.as_os_str()));
        proof.needles_found = ask::<Scanned>(&arguments)?.hits.len();
        Ok(proof)
    }

    /// Holds every copy of one signer against a copy of today's directory. Gives the files of the secrets that
    /// were in the copies.
    fn examine(&self, signer: &SignerId, today: &Path, proof: &mut Proof) -> Result<Vec<PathBuf>, Failure> {
        let (mut replaced, mut files) = (BTreeSet::new(), Vec::new());
        for copy in 1..=self.copies {
            let copied = self.copied(copy, signer);
            let then = open(&copied, &copied)?;
            proof.copied_shares += then.held;
            proof.opened_then += then.opened;
            proof.opened_today += open(&copied, today)?.opened;
            replaced.extend(then.shares.into_iter().map(|share| (share.wallet, share.epoch)));
            let file = self.place.join(format!("needles-{copy}-{signer}"));
            let said =
                ["needles".as_ref(), "--dir".as_ref(), copied.as_os_str(), "--out".as_ref(), file.as_ref()];
            proof.needles += ask::<Needles>(&said)?.needles;
            files.push(file);
        }
        let present = open(today, today)?;
        proof.present_shares += present.held;
        proof.present_opened += present.opened;
        let held = present.shares.into_iter().map(|share| (share.wallet, share.epoch));
        proof.old_epochs_held_today += held.filter(|share| replaced.contains(share)).count();
        Ok(files)
    }

    fn copy_all(&self, to: &Path) -> Result<(), Failure> {
        let made = DirBuilder::new().mode(0o700).create(to);
        made.map_err(|e| Failure::file("make", to, &e))?;
        for signer in &self.signers {
            let (from, to) = (self.cluster.signer(signer.as_str()), to.join(signer.as_str()));
            let said = ["copy".as_ref(), "--from".as_ref(), from.as_os_str(), "--to".as_ref(), to.as_ref()];
            ask::<serde_json::Value>(&said)?;
        }
        Ok(())
    }

    fn copied(&self, copy: u32, signer: &SignerId) -> PathBuf {
        self.place.join(format!("before-{copy}")).join(signer.as_str())
    }
}

/// Of which age the last share of a mixture is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    New,
    Old,
}

/// `a(old)+b(new)`
fn shown(signers: &[SignerId], last: Last) -> String {
    let end = signers.len().saturating_sub(1);
    let age = |at: usize| if last == Last::New && at == end { "new" } else { "old" };
    let parts: Vec<String> =
        signers.iter().enumerate().map(|(at, signer)| format!("{signer}({})", age(at))).collect();
    parts.join("+")
}

fn open(records: &Path, keys: &Path) -> Result<Opened, Failure> {
    ask(&["open".as_ref(), "--dir".as_ref(), records.as_os_str(), "--keys-of".as_ref(), keys.as_ref()])
}

fn combine(directories: &[PathBuf]) -> Result<Combined, Failure> {
    let mut arguments: Vec<&OsStr> = vec!["combine".as_ref(), "--dirs".as_ref()];
    arguments.extend(directories.iter().map(|path| path.as_os_str()));
    ask(&arguments)
}

fn ask<T: serde::de::DeserializeOwned>(arguments: &[&OsStr]) -> Result<T, Failure> {
    let said = run("perennial-autopsy", arguments)?;
    serde_json::from_str(&said).map_err(|e| {
        Failure::local(
            format!("perennial-autopsy said something unexpected: {e}"),
            "use programs of one release",
        )
    })
}
