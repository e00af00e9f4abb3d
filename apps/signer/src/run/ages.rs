//! Warns of epochs that should be erased by now, by this signer's own records, clock and log. No word of the coordinator
//! makes it silent: withholding Retirements is what a bad one would do.

use perennial_custody::exposure::Undead;
use perennial_custody::keeper::Keeper;
use std::time::{Duration, Instant};

/// How often it is looked, since that takes a look at every wallet.
const LOOK: Duration = Duration::from_secs(60);
/// How often the same is said.
const SAID_AGAIN: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: u64 = 60 * 60 * 1000;

/// What was seen and said.
pub(super) struct Ages {
    limit_ms: u64,
    next_look: Option<Instant>,
    said: Option<Instant>,
}

impl Ages {
    /// Warns after so many hours.
    pub fn new(limit_hours: u64) -> Self {
        Self { limit_ms: limit_hours.saturating_mul(HOUR_MS), next_look: None, said: None }
    }

    /// Looks if it is time to, and warns if there is reason to.
    pub fn look(&mut self, keeper: &Keeper, now_ms: u64) {
        let now = Instant::now();
        if self.next_look.is_none_or(|next| now >= next) {
            self.next_look = Some(now + LOOK);
            if let Some(warning) = self.judge(keeper.oldest_undead(), now_ms, now) {
                tracing::warn!("{warning}");
            }
        }
    }

    /// What is to be said now, if anything is.
    fn judge(&mut self, oldest: Option<Undead>, now_ms: u64, now: Instant) -> Option<String> {
        let oldest = oldest.filter(|oldest| now_ms.saturating_sub(oldest.since_ms) > self.limit_ms);
        let Some(Undead { wallet, epoch, since_ms }) = oldest else {
            self.said = None;
            return None;
        };
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < SAID_AGAIN) {
            return None;
        }
        self.said = Some(now);
        let hours = now_ms.saturating_sub(since_ms) / HOUR_MS;
        Some(format!(
            "AN OLD EPOCH IS NOT DEAD: this signer holds {wallet} epoch {epoch}, {hours} hours after a newer one came into \
             use, because no Retirement has reached it; ask whoever runs the coordinator why"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perennial_model::epoch::Epoch;

    fn held(since_ms: u64) -> Option<Undead> {
        Some(Undead { wallet: "treasury".parse().expect("a name"), epoch: Epoch::new(1, 1), since_ms })
    }

    #[test]
    fn an_old_epoch_is_warned_about_past_its_limit_once_an_hour_and_at_once_when_it_comes_again() {
        let mut ages = Ages::new(24);
        let begun = Instant::now();
        let minute = |count| begun + LOOK * count;
        let (limit, late) = (24 * HOUR_MS, 24 * HOUR_MS + 1);
        assert_eq!(ages.judge(None, late, minute(0)), None);
        assert_eq!(ages.judge(held(0), limit, minute(1)), None);
        let said = ages.judge(held(0), late, minute(2)).expect("too old");
        assert!(said.contains("treasury epoch 1.1, 24 hours"), "{said}");
        assert_eq!(ages.judge(held(0), late, minute(61)), None);
        assert!(ages.judge(held(0), late, minute(62)).is_some());
        assert_eq!(ages.judge(None, late, minute(63)), None);
        assert!(ages.judge(held(0), late, minute(64)).is_some());
    }
}
