//! The way in and out of a lane: bytes become checked requests, replies become bytes.

use crate::mailbox::{Client, Lane};
use perennial_custody::inbox::{self, Checked, FindPlan};
use perennial_custody::keeper::decline;
use perennial_custody::pinned::Pinned;
use perennial_model::approval::Approved;
use perennial_model::encoding::{self, Digest};
use perennial_model::identity::Signed;
use perennial_model::mail::Reply;
use perennial_model::session::{Blame, SessionOutcome};
use perennial_model::witness::{Alarm, Answer};
use std::sync::Arc;

/// Sends the replies of one lane.
pub(super) struct Post {
    client: Arc<Client>,
    lane: Lane,
}

/// No plan is known on the signing lane, where none is needed.
pub(super) struct NoPlans;

impl FindPlan for NoPlans {
    fn plan(&self, _: &Digest) -> Option<Arc<Approved>> {
        None
    }
}

impl Post {
    pub fn signing(client: Arc<Client>) -> Self {
        Self { client, lane: Lane::Signing }
    }

    pub fn ceremony(client: Arc<Client>) -> Self {
        Self { client, lane: Lane::Ceremony }
    }

    /// Sends replies that may leave. Mail may be lost on its way; the coordinator asks again.
    pub fn send(&self, replies: Vec<Reply>) {
        for reply in replies {
            note(&reply, self.lane);
            if let Err(error) = self.client.send(self.lane, vec![encoding::encode(&reply)]).map(|queued| {
                if queued.dropped > 0 {
                    tracing::warn!(
                        lane = self.lane.name(),
                        dropped = queued.dropped,
                        "mail waits for the coordinator and there is no room for all of it"
                    );
                }
            }) {
                tracing::error!(lane = self.lane.name(), "a bug: {error}");
            }
        }
    }

    /// Opens an item at the door. What is refused there is declined at once, and the log says who is to blame.
    pub fn open(&self, item: &[u8], pinned: &Pinned, plans: &dyn FindPlan) -> Option<Checked> {
        match inbox::open(item, pinned, plans) {
            Ok(checked) => Some(checked),
            Err(rejected) => {
                self.send(vec![decline(rejected.about.clone(), &rejected.error)]);
                None
            }
        }
    }
}

/// One line for what people may want to look up later. Repetitions and the steps of a ceremony are for
/// debugging.
fn note(reply: &Reply, lane: Lane) {
    let lane = lane.name();
    match reply {
        Reply::Declined { chunk, plan, blame, reason } => {
            let about = match (chunk, plan) {
                (Some(chunk), _) => chunk.to_string(),
                (None, Some(plan)) => format!("plan {}", plan.short()),
                (None, None) => "a request".to_owned(),
            };
            declined(lane, &about, blame, reason);
        }
        Reply::Session(report) => {
            if let SessionOutcome::Failed { blame, reason } = &report.outcome {
                declined(lane, &format!("session {}", report.session.short()), blame, reason);
            }
        }
        Reply::Activated(chunk, _) => tracing::info!(lane, "{chunk} is active"),
        Reply::Erased(receipt) => {
            let receipt = receipt.body_digest();
            tracing::info!(lane, receipt = receipt.short(), "erased everything below a retired chunk");
        }
        Reply::Governed { version, digest } => {
            tracing::info!(lane, digest = digest.short(), "has governance version {version}");
        }
        Reply::Ordered(digest) => tracing::info!(lane, order = digest.short(), "obeys an order"),
        Reply::Checkpoint(Answer::Alarm(alarm)) => halted(lane, alarm),
        Reply::Refused(_) => tracing::warn!(lane, "refused a dealing: its dealer, or this signer, is faulty"),
        _ => {}
    }
}

/// Said with every alarm, since it may be the only line that anybody looks at.
fn halted(lane: &str, alarm: &Signed<Alarm>) {
    if let Ok(alarm) = alarm.read_unchecked() {
        let breach = alarm.breach.name();
        tracing::error!(
            lane,
            blame = "the coordinator",
            "HALTED: the ledger was {breach}; nothing is signed"
        );
        for (which, note) in [("cosigned", &alarm.held), ("offered", &alarm.offered)] {
            tracing::error!(lane, which, "evidence: {:?}", String::from_utf8_lossy(&note.0));
        }
    }
}

fn declined(lane: &str, about: &str, blame: &Blame, reason: &str) {
    match blame {
        Blame::Stale => tracing::info!(lane, blame = "nobody", "declined {about}: {reason}"),
        Blame::Denied => tracing::warn!(lane, blame = "whoever asked", "denied {about}: {reason}"),
        Blame::Asker => tracing::warn!(lane, blame = "the coordinator", "cannot read {about}: {reason}"),
        Blame::Signer(culprit) => {
            tracing::warn!(lane, blame = %culprit, "{about}: a signer misbehaved: {reason}");
        }
        Blame::Bug => tracing::error!(lane, blame = "this signer", "{about}: {reason}"),
    }
}
