//! Threads that hand one CPU on among them, each after a burst of its own length.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};

use crate::log::{self, Log};

/// A ring of hogs: one runs, the others sleep, and the last to run wakes the next.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// The CPU to burn.
    #[arg(long)]
    cpu: usize,
    /// The length of each one's burst; there are as many threads.
    #[arg(long, value_delimiter = ',', default_value = "2,3,5,9")]
    bursts_ms: Vec<u64>,
    /// Where to write what they did.
    #[arg(long)]
    log: PathBuf,
}

/// Whose turn it is, and whom to wake.
#[derive(Default)]
struct Ring {
    turn: AtomicUsize,
    threads: OnceLock<Vec<Thread>>,
}

impl Rotate {
    pub fn run(&self) {
        let ring = Ring::default();
        thread::scope(|scope| {
            let each = (0..self.bursts_ms.len()).map(|number| {
                let ring = &ring;
                scope.spawn(move || self.take_turns(number, ring)).thread().clone()
            });
            let threads: Vec<_> = each.collect();
            let first = threads[0].clone();
            let _ = ring.threads.set(threads);
            first.unpark();
        });
    }

    fn take_turns(&self, number: usize, ring: &Ring) {
        crate::pin(self.cpu);
        crate::name(&format!("hog-{number}"));
        let mut log = Log::open(&self.log);
        let mut stopped = false;
        while !stopped {
            let threads = ring.wait_for(number, &mut log);
            stopped = log::is_asked_to_stop();
            log.spin_until(log::now_ns() + self.bursts_ms[number] * 1_000_000);
            // Who stops hands on too: the next one stops then.
            let next = (number + 1) % threads.len();
            ring.turn.store(next, Ordering::Release);
            threads[next].unpark();
            log.pass();
        }
        log.close();
    }
}

impl Ring {
    fn wait_for(&self, number: usize, log: &mut Log) -> &[Thread] {
        loop {
            let is_its = self.turn.load(Ordering::Acquire) == number;
            if let (true, Some(threads)) = (is_its, self.threads.get()) {
                return threads;
            }
            thread::park();
            log.pass();
        }
    }
}
