//! What has been seen so far, and the order in which everything new is held against the invariants.
//!
//! This is memory, not protocol: what signers have durably on disk, what they have said, and what they once held.
//! Each invariant is a function of its own in `invariants`; here it is decided which of them a step can have
//! touched. Every so often, and at the end, all of them look at everything.

mod mirror;
mod spoken;

pub use mirror::{Changed, ChunkChange, Mirror};
pub use spoken::{Retired, Spoken};

use crate::cast::Cast;
use crate::invariants::{
    approvals, authority, erasure, keys, mandates, orders, recovery, rising, sessions, transcripts, witness,
};
use crate::network::Lane;
use crate::signer::Signer;
use crate::violation::{Invariant, Violation};
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::mail::Reply;
use perennial_model::mandate::Mandate;
use perennial_model::order::Order;
use perennial_model::plan::{Chunk, Plan};
use perennial_model::session::SessionRequest;
use perennial_model::wallet::WalletId;
use perennial_workflow::driver::Settled;
use perennial_workflow::journal::Note;
use perennial_workflow::wallets::Heads;
use std::collections::{BTreeMap, BTreeSet};

/// After so many looks everything is looked at.
const EVERYTHING_EVERY: u64 = 2_000;

/// Whether a turn ended, or was cut short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// All its effects are done.
    Whole,
    /// The process died in it.
    Cut,
}

/// What has been seen so far.
pub struct History {
    /// How many checks were made.
    pub checks: u64,
    /// When the last signatures were asked for.
    pub farewell_since_ms: Option<u64>,
    /// Each signer's durable records.
    pub mirrors: Vec<Mirror>,
    /// What was said.
    pub spoken: Spoken,
    /// The wallets' keys, and what their shares open to.
    pub keys: keys::Keys,
    /// The highest numbers opened and kept.
    pub rising: rising::Rising,
    /// Signing sessions.
    pub sessions: sessions::Sessions,
    /// Key slots that must be gone.
    pub doomed: erasure::Doomed,
    /// The plans that people have approved.
    pub plans: BTreeMap<Digest, Plan>,
    /// The mandates that people have given.
    pub mandates: BTreeMap<Digest, Mandate>,
    /// The orders that people have given.
    pub orders: BTreeMap<Digest, Order>,
    /// The highest epoch of a wallet below which each signer has erased, and when, by its own clock.
    pub renewed: BTreeMap<(usize, WalletId), (Epoch, u64)>,
    /// The versions of governance that people have approved.
    pub governances: BTreeSet<Digest>,
    signed: BTreeSet<WalletId>,
    looks: u64,
}

impl History {
    /// Nothing was seen yet.
    pub fn new(cast: &Cast) -> Self {
        Self {
            checks: 0,
            farewell_since_ms: None,
            mirrors: cast.ids.iter().map(|_| Mirror::default()).collect(),
            spoken: Spoken::default(),
            keys: keys::Keys::default(),
            rising: rising::Rising::default(),
            sessions: sessions::Sessions::default(),
            doomed: erasure::Doomed::default(),
            plans: BTreeMap::new(),
            mandates: BTreeMap::new(),
            orders: BTreeMap::new(),
            renewed: BTreeMap::new(),
            governances: cast.history.versions().0.iter().map(|known| known.governance.digest()).collect(),
            signed: BTreeSet::new(),
            looks: 0,
        }
    }

    /// Looks at what a turn, or a cut, left on a signer's disk and desk.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn look(
        &mut self,
        number: usize,
        signers: &mut [Signer],
        now_ms: u64,
        turn: Turn,
    ) -> Result<(), Violation> {
        let touched = signers[number].disk.take_touched();
        let changed = self.mirrors[number].take_over(&signers[number].disk, touched)?;
        let signer = &signers[number];
        let clock_ms = signer.clock_ms(now_ms);
        self.checks += 13;
        mandates::i11_only_under_what_people_gave(self, number, &changed)?;
        approvals::i11_only_what_people_approved(self, number, &changed)?;
        orders::i11_only_orders_that_people_gave(self, number, &changed, clock_ms)?;
        mandates::i11_mandates_bind(self, number, &changed, clock_ms)?;
        approvals::i11_approvals_bind(self, number, &changed, clock_ms)?;
        witness::i13_halted_does_nothing(self, signer, number, &changed)?;
        rising::i7_no_going_back(self, number, &changed)?;
        erasure::i5_erasure_only_where_allowed(self, signer, number, &changed, clock_ms)?;
        keys::i1_key_continuity(self, signer, number, &changed)?;
        transcripts::i2_one_transcript(self, signer, number, &changed)?;
        sessions::i3_serves_what_was_probed(self, number, &changed)?;
        if turn == Turn::Whole {
            erasure::i9_erasure_is_complete(self, signer, number)?;
            authority::i3_authority(self, signer, number, changed.wallets.iter().map(|change| &change.id))?;
        }
        recovery::i6_recoverable(self, signers, number, changed.wallets.iter().map(|change| &change.id))?;
        if changed.base_went {
            let wallets: Vec<WalletId> = self.mirrors[number].wallets.keys().cloned().collect();
            recovery::i6_recoverable(self, signers, number, wallets.iter())?;
        }
        self.looks += 1;
        if self.looks.is_multiple_of(EVERYTHING_EVERY) {
            self.look_at_everything(signers)?;
        }
        Ok(())
    }

    /// Looks at every signer and wallet, from the bytes on the disks.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn look_at_everything(&mut self, signers: &[Signer]) -> Result<(), Violation> {
        self.keys.forget_openings();
        self.doomed.forget_what_was_seen();
        for (number, signer) in signers.iter().enumerate() {
            self.checks += 4;
            self.mirrors[number].compare(&signer.disk)?;
            let wallets: Vec<WalletId> = self.mirrors[number].wallets.keys().cloned().collect();
            keys::i1_all_shares_of(self, signer, number)?;
            recovery::i6_recoverable(self, signers, number, wallets.iter())?;
            if signer.is_up() {
                erasure::i9_erasure_is_complete(self, signer, number)?;
                authority::i3_authority(self, signer, number, wallets.iter())?;
            }
        }
        Ok(())
    }

    /// Hears what a signer is about to say.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn hear(
        &mut self,
        number: usize,
        lane: Lane,
        reply: &Reply,
        signers: &[Signer],
    ) -> Result<(), Violation> {
        self.checks += 3;
        crate::invariants::durable::i8_acknowledgement_implies_durability(
            &self.mirrors[number],
            &signers[number],
            reply,
        )?;
        approvals::i11_no_dealing_leaves_that_people_do_not_want(self, number, &signers[number], reply)?;
        let id = signers[number].own.pinned.me();
        match reply {
            Reply::Voted(vote) => {
                let vote = vote.read_unchecked().map_err(|e| sound(&e))?;
                transcripts::i2_one_vote_per_number(&self.spoken, id, &vote)?;
                if let Some(chunk) = self.spoken.vote(id, &vote, &self.mirrors[number]) {
                    self.checks += 1;
                    recovery::i6_all_keep_what_is_retired(self, signers, &chunk)?;
                }
            }
            Reply::SessionMail(said) => {
                let said = said.read_unchecked().map_err(|e| sound(&e))?;
                self.checks += 3;
                sessions::i4_each_round_once(self, number, lane, &said)?;
                sessions::i4_no_mixed_session_no_nonce_twice(self, number, signers, &said)?;
                match lane {
                    Lane::Signing => authority::i3_signs_only_what_it_serves(self, number, &said.session)?,
                    Lane::Ceremony => sessions::i3_signs_only_due_probes(self, number, &said)?,
                }
            }
            Reply::Opened(said) => {
                let said = (said.read_unchecked().map_err(|e| sound(&e))?.chunk, said.body_digest());
                transcripts::i7_one_opening_per_number(&mut self.spoken, id, &said)?;
            }
            Reply::Committed(said) => {
                let said = said.read_unchecked().map_err(|e| sound(&e))?;
                transcripts::i2_one_promise_per_number(&mut self.spoken, id, &said)?;
                if !self.spoken.corrupt.contains(id) {
                    keys::i1_deals_to_all_until_one_is_retired(self, number, &said.chunk)?;
                }
            }
            Reply::Dealt(said) => {
                let said = said.read_unchecked().map_err(|e| sound(&e))?;
                transcripts::i2_dealt_when_all_have_promised(self, number, &said)?;
                rising::i7_publishes_nothing_that_is_passed(self, number, &said.chunk)?;
            }
            Reply::Refused(said) => {
                let said = said.read_unchecked().map_err(|e| sound(&e))?;
                transcripts::i12_nobody_is_refused_wrongly(self, number, &said)?;
            }
            Reply::Erased(receipt) => {
                let receipt = receipt.read_unchecked().map_err(|e| sound(&e))?;
                erasure::i9_receipt_is_true(&self.mirrors[number], &receipt)?;
            }
            Reply::Declined { blame: perennial_model::session::Blame::Bug, reason, .. } => {
                let what = format!("s{:02} reports a bug: {reason}", number + 1);
                return Err(Violation::new(Invariant::Sound, what));
            }
            Reply::Session(report) => {
                self.sessions.ends(report);
                sessions::i4_no_bug(self, number, report)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Hears what the coordinator made durable.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn settled(&mut self, settled: &Settled) -> Result<(), Violation> {
        for note in &settled.notes {
            match note {
                Note::Activated { certificate, .. } => {
                    transcripts::i2_all_prepared_what_is_activated(self, certificate)?;
                }
                Note::Retired { certificate, .. } => {
                    transcripts::i2_all_keep_what_is_retired(self, certificate)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A signer is asked to begin a session.
    pub fn session_begins(&mut self, number: usize, request: &SessionRequest) {
        self.sessions.begins(number, request);
    }

    /// A version of governance has its quorum.
    pub fn governed(&mut self, digest: Digest) {
        self.governances.insert(digest);
    }

    /// A plan has its quorum.
    pub fn planned(&mut self, plan: &Plan) {
        self.plans.insert(plan.digest(), plan.clone());
    }

    /// People have given a mandate.
    pub fn mandated(&mut self, mandate: &Mandate) {
        self.mandates.insert(mandate.digest(), mandate.clone());
    }

    /// People have given an order.
    pub fn ordered(&mut self, order: &Order) {
        self.orders.insert(order.digest(), order.clone());
    }

    /// A signature of a wallet was released.
    pub fn signed(&mut self, wallet: &WalletId) {
        self.signed.insert(wallet.clone());
    }

    /// From here on only new signatures count.
    pub fn forget_signatures(&mut self) {
        self.signed.clear();
    }

    /// Whether a wallet has signed since.
    pub fn has_signed(&self, wallet: &WalletId) -> bool {
        self.signed.contains(wallet)
    }

    /// Whether a holder that prepared a chunk no longer has it.
    pub fn was_dropped(&self, cast: &Cast, chunk: &Chunk) -> bool {
        let prepared = self.spoken.prepared.get(chunk).into_iter().flat_map(|votes| votes.keys());
        let mut numbers = prepared.filter_map(|id| cast.number(id));
        numbers.any(|number| !self.mirrors[number].chunks.contains_key(chunk))
    }

    /// All signers serve the same one epoch of each wallet, the coordinator's newest.
    ///
    /// # Errors
    /// Where they do not.
    pub fn all_agree(&mut self, signers: &[Signer], heads: &Heads) -> Result<(), Violation> {
        self.checks += 1;
        authority::i3_all_agree(signers, heads)
    }
}

fn sound(error: &perennial_model::Error) -> Violation {
    Violation::new(Invariant::Sound, format!("a signer says what cannot be read: {error}"))
}
