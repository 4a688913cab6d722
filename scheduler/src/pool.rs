//! Where firings become runs: a bounded queue, in order of waiting and priority, and as many runners as
//! may be at once.
//!
//! A shard pushes into a ring and never waits for a worker. Runners are tasks that take the next firing
//! until there is none; a shard that finds fewer of them than may be starts another.

mod announce;
mod execute;
mod queue;

pub(crate) use execute::tid;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::runtime::Handle;

use queue::Queue;

use crate::Mono;
use crate::clock::Clock;
use crate::intake::{Intake, Ring};
use crate::job::Core;
use crate::run::{Firing, Run, Skipped};
use crate::store::Store;

/// A firing that waits for a worker.
pub(crate) struct Item {
    pub(crate) core: Arc<Core>,
    pub(crate) firing: Firing,
    pub(crate) enqueued: Mono,
}

/// What all shards and runners share.
pub(crate) struct Pool {
    ring: Ring<Item>,
    queue: Mutex<Queue>,
    /// In the ring and in the queue.
    queued: AtomicUsize,
    capacity: usize,
    runners: AtomicUsize,
    most: usize,
    skips: Ring<Skipped>,
    /// Whether a task tells the store of skips.
    telling: AtomicUsize,
    /// Skips that the store was not told of.
    untold: AtomicU64,
    /// Calls to the store that failed.
    store_errors: AtomicU64,
    /// Bits of the shards that wait for room.
    hungry: AtomicU64,
    intakes: OnceLock<Vec<Arc<Intake>>>,
    lateness: Mutex<Histogram<u64>>,
    /// Beyond it a firing is announced as late.
    objective_ns: u64,
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    handle: Handle,
}

/// What a pool is made of.
pub(crate) struct Parts {
    pub(crate) capacity: usize,
    pub(crate) most: usize,
    pub(crate) aging: Duration,
    pub(crate) objective: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) handle: Handle,
}

/// A pool at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Firings that wait for a worker.
    pub queued: usize,
    /// How many may.
    pub capacity: usize,
    /// Runs at work.
    pub running: usize,
    /// How many may be.
    pub most: usize,
    /// Rows of skipped firings that the store was not told of, since it was too slow.
    pub untold: u64,
    /// Calls to the store that failed.
    pub store_errors: u64,
}

/// Skips that wait for the store.
const SKIPS: usize = 4096;
/// So many firings a runner takes before it lets others on its thread have a turn.
const TURN: usize = 32;

/// A runner's place among those that may be; given back even if it panics, and then to another.
struct Seat<'a>(&'a Arc<Pool>);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let Self(pool) = self;
        pool.runners.fetch_sub(1, Ordering::SeqCst);
        if thread::panicking() && pool.is_wanted() {
            pool.handle.spawn(Arc::clone(pool).run());
        }
    }
}

impl Pool {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { capacity, most, aging, objective, clock, store, handle } = parts;
        Arc::new(Self {
            ring: Ring::new(capacity),
            queue: Mutex::new(Queue::new(aging)),
            queued: AtomicUsize::new(0),
            capacity,
            runners: AtomicUsize::new(0),
            most,
            skips: Ring::new(SKIPS),
            telling: AtomicUsize::new(0),
            untold: AtomicU64::new(0),
            store_errors: AtomicU64::new(0),
            hungry: AtomicU64::new(0),
            intakes: OnceLock::new(),
            lateness: Mutex::new(Histogram::new(3).expect("three digits are not more than five")),
            objective_ns: u64::try_from(objective.as_nanos()).unwrap_or(u64::MAX),
            clock,
            store,
            handle,
        })
    }

    /// The shards to wake when there is room again; said once, before any shard runs.
    pub(crate) fn serve(&self, intakes: Vec<Arc<Intake>>) {
        let _ = self.intakes.set(intakes);
    }

    /// Takes a firing, or gives it back if there is no room.
    pub(crate) fn submit(self: &Arc<Self>, core: &Arc<Core>, firing: Firing) -> Result<(), Firing> {
        if self.queued.fetch_add(1, Ordering::AcqRel) >= self.capacity {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            return Err(firing);
        }
        let item = Item { core: Arc::clone(core), firing, enqueued: self.clock.mono() };
        if let Err(item) = self.ring.push(item) {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            return Err(item.firing);
        }
        // A runner that ends looks for more after it has said so; we look after we have pushed.
        fence(Ordering::SeqCst);
        if self.claim_runner() {
            self.handle.spawn(Arc::clone(self).run());
        }
        Ok(())
    }

    /// Tells the store in the background. What finds no room is not told: the store's cursor stays
    /// behind, and after a restart the policy decides again.
    pub(crate) fn skip(self: &Arc<Self>, skipped: Skipped) {
        if self.skips.push(skipped).is_err() {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        fence(Ordering::SeqCst);
        if self.telling.swap(1, Ordering::AcqRel) == 0 {
            self.handle.spawn(Arc::clone(self).tell());
        }
    }

    /// Asks to be woken once the queue is half empty.
    pub(crate) fn hunger(&self, shard: usize) {
        self.hungry.fetch_or(1 << shard, Ordering::SeqCst);
    }

    /// How it stands.
    pub(crate) fn status(&self) -> PoolStatus {
        PoolStatus {
            queued: self.queued.load(Ordering::Relaxed),
            capacity: self.capacity,
            running: self.runners.load(Ordering::Relaxed),
            most: self.most,
            untold: self.untold.load(Ordering::Relaxed),
            store_errors: self.store_errors.load(Ordering::Relaxed),
        }
    }

    /// The lateness of all runs, nanoseconds.
    pub(crate) fn lateness_ns(&self) -> Histogram<u64> {
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn claim_runner(&self) -> bool {
        let more = |runners| (runners < self.most).then_some(runners + 1);
        self.runners.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Whether there is work for a runner that has just given its place back; it has one again then.
    fn is_wanted(&self) -> bool {
        fence(Ordering::SeqCst);
        self.queued.load(Ordering::SeqCst) > 0 && self.claim_runner()
    }

    /// A runner: executes what is next until there is nothing.
    async fn run(self: Arc<Self>) {
        loop {
            let seat = Seat(&self);
            let (mut taken, mut free) = (0, Mono(0));
            while let Some(item) = self.next() {
                execute::execute(&self, item, free).await;
                free = self.clock.mono();
                taken += 1;
                if taken % TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
            drop(seat);
            if !self.is_wanted() {
                return;
            }
        }
    }

    fn next(&self) -> Option<Item> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(item) = self.ring.pop() {
            queue.push(item);
        }
        let item = queue.pop();
        drop(queue);
        if item.is_some() {
            let left = self.queued.fetch_sub(1, Ordering::SeqCst) - 1;
            if left <= self.capacity / 2 && self.hungry.load(Ordering::SeqCst) != 0 {
                self.feed();
            }
        }
        item
    }

    fn feed(&self) {
        let hungry = self.hungry.swap(0, Ordering::SeqCst);
        let intakes = self.intakes.get().into_iter().flatten().enumerate();
        intakes.filter(|(shard, _)| hungry >> shard & 1 == 1).for_each(|(_, intake)| intake.feed());
    }

    async fn tell(self: Arc<Self>) {
        loop {
            while let Some(skipped) = self.skips.pop() {
                self.mind(&self.store.skip(&skipped).await);
            }
            self.telling.store(0, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if self.skips.is_empty() || self.telling.swap(1, Ordering::AcqRel) == 1 {
                return;
            }
        }
    }

    /// Writes a run down: in the store, and in the histograms if its code began.
    async fn note(&self, core: &Core, run: &Run) {
        core.live().count_ended(&run.outcome);
        if run.worker_tid != 0 {
            let lateness_ns = run.lateness_ns();
            // One run makes no distribution; a histogram for each one-shot would cost more than its run.
            if !core.is_once() {
                core.live().count_lateness(lateness_ns);
            }
            let mut lateness = self.lateness.lock().unwrap_or_else(PoisonError::into_inner);
            // It grows with what it sees.
            let _ = lateness.record(lateness_ns.max(0) as u64);
        }
        self.mind(&self.store.end(run).await);
    }

    /// Counts what a store could not do.
    fn mind<T, E>(&self, answer: &Result<T, E>) {
        self.store_errors.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
    }
}
