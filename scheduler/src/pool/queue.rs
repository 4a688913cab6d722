//! Who is next: who has waited longest, each step of priority counted as a time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Item;

/// Firings by their turn. A firing of low priority is passed by those that come within a bounded time
/// after it, and by no others: nothing starves.
///
/// Within a priority those that come first go first, so only the first of each is compared. There are as
/// many rows as there are priorities in use.
pub(super) struct Queue {
    rows: BTreeMap<u8, VecDeque<Item>>,
    aging_ns: u64,
}

impl Queue {
    /// Each step of priority is worth `aging` of waiting.
    pub(super) fn new(aging: Duration) -> Self {
        let aging_ns = u64::try_from(aging.as_nanos()).unwrap_or(u64::MAX);
        Self { rows: BTreeMap::new(), aging_ns }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.values().all(VecDeque::is_empty)
    }

    pub(super) fn push(&mut self, item: Item) {
        self.rows.entry(item.order.core.options().priority).or_default().push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let turn_ns = |(priority, row): (&u8, &VecDeque<Item>)| {
            let handicap_ns = self.aging_ns.saturating_mul(u64::from(*priority));
            let since_ns = row.front()?.enqueued.0;
            // Of two whose turn it is, who has waited longer.
            Some((since_ns.saturating_add(handicap_ns), since_ns, *priority))
        };
        let (.., first) = self.rows.iter().filter_map(turn_ns).min()?;
        self.rows.get_mut(&first)?.pop_front()
    }
}

#[cfg(test)]
mod tests;
