//! Who makes which probe of a chunk.

use super::{ProbeTask, sampled};
use crate::committee::{Committee, SignerId};
use crate::dealing::Inputs;
use crate::encoding::Digest;
use crate::plan::Plan;
use crate::planted;
use crate::wallet::Scheme;

/// The probes that an Activation of a chunk needs, each with the signers who make it.
///
/// Every wallet that is probed is probed by all of its holders. FROST takes any number of signers from `t` on, so each
/// holder is in one group. The ECDSA engine takes exactly `t`, so a holder may be in two; and since it has state for each
/// pair, the first of the wallets is probed by every pair as well: that state belongs to the pair, and what a wallet
/// takes of it follows from the wallet's name and transcript. The others change the groups from wallet to wallet, so
/// that the holders have the same work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeGroups {
    sampled: Vec<u32>,
    first: Vec<Vec<SignerId>>,
    /// The wallet at place `p` of the chunk takes those at `p` modulo their number.
    others: Vec<Vec<Vec<SignerId>>>,
}

impl ProbeGroups {
    /// What follows from the plan, the chunk's root and who holds its shares.
    pub fn due(scheme: Scheme, plan: &Plan, root: &Digest, inputs: &Inputs) -> Self {
        let sampled = sampled(root, inputs.chunk.count, plan.effective_probe_rate());
        Self::new(scheme, &plan.committee, &inputs.holders, sampled)
    }

    /// The probes of the wallets at the places `sampled`, which rise.
    fn new(scheme: Scheme, committee: &Committee, holders: &[SignerId], sampled: Vec<u32>) -> Self {
        let (count, size) = (holders.len(), usize::from(committee.threshold()));
        let named = |groups: Vec<Vec<usize>>| -> Vec<Vec<SignerId>> {
            groups
                .into_iter()
                .map(|group| group.into_iter().map(|at| holders[at].clone()).collect())
                .collect()
        };
        if count < size {
            return Self { sampled, first: Vec::new(), others: Vec::new() };
        }
        if scheme != Scheme::Ecdsa {
            let each = named(divide(count, size));
            return Self { sampled, first: each.clone(), others: vec![each] };
        }
        let others: Vec<_> = (0..count).map(|turn| named(cover_each(count, size, turn))).collect();
        let first = if planted!(ProbeNoPairs) { others[0].clone() } else { named(cover_pairs(count, size)) };
        Self { sampled, first, others }
    }

    /// The groups that probe the wallet at place `wallet`, in the order of the probes' counters; none if it is not
    /// probed.
    pub fn of(&self, wallet: u32) -> &[Vec<SignerId>] {
        if self.sampled.binary_search(&wallet).is_err() || self.others.is_empty() {
            return &[];
        }
        match self.sampled.first() == Some(&wallet) {
            true => &self.first,
            false => &self.others[wallet as usize % self.others.len()],
        }
    }

    /// Who makes a probe; nobody if it is none of these.
    pub fn signers(&self, task: &ProbeTask) -> Option<&[SignerId]> {
        self.of(task.wallet).get(task.counter as usize).map(Vec::as_slice)
    }

    /// All probes, in order.
    pub fn tasks(&self) -> impl Iterator<Item = ProbeTask> {
        self.sampled.iter().flat_map(|wallet| {
            let counters = 0..self.of(*wallet).len() as u32;
            counters.map(|counter| ProbeTask { wallet: *wallet, counter })
        })
    }
}

/// As many runs of at least `size` places as `0..count` can be divided into, as equal as can be.
fn divide(count: usize, size: usize) -> Vec<Vec<usize>> {
    let runs = count / size;
    (0..runs).map(|run| (run * count / runs..(run + 1) * count / runs).collect()).collect()
}

/// Runs of `size` places that cover `0..count`, turned on by `turn`; the last run overlaps the one before it.
fn cover_each(count: usize, size: usize, turn: usize) -> Vec<Vec<usize>> {
    (0..count.div_ceil(size))
        .map(|run| {
            let start = (run * size).min(count - size);
            let mut group: Vec<usize> = (start..start + size).map(|at| (at + turn) % count).collect();
            group.sort_unstable();
            group
        })
        .collect()
}

/// Groups of `size` places such that every pair of places is in one; greedy, deterministic.
fn cover_pairs(count: usize, size: usize) -> Vec<Vec<usize>> {
    let mut open: Vec<(usize, usize)> =
        (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    let mut groups = Vec::new();
    while let Some(&(first, second)) = open.first() {
        let mut group = vec![first, second];
        while group.len() < size {
            let gain = |candidate: usize| {
                open.iter()
                    .filter(|(a, b)| {
                        (*a == candidate && group.contains(b)) || (*b == candidate && group.contains(a))
                    })
                    .count()
            };
            let next = (0..count)
                .filter(|candidate| !group.contains(candidate))
                .max_by_key(|candidate| (gain(*candidate), count - candidate));
            let Some(next) = next else { break };
            group.push(next);
        }
        group.sort_unstable();
        open.retain(|(a, b)| !(group.contains(a) && group.contains(b)));
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn committee(size: u8, count: u8) -> Committee {
        let named = |at: u8| format!("signer-{at:02}").parse::<SignerId>().expect("a name");
        Committee::first(size, &(1..=count).map(named).collect::<Vec<_>>()).expect("a committee")
    }

    /// All committees there are, with both schemes that differ in their groups.
    fn each_committee(mut look: impl FnMut(Scheme, &Committee, &[SignerId])) {
        for count in 2..=16 {
            for size in 2..=count {
                let committee = committee(size, count);
                let holders: Vec<SignerId> = committee.signers().cloned().collect();
                for scheme in [Scheme::Ecdsa, Scheme::Taproot] {
                    look(scheme, &committee, &holders);
                }
            }
        }
    }

    fn pairs(group: &[SignerId]) -> impl Iterator<Item = (&SignerId, &SignerId)> {
        group.iter().enumerate().flat_map(|(at, one)| group[at + 1..].iter().map(move |other| (one, other)))
    }

    #[test]
    fn every_probed_wallet_is_probed_by_every_holder() {
        each_committee(|scheme, committee, holders| {
            let size = usize::from(committee.threshold());
            let groups = ProbeGroups::new(scheme, committee, holders, (0..20).collect());
            for wallet in 0..20 {
                let covered: BTreeSet<&SignerId> = groups.of(wallet).iter().flatten().collect();
                assert_eq!(covered.len(), holders.len(), "{scheme:?} {committee:?} {wallet}");
                for group in groups.of(wallet) {
                    match scheme {
                        Scheme::Ecdsa => assert_eq!(group.len(), size),
                        _ => assert!((size..2 * size).contains(&group.len()), "{committee:?}"),
                    }
                    assert!(group.windows(2).all(|two| two[0] < two[1]), "in the order of the holders");
                }
            }
        });
    }

    #[test]
    fn each_holder_signs_one_probe_of_a_wallet_that_is_signed_by_frost() {
        each_committee(|_, committee, holders| {
            let groups = ProbeGroups::new(Scheme::Taproot, committee, holders, vec![0]);
            let signers: Vec<&SignerId> = groups.of(0).iter().flatten().collect();
            assert_eq!(signers, holders.iter().collect::<Vec<_>>());
            let sizes: BTreeSet<usize> = groups.of(0).iter().map(Vec::len).collect();
            assert!(sizes.last().expect("a group") - sizes.first().expect("a group") <= 1);
            assert_eq!(groups.of(0).len(), holders.len() / usize::from(committee.threshold()));
        });
    }

    #[test]
    fn every_pair_probes_in_every_chunk_of_ecdsa_wallets() {
        each_committee(|_, committee, holders| {
            for sampled in [vec![7], (0..1).collect(), (0..256).collect()] {
                let groups = ProbeGroups::new(Scheme::Ecdsa, committee, holders, sampled);
                let made: BTreeSet<(&SignerId, &SignerId)> = groups
                    .sampled
                    .iter()
                    .flat_map(|wallet| groups.of(*wallet))
                    .flat_map(|g| pairs(g))
                    .collect();
                assert_eq!(made.len(), holders.len() * (holders.len() - 1) / 2);
            }
        });
    }

    #[test]
    fn holders_of_ecdsa_wallets_share_the_work() {
        let committee = committee(2, 3);
        let holders: Vec<SignerId> = committee.signers().cloned().collect();
        let groups = ProbeGroups::new(Scheme::Ecdsa, &committee, &holders, (0..256).collect());
        let mut made: BTreeMap<&SignerId, usize> = BTreeMap::new();
        for signer in (1..256).flat_map(|wallet| groups.of(wallet)).flatten() {
            *made.entry(signer).or_default() += 1;
        }
        assert_eq!(made.values().copied().collect::<Vec<_>>(), vec![340; 3], "255 wallets, 4 turns each");
    }

    #[test]
    fn nothing_is_probed_that_is_not_sampled() {
        each_committee(|scheme, committee, holders| {
            let groups = ProbeGroups::new(scheme, committee, holders, vec![3, 5]);
            assert!(groups.of(4).is_empty() && groups.of(6).is_empty());
            assert_eq!(groups.signers(&ProbeTask { wallet: 4, counter: 0 }), None);
            let beyond = groups.of(5).len() as u32;
            assert_eq!(groups.signers(&ProbeTask { wallet: 5, counter: beyond }), None);
            let tasks: Vec<ProbeTask> = groups.tasks().collect();
            assert!(tasks.windows(2).all(|two| two[0] < two[1]));
            assert_eq!(tasks.len(), groups.of(3).len() + groups.of(5).len());
            assert!(tasks.iter().all(|task| groups.signers(task).is_some()));
        });
    }
}
