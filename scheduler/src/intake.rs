//! The way into a shard, for any thread: bounded, without a lock, and it wakes the shard only if that
//! sleeps.

mod ring;
mod sleepy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) use ring::Ring;
use sleepy::Sleepy;

use crate::Error;
use crate::clock::Notify;
use crate::request::{Done, Request};

/// Requests of owners, which can be refused, and ends of runs, which cannot.
pub(crate) struct Intake {
    requests: Ring<Request>,
    ended: Ring<Done>,
    sleepy: Sleepy,
    /// Counts what is no message and must be seen before a sleep like one: that there is room at the desk
    /// again, and the end.
    news: AtomicUsize,
    closed: AtomicBool,
    abandoned: AtomicBool,
    notify: Arc<dyn Notify>,
}

impl Intake {
    pub(crate) fn new(requests: usize, ended: usize, notify: Arc<dyn Notify>) -> Self {
        Self {
            requests: Ring::new(requests),
            ended: Ring::new(ended),
            sleepy: Sleepy::default(),
            news: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
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

    /// Tells of an end. A shard that hands over many firings at once takes ends only after that: then a
    /// worker has to wait for it, which never waits for a worker.
    pub(crate) fn tell(&self, mut done: Done) {
        while let Err(back) = self.ended.push(done) {
            if self.is_abandoned() {
                return;
            }
            done = back;
            self.wake();
            std::thread::yield_now();
        }
        self.wake();
    }

    /// Tells that there is room at the desk again.
    pub(crate) fn feed(&self) {
        self.news.fetch_add(1, Ordering::Release);
        self.wake();
    }

    /// How much of that there was; the shard asks before it looks for what it may be.
    pub(crate) fn news(&self) -> usize {
        self.news.load(Ordering::Acquire)
    }

    /// Wakes the shard, if it sleeps or is about to.
    fn wake(&self) {
        if self.sleepy.rouse() {
            self.notify.notify();
        }
    }

    /// Refuses requests from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.feed();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets the shard end without waiting for runs.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.close();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
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

    /// Says that the shard is about to sleep; `false` if there is something for it to do first, or news
    /// since it knew of so much.
    pub(crate) fn may_sleep(&self, known: usize) -> bool {
        self.sleepy.doze(|| self.is_empty() && self.news() == known)
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
