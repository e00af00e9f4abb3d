//! The schedule as people read it: what begins when, and what they should look at.

use super::{Unfit, Unit, opening, units};
use crate::wallets::Heads;
use perennial_model::mandate::Mandate;
use perennial_model::wallet::{Tier, WalletId};
use std::collections::BTreeMap;

/// The longest time after which a key's shares have to be new, in milliseconds: a year.
const TOO_RARE_MS: u64 = 365 * DAY_MS;
/// A wallet that is to be renewed more often than this spends more on ceremonies than it gains, in milliseconds.
const TOO_FREQUENT_MS: u64 = DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The most occasions that are computed for one mandate.
const OCCASIONS_MAX: usize = 1_000;

/// A refresh that will begin, if nothing changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Occasion {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The tier of its wallets.
    pub tier: Tier,
    /// How many wallets.
    pub wallets: usize,
}

/// Something that people should look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// A wallet that no mandate is about, or none that says how often, and when its shares were last new.
    Uncovered(WalletId, u64),
    /// A wallet that is not renewed within a year.
    TooRare(WalletId),
    /// A wallet that is to be renewed more often than each day.
    TooFrequent(WalletId),
    /// A wallet whose time has passed by more than half of its cadence.
    Overdue(WalletId, u64),
    /// A wallet that cannot be renewed under its mandate.
    Unfit(WalletId, Unfit),
}

impl Warning {
    /// The wallet that it is about.
    pub fn wallet(&self) -> &WalletId {
        match self {
            Self::Uncovered(wallet, _)
            | Self::TooRare(wallet)
            | Self::TooFrequent(wallet)
            | Self::Overdue(wallet, _)
            | Self::Unfit(wallet, _) => wallet,
        }
    }

    /// A word that never changes, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Uncovered(..) => "uncovered",
            Self::TooRare(_) => "too-rare",
            Self::TooFrequent(_) => "too-frequent",
            Self::Overdue(..) => "overdue",
            Self::Unfit(..) => "unfit",
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uncovered(..) => f.write_str("no mandate says how often to renew"),
            Self::TooRare(_) => f.write_str("too rare: shares get older than a year"),
            Self::TooFrequent(_) => f.write_str("too frequent: renewed more often than each day"),
            Self::Overdue(_, by_ms) => write!(f, "overdue by {} hours", by_ms / 3_600_000),
            Self::Unfit(_, Unfit::Unsettled) => f.write_str("the last refresh is under way, or stuck"),
            Self::Unfit(_, Unfit::UsedUp) => {
                f.write_str("the mandate's attempts are used up: this takes a plan of people's own")
            }
            Self::Unfit(_, Unfit::Companion(other)) => {
                write!(f, "renewed together with {other} alone, which the mandate cannot renew")
            }
        }
    }
}

/// What will begin under a mandate up to a time, the earliest first.
pub fn calendar(mandate: &Mandate, heads: &Heads, now_ms: u64, until_ms: u64) -> Vec<Occasion> {
    let mut occasions: BTreeMap<(u64, Tier), usize> = BTreeMap::new();
    for unit in units(mandate, heads) {
        let Some(every_ms) = mandate.every_ms(unit.tier).filter(|_| unit.unfit.is_none()) else { continue };
        let mut next = unit.begins_ms(mandate).map(|at_ms| at_ms.max(now_ms));
        while let Some(at_ms) = next.filter(|at_ms| *at_ms <= until_ms.min(mandate.until_ms)) {
            if occasions.len() >= OCCASIONS_MAX {
                break;
            }
            *occasions.entry((at_ms, unit.tier)).or_default() += unit.wallets.len();
            let due_ms = at_ms.saturating_add(every_ms);
            next = opening(mandate, due_ms).map(|(opens_ms, _)| opens_ms.max(due_ms));
        }
    }
    let occasions = occasions.into_iter();
    occasions.map(|((at_ms, tier), wallets)| Occasion { at_ms, tier, wallets }).collect()
}

/// What people should look at, over all mandates that are active, by wallet.
pub fn warnings(mandates: &[&Mandate], heads: &Heads, now_ms: u64) -> Vec<Warning> {
    let mut covered: BTreeMap<WalletId, (Unit, Option<u64>)> = BTreeMap::new();
    for mandate in mandates {
        for unit in units(mandate, heads) {
            let every_ms = mandate.every_ms(unit.tier);
            for (wallet, _) in &unit.wallets {
                covered.insert(wallet.clone(), (unit.clone(), every_ms));
            }
        }
    }
    let mut warnings = Vec::new();
    for head in heads.iter() {
        let wallet = &head.wallet().id;
        let standing = head.present.standing;
        let renewed_ms = standing.retired_ms.unwrap_or(standing.activated_ms);
        let Some((unit, Some(every_ms))) = covered.get(wallet) else {
            warnings.push(Warning::Uncovered(wallet.clone(), renewed_ms));
            continue;
        };
        if let Some(unfit) = &unit.unfit {
            warnings.push(Warning::Unfit(wallet.clone(), unfit.clone()));
        }
        if *every_ms > TOO_RARE_MS {
            warnings.push(Warning::TooRare(wallet.clone()));
        }
        if *every_ms < TOO_FREQUENT_MS {
            warnings.push(Warning::TooFrequent(wallet.clone()));
        }
        let late_ms = unit.due_ms.map_or(0, |due_ms| now_ms.saturating_sub(due_ms));
        if late_ms > every_ms / 2 {
            warnings.push(Warning::Overdue(wallet.clone(), late_ms));
        }
    }
    warnings
}
