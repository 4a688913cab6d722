//! The way into a shard, for any thread: bounded, without a lock, and it wakes the shard only if that
//! sleeps longer than what comes in can wait.

mod ring;
mod sleepy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) use ring::Ring;
use sleepy::Sleepy;

use crate::Error;
use crate::Mono;
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
        let by = request.by();
        let number = self.requests.push(request);
        let number = number.map_err(|_| Error::Full { capacity: self.requests.capacity() })?;
        self.wake(|| soon(by, number, &self.requests));
        Ok(())
    }

    /// Tells of an end, which is to be seen by that instant. A shard that hands over many firings at once
    /// takes ends only after that: then a worker has to wait for it, which never waits for a worker.
    pub(crate) fn tell(&self, mut done: Done, by: Mono) {
        loop {
            match self.ended.push(done) {
                // An end that is waited for is seen at once.
                Ok(_) if self.is_closed() => return self.wake(|| AT_ONCE),
                Ok(number) => return self.wake(|| soon(by, number, &self.ended)),
                Err(_) if self.is_abandoned() => return,
                Err(back) => done = back,
            }
            self.wake(|| AT_ONCE);
            std::thread::yield_now();
        }
    }

    /// Tells that there is room at the desk again.
    pub(crate) fn feed(&self) {
        self.news.fetch_add(1, Ordering::Release);
        self.wake(|| AT_ONCE);
    }

    /// How much of that there was; the shard asks before it looks for what it may be.
    pub(crate) fn news(&self) -> usize {
        self.news.load(Ordering::Acquire)
    }

    /// Wakes the shard, if it sleeps or is about to, beyond that instant.
    fn wake(&self, by: impl FnOnce() -> Mono) {
        if self.sleepy.rouse(|| by().0) {
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

    /// Says that the shard is about to sleep, to that instant or for ever; `false` if there is something
    /// for it to do first, or news since it knew of so much.
    pub(crate) fn may_sleep(&self, until: Option<Mono>, known: usize) -> bool {
        let until_ns = until.map_or(u64::MAX, |until| until.0);
        self.sleepy.doze(until_ns, || self.is_empty() && self.news() == known)
    }

    /// Says that it no longer sleeps.
    pub(crate) fn awake(&self) {
        self.sleepy.wake();
    }
}

/// What is to be seen at once.
pub(crate) const AT_ONCE: Mono = Mono(0);

/// What can wait does not if it kept the shard from seeing what came behind it, nor each half of a ring:
/// the shard shall find it before it is full.
fn soon<T>(by: Mono, number: usize, ring: &Ring<T>) -> Mono {
    let half = number.is_multiple_of(ring.capacity() / 2);
    if half || ring.is_followed(number) { AT_ONCE } else { by }
}

/// What the ring and the handshake stand on; loom's own in their tests.
mod sync {
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

    /// An atomic that is made of 0, and a cell of nothing, are nothing but zeros.
    pub(super) const NEW_IS_ZERO: bool = true;

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
