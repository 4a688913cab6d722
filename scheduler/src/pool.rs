//! Where firings become runs: a bounded queue, in order of waiting and priority, and as many runners as
//! may be at once.
//!
//! A shard pushes into a ring and never waits for a worker. Runners are tasks that take the next firing
//! until there is none; a shard that finds fewer of them than may be starts another.

#[cfg_attr(not(feature = "spans"), path = "pool/announce/none.rs")]
mod announce;
mod beginning;
mod execute;
mod passed;
mod queue;

pub(crate) use beginning::Beginning;
pub(crate) use execute::tid;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::runtime::Handle;

use queue::Queue;

use crate::Mono;
use crate::clock::Clock;
use crate::intake::{AT_ONCE, Intake, Ring};
use crate::job::{Core, JobOptions};
use crate::request::{Done, Order};
use crate::run::{Run, Skipped};
use crate::store::Store;

/// A firing that waits for a worker.
pub(crate) struct Item {
    pub(crate) order: Order,
    pub(crate) enqueued: Mono,
}

/// What all shards and runners share.
pub(crate) struct Pool {
    ring: Ring<Item>,
    queue: Mutex<Queue>,
    /// In the ring and in the queue.
    queued: AtomicUsize,
    /// Those of them that have another priority than most.
    ranked: AtomicUsize,
    capacity: usize,
    runners: AtomicUsize,
    /// Runners that are not at work: each looks for some before it ends.
    hunting: AtomicUsize,
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
    lateness: Lateness,
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
/// An end that nobody waits for is seen by its shard within this.
const LEISURE: Duration = Duration::from_millis(100);

/// A runner's place among those that may be; given back even if it panics, and then to another.
struct Seat<'a> {
    pool: &'a Arc<Pool>,
    hunting: bool,
}

impl Seat<'_> {
    /// It is about to be at work. Was it the last that was not, another shall look for what is left;
    /// says whether there is one.
    fn work(&mut self) -> bool {
        self.hunting = false;
        self.pool.hunting.fetch_sub(1, Ordering::SeqCst) == 1 && self.pool.call()
    }

    /// It is not at work any more.
    fn hunt(&mut self) {
        self.hunting = true;
        self.pool.hunting.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.hunting {
            self.pool.hunting.fetch_sub(1, Ordering::SeqCst);
        }
        self.pool.runners.fetch_sub(1, Ordering::SeqCst);
        if thread::panicking() {
            self.pool.call();
        }
    }
}

/// 1 if it has another priority than most, or 0.
fn is_ranked(core: &Core) -> usize {
    usize::from(core.options().priority != JobOptions::USUAL_PRIORITY)
}

/// Goes to the end of this thread's row, where other threads look for work.
async fn step_aside() {
    let mut aside = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut aside, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How late runs were, in parts that threads share as little as may be.
struct Lateness([Mutex<Histogram<u64>>; 8]);

impl Lateness {
    fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(three_digits())))
    }

    fn part(&self, which: usize) -> MutexGuard<'_, Histogram<u64>> {
        self.0[which % self.0.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sum(&self) -> Histogram<u64> {
        let mut sum = three_digits();
        for which in 0..self.0.len() {
            sum.add(&*self.part(which)).expect("it grows with what it is given");
        }
        sum
    }
}

fn three_digits() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are not more than five")
}

impl Pool {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { capacity, most, aging, objective, clock, store, handle } = parts;
        Arc::new(Self {
            ring: Ring::new(capacity),
            queue: Mutex::new(Queue::new(aging)),
            queued: AtomicUsize::new(0),
            ranked: AtomicUsize::new(0),
            capacity,
            runners: AtomicUsize::new(0),
            hunting: AtomicUsize::new(0),
            most,
            skips: Ring::new(SKIPS),
            telling: AtomicUsize::new(0),
            untold: AtomicU64::new(0),
            store_errors: AtomicU64::new(0),
            hungry: AtomicU64::new(0),
            intakes: OnceLock::new(),
            lateness: Lateness::new(),
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
    #[expect(
        clippy::result_large_err,
        reason = "it goes back as it came, where no room is made for it"
    )]
    pub(crate) fn submit(self: &Arc<Self>, order: Order) -> Result<(), Order> {
        if self.queued.fetch_add(1, Ordering::AcqRel) >= self.capacity {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            return Err(order);
        }
        let ranked = is_ranked(&order.core);
        self.ranked.fetch_add(ranked, Ordering::AcqRel);
        if let Err(item) = self.ring.push(Item { order, enqueued: self.clock.mono() }) {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            self.ranked.fetch_sub(ranked, Ordering::AcqRel);
            return Err(item.order);
        }
        self.call();
        Ok(())
    }

    /// Tells the store in the background. What finds no room is not told, and `false`: the store's cursor
    /// stays behind until the next decision of its job tells of both.
    pub(crate) fn skip(self: &Arc<Self>, skipped: Skipped) -> bool {
        if self.skips.push(skipped).is_err() {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        fence(Ordering::SeqCst);
        if self.telling.swap(1, Ordering::AcqRel) == 0 {
            self.handle.spawn(Arc::clone(self).tell());
        }
        true
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
        self.lateness.sum()
    }

    /// Starts a runner, if something is queued that none of them is about to find.
    ///
    /// Whoever has queued something looks whether there is a hunter, and a hunter that stops to be one
    /// looks whether something is queued: one of them sees the other. So a burst is one wake-up, and a
    /// runner that is held up by its work has another beside it.
    fn call(self: &Arc<Self>) -> bool {
        let claimed = self.claim_runner();
        if claimed {
            self.handle.spawn(Arc::clone(self).run());
        }
        claimed
    }

    /// Takes a place for a runner that hunts, if one is wanted.
    fn claim_runner(&self) -> bool {
        fence(Ordering::SeqCst);
        let wanted =
            self.queued.load(Ordering::SeqCst) > 0 && self.hunting.load(Ordering::SeqCst) == 0;
        let more = |runners| (runners < self.most).then_some(runners + 1);
        let claimed =
            wanted && self.runners.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok();
        if claimed {
            self.hunting.fetch_add(1, Ordering::SeqCst);
        }
        claimed
    }

    /// A runner: executes what is next until there is nothing.
    async fn run(self: Arc<Self>) {
        loop {
            let mut seat = Seat { pool: &self, hunting: true };
            let (mut taken, mut free) = (0, None);
            while let Some(item) = self.next() {
                if seat.work() {
                    // What a worker spawns is its own next task, and no other can take it: as long as
                    // this run's code keeps the thread. So let it go first, and be the one that is taken.
                    step_aside().await;
                }
                let heard = execute::execute(&self, item, free).await;
                free = heard.then(|| self.clock.mono());
                seat.hunt();
                taken += 1;
                if taken % TURN == 0 {
                    if self.hunting.load(Ordering::SeqCst) > 1 {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            drop(seat);
            if !self.claim_runner() {
                return;
            }
        }
    }

    /// What is next. Whoever asks is a hunter.
    fn next(&self) -> Option<Item> {
        let item = self.first();
        if let Some(item) = &item {
            self.ranked.fetch_sub(is_ranked(&item.order.core), Ordering::AcqRel);
            let left = self.queued.fetch_sub(1, Ordering::SeqCst) - 1;
            if left <= self.capacity / 2 && self.hungry.load(Ordering::SeqCst) != 0 {
                self.feed();
            }
        }
        item
    }

    /// Where all have the same priority they are in order as they come.
    fn first(&self) -> Option<Item> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.is_empty() && self.ranked.load(Ordering::Acquire) == 0 {
            return self.ring.pop();
        }
        while let Some(item) = self.ring.pop() {
            queue.push(item);
        }
        queue.pop()
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
        core.count_ended(&run.outcome);
        if run.worker_tid != 0 {
            let lateness_ns = run.lateness_ns();
            // One run makes no distribution: a one-shot has none.
            if let Some(live) = core.live() {
                live.count_lateness(lateness_ns);
            }
            // It grows with what it sees.
            let _ = self.lateness.part(run.worker_tid as usize).record(lateness_ns.max(0) as u64);
        }
        self.mind(&self.store.end(run).await);
    }

    /// Tells its shard of an end. Others of a job with a name may wait for it; nobody does for a
    /// one-shot's.
    fn tell_shard(&self, done: Done, finished: Mono) {
        let by = if done.core.as_named().is_some() { AT_ONCE } else { finished + LEISURE };
        let home = usize::from(done.core.home);
        if let Some(intake) = self.intakes.get().and_then(|intakes| intakes.get(home)) {
            intake.tell(done, by);
        }
    }

    /// Counts what a store could not do.
    fn mind<T, E>(&self, answer: &Result<T, E>) {
        self.store_errors.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
    }
}
