//! The jobs of a roster, by slot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::Utc;
use crate::job::{Core, Phase};
use crate::run::Firing;
use crate::wheel::Key;

/// A job on its shard.
pub(super) struct Entry {
    pub(super) core: Arc<Core>,
    /// The last nominal instant that was decided.
    pub(super) cursor: Utc,
    pub(super) timer: Option<Key>,
    /// Firings that wait for runs of their own job; most jobs never have any.
    waiting: Option<Box<Waiting>>,
    /// Whether it stands among the stalled.
    pub(super) stalled: bool,
}

/// A row of firings, behind a pointer.
#[derive(Default)]
struct Waiting(VecDeque<Firing>);

impl Entry {
    pub(super) fn waiting(&self) -> u32 {
        self.waiting.as_ref().map_or(0, |waiting| waiting.0.len() as u32)
    }

    /// Whether nothing of it is left to start.
    pub(super) fn may_go(&self) -> bool {
        let cancelled = self.core.phase() == Phase::Cancelled;
        cancelled || (self.waiting() == 0 && !self.stalled && self.timer.is_none())
    }

    /// Puts it behind those that wait, or before them.
    pub(super) fn wait(&mut self, firing: Firing, first: bool) {
        let waiting = &mut self.waiting.get_or_insert_default().0;
        if first {
            waiting.push_front(firing);
        } else {
            waiting.push_back(firing);
        }
        self.core.waiting.store(self.waiting(), Ordering::Relaxed);
    }

    /// The first one that waits.
    pub(super) fn next(&mut self) -> Option<Firing> {
        let next = self.waiting.as_mut()?.0.pop_front();
        self.core.waiting.store(self.waiting(), Ordering::Relaxed);
        next
    }
}

/// All jobs of one roster.
#[derive(Default)]
pub(super) struct Entries {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

impl Entries {
    pub(super) fn insert(&mut self, core: Arc<Core>, cursor: Utc) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.entries.len() as u32 - 1
        });
        core.slot.store(slot, Ordering::Relaxed);
        let entry = Entry { core, cursor, timer: None, waiting: None, stalled: false };
        self.entries[slot as usize] = Some(entry);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::take) {
            entry.core.slot.store(u32::MAX, Ordering::Relaxed);
            self.free.push(slot);
        }
    }

    pub(super) fn get(&mut self, slot: u32) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    /// The entry of this job, if it is still here.
    pub(super) fn of(&mut self, core: &Arc<Core>) -> Option<&mut Entry> {
        let entry = self.get(core.slot.load(Ordering::Relaxed))?;
        Arc::ptr_eq(&entry.core, core).then_some(entry)
    }

    pub(super) fn set_cursor(&mut self, slot: u32, cursor: Utc) {
        if let Some(entry) = self.get(slot) {
            entry.cursor = cursor;
        }
    }

    pub(super) fn slots(&self) -> std::ops::Range<u32> {
        0..self.entries.len() as u32
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
