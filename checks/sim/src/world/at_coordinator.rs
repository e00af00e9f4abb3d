//! What happens at the coordinator: it takes replies, wakes, dies, starts again; and its gateway routes requests.

use super::{Act, World};
use crate::coordinator::{Came, Turned};
use crate::disk::Landed;
use crate::faults::{Kind, Step};
use crate::invariants::liveness;
use crate::load::{Ended, Outcome};
use crate::network::{About, Body, Event, Lane, Way};
use crate::trace::What;
use crate::violation::{Invariant, Violation};
use perennial_model::committee::SignerId;
use perennial_model::encoding;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::Chunk;
use perennial_model::session::{Purpose, SessionRequest};
use perennial_workflow::ceremony::status::Phase;
use perennial_workflow::driver::relay;
use perennial_workflow::route::Failure;
use rand_core::Rng;
use std::sync::Arc;

/// The longest that the coordinator stays down, in milliseconds.
const DOWN_MS_MAX: u64 = 6_000;
/// The latest that the coordinator looks at everything, in milliseconds.
const WAKE_MS: u64 = 1_000;
/// The most requests that wait at a time.
const WANTED_MAX: usize = 6;
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
        if let (true, Some(Step::Prepare), Some(chunk)) = (about.counts, about.step, about.chunk)
            && self.split == Some(chunk)
        {
            self.split = None;
            self.count_at_coordinator(Kind::CoordinatorForgot, about);
            self.coordinator.die_and_forget(&chunk);
            self.bury_coordinator();
            return Ok(());
        }
        // Most replies are those of probes; the steps with few messages are hit as often.
        let times = if matches!(about.step, Some(Step::Probe | Step::Open)) { 1 } else { 4 };
        let stops = self.happens(self.weather.coordinator_stop * times);
        if stops && self.rng.next_u32().is_multiple_of(2) {
            self.count_at_coordinator(Kind::CoordinatorStopped, about);
            self.kill_coordinator();
            return Ok(());
        }
        self.trace.add(self.now_ms, What::Heard(number, about.step, about.chunk));
        if self.happens(self.weather.append_cut * 12) {
            let landed = if self.rng.next_u32().is_multiple_of(2) { Landed::Yes } else { Landed::No };
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
            let (heads, now_ms) = (&self.coordinator.heads, self.now_ms);
            let failure = Failure::TimedOut;
            let outcome = self.load.failed(&session, failure, heads, &seen, now_ms, &mut self.rng);
            self.follow(outcome)?;
        }
        self.turn_coordinator(Came::Alarm(self.seen()), About::default(), false)
    }

    /// One turn of the loop, and what follows from it.
    pub(super) fn turn_coordinator(
        &mut self,
        came: Came,
        about: About,
        stops: bool,
    ) -> Result<(), Violation> {
        let Ok(turned) = self.coordinator.turn(self.now_ms, came) else {
            self.count_at_coordinator(Kind::AppendCut, about);
            self.kill_coordinator();
            return Ok(());
        };
        self.coordinator.log.set_fuse(None);
        let Turned { settled, outbox } = turned;
        self.history.settled(&settled)?;
        self.watch_what_began();
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
        started
            .map_err(|e| Violation::new(Invariant::Sound, format!("the coordinator cannot start: {e:?}")))?;
        self.watch_what_began();
        let waiting: Vec<u64> = self.load.wanted.keys().copied().collect();
        for number in waiting {
            let seen = self.seen();
            let (heads, now_ms) = (&self.coordinator.heads, self.now_ms);
            if let Some(request) = self.load.begin(number, heads, &seen, now_ms, &mut self.rng) {
                self.begin_session(*request);
            }
        }
        self.turn_coordinator(Came::Alarm(self.seen()), About::default(), false)
    }

    /// The coordinator's process dies, and the gateway with it; it will start again.
    pub(super) fn kill_coordinator(&mut self) {
        self.coordinator.die();
        self.bury_coordinator();
    }

    /// The gateway dies with the process; it will start again.
    fn bury_coordinator(&mut self) {
        self.trace.add(self.now_ms, What::CoordinatorDied);
        self.load.interrupt();
        let at_ms = self.later_ms(DOWN_MS_MAX);
        self.network.at(at_ms, Event::CoordinatorStarts);
    }

    /// Somebody wants something signed.
    pub(super) fn order(&mut self) -> Result<(), Violation> {
        let every_ms = self.scenario.order_every_ms * self.pace() * if self.pace() > 1 { 10 } else { 1 };
        let next_ms = self.now_ms + every_ms / 2 + self.rng.next_u64() % every_ms;
        self.network.at(next_ms, Event::Order);
        let heads = &self.coordinator.heads;
        if !self.coordinator.is_up() || heads.is_empty() || self.load.wanted.len() >= WANTED_MAX {
            return Ok(());
        }
        let at = self.rng.next_u64() as usize % heads.len();
        let wallets = || heads.iter().map(|head| &head.wallet().id);
        let silent = wallets().find(|wallet| !self.history.has_signed(wallet));
        let Some(wallet) = silent.filter(|_| self.act == Act::Farewell).or_else(|| wallets().nth(at)) else {
            return Ok(());
        };
        let wallet = wallet.clone();
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
                let heads = &self.coordinator.heads;
                let outcome = self.load.report(from, report, heads, &seen, self.now_ms, &mut self.rng);
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
            Outcome::WaitedInVain(number) => {
                Err(liveness::l2_nobody_waits(number, self.load.wanted.get(&number)))
            }
            Outcome::Nothing => Ok(()),
        }
    }

    fn close_order(&mut self, number: u64, ended: Ended) -> Result<(), Violation> {
        let Some(wanted) = self.load.close(number) else { return Ok(()) };
        liveness::l2_signing_goes_on(number, &wanted, &ended, self.now_ms)?;
        match ended {
            Ended::Signed { fallbacks, .. } => {
                self.tally.signatures += 1;
                self.tally.fallbacks += u64::from(fallbacks);
                self.history.signed(&wanted.wallet.id);
            }
            Ended::GivenUp(_) => self.tally.requests_lost += 1,
        }
        Ok(())
    }

    fn begin_session(&mut self, request: SessionRequest) {
        let session = request.session;
        for number in request.signers.iter().filter_map(|signer| self.cast.number(signer)) {
            self.history.session_begins(number, &request);
        }
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
            for number in session.signers.iter().filter_map(|signer| self.cast.number(signer)) {
                self.history.session_begins(number, session);
            }
        }
        let about = self.about_request(request);
        let bytes: Arc<[u8]> = encoding::encode(request).into();
        let reach = if matches!(request, Request::Verify { .. }) { self.reach(about) } else { usize::MAX };
        for signer in signers {
            if let Some(number) = self.cast.number(signer).filter(|number| *number < reach) {
                self.send(Way::To(number), Lane::Ceremony, about, Body::Request(bytes.clone()));
            }
        }
    }

    /// How many signers the dealings of an attempt reach: all, unless the coordinator is about to forget it. Then
    /// as many are left out as deal, and they will be the next to be asked.
    fn reach(&mut self, about: About) -> usize {
        let is_over = |chunk: &Chunk| self.coordinator.phase(chunk) != Some(Phase::Preparing);
        if self.split.as_ref().is_none_or(is_over) {
            self.split = about.chunk.filter(|_| about.counts && self.happens(self.weather.amnesia));
        }
        match self.split.is_some() && self.split == about.chunk {
            true => self.signers.len() - usize::from(self.scenario.threshold),
            false => usize::MAX,
        }
    }

    fn about_request(&self, request: &Request) -> About {
        let (chunk, plan) = match request {
            Request::Plan(approved) => (None, Some(approved.plan.digest())),
            Request::Open { chunk, .. } | Request::Keep(chunk) => (Some(*chunk), None),
            Request::Commit { inputs, .. }
            | Request::Deal { inputs, .. }
            | Request::Verify { inputs, .. } => (Some(inputs.chunk), None),
            Request::Activate(certificate) | Request::Retire(certificate) => {
                (Some(certificate.inputs.chunk), None)
            }
            Request::Session(session) => (self.probes.get(&session.session).copied(), None),
            Request::SessionMail(said) => {
                let session = said.read_unchecked().ok().map(|body| body.session);
                (session.and_then(|session| self.probes.get(&session).copied()), None)
            }
            Request::Governance(_) | Request::Order(_) => (None, None),
            Request::PairingMail(said) => (None, said.read_unchecked().ok().map(|body| body.plan)),
            Request::Checkpoint(_) => (None, None),
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
        let latest_ms = self.now_ms + WAKE_MS * self.pace();
        let at_ms = wanted.map_or(latest_ms, |at_ms| at_ms.clamp(self.now_ms + 1, latest_ms));
        if at_ms < self.alarm_at_ms {
            self.alarm += 1;
            self.alarm_at_ms = at_ms;
            self.network.at(at_ms, Event::CoordinatorWakes(self.alarm));
        }
    }
}
