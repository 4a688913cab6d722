//! The timing wheel: integers in, integers out. No clock, no thread, no lock.
//!
//! ```text
//!  now                                                                             never
//!   |-- current --|------ level 0 ------|------ level 1 ------| ... |--- level 7 ---|
//!   |   ordered   | 128 slots of 1.05 ms | 128 slots of 67 ms  |     |  of 146 years |
//! ```
//! A timer goes into the finest ring that reaches it: an index, a bit and a list, whatever the number
//! of timers. Only those of the slot that is current are in order, by due instant, priority and
//! insertion. Rings overlap: a slot can be emptied into finer ones as soon as the one before it is
//! current, and [`Wheel::advance`] does so in bounded steps. A wheel that moves a slot only when
//! its time has come stalls just then, for as long as the slot is full.
//!
//! ```
//! use cronx_scheduler::wheel::Wheel;
//!
//! let mut wheel = Wheel::new(0);
//! let late = wheel.insert(3_000_000_000, 0, 1);
//! wheel.insert(5_000, 1, 2);
//! wheel.insert(5_000, 0, 3);
//! assert!(wheel.cancel(late) && !wheel.cancel(late));
//!
//! let mut due = Vec::new();
//! wheel.advance(wheel.next_due().unwrap(), &mut due);
//! assert_eq!(due.iter().map(|timer| timer.tag).collect::<Vec<_>>(), [3, 2]);
//! ```

mod level;
mod slab;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use level::{Level, SLOTS};
use slab::{NONE, Node, Place, Slab};

/// A slot of the finest ring is 2^20 ns, 1.05 ms.
const FINEST: u32 = 20;
/// A ring's slot is as long as 2^6 of the next finer one, half of that ring: so rings overlap.
const STEP: u32 = 6;
/// Together they reach to the end of a `u64`.
const LEVELS: usize = 8;
/// So many timers are brought nearer in one step before they must be.
const CASCADE: usize = 256;
/// Below this, cancelled entries of the current slot are not worth a sweep.
const SWEEP: usize = 64;
/// A priority stands above the number of the insertion.
const PRIORITY: u32 = 56;

/// A timer's name. It is that of one insertion: once the timer is due or cancelled it names nothing,
/// though its room may be in use again (until that room was used 2^32 times).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    insertion: u32,
}

/// A timer whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When it was due, nanoseconds.
    pub due_ns: u64,
    /// Lower comes first.
    pub priority: u8,
    /// What the caller knows it by.
    pub tag: u32,
    /// The name that it had.
    pub key: Key,
}

/// What orders the current slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due_ns: u64,
    rank: u64,
    index: u32,
}

/// All timers of one shard.
#[derive(Debug)]
pub struct Wheel {
    now_ns: u64,
    nodes: Slab,
    current: BinaryHeap<Reverse<Entry>>,
    /// Entries of `current` that were cancelled. The first entry never is.
    cancelled: usize,
    levels: [Level; LEVELS],
    /// A lower bound of what is due in each slot of level 0, so that a lone timer is one wake-up.
    earliest_ns: [u64; SLOTS as usize],
    insertions: u64,
}

impl Wheel {
    /// An empty wheel that stands at this instant, nanoseconds of any clock.
    pub fn new(now_ns: u64) -> Self {
        Self {
            now_ns,
            nodes: Slab::default(),
            current: BinaryHeap::new(),
            cancelled: 0,
            levels: std::array::from_fn(|number| Level::new(number as u8)),
            earliest_ns: [0; SLOTS as usize],
            insertions: 0,
        }
    }

    /// Takes memory for so many timers in all now, and not page by page when they come.
    pub fn reserve(&mut self, timers: usize) {
        self.nodes.reserve(timers);
    }

    /// Adds a timer. One whose instant has passed is due at the next [`advance`](Self::advance).
    /// `tag` is the caller's, and comes back with it.
    pub fn insert(&mut self, due_ns: u64, priority: u8, tag: u32) -> Key {
        let insertion = self.insertions;
        self.insertions += 1;
        let rank = (u64::from(priority) << PRIORITY) | (insertion & ((1 << PRIORITY) - 1));
        let node = Node { due_ns, rank, next: NONE, previous: NONE, tag, place: Place::Free };
        let index = self.nodes.take(node);
        self.place(index);
        Key { index, insertion: insertion as u32 }
    }

    /// Takes a timer back; `false` if the name names none any more.
    pub fn cancel(&mut self, key: Key) -> bool {
        let Some(node) = self.nodes.get(key.index) else { return false };
        if node.rank as u32 != key.insertion {
            return false;
        }
        match node.place {
            Place::Free => return false,
            Place::Current => {
                self.nodes.give_back(key.index);
                self.cancelled += 1;
                self.sweep();
            }
            Place::Slot { level, slot } => {
                self.levels[usize::from(level)].remove(slot, key.index, &mut self.nodes);
                self.nodes.give_back(key.index);
            }
        }
        true
    }

    /// Puts every timer that is due at `now_ns` or before behind `due`, in order of instant, priority
    /// and insertion, and brings some that are near nearer. An instant before the last one is the last
    /// one.
    pub fn advance(&mut self, now_ns: u64, due: &mut Vec<Due>) {
        self.advance_by(usize::MAX, now_ns, due);
    }

    /// The same, but puts so many of them at most; says whether there may be more. So the first of a
    /// million that are due at once need not wait for the order of the last.
    pub fn advance_by(&mut self, most: usize, now_ns: u64, due: &mut Vec<Due>) -> bool {
        let last_ns = self.now_ns;
        self.now_ns = last_ns.max(now_ns);
        let mut early = CASCADE;
        // From the finest ring on: it is empty up to now before a coarser one gives to it.
        for level in 0..LEVELS {
            self.cascade(level, last_ns, &mut early);
        }
        for _ in 0..most {
            let Some(&Reverse(Entry { due_ns, rank, index })) = self.current.peek() else {
                return false;
            };
            if due_ns > self.now_ns {
                return false;
            }
            self.current.pop();
            let tag = self.nodes.at(index).tag;
            self.nodes.give_back(index);
            let key = Key { index, insertion: rank as u32 };
            due.push(Due { due_ns, priority: (rank >> PRIORITY) as u8, tag, key });
            self.prune();
        }
        true
    }

    /// When to advance next: no timer is due before. At times that is before any is due, since far
    /// ones have to be brought nearer; it may be now. `None` without timers.
    pub fn next_due(&self) -> Option<u64> {
        let current = self.current.peek().map(|Reverse(entry)| entry.due_ns);
        let coarse = (1..LEVELS).filter_map(|level| {
            let slot = self.levels[level].first(self.now_ns >> shift(level))?;
            Some((slot - 1) << shift(level))
        });
        let fine = self.levels[0].first(self.now_ns >> FINEST);
        let fine = fine.map(|slot| self.earliest_ns[(slot % SLOTS) as usize]);
        coarse.chain(fine).chain(current).min()
    }

    /// How many timers there are.
    pub fn len(&self) -> usize {
        self.nodes.live
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Into the current order, or into the finest ring that reaches it.
    fn place(&mut self, index: u32) {
        let due_ns = self.nodes.at(index).due_ns;
        let Some(level) = level_of(due_ns, self.now_ns) else {
            let node = self.nodes.at_mut(index);
            node.place = Place::Current;
            self.current.push(Reverse(Entry { due_ns, rank: node.rank, index }));
            return;
        };
        let slot = due_ns >> shift(level);
        let alone = self.levels[level].push(slot, index, &mut self.nodes);
        if level == 0 {
            let earliest_ns = &mut self.earliest_ns[(slot % SLOTS) as usize];
            *earliest_ns = if alone { due_ns } else { due_ns.min(*earliest_ns) };
        }
    }

    /// Empties the slots of a ring whose time has come; of the one after them as much as `early` lets.
    fn cascade(&mut self, level: usize, last_ns: u64, early: &mut usize) {
        let (last, now) = (last_ns >> shift(level), self.now_ns >> shift(level));
        while let Some(slot) = self.levels[level].first(last) {
            let next = level > 0 && slot == now + 1;
            if (slot > now && !next) || (next && *early == 0) {
                return;
            }
            while let Some(index) = self.levels[level].pop(slot, &mut self.nodes) {
                self.place(index);
                if next {
                    *early -= 1;
                    if *early == 0 {
                        return;
                    }
                }
            }
        }
    }

    /// Keeps what was cancelled from being first, and from being most.
    fn sweep(&mut self) {
        if self.cancelled > SWEEP && self.cancelled * 2 > self.current.len() {
            let nodes = &self.nodes;
            self.current.retain(|Reverse(entry)| is_live(nodes, entry));
            self.cancelled = 0;
        }
        self.prune();
    }

    fn prune(&mut self) {
        while self.cancelled > 0 {
            match self.current.peek() {
                Some(Reverse(first)) if !is_live(&self.nodes, first) => _ = self.current.pop(),
                _ => return,
            }
            self.cancelled -= 1;
        }
    }
}

/// Its room may be another timer's by now, but no other has its rank.
fn is_live(nodes: &Slab, entry: &Entry) -> bool {
    let node = nodes.at(entry.index);
    node.place == Place::Current && node.rank == entry.rank
}

const fn shift(level: usize) -> u32 {
    FINEST + STEP * level as u32
}

/// The finest ring in which the instant is fewer than `SLOTS` slots ahead; `None` for the slot that is
/// current.
fn level_of(due_ns: u64, now_ns: u64) -> Option<usize> {
    let ahead = (due_ns >> FINEST).saturating_sub(now_ns >> FINEST);
    if ahead == 0 {
        return None;
    }
    let bits = u64::BITS - ahead.leading_zeros();
    let level = bits.saturating_sub(SLOTS.trailing_zeros()).div_ceil(STEP) as usize;
    // Seen from within a slot, what is 127.x slots ahead may be in the 128th.
    let reaches = (due_ns >> shift(level)) - (now_ns >> shift(level)) < SLOTS;
    Some(if reaches { level } else { level + 1 })
}

#[cfg(test)]
mod tests;
