//! Timers of one thread: what it costs to insert one and to cancel one among many.
//!
//! So many are live all the time. In batches some are inserted, and as many of the others are cancelled
//! in random order; only these calls are timed, not the drawing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::{Duration, Instant};

use cronx_scheduler::wheel::{Key, Wheel};
use hierarchical_hash_wheel_timer::IdOnlyTimerEntry;
use hierarchical_hash_wheel_timer::wheels::cancellable::QuadWheelWithOverflow;
use nexus_timer::TimerHandle;
use tokio_util::time::{DelayQueue, delay_queue};

use crate::Error;

/// What is timed.
#[derive(Debug, clap::Args)]
pub(crate) struct Timers {
    /// Whose.
    #[arg(long)]
    which: Which,
    /// How many are live.
    #[arg(long)]
    live: usize,
    /// What is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    Cronx,
    DelayQueue,
    Nexus,
    HashWheel,
    /// With a set of what was cancelled.
    BinaryHeap,
}

/// Due instants lie within this from now on.
const HORIZON_NS: u64 = 110_000_000_000;
/// A batch.
const BATCH: usize = 10_000;
/// Batches.
const BATCHES: usize = 50;

/// What all of them can do.
trait Rival {
    type Name;
    fn insert(&mut self, in_ns: u64) -> Self::Name;
    fn cancel(&mut self, name: Self::Name);
}

impl Timers {
    /// Says `INSERT_NS CANCEL_NS`, each the mean of a call.
    pub(crate) fn run(&self) -> Result<(), Error> {
        match self.which {
            Which::Cronx => self.play(Wheel::new(0)),
            Which::DelayQueue => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                let runtime = runtime
                    .map_err(|source| Error::System { what: "a runtime".to_owned(), source })?;
                let _here = runtime.enter();
                self.play(Queue { queue: DelayQueue::new(), base: tokio::time::Instant::now() });
            }
            Which::Nexus => {
                let base = Instant::now();
                self.play(Nexus { wheel: nexus_timer::Wheel::unbounded(4096, base), base });
            }
            Which::HashWheel => {
                self.play(HashWheel { wheel: QuadWheelWithOverflow::new(), next: 0 })
            }
            Which::BinaryHeap => self.play(Heap::default()),
        }
        Ok(())
    }

    fn play<R: Rival>(&self, mut rival: R) {
        let mut random = Random(self.seed);
        let mut names: Vec<R::Name> =
            (0..self.live).map(|_| rival.insert(random.below(HORIZON_NS))).collect();
        let (mut inserting, mut cancelling) = (Duration::ZERO, Duration::ZERO);
        let mut batch = Vec::with_capacity(BATCH);
        for _ in 0..BATCHES {
            let due: Vec<u64> = (0..BATCH).map(|_| random.below(HORIZON_NS)).collect();
            let start = Instant::now();
            batch.extend(due.into_iter().map(|due| rival.insert(due)));
            inserting += start.elapsed();
            for name in &mut batch {
                let which = random.below(names.len() as u64) as usize;
                std::mem::swap(name, &mut names[which]);
            }
            let start = Instant::now();
            batch.drain(..).for_each(|name| rival.cancel(name));
            cancelling += start.elapsed();
        }
        let each = |time: Duration| time.as_nanos() as f64 / (BATCH * BATCHES) as f64;
        println!("{:.2} {:.2}", each(inserting), each(cancelling));
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

impl Rival for Wheel {
    type Name = Key;

    fn insert(&mut self, in_ns: u64) -> Key {
        Wheel::insert(self, in_ns, 0, 0)
    }

    fn cancel(&mut self, name: Key) {
        Wheel::cancel(self, name);
    }
}

struct Queue {
    queue: DelayQueue<u64>,
    base: tokio::time::Instant,
}

impl Rival for Queue {
    type Name = delay_queue::Key;

    fn insert(&mut self, in_ns: u64) -> delay_queue::Key {
        self.queue.insert_at(in_ns, self.base + Duration::from_nanos(in_ns))
    }

    fn cancel(&mut self, name: delay_queue::Key) {
        self.queue.remove(&name);
    }
}

struct Nexus {
    wheel: nexus_timer::Wheel<u64>,
    base: Instant,
}

impl Rival for Nexus {
    type Name = TimerHandle<u64>;

    fn insert(&mut self, in_ns: u64) -> TimerHandle<u64> {
        self.wheel.schedule(self.base + Duration::from_nanos(in_ns), in_ns)
    }

    fn cancel(&mut self, name: TimerHandle<u64>) {
        self.wheel.cancel(name);
    }
}

struct HashWheel {
    wheel: QuadWheelWithOverflow<IdOnlyTimerEntry<u64>>,
    next: u64,
}

impl Rival for HashWheel {
    type Name = u64;

    fn insert(&mut self, in_ns: u64) -> u64 {
        self.next += 1;
        // It takes whole milliseconds, and none is refused for being now.
        let delay = Duration::from_millis(1 + in_ns / 1_000_000);
        let _ = self.wheel.insert(IdOnlyTimerEntry::new(self.next, delay));
        self.next
    }

    fn cancel(&mut self, name: u64) {
        let _ = self.wheel.cancel(&name);
    }
}

#[derive(Default)]
struct Heap {
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    cancelled: HashSet<u64>,
    next: u64,
}

impl Rival for Heap {
    type Name = u64;

    fn insert(&mut self, in_ns: u64) -> u64 {
        self.next += 1;
        self.heap.push(Reverse((in_ns, self.next)));
        self.next
    }

    fn cancel(&mut self, name: u64) {
        self.cancelled.insert(name);
    }
}
