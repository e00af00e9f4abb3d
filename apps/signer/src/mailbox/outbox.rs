//! Items on their way to the coordinator, oldest first. An item stays until the coordinator has taken it, so a
//! broken connection loses nothing; over the limits the oldest items go, and the sender is told how many.

use bytes::Bytes;
use perennial_daemon::framing::ITEMS_MAX;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most items that wait in a lane.
const OUTBOX_ITEMS_MAX: usize = 16 << 10;
/// The most bytes that wait in a lane; one item waits even if it is larger.
const OUTBOX_BYTES_MAX: usize = 256 << 20;
/// A request holds at most this many bytes of items, or one item.
const PARCEL_BYTES_MAX: usize = 8 << 20;

/// The queue of one lane: filled from any thread, emptied by the lane.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Bytes>,
    bytes: usize,
    /// How many items have left the front since the start. A batch remembers its end by this count, because
    /// an overflow may take items away while they are being sent.
    removed: u64,
}

/// The oldest items, to be sent together.
#[derive(Debug)]
pub(super) struct Batch {
    pub items: Vec<Bytes>,
    end: u64,
}

impl Outbox {
    /// Appends items and returns how many old ones had to go.
    pub fn push(&self, items: impl Iterator<Item = Bytes>) -> u64 {
        let mut queue = self.queue();
        for item in items {
            queue.bytes += item.len();
            queue.items.push_back(item);
        }
        let mut dropped = 0;
        while queue.items.len() > 1
            && (queue.items.len() > OUTBOX_ITEMS_MAX || queue.bytes > OUTBOX_BYTES_MAX)
        {
            drop(queue.remove_first());
            dropped += 1;
        }
        drop(queue);
        self.filled.notify_one();
        dropped
    }

    /// Waits for items and returns the oldest of them. They stay here until [`Outbox::sent`].
    pub async fn batch(&self) -> Batch {
        loop {
            if let Some(batch) = self.queue().batch() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    /// The items of this batch need not be sent again.
    pub fn sent(&self, batch: Batch) {
        let mut queue = self.queue();
        let count = batch.end.saturating_sub(queue.removed).min(queue.items.len() as u64);
        // The batch holds the same items, so nothing is freed while the queue is locked.
        for _ in 0..count {
            drop(queue.remove_first());
        }
    }

    /// The queue is complete between any two statements, so a panic elsewhere does not spoil it.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn batch(&self) -> Option<Batch> {
        let mut bytes = 0;
        let items: Vec<Bytes> = self
            .items
            .iter()
            .take(ITEMS_MAX)
            .enumerate()
            .take_while(|(index, item)| {
                bytes += item.len();
                *index == 0 || bytes <= PARCEL_BYTES_MAX
            })
            .map(|(_, item)| item.clone())
            .collect();
        let end = self.removed + items.len() as u64;
        (!items.is_empty()).then_some(Batch { items, end })
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

    fn numbered(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Bytes> {
        numbers.map(|number| Bytes::copy_from_slice(&number.to_be_bytes()))
    }

    fn batch(outbox: &Outbox) -> Option<Batch> {
        outbox.queue().batch()
    }

    #[test]
    fn items_leave_in_order_and_only_when_they_were_taken() {
        let outbox = Outbox::default();
        assert_eq!(outbox.push(numbered(0..300)), 0);
        let first = batch(&outbox).expect("a batch");
        assert_eq!(first.items, numbered(0..256).collect::<Vec<_>>());
        assert_eq!(batch(&outbox).expect("still there").items, first.items);
        outbox.sent(first);
        let second = batch(&outbox).expect("the rest");
        assert_eq!(second.items, numbered(256..300).collect::<Vec<_>>());
        outbox.sent(second);
        assert!(batch(&outbox).is_none());
        assert_eq!(outbox.queue().bytes, 0);
    }

    #[test]
    fn an_overflow_while_a_batch_is_under_way_takes_nothing_that_was_not_sent() {
        let outbox = Outbox::default();
        outbox.push(numbered(0..10));
        let under_way = batch(&outbox).expect("a batch");
        let most = u32::try_from(OUTBOX_ITEMS_MAX).expect("a small number");
        assert_eq!(outbox.push(numbered(10..most + 4)), 4);
        outbox.sent(under_way);
        assert_eq!(batch(&outbox).expect("a batch").items[0].as_ref(), 10_u32.to_be_bytes());
        assert_eq!(outbox.push(numbered(0..most)), u64::from(most) - 6);
    }

    #[test]
    fn a_parcel_is_bounded_in_bytes_but_holds_at_least_one_item() {
        let outbox = Outbox::default();
        outbox.push([PARCEL_BYTES_MAX + 1, 1, PARCEL_BYTES_MAX].map(|n| Bytes::from(vec![0; n])).into_iter());
        for _ in 0..3 {
            let batch = batch(&outbox).expect("a batch");
            assert_eq!(batch.items.len(), 1);
            outbox.sent(batch);
        }
    }

    #[test]
    fn the_byte_limit_drops_the_oldest_but_never_the_newest() {
        let outbox = Outbox::default();
        // One allocation, counted often.
        let item = Bytes::from(vec![0; OUTBOX_BYTES_MAX / 4]);
        assert_eq!(outbox.push(std::iter::repeat_n(item.clone(), 4)), 0);
        assert_eq!(outbox.push(std::iter::once(item)), 1);
        assert_eq!(outbox.push(std::iter::once(Bytes::from(vec![0; OUTBOX_BYTES_MAX + 1]))), 4);
    }
}
