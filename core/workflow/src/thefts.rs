//! Reports of thefts, and which copies each of them is about: those that the signer held at some moment of the span.
//!
//! When a copy came and went is known from facts alone: it may be there once dealings went out, and it is gone once the
//! signer's receipt for a higher number is recorded. A receipt is a claim; whoever does not believe it reports a longer
//! span.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use perennial_model::committee::SignerId;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::exposure::{Copies, Number};
use perennial_model::theft::{Finding, TheftReport};
use perennial_model::wallet::{TenantId, WalletId};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The most reports for one tenant, and for all tenants together, without those that withdraw others.
pub const REPORTS_MAX: usize = 256;

/// Names of wallets, in order. Refreshes name the same ones again and again, so they are kept once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Wallets(Arc<[WalletId]>);

/// All that are known of.
#[derive(Debug, Default)]
pub struct KnownWallets(BTreeSet<Wallets>);

impl Wallets {
    /// Puts names in order.
    pub fn new(mut names: Vec<WalletId>) -> Self {
        names.sort_unstable();
        Self(names.into())
    }

    /// Whether this one is among them.
    pub fn contains(&self, wallet: &WalletId) -> bool {
        self.0.binary_search(wallet).is_ok()
    }

    /// The names.
    pub fn names(&self) -> &[WalletId] {
        &self.0
    }
}

impl KnownWallets {
    /// The same names, kept once.
    pub fn shared(&mut self, wallets: Wallets) -> Wallets {
        if let Some(known) = self.0.get(&wallets) {
            return known.clone();
        }
        self.0.insert(wallets.clone());
        wallets
    }
}

impl<C> Encode<C> for Wallets {
    fn encode<W: encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        self.0.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Wallets {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        Vec::decode(decoder, context).map(Self::new)
    }
}

/// Who held copies of one number of some wallets, and from when to when.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Tenure {
    /// The number.
    #[n(0)]
    pub epoch: Epoch,
    /// How many shares make the key.
    #[n(1)]
    pub threshold: u8,
    /// Whose wallets.
    #[n(2)]
    pub tenant: TenantId,
    /// The wallets.
    #[n(3)]
    pub wallets: Wallets,
    /// Where a copy may have been: whom the dealings were for.
    #[n(4)]
    pub places: Vec<SignerId>,
    /// Since when, in milliseconds since 1970: its dealings began to go out.
    #[n(5)]
    pub from_ms: u64,
    /// Whose receipt for everything lower was recorded, and when, in milliseconds since 1970.
    #[n(6)]
    pub receipts: Vec<(SignerId, u64)>,
}

/// One number of some wallets of which a report counts a copy as stolen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Touched {
    /// The number.
    pub epoch: Epoch,
    /// How many shares make the key.
    pub threshold: u8,
    /// The wallets.
    pub wallets: Wallets,
}

/// A report that is on record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filed {
    /// Its digest.
    pub digest: Digest,
    /// When it was recorded, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it says.
    pub report: Arc<TheftReport>,
    /// What it touches. It is about what was before it was recorded, so nothing that happens later changes that.
    pub touched: Arc<[Touched]>,
    /// The report that withdraws it.
    pub withdrawn_by: Option<Digest>,
}

impl Filed {
    /// The signer whose copies are stolen; none if it withdraws another, or is withdrawn.
    pub fn counts_against(&self) -> Option<&SignerId> {
        match &self.report.finding {
            Finding::Stolen { signer, .. } if self.withdrawn_by.is_none() => Some(signer),
            Finding::Stolen { .. } | Finding::Withdrawn(_) => None,
        }
    }

    /// Whether it names a wallet, or touches it.
    pub fn concerns(&self, wallet: &WalletId) -> bool {
        let named = match &self.report.finding {
            Finding::Stolen { wallets, .. } => wallets.contains(wallet),
            Finding::Withdrawn(_) => false,
        };
        named || self.touching(wallet).next().is_some()
    }

    /// The numbers of a wallet that it touches.
    pub fn touching<'a>(&'a self, wallet: &'a WalletId) -> impl Iterator<Item = &'a Touched> {
        self.touched.iter().filter(|touched| touched.wallets.contains(wallet))
    }
}

/// What a report touches. Of two numbers of a wallet, a receipt for the higher one ends the tenure of the lower.
pub fn touched(report: &TheftReport, mut tenures: Vec<&Tenure>) -> Vec<Touched> {
    let Finding::Stolen { signer, wallets: named, from_ms, to_ms, .. } = &report.finding else {
        return Vec::new();
    };
    let is_meant = |wallet: &&WalletId| named.is_empty() || named.binary_search(wallet).is_ok();
    tenures.retain(|tenure| report.is_for(&tenure.tenant));
    tenures.sort_by(|one, other| {
        (Reverse(one.epoch), &one.wallets).cmp(&(Reverse(other.epoch), &other.wallets))
    });
    let mut erased: HashMap<&WalletId, u64> = HashMap::new();
    let mut all = Vec::new();
    for same in tenures.chunk_by(|one, other| one.epoch == other.epoch) {
        for tenure in same.iter().filter(|known| known.places.contains(signer) && known.from_ms <= *to_ms) {
            let held = |wallet: &&WalletId| erased.get(wallet).is_none_or(|gone_ms| gone_ms >= from_ms);
            let wallets = tenure.wallets.names().iter().filter(is_meant).filter(held);
            let wallets: Vec<WalletId> = wallets.cloned().collect();
            let wallets = match wallets.len() {
                0 => continue,
                all if all == tenure.wallets.names().len() => tenure.wallets.clone(),
                _ => Wallets(wallets.into()),
            };
            all.push(Touched { epoch: tenure.epoch, threshold: tenure.threshold, wallets });
        }
        for tenure in same {
            let receipt = tenure.receipts.iter().find(|(from, _)| from == signer);
            let Some((_, at_ms)) = receipt else { continue };
            for wallet in tenure.wallets.names().iter().filter(is_meant) {
                let gone_ms = erased.entry(wallet).or_insert(*at_ms);
                *gone_ms = (*gone_ms).min(*at_ms);
            }
        }
    }
    all
}

/// Marks what is stolen of a wallet. What is below a Retirement is one row as long as nobody has stolen of it; each
/// number of which somebody has gets its own, since copies of two numbers do not make a key.
pub(crate) fn mark(all: &mut Vec<Copies>, thefts: &[Filed], wallet: &WalletId) {
    for filed in thefts {
        let Some(signer) = filed.counts_against() else { continue };
        for touched in filed.touching(wallet) {
            let number = Number::Of(touched.epoch);
            if all.iter().all(|copies| copies.number != number) {
                all.extend(gone(all, touched));
            }
            for copies in all.iter_mut().filter(|copies| copies.number == number) {
                copies.stolen.insert(signer.clone());
                // An attempt that was left is told by the present threshold; its own may have been lower.
                copies.threshold = copies.threshold.min(touched.threshold);
            }
        }
    }
}

/// A number that the register does not tell from the others below a Retirement. Below a first epoch there are attempts
/// alone, whose key was another: they get no row.
fn gone(all: &[Copies], touched: &Touched) -> Option<Copies> {
    let is_above = |copies: &&Copies| matches!(copies.number, Number::Below(above) if touched.epoch < above);
    let below = all.iter().find(is_above)?;
    Some(Copies { number: Number::Of(touched.epoch), threshold: touched.threshold, ..below.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::name;
    use perennial_model::exposure::{Exposure, Standing};
    use perennial_model::theft::Certainty;
    use proptest::prelude::*;

    const SIGNERS: [&str; 3] = ["a", "b", "c"];
    const WALLETS: [&str; 4] = ["w0", "w1", "w2", "w3"];

    fn report(wallets: &[&str], span: (u64, u64)) -> TheftReport {
        let wallets = wallets.iter().map(|wallet| name(wallet)).collect();
        let (from_ms, to_ms) = span;
        let certainty = Certainty::Known;
        TheftReport {
            finding: Finding::Stolen { signer: name("a"), wallets, from_ms, to_ms, certainty },
            tenant: Some(name("acme")),
            by: name("security"),
            text: "a disk is gone".into(),
        }
    }

    fn tenure(rank: u32, wallets: &[&str], from_ms: u64, receipts: &[(&str, u64)]) -> Tenure {
        Tenure {
            epoch: Epoch::new(rank, 1),
            threshold: 2,
            tenant: name("acme"),
            wallets: Wallets::new(wallets.iter().map(|wallet| name(wallet)).collect()),
            places: SIGNERS.map(name).into(),
            from_ms,
            receipts: receipts.iter().map(|(signer, at_ms)| (name(signer), *at_ms)).collect(),
        }
    }

    /// Rank and wallet of everything that is touched.
    fn found(report: &TheftReport, tenures: &[Tenure]) -> BTreeSet<(u32, WalletId)> {
        let all = touched(report, tenures.iter().collect());
        let pairs = |touched: &Touched| {
            let rank = touched.epoch.rank;
            touched.wallets.names().iter().map(move |wallet| (rank, wallet.clone())).collect::<Vec<_>>()
        };
        all.iter().flat_map(pairs).collect()
    }

    fn pairs(of: &[(u32, &str)]) -> BTreeSet<(u32, WalletId)> {
        of.iter().map(|(rank, wallet)| (*rank, name(wallet))).collect()
    }

    #[test]
    fn a_copy_counts_from_its_dealings_to_its_own_signers_receipt_both_included() {
        let all = [
            tenure(1, &["w0"], 10, &[]),
            tenure(2, &["w0"], 30, &[("a", 40), ("b", 20)]),
            Tenure { places: vec![name("b")], ..tenure(3, &["w0"], 35, &[]) },
        ];
        for (span, of) in [
            ((0, 9), &[][..]),
            ((0, 10), &[(1, "w0")]),
            ((20, 29), &[(1, "w0")]),
            ((40, 40), &[(1, "w0"), (2, "w0")]),
            ((41, 90), &[(2, "w0")]),
            ((0, 90), &[(1, "w0"), (2, "w0")]),
        ] {
            assert_eq!(found(&report(&[], span), &all), pairs(of), "{span:?}");
        }
    }

    #[test]
    fn wallets_that_are_not_named_and_those_of_other_tenants_are_untouched() {
        let other = Tenure { tenant: name("globex"), ..tenure(1, &["w3"], 1, &[]) };
        let all = [tenure(1, &["w0", "w1"], 1, &[]), tenure(2, &["w1"], 1, &[]), other];
        assert_eq!(found(&report(&["w1", "w3"], (1, 1)), &all), pairs(&[(1, "w1"), (2, "w1")]));
        assert_eq!(found(&report(&[], (1, 1)), &all), pairs(&[(1, "w0"), (1, "w1"), (2, "w1")]));
        let for_all = TheftReport { tenant: None, ..report(&[], (1, 1)) };
        assert_eq!(found(&for_all, &all).len(), 4);
        let withdrawn = TheftReport { finding: Finding::Withdrawn(Digest([1; 32])), ..for_all };
        assert!(found(&withdrawn, &all).is_empty());
    }

    #[test]
    fn names_out_of_order_are_no_canonical_document_and_the_same_ones_are_kept_once() {
        let sorted = Wallets::new(vec![name("b"), name("a")]);
        assert_eq!(sorted.names(), [name::<WalletId>("a"), name("b")]);
        let written = minicbor::to_vec(["b", "a"]).expect("memory");
        let read: Wallets = minicbor::decode(&written).expect("names");
        assert_ne!(minicbor::to_vec(&read).expect("memory"), written);
        let mut known = KnownWallets::default();
        let (one, other) = (known.shared(sorted.clone()), known.shared(read));
        assert!(Arc::ptr_eq(&one.0, &other.0) && one == sorted);
    }

    #[test]
    fn an_attempt_that_was_left_is_lost_by_its_own_threshold() {
        let left = Copies {
            number: Number::Of(Epoch::new(2, 1)),
            threshold: 3,
            standing: Standing::Ended,
            places: SIGNERS.map(name).into(),
            receipts: BTreeSet::new(),
            stolen: BTreeSet::new(),
            superseded_ms: None,
        };
        let thieves = ["a", "b"].map(|signer| {
            let finding = Finding::Stolen {
                signer: name(signer),
                wallets: vec![name("w0")],
                from_ms: 0,
                to_ms: 9,
                certainty: Certainty::Known,
            };
            let report = TheftReport { finding, ..report(&["w0"], (0, 9)) };
            let touched = touched(&report, vec![&tenure(2, &["w0"], 1, &[])]).into();
            Filed { digest: report.digest(), at_ms: 9, report: report.into(), touched, withdrawn_by: None }
        });
        for (count, is_lost) in [(1, false), (2, true)] {
            let mut all = vec![left.clone()];
            mark(&mut all, &thieves[..count], &name("w0"));
            let [copies] = &all[..] else { panic!("{all:?}") };
            assert_eq!((copies.stolen.len(), copies.threshold), (count, 2));
            assert_eq!(copies.exposure() == Exposure::Lost, is_lost, "{:?}", copies.exposure());
        }
    }

    fn any_tenure() -> impl Strategy<Value = Tenure> {
        let receipt = (prop::sample::select(SIGNERS.to_vec()), 0u64..20);
        let some = |of: &[&'static str]| prop::sample::subsequence(of.to_vec(), 0..=of.len());
        let receipts = prop::collection::vec(receipt, 0..3);
        (1u32..5, some(&WALLETS), some(&SIGNERS), 0u64..20, receipts).prop_map(
            |(rank, wallets, places, from_ms, receipts)| Tenure {
                places: places.into_iter().map(name).collect(),
                ..tenure(rank, &wallets, from_ms, &receipts)
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_touched_is_what_was_held_in_the_span_and_nothing_else(
            all in prop::collection::vec(any_tenure(), 0..8),
            from_ms in 0u64..20,
            length_ms in 0u64..20,
        ) {
            let report = report(&["w0", "w2"], (from_ms, from_ms + length_ms));
            let me: SignerId = name("a");
            let mut held = BTreeSet::new();
            for tenure in &all {
                for wallet in ["w0", "w2"].map(name).iter().filter(|wallet| tenure.wallets.contains(wallet)) {
                    let above = all.iter().filter(|above| above.epoch > tenure.epoch);
                    let above = above.filter(|above| above.wallets.contains(wallet));
                    let first = above.filter_map(|above| above.receipts.iter().find(|(from, _)| *from == me));
                    let gone_ms = first.map(|(_, at_ms)| *at_ms).min().unwrap_or(u64::MAX);
                    let is_there = tenure.places.contains(&me) && tenure.from_ms <= from_ms + length_ms;
                    if is_there && gone_ms >= from_ms {
                        held.insert((tenure.epoch.rank, wallet.clone()));
                    }
                }
            }
            prop_assert_eq!(found(&report, &all), held);
        }
    }
}
