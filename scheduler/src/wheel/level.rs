//! One ring of slots: a list of timers for each, and a bit for each that has any.

use super::slab::{NONE, Place, Slab};

/// Slots of a ring; as many as a `u128` has bits.
pub(super) const SLOTS: u64 = 128;

/// A ring. Its slots are numbered from the beginning of time, and it holds `SLOTS` of them.
#[derive(Debug)]
pub(super) struct Level {
    number: u8,
    occupied: u128,
    heads: [u32; SLOTS as usize],
}

impl Level {
    pub(super) fn new(number: u8) -> Self {
        Self { number, occupied: 0, heads: [NONE; SLOTS as usize] }
    }

    /// The first slot that has timers, of the ring that begins with slot `from`.
    pub(super) fn first(&self, from: u64) -> Option<u64> {
        let ahead = self.occupied.rotate_right((from % SLOTS) as u32);
        (ahead != 0).then(|| from + u64::from(ahead.trailing_zeros()))
    }

    /// Puts a timer in front of the slot's list; says whether it is alone there.
    pub(super) fn push(&mut self, slot: u64, index: u32, nodes: &mut Slab) -> bool {
        let slot = (slot % SLOTS) as u8;
        let head = std::mem::replace(&mut self.heads[usize::from(slot)], index);
        if head != NONE {
            nodes.at_mut(head).previous = index;
        }
        let node = nodes.at_mut(index);
        (node.next, node.previous) = (head, NONE);
        node.place = Place::Slot { level: self.number, slot };
        self.occupied |= 1 << slot;
        head == NONE
    }

    /// Takes one timer out of the slot.
    pub(super) fn pop(&mut self, slot: u64, nodes: &mut Slab) -> Option<u32> {
        let slot = (slot % SLOTS) as u8;
        let index = self.heads[usize::from(slot)];
        (index != NONE).then(|| {
            self.remove(slot, index, nodes);
            index
        })
    }

    /// Takes this timer out of the slot in which it is.
    pub(super) fn remove(&mut self, slot: u8, index: u32, nodes: &mut Slab) {
        let node = *nodes.at(index);
        if node.next != NONE {
            nodes.at_mut(node.next).previous = node.previous;
        }
        if node.previous != NONE {
            nodes.at_mut(node.previous).next = node.next;
            return;
        }
        self.heads[usize::from(slot)] = node.next;
        if node.next == NONE {
            self.occupied &= !(1 << slot);
        }
    }
}
