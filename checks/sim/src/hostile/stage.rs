//! A small deployment and its attacker's hands on it: shipped keepers and desks on sound disks, an honest driver whose
//! mail the attacker carries, and everything that has passed.
//!
//! Whatever a signer does is looked at by every invariant that can be touched by it. What changes nothing on a disk is
//! held against the signer's memory alone, which has to be what its disk says.

use super::archive::Archive;
use super::decrees::Decrees;
use super::ledger::Ledger;
use super::people::{self, People};
use crate::cast::Cast;
use crate::coordinator::{Came, Coordinator};
use crate::history::{History, Turn};
use crate::invariants::{authority, sessions, transcripts, witness};
use crate::network::Lane;
use crate::signer::{Mail, Signer};
use crate::violation::{Invariant, Violation};
use perennial_model::committee::{Committee, SignerId};
use perennial_model::encoding::{self, Digest};
use perennial_model::identity::Signed;
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::Action;
use perennial_model::session::SessionRequest;
use perennial_model::vote::{Vote, VoteKind};
use perennial_workflow::driver::{Settled, Tuning, relay};
use perennial_workflow::wallets::HeadChange;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::sync::Arc;

/// When every siege begins, in milliseconds since 1970.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// Honest mail on its way, which the attacker may touch.
pub enum Letter {
    /// To a signer.
    To(usize, Lane, Arc<Request>),
    /// From a signer to the driver.
    From(usize, Box<Reply>),
}

/// What a signer answered.
pub struct Answer {
    /// In the order in which it came.
    pub replies: Vec<(Lane, Reply)>,
    /// Whether its disk was touched.
    pub changed: bool,
}

/// The deployment.
pub struct Stage {
    /// Signers' identities and people.
    pub cast: Cast,
    /// What people plan.
    pub people: People,
    /// The time, in virtual milliseconds.
    pub now_ms: u64,
    /// The signers; the last one is in no committee.
    pub signers: Vec<Signer>,
    /// The honest driver.
    pub coordinator: Coordinator,
    /// The same, started from an old copy of the journal, while the attacker lets it run.
    pub twin: Option<Coordinator>,
    /// What has been seen, for the invariants.
    pub history: History,
    /// What has been seen, for the attacker.
    pub archive: Archive,
    /// The signer whose keys the attacker has.
    pub corrupt: Option<usize>,
    /// Honest mail on its way.
    pub letters: VecDeque<Letter>,
    /// The ledger and its forks.
    pub ledger: Ledger,
    /// What people decide beyond plans.
    pub decrees: Decrees,
    /// Plans that the honest driver has made itself, under mandates, since somebody looked.
    pub begun: Vec<Digest>,
    /// Whether the attacker runs refreshes to their end by itself, and no honest driver can any more.
    pub takes_over: bool,
    /// Chance.
    pub rng: ChaCha8Rng,
}

impl Stage {
    /// A deployment that has just been set up.
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0705_711e);
        let (members, threshold) = [(3, 2), (4, 2), (5, 3), (2, 2)][(seed % 4) as usize];
        let cast = people::cast(seed, members + 1);
        let committee = Committee::first(threshold, &cast.ids[..members]).expect("2 ≤ t ≤ n ≤ 16");
        let signers = cast.owns.iter();
        let signers = signers.map(|own| Signer::new(own.clone(), rng.next_u64(), rng.next_u64() % 200));
        let signers: Vec<Signer> = signers.collect();
        let tuning = Tuning {
            chunk_wallets: 1 + rng.next_u32() % 3,
            session_ms: 1_500,
            opening_patience_ms: 400,
            patience_ms: 2_500,
            ask_again_ms: 150,
            ask_again_max_ms: 800,
            schedule_ms: 300,
            ..Tuning::default()
        };
        let coordinator = Coordinator::new(cast.history.clone(), tuning, rng.next_u64());
        let mut history = History::new(&cast);
        let corrupt = (seed / 4 % 2 == 1 && members > 2).then(|| rng.next_u32() as usize % members);
        history.spoken.corrupt.extend(corrupt.map(|number| cast.ids[number].clone()));
        let mut archive = Archive::default();
        archive.governances.extend(cast.history.versions().0.iter().cloned());
        let people = People::new(committee, &mut rng);
        Self {
            people,
            now_ms: BEGIN_MS,
            signers,
            coordinator,
            twin: None,
            history,
            archive,
            corrupt,
            letters: VecDeque::new(),
            ledger: Ledger::new(),
            decrees: Decrees::default(),
            begun: Vec::new(),
            takes_over: false,
            rng,
            cast,
        }
    }

    /// Starts every process.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn start(&mut self) -> Result<(), Violation> {
        for number in 0..self.signers.len() {
            self.start_signer(number)?;
        }
        let cannot = |e| Violation::new(Invariant::Sound, format!("the coordinator cannot start: {e:?}"));
        self.coordinator.start(self.now_ms).map_err(cannot)
    }

    /// A signer's process starts.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn start_signer(&mut self, number: usize) -> Result<(), Violation> {
        let cannot = |e| Violation::new(Invariant::Sound, format!("s{:02} cannot start: {e}", number + 1));
        let mail = self.signers[number].start(self.now_ms).map_err(cannot)?;
        self.looked_at(number, mail, true).map(drop)
    }

    /// How many signers are in the committee.
    pub fn members(&self) -> usize {
        self.signers.len() - 1
    }

    /// A number below `end`, by chance.
    pub fn below(&mut self, end: usize) -> usize {
        self.rng.next_u64() as usize % end.max(1)
    }

    /// One of these, by chance.
    pub fn one_of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).cloned()
    }

    /// The number of a signer.
    pub fn number(&self, signer: &SignerId) -> Option<usize> {
        self.cast.number(signer)
    }

    /// A signer takes a message.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn deliver(
        &mut self,
        number: usize,
        lane: Lane,
        request: &Arc<Request>,
    ) -> Result<Answer, Violation> {
        if let Request::Session(session) = &**request {
            self.asks(number, session);
        }
        let at = self.rng.next_u64() as usize;
        self.archive.deliver(number, lane, request, at);
        let answer = self.deliver_bytes(number, lane, &encoding::encode(&**request))?;
        let Answer { replies, changed } = &answer;
        transcripts::i2_nobody_chooses_last(&mut self.history, number, request, replies, *changed)?;
        Ok(answer)
    }

    /// A signer takes bytes.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn deliver_bytes(&mut self, number: usize, lane: Lane, bytes: &[u8]) -> Result<Answer, Violation> {
        let before = self.signers[number].disk.operations();
        let taken = self.signers[number].take(self.now_ms, lane, bytes);
        let mail = taken.map_err(|e| Violation::new(Invariant::Sound, e.to_string()))?;
        let changed = self.signers[number].disk.operations() != before;
        self.looked_at(number, mail, changed)
    }

    /// A signer looks at the clock.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn tick(&mut self, number: usize) -> Result<(), Violation> {
        let before = self.signers[number].disk.operations();
        let ticked = self.signers[number].tick(self.now_ms);
        let mail = ticked.map_err(|e| Violation::new(Invariant::Sound, e.to_string()))?;
        let changed = self.signers[number].disk.operations() != before;
        let answer = self.looked_at(number, mail, changed)?;
        self.post(number, answer.replies);
        Ok(())
    }

    /// Puts what a signer said on its way to the driver, and what is for another signer on its way there.
    pub fn post(&mut self, number: usize, replies: Vec<(Lane, Reply)>) {
        for (lane, reply) in replies {
            match (&reply, lane) {
                (Reply::SessionMail(_), Lane::Signing) => {
                    if let Ok(Some((to, request))) = relay(&self.cast.ids[number], &reply)
                        && let Some(to) = self.number(&to)
                    {
                        self.letters.push_back(Letter::To(to, Lane::Signing, Arc::new(request)));
                    }
                }
                (Reply::Session(_), Lane::Signing) | (Reply::Checkpoint(_), _) => {}
                _ => self.letters.push_back(Letter::From(number, Box::new(reply))),
            }
        }
    }

    /// One turn of the driver that runs, and its mail.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn turn(&mut self, came: Came) -> Result<(), Violation> {
        let turned = match &mut self.twin {
            Some(twin) => twin.turn(self.now_ms, came),
            None => self.coordinator.turn(self.now_ms, came),
        };
        let turned = turned.map_err(|e| Violation::new(Invariant::Sound, e.to_string()))?;
        self.history.settled(&turned.settled)?;
        self.learn(&turned.settled);
        for (signers, request) in turned.outbox {
            match &request {
                Request::Activate(certificate) | Request::Retire(certificate) => {
                    self.archive.certify(certificate);
                }
                Request::Plan(approved)
                    if approved.mandate.is_some() && self.archive.unattended(approved) =>
                {
                    self.begun.push(approved.plan.digest());
                }
                _ => {}
            }
            let request = Arc::new(request);
            for number in signers.iter().filter_map(|signer| self.cast.number(signer)) {
                self.letters.push_back(Letter::To(number, Lane::Ceremony, request.clone()));
            }
        }
        Ok(())
    }

    /// The power of a signer goes, and it starts again.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn restart(&mut self, number: usize) -> Result<(), Violation> {
        self.signers[number].die(crate::signer::Death::Power);
        self.history.look(number, &mut self.signers, self.now_ms, Turn::Cut)?;
        self.start_signer(number)
    }

    /// Until a signer has begun a session of that name, the last that it was asked counts.
    fn asks(&mut self, number: usize, session: &SessionRequest) {
        if !self.history.mirrors[number].sessions.contains(&session.session) {
            self.history.session_begins(number, session);
        }
    }

    fn learn(&mut self, settled: &Settled) {
        for change in &settled.changes {
            if let HeadChange::Activated { generation, .. } = change {
                let sets = generation.digests.iter().copied().zip(generation.share_sets.iter().cloned());
                self.archive.sets.extend(sets);
            }
        }
    }

    /// What a wallet that is being made comes to can be computed from its dealings, which the attacker has.
    fn look_at_candidates(&mut self, number: usize, vote: &Signed<Vote>) {
        let Ok(vote) = vote.read_unchecked() else { return };
        let makes =
            self.history.plans.get(&vote.chunk.plan).is_some_and(|plan| plan.action == Action::Create);
        if makes && vote.kind == VoteKind::Prepared {
            let held = self.history.mirrors[number].wallets.values().flat_map(|one| &one.held);
            let held = held.filter(|held| held.chunk == vote.chunk);
            self.archive.prepare(held.map(|held| (*held.share_set).clone()));
        }
    }

    fn looked_at(&mut self, number: usize, mail: Mail, changed: bool) -> Result<Answer, Violation> {
        if changed {
            self.history.look(number, &mut self.signers, self.now_ms, Turn::Whole)?;
        }
        self.history.checks += 2;
        let signer = &self.signers[number];
        crate::invariants::durable::i8_memory_is_what_is_durable(&self.history.mirrors[number], signer)?;
        let wallets = self.history.mirrors[number].wallets.keys();
        authority::i3_authority(&self.history, signer, number, wallets)?;
        for (lane, replies) in [(Lane::Ceremony, &mail.ceremony), (Lane::Signing, &mail.signing)] {
            for reply in replies {
                self.history.hear(number, lane, reply, &self.signers)?;
                match reply {
                    Reply::Session(report) => {
                        sessions::i4_signature_is_of_what_was_asked(&self.history, number, report)?;
                    }
                    Reply::Checkpoint(answer) => {
                        witness::i13_one_ledger(&mut self.ledger, number, &self.signers[number], answer)?;
                    }
                    Reply::Activated(chunk, _) if self.takes_over => {
                        let held = self.history.mirrors[number].wallets.values().flat_map(|one| &one.held);
                        let held = held.filter(|held| held.chunk == *chunk);
                        self.archive.serve(held.map(|held| (*held.share_set).clone()));
                    }
                    Reply::Voted(vote) => {
                        self.archive.hear(reply);
                        self.look_at_candidates(number, vote);
                    }
                    _ => self.archive.hear(reply),
                }
                if let Reply::Session(_) = reply {
                    self.archive.hear(reply);
                }
            }
        }
        let ceremony = mail.ceremony.into_iter().map(|reply| (Lane::Ceremony, reply));
        let replies = ceremony.chain(mail.signing.into_iter().map(|reply| (Lane::Signing, reply))).collect();
        Ok(Answer { replies, changed })
    }
}
