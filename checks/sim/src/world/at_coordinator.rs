//! What happens at the coordinator: it takes replies, wakes, dies, starts again; and its gateway routes requests.

use super::{World, BEGIN_MS};
use crate::coordinator::{Came, Turned};
use crate::disk::Landed;
use crate::faults::{Kind, Step};
use crate::load::{Ended, Outcome, Wanted};
use crate::network::{About, Body, Event, Lane, Way};
use crate::trace::What;
use crate::violation::{Invariant, Violation};
use perennial_model::committee::SignerId;
use perennial_model::encoding;
use perennial_model::mail::{Reply, Request};
use perennial_model::session::{Purpose, SessionRequest};
use perennial_workflow::driver::relay;
use perennial_workflow::route::{Failure, GivenUp};
use rand_core::Rng;
use std::sync::Arc;

/// The longest that the coordinator stays down, in milliseconds.
const DOWN_MS_MAX: u64 = 6_000;
/// The latest that the coordinator looks at everything, in milliseconds.
const WAKE_MS: u64 = 1_000;
/// The most requests that wait at a time.
const WANTED_MAX: usize = 6;
/// A request that no fault hit is answered within this time, in milliseconds.
const ANSWER_MS: u64 = 1_500;
/// How many sessions of one request may fail without a fault: its epoch stopped being served, or a holder that is to
/// serve the new one does not; each is answered at once and sends the request to the other epoch.
const UNEXPLAINED_MAX: u32 = 2;

impl World {
    /// The coordinator takes a reply, unless something goes wrong.
    pub(super) fn deliver_to_coordinator(
        &mut self,
        number: usize,
        lane: Lane,
        about: About,
        reply: Box<Reply>,
    ) -> Result<(), Violation> {
        if !self.coordinator.is_up() {
            return Ok(());
        }
        let from = self.cast.ids[number].clone();
        if lane == Lane::Signing {
            return self.take_signing(&from, *reply);
        }
        let stops = self.happens(self.weather.coordinator_stop);
        if stops && self.rng.next_u32() % 2 == 0 {
            self.count_at_coordinator(Kind::CoordinatorStopped, about);
            self.kill_coordinator();
            return Ok(());
        }
        self.trace.add(self.now_ms, What::Heard(number, about.step, about.chunk));
        if self.happens(self.weather.append_cut) {
            let landed = if self.rng.next_u32() % 2 == 0 { Landed::Yes } else { Landed::No };
            self.coordinator.cut_next_append(landed);
        }
        self.turn_coordinator(Came::Reply(from, reply), about, stops)
    }

    /// The coordinator looks at everything that is open.
    pub(super) fn wake_coordinator(&mut self) -> Result<(), Violation> {
        self.alarm_at_ms = u64::MAX;
        if !self.coordinator.is_up() {
            return Ok(());
        }
        for session in self.load.overdue(self.now_ms) {
            let seen = self.seen();
            let outcome = self.load.failed(&session, Failure::TimedOut, &seen, self.now_ms, &mut self.rng);
            self.follow(outcome)?;
        }
        self.turn_coordinator(Came::Alarm, About::default(), false)
    }

    /// One turn of the loop, and what follows from it.
    pub(super) fn turn_coordinator(&mut self, came: Came, about: About, stops: bool) -> Result<(), Violation> {
        let Ok(turned) = self.coordinator.turn(self.now_ms, came) else {
            self.count_at_coordinator(Kind::AppendCut, about);
            self.kill_coordinator();
            return Ok(());
        };
        self.coordinator.log.set_fuse(None);
        let Turned { settled, outbox } = turned;
        self.history.settled(&settled)?;
        if stops {
            self.count_at_coordinator(Kind::CoordinatorStopped, about);
            self.kill_coordinator();
            return Ok(());
        }
        for (signers, request) in outbox {
            self.ask(&signers, &request);
        }
        self.set_alarm();
        Ok(())
    }

    /// The coordinator's process starts from its journal.
    pub(super) fn start_coordinator(&mut self) -> Result<(), Violation> {
        if self.coordinator.is_up() {
            return Ok(());
        }
        self.trace.add(self.now_ms, What::CoordinatorStarted);
        let started = self.coordinator.start(self.now_ms);
        started.map_err(|e| Violation::new(Invariant::Sound, format!("the coordinator cannot start: {e:?}")))?;
        let waiting: Vec<u64> = self.load.wanted.keys().copied().collect();
        for number in waiting {
            let seen = self.seen();
            let (heads, now_ms) = (&self.coordinator.heads, self.now_ms);
            if let Some(request) = self.load.begin(number, heads, &seen, now_ms, &mut self.rng) {
                self.begin_session(*request);
            }
        }
        self.turn_coordinator(Came::Alarm, About::default(), false)
    }

    /// The coordinator's process dies, and the gateway with it; it will start again.
    pub(super) fn kill_coordinator(&mut self) {
        self.trace.add(self.now_ms, What::CoordinatorDied);
        self.coordinator.die();
        self.load.interrupt();
        let at_ms = self.later_ms(DOWN_MS_MAX);
        self.network.at(at_ms, Event::CoordinatorStarts);
    }

    /// Somebody wants something signed.
    pub(super) fn order(&mut self) -> Result<(), Violation> {
        let every_ms = self.scenario.order_every_ms;
        let next_ms = self.now_ms + every_ms / 2 + self.rng.next_u64() % every_ms;
        self.network.at(next_ms, Event::Order);
        let heads = &self.coordinator.heads;
        if !self.coordinator.is_up() || heads.is_empty() || self.load.wanted.len() >= WANTED_MAX {
            return Ok(());
        }
        let at = self.rng.next_u64() as usize % heads.len();
        let Some(wallet) = heads.iter().nth(at).map(|head| head.wallet().id.clone()) else { return Ok(()) };
        let seen = self.seen();
        let heads = &self.coordinator.heads;
        if let Some(request) = self.load.want(heads, &wallet, &seen, self.now_ms, &mut self.rng) {
            self.begin_session(*request);
        }
        self.set_alarm();
        Ok(())
    }

    fn take_signing(&mut self, from: &SignerId, reply: Reply) -> Result<(), Violation> {
        match reply {
            Reply::Session(report) => {
                let seen = self.seen();
                let outcome = self.load.report(from, report, &seen, self.now_ms, &mut self.rng);
                self.follow(outcome)
            }
            mail => {
                if let Ok(Some((to, request))) = relay(from, &mail) {
                    let session = match &mail {
                        Reply::SessionMail(said) => said.read_unchecked().ok().map(|body| body.session),
                        _ => None,
                    };
                    self.pass_on(&to, &request, About { session, ..About::default() });
                }
                Ok(())
            }
        }
    }

    fn follow(&mut self, outcome: Outcome) -> Result<(), Violation> {
        match outcome {
            Outcome::Ask(request) => {
                self.begin_session(*request);
                self.set_alarm();
                Ok(())
            }
            Outcome::Over(number, ended) => self.close_order(number, ended),
            Outcome::BadSignature(number, from, reason) => Err(Violation::new(
                Invariant::I4ValidSignatures,
                format!("{from} posted a signature for request {number} that does not verify: {reason}"),
            )),
            Outcome::WaitedInVain(number) => Err(Violation::new(
                Invariant::L2SignsOn,
                format!("a session of request {number} ran out of time although no fault hit it"),
            )),
            Outcome::Nothing => Ok(()),
        }
    }

    fn close_order(&mut self, number: u64, ended: Ended) -> Result<(), Violation> {
        let Some(wanted) = self.load.close(number) else { return Ok(()) };
        let late = |what: String| Err(Violation::new(Invariant::L2SignsOn, what));
        if wanted.unexplained > UNEXPLAINED_MAX {
            return late(format!(
                "request {number} for {} lost {} sessions that no fault hit; at most {UNEXPLAINED_MAX} may be",
                wanted.wallet.id, wanted.unexplained
            ));
        }
        match ended {
            Ended::Signed { fallbacks, .. } => {
                self.tally.signatures += 1;
                self.tally.fallbacks += u64::from(fallbacks);
                let took_ms = self.now_ms - wanted.since_ms;
                if wanted.interrupted == 0 && wanted.hits == 0 && took_ms > ANSWER_MS {
                    return late(format!("request {number} took {took_ms} ms although no fault hit it"));
                }
                self.history.signed(&wanted.wallet.id);
                Ok(())
            }
            Ended::GivenUp(given_up) => self.given_up(number, &wanted, &given_up),
        }
    }

    /// A route gives up after six sessions; a fault has to explain each of them but two.
    fn given_up(&mut self, number: u64, wanted: &Wanted, given_up: &GivenUp) -> Result<(), Violation> {
        if wanted.hits + UNEXPLAINED_MAX >= given_up.tries && given_up.tries > UNEXPLAINED_MAX {
            self.tally.requests_lost += 1;
            return Ok(());
        }
        let at_ms = self.now_ms - BEGIN_MS;
        Err(Violation::new(
            Invariant::L2SignsOn,
            format!(
                "request {number} for {} failed at +{at_ms} ms with {} sessions hit by faults: {given_up}",
                wanted.wallet.id, wanted.hits
            ),
        ))
    }

    fn begin_session(&mut self, request: SessionRequest) {
        let session = request.session;
        self.history.session_begins(&request);
        let signers = request.signers.clone();
        let request = Request::Session(Box::new(request));
        for signer in &signers {
            let down = self.cast.number(signer).is_none_or(|number| !self.signers[number].is_up());
            if down {
                self.load.hit(&session);
            }
            self.pass_on(signer, &request, About { session: Some(session), ..About::default() });
        }
    }

    fn pass_on(&mut self, to: &SignerId, request: &Request, about: About) {
        if let Some(number) = self.cast.number(to) {
            let bytes: Arc<[u8]> = encoding::encode(request).into();
            self.send(Way::To(number), Lane::Signing, about, Body::Request(bytes));
        }
    }

    /// Sends what the driver asks.
    fn ask(&mut self, signers: &[SignerId], request: &Request) {
        if let Request::Session(session) = request
            && let Purpose::Probes { chunk, .. } = &session.purpose
        {
            self.probes.insert(session.session, *chunk);
            self.history.session_begins(session);
        }
        let about = self.about_request(request);
        let bytes: Arc<[u8]> = encoding::encode(request).into();
        for signer in signers {
            if let Some(number) = self.cast.number(signer) {
                self.send(Way::To(number), Lane::Ceremony, about, Body::Request(bytes.clone()));
            }
        }
    }

    fn about_request(&self, request: &Request) -> About {
        let (chunk, plan) = match request {
            Request::Plan(approved) => (None, Some(approved.plan.digest())),
            Request::Open { chunk, .. } | Request::Keep(chunk) => (Some(*chunk), None),
            Request::Commit { inputs, .. } | Request::Deal { inputs, .. } | Request::Verify { inputs, .. } => {
                (Some(inputs.chunk), None)
            }
            Request::Activate(certificate) | Request::Retire(certificate) => {
                (Some(certificate.inputs.chunk), None)
            }
            Request::Session(session) => (self.probes.get(&session.session).copied(), None),
            Request::SessionMail(said) => {
                let session = said.read_unchecked().ok().map(|body| body.session);
                (session.and_then(|session| self.probes.get(&session).copied()), None)
            }
            Request::PairingMail(said) => (None, said.read_unchecked().ok().map(|body| body.plan)),
        };
        let open = chunk.is_some_and(|chunk| self.coordinator.phase(&chunk).is_some())
            || plan.is_some_and(|plan| self.coordinator.is_open(&plan));
        About { step: Step::of_request(request), chunk, session: None, counts: open }
    }

    fn count_at_coordinator(&mut self, kind: Kind, about: About) {
        if let (true, Some(step)) = (about.counts, about.step) {
            self.tally.faults.add(kind, step, 1);
        }
    }

    /// Wakes the coordinator when it wants to be woken, or a session runs out of time, or after a second.
    pub(super) fn set_alarm(&mut self) {
        let wanted = self.coordinator.driver().and_then(|driver| driver.wake_at_ms());
        let wanted = [wanted, self.load.next_overdue_ms()].into_iter().flatten().min();
        let latest_ms = self.now_ms + WAKE_MS;
        let at_ms = wanted.map_or(latest_ms, |at_ms| at_ms.clamp(self.now_ms + 1, latest_ms));
        if at_ms < self.alarm_at_ms {
            self.alarm += 1;
            self.alarm_at_ms = at_ms;
            self.network.at(at_ms, Event::CoordinatorWakes(self.alarm));
        }
    }
}
