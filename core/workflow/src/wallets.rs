//! What is known of each wallet: the share set in use, its parent while that is still served, and who serves them.
//!
//! It follows from changes alone, so a second copy, kept where requests are answered, never waits for the loop
//! that runs ceremonies. A wallet is shown only after the Retirement of its first epoch: until then the next
//! attempt would give it another key.

use crate::ceremony::generation::Generation;
use perennial_model::certificate::Certificate;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::plan::Chunk;
use perennial_model::share_set::ShareSet;
use perennial_model::wallet::{TenantId, Wallet, WalletId, WalletKey};
use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;

/// Something that changes what is known of wallets. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeadChange {
    /// A chunk has its Activation.
    Activated {
        /// The new share sets.
        generation: Arc<Generation>,
        /// The certificate.
        activation: Arc<Certificate>,
        /// When, in milliseconds since 1970.
        at_ms: u64,
    },
    /// A holder serves a chunk's epoch.
    Serves {
        /// The chunk.
        chunk: Chunk,
        /// The holder.
        holder: SignerId,
        /// Since when, in milliseconds since 1970 by its clock.
        at_ms: u64,
    },
    /// A chunk has its Retirement: everything lower is on its way out.
    Retired {
        /// The share sets that stay.
        generation: Arc<Generation>,
        /// When the Activation was put together, in milliseconds since 1970.
        activated_ms: u64,
        /// When the Retirement was.
        at_ms: u64,
    },
    /// An attempt was left after its Activation. Its holders go on serving it; no request and no plan stands on it.
    Withdrawn {
        /// The chunk.
        chunk: Chunk,
    },
    /// An attempt was left, and its openers may hold something of it.
    Abandoned {
        /// The number.
        epoch: Epoch,
        /// The wallets.
        wallets: Arc<[WalletId]>,
        /// Who opened.
        openers: Arc<[SignerId]>,
    },
}

/// How one generation stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its share sets.
    pub generation: Arc<Generation>,
    /// Its Activation, as long as it is not retired.
    pub activation: Option<Arc<Certificate>>,
    /// When the Activation was put together, in milliseconds since 1970.
    pub activated_ms: u64,
    /// Holders that said they serve it, each with the time by its own clock; empty once it is retired.
    pub serving: Vec<(SignerId, u64)>,
    /// When its Retirement was put together: all holders keep it.
    pub retired_ms: Option<u64>,
    users: usize,
}

impl Standing {
    /// Whether a signer is known to hold its shares: once it is retired all of its activation set do, before that
    /// those that say that they serve it.
    pub fn is_held_by(&self, signer: &SignerId) -> bool {
        match self.retired_ms {
            Some(_) => self.generation.inputs.holders.contains(signer),
            None => self.serving.iter().any(|(known, _)| known == signer),
        }
    }

    /// Whether every holder is known to serve it.
    pub fn is_served_by_all(&self) -> bool {
        let serves = |holder: &SignerId| self.serving.iter().any(|(known, _)| known == holder);
        self.retired_ms.is_some() || self.generation.inputs.holders.iter().all(serves)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    chunk: Chunk,
    at: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    present: Place,
    /// What was activated below it and not replaced by a Retirement, in the order in which it became known.
    others: Vec<Place>,
    shown: bool,
}

impl Entry {
    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        std::iter::once(self.present).chain(self.others.iter().copied())
    }
}

/// One share set and how it stands.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// The share set.
    pub share_set: &'a ShareSet,
    /// Its digest.
    pub digest: Digest,
    /// Its generation.
    pub standing: &'a Standing,
}

impl<'a> Served<'a> {
    /// The certificate that a session has to bring along, since some holder may not know it yet.
    pub fn activation_to_bring(&self) -> Option<&'a Arc<Certificate>> {
        self.standing.activation.as_ref().filter(|_| !self.standing.is_served_by_all())
    }
}

/// A wallet as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The newest activated share set.
    pub present: Served<'a>,
    /// Its parent, inside the overlap.
    pub parent: Option<Served<'a>>,
    /// The highest retired one, where it is neither of the two: several plans from one share set were activated.
    pub retired: Option<Served<'a>>,
}

impl<'a> Head<'a> {
    /// The wallet.
    pub fn wallet(&self) -> &'a Wallet {
        &self.present.share_set.wallet
    }

    /// What is served of it, in the order in which a request tries it.
    pub fn served(&self) -> impl Iterator<Item = &Served<'a>> + '_ {
        std::iter::once(&self.present).chain(&self.parent).chain(&self.retired)
    }

    /// The share set that a new plan does best to stand on: the newest that as many holders as sign are known to
    /// serve. Below the highest retired one there is none, and that one always qualifies.
    pub fn ground(&self) -> &Served<'a> {
        let is_firm = |served: &&Served<'_>| {
            let threshold = usize::from(served.share_set.committee.threshold());
            served.standing.retired_ms.is_some() || served.standing.serving.len() >= threshold
        };
        self.served().find(is_firm).unwrap_or(&self.present)
    }

    /// Its key.
    pub fn key(&self) -> &'a WalletKey {
        &self.present.share_set.key
    }
}

/// All wallets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heads {
    wallets: BTreeMap<WalletId, Entry>,
    generations: BTreeMap<Chunk, Standing>,
    left_behind: BTreeMap<WalletId, Vec<(Epoch, SignerId)>>,
}

impl Heads {
    /// A wallet that may be shown.
    pub fn get(&self, wallet: &WalletId) -> Option<Head<'_>> {
        self.wallets.get(wallet).filter(|entry| entry.shown).and_then(|entry| self.head(entry))
    }

    /// All wallets that may be shown, by name.
    pub fn iter(&self) -> impl Iterator<Item = Head<'_>> + '_ {
        self.wallets.values().filter(|entry| entry.shown).filter_map(|entry| self.head(entry))
    }

    /// How many wallets may be shown.
    pub fn len(&self) -> usize {
        self.wallets.values().filter(|entry| entry.shown).count()
    }

    /// Whether no wallet may be shown.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a wallet of this name exists or has a key that may still become its own.
    pub fn is_taken(&self, wallet: &WalletId) -> bool {
        self.wallets.contains_key(wallet)
    }

    /// Whose the wallet of this name is, if there is one or it has a key that may still become its own.
    pub fn tenant(&self, wallet: &WalletId) -> Option<&TenantId> {
        self.wallets.get(wallet).and_then(|entry| self.head(entry)).map(|head| &head.wallet().tenant)
    }

    /// Everything of a wallet that was activated and not replaced by a Retirement, the newest first.
    pub fn activated(&self, wallet: &WalletId) -> Vec<Served<'_>> {
        let places = self.wallets.get(wallet).into_iter().flat_map(Entry::places);
        let mut all: Vec<Served<'_>> = places.filter_map(|place| self.served(place)).collect();
        all.sort_by_key(|served| std::cmp::Reverse(served.share_set.epoch));
        all
    }

    /// Attempts of a wallet that were left and are not below a Retirement: each signer that opened one, with its number.
    pub fn left_behind(&self, wallet: &WalletId) -> &[(Epoch, SignerId)] {
        self.left_behind.get(wallet).map_or(&[], Vec::as_slice)
    }

    /// The share set of that digest, if a plan may still name it as a parent: activated, and not replaced.
    pub fn share_set(&self, wallet: &WalletId, digest: &Digest) -> Option<&ShareSet> {
        self.parent(wallet, digest).map(|served| served.share_set)
    }

    /// How the generation of that share set stands.
    pub fn standing(&self, wallet: &WalletId, digest: &Digest) -> Option<&Standing> {
        self.parent(wallet, digest).map(|served| served.standing)
    }

    /// Both together.
    pub fn parent(&self, wallet: &WalletId, digest: &Digest) -> Option<Served<'_>> {
        let entry = self.wallets.get(wallet)?;
        entry.places().filter_map(|place| self.served(place)).find(|served| served.digest == *digest)
    }

    /// Who may still hold something below the share sets of a generation, and owes a receipt once it is retired:
    /// its own holders, the holders of what is served beside it, and whoever opened an attempt that was left.
    pub fn owing(&self, generation: &Generation) -> Vec<SignerId> {
        let mut owing = generation.inputs.holders.clone();
        let mut add = |signer: &SignerId| {
            if !owing.contains(signer) {
                owing.push(signer.clone());
            }
        };
        let mut last: Option<Chunk> = None;
        for share_set in &generation.share_sets {
            let id = &share_set.wallet.id;
            for (epoch, signer) in self.left_behind.get(id).into_iter().flatten() {
                if *epoch < share_set.epoch {
                    add(signer);
                }
            }
            let Some(entry) = self.wallets.get(id) else { continue };
            for place in entry.places() {
                if last != Some(place.chunk) && place.chunk.epoch < share_set.epoch {
                    last = Some(place.chunk);
                    let standing = self.generations.get(&place.chunk);
                    let sets = standing.and_then(|standing| standing.generation.share_sets.first());
                    sets.into_iter().flat_map(|set| set.committee.signers()).for_each(&mut add);
                }
            }
        }
        owing
    }

    /// Whether a generation of this ceremony is still in use.
    pub fn stands_on(&self, ceremony: &Digest) -> bool {
        let first = Chunk { plan: *ceremony, epoch: Epoch::new(0, 0), first: 0, count: 0 };
        self.generations.range(first..).next().is_some_and(|(chunk, _)| chunk.plan == *ceremony)
    }

    /// The highest retired epoch of a wallet.
    pub fn retired_epoch(&self, wallet: &WalletId) -> Option<Epoch> {
        let entry = self.wallets.get(wallet)?;
        entry.places().filter(|place| self.is_retired(place)).map(|place| place.chunk.epoch).max()
    }

    /// The highest number of an attempt at a wallet that was left, of which somebody may still hold something.
    pub fn highest_left(&self, wallet: &WalletId) -> Option<Epoch> {
        self.left_behind.get(wallet)?.iter().map(|(epoch, _)| *epoch).max()
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &HeadChange) {
        match change {
            HeadChange::Activated { generation, activation, at_ms } => {
                let mut standing = Standing::new(generation, *at_ms);
                standing.activation = Some(activation.clone());
                self.generations.insert(generation.inputs.chunk, standing);
                self.place_all(generation);
                self.drop_unused(generation.inputs.chunk);
            }
            HeadChange::Serves { chunk, holder, at_ms } => {
                if let Some(standing) = self.generations.get_mut(chunk)
                    && standing.retired_ms.is_none()
                    && standing.serving.iter().all(|(known, _)| known != holder)
                {
                    standing.serving.push((holder.clone(), *at_ms));
                }
            }
            HeadChange::Retired { generation, activated_ms, at_ms } => {
                self.retire(generation, *activated_ms, *at_ms);
            }
            HeadChange::Withdrawn { chunk } => self.withdraw(*chunk),
            HeadChange::Abandoned { epoch, wallets, openers } => {
                for wallet in wallets.iter() {
                    if self.retired_epoch(wallet).is_none_or(|retired| retired < *epoch) {
                        let behind = self.left_behind.entry(wallet.clone()).or_default();
                        behind.extend(openers.iter().map(|opener| (*epoch, opener.clone())));
                    }
                }
            }
        }
    }

    /// Takes a chunk out of its wallets' places. What was never retired and has nothing below it is no wallet yet.
    fn withdraw(&mut self, chunk: Chunk) {
        let Some(generation) = self.generations.get(&chunk).map(|standing| standing.generation.clone())
        else {
            return;
        };
        for share_set in &generation.share_sets {
            let id = &share_set.wallet.id;
            let Some(mut entry) = self.wallets.remove(id) else { continue };
            let (gone, stays): (Vec<Place>, Vec<Place>) =
                entry.places().partition(|place| place.chunk == chunk);
            if let Some(highest) = stays.iter().copied().max_by_key(|place| self.order_of(*place)) {
                entry.present = highest;
                entry.others = stays.into_iter().filter(|place| *place != highest).collect();
                self.wallets.insert(id.clone(), entry);
            }
            gone.into_iter().for_each(|place| self.release(place.chunk));
        }
    }

    fn retire(&mut self, generation: &Arc<Generation>, activated_ms: u64, at_ms: u64) {
        let chunk = generation.inputs.chunk;
        if let btree_map::Entry::Vacant(vacant) = self.generations.entry(chunk) {
            vacant.insert(Standing::new(generation, activated_ms));
            self.place_all(generation);
        }
        if let Some(standing) = self.generations.get_mut(&chunk) {
            // All holders have said Keep, and with it that they serve it.
            standing.retired_ms = Some(at_ms);
            standing.activation = None;
            standing.serving = Vec::new();
        }
        for (at, share_set) in (0u32..).zip(&generation.share_sets) {
            let id = &share_set.wallet.id;
            if let Some(behind) = self.left_behind.get_mut(id) {
                behind.retain(|(epoch, _)| *epoch > chunk.epoch);
                if behind.is_empty() {
                    self.left_behind.remove(id);
                }
            }
            let Some(mut entry) = self.wallets.remove(id) else { continue };
            entry.shown = true;
            let place = Place { chunk, at };
            if entry.places().all(|known| known != place) {
                entry.others.push(place);
                self.hold(chunk);
            }
            let (kept, gone) = entry.others.iter().partition(|other| other.chunk.epoch >= chunk.epoch);
            entry.others = kept;
            self.wallets.insert(id.clone(), entry);
            let gone: Vec<Place> = gone;
            gone.into_iter().for_each(|other| self.release(other.chunk));
        }
        self.drop_unused(chunk);
    }

    /// Puts each share set in its wallet's place, if it is the newest.
    fn place_all(&mut self, generation: &Arc<Generation>) {
        let chunk = generation.inputs.chunk;
        for (at, share_set) in (0u32..).zip(&generation.share_sets) {
            let place = Place { chunk, at };
            let id = &share_set.wallet.id;
            let Some(mut entry) = self.wallets.remove(id) else {
                let entry = Entry { present: place, others: Vec::new(), shown: false };
                self.wallets.insert(id.clone(), entry);
                self.hold(chunk);
                continue;
            };
            if self.order_of(entry.present) < self.order_of(place) {
                entry.others.push(entry.present);
                entry.present = place;
                self.hold(chunk);
            }
            self.wallets.insert(id.clone(), entry);
        }
    }

    fn is_retired(&self, place: &Place) -> bool {
        self.generations.get(&place.chunk).is_some_and(|known| known.retired_ms.is_some())
    }

    fn order_of(&self, place: Place) -> (Epoch, Option<Digest>) {
        (place.chunk.epoch, self.served(place).map(|served| served.share_set.transcript))
    }

    fn hold(&mut self, chunk: Chunk) {
        if let Some(standing) = self.generations.get_mut(&chunk) {
            standing.users += 1;
        }
    }

    fn release(&mut self, chunk: Chunk) {
        if let Some(standing) = self.generations.get_mut(&chunk) {
            standing.users = standing.users.saturating_sub(1);
        }
        self.drop_unused(chunk);
    }

    fn drop_unused(&mut self, chunk: Chunk) {
        if self.generations.get(&chunk).is_some_and(|standing| standing.users == 0) {
            self.generations.remove(&chunk);
        }
    }

    fn head(&self, entry: &Entry) -> Option<Head<'_>> {
        let present = self.served(entry.present)?;
        let others = || entry.others.iter().filter_map(|place| self.served(*place));
        let parent = others().find(|other| present.share_set.parent == Some(other.digest));
        let retired = others().filter(|other| other.standing.retired_ms.is_some());
        let retired = retired.max_by_key(|other| other.share_set.epoch);
        let is_new = |retired: &Served<'_>| {
            present.standing.retired_ms.is_none()
                && parent.is_none_or(|parent| parent.digest != retired.digest)
        };
        Some(Head { present, parent, retired: retired.filter(is_new) })
    }

    fn served(&self, place: Place) -> Option<Served<'_>> {
        let standing = self.generations.get(&place.chunk)?;
        let at = place.at as usize;
        Some(Served {
            share_set: standing.generation.share_sets.get(at)?,
            digest: *standing.generation.digests.get(at)?,
            standing,
        })
    }
}

impl Standing {
    fn new(generation: &Arc<Generation>, activated_ms: u64) -> Self {
        Self {
            generation: generation.clone(),
            activation: None,
            activated_ms,
            serving: Vec::new(),
            retired_ms: None,
            users: 0,
        }
    }
}
