//! Time and the network: a queue of events, and links that lose, double, delay and reorder mail.
//!
//! Every link keeps its order unless a fault breaks it; time is counted in virtual milliseconds.

use crate::faults::{Kind, Step, Table, Weather};
use perennial_model::encoding::Digest;
use perennial_model::mail::Reply;
use perennial_model::plan::Chunk;
use rand_chacha::ChaCha8Rng;
use rand_core::Rng;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// The shortest time on a link, in milliseconds.
const HOP_MS_MIN: u64 = 1;
/// By how much a hop may take longer, in milliseconds.
const HOP_MS_SPREAD: u64 = 9;
/// The longest that a link is held up, in milliseconds.
const DELAY_MS_MAX: u64 = 3_000;
/// The longest that a single message is held back, in milliseconds.
const HELD_MS_MAX: u64 = 400;
/// The latest that a copy comes, in milliseconds.
const COPY_MS_MAX: u64 = 20_000;

/// Which mail a message belongs to; each has its own links.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lane {
    /// Ceremonies, probes included.
    Ceremony,
    /// Signing requests.
    Signing,
}

/// Which way a message goes, with the number of the signer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the coordinator to a signer.
    To(usize),
    /// From a signer to the coordinator.
    From(usize),
}

/// What a message is about, for counting and tracing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct About {
    /// The step of the ceremony.
    pub step: Option<Step>,
    /// The chunk, if it is about one.
    pub chunk: Option<Chunk>,
    /// The session, if it belongs to one.
    pub session: Option<Digest>,
    /// Whether a fault that hits it counts.
    pub counts: bool,
}

/// The content of a message.
#[derive(Clone, Debug)]
pub enum Body {
    /// The bytes of a request.
    Request(Arc<[u8]>),
    /// A reply.
    Reply(Box<Reply>),
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Whereto.
    pub way: Way,
    /// On which links.
    pub lane: Lane,
    /// About what.
    pub about: About,
    /// The content.
    pub body: Body,
    number: u64,
    held: bool,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message arrives.
    Deliver(Box<Envelope>),
    /// A signer looks at the clock.
    SignerTick(usize),
    /// A signer takes up what waits for a turn of its own.
    SignerGoesOn(usize),
    /// A signer's process starts again.
    SignerStarts(usize),
    /// The coordinator looks at what is open. The number tells the latest alarm from older ones.
    CoordinatorWakes(u64),
    /// The coordinator's process starts again.
    CoordinatorStarts,
    /// Somebody wants a transaction signed.
    Order,
    /// The operator looks after the plans.
    Operator,
}

struct Entry {
    at_ms: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}

#[derive(Clone, Copy, Default)]
struct Link {
    last_ms: u64,
    sent: u64,
    newest_delivered: u64,
}

/// The queue of events and the links.
pub struct Network {
    queue: BinaryHeap<Entry>,
    entered: u64,
    links: Vec<Link>,
    signers: usize,
}

impl Network {
    /// A network between a coordinator and this many signers.
    pub fn new(signers: usize) -> Self {
        Self { queue: BinaryHeap::new(), entered: 0, links: vec![Link::default(); signers * 4], signers }
    }

    /// Lets something happen at a time.
    pub fn at(&mut self, at_ms: u64, event: Event) {
        self.entered += 1;
        self.queue.push(Entry { at_ms, number: self.entered, event });
    }

    /// The next event and its time.
    pub fn take_next(&mut self) -> Option<(u64, Event)> {
        self.queue.pop().map(|entry| (entry.at_ms, entry.event))
    }

    /// Sends a message; what goes wrong is counted. Says whether it will arrive.
    pub fn send(
        &mut self,
        now_ms: u64,
        letter: (Way, Lane, About, Body),
        weather: &Weather,
        rng: &mut ChaCha8Rng,
        table: &mut Table,
    ) -> bool {
        let (way, lane, about, body) = letter;
        let mut count = |kind| {
            if let (true, Some(step)) = (about.counts, about.step) {
                table.add(kind, step, 1);
            }
        };
        let number = {
            let link = self.link(way, lane);
            link.sent += 1;
            link.sent
        };
        let mut envelope = Envelope { way, lane, about, body, number, held: false };
        if lane == Lane::Signing {
            let arrives = !happens(weather.signing_lost, rng);
            if arrives {
                self.pass(now_ms, 0, envelope, rng);
            }
            return arrives;
        }
        if happens(weather.doubled, rng) {
            count(Kind::Doubled);
            // Most copies come soon, some when everything has moved on.
            let reach_ms = COPY_MS_MAX >> (rng.next_u32() % 8);
            let at_ms = now_ms + 1 + rng.next_u64() % reach_ms;
            self.at(at_ms, Event::Deliver(Box::new(envelope.clone())));
        }
        if happens(weather.lost, rng) {
            count(Kind::Lost);
            return false;
        }
        if happens(weather.held, rng) {
            envelope.held = true;
            let at_ms = now_ms + HOP_MS_MIN + rng.next_u64() % HELD_MS_MAX;
            self.at(at_ms, Event::Deliver(Box::new(envelope)));
            return true;
        }
        let mut delay_ms = 0;
        if happens(weather.delayed, rng) {
            count(Kind::Delayed);
            let reach_ms = DELAY_MS_MAX >> (rng.next_u32() % 6);
            delay_ms = 1 + rng.next_u64() % reach_ms;
        }
        self.pass(now_ms, delay_ms, envelope, rng);
        true
    }

    /// Whether a message that arrives was overtaken by one sent after it. To be asked once for each.
    pub fn arrives(&mut self, envelope: &Envelope) -> bool {
        let link = self.link(envelope.way, envelope.lane);
        let overtaken = envelope.held && envelope.number < link.newest_delivered;
        link.newest_delivered = link.newest_delivered.max(envelope.number);
        overtaken
    }

    /// Puts a message behind all others on its link.
    fn pass(&mut self, now_ms: u64, delay_ms: u64, envelope: Envelope, rng: &mut ChaCha8Rng) {
        let hop_ms = HOP_MS_MIN + rng.next_u64() % (HOP_MS_SPREAD + 1);
        let link = self.link(envelope.way, envelope.lane);
        let at_ms = (now_ms + hop_ms + delay_ms).max(link.last_ms);
        link.last_ms = at_ms;
        self.at(at_ms, Event::Deliver(Box::new(envelope)));
    }

    fn link(&mut self, way: Way, lane: Lane) -> &mut Link {
        let (signer, direction) = match way {
            Way::To(signer) => (signer, 0),
            Way::From(signer) => (signer, 1),
        };
        let lane = match lane {
            Lane::Ceremony => 0,
            Lane::Signing => 1,
        };
        &mut self.links[(direction * 2 + lane) * self.signers + signer]
    }
}

/// Whether something with this chance in a million happens.
pub fn happens(in_a_million: u32, rng: &mut ChaCha8Rng) -> bool {
    in_a_million > 0 && rng.next_u32() % 1_000_000 < in_a_million
}
