//! What happens at a signer: it takes a request, looks at the clock, dies, starts again.

use super::World;
use crate::disk::{Fuse, Landed};
use crate::faults::{Kind, Step};
use crate::history::Turn;
use crate::network::{About, Body, Event, Lane, Way};
use crate::signer::{Death, Mail};
use crate::trace::What;
use crate::violation::{Invariant, Violation};
use perennial_custody::keeper::LoadFailed;
use perennial_model::mail::Reply;
use perennial_model::mutant;
use perennial_model::plan::Chunk;
use rand_core::Rng;

/// The longest that a signer stays down, in milliseconds.
const DOWN_MS_MAX: u64 = 12_000;
/// The longest that other mail goes before what waits for a turn of its own, in milliseconds.
const GO_ON_MS_MAX: u64 = 400;
/// How many effects a turn has at most before the cut comes.
const CUT_AFTER_MAX: u32 = 9;

/// When a process dies, compared with a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Before,
    After,
    Never,
}

impl World {
    /// A signer takes a request, unless something goes wrong.
    pub(super) fn deliver_to_signer(
        &mut self,
        number: usize,
        lane: Lane,
        about: About,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        if !self.signers[number].is_up() {
            if let Some(session) = about.session {
                self.load.hit(&session);
            }
            return Ok(());
        }
        if self.happens(self.weather.power_loss) {
            return self.lose_power();
        }
        let times = if about.step == Some(Step::Keep) { 4 } else { 1 };
        let stop = match (self.happens(self.weather.signer_stop * times), self.rng.next_u32() % 2) {
            (false, _) => Stop::Never,
            (true, 0) => Stop::Before,
            (true, _) => Stop::After,
        };
        if stop == Stop::Before {
            self.count(Kind::SignerStopped, about);
            return self.kill_signer(number, Death::Process, None);
        }
        self.trace.add(self.now_ms, What::Took(number, about.step, about.chunk));
        self.light_fuse(number, about.step);
        let now_ms = self.now_ms;
        let lies = about.step == Some(Step::Commit) && self.happens(self.weather.lies);
        mutant::lie(lies);
        self.history.spoken.lies |= lies;
        let taken = self.signers[number].take(now_ms, lane, bytes);
        mutant::lie(false);
        if lies && taken.as_ref().is_ok_and(|mail| mail.ceremony.iter().any(is_promise)) {
            self.count(Kind::DealerLied, about);
        }
        self.after_turn(number, about, taken.ok(), stop)
    }

    /// A signer looks at the clock.
    pub(super) fn tick_signer(&mut self, number: usize) -> Result<(), Violation> {
        if !self.signers[number].is_up() {
            return Ok(());
        }
        self.light_fuse(number, None);
        let now_ms = self.now_ms;
        let ticked = self.signers[number].tick(now_ms);
        self.after_turn(number, About::default(), ticked.ok(), Stop::Never)
    }

    /// A signer takes up a chunk that waited for pair bases. Faults here are not counted: no message is the reason.
    pub(super) fn go_on_at_signer(&mut self, number: usize) -> Result<(), Violation> {
        if !self.signers[number].can_go_on() {
            return Ok(());
        }
        self.light_fuse(number, None);
        let now_ms = self.now_ms;
        let gone_on = self.signers[number].go_on(now_ms);
        self.after_turn(number, About::default(), gone_on.ok(), Stop::Never)
    }

    /// A signer's process starts from its disk.
    pub(super) fn start_signer(&mut self, number: usize) -> Result<(), Violation> {
        if self.signers[number].is_up() {
            return Ok(());
        }
        self.trace.add(self.now_ms, What::SignerStarted(number));
        self.light_fuse(number, None);
        let now_ms = self.now_ms;
        match self.signers[number].start(now_ms) {
            Ok(mail) => {
                self.quench(number);
                self.let_out(number, mail)
            }
            Err(LoadFailed::Store(_)) => self.kill_signer(number, Death::Power, None),
            Err(error @ LoadFailed::Records(_)) => {
                let what = format!("s{:02} cannot start: {error}", number + 1);
                Err(Violation::new(Invariant::Sound, what))
            }
        }
    }

    /// A process dies; it will start again. The disk is looked at as it then is.
    pub(super) fn kill_signer(
        &mut self,
        number: usize,
        death: Death,
        step: Option<Step>,
    ) -> Result<(), Violation> {
        self.trace.add(self.now_ms, What::SignerDied(number));
        let damage = self.signers[number].die(death);
        if let Some(step) = step {
            let table = &mut self.tally.faults;
            table.add(Kind::WriteLost, step, damage.lost.into());
            table.add(Kind::WriteReordered, step, damage.reordered.into());
            table.add(Kind::WriteTorn, step, damage.torn.into());
        }
        let id = self.cast.ids[number].clone();
        self.load.hit_signer(&id);
        let at_ms = self.later_ms(DOWN_MS_MAX);
        self.network.at(at_ms, Event::SignerStarts(number));
        self.history.look(number, &mut self.signers, self.now_ms, Turn::Cut)
    }

    /// Takes a fuse away that was for one turn.
    fn quench(&mut self, number: usize) {
        if self.weather.signer_cut > 0 {
            self.signers[number].disk.set_fuse(None);
        }
    }

    fn light_fuse(&mut self, number: usize, step: Option<Step>) {
        if self.weather.signer_cut == 0 {
            return;
        }
        let (times, effects) = step.map_or((1, CUT_AFTER_MAX), aim);
        let cut = self.happens(self.weather.signer_cut * times).then(|| Fuse {
            after: self.rng.next_u32() % effects,
            landed: if self.rng.next_u32().is_multiple_of(2) { Landed::Yes } else { Landed::No },
        });
        self.signers[number].disk.set_fuse(cut);
    }

    fn after_turn(
        &mut self,
        number: usize,
        about: About,
        mail: Option<Mail>,
        stop: Stop,
    ) -> Result<(), Violation> {
        let Some(mail) = mail else {
            self.count(Kind::SignerCut, about);
            let death = if self.rng.next_u32().is_multiple_of(3) { Death::Process } else { Death::Power };
            let step = about.step.filter(|_| about.counts);
            return self.kill_signer(number, death, step);
        };
        self.quench(number);
        if stop == Stop::After {
            self.count(Kind::SignerStopped, about);
            return self.kill_signer(number, Death::Process, None);
        }
        self.let_out(number, mail)
    }

    /// What a signer says is looked at before it leaves.
    fn let_out(&mut self, number: usize, mail: Mail) -> Result<(), Violation> {
        self.history.look(number, &mut self.signers, self.now_ms, Turn::Whole)?;
        if self.signers[number].can_go_on() {
            let at_ms = self.later_ms(GO_ON_MS_MAX);
            self.network.at(at_ms, Event::SignerGoesOn(number));
        }
        for reply in &mail.ceremony {
            self.history.hear(number, Lane::Ceremony, reply, &self.signers)?;
        }
        for reply in &mail.signing {
            self.history.hear(number, Lane::Signing, reply, &self.signers)?;
        }
        for reply in mail.ceremony {
            let about = self.about_reply(Lane::Ceremony, &reply);
            self.send(Way::From(number), Lane::Ceremony, about, Body::Reply(Box::new(reply)));
        }
        for reply in mail.signing {
            let about = self.about_reply(Lane::Signing, &reply);
            self.send(Way::From(number), Lane::Signing, about, Body::Reply(Box::new(reply)));
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind, about: About) {
        if let (true, Some(step)) = (about.counts, about.step) {
            self.tally.faults.add(kind, step, 1);
        }
    }

    /// What a reply is about.
    fn about_reply(&self, lane: Lane, reply: &Reply) -> About {
        let session = match reply {
            Reply::SessionMail(said) => said.read_unchecked().ok().map(|body| body.session),
            Reply::Session(report) => Some(report.session),
            _ => None,
        };
        if lane == Lane::Signing {
            return About { session, ..About::default() };
        }
        let chunk = session.and_then(|session| self.probes.get(&session).copied());
        let chunk = chunk.or_else(|| chunk_of(reply));
        let phase = chunk.and_then(|chunk| self.coordinator.phase(&chunk));
        let step = Step::of_reply(reply).or_else(|| phase.and_then(Step::of_phase));
        let plan = match reply {
            Reply::Planned(plan) => Some(*plan),
            Reply::PairingMail(said) => said.read_unchecked().ok().map(|body| body.plan),
            _ => None,
        };
        let open = plan.is_some_and(|plan| self.coordinator.is_open(&plan));
        About { step, chunk, session: None, counts: open || phase.is_some() }
    }
}

/// The chunk that a reply names.
fn chunk_of(reply: &Reply) -> Option<Chunk> {
    match reply {
        Reply::Opened(said) => said.read_unchecked().ok().map(|body| body.chunk),
        Reply::Committed(said) => said.read_unchecked().ok().map(|body| body.chunk),
        Reply::Dealt(said) => said.read_unchecked().ok().map(|body| body.chunk),
        Reply::Refused(said) => said.read_unchecked().ok().map(|body| body.chunk),
        Reply::Voted(said) => said.read_unchecked().ok().map(|body| body.chunk),
        Reply::Erased(said) => said.read_unchecked().ok().map(|body| body.chunk),
        Reply::Activated(chunk, _) => Some(*chunk),
        Reply::Declined { chunk, .. } => *chunk,
        Reply::Planned(_)
        | Reply::Governed { .. }
        | Reply::Ordered(_)
        | Reply::SessionMail(_)
        | Reply::PairingMail(_)
        | Reply::Session(_)
        | Reply::Checkpoint(_) => None,
    }
}

/// How many times as often the turns of a step are cut as others, and how many effects they have at most: the steps
/// with few messages are hit as often as those with many.
fn aim(step: Step) -> (u32, u32) {
    match step {
        Step::Open => (8, 4),
        Step::Commit => (6, 3),
        Step::Prepare => (4, 6),
        Step::Activate => (6, 3),
        Step::Keep => (24, 2),
        Step::Retire => (6, 8),
        Step::Probe => (3, 3),
        Step::Deal => (1, CUT_AFTER_MAX),
    }
}

fn is_promise(reply: &Reply) -> bool {
    matches!(reply, Reply::Committed(_))
}
