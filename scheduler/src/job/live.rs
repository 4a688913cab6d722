//! What a job has once something of it has happened: most of 100,000 jobs have had nothing yet.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

use super::{Ended, SkipCounts};
use crate::policy::Why;
use crate::run::Outcome;

/// Numbers of runs, the word to stop, and counts.
#[derive(Default)]
pub(crate) struct Live {
    begun: AtomicU64,
    /// Firings at the desk, and those that wait for them.
    pub(super) busy: AtomicU32,
    pub(crate) waiting: AtomicU32,
    /// Runs of a lower number have been told to stop.
    stop_below: AtomicU64,
    pub(crate) stop: Notify,
    ended: [AtomicU64; 7],
    skipped: [AtomicU64; 5],
    lateness: Mutex<Option<Histogram<u32>>>,
}

impl Live {
    /// The number of a run that is handed over.
    pub(crate) fn number(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel)
    }

    /// Tells the runs so far to stop.
    pub(crate) fn stop_all(&self) {
        self.stop_below.store(self.begun.load(Ordering::Acquire), Ordering::Release);
        self.stop.notify_waiters();
    }

    pub(crate) fn stops(&self, number: u64) -> bool {
        number < self.stop_below.load(Ordering::Acquire)
    }

    pub(crate) fn count_skipped(&self, why: Why, count: u64) {
        self.skipped[why as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn count_ended(&self, outcome: &Outcome) {
        self.ended[usize::from(number(outcome))].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_lateness(&self, lateness_ns: i64) {
        let mut lateness = self.lateness.lock().unwrap_or_else(PoisonError::into_inner);
        // It grows with what it sees, so there is nothing that it cannot take.
        let _ = lateness.get_or_insert_with(empty).record(lateness_ns.max(0) as u64 / 1000);
    }

    pub(super) fn ended(&self) -> Ended {
        Ended::of(read(&self.ended))
    }

    pub(super) fn skipped(&self) -> SkipCounts {
        let [misfire, overlap, paused, forward, suspend] = read(&self.skipped);
        SkipCounts { misfire, overlap, paused, forward, suspend }
    }

    pub(super) fn lateness_us(&self) -> Histogram<u32> {
        let lateness = self.lateness.lock().unwrap_or_else(PoisonError::into_inner);
        lateness.clone().unwrap_or_else(empty)
    }
}

/// Where an outcome stands among the counts.
pub(super) fn number(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Succeeded => 0,
        Outcome::Failed(_) => 1,
        Outcome::TimedOut => 2,
        Outcome::Panicked(_) => 3,
        Outcome::Cancelled => 4,
        Outcome::Refused => 5,
        Outcome::Rejected(_) => 6,
    }
}

impl Ended {
    /// By the numbers of outcomes.
    pub(super) fn of(counts: [u64; 7]) -> Self {
        let [succeeded, failed, timed_out, panicked, cancelled, refused, rejected] = counts;
        Self { succeeded, failed, timed_out, panicked, cancelled, refused, rejected }
    }
}

pub(super) fn empty() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are between zero and five")
}

fn read<const N: usize>(counts: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|which| counts[which].load(Ordering::Relaxed))
}
