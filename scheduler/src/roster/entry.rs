//! The jobs of a roster, by slot.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::Utc;
use crate::job::Core;
use crate::run::Firing;
use crate::wheel::Key;
use crate::work::Shot;

/// A job on its shard.
pub(super) struct Entry {
    pub(super) core: Arc<Core>,
    pub(super) timer: Option<Key>,
    /// The code of a one-shot that was not handed over.
    pub(super) shot: Option<Shot>,
    /// Whether it stands among the stalled.
    pub(super) stalled: bool,
}

/// Entries of a page.
const PAGE: usize = 1024;
/// There may be millions of them.
const _: () = assert!(size_of::<Option<Entry>>() == 40);

impl Entry {
    /// Whether nothing of it is left to start.
    pub(super) fn may_go(&self) -> bool {
        self.core.phase().is_gone()
            || (self.core.waiting() == 0 && !self.stalled && self.timer.is_none())
    }
}

/// All jobs of one roster.
#[derive(Default)]
pub(super) struct Entries {
    /// Pages that never move.
    pages: Vec<Vec<Option<Entry>>>,
    free: Vec<u32>,
    /// Firings that wait for runs of their own job; most jobs never have any.
    waiting: HashMap<u32, VecDeque<Firing>>,
    /// Where the store believes the cursor to be, of jobs of which it was not told the last.
    untold: HashMap<u32, Utc>,
}

impl Entries {
    pub(super) fn insert(&mut self, core: Arc<Core>, shot: Option<Shot>) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.unused());
        core.slot.store(slot, Ordering::Relaxed);
        let entry = Entry { core, timer: None, shot, stalled: false };
        if let Some(place) = self.place(slot) {
            *place = Some(entry);
        }
        slot
    }

    fn unused(&mut self) -> u32 {
        let slot = self.slots().end;
        if (slot as usize).is_multiple_of(PAGE) {
            self.pages.push(Vec::with_capacity(PAGE));
        }
        if let Some(last) = self.pages.last_mut() {
            last.push(None);
        }
        slot
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<Entry>> {
        self.pages.get_mut(slot as usize / PAGE)?.get_mut(slot as usize % PAGE)
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(entry) = self.place(slot).and_then(Option::take) {
            entry.core.slot.store(u32::MAX, Ordering::Relaxed);
            self.waiting.remove(&slot);
            self.untold.remove(&slot);
            self.free.push(slot);
        }
    }

    pub(super) fn get(&mut self, slot: u32) -> Option<&mut Entry> {
        self.place(slot)?.as_mut()
    }

    /// The entry of this job, if it is still here.
    pub(super) fn of(&mut self, core: &Arc<Core>) -> Option<&mut Entry> {
        let entry = self.get(core.slot.load(Ordering::Relaxed))?;
        Arc::ptr_eq(&entry.core, core).then_some(entry)
    }

    /// Puts a firing behind those that wait, or before them.
    pub(super) fn wait(&mut self, slot: u32, firing: Firing, first: bool) {
        let waiting = self.waiting.entry(slot).or_default();
        if first {
            waiting.push_front(firing);
        } else {
            waiting.push_back(firing);
        }
        self.count_waiting(slot);
    }

    /// The first one that waits.
    pub(super) fn next(&mut self, slot: u32) -> Option<Firing> {
        let next = self.waiting.get_mut(&slot)?.pop_front();
        self.count_waiting(slot);
        next
    }

    /// Lets the owner see it.
    fn count_waiting(&mut self, slot: u32) {
        let count = self.waiting.get(&slot).map_or(0, VecDeque::len) as u32;
        if let Some(live) = self.get(slot).and_then(|entry| entry.core.live()) {
            live.waiting.store(count, Ordering::Relaxed);
        }
        if count == 0 {
            self.waiting.remove(&slot);
        }
    }

    /// Through here the store was told of all, or will be by what is on its way.
    pub(super) fn told(&self, core: &Core) -> Utc {
        let slot = core.slot.load(Ordering::Relaxed);
        self.untold.get(&slot).copied().unwrap_or_else(|| core.cursor())
    }

    /// The store was told, and of what it had not been told too.
    pub(super) fn tell(&mut self, slot: u32) {
        self.untold.remove(&slot);
    }

    pub(super) fn keep_untold(&mut self, slot: u32, told: Utc) {
        self.untold.entry(slot).or_insert(told);
    }

    pub(super) fn slots(&self) -> std::ops::Range<u32> {
        let last = self.pages.last().map_or(PAGE, Vec::len);
        0..(self.pages.len() * PAGE + last - PAGE) as u32
    }

    pub(super) fn len(&self) -> usize {
        self.slots().len() - self.free.len()
    }
}
