//! A bounded queue for many producers and one consumer, after Vyukov.
//!
//! Each cell has a turn: the number of the push that may fill it, or one more once it is filled and a pop
//! may empty it. A producer claims a number by moving the tail, fills its cell, and passes the turn on.
//!
//! A turn is kept as what it is beyond the cell's own place, so that a new ring is all zeros: it may be
//! wide, and takes memory only as far as it was ever filled.

use std::mem::MaybeUninit;

use super::sync::{self, AtomicUsize, Ordering, UnsafeCell};

/// The queue. Popping is for one thread at a time: see [`Ring::pop`].
pub(crate) struct Ring<T> {
    cells: Box<[Cell<T>]>,
    /// The number of the next push.
    tail: Alone,
    /// The number of the next pop.
    head: Alone,
}

/// On cache lines of its own, of which processors fetch two: what one thread writes here is not taken from
/// others that want the other end.
#[repr(align(128))]
struct Alone(AtomicUsize);

struct Cell<T> {
    /// Less the place of the cell.
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
        let end = || Alone(AtomicUsize::new(0));
        Self { cells: cells(capacity.next_power_of_two().max(2)), tail: end(), head: end() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.cells.len()
    }

    fn place(&self, number: usize) -> usize {
        number & (self.cells.len() - 1)
    }

    /// Whose turn it is in the cell of this number.
    fn turn(&self, number: usize) -> usize {
        let place = self.place(number);
        self.cells[place].turn.load(Ordering::Acquire).wrapping_add(place)
    }

    /// For who holds the turn: does something to the cell of this number, and passes the turn on.
    fn pass<R>(
        &self,
        number: usize,
        to: usize,
        with: impl FnOnce(&UnsafeCell<MaybeUninit<T>>) -> R,
    ) -> R {
        let place = self.place(number);
        let cell = &self.cells[place];
        let done = with(&cell.value);
        cell.turn.store(to.wrapping_sub(place), Ordering::Release);
        done
    }

    /// Adds it at the end and says which number it has, or gives it back if there is no room.
    pub(crate) fn push(&self, value: T) -> Result<usize, T> {
        let tail = &self.tail.0;
        let mut number = tail.load(Ordering::Relaxed);
        loop {
            let ahead = self.turn(number).wrapping_sub(number) as isize;
            if ahead < 0 {
                return Err(value);
            }
            if ahead > 0 {
                number = tail.load(Ordering::Relaxed);
                continue;
            }
            let next = number.wrapping_add(1);
            match tail.compare_exchange_weak(number, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.pass(number, next, |cell| {
                        // SAFETY: the turn is this push's, and nobody else has its number.
                        cell.with_mut(|cell| unsafe { (*cell).write(value) });
                    });
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
        self.turn(next) == next.wrapping_add(1)
    }

    /// Takes the first one; `None` if there is none that is wholly there.
    ///
    /// For one thread at a time: two that pop at once may both find nothing, or wait for nothing, but
    /// never the same value.
    pub(crate) fn pop(&self) -> Option<T> {
        let head = &self.head.0;
        let number = head.load(Ordering::Relaxed);
        let next = number.wrapping_add(1);
        if self.turn(number) != next {
            return None;
        }
        // A second consumer loses here, before it has touched anything.
        head.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        let value = self.pass(number, number.wrapping_add(self.cells.len()), |cell| {
            // SAFETY: the turn is this pop's, so the value is there; whoever moved the head has it.
            cell.with_mut(|cell| unsafe { (*cell).assume_init_read() })
        });
        Some(value)
    }

    /// Whether a pop would find nothing.
    pub(crate) fn is_empty(&self) -> bool {
        let number = self.head.0.load(Ordering::Relaxed);
        self.turn(number) != number.wrapping_add(1)
    }
}

/// So many, each waiting for the first push of its own place.
fn cells<T>(count: usize) -> Box<[Cell<T>]> {
    if sync::NEW_IS_ZERO {
        // SAFETY: zeros are a turn, and whatever is in a cell that has no value.
        return unsafe { Box::new_zeroed_slice(count).assume_init() };
    }
    let cell = || Cell { turn: AtomicUsize::new(0), value: UnsafeCell::new(MaybeUninit::uninit()) };
    std::iter::repeat_with(cell).take(count).collect()
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
