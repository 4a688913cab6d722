//! Whether the consumer sleeps, and until when: asked by each producer, so that only the first one rings,
//! and none if the consumer wakes soon enough by itself.
//!
//! A producer publishes and then looks whether to ring; the consumer says that it sleeps and then looks
//! for what is published. With a full fence between the two halves of each, one of them sees the other.

use super::sync::{AtomicU64, Ordering, fence};

/// The consumer's word on when it wakes: an instant, nanoseconds.
pub(crate) struct Sleepy(AtomicU64);

/// It does not sleep.
const AWAKE: u64 = 0;

impl Default for Sleepy {
    fn default() -> Self {
        Self(AtomicU64::new(AWAKE))
    }
}

impl Sleepy {
    /// For a producer that has published what is to be seen by an instant, said then: whether it is the
    /// one to ring.
    pub(crate) fn rouse(&self, by_ns: impl FnOnce() -> u64) -> bool {
        fence(Ordering::SeqCst);
        let by_ns = by_ns();
        let wakes_ns = self.0.load(Ordering::Relaxed);
        // If that is another by now, somebody rang, or the consumer has looked once more.
        let rings =
            || self.0.compare_exchange(wakes_ns, AWAKE, Ordering::AcqRel, Ordering::Relaxed);
        wakes_ns > by_ns && rings().is_ok()
    }

    /// For the consumer: says that it sleeps until this instant, unless there is something after all.
    pub(crate) fn doze(&self, until_ns: u64, is_empty: impl FnOnce() -> bool) -> bool {
        self.0.store(until_ns.max(AWAKE + 1), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let may = is_empty();
        if !may {
            self.wake();
        }
        may
    }

    /// For the consumer: says that it no longer sleeps.
    pub(crate) fn wake(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }
}
