//! Who is next: who has waited longest, each step of priority counted as a time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Item;

/// Firings by their turn. A firing of low priority is passed by those that come within a bounded time
/// after it, and by no others: nothing starves.
pub(super) struct Queue {
    heap: BinaryHeap<Waiting>,
    aging_ns: u64,
    count: u64,
}

struct Waiting {
    /// When it was enqueued, and later by its priority, nanoseconds.
    turn_ns: u64,
    number: u64,
    item: Item,
}

impl Queue {
    /// Each step of priority is worth `aging` of waiting.
    pub(super) fn new(aging: Duration) -> Self {
        let aging_ns = u64::try_from(aging.as_nanos()).unwrap_or(u64::MAX);
        Self { heap: BinaryHeap::new(), aging_ns, count: 0 }
    }

    pub(super) fn push(&mut self, item: Item) {
        let handicap_ns = self.aging_ns.saturating_mul(u64::from(item.core.options.priority));
        let turn_ns = item.enqueued.0.saturating_add(handicap_ns);
        self.heap.push(Waiting { turn_ns, number: self.count, item });
        self.count += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        self.heap.pop().map(|waiting| waiting.item)
    }
}

impl Ord for Waiting {
    /// The heap gives its greatest first: the earliest turn.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.turn_ns, other.number).cmp(&(self.turn_ns, self.number))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

#[cfg(test)]
mod tests;
