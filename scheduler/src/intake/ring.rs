//! A bounded queue for many producers and one consumer, after Vyukov.
//!
//! Each cell has a turn: the number of the push that may fill it, or one more once it is filled and a pop
//! may empty it. A producer claims a number by moving the tail, fills its cell, and passes the turn on.

use std::mem::MaybeUninit;

use super::sync::{AtomicUsize, Ordering, UnsafeCell};

/// The queue. Popping is for one thread at a time: see [`Ring::pop`].
pub(crate) struct Ring<T> {
    cells: Box<[Cell<T>]>,
    /// The number of the next push.
    tail: AtomicUsize,
    /// The number of the next pop.
    head: AtomicUsize,
}

struct Cell<T> {
    turn: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a value is moved in by one thread and out by one; between them the cell's turn is released and
// acquired. No reference to a value is given out.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above; a cell is touched only by who holds its turn.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    /// With room for so many, rounded up to a power of two.
    pub(crate) fn new(capacity: usize) -> Self {
        let cell = |turn| Cell {
            turn: AtomicUsize::new(turn),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        };
        let cells = (0..capacity.next_power_of_two().max(2)).map(cell).collect();
        Self { cells, tail: AtomicUsize::new(0), head: AtomicUsize::new(0) }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.cells.len()
    }

    fn cell(&self, number: usize) -> &Cell<T> {
        &self.cells[number & (self.cells.len() - 1)]
    }

    /// Adds it at the end and says which number it has, or gives it back if there is no room.
    pub(crate) fn push(&self, value: T) -> Result<usize, T> {
        let mut number = self.tail.load(Ordering::Relaxed);
        loop {
            let cell = self.cell(number);
            let ahead = cell.turn.load(Ordering::Acquire).wrapping_sub(number) as isize;
            if ahead < 0 {
                return Err(value);
            }
            if ahead > 0 {
                number = self.tail.load(Ordering::Relaxed);
                continue;
            }
            let next = number.wrapping_add(1);
            match self.tail.compare_exchange_weak(
                number,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // SAFETY: the turn is this push's, and nobody else has its number.
                    cell.value.with_mut(|cell| unsafe { (*cell).write(value) });
                    cell.turn.store(next, Ordering::Release);
                    return Ok(number);
                }
                Err(now) => number = now,
            }
        }
    }

    /// For who pushed under this number: whether the next one is there. If so it was there first, and the
    /// consumer could not see it then.
    pub(crate) fn is_followed(&self, number: usize) -> bool {
        let next = number.wrapping_add(1);
        self.cell(next).turn.load(Ordering::Acquire) == next.wrapping_add(1)
    }

    /// Takes the first one; `None` if there is none that is wholly there.
    ///
    /// For one thread at a time: two that pop at once may both find nothing, or wait for nothing, but
    /// never the same value.
    pub(crate) fn pop(&self) -> Option<T> {
        let number = self.head.load(Ordering::Relaxed);
        let cell = self.cell(number);
        let next = number.wrapping_add(1);
        if cell.turn.load(Ordering::Acquire) != next {
            return None;
        }
        // A second consumer loses here, before it has touched anything.
        self.head.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        // SAFETY: the turn is this pop's, so the value is there; whoever moved the head has it.
        let value = cell.value.with_mut(|cell| unsafe { (*cell).assume_init_read() });
        cell.turn.store(number.wrapping_add(self.cells.len()), Ordering::Release);
        Some(value)
    }

    /// Whether a pop would find nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let number = self.head.load(Ordering::Relaxed);
        self.cell(number).turn.load(Ordering::Acquire) != number.wrapping_add(1)
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
