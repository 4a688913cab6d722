//! The calls that a share is of: a ring of cells and their sum.

use super::rules::Window;
use crate::Mono;

/// A window of time moves on by a cell of so many.
const SLICES: u64 = 20;

/// Calls by their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Counts {
    /// One call.
    pub(super) fn one(failed: bool, slow: bool) -> Self {
        Self { calls: 1, failures: u32::from(failed), slow: u32::from(slow) }
    }

    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn take(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failures = self.failures.saturating_sub(other.failures);
        self.slow = self.slow.saturating_sub(other.slow);
    }
}

/// What is in the window. A cell is one call, or the calls of a slice of time.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    cells: Box<[Counts]>,
    sum: Counts,
    /// Nanoseconds of a slice; 0 if a cell is a call.
    slice_ns: u64,
    /// The number of the newest slice, or of the next call.
    head: u64,
}

impl Tally {
    pub(super) fn new(window: Window) -> Self {
        let (cells, slice_ns) = match window {
            Window::Calls(calls) => (u64::from(calls.max(1)), 0),
            Window::Time(span) => (SLICES, (span.as_nanos() as u64 / SLICES).max(1)),
        };
        let cells = vec![Counts::default(); cells as usize].into_boxed_slice();
        Self { cells, sum: Counts::default(), slice_ns, head: 0 }
    }

    /// Forgets all of it.
    pub(super) fn clear(&mut self) {
        self.cells.fill(Counts::default());
        self.sum = Counts::default();
    }

    /// A call ended now, which is not before any other.
    pub(super) fn add(&mut self, now: Mono, call: Counts) {
        if self.slice_ns == 0 {
            self.empty(self.head);
            self.head += 1;
            self.fill(self.head - 1, call);
        } else {
            self.pass(now);
            self.fill(self.head, call);
        }
    }

    /// What is in it now.
    pub(super) fn sum(&mut self, now: Mono) -> Counts {
        if self.slice_ns > 0 {
            self.pass(now);
        }
        self.sum
    }

    /// Whether one more that succeeded would leave it as it is.
    pub(super) fn is_settled(&self) -> bool {
        let Counts { calls, failures, slow } = self.sum;
        let is_full = self.slice_ns == 0 && calls as usize == self.cells.len();
        is_full && failures == 0 && slow == 0
    }

    fn cell(&mut self, number: u64) -> &mut Counts {
        let count = self.cells.len() as u64;
        &mut self.cells[(number % count) as usize]
    }

    fn fill(&mut self, number: u64, call: Counts) {
        self.cell(number).add(call);
        self.sum.add(call);
    }

    fn empty(&mut self, number: u64) {
        let gone = std::mem::take(self.cell(number));
        self.sum.take(gone);
    }

    /// Empties the slices that begin.
    fn pass(&mut self, now: Mono) {
        let number = now.0 / self.slice_ns;
        let begin = (self.head + 1).max((number + 1).saturating_sub(self.cells.len() as u64));
        for slice in begin..=number {
            self.empty(slice);
        }
        self.head = self.head.max(number);
    }
}
