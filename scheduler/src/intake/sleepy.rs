//! Whether the consumer sleeps: asked by each producer, so that only the first one rings.
//!
//! A producer publishes and then looks whether to ring; the consumer says that it sleeps and then looks
//! for what is published. With a full fence between the two halves of each, one of them sees the other.

use super::sync::{AtomicBool, Ordering, fence};

/// The consumer's word on whether it sleeps.
pub(crate) struct Sleepy(AtomicBool);

impl Default for Sleepy {
    fn default() -> Self {
        Self(AtomicBool::new(false))
    }
}

impl Sleepy {
    /// For a producer that has published: whether it is the one to ring.
    pub(crate) fn rouse(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }

    /// For the consumer: says that it sleeps, unless there is something after all.
    pub(crate) fn doze(&self, is_empty: impl FnOnce() -> bool) -> bool {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let may = is_empty();
        if !may {
            self.wake();
        }
        may
    }

    /// For the consumer: says that it no longer sleeps.
    pub(crate) fn wake(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
