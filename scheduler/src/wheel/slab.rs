//! Where timers live: pages that never move, and the numbers of what is free in them.

/// No timer.
pub(super) const NONE: u32 = u32::MAX;
/// Timers of a page: 32 KiB, so that one that is new is no pause.
const PAGE: usize = 1024;

/// A timer, or room for one: never in two lines of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
pub(super) struct Node {
    pub(super) due_ns: u64,
    /// What comes first of those that are due together: the priority, then the order of insertion.
    /// No two timers have the same.
    pub(super) rank: u64,
    /// The neighbours in its slot.
    pub(super) next: u32,
    pub(super) previous: u32,
    /// What the caller knows it by.
    pub(super) tag: u32,
    pub(super) place: Place,
}

/// Where a timer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is no timer.
    Free,
    /// In the order of the current slot.
    Current,
    /// In a list.
    Slot { level: u8, slot: u8 },
}

const EMPTY: Node =
    Node { due_ns: 0, rank: 0, next: NONE, previous: NONE, tag: 0, place: Place::Free };

const _: () = assert!(size_of::<Node>() == 32);

/// All timers, by number.
#[derive(Debug, Default)]
pub(super) struct Slab {
    pages: Vec<Box<[Node; PAGE]>>,
    /// Numbers below were given out before.
    fresh: u32,
    /// Those that came back, the last first. A list through the nodes would take a miss to learn of the
    /// next.
    free: Vec<u32>,
    pub(super) live: usize,
}

impl Slab {
    /// Room for so many timers in all.
    pub(super) fn reserve(&mut self, timers: usize) {
        while self.pages.len() * PAGE < timers {
            let page = vec![EMPTY; PAGE].into_boxed_slice();
            self.pages.push(page.try_into().expect("it has a page's length"));
        }
    }

    pub(super) fn take(&mut self, node: Node) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| self.unused());
        *self.at_mut(index) = node;
        self.live += 1;
        index
    }

    fn unused(&mut self) -> u32 {
        let index = self.fresh;
        self.reserve(index as usize + 1);
        self.fresh = index.checked_add(1).expect("memory ends before 2^32 timers do");
        index
    }

    pub(super) fn give_back(&mut self, index: u32) {
        self.at_mut(index).place = Place::Free;
        self.free.push(index);
        self.live -= 1;
    }

    pub(super) fn get(&self, index: u32) -> Option<&Node> {
        Some(&self.pages.get(index as usize / PAGE)?[index as usize % PAGE])
    }

    pub(super) fn at(&self, index: u32) -> &Node {
        &self.pages[index as usize / PAGE][index as usize % PAGE]
    }

    pub(super) fn at_mut(&mut self, index: u32) -> &mut Node {
        &mut self.pages[index as usize / PAGE][index as usize % PAGE]
    }
}
