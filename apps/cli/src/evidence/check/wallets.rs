//! Share sets: that each is of the epoch that it says, and that the key of a wallet never changes.

use super::chunks::Roots;
use super::only_wallet;
use super::receipts::Erased;
use super::story::{Attempt, Story};
use crate::evidence::bundle::{About, document_member};
use crate::evidence::documents::Documents;
use crate::evidence::facts::{At, EpochFact};
use crate::evidence::flaw::{Check, Flaw};
use perennial_chain::address;
use perennial_model::approval::Approved;
use perennial_model::derivation::Path;
use perennial_model::encoding::{self, Digest};
use perennial_model::epoch::Epoch;
use perennial_model::governance::history::History;
use perennial_model::group::Group;
use perennial_model::plan::{Chunk, PlannedWallet};
use perennial_model::share_set::ShareSet;
use perennial_model::transcript::{Leaf, transcript_digest};
use perennial_model::wallet::{TenantId, WalletId};
use perennial_model::with_group;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A share set and where it comes from.
#[derive(Debug)]
pub struct Known {
    /// The share set.
    pub set: ShareSet,
    /// Its digest.
    pub digest: Digest,
    /// The chunk that made it; none if another one here came of it and what made it is not here.
    pub made: Option<Chunk>,
}

/// Every share set of a bundle.
#[derive(Debug, Default)]
pub struct Wallets {
    epochs: BTreeMap<(WalletId, Epoch), Known>,
    by_digest: HashMap<Digest, (WalletId, Epoch)>,
}

impl Wallets {
    /// Reads what is left of the documents: all of it has to be share sets.
    pub fn read(story: &Story<'_>, roots: &Roots, documents: &mut Documents<'_>) -> Result<Self, Flaw> {
        let mut places: HashMap<Digest, Vec<(Chunk, usize)>> = HashMap::new();
        for (chunk, leaves) in roots {
            for (at, leaf) in leaves.iter().enumerate() {
                places.entry(*leaf).or_default().push((*chunk, at));
            }
        }
        let mut wallets = Self::default();
        for (digest, bytes) in documents.unnamed() {
            let member = document_member(&digest);
            let refused = |reason: String| Flaw::new(Check::ShareSet, &member, reason);
            let set: ShareSet = match encoding::decode(bytes) {
                Ok(set) => set,
                Err(_) => {
                    return Err(Flaw::new(Check::Document, &member, "nothing in the bundle speaks of it"));
                }
            };
            let leaf = encoding::digest(&Leaf::of(&set));
            let made =
                places.get(&leaf).into_iter().flatten().find(|(chunk, _)| is_of(story, chunk, &leaf, &set));
            if let Some((chunk, at)) = made {
                check_planned(story, chunk, *at, &set).map_err(refused)?;
            }
            check_itself(&set).map_err(refused)?;
            documents.named(&digest);
            let place = (set.wallet.id.clone(), set.epoch);
            let known = Known { set, digest, made: made.map(|(chunk, _)| *chunk) };
            wallets.by_digest.insert(digest, place.clone());
            if wallets.epochs.insert(place, known).is_some() {
                return Err(refused("there are two share sets of that epoch".into()));
            }
        }
        wallets.check_origin()?;
        wallets.check_complete(story)?;
        wallets.check_continuity(story.about())?;
        Ok(wallets)
    }

    /// Whose the wallets are, for each share set.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.epochs.values().map(|known| &known.set.wallet.tenant)
    }

    /// The share set of an epoch of a wallet.
    pub fn find(&self, wallet: &WalletId, epoch: Epoch) -> Option<&Known> {
        self.epochs.get(&(wallet.clone(), epoch))
    }

    /// The share sets of all wallets of a chunk that made them, none if one is missing.
    pub fn all_of(&self, plan: &Approved, chunk: &Chunk) -> Option<Vec<&ShareSet>> {
        let planned = plan.plan().wallets_of(chunk).ok()?;
        planned.iter().map(|wallet| self.made_in(wallet.id(), chunk).map(|known| &known.set)).collect()
    }

    /// The share set of a wallet that was made in a chunk.
    fn made_in(&self, wallet: &WalletId, chunk: &Chunk) -> Option<&Known> {
        self.find(wallet, chunk.epoch).filter(|known| known.made == Some(*chunk))
    }

    /// Share sets that were made here of a parent that is not here.
    pub fn orphans(&self) -> impl Iterator<Item = &Known> {
        let made = self.epochs.values().filter(|known| known.made.is_some());
        made.filter(|known| known.set.parent.is_some_and(|parent| !self.by_digest.contains_key(&parent)))
    }

    /// When an epoch was ended: the first Retirement of a later one of the same wallet.
    pub fn ended(&self, story: &Story<'_>, wallet: &WalletId, epoch: Epoch) -> Option<(At, Epoch)> {
        let later =
            self.epochs.range((wallet.clone(), epoch)..).skip(1).take_while(|((id, _), _)| id == wallet);
        let retired = later.filter_map(|(_, known)| {
            let chunk = known.made?;
            Some((attempt_of(story, &chunk)?.retired?, chunk.epoch))
        });
        retired.min_by_key(|(at, _)| at.place)
    }

    /// What is known of every epoch.
    pub fn facts(&self, story: &Story<'_>, erased: &Erased, history: &History) -> Vec<EpochFact> {
        // A first epoch that is not kept by all may be left for another one, with another key.
        let is_kept = |known: &&Known| {
            let attempt = known.made.as_ref().and_then(|chunk| attempt_of(story, chunk));
            attempt.is_some_and(|attempt| attempt.retired.is_some())
        };
        let kept = self.epochs.values().filter(is_kept).map(|known| &known.set.wallet.id);
        let kept: HashSet<&WalletId> = kept.collect();
        let fact = |((wallet, epoch), known): (&(WalletId, Epoch), &Known)| {
            let set = &known.set;
            let path = kept.contains(wallet).then(|| Path::primary(set.wallet.chain));
            let attempt = known.made.as_ref().and_then(|chunk| attempt_of(story, chunk));
            let ended = self.ended(story, wallet, *epoch);
            let has_receipt = |signer: &&perennial_model::committee::SignerId| {
                erased.get(&(wallet.clone(), *epoch)).is_some_and(|signers| signers.contains(*signer))
            };
            let (erased_by, rest): (Vec<_>, Vec<_>) = set.committee.signers().partition(has_receipt);
            let (written_off, not_erased_by): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|signer| history.is_written_off(signer));
            EpochFact {
                wallet: set.wallet.clone(),
                public_key: set.key.public_key.to_string(),
                address: path.and_then(|path| address(&set.wallet, &set.key, &path).ok()),
                epoch: *epoch,
                plan: known.made.map(|chunk| chunk.plan),
                transcript: set.transcript,
                threshold: set.committee.threshold(),
                holders: set.committee.signers().cloned().collect(),
                activated: attempt.and_then(|attempt| Some(attempt.activated.as_ref()?.0)),
                kept: attempt.and_then(|attempt| attempt.retired),
                ended,
                erased_by: erased_by.into_iter().cloned().collect(),
                not_erased_by: not_erased_by.into_iter().cloned().collect(),
                written_off: written_off.into_iter().cloned().collect(),
            }
        };
        self.epochs.iter().map(fact).collect()
    }

    /// Every share set was made here, or one that was made here came of it: its holders have dealt from it, and voted for
    /// what came of that. A plan that names a share set shows nothing of it, whoever approved the plan.
    fn check_origin(&self) -> Result<(), Flaw> {
        let made = self.epochs.values().filter(|known| known.made.is_some());
        let parents: HashSet<Digest> = made.filter_map(|known| known.set.parent).collect();
        let is_strange = |known: &&Known| known.made.is_none() && !parents.contains(&known.digest);
        match self.epochs.values().find(is_strange) {
            Some(known) => {
                let reason = "it is of no epoch that is in the bundle";
                Err(Flaw::new(Check::ShareSet, document_member(&known.digest), reason))
            }
            None => Ok(()),
        }
    }

    /// Every epoch that was activated has the share sets of the wallets that the bundle is about; those that are here are
    /// the ones that were entered as created.
    fn check_complete(&self, story: &Story<'_>) -> Result<(), Flaw> {
        for (chunk, attempt) in story.attempts() {
            let (Some(_), Some(plan)) = (&attempt.activated, story.plan_of(chunk)) else { continue };
            let planned = plan.plan().wallets_of(chunk).unwrap_or_default();
            for planned in planned {
                let missing = |reason: String| {
                    Flaw::new(
                        Check::ShareSet,
                        format!("the share set of {} in {chunk}", planned.id()),
                        reason,
                    )
                };
                let Some(known) = self.made_in(planned.id(), chunk) else {
                    if only_wallet(story.about()).is_none_or(|id| planned.id() == id) {
                        return Err(missing("it is not here".into()));
                    }
                    continue;
                };
                let listed = attempt.created.iter().flat_map(|(_, created)| &created.wallets);
                let mut listed = listed.filter(|(id, _)| id == planned.id());
                if attempt.created.is_some() && !listed.any(|(_, digest)| *digest == known.digest) {
                    return Err(missing("it is not the one that wallets-created names".into()));
                }
            }
        }
        Ok(())
    }

    /// The wallet, its key and its chain code are the same in every epoch, and each epoch comes of one before it that
    /// is here, so that the key before stands beside the one after. What a window begins with has no parent here.
    fn check_continuity(&self, about: &About) -> Result<(), Flaw> {
        let refused = |known: &Known, reason: &str| {
            Err(Flaw::new(Check::ShareSet, document_member(&known.digest), reason))
        };
        let mut last: Option<&Known> = None;
        for known in self.epochs.values() {
            let before = last.replace(known).filter(|last| last.set.wallet.id == known.set.wallet.id);
            if before.is_some_and(|before| {
                before.set.wallet != known.set.wallet || before.set.key != known.set.key
            }) {
                return refused(known, "the wallet or its key is another one than in its first epoch here");
            }
            if before.is_some() && known.set.parent.is_none() {
                return refused(known, "a key was made where the wallet had one");
            }
            let parent = known.set.parent.and_then(|digest| self.epochs.get(self.by_digest.get(&digest)?));
            if parent.is_some_and(|other| {
                other.set.wallet.id != known.set.wallet.id
                    || other.set.epoch >= known.set.epoch
                    || other.set.highest_seat > known.set.highest_seat
            }) {
                return refused(known, "its parent is of another wallet, or not before it");
            }
        }
        match self.orphans().next() {
            Some(orphan) if !matches!(about, About::Wallet { from_ms: Some(_), .. }) => {
                refused(orphan, "its parent is not here")
            }
            _ => Ok(()),
        }
    }
}

/// The attempt that a chunk names.
fn attempt_of<'s>(story: &'s Story<'_>, chunk: &Chunk) -> Option<&'s Attempt> {
    story.ceremonies.get(&chunk.plan)?.attempts.get(chunk)
}

/// Whether a share set with this leaf is of this chunk: its `T` binds the root that was voted for.
fn is_of(story: &Story<'_>, chunk: &Chunk, leaf: &Digest, set: &ShareSet) -> bool {
    let root = attempt_of(story, chunk).and_then(|attempt| attempt.certificate()).map(|known| known.root);
    chunk.epoch == set.epoch && root.is_some_and(|root| transcript_digest(&root, leaf) == set.transcript)
}

/// What the plan says of this wallet.
fn check_planned(story: &Story<'_>, chunk: &Chunk, at: usize, set: &ShareSet) -> Result<(), String> {
    let plan = story.plan_of(chunk).ok_or("its plan is not here")?;
    let planned = plan.plan().wallets_of(chunk).map_err(|error| error.to_string())?;
    let planned = planned.get(at).ok_or("the plan has no wallet at its place")?;
    if planned.id() != &set.wallet.id || planned.parent() != set.parent {
        return Err("the plan names another wallet or another parent at its place".into());
    }
    if let PlannedWallet::New(wallet) = planned
        && *wallet != set.wallet
    {
        return Err("the plan describes the wallet otherwise".into());
    }
    match set.committee == plan.plan().committee {
        true => Ok(()),
        false => Err("its committee is not the one that was approved".into()),
    }
}

/// What anybody can check of one share set.
fn check_itself(set: &ShareSet) -> Result<(), String> {
    if set.verification_shares.len() != set.committee.members().len() {
        return Err("it has not one verification share for each holder".into());
    }
    let are_elements = with_group!(set.scheme(), G => {
        set.verification_shares.iter().all(|share| G::decode(share).is_some())
    });
    if !are_elements {
        return Err("a verification share is no element of the group".into());
    }
    match set.opens_to() == Some(set.key.public_key) {
        true => Ok(()),
        false => Err("its verification shares do not open to its key".into()),
    }
}
