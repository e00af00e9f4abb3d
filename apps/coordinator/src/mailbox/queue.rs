//! One mailbox: items in the order in which they were posted, numbered 1, 2, 3 … without gaps. It never waits
//! and never refuses: over its limits the oldest items go, and the caller is told how many.

use super::Limits;
use bytes::Bytes;
use std::collections::VecDeque;

/// The items of one signer in one lane that were not acknowledged yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Bytes>,
    /// How many items were removed from the front so far; so the first one here has the number `removed + 1`.
    removed: u64,
    bytes: usize,
}

/// Items with consecutive numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The number of the first item; of the next item that will be posted, if there are none.
    pub first: u64,
    pub items: Vec<Bytes>,
}

impl Queue {
    /// The number of the newest item ever posted; 0 before the first.
    pub fn last(&self) -> u64 {
        self.removed + self.items.len() as u64
    }

    /// Appends an item and returns how many old ones had to go. The newest item always stays.
    pub fn push(&mut self, body: Bytes, limits: Limits) -> u64 {
        self.bytes += body.len();
        self.items.push_back(body);
        let mut dropped = 0;
        while self.items.len() > 1 && (self.items.len() > limits.items || self.bytes > limits.bytes) {
            drop(self.remove_first());
            dropped += 1;
        }
        dropped
    }

    /// Takes out the items with numbers up to `number`. They are returned so that the caller can free them after
    /// it has let go of the queue: to free megabytes takes a millisecond.
    #[must_use]
    pub fn acknowledge(&mut self, number: u64) -> Vec<Bytes> {
        let count = number.saturating_sub(self.removed).min(self.items.len() as u64);
        (0..count).filter_map(|_| self.remove_first()).collect()
    }

    /// The items with numbers above `after`, at most `count_max` of them and `bytes_max` bytes, but at least
    /// one if there is any.
    pub fn batch_after(&self, after: u64, count_max: usize, bytes_max: usize) -> Batch {
        let skipped = after.clamp(self.removed, self.last()) - self.removed;
        let mut bytes = 0;
        let waiting = self.items.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let items = waiting
            .take(count_max)
            .take_while(|item| {
                let is_first = bytes == 0;
                bytes += item.len().max(1);
                is_first || bytes <= bytes_max
            })
            .cloned()
            .collect();
        Batch { first: self.removed + skipped + 1, items }
    }

    fn remove_first(&mut self) -> Option<Bytes> {
        let item = self.items.pop_front()?;
        self.bytes -= item.len();
        self.removed += 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { items: 3, bytes: 100 };

    fn item(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    fn numbers(batch: &Batch) -> (u64, usize) {
        (batch.first, batch.items.len())
    }

    #[test]
    fn numbers_go_on_after_acknowledgement_and_overflow() {
        let mut queue = Queue::default();
        assert_eq!(numbers(&queue.batch_after(0, 9, 99)), (1, 0));
        let dropped: u64 = (0..5).map(|_| queue.push(item(1), LIMITS)).sum();
        assert_eq!(dropped, 2);
        assert_eq!(numbers(&queue.batch_after(0, 9, 99)), (3, 3));
        assert_eq!(numbers(&queue.batch_after(4, 9, 99)), (5, 1));
        assert_eq!(queue.acknowledge(4).len(), 2);
        assert_eq!(numbers(&queue.batch_after(0, 9, 99)), (5, 1));
        assert_eq!(queue.acknowledge(5).len(), 1);
        assert_eq!((queue.last(), queue.bytes), (5, 0));
        queue.push(item(1), LIMITS);
        assert_eq!(numbers(&queue.batch_after(5, 9, 99)), (6, 1));
    }

    #[test]
    fn an_acknowledgement_from_the_future_removes_only_what_is_there() {
        let mut queue = Queue::default();
        queue.push(item(1), LIMITS);
        assert_eq!(queue.acknowledge(u64::MAX).len(), 1);
        queue.push(item(1), LIMITS);
        assert_eq!(numbers(&queue.batch_after(0, 9, 99)), (2, 1));
    }

    #[test]
    fn the_byte_limit_drops_the_oldest_but_never_the_newest() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(item(60), LIMITS), 0);
        assert_eq!(queue.push(item(40), LIMITS), 0);
        assert_eq!(queue.push(item(1), LIMITS), 1);
        assert_eq!(queue.push(item(1000), LIMITS), 2);
        assert_eq!(numbers(&queue.batch_after(0, 9, 99)), (4, 1));
    }

    #[test]
    fn a_batch_keeps_its_limits_but_holds_at_least_one_item() {
        let mut queue = Queue::default();
        for length in [50, 30, 20] {
            queue.push(item(length), LIMITS);
        }
        assert_eq!(numbers(&queue.batch_after(0, 9, 80)), (1, 2));
        assert_eq!(numbers(&queue.batch_after(0, 9, 10)), (1, 1));
        assert_eq!(numbers(&queue.batch_after(0, 1, 99)), (1, 1));
        assert_eq!(numbers(&queue.batch_after(1, 9, 99)), (2, 2));
    }
}
