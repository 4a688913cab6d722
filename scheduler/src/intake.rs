//! The way into a shard, for any thread: bounded, without a lock, and it wakes the shard only if that
//! sleeps.

mod ring;
mod sleepy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use ring::Ring;
use sleepy::Sleepy;

use crate::Error;
use crate::clock::Notify;
use crate::request::{Done, Request};

/// Requests of owners, which can be refused, and ends of runs, which cannot: there is room for as many
/// as can be on their way.
pub(crate) struct Intake {
    requests: Ring<Request>,
    ended: Ring<Done>,
    sleepy: Sleepy,
    closed: AtomicBool,
    notify: Arc<dyn Notify>,
}

impl Intake {
    pub(crate) fn new(requests: usize, ended: usize, notify: Arc<dyn Notify>) -> Self {
        Self {
            requests: Ring::new(requests),
            ended: Ring::new(ended),
            sleepy: Sleepy::default(),
            closed: AtomicBool::new(false),
            notify,
        }
    }

    /// Asks, or says that there is no room.
    pub(crate) fn ask(&self, request: Request) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let capacity = self.requests.capacity();
        self.requests.push(request).map_err(|_| Error::Full { capacity })?;
        self.wake();
        Ok(())
    }

    /// Tells of an end.
    pub(crate) fn tell(&self, done: Done) {
        let told = self.ended.push(done);
        debug_assert!(told.is_ok(), "there is room for every run that can be on its way");
        self.wake();
    }

    /// Wakes the shard, if it sleeps or is about to.
    pub(crate) fn wake(&self) {
        if self.sleepy.rouse() {
            self.notify.notify();
        }
    }

    /// Refuses requests from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The next request; only the shard asks.
    pub(crate) fn request(&self) -> Option<Request> {
        self.requests.pop()
    }

    /// The next end; only the shard asks.
    pub(crate) fn done(&self) -> Option<Done> {
        self.ended.pop()
    }

    /// Whether there is nothing for the shard to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.ended.is_empty()
    }

    /// Says that the shard is about to sleep; `false` if there is something for it to do first.
    pub(crate) fn may_sleep(&self) -> bool {
        self.sleepy.doze(|| self.is_empty())
    }

    /// Says that it no longer sleeps.
    pub(crate) fn awake(&self) {
        self.sleepy.wake();
    }
}

/// What the ring and the handshake stand on; loom's own in their tests.
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

    /// As `loom::cell::UnsafeCell`, which sees every access.
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

#[cfg(test)]
mod modelled;
