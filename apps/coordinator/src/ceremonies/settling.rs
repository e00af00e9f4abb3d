//! One boot's worth of the loop: collect orders, settle, commit when something waits for it, release.

use super::{
    Booted, COMMIT_WITHIN, HeadNews, LOOK_EVERY, LOOK_NOT_BEFORE, Loop, Order, Parts, Refusal, TOGETHER_MAX,
};
use crate::journal::SharedFactLog;
use crate::mailbox::{Lane, SignersByPin};
use crate::post::Outbox;
use crate::store::StoreError;
use crate::trusted::Trusted;
use crate::view::Decrees;
use crate::world::now_ms;
use perennial_model::encoding::Digest;
use perennial_model::error::Error;
use perennial_model::governance::history::ApprovedGovernance;
use perennial_model::theft::Finding;
use perennial_workflow::ceremony::status::Count;
use perennial_workflow::driver::Settled;
use perennial_workflow::journal::Note;
use perennial_workflow::wallets::HeadChange;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Runs the loop until it is told to stop.
///
/// # Errors
/// When the journal fails. Whoever waits for an answer has it.
pub(super) fn settle_until_stopped(
    parts: &Parts,
    booted: &mut Booted,
    orders: &Receiver<Order>,
) -> Result<(), StoreError> {
    let Booted { driver, log } = booted;
    let mut held = Held::new(driver);
    loop {
        let ended = held.collect(&parts.outbox, driver, orders);
        held.govern(parts, driver, log);
        let done = match driver.settle() {
            Ok(settled) => held.take_in(log, settled).or_release(parts, driver, log, ended),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            held.refuse(&Refusal::StandingStill(error.to_string()));
            return Err(error);
        }
        if ended == Ended::Yes {
            return Ok(());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

/// What is held back until the next commit.
struct Held {
    /// Ceremonies that are not over, as far as is known.
    open: BTreeSet<Digest>,
    settled: Settled,
    submitted: Vec<(Digest, oneshot::Sender<Result<Digest, Refusal>>)>,
    approved: Vec<(Count, oneshot::Sender<Result<Count, Refusal>>)>,
    governing: Vec<(ApprovedGovernance, oneshot::Sender<Result<(), Refusal>>)>,
    decreed: Vec<(Digest, oneshot::Sender<Result<Digest, Refusal>>)>,
    /// When a commit for which nothing waits is due.
    commit_at: Option<Instant>,
    looked_at: Instant,
}

impl Held {
    fn new(driver: &Loop) -> Self {
        let open = driver.ceremonies().into_iter().filter(|digest| driver.ceremony(digest).is_some());
        Self {
            open: open.collect(),
            settled: Settled::default(),
            submitted: Vec::new(),
            approved: Vec::new(),
            governing: Vec::new(),
            decreed: Vec::new(),
            commit_at: None,
            looked_at: Instant::now(),
        }
    }

    /// Waits for orders, or until the loop has to look at everything, and passes on what came.
    fn collect(&mut self, outbox: &Outbox, driver: &mut Loop, orders: &Receiver<Order>) -> Ended {
        let look_at = self.look_at(driver);
        let until = self.commit_at.map_or(look_at, |commit_at| commit_at.min(look_at));
        let first = match orders.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ended::Yes,
        };
        if Instant::now() >= look_at {
            self.looked_at = Instant::now();
            // What signers declined is no fact; it is shown with the next look.
            self.commit_at = Some(self.looked_at);
            for (signer, at_ms) in outbox.signs_of_life() {
                driver.seen(&signer, at_ms);
            }
            driver.tick();
        }
        for order in first.into_iter().chain(orders.try_iter()).take(TOGETHER_MAX) {
            match order {
                Order::Heard(from, reply) => driver.receive(&from, reply),
                Order::Submit(plan, answer) => match driver.submit(*plan) {
                    Ok(digest) => {
                        self.open.insert(digest);
                        self.submitted.push((digest, answer));
                    }
                    Err(error) => drop(answer.send(Err(error.into()))),
                },
                Order::Approve(ceremony, approval, answer) => match driver.approve(&ceremony, approval) {
                    Ok(count) => self.approved.push((count, answer)),
                    Err(error) => drop(answer.send(Err(error.into()))),
                },
                Order::Mandate(approved, answer) => self.decree(driver.mandate(*approved), answer),
                Order::Obey(approved, answer) => self.decree(driver.order(*approved), answer),
                Order::ReportTheft(report, answer) => self.decree(driver.report_theft(*report), answer),
                Order::Govern(next, answer) => self.governing.push((*next, answer)),
                Order::Stop => return Ended::Yes,
            }
        }
        Ended::No
    }

    fn decree(&mut self, taken: Result<Digest, Error>, answer: oneshot::Sender<Result<Digest, Refusal>>) {
        match taken {
            Ok(digest) => self.decreed.push((digest, answer)),
            Err(error) => drop(answer.send(Err(error.into()))),
        }
    }

    /// Puts the next versions of governance in force: on disk, in the journal, in the loop, and for everybody else.
    fn govern(&mut self, parts: &Parts, driver: &mut Loop, log: &SharedFactLog) {
        for (next, answer) in std::mem::take(&mut self.governing) {
            let done = govern(parts, driver, log, next);
            if let Ok(version) = &done {
                tracing::info!(version, "another governance is in force");
            }
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(done.map(drop));
        }
    }

    /// When everything is to be looked at next.
    fn look_at(&self, driver: &Loop) -> Instant {
        let latest = self.looked_at + LOOK_EVERY;
        let Some(wake_at_ms) = driver.wake_at_ms() else { return latest };
        let wake_at = Instant::now() + Duration::from_millis(wake_at_ms.saturating_sub(now_ms()));
        wake_at.max(self.looked_at + LOOK_NOT_BEFORE).min(latest)
    }

    fn take_in(&mut self, log: &SharedFactLog, settled: Settled) -> &mut Self {
        for (signer, error) in &settled.objections {
            tracing::warn!(%signer, "what it sent was not believed: {error}");
        }
        self.settled.notes.extend(settled.notes);
        self.settled.changes.extend(settled.changes);
        if self.commit_at.is_none() && log.has_pending() {
            self.commit_at = Some(Instant::now() + COMMIT_WITHIN);
        }
        self
    }

    /// Commits and releases, if anything waits for it.
    fn or_release(
        &mut self,
        parts: &Parts,
        driver: &mut Loop,
        log: &SharedFactLog,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let is_awaited = driver.world().has_mail()
            || self.settled.notes.iter().any(is_urgent)
            || self.settled.changes.iter().any(|change| !matches!(change, HeadChange::Serves { .. }))
            || !self.submitted.is_empty()
            || !self.approved.is_empty()
            || !self.decreed.is_empty();
        let is_due = self.commit_at.is_some_and(|commit_at| commit_at <= Instant::now());
        if !is_awaited && !is_due && ended == Ended::No {
            return Ok(());
        }
        let notes = log.commit()?;
        self.commit_at = None;
        for mail in driver.world_mut().take() {
            parts.outbox.send(&mail.signers, Lane::Ceremony, &mail.bytes);
        }
        parts.ledger.take_notes(notes);
        self.publish(parts);
        self.show(parts, driver);
        for (digest, answer) in self.submitted.drain(..).chain(self.decreed.drain(..)) {
            // Whoever asked may have gone meanwhile; here and below.
            let _ = answer.send(Ok(digest));
        }
        for (count, answer) in self.approved.drain(..) {
            let _ = answer.send(Ok(count));
        }
        Ok(())
    }

    fn publish(&mut self, parts: &Parts) {
        let Settled { notes, changes, .. } = std::mem::take(&mut self.settled);
        notes.iter().for_each(log);
        if !changes.is_empty() {
            parts.view.apply(&changes);
            let _ = parts.news.send(HeadNews::Changes(changes));
        }
    }

    /// Shows every ceremony that is not over, and those that are over since the last time.
    fn show(&mut self, parts: &Parts, driver: &Loop) {
        parts.view.set_governed(driver.governed());
        parts.view.set_decrees(Decrees::of(driver));
        parts.view.set_thefts(driver.thefts());
        self.open.retain(|digest| {
            let open = driver.ceremony(digest);
            if let Some(status) = driver.status(digest) {
                parts.view.show(status, open.map(|open| &open.submitted));
            }
            open.is_some()
        });
    }

    fn refuse(self, refusal: &Refusal) {
        for (_, answer) in self.submitted.into_iter().chain(self.decreed) {
            let _ = answer.send(Err(refusal.clone()));
        }
        for (_, answer) in self.approved {
            let _ = answer.send(Err(refusal.clone()));
        }
    }
}

fn govern(
    parts: &Parts,
    driver: &mut Loop,
    log: &SharedFactLog,
    next: ApprovedGovernance,
) -> Result<u64, Refusal> {
    let trusted = Trusted::from(Arc::new(driver.after(next.clone())?));
    let expected = SignersByPin::new(&trusted.pins()).map_err(|error| Error::denied(error.to_string()))?;
    // The next start takes up from the directory what the journal does not know yet.
    let written = parts.directory.write_governance(&trusted.history);
    written.map_err(|error| Refusal::StandingStill(error.to_string()))?;
    let notes = log.pin(&trusted.history).map_err(|error| Refusal::StandingStill(error.to_string()))?;
    parts.ledger.take_notes(notes);
    driver.govern(next)?;
    let version = trusted.governance().version;
    parts.tls.expect(expected);
    parts.in_force.set(trusted);
    Ok(version)
}

/// Whether somebody waits for this. Nobody does for what several signers say one after the other.
fn is_urgent(note: &Note) -> bool {
    !matches!(note, Note::Erased { .. })
}

fn log(note: &Note) {
    match note {
        Note::Submitted { ceremony } => tracing::info!(%ceremony, "a plan was submitted"),
        Note::Approved { ceremony, person } => tracing::info!(%ceremony, %person, "a plan was approved"),
        Note::Authorised { ceremony, .. } => tracing::info!(%ceremony, "its quorum is complete"),
        Note::Mandated { mandate, .. } => tracing::info!(%mandate, "a mandate was given"),
        Note::Ordered { order, approved } => {
            tracing::info!(%order, "people ordered: {}", approved.order.deed);
        }
        Note::TheftReported { theft, report } => match &report.finding {
            Finding::Stolen { signer, .. } => {
                tracing::warn!(%theft, %signer, by = %report.by, "copies were reported as stolen");
            }
            Finding::Withdrawn(other) => {
                tracing::warn!(%theft, withdrawn = %other, by = %report.by, "a report of stolen copies was withdrawn");
            }
        },
        Note::Activated { chunk, .. } => tracing::info!(%chunk, "active"),
        Note::Retired { chunk, .. } => tracing::info!(%chunk, "retired everything lower"),
        Note::Created { chunk, generation } => {
            tracing::info!(%chunk, wallets = generation.share_sets.len(), "wallets exist from now on");
        }
        Note::Erased { chunk, receipt } => tracing::info!(%chunk, signer = %receipt.signer, "erased"),
        Note::Left { chunk, reason } => tracing::warn!(%chunk, "this attempt was left: {reason}"),
        Note::GivenUp { ceremony, wallets } => {
            tracing::error!(%ceremony, wallets = wallets.len(), "no attempt is left for these wallets");
        }
        Note::Finished { status } => {
            let (ceremony, retired) = (status.ceremony, status.wallets_retired);
            let given_up = status.wallets_given_up;
            tracing::info!(%ceremony, stage = %status.stage, retired, given_up, "the ceremony is over");
        }
    }
}
